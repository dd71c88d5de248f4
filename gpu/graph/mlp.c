/* mlp.c - forward, backward and update of a perceptron, node by node. */
#include "gpu/graph/mlp.h"

#include "gpu/graph/build.h"

#include <stdio.h>

#define ONE  0x3f800000u
#define PROG 256

struct mlp {
    const struct graph_mlp *o;
    struct graph_build b;
    uint32_t w[MLP_LAYER_MAX], bias[MLP_LAYER_MAX];
    uint32_t h[MLP_LAYER_MAX + 1]; /* inputs of the layers; h[layer_cnt] are the logits */
    uint32_t label;
    uint32_t dw[MLP_LAYER_MAX], db[MLP_LAYER_MAX];
    uint32_t lr, c1, c2;
    struct graph_next next[6 * MLP_LAYER_MAX + 2];
    uint32_t mom[2][2 * MLP_LAYER_MAX]; /* states m, v of w0 b0 w1 b1 .. */
    uint32_t pow[2];                    /* states b1t, b2t */
};

struct graph_mlp graph_mlp_default(uint32_t steps)
{
    return (struct graph_mlp){ .layer_cnt = 2,
                               .dims = { 784, 128, 10 },
                               .batch = 64,
                               .pixel_off = 0,
                               .label_off = 784,
                               .arith = CONTRACT_T12,
                               .opt = MLP_ADAM,
                               .lr = graph_bits_ratio(2, 1000),
                               .b1 = graph_bits_ratio(9, 10),
                               .b2 = graph_bits_ratio(999, 1000),
                               .eps = graph_bits_ratio(1, 100000000),
                               .decay_steps = steps };
}

static const char *name(struct mlp *m, const char *prefix, uint32_t i)
{
    char text[24];
    int n = snprintf(text, sizeof text, "%s%u", prefix, i);
    QN_ASSERT(n > 0 && (size_t)n < sizeof text);
    const char *s = qn_arena_copy(m->b.arena, text, (size_t)n);
    QN_ASSERT(s);
    return s;
}

/* m, v by one letter; SGD has m alone. */
static void add_states(struct mlp *m)
{
    const struct graph_mlp *o = m->o;
    for (uint32_t l = 0; l < o->layer_cnt; l++) {
        uint32_t bound = graph_bits_sqrt(graph_bits_ratio(6, o->dims[l] + o->dims[l + 1]));
        m->w[l] = graph_add_state(&m->b, o->dims[l], o->dims[l + 1], name(m, "w", l), STATE_UNIFORM,
                                  bound);
        m->bias[l] = graph_add_state(&m->b, 1, o->dims[l + 1], name(m, "b", l), STATE_FILL, 0);
    }
    static const char *const prefix[2][2] = { { "m.w", "m.b" }, { "v.w", "v.b" } };
    for (uint32_t i = 0; i < 2 * o->layer_cnt; i++)
        for (uint32_t k = 0; k < (o->opt == MLP_ADAM ? 2u : 1u); k++)
            m->mom[k][i] = graph_add_state(&m->b, i % 2 ? 1 : o->dims[i / 2], o->dims[i / 2 + 1],
                                           name(m, prefix[k][i % 2], i / 2), STATE_FILL, 0);
    if (o->opt != MLP_ADAM) return;
    m->pow[0] = graph_add_state(&m->b, 1, 1, "b1t", STATE_FILL, ONE);
    m->pow[1] = graph_add_state(&m->b, 1, 1, "b2t", STATE_FILL, ONE);
}

static void add_forward(struct mlp *m)
{
    const struct graph_mlp *o = m->o;
    struct graph_build *b = &m->b;
    uint32_t px = graph_add_input(b, o->batch, o->dims[0], o->pixel_off);
    m->label = graph_add_input(b, o->batch, 1, o->label_off);
    m->h[0] = graph_add_map(b, &px, 1, "const 3b800000; mul a 1"); /* 2^-8 */
    for (uint32_t l = 0; l < o->layer_cnt; l++) {
        uint32_t z = graph_add_contract(b, m->h[l], m->w[l], o->arith);
        bool hidden = l + 1 < o->layer_cnt;
        m->h[l + 1] = graph_add_map(b, (uint32_t[]){ z, m->bias[l] }, 2,
                                    hidden ? "add a b; const 0; max 2 3" : "add a b");
    }
}

