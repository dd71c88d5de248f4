/* tx_game.c - disputes: announced, opened, narrowed over steps, operators, tiles and running sums, decided by one tile.
 *
 * Each answer is checked against the one above it before the next question, so at every point both sides accept all that
 * the disputed hash is made of. What does not fit is refused and costs only time; silence loses. */
#include "modules/training/training.h"

#include "core/crypto/chunk.h"
#include "modules/training/dataset.h"
#include "modules/training/perm.h"
#include "modules/training/trace.h"

#include <inttypes.h>
#include <string.h>

#define BOND_BASE_UQN UINT64_C(20000) /* twice the gas of a referee transaction, rounded up */
#define HASH_GAS      400             /* of one hash of 64 bytes */
#define CHUNK_GAS     20000           /* of a chunk and its path */
#define PERM_GAS      400             /* of one record's number */

/* --- whose move, and until when ----------------------------------------------------------------------------- */

static void next_turn(struct qn_apply *ap, const struct qn_hash *id, struct training_game *game,
                      uint64_t move_ms)
{
    uint64_t left = training_solver_moves(game->phase) ? game->solver_ms : game->challenger_ms;
    game->turn_ms = ap->now_ms;
    game->due_ms = ap->now_ms + QN_MIN(move_ms, left);
    qn_due_set(ap, TRAINING_DUE_MOVE, id, game->due_ms);
    training_game_save(ap, id, game);
}

/* turn_of reads a game in which the sender is to move, and stops his clock. */
static qn_rc turn_of(struct qn_apply *ap, const struct qn_hash *id, bool solver,
                     struct training_game *ret, struct training_job *ret_job, struct qn_why *why)
{
    qn_rc rc = training_game_get(ap->view, ap->arena, id, ret, why);
    if (rc == QN_OK) rc = training_job_get(ap->view, ap->arena, &ret->job, ret_job, why);
    if (rc) return rc;
    if (ret->result != TRAINING_OPEN) return qn_why(why, QN_E_STATE, "the game is over");
    if (!qn_hash_eq(&ap->sender, solver ? &ret->solver : &ret->challenger))
        return qn_why(why, QN_E_AUTH, "only the %s makes this move",
                      solver ? "solver" : "challenger");
    if (training_solver_moves(ret->phase) != solver)
        return qn_why(why, QN_E_STATE, "it is the other side's move");
    uint64_t used = ap->now_ms - ret->turn_ms,
             *clock = solver ? &ret->solver_ms : &ret->challenger_ms;
    *clock -= QN_MIN(used, *clock);
    return QN_OK;
}

/* --- game.commit ------------------------------------------------------------------------------------------ */

qn_rc training_tx_game_commit(struct qn_apply *ap, const void *body, struct qn_why *why)
{
    const struct game_commit *b = body;
    struct qn_hash id = training_claim_id(&ap->sender, &b->claim);
    const struct training_claim row = { .who = ap->sender, .height = ap->height };
    struct qn_span val;
    if (qn_view_get(ap->view, TRAINING_T_CLAIM, QN_SPAN_OF(id), &val))
        return qn_why(why, QN_E_EXISTS, "this is announced");
    qn_row_put_rec(ap, TRAINING_T_CLAIM, QN_SPAN_OF(id), training_claim_record(), &row);
    qn_due_set(ap, TRAINING_DUE_CLAIM, &id, ap->now_ms + 3600000);
    return QN_OK;
}

void training_due_claim(struct qn_apply *ap, const struct qn_hash *id)
{
    qn_row_del(ap, TRAINING_T_CLAIM, QN_SPAN_OF(*id));
}

/* --- game.open -------------------------------------------------------------------------------------------- */

static qn_rc announced(struct qn_apply *ap, const struct game_open *b, uint64_t mark,
                       struct qn_why *why)
{
    struct qn_hash claim = training_claim_hash(&ap->sender, &b->salt, &b->run, b->seg, mark);
    struct qn_hash id = training_claim_id(&ap->sender, &claim);
    struct training_claim row;
    qn_rc rc = qn_view_rec(ap->view, TRAINING_T_CLAIM, QN_SPAN_OF(id), training_claim_record(),
                           ap->arena, &row);
    if (rc)
        return qn_why(why, QN_E_REFUSED, "a challenge is announced a block before (game.commit)");
    if (row.height >= ap->height)
        return qn_why(why, QN_E_REFUSED, "a challenge opens a block after it was announced");
    qn_due_del(ap, TRAINING_DUE_CLAIM, &id);
    qn_row_del(ap, TRAINING_T_CLAIM, QN_SPAN_OF(id));
    return QN_OK;
}

