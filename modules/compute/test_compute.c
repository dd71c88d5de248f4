/* test_compute.c - the market on a ledger in memory: matching, streams, deadlines, refunds, conservation. */
#include "core/base/test.h"
#include "core/crypto/hash.h"
#include "ledger/state/fixture.h"
#include "modules/compute/compute.h"

#include <stdlib.h>

#define QN   QN_UQN_PER_QN
#define NQN  UINT64_C(1000000000) /* a QN in nano-quoin: rates of one QN an hour */
#define HOUR UINT64_C(3600000)

enum { TENANT = 0, P1, P2, P3, OTHER };

extern const struct qn_module compute_module;

struct market {
    struct qn_fix f;
    struct qn_why why;
    struct qn_exec_module mod;
};

static void market_init(struct market *m)
{
    *m = (struct market){ .mod = { .name = compute_module.name,
                                   .txs = compute_module.txs,
                                   .dues = compute_module.dues,
                                   .tables = compute_module.tables,
                                   .genesis = compute_module.genesis,
                                   .block_end = compute_module.block_end } };
    qn_fix_init(&m->f, &m->mod, 1, NULL);
}

static struct qn_hash node_of(unsigned person)
{
    return qn_h("test/node", &person, sizeof person);
}

static uint64_t balance(struct market *m, unsigned person)
{
    struct qn_hash acct = qn_fix_acct(person);
    return qn_view_balance(m->f.view, &acct).uqn;
}

static uint64_t escrow_balance(struct market *m, const struct qn_hash *order)
{
    struct qn_hash acct = compute_escrow_acct(order);
    return qn_view_balance(m->f.view, &acct).uqn;
}

static qn_rc tx(struct market *m, unsigned person, uint16_t kind, const void *body)
{
    m->why.text[0] = 0;
    return qn_fix_tx(&m->f, person, kind, body, NULL, &m->why);
}

static qn_rc put_node(struct market *m, unsigned person, uint64_t cpu_milli)
{
    struct compute_attr attrs[] = { { QN_SPAN_STR("disk"), QN_SPAN_STR("nvme") },
                                    { QN_SPAN_STR("cores"), QN_SPAN_STR("16") } };
    struct compute_node_put put = { .node = node_of(person),
                                    .region = 3,
                                    .cap = { .cpu_milli = cpu_milli, .ram_mib = 65536 },
                                    .attrs = { 2, attrs },
                                    .url = QN_SPAN_STR("http://127.0.0.1"),
                                    .bond = QN_UQN(10 * QN) };
    return tx(m, person, COMPUTE_TX_NODE_PUT, &put);
}

static struct compute_order_put an_order(void)
{
    return (struct compute_order_put){ .manifest = qn_h("test/manifest", "x", 1),
                                       .mode = COMPUTE_AUCTION,
                                       .cap = { .cpu_milli = 4000, .ram_mib = 16384 },
                                       .max_rate_nqn_h = 10 * NQN,
                                       .term_ms = HOUR,
                                       .auction_ms = 1000,
                                       .start_ms = 2000,
                                       .beat_ms = HOUR,
                                       .deposit = QN_UQN(20 * QN) };
}

static struct qn_hash put_order(struct qn_test_state *t, struct market *m,
                                const struct compute_order_put *put)
{
    struct qn_hash id = { { 0 } };
    CHECK_RC(tx(m, TENANT, COMPUTE_TX_ORDER_PUT, put), QN_OK);
    if (m->why.text[0]) printf("order.put: %s\n", m->why.text);
    CHECK(qn_fix_event(&m->f, "order.opened", &id));
    return id;
}

static qn_rc bid(struct market *m, unsigned person, const struct qn_hash *order, uint64_t rate)
{
    struct compute_bid_put put = { .order = *order, .node = node_of(person), .rate_nqn_h = rate };
    return tx(m, person, COMPUTE_TX_BID_PUT, &put);
}

static struct compute_order order_of(struct qn_test_state *t, struct market *m,
                                     const struct qn_hash *id)
{
    struct compute_order order = { 0 };
    CHECK(compute_order_get(m->f.view, &m->f.arena, id, &order));
    return order;
}

static struct compute_lease lease_of(struct qn_test_state *t, struct market *m,
                                     const struct qn_hash *id)
{
    struct compute_lease lease = { 0 };
    CHECK(compute_lease_get(m->f.view, &m->f.arena, id, &lease));
    return lease;
}

static struct compute_escrow escrow_of(struct qn_test_state *t, struct market *m,
                                       const struct qn_hash *id)
{
    struct compute_escrow escrow = { 0 };
    CHECK(compute_escrow_get(m->f.view, &m->f.arena, id, &escrow));
    return escrow;
}

static struct compute_node node_row(struct qn_test_state *t, struct market *m, unsigned person)
{
    struct compute_node node = { 0 };
    struct qn_hash id = node_of(person);
    CHECK(compute_node_get(m->f.view, &m->f.arena, &id, &node));
    return node;
}

