/* run.c - memory and order of a graph's execution.
 *
 * Kept: every node has its own memory. Else a map that is the last reader of a state writes its next value
 * in the state's place; the same element function either way, so the same bits. */
#include "gpu/graph/run.h"

#include "gpu/cpu/ops.h"
#include "gpu/graph/fuse.h"

#include <stdlib.h>
#include <string.h>

struct graph_run {
    const struct graph *g;
    const struct cpu_ops *ops;
    bool keep;
    bool ahead;    /* next values are computed but not yet the states' values */
    uint64_t step; /* last one */
    float *mem;    /* all tensors, 64-byte aligned */
    float *space;  /* of the gemm */
    float **val;   /* by node */
    bool *lively;  /* by node: wanted for logits */
    bool *adam;    /* by node: the first of an Adam update done at once, in place */
};

static size_t node_elems(const struct graph_node *n)
{
    return ((size_t)n->rows * n->cols + 15) / 16 * 16;
}

/* The node whose value is the next of state id. */
static uint32_t next_of(const struct graph *g, uint32_t id)
{
    for (uint32_t i = 0; i < g->next.cnt; i++)
        if (g->next.ptr[i].state == id) return g->next.ptr[i].node;
    QN_BUG("a state without next");
}

/* Whether node `next` may overwrite state `id` as it runs: an elementwise reader, and nobody reads later. */
static bool in_place(const struct graph *g, uint32_t id, uint32_t next)
{
    const struct graph_node *n = &g->node.ptr[next];
    if (n->op != GRAPH_MAP) return false;
    for (uint32_t i = next + 1; i < g->node.cnt; i++)
        for (uint32_t k = 0; k < g->node.ptr[i].in.cnt; k++)
            if (g->node.ptr[i].in.ptr[k] == id) return false;
    for (uint32_t i = 0; i < g->next.cnt; i++) /* one owner */
        if (g->next.ptr[i].node == next && g->next.ptr[i].state != id) return false;
    return id != g->loss && id != g->gnorm && id != g->logits && id != g->wgrad;
}

static void find_lively(struct graph_run *run)
{
    run->lively[run->g->logits] = true;
    for (uint32_t i = run->g->logits + 1; i-- > 0;) {
        const struct graph_node *n = &run->g->node.ptr[i];
        for (uint32_t k = 0; run->lively[i] && k < n->in.cnt; k++)
            run->lively[n->in.ptr[k]] = true;
    }
}

/* Spread of memory: a value a node, less those that share their state's. */
static void place(struct graph_run *run, float *mem, size_t *ret_total)
{
    const struct graph *g = run->g;
    size_t at = 0;
    for (uint32_t i = 0; i < g->node.cnt; i++) {
        run->val[i] = mem ? mem + at : NULL;
        at += node_elems(&g->node.ptr[i]);
    }
    for (uint32_t i = 0; i < g->next.cnt && !run->keep; i++) {
        struct graph_next x = g->next.ptr[i];
        if (in_place(g, x.state, x.node)) run->val[x.node] = run->val[x.state];
    }
    *ret_total = at;
}

/* Only where all three values lie in their states' places and nobody reads the old ones later. */
static void find_adam(struct graph_run *run)
{
    struct fuse_adam f;
    for (uint32_t i = 0; i < run->g->node.cnt && !run->keep; i++)
        run->adam[i] = fuse_adam_find(run->g, i, &f) && run->val[i] == run->val[f.m] &&
                       run->val[i + 1] == run->val[f.v] && run->val[i + 2] == run->val[f.w];
}

qn_rc graph_run_new(const struct graph *g, const struct graph_run_opt *opt, struct graph_run **ret,
                    struct qn_why *why)
{
    const struct cpu_ops *ops = opt->variant ? cpu_ops_find(opt->variant) : cpu_ops_best();
    if (!ops)
        return qn_why(why, QN_E_RANGE, "variant %s: not known or not usable here", opt->variant);
    struct graph_run *run = calloc(1, sizeof *run);
    if (!run) return QN_E_MEMORY;
    run->g = g;
    run->ops = ops;
    run->keep = opt->keep;
    run->val = calloc(g->node.cnt, sizeof *run->val);
    run->lively = calloc(g->node.cnt, sizeof *run->lively);
    run->adam = calloc(g->node.cnt, sizeof *run->adam);
    run->space = aligned_alloc(64, CPU_GEMM_SPACE * sizeof(float));
    if (!run->val || !run->lively || !run->adam || !run->space) goto fail;
    size_t total;
    place(run, NULL, &total);
    run->mem = aligned_alloc(64, total * sizeof(float));
    if (!run->mem) goto fail;
    memset(run->mem, 0, total * sizeof(float));
    place(run, run->mem, &total);
    find_lively(run);
    find_adam(run);
    for (uint32_t i = 0; i < g->node.cnt; i++)
        if (g->node.ptr[i].op == GRAPH_CONST)
            for (size_t e = 0; e < (size_t)g->node.ptr[i].rows * g->node.ptr[i].cols; e++)
                memcpy(&run->val[i][e], &g->node.ptr[i].attr, 4);
    *ret = run;
    return QN_OK;
fail:
    graph_run_free(run);
    return QN_E_MEMORY;
}

