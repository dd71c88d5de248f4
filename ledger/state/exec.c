/* exec.c - executing a block: deadlines, transactions, block ends, mint, fees; and the genesis. */
#include "ledger/state/state_in.h"

#include "core/crypto/hash.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define DUES_MAX   8192  /* a block; the rest waits for the next */
#define DUE_EVENTS 2048  /* no further deadline in a block whose deadlines told this much */
#define DUE_GAS    8000  /* of a deadline whose handler names no cost of its own */
#define SIG_GAS    40000 /* one Ed25519 check, about 58 us */
#define BLOCK_GAS                                                                                  \
    100000000u /* no transaction begins beyond it, nor may one or the deadlines of a block cost more: 0.14 s of contracts, 2,300 transfers */
#define BLOCK_TOLD                                                                                 \
    (8u << 20) /* nor beyond so many bytes of events: a frame of the journal holds 16 MiB */

static const struct qn_hash ZERO = { { 0 } };

/* --- the core's own transaction ------------------------------------------------------------------------ */

static qn_rc send_check(const void *body, struct qn_why *why)
{
    const struct ledger_send *b = body;
    return b->amount.uqn ? QN_OK : qn_why(why, QN_E_RANGE, "amount: nothing to send");
}

static qn_rc send_apply(struct qn_apply *ap, const void *body, struct qn_why *why)
{
    const struct ledger_send *b = body;
    qn_rc rc = qn_acct_takes(ap->view, &b->to, ap->arena, why);
    if (rc == QN_OK) rc = qn_post(ap, &ap->sender, &b->to, b->amount, why);
    if (rc == QN_OK) qn_emit(ap, "wallet.sent", &b->to, ledger_send_record(), b);
    return rc;
}

const struct qn_tx_kind QN_CORE_TXS[] = {
    { QN_TX_SEND, "wallet.send", "move coins to another account", ledger_send_record, 3000,
      send_check, send_apply },
    { 0 },
};

const struct qn_table QN_CORE_TABLES[] = {
    { QN_TABLE_ACCOUNT, "account", qn_account_record, "account h32" },
    { QN_TABLE_MANDATE, "mandate", qn_mandate_record, "id h32" },
    { QN_TABLE_CODE, "contract", qn_contract_record, "id h32" },
    { QN_TABLE_DUE_OF, "due", qn_due_row_record, "kind u16, id h32" },
    { QN_TABLE_VALIDATOR, "validator", qn_validator_record, "id h32" },
    { QN_TABLE_DELEGATION, "delegation", qn_delegation_record, "validator h32, owner h32" },
    { QN_TABLE_UNBOND, "unbond", qn_unbond_record, "id h32" },
    { QN_TABLE_SET, "set", qn_set_row_record, "epoch u32" },
    { QN_TABLE_PARAM, "param", qn_param_row_record, "number u16" },
    { QN_TABLE_PROPOSAL, "proposal", qn_gov_proposal_record, "id h32" },
    { QN_TABLE_BALLOT, "ballot", qn_ballot_record, "proposal h32, validator h32, voter h32" },
    { 0 },
};

static const struct qn_tx_kind *find(const struct qn_tx_kind *txs, uint16_t kind)
{
    for (; txs && txs->name; txs++)
        if (txs->kind == kind) return txs;
    return NULL;
}

const struct qn_tx_kind *qn_state_kind(const struct qn_state *st, uint16_t kind)
{
    const struct qn_tx_kind *tx = find(QN_CORE_TXS, kind);
    if (!tx) tx = find(QN_MANDATE_TXS, kind);
    if (!tx) tx = find(QN_STAKE_TXS, kind);
    if (!tx) tx = find(QN_FAULT_TXS, kind);
    if (!tx) tx = find(QN_GOV_TXS, kind);
    if (!tx && st->vm) tx = find(QN_CONTRACT_TXS, kind);
    for (size_t i = 0; !tx && i < st->module_cnt; i++)
        tx = find(st->modules[i].txs, kind);
    return tx;
}

const struct qn_chain_fn *qn_state_chain_fn(const struct qn_state *st, const char *name)
{
    for (size_t i = 0; i < st->module_cnt; i++)
        for (const struct qn_chain_fn *fn = st->modules[i].chain; fn && fn->name; fn++)
            if (strcmp(fn->name, name) == 0) return fn;
    return NULL;
}

