/* stake.c - validators and who stakes with them: shares, bonds, leaving, moving. */
#include "ledger/state/state_in.h"

#include "core/crypto/hash.h"

#include <inttypes.h>
#include <string.h>

#include "core/schema/define.h"

#include "ledger/state/stake.def"

#define SHARES_MIN 1000 /* bought at once: what rounding takes stays below a thousandth */
#define SHARES_MAX (UINT64_C(1) << 62)
#define MOVES_MAX  1000u /* open redelegations away from one validator: slashing visits each */

struct qn_hash qn_stake_bond(const struct qn_hash *id)
{
    return qn_acct_module(0, "bond", id);
}

struct qn_hash qn_stake_leaving(const struct qn_hash *id)
{
    return qn_acct_module(0, "leaving", id);
}

static struct qn_span pair(const struct qn_hash *a, const struct qn_hash *b, uint8_t dst[64])
{
    memcpy(dst, a->b, 32);
    memcpy(dst + 32, b->b, 32);
    return QN_SPAN(dst, 64);
}

uint64_t qn_worth(uint64_t shares, uint64_t pool, uint64_t all)
{
    uint64_t ret = 0;
    QN_ASSERT(shares <= all);
    QN_ASSERT(all == 0 || qn_muldiv(shares, pool, all, &ret)); /* at most pool */
    return ret;
}

/* --- rows ------------------------------------------------------------------------------------------------ */

qn_rc qn_stake_get(const struct qn_view *view, const struct qn_hash *id, struct qn_arena *arena,
                   struct qn_validator *ret)
{
    return qn_view_rec(view, QN_TABLE_VALIDATOR, QN_SPAN(id->b, 32), qn_validator_record(), arena,
                       ret);
}

void qn_stake_put(struct qn_apply *ap, const struct qn_hash *id, const struct qn_validator *v)
{
    qn_row_put_rec(ap, QN_TABLE_VALIDATOR, QN_SPAN(id->b, 32), qn_validator_record(), v);
}

static qn_rc known(struct qn_apply *ap, const struct qn_hash *id, struct qn_validator *ret,
                   struct qn_why *why)
{
    qn_rc rc = qn_stake_get(ap->view, id, ap->arena, ret);
    return rc == QN_E_NOTFOUND ? qn_why(why, rc, "there is no such validator") : rc;
}

struct qn_delegation qn_delegation_get(const struct qn_view *view, const struct qn_hash *id,
                                       const struct qn_hash *owner)
{
    struct qn_delegation d = { 0 };
    struct qn_span val;
    uint8_t key[64];
    if (qn_view_get(view, QN_TABLE_DELEGATION, pair(id, owner, key), &val))
        QN_ASSERT(qn_take_u64(&val, &d.shares) && qn_take_u64(&val, &d.locked));
    return d;
}

void qn_delegation_put(struct qn_apply *ap, const struct qn_hash *id, const struct qn_hash *owner,
                       const struct qn_delegation *d)
{
    uint8_t key[64];
    QN_ASSERT(d->locked <= d->shares);
    if (d->shares)
        qn_row_put_rec(ap, QN_TABLE_DELEGATION, pair(id, owner, key), qn_delegation_record(), d);
    else
        qn_row_del(ap, QN_TABLE_DELEGATION, pair(id, owner, key));
}

struct qn_amount qn_stake_of(const struct qn_view *view, const struct qn_hash *id,
                             const struct qn_validator *v, const struct qn_hash *owner)
{
    return QN_UQN(qn_worth(qn_delegation_get(view, id, owner).shares, v->stake.uqn, v->shares));
}

/* --- shares ---------------------------------------------------------------------------------------------- */

/* Buys shares of the pool; the coins are posted by the caller. */
static qn_rc buy(struct qn_validator *v, uint64_t uqn, uint64_t *ret_shares, struct qn_why *why)
{
    uint64_t shares = uqn;
    if (v->shares && v->stake.uqn == 0)
        return qn_why(why, QN_E_STATE, "the validator's stake was slashed to nothing");
    if (v->shares && !qn_muldiv(uqn, v->shares, v->stake.uqn, &shares)) shares = SHARES_MAX;
    if (shares < SHARES_MIN) return qn_why(why, QN_E_RANGE, "amount: too little to stake there");
    if (shares >= SHARES_MAX - v->shares)
        return qn_why(why, QN_E_OVERFLOW, "the validator's shares are used up");
    v->shares += shares;
    v->stake.uqn += uqn;
    *ret_shares = shares;
    return QN_OK;
}

