/* compute.c - what the market is made of: genesis, end of block, tables, and the module's struct. */
#include "modules/compute/compute.h"

#include "modules/compute/runner.h"

#include "core/schema/define.h"
#include "modules/compute/compute.def"

static void genesis(struct qn_apply *ap)
{
    /* 1 % of each payment to the public pool; nothing is held back until disputes exist. Akash locked
     * 0.5 AKT a bid; pay at least once an hour. */
    const struct compute_params params = { .take_ppm = 10000,
                                           .hold_ppm = 0,
                                           .dispute_ms = 600000,
                                           .bid_deposit = QN_UQN(QN_UQN_PER_QN / 2),
                                           .pay_tick_ms = 3600000 };
    qn_row_put_rec(ap, COMPUTE_T_MISC, QN_SPAN_STR("params"), compute_params_record(), &params);
}

/* Handlers check what they touched; here a few rows the beacon draws are looked at as well, so that a
 * fault that no handler sees is found in the end. */
static void draw_audit(struct qn_apply *ap)
{
    struct qn_span key, val, all = { 0 };
    struct qn_hash id;
    if (qn_view_next(ap->view, COMPUTE_T_NODE, all, QN_SPAN_OF(ap->beacon), &key, &val)) {
        QN_ASSERT(key.len == 32);
        __builtin_memcpy(id.b, key.ptr, 32);
        compute_audit_node(ap, &id);
    }
    if (qn_view_next(ap->view, COMPUTE_T_ESCROW, all, QN_SPAN_OF(ap->beacon), &key, &val)) {
        QN_ASSERT(key.len == 32);
        __builtin_memcpy(id.b, key.ptr, 32);
        compute_audit_escrow(ap, &id);
    }
}

static void block_end(struct qn_apply *ap)
{
    struct qn_span key, val, all = { 0 };
    /* The time of the last block matters to leases only; without any the state stays as it is. */
    if (qn_view_next(ap->view, COMPUTE_T_NODE_LEASE, all, all, &key, &val)) {
        const struct compute_clock clock = { .last_ms = ap->now_ms };
        qn_row_put_rec(ap, COMPUTE_T_MISC, QN_SPAN_STR("clock"), compute_clock_record(), &clock);
    }
    draw_audit(ap);
}

/* To add a transaction: a record in compute.def, a number in compute.h, a handler, a line here. */
static const struct qn_tx_kind TXS[] = {
    { COMPUTE_TX_NODE_PUT, "node.put", "declare a machine for lease, or change it",
      compute_node_put_record, 60000, NULL, compute_tx_node_put },
    { COMPUTE_TX_NODE_EXIT, "node.exit", "withdraw an empty machine; its bond returns",
      compute_node_exit_record, 40000, NULL, compute_tx_node_exit },
    { COMPUTE_TX_NODE_BEAT, "node.beat", "say that a machine and its leases live",
      compute_node_beat_record, 30000, NULL, compute_tx_node_beat },
    { COMPUTE_TX_OFFER_PUT, "offer.put", "ask a standing price for a machine",
      compute_offer_put_record, 40000, NULL, compute_tx_offer_put },
    { COMPUTE_TX_ORDER_PUT, "order.put", "ask for a machine and lock the money for it",
      compute_order_put_record, 80000, NULL, compute_tx_order_put },
    { COMPUTE_TX_ORDER_CANCEL, "order.cancel", "take an open order back",
      compute_order_cancel_record, 60000, NULL, compute_tx_order_cancel },
    { COMPUTE_TX_BID_PUT, "bid.put", "answer an order with a rate", compute_bid_put_record, 60000,
      NULL, compute_tx_bid_put },
    { COMPUTE_TX_BID_DROP, "bid.drop", "take a bid back", compute_bid_drop_record, 40000, NULL,
      compute_tx_bid_drop },
    { COMPUTE_TX_LEASE_START, "lease.start", "say that a lease's workload runs; pay begins",
      compute_lease_start_record, 60000, NULL, compute_tx_lease_start },
    { COMPUTE_TX_LEASE_SET, "lease.set", "pause, resume or extend a lease",
      compute_lease_set_record, 60000, NULL, compute_tx_lease_set },
    { COMPUTE_TX_LEASE_CLOSE, "lease.close", "end a lease; what is not spent returns",
      compute_lease_close_record, 90000, NULL, compute_tx_lease_close },
    { COMPUTE_TX_ESCROW_ADD, "escrow.add", "put more money behind a lease",
      compute_escrow_add_record, 60000, NULL, compute_tx_escrow_add },
    { COMPUTE_TX_ESCROW_SETTLE, "escrow.settle", "pay now what leases have earned",
      compute_escrow_settle_record, 20000, NULL, compute_tx_escrow_settle },
    { 0 },
};

static const struct qn_due_kind DUES[] = {
    { COMPUTE_DUE_TTL, "order.ttl", compute_due_ttl },
    { COMPUTE_DUE_MATCH, "order.match", compute_due_match },
    { COMPUTE_DUE_AUCTION, "order.auction", compute_due_auction },
    { COMPUTE_DUE_START, "lease.start", compute_due_start },
    { COMPUTE_DUE_DRY, "escrow.dry", compute_due_dry },
    { COMPUTE_DUE_GRACE, "lease.grace", compute_due_grace },
    { COMPUTE_DUE_PAY, "lease.pay", compute_due_pay },
    { COMPUTE_DUE_TERM, "lease.term", compute_due_term },
    { COMPUTE_DUE_DARK, "lease.dark", compute_due_dark },
    { COMPUTE_DUE_LOST, "lease.lost", compute_due_lost },
    { COMPUTE_DUE_PAUSED, "lease.paused", compute_due_paused },
    { COMPUTE_DUE_HOLD, "lease.hold", compute_due_hold },
    { COMPUTE_DUE_BID, "bid.free", compute_due_bid },
    { 0 },
};

static const struct qn_table TABLES[] = {
    { COMPUTE_T_NODE, "node", compute_node_record, "node h32" },
    { COMPUTE_T_OFFER, "offer", compute_offer_record, "node h32" },
    { COMPUTE_T_ORDER, "order", compute_order_record, "order h32" },
    { COMPUTE_T_BID, "bid", compute_bid_record, "order h32, node h32" },
    { COMPUTE_T_LEASE, "lease", compute_lease_record, "lease h32" },
    { COMPUTE_T_ESCROW, "escrow", compute_escrow_record, "order h32" },
    { COMPUTE_T_REP, "rep", compute_rep_record, "account h32" },
    { 0 },
};

extern const struct qn_module compute_module;
const struct qn_module compute_module = {
    .name = "compute",
    .doc = "lease machines, by the second, at a price the ledger found",
    .tag = COMPUTE_TAG,
    .txs = TXS,
    .dues = DUES,
    .tables = TABLES,
    .calls = COMPUTE_CALLS,
    .genesis = genesis,
    .block_end = block_end,
    .on_final = runner_reconcile,
};
