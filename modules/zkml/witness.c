/* witness.c - the network's run, cell by cell: sums, quotients, remainders, what was clamped away, and the bits of all. */
#include "modules/zkml/prove.h"

#include <string.h>

struct cell {
    int64_t r, y, over, under;
};

/* Writes v into cnt slots; what does not fit (a liar's) goes into the lowest slot as it is. */
static void put_bits(const struct zkml_plan *p, struct zkml_witness *w, uint32_t slot, uint32_t cnt,
                     uint32_t o, int64_t v)
{
    for (uint32_t i = 0; i < cnt; i++)
        w->bit[(size_t)(slot + i) * p->cells + o] = v >> i & 1 ? ZK_ONE : 0;
    if (cnt && (v < 0 || v >> cnt)) {
        for (uint32_t i = 1; i < cnt; i++)
            w->bit[(size_t)(slot + i) * p->cells + o] = 0;
        w->bit[(size_t)slot * p->cells + o] = zkml_f_int(v);
    }
}

static void lie_cell(const struct zkml_lie *lie, const struct zkml_plan_layer *a, int64_t unit,
                     struct cell *c)
{
    if (lie->kind == ZK_LIE_ROUND_UP) c->y++, c->r -= unit;
    if (lie->kind == ZK_LIE_ROUND_DOWN) c->y--, c->r += unit;
    if (lie->kind == ZK_LIE_OVER) c->y--, c->over++;
    if (lie->kind == ZK_LIE_UNDER) c->y++, c->under++;
    if (lie->kind == ZK_LIE_BOTH) c->over++, c->under++;
    if (lie->kind == ZK_LIE_UNCLAMPED) {
        int64_t low = QN_MIN(c->under, (int64_t)128 + a->lo); /* an int8 says no less */
        c->y -= low, c->under -= low;
    }
}

static void cell_make(const struct zkml_plan *p, uint32_t l, uint32_t o, const struct zkml_lie *lie,
                      struct zkml_witness *w)
{
    const struct zkml_layer_shape *s = &p->shape.layer[l];
    const struct zkml_plan_layer *a = &p->layer[l];
    uint32_t at = a->off + o;
    int64_t unit = (int64_t)1 << s->s, v = (int64_t)s->m * w->acc[at] + unit / 2;
    if (lie && lie->kind == ZK_LIE_WRAP && lie->at == at) v += ZK_P;
    int64_t q = v >> s->s;
    struct cell c = { .r = v - q * unit, .y = q < a->lo ? a->lo : q > a->hi ? a->hi : q };
    c.over = q > a->hi ? q - a->hi : 0;
    c.under = q < a->lo ? a->lo - q : 0;
    if (lie && lie->at == at) lie_cell(lie, a, unit, &c);
    w->y[at] = (int32_t)c.y;
    w->over[at] = c.over;
    w->under[at] = c.under;
    put_bits(p, w, 0, s->s, at, c.r);
    put_bits(p, w, s->s, a->y_bits, at, c.y - a->lo);
    put_bits(p, w, zkml_slot_over(p, l), a->k, at, c.over);
    put_bits(p, w, zkml_slot_under(p, l), a->k, at, c.under);
}

void zkml_witness_make(const struct zkml_plan *plan, const struct int8_model *net, const int8_t *x,
                       const struct zkml_lie *lie, struct qn_arena *arena, struct zkml_witness *ret)
{
    uint32_t last = net->layer_cnt - 1;
    *ret = (struct zkml_witness){ .acc = qn_arena_alloc(arena, plan->cells * sizeof *ret->acc),
                                  .y = qn_arena_alloc(arena, plan->cells * sizeof *ret->y),
                                  .over = qn_arena_alloc(arena, plan->cells * sizeof *ret->over),
                                  .under = qn_arena_alloc(arena, plan->cells * sizeof *ret->under),
                                  .bit = qn_arena_alloc(arena, (size_t)plan->cells * plan->slots *
                                                                   sizeof *ret->bit),
                                  .x = qn_arena_copy(arena, x, net->layer[0].in),
                                  .out = qn_arena_alloc(arena, net->layer[last].out) };
    for (uint32_t l = 0; l < net->layer_cnt; l++) {
        const struct int8_layer *a = &net->layer[l];
        const int32_t *below = l ? ret->y + plan->layer[l - 1].off : NULL;
        for (uint32_t o = 0; o < a->out; o++) {
            const int8_t *row = a->w + (size_t)o * a->in;
            int32_t sum = 0; /* within the plan's bound */
            if (below)
                for (uint32_t i = 0; i < a->in; i++)
                    sum += row[i] * below[i];
            else
                for (uint32_t i = 0; i < a->in; i++)
                    sum += row[i] * x[i];
            int64_t acc = (int64_t)sum + a->bias[o];
            if (lie && lie->kind == ZK_LIE_WEIGHT && l == 0 && lie->at / a->in == o)
                acc += x[lie->at % a->in] | 1;
            if (lie && lie->kind == ZK_LIE_BIAS && l == last && lie->at == o) acc += 1 << a->s;
            ret->acc[plan->layer[l].off + o] = acc;
            cell_make(plan, l, o, lie, ret);
        }
    }
    for (uint32_t o = 0; o < net->layer[last].out; o++)
        ret->out[o] = (int8_t)ret->y[plan->layer[last].off + o];
    if (lie &&
        lie->kind ==
            ZK_LIE_BIT) { /* 2 in a slot and one less in the one above: the same weighted sum */
        zkml_f *low = &ret->bit[(size_t)(lie->at % plan->slots) * plan->cells +
                                lie->at / plan->slots % plan->cells];
        if (lie->at % plan->slots + 1 < plan->slots) {
            *low = zkml_f_add(*low, zkml_f_from(2));
            low[plan->cells] = zkml_f_sub(low[plan->cells], ZK_ONE);
        }
    }
}
