/* pool.c - queues of payers; maps by id and slot, ordered ones by tip a unit and end. */
#include "ledger/pool/pool.h"

#include "core/crypto/hash.h"
#include "ledger/state/idmap.h"
#include "ledger/state/trie.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define CALM 4096
#define BUSY 64
#define PART 16 /* one payer's share of the bytes is at most a 16th */

struct payer;

struct entry {
    struct entry *prev, *next; /* of the same payer, in order of arrival */
    struct payer *payer;
    struct qn_hash id, whole, slot;
    uint64_t rate, seq, until_ms, fee_uqn;
    bool has_slot;
    size_t len;
    uint8_t bytes[];
};

struct payer {
    struct payer *prev, *next;
    struct qn_hash id;
    struct entry *first, *last;
    uint32_t cnt;
    size_t bytes;
    uint64_t owed_uqn; /* most that those waiting may take */
};

struct qn_pool {
    struct qn_pool_limits limits;
    struct payer *payers;
    struct qn_idmap *by_id, *by_slot, *by_payer; /* -> pointer */
    struct qn_trie *by_rate;                     /* rate, ~seq: the first leaves first */
    struct qn_trie *by_until;                    /* until_ms, seq */
    size_t cnt, payer_cnt, bytes;
    uint64_t seq;
};

/* --- maps of pointers -------------------------------------------------------------------------------------- */

static void *map_get(const struct qn_idmap *map, const struct qn_hash *key)
{
    uint64_t val;
    return qn_idmap_get(map, key, &val) ? (void *)(uintptr_t)val : NULL;
}

static void map_put(struct qn_idmap *map, const struct qn_hash *key, void *ptr)
{
    qn_idmap_put(map, key, (uintptr_t)ptr);
}

static void order_put(struct qn_trie *map, struct qn_span key, void *ptr)
{
    qn_trie_put(map, key, QN_SPAN(&ptr, sizeof ptr));
}

static struct entry *order_first(const struct qn_trie *map)
{
    struct qn_span key = { NULL, 0 }, val;
    struct entry *e = NULL;
    if (qn_trie_next(map, key, true, &key, &val)) memcpy(&e, val.ptr, sizeof e);
    return e;
}

static struct qn_span pair(uint64_t a, uint64_t b, uint8_t dst[16])
{
    for (int i = 0; i < 8; i++) {
        dst[i] = (uint8_t)(a >> (56 - 8 * i));
        dst[8 + i] = (uint8_t)(b >> (56 - 8 * i));
    }
    return QN_SPAN(dst, 16);
}

static size_t weight(size_t len)
{
    return len + QN_POOL_OVER;
}

struct qn_pool *qn_pool_new(const struct qn_pool_limits *limits)
{
    struct qn_pool *pool = calloc(1, sizeof *pool);
    QN_ASSERT(pool != NULL);
    pool->limits = limits ? *limits : (struct qn_pool_limits){ 0 };
    if (pool->limits.bytes == 0) {
        pool->limits.bytes = QN_POOL_BYTES;
        pool->limits.calm = CALM;
        pool->limits.busy = BUSY;
    }
    pool->by_id = qn_idmap_new(pool->limits.secret);
    pool->by_slot = qn_idmap_new(pool->limits.secret);
    pool->by_payer = qn_idmap_new(pool->limits.secret);
    pool->by_rate = qn_trie_new();
    pool->by_until = qn_trie_new();
    return pool;
}

void qn_pool_free(struct qn_pool *pool)
{
    if (!pool) return;
    while (pool->payers)
        qn_pool_drop(pool, &pool->payers->first->id);
    qn_idmap_free(pool->by_id);
    qn_idmap_free(pool->by_slot);
    qn_idmap_free(pool->by_payer);
    qn_trie_free(pool->by_rate);
    qn_trie_free(pool->by_until);
    free(pool);
}

static struct entry *find(const struct qn_pool *pool, const struct qn_hash *id)
{
    return map_get(pool->by_id, id);
}

static struct payer *find_payer(const struct qn_pool *pool, const struct qn_hash *id)
{
    return map_get(pool->by_payer, id);
}

