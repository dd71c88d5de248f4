/* lease.c - states of a lease, and the deadlines that end each of them when nobody acts. */
#include "modules/compute/compute.h"

#include "core/crypto/hash.h"

#define PAUSE_MAX_MS (UINT64_C(30) * 86400000)
#define BEATS_DARK   3
#define HOUR_MS      UINT64_C(3600000)

static void changed(struct qn_apply *ap, const struct qn_hash *id,
                    const struct compute_lease *lease, uint64_t returned_uqn)
{
    struct compute_changed note = { .state = lease->state,
                                    .reason = lease->reason,
                                    .paid = lease->paid,
                                    .returned = QN_UQN(returned_uqn) };
    qn_emit(ap, "lease.changed", id, compute_changed_record(), &note);
}

/* read lends both rows; false when the lease is gone or closed: its deadlines were deleted with it, so
 * that is asserted where it cannot be. */
static bool read(struct qn_apply *ap, const struct qn_hash *id, struct compute_lease *lease,
                 struct compute_order *order)
{
    if (!compute_lease_get(ap->view, ap->arena, id, lease)) return false;
    bool found = compute_order_get(ap->view, ap->arena, &lease->order, order);
    QN_ASSERT(found);
    return lease->state != COMPUTE_CLOSED;
}

static uint64_t beat_of(struct qn_apply *ap, const struct qn_hash *node_id)
{
    struct compute_node node;
    bool found = compute_node_get(ap->view, ap->arena, node_id, &node);
    QN_ASSERT(found); /* a node with leases cannot leave */
    return node.beat_ms;
}

static void arm_dark(struct qn_apply *ap, const struct qn_hash *id,
                     const struct compute_lease *lease, const struct compute_order *order)
{
    uint64_t at = beat_of(ap, &lease->node) + BEATS_DARK * order->ask.beat_ms;
    qn_due_set(ap, COMPUTE_DUE_DARK, id, QN_MAX(at, ap->now_ms));
}

static void hear(struct qn_apply *ap, const struct qn_hash *node_id)
{
    struct compute_node node;
    bool found = compute_node_get(ap->view, ap->arena, node_id, &node);
    QN_ASSERT(found);
    node.beat_ms = QN_MAX(node.beat_ms, ap->now_ms);
    compute_node_save(ap, node_id, &node);
}

/* --- money at the end ------------------------------------------------------------------------------- */

static void post(struct qn_apply *ap, const struct qn_hash *from, const struct qn_hash *to,
                 uint64_t uqn)
{
    qn_rc rc = qn_post(ap, from, to, QN_UQN(uqn), NULL);
    QN_ASSERT(rc == QN_OK); /* the account was filled for this */
}

/* A winner that never starts cost the tenant its time: half of what it forfeits goes to the tenant, half
 * is burnt, so that tenant and provider cannot gain by playing both sides. */
static void slash(struct qn_apply *ap, const struct compute_lease *lease,
                  const struct qn_hash *from, uint64_t uqn)
{
    struct qn_hash burnt = qn_acct_burnt();
    post(ap, from, &lease->tenant, uqn / 2);
    post(ap, from, &burnt, uqn - uqn / 2);
}

static void end_deposit(struct qn_apply *ap, struct compute_lease *lease)
{
    struct qn_hash bid_id = compute_bid_id(&lease->order, &lease->node);
    struct qn_hash bid_acct = compute_bid_acct(&bid_id);
    struct compute_pair_key key = compute_pair(&lease->order, &lease->node);
    if (lease->reason == COMPUTE_R_NO_START) {
        struct compute_node node;
        bool found = compute_node_get(ap->view, ap->arena, &lease->node, &node);
        QN_ASSERT(found);
        uint64_t rem = 0;
        uint64_t fine = QN_MIN(compute_earned(lease->rate_nqn_h, 0, HOUR_MS, &rem), node.bond.uqn);
        struct qn_hash bond = compute_bond_acct(&lease->node);
        slash(ap, lease, &bid_acct, lease->deposit.uqn);
        slash(ap, lease, &bond, fine);
        node.bond.uqn -= fine;
        compute_node_save(ap, &lease->node, &node);
    } else {
        post(ap, &bid_acct, &lease->provider, lease->deposit.uqn);
    }
    lease->deposit = QN_UQN(0);
    qn_row_del(ap, COMPUTE_T_BID, QN_SPAN_OF(key));
}

