/* replay.c - steps, roots, kept outputs, and the lie. */
#include "modules/training/replay.h"

#include "modules/training/perm.h"

#include <stdlib.h>
#include <string.h>

struct replay {
    const struct replay_conf *conf;
    const struct graph *g;
    struct graph_run *run;
    struct graph_run *kept; /* of the last kept step; made when first wanted */
    uint64_t done;
    uint64_t kept_step;
    uint32_t *recs; /* records of the step at hand */
    uint8_t *batch; /* their bytes, one after another */
    float **mine;   /* outputs of the kept step from the lie on; NULL: kept's */
};

static size_t elems(const struct graph_node *n)
{
    return (size_t)n->rows * n->cols;
}

static qn_rc fits(const struct replay_conf *c, struct qn_why *why)
{
    if (c->batch == 0 || c->steps == 0 || c->seg == 0)
        return qn_why(why, QN_E_RANGE, "batch, steps and seg are above 0");
    for (uint32_t i = 0; i < c->g.node.cnt; i++) {
        const struct graph_node *n = &c->g.node.ptr[i];
        if (n->op == GRAPH_INPUT &&
            (n->rows != c->batch || (uint64_t)n->attr + n->cols > c->data.rec_bytes))
            return qn_why(why, QN_E_RANGE, "operator %u reads beyond the records", i);
    }
    if (c->lie.on &&
        (c->lie.node >= c->g.node.cnt || c->lie.elem >= elems(&c->g.node.ptr[c->lie.node])))
        return qn_why(why, QN_E_RANGE, "lie: no such operator or element");
    return QN_OK;
}

qn_rc replay_new(const struct replay_conf *conf, struct replay **ret, struct qn_why *why)
{
    struct replay *r = calloc(1, sizeof *r);
    QN_ASSERT(r != NULL);
    *r = (struct replay){ .conf = conf, .g = &conf->g, .kept_step = UINT64_MAX };
    qn_rc rc = fits(conf, why);
    if (rc == QN_OK) rc = graph_run_new(r->g, &(struct graph_run_opt){ 0 }, &r->run, why);
    if (rc) {
        replay_free(r);
        return rc;
    }
    r->recs = calloc(conf->batch, sizeof *r->recs);
    r->batch = malloc((size_t)conf->batch * conf->data.rec_bytes);
    r->mine = calloc(r->g->node.cnt, sizeof *r->mine);
    QN_ASSERT(r->recs && r->batch && r->mine);
    graph_run_init(r->run, conf->seed);
    *ret = r;
    return QN_OK;
}

static void drop_mine(struct replay *r)
{
    for (uint32_t i = 0; r->mine && i < r->g->node.cnt; i++) {
        free(r->mine[i]);
        r->mine[i] = NULL;
    }
    r->kept_step = UINT64_MAX;
}

void replay_free(struct replay *r)
{
    if (!r) return;
    drop_mine(r);
    free(r->mine);
    graph_run_free(r->run);
    graph_run_free(r->kept);
    free(r->recs);
    free(r->batch);
    free(r);
}

uint64_t replay_done(const struct replay *r)
{
    return r->done;
}

struct graph_run *replay_run(struct replay *r)
{
    return r->run;
}

/* The records of the step at hand, side by side. ret_root may be NULL. */
static struct graph_records fetch(struct replay *r, struct qn_hash *ret_root)
{
    const struct dataset *d = &r->conf->data;
    if (ret_root)
        *ret_root = trace_batch(&r->conf->order, d->rec_cnt, r->conf->batch, r->done, r->recs);
    else
        for (uint32_t b = 0; b < r->conf->batch; b++)
            r->recs[b] =
                (uint32_t)perm_record(&r->conf->order, d->rec_cnt, r->conf->batch, r->done, b);
    for (uint32_t b = 0; b < r->conf->batch; b++)
        memcpy(r->batch + (size_t)b * d->rec_bytes, d->recs.ptr + (size_t)r->recs[b] * d->rec_bytes,
               d->rec_bytes);
    return (struct graph_records){ r->batch, d->rec_bytes, d->rec_bytes, r->conf->batch };
}

static uint32_t scalar_bits(const float *v)
{
    uint32_t bits;
    memcpy(&bits, v, 4);
    return bits;
}

static const float *value(const struct replay *r, uint32_t node)
{
    return r->mine[node] ? r->mine[node] : graph_run_value(r->kept, node);
}

/* The step is run as it should be, then what the lie changes is computed again, tile by tile, from the false value. */
static qn_rc recompute(struct replay *r, uint32_t from)
{
    for (uint32_t i = from; i < r->g->node.cnt; i++) {
        const struct graph_node *n = &r->g->node.ptr[i];
        if (n->op == GRAPH_CONST || n->op == GRAPH_STEP || n->op == GRAPH_STATE) continue;
        float *out = calloc(elems(n), sizeof *out);
        QN_ASSERT(out != NULL);
        for (uint32_t t = 0; t < graph_tile_cnt(n); t++) {
            struct graph_tile sum[GRAPH_CARRY_MAX];
            replay_sum(r, i, t, UINT32_MAX, sum);
            tile_put(out, n->rows, n->cols, t, &sum[0]);
        }
        r->mine[i] = out;
    }
    return QN_OK;
}

