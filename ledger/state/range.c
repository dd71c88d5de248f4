/* range.c - reading a proof that these are all rows of a range, and what it shares with making one. */
#include "ledger/state/trie.h"

#include "core/crypto/hash.h"

#include <stdlib.h>
#include <string.h>

uint32_t qn_key_diff(struct qn_span a, struct qn_span b)
{
    size_t len = QN_MAX(a.len, b.len);
    for (size_t i = 0; i < len; i++) {
        unsigned x = (i < a.len ? a.ptr[i] : 0u) ^ (i < b.len ? b.ptr[i] : 0u);
        if (x) return (uint32_t)(i * 8) + (uint32_t)__builtin_clz(x) - 24;
    }
    return QN_KEY_SAME;
}

/* -1: all keys that begin so are below bound; 1: all are above; 0: cannot be told. */
static int side_of(struct qn_span like, unsigned bits, unsigned turn, struct qn_span bound)
{
    uint32_t diff = qn_key_diff(like, bound);
    if (diff < bits) return qn_key_bit(like, diff) ? 1 : -1;
    unsigned bit = qn_key_bit(bound, bits);
    return turn == bit ? 0 : turn ? 1 : -1;
}

bool qn_key_outside(struct qn_span like, unsigned bits, unsigned turn, struct qn_span from,
                    struct qn_span to)
{
    return side_of(like, bits, turn, from) < 0 || (to.len && side_of(like, bits, turn, to) > 0);
}

bool qn_key_inside(struct qn_span key, struct qn_span from, struct qn_span to)
{
    return qn_span_cmp(key, from) >= 0 && (to.len == 0 || qn_span_cmp(key, to) < 0);
}

struct qn_hash qn_trie_leaf(struct qn_span key, const struct qn_hash *value)
{
    uint8_t buf[2 + QN_TRIE_KEY_MAX + 32];
    QN_ASSERT(key.len <= QN_TRIE_KEY_MAX);
    buf[0] = (uint8_t)key.len;
    buf[1] = (uint8_t)(key.len >> 8);
    memcpy(buf + 2, key.ptr, key.len);
    memcpy(buf + 2 + key.len, value->b, 32);
    return qn_h("leaf", buf, 2 + key.len + 32);
}

struct qn_hash qn_trie_inner(const uint8_t left[31], const uint8_t right[31], unsigned bit)
{
    uint8_t buf[64];
    memcpy(buf, left, 31);
    memcpy(buf + 31, right, 31);
    buf[62] = (uint8_t)bit;
    buf[63] = (uint8_t)(bit >> 8);
    return qn_h("inner", buf, sizeof buf);
}

void qn_row_write(struct qn_buf *ret, struct qn_span key, struct qn_span val)
{
    qn_buf_u16(ret, (uint16_t)key.len);
    qn_buf_span(ret, key);
    qn_buf_u32(ret, (uint32_t)val.len);
    qn_buf_span(ret, val);
}

bool qn_row_take(struct qn_span *rows, struct qn_span *ret_key, struct qn_span *ret_val)
{
    uint16_t key_len;
    uint32_t val_len;
    return qn_take_u16(rows, &key_len) && key_len > 0 && key_len <= QN_TRIE_KEY_MAX &&
           qn_take(rows, key_len, ret_key) && qn_take_u32(rows, &val_len) &&
           qn_take(rows, val_len, ret_val);
}

struct row {
    struct qn_span key, val;
};

struct reader {
    struct qn_span edge, from, to;
    const struct row *row; /* the next one */
    size_t left;
};

/* What a node came to: its hash, and a key below it unless it was cut off (len 0). */
struct got {
    struct qn_hash hash;
    struct qn_span key;
};

/* The hash of the trie of these rows alone. Each bit is beyond the one above, so the depth is bounded whatever the rows are. */
static qn_rc hash_rows(const struct row *row, size_t cnt, int above, struct qn_hash *ret)
{
    struct qn_hash side[2];
    if (cnt == 1) {
        struct qn_hash value = qn_h("value", row->val.ptr, row->val.len);
        *ret = qn_trie_leaf(row->key, &value);
        return QN_OK;
    }
    uint32_t bit = qn_key_diff(row[0].key, row[cnt - 1].key);
    if (bit == QN_KEY_SAME || (int)bit <= above || qn_key_bit(row[0].key, bit)) return QN_E_PROOF;
    size_t lo = 0, hi = cnt - 1; /* the first of them has a zero there, the last a one */
    while (hi - lo > 1) {
        size_t mid = lo + (hi - lo) / 2;
        if (qn_key_bit(row[mid].key, bit))
            hi = mid;
        else
            lo = mid;
    }
    qn_rc rc = hash_rows(row, hi, (int)bit, &side[0]);
    if (rc == QN_OK) rc = hash_rows(row + hi, cnt - hi, (int)bit, &side[1]);
    if (rc == QN_OK) *ret = qn_trie_inner(side[0].b, side[1].b, bit);
    return rc;
}

