/* tx_order.c - orders and bids. */
#include "modules/compute/compute.h"

#include <string.h>

#define MINUTE_MS UINT64_C(60000)
#define HOUR_MS   (60 * MINUTE_MS)
#define YEAR_MS   (UINT64_C(366) * 24 * HOUR_MS)
#define RATE_MAX                                                                                   \
    UINT64_C(100000000000000) /* nqn an hour: 100,000 QN; a day of it is below the supply */
#define SHORTEST_MS  200      /* of any pace an order sets: a block or a few */
#define BID_CNT_MAX  256
#define STEP_PCT     99 /* a new best is at most this of the best: nobody wins by a hair at the end */
#define LATE_MS      UINT64_C(2000)
#define EXTENDED_MAX 3

static qn_rc pace(uint64_t *ms, uint64_t standard, uint64_t max, const char *name,
                  struct qn_why *why)
{
    if (*ms == 0) *ms = standard;
    if (*ms < SHORTEST_MS || *ms > max)
        return qn_why(why, QN_E_RANGE, "%s: %d to %llu ms", name, SHORTEST_MS,
                      (unsigned long long)max);
    return QN_OK;
}

static qn_rc defaults(struct compute_order_put *ask, struct qn_why *why)
{
    qn_rc rc = pace(&ask->ttl_ms, 10 * MINUTE_MS, 24 * HOUR_MS, "ttl_ms", why);
    if (rc == QN_OK) rc = pace(&ask->auction_ms, 5000, 10 * MINUTE_MS, "auction_ms", why);
    if (rc == QN_OK) rc = pace(&ask->start_ms, 10 * MINUTE_MS, 24 * HOUR_MS, "start_ms", why);
    if (rc == QN_OK) rc = pace(&ask->beat_ms, 2 * MINUTE_MS, HOUR_MS, "beat_ms", why);
    if (rc == QN_OK) rc = pace(&ask->lost_ms, 2 * HOUR_MS, 24 * HOUR_MS, "lost_ms", why);
    if (rc == QN_OK) rc = pace(&ask->grace_ms, 5 * MINUTE_MS, 24 * HOUR_MS, "grace_ms", why);
    if (ask->class_max == 0) ask->class_max = UINT16_MAX;
    if (ask->regions == 0) ask->regions = UINT64_MAX;
    return rc;
}

static qn_rc ask_sane(const struct compute_order_put *ask, struct qn_why *why)
{
    if (ask->cap.cpu_milli == 0 || ask->cap.ram_mib == 0)
        return qn_why(why, QN_E_RANGE, "cap: a processor and memory at least");
    if (ask->max_rate_nqn_h == 0 || ask->max_rate_nqn_h > RATE_MAX)
        return qn_why(why, QN_E_RANGE, "max_rate_nqn_h: 1 to %llu", (unsigned long long)RATE_MAX);
    if (ask->term_ms > YEAR_MS) return qn_why(why, QN_E_RANGE, "term_ms: at most a year");
    if (ask->class_max < ask->class_min)
        return qn_why(why, QN_E_RANGE, "class_max: below class_min");
    /* So much that a match cannot fail for money: an hour or the term, and the guard. */
    uint64_t first = ask->term_ms ? QN_MIN(ask->term_ms, HOUR_MS) : HOUR_MS, rem = COMPUTE_D - 1;
    uint64_t need = compute_guard(ask->max_rate_nqn_h, ask->grace_ms);
    need = need > QN_SUPPLY_UQN ? need : need + compute_earned(ask->max_rate_nqn_h, 0, first, &rem);
    if (ask->deposit.uqn < need)
        return qn_why(why, QN_E_FUNDS,
                      "the deposit is %llu uqn; this rate, term and grace need %llu",
                      (unsigned long long)ask->deposit.uqn, (unsigned long long)need);
    return QN_OK;
}

