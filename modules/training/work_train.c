/* work_train.c - job kinds `train` (a solver's), `train.check` (a follower's) and `train.plan` (a requester's). */
#include "modules/training/follow.h"
#include "modules/training/move.h"
#include "modules/training/work.h"

#include "core/crypto/hash.h"
#include "gpu/graph/mlp.h"

#include <stdlib.h>
#include <string.h>

/* --- train ------------------------------------------------------------------------------------------------ */

static json_t *follow_json(const struct follow *f)
{
    return json_pack("{s:o, s:I, s:o, s:I, s:I, s:I}", "root", spec_hex(&f->root), "cnt",
                     (json_int_t)f->seg_cnt, "weights", spec_hex(&f->weights), "acc_ppm",
                     (json_int_t)f->acc_ppm, "right", (json_int_t)f->right, "of",
                     (json_int_t)f->of);
}

qn_rc work_train(struct qn_worker *w, const json_t *request, json_t **ret, struct qn_why *why)
{
    struct spec spec;
    struct follow f = { 0 };
    qn_rc rc = spec_read(w, request, &spec, why);
    if (rc == QN_OK) rc = follow_run(w, &spec, &f, why);
    if (rc == QN_OK) {
        *ret = follow_json(&f);
        if (f.of) qn_worker_log(w, "%u of %u right", f.right, f.of);
    }
    follow_fini(&f);
    spec_fini(&spec);
    return rc;
}

/* --- train.check ---------------------------------------------------------------------------------------------- */

/* A run's trace file, which must be what its root on the ledger says. */
static qn_rc read_trace(struct qn_worker *w, const char *name, uint32_t cnt,
                        const struct qn_hash *root, struct qn_buf *ret, struct qn_why *why)
{
    char path[4096];
    if (!qn_worker_in(w, name, path, sizeof path))
        return qn_why(why, QN_E_USAGE, "the request passed no input %s", name);
    qn_rc rc = qn_file_read(path, (size_t)cnt * TRACE_SEGMENT_BYTES, ret, why);
    if (rc) return rc;
    if (ret->len != (size_t)cnt * TRACE_SEGMENT_BYTES)
        return qn_why(why, QN_E_SHORT, "%s: not %u segments", name, cnt);
    struct qn_hash *leaves = malloc(cnt * sizeof *leaves), got;
    QN_ASSERT(leaves != NULL);
    for (uint32_t i = 0; i < cnt; i++) {
        struct trace_segment seg;
        trace_segment_get(ret->ptr + (size_t)i * TRACE_SEGMENT_BYTES, &seg);
        leaves[i] = trace_segment_hash(&seg);
    }
    got = tree_root(leaves, cnt);
    free(leaves);
    return qn_hash_eq(&got, root)
               ? QN_OK
               : qn_why(why, QN_E_PROOF, "%s: not what the run has committed to", name);
}

static qn_rc judge(struct qn_worker *w, const json_t *run, const struct follow *f, json_t **ret,
                   struct qn_why *why)
{
    const char *name = json_string_value(json_object_get(run, "input"));
    struct qn_buf trace = { 0 };
    struct qn_hash root, weights;
    uint64_t cnt, acc;
    qn_rc rc = spec_hash(run, "root", &root, why);
    if (rc == QN_OK) rc = spec_hash(run, "weights", &weights, why);
    if (rc == QN_OK) rc = spec_num(run, "cnt", f->seg_cnt, &cnt, why);
    if (rc == QN_OK) rc = spec_num(run, "acc_ppm", 1000000, &acc, why);
    if (rc) return rc;
    if (!name || cnt == 0) return qn_why(why, QN_E_FORMAT, "runs: input and cnt are missing");
    rc = read_trace(w, name, (uint32_t)cnt, &root, &trace, why);
    uint32_t i = 0;
    bool marks = false;
    for (; rc == QN_OK && i < cnt; i++) {
        struct trace_segment seg;
        trace_segment_get(trace.ptr + (size_t)i * TRACE_SEGMENT_BYTES, &seg);
        struct qn_hash a = trace_segment_hash(&seg), b = trace_segment_hash(&f->segs[i]);
        if (qn_hash_eq(&a, &b)) continue;
        marks = qn_hash_eq(&seg.to, &f->segs[i].to) && qn_hash_eq(&seg.from, &f->segs[i].from);
        break;
    }
    if (rc == QN_OK) {
        bool same = i == cnt, done = cnt == f->seg_cnt;
        *ret = json_pack("{s:O, s:b, s:b, s:b}", "run", json_object_get(run, "run"), "equal", same,
                         "weights_equal", done && qn_hash_eq(&weights, &f->weights), "acc_equal",
                         done && acc == f->acc_ppm);
        if (!same) {
            json_object_set_new(*ret, "seg", json_integer(i));
            json_object_set_new(*ret, "only_marks", json_boolean(marks));
            json_object_set_new(*ret, "open", move_challenge(qn_buf_get(&trace), (uint32_t)cnt, i));
        }
        qn_worker_log(w, "%s: %s", name, same ? "equal" : "differs");
    }
    qn_buf_free(&trace);
    return rc;
}

