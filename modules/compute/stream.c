/* stream.c - pay by block time without pokes and without debt.
 *
 * An escrow keeps, over its streams i of rate r_i, remainder m_i and paid until u_i,
 *     R = sum r_i,  M = sum m_i,  S = sum r_i * u_i
 * so that the moment T at which its unguarded balance B is used up needs no walk over the streams:
 *     T = (B * D - M + S) div R
 * Settling one stream leaves B * D - M + S as it was, so T moves only when B or R does, and the order of
 * settling does not matter to a microquoin. G is set aside beside B and pays the grace after T. */
#include "modules/compute/compute.h"

#define BLOCK_MS_MAX                                                                               \
    UINT64_C(10000) /* a block later than this makes the ledger late, not the tenant */

uint64_t compute_earned(uint64_t rate, uint64_t from_ms, uint64_t to_ms, uint64_t *rem)
{
    QN_ASSERT(to_ms >= from_ms);
    QN_ASSERT(*rem < COMPUTE_D);
    u128 x = (u128)rate * (to_ms - from_ms) + *rem;
    u128 paid = x / COMPUTE_D;
    QN_ASSERT(paid <= QN_SUPPLY_UQN); /* T bounds it by a balance */
    *rem = (uint64_t)(x % COMPUTE_D);
    return (uint64_t)paid;
}

uint64_t compute_guard(uint64_t rate, uint64_t grace_ms)
{
    u128 x = (u128)rate * (grace_ms + 2 * BLOCK_MS_MAX) + COMPUTE_D - 1;
    u128 g = x / COMPUTE_D;
    return g > UINT64_MAX ? UINT64_MAX : (uint64_t)g;
}

static u128 sum_get(const struct compute_escrow *e)
{
    return (u128)e->sum_hi << 64 | e->sum_lo;
}

static void sum_set(struct compute_escrow *e, u128 sum)
{
    e->sum_lo = (uint64_t)sum;
    e->sum_hi = (uint64_t)(sum >> 64);
}

uint64_t compute_dry(const struct compute_escrow *e, uint64_t balance_uqn)
{
    if (e->rate == 0) return 0;
    QN_ASSERT(balance_uqn <= QN_SUPPLY_UQN);
    u128 t = ((u128)balance_uqn * COMPUTE_D + sum_get(e) - e->rem) / e->rate;
    return t > QN_NUM_MAX ? QN_NUM_MAX : (uint64_t)t;
}

/* What is left of what was put in. The account may hold more, since anybody may send coins there: those count for nothing. */
static uint64_t balance(const struct compute_escrow *e)
{
    QN_ASSERT(e->spent.uqn <= e->put.uqn);
    return e->put.uqn - e->spent.uqn;
}

/* B: what is not set aside. */
static uint64_t unguarded(const struct compute_escrow *e)
{
    uint64_t all = balance(e);
    QN_ASSERT(all >= e->guard.uqn);
    return all - e->guard.uqn;
}

static void escrow_read(struct qn_apply *ap, const struct qn_hash *order_id,
                        struct compute_escrow *ret)
{
    bool found = compute_escrow_get(ap->view, ap->arena, order_id, ret);
    QN_ASSERT(found);
}

/* B or R changed: T moves, and the deadline with it. A dry escrow in grace has its own deadline. */
static void move_dry(struct qn_apply *ap, const struct qn_hash *order_id, struct compute_escrow *e,
                     bool grace)
{
    e->dry_ms = compute_dry(e, unguarded(e));
    if (e->dry_ms == 0 || grace)
        qn_due_del(ap, COMPUTE_DUE_DRY, order_id);
    else
        qn_due_set(ap, COMPUTE_DUE_DRY, order_id, e->dry_ms);
    compute_escrow_save(ap, order_id, e);
}

void compute_stream_in(struct qn_apply *ap, const struct qn_hash *id, struct compute_lease *lease)
{
    struct compute_escrow e;
    struct compute_params params;
    compute_params_get(ap->view, &params);
    escrow_read(ap, &lease->order, &e);
    lease->until_ms = ap->now_ms;
    e.rate += lease->rate_nqn_h;
    e.rem += lease->rem;
    sum_set(&e, sum_get(&e) + (u128)lease->rate_nqn_h * lease->until_ms);
    move_dry(ap, &lease->order, &e, false);
    qn_due_set(ap, COMPUTE_DUE_PAY, id, ap->now_ms + params.pay_tick_ms);
    compute_lease_save(ap, id, lease);
}