static qn_rc start(struct market *m, unsigned person, const struct qn_hash *lease)
{
    struct compute_lease_start body = { .lease = *lease };
    return tx(m, person, COMPUTE_TX_LEASE_START, &body);
}

static qn_rc close_lease(struct market *m, unsigned person, const struct qn_hash *lease)
{
    struct compute_lease_close body = { .lease = *lease };
    return tx(m, person, COMPUTE_TX_LEASE_CLOSE, &body);
}

static qn_rc beat(struct market *m, unsigned person, uint64_t seq)
{
    struct compute_node_beat body = { .node = node_of(person), .seq = seq };
    return tx(m, person, COMPUTE_TX_NODE_BEAT, &body);
}

/* A lease of provider P1 at rate, matched but not started. */
static struct qn_hash matched(struct qn_test_state *t, struct market *m,
                              const struct compute_order_put *put, uint64_t rate,
                              struct qn_hash *ret_order)
{
    *ret_order = put_order(t, m, put);
    CHECK_RC(bid(m, P1, ret_order, rate), QN_OK);
    qn_fix_wait(&m->f, put->auction_ms);
    struct compute_order order = order_of(t, m, ret_order);
    CHECK(order.state == COMPUTE_ORDER_MATCHED && order.lease.has);
    return order.lease.v;
}

static struct qn_hash running(struct qn_test_state *t, struct market *m,
                              const struct compute_order_put *put, uint64_t rate,
                              struct qn_hash *ret_order)
{
    struct qn_hash lease = matched(t, m, put, rate, ret_order);
    CHECK_RC(start(m, P1, &lease), QN_OK);
    return lease;
}

/* --- matching --------------------------------------------------------------------------------------- */

static void test_auction(struct qn_test_state *t)
{
    struct market m;
    market_init(&m);
    CHECK_RC(put_node(&m, P1, 8000), QN_OK);
    CHECK_RC(put_node(&m, P2, 8000), QN_OK);
    CHECK_RC(put_node(&m, P3, 2000), QN_OK); /* too small */
    struct compute_order_put put = an_order();
    struct compute_need need[] = { { QN_SPAN_STR("disk"), 0, QN_SPAN_STR("nvme") },
                                   { QN_SPAN_STR("cores"), 2, QN_SPAN_STR("8") } };
    put.need.cnt = 2;
    put.need.ptr = need;
    uint64_t p1 = balance(&m, P1);
    struct qn_hash order = put_order(t, &m, &put);
    CHECK(escrow_balance(&m, &order) == 20 * QN);
    CHECK_RC(bid(&m, P1, &order, 11 * NQN), QN_E_REFUSED); /* above the ceiling */
    CHECK_RC(bid(&m, P3, &order, NQN), QN_E_REFUSED);
    CHECK(strstr(m.why.text, "too small") != NULL);
    struct compute_bid_put foreign = { .order = order, .node = node_of(P1), .rate_nqn_h = NQN };
    CHECK_RC(tx(&m, P2, COMPUTE_TX_BID_PUT, &foreign), QN_E_AUTH);
    CHECK_RC(bid(&m, P1, &order, 5 * NQN), QN_OK);
    CHECK_RC(bid(&m, P2, &order, 5 * NQN - 1), QN_E_REFUSED); /* not a hundredth below the best */
    CHECK_RC(bid(&m, P2, &order, 4 * NQN), QN_OK);
    CHECK_RC(bid(&m, P1, &order, 6 * NQN), QN_E_REFUSED); /* worse than its own */
    CHECK(order_of(t, &m, &order).bid_cnt == 2);
    qn_fix_wait(&m.f, 1000);
    struct compute_order row = order_of(t, &m, &order);
    CHECK(row.state == COMPUTE_ORDER_MATCHED);
    struct compute_lease lease = lease_of(t, &m, &row.lease.v);
    struct qn_hash p2 = qn_fix_acct(P2);
    CHECK(lease.rate_nqn_h == 4 * NQN && qn_hash_eq(&lease.provider, &p2));
    CHECK(node_row(t, &m, P2).used.cpu_milli == 4000 && node_row(t, &m, P1).used.cpu_milli == 0);
    qn_fix_wait(&m.f, 10); /* the loser's deposit returns; only fees are gone */
    CHECK(p1 - balance(&m, P1) < 10000);
    CHECK_RC(bid(&m, P1, &order, NQN), QN_E_STATE);
    qn_fix_fini(&m.f);
}