static qn_rc take_rows(struct reader *r, int above, struct got *ret)
{
    uint32_t cnt;
    if (!qn_take_u32(&r->edge, &cnt)) return QN_E_SHORT;
    if (cnt == 0 || cnt > r->left) return QN_E_PROOF;
    for (uint32_t i = 0; i < cnt; i++) {
        if (!qn_key_inside(r->row[i].key, r->from, r->to)) return QN_E_PROOF;
        if (i && qn_span_cmp(r->row[i - 1].key, r->row[i].key) >= 0) return QN_E_PROOF;
    }
    ret->key = r->row->key;
    qn_rc rc = hash_rows(r->row, cnt, above, &ret->hash);
    r->row += cnt;
    r->left -= cnt;
    return rc;
}

static qn_rc take_leaf(struct reader *r, struct got *ret)
{
    uint16_t len;
    struct qn_hash value;
    if (!qn_take_u16(&r->edge, &len)) return QN_E_SHORT;
    if (len == 0 || len > QN_TRIE_KEY_MAX) return QN_E_FORMAT;
    if (!qn_take(&r->edge, len, &ret->key) || !qn_take_hash(&r->edge, &value)) return QN_E_SHORT;
    if (qn_key_inside(ret->key, r->from, r->to)) return QN_E_PROOF;
    ret->hash = qn_trie_leaf(ret->key, &value);
    return QN_OK;
}

static qn_rc take_node(struct reader *r, int above, struct got *ret)
{
    uint8_t kind;
    uint16_t bit;
    struct qn_span cut;
    struct got side[2];
    if (!qn_take_u8(&r->edge, &kind)) return QN_E_SHORT;
    switch (kind) {
    case QN_EDGE_CUT:
        if (!qn_take(&r->edge, 31, &cut)) return QN_E_SHORT;
        memcpy(ret->hash.b, cut.ptr, 31);
        ret->hash.b[31] = 0;
        ret->key = QN_SPAN(NULL, 0);
        return QN_OK;
    case QN_EDGE_ROWS: return take_rows(r, above, ret);
    case QN_EDGE_LEAF: return take_leaf(r, ret);
    case QN_EDGE_INNER: break;
    default: return QN_E_FORMAT;
    }
    if (!qn_take_u16(&r->edge, &bit)) return QN_E_SHORT;
    if (bit <= above || bit >= 8 * QN_TRIE_KEY_MAX) return QN_E_PROOF; /* so the depth is bounded */
    for (unsigned i = 0; i < 2; i++) {
        qn_rc rc = take_node(r, bit, &side[i]);
        if (rc) return rc;
    }
    struct qn_span like = side[0].key.len ? side[0].key : side[1].key;
    if (like.len == 0) return QN_E_PROOF; /* nothing shows where it lies */
    for (unsigned i = 0; i < 2; i++) {
        if (side[i].key.len ? qn_key_bit(side[i].key, bit) != i
                            : !qn_key_outside(like, bit, i, r->from, r->to))
            return QN_E_PROOF;
    }
    if (side[0].key.len && side[1].key.len && qn_key_diff(side[0].key, side[1].key) != bit)
        return QN_E_PROOF;
    ret->hash = qn_trie_inner(side[0].hash.b, side[1].hash.b, bit);
    ret->key = like;
    return QN_OK;
}

qn_rc qn_trie_check(const struct qn_hash *root, struct qn_span from, struct qn_span to,
                    struct qn_span rows, struct qn_span edge)
{
    struct qn_span s = rows, key, val;
    struct got top;
    size_t cnt = 0;
    if (edge.len == 0) return QN_E_SHORT;
    if (edge.ptr[0] == QN_EDGE_EMPTY) {
        if (edge.len > 1 || rows.len) return QN_E_EXTRA;
        return qn_hash_is_zero(root) ? QN_OK : QN_E_PROOF;
    }
    while (qn_row_take(&s, &key, &val))
        cnt++;
    if (s.len) return QN_E_FORMAT;
    struct row *all = calloc(cnt + 1, sizeof *all);
    QN_ASSERT(all != NULL);
    s = rows;
    for (size_t i = 0; qn_row_take(&s, &all[i].key, &all[i].val);)
        i++;
    struct reader r = { edge, from, to, all, cnt };
    qn_rc rc = take_node(&r, -1, &top);
    if (rc == QN_OK && (r.edge.len || r.left)) rc = QN_E_EXTRA;
    if (rc == QN_OK && (top.key.len == 0 || !qn_hash_eq(&top.hash, root))) rc = QN_E_PROOF;
    free(all);
    return rc;
}