uint64_t qn_pool_rate(const struct qn_pool_tx *tx)
{
    uint64_t rate;
    return qn_muldiv(tx->tip_uqn, 1u << 20, tx->bytes.len + tx->gas_max / 100 + 1, &rate)
               ? rate
               : UINT64_MAX;
}

/* --- who may enter ------------------------------------------------------------------------------------------ */

/* The one that waits in the same slot; NULL: none. */
static struct entry *in_slot(const struct qn_pool *pool, const struct qn_pool_tx *tx)
{
    struct qn_hash slot;
    return qn_tx_slot(&tx->sender, tx->salt, &slot) ? map_get(pool->by_slot, &slot) : NULL;
}

/* Whether those that tip less make enough room. `out` leaves anyway. */
static bool can_evict(const struct qn_pool *pool, uint64_t rate, size_t need,
                      const struct entry *out)
{
    struct qn_span key = { NULL, 0 }, val;
    size_t free_bytes = pool->limits.bytes - pool->bytes + (out ? weight(out->len) : 0);
    for (bool first = true; free_bytes < need; first = false) {
        struct entry *e;
        if (!qn_trie_next(pool->by_rate, key, first, &key, &val)) return false;
        memcpy(&e, val.ptr, sizeof e);
        if (e == out) continue;
        if (e->rate >= rate) return false;
        free_bytes += weight(e->len);
    }
    return true;
}

qn_rc qn_pool_room(const struct qn_pool *pool, const struct qn_pool_tx *tx, struct qn_why *why)
{
    const struct payer *p = find_payer(pool, &tx->payer);
    struct entry *old = in_slot(pool, tx);
    uint64_t rate = qn_pool_rate(tx);
    size_t need = weight(tx->bytes.len);
    bool mine = old && old->payer == p; /* what leaves was counted here */
    uint32_t cnt = p ? p->cnt - mine : 0,
             most = pool->bytes * 2 < pool->limits.bytes ? pool->limits.calm : pool->limits.busy;
    uint64_t owed = p ? p->owed_uqn - (mine ? old->fee_uqn : 0) : 0;
    size_t bytes = p ? p->bytes - (mine ? weight(old->len) : 0) : 0;
    if (find(pool, &tx->id)) return QN_OK;
    if (old && (rate <= old->rate || rate - old->rate < old->rate / 10))
        return qn_why(why, QN_E_EXISTS,
                      "one with this salt waits; to take its place, tip a tenth more a unit");
    if (cnt >= most)
        return qn_why(why, QN_E_RATE, "%u transactions of this account wait already", cnt);
    if (bytes + need > pool->limits.bytes / PART)
        return qn_why(why, QN_E_RATE, "%zu bytes of this account wait already", bytes);
    if (tx->balance_uqn < owed || tx->balance_uqn - owed < tx->fee_uqn)
        return qn_why(why, QN_E_FUNDS,
                      "have %" PRIu64 " uqn, need %" PRIu64
                      " for the fees of it and of %u that wait",
                      tx->balance_uqn, owed + tx->fee_uqn, cnt);
    if (!can_evict(pool, rate, need, old))
        return qn_why(why, QN_E_RATE, "the pool is full of those that tip as much or more");
    return QN_OK;
}

/* --- in and out --------------------------------------------------------------------------------------------- */

static void take_out(struct qn_pool *pool, struct entry *e)
{
    struct payer *p = e->payer;
    uint8_t key[16];
    *(e->prev ? &e->prev->next : &p->first) = e->next;
    *(e->next ? &e->next->prev : &p->last) = e->prev;
    qn_idmap_del(pool->by_id, &e->id);
    qn_trie_del(pool->by_rate, pair(e->rate, ~e->seq, key));
    qn_trie_del(pool->by_until, pair(e->until_ms, e->seq, key));
    if (e->has_slot) qn_idmap_del(pool->by_slot, &e->slot);
    pool->cnt--;
    pool->bytes -= weight(e->len);
    p->cnt--;
    p->bytes -= weight(e->len);
    p->owed_uqn -= e->fee_uqn;
    if (p->cnt == 0) {
        *(p->prev ? &p->prev->next : &pool->payers) = p->next;
        if (p->next) p->next->prev = p->prev;
        qn_idmap_del(pool->by_payer, &p->id);
        pool->payer_cnt--;
        free(p);
    }
    free(e);
}