static qn_rc plant(struct replay *r)
{
    const struct replay_lie *lie = &r->conf->lie;
    const struct graph_node *n = &r->g->node.ptr[lie->node];
    float *out = malloc(elems(n) * sizeof *out);
    uint32_t bits;
    QN_ASSERT(out != NULL);
    memcpy(out, value(r, lie->node), elems(n) * sizeof *out);
    memcpy(&bits, &out[lie->elem], 4);
    float more = out[lie->elem] + 1.0f;
    if (lie->flip)
        bits ^= lie->flip;
    else
        memcpy(&bits, &more, 4);
    uint32_t mag = bits & 0x7fffffff; /* stays a clean value (node.h) */
    if (mag < 0x01000000) bits &= 0x80000000;
    if (mag > 0x7f800000) bits = 0x7fc00000;
    memcpy(&out[lie->elem], &bits, 4);
    r->mine[lie->node] = out;
    return recompute(r, lie->node + 1);
}

qn_rc replay_keep(struct replay *r, struct qn_why *why)
{
    struct graph_result res;
    qn_rc rc = QN_OK;
    drop_mine(r);
    if (!r->kept) rc = graph_run_new(r->g, &(struct graph_run_opt){ .keep = true }, &r->kept, why);
    for (uint32_t i = 0; rc == QN_OK && i < r->g->next.cnt; i++) {
        uint32_t s = r->g->next.ptr[i].state;
        rc = graph_run_set(r->kept, s, graph_run_state(r->run, s), elems(&r->g->node.ptr[s]));
    }
    if (rc) return rc;
    struct graph_records recs = fetch(r, NULL);
    rc = graph_run_step(r->kept, r->done, &recs, &res, why);
    if (rc) return rc;
    r->kept_step = r->done;
    if (r->conf->lie.on && r->conf->lie.step == r->done) rc = plant(r);
    for (uint32_t i = 0; rc == QN_OK && i < r->g->next.cnt; i++) {
        const struct graph_next *n = &r->g->next.ptr[i];
        rc = graph_run_set(r->run, n->state, value(r, n->node), elems(&r->g->node.ptr[n->state]));
    }
    if (rc == QN_OK) r->done++;
    return rc;
}

qn_rc replay_step(struct replay *r, struct trace_step *ret_mark, struct qn_why *why)
{
    struct graph_result res;
    struct trace_step mark = { .step = r->done };
    qn_rc rc;
    if (r->conf->lie.on && r->conf->lie.step == r->done) {
        mark.batch_root =
            trace_batch(&r->conf->order, r->conf->data.rec_cnt, r->conf->batch, r->done, NULL);
        rc = replay_keep(r, why);
        if (rc) return rc;
        res.loss = scalar_bits(value(r, r->g->loss));
        res.gnorm = scalar_bits(value(r, r->g->gnorm));
    } else {
        struct graph_records recs = fetch(r, ret_mark ? &mark.batch_root : NULL);
        rc = graph_run_step(r->run, r->done, &recs, &res, why);
        if (rc) return rc;
        r->done++;
    }
    mark.loss = res.loss;
    mark.gnorm = res.gnorm;
    if (ret_mark) *ret_mark = mark;
    return QN_OK;
}

qn_rc replay_to(struct replay *r, uint64_t done, struct qn_why *why)
{
    qn_rc rc = QN_OK;
    QN_ASSERT(done >= r->done);
    while (rc == QN_OK && r->done < done)
        rc = replay_step(r, NULL, why);
    return rc;
}

struct qn_hash replay_root(struct replay *r)
{
    struct qn_hash roots[1024];
    for (uint32_t i = 0; i < r->g->next.cnt; i++) {
        uint32_t s = r->g->next.ptr[i].state;
        roots[i] =
            tile_root(graph_run_state(r->run, s), r->g->node.ptr[s].rows, r->g->node.ptr[s].cols);
    }
    return tile_state_root(r->g, r->done, roots);
}

void replay_save(struct replay *r, struct qn_buf *ret)
{
    for (uint32_t i = 0; i < r->g->next.cnt; i++) {
        uint32_t s = r->g->next.ptr[i].state;
        qn_buf_put(ret, graph_run_state(r->run, s), elems(&r->g->node.ptr[s]) * 4);
    }
}

