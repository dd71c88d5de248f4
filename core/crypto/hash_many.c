/* hash_many.c - many one-chunk inputs of equal length, one a vector lane.
 *
 * The limit: 7 rounds x 8 quarters x 14 operations = 784 vector operations a 64-byte block for 16 lanes, plus the
 * transposition of the message; at two a cycle about 25 cycles a block, 0.4 cycles a byte. */
#include "core/crypto/hash.h"

#include "core/crypto/blake3.h"

#include <string.h>

#define LANES 16
typedef uint32_t vec __attribute__((vector_size(4 * LANES)));

/* Macros, since vectors wider than the baseline may not be passed by value. */
#define ROR(v, n) ((v) >> (n) | (v) << (32 - (n)))

static inline __attribute__((always_inline)) void quarter(vec *s, int a, int b, int c, int d,
                                                          const vec *x, const vec *y)
{
    s[a] += s[b] + *x;
    s[d] = ROR(s[d] ^ s[a], 16);
    s[c] += s[d];
    s[b] = ROR(s[b] ^ s[c], 12);
    s[a] += s[b] + *y;
    s[d] = ROR(s[d] ^ s[a], 8);
    s[c] += s[d];
    s[b] = ROR(s[b] ^ s[c], 7);
}

/* Hashes LANES inputs of len bytes each into ret. */
static inline __attribute__((always_inline)) void lanes(const uint32_t key[8], uint32_t flags,
                                                        const uint8_t *src, size_t stride,
                                                        size_t len, struct qn_hash *ret)
{
    vec cv[8];
    for (int i = 0; i < 8; i++)
        cv[i] = (vec){ 0 } + key[i];
    size_t blocks = len ? (len + 63) / 64 : 1;
    for (size_t b = 0; b < blocks; b++) {
        uint32_t words[16][LANES] __attribute__((aligned(64)));
        size_t n = QN_MIN((size_t)64, len - b * 64);
        for (size_t l = 0; l < LANES; l++) {
            uint32_t m[16] = { 0 };
            if (n) memcpy(m, src + l * stride + b * 64, n);
            for (int w = 0; w < 16; w++)
                words[w][l] = m[w];
        }
        vec m[16], s[16];
        memcpy(m, words, sizeof m);
        uint32_t f = flags | (b == 0 ? QN_B3_CHUNK_START : 0u) |
                     (b + 1 == blocks ? QN_B3_CHUNK_END | QN_B3_ROOT : 0u);
        for (int i = 0; i < 8; i++)
            s[i] = cv[i];
        for (int i = 0; i < 4; i++)
            s[8 + i] = (vec){ 0 } + QN_B3_IV[i];
        s[12] = s[13] = (vec){ 0 };
        s[14] = (vec){ 0 } + (uint32_t)n;
        s[15] = (vec){ 0 } + f;
        for (int r = 0; r < 7; r++) {
            const uint8_t *o = QN_B3_ORDER[r];
            quarter(s, 0, 4, 8, 12, &m[o[0]], &m[o[1]]);
            quarter(s, 1, 5, 9, 13, &m[o[2]], &m[o[3]]);
            quarter(s, 2, 6, 10, 14, &m[o[4]], &m[o[5]]);
            quarter(s, 3, 7, 11, 15, &m[o[6]], &m[o[7]]);
            quarter(s, 0, 5, 10, 15, &m[o[8]], &m[o[9]]);
            quarter(s, 1, 6, 11, 12, &m[o[10]], &m[o[11]]);
            quarter(s, 2, 7, 8, 13, &m[o[12]], &m[o[13]]);
            quarter(s, 3, 4, 9, 14, &m[o[14]], &m[o[15]]);
        }
        for (int i = 0; i < 8; i++)
            cv[i] = s[i] ^ s[i + 8];
    }
    for (int i = 0; i < 8; i++)
        for (size_t l = 0; l < LANES; l++) {
            uint32_t w = cv[i][l];
            memcpy(ret[l].b + 4 * i, &w, 4);
        }
}

__attribute__((target("avx512f,avx512vl"))) static void
lanes_avx512(const uint32_t key[8], uint32_t flags, const uint8_t *src, size_t stride, size_t len,
             struct qn_hash *ret)
{
    lanes(key, flags, src, stride, len, ret);
}

__attribute__((target("avx2"))) static void lanes_avx2(const uint32_t key[8], uint32_t flags,
                                                       const uint8_t *src, size_t stride,
                                                       size_t len, struct qn_hash *ret)
{
    lanes(key, flags, src, stride, len, ret);
}

static void one(const uint32_t key[8], uint32_t flags, const uint8_t *src, size_t len,
                struct qn_hash *ret)
{
    uint32_t cv[8], full[16];
    memcpy(cv, key, sizeof cv);
    size_t blocks = len ? (len + 63) / 64 : 1;
    for (size_t b = 0; b < blocks; b++) {
        uint8_t block[64] = { 0 };
        size_t n = QN_MIN((size_t)64, len - b * 64);
        if (n) memcpy(block, src + b * 64, n);
        uint32_t f = flags | (b == 0 ? QN_B3_CHUNK_START : 0u) |
                     (b + 1 == blocks ? QN_B3_CHUNK_END | QN_B3_ROOT : 0u);
        qn_b3_compress(cv, block, (uint32_t)n, 0, f, full);
        memcpy(cv, full, sizeof cv);
    }
    memcpy(ret->b, cv, sizeof cv);
}

static void many(const uint32_t key[8], uint32_t flags, const uint8_t *src, size_t stride,
                 size_t len, size_t cnt, struct qn_hash *ret)
{
    QN_ASSERT(len <= 1024);
    size_t i = 0;
#ifdef __x86_64__
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl")) {
        for (; i + LANES <= cnt; i += LANES)
            lanes_avx512(key, flags, src + i * stride, stride, len, ret + i);
    } else if (__builtin_cpu_supports("avx2")) {
        for (; i + LANES <= cnt; i += LANES)
            lanes_avx2(key, flags, src + i * stride, stride, len, ret + i);
    }
#endif
    for (; i < cnt; i++)
        one(key, flags, src + i * stride, len, ret + i);
}

void qn_blake3_many(const void *src, size_t stride, size_t len, size_t cnt, struct qn_hash *ret)
{
    many(QN_B3_IV, 0, src, stride, len, cnt, ret);
}

void qn_h_many(const char *label, const void *src, size_t stride, size_t len, size_t cnt,
               struct qn_hash *ret)
{
    uint32_t key[8];
    struct qn_hasher h;
    qn_hasher_label(&h, label);
    qn_hasher_key(&h, key);
    many(key, QN_B3_MATERIAL, src, stride, len, cnt, ret);
}