static struct payer *payer_of(struct qn_pool *pool, const struct qn_hash *id)
{
    struct payer *p = find_payer(pool, id);
    if (p) return p;
    p = calloc(1, sizeof *p);
    QN_ASSERT(p != NULL);
    p->id = *id;
    p->next = pool->payers;
    if (p->next) p->next->prev = p;
    pool->payers = p;
    pool->payer_cnt++;
    map_put(pool->by_payer, id, p);
    return p;
}

qn_rc qn_pool_put(struct qn_pool *pool, const struct qn_pool_tx *tx, struct qn_why *why)
{
    uint8_t key[16];
    qn_rc rc = qn_pool_room(pool, tx, why);
    if (rc || find(pool, &tx->id)) return rc;
    struct entry *old = in_slot(pool, tx);
    if (old) take_out(pool, old);
    while (pool->limits.bytes - pool->bytes < weight(tx->bytes.len))
        take_out(pool, order_first(pool->by_rate));
    struct payer *p = payer_of(pool, &tx->payer);
    struct entry *e = malloc(sizeof *e + tx->bytes.len);
    QN_ASSERT(e != NULL);
    *e = (struct entry){ .prev = p->last,
                         .payer = p,
                         .id = tx->id,
                         .whole = tx->whole,
                         .rate = qn_pool_rate(tx),
                         .seq = pool->seq++,
                         .until_ms = tx->until_ms,
                         .fee_uqn = tx->fee_uqn,
                         .len = tx->bytes.len };
    e->has_slot = qn_tx_slot(&tx->sender, tx->salt, &e->slot);
    memcpy(e->bytes, tx->bytes.ptr, tx->bytes.len);
    *(p->last ? &p->last->next : &p->first) = e;
    p->last = e;
    map_put(pool->by_id, &e->id, e);
    order_put(pool->by_rate, pair(e->rate, ~e->seq, key), e);
    order_put(pool->by_until, pair(e->until_ms, e->seq, key), e);
    if (e->has_slot) map_put(pool->by_slot, &e->slot, e);
    pool->cnt++;
    pool->bytes += weight(e->len);
    p->cnt++;
    p->bytes += weight(e->len);
    p->owed_uqn += e->fee_uqn;
    return QN_OK;
}

bool qn_pool_has(const struct qn_pool *pool, const struct qn_hash *id)
{
    return find(pool, id) != NULL;
}

void qn_pool_drop(struct qn_pool *pool, const struct qn_hash *id)
{
    struct entry *e = find(pool, id);
    if (e) take_out(pool, e);
}

void qn_pool_final(struct qn_pool *pool, const struct qn_tx *tx, const struct qn_hash *id)
{
    struct qn_hash slot;
    qn_pool_drop(pool, id);
    if (!qn_tx_slot(&tx->sender, tx->salt, &slot)) return;
    struct entry *e = map_get(pool->by_slot, &slot);
    if (e) take_out(pool, e);
}

void qn_pool_expire(struct qn_pool *pool, uint64_t now_ms)
{
    struct entry *e;
    while ((e = order_first(pool->by_until)) && now_ms > e->until_ms)
        take_out(pool, e);
}

size_t qn_pool_cnt(const struct qn_pool *pool)
{
    return pool->cnt;
}

size_t qn_pool_bytes(const struct qn_pool *pool)
{
    return pool->bytes;
}

bool qn_pool_knows(const struct qn_pool *pool, const struct qn_hash *id,
                   const struct qn_hash *whole)
{
    const struct entry *e = find(pool, id);
    return e && qn_hash_eq(&e->whole, whole);
}

bool qn_pool_get(const struct qn_pool *pool, const struct qn_hash *id, struct qn_span *ret)
{
    const struct entry *e = find(pool, id);
    if (e) *ret = QN_SPAN(e->bytes, e->len);
    return e != NULL;
}

