/* prove.c - the prover: commits to bits, pads and masks, answers the conversation, opens. */
#include "modules/zkml/prove.h"

#include "core/crypto/hash.h"
#include "modules/zkml/sum.h"
#include "modules/zkml/tree.h"
#include "modules/zkml/wire.h"

#include <stdlib.h>
#include <string.h>

struct prover {
    const struct zkml_secret *secret;
    const struct zkml_plan *plan;
    const struct zkml_lie *lie;
    struct qn_arena arena;
    struct zkml_witness wit;
    struct zkml_k *z; /* z_cells */
    zkml_f *coef;     /* (w_deg, ZK_P_ROWS): words of P as coefficients */
    uint8_t *leaves;
    struct qn_hash *nodes;
    struct zkml_sum sum; /* the running sumcheck */
    struct qn_buf said;
    uint32_t said_cnt;
};

static bool lies(const struct prover *v, enum zkml_lie_kind kind)
{
    return v->lie && v->lie->kind == kind;
}

static void *take(struct prover *v, size_t cnt, size_t size)
{
    void *r = qn_arena_alloc(&v->arena, cnt * size);
    QN_ASSERT(r);
    return r;
}

static struct zkml_k *take_k(struct prover *v, size_t cnt)
{
    return take(v, cnt, sizeof(struct zkml_k));
}

/* --- commitment --------------------------------------------------------------------------------------------------- */

static void put_k(zkml_f *row, struct zkml_k k)
{
    memcpy(row, k.c, sizeof k.c);
}

/* Pads are random; of each triple w and h are products, f and g random. Which pads a triple joins is known only as the
 * conversation goes, but it goes the same way for each plan: see pads_of. */
static void pads_of(const struct zkml_plan *p, uint32_t triple, uint32_t *ret_a, uint32_t *ret_b)
{
    uint32_t at = 0, l = 1;
    for (; l < p->shape.layer_cnt; l++, triple--) {
        at += 1 + 2 * p->layer[l].log_in;
        if (triple == 0) {
            *ret_a = at, *ret_b = at + 1;
            return;
        }
        at += 2;
    }
    at += 2 * p->log_cells;
    if (triple < 2) {
        *ret_a = at + 2 * triple, *ret_b = at + 1;
        return;
    }
    *ret_a = *ret_b = at + 3 + 2 * (p->log_slots + p->log_cells);
}

static void z_make(struct prover *v, struct zkml_rand *r)
{
    const struct zkml_plan *p = v->plan;
    v->z = take_k(v, p->z_cells);
    for (uint32_t i = 0; i < p->z_cells; i++)
        v->z[i] = zkml_rand_k(r);
    for (uint32_t t = 0; t < p->triple_cnt; t++) {
        struct zkml_k *w = v->z + p->pad_cnt + 4 * t;
        uint32_t a, b;
        pads_of(p, t, &a, &b);
        w[0] = zkml_k_mul(v->z[a], v->z[b]);
        w[3] = zkml_k_mul(w[1], w[2]);
        if (lies(v, ZK_LIE_TRIPLE) && v->lie->at == t) w[0] = zkml_k_add(w[0], zkml_k_one());
        if (lies(v, ZK_LIE_TRIPLE_H) && v->lie->at == t) w[3] = zkml_k_add(w[3], zkml_k_one());
    }
}