/* Weight is the fee really paid, so that praise costs what it is worth; a lease that never ran weighs an
 * hour's fee against its provider. */
static void remember(struct qn_apply *ap, const struct compute_lease *lease)
{
    struct compute_params params;
    struct compute_rep rep = { 0 };
    struct qn_span val;
    struct qn_span key = QN_SPAN_OF(lease->provider);
    bool bad = lease->reason >= 100 && lease->reason != COMPUTE_R_TERM &&
               lease->reason != COMPUTE_R_FUNDS && lease->reason != COMPUTE_R_PAUSED_LONG;
    compute_params_get(ap->view, &params);
    if (qn_view_get(ap->view, COMPUTE_T_REP, key, &val)) {
        qn_rc rc = qn_decode(compute_rep_record(), val, ap->arena, &rep, NULL);
        QN_ASSERT(rc == QN_OK);
    }
    uint64_t rem = 0, w = qn_amount_ppm(lease->paid, params.take_ppm).uqn;
    uint64_t hour = compute_earned(lease->rate_nqn_h, 0, HOUR_MS, &rem);
    uint64_t hour_fee = qn_amount_ppm(QN_UQN(hour), params.take_ppm).uqn;
    struct qn_amount *sum = bad ? &rep.bad : &rep.good;
    if (bad) w = QN_MAX(w, hour_fee);
    sum->uqn = QN_MIN(sum->uqn + w, QN_SUPPLY_UQN);
    *(bad ? &rep.bad_cnt : &rep.good_cnt) += 1;
    qn_row_put_rec(ap, COMPUTE_T_REP, key, compute_rep_record(), &rep);
}

void compute_lease_close(struct qn_apply *ap, const struct qn_hash *id, struct compute_lease *lease,
                         uint16_t reason)
{
    static const uint16_t DUES[] = { COMPUTE_DUE_START, COMPUTE_DUE_GRACE, COMPUTE_DUE_PAY,
                                     COMPUTE_DUE_TERM,  COMPUTE_DUE_DARK,  COMPUTE_DUE_LOST,
                                     COMPUTE_DUE_PAUSED };
    struct compute_params params;
    struct compute_node node;
    compute_params_get(ap->view, &params);
    if (lease->state == COMPUTE_RUNNING || lease->state == COMPUTE_GRACE)
        compute_stream_out(ap, id, lease);
    for (size_t i = 0; i < QN_COUNT(DUES); i++)
        qn_due_del(ap, DUES[i], id);
    lease->state = COMPUTE_CLOSED;
    lease->reason = reason;
    lease->closed_ms = ap->now_ms;
    lease->grace_at_ms = 0;
    end_deposit(ap, lease);
    remember(ap, lease);
    bool found = compute_node_get(ap->view, ap->arena, &lease->node, &node);
    QN_ASSERT(found && node.lease_cnt > 0);
    compute_cap_give(&node.used, &lease->cap);
    node.lease_cnt--;
    compute_node_save(ap, &lease->node, &node);
    struct compute_pair_key key = compute_pair(&lease->node, id);
    qn_row_del(ap, COMPUTE_T_NODE_LEASE, QN_SPAN_OF(key));
    if (lease->hold.uqn) qn_due_set(ap, COMPUTE_DUE_HOLD, id, ap->now_ms + params.dispute_ms);
    compute_lease_save(ap, id, lease);
    struct qn_amount back = compute_refund(ap, &lease->order);
    changed(ap, id, lease, back.uqn);
    compute_audit_node(ap, &lease->node);
    compute_audit_escrow(ap, &lease->order);
}

/* --- deadlines -------------------------------------------------------------------------------------- */

void compute_due_start(struct qn_apply *ap, const struct qn_hash *id)
{
    struct compute_lease lease;
    struct compute_order order;
    if (read(ap, id, &lease, &order) && lease.state == COMPUTE_MATCHED)
        compute_lease_close(ap, id, &lease, COMPUTE_R_NO_START);
}

