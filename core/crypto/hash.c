/* hash.c - BLAKE3 on one stream: chunk states, the tree, the modes. Many equal inputs side by side: hash_many.c. */
#include "core/crypto/hash.h"

#include "core/crypto/blake3.h"
#include "core/crypto/hash_label.h"

#include <string.h>

/* What lies in struct qn_hasher. Chaining values of complete subtrees wait on a stack, at most one a level. */
struct hasher {
    uint32_t key[8], cv[8];
    uint32_t flags;
    uint32_t block_len, blocks; /* bytes in block; blocks of the chunk already compressed */
    uint64_t chunk;
    uint8_t block[64];
    uint32_t stack[54][8];
    uint32_t stack_cnt;
};
_Static_assert(sizeof(struct hasher) <= sizeof(struct qn_hasher), "hasher outgrew its header");

static struct hasher *inner(struct qn_hasher *h)
{
    return (struct hasher *)(void *)h->state;
}

static const struct hasher *inner_const(const struct qn_hasher *h)
{
    return (const struct hasher *)(const void *)h->state;
}

static void init(struct hasher *h, const uint32_t key[8], uint32_t flags)
{
    memcpy(h->key, key, sizeof h->key);
    memcpy(h->cv, key, sizeof h->cv);
    h->flags = flags;
    h->block_len = h->blocks = h->stack_cnt =
        0; /* block and stack are written before they are read */
    h->chunk = 0;
}

/* The last, maybe partial, compression of a subtree: its inputs, so that it may still become the root. */
struct output {
    uint32_t cv[8];
    uint8_t block[64];
    uint64_t counter;
    uint32_t block_len, flags;
};

static uint32_t start_flag(const struct hasher *h)
{
    return h->blocks == 0 ? QN_B3_CHUNK_START : 0;
}

static struct output chunk_output(const struct hasher *h)
{
    struct output out = { .counter = h->chunk,
                          .block_len = h->block_len,
                          .flags = h->flags | start_flag(h) | QN_B3_CHUNK_END };
    memcpy(out.cv, h->cv, sizeof out.cv);
    memcpy(out.block, h->block, h->block_len);
    return out;
}

static void output_cv(const struct output *out, uint32_t cv[8])
{
    uint32_t full[16];
    qn_b3_compress(out->cv, out->block, out->block_len, out->counter, out->flags, full);
    memcpy(cv, full, 32);
}

static struct output parent_output(const struct hasher *h, const uint32_t left[8],
                                   const uint32_t right[8])
{
    struct output out = { .block_len = 64, .flags = h->flags | QN_B3_PARENT };
    memcpy(out.cv, h->key, sizeof out.cv);
    memcpy(out.block, left, 32); /* words are little-endian on every machine we build for */
    memcpy(out.block + 32, right, 32);
    return out;
}

/* Puts a whole subtree of `chunks` chunks (a power of two that divides h->chunk), whose chaining value is cv, behind the others. */
static void push_cv(struct hasher *h, uint32_t cv[8], uint64_t chunks)
{
    h->chunk += chunks;
    for (uint64_t total = h->chunk / chunks; (total & 1) == 0; total >>= 1) {
        struct output parent = parent_output(h, h->stack[--h->stack_cnt], cv);
        output_cv(&parent, cv);
    }
    memcpy(h->stack[h->stack_cnt++], cv, 32);
}

static void push_chunk(struct hasher *h)
{
    uint32_t cv[8];
    struct output out = chunk_output(h);
    output_cv(&out, cv);
    push_cv(h, cv, 1);
    memcpy(h->cv, h->key, 32);
    h->block_len = h->blocks = 0;
}

/* Chunks side by side, and, where they are a whole subtree, the levels of their parents, while more input follows (the last chunk may
 * be the root). Returns how much of the input it took. */