void compute_stream_out(struct qn_apply *ap, const struct qn_hash *id, struct compute_lease *lease)
{
    struct compute_escrow e;
    compute_settle(ap, id, lease);
    escrow_read(ap, &lease->order, &e);
    u128 part = (u128)lease->rate_nqn_h * lease->until_ms;
    QN_ASSERT(e.rate >= lease->rate_nqn_h && e.rem >= lease->rem && sum_get(&e) >= part);
    e.rate -= lease->rate_nqn_h;
    e.rem -= lease->rem;
    sum_set(&e, sum_get(&e) - part);
    move_dry(ap, &lease->order, &e, false);
    qn_due_del(ap, COMPUTE_DUE_PAY, id);
}

static void post(struct qn_apply *ap, const struct qn_hash *from, const struct qn_hash *to,
                 uint64_t uqn)
{
    qn_rc rc = qn_post(ap, from, to, QN_UQN(uqn), NULL);
    QN_ASSERT(rc == QN_OK); /* T keeps what is earned below what is there */
}

void compute_dry_out(struct qn_apply *ap, const struct qn_hash *id, struct compute_lease *lease,
                     const struct compute_order *order)
{
    struct compute_escrow e;
    compute_settle(ap, id, lease); /* up to T, with the guard still apart */
    escrow_read(ap, &lease->order, &e);
    lease->state = COMPUTE_GRACE;
    lease->grace_at_ms = e.dry_ms + order->ask.grace_ms;
    e.guard = QN_UQN(0);
    move_dry(ap, &lease->order, &e, true);
    QN_ASSERT(e.dry_ms >= lease->grace_at_ms); /* the guard pays the whole grace */
    qn_due_set(ap, COMPUTE_DUE_GRACE, id, lease->grace_at_ms);
    compute_lease_save(ap, id, lease);
}

/* How far this stream may be paid now. */
static uint64_t payable_ms(struct qn_apply *ap, const struct compute_lease *lease,
                           const struct compute_escrow *e)
{
    struct compute_node node;
    struct compute_order order;
    bool found = compute_node_get(ap->view, ap->arena, &lease->node, &node) &&
                 compute_order_get(ap->view, ap->arena, &lease->order, &order);
    QN_ASSERT(found);
    uint64_t t = ap->now_ms;
    t = QN_MIN(t, node.beat_ms + order.ask.beat_ms * 3 / 2);
    t = QN_MIN(t, lease->state == COMPUTE_GRACE ? lease->grace_at_ms : e->dry_ms);
    if (lease->term_at_ms) t = QN_MIN(t, lease->term_at_ms);
    return QN_MAX(t, lease->until_ms);
}

void compute_settle(struct qn_apply *ap, const struct qn_hash *id, struct compute_lease *lease)
{
    QN_ASSERT(lease->state == COMPUTE_RUNNING || lease->state == COMPUTE_GRACE);
    struct compute_escrow e;
    struct compute_params params;
    compute_params_get(ap->view, &params);
    escrow_read(ap, &lease->order, &e);
    uint64_t to_ms = payable_ms(ap, lease, &e), rem = lease->rem;
    uint64_t paid = compute_earned(lease->rate_nqn_h, lease->until_ms, to_ms, &rem);
    uint64_t take = qn_amount_ppm(QN_UQN(paid), params.take_ppm).uqn;
    uint64_t hold = qn_amount_ppm(QN_UQN(paid), params.hold_ppm).uqn;
    struct qn_hash from = compute_escrow_acct(&lease->order), pool = compute_pool_acct(),
                   held = compute_hold_acct(id);
    post(ap, &from, &lease->provider, paid - take - hold);
    post(ap, &from, &pool, take);
    post(ap, &from, &held, hold);
    e.rem = e.rem - lease->rem + rem;
    sum_set(&e, sum_get(&e) + (u128)lease->rate_nqn_h * (to_ms - lease->until_ms));
    e.spent.uqn += paid;
    QN_ASSERT(compute_dry(&e, unguarded(&e)) == e.dry_ms);
    compute_escrow_save(ap, &lease->order, &e);
    lease->rem = rem;
    lease->until_ms = to_ms;
    lease->paid.uqn += paid;
    lease->hold.uqn += hold;
    compute_lease_save(ap, id, lease);
    struct compute_paid note = { .amount = QN_UQN(paid), .until_ms = to_ms };
    if (paid) qn_emit(ap, "lease.paid", id, compute_paid_record(), &note);
}

