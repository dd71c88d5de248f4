/* fixture.c - the ledger in memory for tests. */
#include "ledger/state/fixture.h"

#include "core/crypto/hash.h"

#include <string.h>

#define PEOPLE 20

void qn_fix_key(unsigned person, struct qn_key *ret)
{
    struct qn_hash seed = qn_h("fixture", &person, sizeof person);
    qn_key_from_seed(seed.b, ret);
}

struct qn_hash qn_fix_acct(unsigned person)
{
    struct qn_key key;
    qn_fix_key(person, &key);
    return qn_acct_key(&key.pub);
}

void qn_fix_init(struct qn_fix *fix, const struct qn_exec_module *modules, size_t cnt,
                 const struct qn_contract_vm *vm)
{
    struct qn_grant grants[PEOPLE];
    QN_ASSERT(qn_crypto_init() == QN_OK);
    for (unsigned i = 0; i < PEOPLE; i++)
        grants[i] = (struct qn_grant){ qn_fix_acct(i), QN_UQN(1000 * QN_UQN_PER_QN) };
    struct qn_genesis genesis = { .name = QN_SPAN_STR("fixture"), .t_ms = 1000000, .dev = true };
    struct qn_key validator;
    qn_fix_key(1000, &validator);
    genesis.validators.cnt = 1;
    genesis.validators.ptr = &validator.pub;
    genesis.grants.cnt = PEOPLE;
    genesis.grants.ptr = grants;
    qn_fix_open(fix, &genesis, modules, cnt, vm);
}

void qn_fix_open(struct qn_fix *fix, const struct qn_genesis *genesis,
                 const struct qn_exec_module *modules, size_t cnt, const struct qn_contract_vm *vm)
{
    QN_ASSERT(qn_crypto_init() == QN_OK);
    *fix = (struct qn_fix){ .st = qn_state_new(modules, cnt, vm),
                            .now_ms = genesis->t_ms,
                            .proposer = qn_fix_acct(1000) };
    fix->view = qn_state_view(fix->st);
    fix->chain = qn_genesis_hash(genesis);
    qn_state_genesis(fix->st, genesis, &fix->chain);
    qn_state_accept(fix->st, NULL, NULL);
}

void qn_fix_fini(struct qn_fix *fix)
{
    qn_state_free(fix->st);
    qn_arena_free(&fix->arena);
}

static qn_rc block(struct qn_fix *fix, uint64_t ms, const struct qn_tx *tx,
                   const struct qn_hash *id, struct qn_why *why)
{
    struct qn_outcome out;
    struct qn_hash beacon = qn_h("fixture beacon", &fix->height, sizeof fix->height);
    fix->now_ms += ms;
    qn_rc rc = qn_state_block(fix->st, fix->height + 1, fix->now_ms, &beacon, &fix->proposer, tx,
                              id, tx != NULL, &fix->arena, NULL, &out, why);
    if (rc) {
        qn_state_reject(fix->st);
        fix->now_ms -= ms;
        return rc;
    }
    fix->height++;
    qn_state_accept(fix->st, NULL, NULL);
    QN_ASSERT(qn_state_sum(fix->view).uqn == QN_SUPPLY_UQN);
    struct qn_buf frame = { 0 }; /* what the journal will keep must be encodable */
    for (uint32_t i = 0; i < out.receipt_cnt; i++)
        qn_encode(qn_receipt_record(), &out.receipts[i], &frame);
    for (uint32_t i = 0; i < out.event_cnt; i++)
        qn_encode(qn_event_record(), &out.events[i], &frame);
    qn_buf_free(&frame);
    fix->events = out.events;
    fix->event_cnt = out.event_cnt;
    if (tx) fix->last = out.receipts[0];
    return QN_OK;
}

qn_rc qn_fix_tx(struct qn_fix *fix, unsigned person, uint16_t kind, const void *body,
                const struct qn_hash *mandate, struct qn_why *why)
{
    struct qn_key key;
    struct qn_buf bytes = { 0 }, raw = { 0 };
    struct qn_tx_opts opts = { .salt = fix->salt++ };
    struct qn_hash id;
    struct qn_tx tx;
    if (mandate) opts.mandate = (struct qn_opt_hash){ true, *mandate };
    qn_fix_key(person, &key);
    const struct qn_tx_kind *k = qn_state_kind(fix->st, kind);
    QN_ASSERT(k != NULL);
    qn_encode(k->body(), body, &raw);
    qn_tx_build(&fix->chain, kind, qn_buf_get(&raw), &key, fix->now_ms, &opts, &bytes, &id);
    void *copy = qn_arena_copy(&fix->arena, bytes.ptr, bytes.len);
    qn_rc rc = qn_decode(qn_tx_record(), QN_SPAN(copy, bytes.len), &fix->arena, &tx, why);
    if (rc == QN_OK) rc = qn_tx_check(&tx, &id, &fix->chain, why);
    if (rc == QN_OK) rc = block(fix, 10, &tx, &id, why);
    if (rc == QN_OK && fix->last.rc)
        rc = qn_why(why, (qn_rc)fix->last.rc, "%.*s", (int)fix->last.why.len,
                    (const char *)fix->last.why.ptr);
    qn_buf_free(&bytes);
    qn_buf_free(&raw);
    return rc;
}

void qn_fix_wait(struct qn_fix *fix, uint64_t ms)
{
    QN_ASSERT(block(fix, ms, NULL, NULL, NULL) == QN_OK);
}

void qn_fix_gift(struct qn_fix *fix, unsigned person, const struct qn_hash *to, uint64_t uqn)
{
    struct qn_apply ap = { .view = fix->view, .arena = &fix->arena };
    struct qn_hash from = qn_fix_acct(person);
    QN_ASSERT(qn_post(&ap, &from, to, QN_UQN(uqn), NULL) == QN_OK);
    qn_state_accept(fix->st, NULL, NULL);
}

static bool find(const struct qn_event *events, uint32_t cnt, const char *topic,
                 struct qn_hash *ret_id)
{
    for (uint32_t i = cnt; i-- > 0;) {
        if (qn_span_eq(events[i].topic, QN_SPAN_STR(topic))) {
            *ret_id = events[i].id;
            return true;
        }
    }
    return false;
}

bool qn_fix_event(const struct qn_fix *fix, const char *topic, struct qn_hash *ret_id)
{
    return find(fix->last.events.ptr, fix->last.events.cnt, topic, ret_id) ||
           find(fix->events, fix->event_cnt, topic, ret_id);
}