#define WIDE_MIN 4u
#define WIDE_MAX 64u
static size_t put_wide(struct hasher *h, const uint8_t *in, size_t len)
{
    size_t at = 0;
    struct qn_hash cvs[WIDE_MAX];
    uint32_t cv[8];
    while (len - at > WIDE_MIN * 1024) {
        size_t cnt = WIDE_MAX;
        while (cnt > 1 && (h->chunk % cnt || len - at <= cnt * 1024))
            cnt /= 2;
        bool whole = cnt >= 16;
        if (!whole) cnt = QN_MIN((size_t)16, (len - at - 1) / 1024);
        qn_b3_chunks(h->key, h->flags, in + at, h->chunk, cnt, cvs);
        at += cnt * 1024;
        for (size_t n = cnt / 2; whole && n; n /= 2)
            qn_b3_parents(h->key, h->flags, cvs, n, cvs);
        for (size_t i = 0; i < (whole ? 1 : cnt); i++) {
            memcpy(cv, cvs[i].b, 32);
            push_cv(h, cv, whole ? cnt : 1);
        }
    }
    return at;
}

void qn_hasher_put(struct qn_hasher *hasher, const void *src, size_t len)
{
    struct hasher *h = inner(hasher);
    const uint8_t *in = src;
    while (len) {
        if (h->block_len == 64) {
            if (h->blocks == 15) {
                push_chunk(h);
            } else {
                uint32_t full[16];
                qn_b3_compress(h->cv, h->block, 64, h->chunk, h->flags | start_flag(h), full);
                memcpy(h->cv, full, 32);
                h->blocks++;
                h->block_len = 0;
            }
        }
        if (len > WIDE_MIN * 1024 && h->blocks == 0 && h->block_len == 0) {
            size_t took = put_wide(h, in, len);
            in += took;
            len -= took;
        }
        size_t n = QN_MIN(len, (size_t)(64 - h->block_len));
        memcpy(h->block + h->block_len, in, n);
        h->block_len += (uint32_t)n;
        in += n;
        len -= n;
    }
}

void qn_hasher_xof(const struct qn_hasher *hasher, void *dst, size_t len)
{
    const struct hasher *h = inner_const(hasher);
    struct output out = chunk_output(h);
    for (uint32_t i = h->stack_cnt; i-- > 0;) {
        uint32_t cv[8];
        output_cv(&out, cv);
        out = parent_output(h, h->stack[i], cv);
    }
    uint8_t *at = dst;
    for (uint64_t counter = 0; len; counter++) {
        uint32_t full[16];
        qn_b3_compress(out.cv, out.block, out.block_len, counter, out.flags | QN_B3_ROOT, full);
        size_t n = QN_MIN(len, sizeof full);
        memcpy(at, full, n);
        at += n;
        len -= n;
    }
}

struct qn_hash qn_hasher_end(const struct qn_hasher *h)
{
    struct qn_hash ret;
    qn_hasher_xof(h, ret.b, sizeof ret.b);
    return ret;
}

void qn_hasher_init(struct qn_hasher *h)
{
    init(inner(h), QN_B3_IV, 0);
}

void qn_hasher_label(struct qn_hasher *h, const char *label)
{
    uint32_t key[8];
    for (size_t i = 0; i < QN_COUNT(HASH_LABELS); i++)
        if (strcmp(HASH_LABELS[i].text, label) == 0) {
            init(inner(h), HASH_LABELS[i].key, QN_B3_MATERIAL);
            return;
        }
    init(inner(h), QN_B3_IV, QN_B3_CONTEXT);
    qn_hasher_put(h, "quoin ", 6);
    qn_hasher_put(h, label, strlen(label));
    qn_hasher_xof(h, key, sizeof key);
    init(inner(h), key, QN_B3_MATERIAL);
}

void qn_hasher_key(const struct qn_hasher *h, uint32_t ret[8])
{
    memcpy(ret, inner_const(h)->key, 32);
}

struct qn_hash qn_blake3(const void *src, size_t len)
{
    struct qn_hasher h;
    qn_hasher_init(&h);
    qn_hasher_put(&h, src, len);
    return qn_hasher_end(&h);
}

struct qn_hash qn_h(const char *label, const void *src, size_t len)
{
    struct qn_hasher h;
    qn_hasher_label(&h, label);
    qn_hasher_put(&h, src, len);
    return qn_hasher_end(&h);
}

struct qn_hash qn_h2(const char *label, const struct qn_hash *a, const struct qn_hash *b)
{
    struct qn_hasher h;
    qn_hasher_label(&h, label);
    qn_hasher_put(&h, a->b, sizeof a->b);
    qn_hasher_put(&h, b->b, sizeof b->b);
    return qn_hasher_end(&h);
}