void graph_run_free(struct graph_run *run)
{
    if (!run) return;
    free(run->mem);
    free(run->space);
    free(run->val);
    free(run->lively);
    free(run->adam);
    free(run);
}

const char *graph_run_variant(const struct graph_run *run)
{
    return run->ops->name;
}

/* Makes the next values the states' values. */
static void advance(struct graph_run *run)
{
    if (!run->ahead) return;
    run->ahead = false;
    /* A next value may itself be a state's: those are copied before anything is overwritten. */
    for (uint32_t i = 0; i < run->g->next.cnt; i++) {
        struct graph_next x = run->g->next.ptr[i];
        QN_ASSERT(run->g->node.ptr[x.node].op != GRAPH_STATE || x.node == x.state);
        if (run->val[x.node] == run->val[x.state]) continue;
        const struct graph_node *n = &run->g->node.ptr[x.state];
        memcpy(run->val[x.state], run->val[x.node], (size_t)n->rows * n->cols * sizeof(float));
    }
}

void graph_run_init(struct graph_run *run, uint64_t seed)
{
    run->ahead = false;
    for (uint32_t i = 0; i < run->g->next.cnt; i++) {
        uint32_t id = run->g->next.ptr[i].state;
        const struct graph_node *n = &run->g->node.ptr[id];
        for (uint32_t t = 0; t < graph_tile_cnt(n); t++) {
            struct graph_tile tile;
            qn_rc rc = graph_init_tile_c(run->g, id, t, seed, &tile);
            QN_ASSERT(rc == QN_OK);
            uint32_t r0 = t / graph_tiles(n->cols) * 16, c0 = t % graph_tiles(n->cols) * 16;
            for (uint32_t r = r0; r < QN_MIN(r0 + 16, n->rows); r++)
                memcpy(run->val[id] + (size_t)r * n->cols + c0, &tile.v[(r - r0) * 16],
                       QN_MIN(n->cols - c0, 16u) * 4);
        }
    }
}

static void exec_input(struct graph_run *run, const struct graph_node *n, float *out,
                       const struct graph_records *rec)
{
    for (uint32_t r = 0; r < n->rows; r++) {
        float *row = out + (size_t)r * n->cols;
        if (r < rec->cnt)
            run->ops->bytes(rec->ptr + r * rec->stride + n->attr, n->cols, row);
        else
            memset(row, 0, n->cols * sizeof *row);
    }
}

static void exec_contract(struct graph_run *run, const struct graph_node *n, float *out)
{
    const struct graph_node *a = &run->g->node.ptr[n->in.ptr[0]],
                            *b = &run->g->node.ptr[n->in.ptr[1]];
    struct cpu_gemm x = { .m = n->rows,
                          .n = n->cols,
                          .k = graph_contract_k(run->g, n),
                          .a = run->val[n->in.ptr[0]],
                          .b = run->val[n->in.ptr[1]],
                          .c = out,
                          .lda = a->cols,
                          .ldb = b->cols,
                          .ldc = n->cols,
                          .ta = n->kind & CONTRACT_TA,
                          .tb = n->kind & CONTRACT_TB,
                          .t12 = (n->kind & 15) == CONTRACT_T12,
                          .space = run->space };
    run->ops->gemm(&x);
}

