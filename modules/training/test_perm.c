/* test_perm.c - known answers of Philox, and that each epoch visits every record once. */
#include "core/base/test.h"
#include "core/crypto/hash.h"
#include "modules/training/perm.h"

#include <stdlib.h>

/* Random123's kat_vectors, philox4x32 10. */
static void test_philox(struct qn_test_state *t)
{
    static const struct {
        uint32_t ctr[4], key[2], want[4];
    } KAT[] = {
        { { 0, 0, 0, 0 }, { 0, 0 }, { 0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8 } },
        { { 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff },
          { 0xffffffff, 0xffffffff },
          { 0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd } },
        { { 0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344 },
          { 0xa4093822, 0x299f31d0 },
          { 0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1 } },
    };
    for (size_t i = 0; i < QN_COUNT(KAT); i++) {
        uint32_t got[4];
        perm_philox(KAT[i].ctr, KAT[i].key, got);
        CHECK(memcmp(got, KAT[i].want, sizeof got) == 0);
    }
}

static void test_permutes(struct qn_test_state *t)
{
    const uint64_t cnts[] = { 1, 2, 3, 5, 64, 100, 4095, 4097, 60000 };
    struct qn_hash seed = qn_blake3("seed", 4), other = qn_blake3("tree", 4);
    for (size_t c = 0; c < QN_COUNT(cnts); c++) {
        uint8_t *seen = calloc(1, cnts[c]);
        uint64_t same_epoch = 0, same_seed = 0, cnt = 0;
        for (uint64_t i = 0; i < cnts[c]; i++) {
            uint64_t at = perm_index(&seed, 3, cnts[c], i);
            CHECK(at < cnts[c]);
            if (at < cnts[c] && !seen[at]++) cnt++;
            same_epoch += at == perm_index(&seed, 4, cnts[c], i);
            same_seed += at == perm_index(&other, 3, cnts[c], i);
        }
        CHECK(cnt == cnts[c]);
        if (cnts[c] > 50) CHECK(same_epoch < 20 && same_seed < 20); /* two orders meet about once */
        free(seen);
    }
}

static void test_epochs(struct qn_test_state *t)
{
    struct qn_hash seed = qn_blake3("seed", 4);
    /* 7 records, batches of 3: step 2 has slot 0 as the last of epoch 0, the others begin epoch 1 */
    CHECK(perm_record(&seed, 7, 3, 2, 0) == perm_index(&seed, 0, 7, 6));
    CHECK(perm_record(&seed, 7, 3, 2, 1) == perm_index(&seed, 1, 7, 0));
}

int main(void)
{
    TEST_BEGIN();
    TEST(test_philox);
    TEST(test_permutes);
    TEST(test_epochs);
    return TEST_END();
}
