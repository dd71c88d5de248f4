/* test_trie.c - against a sorted array: order, root by content alone, proofs of ranges and every altered byte of one. */
#include "core/base/test.h"
#include "core/crypto/hash.h"
#include "ledger/state/trie.h"

#include <stdlib.h>

enum { KEYS = 300 };

static void key_of(unsigned i, uint8_t dst[8])
{
    struct qn_hash h = qn_blake3(&i, sizeof i);
    memcpy(dst, h.b, 8);
    if (i % 3 == 0) /* many share a long front */
        memset(dst, 0xaa, 6);
}

static int cmp_key(const void *a, const void *b)
{
    return memcmp(a, b, 8);
}

static void test_order(struct qn_test_state *t)
{
    struct qn_trie *trie = qn_trie_new();
    static uint8_t keys[KEYS][8];
    struct qn_span k, v;
    for (unsigned i = 0; i < KEYS; i++) {
        key_of(i, keys[i]);
        qn_trie_put(trie, QN_SPAN(keys[i], 8), QN_SPAN(&i, sizeof i));
    }
    qsort(keys, KEYS, 8, cmp_key);
    CHECK(qn_trie_cnt(trie) == KEYS);
    uint8_t at[8] = { 0 };
    for (unsigned i = 0; i < KEYS; i++) {
        CHECK(qn_trie_next(trie, QN_SPAN(at, i ? 8u : 0u), false, &k, &v));
        CHECK(k.len == 8 && memcmp(k.ptr, keys[i], 8) == 0);
        CHECK(qn_trie_next(trie, QN_SPAN(keys[i], 8), true, &k, &v) &&
              memcmp(k.ptr, keys[i], 8) == 0);
        memcpy(at, k.ptr, 8);
    }
    CHECK(!qn_trie_next(trie, QN_SPAN(at, 8), false, &k, &v));
    for (unsigned i = 0; i < 2000; i++) { /* keys that are not there, and prefixes */
        uint8_t ask[8];
        struct qn_hash h = qn_blake3(&i, sizeof i);
        memcpy(ask, h.b + 8, 8);
        if (i % 2) memset(ask, 0xaa, 5);
        size_t len = i % 9, want = 0;
        while (want < KEYS && qn_span_cmp(QN_SPAN(keys[want], 8), QN_SPAN(ask, len)) < 0)
            want++;
        bool got = qn_trie_next(trie, QN_SPAN(ask, len), true, &k, &v);
        CHECK(got == (want < KEYS));
        if (got && want < KEYS) CHECK(memcmp(k.ptr, keys[want], 8) == 0);
    }
    qn_trie_free(trie);
}

static void test_root(struct qn_test_state *t)
{
    struct qn_trie *a = qn_trie_new(), *b = qn_trie_new();
    struct qn_hash zero = { { 0 } }, ra = qn_trie_root(a), rb;
    uint8_t key[8];
    CHECK(qn_hash_eq(&ra, &zero));
    for (unsigned i = 0; i < KEYS; i++) {
        key_of(i, key);
        qn_trie_put(a, QN_SPAN(key, 8), QN_SPAN(key, i % 8));
        qn_trie_root(a); /* hashing in between changes nothing */
    }
    for (unsigned i = 2 * KEYS; i-- > 0;) {
        key_of(i, key);
        qn_trie_put(b, QN_SPAN(key, 8), QN_SPAN("other", 5));
    }
    for (unsigned i = KEYS; i < 2 * KEYS; i++) {
        key_of(i, key);
        CHECK(qn_trie_del(b, QN_SPAN(key, 8)));
        CHECK(!qn_trie_del(b, QN_SPAN(key, 8)));
    }
    ra = qn_trie_root(a);
    rb = qn_trie_root(b);
    CHECK(!qn_hash_eq(&ra, &rb));
    for (unsigned i = 0; i < KEYS; i++) {
        key_of(i, key);
        qn_trie_put(b, QN_SPAN(key, 8), QN_SPAN(key, i % 8));
    }
    rb = qn_trie_root(b);
    CHECK(qn_hash_eq(&ra, &rb));
    for (unsigned i = 0; i < KEYS; i++) {
        key_of(i, key);
        CHECK(qn_trie_del(b, QN_SPAN(key, 8)));
    }
    rb = qn_trie_root(b);
    CHECK(qn_hash_eq(&rb, &zero));
    qn_trie_free(a);
    qn_trie_free(b);
}

struct rows {
    struct qn_span key[KEYS * 2], val[KEYS * 2];
    size_t cnt;
};

static void on_row(struct rows *r, struct qn_span key, struct qn_span val)
{
    QN_ASSERT(r->cnt < QN_COUNT(r->key));
    r->key[r->cnt] = key;
    r->val[r->cnt++] = val;
}