static const struct qn_due_kind *due_kind(const struct qn_state *st, uint16_t kind)
{
    for (const struct qn_due_kind *d = QN_STAKE_DUES; d->name; d++)
        if (d->kind == kind) return d;
    for (const struct qn_due_kind *d = QN_GOV_DUES; d->name; d++)
        if (d->kind == kind) return d;
    for (size_t i = 0; i < st->module_cnt; i++)
        for (const struct qn_due_kind *d = st->modules[i].dues; d && d->name; d++)
            if (d->kind == kind) return d;
    return NULL;
}

/* --- one transaction ------------------------------------------------------------------------------------ */

static uint64_t flat_gas(const struct qn_tx_kind *kind, const struct qn_tx *tx)
{
    uint64_t gas = kind->gas;
    for (uint32_t i = 0; i < tx->auths.cnt; i++)
        gas += (uint64_t)SIG_GAS * tx->auths.ptr[i].sigs.cnt;
    return gas;
}

/* Most a transaction may cost: what is set aside before it runs. */
static qn_rc worst_fee(const struct qn_price *price, const struct qn_tx_kind *kind,
                       const struct qn_tx *tx, size_t bytes, struct qn_amount *ret,
                       struct qn_why *why)
{
    if (flat_gas(kind, tx) > tx->gas_max)
        return qn_why(why, QN_E_GAS, "gas_max is %u, %s needs %" PRIu64, tx->gas_max, kind->name,
                      flat_gas(kind, tx));
    if (tx->gas_max > BLOCK_GAS)
        return qn_why(why, QN_E_GAS, "gas_max is %u, a block holds %u", tx->gas_max, BLOCK_GAS);
    struct qn_amount fee = qn_fee_of(price, tx->gas_max, bytes);
    if (fee.uqn > tx->fee_max.uqn)
        return qn_why(why, QN_E_LIMIT, "the fee may reach %" PRIu64 " uqn, fee_max is %" PRIu64,
                      fee.uqn, tx->fee_max.uqn);
    return qn_amount_add(fee, tx->tip, ret);
}

static qn_rc decode_body(const struct qn_tx_kind *kind, const struct qn_tx *tx,
                         struct qn_arena *arena, void **ret, struct qn_why *why)
{
    void *body = qn_arena_alloc(arena, kind->body()->size);
    if (!body) return QN_E_MEMORY;
    qn_rc rc = qn_decode(kind->body(), tx->body, arena, body, why);
    if (rc == QN_OK && kind->check) rc = kind->check(body, why);
    *ret = body;
    return rc;
}

/* What costs little: kind, window, who pays, and whether that covers the fee. */
static qn_rc charge(const struct qn_state *st, const struct qn_price *price, const struct qn_tx *tx,
                    size_t bytes, uint64_t now_ms, struct qn_charge *ret, struct qn_why *why)
{
    const struct qn_tx_kind *kind = qn_state_kind(st, tx->kind);
    struct qn_arena arena = { .max = 1u << 20 };
    struct qn_amount fee;
    struct qn_mandate m;
    struct qn_hash payer = tx->sender;
    qn_rc rc = QN_OK;
    if (!kind)
        return qn_why(why, QN_E_ABSENT, "no module of this chain knows transaction kind %u",
                      tx->kind);
    if (now_ms <= tx->from_ms || now_ms > tx->until_ms)
        return qn_why(why, QN_E_EXPIRED, "valid from %" PRIu64 " to %" PRIu64 " ms, it is %" PRIu64,
                      tx->from_ms, tx->until_ms, now_ms);
    rc = worst_fee(price, kind, tx, bytes, &fee, why);
    if (rc == QN_OK && tx->mandate.has) {
        rc = qn_view_rec(&st->view, QN_TABLE_MANDATE, QN_SPAN(tx->mandate.v.b, 32),
                         qn_mandate_record(), &arena, &m);
        if (rc || !qn_hash_eq(&m.key, &tx->sender))
            rc = qn_why(why, QN_E_AUTH, "there is no such mandate for this key");
        payer = m.owner;
    }
    qn_arena_free(&arena);
    if (rc) return rc;
    *ret = (struct qn_charge){ payer, fee, qn_view_balance(&st->view, &payer) };
    if (ret->balance.uqn < fee.uqn)
        return qn_why(why, QN_E_FUNDS, "have %" PRIu64 " uqn, need %" PRIu64 " for the fee",
                      ret->balance.uqn, fee.uqn);
    return QN_OK;
}

