/* sha512x8.h - SHA-512 of eight inputs at once, a lane each; FIPS 180-4. */
#ifndef QN_CORE_CRYPTO_SHA512X8_H
#define QN_CORE_CRYPTO_SHA512X8_H

#include "core/base/span.h"
#include "core/crypto/fe8.h"

static const uint64_t SHA512X8_K[80] = {
    0x428a2f98d728ae22, 0x7137449123ef65cd, 0xb5c0fbcfec4d3b2f, 0xe9b5dba58189dbbc,
    0x3956c25bf348b538, 0x59f111f1b605d019, 0x923f82a4af194f9b, 0xab1c5ed5da6d8118,
    0xd807aa98a3030242, 0x12835b0145706fbe, 0x243185be4ee4b28c, 0x550c7dc3d5ffb4e2,
    0x72be5d74f27b896f, 0x80deb1fe3b1696b1, 0x9bdc06a725c71235, 0xc19bf174cf692694,
    0xe49b69c19ef14ad2, 0xefbe4786384f25e3, 0x0fc19dc68b8cd5b5, 0x240ca1cc77ac9c65,
    0x2de92c6f592b0275, 0x4a7484aa6ea6e483, 0x5cb0a9dcbd41fbd4, 0x76f988da831153b5,
    0x983e5152ee66dfab, 0xa831c66d2db43210, 0xb00327c898fb213f, 0xbf597fc7beef0ee4,
    0xc6e00bf33da88fc2, 0xd5a79147930aa725, 0x06ca6351e003826f, 0x142929670a0e6e70,
    0x27b70a8546d22ffc, 0x2e1b21385c26c926, 0x4d2c6dfc5ac42aed, 0x53380d139d95b3df,
    0x650a73548baf63de, 0x766a0abb3c77b2a8, 0x81c2c92e47edaee6, 0x92722c851482353b,
    0xa2bfe8a14cf10364, 0xa81a664bbc423001, 0xc24b8b70d0f89791, 0xc76c51a30654be30,
    0xd192e819d6ef5218, 0xd69906245565a910, 0xf40e35855771202a, 0x106aa07032bbd1b8,
    0x19a4c116b8d2d0c8, 0x1e376c085141ab53, 0x2748774cdf8eeb99, 0x34b0bcb5e19b48a8,
    0x391c0cb3c5c95a63, 0x4ed8aa4ae3418acb, 0x5b9cca4f7763e373, 0x682e6ff3d6b2b8a3,
    0x748f82ee5defb2fc, 0x78a5636f43172f60, 0x84c87814a1f0ab72, 0x8cc702081a6439ec,
    0x90befffa23631e28, 0xa4506cebde82bde9, 0xbef9a3f7b2c67915, 0xc67178f2e372532b,
    0xca273eceea26619c, 0xd186b8c721c0c207, 0xeada7dd6cde0eb1e, 0xf57d4f7fee6ed178,
    0x06f067aa72176fba, 0x0a637dc5a2c898a6, 0x113f9804bef90dae, 0x1b710b35131c471b,
    0x28db77f523047d84, 0x32caab7b40c72493, 0x3c9ebe0a15c9bebc, 0x431d67c49c100d4c,
    0x4cc5d4becb3e42b6, 0x597f299cfc657e2a, 0x5fcb6fab3ad6faec, 0x6c44198c4a475817,
};

/* An input: what follows each other, borrowed; a part may be empty. */
struct sha512x8_input {
    struct qn_span part[3];
};

#define SHA512X8_ROR(x, n) ((fe8_vec)_mm512_ror_epi64((__m512i)(x), n))
#define SHA512X8_3(x, y, z, table)                                                                 \
    ((fe8_vec)_mm512_ternarylogic_epi64((__m512i)(x), (__m512i)(y), (__m512i)(z), table))
#define SHA512X8_XOR(x, y, z) SHA512X8_3(x, y, z, 0x96)