static void test_key(struct qn_test_state *t)
{
    /* Bands are 0.8 to 1.6 % wide. */
    CHECK(compute_band(1000000) == compute_band(1005000));
    CHECK(compute_band(1000000) < compute_band(1017000));
    for (uint64_t e = 1; e < 1 << 20; e += 37)
        CHECK(compute_band(e) <= compute_band(e + 1));
    struct compute_key a = { .band = 1, .waste = 9 }, b = { .band = 2, .waste = 0 };
    CHECK(compute_key_less(&a, &b));
    b = (struct compute_key){ .band = 1, .waste = 2 };
    CHECK(compute_key_less(&b, &a)); /* near-equal prices are decided by fit */
    a.waste = 2, a.rep = 3, b.rep = 4;
    CHECK(compute_key_less(&a, &b));
    b.rep = 3, b.tie.b[0] = 1;
    CHECK(compute_key_less(&a, &b) && !compute_key_less(&b, &a));
    struct compute_price price = { .cpu_nqn = 10, .ram_gib_nqn = 3 };
    struct compute_cap cap = { .cpu_milli = 1500, .ram_mib = 512 };
    uint64_t cost;
    CHECK(compute_cost(&price, &cap, &cost) && cost == 15 + 2);
    price.cpu_nqn = QN_NUM_MAX;
    CHECK(!compute_cost(&price, &cap, &cost));
}

static void test_book(struct qn_test_state *t)
{
    struct market m;
    market_init(&m);
    for (unsigned p = P1; p <= P3; p++) {
        CHECK_RC(put_node(&m, p, 8000), QN_OK);
        struct compute_offer_put offer = { .node = node_of(p),
                                           .price = { .cpu_nqn = p * NQN, .ram_gib_nqn = 1 } };
        CHECK_RC(tx(&m, p, COMPUTE_TX_OFFER_PUT, &offer), QN_OK);
    }
    struct compute_order_put put = an_order();
    put.mode = COMPUTE_BOOK;
    put.start_ms = HOUR;
    struct qn_hash ids[4];
    for (int i = 0; i < 4; i++) {
        ids[i] = put_order(t, &m, &put);
        qn_fix_wait(&m.f, 10);
    }
    /* Two fit on the cheapest machine at 4 QN, two on the next at 8; the third asks 12. */
    const unsigned want[] = { P1, P1, P2, P2 };
    for (int i = 0; i < 4; i++) {
        struct compute_order order = order_of(t, &m, &ids[i]);
        CHECK(order.state == COMPUTE_ORDER_MATCHED);
        struct qn_hash node = node_of(want[i]);
        struct compute_lease lease = lease_of(t, &m, &order.lease.v);
        CHECK(order.lease.has && qn_hash_eq(&lease.node, &node));
    }
    uint64_t before = balance(&m, TENANT);
    put.ttl_ms = 8000;
    struct qn_hash late = put_order(t, &m, &put);
    qn_fix_wait(&m.f, 10);
    struct compute_order order = order_of(t, &m, &late);
    CHECK(order.state == COMPUTE_ORDER_OPEN);
    struct compute_why why;
    struct qn_hash node, beacon = { { 0 } };
    uint64_t rate;
    bool found;
    compute_book_scan(m.f.view, &m.f.arena, &beacon, &late, &order, &why, &found, &node, &rate);
    CHECK(!found && why.seen == 3 && why.capacity == 2 && why.rate == 1);
    CHECK(why.nearest_nqn_h == 12 * NQN + 16);
    qn_fix_wait(&m.f, 8000);
    CHECK(order_of(t, &m, &late).state == COMPUTE_ORDER_EXPIRED);
    CHECK(before - balance(&m, TENANT) < 10000); /* the fee */
    qn_fix_fini(&m.f);
}

static void test_refusals(struct qn_test_state *t)
{
    struct market m;
    market_init(&m);
    struct compute_order_put put = an_order();
    put.deposit = QN_UQN(10 * QN);
    CHECK_RC(tx(&m, TENANT, COMPUTE_TX_ORDER_PUT, &put), QN_E_FUNDS); /* no room for the guard */
    put = an_order();
    put.deposit = QN_UQN(2000 * QN);
    CHECK_RC(tx(&m, TENANT, COMPUTE_TX_ORDER_PUT, &put), QN_E_FUNDS);
    put = an_order();
    put.max_rate_nqn_h = QN_NUM_MAX;
    CHECK_RC(tx(&m, TENANT, COMPUTE_TX_ORDER_PUT, &put), QN_E_RANGE);
    put = an_order();
    put.grace_ms = QN_NUM_MAX;
    CHECK_RC(tx(&m, TENANT, COMPUTE_TX_ORDER_PUT, &put), QN_E_RANGE);
    put = an_order();
    put.beat_ms = 1;
    CHECK_RC(tx(&m, TENANT, COMPUTE_TX_ORDER_PUT, &put), QN_E_RANGE);
    put = an_order();
    put.cap.cpu_milli = 0;
    CHECK_RC(tx(&m, TENANT, COMPUTE_TX_ORDER_PUT, &put), QN_E_RANGE);
    CHECK_RC(put_node(&m, P1, 8000), QN_OK);
    struct compute_node_exit exit_node = { .node = node_of(P1) };
    CHECK_RC(tx(&m, P2, COMPUTE_TX_NODE_EXIT, &exit_node), QN_E_AUTH);
    put = an_order();
    struct qn_hash order, lease = matched(t, &m, &put, NQN, &order);
    CHECK_RC(tx(&m, P1, COMPUTE_TX_NODE_EXIT, &exit_node), QN_E_STATE);
    CHECK_RC(put_node(&m, P1, 3000), QN_E_STATE); /* below what is under lease */
    CHECK_RC(start(&m, P2, &lease), QN_E_AUTH);
    CHECK_RC(close_lease(&m, OTHER, &lease), QN_E_AUTH);
    CHECK_RC(start(&m, P1, &lease), QN_OK);
    CHECK_RC(start(&m, P1, &lease), QN_E_STATE);
    CHECK_RC(close_lease(&m, P1, &lease), QN_OK);
    CHECK_RC(close_lease(&m, P1, &lease), QN_E_STATE);
    CHECK_RC(tx(&m, P1, COMPUTE_TX_NODE_EXIT, &exit_node), QN_OK);
    struct qn_hash bond = compute_bond_acct(&exit_node.node);
    CHECK(qn_view_balance(m.f.view, &bond).uqn == 0);
    qn_fix_fini(&m.f);
}