static qn_rc payable(const struct qn_state *st, const struct qn_price *price,
                     const struct qn_tx *tx, size_t bytes, uint64_t now_ms, struct qn_why *why)
{
    struct qn_arena arena = { .max = 8u << 20 };
    struct qn_charge c;
    void *body;
    qn_rc rc = charge(st, price, tx, bytes, now_ms, &c, why);
    if (rc == QN_OK) /* last: a kind's check may be dear, and who cannot pay has none made */
        rc = decode_body(qn_state_kind(st, tx->kind), tx, &arena, &body, why);
    qn_arena_free(&arena);
    return rc;
}

qn_rc qn_state_charge(const struct qn_state *st, const struct qn_tx *tx, size_t bytes,
                      uint64_t now_ms, struct qn_charge *ret, struct qn_why *why)
{
    struct qn_price price = qn_fee_price(&st->view);
    return charge(st, &price, tx, bytes, now_ms, ret, why);
}

qn_rc qn_state_payable(const struct qn_state *st, const struct qn_tx *tx, size_t bytes,
                       uint64_t now_ms, struct qn_why *why)
{
    struct qn_price price = qn_fee_price(&st->view);
    return payable(st, &price, tx, bytes, now_ms, why);
}

/* Moves the events gathered so far into the arena. */
static struct qn_event *take_events(struct qn_state *st, struct qn_arena *arena, uint32_t *ret_cnt)
{
    struct qn_event *copy = NULL;
    *ret_cnt = st->event_cnt;
    if (st->event_cnt) {
        copy = qn_arena_copy(arena, st->events, st->event_cnt * sizeof *copy);
        QN_ASSERT(copy != NULL);
    }
    st->event_cnt = 0;
    st->event_bytes = 0;
    return copy;
}

static struct qn_span arena_text(struct qn_arena *arena, const char *text)
{
    char *copy = qn_arena_copy(arena, text, strlen(text));
    QN_ASSERT(copy != NULL);
    for (char *c = copy; *c; c++) /* receipts hold clean text alone */
        if ((unsigned char)*c < 0x20 || (unsigned char)*c >= 0x7f) *c = '?';
    return QN_SPAN(copy, strlen(copy));
}

/* Runs one transaction. An error means that the block may not hold it; a refusal of its effects is a receipt. */
static qn_rc run_tx(struct qn_state *st, struct qn_apply *ap, const struct qn_price *price,
                    const struct qn_tx *tx, size_t bytes, const struct qn_hash *payee,
                    struct qn_receipt *ret, struct qn_why *why)
{
    const struct qn_tx_kind *kind = qn_state_kind(st, tx->kind);
    const struct qn_hash fees = st->fees, burnt = st->burnt;
    qn_rc rc = payable(st, price, tx, bytes, ap->now_ms, why);
    if (rc) return rc;
    struct qn_amount worst;
    void *body;
    QN_ASSERT(worst_fee(price, kind, tx, bytes, &worst, why) == QN_OK);
    rc = decode_body(kind, tx, ap->arena, &body, why);
    if (rc) return rc;
    ap->signer = ap->sender = tx->sender;
    ap->mandate = tx->mandate;
    struct qn_why said = { "" };
    qn_rc done = qn_mandate_begin(ap, tx->kind, &ap->sender, &said);
    if (done) { /* without its mandate nobody pays: not for a block */
        *why = said;
        return done;
    }
    uint64_t flat = flat_gas(kind, tx);
    st->gas_left = tx->gas_max - flat;
    QN_ASSERT(qn_post(ap, &ap->sender, &fees, worst, why) == QN_OK); /* payable said so */
    uint32_t fee_debits = st->debit_cnt;
    size_t mark = st->undo_cnt;
    st->event_cnt = 0;
    st->event_bytes = 0;
    st->event_over = false;
    done = kind->apply(ap, body, &said);
    if (done == QN_OK && st->event_over)
        done = qn_why(&said, QN_E_LIMIT, "more than %u events or %u bytes of them", QN_EVENTS_MAX,
                      QN_EVENT_BYTES_MAX);
    /* What was set aside is known by now: the mandate is charged what the transaction costs, not what it might have. */
    uint64_t gas = tx->gas_max - st->gas_left;
    struct qn_amount fee = qn_fee_of(price, gas, bytes), back;
    if (fee_debits) st->debits[fee_debits - 1].amount = QN_UQN(fee.uqn + tx->tip.uqn);
    if (done == QN_OK) done = qn_mandate_end(ap, &said);
    if (done) {
        qn_state_back(st, mark);
        st->event_cnt = 0;
        st->debit_cnt = fee_debits; /* the fee still counts against the mandate */
        st->lend_rate_uqn_h = 0;
        st->lend_burst_uqn = 0;
        struct qn_why ignored;
        if (ap->mandate.has && qn_mandate_end(ap, &ignored)) {
            *why = ignored; /* not even the fee fits */
            return QN_E_LIMIT;
        }
    }
    QN_ASSERT(qn_amount_sub(worst, tx->tip, &back) == QN_OK);
    QN_ASSERT(qn_amount_sub(back, fee, &back) == QN_OK);
    struct qn_hash payer = ap->sender;
    ap->mandate.has = false; /* what follows is the ledger's own */
    QN_ASSERT(qn_post(ap, &fees, &payer, back, why) == QN_OK);
    QN_ASSERT(qn_post(ap, &fees, &burnt, fee, why) == QN_OK);
    QN_ASSERT(qn_post(ap, &fees, payee, tx->tip, why) == QN_OK);
    ret->tx = ap->id;
    ret->rc = (uint16_t)done;
    ret->code = arena_text(ap->arena, qn_err_code(done));
    ret->why = arena_text(ap->arena, done ? said.text : "");
    ret->gas = gas;
    ret->fee = QN_UQN(fee.uqn + tx->tip.uqn);
    ret->events.ptr = take_events(st, ap->arena, &ret->events.cnt);
    return QN_OK;
}