/* Sells shares for amount; 0: all that are free. */
static qn_rc sell(struct qn_validator *v, struct qn_delegation *d, uint64_t *uqn,
                  uint64_t *ret_shares, struct qn_why *why)
{
    uint64_t most = d->shares - d->locked, free_uqn = qn_worth(most, v->stake.uqn, v->shares),
             shares = most;
    if (most == 0 || *uqn > free_uqn)
        return qn_why(why, QN_E_FUNDS,
                      "%" PRIu64 " uqn are staked there and free to leave, %" PRIu64
                      " more answer for where they came from",
                      free_uqn, qn_worth(d->locked, v->stake.uqn, v->shares));
    if (*uqn && *uqn < free_uqn) {
        uint64_t exact; /* rounded up, in favour of who stays */
        QN_ASSERT(qn_muldiv(*uqn, v->shares, v->stake.uqn, &exact));
        exact += qn_worth(exact, v->stake.uqn, v->shares) < *uqn;
        shares = QN_MIN(most, exact);
    }
    if (shares == most) *uqn = free_uqn; /* nothing stays behind without shares */
    d->shares -= shares;
    v->shares -= shares;
    v->stake.uqn -= *uqn;
    QN_ASSERT(v->shares != 0 || v->stake.uqn == 0);
    *ret_shares = shares;
    return QN_OK;
}

static qn_rc stake(struct qn_apply *ap, const struct qn_hash *id, struct qn_validator *v,
                   struct qn_amount amount, struct qn_why *why)
{
    const struct qn_hash bond = qn_stake_bond(id);
    struct qn_delegation d = qn_delegation_get(ap->view, id, &ap->sender);
    uint64_t shares;
    qn_rc rc = buy(v, amount.uqn, &shares, why);
    if (rc == QN_OK) rc = qn_post(ap, &ap->sender, &bond, amount, why);
    if (rc) return rc;
    d.shares += shares;
    qn_delegation_put(ap, id, &ap->sender, &d);
    qn_stake_put(ap, id, v);
    return QN_OK;
}

/* --- validators ------------------------------------------------------------------------------------------ */

struct qn_sig qn_stake_proof(const struct qn_key *key, const struct qn_hash *chain,
                             const struct qn_hash *owner)
{
    uint8_t msg[80];
    memcpy(msg, "quoin validator", 16);
    memcpy(msg + 16, chain->b, 32);
    memcpy(msg + 48, owner->b, 32);
    return qn_sign(key, QN_SPAN(msg, sizeof msg));
}

static bool proved(const struct qn_hash *pub, const struct qn_hash *chain,
                   const struct qn_hash *owner, const struct qn_sig *sig)
{
    uint8_t msg[80];
    memcpy(msg, "quoin validator", 16);
    memcpy(msg + 16, chain->b, 32);
    memcpy(msg + 48, owner->b, 32);
    return qn_verify(pub, QN_SPAN(msg, sizeof msg), sig);
}

static void own_accounts(struct qn_apply *ap, const struct qn_hash *id, const struct qn_hash *owner)
{
    const struct qn_hash bond = qn_stake_bond(id), leaving = qn_stake_leaving(id);
    qn_acct_own(ap, &bond, "bond of a validator", owner);
    qn_acct_own(ap, &leaving, "leaving a validator", owner);
}

static qn_rc commission_ok(struct qn_apply *ap, uint64_t ppm, struct qn_why *why)
{
    uint64_t max = qn_param(ap->view, QN_PARAM_commission_max_ppm);
    if (ppm <= max) return QN_OK;
    return qn_why(why, QN_E_RANGE, "commission_ppm is %" PRIu64 ", at most %" PRIu64, ppm, max);
}

static qn_rc create_apply(struct qn_apply *ap, const void *body, struct qn_why *why)
{
    const struct validator_create *b = body;
    struct qn_hash id = qn_acct_key(&b->key);
    struct qn_validator v;
    uint64_t least = qn_param(ap->view, QN_PARAM_bond_min);
    if (qn_stake_get(ap->view, &id, ap->arena, &v) == QN_OK)
        return qn_why(why, QN_E_EXISTS, "that key is a validator already");
    if (!proved(&b->key, &ap->chain, &ap->sender, &b->proof))
        return qn_why(why, QN_E_SIGNATURE, "proof: the consensus key did not sign for this owner");
    if (b->amount.uqn < least)
        return qn_why(why, QN_E_RANGE, "amount: a validator begins with %" PRIu64 " uqn", least);
    qn_rc rc = commission_ok(ap, b->commission_ppm, why);
    if (rc) return rc;
    v = (struct qn_validator){ .key = b->key,
                               .owner = ap->sender,
                               .name = b->name,
                               .commission_ppm = b->commission_ppm,
                               .raised_ms = ap->now_ms,
                               .version = 1 };
    own_accounts(ap, &id, &ap->sender);
    rc = stake(ap, &id, &v, b->amount, why);
    if (rc == QN_OK) qn_emit(ap, "validator.created", &id, qn_validator_record(), &v);
    return rc;
}

