/* match.c - which machine an order gets: the least key (band of the effective rate, waste, reputation, tie
 * by the beacon) among those that pass. */
#include "modules/compute/compute.h"

#include "core/crypto/hash.h"

#include <string.h>

#define SCAN_MAX     512  /* offers one look into the book takes at most */
#define RETRY_MS     5000 /* until the next look, while the order stands */
#define NODE_CNT_MAX 256  /* leases on one machine */
#define REP_A_UQN    1000000
#define LOSER_MS     1 /* losers' deposits return in blocks of their own, not in the award */

bool compute_cost(const struct compute_price *price, const struct compute_cap *cap, uint64_t *ret)
{
    const struct {
        uint64_t quantity, unit, price;
    } parts[] = {
        { cap->gpu_slots, 1, price->gpu_slot_nqn },   { cap->cpu_milli, 1000, price->cpu_nqn },
        { cap->ram_mib, 1024, price->ram_gib_nqn },   { cap->disk_mib, 1024, price->disk_gib_nqn },
        { cap->net_kbps, 1000, price->net_mbit_nqn },
    };
    u128 sum = 0;
    for (size_t i = 0; i < QN_COUNT(parts); i++)
        sum += ((u128)parts[i].quantity * parts[i].price + parts[i].unit - 1) / parts[i].unit;
    if (sum > QN_NUM_MAX / 1024) return false;
    *ret = (uint64_t)sum;
    return true;
}

uint64_t compute_band(uint64_t eff)
{
    if (eff < 64) return eff;
    unsigned top = 63 - (unsigned)__builtin_clzll(eff);
    return (uint64_t)top << 6 | (eff >> (top - 6) & 63);
}

/* Numbers compare as numbers: digits only, at most 15, so that nothing wraps. */
static bool number(struct qn_span s, uint64_t *ret)
{
    uint64_t v = 0;
    if (s.len == 0 || s.len > 15) return false;
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] < '0' || s.ptr[i] > '9') return false;
        v = v * 10 + (uint64_t)(s.ptr[i] - '0');
    }
    *ret = v;
    return true;
}

static bool need_met(const struct compute_need *need, const struct compute_node *node)
{
    for (uint32_t i = 0; i < node->attrs.cnt; i++) {
        const struct compute_attr *attr = &node->attrs.ptr[i];
        uint64_t have, want;
        if (!qn_span_eq(attr->key, need->key)) continue;
        switch (need->op) {
        case 0: return qn_span_eq(attr->val, need->val);
        case 1: return !qn_span_eq(attr->val, need->val);
        default:
            if (!number(attr->val, &have) || !number(need->val, &want)) return false;
            return need->op == 2 ? have >= want : have <= want;
        }
    }
    return need->op == 1; /* what it has not cannot be that value */
}

static bool needs_met(const struct compute_order_put *ask, const struct compute_node *node)
{
    for (uint32_t i = 0; i < ask->need.cnt; i++)
        if (!need_met(&ask->need.ptr[i], node)) return false;
    return true;
}

enum compute_fail compute_qualify(const struct compute_order_put *ask,
                                  const struct compute_node *node, uint64_t rate_nqn_h)
{
    if (node->machine_class < ask->class_min || node->machine_class > ask->class_max)
        return COMPUTE_FAIL_CLASS;
    if (!(ask->regions >> node->region & 1)) return COMPUTE_FAIL_REGION;
    if (node->iso < ask->iso) return COMPUTE_FAIL_ISO;
    if (node->score < ask->score_min) return COMPUTE_FAIL_SCORE;
    if (!needs_met(ask, node)) return COMPUTE_FAIL_ATTRS;
    if (rate_nqn_h > ask->max_rate_nqn_h) return COMPUTE_FAIL_RATE;
    if (node->drain || node->lease_cnt >= NODE_CNT_MAX ||
        !compute_cap_fits(&ask->cap, &node->cap, &node->used))
        return COMPUTE_FAIL_CAPACITY;
    return COMPUTE_FIT;
}