static void exec_map(struct graph_run *run, const struct graph_node *n, float *out)
{
    struct map_ins ins[MAP_INS_MAX];
    struct cpu_map m = { .rows = n->rows,
                         .cols = n->cols,
                         .in_cnt = n->in.cnt,
                         .ins_cnt = n->prog.cnt,
                         .ins = ins,
                         .out = out };
    for (uint32_t p = 0; p < n->prog.cnt; p++) {
        const struct graph_ins *s = &n->prog.ptr[p];
        ins[p] = (struct map_ins){ s->op, s->a, s->b, s->c, s->imm };
    }
    for (uint32_t k = 0; k < n->in.cnt; k++) {
        const struct graph_node *src = &run->g->node.ptr[n->in.ptr[k]];
        m.in[k] = run->val[n->in.ptr[k]];
        m.row_step[k] = src->rows == n->rows && n->rows > 1    ? src->cols
                        : src->cols == n->cols && n->rows == 1 ? n->cols
                                                               : 0;
        m.col_step[k] = src->cols == n->cols && n->cols > 1;
        if (n->cols == 1)
            m.col_step[k] = src->rows == n->rows; /* a column: one element a row, or spread */
    }
    run->ops->map(&m);
}

static float bits_float(uint32_t b)
{
    float f;
    memcpy(&f, &b, sizeof f);
    return f;
}

static void exec_adam(struct graph_run *run, uint32_t id)
{
    struct fuse_adam f;
    bool found = fuse_adam_find(run->g, id, &f);
    QN_ASSERT(found);
    const struct graph_node *n = &run->g->node.ptr[id];
    struct cpu_adam x = { .n = (size_t)n->rows * n->cols,
                          .w = run->val[f.w],
                          .m = run->val[f.m],
                          .v = run->val[f.v],
                          .g = run->val[f.g],
                          .b1 = bits_float(f.b1),
                          .b1c = bits_float(f.b1c),
                          .b2 = bits_float(f.b2),
                          .b2c = bits_float(f.b2c),
                          .c1 = *run->val[f.c1],
                          .c2 = *run->val[f.c2],
                          .lr = *run->val[f.lr],
                          .eps = bits_float(f.eps),
                          .wd = bits_float(f.wd) };
    run->ops->adam(&x);
}

static void exec(struct graph_run *run, uint32_t id, const struct graph_records *rec)
{
    const struct graph_node *n = &run->g->node.ptr[id];
    const struct graph_node *src = n->in.cnt ? &run->g->node.ptr[n->in.ptr[0]] : NULL;
    float *out = run->val[id];
    switch ((enum graph_op)n->op) {
    case GRAPH_CONST:
    case GRAPH_STATE: break;
    case GRAPH_STEP: *out = (float)QN_MIN(run->step, UINT64_C(0xffffff)); break;
    case GRAPH_INPUT: exec_input(run, n, out, rec); break;
    case GRAPH_CONTRACT: exec_contract(run, n, out); break;
    case GRAPH_ROWSUM: run->ops->rowsum(run->val[n->in.ptr[0]], src->rows, src->cols, out); break;
    case GRAPH_ROWMAX: run->ops->rowmax(run->val[n->in.ptr[0]], src->rows, src->cols, out); break;
    case GRAPH_MAP: exec_map(run, n, out); break;
    case GRAPH_TRANSPOSE:
        for (uint32_t r = 0; r < n->rows; r++)
            for (uint32_t c = 0; c < n->cols; c++)
                out[(size_t)r * n->cols + c] = run->val[n->in.ptr[0]][(size_t)c * src->cols + r];
        break;
    case GRAPH_OP_CNT: QN_BUG("graph op out of range");
    }
}

static qn_rc check_records(const struct graph_run *run, const struct graph_records *rec, bool whole,
                           struct qn_why *why)
{
    for (uint32_t i = 0; i < run->g->node.cnt; i++) {
        const struct graph_node *n = &run->g->node.ptr[i];
        if (n->op != GRAPH_INPUT) continue;
        if (whole ? rec->cnt != n->rows : rec->cnt > n->rows)
            return qn_why(why, QN_E_RANGE, "graph: %u records for a batch of %u", rec->cnt,
                          n->rows);
        if ((uint64_t)n->attr + n->cols > rec->len)
            return qn_why(why, QN_E_RANGE,
                          "graph: input node %u reads bytes %u..%u of records of %zu", i, n->attr,
                          n->attr + n->cols, rec->len);
    }
    return QN_OK;
}

qn_rc graph_run_step(struct graph_run *run, uint64_t step, const struct graph_records *rec,
                     struct graph_result *ret, struct qn_why *why)
{
    qn_rc rc = check_records(run, rec, true, why);
    if (rc) return rc;
    advance(run);
    run->step = step;
    for (uint32_t i = 0; i < run->g->node.cnt; i++) {
        if (run->adam[i]) {
            exec_adam(run, i);
            i += 2;
        } else {
            exec(run, i, rec);
        }
    }
    run->ahead = true;
    memcpy(&ret->loss, run->val[run->g->loss], 4);
    memcpy(&ret->gnorm, run->val[run->g->gnorm], 4);
    return QN_OK;
}

