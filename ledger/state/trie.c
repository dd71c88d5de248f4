/* trie.c - crit-bit tree with cached hashes. */
#include "ledger/state/trie.h"

#include "core/crypto/hash.h"

#include <stdlib.h>
#include <string.h>

enum kind { LEAF, INNER };

/* The hash comes first: who walks down reads kind, bit and, behind them, the children or the key, mostly of one line of the cache. */
struct node {
    struct qn_hash hash;
    uint8_t kind;
    bool dirty; /* hash is old; then every node above is dirty too */
    uint16_t bit;
};

struct leaf {
    struct node node;
    uint32_t key_len, val_len;
    uint8_t data[]; /* key, then value */
};

struct inner {
    struct node node;
    struct node *child[2];
};

struct qn_trie {
    struct node *root;
    size_t cnt;
};

static struct leaf *as_leaf(const struct node *n)
{
    QN_ASSERT(n->kind == LEAF);
    return (struct leaf *)(uintptr_t)n;
}

static struct inner *as_inner(const struct node *n)
{
    QN_ASSERT(n->kind == INNER);
    return (struct inner *)(uintptr_t)n;
}

static struct qn_span leaf_key(const struct leaf *l)
{
    return QN_SPAN(l->data, l->key_len);
}

static struct qn_span leaf_val(const struct leaf *l)
{
    return QN_SPAN(l->data + l->key_len, l->val_len);
}

static struct leaf *best(const struct node *n, struct qn_span key)
{
    while (n->kind == INNER)
        n = as_inner(n)->child[qn_key_bit(key, n->bit)];
    return as_leaf(n);
}

static struct leaf *least(const struct node *n)
{
    while (n->kind == INNER)
        n = as_inner(n)->child[0];
    return as_leaf(n);
}

static struct node *leaf_new(struct qn_span key, struct qn_span val)
{
    QN_ASSERT(key.len > 0 && key.len <= QN_TRIE_KEY_MAX && val.len <= UINT32_MAX);
    struct leaf *l = malloc(sizeof *l + key.len + val.len);
    QN_ASSERT(l != NULL);
    *l = (struct leaf){ .node = { .kind = LEAF, .dirty = true },
                        .key_len = (uint32_t)key.len,
                        .val_len = (uint32_t)val.len };
    memcpy(l->data, key.ptr, key.len);
    if (val.len) memcpy(l->data + key.len, val.ptr, val.len);
    return &l->node;
}

struct qn_trie *qn_trie_new(void)
{
    struct qn_trie *trie = calloc(1, sizeof *trie);
    QN_ASSERT(trie != NULL);
    return trie;
}

static void node_free(struct node *n)
{
    if (n->kind == INNER) { /* depth is at most 8 * QN_TRIE_KEY_MAX */
        node_free(as_inner(n)->child[0]);
        node_free(as_inner(n)->child[1]);
    }
    free(n);
}

void qn_trie_free(struct qn_trie *trie)
{
    if (!trie) return;
    if (trie->root) node_free(trie->root);
    free(trie);
}

size_t qn_trie_cnt(const struct qn_trie *trie)
{
    return trie->cnt;
}

void qn_trie_put(struct qn_trie *trie, struct qn_span key, struct qn_span val)
{
    if (!trie->root) {
        trie->root = leaf_new(key, val);
        trie->cnt = 1;
        return;
    }
    struct leaf *near = best(trie->root, key);
    uint32_t diff = qn_key_diff(key, leaf_key(near));
    QN_ASSERT(diff != QN_KEY_SAME || near->key_len == key.len); /* else one key starts the other */
    QN_ASSERT(diff == QN_KEY_SAME || diff / 8 < QN_MIN(key.len, (size_t)near->key_len));
    struct node *fresh = NULL;
    if (diff != QN_KEY_SAME || near->val_len != val.len) fresh = leaf_new(key, val);
    struct node **at = &trie->root;
    while ((*at)->kind == INNER && (*at)->bit < diff) {
        (*at)->dirty = true;
        at = &as_inner(*at)->child[qn_key_bit(key, (*at)->bit)];
    }
    if (diff == QN_KEY_SAME) {
        if (fresh) {
            free(*at);
            *at = fresh;
        } else {
            if (val.len) memmove(near->data + near->key_len, val.ptr, val.len);
            near->node.dirty = true;
        }
        return;
    }
    struct inner *in = malloc(sizeof *in);
    QN_ASSERT(in != NULL);
    unsigned side = qn_key_bit(key, diff);
    *in = (struct inner){ .node = { .kind = INNER, .dirty = true, .bit = (uint16_t)diff } };
    in->child[side] = fresh;
    in->child[!side] = *at;
    *at = &in->node;
    trie->cnt++;
}

bool qn_trie_del(struct qn_trie *trie, struct qn_span key)
{
    struct qn_span val;
    if (!qn_trie_get(trie, key, &val)) return false;
    struct node **at = &trie->root, **above = NULL;
    while ((*at)->kind == INNER) {
        (*at)->dirty = true;
        above = at;
        at = &as_inner(*at)->child[qn_key_bit(key, (*at)->bit)];
    }
    struct node *gone = *at;
    if (above) {
        struct inner *in = as_inner(*above);
        *above = in->child[in->child[0] == gone];
        free(in);
    } else {
        trie->root = NULL;
    }
    free(gone);
    trie->cnt--;
    return true;
}

bool qn_trie_get(const struct qn_trie *trie, struct qn_span key, struct qn_span *ret_val)
{
    if (!trie->root) return false;
    const struct leaf *l = best(trie->root, key);
    if (!qn_span_eq(leaf_key(l), key)) return false;
    *ret_val = leaf_val(l);
    return true;
}