static void commit(struct prover *v, const uint8_t seed[32])
{
    const struct zkml_plan *p = v->plan;
    size_t n = (size_t)1 << p->log_n, leaf = ZK_SALT + 4 * ZK_P_ROWS;
    uint32_t deg = QN_MAX(p->w_deg, QN_MAX(p->a_deg, p->z_deg)), extra = deg + 1;
    struct zkml_rand r;
    zkml_rand_init(&r, seed, 2);
    z_make(v, &r);
    v->coef = calloc((size_t)extra * ZK_P_ROWS, sizeof *v->coef);
    v->leaves = malloc(n * leaf);
    v->nodes = malloc(2 * n * sizeof *v->nodes);
    zkml_f *m = calloc(n * ZK_P_ROWS, sizeof *m);
    QN_ASSERT(v->coef && v->leaves && v->nodes && m);
    for (uint32_t i = 0; i < deg; i++) {
        zkml_f *row = v->coef + (size_t)i * ZK_P_ROWS;
        if (i < p->w_deg) put_k(row + ZK_P_SW, zkml_rand_k(&r));
        for (uint32_t j = 0; i < p->a_deg && j < ZK_A_ROWS; j++) {
            uint32_t slot = i / p->cells * ZK_A_ROWS + j;
            if (i >= p->a_cols)
                row[ZK_P_A + j] = zkml_rand_f(&r);
            else if (slot < p->slots)
                row[ZK_P_A + j] = v->wit.bit[(size_t)slot * p->cells + i % p->cells];
        }
        if (i < p->a_deg) put_k(row + ZK_P_SA, zkml_rand_k(&r));
        if (i < p->z_deg) {
            put_k(row + ZK_P_Z, i < p->z_cells ? v->z[i] : zkml_rand_k(&r));
            put_k(row + ZK_P_SZ, zkml_rand_k(&r));
        }
    }
    if (lies(v, ZK_LIE_DEGREE)) {
        uint32_t j = v->lie->at % ZK_P_ROWS;
        uint32_t d = j < ZK_P_A ? p->w_deg : j < ZK_P_Z ? p->a_deg : p->z_deg;
        v->coef[(size_t)d * ZK_P_ROWS + j] = ZK_ONE;
    }
    memcpy(m, v->coef, (size_t)extra * ZK_P_ROWS * sizeof *m);
    zkml_encode(m, p->log_n, ZK_P_ROWS, lies(v, ZK_LIE_DEGREE) ? extra : deg);
    zkml_leaves(m, n, ZK_P_ROWS, seed, v->leaves);
    zkml_tree_build(v->leaves, leaf, p->log_n, v->nodes);
    free(m);
}

/* --- answers -------------------------------------------------------------------------------------------------------- */

static void sum_begin(struct prover *v, uint32_t n, uint32_t pair_cnt, const struct zkml_k *z)
{
    v->sum = (struct zkml_sum){ .n = n, .pair_cnt = pair_cnt, .z = z };
    v->sum.pair = take(v, pair_cnt, sizeof *v->sum.pair);
    if (z) v->sum.eq = take_k(v, (size_t)1 << (n ? n - 1 : 0));
}

static void round_answer(struct prover *v, const struct zkml_proto *p, struct zkml_k ret[2])
{
    if (p->round) zkml_sum_fold(&v->sum, p->round - 1, p->r[p->round - 1]);
    zkml_sum_round(&v->sum, p->round, &ret[0], &ret[1]);
}

static void last_fold(struct prover *v, const struct zkml_proto *p)
{
    if (v->sum.n) zkml_sum_fold(&v->sum, v->sum.n - 1, p->r[v->sum.n - 1]);
}

static struct zkml_k sum_answer(const struct prover *v, const struct zkml_proto *p)
{
    const struct int8_layer *a = &v->secret->net.layer[p->layer];
    struct zkml_k s = zkml_k_zero();
    for (uint32_t o = 0; o < a->out; o++)
        s = zkml_k_add(
            s, zkml_k_scale(p->zeta[p->layer][o],
                            zkml_f_int(v->wit.acc[v->plan->layer[p->layer].off + o] - a->bias[o])));
    return s;
}

static void product_begin(struct prover *v, const struct zkml_proto *p)
{
    const struct int8_layer *a = &v->secret->net.layer[p->layer];
    const struct zkml_plan_layer *below = &v->plan->layer[p->layer - 1];
    uint32_t n = v->plan->layer[p->layer].log_in;
    sum_begin(v, n, 1, NULL);
    struct zkml_pair *q = v->sum.pair;
    *q = (struct zkml_pair){ zkml_k_one(), take_k(v, (size_t)1 << n), take_k(v, (size_t)1 << n),
                             a->in };
    for (uint32_t o = 0; o < a->out; o++) {
        struct zkml_k zeta = p->zeta[p->layer][o], times[256];
        times[0] = zkml_k_zero(); /* times[i] = i zeta: weights are bytes */
        for (int i = 1; i < 128; i++) {
            times[i] = zkml_k_add(times[i - 1], zeta);
            times[256 - i] = zkml_k_neg(times[i]);
        }
        times[128] = zkml_k_sub(times[129], zeta);
        for (uint32_t i = 0; i < a->in; i++)
            q->a[i] = zkml_k_add(q->a[i], times[(uint8_t)a->w[(size_t)o * a->in + i]]);
    }
    for (uint32_t i = 0; i < a->in; i++)
        q->b[i] = zkml_k_f(zkml_f_int(v->wit.y[below->off + i]));
}

