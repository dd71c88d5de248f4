/* move.c - finding the next move of a dispute. */
#include "modules/training/move.h"

#include "core/crypto/chunk.h"
#include "modules/training/perm.h"
#include "modules/training/spec.h"

#include <stdlib.h>
#include <string.h>

struct move {
    const struct replay_conf *conf;
    struct qn_span data;
    const struct training_game *game;
    struct replay *r;
    struct qn_hash *own; /* what this side finds for the list at hand */
    uint32_t own_cnt;
};

static qn_rc fits(const struct move *m, struct qn_why *why)
{
    const struct graph *g = &m->conf->g;
    const struct training_game *game = m->game;
    bool whole = game->nodes.cnt == 0 || game->nodes.cnt == g->node.cnt;
    if (!whole || game->node >= g->node.cnt || game->step_lo >= game->step_hi ||
        game->step_hi > m->conf->steps || game->step_hi - game->step_lo > TRACE_SEG_MAX)
        return qn_why(why, QN_E_RANGE, "the game does not fit the job");
    return QN_OK;
}

/* Stand at the last state both accept, from a kept state when one was passed. */
static qn_rc go(struct move *m, const struct move_from *from, struct qn_why *why)
{
    qn_rc rc = replay_new(m->conf, &m->r, why);
    if (rc == QN_OK && from->bytes.len && from->done <= m->game->step_lo)
        rc = replay_load(m->r, from->done, from->bytes, why);
    return rc == QN_OK ? replay_to(m->r, m->game->step_lo, why) : rc;
}

static void own(struct move *m, uint32_t cnt)
{
    m->own = calloc(QN_MAX(cnt, 1u), sizeof *m->own);
    QN_ASSERT(m->own != NULL);
    m->own_cnt = cnt;
}

static qn_rc own_steps(struct move *m, struct qn_why *why)
{
    uint64_t lo = m->game->step_lo, hi = m->game->step_hi;
    own(m, (uint32_t)QN_MIN(hi - lo, (uint64_t)TRAINING_STEP_ARITY));
    for (uint32_t i = 0; i < m->own_cnt; i++) {
        qn_rc rc = replay_to(m->r, training_point(lo, hi, m->own_cnt, i), why);
        if (rc) return rc;
        m->own[i] = replay_root(m->r);
    }
    return QN_OK;
}

static void own_nodes(struct move *m)
{
    own(m, m->conf->g.node.cnt);
    for (uint32_t i = 0; i < m->own_cnt; i++)
        m->own[i] = replay_node_root(m->r, i);
}

static qn_rc own_tiles(struct move *m, struct qn_why *why)
{
    const struct graph_node *n = &m->conf->g.node.ptr[m->game->node];
    uint32_t cnt = graph_tile_cnt(n), level = training_tile_level(m->game);
    if (m->game->level > tree_height(cnt) || m->game->tile >= tree_level_cnt(cnt, m->game->level))
        return qn_why(why, QN_E_RANGE, "the game does not fit the job");
    own(m, cnt);
    replay_tiles(m->r, m->game->node, m->own);
    cnt = tree_up(m->own, cnt, level);
    uint32_t first = m->game->tile << (m->game->level - level);
    m->own_cnt = QN_MIN(cnt - first, UINT32_C(1) << (m->game->level - level));
    memmove(m->own, m->own + first, m->own_cnt * sizeof *m->own);
    return QN_OK;
}

static qn_rc own_sums(struct move *m, struct qn_why *why)
{
    struct graph_tile tiles[GRAPH_CARRY_MAX];
    if (m->game->tile >= graph_tile_cnt(&m->conf->g.node.ptr[m->game->node]))
        return qn_why(why, QN_E_RANGE, "the game does not fit the job");
    own(m, graph_tile_steps(&m->conf->g, m->game->node));
    for (uint32_t k = 0; k < m->own_cnt; k++)
        m->own[k] = replay_sum(m->r, m->game->node, m->game->tile, k, tiles);
    return QN_OK;
}

/* --- the openings ------------------------------------------------------------------------------------------- */

