/* node.c - bytes, rules and hash of the L0 graph. */
#include "gpu/graph/node.h"

#include "core/crypto/hash.h"

#include "core/schema/define.h"
#include "gpu/graph/graph.def"

#include "core/schema/undef.h" /* after the .def */

#include <stdlib.h>
#include <string.h>

static bool clean_bits(uint32_t b)
{
    uint32_t mag = b & 0x7fffffff;
    return b == 0x7fc00000 || (mag <= 0x7f800000 && (mag == 0 || mag >= 0x01000000));
}

/* Operands of a map instruction. */
static uint32_t ins_args(uint8_t op)
{
    switch ((enum graph_map_op)op) {
    case MAP_CONST:
    case MAP_COL: return 0;
    case MAP_SQRT:
    case MAP_NEG:
    case MAP_ABS:
    case MAP_EXP:
    case MAP_LOG:
    case MAP_TANH: return 1;
    case MAP_ADD:
    case MAP_SUB:
    case MAP_MUL:
    case MAP_DIV:
    case MAP_MAX:
    case MAP_MIN:
    case MAP_EQ:
    case MAP_LT: return 2;
    case MAP_SEL: return 3;
    }
    return UINT32_MAX;
}

static const char *check_map(const struct graph *g, const struct graph_node *n)
{
    if (n->prog.cnt == 0 || n->prog.cnt > 32) return "a map has 1 to 32 instructions";
    for (uint32_t i = 0; i < n->in.cnt; i++) {
        const struct graph_node *in = &g->node.ptr[n->in.ptr[i]];
        if ((in->rows != n->rows && in->rows != 1) || (in->cols != n->cols && in->cols != 1))
            return "an input's shape neither matches nor spreads";
    }
    for (uint32_t i = 0; i < n->prog.cnt; i++) {
        const struct graph_ins *s = &n->prog.ptr[i];
        uint32_t args = ins_args(s->op), top = n->in.cnt + i;
        if (args > 3) return "an unknown instruction";
        if ((args > 0 ? s->a >= top : s->a != 0) || (args > 1 ? s->b >= top : s->b != 0) ||
            (args > 2 ? s->c >= top : s->c != 0))
            return "an operand is no earlier value";
        if (s->op == MAP_CONST ? !clean_bits(s->imm) : s->imm != 0)
            return "imm is not clean or not used";
    }
    return NULL;
}

static const char *check_contract(const struct graph *g, const struct graph_node *n)
{
    if ((n->kind & 15) > CONTRACT_T12 || n->kind & ~(15u | CONTRACT_TA | CONTRACT_TB))
        return "an unknown kind";
    const struct graph_node *a = &g->node.ptr[n->in.ptr[0]], *b = &g->node.ptr[n->in.ptr[1]];
    bool ta = n->kind & CONTRACT_TA, tb = n->kind & CONTRACT_TB;
    if ((ta ? a->cols : a->rows) != n->rows || (tb ? b->rows : b->cols) != n->cols ||
        (ta ? a->rows : a->cols) != (tb ? b->cols : b->rows))
        return "shapes do not fit";
    return NULL;
}

static const char *check_node(const struct graph *g, uint32_t id)
{
    static const uint8_t in_cnt[GRAPH_OP_CNT] = {
        [GRAPH_CONTRACT] = 2, [GRAPH_ROWSUM] = 1, [GRAPH_ROWMAX] = 1, [GRAPH_TRANSPOSE] = 1
    };
    const struct graph_node *n = &g->node.ptr[id];
    if (n->op >= GRAPH_OP_CNT) return "an unknown operator";
    if (n->rows == 0 || n->cols == 0 || n->rows > GRAPH_DIM_MAX || n->cols > GRAPH_DIM_MAX ||
        (uint64_t)n->rows * n->cols > GRAPH_ELEM_MAX)
        return "rows or cols out of range";
    if (n->op == GRAPH_MAP ? n->in.cnt > 8 : n->in.cnt != in_cnt[n->op])
        return "wrong count of inputs";
    for (uint32_t i = 0; i < n->in.cnt; i++)
        if (n->in.ptr[i] >= id) return "an input is no earlier node";
    if (n->op != GRAPH_MAP && n->prog.cnt) return "a program without a map";
    if (n->op != GRAPH_STATE && n->name.len) return "a name without a state";
    if (n->op != GRAPH_CONTRACT && n->op != GRAPH_STATE && n->kind) return "kind is not used here";
    if (n->op != GRAPH_CONST && n->op != GRAPH_STATE && n->op != GRAPH_INPUT && n->attr)
        return "attr is not used here";
    const struct graph_node *in = n->in.cnt ? &g->node.ptr[n->in.ptr[0]] : NULL;
    switch ((enum graph_op)n->op) {
    case GRAPH_CONST: return clean_bits(n->attr) ? NULL : "attr is not clean";
    case GRAPH_INPUT: return n->attr <= GRAPH_DIM_MAX ? NULL : "offset out of range";
    case GRAPH_STEP: return n->rows == 1 && n->cols == 1 ? NULL : "shape must be (1, 1)";
    case GRAPH_STATE:
        if (!clean_bits(n->attr) || n->kind > STATE_UNIFORM)
            return "attr is not clean or kind unknown";
        return n->name.len ? NULL : "a state needs a name";
    case GRAPH_CONTRACT: return check_contract(g, n);
    case GRAPH_ROWSUM:
    case GRAPH_ROWMAX:
        return n->cols == 1 && n->rows == in->rows ? NULL : "shape must be (rows, 1)";
    case GRAPH_MAP: return check_map(g, n);
    case GRAPH_TRANSPOSE:
        return n->rows == in->cols && n->cols == in->rows ? NULL : "shapes do not fit";
    case GRAPH_OP_CNT: break;
    }
    return "an unknown operator";
}

