/* channel.c - payment channels on the ledger: open, fund, claim, close; the deadline ends what nobody ends. */
#include "modules/agents/channel.h"

#include "core/crypto/hash.h"

#include <inttypes.h>
#include <string.h>

#define DELAY_MAX_MS (30 * UINT64_C(86400000))

struct qn_hash channel_acct(const struct qn_hash *id)
{
    return qn_acct_module(AGENTS_TAG, "channel", id);
}

qn_rc channel_get(const struct qn_view *view, const struct qn_hash *id, struct qn_arena *arena,
                  struct agents_channel *ret, struct qn_why *why)
{
    qn_rc rc = qn_view_rec(view, AGENTS_TABLE_CHANNEL, QN_SPAN(id->b, 32), agents_channel_record(),
                           arena, ret);
    return rc ? qn_why(why, rc, "there is no such channel") : QN_OK;
}

static void put(struct qn_apply *ap, const struct qn_hash *id, const struct agents_channel *c)
{
    QN_ASSERT(c->claimed.uqn <= c->deposit.uqn);
    qn_row_put_rec(ap, AGENTS_TABLE_CHANNEL, QN_SPAN(id->b, 32), agents_channel_record(), c);
}

/* Ends a channel: what was not claimed returns to the payer, the mandate it was opened under is relieved. */
static qn_rc end(struct qn_apply *ap, const struct qn_hash *id, struct agents_channel *c,
                 struct qn_why *why)
{
    struct qn_hash acct = channel_acct(id);
    struct qn_amount rest = QN_UQN(c->deposit.uqn - c->claimed.uqn);
    qn_rc rc = qn_post(ap, &acct, &c->payer, rest, why);
    if (rc) return rc;
    qn_mandate_unlend(ap, &c->mandate, &c->payee, rest, c->rate_uqn_s);
    qn_due_del(ap, AGENTS_DUE_CHANNEL, id);
    c->state = CHANNEL_CLOSED;
    c->deadline_ms = 0;
    put(ap, id, c);
    qn_emit(ap, "channel.closed", id, agents_channel_record(), c);
    return QN_OK;
}

qn_rc channel_open_check(const void *body, struct qn_why *why)
{
    const struct channel_open *b = body;
    if (b->deposit.uqn == 0 || b->step_max.uqn == 0 || b->calls_max == 0)
        return qn_why(why, QN_E_RANGE, "deposit, step_max and calls_max must be above 0");
    if (b->delay_ms > DELAY_MAX_MS) return qn_why(why, QN_E_RANGE, "delay_ms is above 30 days");
    return QN_OK;
}

qn_rc channel_open_apply(struct qn_apply *ap, const void *body, struct qn_why *why)
{
    const struct channel_open *b = body;
    struct qn_hash id = qn_h("channel", ap->id.b, sizeof ap->id.b), acct = channel_acct(&id);
    if (qn_hash_eq(&ap->sender, &b->payee))
        return qn_why(why, QN_E_REFUSED, "payer and payee are the same account");
    qn_rc rc =
        qn_mandate_lend(ap, &b->payee, b->deposit, b->step_max, b->burst, b->rate_uqn_s, why);
    if (rc) return rc;
    qn_acct_own(ap, &acct, "channel deposit", &ap->sender);
    rc = qn_post(ap, &ap->sender, &acct, b->deposit, why);
    if (rc) return rc;
    struct agents_channel c = { .payer = ap->sender,
                                .payee = b->payee,
                                .mandate = ap->mandate,
                                .signer = b->signer,
                                .deposit = b->deposit,
                                .step_max = b->step_max,
                                .calls_max = b->calls_max,
                                .rate_uqn_s = b->rate_uqn_s,
                                .burst = b->burst,
                                .opened_ms = ap->now_ms,
                                .delay_ms = b->delay_ms };
    put(ap, &id, &c);
    qn_emit(ap, "channel.opened", &id, agents_channel_record(), &c);
    return QN_OK;
}