/* --- money ------------------------------------------------------------------------------------------ */

static void test_cancel(struct qn_test_state *t)
{
    struct market m;
    market_init(&m);
    CHECK_RC(put_node(&m, P1, 8000), QN_OK);
    uint64_t tenant = balance(&m, TENANT), provider = balance(&m, P1);
    struct compute_order_put put = an_order();
    struct qn_hash order = put_order(t, &m, &put);
    CHECK_RC(bid(&m, P1, &order, NQN), QN_OK);
    struct compute_order_cancel cancel = { .order = order };
    CHECK_RC(tx(&m, P1, COMPUTE_TX_ORDER_CANCEL, &cancel), QN_E_AUTH);
    CHECK_RC(tx(&m, TENANT, COMPUTE_TX_ORDER_CANCEL, &cancel), QN_OK);
    CHECK_RC(tx(&m, TENANT, COMPUTE_TX_ORDER_CANCEL, &cancel), QN_E_STATE);
    qn_fix_wait(&m.f, 10);
    CHECK(tenant - balance(&m, TENANT) < 10000 && provider - balance(&m, P1) < 10000);
    CHECK(escrow_balance(&m, &order) == 0);
    qn_fix_wait(&m.f, 5000); /* no deadline of it is left */
    CHECK(order_of(t, &m, &order).state == COMPUTE_ORDER_CANCELLED);
    qn_fix_fini(&m.f);
}

static void test_exact(struct qn_test_state *t)
{
    struct market m;
    market_init(&m);
    CHECK_RC(put_node(&m, P1, 8000), QN_OK);
    struct compute_order_put put = an_order();
    const uint64_t rate = 3333333333; /* never whole in a millisecond */
    struct qn_hash order, lease = running(t, &m, &put, rate, &order);
    uint64_t began = m.f.now_ms, dry = escrow_of(t, &m, &order).dry_ms;
    srand(7);
    struct compute_escrow_settle settle = { .leases = { 1, &lease } };
    for (int i = 0; i < 200; i++) {
        qn_fix_wait(&m.f, (uint64_t)(rand() % 7000));
        if (rand() % 3 == 0) CHECK_RC(tx(&m, OTHER, COMPUTE_TX_ESCROW_SETTLE, &settle), QN_OK);
        CHECK(escrow_of(t, &m, &order).dry_ms == dry); /* settling moves nothing */
    }
    CHECK_RC(tx(&m, OTHER, COMPUTE_TX_ESCROW_SETTLE, &settle), QN_OK);
    struct compute_lease row = lease_of(t, &m, &lease);
    uint64_t ms = m.f.now_ms - began, paid;
    CHECK(qn_muldiv(rate, ms, COMPUTE_D, &paid));
    CHECK(row.paid.uqn == paid && row.until_ms == m.f.now_ms);
    CHECK(row.rem == rate * ms % COMPUTE_D);
    CHECK(escrow_balance(&m, &order) == 20 * QN - paid);
    /* The term ends it, at the millisecond, whenever the next block comes. */
    uint64_t tenant = balance(&m, TENANT);
    qn_fix_wait(&m.f, 2 * HOUR);
    row = lease_of(t, &m, &lease);
    CHECK(row.state == COMPUTE_CLOSED && row.reason == COMPUTE_R_TERM);
    CHECK(row.paid.uqn == rate / 1000); /* one hour of it */
    CHECK(balance(&m, TENANT) - tenant == 20 * QN - rate / 1000);
    CHECK(node_row(t, &m, P1).used.cpu_milli == 0);
    qn_fix_fini(&m.f);
}

static void test_order_of_settling(struct qn_test_state *t)
{
    /* Cut the same time in pieces in many ways: the sum paid is the same to the microquoin. */
    srand(11);
    for (int round = 0; round < 200; round++) {
        uint64_t rate = (uint64_t)rand() * 977 + 1, end = (uint64_t)rand() % 100000000 + 1;
        uint64_t rem = 0, whole = compute_earned(rate, 0, end, &rem), rem2 = 0, sum = 0;
        for (uint64_t at = 0; at < end;) {
            uint64_t step = 1 + (uint64_t)rand() % (end / 4 + 1);
            uint64_t next = QN_MIN(end, at + step);
            sum += compute_earned(rate, at, next, &rem2);
            at = next;
        }
        CHECK(sum == whole && rem == rem2);
    }
}