void compute_due_dry(struct qn_apply *ap, const struct qn_hash *order_id)
{
    struct compute_order order;
    struct compute_lease lease;
    bool found = compute_order_get(ap->view, ap->arena, order_id, &order) && order.lease.has &&
                 compute_lease_get(ap->view, ap->arena, &order.lease.v, &lease);
    QN_ASSERT(found);
    if (lease.state != COMPUTE_RUNNING) return;
    compute_dry_out(ap, &order.lease.v, &lease, &order);
    changed(ap, &order.lease.v, &lease, 0);
    compute_audit_escrow(ap, order_id);
}

void compute_due_grace(struct qn_apply *ap, const struct qn_hash *id)
{
    struct compute_lease lease;
    struct compute_order order;
    if (read(ap, id, &lease, &order) && lease.state == COMPUTE_GRACE)
        compute_lease_close(ap, id, &lease, COMPUTE_R_FUNDS);
}

void compute_due_pay(struct qn_apply *ap, const struct qn_hash *id)
{
    struct compute_lease lease;
    struct compute_order order;
    struct compute_params params;
    if (!read(ap, id, &lease, &order)) return;
    if (lease.state != COMPUTE_RUNNING && lease.state != COMPUTE_GRACE) return;
    compute_params_get(ap->view, &params);
    compute_settle(ap, id, &lease);
    qn_due_set(ap, COMPUTE_DUE_PAY, id, ap->now_ms + params.pay_tick_ms);
}

void compute_due_term(struct qn_apply *ap, const struct qn_hash *id)
{
    struct compute_lease lease;
    struct compute_order order;
    if (read(ap, id, &lease, &order)) compute_lease_close(ap, id, &lease, COMPUTE_R_TERM);
}

static uint64_t last_block_ms(struct qn_apply *ap)
{
    struct compute_clock clock;
    struct qn_span val;
    if (!qn_view_get(ap->view, COMPUTE_T_MISC, QN_SPAN_STR("clock"), &val)) return ap->now_ms;
    qn_rc rc = qn_decode(compute_clock_record(), val, ap->arena, &clock, NULL);
    QN_ASSERT(rc == QN_OK);
    return clock.last_ms;
}

void compute_due_dark(struct qn_apply *ap, const struct qn_hash *id)
{
    struct compute_lease lease;
    struct compute_order order;
    if (!read(ap, id, &lease, &order) || lease.state != COMPUTE_RUNNING) return;
    uint64_t dark_at = beat_of(ap, &lease.node) + BEATS_DARK * order.ask.beat_ms;
    uint64_t before = last_block_ms(ap);
    /* Each beat moves it here, not when it comes: a beat costs the same with one lease and with 200. */
    if (dark_at > ap->now_ms) {
        arm_dark(ap, id, &lease, &order);
        return;
    }
    /* There were no blocks that could have taken a beat: silence of the ledger, not of the provider. It
     * gets one beat more. */
    if (ap->now_ms - before > 2 * order.ask.beat_ms && dark_at > before) {
        qn_due_set(ap, COMPUTE_DUE_DARK, id, ap->now_ms + order.ask.beat_ms);
        return;
    }
    compute_stream_out(ap, id, &lease);
    lease.state = COMPUTE_UNKNOWN;
    compute_lease_save(ap, id, &lease);
    uint64_t lost_at = beat_of(ap, &lease.node) + order.ask.lost_ms;
    qn_due_set(ap, COMPUTE_DUE_LOST, id, QN_MAX(lost_at, ap->now_ms));
    changed(ap, id, &lease, 0);
    compute_audit_escrow(ap, &lease.order);
}

void compute_due_lost(struct qn_apply *ap, const struct qn_hash *id)
{
    struct compute_lease lease;
    struct compute_order order;
    if (read(ap, id, &lease, &order) && lease.state == COMPUTE_UNKNOWN)
        compute_lease_close(ap, id, &lease, COMPUTE_R_NODE_LOST);
}

void compute_due_paused(struct qn_apply *ap, const struct qn_hash *id)
{
    struct compute_lease lease;
    struct compute_order order;
    if (read(ap, id, &lease, &order) && lease.state == COMPUTE_PAUSED)
        compute_lease_close(ap, id, &lease, COMPUTE_R_PAUSED_LONG);
}