static void clamp_begin(struct prover *v, const struct zkml_proto *p)
{
    const struct zkml_plan *pl = v->plan;
    size_t n = (size_t)1 << pl->log_cells;
    sum_begin(v, pl->log_cells, 2, p->z);
    struct zkml_pair *q = v->sum.pair;
    q[0] = (struct zkml_pair){ zkml_k_one(), take_k(v, n), take_k(v, n), pl->cells };
    q[1] = (struct zkml_pair){ p->alpha, take_k(v, n), take_k(v, n), pl->cells };
    for (uint32_t l = 0; l < pl->shape.layer_cnt; l++)
        for (uint32_t o = 0; o < pl->shape.layer[l].out; o++) {
            uint32_t at = pl->layer[l].off + o;
            q[0].a[at] = zkml_k_f(zkml_f_int(v->wit.over[at]));
            q[0].b[at] = zkml_k_f(zkml_f_int(pl->layer[l].hi - v->wit.y[at]));
            q[1].a[at] = zkml_k_f(zkml_f_int(v->wit.under[at]));
            q[1].b[at] = zkml_k_f(zkml_f_int(v->wit.y[at] - pl->layer[l].lo));
        }
}

static void clamped(struct prover *v, const struct zkml_proto *p, struct zkml_k ret[3])
{
    const struct zkml_plan *pl = v->plan;
    struct zkml_k *eq = take_k(v, (size_t)1 << pl->log_cells);
    zkml_eq(p->r, pl->log_cells, eq);
    ret[0] = ret[1] = ret[2] = zkml_k_zero();
    for (uint32_t o = 0; o < pl->cells; o++) {
        ret[0] = zkml_k_add(ret[0], zkml_k_scale(eq[o], zkml_f_int(v->wit.over[o])));
        ret[1] = zkml_k_add(ret[1], zkml_k_scale(eq[o], zkml_f_int(v->wit.y[o])));
        ret[2] = zkml_k_add(ret[2], zkml_k_scale(eq[o], zkml_f_int(v->wit.under[o])));
    }
}

static void bits_begin(struct prover *v, const struct zkml_proto *p)
{
    const struct zkml_plan *pl = v->plan;
    uint32_t n = pl->log_slots + pl->log_cells;
    sum_begin(v, n, 1, p->z);
    v->sum.pair[0] = (struct zkml_pair){ zkml_k_one(), take_k(v, (size_t)1 << n), NULL,
                                         (size_t)pl->slots << pl->log_cells };
    for (uint32_t t = 0; t < pl->slots; t++)
        for (uint32_t o = 0; o < pl->cells; o++)
            v->sum.pair[0].a[((size_t)t << pl->log_cells) + o] =
                zkml_k_f(v->wit.bit[(size_t)t * pl->cells + o]);
}

/* <row j's cells under a term, b>: for the first layer's equation these are the sums that the network's run made. */
static struct zkml_k term_row(const struct prover *v, const struct zkml_term *t, uint32_t j)
{
    const struct zkml_plan *pl = v->plan;
    struct zkml_k s = zkml_k_zero();
    if (t->on_w && t->col < pl->layer[0].w_blks * (pl->shape.layer[0].in + 1)) {
        uint32_t o = t->col / (pl->shape.layer[0].in + 1) * pl->m + j;
        return o < pl->shape.layer[0].out ? zkml_k_f(zkml_f_int(v->wit.acc[o])) : s;
    }
    const zkml_f *row = t->on_w ? v->secret->coef + (size_t)t->col * pl->m + j
                                : v->coef + (size_t)t->col * ZK_P_ROWS + ZK_P_A + j;
    size_t step = t->on_w ? pl->m : ZK_P_ROWS;
    for (uint32_t i = 0; i < t->len; i++, row += step) {
        if (*row == ZK_ONE)
            s = zkml_k_add(s, t->b[i]);
        else if (*row)
            s = zkml_k_add(s, zkml_k_scale(t->b[i], *row));
    }
    return s;
}

