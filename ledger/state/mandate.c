/* mandate.c - limits on debits: whatever a transaction does, all that it takes from the mandate's owner is judged after it ran and
 * before it counts. The rate is a GCRA (no window edge to burst across twice). */
#include "ledger/state/state_in.h"

#include "core/crypto/hash.h"

#include <inttypes.h>
#include <string.h>

#define EXPIRES_MAX_MS (3660 * UINT64_C(86400000))

static struct qn_state *state_of(const struct qn_apply *ap)
{
    return ap->view->state;
}

static qn_rc get(struct qn_apply *ap, const struct qn_hash *id, struct qn_mandate *ret,
                 struct qn_why *why)
{
    qn_rc rc = qn_view_rec(ap->view, QN_TABLE_MANDATE, QN_SPAN(id->b, 32), qn_mandate_record(),
                           ap->arena, ret);
    return rc ? qn_why(why, rc, "there is no such mandate") : QN_OK;
}

static void put(struct qn_apply *ap, const struct qn_hash *id, const struct qn_mandate *m)
{
    qn_row_put_rec(ap, QN_TABLE_MANDATE, QN_SPAN(id->b, 32), qn_mandate_record(), m);
}

static struct mandate_payee *payee_of(struct qn_mandate *m, const struct qn_hash *acct)
{
    for (uint32_t i = 0; i < m->payees.cnt; i++)
        if (qn_hash_eq(&m->payees.ptr[i].acct, acct)) return &m->payees.ptr[i];
    return NULL;
}

qn_rc qn_mandate_begin(struct qn_apply *ap, uint16_t kind, struct qn_hash *ret_owner,
                       struct qn_why *why)
{
    struct qn_state *st = state_of(ap);
    st->debit_cnt = 0;
    st->debit_over = false;
    st->lend_left = QN_UQN(0);
    st->lend_rate_uqn_h = 0;
    st->lend_burst_uqn = 0;
    if (!ap->mandate.has) return QN_OK;
    struct qn_mandate m;
    qn_rc rc = get(ap, &ap->mandate.v, &m, why);
    if (rc) return rc;
    if (!qn_hash_eq(&m.key, &ap->signer))
        return qn_why(why, QN_E_AUTH, "the mandate is for another key");
    if (m.revoked) return qn_why(why, QN_E_AUTH, "the mandate was revoked");
    if (ap->now_ms < m.not_before_ms || ap->now_ms >= m.expires_ms)
        return qn_why(why, QN_E_EXPIRED, "the mandate holds from %" PRIu64 " to %" PRIu64 " ms",
                      m.not_before_ms, m.expires_ms);
    /* What a contract keeps for its callers, and what is staked, is not counted here: who may call one, or move stake and vote with it, is
     * said in so many words. */
    bool listed = m.kinds.cnt == 0 && kind != QN_TX_CALL && kind != QN_TX_DEPLOY &&
                  !(kind >= QN_TX_VALIDATOR_CREATE && kind <= 0xff);
    for (uint32_t i = 0; i < m.kinds.cnt; i++)
        listed |= m.kinds.ptr[i] == kind;
    if (!listed)
        return qn_why(why, QN_E_AUTH, "the mandate does not allow this kind of transaction");
    if (kind == QN_TX_MANDATE_OPEN || kind == QN_TX_MANDATE_REVOKE)
        return qn_why(why, QN_E_AUTH, "a mandate cannot make or end mandates");
    *ret_owner = m.owner;
    return QN_OK;
}

void qn_mandate_note(struct qn_apply *ap, const struct qn_hash *debit, const struct qn_hash *credit,
                     struct qn_amount amount)
{
    struct qn_state *st = state_of(ap);
    if (!ap->mandate.has || !qn_hash_eq(debit, &ap->sender)) return;
    if (st->debit_cnt == QN_DEBITS_MAX) {
        st->debit_over = true;
        return;
    }
    bool lent = st->lend_left.uqn != 0 && amount.uqn == st->lend_left.uqn;
    struct qn_hash whom = *credit; /* a deposit counts against the payee it is for */
    if (lent) {
        whom = st->lend_to;
        st->lend_left = QN_UQN(0);
    }
    st->debits[st->debit_cnt++] = (struct debit){ whom, amount, lent };
}

