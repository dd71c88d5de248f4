/* tx_job.c - asking for a training, taking it, committing to its trace, accepting it. */
#include "modules/training/training.h"

#include "core/crypto/hash.h"
#include "gpu/graph/tile_step.h"
#include "modules/training/trace.h"

#include <inttypes.h>
#include <string.h>

#define MINUTE_MS   UINT64_C(60000)
#define HOUR_MS     (60 * MINUTE_MS)
#define DAY_MS      (24 * HOUR_MS)
#define SHORTEST_MS 200
/* Who must answer a challenge runs steps again: a job that gave him no time for it would be a trap for his bond. */
#define MOVE_MIN_MS  5000
#define CLOCK_MIN_MS 30000
#define STEPS_MAX    (UINT64_C(1) << 24) /* the step node is an exact f32 */
#define SEG_CNT_MAX  (UINT32_C(1) << 20)
#define SOLVERS_MAX  8
#define BATCH_MAX    (UINT32_C(1) << 17) /* a challenge of a mark draws them all: half a block's gas */
#define REC_CNT_MAX  (UINT64_C(1) << 31)
#define DRAW_BLOCKS  2 /* the beacon of a block that nobody could know when the last solver came */

/* --- the graph ------------------------------------------------------------------------------------------ */

static bool has_root(const struct graph *g, uint32_t node)
{
    return g->node.ptr[node].op != GRAPH_CONST && g->node.ptr[node].op != GRAPH_STEP;
}

/* What the game needs of a graph beyond graph_check. */
static qn_rc graph_fits(const struct graph *g, uint32_t batch, uint32_t rec_bytes,
                        struct qn_why *why)
{
    if (g->node.cnt > TRAINING_NODE_MAX)
        return qn_why(why, QN_E_LIMIT, "graph: %u operators; at most %u", g->node.cnt,
                      TRAINING_NODE_MAX);
    if (g->next.cnt == 0) return qn_why(why, QN_E_RANGE, "graph: it trains nothing");
    for (uint32_t i = 0; i < g->node.cnt; i++) {
        const struct graph_node *n = &g->node.ptr[i];
        if (n->op == GRAPH_INPUT && (n->rows != batch || (uint64_t)n->attr + n->cols > rec_bytes))
            return qn_why(why, QN_E_RANGE,
                          "graph: operator %u reads %u records up to byte %" PRIu64
                          "; the job has %u of %u",
                          i, n->rows, (uint64_t)n->attr + n->cols, batch, rec_bytes);
        if (n->op != GRAPH_STATE && graph_tile_steps(g, i) > 1u << TRAINING_TREE_ARITY)
            return qn_why(why, QN_E_LIMIT, "graph: operator %u sums over too much", i);
    }
    for (uint32_t i = 0; i < g->next.cnt; i++)
        if (!has_root(g, g->next.ptr[i].node))
            return qn_why(why, QN_E_RANGE, "graph: state %u becomes a constant", i);
    if (!has_root(g, g->loss) || !has_root(g, g->gnorm))
        return qn_why(why, QN_E_RANGE, "graph: loss or gradient norm is a constant");
    return QN_OK;
}

static uint64_t state_bytes(const struct graph *g)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < g->next.cnt; i++) {
        const struct graph_node *n = &g->node.ptr[g->next.ptr[i].state];
        sum += (uint64_t)n->rows * n->cols * 4;
    }
    return sum;
}

/* --- train.job -------------------------------------------------------------------------------------------- */

static qn_rc pace(uint64_t *ms, uint64_t standard, uint64_t min, uint64_t max, const char *name,
                  struct qn_why *why)
{
    if (*ms == 0) *ms = standard;
    if (*ms < min || *ms > max)
        return qn_why(why, QN_E_RANGE, "%s: %" PRIu64 " to %" PRIu64 " ms", name, min, max);
    return QN_OK;
}

static qn_rc data_of(struct qn_apply *ap, const struct qn_hash *id, struct training_data *ret,
                     struct qn_why *why)
{
    qn_rc rc = qn_view_rec(ap->view, TRAINING_T_DATA, QN_SPAN_OF(*id), training_data_record(),
                           ap->arena, ret);
    return rc ? qn_why(why, rc, "the data set is not registered") : QN_OK;
}

