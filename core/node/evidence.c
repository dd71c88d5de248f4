/* evidence.c - reporting who voted twice. */
#include "core/node/evidence.h"

#include "core/net/coded.h"
#include "ledger/state/stake.h"

#include <stdlib.h>

struct report {
    struct qn_replica *r;
    const struct qn_key *reporter;
    uint64_t now_ms;
    unsigned sent;
    json_t *list;
};

/* Who signed: votes name a number in the set of their epoch. */
static bool named(struct qn_replica *r, const struct qn_vote *a, const struct qn_vote *b,
                  struct evidence_submit *ret)
{
    struct qn_set *set = malloc(sizeof *set);
    QN_ASSERT(set != NULL);
    bool known =
        qn_stake_past(qn_chain_view(qn_replica_chain(r)), a->epoch, set) && a->signer < set->cnt;
    if (known) *ret = (struct evidence_submit){ qn_acct_key(&set->keys[a->signer]), *a, *b };
    free(set);
    return known;
}

static void list(void *arg, const struct qn_vote *a, const struct qn_vote *b)
{
    struct report *x = arg;
    struct evidence_submit e;
    if (!named(x->r, a, b, &e)) return;
    json_t *one = qn_to_json(evidence_submit_record(), &e);
    json_object_set_new(one, "epoch", json_integer((json_int_t)a->epoch));
    json_object_set_new(one, "view", json_integer((json_int_t)a->view));
    json_array_append_new(x->list, one);
}

static void list_twins(void *arg, const struct evidence_twins *twins)
{
    struct report *x = arg;
    json_t *one = qn_to_json(evidence_twins_record(), twins);
    json_object_set_new(one, "epoch", json_integer((json_int_t)twins->a.epoch));
    json_object_set_new(one, "view", json_integer((json_int_t)twins->a.view));
    json_array_append_new(x->list, one);
}

static void list_roots(void *arg, const struct evidence_roots *roots)
{
    struct report *x = arg;
    json_array_append_new(x->list, qn_to_json(evidence_roots_record(), roots));
}

json_t *qn_evidence_json(struct qn_replica *r, const struct qn_coded *coded)
{
    struct report x = { .r = r, .list = json_array() };
    qn_replica_evidence(r, list, &x);
    qn_replica_twins(r, list_twins, &x);
    if (coded) qn_coded_roots(coded, list_roots, &x);
    return x.list;
}

/* Sends one unless the validator is out already, or nobody. */
static void submit(struct report *x, const struct qn_hash *validator, uint16_t kind,
                   const struct qn_record *rec, const void *evidence, uint64_t view)
{
    struct qn_chain *chain = qn_replica_chain(x->r);
    struct qn_arena arena = { 0 };
    struct qn_validator v;
    if (qn_stake_get(qn_chain_view(chain), validator, &arena, &v) == QN_OK && !v.barred) {
        struct qn_buf body = { 0 }, tx = { 0 };
        struct qn_hash id, chain_id = qn_chain_id(chain);
        struct qn_tx_opts opts = { .gas_max = 200000, .salt = view };
        qn_encode(rec, evidence, &body);
        qn_tx_build(&chain_id, kind, qn_buf_get(&body), x->reporter, x->now_ms, &opts, &tx, &id);
        x->sent += qn_replica_submit(x->r, qn_buf_get(&tx), &id, NULL) == QN_OK;
        qn_buf_free(&body);
        qn_buf_free(&tx);
    }
    qn_arena_free(&arena);
}

static void report(void *arg, const struct qn_vote *a, const struct qn_vote *b)
{
    struct report *x = arg;
    struct evidence_submit e;
    if (named(x->r, a, b, &e))
        submit(x, &e.validator, QN_TX_EVIDENCE, evidence_submit_record(), &e, a->view);
}

static void report_twins(void *arg, const struct evidence_twins *twins)
{
    submit(arg, &twins->validator, QN_TX_EVIDENCE_TWINS, evidence_twins_record(), twins,
           twins->a.view);
}

static void report_roots(void *arg, const struct evidence_roots *roots)
{
    submit(arg, &roots->validator, QN_TX_EVIDENCE_ROOTS, evidence_roots_record(), roots,
           roots->view);
}

unsigned qn_evidence_report(struct qn_replica *r, const struct qn_coded *coded,
                            const struct qn_key *reporter, uint64_t now_ms)
{
    struct report x = { .r = r, .reporter = reporter, .now_ms = now_ms };
    qn_replica_evidence(r, report, &x);
    qn_replica_twins(r, report_twins, &x);
    if (coded) qn_coded_roots(coded, report_roots, &x);
    return x.sent;
}