struct leaf_at {
    const struct qn_hash *root;
    uint32_t cnt, idx;
    struct qn_hash leaf;
};

static bool under(const struct leaf_at *at, const void *path_vec)
{
    const struct qn_vec *path = path_vec;
    return tree_check(at->root, at->cnt, at->idx, &at->leaf, path->ptr, path->cnt);
}

static qn_rc segment_at(const struct training_run *run, uint32_t idx, struct qn_span bytes,
                        const void *path, struct trace_segment *ret, struct qn_why *why)
{
    if (bytes.len != TRACE_SEGMENT_BYTES)
        return qn_why(why, QN_E_SHORT, "a segment has %u bytes", TRACE_SEGMENT_BYTES);
    trace_segment_get(bytes.ptr, ret);
    const struct leaf_at at = { &run->root, run->cnt, idx, trace_segment_hash(ret) };
    return under(&at, path)
               ? QN_OK
               : qn_why(why, QN_E_PROOF, "segment %u does not lie under the run's root", idx);
}

static qn_rc step_at(const struct qn_hash *root, uint32_t cnt, uint32_t idx, struct qn_span bytes,
                     const void *path, struct trace_step *ret, struct qn_why *why)
{
    if (bytes.len != TRACE_STEP_BYTES)
        return qn_why(why, QN_E_SHORT, "a mark has %u bytes", TRACE_STEP_BYTES);
    trace_step_get(bytes.ptr, ret);
    const struct leaf_at at = { root, cnt, idx, trace_step_hash(ret) };
    return under(&at, path)
               ? QN_OK
               : qn_why(why, QN_E_PROOF, "the mark does not lie under the segment's steps");
}

/* A trace that contradicts itself is decided at once. *ret says what is wrong, NULL when nothing is. */
static qn_rc links(struct qn_apply *ap, const struct game_open *b, const struct training_job *job,
                   const struct training_run *run, struct trace_segment *ret_seg, const char **ret,
                   struct qn_why *why)
{
    struct trace_segment prev;
    qn_rc rc = qn_gas_use(ap, 64 * HASH_GAS);
    if (rc == QN_OK) rc = segment_at(run, b->seg, b->leaf, &b->path, ret_seg, why);
    if (rc) return rc;
    *ret = NULL;
    if (ret_seg->seg != b->seg || ret_seg->flags) *ret = "the segment's number or flags are false";
    if (b->seg == 0) {
        if (!qn_hash_eq(&ret_seg->from, &job->init))
            *ret = "it does not begin at the job's first state";
    } else if (b->prev.len) {
        rc = segment_at(run, b->seg - 1, b->prev, &b->prev_path, &prev, why);
        if (rc == QN_OK && !qn_hash_eq(&prev.to, &ret_seg->from))
            *ret = "it does not begin where the one before ends";
    }
    return rc;
}

