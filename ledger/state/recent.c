/* recent.c - two rings, of blocks and of their keys, and a table by key into the second: open addressing with linear probing, at most half full
 * (Knuth 6.4, algorithm R for removal), as in idmap.c, but a key lies in the ring alone. */
#include "ledger/state/recent.h"

#include <stdlib.h>
#include <string.h>

#define KEYS_MIN   64
#define BLOCKS_MIN 16

struct qn_recent {
    struct qn_hash *keys;           /* number i lies at i & (key_cap - 1) */
    struct qn_recent_block *blocks; /* as keys */
    uint32_t *table;                /* of 2 * key_cap: place in keys + 1; 0: none */
    uint64_t key_first, key_end, block_first, block_end;
    size_t key_cap, block_cap; /* powers of two */
    uint64_t secret;           /* odd */
    unsigned shift;
};

struct qn_recent *qn_recent_new(uint64_t secret)
{
    struct qn_recent *r = calloc(1, sizeof *r);
    QN_ASSERT(r != NULL);
    r->secret = (secret ^ UINT64_C(0x9e3779b97f4a7c15)) | 1;
    return r;
}

void qn_recent_free(struct qn_recent *r)
{
    if (!r) return;
    free(r->keys);
    free(r->blocks);
    free(r->table);
    free(r);
}

/* --- the table ------------------------------------------------------------------------------------------------ */

/* As idmap.c's. */
static size_t home(const struct qn_recent *r, const struct qn_hash *key)
{
    uint64_t a, b;
    memcpy(&a, key->b, 8);
    memcpy(&b, key->b + 16, 8);
    a = (a ^ (b >> 32)) * r->secret + b;
    return (size_t)(((a ^ (a >> 29)) * r->secret) >> r->shift);
}

/* Where key is, or would go. */
static size_t find(const struct qn_recent *r, const struct qn_hash *key)
{
    size_t i = home(r, key), mask = 2 * r->key_cap - 1;
    while (r->table[i] && !qn_hash_eq(&r->keys[r->table[i] - 1], key))
        i = (i + 1) & mask;
    return i;
}

static void resize_keys(struct qn_recent *r, size_t cap)
{
    struct qn_hash *old = r->keys;
    size_t old_mask = r->key_cap - 1;
    r->keys = malloc(cap * sizeof *r->keys);
    free(r->table);
    r->table = calloc(2 * cap, sizeof *r->table);
    QN_ASSERT(r->keys && r->table);
    QN_ASSERT(cap < UINT32_MAX / 2);
    r->key_cap = cap;
    r->shift = 64;
    for (size_t n = 2 * cap; n > 1; n /= 2)
        r->shift--;
    for (uint64_t no = r->key_first; no < r->key_end; no++) {
        size_t at = (size_t)no & (cap - 1);
        r->keys[at] = old[(size_t)no & old_mask];
        r->table[find(r, &r->keys[at])] = (uint32_t)at + 1; /* the last of a key holds */
    }
    free(old);
}

static void table_put(struct qn_recent *r, const struct qn_hash *key, size_t at)
{
    r->table[find(r, key)] = (uint32_t)at + 1;
}

/* Removes the entry at `at`, unless a later one of its key took its place. */
static void table_del(struct qn_recent *r, size_t at)
{
    size_t mask = 2 * r->key_cap - 1, i = find(r, &r->keys[at]);
    if (r->table[i] != at + 1) return;
    /* What stands behind the hole and may be looked for from before it moves up. */
    for (size_t k = (i + 1) & mask; r->table[k]; k = (k + 1) & mask) {
        size_t from = home(r, &r->keys[r->table[k] - 1]);
        if (((k - from) & mask) < ((k - i) & mask)) continue;
        r->table[i] = r->table[k];
        i = k;
    }
    r->table[i] = 0;
}

/* --- in and out -------------------------------------------------------------------------------------------------- */

