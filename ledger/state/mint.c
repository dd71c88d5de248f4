/* mint.c - new coins by block time; the rate halves each time half of what was left is issued. */
#include "ledger/state/state_in.h"

#define MINT_DT_MAX 10000u /* ms: time without blocks pays nobody */
#define MINT_NQN_MS 83181u /* 10.5 M QN in four years */

struct qn_amount qn_mint_step(struct qn_mint_state *m, uint64_t left_uqn, uint64_t now_ms)
{
    QN_ASSERT(left_uqn <= QN_SUPPLY_UQN && now_ms >= m->last_ms);
    uint64_t dt = QN_MIN(now_ms - m->last_ms, (uint64_t)MINT_DT_MAX);
    unsigned h = 0;
    while (h < 31 && left_uqn << (h + 1) <= QN_SUPPLY_UQN)
        h++;
    uint64_t nqn = (uint64_t)(MINT_NQN_MS >> h) * dt + m->carry_nqn;
    m->carry_nqn = nqn % 1000;
    m->last_ms = now_ms;
    return QN_UQN(QN_MIN(nqn / 1000, left_uqn));
}

void qn_mint_block(struct qn_apply *ap, const struct qn_hash *proposer)
{
    static const struct qn_hash ZERO = { { 0 } };
    const struct qn_hash unissued = qn_acct_unissued();
    const struct qn_hash subnets = qn_acct_module(0, "subnets", &ZERO);
    const struct qn_hash public = qn_acct_module(0, "public", &ZERO);
    struct qn_mint_state m = { 0 };
    qn_rc rc = qn_view_rec(ap->view, QN_TABLE_META, QN_SPAN_STR("mint"), qn_mint_state_record(),
                           ap->arena, &m);
    QN_ASSERT(rc == QN_OK);
    struct qn_amount fresh = qn_mint_step(&m, qn_view_balance(ap->view, &unissued).uqn, ap->now_ms);
    struct qn_amount validators =
        qn_amount_ppm(fresh, (uint32_t)qn_param(ap->view, QN_PARAM_mint_validators_ppm));
    struct qn_amount to_public =
        qn_amount_ppm(fresh, (uint32_t)qn_param(ap->view, QN_PARAM_mint_public_ppm));
    struct qn_amount to_subnets = QN_UQN(fresh.uqn - validators.uqn - to_public.uqn);
    qn_stake_reward(ap, &unissued, proposer, validators);
    QN_ASSERT(qn_post(ap, &unissued, &public, to_public, NULL) == QN_OK);
    QN_ASSERT(qn_post(ap, &unissued, &subnets, to_subnets, NULL) == QN_OK);
    qn_row_put_rec(ap, QN_TABLE_META, QN_SPAN_STR("mint"), qn_mint_state_record(), &m);
}