static int name_cmp(const void *a, const void *b)
{
    return qn_span_cmp(*(const struct qn_span *)a, *(const struct qn_span *)b);
}

/* Each state has its next value, in order, and its own name. */
static const char *check_next(const struct graph *g, struct qn_span *names)
{
    uint32_t cnt = 0;
    for (uint32_t i = 0; i < g->node.cnt; i++) {
        const struct graph_node *n = &g->node.ptr[i];
        if (n->op != GRAPH_STATE) continue;
        if (cnt >= g->next.cnt || g->next.ptr[cnt].state != i ||
            g->next.ptr[cnt].node >= g->node.cnt)
            return "next must name each state once, in order";
        if (g->node.ptr[g->next.ptr[cnt].node].op == GRAPH_STATE && g->next.ptr[cnt].node != i)
            return "a next value is another state";
        const struct graph_node *v = &g->node.ptr[g->next.ptr[cnt].node];
        if (v->rows != n->rows || v->cols != n->cols)
            return "a next value's shape differs from its state's";
        names[cnt++] = n->name;
    }
    if (cnt != g->next.cnt) return "next must name each state once, in order";
    qsort(names, cnt, sizeof *names, name_cmp);
    for (uint32_t i = 1; i < cnt; i++)
        if (qn_span_eq(names[i - 1], names[i])) return "two states of one name";
    return NULL;
}

qn_rc graph_check(const struct graph *g, struct qn_why *why)
{
    uint64_t total = 0;
    if (g->semver != GRAPH_SEMVER)
        return qn_why(why, QN_E_RANGE, "graph: semver %u, this program knows %u", g->semver,
                      GRAPH_SEMVER);
    if (g->node.cnt == 0 || g->node.cnt > GRAPH_NODE_MAX || g->next.cnt > 1024)
        return qn_why(why, QN_E_RANGE, "graph: %u nodes, %u states", g->node.cnt, g->next.cnt);
    for (uint32_t i = 0; i < g->node.cnt; i++) {
        const char *bad = check_node(g, i);
        if (bad)
            return qn_why(why, QN_E_RANGE, "graph: node %u (%s): %s", i,
                          graph_op_word(g->node.ptr[i].op), bad);
        total += (uint64_t)g->node.ptr[i].rows * g->node.ptr[i].cols;
    }
    if (total > GRAPH_TOTAL_MAX)
        return qn_why(why, QN_E_RANGE, "graph: %llu elements in all", (unsigned long long)total);
    struct qn_span names[1024];
    const char *bad = check_next(g, names);
    if (bad) return qn_why(why, QN_E_RANGE, "graph: %s", bad);
    uint32_t cnt = g->node.cnt;
    if (g->loss >= cnt || g->gnorm >= cnt || g->logits >= cnt || g->wgrad >= cnt)
        return qn_why(why, QN_E_RANGE, "graph: loss, gnorm, logits or wgrad is no node");
    const struct graph_node *loss = &g->node.ptr[g->loss], *gnorm = &g->node.ptr[g->gnorm];
    if (loss->rows != 1 || loss->cols != 1 || gnorm->rows != 1 || gnorm->cols != 1)
        return qn_why(why, QN_E_RANGE, "graph: loss and gnorm must be (1, 1)");
    return QN_OK;
}

qn_rc graph_decode(struct qn_span bytes, struct qn_arena *arena, struct graph *ret,
                   struct qn_why *why)
{
    if (bytes.len > GRAPH_BYTES_MAX)
        return qn_why(why, QN_E_TOOBIG, "graph: %zu bytes, at most %u", bytes.len, GRAPH_BYTES_MAX);
    qn_rc rc = qn_decode(graph_record(), bytes, arena, ret, why);
    return rc ? rc : graph_check(ret, why);
}

void graph_encode(const struct graph *g, struct qn_buf *buf)
{
    qn_encode(graph_record(), g, buf);
}

struct qn_hash graph_hash(const struct graph *g)
{
    struct qn_buf buf = { 0 };
    graph_encode(g, &buf);
    struct qn_hash h = qn_h("graph", buf.ptr, buf.len);
    qn_buf_free(&buf);
    return h;
}

const char *graph_op_word(uint8_t op)
{
    static const char *const words[GRAPH_OP_CNT] = { "const",  "input",    "step",
                                                     "state",  "contract", "rowsum",
                                                     "rowmax", "map",      "transpose" };
    return op < GRAPH_OP_CNT ? words[op] : "unknown";
}

uint64_t graph_flops(const struct graph *g)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < g->node.cnt; i++) {
        const struct graph_node *n = &g->node.ptr[i];
        if (n->op == GRAPH_CONTRACT)
            sum += 2 * (uint64_t)n->rows * n->cols * graph_contract_k(g, n);
    }
    return sum;
}

bool graph_find_state(const struct graph *g, const char *name, uint32_t *ret)
{
    for (uint32_t i = 0; i < g->next.cnt; i++) {
        if (!qn_span_eq(g->node.ptr[g->next.ptr[i].state].name, QN_SPAN_STR(name))) continue;
        *ret = g->next.ptr[i].state;
        return true;
    }
    return false;
}
