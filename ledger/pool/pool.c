/* pool.c - a list in order of arrival, found by id and counted by sender through two maps. */
#include "ledger/pool/pool.h"

#include "ledger/state/trie.h"

#include <stdlib.h>
#include <string.h>

struct entry {
    struct entry *prev, *next;
    struct qn_hash id, sender;
    uint64_t until_ms;
    size_t len;
    uint8_t bytes[];
};

struct qn_pool {
    struct entry *first, *last;
    struct qn_trie *by_id;     /* id -> struct entry * */
    struct qn_trie *by_sender; /* sender -> how many, u32 */
    size_t cnt, bytes;
};

struct qn_pool *qn_pool_new(void)
{
    struct qn_pool *pool = calloc(1, sizeof *pool);
    QN_ASSERT(pool != NULL);
    pool->by_id = qn_trie_new();
    pool->by_sender = qn_trie_new();
    return pool;
}

void qn_pool_free(struct qn_pool *pool)
{
    if (!pool) return;
    while (pool->first)
        qn_pool_drop(pool, &pool->first->id);
    qn_trie_free(pool->by_id);
    qn_trie_free(pool->by_sender);
    free(pool);
}

static uint32_t sender_cnt(const struct qn_pool *pool, const struct qn_hash *sender)
{
    struct qn_span val;
    uint32_t cnt = 0;
    if (qn_trie_get(pool->by_sender, QN_SPAN(sender->b, 32), &val))
        memcpy(&cnt, val.ptr, sizeof cnt);
    return cnt;
}

static void sender_set(struct qn_pool *pool, const struct qn_hash *sender, uint32_t cnt)
{
    if (cnt)
        qn_trie_put(pool->by_sender, QN_SPAN(sender->b, 32), QN_SPAN_OF(cnt));
    else
        qn_trie_del(pool->by_sender, QN_SPAN(sender->b, 32));
}

static struct entry *find(const struct qn_pool *pool, const struct qn_hash *id)
{
    struct qn_span val;
    struct entry *e = NULL;
    if (qn_trie_get(pool->by_id, QN_SPAN(id->b, 32), &val)) memcpy(&e, val.ptr, sizeof e);
    return e;
}

qn_rc qn_pool_put(struct qn_pool *pool, const struct qn_hash *id, const struct qn_tx *tx,
                  struct qn_span bytes, struct qn_why *why)
{
    if (pool->bytes + bytes.len > QN_POOL_BYTES) return qn_why(why, QN_E_RATE, "the pool is full");
    uint32_t cnt = sender_cnt(pool, &tx->sender);
    if (cnt >= QN_POOL_SENDER)
        return qn_why(why, QN_E_RATE, "%u transactions of this account wait already", cnt);
    struct entry *e = malloc(sizeof *e + bytes.len);
    QN_ASSERT(e != NULL);
    *e = (struct entry){ .prev = pool->last,
                         .id = *id,
                         .sender = tx->sender,
                         .until_ms = tx->until_ms,
                         .len = bytes.len };
    memcpy(e->bytes, bytes.ptr, bytes.len);
    if (pool->last)
        pool->last->next = e;
    else
        pool->first = e;
    pool->last = e;
    qn_trie_put(pool->by_id, QN_SPAN(id->b, 32), QN_SPAN_OF(e));
    sender_set(pool, &tx->sender, cnt + 1);
    pool->cnt++;
    pool->bytes += bytes.len;
    return QN_OK;
}

bool qn_pool_has(const struct qn_pool *pool, const struct qn_hash *id)
{
    return find(pool, id) != NULL;
}

void qn_pool_drop(struct qn_pool *pool, const struct qn_hash *id)
{
    struct entry *e = find(pool, id);
    if (!e) return;
    if (e->prev)
        e->prev->next = e->next;
    else
        pool->first = e->next;
    if (e->next)
        e->next->prev = e->prev;
    else
        pool->last = e->prev;
    qn_trie_del(pool->by_id, QN_SPAN(e->id.b, 32));
    sender_set(pool, &e->sender, sender_cnt(pool, &e->sender) - 1);
    pool->cnt--;
    pool->bytes -= e->len;
    free(e);
}

void qn_pool_expire(struct qn_pool *pool, uint64_t now_ms)
{
    for (struct entry *e = pool->first, *next; e; e = next) {
        next = e->next;
        if (now_ms > e->until_ms) qn_pool_drop(pool, &e->id);
    }
}

size_t qn_pool_cnt(const struct qn_pool *pool)
{
    return pool->cnt;
}

bool qn_pool_get(const struct qn_pool *pool, const struct qn_hash *id, struct qn_span *ret)
{
    const struct entry *e = find(pool, id);
    if (e) *ret = QN_SPAN(e->bytes, e->len);
    return e != NULL;
}

uint32_t qn_pool_pick(const struct qn_pool *pool, struct qn_arena *arena,
                      bool (*skip)(void *arg, const struct qn_hash *id), void *arg,
                      struct qn_tx *txs, struct qn_hash *ids, uint32_t max, size_t bytes)
{
    uint32_t cnt = 0;
    for (const struct entry *e = pool->first; e && cnt < max && e->len <= bytes; e = e->next) {
        if (skip && skip(arg, &e->id)) continue;
        void *copy = qn_arena_copy(arena, e->bytes, e->len);
        QN_ASSERT(copy && qn_decode(qn_tx_record(), QN_SPAN(copy, e->len), arena, &txs[cnt],
                                    NULL) == QN_OK);
        ids[cnt++] = e->id;
        bytes -= e->len;
    }
    return cnt;
}