static qn_rc job_sane(const struct train_job *b, struct qn_why *why)
{
    if (b->steps == 0 || b->steps > STEPS_MAX)
        return qn_why(why, QN_E_RANGE, "steps: 1 to %" PRIu64, STEPS_MAX);
    if (b->batch == 0 || b->batch > BATCH_MAX)
        return qn_why(why, QN_E_RANGE, "batch: 1 to %u", BATCH_MAX);
    if (b->solvers == 0 || b->solvers > SOLVERS_MAX)
        return qn_why(why, QN_E_RANGE, "solvers: 1 to %d", SOLVERS_MAX);
    if (b->seg > TRACE_SEG_MAX) return qn_why(why, QN_E_RANGE, "seg: at most %u", TRACE_SEG_MAX);
    /* Everyone who re-runs sees everything, so any bond makes a lie lose (README, "Bonds"); below a thousandth of the pay
     * it would not cover the referee. */
    if (b->pay.uqn == 0 || b->bond.uqn < b->pay.uqn / 1000 + 1)
        return qn_why(why, QN_E_RANGE, "pay must be above 0, the bond above a thousandth of it");
    if (b->pay.uqn > QN_SUPPLY_UQN / SOLVERS_MAX)
        return qn_why(why, QN_E_RANGE, "pay: more than there is");
    return QN_OK;
}

static qn_rc fill(struct qn_apply *ap, const struct train_job *b, struct training_job *job,
                  struct graph *g, struct qn_why *why)
{
    struct training_data data, eval;
    qn_rc rc = job_sane(b, why);
    if (rc == QN_OK) rc = data_of(ap, &b->data, &data, why);
    if (rc == QN_OK && b->eval.has) rc = data_of(ap, &b->eval.v, &eval, why);
    if (rc == QN_OK) rc = graph_decode(b->graph, ap->arena, g, why);
    if (rc == QN_OK) rc = graph_fits(g, b->batch, data.rec_bytes, why);
    if (rc) return rc;
    if (data.rec_cnt >= REC_CNT_MAX)
        return qn_why(why, QN_E_LIMIT, "the data set has too many records");
    *job = (struct training_job){ .requester = ap->sender,
                                  .state = TRAINING_JOB_OPEN,
                                  .graph = graph_hash(g),
                                  .seed = b->seed,
                                  .init = b->init,
                                  .data = b->data,
                                  .data_bytes = data.bytes,
                                  .rec_bytes = data.rec_bytes,
                                  .rec_cnt = data.rec_cnt,
                                  .eval = b->eval,
                                  .batch = b->batch,
                                  .steps = b->steps,
                                  .seg = b->seg ? b->seg : trace_seg_len(state_bytes(g), b->batch),
                                  .solvers = b->solvers,
                                  .pay = b->pay,
                                  .bond = b->bond,
                                  .commit_ms = b->commit_ms,
                                  .window_ms = b->window_ms,
                                  .move_ms = b->move_ms,
                                  .clock_ms = b->clock_ms,
                                  .posted_ms = ap->now_ms };
    uint64_t segs = (job->steps + job->seg - 1) / job->seg;
    if (segs > SEG_CNT_MAX)
        return qn_why(why, QN_E_LIMIT, "%" PRIu64 " segments; at most %u", segs, SEG_CNT_MAX);
    job->seg_cnt = (uint32_t)segs;
    rc = pace(&job->commit_ms, HOUR_MS, SHORTEST_MS, 30 * DAY_MS, "commit_ms", why);
    if (rc == QN_OK)
        rc = pace(&job->window_ms, 6 * HOUR_MS, SHORTEST_MS, 30 * DAY_MS, "window_ms", why);
    if (rc == QN_OK) rc = pace(&job->move_ms, 10 * MINUTE_MS, MOVE_MIN_MS, DAY_MS, "move_ms", why);
    if (rc == QN_OK) rc = pace(&job->clock_ms, HOUR_MS, CLOCK_MIN_MS, DAY_MS, "clock_ms", why);
    return rc;
}

qn_rc training_tx_job(struct qn_apply *ap, const void *body, struct qn_why *why)
{
    const struct train_job *b = body;
    const struct qn_hash id = ap->id;
    struct qn_hash escrow = training_escrow_acct(&id);
    struct training_job job;
    struct graph g;
    uint64_t ttl = b->ttl_ms;
    qn_rc rc = fill(ap, b, &job, &g, why);
    if (rc == QN_OK) rc = pace(&ttl, 10 * MINUTE_MS, SHORTEST_MS, DAY_MS, "ttl_ms", why);
    qn_acct_own(ap, &escrow, "pay of a training", &ap->sender);
    if (rc == QN_OK) rc = qn_post(ap, &ap->sender, &escrow, QN_UQN(job.pay.uqn * job.solvers), why);
    if (rc) return rc;
    struct qn_span known;
    if (!qn_view_get(ap->view, TRAINING_T_GRAPH, QN_SPAN_OF(job.graph), &known))
        qn_row_put(ap, TRAINING_T_GRAPH, QN_SPAN_OF(job.graph), b->graph);
    training_job_save(ap, &id, &job);
    qn_due_set(ap, TRAINING_DUE_TTL, &id, ap->now_ms + ttl);
    qn_emit(ap, "train.posted", &id, training_job_record(), &job);
    return QN_OK;
}