static qn_rc owned(struct qn_apply *ap, const struct qn_hash *id, struct qn_validator *ret,
                   struct qn_why *why)
{
    qn_rc rc = known(ap, id, ret, why);
    if (rc == QN_OK && !qn_hash_eq(&ret->owner, &ap->sender))
        rc = qn_why(why, QN_E_AUTH, "only its owner may");
    return rc;
}

static qn_rc edit_apply(struct qn_apply *ap, const void *body, struct qn_why *why)
{
    const struct validator_edit *b = body;
    struct qn_validator v;
    qn_rc rc = owned(ap, &b->validator, &v, why);
    if (rc) return rc;
    if (b->name.len) v.name = b->name;
    if (b->version.has) {
        if (b->version.v > UINT16_MAX)
            return qn_why(why, QN_E_RANGE, "version: no such record version");
        if (v.version != b->version.v) v.version_ms = ap->now_ms;
        v.version = (uint32_t)b->version.v;
    }
    if (b->commission_ppm.has) {
        uint64_t wait = qn_param(ap->view, QN_PARAM_commission_wait_ms);
        rc = commission_ok(ap, b->commission_ppm.v, why);
        if (rc) return rc;
        if (b->commission_ppm.v > v.commission_ppm) {
            if (ap->now_ms < v.raised_ms + wait)
                return qn_why(why, QN_E_STATE, "it may be raised again in %" PRIu64 " ms",
                              v.raised_ms + wait - ap->now_ms);
            v.raised_ms = ap->now_ms;
        }
        v.commission_ppm = (uint32_t)b->commission_ppm.v;
    }
    qn_stake_put(ap, &b->validator, &v);
    qn_emit(ap, "validator.edited", &b->validator, qn_validator_record(), &v);
    return QN_OK;
}

static qn_rc unjail_apply(struct qn_apply *ap, const void *body, struct qn_why *why)
{
    const struct validator_unjail *b = body;
    struct qn_validator v;
    qn_rc rc = owned(ap, &b->validator, &v, why);
    if (rc) return rc;
    if (v.barred) return qn_why(why, QN_E_REFUSED, "the key voted twice; make another validator");
    if (v.jailed_ms == 0) return qn_why(why, QN_E_STATE, "the validator is not jailed");
    if (ap->now_ms < v.jailed_ms)
        return qn_why(why, QN_E_STATE, "it is out for another %" PRIu64 " ms",
                      v.jailed_ms - ap->now_ms);
    v.jailed_ms = 0;
    v.absent_cnt = 0;
    qn_stake_put(ap, &b->validator, &v);
    qn_emit(ap, "validator.unjailed", &b->validator, qn_validator_record(), &v);
    return QN_OK;
}

/* --- staking with one ------------------------------------------------------------------------------------ */

static qn_rc delegate(struct qn_apply *ap, const struct validator_stake *b, bool own,
                      struct qn_why *why)
{
    struct qn_validator v;
    qn_rc rc = own ? owned(ap, &b->validator, &v, why) : known(ap, &b->validator, &v, why);
    if (rc) return rc;
    if (v.barred) return qn_why(why, QN_E_REFUSED, "the validator voted twice and is out for good");
    rc = stake(ap, &b->validator, &v, b->amount, why);
    if (rc == QN_OK) qn_emit(ap, "stake.added", &b->validator, validator_stake_record(), b);
    return rc;
}