/* 0 is the best sixteenth: (good + a) / (good + bad + 2a), a = 1 QN, so that a newcomer is in the middle. */
static uint32_t rep_bucket(const struct qn_view *view, const struct qn_hash *owner)
{
    struct compute_rep rep = { 0 };
    struct qn_span val;
    struct qn_arena arena = { 0 };
    if (qn_view_get(view, COMPUTE_T_REP, QN_SPAN_OF(*owner), &val)) {
        qn_rc rc = qn_decode(compute_rep_record(), val, &arena, &rep, NULL);
        QN_ASSERT(rc == QN_OK);
    }
    qn_arena_free(&arena);
    uint64_t share, all = rep.good.uqn + rep.bad.uqn + 2 * REP_A_UQN;
    bool ok = qn_muldiv(rep.good.uqn + REP_A_UQN, 16, all, &share);
    QN_ASSERT(ok && share <= 16);
    return 16 - (uint32_t)share;
}

struct compute_key compute_key_of(const struct qn_view *view, const struct qn_hash *beacon,
                                  const struct qn_hash *order_id, const struct compute_order *order,
                                  const struct qn_hash *node_id, const struct compute_node *node,
                                  uint64_t rate_nqn_h)
{
    struct qn_hash who = qn_h2("compute/tie", order_id, node_id);
    QN_ASSERT(node->score > 0);
    return (struct compute_key){ .band = compute_band(rate_nqn_h * 1024 / node->score),
                                 .waste = compute_cap_waste(node, &order->ask.cap),
                                 .rep = rep_bucket(view, &node->owner),
                                 .tie = qn_h2("compute/tie", beacon, &who) };
}

bool compute_key_less(const struct compute_key *a, const struct compute_key *b)
{
    if (a->band != b->band) return a->band < b->band;
    if (a->waste != b->waste) return a->waste < b->waste;
    if (a->rep != b->rep) return a->rep < b->rep;
    return qn_hash_cmp(&a->tie, &b->tie) < 0;
}

static void count(struct compute_why *why, enum compute_fail fail, uint64_t rate)
{
    why->seen++;
    switch (fail) {
    case COMPUTE_FIT: why->fit++; break;
    case COMPUTE_FAIL_CLASS: why->machine_class++; break;
    case COMPUTE_FAIL_REGION: why->region++; break;
    case COMPUTE_FAIL_ISO: why->iso++; break;
    case COMPUTE_FAIL_SCORE: why->score++; break;
    case COMPUTE_FAIL_ATTRS: why->attrs++; break;
    case COMPUTE_FAIL_TERM: why->term++; break;
    case COMPUTE_FAIL_RATE:
        why->rate++;
        if (why->nearest_nqn_h == 0 || rate < why->nearest_nqn_h) why->nearest_nqn_h = rate;
        break;
    case COMPUTE_FAIL_CAPACITY: why->capacity++; break;
    }
}

static enum compute_fail offer_check(const struct compute_order_put *ask,
                                     const struct compute_offer *offer,
                                     const struct compute_node *node, uint64_t *ret_rate)
{
    uint64_t term = ask->term_ms ? ask->term_ms : QN_NUM_MAX;
    if (!compute_cost(&offer->price, &ask->cap, ret_rate)) return COMPUTE_FAIL_RATE;
    if (*ret_rate == 0) *ret_rate = 1;
    if (ask->term_ms && ask->term_ms < offer->min_ms) return COMPUTE_FAIL_TERM;
    if (offer->max_ms && term > offer->max_ms) return COMPUTE_FAIL_TERM;
    return compute_qualify(ask, node, *ret_rate);
}

void compute_book_scan(const struct qn_view *view, struct qn_arena *arena,
                       const struct qn_hash *beacon, const struct qn_hash *order_id,
                       const struct compute_order *order, struct compute_why *ret_why,
                       bool *ret_found, struct qn_hash *ret_node, uint64_t *ret_rate)
{
    struct qn_span key, val, after = { 0 }, all = { 0 };
    uint8_t at[42];
    struct compute_key best = { 0 };
    *ret_why = (struct compute_why){ 0 };
    *ret_found = false;
    for (int i = 0; i < SCAN_MAX && qn_view_next(view, COMPUTE_T_BOOK, all, after, &key, &val);
         i++) {
        struct qn_hash id;
        struct compute_offer offer;
        struct compute_node node;
        uint64_t rate = 0;
        QN_ASSERT(key.len == sizeof at);
        memcpy(at, key.ptr, sizeof at);
        after = QN_SPAN(at, sizeof at);
        memcpy(id.b, at + 10, 32);
        bool found = compute_node_get(view, arena, &id, &node) &&
                     qn_view_rec(view, COMPUTE_T_OFFER, QN_SPAN_OF(id), compute_offer_record(),
                                 arena, &offer) == QN_OK;
        QN_ASSERT(found);
        enum compute_fail fail = offer_check(&order->ask, &offer, &node, &rate);
        count(ret_why, fail, rate);
        if (fail) continue;
        struct compute_key mine = compute_key_of(view, beacon, order_id, order, &id, &node, rate);
        if (*ret_found && !compute_key_less(&mine, &best)) continue;
        best = mine;
        *ret_found = true;
        *ret_node = id;
        *ret_rate = rate;
    }
}