/* --- before it runs --------------------------------------------------------------------------------------- */

/* Escrow and bonds go back where they came from. */
static void undo(struct qn_apply *ap, const struct qn_hash *id, struct training_job *job)
{
    struct qn_span key, val, after = { 0 };
    struct training_pair_key at;
    struct qn_hash escrow = training_escrow_acct(id), run_id;
    struct training_run run;
    while (qn_view_next(ap->view, TRAINING_T_JOB_RUN, QN_SPAN_OF(*id), after, &key, &val)) {
        memcpy(at.b, key.ptr, sizeof at.b);
        after = QN_SPAN_OF(at);
        memcpy(run_id.b, at.b + 32, 32);
        qn_rc rc = training_run_get(ap->view, ap->arena, &run_id, &run, NULL);
        struct qn_hash bond = training_bond_acct(&run_id);
        QN_ASSERT(rc == QN_OK);
        rc = qn_post(ap, &bond, &run.solver, job->bond, NULL);
        QN_ASSERT(rc == QN_OK);
        run.state = TRAINING_RUN_LOST;
        training_run_save(ap, &run_id, &run);
    }
    qn_rc rc = qn_post(ap, &escrow, &job->requester, QN_UQN(job->pay.uqn * job->solvers), NULL);
    QN_ASSERT(rc == QN_OK);
    job->state = TRAINING_JOB_CLOSED;
    qn_due_del(ap, TRAINING_DUE_TTL, id);
    training_job_save(ap, id, job);
    qn_emit(ap, "train.closed", id, training_job_record(), job);
}

void training_due_ttl(struct qn_apply *ap, const struct qn_hash *id)
{
    struct training_job job;
    qn_rc rc = training_job_get(ap->view, ap->arena, id, &job, NULL);
    QN_ASSERT(rc == QN_OK && job.state == TRAINING_JOB_OPEN);
    undo(ap, id, &job);
}

qn_rc training_tx_cancel(struct qn_apply *ap, const void *body, struct qn_why *why)
{
    const struct train_cancel *b = body;
    struct training_job job;
    qn_rc rc = training_job_get(ap->view, ap->arena, &b->job, &job, why);
    if (rc) return rc;
    if (job.state != TRAINING_JOB_OPEN)
        return qn_why(why, QN_E_STATE, "its solvers are there already");
    if (!qn_hash_eq(&job.requester, &ap->sender))
        return qn_why(why, QN_E_AUTH, "only who asked for it takes it back");
    undo(ap, &b->job, &job);
    return QN_OK;
}

qn_rc training_tx_take(struct qn_apply *ap, const void *body, struct qn_why *why)
{
    const struct train_take *b = body;
    struct training_job job;
    struct training_run run = { .job = b->job,
                                .solver = ap->sender,
                                .state = TRAINING_RUN_WAITING };
    struct qn_hash run_id = training_run_id(&b->job, &ap->sender),
                   bond = training_bond_acct(&run_id);
    struct training_pair_key key = training_pair(&b->job, &run_id);
    struct qn_span val;
    qn_rc rc = training_job_get(ap->view, ap->arena, &b->job, &job, why);
    if (rc) return rc;
    if (job.state != TRAINING_JOB_OPEN) return qn_why(why, QN_E_STATE, "the job waits for nobody");
    if (qn_view_get(ap->view, TRAINING_T_RUN, QN_SPAN_OF(run_id), &val))
        return qn_why(why, QN_E_EXISTS, "this account has taken the job");
    qn_acct_own(ap, &bond, "bond of a solver", &ap->sender);
    rc = qn_post(ap, &ap->sender, &bond, job.bond, why);
    if (rc) return rc;
    training_run_save(ap, &run_id, &run);
    qn_row_put(ap, TRAINING_T_JOB_RUN, QN_SPAN_OF(key), QN_SPAN("\1", 1));
    if (++job.taken == job.solvers) {
        job.state = TRAINING_JOB_DRAWN;
        job.drawn_height = ap->height;
        qn_due_del(ap, TRAINING_DUE_TTL, &b->job);
        qn_due_set(ap, TRAINING_DUE_DRAW, &b->job, ap->now_ms + 1);
    }
    training_job_save(ap, &b->job, &job);
    qn_emit(ap, "train.taken", &run_id, training_run_record(), &run);
    return QN_OK;
}

