/* follow.c - the run: steps, marks, segments, kept states, weights, accuracy. */
#include "modules/training/follow.h"

#include "modules/training/work.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PEEK_CNT 1024u /* test images looked at for a line of the log */

static qn_rc put_file(struct qn_worker *w, const char *name, struct qn_span bytes,
                      struct qn_why *why)
{
    char path[4200];
    if (!w) return QN_OK;
    snprintf(path, sizeof path, "%s/%s", qn_worker_out(w), name);
    return work_write(path, bytes, why);
}

static qn_rc put_state(struct qn_worker *w, struct replay *r, struct qn_why *why)
{
    struct qn_buf state = { 0 };
    char name[32];
    snprintf(name, sizeof name, "state-%08llu", (unsigned long long)replay_done(r));
    replay_save(r, &state);
    qn_rc rc = put_file(w, name, qn_buf_get(&state), why);
    qn_buf_free(&state);
    return rc;
}

/* "w0", "b12": the tensors of a model; moments and powers have other names. */
static bool is_weight(struct qn_span name)
{
    if (name.len < 2 || (name.ptr[0] != 'w' && name.ptr[0] != 'b')) return false;
    for (size_t i = 1; i < name.len; i++)
        if (name.ptr[i] < '0' || name.ptr[i] > '9') return false;
    return true;
}

/* QNTW: "QNTW" | u32 1 | u32 cnt, each u32 name_len | name | u32 rank | u32 dims[rank], then all data, f32. A bias (1, n) has
 * rank 1. */
static void put_weights(struct replay *r, const struct graph *g, struct qn_buf *ret)
{
    uint32_t cnt = 0;
    for (uint32_t i = 0; i < g->next.cnt; i++)
        cnt += is_weight(g->node.ptr[g->next.ptr[i].state].name);
    qn_buf_put(ret, "QNTW", 4);
    qn_buf_u32(ret, 1);
    qn_buf_u32(ret, cnt);
    for (int pass = 0; pass < 2; pass++) {
        for (uint32_t i = 0; i < g->next.cnt; i++) {
            uint32_t s = g->next.ptr[i].state;
            const struct graph_node *n = &g->node.ptr[s];
            if (!is_weight(n->name)) continue;
            if (pass) {
                qn_buf_put(ret, graph_run_state(replay_run(r), s), (size_t)n->rows * n->cols * 4);
                continue;
            }
            qn_buf_u32(ret, (uint32_t)n->name.len);
            qn_buf_span(ret, n->name);
            bool vector = n->name.ptr[0] == 'b' && n->rows == 1;
            qn_buf_u32(ret, vector ? 1 : 2);
            if (!vector) qn_buf_u32(ret, n->rows);
            qn_buf_u32(ret, n->cols);
        }
    }
}

static float as_float(uint32_t bits)
{
    float f;
    memcpy(&f, &bits, 4);
    return f;
}

static qn_rc tell(struct qn_worker *w, struct spec *spec, struct replay *r,
                  const struct trace_step *mark, struct qn_why *why)
{
    uint32_t right = 0, of = QN_MIN(PEEK_CNT, spec->test.rec_cnt);
    if (!w) return QN_OK;
    qn_rc rc = of ? replay_eval(r, &spec->test, PEEK_CNT, &right, why) : QN_OK;
    if (rc) return rc;
    if (of)
        qn_worker_log(w, "step %llu/%llu loss %.3f gnorm %.3f acc %.3f",
                      (unsigned long long)replay_done(r), (unsigned long long)spec->conf.steps,
                      (double)as_float(mark->loss), (double)as_float(mark->gnorm),
                      (double)right / of);
    else
        qn_worker_log(w, "step %llu/%llu loss %.3f gnorm %.3f", (unsigned long long)replay_done(r),
                      (unsigned long long)spec->conf.steps, (double)as_float(mark->loss),
                      (double)as_float(mark->gnorm));
    return QN_OK;
}