qn_rc qn_mandate_lend(struct qn_apply *ap, const struct qn_hash *payee, struct qn_amount deposit,
                      struct qn_amount step_max, struct qn_amount burst, uint64_t rate_uqn_s,
                      struct qn_why *why)
{
    struct qn_state *st = state_of(ap);
    struct qn_mandate m;
    if (!ap->mandate.has) return QN_OK;
    qn_rc rc = get(ap, &ap->mandate.v, &m, why);
    if (rc) return rc;
    if (step_max.uqn > m.call_max.uqn)
        return qn_why(why, QN_E_LIMIT,
                      "one call may take %" PRIu64 " uqn, the mandate allows %" PRIu64,
                      step_max.uqn, m.call_max.uqn);
    uint64_t rate_h;
    if (__builtin_mul_overflow(rate_uqn_s, UINT64_C(3600), &rate_h) || rate_h > QN_NUM_MAX)
        return qn_why(why, QN_E_LIMIT, "the channel's rate is out of range");
    uint64_t most =
        m.rate_uqn_h ? m.rate_uqn_h : QN_NUM_MAX; /* without a limit, what the row can count */
    if (m.lent_uqn_h + rate_h > most)
        return qn_why(why, QN_E_LIMIT,
                      "open channels may take %" PRIu64 " uqn an hour, the mandate allows %" PRIu64,
                      m.lent_uqn_h + rate_h, most);
    st->lend_left = deposit;
    st->lend_to = *payee;
    st->lend_rate_uqn_h += rate_h;
    st->lend_burst_uqn += burst.uqn;
    return QN_OK;
}

void qn_mandate_unlend(struct qn_apply *ap, const struct qn_opt_hash *mandate,
                       const struct qn_hash *payee, struct qn_amount refund, uint64_t rate_uqn_s)
{
    struct qn_mandate m;
    if (!mandate->has || get(ap, &mandate->v, &m, NULL)) return;
    uint64_t rate_h = rate_uqn_s * 3600;
    m.lent_uqn_h -= QN_MIN(m.lent_uqn_h, rate_h);
    m.spent.uqn -= QN_MIN(m.spent.uqn, refund.uqn);
    struct mandate_payee *p = payee_of(&m, payee);
    if (p) p->spent.uqn -= QN_MIN(p->spent.uqn, refund.uqn);
    put(ap, &mandate->v, &m);
}

/* GCRA: each debit pushes the theoretical arrival time by what it costs at the rate. */
static qn_rc rate(struct qn_mandate *m, uint64_t now_ms, uint64_t uqn, struct qn_why *why)
{
    if (m->rate_uqn_h == 0 || uqn == 0) return QN_OK;
    uint64_t left_h = m->rate_uqn_h - QN_MIN(m->rate_uqn_h, m->lent_uqn_h), cost_ms;
    if (left_h == 0 || !qn_muldiv(uqn, 3600000, left_h, &cost_ms) || cost_ms >= QN_NUM_MAX / 4)
        return qn_why(why, QN_E_LIMIT, "the mandate's rate leaves nothing");
    cost_ms++; /* rounded up */
    uint64_t tat = QN_MAX(now_ms, m->tat_ms) + cost_ms;
    if (tat - now_ms > m->burst_ms)
        return qn_why(why, QN_E_LIMIT,
                      "%" PRIu64 " uqn pass the mandate's rate; free again in %" PRIu64 " ms", uqn,
                      tat - now_ms - m->burst_ms);
    m->tat_ms = tat;
    return QN_OK;
}