void compute_due_hold(struct qn_apply *ap, const struct qn_hash *id)
{
    struct compute_lease lease;
    bool found = compute_lease_get(ap->view, ap->arena, id, &lease);
    QN_ASSERT(found);
    struct qn_hash held = compute_hold_acct(id);
    post(ap, &held, &lease.provider, lease.hold.uqn);
    lease.hold = QN_UQN(0);
    compute_lease_save(ap, id, &lease);
}

void compute_revive(struct qn_apply *ap, const struct qn_hash *node_id)
{
    struct qn_span key, val, after = { 0 };
    struct compute_pair_key at;
    while (qn_view_next(ap->view, COMPUTE_T_NODE_LEASE, QN_SPAN_OF(*node_id), after, &key, &val)) {
        struct qn_hash id;
        struct compute_lease lease;
        struct compute_order order;
        QN_ASSERT(key.len == sizeof at.b);
        __builtin_memcpy(at.b, key.ptr, sizeof at.b);
        __builtin_memcpy(id.b, at.b + 32, 32);
        after = QN_SPAN_OF(at);
        if (!read(ap, &id, &lease, &order) || lease.state != COMPUTE_UNKNOWN) continue;
        qn_due_del(ap, COMPUTE_DUE_LOST, &id);
        lease.state = COMPUTE_RUNNING;
        compute_stream_in(ap, &id, &lease); /* what it was dark for is not paid */
        arm_dark(ap, &id, &lease, &order);
        changed(ap, &id, &lease, 0);
    }
}

/* --- transactions ----------------------------------------------------------------------------------- */

static qn_rc read_tx(struct qn_apply *ap, const struct qn_hash *id, struct compute_lease *lease,
                     struct compute_order *order, struct qn_why *why)
{
    if (read(ap, id, lease, order)) return QN_OK;
    if (compute_lease_get(ap->view, ap->arena, id, lease))
        return qn_why(why, QN_E_STATE, "the lease is closed");
    return qn_why(why, QN_E_NOTFOUND, "no lease has that id");
}

qn_rc compute_tx_lease_start(struct qn_apply *ap, const void *body, struct qn_why *why)
{
    const struct compute_lease_start *tx = body;
    struct compute_lease lease;
    struct compute_order order;
    qn_rc rc = read_tx(ap, &tx->lease, &lease, &order, why);
    if (rc) return rc;
    if (!qn_hash_eq(&ap->sender, &lease.provider))
        return qn_why(why, QN_E_AUTH, "only the lease's provider starts it");
    if (lease.state != COMPUTE_MATCHED) return qn_why(why, QN_E_STATE, "the lease was started");
    qn_due_del(ap, COMPUTE_DUE_START, &tx->lease);
    hear(ap, &lease.node);
    lease.state = COMPUTE_RUNNING;
    lease.started_ms = ap->now_ms;
    lease.evidence = tx->evidence;
    if (order.ask.term_ms) {
        lease.term_at_ms = ap->now_ms + order.ask.term_ms;
        qn_due_set(ap, COMPUTE_DUE_TERM, &tx->lease, lease.term_at_ms);
    }
    compute_stream_in(ap, &tx->lease, &lease);
    arm_dark(ap, &tx->lease, &lease, &order);
    changed(ap, &tx->lease, &lease, 0);
    compute_audit_escrow(ap, &lease.order);
    return QN_OK;
}

static qn_rc extend(struct qn_apply *ap, const struct compute_lease_set *tx,
                    struct compute_lease *lease, struct qn_why *why)
{
    if (!lease->term_at_ms)
        return qn_why(why, QN_E_STATE, "the lease has no term; add money instead");
    if (tx->arg == 0 || tx->arg > UINT64_C(366) * 86400000)
        return qn_why(why, QN_E_RANGE, "extend by 1 ms to 366 days");
    if (lease->term_at_ms + tx->arg > ap->now_ms + UINT64_C(3660) * 86400000)
        return qn_why(why, QN_E_RANGE, "the lease would end more than ten years from now");
    lease->term_at_ms += tx->arg;
    qn_due_set(ap, COMPUTE_DUE_TERM, &tx->lease, lease->term_at_ms);
    compute_lease_save(ap, &tx->lease, lease);
    return QN_OK;
}