static bool same(const struct rows *a, const struct rows *b)
{
    bool ok = a->cnt == b->cnt;
    for (size_t i = 0; ok && i < a->cnt; i++)
        ok = qn_span_eq(a->key[i], b->key[i]) && qn_span_eq(a->val[i], b->val[i]);
    return ok;
}

/* What the map itself says of a range. */
static void plain(const struct qn_trie *trie, struct qn_span from, struct qn_span to,
                  struct rows *ret)
{
    struct qn_span k = { NULL, 0 }, v;
    ret->cnt = 0;
    for (bool first = true; qn_trie_next(trie, k, first, &k, &v); first = false)
        if (qn_span_cmp(k, from) >= 0 && (to.len == 0 || qn_span_cmp(k, to) < 0)) on_row(ret, k, v);
}

static qn_rc check(const struct qn_hash *root, struct qn_span from, struct qn_span to,
                   struct qn_span rows, struct qn_span edge, struct rows *ret)
{
    struct qn_span k, v;
    ret->cnt = 0;
    qn_rc rc = qn_trie_check(root, from, to, rows, edge);
    while (rc == QN_OK && qn_row_take(&rows, &k, &v))
        on_row(ret, k, v);
    return rc;
}

static unsigned rnd(uint64_t *s)
{
    *s = *s * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(*s >> 33);
}

static struct qn_trie *some(unsigned cnt)
{
    struct qn_trie *trie = qn_trie_new();
    uint8_t key[8];
    for (unsigned i = 0; i < cnt; i++) {
        key_of(i, key);
        qn_trie_put(trie, QN_SPAN(key, 8), QN_SPAN(&i, i % 5));
    }
    return trie;
}

static void test_proof(struct qn_test_state *t)
{
    static const unsigned SIZES[] = { 0, 1, 2, 3, 10, KEYS };
    struct qn_buf rows = { 0 }, edge = { 0 };
    struct rows want, got;
    uint64_t seed = 1;
    for (unsigned n = 0; n < QN_COUNT(SIZES); n++) {
        struct qn_trie *trie = some(SIZES[n]);
        struct qn_hash root = qn_trie_root(trie);
        for (unsigned i = 0; i < (test_long() ? 20000u : 2000u); i++) {
            uint8_t a[9], b[9];
            key_of(rnd(&seed) % (2 * KEYS), a); /* there or not; a front of it; just above it */
            key_of(rnd(&seed) % (2 * KEYS), b);
            a[8] = b[8] = 0;
            if (i % 3 == 0) memcpy(b, a, 8); /* one row, or its absence */
            struct qn_span from = QN_SPAN(a, i % 7 ? 8 : rnd(&seed) % 9),
                           to = QN_SPAN(b, i % 3 == 0 ? 9
                                           : i % 5    ? 8
                                                      : rnd(&seed) % 9);
            qn_buf_clear(&rows);
            qn_buf_clear(&edge);
            qn_trie_prove(trie, from, to, &rows, &edge);
            plain(trie, from, to, &want);
            CHECK_RC(check(&root, from, to, qn_buf_get(&rows), qn_buf_get(&edge), &got), QN_OK);
            CHECK(same(&want, &got));
            if (i % 3 == 0 && from.len == 8) CHECK(got.cnt <= 1);
        }
        qn_trie_free(trie);
    }
    qn_buf_free(&rows);
    qn_buf_free(&edge);
}

/* Every altered byte and every cut is refused, and a proof of one range proves no other that holds other rows. */
static void test_altered(struct qn_test_state *t)
{
    struct qn_trie *trie = some(KEYS);
    struct qn_hash root = qn_trie_root(trie);
    struct qn_buf rows = { 0 }, edge = { 0 };
    struct rows want, got;
    for (unsigned i = 0; i < 20; i++) {
        uint8_t a[9] = { 0 }, z[9] = { 0 };
        key_of(i, a);
        key_of(i * 7 % (2 * KEYS), z);
        if (i % 2) memcpy(z, a, 8);
        if (memcmp(a, z, 8) > 0) {
            uint8_t x[8];
            memcpy(x, a, 8);
            memcpy(a, z, 8);
            memcpy(z, x, 8);
        }
        if (i == 4) memset(z, a[0] + 1, 8);
        struct qn_span from = QN_SPAN(a, 8), to = QN_SPAN(z, 9);
        qn_buf_clear(&rows);
        qn_buf_clear(&edge);
        qn_trie_prove(trie, from, to, &rows, &edge);
        for (unsigned which = 0; which < 2; which++) {
            struct qn_buf *b = which ? &edge : &rows;
            size_t step = b->len > 4000 ? 13 : 1, len = b->len;
            for (size_t at = 0; at < len; at += step) {
                b->ptr[at] ^= (uint8_t)(1 << i % 8);
                CHECK(check(&root, from, to, qn_buf_get(&rows), qn_buf_get(&edge), &got) != QN_OK);
                b->ptr[at] ^= (uint8_t)(1 << i % 8);
                b->len = at;
                CHECK(check(&root, from, to, qn_buf_get(&rows), qn_buf_get(&edge), &got) != QN_OK);
                b->len = len;
            }
        }
        for (unsigned k = 0; k < 2 * KEYS; k++) {
            uint8_t c[9] = { 0 };
            key_of(k, c);
            struct qn_span other = QN_SPAN(c, 8 + k % 2);
            plain(trie, other, to, &want);
            if (check(&root, other, to, qn_buf_get(&rows), qn_buf_get(&edge), &got) == QN_OK)
                CHECK(same(&want, &got));
            plain(trie, from, other, &want);
            if (check(&root, from, other, qn_buf_get(&rows), qn_buf_get(&edge), &got) == QN_OK)
                CHECK(same(&want, &got));
        }
    }
    qn_buf_free(&rows);
    qn_buf_free(&edge);
    qn_trie_free(trie);
}