/* The mark's own consistency: number, records by the job's order, chain. */
static qn_rc mark(struct qn_apply *ap, const struct game_open *b, const struct training_job *job,
                  const struct trace_segment *seg, struct trace_step *ret_mark, const char **ret,
                  struct qn_why *why)
{
    uint64_t first = (uint64_t)b->seg * job->seg, end = training_seg_end(job, b->seg), idx;
    struct trace_step before;
    uint32_t cnt = (uint32_t)(end - first);
    if (b->mark.len != TRACE_STEP_BYTES)
        return qn_why(why, QN_E_SHORT, "a mark has %u bytes", TRACE_STEP_BYTES);
    trace_step_get(b->mark.ptr, ret_mark);
    if (ret_mark->step < first || ret_mark->step >= end)
        return qn_why(
            why, QN_E_RANGE,
            "the mark's step is not in the segment"); /* FIXME: a false number cannot be shown yet */
    idx = ret_mark->step - first;
    qn_rc rc = step_at(&seg->steps, cnt, (uint32_t)idx, b->mark, &b->mark_path, ret_mark, why);
    if (rc == QN_OK) rc = qn_gas_use(ap, (uint64_t)job->batch * PERM_GAS);
    if (rc) return rc;
    struct qn_hash batch = trace_batch(&job->order, job->rec_cnt, job->batch, ret_mark->step, NULL);
    if (!qn_hash_eq(&batch, &ret_mark->batch_root))
        *ret = "the mark names other records than the order gives";
    struct qn_hash chain = trace_chain_first(&job->order);
    if (idx > 0 && b->before.len) {
        rc = step_at(&seg->steps, cnt, (uint32_t)idx - 1, b->before, &b->before_path, &before, why);
        if (rc) return rc;
        chain = before.chain;
    }
    if (ret_mark->step == 0 || (idx > 0 && b->before.len)) {
        chain = trace_chain(&chain, ret_mark);
        if (!qn_hash_eq(&chain, &ret_mark->chain))
            *ret = "the mark does not follow from the one before";
    }
    return QN_OK;
}

static qn_rc challengeable(struct qn_apply *ap, const struct game_open *b, struct training_run *run,
                           struct training_job *job, struct qn_why *why)
{
    qn_rc rc = training_run_get(ap->view, ap->arena, &b->run, run, why);
    if (rc == QN_OK) rc = training_job_get(ap->view, ap->arena, &run->job, job, why);
    if (rc) return rc;
    if ((run->state != TRAINING_RUN_RUNNING && run->state != TRAINING_RUN_WINDOW) || run->over)
        return qn_why(why, QN_E_STATE, "the run cannot be challenged now");
    if (run->game_cnt >= TRAINING_GAME_MAX)
        return qn_why(why, QN_E_LIMIT, "%u disputes are open", run->game_cnt);
    if (b->seg >= run->cnt) return qn_why(why, QN_E_RANGE, "seg: %u are committed", run->cnt);
    if (qn_hash_eq(&run->solver, &ap->sender))
        return qn_why(why, QN_E_REFUSED, "nobody challenges himself");
    return QN_OK;
}

qn_rc training_tx_game_open(struct qn_apply *ap, const void *body, struct qn_why *why)
{
    const struct game_open *b = body;
    const struct qn_hash id = ap->id;
    struct training_run run;
    struct training_job job;
    struct trace_segment seg;
    struct trace_step step = { 0 };
    const char *wrong = NULL;
    uint64_t mark_step = UINT64_MAX;
    if (b->mark.len >= 8) memcpy(&mark_step, b->mark.ptr, 8);
    qn_rc rc = announced(ap, b, mark_step, why);
    if (rc == QN_OK) rc = challengeable(ap, b, &run, &job, why);
    if (rc == QN_OK) rc = links(ap, b, &job, &run, &seg, &wrong, why);
    if (rc == QN_OK && b->mark.len && !wrong) rc = mark(ap, b, &job, &seg, &step, &wrong, why);
    if (rc) return rc;
    struct training_game game = { .job = run.job,
                                  .run = b->run,
                                  .solver = run.solver,
                                  .challenger = ap->sender,
                                  .bond = QN_UQN(BOND_BASE_UQN + job.bond.uqn / 100),
                                  .phase = TRAINING_STEPS,
                                  .seg = b->seg,
                                  .step_lo = (uint64_t)b->seg * job.seg,
                                  .step_hi = training_seg_end(&job, b->seg),
                                  .root_lo = seg.from,
                                  .root_hi = seg.to,
                                  .marked = b->mark.len > 0,
                                  .mark_step = step.step,
                                  .mark_loss = step.loss,
                                  .mark_gnorm = step.gnorm,
                                  .solver_ms = job.clock_ms,
                                  .challenger_ms = job.clock_ms,
                                  .opened_ms = ap->now_ms };
    struct qn_hash stake = training_game_acct(&id);
    struct training_pair_key key = training_pair(&b->run, &id);
    qn_acct_own(ap, &stake, "bond of a challenger", &ap->sender);
    rc = qn_post(ap, &ap->sender, &stake, game.bond, why);
    if (rc) return rc;
    run.game_cnt++;
    training_run_save(ap, &b->run, &run);
    qn_row_put(ap, TRAINING_T_RUN_GAME, QN_SPAN_OF(key), QN_SPAN("\1", 1));
    if (game.step_hi - game.step_lo == 1) game.phase = TRAINING_NODES;
    next_turn(ap, &id, &game, job.move_ms);
    qn_emit(ap, "game.opened", &id, training_game_record(), &game);
    if (wrong) training_run_convict(ap, &b->run, &id, &game);
    return QN_OK;
}