/* --- the order of a block ----------------------------------------------------------------------------------- */

/* A payer's queue as far as it was taken. */
struct turn {
    const struct entry *at;
    uint32_t taken;
};

static bool before(const struct turn *a, const struct turn *b)
{
    if (a->at->rate != b->at->rate) return a->at->rate > b->at->rate;
    if (a->taken != b->taken) return a->taken < b->taken;
    return a->at->seq < b->at->seq;
}

static void sift(struct turn *heap, size_t cnt, size_t i)
{
    for (;;) {
        size_t best = i, l = 2 * i + 1, r = l + 1;
        if (l < cnt && before(&heap[l], &heap[best])) best = l;
        if (r < cnt && before(&heap[r], &heap[best])) best = r;
        if (best == i) return;
        struct turn x = heap[i];
        heap[i] = heap[best];
        heap[best] = x;
        i = best;
    }
}

/* Calls take with one after the other until it says that this was enough; false from `fits` passes over one, with its payer's later ones when
 * *ret_last is set. */
static void walk(const struct qn_pool *pool,
                 bool (*take)(void *arg, const struct entry *e, bool *ret_last), void *arg)
{
    struct turn *heap = malloc((pool->payer_cnt + 1) * sizeof *heap);
    size_t cnt = 0;
    bool more = true;
    QN_ASSERT(heap != NULL);
    for (const struct payer *p = pool->payers; p; p = p->next)
        heap[cnt++] = (struct turn){ p->first, 0 };
    for (size_t i = cnt / 2; i-- > 0;)
        sift(heap, cnt, i);
    while (cnt && more) {
        bool last = false;
        more = take(arg, heap->at, &last);
        heap->taken++;
        heap->at = last ? NULL : heap->at->next;
        if (!heap->at) heap[0] = heap[--cnt];
        sift(heap, cnt, 0);
    }
    free(heap);
}

struct pick {
    struct qn_arena *arena;
    bool (*skip)(void *arg, const struct qn_hash *id, const struct qn_hash *slot);
    void *arg;
    struct qn_tx *txs; /* NULL: ids alone */
    struct qn_hash *ids;
    uint32_t cnt, max;
    size_t bytes;
};

static bool pick(void *arg, const struct entry *e, bool *ret_last)
{
    struct pick *p = arg;
    if (p->cnt == p->max) return false;
    if (p->skip && p->skip(p->arg, &e->id, e->has_slot ? &e->slot : NULL)) return true;
    if (e->len > p->bytes) {
        *ret_last = true; /* what comes behind it in its queue waits with it */
        return true;
    }
    if (p->txs) {
        void *copy = qn_arena_copy(p->arena, e->bytes, e->len);
        QN_ASSERT(copy && qn_decode(qn_tx_record(), QN_SPAN(copy, e->len), p->arena,
                                    &p->txs[p->cnt], NULL) == QN_OK);
    }
    p->ids[p->cnt++] = e->id;
    p->bytes -= e->len;
    return p->cnt < p->max;
}

uint32_t qn_pool_pick(const struct qn_pool *pool, struct qn_arena *arena,
                      bool (*skip)(void *arg, const struct qn_hash *id, const struct qn_hash *slot),
                      void *arg, struct qn_tx *txs, struct qn_hash *ids, uint32_t max, size_t bytes)
{
    struct pick p = { arena, skip, arg, txs, ids, 0, max, bytes };
    walk(pool, pick, &p);
    return p.cnt;
}

uint32_t qn_pool_order(const struct qn_pool *pool, struct qn_hash *ids, uint32_t max)
{
    struct pick p = { .ids = ids, .max = max, .bytes = SIZE_MAX };
    walk(pool, pick, &p);
    return p.cnt;
}

void qn_pool_visit(const struct qn_pool *pool,
                   void (*visit)(void *to, const struct qn_hash *id, struct qn_span bytes),
                   void *to)
{
    for (const struct payer *p = pool->payers; p; p = p->next)
        for (const struct entry *e = p->first; e; e = e->next)
            visit(to, &e->id, QN_SPAN(e->bytes, e->len));
}