qn_rc work_check(struct qn_worker *w, const json_t *request, json_t **ret, struct qn_why *why)
{
    struct spec spec;
    struct follow f = { 0 };
    size_t idx;
    json_t *run, *list = json_array();
    qn_rc rc = spec_read(w, request, &spec, why);
    if (rc == QN_OK) rc = follow_run(w, &spec, &f, why);
    json_array_foreach(json_object_get(request, "runs"), idx, run)
    {
        json_t *verdict = NULL;
        if (rc == QN_OK) rc = judge(w, run, &f, &verdict, why);
        if (verdict) json_array_append_new(list, verdict);
    }
    if (rc == QN_OK) {
        *ret = follow_json(&f);
        json_object_set(*ret, "runs", list);
    }
    json_decref(list);
    follow_fini(&f);
    spec_fini(&spec);
    return rc;
}

/* --- train.plan ------------------------------------------------------------------------------------------------- */

/* Operators as people and scripts see them. */
static json_t *ops_json(const struct graph *g)
{
    json_t *ops = json_array();
    for (uint32_t i = 0; i < g->node.cnt; i++) {
        const struct graph_node *n = &g->node.ptr[i];
        json_t *op = json_pack("{s:I, s:s, s:I, s:I, s:I}", "id", (json_int_t)i, "op",
                               graph_op_word(n->op), "kind", (json_int_t)n->kind, "rows",
                               (json_int_t)n->rows, "cols", (json_int_t)n->cols);
        if (n->name.len)
            json_object_set_new(op, "name", json_stringn((const char *)n->name.ptr, n->name.len));
        json_array_append_new(ops, op);
    }
    return ops;
}

static qn_rc init_root(const struct graph *g, uint64_t seed, struct qn_hash *ret,
                       struct qn_why *why)
{
    struct graph_run *run = NULL;
    struct qn_hash roots[1024];
    qn_rc rc = graph_run_new(g, &(struct graph_run_opt){ 0 }, &run, why);
    if (rc) return rc;
    graph_run_init(run, seed);
    for (uint32_t i = 0; i < g->next.cnt; i++) {
        uint32_t s = g->next.ptr[i].state;
        roots[i] = tile_root(graph_run_state(run, s), g->node.ptr[s].rows, g->node.ptr[s].cols);
    }
    *ret = tile_state_root(g, 0, roots);
    graph_run_free(run);
    return QN_OK;
}

static qn_rc plan_mlp(const json_t *request, struct graph_mlp *ret, struct qn_why *why)
{
    const json_t *dims = json_object_get(request, "dims");
    uint64_t steps, batch, label;
    qn_rc rc = spec_num(request, "steps", 1u << 24, &steps, why);
    if (rc == QN_OK) rc = spec_num(request, "batch", 4096, &batch, why);
    if (rc == QN_OK) rc = spec_num(request, "label_off", DATASET_REC_MAX, &label, why);
    if (rc) return rc;
    if (json_array_size(dims) < 2 || json_array_size(dims) > MLP_LAYER_MAX + 1)
        return qn_why(why, QN_E_RANGE, "dims: 2 to %u numbers", MLP_LAYER_MAX + 1);
    *ret = graph_mlp_default((uint32_t)steps);
    ret->layer_cnt = (uint32_t)json_array_size(dims) - 1;
    for (uint32_t i = 0; i <= ret->layer_cnt; i++)
        ret->dims[i] = (uint32_t)json_integer_value(json_array_get(dims, i));
    ret->batch = (uint32_t)batch;
    ret->label_off = (uint32_t)label;
    return QN_OK;
}

qn_rc work_plan(struct qn_worker *w, const json_t *request, json_t **ret, struct qn_why *why)
{
    struct qn_arena arena = { .max = 64u << 20 };
    struct qn_buf bytes = { 0 };
    struct qn_hash init, hash;
    struct graph_mlp mlp;
    struct graph g;
    uint64_t seed, state = 0;
    (void)w;
    qn_rc rc = spec_num(request, "seed", UINT64_MAX, &seed, why);
    if (rc == QN_OK) rc = plan_mlp(request, &mlp, why);
    if (rc == QN_OK) rc = graph_mlp(&mlp, &arena, &g, why);
    if (rc == QN_OK) rc = init_root(&g, seed, &init, why);
    if (rc == QN_OK) {
        graph_encode(&g, &bytes);
        hash = graph_hash(&g);
        for (uint32_t i = 0; i < g.next.cnt; i++)
            state += (uint64_t)g.node.ptr[g.next.ptr[i].state].rows *
                     g.node.ptr[g.next.ptr[i].state].cols * 4;
        *ret = json_pack("{s:o, s:o, s:o, s:I, s:I, s:I, s:o}", "graph",
                         spec_bytes(bytes.ptr, bytes.len), "hash", spec_hex(&hash), "init",
                         spec_hex(&init), "batch", (json_int_t)mlp.batch, "seg",
                         (json_int_t)trace_seg_len(state, mlp.batch), "flop_step",
                         (json_int_t)graph_flops(&g), "ops", ops_json(&g));
        if (!*ret) rc = QN_E_MEMORY;
    }
    qn_buf_free(&bytes);
    qn_arena_free(&arena);
    return rc;
}
