/* tree.c - Merkle trees and their multi-openings. */
#include "modules/zkml/tree.h"

#include "core/crypto/hash.h"

#include <string.h>

#define ROWS_MAX 256

void zkml_tree_build(const uint8_t *src, size_t len, unsigned log_n, struct qn_hash *nodes)
{
    size_t n = (size_t)1 << log_n;
    qn_h_many("zk/leaf", src, len, len, n, nodes + n);
    for (; n > 1; n /= 2)
        qn_h_many("zk/node", nodes + n, 2 * sizeof *nodes, 2 * sizeof *nodes, n / 2, nodes + n / 2);
}

/* Goes one level up: rows become their parents. Calls for each missing sibling, left to right. */
static size_t parents(uint32_t *rows, size_t cnt)
{
    size_t out = 0;
    for (size_t i = 0; i < cnt; i++) {
        uint32_t up = rows[i] >> 1;
        if (out == 0 || rows[out - 1] != up) rows[out++] = up;
    }
    return out;
}

static bool paired(const uint32_t *rows, size_t cnt, size_t i)
{
    return i + 1 < cnt && (rows[i] & 1) == 0 && rows[i + 1] == rows[i] + 1;
}

size_t zkml_tree_siblings(unsigned log_n, const uint32_t *rows, size_t cnt)
{
    uint32_t at[ROWS_MAX];
    size_t sum = 0;
    QN_ASSERT(cnt <= ROWS_MAX);
    memcpy(at, rows, cnt * sizeof *at);
    for (unsigned level = 0; level < log_n; level++) {
        for (size_t i = 0; i < cnt; i++) {
            if (paired(at, cnt, i))
                i++;
            else
                sum++;
        }
        cnt = parents(at, cnt);
    }
    return sum;
}

void zkml_tree_open(const struct qn_hash *nodes, unsigned log_n, const uint32_t *rows, size_t cnt,
                    struct qn_buf *out)
{
    uint32_t at[ROWS_MAX];
    QN_ASSERT(cnt <= ROWS_MAX);
    memcpy(at, rows, cnt * sizeof *at);
    for (unsigned level = 0; level < log_n; level++) {
        size_t n = (size_t)1 << (log_n - level);
        for (size_t i = 0; i < cnt; i++) {
            if (paired(at, cnt, i))
                i++;
            else
                qn_buf_put(out, nodes[n + (at[i] ^ 1)].b, 32);
        }
        cnt = parents(at, cnt);
    }
}

bool zkml_tree_check(const struct qn_hash *root, unsigned log_n, const uint32_t *rows, size_t cnt,
                     const uint8_t *leaves, size_t len, struct qn_span siblings,
                     struct qn_hash *work)
{
    uint32_t at[ROWS_MAX];
    struct qn_hash *now = work, *pairs = work + cnt, sibling;
    if (cnt == 0 || cnt > ROWS_MAX) return false;
    memcpy(at, rows, cnt * sizeof *at);
    qn_h_many("zk/leaf", leaves, len, len, cnt, now);
    for (unsigned level = 0; level < log_n; level++) {
        size_t out = 0;
        for (size_t i = 0; i < cnt; i++, out++) {
            if (paired(at, cnt, i)) {
                pairs[2 * out] = now[i];
                pairs[2 * out + 1] = now[i + 1];
                i++;
                continue;
            }
            if (!qn_take_hash(&siblings, &sibling)) return false;
            pairs[2 * out + (at[i] & 1)] = now[i];
            pairs[2 * out + !(at[i] & 1)] = sibling;
        }
        qn_h_many("zk/node", pairs, 2 * sizeof *pairs, 2 * sizeof *pairs, out, now);
        cnt = parents(at, cnt);
        QN_ASSERT(cnt == out);
    }
    return siblings.len == 0 && qn_hash_eq(&now[0], root);
}
