/* idmap.c - open addressing with linear probing, at most half full (Knuth 6.4, algorithm R for removal). */
#include "ledger/state/idmap.h"

#include <stdlib.h>
#include <string.h>

#define CAP_MIN 16

struct place {
    struct qn_hash key;
    uint64_t val;
};

struct qn_idmap {
    struct place *at;
    uint8_t *used;
    size_t cap, cnt; /* cap: a power of two; 0 at first */
    uint64_t secret; /* odd */
    unsigned shift;
};

struct qn_idmap *qn_idmap_new(uint64_t secret)
{
    struct qn_idmap *map = calloc(1, sizeof *map);
    QN_ASSERT(map != NULL);
    map->secret = (secret ^ UINT64_C(0x9e3779b97f4a7c15)) | 1;
    return map;
}

void qn_idmap_free(struct qn_idmap *map)
{
    if (!map) return;
    free(map->at);
    free(map->used);
    free(map);
}

size_t qn_idmap_cnt(const struct qn_idmap *map)
{
    return map->cnt;
}

/* Multiply and shift with a secret factor (Dietzfelbinger et al. 1997): any two keys meet by chance alone. */
static size_t home(const struct qn_idmap *map, const struct qn_hash *key)
{
    uint64_t a, b;
    memcpy(&a, key->b, 8);
    memcpy(&b, key->b + 16, 8);
    a = (a ^ (b >> 32)) * map->secret + b;
    return (size_t)(((a ^ (a >> 29)) * map->secret) >> map->shift);
}

/* Where key is, or would go. */
static size_t find(const struct qn_idmap *map, const struct qn_hash *key)
{
    size_t i = home(map, key);
    while (map->used[i] && !qn_hash_eq(&map->at[i].key, key))
        i = (i + 1) & (map->cap - 1);
    return i;
}

static void resize(struct qn_idmap *map, size_t cap)
{
    struct qn_idmap old = *map;
    map->at = malloc(cap * sizeof *map->at);
    map->used = calloc(cap, 1);
    QN_ASSERT(map->at && map->used);
    map->cap = cap;
    map->shift = 64;
    for (size_t n = cap; n > 1; n /= 2)
        map->shift--;
    for (size_t i = 0; i < old.cap; i++) {
        if (!old.used[i]) continue;
        size_t to = find(map, &old.at[i].key);
        map->at[to] = old.at[i];
        map->used[to] = 1;
    }
    free(old.at);
    free(old.used);
}

void qn_idmap_put(struct qn_idmap *map, const struct qn_hash *key, uint64_t val)
{
    if (2 * (map->cnt + 1) > map->cap) resize(map, QN_MAX(map->cap * 2, (size_t)CAP_MIN));
    size_t i = find(map, key);
    map->cnt += !map->used[i];
    map->used[i] = 1;
    map->at[i] = (struct place){ *key, val };
}

bool qn_idmap_get(const struct qn_idmap *map, const struct qn_hash *key, uint64_t *ret_val)
{
    if (map->cnt == 0) return false;
    size_t i = find(map, key);
    if (map->used[i]) *ret_val = map->at[i].val;
    return map->used[i];
}

bool qn_idmap_has(const struct qn_idmap *map, const struct qn_hash *key)
{
    return map->cnt && map->used[find(map, key)];
}

bool qn_idmap_del(struct qn_idmap *map, const struct qn_hash *key)
{
    if (map->cnt == 0) return false;
    size_t i = find(map, key), mask = map->cap - 1;
    if (!map->used[i]) return false;
    /* What stands behind the hole and may be looked for from before it moves up. */
    for (size_t k = (i + 1) & mask; map->used[k]; k = (k + 1) & mask) {
        size_t from = home(map, &map->at[k].key);
        if (((k - from) & mask) < ((k - i) & mask)) continue;
        map->at[i] = map->at[k];
        i = k;
    }
    map->used[i] = 0;
    map->cnt--;
    if (map->cap > CAP_MIN && map->cnt < map->cap / 8) resize(map, map->cap / 4);
    return true;
}