static void test_dry(struct qn_test_state *t)
{
    struct market m;
    market_init(&m);
    CHECK_RC(put_node(&m, P1, 8000), QN_OK);
    struct compute_order_put put = an_order();
    put.term_ms = 0;
    put.grace_ms = 60000;
    put.deposit = QN_UQN(11 * QN);
    struct qn_hash order, lease = running(t, &m, &put, 10 * NQN, &order);
    struct compute_escrow e = escrow_of(t, &m, &order);
    uint64_t began = m.f.now_ms;
    CHECK(e.guard.uqn == compute_guard(10 * NQN, 60000));
    CHECK(e.dry_ms - began == (11 * QN - e.guard.uqn) * COMPUTE_D / (10 * NQN));
    qn_fix_wait(&m.f, e.dry_ms - began - 1);
    CHECK(lease_of(t, &m, &lease).state == COMPUTE_RUNNING);
    qn_fix_wait(&m.f, 1);
    CHECK(lease_of(t, &m, &lease).state == COMPUTE_GRACE);
    /* Too little leaves it dry; enough lets it run on. */
    struct compute_escrow_add add = { .order = order, .amount = QN_UQN(1) };
    qn_fix_wait(&m.f, 30000);
    CHECK_RC(tx(&m, OTHER, COMPUTE_TX_ESCROW_ADD, &add), QN_OK);
    CHECK(lease_of(t, &m, &lease).state == COMPUTE_GRACE);
    add.amount = QN_UQN(5 * QN);
    CHECK_RC(tx(&m, OTHER, COMPUTE_TX_ESCROW_ADD, &add), QN_OK);
    CHECK(lease_of(t, &m, &lease).state == COMPUTE_RUNNING);
    CHECK(escrow_of(t, &m, &order).guard.uqn == compute_guard(10 * NQN, 60000));
    /* The second time nobody pays, and blocks come an hour late: it ends at T + GRACE all the same. */
    e = escrow_of(t, &m, &order);
    uint64_t tenant = balance(&m, TENANT), other = balance(&m, OTHER);
    qn_fix_wait(&m.f, e.dry_ms - m.f.now_ms + 1);
    CHECK_RC(beat(&m, P1, 1), QN_OK);
    CHECK(lease_of(t, &m, &lease).state == COMPUTE_GRACE);
    qn_fix_wait(&m.f, HOUR);
    struct compute_lease row = lease_of(t, &m, &lease);
    CHECK(row.state == COMPUTE_CLOSED && row.reason == COMPUTE_R_FUNDS);
    CHECK(row.until_ms == e.dry_ms + 60000);
    CHECK(row.paid.uqn == (row.until_ms - began) * (10 * NQN) / COMPUTE_D);
    /* What is left goes to who came last: the tenant's money was spent first. */
    CHECK(balance(&m, TENANT) == tenant);
    CHECK(balance(&m, OTHER) - other == 16 * QN + 1 - row.paid.uqn);
    CHECK_RC(tx(&m, OTHER, COMPUTE_TX_ESCROW_ADD, &add), QN_E_STATE);
    qn_fix_fini(&m.f);
}

static void test_no_start(struct qn_test_state *t)
{
    struct market m;
    market_init(&m);
    CHECK_RC(put_node(&m, P1, 8000), QN_OK);
    struct compute_order_put put = an_order();
    uint64_t tenant = balance(&m, TENANT);
    struct qn_hash order, lease = matched(t, &m, &put, 2 * NQN, &order);
    qn_fix_wait(&m.f, 2000);
    struct compute_lease row = lease_of(t, &m, &lease);
    CHECK(row.state == COMPUTE_CLOSED && row.reason == COMPUTE_R_NO_START && row.paid.uqn == 0);
    /* Bid deposit 0.5 QN and an hour of rate 2 QN: half to the tenant, half burnt. */
    CHECK(balance(&m, TENANT) + 10000 > tenant + QN / 4 + QN);
    CHECK(node_row(t, &m, P1).bond.uqn == 8 * QN);
    CHECK_RC(start(&m, P1, &lease), QN_E_STATE);
    struct compute_rep rep;
    struct qn_hash p1 = qn_fix_acct(P1);
    CHECK_RC(qn_view_rec(m.f.view, COMPUTE_T_REP, QN_SPAN_OF(p1), compute_rep_record(), &m.f.arena,
                         &rep),
             QN_OK);
    CHECK(rep.bad_cnt == 1 && rep.bad.uqn > 0);
    /* Saying so before the deadline costs the same. */
    lease = matched(t, &m, &put, 2 * NQN, &order);
    CHECK_RC(close_lease(&m, P1, &lease), QN_OK);
    CHECK(node_row(t, &m, P1).bond.uqn == 6 * QN);
    qn_fix_fini(&m.f);
}

