/* kad_store.c - a bounded table of provider records with two indices. */
#include "net/libp2p/kad_store.h"

#include <stdlib.h>
#include <string.h>

#define HEADS 16384
#define NONE  UINT32_MAX

enum { CHAIN_KEY, CHAIN_PEER, CHAINS };

struct kad_record {
    struct qn_hash key;
    uint64_t until_ms;
    uint32_t next[CHAINS];
    struct kad_peer peer;
};

void kad_store_init(struct kad_store *store, const struct qn_hash *self, struct qn_span seed,
                    uint32_t max)
{
    *store = (struct kad_store){ .self = *self, .max = max ? max : KAD_RECORD_MAX };
    net_dice_init(&store->dice, seed);
}

void kad_store_fini(struct kad_store *store)
{
    free(store->record);
    free(store->by_key);
    free(store->by_peer);
    memset(store, 0, sizeof *store);
}

static uint32_t *head(struct kad_store *store, int chain, const struct qn_hash *key,
                      const struct qn_peer_id *id)
{
    struct qn_span s = chain == CHAIN_KEY ? QN_SPAN(key->b, 32) : QN_SPAN(id->b, id->len);
    uint32_t *heads = chain == CHAIN_KEY ? store->by_key : store->by_peer;
    return &heads[net_dice_hash(&store->dice, s) % HEADS];
}

static void unlink_at(struct kad_store *store, uint32_t i)
{
    for (int c = 0; c < CHAINS; c++) {
        uint32_t *at = head(store, c, &store->record[i].key, &store->record[i].peer.id);
        while (*at != i)
            at = &store->record[*at].next[c];
        *at = store->record[i].next[c];
    }
}

static void link_at(struct kad_store *store, uint32_t i)
{
    for (int c = 0; c < CHAINS; c++) {
        uint32_t *at = head(store, c, &store->record[i].key, &store->record[i].peer.id);
        store->record[i].next[c] = *at;
        *at = i;
    }
}

static void drop(struct kad_store *store, uint32_t i)
{
    uint32_t last = store->cnt - 1;
    unlink_at(store, i);
    if (i != last) {
        unlink_at(store, last);
        store->record[i] = store->record[last];
        link_at(store, i);
    }
    store->cnt--;
}

static void grow(struct kad_store *store)
{
    if (!store->cap) {
        store->by_key = malloc(HEADS * sizeof *store->by_key);
        store->by_peer = malloc(HEADS * sizeof *store->by_peer);
        QN_ASSERT(store->by_key && store->by_peer);
        memset(store->by_key, 0xff, HEADS * sizeof *store->by_key);
        memset(store->by_peer, 0xff, HEADS * sizeof *store->by_peer);
    }
    if (store->cnt < store->cap || store->cap == store->max) return;
    store->cap = QN_MIN(QN_MAX(store->cap * 2, 64u), store->max);
    store->record = realloc(store->record, store->cap * sizeof *store->record);
    QN_ASSERT(store->record);
}

/* Whether a place could be made for key in a full store. */
static bool make_room(struct kad_store *store, const struct qn_hash *key)
{
    uint32_t far = net_dice_below(&store->dice, store->cnt);
    for (int i = 0; i < 15; i++) {
        uint32_t other = net_dice_below(&store->dice, store->cnt);
        if (kad_near(&store->self, &store->record[far].key, &store->record[other].key)) far = other;
    }
    if (!kad_near(&store->self, key, &store->record[far].key)) return false;
    drop(store, far);
    return true;
}

/* Drops one record of key that is over its time; false when there is none. */
static bool drop_old(struct kad_store *store, const struct qn_hash *key, uint64_t now_ms)
{
    uint32_t i = *head(store, CHAIN_KEY, key, NULL);
    while (i != NONE &&
           !(store->record[i].until_ms <= now_ms && qn_hash_eq(&store->record[i].key, key)))
        i = store->record[i].next[CHAIN_KEY];
    if (i == NONE) return false;
    drop(store, i);
    return true;
}

qn_rc kad_store_put(struct kad_store *store, const struct qn_hash *key, const struct kad_peer *peer,
                    uint64_t now_ms)
{
    uint32_t of_key = 0, of_peer = 0;
    grow(store);
    while (drop_old(store, key, now_ms)) {
    }
    for (uint32_t i = *head(store, CHAIN_KEY, key, NULL); i != NONE;
         i = store->record[i].next[CHAIN_KEY]) {
        struct kad_record *r = &store->record[i];
        if (!qn_hash_eq(&r->key, key)) continue;
        of_key++;
        if (!qn_peer_id_eq(&r->peer.id, &peer->id)) continue;
        r->peer = *peer;
        r->until_ms = now_ms + KAD_RECORD_MS;
        return QN_OK;
    }
    for (uint32_t i = *head(store, CHAIN_PEER, NULL, &peer->id); i != NONE;
         i = store->record[i].next[CHAIN_PEER])
        of_peer += qn_peer_id_eq(&store->record[i].peer.id, &peer->id);
    if (of_key >= KAD_RECORD_KEY || of_peer >= KAD_RECORD_ONE) return QN_E_LIMIT;
    if (store->cnt == store->max && !make_room(store, key)) return QN_E_LIMIT;
    grow(store);
    QN_ASSERT(store->cnt < store->cap);
    store->record[store->cnt] =
        (struct kad_record){ .key = *key, .until_ms = now_ms + KAD_RECORD_MS, .peer = *peer };
    link_at(store, store->cnt++);
    return QN_OK;
}

uint32_t kad_store_get(struct kad_store *store, const struct qn_hash *key, uint64_t now_ms,
                       uint32_t max, struct kad_peer *ret)
{
    uint32_t seen = 0, cnt = 0;
    if (!store->cap || !max) return 0;
    for (uint32_t i = *head(store, CHAIN_KEY, key, NULL); i != NONE;
         i = store->record[i].next[CHAIN_KEY]) {
        const struct kad_record *r = &store->record[i];
        if (!qn_hash_eq(&r->key, key) || r->until_ms <= now_ms) continue;
        uint32_t at = cnt < max ? cnt++ : net_dice_below(&store->dice, seen + 1);
        if (at < max) ret[at] = r->peer;
        seen++;
    }
    return cnt;
}

void kad_store_expire(struct kad_store *store, uint32_t cnt, uint64_t now_ms)
{
    for (; cnt && store->cnt; cnt--) {
        uint32_t i = net_dice_below(&store->dice, store->cnt);
        if (store->record[i].until_ms <= now_ms) drop(store, i);
    }
}
