/* model.h - a pool as one would write it first, for tests: an array, searched from end to end. What pool.c must agree with. */
#ifndef QN_LEDGER_POOL_MODEL_H
#define QN_LEDGER_POOL_MODEL_H

#include "ledger/pool/pool.h"

#include <string.h>

enum { MODEL_MAX = 512 };

struct model {
    struct qn_pool_limits limits;
    struct model_tx {
        struct qn_pool_tx tx;
        uint64_t seq;
    } at[MODEL_MAX]; /* in order of arrival */
    uint32_t cnt;
    uint64_t seq;
};

static inline size_t model_bytes(const struct model *m)
{
    size_t sum = 0;
    for (uint32_t i = 0; i < m->cnt; i++)
        sum += m->at[i].tx.bytes.len + QN_POOL_OVER;
    return sum;
}

static inline void model_cut(struct model *m, uint32_t i)
{
    memmove(&m->at[i], &m->at[i + 1], (m->cnt - i - 1) * sizeof m->at[0]);
    m->cnt--;
}

static inline uint32_t model_find(const struct model *m, const struct qn_hash *id)
{
    uint32_t i = 0;
    while (i < m->cnt && !qn_hash_eq(&m->at[i].tx.id, id))
        i++;
    return i;
}

/* The rules of pool.h, one after the other. */
static inline qn_rc model_put(struct model *m, const struct qn_pool_tx *tx)
{
    struct model next = *m;
    uint64_t rate = qn_pool_rate(tx), owed = 0;
    size_t mine = 0, full = model_bytes(m), need = tx->bytes.len + QN_POOL_OVER;
    uint32_t cnt = 0;
    if (model_find(m, &tx->id) < m->cnt) return QN_OK;
    for (uint32_t i = 0; i < next.cnt && tx->salt >> 63; i++) {
        const struct qn_pool_tx *o = &next.at[i].tx;
        if (o->salt != tx->salt || !qn_hash_eq(&o->sender, &tx->sender)) continue;
        if (rate <= qn_pool_rate(o) || rate - qn_pool_rate(o) < qn_pool_rate(o) / 10)
            return QN_E_EXISTS;
        model_cut(&next, i);
        break;
    }
    for (uint32_t i = 0; i < next.cnt; i++) {
        const struct qn_pool_tx *o = &next.at[i].tx;
        if (!qn_hash_eq(&o->payer, &tx->payer)) continue;
        cnt++;
        owed += o->fee_uqn;
        mine += o->bytes.len + QN_POOL_OVER;
    }
    if (cnt >= (full * 2 < m->limits.bytes ? m->limits.calm : m->limits.busy)) return QN_E_RATE;
    if (mine + need > m->limits.bytes / 16) return QN_E_RATE;
    if (owed + tx->fee_uqn > tx->balance_uqn) return QN_E_FUNDS;
    while (model_bytes(&next) + need > m->limits.bytes) {
        uint32_t worst = 0;
        for (uint32_t i = 1; i < next.cnt; i++) /* the least rate, the newest of it */
            if (qn_pool_rate(&next.at[i].tx) <= qn_pool_rate(&next.at[worst].tx)) worst = i;
        if (next.cnt == 0 || qn_pool_rate(&next.at[worst].tx) >= rate) return QN_E_RATE;
        model_cut(&next, worst);
    }
    next.at[next.cnt++] = (struct model_tx){ *tx, next.seq++ };
    *m = next;
    return QN_OK;
}

/* The order in which blocks take them, by asking again each time. */
static inline void model_order(const struct model *m, uint32_t *ret)
{
    bool gone[MODEL_MAX] = { false };
    for (uint32_t n = 0; n < m->cnt; n++) {
        uint32_t best = m->cnt, best_taken = 0;
        for (uint32_t i = 0; i < m->cnt; i++) {
            uint32_t taken = 0;
            bool front = !gone[i];
            for (uint32_t k = 0; k < m->cnt && front; k++) {
                if (!qn_hash_eq(&m->at[k].tx.payer, &m->at[i].tx.payer)) continue;
                if (gone[k])
                    taken++;
                else if (k < i)
                    front = false;
            }
            if (!front) continue;
            uint64_t a = qn_pool_rate(&m->at[i].tx),
                     b = best < m->cnt ? qn_pool_rate(&m->at[best].tx) : 0;
            if (best == m->cnt || a > b || (a == b && taken < best_taken)) {
                best = i;
                best_taken = taken;
            }
        }
        gone[best] = true;
        ret[n] = best;
    }
}

/* Whether pool and model hold the same, in the same order. */
static inline bool model_same(const struct model *m, const struct qn_pool *pool)
{
    struct qn_hash ids[MODEL_MAX];
    uint32_t order[MODEL_MAX];
    if (qn_pool_cnt(pool) != m->cnt || qn_pool_bytes(pool) != model_bytes(m)) return false;
    if (qn_pool_order(pool, ids, MODEL_MAX) != m->cnt) return false;
    model_order(m, order);
    for (uint32_t i = 0; i < m->cnt; i++)
        if (!qn_hash_eq(&ids[i], &m->at[order[i]].tx.id)) return false;
    return true;
}

#endif