qn_rc qn_mandate_end(struct qn_apply *ap, struct qn_why *why)
{
    struct qn_state *st = state_of(ap);
    struct qn_mandate m;
    if (!ap->mandate.has) return QN_OK;
    if (st->debit_over)
        return qn_why(why, QN_E_LIMIT, "more than %d debits in one transaction", QN_DEBITS_MAX);
    qn_rc rc = get(ap, &ap->mandate.v, &m, why);
    if (rc) return rc;
    const struct qn_hash fees = qn_acct_fees();
    uint64_t all = 0, direct = 0;
    for (uint32_t i = 0; i < st->debit_cnt; i++) {
        const struct debit *d = &st->debits[i];
        all += d->amount.uqn; /* each is at most the supply, and they are few */
        if (qn_hash_eq(&d->credit, &fees))
            continue; /* fees need no payee, but count towards the total */
        if (!d->lent) direct += d->amount.uqn;
        struct mandate_payee *p = payee_of(&m, &d->credit);
        if (!p) return qn_why(why, QN_E_AUTH, "the mandate does not allow paying that account");
        p->spent.uqn += d->amount.uqn;
        if (p->cap.uqn && p->spent.uqn > p->cap.uqn)
            return qn_why(why, QN_E_LIMIT,
                          "the payee would receive %" PRIu64 " uqn, its cap is %" PRIu64,
                          p->spent.uqn, p->cap.uqn);
    }
    if (direct > m.call_max.uqn)
        return qn_why(why, QN_E_LIMIT, "%" PRIu64 " uqn at once, the mandate allows %" PRIu64,
                      direct, m.call_max.uqn);
    if (all > m.total.uqn - QN_MIN(m.total.uqn, m.spent.uqn))
        return qn_why(why, QN_E_LIMIT,
                      "%" PRIu64 " uqn more than the mandate's total of %" PRIu64 " leaves", all,
                      m.total.uqn);
    m.spent.uqn += all;
    rc = rate(&m, ap->now_ms, direct + st->lend_burst_uqn, why);
    if (rc) return rc;
    m.lent_uqn_h += st->lend_rate_uqn_h;
    struct qn_opt_hash keep = ap->mandate;
    ap->mandate.has = false; /* the row's own write is no debit */
    put(ap, &keep.v, &m);
    ap->mandate = keep;
    return QN_OK;
}

static qn_rc open_check(const void *body, struct qn_why *why)
{
    const struct mandate_open *b = body;
    if (b->payees.cnt == 0)
        return qn_why(why, QN_E_RANGE, "payees: a mandate without payees allows nothing");
    if (b->expires_ms <= b->not_before_ms)
        return qn_why(why, QN_E_RANGE, "expires_ms must lie behind not_before_ms");
    if (b->burst_ms > EXPIRES_MAX_MS) return qn_why(why, QN_E_RANGE, "burst_ms is out of range");
    for (uint32_t i = 0; i < b->payees.cnt; i++)
        if (b->payees.ptr[i].spent.uqn)
            return qn_why(why, QN_E_RANGE, "payees.spent is the ledger's to count");
    return QN_OK;
}

static qn_rc open_apply(struct qn_apply *ap, const void *body, struct qn_why *why)
{
    const struct mandate_open *b = body;
    struct qn_hash id = qn_h("mandate", ap->id.b, sizeof ap->id.b);
    if (b->expires_ms > ap->now_ms + EXPIRES_MAX_MS)
        return qn_why(why, QN_E_RANGE, "expires_ms is more than ten years away");
    struct qn_mandate m = { .owner = ap->sender,
                            .key = b->key,
                            .total = b->total,
                            .call_max = b->call_max,
                            .rate_uqn_h = b->rate_uqn_h,
                            .burst_ms = b->burst_ms,
                            .not_before_ms = b->not_before_ms,
                            .expires_ms = b->expires_ms };
    memcpy(&m.payees, &b->payees, sizeof m.payees);
    memcpy(&m.kinds, &b->kinds, sizeof m.kinds);
    put(ap, &id, &m);
    qn_emit(ap, "mandate.opened", &id, qn_mandate_record(), &m);
    return QN_OK;
}

static qn_rc revoke_apply(struct qn_apply *ap, const void *body, struct qn_why *why)
{
    const struct mandate_revoke *b = body;
    struct qn_mandate m;
    qn_rc rc = get(ap, &b->mandate, &m, why);
    if (rc) return rc;
    if (!qn_hash_eq(&m.owner, &ap->sender))
        return qn_why(why, QN_E_AUTH, "only its owner revokes a mandate");
    m.revoked = true;
    put(ap, &b->mandate, &m);
    qn_emit(ap, "mandate.revoked", &b->mandate, qn_mandate_record(), &m);
    return QN_OK;
}

const struct qn_tx_kind QN_MANDATE_TXS[] = {
    { QN_TX_MANDATE_OPEN, "mandate.open", "let another key spend from your account, within limits",
      mandate_open_record, 4000, open_check, open_apply },
    { QN_TX_MANDATE_REVOKE, "mandate.revoke", "end a mandate", mandate_revoke_record, 2000, NULL,
      revoke_apply },
    { 0 },
};
