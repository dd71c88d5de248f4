/* hash_many.c - many one-chunk inputs of equal length, one a vector lane: whole hashes, the chunks of one long input, the
 * parents of one level of a tree.
 *
 * The limit: 7 rounds x 8 quarters x 14 operations = 784 vector operations a 64-byte block for 16 lanes, plus the
 * transposition of the message; at two a cycle about 25 cycles a block, 0.4 cycles a byte. */
#include "core/crypto/hash.h"

#include "core/crypto/blake3.h"

#include <string.h>

#define LANES 16
#define FEW   4 /* fewer cost less one by one than lanes of which most stay empty */
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

/* What the lanes have in common. Lane l has counter + l * step. */
struct job {
    const uint32_t *key;
    uint32_t flags, start, end; /* of every block, the first, the last */
    uint64_t counter, step;
};

/* One step of a 16 x 16 transposition: lanes whose number has bit S change place between rows a and b. */
#define PICK(j, S)   ((j) & (S) ? 16 + (j) - (S) : (j))
#define PICK_B(j, S) ((j) & (S) ? 16 + (j) : (j) + (S))
#define ALL(P, S)                                                                                  \
    P(0, S), P(1, S), P(2, S), P(3, S), P(4, S), P(5, S), P(6, S), P(7, S), P(8, S), P(9, S),      \
        P(10, S), P(11, S), P(12, S), P(13, S), P(14, S), P(15, S)
#define SWAP(S)                                                                                    \
    for (int i = 0; i < 16; i++) {                                                                 \
        if (i & (S)) continue;                                                                     \
        vec a = m[i], b = m[i + (S)];                                                              \
        m[i] = __builtin_shufflevector(a, b, ALL(PICK, S));                                        \
        m[i + (S)] = __builtin_shufflevector(a, b, ALL(PICK_B, S));                                \
    }

static inline __attribute__((always_inline)) void transpose(vec m[16])
{
    SWAP(8)
    SWAP(4)
    SWAP(2)
    SWAP(1)
}

/* Hashes LANES inputs of len bytes each into ret. */
static inline __attribute__((always_inline)) void
lanes(const struct job *job, const uint8_t *src, size_t stride, size_t len, struct qn_hash *ret)
{
    static const uint32_t NUMBER[LANES] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 };
    vec cv[8], low, high;
    for (int i = 0; i < 8; i++)
        cv[i] = (vec){ 0 } + job->key[i];
    memcpy(&low, NUMBER, sizeof low);
    low = low * (uint32_t)job->step + (uint32_t)job->counter;
    /* A lane whose low word passed 2^32 is below where the first began. */
    high = (vec)(low < (uint32_t)job->counter) & 1;
    high += (uint32_t)(job->counter >> 32);
    size_t blocks = len ? (len + 63) / 64 : 1;
    for (size_t b = 0; b < blocks; b++) {
        size_t n = QN_MIN((size_t)64, len - b * 64);
        vec m[16], s[16];
        for (size_t l = 0; l < LANES; l++) {
            if (n < 64) m[l] = (vec){ 0 };
            if (n) memcpy(&m[l], src + l * stride + b * 64, n);
        }
        transpose(m);
        uint32_t f = job->flags | (b == 0 ? job->start : 0u) | (b + 1 == blocks ? job->end : 0u);
        for (int i = 0; i < 8; i++)
            s[i] = cv[i];
        for (int i = 0; i < 4; i++)
            s[8 + i] = (vec){ 0 } + QN_B3_IV[i];
        s[12] = low;
        s[13] = high;
        s[14] = (vec){ 0 } + (uint32_t)n;
        s[15] = (vec){ 0 } + f;
#pragma GCC unroll 7
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
    vec out[16];
    for (int i = 0; i < 16; i++)
        out[i] = i < 8 ? cv[i] : (vec){ 0 };
    transpose(out);
    for (size_t l = 0; l < LANES; l++)
        memcpy(ret[l].b, &out[l], sizeof ret[l].b);
}

__attribute__((target("avx512f,avx512vl"))) static void lanes_avx512(const struct job *job,
                                                                     const uint8_t *src,
                                                                     size_t stride, size_t len,
                                                                     struct qn_hash *ret)
{
    lanes(job, src, stride, len, ret);
}

__attribute__((target("avx2"))) static void lanes_avx2(const struct job *job, const uint8_t *src,
                                                       size_t stride, size_t len,
                                                       struct qn_hash *ret)
{
    lanes(job, src, stride, len, ret);
}

