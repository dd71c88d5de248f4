/* test_trie.c - against a sorted array: order, root by content alone, proofs and every altered byte of one. */
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

static void test_proof(struct qn_test_state *t)
{
    struct qn_trie *trie = qn_trie_new();
    struct qn_buf proof = { 0 };
    struct qn_hash root, value;
    uint8_t key[8];
    bool present;
    qn_trie_prove(trie, QN_SPAN("x", 1), &proof);
    root = qn_trie_root(trie);
    CHECK_RC(qn_trie_check(&root, QN_SPAN("x", 1), qn_buf_get(&proof), &present, &value), QN_OK);
    CHECK(!present);
    for (unsigned i = 0; i < KEYS; i++) {
        key_of(i, key);
        qn_trie_put(trie, QN_SPAN(key, 8), QN_SPAN(&i, sizeof i));
    }
    root = qn_trie_root(trie);
    for (unsigned i = 0; i < 2 * KEYS; i++) {
        key_of(i, key);
        qn_buf_clear(&proof);
        qn_trie_prove(trie, QN_SPAN(key, 8), &proof);
        CHECK_RC(qn_trie_check(&root, QN_SPAN(key, 8), qn_buf_get(&proof), &present, &value),
                 QN_OK);
        CHECK(present == (i < KEYS));
        struct qn_hash want = qn_h("value", &i, sizeof i);
        if (present) CHECK(qn_hash_eq(&want, &value));
    }
    for (unsigned i = 0; i < 20; i++) {
        key_of(i, key);
        qn_buf_clear(&proof);
        qn_trie_prove(trie, QN_SPAN(key, 8), &proof);
        for (size_t at = 0; at < proof.len; at++) {
            proof.ptr[at] ^= 1 << i % 8;
            CHECK(qn_trie_check(&root, QN_SPAN(key, 8), qn_buf_get(&proof), &present, &value) !=
                  QN_OK);
            proof.ptr[at] ^= 1 << i % 8;
            CHECK(qn_trie_check(&root, QN_SPAN(key, 8), QN_SPAN(proof.ptr, at), &present, &value) !=
                  QN_OK);
        }
    }
    qn_buf_free(&proof);
    qn_trie_free(trie);
}

int main(void)
{
    TEST_BEGIN();
    TEST(test_order);
    TEST(test_root);
    TEST(test_proof);
    return TEST_END();
}