static void test_dead_provider(struct qn_test_state *t)
{
    struct market m;
    market_init(&m);
    CHECK_RC(put_node(&m, P1, 8000), QN_OK);
    struct compute_order_put put = an_order();
    put.beat_ms = 1000;
    put.lost_ms = 10000;
    struct qn_hash order, lease = running(t, &m, &put, 3600 * NQN / 1000, &order);
    uint64_t began = m.f.now_ms, tenant = balance(&m, TENANT);
    /* It lives for 5 s, then says nothing any more. Others keep the ledger going. */
    for (uint64_t i = 1; i <= 5; i++) {
        qn_fix_wait(&m.f, 990);
        CHECK_RC(beat(&m, P1, i), QN_OK);
    }
    CHECK_RC(beat(&m, P1, 5), QN_E_DUPLICATE);
    uint64_t last = node_row(t, &m, P1).beat_ms;
    while (m.f.now_ms < last + 2500)
        qn_fix_wait(&m.f, 100);
    CHECK(lease_of(t, &m, &lease).state == COMPUTE_RUNNING);
    while (m.f.now_ms < last + 3100)
        qn_fix_wait(&m.f, 100);
    struct compute_lease row = lease_of(t, &m, &lease);
    CHECK(row.state == COMPUTE_UNKNOWN && row.until_ms == last + 1500); /* 1.5 beats are paid */
    while (m.f.now_ms < last + 9900)
        qn_fix_wait(&m.f, 100);
    CHECK(lease_of(t, &m, &lease).state == COMPUTE_UNKNOWN);
    while (m.f.now_ms < last + 10100)
        qn_fix_wait(&m.f, 100);
    row = lease_of(t, &m, &lease);
    CHECK(row.state == COMPUTE_CLOSED && row.reason == COMPUTE_R_NODE_LOST);
    CHECK(row.paid.uqn == last + 1500 - began); /* one uqn a ms */
    CHECK(balance(&m, TENANT) - tenant == 20 * QN - row.paid.uqn);
    CHECK(node_row(t, &m, P1).lease_cnt == 0);
    qn_fix_fini(&m.f);
}

static void test_revival(struct qn_test_state *t)
{
    struct market m;
    market_init(&m);
    CHECK_RC(put_node(&m, P1, 8000), QN_OK);
    struct compute_order_put put = an_order();
    put.beat_ms = 1000;
    put.lost_ms = 100000;
    struct qn_hash order, lease = running(t, &m, &put, 3600 * NQN / 1000, &order);
    uint64_t began = m.f.now_ms;
    while (m.f.now_ms < began + 20000)
        qn_fix_wait(&m.f, 500);
    CHECK(lease_of(t, &m, &lease).state == COMPUTE_UNKNOWN);
    CHECK_RC(beat(&m, P1, 1), QN_OK);
    CHECK(lease_of(t, &m, &lease).state == COMPUTE_RUNNING);
    uint64_t back = m.f.now_ms;
    qn_fix_wait(&m.f, 1000);
    CHECK_RC(close_lease(&m, TENANT, &lease), QN_OK);
    struct compute_lease row = lease_of(t, &m, &lease);
    CHECK(row.paid.uqn == 1500 + (m.f.now_ms - back)); /* the dark is not paid */
    /* A ledger that stands still for an hour judges nobody. */
    put.term_ms = 10 * HOUR;
    lease = running(t, &m, &put, 3600 * NQN / 1000, &order);
    qn_fix_wait(&m.f, HOUR);
    CHECK(lease_of(t, &m, &lease).state == COMPUTE_RUNNING);
    CHECK_RC(beat(&m, P1, 2), QN_OK);
    qn_fix_wait(&m.f, 500);
    CHECK(lease_of(t, &m, &lease).state == COMPUTE_RUNNING);
    /* But a dead provider on a ledger with nothing else to do is found dead, one beat later. */
    for (int i = 0; i < 3; i++)
        qn_fix_wait(&m.f, 4000);
    CHECK(lease_of(t, &m, &lease).state == COMPUTE_UNKNOWN);
    qn_fix_fini(&m.f);
}

static void genesis_hold(struct qn_apply *ap)
{
    struct compute_params params;
    compute_module.genesis(ap);
    compute_params_get(ap->view, &params);
    params.hold_ppm = 50000;
    qn_row_put_rec(ap, COMPUTE_T_MISC, QN_SPAN_STR("params"), compute_params_record(), &params);
}

