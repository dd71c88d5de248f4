/* build.c - nodes one by one. What it builds is the program's own, so misuse is a bug, not an error. */
#include "gpu/graph/build.h"

#include "gpu/dialect/soft.h"

#include <stdlib.h>
#include <string.h>

void graph_build_begin(struct graph_build *b, struct qn_arena *arena)
{
    *b = (struct graph_build){ .arena = arena };
    b->g.semver = GRAPH_SEMVER;
    b->g.node.ptr = qn_arena_alloc(arena, GRAPH_NODE_MAX * sizeof *b->g.node.ptr);
    b->g.next.ptr = qn_arena_alloc(arena, 1024 * sizeof *b->g.next.ptr);
    QN_ASSERT(b->g.node.ptr && b->g.next.ptr);
}

static uint32_t add(struct graph_build *b, const struct graph_node *n, const uint32_t *in,
                    uint32_t in_cnt)
{
    QN_ASSERT(b->g.node.cnt < GRAPH_NODE_MAX && in_cnt <= MAP_IN_MAX);
    struct graph_node *dst = &b->g.node.ptr[b->g.node.cnt];
    *dst = *n;
    dst->in.cnt = in_cnt;
    if (in_cnt) dst->in.ptr = qn_arena_copy(b->arena, in, in_cnt * sizeof *in);
    QN_ASSERT(in_cnt == 0 || dst->in.ptr);
    return b->g.node.cnt++;
}

static const struct graph_node *node(const struct graph_build *b, uint32_t id)
{
    QN_ASSERT(id < b->g.node.cnt);
    return &b->g.node.ptr[id];
}

uint32_t graph_add_const(struct graph_build *b, uint32_t rows, uint32_t cols, uint32_t bits)
{
    return add(b,
               &(struct graph_node){ .op = GRAPH_CONST, .rows = rows, .cols = cols, .attr = bits },
               NULL, 0);
}

uint32_t graph_add_input(struct graph_build *b, uint32_t rows, uint32_t cols, uint32_t rec_off)
{
    return add(
        b, &(struct graph_node){ .op = GRAPH_INPUT, .rows = rows, .cols = cols, .attr = rec_off },
        NULL, 0);
}

uint32_t graph_add_step(struct graph_build *b)
{
    return add(b, &(struct graph_node){ .op = GRAPH_STEP, .rows = 1, .cols = 1 }, NULL, 0);
}

uint32_t graph_add_state(struct graph_build *b, uint32_t rows, uint32_t cols, const char *name,
                         uint8_t kind, uint32_t bits)
{
    struct graph_node n = { .op = GRAPH_STATE,
                            .kind = kind,
                            .rows = rows,
                            .cols = cols,
                            .attr = bits,
                            .name = QN_SPAN_STR(name) };
    return add(b, &n, NULL, 0);
}

uint32_t graph_add_contract(struct graph_build *b, uint32_t x, uint32_t y, uint8_t kind)
{
    const struct graph_node *a = node(b, x), *c = node(b, y);
    struct graph_node n = { .op = GRAPH_CONTRACT,
                            .kind = kind,
                            .rows = kind & CONTRACT_TA ? a->cols : a->rows,
                            .cols = kind & CONTRACT_TB ? c->rows : c->cols };
    return add(b, &n, (uint32_t[]){ x, y }, 2);
}

uint32_t graph_add_rowsum(struct graph_build *b, uint32_t x)
{
    return add(b, &(struct graph_node){ .op = GRAPH_ROWSUM, .rows = node(b, x)->rows, .cols = 1 },
               &x, 1);
}

uint32_t graph_add_rowmax(struct graph_build *b, uint32_t x)
{
    return add(b, &(struct graph_node){ .op = GRAPH_ROWMAX, .rows = node(b, x)->rows, .cols = 1 },
               &x, 1);
}

uint32_t graph_add_transpose(struct graph_build *b, uint32_t x)
{
    return add(b,
               &(struct graph_node){
                   .op = GRAPH_TRANSPOSE, .rows = node(b, x)->cols, .cols = node(b, x)->rows },
               &x, 1);
}

static uint8_t map_op(const char *word)
{
    static const char *const words[] = { "const", "col",  "add", "sub", "mul", "div",
                                         "sqrt",  "max",  "min", "neg", "abs", "exp",
                                         "log",   "tanh", "eq",  "lt",  "sel" };
    for (uint8_t i = 0; i < QN_COUNT(words); i++)
        if (strcmp(words[i], word) == 0) return i;
    QN_BUG("unknown map instruction");
}

static uint8_t map_operand(const char *word)
{
    return (uint8_t)(word[0] >= 'a' ? word[0] - 'a' : atoi(word));
}

uint32_t graph_add_map(struct graph_build *b, const uint32_t *in, uint32_t in_cnt, const char *prog)
{
    struct graph_node n = { .op = GRAPH_MAP, .rows = 1, .cols = 1 };
    for (uint32_t i = 0; i < in_cnt; i++) {
        n.rows = QN_MAX(n.rows, node(b, in[i])->rows);
        n.cols = QN_MAX(n.cols, node(b, in[i])->cols);
    }
    char text[1024], *line_state = NULL;
    QN_ASSERT(strlen(prog) < sizeof text);
    strcpy(text, prog);
    n.prog.ptr = qn_arena_alloc(b->arena, MAP_INS_MAX * sizeof *n.prog.ptr);
    QN_ASSERT(n.prog.ptr);
    for (char *line = strtok_r(text, ";", &line_state); line;
         line = strtok_r(NULL, ";", &line_state)) {
        char *state = NULL, *word = strtok_r(line, " ", &state), *arg[3] = { NULL };
        for (int i = 0; i < 3; i++)
            arg[i] = strtok_r(NULL, " ", &state);
        QN_ASSERT(word && n.prog.cnt < MAP_INS_MAX);
        struct graph_ins *s = &n.prog.ptr[n.prog.cnt++];
        s->op = map_op(word);
        if (s->op == MAP_CONST) {
            s->imm = (uint32_t)strtoul(arg[0], NULL, 16);
            continue;
        }
        s->a = arg[0] ? map_operand(arg[0]) : 0;
        s->b = arg[1] ? map_operand(arg[1]) : 0;
        s->c = arg[2] ? map_operand(arg[2]) : 0;
    }
    return add(b, &n, in, in_cnt);
}

void graph_add_next(struct graph_build *b, uint32_t state, uint32_t id)
{
    QN_ASSERT(b->g.next.cnt < 1024 && id < b->g.node.cnt);
    b->g.next.ptr[b->g.next.cnt++] = (struct graph_next){ state, id };
}

static f32 from_u32(uint32_t v)
{
    uint32_t high = v >> 16, low = v & 0xffff;
    f32 h = f32_sub(0x4b000000u | high, 0x4b000000u), l = f32_sub(0x4b000000u | low, 0x4b000000u);
    return f32_add(f32_mul(h, 0x47800000u), l); /* 65536 */
}

uint32_t graph_bits_ratio(uint32_t num, uint32_t den)
{
    return f32_div(from_u32(num), from_u32(den));
}

uint32_t graph_bits_sqrt(uint32_t bits)
{
    return f32_sqrt(bits);
}

uint32_t graph_bits_sub(uint32_t a, uint32_t b)
{
    return f32_sub(a, b);
}