static void one(const struct job *job, const uint8_t *src, size_t len, struct qn_hash *ret)
{
    uint32_t cv[8], full[16];
    memcpy(cv, job->key, sizeof cv);
    size_t blocks = len ? (len + 63) / 64 : 1;
    for (size_t b = 0; b < blocks; b++) {
        uint8_t block[64] = { 0 };
        size_t n = QN_MIN((size_t)64, len - b * 64);
        if (n) memcpy(block, src + b * 64, n);
        uint32_t f = job->flags | (b == 0 ? job->start : 0u) | (b + 1 == blocks ? job->end : 0u);
        qn_b3_compress(cv, block, (uint32_t)n, job->counter, f, full);
        memcpy(cv, full, sizeof cv);
    }
    memcpy(ret->b, cv, sizeof cv);
}

static void many(struct job job, const uint8_t *src, size_t stride, size_t len, size_t cnt,
                 struct qn_hash *ret)
{
    QN_ASSERT(len <= 1024);
    size_t i = 0;
    uint64_t first = job.counter;
#ifdef __x86_64__
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl")) {
        for (; i + LANES <= cnt; i += LANES, job.counter = first + i * job.step)
            lanes_avx512(&job, src + i * stride, stride, len, ret + i);
    } else if (__builtin_cpu_supports("avx2")) {
        for (; i + LANES <= cnt; i += LANES, job.counter = first + i * job.step)
            lanes_avx2(&job, src + i * stride, stride, len, ret + i);
    }
#endif
    for (; i < cnt; i++, job.counter += job.step)
        one(&job, src + i * stride, len, ret + i);
}

void qn_blake3_many(const void *src, size_t stride, size_t len, size_t cnt, struct qn_hash *ret)
{
    many((struct job){ .key = QN_B3_IV,
                       .start = QN_B3_CHUNK_START,
                       .end = QN_B3_CHUNK_END | QN_B3_ROOT },
         src, stride, len, cnt, ret);
}

void qn_h_many(const char *label, const void *src, size_t stride, size_t len, size_t cnt,
               struct qn_hash *ret)
{
    uint32_t key[8];
    struct qn_hasher h;
    qn_hasher_label(&h, label);
    qn_hasher_key(&h, key);
    many((struct job){ .key = key,
                       .flags = QN_B3_MATERIAL,
                       .start = QN_B3_CHUNK_START,
                       .end = QN_B3_CHUNK_END | QN_B3_ROOT },
         src, stride, len, cnt, ret);
}

void qn_b3_chunks(const uint32_t key[8], uint32_t flags, const void *src, uint64_t first,
                  size_t cnt, struct qn_hash *ret)
{
    struct job job = { .key = key,
                       .flags = flags,
                       .start = QN_B3_CHUNK_START,
                       .end = QN_B3_CHUNK_END,
                       .counter = first,
                       .step = 1 };
    const uint8_t *in = src;
    size_t whole = cnt / LANES * LANES, rest = cnt - whole;
    many(job, in, 1024, 1024, whole, ret);
    job.counter += whole;
    in += whole * 1024;
    if (rest < FEW) {
        many(job, in, 1024, 1024, rest, ret + whole);
        return;
    }
    uint8_t wide[LANES * 1024]; /* what lies in the empty lanes does not matter */
    struct qn_hash out[LANES];
    memcpy(wide, in, rest * 1024);
    memset(wide + rest * 1024, 0, sizeof wide - rest * 1024);
    many(job, wide, 1024, 1024, LANES, out);
    memcpy(ret + whole, out, rest * sizeof *out);
}

void qn_b3_parents(const uint32_t key[8], uint32_t flags, const struct qn_hash *src, size_t cnt,
                   struct qn_hash *ret)
{
    struct job job = { .key = key, .flags = flags | QN_B3_PARENT };
    size_t whole = cnt / LANES * LANES, rest = cnt - whole;
    many(job, src->b, 64, 64, whole, ret);
    if (rest < FEW) {
        many(job, src[2 * whole].b, 64, 64, rest, ret + whole);
        return;
    }
    struct qn_hash in[2 * LANES], out[LANES];
    memset(in, 0, sizeof in);
    memcpy(in, src + 2 * whole, 2 * rest * sizeof *in);
    many(job, in->b, 64, 64, LANES, out);
    memcpy(ret + whole, out, rest * sizeof *out);
}