/* The order of records: H(job, its solvers, beacon), the same for all, so that their traces can be compared. */
static struct qn_hash draw_order(struct qn_apply *ap, const struct qn_hash *id)
{
    struct qn_span key, val, after = { 0 };
    struct training_pair_key at;
    struct training_run run;
    struct training_job job;
    struct qn_hasher h;
    qn_rc rc = training_job_get(ap->view, ap->arena, id, &job, NULL);
    QN_ASSERT(rc == QN_OK);
    qn_hasher_label(&h, "train/order");
    qn_hasher_put(&h, id->b, 32);
    while (qn_view_next(ap->view, TRAINING_T_JOB_RUN, QN_SPAN_OF(*id), after, &key, &val)) {
        struct qn_hash run_id;
        memcpy(at.b, key.ptr, sizeof at.b);
        after = QN_SPAN_OF(at);
        memcpy(run_id.b, at.b + 32, 32);
        rc = training_run_get(ap->view, ap->arena, &run_id, &run, NULL);
        QN_ASSERT(rc == QN_OK);
        qn_hasher_put(&h, run.solver.b, 32);
        run.state = TRAINING_RUN_RUNNING;
        run.until_ms = ap->now_ms + job.commit_ms;
        qn_due_set(ap, TRAINING_DUE_COMMIT, &run_id, run.until_ms);
        training_run_save(ap, &run_id, &run);
    }
    qn_hasher_put(&h, ap->beacon.b, 32);
    return qn_hasher_end(&h);
}

void training_due_draw(struct qn_apply *ap, const struct qn_hash *id)
{
    struct training_job job;
    qn_rc rc = training_job_get(ap->view, ap->arena, id, &job, NULL);
    QN_ASSERT(rc == QN_OK && job.state == TRAINING_JOB_DRAWN);
    if (ap->height < job.drawn_height + DRAW_BLOCKS) {
        qn_due_set(ap, TRAINING_DUE_DRAW, id, ap->now_ms + 1);
        return;
    }
    job.order = draw_order(ap, id);
    job.state = TRAINING_JOB_RUNNING;
    training_job_save(ap, id, &job);
    qn_emit(ap, "train.drawn", id, training_job_record(), &job);
}

/* --- while it runs ------------------------------------------------------------------------------------------ */

qn_rc training_tx_commit(struct qn_apply *ap, const void *body, struct qn_why *why)
{
    const struct train_commit *b = body;
    struct training_job job;
    struct training_run run;
    struct qn_hash run_id = training_run_id(&b->job, &ap->sender);
    qn_rc rc = training_job_get(ap->view, ap->arena, &b->job, &job, why);
    if (rc == QN_OK) rc = training_run_get(ap->view, ap->arena, &run_id, &run, why);
    if (rc) return rc;
    if (run.state != TRAINING_RUN_RUNNING) return qn_why(why, QN_E_STATE, "the run is not running");
    if (run.game_cnt) return qn_why(why, QN_E_STATE, "a dispute about what is committed is open");
    if (b->cnt <= run.cnt || b->cnt > job.seg_cnt)
        return qn_why(why, QN_E_RANGE, "cnt: %u is committed, %u are all", run.cnt, job.seg_cnt);
    if (b->acc_ppm > 1000000) return qn_why(why, QN_E_RANGE, "acc_ppm: at most a million");
    run.cnt = b->cnt;
    run.root = b->root;
    run.trace = b->trace;
    run.weights = b->weights;
    run.acc_ppm = b->acc_ppm;
    if (run.cnt == job.seg_cnt) {
        run.state = TRAINING_RUN_WINDOW;
        run.until_ms = ap->now_ms + job.window_ms;
        qn_due_del(ap, TRAINING_DUE_COMMIT, &run_id);
        qn_due_set(ap, TRAINING_DUE_WINDOW, &run_id, run.until_ms);
    } else {
        run.until_ms = ap->now_ms + job.commit_ms;
        qn_due_set(ap, TRAINING_DUE_COMMIT, &run_id, run.until_ms);
    }
    training_run_save(ap, &run_id, &run);
    qn_emit(ap, "train.committed", &run_id, training_run_record(), &run);
    return QN_OK;
}

qn_rc training_tx_accept(struct qn_apply *ap, const void *body, struct qn_why *why)
{
    const struct train_accept *b = body;
    struct training_job job;
    struct training_run run;
    qn_rc rc = training_run_get(ap->view, ap->arena, &b->run, &run, why);
    if (rc == QN_OK) rc = training_job_get(ap->view, ap->arena, &run.job, &job, why);
    if (rc) return rc;
    if (!qn_hash_eq(&job.requester, &ap->sender))
        return qn_why(why, QN_E_AUTH, "only who asked for it accepts it");
    if (run.state != TRAINING_RUN_WINDOW || run.game_cnt)
        return qn_why(why, QN_E_STATE, "there is no result that nobody disputes");
    training_run_pay(ap, &b->run, &run);
    return QN_OK;
}
