/* slash.c - what a block pays those who stake, and what a fault costs them. */
#include "ledger/state/state_in.h"

#include <string.h>

struct qn_hash qn_stake_payee(struct qn_apply *ap, const struct qn_hash *proposer)
{
    struct qn_validator v;
    return qn_stake_get(ap->view, proposer, ap->arena, &v) == QN_OK ? v.owner : *proposer;
}

void qn_stake_reward(struct qn_apply *ap, const struct qn_hash *from,
                     const struct qn_hash *proposer, struct qn_amount amount)
{
    struct qn_validator v;
    if (qn_stake_get(ap->view, proposer, ap->arena, &v)) {
        QN_ASSERT(qn_post(ap, from, proposer, amount, NULL) == QN_OK);
        return;
    }
    const struct qn_hash bond = qn_stake_bond(proposer);
    struct qn_amount kept = v.shares ? qn_amount_ppm(amount, v.commission_ppm) : amount,
                     rest = QN_UQN(amount.uqn - kept.uqn);
    QN_ASSERT(qn_post(ap, from, &v.owner, kept, NULL) == QN_OK);
    QN_ASSERT(qn_post(ap, from, &bond, rest, NULL) == QN_OK);
    if (rest.uqn == 0) return;
    v.stake.uqn += rest.uqn;
    qn_stake_put(ap, proposer, &v);
}

struct cut {
    const struct qn_hash *reporter;
    uint32_t report_ppm;
    struct qn_penalty *sum;
};

static void take(struct qn_apply *ap, const struct cut *cut, const struct qn_hash *from,
                 uint64_t uqn)
{
    const struct qn_hash burnt = qn_acct_burnt();
    struct qn_amount reward = qn_amount_ppm(QN_UQN(uqn), cut->report_ppm);
    QN_ASSERT(qn_post(ap, from, cut->reporter, reward, NULL) == QN_OK);
    QN_ASSERT(qn_post(ap, from, &burnt, QN_UQN(uqn - reward.uqn), NULL) == QN_OK);
    cut->sum->reward.uqn += reward.uqn;
    cut->sum->burnt.uqn += uqn - reward.uqn;
}

/* Slashes what moved from a validator to another. */
static void take_moved(struct qn_apply *ap, const struct cut *cut, const struct qn_hash *id)
{
    struct qn_unbond u;
    struct qn_validator w;
    QN_ASSERT(qn_view_rec(ap->view, QN_TABLE_UNBOND, QN_SPAN(id->b, 32), qn_unbond_record(),
                          ap->arena, &u) == QN_OK);
    QN_ASSERT(qn_stake_get(ap->view, &u.to.v, ap->arena, &w) == QN_OK);
    const struct qn_hash bond = qn_stake_bond(&u.to.v);
    struct qn_delegation d = qn_delegation_get(ap->view, &u.to.v, &u.owner);
    uint64_t gone, uqn;
    QN_ASSERT(qn_muldiv(u.shares, cut->sum->ppm, 1000000, &gone));
    uqn = qn_worth(gone, w.stake.uqn, w.shares);
    w.shares -= gone;
    w.stake.uqn -= uqn;
    QN_ASSERT(w.shares != 0 || w.stake.uqn == 0);
    u.shares -= gone;
    d.shares -= gone;
    d.locked -= gone;
    qn_delegation_put(ap, &u.to.v, &u.owner, &d);
    qn_stake_put(ap, &u.to.v, &w);
    qn_row_put_rec(ap, QN_TABLE_UNBOND, QN_SPAN(id->b, 32), qn_unbond_record(), &u);
    take(ap, cut, &bond, uqn);
}

void qn_stake_slash(struct qn_apply *ap, const struct qn_hash *id, struct qn_validator *v,
                    uint32_t ppm, const struct qn_hash *reporter, struct qn_penalty *ret)
{
    const struct qn_hash bond = qn_stake_bond(id), leaving = qn_stake_leaving(id);
    struct cut cut = { reporter, (uint32_t)qn_param(ap->view, QN_PARAM_report_ppm), ret };
    struct qn_amount staked = qn_amount_ppm(v->stake, ppm), left = qn_amount_ppm(v->leaving, ppm);
    struct qn_span key, val, after = { NULL, 0 };
    struct qn_hash move;
    uint8_t last[64];
    *ret = (struct qn_penalty){ .validator = *id, .ppm = ppm };
    v->stake.uqn -= staked.uqn;
    v->leaving.uqn -= left.uqn;
    qn_stake_put(ap, id, v);
    take(ap, &cut, &bond, staked.uqn);
    take(ap, &cut, &leaving, left.uqn);
    while (qn_view_next(ap->view, QN_TABLE_MOVE, QN_SPAN(id->b, 32), after, &key, &val)) {
        memcpy(last, key.ptr, sizeof last);
        memcpy(move.b, last + 32, 32);
        after = QN_SPAN(last, sizeof last);
        take_moved(ap, &cut, &move);
    }
}