/* Loss and the gradient of the logits. */
static uint32_t add_loss(struct mlp *m)
{
    struct graph_build *b = &m->b;
    char prog[PROG];
    uint32_t z = m->h[m->o->layer_cnt], top = graph_add_rowmax(b, z);
    uint32_t p = graph_add_map(b, (uint32_t[]){ z, top }, 2, "sub a b; exp 2");
    uint32_t sum = graph_add_rowsum(b, p);
    uint32_t hit = graph_add_map(b, (uint32_t[]){ z, m->label }, 2,
                                 "col; eq 2 b; const 0; sel 3 a 4"); /* z at the label, else 0 */
    uint32_t zl = graph_add_rowsum(b, hit);
    uint32_t row = graph_add_map(b, (uint32_t[]){ sum, top, zl }, 3, "log a; add 3 b; sub 4 c");
    uint32_t mean = graph_add_const(b, 1, m->o->batch, graph_bits_ratio(1, m->o->batch));
    b->g.loss = graph_add_contract(b, mean, row, CONTRACT_C32);
    snprintf(prog, sizeof prog, "div a b; col; eq 4 c; sub 3 5; const %08x; mul 6 7",
             graph_bits_ratio(1, m->o->batch));
    return graph_add_map(b, (uint32_t[]){ p, sum, m->label }, 3, prog);
}

static void add_backward(struct mlp *m, uint32_t dz)
{
    struct graph_build *b = &m->b;
    uint8_t arith = m->o->arith;
    uint32_t ones = graph_add_const(b, 1, m->o->batch, ONE);
    for (uint32_t l = m->o->layer_cnt; l-- > 0;) {
        m->dw[l] = graph_add_contract(b, m->h[l], dz, (uint8_t)(arith | CONTRACT_TA));
        m->db[l] = graph_add_contract(b, ones, dz, CONTRACT_C32);
        if (l == 0) break;
        uint32_t dh = graph_add_contract(b, dz, m->w[l], (uint8_t)(arith | CONTRACT_TB));
        dz = graph_add_map(b, (uint32_t[]){ m->h[l], dh }, 2, "const 0; sel a b 2");
    }
    b->g.wgrad = m->dw[0];
}

/* Sum of squares: rows, then their sum as a contraction with ones. */
static void add_gnorm(struct mlp *m)
{
    struct graph_build *b = &m->b;
    uint32_t sum = graph_add_const(b, 1, 1, 0);
    for (uint32_t i = 0; i < 2 * m->o->layer_cnt; i++) {
        uint32_t g = i % 2 ? m->db[i / 2] : m->dw[i / 2];
        uint32_t sq = graph_add_map(b, &g, 1, "mul a a");
        uint32_t rows = graph_add_rowsum(b, sq), cnt = b->g.node.ptr[rows].rows;
        if (cnt > 1) rows = graph_add_rowsum(b, graph_add_transpose(b, rows));
        sum = graph_add_map(b, (uint32_t[]){ sum, rows }, 2, "add a b");
    }
    b->g.gnorm = graph_add_map(b, &sum, 1, "sqrt a");
}

static void add_scalars(struct mlp *m)
{
    const struct graph_mlp *o = m->o;
    struct graph_build *b = &m->b;
    char prog[PROG];
    uint32_t step = graph_add_step(b);
    snprintf(prog, sizeof prog,
             "const %08x; mul a 1; const 3f800000; sub 3 2; const 0; max 4 5; const %08x; mul 6 7",
             o->decay_steps ? graph_bits_ratio(1, o->decay_steps) : 0, o->lr);
    m->lr = graph_add_map(b, &step, 1, prog);
    if (o->opt != MLP_ADAM) return;
    for (uint32_t k = 0; k < 2; k++) {
        snprintf(prog, sizeof prog, "const %08x; mul a 1", k ? o->b2 : o->b1);
        uint32_t now = graph_add_map(b, &m->pow[k], 1, prog);
        m->next[4 * o->layer_cnt + 2 * o->layer_cnt + k] = (struct graph_next){ m->pow[k], now };
        *(k ? &m->c2 : &m->c1) = graph_add_map(b, &now, 1, "const 3f800000; sub 1 a; div 1 2");
    }
}