static void rows_begin(struct prover *v, const struct zkml_proto *p)
{
    const struct zkml_plan *pl = v->plan;
    struct zkml_k power = zkml_k_one();
    uint32_t claim = 0;
    sum_begin(v, pl->log_m, p->term_cnt, NULL);
    for (uint32_t i = 0; i < p->term_cnt; i++) {
        const struct zkml_term *t = &p->term[i];
        struct zkml_pair *q = &v->sum.pair[i];
        uint32_t n = t->on_w ? pl->m : ZK_A_ROWS;
        for (; claim < t->claim; claim++)
            power = zkml_k_mul(power, p->gamma);
        *q = (struct zkml_pair){ power, take_k(v, pl->m), take_k(v, pl->m), n };
        memcpy(q->a, t->a, n * sizeof *q->a);
        for (uint32_t j = 0; j < n; j++)
            q->b[j] = term_row(v, t, j);
    }
}

static void triple_answer(const struct prover *v, const struct zkml_proto *p, struct zkml_k ret[2])
{
    const struct zkml_triple *t = &p->triple[p->round];
    ret[0] = zkml_k_sub(zkml_k_mul(p->e, v->z[t->a]), v->z[t->w + 1]);
    ret[1] = zkml_k_sub(v->z[t->b], v->z[t->w + 2]);
}

static void answer(struct prover *v, const struct zkml_proto *p, enum zkml_step step,
                   struct zkml_k *ret)
{
    switch (step) {
    case ZK_STEP_SUM: ret[0] = sum_answer(v, p); return;
    case ZK_STEP_PRODUCT:
        if (p->round == 0) product_begin(v, p);
        round_answer(v, p, ret);
        return;
    case ZK_STEP_FACTORS:
        if (v->plan->layer[p->layer].log_in == 0) product_begin(v, p);
        last_fold(v, p);
        ret[0] = v->sum.pair[0].a[0];
        ret[1] = v->sum.pair[0].b[0];
        return;
    case ZK_STEP_CLAMP:
        if (p->round == 0) clamp_begin(v, p);
        round_answer(v, p, ret);
        return;
    case ZK_STEP_CLAMPED: clamped(v, p, ret); return;
    case ZK_STEP_BITS:
        if (p->round == 0) bits_begin(v, p);
        round_answer(v, p, ret);
        return;
    case ZK_STEP_BIT:
        last_fold(v, p);
        ret[0] = v->sum.pair[0].a[0];
        return;
    case ZK_STEP_TRIPLE: triple_answer(v, p, ret); return;
    case ZK_STEP_ROWS:
        if (p->round == 0) rows_begin(v, p);
        round_answer(v, p, ret);
        return;
    }
    QN_BUG("zkml_step out of range");
}

static qn_rc say(void *self, struct zkml_proto *p, enum zkml_step step, struct zkml_k *ret,
                 size_t cnt)
{
    struct prover *v = self;
    answer(v, p, step, ret);
    for (size_t i = 0; i < cnt; i++) {
        uint8_t bytes[20];
        if (step != ZK_STEP_TRIPLE) ret[i] = zkml_k_add(ret[i], v->z[p->pad_at + i]);
        if (lies(v, ZK_LIE_SCALAR) && v->lie->at == v->said_cnt)
            ret[i] = zkml_k_add(ret[i], zkml_k_one());
        zkml_k_put(ret[i], bytes);
        qn_buf_put(&v->said, bytes, sizeof bytes);
        v->said_cnt++;
    }
    return QN_OK;
}

/* --- the end ---------------------------------------------------------------------------------------------------------- */

static struct zkml_k mask_dot(const struct prover *v, uint32_t lane, const struct zkml_k *cov,
                              size_t cnt)
{
    struct zkml_k s = zkml_k_zero(), m;
    for (size_t i = 0; i < cnt; i++) {
        memcpy(m.c, v->coef + i * ZK_P_ROWS + lane, sizeof m.c);
        s = zkml_k_add(s, zkml_k_mul(m, cov[i]));
    }
    return s;
}

static void planes_put(struct qn_buf *out, const zkml_f *planes, size_t n)
{
    uint8_t *dst = qn_buf_grow(out, 4 * n);
    for (size_t i = 0; i < n; i++)
        zkml_f_put(planes[i], dst + 4 * i);
}

