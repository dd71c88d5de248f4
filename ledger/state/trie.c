/* trie.c - crit-bit tree with cached hashes. */
#include "ledger/state/trie.h"

#include "core/crypto/hash.h"

#include <stdlib.h>
#include <string.h>

enum kind { LEAF, INNER };

struct node {
    uint8_t kind;
    bool dirty; /* hash is old; then every node above is dirty too */
    uint16_t bit;
    struct qn_hash hash;
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

static unsigned bit_of(struct qn_span key, unsigned bit)
{
    size_t byte = bit / 8;
    return byte < key.len ? key.ptr[byte] >> (7 - bit % 8) & 1u : 0;
}

#define SAME UINT32_MAX

/* First bit in which a and b differ, both followed by zero bits; SAME when there is none. */
static uint32_t first_diff(struct qn_span a, struct qn_span b)
{
    size_t len = QN_MAX(a.len, b.len);
    for (size_t i = 0; i < len; i++) {
        unsigned x = (i < a.len ? a.ptr[i] : 0u) ^ (i < b.len ? b.ptr[i] : 0u);
        if (x) return (uint32_t)(i * 8) + (uint32_t)__builtin_clz(x) - 24;
    }
    return SAME;
}

static struct leaf *best(const struct node *n, struct qn_span key)
{
    while (n->kind == INNER)
        n = as_inner(n)->child[bit_of(key, n->bit)];
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
    uint32_t diff = first_diff(key, leaf_key(near));
    QN_ASSERT(diff != SAME || near->key_len == key.len); /* else one key starts the other */
    QN_ASSERT(diff == SAME || diff / 8 < QN_MIN(key.len, (size_t)near->key_len));
    struct node *fresh = NULL;
    if (diff != SAME || near->val_len != val.len) fresh = leaf_new(key, val);
    struct node **at = &trie->root;
    while ((*at)->kind == INNER && (*at)->bit < diff) {
        (*at)->dirty = true;
        at = &as_inner(*at)->child[bit_of(key, (*at)->bit)];
    }
    if (diff == SAME) {
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
    unsigned side = bit_of(key, diff);
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
        at = &as_inner(*at)->child[bit_of(key, (*at)->bit)];
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
    uint32_t diff = first_diff(key, leaf_key(near));
    if (diff == SAME && (near->key_len > key.len || (or_equal && near->key_len == key.len))) {
        found = near;
    } else {
        const struct node *n = trie->root,
                          *greater = NULL; /* what lies right of the last left turn */
        while (n->kind == INNER && n->bit < diff) {
            unsigned side = bit_of(key, n->bit);
            if (side == 0) greater = as_inner(n)->child[1];
            n = as_inner(n)->child[side];
        }
        if (diff != SAME && bit_of(key, diff) == 0)
            found = least(n); /* all below n differ first at diff, where they have a one */
        else if (greater)
            found = least(greater);
    }
    if (!found) return false;
    *ret_key = leaf_key(found);
    *ret_val = leaf_val(found);
    return true;
}

static struct qn_hash hash_leaf(struct qn_span key, const struct qn_hash *value)
{
    uint8_t buf[2 + QN_TRIE_KEY_MAX + 32];
    buf[0] = (uint8_t)key.len;
    buf[1] = (uint8_t)(key.len >> 8);
    memcpy(buf + 2, key.ptr, key.len);
    memcpy(buf + 2 + key.len, value->b, 32);
    return qn_h("leaf", buf, 2 + key.len + 32);
}

static struct qn_hash hash_inner(const uint8_t *left, const uint8_t *right, unsigned bit)
{
    uint8_t buf[64];
    memcpy(buf, left, 31);
    memcpy(buf + 31, right, 31);
    buf[62] = (uint8_t)bit;
    buf[63] = (uint8_t)(bit >> 8);
    return qn_h("inner", buf, sizeof buf);
}

static void rehash(struct node *n)
{
    if (!n->dirty) return;
    if (n->kind == LEAF) {
        struct qn_span val = leaf_val(as_leaf(n));
        struct qn_hash value = qn_h("value", val.ptr, val.len);
        n->hash = hash_leaf(leaf_key(as_leaf(n)), &value);
    } else {
        struct inner *in = as_inner(n);
        rehash(in->child[0]);
        rehash(in->child[1]);
        n->hash = hash_inner(in->child[0]->hash.b, in->child[1]->hash.b, n->bit);
    }
    n->dirty = false;
}

struct qn_hash qn_trie_root(struct qn_trie *trie)
{
    if (!trie->root) return (struct qn_hash){ { 0 } };
    rehash(trie->root);
    return trie->root->hash;
}

void qn_trie_prove(struct qn_trie *trie, struct qn_span key, struct qn_buf *ret)
{
    qn_trie_root(trie);
    qn_buf_u8(ret, trie->root != NULL);
    if (!trie->root) return;
    const struct inner *path[8 * QN_TRIE_KEY_MAX];
    size_t cnt = 0;
    const struct node *n = trie->root;
    while (n->kind == INNER) {
        path[cnt++] = as_inner(n);
        n = as_inner(n)->child[bit_of(key, n->bit)];
    }
    struct qn_span found = leaf_key(as_leaf(n)), val = leaf_val(as_leaf(n));
    struct qn_hash value = qn_h("value", val.ptr, val.len);
    qn_buf_u16(ret, (uint16_t)found.len);
    qn_buf_span(ret, found);
    qn_buf_put(ret, value.b, 32);
    qn_buf_u16(ret, (uint16_t)cnt);
    while (cnt-- > 0) {
        const struct inner *in = path[cnt];
        qn_buf_u16(ret, in->node.bit);
        qn_buf_put(ret, in->child[!bit_of(key, in->node.bit)]->hash.b, 31);
    }
}

qn_rc qn_trie_check(const struct qn_hash *root, struct qn_span key, struct qn_span proof,
                    bool *ret_present, struct qn_hash *ret_value_hash)
{
    uint8_t some;
    uint16_t len, cnt;
    struct qn_span found, side;
    struct qn_hash value;
    if (!qn_take_u8(&proof, &some)) return QN_E_SHORT;
    if (some == 0) {
        if (proof.len) return QN_E_EXTRA;
        *ret_present = false;
        return qn_hash_is_zero(root) ? QN_OK : QN_E_PROOF;
    }
    if (some != 1) return QN_E_FORMAT;
    if (!qn_take_u16(&proof, &len) || len == 0 || len > QN_TRIE_KEY_MAX) return QN_E_FORMAT;
    if (!qn_take(&proof, len, &found) || !qn_take_hash(&proof, &value) ||
        !qn_take_u16(&proof, &cnt))
        return QN_E_SHORT;
    struct qn_hash at = hash_leaf(found, &value);
    uint32_t last = SAME;
    for (uint16_t i = 0; i < cnt; i++) {
        uint16_t bit;
        if (!qn_take_u16(&proof, &bit) || !qn_take(&proof, 31, &side)) return QN_E_SHORT;
        /* Bits fall on the way up, and the asked key turns as the found one does: it leads here. */
        if (bit >= last || bit_of(key, bit) != bit_of(found, bit)) return QN_E_PROOF;
        last = bit;
        at = bit_of(found, bit) ? hash_inner(side.ptr, at.b, bit) : hash_inner(at.b, side.ptr, bit);
    }
    if (proof.len) return QN_E_EXTRA;
    if (!qn_hash_eq(&at, root)) return QN_E_PROOF;
    *ret_present = qn_span_eq(found, key);
    *ret_value_hash = value;
    return QN_OK;
}
