/* fuzz_stake.c - a chain's life out of bytes: transactions about stake, evidence and votes with bodies from outside, blocks of any distance.
 * Whatever comes, nothing asserts, no coin appears or goes, and each validator's pools are what its accounts hold.
 *
 *     step   u8 what | u8 person | u8 len | body, Borsh     what % 16: a kind of the table; above it: time passes */
#include "ledger/state/fixture.h"
#include "ledger/state/state_in.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_pools(const struct qn_fix *f)
{
    struct qn_span key, val, after = { NULL, 0 };
    struct qn_hash id;
    while (qn_view_next(f->view, QN_TABLE_VALIDATOR, QN_SPAN(NULL, 0), after, &key, &val)) {
        struct qn_arena arena = { 0 };
        struct qn_validator v;
        memcpy(id.b, key.ptr, 32);
        after = QN_SPAN(id.b, 32);
        QN_ASSERT(qn_stake_get(f->view, &id, &arena, &v) == QN_OK);
        struct qn_hash bond = qn_acct_module(0, "bond", &id),
                       leaving = qn_acct_module(0, "leaving", &id);
        QN_ASSERT(qn_view_balance(f->view, &bond).uqn == v.stake.uqn);
        QN_ASSERT(qn_view_balance(f->view, &leaving).uqn == v.leaving.uqn);
        QN_ASSERT(v.shares || !v.stake.uqn);
        QN_ASSERT(v.leaving_shares || !v.leaving.uqn);
        qn_arena_free(&arena);
    }
}

/* Two validators, keys 100 and 101, of persons 0 and 1. */
static void open_chain(struct qn_fix *f)
{
    struct qn_hash keys[2];
    struct qn_genesis_bond bonds[2];
    struct qn_grant grants[4];
    struct qn_genesis g = { .name = QN_SPAN_STR("fuzz"), .t_ms = 1000000, .dev = true };
    for (unsigned i = 0; i < 2; i++) {
        struct qn_key key;
        qn_fix_key(100 + i, &key);
        keys[i] = key.pub;
        bonds[i] = (struct qn_genesis_bond){ qn_fix_acct(i), QN_UQN(100000000), 100000 };
    }
    for (unsigned i = 0; i < 4; i++)
        grants[i] = (struct qn_grant){ qn_fix_acct(i), QN_UQN(1000000000) };
    g.validators.cnt = g.bonds.cnt = 2;
    g.validators.ptr = keys;
    g.bonds.ptr = bonds;
    g.grants.cnt = 4;
    g.grants.ptr = grants;
    qn_fix_open(f, &g, NULL, 0, NULL);
}

/* A byte in the place of a hash's last stands for something the chain knows: else no fuzzer would ever name one. */
static void name_things(const struct qn_fix *f, void *body, size_t size)
{
    for (size_t at = 0; at + 32 <= size; at += 8) {
        struct qn_hash h;
        memcpy(h.b, (uint8_t *)body + at, 32);
        bool marked = true;
        for (int i = 0; i < 31; i++)
            marked &= h.b[i] == 0x77;
        if (!marked) continue;
        struct qn_hash ret = qn_fix_acct(h.b[31] % 4 < 2 ? 100 + h.b[31] % 2 : h.b[31] % 4);
        if (h.b[31] >= 128) ret = f->last.tx; /* a proposal that was just made */
        memcpy((uint8_t *)body + at, ret.b, 32);
    }
}

static void step(struct qn_fix *f, uint8_t what, unsigned person, struct qn_span raw)
{
    const struct qn_tx_kind *const tables[] = { QN_STAKE_TXS, QN_FAULT_TXS, QN_GOV_TXS };
    unsigned no = what % 16;
    for (size_t i = 0; i < QN_COUNT(tables); i++) {
        for (const struct qn_tx_kind *k = tables[i]; k->name; k++) {
            if (no-- != 0) continue;
            void *body = qn_arena_alloc(&f->arena, k->body()->size);
            QN_ASSERT(body != NULL);
            if (qn_decode(k->body(), raw, &f->arena, body, NULL)) return;
            name_things(f, body, k->body()->size);
            qn_rc rc = qn_fix_tx(f, person, k->kind, body, NULL, NULL);
            (void)rc; /* any answer but an assertion is fine */
            return;
        }
    }
    f->proposer = qn_fix_acct(100 + person);
    qn_fix_wait(f, 1 + (uint64_t)what * what);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct qn_span s = QN_SPAN(data, size), body;
    struct qn_fix f;
    uint8_t what, person, len;
    QN_ASSERT(qn_crypto_init() == QN_OK);
    open_chain(&f);
    for (int i = 0; i < 64 && qn_take_u8(&s, &what) && qn_take_u8(&s, &person) &&
                    qn_take_u8(&s, &len) && qn_take(&s, len, &body);
         i++) {
        step(&f, what, person % 4, body);
        check_pools(&f);
    }
    qn_fix_wait(&f, 200000); /* what left is paid, what was asked is counted */
    check_pools(&f);
    qn_fix_fini(&f);
    return 0;
}