/* mask + e (sum over lanes of weight times word), as planes. */
static void vector_put(struct prover *v, struct qn_buf *out, uint32_t mask, size_t deg,
                       struct zkml_k e, const zkml_f *words, size_t step,
                       const struct zkml_k *weight, uint32_t cnt)
{
    zkml_f *u = take(v, ZK_DEG * deg, sizeof *u), *word = take(v, deg, sizeof *word);
    for (size_t d = 0; d < ZK_DEG; d++)
        for (size_t i = 0; i < deg; i++)
            u[d * deg + i] = v->coef[i * ZK_P_ROWS + mask + d];
    for (uint32_t j = 0; j < cnt; j++) {
        struct zkml_k c = zkml_k_mul(e, weight[j]);
        for (size_t i = 0; i < deg; i++)
            word[i] = words[i * step + j];
        for (size_t d = 0; d < ZK_DEG; d++)
            zkml_axpy(u + d * deg, c.c[d], word, deg);
    }
    planes_put(out, u, ZK_DEG * deg);
}

static void ends_put(struct prover *v, struct zkml_proto *p, struct qn_buf *end)
{
    const struct zkml_plan *pl = v->plan;
    struct zkml_k e, tau = zkml_k_add(mask_dot(v, ZK_P_SW, p->w_cov, pl->w_cols),
                                      mask_dot(v, ZK_P_SA, p->a_cov, pl->a_cols));
    tau = zkml_k_sub(tau, mask_dot(v, ZK_P_SZ, p->end.coef, pl->z_cells));
    uint8_t bytes[20];
    if (lies(v, ZK_LIE_TAU)) tau = zkml_k_add(tau, zkml_k_one());
    zkml_k_put(tau, bytes);
    qn_buf_put(end, bytes, sizeof bytes);
    if (lies(v, ZK_LIE_ABSORB) && v->lie->at == 1) memset(bytes, 0, sizeof bytes);
    zkml_proto_tau(p, bytes, &e);
    vector_put(v, end, ZK_P_SW, pl->w_deg, e, v->secret->coef, pl->m, p->row_eq, pl->m);
    vector_put(v, end, ZK_P_SA, pl->a_deg, e, v->coef + ZK_P_A, ZK_P_ROWS, p->row_eq, ZK_A_ROWS);
    struct zkml_k unit[ZK_DEG]; /* z is one word over K: its planes are lanes times X^d */
    for (int d = 0; d < ZK_DEG; d++)
        unit[d] = zkml_k_zero(), unit[d].c[d] = ZK_ONE;
    vector_put(v, end, ZK_P_SZ, pl->z_deg, e, v->coef + ZK_P_Z, ZK_P_ROWS, unit, ZK_DEG);
    if (lies(v, ZK_LIE_FIT)) { /* a random coefficient: no claim looks at it */
        zkml_f one;
        uint8_t *at = end->ptr + 20 + 4 * pl->w_cols;
        if (zkml_f_get(at, &one)) zkml_f_put(zkml_f_add(one, ZK_ONE), at);
    }
    if (lies(v, ZK_LIE_END)) {
        zkml_f one;
        uint8_t *at = end->ptr + 20 + 4 * (v->lie->at % ((end->len - 20) / 4));
        if (zkml_f_get(at, &one)) zkml_f_put(zkml_f_add(one, ZK_ONE), at);
    }
    bool drop = lies(v, ZK_LIE_ABSORB) && v->lie->at == 2;
    zkml_proto_ends(p, drop ? QN_SPAN(NULL, 0) : QN_SPAN(end->ptr + 20, end->len - 20));
}

static void open_put(const uint8_t *leaves, const struct qn_hash *nodes, size_t len, unsigned log_n,
                     const uint32_t *rows, size_t cnt, const uint32_t *swap, struct qn_buf *out)
{
    for (size_t i = 0; i < cnt; i++)
        qn_buf_put(out, leaves + (size_t)(swap && *swap % cnt == i ? rows[i] ^ 1 : rows[i]) * len,
                   len);
    zkml_tree_open(nodes, log_n, rows, cnt, out);
}