static void test_hold(struct qn_test_state *t)
{
    struct market m;
    market_init(&m);
    qn_fix_fini(&m.f);
    m.mod.genesis = genesis_hold;
    qn_fix_init(&m.f, &m.mod, 1, NULL);
    CHECK_RC(put_node(&m, P1, 8000), QN_OK);
    struct compute_order_put put = an_order();
    struct qn_hash order, lease = running(t, &m, &put, 4 * NQN, &order);
    uint64_t before = balance(&m, P1);
    qn_fix_wait(&m.f, HOUR);
    struct qn_hash hold = compute_hold_acct(&lease);
    CHECK(lease_of(t, &m, &lease).state == COMPUTE_CLOSED);
    CHECK(qn_view_balance(m.f.view, &hold).uqn == 4 * QN / 20);
    /* 4 QN less 1 % take and 5 % held, and the bid's deposit back. */
    CHECK(balance(&m, P1) - before == 4 * QN / 100 * 94 + QN * 96 / 100);
    qn_fix_wait(&m.f, 600000);
    CHECK(qn_view_balance(m.f.view, &hold).uqn == 0);
    CHECK(balance(&m, P1) - before == 4 * QN / 100 * 99 + QN * 96 / 100);
    qn_fix_fini(&m.f);
}

static void test_pause(struct qn_test_state *t)
{
    struct market m;
    market_init(&m);
    CHECK_RC(put_node(&m, P1, 8000), QN_OK);
    struct compute_order_put put = an_order();
    struct qn_hash order, lease = running(t, &m, &put, 3600 * NQN / 1000, &order);
    struct compute_lease_set set = { .lease = lease, .verb = 0 };
    CHECK_RC(tx(&m, P1, COMPUTE_TX_LEASE_SET, &set), QN_E_AUTH);
    CHECK_RC(tx(&m, TENANT, COMPUTE_TX_LEASE_SET, &set), QN_OK);
    CHECK(lease_of(t, &m, &lease).paid.uqn == 20); /* two blocks of 10 ms */
    qn_fix_wait(&m.f, 100000);
    CHECK(lease_of(t, &m, &lease).state == COMPUTE_PAUSED);
    set.verb = 1;
    CHECK_RC(tx(&m, TENANT, COMPUTE_TX_LEASE_SET, &set), QN_OK);
    set.verb = 2;
    set.arg = HOUR;
    CHECK_RC(tx(&m, TENANT, COMPUTE_TX_LEASE_SET, &set), QN_OK);
    CHECK(lease_of(t, &m, &lease).term_at_ms == lease_of(t, &m, &lease).started_ms + 2 * HOUR);
    CHECK_RC(close_lease(&m, TENANT, &lease), QN_OK);
    CHECK(lease_of(t, &m, &lease).paid.uqn == 40);
    CHECK(lease_of(t, &m, &lease).reason == 1);
    qn_fix_fini(&m.f);
}

/* Random life of a market; the handlers' own audits and the fixture's conservation check run in each
 * block, and at the end all the money is back but for fees, takes and slashes. */
static void test_random(struct qn_test_state *t)
{
    for (unsigned seed = 1; seed <= 12; seed++) {
        struct market m;
        struct qn_hash orders[40], leases[40];
        uint32_t order_cnt = 0, lease_cnt = 0;
        uint64_t seq = 1;
        market_init(&m);
        srand(seed);
        for (unsigned p = P1; p <= P3; p++)
            CHECK_RC(put_node(&m, p, 12000), QN_OK);
        for (int step = 0; step < 300; step++) {
            qn_rc rc = QN_OK;
            unsigned p = P1 + (unsigned)rand() % 3;
            struct qn_hash *order = order_cnt ? &orders[(uint32_t)rand() % order_cnt] : NULL;
            struct qn_hash *lease = lease_cnt ? &leases[(uint32_t)rand() % lease_cnt] : NULL;
            switch (rand() % 12) {
            case 0:
            case 1: {
                struct compute_order_put put = an_order();
                put.term_ms = (uint64_t)rand() % 50000 + 1;
                put.deposit = QN_UQN(QN * (15 + (uint64_t)rand() % 10));
                put.max_rate_nqn_h = (uint64_t)rand() * 5 + 1;
                put.grace_ms = 1000;
                put.beat_ms = 2000;
                put.lost_ms = 9000;
                if (rand() % 4 == 0) put.mode = COMPUTE_BOOK;
                if (order_cnt < 40 && tx(&m, TENANT + (unsigned)rand() % 2 * OTHER,
                                         COMPUTE_TX_ORDER_PUT, &put) == QN_OK)
                    CHECK(qn_fix_event(&m.f, "order.opened", &orders[order_cnt++]));
                break;
            }
            case 2:
            case 3:
                if (order) rc = bid(&m, p, order, (uint64_t)rand() * 3 + 1);
                break;
            case 4:
                if (lease) rc = start(&m, p, lease);
                break;
            case 5:
                if (lease && rand() % 3 == 0) rc = close_lease(&m, rand() % 2 ? TENANT : p, lease);
                break;
            case 6: {
                struct compute_escrow_add add = { .amount = QN_UQN((uint64_t)rand() % QN) };
                if (order) add.order = *order;
                rc = tx(&m, OTHER, COMPUTE_TX_ESCROW_ADD, &add);
                break;
            }
            case 7: rc = beat(&m, p, seq++); break;
            case 8: {
                struct compute_lease_set set = { .verb = (uint8_t)(rand() % 2) };
                if (lease) set.lease = *lease;
                rc = tx(&m, TENANT, COMPUTE_TX_LEASE_SET, &set);
                break;
            }
            case 9: {
                struct compute_offer_put offer = { .node = node_of(p),
                                                   .price = { .cpu_nqn = (uint64_t)rand() % NQN } };
                rc = tx(&m, p, COMPUTE_TX_OFFER_PUT, &offer);
                break;
            }
            default: qn_fix_wait(&m.f, (uint64_t)rand() % 3000); break;
            }
            (void)rc; /* refusals are part of life */
            for (uint32_t i = lease_cnt = 0; i < order_cnt; i++) {
                struct compute_order row = order_of(t, &m, &orders[i]);
                if (row.lease.has) leases[lease_cnt++] = row.lease.v;
            }
        }
        /* Nobody acts any more: deadlines alone end everything. */
        for (int i = 0; i < 40; i++)
            qn_fix_wait(&m.f, UINT64_C(31) * 86400000 / 10);
        CHECK(lease_cnt > 0);
        for (uint32_t i = 0; i < order_cnt; i++) {
            struct compute_order row = order_of(t, &m, &orders[i]);
            CHECK(row.state != COMPUTE_ORDER_OPEN && escrow_balance(&m, &orders[i]) == 0);
            if (row.lease.has) CHECK(lease_of(t, &m, &row.lease.v).state == COMPUTE_CLOSED);
            for (unsigned p = P1; p <= P3; p++) {
                struct qn_hash node = node_of(p), bid_id = compute_bid_id(&orders[i], &node);
                struct qn_hash acct = compute_bid_acct(&bid_id);
                CHECK(qn_view_balance(m.f.view, &acct).uqn == 0);
            }
        }
        for (unsigned p = P1; p <= P3; p++)
            CHECK(node_row(t, &m, p).lease_cnt == 0);
        qn_fix_fini(&m.f);
    }
}

