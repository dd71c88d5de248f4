/* fault.c - what validators answer for: two votes that exclude each other cost stake, and the key; absence costs a while outside. */
#include "ledger/state/state_in.h"

#include "ledger/bft/vote.h"

#include <string.h>

#define SHARE_FACTOR 3 /* an attack by a third of the stake costs it all */

/* Millionths of all stake that voted twice lately, this validator's among it; notes it. */
static uint32_t share_of(struct qn_apply *ap, const struct qn_validator *v)
{
    struct qn_faults f = { 0 };
    struct qn_stake_sets *sets = qn_arena_alloc(ap->arena, sizeof *sets);
    qn_rc rc = qn_view_rec(ap->view, QN_TABLE_META, QN_SPAN_STR("faults"), qn_faults_record(),
                           ap->arena, &f);
    QN_ASSERT(sets != NULL && (rc == QN_OK || rc == QN_E_NOTFOUND));
    if (rc) f.list.cnt = 0;
    qn_stake_set(ap->view, sets);
    struct qn_quorum q = qn_set_quorum(&sets->now);
    uint64_t window = qn_param(ap->view, QN_PARAM_slash_window_ms), sum = 0, mine;
    QN_ASSERT(qn_muldiv(QN_MIN(v->stake.uqn, q.all), 1000000, q.all, &mine));
    struct qn_fault *list = qn_arena_alloc(ap->arena, (f.list.cnt + 1) * sizeof *list);
    QN_ASSERT(list != NULL);
    uint32_t cnt = 0;
    for (uint32_t i = 0; i < f.list.cnt; i++)
        if (f.list.ptr[i].t_ms + window > ap->now_ms) list[cnt++] = f.list.ptr[i];
    if (cnt == 200) { /* more than a set has: the two oldest count as one */
        list[1].share_ppm = QN_MIN(list[0].share_ppm + list[1].share_ppm, 1000000u);
        memmove(list, list + 1, --cnt * sizeof *list);
    }
    list[cnt++] = (struct qn_fault){ ap->now_ms, (uint32_t)mine };
    for (uint32_t i = 0; i < cnt; i++)
        sum += list[i].share_ppm;
    f.list.cnt = cnt;
    f.list.ptr = list;
    qn_row_put_rec(ap, QN_TABLE_META, QN_SPAN_STR("faults"), qn_faults_record(), &f);
    return (uint32_t)QN_MIN(sum, UINT64_C(1000000));
}

/* FIXME: two signed proposals of one view are not judged: a proposal leaves before its proposer's vote is synced, so that a crash makes an
 * honest one sign two. They make nothing final without votes; to be judged they would have to be journalled first. */
static qn_rc evidence_check(const void *body, struct qn_why *why)
{
    const struct evidence_submit *b = body;
    if (!qn_votes_exclude(&b->a, &b->b))
        return qn_why(why, QN_E_RANGE, "an honest validator may cast both votes");
    return QN_OK;
}

static qn_rc evidence_apply(struct qn_apply *ap, const void *body, struct qn_why *why)
{
    const struct evidence_submit *b = body;
    struct qn_validator v;
    struct qn_penalty done;
    struct qn_epoch e = qn_epoch_get(ap->view);
    qn_rc rc = qn_stake_get(ap->view, &b->validator, ap->arena, &v);
    if (rc) return qn_why(why, rc, "no stake stands behind that validator");
    if (v.barred) return qn_why(why, QN_E_DUPLICATE, "it is out for good already");
    if (b->a.epoch > e.epoch + 1)
        return qn_why(why, QN_E_RANGE, "epoch %u has not begun", b->a.epoch);
    uint64_t age_ms = 0, epoch_ms = qn_param(ap->view, QN_PARAM_epoch_ms),
             most = qn_param(ap->view, QN_PARAM_unbond_ms);
    if (b->a.epoch < e.epoch) age_ms = (uint64_t)(e.epoch - b->a.epoch) * epoch_ms;
    if (age_ms > most)
        return qn_why(why, QN_E_EXPIRED, "the stake of that time may have left by now");
    if (!qn_vote_ok(&b->a, &ap->chain, &v.key) || !qn_vote_ok(&b->b, &ap->chain, &v.key))
        return qn_why(why, QN_E_SIGNATURE, "a vote's signature is not the validator's");
    uint64_t ppm = (uint64_t)share_of(ap, &v) * SHARE_FACTOR,
             least = qn_param(ap->view, QN_PARAM_slash_min_ppm);
    v.barred = true;
    qn_stake_slash(ap, &b->validator, &v, (uint32_t)QN_MIN(QN_MAX(ppm, least), UINT64_C(1000000)),
                   &ap->sender, &done);
    qn_emit(ap, "validator.slashed", &b->validator, qn_penalty_record(), &done);
    return QN_OK;
}

void qn_fault_absent(struct qn_apply *ap, const uint8_t *signers, uint32_t cnt)
{
    struct qn_stake_sets *sets = qn_arena_alloc(ap->arena, sizeof *sets);
    QN_ASSERT(sets != NULL);
    qn_stake_set(ap->view, sets);
    if (cnt == 0 || sets->last)
        return; /* the last block of an epoch was signed by the set before `now` */
    uint64_t window = qn_param(ap->view, QN_PARAM_absent_window), most;
    QN_ASSERT(qn_muldiv(window, qn_param(ap->view, QN_PARAM_absent_ppm), 1000000, &most));
    for (uint32_t i = 0; i < sets->now.cnt; i++) {
        struct qn_validator v;
        if (i < cnt && (signers[i / 8] >> (i % 8) & 1)) continue; /* who votes writes no row */
        struct qn_hash id = qn_acct_key(&sets->now.keys[i]);
        if (qn_stake_get(ap->view, &id, ap->arena, &v) || v.jailed_ms || v.barred) continue;
        uint64_t now = ap->height / window;
        v.absent_cnt = v.absent_window == now ? v.absent_cnt + 1 : 1;
        v.absent_window = now;
        bool out = v.absent_cnt >= most;
        if (out) v.jailed_ms = ap->now_ms + qn_param(ap->view, QN_PARAM_jail_ms);
        qn_stake_put(ap, &id, &v);
        if (out) qn_emit(ap, "validator.jailed", &id, qn_validator_record(), &v);
    }
}

const struct qn_tx_kind QN_FAULT_TXS[] = {
    { QN_TX_EVIDENCE, "evidence.submit",
      "prove that a validator voted twice; a tenth of what it loses is yours",
      evidence_submit_record, 120000, evidence_check, evidence_apply },
    { 0 },
};
