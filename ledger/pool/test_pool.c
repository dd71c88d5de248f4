/* test_pool.c - against a plain array; and floods: of one account, of many, of nothing tipped. */
#include "ledger/pool/model.h"

#include "core/base/test.h"
#include "core/crypto/hash.h"

static const uint8_t BODY[64 << 10] = { 0 };

static uint32_t rnd(uint64_t *s)
{
    *s = *s * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*s >> 33);
}

static struct qn_pool_tx tx_of(uint64_t n, unsigned payer, uint64_t tip, size_t len)
{
    struct qn_pool_tx tx = { .id = qn_h("test pool", &n, sizeof n),
                             .until_ms = 1000,
                             .fee_uqn = 10,
                             .balance_uqn = 1000000,
                             .tip_uqn = tip,
                             .gas_max = 1000,
                             .bytes = QN_SPAN(BODY, len) };
    memcpy(tx.payer.b, &payer, sizeof payer);
    tx.sender = tx.payer;
    return tx;
}

static void test_model(struct qn_test_state *t)
{
    static struct model m;
    uint64_t seed = 1, now = 0;
    for (unsigned round = 0; round < (test_long() ? 200u : 20u); round++) {
        memset(&m, 0, sizeof m);
        m.limits =
            (struct qn_pool_limits){ .bytes = 60 * (QN_POOL_OVER + 100), .calm = 12, .busy = 4 };
        struct qn_pool *pool = qn_pool_new(&m.limits);
        for (uint64_t n = 0; n < 500; n++) {
            unsigned payer = rnd(&seed) % 40;
            struct qn_pool_tx tx =
                tx_of(round << 16 | n, payer, rnd(&seed) % 3 ? rnd(&seed) % 50 : 0,
                      50 + rnd(&seed) % 100);
            tx.sender.b[4] = (uint8_t)(rnd(&seed) % 2); /* under a mandate of the payer's */
            tx.salt = rnd(&seed) % 3 | (uint64_t)(rnd(&seed) % 2) << 63;
            tx.fee_uqn = rnd(&seed) % 100 + tx.tip_uqn;
            tx.balance_uqn = 300 + rnd(&seed) % 500;
            tx.until_ms = now + rnd(&seed) % 600;
            CHECK(model_put(&m, &tx) == qn_pool_put(pool, &tx, NULL));
            now += rnd(&seed) % 4;
            if (rnd(&seed) % 8 == 0 && m.cnt) {
                struct qn_hash id = m.at[rnd(&seed) % m.cnt].tx.id;
                qn_pool_drop(pool, &id);
                model_cut(&m, model_find(&m, &id));
            }
            if (rnd(&seed) % 8 == 0) {
                qn_pool_expire(pool, now);
                for (uint32_t i = m.cnt; i-- > 0;)
                    if (now > m.at[i].tx.until_ms) model_cut(&m, i);
            }
            if (n % 10 == 0) CHECK(model_same(&m, pool));
        }
        CHECK(model_same(&m, pool));
        qn_pool_free(pool);
    }
}

/* One account floods; everybody else's first is in the next block all the same, and the flood takes no more than its share. */
static void test_one_floods(struct qn_test_state *t)
{
    struct qn_pool *pool = qn_pool_new(NULL);
    struct qn_why why = { "" };
    uint64_t n = 0, in = 0;
    for (; n < 200000; n++) {
        struct qn_pool_tx tx = tx_of(n, 0, 0, 300);
        tx.balance_uqn = 1000000000;
        in += qn_pool_put(pool, &tx, &why) == QN_OK;
    }
    CHECK(in == 4096 && strstr(why.text, "wait already") != NULL);
    for (unsigned who = 1; who <= 1000; who++) {
        struct qn_pool_tx tx = tx_of(n++, who, 0, 300);
        CHECK_RC(qn_pool_put(pool, &tx, &why), QN_OK);
    }
    struct qn_hash ids[1001];
    CHECK(qn_pool_order(pool, ids, 1001) == 1001);
    unsigned of_flood = 0;
    for (uint64_t i = 0; i < 4096; i++) {
        struct qn_hash id = qn_h("test pool", &i, sizeof i);
        for (unsigned k = 0; k < 1001; k++)
            of_flood += qn_hash_eq(&ids[k], &id);
    }
    CHECK(of_flood == 1);
    qn_pool_free(pool);
}

