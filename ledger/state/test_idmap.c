/* test_idmap.c - against a trie that holds the same, with keys that begin alike. */
#include "core/base/test.h"

#include "core/crypto/hash.h"
#include "ledger/state/idmap.h"
#include "ledger/state/trie.h"

#include <string.h>

static struct qn_hash key_of(uint64_t n)
{
    struct qn_hash key = qn_h("test idmap", &n, sizeof n);
    if (n % 3 == 0) memset(key.b, 0, 12); /* somebody tried hard */
    return key;
}

static void test_model(struct qn_test_state *t)
{
    struct qn_idmap *map = qn_idmap_new(7);
    struct qn_trie *model = qn_trie_new();
    uint64_t dice = 1, got, want;
    for (unsigned i = 0; i < 60000; i++) {
        dice = dice * UINT64_C(6364136223846793005) + 1442695040888963407u;
        /* In waves, so that it grows and shrinks. */
        uint64_t n = (dice >> 33) % 3000;
        struct qn_hash key = key_of(n);
        struct qn_span k = QN_SPAN(key.b, 32), val;
        bool in = (i / 10000) % 2 == 0 ? (dice >> 20) % 4 != 0 : (dice >> 20) % 4 == 0;
        if (in) {
            qn_idmap_put(map, &key, i);
            want = i;
            qn_trie_put(model, k, QN_SPAN_OF(want));
        } else {
            CHECK(qn_idmap_del(map, &key) == qn_trie_del(model, k));
        }
        key = key_of((dice >> 10) % 3000);
        k = QN_SPAN(key.b, 32);
        bool has = qn_trie_get(model, k, &val);
        CHECK(qn_idmap_has(map, &key) == has);
        CHECK(qn_idmap_get(map, &key, &got) == has);
        if (has) {
            memcpy(&want, val.ptr, sizeof want);
            CHECK(got == want);
        }
        CHECK(qn_idmap_cnt(map) == qn_trie_cnt(model));
    }
    qn_idmap_free(map);
    qn_trie_free(model);
}

int main(void)
{
    TEST_BEGIN();
    TEST(test_model);
    return TEST_END();
}
