/* test_compact.c - blocks by ids: found in the pool, given, asked for; ids that collide; ids made to collide. */
#include "core/base/test.h"
#include "core/crypto/hash.h"
#include "net/gossip/compact.h"

enum { CNT = 1000 };

static struct compact_tx tx_of(uint32_t i)
{
    struct compact_tx tx = { .bytes = { NULL, 20 + i % 50 } };
    uint8_t *bytes = malloc(tx.bytes.len);
    memset(bytes, (int)i, tx.bytes.len);
    memcpy(bytes, &i, sizeof i);
    tx.bytes.ptr = bytes;
    tx.id = qn_h("tx", bytes, tx.bytes.len);
    return tx;
}

static const struct qn_hash BLOCK = { { 1, 2, 3 } };

static bool whole(const struct compact *c, const struct compact_tx *tx)
{
    for (uint32_t i = 0; i < compact_tx_cnt(c); i++)
        if (!qn_span_eq(compact_tx(c, i), tx[i].bytes)) return false;
    return true;
}

static void test_round(struct qn_test_state *t)
{
    struct compact_tx *tx = calloc(CNT, sizeof *tx);
    bool given[CNT] = { false };
    for (uint32_t i = 0; i < CNT; i++)
        tx[i] = tx_of(i);
    given[0] = given[7] = given[8] = given[CNT - 1] = true;
    struct qn_buf buf = { 0 }, ask = { 0 }, answer = { 0 };
    compact_put(&BLOCK, 5, QN_SPAN_STR("header"), tx, CNT, given, &buf);
    CHECK(buf.len < CNT * 6 + 600);
    struct compact *c = NULL;
    CHECK_RC(compact_open(qn_buf_get(&buf), &c), QN_OK);
    CHECK(qn_hash_eq(compact_block(c), &BLOCK));
    CHECK(qn_span_eq(compact_head(c), QN_SPAN_STR("header")));
    for (uint32_t i = 0; i < CNT; i += i % 100 == 50 ? 2 : 1) /* the pool lacks every hundredth */
        compact_offer(c, &tx[i].id, tx[i].bytes);
    for (uint32_t i = CNT; i < CNT + 200; i++) { /* and has others */
        struct compact_tx more = tx_of(i);
        CHECK(!compact_offer(c, &more.id, more.bytes));
        free((void *)(uintptr_t)more.bytes.ptr);
    }
    uint32_t idx[CNT], all, got_idx[BLOCKTX_MAX], got_cnt;
    uint32_t n = compact_missing(c, idx, CNT, &all);
    CHECK(n == all && n == 10 && idx[0] == 51);
    compact_ask_put(&BLOCK, idx, n, &ask);
    struct qn_hash block;
    CHECK_RC(compact_ask_get(qn_buf_get(&ask), CNT, &block, got_idx, &got_cnt), QN_OK);
    CHECK(got_cnt == n && memcmp(got_idx, idx, n * sizeof *idx) == 0);
    CHECK_RC(compact_ask_get(qn_buf_get(&ask), 951, &block, got_idx, &got_cnt), QN_E_RANGE);
    struct qn_span out[CNT];
    for (uint32_t i = 0; i < n; i++)
        out[i] = tx[idx[i]].bytes;
    compact_answer_put(&BLOCK, out, n, &answer);
    for (size_t cut = 0; cut < answer.len; cut += 7) /* all or none */
        CHECK(compact_answer_fill(QN_SPAN(answer.ptr, cut), idx, n, c) != QN_OK);
    CHECK(compact_missing(c, got_idx, BLOCKTX_MAX, &all) == n);
    CHECK_RC(compact_answer_fill(qn_buf_get(&answer), idx, n, c), QN_OK);
    CHECK(whole(c, tx));
    CHECK(compact_missing(c, idx, CNT, &all) == 0 && all == 0);
    compact_close(c);
    for (size_t cut = 0; cut < buf.len; cut += cut < 300 ? 1 : 97)
        CHECK_RC(compact_open(QN_SPAN(buf.ptr, cut), &c), QN_E_SHORT);
    qn_buf_u8(&buf, 0);
    CHECK_RC(compact_open(qn_buf_get(&buf), &c), QN_E_EXTRA);
    qn_buf_free(&buf);
    qn_buf_free(&ask);
    qn_buf_free(&answer);
    for (uint32_t i = 0; i < CNT; i++)
        free((void *)(uintptr_t)tx[i].bytes.ptr);
    free(tx);
}