void compute_award(struct qn_apply *ap, const struct qn_hash *order_id, struct compute_order *order,
                   const struct qn_hash *node_id, uint64_t rate_nqn_h, struct qn_amount bid_deposit)
{
    struct compute_node node;
    struct compute_escrow escrow;
    struct qn_hash id = compute_lease_id(order_id, 0);
    bool found = compute_node_get(ap->view, ap->arena, node_id, &node) &&
                 compute_escrow_get(ap->view, ap->arena, order_id, &escrow);
    QN_ASSERT(found);
    QN_ASSERT(compute_qualify(&order->ask, &node, rate_nqn_h) == COMPUTE_FIT);
    compute_cap_take(&node.used, &order->ask.cap);
    node.lease_cnt++;
    compute_node_save(ap, node_id, &node);
    escrow.guard = QN_UQN(compute_guard(rate_nqn_h, order->ask.grace_ms));
    QN_ASSERT(escrow.guard.uqn < escrow.put.uqn); /* order.put saw to it at the highest rate */
    compute_escrow_save(ap, order_id, &escrow);
    struct compute_lease lease = { .order = *order_id,
                                   .tenant = order->tenant,
                                   .provider = node.owner,
                                   .node = *node_id,
                                   .state = COMPUTE_MATCHED,
                                   .cap = order->ask.cap,
                                   .rate_nqn_h = rate_nqn_h,
                                   .deposit = bid_deposit,
                                   .matched_ms = ap->now_ms };
    compute_lease_save(ap, &id, &lease);
    struct compute_pair_key key = compute_pair(node_id, &id);
    qn_row_put(ap, COMPUTE_T_NODE_LEASE, QN_SPAN_OF(key), QN_SPAN("\1", 1));
    struct qn_hash hold = compute_hold_acct(&id);
    qn_acct_own(ap, &hold, "held back from a lease's pay", &node.owner);
    qn_due_set(ap, COMPUTE_DUE_START, &id, ap->now_ms + order->ask.start_ms);
    qn_due_del(ap, COMPUTE_DUE_TTL, order_id);
    order->state = COMPUTE_ORDER_MATCHED;
    order->lease = (struct qn_opt_hash){ true, id };
    compute_order_save(ap, order_id, order);
    struct compute_matched note = { .order = *order_id,
                                    .lease = id,
                                    .node = *node_id,
                                    .provider = node.owner,
                                    .rate_nqn_h = rate_nqn_h,
                                    .bid_cnt = order->bid_cnt };
    qn_emit(ap, "lease.matched", &id, compute_matched_record(), &note);
    compute_audit_node(ap, node_id);
    compute_audit_escrow(ap, order_id);
}

/* Each loser's deposit has a deadline of its own, so that an award costs the same with 2 bids and 256. */
static void free_losers(struct qn_apply *ap, const struct qn_hash *order_id,
                        const struct qn_hash *winner)
{
    struct qn_span key, val, after = { 0 };
    struct compute_pair_key at;
    while (qn_view_next(ap->view, COMPUTE_T_BID, QN_SPAN_OF(*order_id), after, &key, &val)) {
        struct qn_hash node;
        memcpy(at.b, key.ptr, sizeof at.b);
        after = QN_SPAN_OF(at);
        memcpy(node.b, at.b + 32, 32);
        if (winner && qn_hash_eq(&node, winner)) continue;
        struct qn_hash id = compute_bid_id(order_id, &node);
        qn_row_put(ap, COMPUTE_T_LOSER, QN_SPAN_OF(id), QN_SPAN_OF(at));
        qn_due_set(ap, COMPUTE_DUE_BID, &id, ap->now_ms + LOSER_MS);
    }
}

