/* test_limit.c - budgets, buckets, the gate, queues. */
#include "net/link/limit.h"

#include "core/base/test.h"
#include "net/link/queue.h"

static void test_budget(struct qn_test_state *t)
{
    struct qn_budget node = { .max = 100 }, a = { .max = 80, .parent = &node },
                     b = { .max = 80, .parent = &node };
    CHECK(qn_budget_take(&a, 80) && !qn_budget_take(&a, 1));
    CHECK(!qn_budget_take(&b, 21) && b.used == 0 && node.used == 80); /* nothing is booked half */
    CHECK(qn_budget_take(&b, 20));
    qn_budget_give(&a, 80);
    CHECK(node.used == 20 && node.high == 100);
    CHECK(!qn_budget_take(&b, SIZE_MAX) && !qn_budget_take(&b, SIZE_MAX - 10));
    b.max = 10; /* a limit may fall below what is used */
    CHECK(!qn_budget_take(&b, 1));
}

static void test_bucket(struct qn_test_state *t)
{
    struct qn_bucket b = { 0 };
    for (int i = 0; i < 5; i++)
        CHECK(qn_bucket_take(&b, 10, 5, 1000));
    CHECK(!qn_bucket_take(&b, 10, 5, 1000));
    CHECK(!qn_bucket_take(&b, 10, 5, 100999));
    CHECK(qn_bucket_take(&b, 10, 5, 101000) && !qn_bucket_take(&b, 10, 5, 101000));
    CHECK(!qn_bucket_take(&b, 10, 5, 500));       /* a clock that steps back gives nothing */
    CHECK(qn_bucket_take(&b, 10, 5, UINT64_MAX)); /* nor does one that runs away overflow */
}

static struct qn_origin from4(uint8_t a, uint8_t b, uint8_t c, uint8_t d)
{
    return (struct qn_origin){ .ip = { a, b, c, d } };
}

static void test_gate(struct qn_test_state *t)
{
    struct qn_limits l = qn_limits_default();
    static struct qn_gate g;
    uint8_t key[16] = { 1 };
    qn_gate_init(&g, &l, key);
    struct qn_origin one = from4(8, 8, 8, 8), local = from4(127, 0, 0, 1);
    local.local = true;
    for (uint32_t i = 0; i < l.pending_ip4; i++)
        CHECK_RC(qn_gate_enter(&g, &one, 1000), QN_OK);
    CHECK_RC(qn_gate_enter(&g, &one, 1000), QN_E_LIMIT);
    qn_gate_leave(&g, &one);
    CHECK_RC(qn_gate_enter(&g, &one, 1000), QN_OK);
    /* A network's rate: the burst, then 4 a second. */
    uint32_t got = 0;
    for (uint8_t d = 0; d < 200; d++) {
        struct qn_origin o = from4(9, 9, 9, d);
        if (qn_gate_enter(&g, &o, 2000) != QN_OK) continue;
        got++;
        qn_gate_leave(&g, &o);
    }
    CHECK(got == l.accept_net_burst);
    struct qn_origin o = from4(9, 9, 9, 201);
    CHECK_RC(qn_gate_enter(&g, &o, 2000 + 249000), QN_E_RATE);
    CHECK_RC(qn_gate_enter(&g, &o, 2000 + 251000), QN_OK);
    /* All places: from anywhere. */
    while (g.cnt < l.pending_max)
        CHECK_RC(qn_gate_enter(&g, &local, 3000), QN_OK);
    CHECK_RC(qn_gate_enter(&g, &local, 3000), QN_E_BUSY);
    /* IPv6: the host part is the attacker's to choose. */
    while (g.cnt)
        qn_gate_leave(&g, &(struct qn_origin){ g.pending[0].v6,
                                               g.pending[0].local,
                                               { g.pending[0].ip[0], g.pending[0].ip[1],
                                                 g.pending[0].ip[2], g.pending[0].ip[3] } });
    got = 0;
    for (uint8_t i = 0; i < 20; i++) {
        struct qn_origin six = { .v6 = true, .ip = { 0x2a, 1, 2, 3, 4, 5, 6, i, [15] = i } };
        if (qn_gate_enter(&g, &six, 1000000) == QN_OK) got++;
    }
    CHECK(got == l.pending_ip6_56);
    uint32_t shakes = 0;
    while (qn_gate_shake(&g, 5))
        shakes++;
    CHECK(shakes == l.shake_s);
    qn_gate_fini(&g);
}

/* A flood from a thousand networks fills many buckets: hardly any of another network's. */
static void test_nets(struct qn_test_state *t)
{
    static struct qn_gate g;
    struct qn_limits l = qn_limits_default();
    uint32_t in = 0;
    l.pending_max = 100000;
    qn_gate_init(&g, &l, (const uint8_t *)"0123456789abcdef");
    for (uint32_t net = 0; net < 1000; net++)
        for (uint32_t i = 0; i <= l.accept_net_burst; i++) {
            struct qn_origin o = from4(20, (uint8_t)(net >> 8), (uint8_t)net, 1);
            if (qn_gate_enter(&g, &o, 1000) == QN_OK) qn_gate_leave(&g, &o);
        }
    for (uint32_t net = 0; net < 1000; net++) {
        struct qn_origin o = from4(30, (uint8_t)(net >> 8), (uint8_t)net, 1);
        if (qn_gate_enter(&g, &o, 1000) == QN_OK) in++;
    }
    CHECK(in > 930);
    qn_gate_fini(&g);
}

static void test_queue(struct qn_test_state *t)
{
    struct qn_queue q = { 0 };
    uint8_t in[5000], out[5000];
    uint32_t seed = 7;
    uint64_t put = 0, got = 0;
    for (int i = 0; i < 20000; i++) {
        seed = seed * 1664525 + 1013904223;
        size_t n = (seed >> 8) % sizeof in;
        if (seed >> 31) {
            for (size_t k = 0; k < n; k++)
                in[k] = (uint8_t)((put + k) * 31);
            struct qn_buf given = { 0 };
            qn_buf_put(&given, in, n);
            if (seed >> 30 & 1)
                qn_queue_give(&q, &given);
            else
                qn_queue_put(&q, QN_SPAN(in, n));
            CHECK((seed >> 30 & 1) == 0 || (given.ptr == NULL && given.len == 0));
            qn_buf_free(&given);
            put += n;
        } else {
            size_t m = qn_queue_take(&q, out, n);
            CHECK(m == QN_MIN(n, put - got));
            for (size_t k = 0; k < m; k++)
                if (out[k] != (uint8_t)((got + k) * 31)) t->bad = true;
            got += m;
        }
        CHECK(q.len == put - got);
    }
    qn_queue_clear(&q);
    CHECK(q.len == 0 && qn_queue_take(&q, out, 1) == 0);
}

int main(void)
{
    TEST_BEGIN();
    TEST(test_budget);
    TEST(test_bucket);
    TEST(test_gate);
    TEST(test_nets);
    TEST(test_queue);
    return TEST_END();
}