bool qn_trie_next(const struct qn_trie *trie, struct qn_span key, bool or_equal,
                  struct qn_span *ret_key, struct qn_span *ret_val)
{
    if (!trie->root) return false;
    const struct leaf *near = best(trie->root, key), *found = NULL;
    uint32_t diff = qn_key_diff(key, leaf_key(near));
    if (diff == QN_KEY_SAME &&
        (near->key_len > key.len || (or_equal && near->key_len == key.len))) {
        found = near;
    } else {
        const struct node *n = trie->root,
                          *greater = NULL; /* what lies right of the last left turn */
        while (n->kind == INNER && n->bit < diff) {
            unsigned side = qn_key_bit(key, n->bit);
            if (side == 0) greater = as_inner(n)->child[1];
            n = as_inner(n)->child[side];
        }
        if (diff != QN_KEY_SAME && qn_key_bit(key, diff) == 0)
            found = least(n); /* all below n differ first at diff, where they have a one */
        else if (greater)
            found = least(greater);
    }
    if (!found) return false;
    *ret_key = leaf_key(found);
    *ret_val = leaf_val(found);
    return true;
}

static struct qn_hash leaf_hash(const struct leaf *l)
{
    struct qn_span val = leaf_val(l);
    struct qn_hash value = qn_h("value", val.ptr, val.len);
    return qn_trie_leaf(leaf_key(l), &value);
}

static void rehash(struct node *n)
{
    if (!n->dirty) return;
    if (n->kind == LEAF) {
        n->hash = leaf_hash(as_leaf(n));
    } else {
        struct inner *in = as_inner(n);
        rehash(in->child[0]);
        rehash(in->child[1]);
        n->hash = qn_trie_inner(in->child[0]->hash.b, in->child[1]->hash.b, n->bit);
    }
    n->dirty = false;
}

struct qn_hash qn_trie_root(struct qn_trie *trie)
{
    if (!trie->root) return (struct qn_hash){ { 0 } };
    rehash(trie->root);
    return trie->root->hash;
}

static struct leaf *most(const struct node *n)
{
    while (n->kind == INNER)
        n = as_inner(n)->child[1];
    return as_leaf(n);
}

struct scrub {
    struct qn_span after, last;
    size_t cnt, max;
};

static bool scrub(const struct node *n, struct scrub *s)
{
    if (s->cnt == s->max) return true;
    if (s->after.len && qn_span_cmp(leaf_key(most(n)), s->after) <= 0) return true;
    if (n->kind == LEAF) {
        struct qn_hash hash = leaf_hash(as_leaf(n));
        s->last = leaf_key(as_leaf(n));
        s->cnt++;
        return qn_hash_eq(&hash, &n->hash);
    }
    const struct inner *in = as_inner(n);
    struct qn_hash hash = qn_trie_inner(in->child[0]->hash.b, in->child[1]->hash.b, n->bit);
    if (!qn_hash_eq(&hash, &n->hash)) {
        s->last = leaf_key(least(n));
        return false;
    }
    return scrub(in->child[0], s) && scrub(in->child[1], s);
}

bool qn_trie_scrub(struct qn_trie *trie, struct qn_span after, size_t max, struct qn_span *ret_last,
                   size_t *ret_cnt)
{
    struct scrub s = { .after = after, .last = after, .max = max };
    qn_trie_root(trie);
    bool ok = !trie->root || scrub(trie->root, &s);
    *ret_last = s.last;
    *ret_cnt = s.cnt;
    return ok;
}

static uint32_t put_rows(const struct node *n, struct qn_buf *rows)
{
    if (n->kind == INNER)
        return put_rows(as_inner(n)->child[0], rows) + put_rows(as_inner(n)->child[1], rows);
    qn_row_write(rows, leaf_key(as_leaf(n)), leaf_val(as_leaf(n)));
    return 1;
}

static void prove(const struct node *n, struct qn_span from, struct qn_span to, struct qn_buf *rows,
                  struct qn_buf *edge)
{
    struct qn_span like = leaf_key(least(n)), last = leaf_key(most(n));
    if (qn_key_inside(like, from, to) && qn_key_inside(last, from, to)) {
        qn_buf_u8(edge, QN_EDGE_ROWS);
        qn_buf_u32(edge, put_rows(n, rows));
        return;
    }
    if (n->kind == LEAF) {
        struct qn_span val = leaf_val(as_leaf(n));
        struct qn_hash value = qn_h("value", val.ptr, val.len);
        qn_buf_u8(edge, QN_EDGE_LEAF);
        qn_buf_u16(edge, (uint16_t)like.len);
        qn_buf_span(edge, like);
        qn_buf_put(edge, value.b, 32);
        return;
    }
    struct inner *in = as_inner(n);
    bool cut[2];
    for (unsigned side = 0; side < 2; side++)
        cut[side] = qn_key_outside(like, n->bit, side, from, to);
    if (cut[0] && cut[1]) cut[0] = false; /* a leaf that shows so: any */
    qn_buf_u8(edge, QN_EDGE_INNER);
    qn_buf_u16(edge, n->bit);
    for (unsigned side = 0; side < 2; side++) {
        if (cut[side]) {
            qn_buf_u8(edge, QN_EDGE_CUT);
            qn_buf_put(edge, in->child[side]->hash.b, 31);
        } else {
            prove(in->child[side], from, to, rows, edge);
        }
    }
}

void qn_trie_prove(struct qn_trie *trie, struct qn_span from, struct qn_span to,
                   struct qn_buf *rows, struct qn_buf *edge)
{
    qn_trie_root(trie);
    if (trie->root)
        prove(trie->root, from, to, rows, edge);
    else
        qn_buf_u8(edge, QN_EDGE_EMPTY);
}