/* --- game.roots: the solver answers ------------------------------------------------------------------------- */

static qn_rc list_bound(struct qn_apply *ap, const struct graph *g,
                        const struct training_game *game, const struct qn_hash *hashes,
                        uint32_t cnt, struct qn_why *why)
{
    struct qn_hash top;
    qn_rc rc = qn_gas_use(ap, (uint64_t)cnt * HASH_GAS);
    if (rc) return rc;
    switch ((enum training_phase)game->phase) {
    case TRAINING_STEPS:
        return qn_hash_eq(&hashes[cnt - 1], &game->root_hi)
                   ? QN_OK
                   : qn_why(why, QN_E_PROOF, "the last state must be the disputed one");
    case TRAINING_NODES: return training_nodes_bound(g, game, hashes, why);
    case TRAINING_TILES:
        top = tree_root(hashes, cnt);
        return qn_hash_eq(&top, &game->claim)
                   ? QN_OK
                   : qn_why(why, QN_E_PROOF, "these do not make up the disputed tensor");
    case TRAINING_SUMS:
        return qn_hash_eq(&hashes[cnt - 1], &game->claim)
                   ? QN_OK
                   : qn_why(why, QN_E_PROOF, "the last running sum must be the disputed tile");
    case TRAINING_PICK_STEP:
    case TRAINING_PICK_NODE:
    case TRAINING_PICK_TILE:
    case TRAINING_PICK_SUM:
    case TRAINING_TILE:
    case TRAINING_OVER: break;
    }
    QN_BUG("not the solver's phase");
}

qn_rc training_tx_game_roots(struct qn_apply *ap, const void *body, struct qn_why *why)
{
    const struct game_roots *b = body;
    struct training_game game;
    struct training_job job;
    struct graph g;
    qn_rc rc = turn_of(ap, &b->game, true, &game, &job, why);
    if (rc) return rc;
    training_graph_get(ap->view, ap->arena, &job.graph, &g);
    uint32_t want = training_list_cnt(&g, &game);
    if (b->hashes.cnt != want)
        return qn_why(why, QN_E_RANGE, "%u hashes; this phase wants %u", b->hashes.cnt, want);
    rc = list_bound(ap, &g, &game, b->hashes.ptr, want, why);
    if (rc) return rc;
    if (game.phase == TRAINING_NODES) {
        game.nodes.cnt = want;
        game.nodes.ptr = b->hashes.ptr;
    } else {
        game.list.cnt = want;
        game.list.ptr = b->hashes.ptr;
    }
    game.phase++; /* the challenger picks */
    game.rounds++;
    next_turn(ap, &b->game, &game, job.move_ms);
    return QN_OK;
}

/* --- game.pick: the challenger answers ------------------------------------------------------------------------ */

/* One tile is left: its running sums, if there are any to speak of, or the last step. */
static void at_tile(const struct graph *g, struct training_game *game)
{
    game->list.cnt = 0;
    game->kblock = 0;
    game->prev = (struct qn_hash){ { 0 } };
    game->phase = graph_tile_steps(g, game->node) > 1 ? TRAINING_SUMS : TRAINING_TILE;
}

static void pick_step(struct training_game *game, uint32_t i)
{
    const uint32_t n = game->list.cnt;
    uint64_t lo = game->step_lo, hi = game->step_hi;
    if (i > 0) {
        game->root_lo = game->list.ptr[i - 1];
        game->step_lo = training_point(lo, hi, n, i - 1);
    }
    game->root_hi = game->list.ptr[i];
    game->step_hi = training_point(lo, hi, n, i);
    game->list.cnt = 0;
    game->phase = game->step_hi - game->step_lo > 1 ? TRAINING_STEPS : TRAINING_NODES;
}