qn_rc compute_tx_order_put(struct qn_apply *ap, const void *body, struct qn_why *why)
{
    struct compute_order order = { .tenant = ap->sender, .state = COMPUTE_ORDER_OPEN };
    struct compute_escrow escrow = { 0 };
    struct compute_depositor first;
    const struct qn_hash id = ap->id;
    order.ask = *(const struct compute_order_put *)body;
    qn_rc rc = defaults(&order.ask, why);
    if (rc == QN_OK) rc = ask_sane(&order.ask, why);
    if (rc) return rc;
    struct qn_hash acct = compute_escrow_acct(&id);
    qn_acct_own(ap, &acct, "escrow of an order", &ap->sender);
    rc = qn_post(ap, &ap->sender, &acct, order.ask.deposit, why);
    if (rc) return rc;
    first = (struct compute_depositor){ .who = ap->sender, .amount = order.ask.deposit };
    escrow.put = order.ask.deposit;
    escrow.depositors.cnt = 1;
    escrow.depositors.ptr = &first;
    compute_escrow_save(ap, &id, &escrow);
    order.opened_ms = ap->now_ms;
    if (order.ask.mode == COMPUTE_AUCTION) {
        order.end_ms = ap->now_ms + order.ask.auction_ms;
        qn_due_set(ap, COMPUTE_DUE_AUCTION, &id, order.end_ms);
    } else {
        /* In a later block, whose beacon nobody knew when this order was signed. */
        qn_due_set(ap, COMPUTE_DUE_MATCH, &id, ap->now_ms + 1);
        qn_due_set(ap, COMPUTE_DUE_TTL, &id, ap->now_ms + order.ask.ttl_ms);
    }
    compute_order_save(ap, &id, &order);
    qn_emit(ap, "order.opened", &id, compute_order_record(), &order);
    compute_audit_escrow(ap, &id);
    return QN_OK;
}

static qn_rc open_order(struct qn_apply *ap, const struct qn_hash *id, struct compute_order *ret,
                        struct qn_why *why)
{
    if (!compute_order_get(ap->view, ap->arena, id, ret))
        return qn_why(why, QN_E_NOTFOUND, "no order has that id");
    if (ret->state != COMPUTE_ORDER_OPEN) return qn_why(why, QN_E_STATE, "the order is not open");
    return QN_OK;
}

qn_rc compute_tx_order_cancel(struct qn_apply *ap, const void *body, struct qn_why *why)
{
    const struct compute_order_cancel *tx = body;
    struct compute_order order;
    qn_rc rc = open_order(ap, &tx->order, &order, why);
    if (rc) return rc;
    if (!qn_hash_eq(&ap->sender, &order.tenant))
        return qn_why(why, QN_E_AUTH, "only who put the order takes it back");
    compute_order_end(ap, &tx->order, &order, COMPUTE_ORDER_CANCELLED);
    return QN_OK;
}

static const char *fail_words(enum compute_fail fail)
{
    switch (fail) {
    case COMPUTE_FIT: return "fits";
    case COMPUTE_FAIL_CLASS: return "its class is not the one asked for";
    case COMPUTE_FAIL_REGION: return "it stands in another region";
    case COMPUTE_FAIL_ISO: return "it isolates too little";
    case COMPUTE_FAIL_SCORE: return "it is too slow";
    case COMPUTE_FAIL_ATTRS: return "it lacks a property that is asked for";
    case COMPUTE_FAIL_TERM: return "it is not for lease for so long";
    case COMPUTE_FAIL_RATE: return "the rate is above what the order pays";
    case COMPUTE_FAIL_CAPACITY: return "it is too small";
    }
    QN_BUG("compute_fail out of range");
}

static bool bid_get(const struct qn_view *view, struct qn_arena *arena,
                    const struct compute_pair_key *key, struct compute_bid *ret)
{
    struct qn_span val;
    if (!qn_view_get(view, COMPUTE_T_BID, QN_SPAN_OF(*key), &val)) return false;
    qn_rc rc = qn_decode(compute_bid_record(), val, arena, ret, NULL);
    QN_ASSERT(rc == QN_OK);
    return true;
}