static void resize_blocks(struct qn_recent *r, size_t cap)
{
    struct qn_recent_block *old = r->blocks;
    size_t old_mask = r->block_cap - 1;
    r->blocks = malloc(cap * sizeof *r->blocks);
    QN_ASSERT(r->blocks != NULL);
    r->block_cap = cap;
    for (uint64_t no = r->block_first; no < r->block_end; no++)
        r->blocks[(size_t)no & (cap - 1)] = old[(size_t)no & old_mask];
    free(old);
}

static struct qn_recent_block *block_at(const struct qn_recent *r, uint64_t no)
{
    return &r->blocks[(size_t)no & (r->block_cap - 1)];
}

void qn_recent_block(struct qn_recent *r, uint64_t height, uint64_t t_ms)
{
    if (r->block_end - r->block_first == r->block_cap)
        resize_blocks(r, QN_MAX(r->block_cap * 2, (size_t)BLOCKS_MIN));
    *block_at(r, r->block_end++) =
        (struct qn_recent_block){ .height = height, .t_ms = t_ms, .first = r->key_end };
}

static struct qn_recent_block *put(struct qn_recent *r, const struct qn_hash *key)
{
    QN_ASSERT(r->block_end > r->block_first);
    if (r->key_end - r->key_first == r->key_cap)
        resize_keys(r, QN_MAX(r->key_cap * 2, (size_t)KEYS_MIN));
    size_t at = (size_t)r->key_end++ & (r->key_cap - 1);
    r->keys[at] = *key;
    table_put(r, key, at);
    struct qn_recent_block *b = block_at(r, r->block_end - 1);
    b->key_cnt++;
    return b;
}

void qn_recent_id(struct qn_recent *r, const struct qn_hash *id)
{
    struct qn_recent_block *b = put(r, id);
    QN_ASSERT(b->id_cnt + 1 == b->key_cnt); /* before the slots */
    b->id_cnt++;
}

void qn_recent_slot(struct qn_recent *r, const struct qn_hash *slot)
{
    (void)put(r, slot);
}

void qn_recent_drop(struct qn_recent *r)
{
    QN_ASSERT(r->block_end > r->block_first);
    struct qn_recent_block b = *block_at(r, r->block_first++);
    for (uint32_t i = 0; i < b.key_cnt; i++)
        table_del(r, (size_t)r->key_first++ & (r->key_cap - 1));
    size_t keys = (size_t)(r->key_end - r->key_first),
           blocks = (size_t)(r->block_end - r->block_first);
    if (r->key_cap > KEYS_MIN && keys < r->key_cap / 8) resize_keys(r, r->key_cap / 4);
    if (r->block_cap > BLOCKS_MIN && blocks < r->block_cap / 8) resize_blocks(r, r->block_cap / 4);
}

/* --- reading ------------------------------------------------------------------------------------------------------- */

const struct qn_recent_block *qn_recent_find(const struct qn_recent *r, const struct qn_hash *key)
{
    if (r->key_end == r->key_first) return NULL;
    uint32_t place = r->table[find(r, key)];
    if (place == 0) return NULL;
    size_t mask = r->key_cap - 1;
    uint64_t no = r->key_first + ((place - 1 - (size_t)r->key_first) & mask);
    uint64_t low = r->block_first, high = r->block_end; /* its block lies in [low, high) */
    while (high - low > 1) {
        uint64_t mid = low + (high - low) / 2;
        if (block_at(r, mid)->first <= no)
            low = mid;
        else
            high = mid;
    }
    return block_at(r, low);
}

const struct qn_recent_block *qn_recent_at(const struct qn_recent *r, size_t i)
{
    return i < r->block_end - r->block_first ? block_at(r, r->block_first + i) : NULL;
}

const struct qn_hash *qn_recent_key(const struct qn_recent *r, uint64_t no)
{
    QN_ASSERT(no >= r->key_first);
    QN_ASSERT(no < r->key_end);
    return &r->keys[(size_t)no & (r->key_cap - 1)];
}

size_t qn_recent_cnt(const struct qn_recent *r)
{
    return (size_t)(r->block_end - r->block_first);
}

size_t qn_recent_bytes(const struct qn_recent *r)
{
    return sizeof *r + r->key_cap * (sizeof *r->keys + 2 * sizeof *r->table) +
           r->block_cap * sizeof *r->blocks;
}