/* Two transactions whose ids agree in 48 bits take 2^24 tries; so here an id of the block is set to that of another transaction. */
static void test_collisions(struct qn_test_state *t)
{
    enum { N = 6 };
    struct compact_tx tx[N], wrong = tx_of(99);
    for (uint32_t i = 0; i < N; i++)
        tx[i] = tx_of(i);
    struct qn_buf buf = { 0 };
    uint8_t key[16];
    compact_put(&BLOCK, 0, QN_SPAN(NULL, 0), tx, N, NULL, &buf);
    compact_key(&BLOCK, 0, key);
    uint8_t *ids = buf.ptr + buf.len - 6 * N;
    uint64_t id = compact_id(key, &wrong.id), id5 = compact_id(key, &tx[5].id);
    memcpy(ids + 6 * 2, &id, 6);  /* the true tx 2 has the id of `wrong`, which is pooled */
    memcpy(ids + 6 * 4, &id5, 6); /* 4 and 5 have one id in the block itself */
    struct compact *c = NULL;
    CHECK_RC(compact_open(qn_buf_get(&buf), &c), QN_OK);
    for (uint32_t i = 0; i < N; i++)
        compact_offer(c, &tx[i].id, tx[i].bytes);
    CHECK(compact_offer(c, &wrong.id, wrong.bytes));
    CHECK(compact_offer(c, &wrong.id, wrong.bytes)); /* itself again is no dispute */
    uint32_t idx[N], all;
    CHECK(compact_missing(c, idx, N, &all) == 2 && idx[0] == 4 && idx[1] == 5);
    CHECK(compact_fill(c, 4, tx[4].bytes) && compact_fill(c, 5, tx[5].bytes));
    CHECK(!compact_fill(c, 5, tx[4].bytes) && !compact_fill(c, N, tx[4].bytes));
    CHECK(!whole(c, tx)); /* the caller's hash says so */
    CHECK(compact_doubt(c) == 4);
    CHECK(compact_missing(c, idx, N, &all) == 4 && idx[2] == 2);
    for (uint32_t i = 0; i < 4; i++)
        CHECK(compact_fill(c, idx[i], tx[idx[i]].bytes));
    CHECK(whole(c, tx));
    CHECK(compact_doubt(c) == 0);
    compact_close(c);

    qn_buf_free(&buf);
    for (uint32_t i = 0; i < N; i++)
        free((void *)(uintptr_t)tx[i].bytes.ptr);
    free((void *)(uintptr_t)wrong.bytes.ptr);
}

/* A real collision, as an attacker who knows the nonce can make one: found by a birthday search, 47 million ids under this key. */
static void test_ground(struct qn_test_state *t)
{
    const uint32_t a = 16510435, b = 46994912;
    struct qn_hash x = { { 0 } }, y = { { 0 } };
    uint8_t key[16];
    memcpy(x.b, &a, 4);
    memcpy(y.b, &b, 4);
    compact_key(&BLOCK, 0, key);
    CHECK(compact_id(key, &x) == compact_id(key, &y));
    struct compact_tx tx = { x, QN_SPAN_STR("the one in the block") };
    struct qn_buf buf = { 0 };
    struct compact *c = NULL;
    compact_put(&BLOCK, 0, QN_SPAN(NULL, 0), &tx, 1, NULL, &buf);
    CHECK_RC(compact_open(qn_buf_get(&buf), &c), QN_OK);
    CHECK(compact_offer(c, &y, QN_SPAN_STR("the attacker's")));
    CHECK(!compact_offer(c, &x, tx.bytes)); /* both in the pool: neither is believed */
    uint32_t idx, all;
    CHECK(compact_missing(c, &idx, 1, &all) == 1);
    compact_close(c);
    qn_buf_free(&buf);
    compact_put(&BLOCK, 1, QN_SPAN(NULL, 0), &tx, 1, NULL, &buf); /* another nonce, another id */
    CHECK_RC(compact_open(qn_buf_get(&buf), &c), QN_OK);
    CHECK(!compact_offer(c, &y, QN_SPAN_STR("the attacker's")));
    CHECK(compact_offer(c, &x, tx.bytes));
    compact_close(c);
    qn_buf_free(&buf);
}

/* Counts beyond the bytes, one id a thousand times. */
static void test_hostile(struct qn_test_state *t)
{
    struct qn_buf buf = { 0 };
    struct compact *c = NULL;
    compact_put(&BLOCK, 0, QN_SPAN(NULL, 0), NULL, 0, NULL, &buf);
    CHECK_RC(compact_open(qn_buf_get(&buf), &c), QN_OK);
    CHECK(compact_tx_cnt(c) == 0);
    compact_close(c);
    size_t at = buf.len - 8;
    buf.len = at;
    qn_buf_u32(&buf, COMPACT_TX_MAX);
    qn_buf_u32(&buf, 0);
    CHECK_RC(compact_open(qn_buf_get(&buf), &c), QN_E_SHORT);
    buf.len = at;
    qn_buf_u32(&buf, UINT32_MAX);
    qn_buf_u32(&buf, UINT32_MAX);
    CHECK_RC(compact_open(qn_buf_get(&buf), &c), QN_E_RANGE);
    buf.len = at;
    qn_buf_u32(&buf, 2);
    qn_buf_u32(&buf, 2);
    qn_buf_u32(&buf, 1); /* a gap that leaves no place for the second */
    qn_buf_u32(&buf, 0);
    qn_buf_u32(&buf, 0);
    qn_buf_u32(&buf, 0);
    CHECK_RC(compact_open(qn_buf_get(&buf), &c), QN_E_RANGE);
    buf.len = at;
    qn_buf_u32(&buf, 1000);
    qn_buf_u32(&buf, 0);
    for (int i = 0; i < 1000; i++)
        qn_buf_put(&buf, "same6b", 6); /* would make each look-up a walk */
    CHECK_RC(compact_open(qn_buf_get(&buf), &c), QN_E_FORMAT);
    qn_buf_free(&buf);
}

int main(void)
{
    TEST_BEGIN();
    TEST(test_round);
    TEST(test_collisions);
    TEST(test_ground);
    TEST(test_hostile);
    return TEST_END();
}