static json_t *open_tile(struct move *m, uint32_t node, uint32_t tile)
{
    uint32_t cnt = graph_tile_cnt(&m->conf->g.node.ptr[node]);
    struct qn_hash *leaves = malloc(cnt * sizeof *leaves), path[TREE_DEPTH_MAX];
    struct graph_tile t;
    QN_ASSERT(leaves != NULL);
    replay_tiles(m->r, node, leaves);
    uint32_t n = tree_path(leaves, cnt, tile, path);
    replay_tile(m->r, node, tile, &t);
    free(leaves);
    return json_pack("{s:o, s:o}", "bytes", spec_bytes(&t, sizeof t), "path", spec_hexes(path, n));
}

static json_t *open_tiles(struct move *m, const struct graph_need *need)
{
    struct graph_tile sum[GRAPH_CARRY_MAX];
    json_t *tiles = json_array();
    for (uint32_t i = 0; i < need->open_cnt; i++)
        json_array_append_new(tiles, open_tile(m, need->open[i].node, need->open[i].tile));
    if (need->carry_cnt) replay_sum(m->r, m->game->node, m->game->tile, m->game->kblock - 1, sum);
    for (uint32_t i = 0; i < need->carry_cnt; i++)
        json_array_append_new(
            tiles, json_pack("{s:o, s:[]}", "bytes", spec_bytes(&sum[i], sizeof sum[i]), "path"));
    return tiles;
}

static bool has_chunk(const json_t *chunks, uint64_t idx)
{
    size_t i;
    json_t *c;
    json_array_foreach(chunks, i, c)
    {
        if ((uint64_t)json_integer_value(json_object_get(c, "idx")) == idx) return true;
    }
    return false;
}

static json_t *open_chunks(struct move *m, const struct graph_need *need)
{
    const struct replay_conf *c = m->conf;
    const struct qn_span *file = &m->data;
    uint64_t cnt = (file->len + QN_CHUNK - 1) / QN_CHUNK;
    json_t *chunks = json_array();
    if (need->slot_cnt == 0) return chunks;
    struct qn_hash *cvs = malloc(cnt * sizeof *cvs), path[QN_CHUNK_PATH_MAX];
    QN_ASSERT(cvs != NULL);
    qn_chunk_cvs(file->ptr, file->len, cvs);
    for (uint32_t s = 0; s < need->slot_cnt; s++) {
        uint64_t rec =
            perm_record(&c->order, c->data.rec_cnt, c->batch, m->game->step_lo, need->slot + s);
        uint64_t off = DATASET_HEAD + rec * c->data.rec_bytes + need->rec_off;
        for (uint64_t idx = off / QN_CHUNK; idx <= (off + need->rec_len - 1) / QN_CHUNK; idx++) {
            if (has_chunk(chunks, idx)) continue;
            uint32_t n = qn_chunk_path(cvs, cnt, idx, path);
            size_t len = QN_MIN((size_t)QN_CHUNK, file->len - idx * QN_CHUNK);
            json_array_append_new(chunks,
                                  json_pack("{s:I, s:o, s:o}", "idx", (json_int_t)idx, "bytes",
                                            spec_bytes(file->ptr + idx * QN_CHUNK, len), "path",
                                            spec_hexes(path, n)));
        }
    }
    free(cvs);
    return chunks;
}

static qn_rc open_all(struct move *m, json_t **ret, struct qn_why *why)
{
    struct graph_need need;
    qn_rc rc = graph_tile_inputs(&m->conf->g, m->game->node, m->game->tile, m->game->kblock, &need);
    if (rc) return qn_why(why, rc, "the game does not fit the job");
    *ret = json_pack("{s:o, s:o}", "tiles", open_tiles(m, &need), "chunks", open_chunks(m, &need));
    return *ret ? QN_OK : QN_E_MEMORY;
}

/* --- the move ------------------------------------------------------------------------------------------------ */