static void fit_rows(struct prover *v, const uint32_t *rows, size_t cnt)
{
    for (size_t i = 0; i < cnt; i++) {
        zkml_f mask;
        uint8_t *at =
            v->leaves + (size_t)rows[i] * (ZK_SALT + 4 * ZK_P_ROWS) + ZK_SALT + 4 * ZK_P_SW;
        zkml_f x = zkml_f_pow(zkml_point(v->plan->log_n, rows[i]), v->plan->w_cols);
        if (zkml_f_get(at, &mask)) zkml_f_put(zkml_f_add(mask, x), at);
    }
}

qn_rc zkml_prove(const struct zkml_prove_in *in, const struct zkml_lie *lie, struct qn_buf *out,
                 int8_t *ret_y, struct qn_why *why)
{
    const struct zkml_secret *s = in->secret;
    const struct zkml_plan *pl = &s->plan;
    struct prover v = { .secret = s, .plan = pl, .lie = lie };
    struct qn_buf statement = { 0 }, end = { 0 }, open = { 0 };
    uint8_t roots[64];
    uint32_t rows[ZK_QUERIES_MAX];
    struct zkml_proto *p = malloc(sizeof *p);
    QN_ASSERT(p);
    zkml_witness_make(pl, &s->net, in->x, lie, &v.arena, &v.wit);
    commit(&v, in->seed);
    struct zkml_statement st = { .shape = pl->shape,
                                 .budget = pl->budget,
                                 .root_w = s->root,
                                 .chain = in->chain,
                                 .job = in->job,
                                 .prover = in->prover,
                                 .height_from = in->height_from,
                                 .height_to = in->height_to,
                                 .x = v.wit.x,
                                 .y = v.wit.out };
    if (lies(&v, ZK_LIE_MODEL)) st.root_w.b[lie->at % 32] ^= 1;
    if (lies(&v, ZK_LIE_INPUT)) v.wit.x[lie->at % pl->shape.layer[0].in] ^= 1;
    zkml_statement_put(&st, &statement);
    memcpy(roots, st.root_w.b, 32);
    memcpy(roots + 32, v.nodes[1].b, 32);
    bool drop = lies(&v, ZK_LIE_ABSORB);
    if (drop && lie->at == 3) v.wit.x[0] ^= 1;
    const struct zkml_source src = { &v, say };
    qn_rc rc = zkml_proto_begin(p, pl, &st, &src);
    if (drop && lie->at == 3) v.wit.x[0] ^= 1;
    zkml_proto_root(p, drop && lie->at == 0 ? &st.job : &v.nodes[1]);
    if (rc == QN_OK) rc = zkml_proto_run(p);
    if (rc == QN_OK) {
        ends_put(&v, p, &end);
        uint64_t nonce = zkml_fs_grind(&p->fs, pl->grind);
        if (lies(&v, ZK_LIE_NONCE)) nonce++;
        size_t cnt = zkml_proto_rows(p, nonce, rows);
        if (lies(&v, ZK_LIE_FIT)) fit_rows(&v, rows, cnt);
        open_put(s->leaves, s->nodes, ZK_SALT + 4 * pl->m, pl->log_n, rows, cnt,
                 lies(&v, ZK_LIE_LEAF_W) ? &lie->at : NULL, &open);
        open_put(v.leaves, v.nodes, ZK_SALT + 4 * ZK_P_ROWS, pl->log_n, rows, cnt,
                 lies(&v, ZK_LIE_LEAF) ? &lie->at : NULL, &open);
        const struct zkml_file file = { { qn_buf_get(&statement), QN_SPAN(roots, 64),
                                          qn_buf_get(&v.said), QN_SPAN(&nonce, 8),
                                          qn_buf_get(&open), qn_buf_get(&end) } };
        zkml_file_join(&file, out);
        if (ret_y) memcpy(ret_y, v.wit.out, pl->shape.layer[pl->shape.layer_cnt - 1].out);
    } else {
        rc = qn_why(why, rc, "the conversation failed; try again with another seed");
    }
    zkml_proto_fini(p);
    free(p);
    explicit_bzero(v.coef,
                   (size_t)(QN_MAX(pl->w_deg, QN_MAX(pl->a_deg, pl->z_deg)) + 1) * ZK_P_ROWS * 4);
    free(v.coef);
    free(v.leaves);
    free(v.nodes);
    qn_arena_free(&v.arena);
    qn_buf_free(&statement);
    qn_buf_free(&end);
    qn_buf_free(&open);
    qn_buf_free(&v.said);
    return rc;
}