/* free_bid gives a bid's deposit back and forgets it. */
static void free_bid(struct qn_apply *ap, const struct compute_bid *bid)
{
    struct qn_hash id = compute_bid_id(&bid->order, &bid->node), acct = compute_bid_acct(&id);
    struct compute_pair_key key = compute_pair(&bid->order, &bid->node);
    qn_rc rc = qn_post(ap, &acct, &bid->owner, bid->deposit, NULL);
    QN_ASSERT(rc == QN_OK);
    qn_due_del(ap, COMPUTE_DUE_BID, &id);
    qn_row_del(ap, COMPUTE_T_BID, QN_SPAN_OF(key));
}

/* The dearest bid makes room for a cheaper one. */
static qn_rc make_room(struct qn_apply *ap, const struct qn_hash *order_id, uint64_t rate,
                       struct qn_why *why)
{
    struct qn_span key, val, after = { 0 };
    struct compute_pair_key at;
    struct compute_bid bid, worst = { 0 };
    while (qn_view_next(ap->view, COMPUTE_T_BID, QN_SPAN_OF(*order_id), after, &key, &val)) {
        memcpy(at.b, key.ptr, sizeof at.b);
        after = QN_SPAN_OF(at);
        qn_rc rc = qn_decode(compute_bid_record(), val, ap->arena, &bid, NULL);
        QN_ASSERT(rc == QN_OK);
        if (bid.rate_nqn_h > worst.rate_nqn_h) worst = bid;
    }
    if (worst.rate_nqn_h <= rate)
        return qn_why(why, QN_E_LIMIT, "%d bids are in, all at this rate or below", BID_CNT_MAX);
    free_bid(ap, &worst);
    return QN_OK;
}

static struct qn_amount bid_deposit(struct qn_apply *ap, uint64_t rate)
{
    struct compute_params params;
    uint64_t rem = 0, day = compute_earned(rate, 0, 24 * HOUR_MS, &rem);
    compute_params_get(ap->view, &params);
    return QN_UQN(QN_MAX(params.bid_deposit.uqn, day / 100));
}