/* The next blocks of all lanes; the sums of those in `mask` go on. */
FE8_CALL void sha512x8_block(fe8_vec sum[8], uint8_t block[8][128], __mmask8 mask)
{
    uint64_t words[16][8];
    fe8_vec w[16], s[8];
    for (int l = 0; l < 8; l++)
        for (int i = 0; i < 16; i++) {
            memcpy(&words[i][l], &block[l][8 * i], 8);
            words[i][l] = __builtin_bswap64(words[i][l]);
        }
    memcpy(w, words, sizeof w);
    memcpy(s, sum, sizeof s);
    for (int r = 0; r < 80; r += 16) {
#pragma GCC unroll 16
        for (int i = 0; i < 16; i++) {
            fe8_vec t, u, e = s[(20 - i) & 7], a = s[(16 - i) & 7];
            if (r) {
                fe8_vec x = w[(i + 1) & 15], y = w[(i + 14) & 15];
                w[i] += w[(i + 9) & 15] +
                        SHA512X8_XOR(SHA512X8_ROR(x, 1), SHA512X8_ROR(x, 8), x >> 7) +
                        SHA512X8_XOR(SHA512X8_ROR(y, 19), SHA512X8_ROR(y, 61), y >> 6);
            }
            t = s[(23 - i) & 7] + SHA512X8_K[r + i] + w[i] +
                SHA512X8_XOR(SHA512X8_ROR(e, 14), SHA512X8_ROR(e, 18), SHA512X8_ROR(e, 41)) +
                SHA512X8_3(e, s[(21 - i) & 7], s[(22 - i) & 7], 0xca); /* e ? f : g */
            u = SHA512X8_XOR(SHA512X8_ROR(a, 28), SHA512X8_ROR(a, 34), SHA512X8_ROR(a, 39)) +
                SHA512X8_3(a, s[(17 - i) & 7], s[(18 - i) & 7], 0xe8); /* what two of them say */
            s[(19 - i) & 7] += t;
            s[(23 - i) & 7] = t + u;
        }
    }
    for (int i = 0; i < 8; i++)
        sum[i] =
            (fe8_vec)_mm512_mask_add_epi64((__m512i)sum[i], mask, (__m512i)sum[i], (__m512i)s[i]);
}

static inline size_t sha512x8_len(const struct sha512x8_input *in)
{
    return in->part[0].len + in->part[1].len + in->part[2].len;
}

/* Block b of an input of len bytes, with the padding that falls into it. */
static inline void sha512x8_fill(uint8_t block[128], const struct sha512x8_input *in, size_t len,
                                 size_t b)
{
    size_t from = b * 128, begin = 0;
    memset(block, 0, 128);
    for (int i = 0; i < 3; begin += in->part[i++].len) {
        size_t end = begin + in->part[i].len;
        size_t at = QN_MAX(from, begin), to = QN_MIN(from + 128, end);
        if (to > at) memcpy(block + (at - from), in->part[i].ptr + (at - begin), to - at);
    }
    if (len >= from && len < from + 128) block[len - from] = 0x80;
    if (from + 128 >= len + 17) { /* the last: the length in bits */
        uint64_t bits[2] = { __builtin_bswap64((uint64_t)len >> 61),
                             __builtin_bswap64((uint64_t)len << 3) };
        memcpy(block + 112, bits, 16);
    }
}

FE8_CALL void sha512x8(const struct sha512x8_input in[8], uint8_t ret[8][64])
{
    static const uint64_t BEGIN[8] = {
        0x6a09e667f3bcc908, 0xbb67ae8584caa73b, 0x3c6ef372fe94f82b, 0xa54ff53a5f1d36f1,
        0x510e527fade682d1, 0x9b05688c2b3e6c1f, 0x1f83d9abfb41bd6b, 0x5be0cd19137e2179,
    };
    uint8_t block[8][128];
    uint64_t words[8][8];
    fe8_vec sum[8];
    size_t len[8], most = 0;
    for (int i = 0; i < 8; i++) {
        sum[i] = FE8_ALL(BEGIN[i]);
        len[i] = sha512x8_len(&in[i]);
        most = QN_MAX(most, len[i]);
    }
    for (size_t b = 0; b * 128 < most + 17; b++) {
        __mmask8 mask = 0;
        for (int l = 0; l < 8; l++) {
            bool more = b * 128 < len[l] + 17;
            mask |= (__mmask8)(more << l);
            if (more) sha512x8_fill(block[l], &in[l], len[l], b);
        }
        sha512x8_block(sum, block, mask);
    }
    memcpy(words, sum, sizeof words);
    for (int l = 0; l < 8; l++)
        for (int i = 0; i < 8; i++) {
            uint64_t be = __builtin_bswap64(words[i][l]);
            memcpy(&ret[l][8 * i], &be, 8);
        }
}

#endif
