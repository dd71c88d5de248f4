/* row.c - keys, accounts and rows. */
#include "modules/training/training.h"

#include "core/crypto/hash.h"

#include <string.h>

struct training_pair_key training_pair(const struct qn_hash *a, const struct qn_hash *b)
{
    struct training_pair_key key;
    memcpy(key.b, a->b, 32);
    memcpy(key.b + 32, b->b, 32);
    return key;
}

struct qn_hash training_run_id(const struct qn_hash *job, const struct qn_hash *solver)
{
    return qn_h2("train/run", job, solver);
}

struct qn_hash training_claim_id(const struct qn_hash *who, const struct qn_hash *claim)
{
    return qn_h2("train/claimed", who, claim);
}

struct qn_hash training_claim_hash(const struct qn_hash *who, const struct qn_hash *salt,
                                   const struct qn_hash *run, uint32_t seg, uint64_t mark)
{
    uint8_t bytes[32 * 3 + 4 + 8];
    memcpy(bytes, who->b, 32);
    memcpy(bytes + 32, salt->b, 32);
    memcpy(bytes + 64, run->b, 32);
    memcpy(bytes + 96, &seg, 4);
    memcpy(bytes + 100, &mark, 8);
    return qn_h("train/claim", bytes, sizeof bytes);
}

struct qn_hash training_escrow_acct(const struct qn_hash *job)
{
    return qn_acct_module(TRAINING_TAG, "escrow", job);
}

struct qn_hash training_bond_acct(const struct qn_hash *run)
{
    return qn_acct_module(TRAINING_TAG, "bond", run);
}

struct qn_hash training_game_acct(const struct qn_hash *game)
{
    return qn_acct_module(TRAINING_TAG, "game", game);
}

static qn_rc get(const struct qn_view *view, struct qn_arena *arena, uint8_t table,
                 const struct qn_hash *id, const struct qn_record *rec, const char *what, void *ret,
                 struct qn_why *why)
{
    qn_rc rc = qn_view_rec(view, table, QN_SPAN_OF(*id), rec, arena, ret);
    return rc ? qn_why(why, rc, "no %s has that id", what) : QN_OK;
}

qn_rc training_job_get(const struct qn_view *view, struct qn_arena *arena, const struct qn_hash *id,
                       struct training_job *ret, struct qn_why *why)
{
    return get(view, arena, TRAINING_T_JOB, id, training_job_record(), "job", ret, why);
}

qn_rc training_run_get(const struct qn_view *view, struct qn_arena *arena, const struct qn_hash *id,
                       struct training_run *ret, struct qn_why *why)
{
    return get(view, arena, TRAINING_T_RUN, id, training_run_record(), "run", ret, why);
}

/* The lists of a game lie in the row itself, which the next write moves: they are copied. */
qn_rc training_game_get(const struct qn_view *view, struct qn_arena *arena,
                        const struct qn_hash *id, struct training_game *ret, struct qn_why *why)
{
    struct qn_span val;
    if (!qn_view_get(view, TRAINING_T_GAME, QN_SPAN_OF(*id), &val))
        return qn_why(why, QN_E_NOTFOUND, "no game has that id");
    void *copy = qn_arena_copy(arena, val.ptr, val.len);
    if (!copy) return QN_E_MEMORY;
    qn_rc rc = qn_decode(training_game_record(), QN_SPAN(copy, val.len), arena, ret, NULL);
    QN_ASSERT(rc == QN_OK);
    return QN_OK;
}

void training_job_save(struct qn_apply *ap, const struct qn_hash *id,
                       const struct training_job *job)
{
    qn_row_put_rec(ap, TRAINING_T_JOB, QN_SPAN_OF(*id), training_job_record(), job);
}

void training_run_save(struct qn_apply *ap, const struct qn_hash *id,
                       const struct training_run *run)
{
    qn_row_put_rec(ap, TRAINING_T_RUN, QN_SPAN_OF(*id), training_run_record(), run);
}

void training_game_save(struct qn_apply *ap, const struct qn_hash *id,
                        const struct training_game *game)
{
    qn_row_put_rec(ap, TRAINING_T_GAME, QN_SPAN_OF(*id), training_game_record(), game);
}

void training_graph_get(const struct qn_view *view, struct qn_arena *arena,
                        const struct qn_hash *hash, struct graph *ret)
{
    struct qn_span val;
    bool found = qn_view_get(view, TRAINING_T_GRAPH, QN_SPAN_OF(*hash), &val);
    QN_ASSERT(found);
    void *copy = qn_arena_copy(arena, val.ptr, val.len);
    QN_ASSERT(copy != NULL);
    qn_rc rc = graph_decode(QN_SPAN(copy, val.len), arena, ret, NULL);
    QN_ASSERT(rc == QN_OK); /* it was checked when it came */
}