qn_rc compute_tx_lease_set(struct qn_apply *ap, const void *body, struct qn_why *why)
{
    const struct compute_lease_set *tx = body;
    struct compute_lease lease;
    struct compute_order order;
    qn_rc rc = read_tx(ap, &tx->lease, &lease, &order, why);
    if (rc) return rc;
    if (!qn_hash_eq(&ap->sender, &lease.tenant))
        return qn_why(why, QN_E_AUTH, "only the lease's tenant changes it");
    switch (tx->verb) {
    case 0: /* pause */
        if (lease.state != COMPUTE_RUNNING)
            return qn_why(why, QN_E_STATE, "only a running lease can be paused");
        compute_stream_out(ap, &tx->lease, &lease);
        lease.state = COMPUTE_PAUSED;
        qn_due_del(ap, COMPUTE_DUE_DARK, &tx->lease);
        qn_due_set(ap, COMPUTE_DUE_PAUSED, &tx->lease, ap->now_ms + PAUSE_MAX_MS);
        compute_lease_save(ap, &tx->lease, &lease);
        break;
    case 1: /* resume */
        if (lease.state != COMPUTE_PAUSED)
            return qn_why(why, QN_E_STATE, "only a paused lease can be resumed");
        qn_due_del(ap, COMPUTE_DUE_PAUSED, &tx->lease);
        lease.state = COMPUTE_RUNNING;
        compute_stream_in(ap, &tx->lease, &lease);
        /* Silence while paused is no fault; but without a sign of life from here on nothing is paid. */
        qn_due_set(ap, COMPUTE_DUE_DARK, &tx->lease, ap->now_ms + BEATS_DARK * order.ask.beat_ms);
        break;
    default: /* extend; the record lets no other in */
        rc = extend(ap, tx, &lease, why);
        if (rc) return rc;
        break;
    }
    changed(ap, &tx->lease, &lease, 0);
    compute_audit_escrow(ap, &lease.order);
    return QN_OK;
}

qn_rc compute_tx_lease_close(struct qn_apply *ap, const void *body, struct qn_why *why)
{
    const struct compute_lease_close *tx = body;
    struct compute_lease lease;
    struct compute_order order;
    qn_rc rc = read_tx(ap, &tx->lease, &lease, &order, why);
    if (rc) return rc;
    bool tenant = qn_hash_eq(&ap->sender, &lease.tenant);
    bool provider = qn_hash_eq(&ap->sender, &lease.provider);
    uint16_t reason = tx->reason;
    if (!tenant && !provider)
        return qn_why(why, QN_E_AUTH, "only the lease's tenant or provider closes it");
    if (reason == 0) reason = tenant ? 1 : 100;
    if (reason >= 200 || (reason < 100 && !tenant) || (reason >= 100 && !provider))
        return qn_why(why, QN_E_RANGE, "reason: 1 to 99 for tenants, 100 to 199 for providers");
    /* Leaving before the start is what NO_START is about, said aloud. */
    if (reason >= 100 && lease.state == COMPUTE_MATCHED) reason = COMPUTE_R_NO_START;
    lease.evidence = tx->evidence;
    compute_lease_close(ap, &tx->lease, &lease, reason);
    return QN_OK;
}

qn_rc compute_tx_escrow_add(struct qn_apply *ap, const void *body, struct qn_why *why)
{
    const struct compute_escrow_add *tx = body;
    qn_rc rc = compute_top_up(ap, &tx->order, tx->amount, why);
    if (rc == QN_OK) compute_audit_escrow(ap, &tx->order);
    return rc;
}

qn_rc compute_tx_escrow_settle(struct qn_apply *ap, const void *body, struct qn_why *why)
{
    const struct compute_escrow_settle *tx = body;
    for (uint32_t i = 0; i < tx->leases.cnt; i++) {
        struct compute_lease lease;
        struct compute_order order;
        qn_rc rc = qn_gas_use(ap, 20000);
        if (rc == QN_OK) rc = read_tx(ap, &tx->leases.ptr[i], &lease, &order, why);
        if (rc) return rc;
        if (lease.state == COMPUTE_RUNNING || lease.state == COMPUTE_GRACE)
            compute_settle(ap, &tx->leases.ptr[i], &lease);
    }
    return QN_OK;
}