/* --- the block ------------------------------------------------------------------------------------------- */

static void begin(struct qn_state *st, struct qn_apply *ap, struct qn_arena *arena)
{
    *ap = (struct qn_apply){ .view = &st->view,
                             .arena = arena,
                             .height = st->height,
                             .now_ms = st->now_ms,
                             .chain = st->chain,
                             .beacon = st->beacon };
}

qn_rc qn_state_block(struct qn_state *st, uint64_t height, uint64_t t_ms,
                     const struct qn_hash *beacon, const struct qn_hash *proposer,
                     const struct qn_tx *txs, const struct qn_hash *ids, uint32_t tx_cnt,
                     struct qn_arena *arena, bool *misfit, struct qn_outcome *ret,
                     struct qn_why *why)
{
    QN_ASSERT(st->undo_cnt == 0);
    struct qn_apply ap;
    uint16_t kind;
    st->was_height = st->height;
    st->was_ms = st->now_ms;
    st->was_beacon = st->beacon;
    st->height = height;
    st->now_ms = t_ms;
    st->beacon = *beacon;
    st->event_cnt = 0;
    st->gas_left = BLOCK_GAS; /* of the deadlines; what does not fit waits for the next block */
    *ret = (struct qn_outcome){ 0 };
    begin(st, &ap, arena);
    qn_fault_absent(&ap, st->signers, st->signer_cnt, proposer);
    st->signer_cnt = 0;
    qn_epoch_begin(&ap);
    qn_gov_begin(&ap);
    const struct qn_hash payee = qn_stake_payee(&ap, proposer);
    const struct qn_price price = qn_fee_price(&st->view);
    for (int i = 0; i < DUES_MAX && st->gas_left > 0 && st->event_cnt < DUE_EVENTS &&
                    st->event_bytes < QN_EVENT_BYTES_MAX / 2 && qn_due_pop(&ap, &kind, &ap.id);
         i++) {
        qn_due_cost(&ap, DUE_GAS);
        const struct qn_due_kind *due = due_kind(st, kind);
        if (due) /* a module that was left out lets its deadlines pass */
            due->fire(&ap, &ap.id);
    }
    ret->events = take_events(st, arena, &ret->event_cnt);
    ret->receipt_cnt = tx_cnt;
    ret->receipts = qn_arena_alloc(arena, (tx_cnt + 1) * sizeof *ret->receipts);
    QN_ASSERT(ret->receipts != NULL);
    uint64_t gas = 0, told = 0, bytes = 0; /* by the transactions so far */
    for (uint32_t i = 0; i < tx_cnt; i++) {
        size_t len = qn_tx_len(&txs[i]);
        if (gas > BLOCK_GAS || told > BLOCK_TOLD ||
            bytes + len > QN_BLOCK_BYTES) { /* full: what follows waits for the next */
            if (!misfit)
                return qn_why(why, QN_E_LIMIT,
                              "the block is over its gas, its bytes or its events");
            ret->receipt_cnt = i;
            break;
        }
        begin(st, &ap, arena);
        ap.id = ids[i];
        size_t mark = st->undo_cnt;
        struct qn_receipt *r = &ret->receipts[i];
        qn_rc rc = run_tx(st, &ap, &price, &txs[i], len, &payee, r, why);
        if (rc && !misfit) return rc;
        if (misfit) misfit[i] = rc != QN_OK;
        if (rc) { /* as if it had never been there */
            qn_state_back(st, mark);
            st->event_cnt = 0;
            continue;
        }
        gas += r->gas;
        bytes += len;
        for (uint32_t k = 0; k < r->events.cnt; k++)
            told += r->events.ptr[k].topic.len + r->events.ptr[k].data.len + QN_EVENT_HEAD;
    }
    begin(st, &ap, arena);
    st->gas_left = UINT64_MAX;
    struct qn_event *before = ret->events;
    uint32_t before_cnt = ret->event_cnt, more_cnt;
    for (size_t i = 0; i < st->module_cnt; i++)
        if (st->modules[i].block_end) st->modules[i].block_end(&ap);
    qn_mint_block(&ap, proposer);
    qn_fee_end(&ap, gas, bytes);
    qn_epoch_end(&ap);
    struct qn_event *more = take_events(st, arena, &more_cnt);
    if (more_cnt) {
        ret->events = qn_arena_alloc(arena, (before_cnt + more_cnt) * sizeof *more);
        QN_ASSERT(ret->events != NULL);
        if (before_cnt) memcpy(ret->events, before, before_cnt * sizeof *more);
        memcpy(ret->events + before_cnt, more, more_cnt * sizeof *more);
        ret->event_cnt = before_cnt + more_cnt;
    }
    /* Every fee was burnt or given back; what is here was sent by somebody and goes the same way. */
    const struct qn_hash fees = qn_acct_fees(), burnt = qn_acct_burnt();
    QN_ASSERT(qn_post(&ap, &fees, &burnt, qn_view_balance(&st->view, &fees), NULL) == QN_OK);
    QN_SLOW_ASSERT(qn_state_sum(&st->view).uqn == QN_SUPPLY_UQN);
    ret->root = qn_trie_root(st->trie);
    return QN_OK;
}