/* A key of 72 bytes: at random, or with its first 512 bits as all others that somebody chose. */
static void long_key(unsigned i, bool chosen, uint8_t dst[72])
{
    struct qn_hash h = qn_blake3(&i, sizeof i);
    for (int k = 0; k < 72; k++)
        dst[k] = chosen && k < 64 ? 0xaa : h.b[k % 32];
    dst[0] = chosen ? 0xaa : h.b[0] & 0x7f;
}

static size_t proof_len(struct qn_trie *trie, const uint8_t key[72])
{
    struct qn_buf rows = { 0 }, edge = { 0 };
    uint8_t after[73] = { 0 };
    memcpy(after, key, 72);
    qn_trie_prove(trie, QN_SPAN(key, 72), QN_SPAN(after, 73), &rows, &edge);
    size_t len = edge.len;
    qn_buf_free(&rows);
    qn_buf_free(&edge);
    return len;
}

/* Keys chosen to make paths long cost only who chose them: of 100,000 that share 512 bits a proof is no longer than of as many at random, of a
 * comb (each alike one key for a bit more) it has a step a bit, and others' proofs grow by the one step where the chosen part off. */
static void test_chosen(struct qn_test_state *t)
{
    enum { OTHERS = 1000, CHOSEN = 100000, COMB = 500 };
    struct qn_trie *trie = qn_trie_new(), *fair = qn_trie_new();
    static size_t before[OTHERS];
    uint8_t key[72];
    size_t worst = 0, usual = 0,
           step = 3 + 1 + 31; /* an inner node and what is cut off beside it */
    for (unsigned i = 0; i < OTHERS; i++) {
        long_key(i, false, key);
        qn_trie_put(trie, QN_SPAN(key, 72), QN_SPAN(key, 8));
        qn_trie_put(fair, QN_SPAN(key, 72), QN_SPAN(key, 8));
    }
    for (unsigned i = 0; i < OTHERS; i++) {
        long_key(i, false, key);
        before[i] = proof_len(trie, key);
    }
    for (unsigned i = 0; i < CHOSEN; i++) {
        long_key(OTHERS + i, true, key);
        qn_trie_put(trie, QN_SPAN(key, 72), QN_SPAN(key, 8));
        long_key(OTHERS + i, false, key);
        qn_trie_put(fair, QN_SPAN(key, 72), QN_SPAN(key, 8));
    }
    for (unsigned i = 0; i < CHOSEN; i += 97) {
        long_key(OTHERS + i, true, key);
        worst = QN_MAX(worst, proof_len(trie, key));
        long_key(OTHERS + i, false, key);
        usual = QN_MAX(usual, proof_len(fair, key));
    }
    CHECK(usual > 10 * step && worst <= 2 * usual);
    for (unsigned i = 0; i < COMB; i++) {
        memset(key, 0xff, 72);
        key[i / 8] ^= (uint8_t)(0x80 >> i % 8);
        if (i) qn_trie_put(trie, QN_SPAN(key, 72), QN_SPAN(key, 8));
    }
    CHECK(proof_len(trie, key) <= (COMB + 4) * step);
    for (unsigned i = 0; i < OTHERS; i++) {
        long_key(i, false, key);
        size_t now = proof_len(trie, key);
        CHECK(now <= before[i] + step);
    }
    qn_trie_free(trie);
    qn_trie_free(fair);
}

int main(void)
{
    TEST_BEGIN();
    TEST(test_order);
    TEST(test_root);
    TEST(test_proof);
    TEST(test_altered);
    TEST(test_chosen);
    return TEST_END();
}