static qn_rc pick_node(const struct graph *g, struct training_game *game, uint32_t i,
                       struct qn_why *why)
{
    const struct graph_node *n = &g->node.ptr[i];
    if (n->op == GRAPH_STATE || n->op == GRAPH_CONST || n->op == GRAPH_STEP)
        return qn_why(why, QN_E_REFUSED, "operator %u is no computation: both accept it", i);
    game->node = i;
    game->claim = game->nodes.ptr[i];
    game->level = tree_height(graph_tile_cnt(n));
    game->tile = 0;
    if (game->level)
        game->phase = TRAINING_TILES;
    else
        at_tile(g, game);
    return QN_OK;
}

static void pick_tile(const struct graph *g, struct training_game *game, uint32_t i)
{
    uint32_t level = training_tile_level(game);
    game->tile = (game->tile << (game->level - level)) + i;
    game->level = level;
    game->claim = game->list.ptr[i];
    game->list.cnt = 0;
    if (level)
        game->phase = TRAINING_TILES;
    else
        at_tile(g, game);
}

static void pick_sum(struct training_game *game, uint32_t i)
{
    game->kblock = i;
    if (i > 0) game->prev = game->list.ptr[i - 1];
    game->claim = game->list.ptr[i];
    game->list.cnt = 0;
    game->phase = TRAINING_TILE;
}

qn_rc training_tx_game_pick(struct qn_apply *ap, const void *body, struct qn_why *why)
{
    const struct game_pick *b = body;
    struct training_game game;
    struct training_job job;
    struct graph g;
    qn_rc rc = turn_of(ap, &b->game, false, &game, &job, why);
    if (rc) return rc;
    if (game.phase == TRAINING_TILE)
        return qn_why(why, QN_E_STATE, "nothing is left to pick: open the tile");
    training_graph_get(ap->view, ap->arena, &job.graph, &g);
    uint32_t cnt = game.phase == TRAINING_PICK_NODE ? game.nodes.cnt : game.list.cnt;
    if (b->index >= cnt) return qn_why(why, QN_E_RANGE, "index: the list has %u", cnt);
    switch ((enum training_phase)game.phase) {
    case TRAINING_PICK_STEP: pick_step(&game, b->index); break;
    case TRAINING_PICK_NODE: rc = pick_node(&g, &game, b->index, why); break;
    case TRAINING_PICK_TILE: pick_tile(&g, &game, b->index); break;
    case TRAINING_PICK_SUM: pick_sum(&game, b->index); break;
    case TRAINING_STEPS:
    case TRAINING_NODES:
    case TRAINING_TILES:
    case TRAINING_SUMS:
    case TRAINING_TILE:
    case TRAINING_OVER: QN_BUG("not the challenger's phase");
    }
    if (rc) return rc;
    next_turn(ap, &b->game, &game, job.move_ms);
    return QN_OK;
}

/* --- game.tile: the referee ------------------------------------------------------------------------------------ */

static qn_rc open_tiles(const struct graph *g, const struct game_tile *b,
                        const struct training_game *game, const struct graph_need *need,
                        struct graph_tile *ret, struct qn_why *why)
{
    if (b->tiles.cnt != need->open_cnt + need->carry_cnt)
        return qn_why(why, QN_E_RANGE, "%u tiles; the step takes %u", b->tiles.cnt,
                      need->open_cnt + need->carry_cnt);
    for (uint32_t i = 0; i < b->tiles.cnt; i++) {
        const struct training_open *o = &b->tiles.ptr[i];
        if (o->bytes.len != sizeof *ret)
            return qn_why(why, QN_E_SHORT, "tile %u has %zu bytes", i, o->bytes.len);
        memcpy(&ret[i], o->bytes.ptr, sizeof *ret);
        if (i >= need->open_cnt) {
            if (o->path.cnt) return qn_why(why, QN_E_PROOF, "a running sum has no path");
            continue;
        }
        const struct graph_open *at = &need->open[i];
        struct qn_hash leaf = tile_hash(&ret[i]);
        if (!tree_check(&game->nodes.ptr[at->node], graph_tile_cnt(&g->node.ptr[at->node]),
                        at->tile, &leaf, o->path.ptr, o->path.cnt))
            return qn_why(why, QN_E_PROOF, "tile %u of operator %u does not lie under its root",
                          at->tile, at->node);
    }
    if (need->carry_cnt) {
        struct qn_hash sum = qn_blake3(&ret[need->open_cnt], need->carry_cnt * sizeof *ret);
        if (!qn_hash_eq(&sum, &game->prev))
            return qn_why(why, QN_E_PROOF, "this is not the running sum both accept");
    }
    return QN_OK;
}

