/* hash_many.c - many one-chunk inputs of equal length, one a vector lane: whole hashes, the chunks of one long input, the
 * parents of one level of a tree.
 *
 * The limit: 7 rounds x 8 quarters x 14 operations = 784 vector operations a 64-byte block for 16 lanes, plus the
 * transposition of the message; at two a cycle about 25 cycles a block, 0.4 cycles a byte. */
#include "core/crypto/hash.h"

#include "core/crypto/blake3.h"

#include <string.h>

#define FEW       4  /* fewer cost less one by one than lanes of which most stay empty */
#define LANES_MAX 16 /* lanes of a call below, whatever the width of a vector */

/* What the lanes have in common. Lane l has counter + l * step. */
struct job {
    const uint32_t *key;
    uint32_t flags, start, end; /* of every block, the first, the last */
    uint64_t counter, step;
};

#ifdef __x86_64__
#define LANES 16
#include "core/crypto/blake3_lanes.h"
#define LANES 8
#include "core/crypto/blake3_lanes.h"

__attribute__((target("avx512f,avx512vl"))) static void lanes_avx512(const struct job *job,
                                                                     const uint8_t *src,
                                                                     size_t stride, size_t len,
                                                                     struct qn_hash *ret)
{
    lanes16(job, src, stride, len, ret);
}

/* Half as many in half vectors cost half: the upper levels of a group. */
__attribute__((target("avx512f,avx512vl"))) static void lanes_avx512_8(const struct job *job,
                                                                       const uint8_t *src,
                                                                       size_t stride, size_t len,
                                                                       struct qn_hash *ret)
{
    lanes8(job, src, stride, len, ret);
}

__attribute__((target("avx2"))) static void lanes_avx2(const struct job *job, const uint8_t *src,
                                                       size_t stride, size_t len,
                                                       struct qn_hash *ret)
{
    lanes8(job, src, stride, len, ret);
}
#endif

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
        for (; i + 16 <= cnt; i += 16, job.counter = first + i * job.step)
            lanes_avx512(&job, src + i * stride, stride, len, ret + i);
        for (; i + 8 <= cnt; i += 8, job.counter = first + i * job.step)
            lanes_avx512_8(&job, src + i * stride, stride, len, ret + i);
    } else if (__builtin_cpu_supports("avx2")) {
        for (; i + 8 <= cnt; i += 8, job.counter = first + i * job.step)
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

static size_t lanes_for(size_t rest)
{
    return rest > 8 ? 16 : 8;
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
    size_t whole = cnt / LANES_MAX * LANES_MAX, rest = cnt - whole;
    many(job, in, 1024, 1024, whole, ret);
    job.counter += whole;
    in += whole * 1024;
    if (rest < FEW) {
        many(job, in, 1024, 1024, rest, ret + whole);
        return;
    }
    uint8_t wide[LANES_MAX * 1024]; /* what lies in the empty lanes does not matter */
    struct qn_hash out[LANES_MAX];
    memcpy(wide, in, rest * 1024);
    memset(wide + rest * 1024, 0, sizeof wide - rest * 1024);
    many(job, wide, 1024, 1024, lanes_for(rest), out);
    memcpy(ret + whole, out, rest * sizeof *out);
}

void qn_b3_parents(const uint32_t key[8], uint32_t flags, const struct qn_hash *src, size_t cnt,
                   struct qn_hash *ret)
{
    struct job job = { .key = key, .flags = flags | QN_B3_PARENT };
    size_t whole = cnt / LANES_MAX * LANES_MAX, rest = cnt - whole;
    many(job, src->b, 64, 64, whole, ret);
    if (rest < FEW) {
        many(job, src[2 * whole].b, 64, 64, rest, ret + whole);
        return;
    }
    struct qn_hash in[2 * LANES_MAX], out[LANES_MAX];
    memset(in, 0, sizeof in);
    memcpy(in, src + 2 * whole, 2 * rest * sizeof *in);
    many(job, in->b, 64, 64, lanes_for(rest), out);
    memcpy(ret + whole, out, rest * sizeof *out);
}
