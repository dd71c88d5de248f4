/* set.c - validator sets: roots, caps, the first one. */
#include "ledger/bft/set.h"

#include "core/crypto/hash.h"
#include "ledger/bft/vote.h"

#include <string.h>

#define FAST_PPM_MAX 200000u

struct qn_hash qn_set_hash(const struct qn_set *set)
{
    struct qn_hasher h;
    QN_ASSERT(set->cnt >= 1 && set->cnt <= QN_SET_MAX);
    qn_hasher_label(&h, "set");
    for (uint32_t i = 0; i < set->cnt; i++) {
        uint8_t w[8];
        for (int k = 0; k < 8; k++)
            w[k] = (uint8_t)(set->weights[i] >> (8 * k));
        qn_hasher_put(&h, set->keys[i].b, 32);
        qn_hasher_put(&h, w, sizeof w);
    }
    return qn_hasher_end(&h);
}

struct qn_quorum qn_set_quorum(const struct qn_set *set)
{
    return qn_quorum_of(set->weights, set->cnt, set->fast_ppm);
}

int qn_set_find(const struct qn_set *set, const struct qn_hash *key)
{
    for (uint32_t i = 0; i < set->cnt; i++)
        if (qn_hash_eq(&set->keys[i], key)) return (int)i;
    return -1;
}

void qn_set_cap(uint64_t *stakes, uint32_t cnt)
{
    uint64_t all = 0;
    for (uint32_t i = 0; i < cnt; i++) {
        stakes[i] = QN_MAX(stakes[i], UINT64_C(1));
        QN_ASSERT(stakes[i] <= (UINT64_C(1) << 62) - all);
        all += stakes[i];
    }
    uint64_t cap = cnt ? QN_MAX(QN_MAX(all / 10, all / cnt), UINT64_C(1)) : 0;
    for (uint32_t i = 0; i < cnt; i++)
        stakes[i] = QN_MIN(stakes[i], cap);
}

qn_rc qn_set_genesis(const struct qn_genesis *g, struct qn_set *ret, struct qn_why *why)
{
    uint64_t sum = 0; /* at most 1,200 amounts of at most 2.1e13 */
    for (uint32_t i = 0; i < g->grants.cnt; i++)
        sum += g->grants.ptr[i].amount.uqn;
    for (uint32_t i = 0; i < g->bonds.cnt; i++) {
        sum += g->bonds.ptr[i].amount.uqn;
        if (g->bonds.ptr[i].commission_ppm > 1000000 || g->bonds.ptr[i].amount.uqn == 0)
            return qn_why(why, QN_E_RANGE,
                          "the genesis has a bond of nothing, or a commission of more than all");
    }
    if (sum > QN_SUPPLY_UQN)
        return qn_why(why, QN_E_RANGE, "the genesis gives away more than there is");
    if (g->validators.cnt == 0 || g->validators.cnt > QN_SET_MAX)
        return qn_why(why, QN_E_RANGE, "the genesis names %u validators, not 1 to %d",
                      g->validators.cnt, QN_SET_MAX);
    if (g->bonds.cnt && g->bonds.cnt != g->validators.cnt)
        return qn_why(why, QN_E_RANGE, "the genesis has %u bonds for %u validators", g->bonds.cnt,
                      g->validators.cnt);
    if (g->fast_ppm > FAST_PPM_MAX)
        return qn_why(why, QN_E_RANGE, "fast_ppm is %u, at most %u", g->fast_ppm, FAST_PPM_MAX);
    if (g->epoch_ms && (g->epoch_ms < (g->dev ? QN_EPOCH_MIN_MS : QN_EPOCH_DEV_MS) ||
                        g->epoch_ms > QN_EPOCH_MAX_MS))
        return qn_why(why, QN_E_RANGE, "the genesis' epoch_ms is out of range");
    *ret = (struct qn_set){ .cnt = g->validators.cnt, .fast_ppm = g->fast_ppm };
    for (uint32_t i = 0; i < ret->cnt; i++) {
        for (uint32_t k = 0; k < i; k++)
            if (qn_hash_eq(&g->validators.ptr[i], &g->validators.ptr[k]))
                return qn_why(why, QN_E_RANGE, "the genesis names a validator twice");
        ret->keys[i] = g->validators.ptr[i];
        ret->weights[i] = g->bonds.cnt ? g->bonds.ptr[i].amount.uqn : 1;
    }
    qn_set_cap(ret->weights, ret->cnt);
    return QN_OK;
}

uint64_t qn_set_overlap(const struct qn_set *trusted, const struct qn_set *own,
                        const struct qn_cert *cert)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < trusted->cnt; i++) { /* each once, however often `own` names its key */
        bool signs = false;
        for (uint32_t k = 0; k < qn_cert_cnt(cert) && !signs; k++) {
            uint16_t signer = qn_cert_at(cert, k)->signer;
            signs = signer < own->cnt && qn_hash_eq(&own->keys[signer], &trusted->keys[i]);
        }
        if (signs) sum += trusted->weights[i];
    }
    return sum;
}