void qn_state_signers(struct qn_state *st, const uint8_t *bits, uint32_t cnt)
{
    QN_ASSERT(cnt <= QN_SET_MAX);
    if (cnt) memcpy(st->signers, bits, (cnt + 7) / 8);
    st->signer_cnt = cnt;
}

void qn_state_genesis(struct qn_state *st, const struct qn_genesis *genesis,
                      const struct qn_hash *chain)
{
    struct qn_arena arena = { 0 };
    struct qn_apply ap;
    qn_state_at(st, chain, 0, genesis->t_ms, chain);
    begin(st, &ap, &arena);
    const struct qn_hash unissued = qn_acct_unissued(), burnt = qn_acct_burnt(),
                         fees = qn_acct_fees();
    const struct qn_hash subnets = qn_acct_module(0, "subnets", &ZERO);
    const struct qn_hash public = qn_acct_module(0, "public", &ZERO);
    struct qn_account all = { .balance = QN_UQN(QN_SUPPLY_UQN),
                              .what = QN_SPAN_STR("coins not yet minted"),
                              .owner = { true, ZERO } };
    qn_row_put_rec(&ap, QN_TABLE_ACCOUNT, QN_SPAN(unissued.b, 32), qn_account_record(), &all);
    qn_acct_own(&ap, &burnt, "burnt coins", &ZERO);
    qn_acct_own(&ap, &fees, "fees of the block in execution", &ZERO);
    qn_acct_own(&ap, &subnets, "emission for subnets", &ZERO);
    qn_acct_own(&ap, &public, "public pool", &ZERO);
    struct qn_mint_state m = { .last_ms = genesis->t_ms };
    qn_row_put_rec(&ap, QN_TABLE_META, QN_SPAN_STR("mint"), qn_mint_state_record(), &m);
    for (uint32_t i = 0; i < genesis->grants.cnt; i++) {
        const struct qn_grant *g = &genesis->grants.ptr[i];
        QN_ASSERT(qn_post(&ap, &unissued, &g->acct, g->amount, NULL) ==
                  QN_OK); /* checked by the opener */
    }
    qn_param_genesis(&ap, genesis->dev, genesis->epoch_ms);
    qn_stake_genesis(&ap, genesis);
    qn_epoch_genesis(&ap, genesis);
    for (size_t i = 0; i < st->module_cnt; i++)
        if (st->modules[i].genesis) st->modules[i].genesis(&ap);
    st->event_cnt = 0;
    qn_arena_free(&arena);
}
