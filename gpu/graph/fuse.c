/* fuse.c - finds groups by their programs, instruction by instruction. */
#include "gpu/graph/fuse.h"

#define INS(op, a, b)                                                                              \
    {                                                                                              \
        MAP_##op, a, b, 0, 0                                                                       \
    }

/* imm of constants is not compared. */
static bool prog_is(const struct graph_node *n, uint32_t in_cnt, const struct graph_ins *want,
                    uint32_t cnt)
{
    if (n->op != GRAPH_MAP || n->in.cnt != in_cnt || n->prog.cnt != cnt) return false;
    for (uint32_t i = 0; i < cnt; i++) {
        const struct graph_ins *s = &n->prog.ptr[i];
        if (s->op != want[i].op || s->a != want[i].a || s->b != want[i].b || s->c != want[i].c)
            return false;
    }
    return true;
}

static bool next_is(const struct graph *g, uint32_t state, uint32_t node)
{
    for (uint32_t i = 0; i < g->next.cnt; i++)
        if (g->next.ptr[i].state == state) return g->next.ptr[i].node == node;
    return false;
}

static bool same_shape(const struct graph_node *a, const struct graph_node *b)
{
    return a->rows == b->rows && a->cols == b->cols;
}

static bool scalar(const struct graph *g, uint32_t id)
{
    return g->node.ptr[id].rows == 1 && g->node.ptr[id].cols == 1;
}

bool fuse_adam_find(const struct graph *g, uint32_t id, struct fuse_adam *ret)
{
    static const struct graph_ins prog_m[] = { INS(CONST, 0, 0), INS(MUL, 0, 2), INS(CONST, 0, 0),
                                               INS(MUL, 1, 4), INS(ADD, 3, 5) };
    static const struct graph_ins prog_v[] = { INS(CONST, 0, 0), INS(MUL, 0, 2), INS(CONST, 0, 0),
                                               INS(MUL, 1, 4),   INS(MUL, 5, 1), INS(ADD, 3, 6) };
    static const struct graph_ins prog_w[] = { INS(MUL, 1, 3),   INS(MUL, 2, 4),  INS(SQRT, 7, 0),
                                               INS(CONST, 0, 0), INS(ADD, 8, 9),  INS(DIV, 6, 10),
                                               INS(CONST, 0, 0), INS(MUL, 0, 12), INS(ADD, 11, 13),
                                               INS(MUL, 5, 14),  INS(SUB, 0, 15) };
    if (id + 2 >= g->node.cnt) return false;
    const struct graph_node *m = &g->node.ptr[id], *v = m + 1, *w = m + 2;
    if (!prog_is(m, 2, prog_m, QN_COUNT(prog_m)) || !prog_is(v, 2, prog_v, QN_COUNT(prog_v)) ||
        !prog_is(w, 6, prog_w, QN_COUNT(prog_w)))
        return false;
    const uint32_t *in = w->in.ptr;
    *ret = (struct fuse_adam){ .w = in[0],
                               .m = m->in.ptr[0],
                               .v = v->in.ptr[0],
                               .g = m->in.ptr[1],
                               .c1 = in[3],
                               .c2 = in[4],
                               .lr = in[5],
                               .b1 = m->prog.ptr[0].imm,
                               .b1c = m->prog.ptr[2].imm,
                               .b2 = v->prog.ptr[0].imm,
                               .b2c = v->prog.ptr[2].imm,
                               .eps = w->prog.ptr[3].imm,
                               .wd = w->prog.ptr[6].imm };
    return in[1] == id && in[2] == id + 1 && v->in.ptr[1] == ret->g && scalar(g, ret->c1) &&
           scalar(g, ret->c2) && scalar(g, ret->lr) && same_shape(m, &g->node.ptr[ret->g]) &&
           same_shape(m, v) && same_shape(m, w) && next_is(g, ret->m, id) &&
           next_is(g, ret->v, id + 1) && next_is(g, ret->w, id + 2);
}