static qn_rc note_depositor(struct qn_apply *ap, struct compute_escrow *e,
                            const struct qn_hash *who, struct qn_amount amount, struct qn_why *why)
{
    uint32_t cnt = e->depositors.cnt;
    if (cnt && qn_hash_eq(&e->depositors.ptr[cnt - 1].who, who)) {
        e->depositors.ptr[cnt - 1].amount.uqn += amount.uqn;
        return QN_OK;
    }
    if (cnt >= 16) return qn_why(why, QN_E_LIMIT, "16 others have put money behind this lease");
    struct compute_depositor *list = qn_arena_alloc(ap->arena, (cnt + 1) * sizeof *list);
    QN_ASSERT(list);
    for (uint32_t i = 0; i < cnt; i++)
        list[i] = e->depositors.ptr[i];
    list[cnt] = (struct compute_depositor){ .who = *who, .amount = amount };
    e->depositors.ptr = list;
    e->depositors.cnt = cnt + 1;
    return QN_OK;
}

qn_rc compute_top_up(struct qn_apply *ap, const struct qn_hash *order_id, struct qn_amount amount,
                     struct qn_why *why)
{
    struct compute_escrow e;
    struct compute_order order;
    struct compute_lease lease;
    struct qn_hash acct = compute_escrow_acct(order_id);
    if (!compute_escrow_get(ap->view, ap->arena, order_id, &e))
        return qn_why(why, QN_E_NOTFOUND, "no order of that id holds money");
    if (e.closed) return qn_why(why, QN_E_STATE, "the order's escrow is closed");
    bool found = compute_order_get(ap->view, ap->arena, order_id, &order);
    QN_ASSERT(found);
    bool grace = order.lease.has &&
                 compute_lease_get(ap->view, ap->arena, &order.lease.v, &lease) &&
                 lease.state == COMPUTE_GRACE;
    if (grace) {
        compute_settle(ap, &order.lease.v, &lease);
        escrow_read(ap, order_id, &e);
    }
    qn_rc rc = note_depositor(ap, &e, &ap->sender, amount, why);
    if (rc == QN_OK) rc = qn_amount_add(e.put, amount, &e.put);
    if (rc == QN_OK) rc = qn_post(ap, &ap->sender, &acct, amount, why);
    if (rc) return rc;
    /* In grace the guard was spent from. The lease runs again once there is a guard again and, beside
     * it, money for time to come. */
    if (grace) {
        uint64_t guard = compute_guard(lease.rate_nqn_h, order.ask.grace_ms);
        uint64_t have = balance(&e);
        if (have > guard && compute_dry(&e, have - guard) > ap->now_ms) {
            e.guard = QN_UQN(guard);
            lease.state = COMPUTE_RUNNING;
            lease.grace_at_ms = 0;
            qn_due_del(ap, COMPUTE_DUE_GRACE, &order.lease.v);
            compute_lease_save(ap, &order.lease.v, &lease);
            struct compute_changed note = { .state = lease.state, .paid = lease.paid };
            qn_emit(ap, "lease.changed", &order.lease.v, compute_changed_record(), &note);
            grace = false;
        }
    }
    move_dry(ap, order_id, &e, grace);
    return QN_OK;
}

struct qn_amount compute_refund(struct qn_apply *ap, const struct qn_hash *order_id)
{
    struct compute_escrow e;
    struct qn_hash acct = compute_escrow_acct(order_id);
    escrow_read(ap, order_id, &e);
    QN_ASSERT(e.rate == 0 && !e.closed);
    uint64_t left = balance(&e), spent = e.spent.uqn, back = 0;
    for (uint32_t i = 0; i < e.depositors.cnt; i++) { /* who came first paid first */
        uint64_t used = QN_MIN(spent, e.depositors.ptr[i].amount.uqn);
        uint64_t rest = e.depositors.ptr[i].amount.uqn - used;
        spent -= used;
        back += rest;
        post(ap, &acct, &e.depositors.ptr[i].who, rest);
    }
    QN_ASSERT(back == left && spent == 0);
    e.guard = QN_UQN(0);
    e.closed = true;
    e.dry_ms = 0;
    qn_due_del(ap, COMPUTE_DUE_DRY, order_id);
    compute_escrow_save(ap, order_id, &e);
    return QN_UQN(back);
}