/* One byte of the data set from the opened chunks. */
static bool byte_at(const struct game_tile *b, uint64_t off, uint8_t *ret)
{
    for (uint32_t i = 0; i < b->chunks.cnt; i++) {
        const struct training_chunk *c = &b->chunks.ptr[i];
        if (c->idx != off / QN_CHUNK || off % QN_CHUNK >= c->bytes.len) continue;
        *ret = c->bytes.ptr[off % QN_CHUNK];
        return true;
    }
    return false;
}

/* The records' bytes: which records by the job's order, their chunks under the data set's hash. */
static qn_rc open_records(struct qn_apply *ap, const struct game_tile *b,
                          const struct training_job *job, const struct training_game *game,
                          const struct graph_need *need, uint8_t *dst, struct qn_why *why)
{
    qn_rc rc = qn_gas_use(ap, (uint64_t)b->chunks.cnt * CHUNK_GAS);
    if (rc) return rc;
    for (uint32_t i = 0; i < b->chunks.cnt; i++) {
        const struct training_chunk *c = &b->chunks.ptr[i];
        if (!qn_chunk_check(&job->data, job->data_bytes, c->idx, c->bytes, c->path.ptr,
                            c->path.cnt))
            return qn_why(why, QN_E_PROOF,
                          "chunk %" PRIu64 " does not lie under the data set's hash", c->idx);
    }
    for (uint32_t s = 0; s < need->slot_cnt; s++) {
        uint64_t rec =
            perm_record(&job->order, job->rec_cnt, job->batch, game->step_lo, need->slot + s);
        uint64_t off = DATASET_HEAD + rec * job->rec_bytes + need->rec_off;
        for (uint32_t k = 0; k < need->rec_len; k++)
            if (!byte_at(b, off + k, dst + (size_t)s * need->rec_len + k))
                return qn_why(why, QN_E_PROOF, "record %" PRIu64 " is not opened", rec);
    }
    return QN_OK;
}

qn_rc training_tx_game_tile(struct qn_apply *ap, const void *body, struct qn_why *why)
{
    const struct game_tile *b = body;
    struct training_game game;
    struct training_job job;
    struct graph g;
    struct graph_need need;
    struct graph_tile in[GRAPH_IN_MAX], out[GRAPH_CARRY_MAX];
    uint8_t rec[256];
    qn_rc rc = turn_of(ap, &b->game, false, &game, &job, why);
    if (rc) return rc;
    if (game.phase != TRAINING_TILE)
        return qn_why(why, QN_E_STATE, "the dispute is not down to one tile");
    training_graph_get(ap->view, ap->arena, &job.graph, &g);
    rc = graph_tile_inputs(&g, game.node, game.tile, game.kblock, &need);
    QN_ASSERT(rc == QN_OK); /* both narrowed within the graph's shapes */
    QN_ASSERT((size_t)need.slot_cnt * need.rec_len <= sizeof rec);
    rc = open_tiles(&g, b, &game, &need, in, why);
    if (rc == QN_OK) rc = open_records(ap, b, &job, &game, &need, rec, why);
    if (rc) return rc;
    rc = graph_tile_step(&g, game.node, game.tile, game.kblock, game.step_lo, in,
                         need.open_cnt + need.carry_cnt,
                         QN_SPAN(rec, (size_t)need.slot_cnt * need.rec_len), out);
    QN_ASSERT(rc == QN_OK);
    struct qn_hash truth = qn_blake3(out, need.out_cnt * sizeof *out), run_id = game.run;
    game.rounds++;
    if (qn_hash_eq(&truth, &game.claim))
        training_game_acquit(ap, &b->game, &game);
    else
        training_run_convict(ap, &run_id, &b->game, &game);
    return QN_OK;
}