qn_rc replay_load(struct replay *r, uint64_t done, struct qn_span bytes, struct qn_why *why)
{
    for (uint32_t i = 0; i < r->g->next.cnt; i++) {
        uint32_t s = r->g->next.ptr[i].state;
        struct qn_span part;
        size_t cnt = elems(&r->g->node.ptr[s]);
        if (!qn_take(&bytes, cnt * 4, &part))
            return qn_why(why, QN_E_SHORT, "the kept state ends early");
        float *copy = malloc(cnt * 4); /* a file's bytes lie at any address */
        QN_ASSERT(copy != NULL);
        memcpy(copy, part.ptr, cnt * 4);
        qn_rc rc = graph_run_set(r->run, s, copy, cnt);
        free(copy);
        if (rc) return qn_why(why, rc, "the kept state has values that no step leaves");
    }
    if (bytes.len) return qn_why(why, QN_E_EXTRA, "bytes follow the kept state");
    r->done = done;
    return QN_OK;
}

/* --- a kept step ------------------------------------------------------------------------------------------ */

void replay_tiles(struct replay *r, uint32_t node, struct qn_hash *ret)
{
    const struct graph_node *n = &r->g->node.ptr[node];
    QN_ASSERT(r->kept_step != UINT64_MAX);
    tile_hashes(value(r, node), n->rows, n->cols, ret);
}

struct qn_hash replay_node_root(struct replay *r, uint32_t node)
{
    const struct graph_node *n = &r->g->node.ptr[node];
    QN_ASSERT(r->kept_step != UINT64_MAX);
    if (n->op == GRAPH_CONST || n->op == GRAPH_STEP) return (struct qn_hash){ { 0 } };
    return tile_root(value(r, node), n->rows, n->cols);
}

void replay_tile(struct replay *r, uint32_t node, uint32_t tile, struct graph_tile *ret)
{
    const struct graph_node *n = &r->g->node.ptr[node];
    tile_get(value(r, node), n->rows, n->cols, tile, ret);
}

/* The bytes of an input node's records, as the referee wants them. */
static void record_bytes(const struct replay *r, const struct graph_need *need, uint8_t *dst)
{
    for (uint32_t s = 0; s < need->slot_cnt; s++)
        memcpy(dst + (size_t)s * need->rec_len,
               r->batch + (size_t)(need->slot + s) * r->conf->data.rec_bytes + need->rec_off,
               need->rec_len);
}

struct qn_hash replay_sum(struct replay *r, uint32_t node, uint32_t tile, uint32_t kblock,
                          struct graph_tile *ret_out)
{
    struct graph_tile in[GRAPH_IN_MAX], out[GRAPH_CARRY_MAX];
    struct graph_need need = { 0 };
    uint8_t rec[256];
    uint32_t carry = 0, last = graph_tile_steps(r->g, node) - 1;
    for (uint32_t k = 0; k <= QN_MIN(kblock, last); k++) {
        qn_rc rc = graph_tile_inputs(r->g, node, tile, k, &need);
        QN_ASSERT(rc == QN_OK);
        for (uint32_t i = 0; i < need.open_cnt; i++)
            replay_tile(r, need.open[i].node, need.open[i].tile, &in[i]);
        QN_ASSERT(need.carry_cnt == carry && (size_t)need.slot_cnt * need.rec_len <= sizeof rec);
        memcpy(in + need.open_cnt, out, carry * sizeof *out);
        record_bytes(r, &need, rec);
        rc = graph_tile_step_c(r->g, node, tile, k, r->kept_step, in, need.open_cnt + carry,
                               QN_SPAN(rec, (size_t)need.slot_cnt * need.rec_len), out);
        QN_ASSERT(rc == QN_OK);
        carry = need.out_cnt;
    }
    if (need.last && r->mine[node]) { /* what was claimed, not what is true */
        replay_tile(r, node, tile, &out[0]);
    }
    memcpy(ret_out, out, carry * sizeof *out);
    return qn_blake3(out, carry * sizeof *out);
}

/* --- measuring ------------------------------------------------------------------------------------------- */

qn_rc replay_eval(struct replay *r, const struct dataset *set, uint32_t max, uint32_t *ret_right,
                  struct qn_why *why)
{
    uint32_t right = 0, cnt = QN_MIN(max, set->rec_cnt), batch = r->conf->batch;
    uint32_t classes = r->g->node.ptr[r->g->logits].cols;
    if (set->rec_bytes != r->conf->data.rec_bytes)
        return qn_why(why, QN_E_RANGE, "the evaluation set has records of another size");
    for (uint32_t at = 0; at < cnt; at += batch) {
        struct graph_records recs = { set->recs.ptr + (size_t)at * set->rec_bytes, set->rec_bytes,
                                      set->rec_bytes, QN_MIN(batch, cnt - at) };
        const float *logits;
        qn_rc rc = graph_run_eval(r->run, &recs, &logits, why);
        if (rc) return rc;
        for (uint32_t b = 0; b < recs.cnt; b++) {
            const float *row = logits + (size_t)b * classes;
            uint32_t best = 0;
            for (uint32_t c = 1; c < classes; c++)
                if (row[c] > row[best]) best = c; /* ties to the lower number */
            right += best == recs.ptr[b * recs.stride + set->label_off];
        }
    }
    *ret_right = right;
    return QN_OK;
}