static qn_rc undelegate(struct qn_apply *ap, const struct validator_stake *b, bool own,
                        struct qn_why *why)
{
    const struct qn_hash bond = qn_stake_bond(&b->validator),
                         leaving = qn_stake_leaving(&b->validator);
    struct qn_validator v;
    uint64_t uqn = b->amount.uqn, shares, out;
    qn_rc rc = own ? owned(ap, &b->validator, &v, why) : known(ap, &b->validator, &v, why);
    if (rc) return rc;
    struct qn_delegation d = qn_delegation_get(ap->view, &b->validator, &ap->sender);
    rc = sell(&v, &d, &uqn, &shares, why);
    if (rc) return rc;
    if (v.leaving_shares == 0)
        out = uqn;
    else if (v.leaving.uqn == 0 || !qn_muldiv(uqn, v.leaving_shares, v.leaving.uqn, &out) ||
             out >= SHARES_MAX - v.leaving_shares)
        return qn_why(why, QN_E_STATE, "wait until those who left before are paid");
    v.leaving_shares += out;
    v.leaving.uqn += uqn;
    rc = qn_post(ap, &bond, &leaving, QN_UQN(uqn), why);
    if (rc) return rc;
    struct qn_unbond u = { .validator = b->validator,
                           .owner = ap->sender,
                           .shares = out,
                           .at_ms = ap->now_ms + qn_param(ap->view, QN_PARAM_unbond_ms) };
    qn_delegation_put(ap, &b->validator, &ap->sender, &d);
    qn_stake_put(ap, &b->validator, &v);
    qn_row_put_rec(ap, QN_TABLE_UNBOND, QN_SPAN(ap->id.b, 32), qn_unbond_record(), &u);
    qn_due_set(ap, QN_DUE_UNBOND, &ap->id, u.at_ms);
    qn_emit(ap, "stake.leaving", &ap->id, qn_unbond_record(), &u);
    return QN_OK;
}

static qn_rc bond_apply(struct qn_apply *ap, const void *body, struct qn_why *why)
{
    return delegate(ap, body, true, why);
}

static qn_rc unbond_apply(struct qn_apply *ap, const void *body, struct qn_why *why)
{
    return undelegate(ap, body, true, why);
}

static qn_rc delegate_apply(struct qn_apply *ap, const void *body, struct qn_why *why)
{
    return delegate(ap, body, false, why);
}

static qn_rc undelegate_apply(struct qn_apply *ap, const void *body, struct qn_why *why)
{
    return undelegate(ap, body, false, why);
}

static qn_rc stake_check(const void *body, struct qn_why *why)
{
    const struct validator_stake *b = body;
    return b->amount.uqn ? QN_OK : qn_why(why, QN_E_RANGE, "amount: nothing to stake");
}

static qn_rc move_check(const void *body, struct qn_why *why)
{
    const struct validator_move *b = body;
    if (qn_hash_eq(&b->validator, &b->to))
        return qn_why(why, QN_E_RANGE, "to: the stake is there already");
    return QN_OK;
}

static qn_rc move_apply(struct qn_apply *ap, const void *body, struct qn_why *why)
{
    const struct validator_move *b = body;
    const struct qn_hash bond = qn_stake_bond(&b->validator), bond_to = qn_stake_bond(&b->to);
    struct qn_validator v, w;
    uint64_t uqn = b->amount.uqn, sold, bought;
    uint8_t key[64];
    qn_rc rc = known(ap, &b->validator, &v, why);
    if (rc == QN_OK) rc = known(ap, &b->to, &w, why);
    if (rc) return rc;
    if (w.barred)
        return qn_why(why, QN_E_REFUSED, "that validator voted twice and is out for good");
    uint64_t big =
        v.stake.uqn /
        MOVES_MAX; /* dust fills half of the list at most: who has stake to speak of can always leave */
    struct qn_delegation d = qn_delegation_get(ap->view, &b->validator, &ap->sender),
                         e = qn_delegation_get(ap->view, &b->to, &ap->sender);
    rc = sell(&v, &d, &uqn, &sold, why);
    if (rc == QN_OK && (v.moves >= MOVES_MAX || (v.moves >= MOVES_MAX / 2 && uqn < big)))
        rc = qn_why(why, QN_E_LIMIT, "too much is moving away from there; undelegate instead");
    if (rc == QN_OK) rc = buy(&w, uqn, &bought, why);
    if (rc == QN_OK) rc = qn_post(ap, &bond, &bond_to, QN_UQN(uqn), why);
    if (rc) return rc;
    e.shares += bought;
    e.locked += bought;
    v.moves++;
    struct qn_unbond u = { .validator = b->validator,
                           .owner = ap->sender,
                           .to = { true, b->to },
                           .shares = bought,
                           .at_ms = ap->now_ms + qn_param(ap->view, QN_PARAM_unbond_ms) };
    qn_delegation_put(ap, &b->validator, &ap->sender, &d);
    qn_delegation_put(ap, &b->to, &ap->sender, &e);
    qn_stake_put(ap, &b->validator, &v);
    qn_stake_put(ap, &b->to, &w);
    qn_row_put_rec(ap, QN_TABLE_UNBOND, QN_SPAN(ap->id.b, 32), qn_unbond_record(), &u);
    qn_row_put(ap, QN_TABLE_MOVE, pair(&b->validator, &ap->id, key), QN_SPAN(NULL, 0));
    qn_due_set(ap, QN_DUE_UNBOND, &ap->id, u.at_ms);
    qn_emit(ap, "stake.moved", &ap->id, qn_unbond_record(), &u);
    return QN_OK;
}