/* Ten thousand accounts fill all of it; a tip gets in, memory stays bounded, and whoever tips leaves last. */
static void test_many_flood(struct qn_test_state *t)
{
    struct qn_pool *pool = qn_pool_new(NULL);
    struct qn_why why = { "" };
    uint64_t n = 0;
    unsigned full = 0;
    for (; full < 10000; n++) {
        struct qn_pool_tx tx = tx_of(n, (unsigned)(n % 10000), 0, 2000);
        if (qn_pool_put(pool, &tx, &why)) full++;
        CHECK(qn_pool_bytes(pool) <= QN_POOL_BYTES);
    }
    const size_t cap = QN_POOL_BYTES / (2000 + QN_POOL_OVER);
    CHECK(qn_pool_cnt(pool) == cap);
    struct qn_pool_tx poor = tx_of(n++, 20000, 0, 2000), rich = tx_of(n++, 20001, 100, 2000);
    CHECK_RC(qn_pool_put(pool, &poor, &why), QN_E_RATE);
    CHECK_RC(qn_pool_put(pool, &rich, &why), QN_OK);
    CHECK(qn_pool_cnt(pool) == cap && qn_pool_has(pool, &rich.id));
    struct qn_hash first;
    CHECK(qn_pool_order(pool, &first, 1) == 1 && qn_hash_eq(&first, &rich.id));
    size_t in = 0;
    for (unsigned k = 0; k < 40000;
         k++) { /* who tips little pushes out who tips nothing, never it */
        struct qn_pool_tx tx = tx_of(n++, 30000 + k, 1, 2000);
        in += qn_pool_put(pool, &tx, &why) == QN_OK;
    }
    CHECK(in == cap - 1);
    CHECK(qn_pool_has(pool, &rich.id) && qn_pool_bytes(pool) <= QN_POOL_BYTES);
    qn_pool_expire(pool, 1001);
    CHECK(qn_pool_cnt(pool) == 0 && qn_pool_bytes(pool) == 0);
    qn_pool_free(pool);
}

/* Who has little waits with little; and large ones cannot take it all. */
static void test_sums(struct qn_test_state *t)
{
    struct qn_pool *pool = qn_pool_new(NULL);
    struct qn_why why = { "" };
    unsigned in = 0;
    for (uint64_t n = 0; n < 100; n++) {
        struct qn_pool_tx tx = tx_of(n, 0, 0, 100);
        tx.balance_uqn = 55;
        in += qn_pool_put(pool, &tx, &why) == QN_OK;
    }
    CHECK(in == 5 && strstr(why.text, "have 55 uqn, need 60") != NULL);
    for (uint64_t n = 100; n < 300; n++) {
        struct qn_pool_tx tx = tx_of(n, 1, 0, sizeof BODY);
        in += qn_pool_put(pool, &tx, &why) == QN_OK;
    }
    CHECK(in == 5 + 63 && qn_pool_bytes(pool) <= QN_POOL_BYTES / 16 + 5 * 1000);
    qn_pool_free(pool);
}

static void test_slot(struct qn_test_state *t)
{
    struct qn_pool *pool = qn_pool_new(NULL);
    struct qn_why why = { "" };
    struct qn_pool_tx a = tx_of(1, 0, 100, 1000), b = a, c = a;
    a.salt = b.salt = c.salt = UINT64_C(1) << 63 | 7;
    b.id.b[0] ^= 1;
    c.id.b[0] ^= 2;
    b.tip_uqn = 109;
    c.tip_uqn = 111;
    CHECK_RC(qn_pool_put(pool, &a, &why), QN_OK);
    CHECK_RC(qn_pool_put(pool, &a, &why), QN_OK); /* known */
    CHECK_RC(qn_pool_put(pool, &b, &why), QN_E_EXISTS);
    CHECK_RC(qn_pool_put(pool, &c, &why), QN_OK);
    CHECK(qn_pool_cnt(pool) == 1 && qn_pool_has(pool, &c.id) && !qn_pool_has(pool, &a.id));
    b.sender.b[5] ^= 1; /* another's slot of the same number */
    CHECK_RC(qn_pool_put(pool, &b, &why), QN_OK);
    a.salt = 7; /* no slot */
    CHECK_RC(qn_pool_put(pool, &a, &why), QN_OK);
    CHECK(qn_pool_cnt(pool) == 3);
    struct qn_tx tx = { .sender = c.sender, .salt = c.salt };
    struct qn_hash other = { { 9 } };
    qn_pool_final(pool, &tx, &other); /* another of the slot became final */
    CHECK(qn_pool_cnt(pool) == 2 && !qn_pool_has(pool, &c.id));
    qn_pool_free(pool);
}

int main(void)
{
    TEST_BEGIN();
    TEST(test_model);
    TEST(test_one_floods);
    TEST(test_many_flood);
    TEST(test_sums);
    TEST(test_slot);
    return TEST_END();
}