void compute_order_end(struct qn_apply *ap, const struct qn_hash *order_id,
                       struct compute_order *order, enum compute_order_state state)
{
    QN_ASSERT(order->state == COMPUTE_ORDER_OPEN);
    qn_due_del(ap, COMPUTE_DUE_TTL, order_id);
    qn_due_del(ap, COMPUTE_DUE_MATCH, order_id);
    qn_due_del(ap, COMPUTE_DUE_AUCTION, order_id);
    free_losers(ap, order_id, NULL);
    order->state = (uint8_t)state;
    compute_order_save(ap, order_id, order);
    (void)compute_refund(ap, order_id);
    qn_emit(ap, "order.ended", order_id, compute_order_record(), order);
    compute_audit_escrow(ap, order_id);
}

void compute_due_match(struct qn_apply *ap, const struct qn_hash *order_id)
{
    struct compute_order order;
    struct compute_why why;
    struct qn_hash node;
    uint64_t rate;
    bool found = compute_order_get(ap->view, ap->arena, order_id, &order);
    QN_ASSERT(found);
    if (order.state != COMPUTE_ORDER_OPEN) return;
    compute_book_scan(ap->view, ap->arena, &ap->beacon, order_id, &order, &why, &found, &node,
                      &rate);
    qn_due_cost(ap, 2500 * (uint64_t)why.seen);
    if (found)
        compute_award(ap, order_id, &order, &node, rate, QN_UQN(0));
    else
        qn_due_set(ap, COMPUTE_DUE_MATCH, order_id, ap->now_ms + RETRY_MS);
}

void compute_due_auction(struct qn_apply *ap, const struct qn_hash *order_id)
{
    struct compute_order order;
    struct qn_span key, val, after = { 0 };
    struct compute_pair_key at;
    struct compute_bid best_bid = { 0 };
    struct compute_key best = { 0 };
    bool any = false, found = compute_order_get(ap->view, ap->arena, order_id, &order);
    QN_ASSERT(found);
    if (order.state != COMPUTE_ORDER_OPEN) return;
    qn_due_cost(ap, 20000 * (uint64_t)order.bid_cnt);
    while (qn_view_next(ap->view, COMPUTE_T_BID, QN_SPAN_OF(*order_id), after, &key, &val)) {
        struct compute_bid bid;
        struct compute_node node;
        memcpy(at.b, key.ptr, sizeof at.b);
        after = QN_SPAN_OF(at);
        qn_rc rc = qn_decode(compute_bid_record(), val, ap->arena, &bid, NULL);
        QN_ASSERT(rc == QN_OK);
        /* A machine that filled up, left or changed since is passed over without fault. */
        if (!compute_node_get(ap->view, ap->arena, &bid.node, &node)) continue;
        if (!qn_hash_eq(&node.owner, &bid.owner)) continue;
        if (compute_qualify(&order.ask, &node, bid.rate_nqn_h) != COMPUTE_FIT) continue;
        struct compute_key mine = compute_key_of(ap->view, &ap->beacon, order_id, &order, &bid.node,
                                                 &node, bid.rate_nqn_h);
        if (any && !compute_key_less(&mine, &best)) continue;
        any = true;
        best = mine;
        best_bid = bid;
    }
    if (!any) {
        compute_order_end(ap, order_id, &order, COMPUTE_ORDER_UNMATCHED);
        return;
    }
    free_losers(ap, order_id, &best_bid.node);
    compute_award(ap, order_id, &order, &best_bid.node, best_bid.rate_nqn_h, best_bid.deposit);
}

void compute_due_ttl(struct qn_apply *ap, const struct qn_hash *order_id)
{
    struct compute_order order;
    bool found = compute_order_get(ap->view, ap->arena, order_id, &order);
    QN_ASSERT(found);
    if (order.state == COMPUTE_ORDER_OPEN)
        compute_order_end(ap, order_id, &order, COMPUTE_ORDER_EXPIRED);
}