static uint32_t one_minus(uint32_t bits)
{
    /* 1 - b as the referee would compute it, at build time, once. */
    return graph_bits_sub(ONE, bits);
}

static void add_update(struct mlp *m)
{
    const struct graph_mlp *o = m->o;
    struct graph_build *b = &m->b;
    char prog[PROG];
    uint32_t per = o->opt == MLP_ADAM ? 2 : 1, cnt = 2 * o->layer_cnt;
    for (uint32_t i = 0; i < cnt; i++) {
        uint32_t w = i % 2 ? m->bias[i / 2] : m->w[i / 2], g = i % 2 ? m->db[i / 2] : m->dw[i / 2],
                 now[3];
        if (o->opt == MLP_ADAM) {
            snprintf(prog, sizeof prog, "const %08x; mul a 2; const %08x; mul b 4; add 3 5", o->b1,
                     one_minus(o->b1));
            now[1] = graph_add_map(b, (uint32_t[]){ m->mom[0][i], g }, 2, prog);
            snprintf(prog, sizeof prog,
                     "const %08x; mul a 2; const %08x; mul b 4; mul 5 b; add 3 6", o->b2,
                     one_minus(o->b2));
            now[2] = graph_add_map(b, (uint32_t[]){ m->mom[1][i], g }, 2, prog);
            /* w m v c1 c2 lr */
            snprintf(prog, sizeof prog,
                     "mul b d; mul c e; sqrt 7; const %08x; add 8 9; div 6 10; const %08x; mul a "
                     "12; add 11 13; mul f 14; sub a 15",
                     o->eps, o->wd);
            now[0] =
                graph_add_map(b, (uint32_t[]){ w, now[1], now[2], m->c1, m->c2, m->lr }, 6, prog);
        } else {
            snprintf(prog, sizeof prog, "const %08x; mul a 2; add 3 b", o->b1);
            now[1] = graph_add_map(b, (uint32_t[]){ m->mom[0][i], g }, 2, prog);
            snprintf(prog, sizeof prog, "const %08x; mul a 3; add b 4; mul c 5; sub a 6", o->wd);
            now[0] = graph_add_map(b, (uint32_t[]){ w, now[1], m->lr }, 3, prog);
        }
        m->next[i] = (struct graph_next){ w, now[0] };
        for (uint32_t k = 0; k < per; k++)
            m->next[cnt + i * per + k] = (struct graph_next){ m->mom[k][i], now[1 + k] };
    }
    uint32_t total = cnt + cnt * per + (o->opt == MLP_ADAM ? 2 : 0);
    for (uint32_t i = 0; i < total; i++)
        graph_add_next(b, m->next[i].state, m->next[i].node);
}

qn_rc graph_mlp(const struct graph_mlp *o, struct qn_arena *arena, struct graph *ret,
                struct qn_why *why)
{
    if (o->layer_cnt == 0 || o->layer_cnt > MLP_LAYER_MAX || o->batch == 0 || o->batch > 4096 ||
        o->opt > MLP_SGD || o->arith > CONTRACT_T12)
        return qn_why(why, QN_E_RANGE, "mlp: layers, batch, optimizer or arithmetic out of range");
    for (uint32_t l = 0; l <= o->layer_cnt; l++)
        if (o->dims[l] == 0 || o->dims[l] > 65536)
            return qn_why(why, QN_E_RANGE, "mlp: dimension %u", o->dims[l]);
    struct mlp m = { .o = o };
    graph_build_begin(&m.b, arena);
    add_states(&m);
    add_forward(&m);
    uint32_t dz = add_loss(&m);
    add_backward(&m, dz);
    add_gnorm(&m);
    add_scalars(&m);
    add_update(&m);
    m.b.g.logits = m.h[o->layer_cnt];
    *ret = m.b.g;
    return graph_check(ret, why);
}