/* The first of theirs that is not ours. A mark is rejected at its step, whatever the states are. */
static qn_rc pick(struct move *m, const struct qn_hash *theirs, uint32_t cnt, json_t **ret,
                  struct qn_why *why)
{
    if (cnt != m->own_cnt) return qn_why(why, QN_E_RANGE, "the game does not fit the job");
    for (uint32_t i = 0; i < cnt; i++) {
        bool at_mark =
            m->game->phase == TRAINING_PICK_STEP && m->game->marked &&
            training_point(m->game->step_lo, m->game->step_hi, cnt, i) > m->game->mark_step;
        if (qn_hash_eq(&theirs[i], &m->own[i]) && !at_mark) continue;
        *ret = json_pack("{s:I}", "index", (json_int_t)i);
        return QN_OK;
    }
    return qn_why(why, QN_E_CHECK, "this side finds the same: there is nothing to reject");
}

static qn_rc answer(struct move *m, json_t **ret, struct qn_why *why)
{
    const struct training_game *g = m->game;
    const bool steps = g->phase == TRAINING_STEPS || g->phase == TRAINING_PICK_STEP;
    qn_rc rc = steps ? own_steps(m, why) : replay_keep(m->r, why);
    if (rc) return rc;
    switch ((enum training_phase)g->phase) {
    case TRAINING_STEPS:
    case TRAINING_PICK_STEP: break;
    case TRAINING_NODES:
    case TRAINING_PICK_NODE: own_nodes(m); break;
    case TRAINING_TILES:
    case TRAINING_PICK_TILE: rc = own_tiles(m, why); break;
    case TRAINING_SUMS:
    case TRAINING_PICK_SUM: rc = own_sums(m, why); break;
    case TRAINING_TILE: return open_all(m, ret, why);
    case TRAINING_OVER: return qn_why(why, QN_E_STATE, "the game is over");
    }
    if (rc) return rc;
    if (training_solver_moves(g->phase)) {
        *ret = json_pack("{s:o}", "hashes", spec_hexes(m->own, m->own_cnt));
        return QN_OK;
    }
    if (g->phase == TRAINING_PICK_NODE) return pick(m, g->nodes.ptr, g->nodes.cnt, ret, why);
    return pick(m, g->list.ptr, g->list.cnt, ret, why);
}

qn_rc move_find(const struct replay_conf *conf, struct qn_span data,
                const struct training_game *game, const struct move_from *from, json_t **ret,
                struct qn_why *why)
{
    struct move m = { .conf = conf, .data = data, .game = game };
    qn_rc rc = fits(&m, why);
    if (rc == QN_OK) rc = go(&m, from, why);
    if (rc == QN_OK) rc = answer(&m, ret, why);
    free(m.own);
    replay_free(m.r);
    return rc;
}

/* --- the challenge ------------------------------------------------------------------------------------------- */

static json_t *path_json(struct qn_span trace, uint32_t cnt, uint32_t idx)
{
    struct qn_hash path[TREE_DEPTH_MAX], *leaves = malloc(cnt * sizeof *leaves);
    QN_ASSERT(leaves != NULL);
    for (uint32_t i = 0; i < cnt; i++) {
        struct trace_segment seg;
        trace_segment_get(trace.ptr + (size_t)i * TRACE_SEGMENT_BYTES, &seg);
        leaves[i] = trace_segment_hash(&seg);
    }
    uint32_t n = tree_path(leaves, cnt, idx, path);
    free(leaves);
    return spec_hexes(path, n);
}

json_t *move_challenge(struct qn_span trace, uint32_t cnt, uint32_t seg)
{
    const uint8_t *at = trace.ptr + (size_t)seg * TRACE_SEGMENT_BYTES;
    json_t *open =
        json_pack("{s:I, s:o, s:o}", "seg", (json_int_t)seg, "leaf",
                  spec_bytes(at, TRACE_SEGMENT_BYTES), "path", path_json(trace, cnt, seg));
    if (seg) {
        json_object_set_new(open, "prev",
                            spec_bytes(at - TRACE_SEGMENT_BYTES, TRACE_SEGMENT_BYTES));
        json_object_set_new(open, "prev_path", path_json(trace, cnt, seg - 1));
    }
    return open;
}