/* One segment: its steps, marks and roots. */
static qn_rc segment(struct qn_worker *w, struct spec *spec, struct replay *r, struct follow *f,
                     uint32_t idx, struct qn_why *why)
{
    static const char *const UNIT = "steps";
    struct qn_hash leaves[TRACE_SEG_MAX];
    struct trace_segment *seg = &f->segs[idx];
    uint64_t end = QN_MIN(((uint64_t)idx + 1) * spec->conf.seg, spec->conf.steps);
    uint32_t cnt = 0;
    *seg = (struct trace_segment){ .seg = idx, .from = idx ? f->segs[idx - 1].to : spec->init };
    while (replay_done(r) < end) {
        struct trace_step mark;
        qn_rc rc = replay_step(r, &mark, why);
        if (rc) return rc;
        if ((mark.loss & 0x7f800000) == 0x7f800000)
            return qn_why(why, QN_E_JOB, "diverged: the loss of step %llu is no number",
                          (unsigned long long)mark.step);
        mark.chain = trace_chain(&f->last.chain, &mark);
        f->last = mark;
        leaves[cnt++] = trace_step_hash(&mark);
        trace_step_put(&mark, qn_buf_grow(&f->marks, TRACE_STEP_BYTES));
        if (w) qn_worker_progress(w, replay_done(r), spec->conf.steps, UNIT);
    }
    seg->to = replay_root(r);
    seg->steps = tree_root(leaves, cnt);
    return QN_OK;
}

static uint32_t keep_every(uint32_t seg_cnt)
{
    uint32_t k = 1;
    while (k * k < seg_cnt)
        k++;
    return k;
}

static qn_rc run_all(struct qn_worker *w, struct spec *spec, struct replay *r, struct follow *f,
                     struct qn_why *why)
{
    uint32_t every = keep_every(f->seg_cnt), told = f->seg_cnt / 10 + 1;
    qn_rc rc = QN_OK;
    f->last.chain = trace_chain_first(&spec->conf.order);
    for (uint32_t i = 0; rc == QN_OK && i < f->seg_cnt; i++) {
        rc = segment(w, spec, r, f, i, why);
        if (rc == QN_OK && (i + 1) % every == 0) rc = put_state(w, r, why);
        if (rc == QN_OK && ((i + 1) % told == 0 || i + 1 == f->seg_cnt))
            rc = tell(w, spec, r, &f->last, why);
    }
    return rc ? rc : put_file(w, "marks.bin", qn_buf_get(&f->marks), why);
}

static qn_rc put_trace(struct qn_worker *w, struct follow *f, struct qn_why *why)
{
    struct qn_hash *leaves = malloc(f->seg_cnt * sizeof *leaves);
    QN_ASSERT(leaves != NULL);
    for (uint32_t i = 0; i < f->seg_cnt; i++) {
        leaves[i] = trace_segment_hash(&f->segs[i]);
        trace_segment_put(&f->segs[i], qn_buf_grow(&f->trace, TRACE_SEGMENT_BYTES));
    }
    f->root = tree_root(leaves, f->seg_cnt);
    qn_rc rc = put_file(w, "trace.bin", qn_buf_get(&f->trace), why);
    free(leaves);
    return rc;
}

qn_rc follow_run(struct qn_worker *w, struct spec *spec, struct follow *ret, struct qn_why *why)
{
    struct replay *r = NULL;
    struct qn_buf weights = { 0 };
    *ret = (struct follow){ .seg_cnt = (uint32_t)((spec->conf.steps + spec->conf.seg - 1) /
                                                  spec->conf.seg) };
    ret->segs = calloc(ret->seg_cnt, sizeof *ret->segs);
    QN_ASSERT(ret->segs != NULL);
    qn_rc rc = replay_new(&spec->conf, &r, why);
    if (rc) return rc;
    struct qn_hash first = replay_root(r);
    if (!qn_hash_eq(&first, &spec->init))
        rc = qn_why(why, QN_E_CHECK, "the seed does not give the job's first state");
    if (rc == QN_OK) rc = run_all(w, spec, r, ret, why);
    if (rc == QN_OK) rc = put_trace(w, ret, why);
    if (rc == QN_OK) {
        put_weights(r, &spec->conf.g, &weights);
        ret->weights = qn_blake3(weights.ptr, weights.len);
        rc = put_file(w, "weights.qntw", qn_buf_get(&weights), why);
    }
    ret->of = spec->test.rec_cnt;
    if (rc == QN_OK && ret->of) rc = replay_eval(r, &spec->test, UINT32_MAX, &ret->right, why);
    if (rc == QN_OK && ret->of) ret->acc_ppm = (uint32_t)((uint64_t)ret->right * 1000000 / ret->of);
    qn_buf_free(&weights);
    replay_free(r);
    return rc;
}

void follow_fini(struct follow *f)
{
    free(f->segs);
    qn_buf_free(&f->trace);
    qn_buf_free(&f->marks);
    f->segs = NULL;
}
