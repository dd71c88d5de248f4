/* chunk.c - chunks, their paths, and checking them. */
#include "core/crypto/chunk.h"

#include "core/crypto/blake3.h"

#include <stdlib.h>
#include <string.h>

static struct qn_hash cv_bytes(const uint32_t words[16])
{
    struct qn_hash h;
    memcpy(h.b, words, 32); /* little-endian machines only: blake3.c asserts it */
    return h;
}

/* The chaining value of one chunk; root: of a content that is this chunk alone. */
static struct qn_hash chunk_cv(const uint8_t *src, size_t len, uint64_t idx, bool root)
{
    uint32_t cv[8], out[16];
    size_t at = 0;
    memcpy(cv, QN_B3_IV, sizeof cv);
    do {
        uint8_t block[64] = { 0 };
        size_t n = QN_MIN((size_t)64, len - at);
        if (n) memcpy(block, src + at, n);
        bool last = at + n >= len;
        uint32_t flags = (at ? 0u : QN_B3_CHUNK_START) |
                         (last ? QN_B3_CHUNK_END | (root ? (uint32_t)QN_B3_ROOT : 0u) : 0u);
        qn_b3_compress(cv, block, (uint32_t)n, idx, flags, out);
        memcpy(cv, out, sizeof cv);
        at += n;
    } while (at < len);
    return cv_bytes(out);
}

static struct qn_hash join(const struct qn_hash *a, const struct qn_hash *b, bool root)
{
    uint8_t block[64];
    uint32_t out[16];
    memcpy(block, a->b, 32);
    memcpy(block + 32, b->b, 32);
    qn_b3_compress(QN_B3_IV, block, 64, 0, QN_B3_PARENT | (root ? (uint32_t)QN_B3_ROOT : 0u), out);
    return cv_bytes(out);
}

void qn_chunk_cvs(const void *src, uint64_t len, struct qn_hash *ret)
{
    QN_ASSERT(len > 0);
    uint64_t whole = len / QN_CHUNK;
    qn_b3_chunks(QN_B3_IV, 0, src, 0, whole, ret);
    if (len % QN_CHUNK)
        ret[whole] =
            chunk_cv((const uint8_t *)src + whole * QN_CHUNK, len % QN_CHUNK, whole, false);
}

struct qn_hash qn_parent_cv(const struct qn_hash *left, const struct qn_hash *right, bool root)
{
    return join(left, right, root);
}

void qn_group_cvs(const void *src, size_t cnt, uint64_t first, struct qn_hash *ret)
{
    enum { SIDE = 8, PER = QN_GROUP / QN_CHUNK };
    struct qn_hash cvs[SIDE * PER];
    const uint8_t *in = src;
    for (size_t at = 0; at < cnt; at += SIDE) {
        size_t n = QN_MIN((size_t)SIDE, cnt - at);
        qn_b3_chunks(QN_B3_IV, 0, in + at * QN_GROUP, (first + at) * PER, n * PER, cvs);
        for (size_t left = n * PER; left > n; left /= 2)
            qn_b3_parents(QN_B3_IV, 0, cvs, left / 2, cvs);
        memcpy(ret + at, cvs, n * sizeof *cvs);
    }
}

struct qn_hash qn_group_cv(const void *src, size_t len, uint64_t idx, bool root)
{
    QN_ASSERT(len <= QN_GROUP);
    const uint8_t *in = src;
    uint64_t first = idx * (QN_GROUP / QN_CHUNK);
    if (len <= QN_CHUNK) return chunk_cv(in, len, first, root);
    struct qn_hash cvs[QN_GROUP / QN_CHUNK];
    size_t whole = len / QN_CHUNK, cnt = whole;
    qn_b3_chunks(QN_B3_IV, 0, in, first, whole, cvs);
    if (len % QN_CHUNK)
        cvs[cnt++] = chunk_cv(in + whole * QN_CHUNK, len % QN_CHUNK, first + whole, false);
    while (cnt > 2) { /* an odd last one moves up as it is */
        qn_b3_parents(QN_B3_IV, 0, cvs, cnt / 2, cvs);
        if (cnt % 2) cvs[cnt / 2] = cvs[cnt - 1];
        cnt = (cnt + 1) / 2;
    }
    return join(&cvs[0], &cvs[1], root);
}

uint32_t qn_chunk_path(const struct qn_hash *cvs, uint64_t cnt, uint64_t idx,
                       struct qn_hash *ret_path)
{
    QN_ASSERT(idx < cnt);
    uint32_t path_cnt = 0;
    struct qn_hash *level = malloc(cnt * sizeof *level);
    QN_ASSERT(level != NULL);
    memcpy(level, cvs, cnt * sizeof *level);
    for (; cnt > 1; cnt = (cnt + 1) / 2, idx /= 2) {
        if ((idx ^ 1) < cnt) {
            QN_ASSERT(path_cnt < QN_CHUNK_PATH_MAX);
            ret_path[path_cnt++] = level[idx ^ 1];
        }
        for (uint64_t i = 0; i < cnt; i += 2)
            level[i / 2] = i + 1 < cnt ? join(&level[i], &level[i + 1], false) : level[i];
    }
    free(level);
    return path_cnt;
}

bool qn_chunk_check(const struct qn_hash *hash, uint64_t len, uint64_t idx, struct qn_span chunk,
                    const struct qn_hash *path, uint32_t path_cnt)
{
    if (len == 0 || len > UINT64_MAX - QN_CHUNK) return false;
    uint64_t cnt = (len + QN_CHUNK - 1) / QN_CHUNK;
    if (idx >= cnt || chunk.len != QN_MIN((uint64_t)QN_CHUNK, len - idx * QN_CHUNK)) return false;
    struct qn_hash at = chunk_cv(chunk.ptr, chunk.len, idx, cnt == 1);
    uint32_t used = 0;
    for (; cnt > 1; cnt = (cnt + 1) / 2, idx /= 2) {
        if ((idx ^ 1) >= cnt) continue; /* the odd last one moves up */
        if (used == path_cnt) return false;
        const struct qn_hash *side = &path[used++];
        at = idx & 1 ? join(side, &at, cnt == 2) : join(&at, side, cnt == 2);
    }
    return used == path_cnt && qn_hash_eq(&at, hash);
}