/* What has left is paid out; what has moved no longer answers for where it came from. */
static void unbond_fire(struct qn_apply *ap, const struct qn_hash *id)
{
    struct qn_unbond u;
    struct qn_validator v;
    uint8_t key[64];
    QN_ASSERT(qn_view_rec(ap->view, QN_TABLE_UNBOND, QN_SPAN(id->b, 32), qn_unbond_record(),
                          ap->arena, &u) == QN_OK);
    QN_ASSERT(qn_stake_get(ap->view, &u.validator, ap->arena, &v) == QN_OK);
    qn_row_del(ap, QN_TABLE_UNBOND, QN_SPAN(id->b, 32));
    if (u.to.has) {
        struct qn_delegation d = qn_delegation_get(ap->view, &u.to.v, &u.owner);
        d.locked -= u.shares;
        v.moves--;
        qn_delegation_put(ap, &u.to.v, &u.owner, &d);
        qn_row_del(ap, QN_TABLE_MOVE, pair(&u.validator, id, key));
    } else {
        const struct qn_hash leaving = qn_stake_leaving(&u.validator);
        struct qn_amount out = QN_UQN(qn_worth(u.shares, v.leaving.uqn, v.leaving_shares));
        v.leaving_shares -= u.shares;
        v.leaving.uqn -= out.uqn;
        QN_ASSERT(qn_post(ap, &leaving, &u.owner, out, NULL) == QN_OK);
        qn_emit(ap, "stake.paid", id, qn_unbond_record(), &u);
    }
    qn_stake_put(ap, &u.validator, &v);
}

/* --- genesis, tables --------------------------------------------------------------------------------------- */

void qn_stake_genesis(struct qn_apply *ap, const struct qn_genesis *genesis)
{
    const struct qn_hash unissued = qn_acct_unissued();
    for (uint32_t i = 0; i < genesis->bonds.cnt; i++) {
        const struct qn_genesis_bond *b = &genesis->bonds.ptr[i];
        struct qn_hash id = qn_acct_key(&genesis->validators.ptr[i]), bond = qn_stake_bond(&id);
        struct qn_validator v = { .key = genesis->validators.ptr[i],
                                  .owner = b->owner,
                                  .commission_ppm = b->commission_ppm,
                                  .raised_ms = ap->now_ms,
                                  .stake = b->amount,
                                  .shares = b->amount.uqn,
                                  .version = 1 };
        struct qn_delegation d = { .shares = v.shares };
        own_accounts(ap, &id, &b->owner);
        QN_ASSERT(qn_post(ap, &unissued, &bond, b->amount, NULL) == QN_OK); /* qn_set_genesis */
        qn_delegation_put(ap, &id, &b->owner, &d);
        qn_stake_put(ap, &id, &v);
    }
}

const struct qn_tx_kind QN_STAKE_TXS[] = {
    { QN_TX_VALIDATOR_CREATE, "validator.create", "make a validator of a key",
      validator_create_record, 60000, NULL, create_apply },
    { QN_TX_VALIDATOR_EDIT, "validator.edit", "change a validator's name, commission or version",
      validator_edit_record, 4000, NULL, edit_apply },
    { QN_TX_VALIDATOR_BOND, "validator.bond", "stake more with your own validator",
      validator_stake_record, 8000, stake_check, bond_apply },
    { QN_TX_VALIDATOR_UNBOND, "validator.unbond",
      "ask back what you staked with your own validator", validator_stake_record, 12000, NULL,
      unbond_apply },
    { QN_TX_VALIDATOR_UNJAIL, "validator.unjail", "bring an absent validator back",
      validator_unjail_record, 4000, NULL, unjail_apply },
    { QN_TX_DELEGATE, "validator.delegate", "stake coins with a validator", validator_stake_record,
      8000, stake_check, delegate_apply },
    { QN_TX_UNDELEGATE, "validator.undelegate",
      "ask staked coins back; they come after the unbonding time", validator_stake_record, 12000,
      NULL, undelegate_apply },
    { QN_TX_REDELEGATE, "validator.redelegate", "move stake to another validator at once",
      validator_move_record, 20000, move_check, move_apply },
    { 0 },
};

const struct qn_due_kind QN_STAKE_DUES[] = {
    { QN_DUE_UNBOND, "unbond", unbond_fire },
    { 0 },
};
