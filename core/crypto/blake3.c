/* blake3.c - the compression function, plain C. */
#include "core/crypto/blake3.h"

#include <string.h>

const uint32_t QN_B3_IV[8] = { 0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                               0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19 };

static uint32_t ror(uint32_t v, unsigned n)
{
    return v >> n | v << (32 - n);
}

/* Inlined by force: a call each costs as much as its work. */
static inline __attribute__((always_inline)) void quarter(uint32_t *s, int a, int b, int c, int d,
                                                          uint32_t x, uint32_t y)
{
    s[a] += s[b] + x;
    s[d] = ror(s[d] ^ s[a], 16);
    s[c] += s[d];
    s[b] = ror(s[b] ^ s[c], 12);
    s[a] += s[b] + y;
    s[d] = ror(s[d] ^ s[a], 8);
    s[c] += s[d];
    s[b] = ror(s[b] ^ s[c], 7);
}

void qn_b3_compress(const uint32_t cv[8], const uint8_t block[64], uint32_t len, uint64_t counter,
                    uint32_t flags, uint32_t ret[16])
{
    uint32_t m[16], s[16];
    memcpy(m, block, 64); /* little-endian machines only, asserted below */
    _Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "byte order");
    memcpy(s, cv, 32);
    memcpy(s + 8, QN_B3_IV, 16);
    s[12] = (uint32_t)counter;
    s[13] = (uint32_t)(counter >> 32);
    s[14] = len;
    s[15] = flags;
#pragma GCC unroll 7
    for (int r = 0; r < 7; r++) {
        const uint8_t *o = QN_B3_ORDER[r];
        quarter(s, 0, 4, 8, 12, m[o[0]], m[o[1]]);
        quarter(s, 1, 5, 9, 13, m[o[2]], m[o[3]]);
        quarter(s, 2, 6, 10, 14, m[o[4]], m[o[5]]);
        quarter(s, 3, 7, 11, 15, m[o[6]], m[o[7]]);
        quarter(s, 0, 5, 10, 15, m[o[8]], m[o[9]]);
        quarter(s, 1, 6, 11, 12, m[o[10]], m[o[11]]);
        quarter(s, 2, 7, 8, 13, m[o[12]], m[o[13]]);
        quarter(s, 3, 4, 9, 14, m[o[14]], m[o[15]]);
    }
    for (int i = 0; i < 8; i++) {
        ret[i] = s[i] ^ s[i + 8];
        ret[i + 8] = s[i + 8] ^ cv[i];
    }
}
