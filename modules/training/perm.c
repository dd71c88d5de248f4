/* perm.c - Feistel on Philox. */
#include "modules/training/perm.h"

#include <string.h>

#define ROUNDS 6

void perm_philox(const uint32_t ctr[4], const uint32_t key[2], uint32_t ret[4])
{
    uint32_t c0 = ctr[0], c1 = ctr[1], c2 = ctr[2], c3 = ctr[3], k0 = key[0], k1 = key[1];
    for (int r = 0; r < 10; r++) {
        uint64_t p = (uint64_t)0xd2511f53 * c0, q = (uint64_t)0xcd9e8d57 * c2;
        c0 = (uint32_t)(q >> 32) ^ c1 ^ k0;
        c1 = (uint32_t)q;
        c2 = (uint32_t)(p >> 32) ^ c3 ^ k1;
        c3 = (uint32_t)p;
        k0 += 0x9e3779b9;
        k1 += 0xbb67ae85;
    }
    ret[0] = c0;
    ret[1] = c1;
    ret[2] = c2;
    ret[3] = c3;
}

static uint32_t half_bits(uint64_t cnt)
{
    uint32_t bits = 0;
    while (bits < 64 && (UINT64_C(1) << bits) < cnt)
        bits++;
    return QN_MAX((bits + 1) / 2, 1u);
}

uint64_t perm_index(const struct qn_hash *seed, uint64_t epoch, uint64_t cnt, uint64_t idx)
{
    QN_ASSERT(idx < cnt && cnt <= UINT64_C(1) << 62);
    uint32_t half = half_bits(cnt), mask = half == 32 ? UINT32_MAX : (UINT32_C(1) << half) - 1;
    uint32_t key[2], out[4], salt;
    memcpy(key, seed->b, 8);
    memcpy(&salt, seed->b + 8, 4);
    do {
        uint32_t l = (uint32_t)(idx >> half) & mask, r = (uint32_t)idx & mask;
        for (uint32_t round = 0; round < ROUNDS; round++) {
            const uint32_t ctr[4] = { r, (uint32_t)epoch, (uint32_t)(epoch >> 32) ^ salt, round };
            perm_philox(ctr, key, out);
            uint32_t next = l ^ (out[0] & mask);
            l = r;
            r = next;
        }
        idx = (uint64_t)l << half | r;
    } while (idx >= cnt);
    return idx;
}

uint64_t perm_record(const struct qn_hash *seed, uint64_t cnt, uint32_t batch, uint64_t step,
                     uint32_t slot)
{
    uint64_t g = step * batch + slot;
    return perm_index(seed, g / cnt, cnt, g % cnt);
}