qn_rc compute_tx_bid_put(struct qn_apply *ap, const void *body, struct qn_why *why)
{
    const struct compute_bid_put *tx = body;
    const struct compute_cap none = { 0 };
    struct compute_order order;
    struct compute_node node;
    struct compute_bid bid;
    qn_rc rc = open_order(ap, &tx->order, &order, why);
    if (rc) return rc;
    if (order.ask.mode != COMPUTE_AUCTION || ap->now_ms >= order.end_ms)
        return qn_why(why, QN_E_STATE, "the order takes no bids");
    if (!compute_node_get(ap->view, ap->arena, &tx->node, &node))
        return qn_why(why, QN_E_NOTFOUND, "no machine has that id");
    if (!qn_hash_eq(&node.owner, &ap->sender))
        return qn_why(why, QN_E_AUTH, "the machine belongs to somebody else");
    if (tx->rate_nqn_h == 0) return qn_why(why, QN_E_RANGE, "rate_nqn_h: at least 1");
    enum compute_fail fail = compute_qualify(&order.ask, &node, tx->rate_nqn_h);
    if (fail == COMPUTE_FAIL_CAPACITY && !node.drain &&
        compute_cap_fits(&order.ask.cap, &node.cap, &none))
        fail = COMPUTE_FIT; /* full now; it may be free when the auction ends */
    if (fail)
        return qn_why(why, QN_E_REFUSED, "the machine does not qualify: %s", fail_words(fail));
    struct compute_pair_key key = compute_pair(&tx->order, &tx->node);
    if (bid_get(ap->view, ap->arena, &key, &bid)) {
        if (tx->rate_nqn_h >= bid.rate_nqn_h)
            return qn_why(why, QN_E_REFUSED,
                          "the machine's bid stands at %llu; only a lower one replaces it",
                          (unsigned long long)bid.rate_nqn_h);
        free_bid(ap, &bid);
        order.bid_cnt--;
    }
    uint64_t best = order.best_nqn_h, step;
    bool below = best && tx->rate_nqn_h < best;
    if (below && (!qn_muldiv(best, STEP_PCT, 100, &step) || tx->rate_nqn_h > step))
        return qn_why(why, QN_E_REFUSED, "a new best must be at most %llu, 99 %% of the best",
                      (unsigned long long)step);
    if (order.bid_cnt >= BID_CNT_MAX) {
        rc = make_room(ap, &tx->order, tx->rate_nqn_h, why);
        if (rc) return rc;
        order.bid_cnt--;
    }
    bid = (struct compute_bid){ .order = tx->order,
                                .node = tx->node,
                                .owner = ap->sender,
                                .rate_nqn_h = tx->rate_nqn_h,
                                .deposit = bid_deposit(ap, tx->rate_nqn_h),
                                .put_ms = ap->now_ms };
    struct qn_hash bid_id = compute_bid_id(&tx->order, &tx->node), acct = compute_bid_acct(&bid_id);
    qn_acct_own(ap, &acct, "deposit of a bid", &ap->sender);
    rc = qn_post(ap, &ap->sender, &acct, bid.deposit, why);
    if (rc) return rc;
    qn_row_put_rec(ap, COMPUTE_T_BID, QN_SPAN_OF(key), compute_bid_record(), &bid);
    order.bid_cnt++;
    if (best == 0 || below) order.best_nqn_h = tx->rate_nqn_h;
    /* A late best gives the others time to answer; short auctions have a shorter late. */
    uint64_t late = QN_MIN(LATE_MS, order.ask.auction_ms / 4);
    if (below && order.end_ms - ap->now_ms < late && order.extended < EXTENDED_MAX) {
        order.extended++;
        order.end_ms += late;
        qn_due_set(ap, COMPUTE_DUE_AUCTION, &tx->order, order.end_ms);
    }
    compute_order_save(ap, &tx->order, &order);
    qn_emit(ap, "bid.put", &tx->order, compute_bid_record(), &bid);
    return QN_OK;
}

qn_rc compute_tx_bid_drop(struct qn_apply *ap, const void *body, struct qn_why *why)
{
    const struct compute_bid_drop *tx = body;
    struct compute_order order;
    struct compute_bid bid;
    struct compute_pair_key key = compute_pair(&tx->order, &tx->node);
    qn_rc rc = open_order(ap, &tx->order, &order, why);
    if (rc) return rc;
    if (!bid_get(ap->view, ap->arena, &key, &bid))
        return qn_why(why, QN_E_NOTFOUND, "the machine has no bid there");
    if (!qn_hash_eq(&bid.owner, &ap->sender))
        return qn_why(why, QN_E_AUTH, "the bid is somebody else's");
    free_bid(ap, &bid);
    order
        .bid_cnt--; /* the best stays what it was: a step once made by the others is not taken back */
    compute_order_save(ap, &tx->order, &order);
    return QN_OK;
}

void compute_due_bid(struct qn_apply *ap, const struct qn_hash *bid_id)
{
    /* The deadline carries the bid's id, the row lies under order | node: an index leads there. */
    struct qn_span val;
    struct compute_pair_key key;
    struct compute_bid bid;
    if (!qn_view_get(ap->view, COMPUTE_T_LOSER, QN_SPAN_OF(*bid_id), &val)) return;
    QN_ASSERT(val.len == sizeof key.b);
    memcpy(key.b, val.ptr, sizeof key.b);
    qn_row_del(ap, COMPUTE_T_LOSER, QN_SPAN_OF(*bid_id));
    if (bid_get(ap->view, ap->arena, &key, &bid)) free_bid(ap, &bid);
}
