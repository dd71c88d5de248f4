/* test_recent.c - against a list of blocks and a map of their keys: as blocks come and go in waves, with keys that come again. */
#include "core/base/test.h"

#include "core/crypto/hash.h"
#include "ledger/state/recent.h"

#include <string.h>

enum { BLOCKS = 3999, KEYS = 3000 };

static struct qn_hash key_of(uint64_t n)
{
    struct qn_hash key = qn_h("test recent", &n, sizeof n);
    if (n % 3 == 0) memset(key.b, 0, 12); /* somebody tried hard */
    return key;
}

struct model {
    uint64_t in[KEYS]; /* the block that holds a key; 0: none */
    uint32_t of[BLOCKS + 1][24], cnt[BLOCKS + 1];
};

static void test_model(struct qn_test_state *t)
{
    static const size_t MOST[] = { 40, 400, 3, 0 }; /* blocks that stay, in turn */
    struct qn_recent *r = qn_recent_new(9);
    struct model *m = calloc(1, sizeof *m);
    uint64_t dice = 1, first = 1;
    size_t bytes_max = 0;
    QN_ASSERT(m != NULL);
    for (uint64_t h = 1; h <= BLOCKS; h++) {
        dice = dice * UINT64_C(6364136223846793005) + 1442695040888963407u;
        uint32_t cnt = (uint32_t)(dice >> 33) % 24, ids = cnt ? (uint32_t)(dice >> 40) % cnt : 0;
        qn_recent_block(r, h, 10 * h);
        for (uint32_t i = 0; i < cnt; i++) {
            dice = dice * UINT64_C(6364136223846793005) + 1442695040888963407u;
            uint32_t n = (uint32_t)(dice >> 33) % KEYS;
            struct qn_hash key = key_of(n);
            if (i < ids)
                qn_recent_id(r, &key);
            else
                qn_recent_slot(r, &key);
            m->in[n] = h;
            m->of[h][m->cnt[h]++] = n;
        }
        CHECK(qn_recent_at(r, qn_recent_cnt(r) - 1)->id_cnt == ids);
        while (h - first + 1 > MOST[h / 500 % QN_COUNT(MOST)]) {
            for (uint32_t i = 0; i < m->cnt[first]; i++)
                if (m->in[m->of[first][i]] == first) m->in[m->of[first][i]] = 0;
            qn_recent_drop(r);
            first++;
        }
        CHECK(qn_recent_cnt(r) == h - first + 1);
        bytes_max = QN_MAX(bytes_max, qn_recent_bytes(r));
        for (unsigned i = 0; i < 20; i++) {
            uint32_t n = (uint32_t)((dice >> 20) + i * 131) % KEYS;
            struct qn_hash key = key_of(n);
            const struct qn_recent_block *b = qn_recent_find(r, &key);
            CHECK((b ? b->height : 0) == m->in[n]);
            CHECK(!b || b->t_ms == 10 * b->height);
        }
        const struct qn_recent_block *last = qn_recent_at(r, qn_recent_cnt(r) - 1);
        for (uint32_t i = 0; last && last->height == h && i < last->key_cnt; i++) {
            struct qn_hash key = key_of(m->of[h][i]);
            CHECK(qn_hash_eq(qn_recent_key(r, last->first + i), &key));
        }
    }
    CHECK(qn_recent_cnt(r) == 0);
    CHECK(qn_recent_at(r, 0) == NULL);
    CHECK(qn_recent_bytes(r) < bytes_max / 8); /* what grew shrinks */
    qn_recent_free(r);
    free(m);
}

int main(void)
{
    TEST_BEGIN();
    TEST(test_model);
    return TEST_END();
}