/* Coins that a stranger sends to a bond or an escrow buy nothing and stop nothing. */
static void test_gift(struct qn_test_state *t)
{
    struct market m;
    market_init(&m);
    CHECK_RC(put_node(&m, P1, 8000), QN_OK);
    struct compute_order_put put = an_order();
    struct qn_hash order, lease = running(t, &m, &put, 4 * NQN, &order), node = node_of(P1);
    const uint64_t dry = escrow_of(t, &m, &order).dry_ms;
    const struct qn_hash to[] = { compute_bond_acct(&node), compute_escrow_acct(&order) };
    for (size_t i = 0; i < QN_COUNT(to); i++)
        qn_fix_gift(&m.f, OTHER, &to[i], 5 * QN);
    qn_fix_wait(&m.f, HOUR / 2);
    struct compute_escrow_settle settle = { .leases = { 1, &lease } };
    CHECK_RC(tx(&m, P1, COMPUTE_TX_ESCROW_SETTLE, &settle), QN_OK);
    CHECK(escrow_of(t, &m, &order).dry_ms == dry);
    uint64_t before = balance(&m, TENANT);
    qn_fix_wait(&m.f, HOUR);
    CHECK(lease_of(t, &m, &lease).state == COMPUTE_CLOSED);
    CHECK(balance(&m, TENANT) - before == 16 * QN); /* of 20 QN, 4 for the hour */
    struct compute_node_exit leave = { .node = node };
    CHECK_RC(tx(&m, P1, COMPUTE_TX_NODE_EXIT, &leave), QN_OK);
    qn_fix_wait(&m.f, 1);
    qn_fix_fini(&m.f);
}

/* No lease ends later than a row can say. */
static void test_extend_far(struct qn_test_state *t)
{
    struct market m;
    market_init(&m);
    CHECK_RC(put_node(&m, P1, 8000), QN_OK);
    struct compute_order_put put = an_order();
    struct qn_hash order, lease = running(t, &m, &put, 4 * NQN, &order);
    struct compute_lease_set set = { .lease = lease, .verb = 2, .arg = UINT64_C(366) * 24 * HOUR };
    qn_rc rc = QN_OK;
    for (int i = 0; i < 20 && rc == QN_OK; i++)
        rc = tx(&m, TENANT, COMPUTE_TX_LEASE_SET, &set);
    CHECK_RC(rc, QN_E_RANGE);
    qn_fix_fini(&m.f);
}

int main(void)
{
    TEST_BEGIN();
    TEST(test_key);
    TEST(test_auction);
    TEST(test_book);
    TEST(test_refusals);
    TEST(test_cancel);
    TEST(test_exact);
    TEST(test_order_of_settling);
    TEST(test_dry);
    TEST(test_no_start);
    TEST(test_dead_provider);
    TEST(test_revival);
    TEST(test_hold);
    TEST(test_pause);
    TEST(test_random);
    TEST(test_gift);
    TEST(test_extend_far);
    return TEST_END();
}