qn_rc channel_fund_apply(struct qn_apply *ap, const void *body, struct qn_why *why)
{
    const struct channel_fund *b = body;
    struct agents_channel c;
    struct qn_hash acct = channel_acct(&b->channel);
    qn_rc rc = channel_get(ap->view, &b->channel, ap->arena, &c, why);
    if (rc) return rc;
    if (c.state != CHANNEL_OPEN) return qn_why(why, QN_E_STATE, "the channel is closing or closed");
    if (!qn_hash_eq(&ap->sender, &c.payer))
        return qn_why(why, QN_E_AUTH, "only the payer adds to the deposit");
    rc = qn_amount_add(c.deposit, b->amount, &c.deposit);
    if (rc == QN_OK) rc = qn_mandate_lend(ap, &c.payee, b->amount, c.step_max, QN_UQN(0), 0, why);
    if (rc == QN_OK) rc = qn_post(ap, &ap->sender, &acct, b->amount, why);
    if (rc == QN_OK) put(ap, &b->channel, &c);
    return rc;
}

qn_rc channel_claim_apply(struct qn_apply *ap, const void *body, struct qn_why *why)
{
    const struct channel_claim *b = body;
    const struct qn_hash *id = &b->voucher.channel;
    struct agents_channel c;
    struct qn_amount worth;
    qn_rc rc = channel_get(ap->view, id, ap->arena, &c, why);
    if (rc == QN_OK) rc = voucher_worth(&b->voucher, b->ticks, &b->tick, &worth, why);
    if (rc == QN_OK) rc = voucher_check(&ap->chain, id, &c, &b->voucher, worth, ap->now_ms, why);
    if (rc) return rc;
    if (b->close && !qn_hash_eq(&ap->sender, &c.payee))
        return qn_why(why, QN_E_AUTH, "only the payee ends a channel with a claim");
    struct qn_hash acct = channel_acct(id);
    rc = qn_post(ap, &acct, &c.payee, QN_UQN(worth.uqn - c.claimed.uqn), why);
    if (rc) return rc;
    c.claimed = worth;
    c.claimed_seq = b->voucher.seq;
    c.ack = QN_MAX(c.ack, b->voucher.ack);
    put(ap, id, &c);
    qn_emit(ap, "channel.claimed", id, agents_channel_record(), &c);
    return b->close ? end(ap, id, &c, why) : QN_OK;
}

qn_rc channel_close_apply(struct qn_apply *ap, const void *body, struct qn_why *why)
{
    const struct channel_close *b = body;
    struct agents_channel c;
    qn_rc rc = channel_get(ap->view, &b->channel, ap->arena, &c, why);
    if (rc) return rc;
    if (c.state == CHANNEL_CLOSED) return qn_why(why, QN_E_STATE, "the channel is closed");
    if (qn_hash_eq(&ap->sender, &c.payee)) return end(ap, &b->channel, &c, why);
    if (!qn_hash_eq(&ap->sender, &c.payer))
        return qn_why(why, QN_E_AUTH, "only payer or payee close a channel");
    if (c.state == CHANNEL_CLOSING)
        return qn_why(why, QN_E_STATE, "the channel is closing already");
    c.state = CHANNEL_CLOSING;
    c.deadline_ms = ap->now_ms + c.delay_ms;
    qn_due_set(ap, AGENTS_DUE_CHANNEL, &b->channel, c.deadline_ms);
    put(ap, &b->channel, &c);
    qn_emit(ap, "channel.closing", &b->channel, agents_channel_record(), &c);
    return QN_OK;
}

void channel_due(struct qn_apply *ap, const struct qn_hash *id)
{
    struct agents_channel c;
    struct qn_why why;
    QN_ASSERT(channel_get(ap->view, id, ap->arena, &c, &why) == QN_OK);
    QN_ASSERT(c.state == CHANNEL_CLOSING);
    QN_ASSERT(end(ap, id, &c, &why) == QN_OK); /* the deposit lies in the channel's own account */
}