qn_rc graph_run_eval(struct graph_run *run, const struct graph_records *rec,
                     const float **ret_logits, struct qn_why *why)
{
    qn_rc rc = check_records(run, rec, false, why);
    if (rc) return rc;
    advance(run);
    for (uint32_t i = 0; i <= run->g->logits; i++)
        if (run->lively[i]) exec(run, i, rec);
    *ret_logits = run->val[run->g->logits];
    return QN_OK;
}

const float *graph_run_state(const struct graph_run *run, uint32_t node)
{
    QN_ASSERT(node < run->g->node.cnt && run->g->node.ptr[node].op == GRAPH_STATE);
    return run->val[run->ahead ? next_of(run->g, node) : node];
}

qn_rc graph_run_set(struct graph_run *run, uint32_t node, const float *src, size_t cnt)
{
    QN_ASSERT(node < run->g->node.cnt && run->g->node.ptr[node].op == GRAPH_STATE);
    const struct graph_node *n = &run->g->node.ptr[node];
    if (cnt != (size_t)n->rows * n->cols) return QN_E_RANGE;
    for (size_t i = 0; i < cnt; i++) {
        uint32_t b, mag;
        memcpy(&b, src + i, 4);
        mag = b & 0x7fffffff;
        if ((mag && mag < 0x01000000) || (mag > 0x7f800000 && b != 0x7fc00000)) return QN_E_RANGE;
    }
    advance(run);
    memcpy(run->val[node], src, cnt * sizeof *src);
    return QN_OK;
}

const float *graph_run_value(const struct graph_run *run, uint32_t node)
{
    QN_ASSERT(run->keep && node < run->g->node.cnt);
    return run->val[node];
}

void graph_run_tile(const struct graph_run *run, uint32_t node, uint32_t tile,
                    struct graph_tile *ret)
{
    const struct graph_node *n = &run->g->node.ptr[node];
    QN_ASSERT(tile < graph_tile_cnt(n));
    const float *src = graph_run_value(run, node);
    uint32_t r0 = tile / graph_tiles(n->cols) * 16, c0 = tile % graph_tiles(n->cols) * 16;
    memset(ret, 0, sizeof *ret);
    for (uint32_t r = r0; r < QN_MIN(r0 + 16, n->rows); r++)
        memcpy(&ret->v[(r - r0) * 16], src + (size_t)r * n->cols + c0,
               QN_MIN(n->cols - c0, 16u) * 4);
}

/* Opened tiles of one step, without a carry. */
static void gather(const struct graph_run *run, const struct graph_need *need,
                   struct graph_tile *in)
{
    for (uint32_t i = 0; i < need->open_cnt; i++)
        graph_run_tile(run, need->open[i].node, need->open[i].tile, &in[i]);
}

qn_rc graph_run_carry(const struct graph_run *run, uint32_t node, uint32_t tile, uint32_t kblock,
                      struct graph_tile *ret_out)
{
    struct graph_tile in[GRAPH_IN_MAX], carry[GRAPH_CARRY_MAX] = { 0 };
    struct graph_need need;
    for (uint32_t j = 0; j <= kblock; j++) {
        qn_rc rc = graph_tile_inputs(run->g, node, tile, j, &need);
        if (rc) return rc;
        if (need.slot_cnt)
            return QN_E_NOTFOUND; /* an input's tile comes from records, not from here */
        gather(run, &need, in);
        memcpy(in + need.open_cnt, carry, need.carry_cnt * sizeof *in);
        rc = graph_tile_step_c(run->g, node, tile, j, run->step, in, need.open_cnt + need.carry_cnt,
                               (struct qn_span){ 0 }, carry);
        if (rc) return rc;
    }
    memcpy(ret_out, carry, need.out_cnt * sizeof *carry);
    return QN_OK;
}

qn_rc graph_run_gather(const struct graph_run *run, uint32_t node, uint32_t tile, uint32_t kblock,
                       struct graph_tile *in, uint32_t *ret_cnt)
{
    struct graph_need need;
    qn_rc rc = graph_tile_inputs(run->g, node, tile, kblock, &need);
    if (rc) return rc;
    gather(run, &need, in);
    if (need.carry_cnt) rc = graph_run_carry(run, node, tile, kblock - 1, in + need.open_cnt);
    *ret_cnt = need.open_cnt + need.carry_cnt;
    return rc;
}
