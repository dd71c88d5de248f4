/* proto.c - the conversation, step by step. */
#include "modules/zkml/proto.h"

#include "modules/zkml/wire.h"

#include <string.h>

#define ARENA_MAX (8u << 20)

enum label {
    L_PLAN = 1,
    L_STATEMENT,
    L_ROOT_P,
    L_ZETA,
    L_SCALARS = 16, /* + step */
    L_ROUND = 32,
    L_POINT,
    L_TRIPLE,
    L_BATCH,
    L_TAU,
    L_MASK,
    L_ENDS,
    L_NONCE,
    L_ROWS,
};

#define TRY(expr)                                                                                  \
    do {                                                                                           \
        qn_rc rc_ = (expr);                                                                        \
        if (rc_) return rc_;                                                                       \
    } while (0)

/* --- small parts ------------------------------------------------------------------------------------------------- */

static void *take(struct zkml_proto *p, size_t cnt, size_t size)
{
    void *r = qn_arena_alloc(&p->arena, cnt * size);
    QN_ASSERT(r); /* sizes come from the plan, whose limits keep them far below */
    return r;
}

static struct zkml_k *take_k(struct zkml_proto *p, size_t cnt)
{
    return take(p, cnt, sizeof(struct zkml_k));
}

static struct zkml_k *eq_table(struct zkml_proto *p, const struct zkml_k *z, unsigned n)
{
    struct zkml_k *r = take_k(p, (size_t)1 << n);
    zkml_eq(z, n, r);
    return r;
}

static struct zkml_k sum_of(const struct zkml_k *v, size_t n)
{
    struct zkml_k s = zkml_k_zero();
    for (size_t i = 0; i < n; i++)
        s = zkml_k_add(s, v[i]);
    return s;
}

static uint32_t log_ceil(uint32_t n)
{
    return n <= 1 ? 0 : 32u - (uint32_t)__builtin_clz(n - 1);
}

static struct zkml_claim *claim_new(struct zkml_proto *p)
{
    QN_ASSERT(p->claim_cnt < ZK_CLAIMS_MAX);
    struct zkml_claim *c = &p->claim[p->claim_cnt++];
    *c = (struct zkml_claim){ .coef = take_k(p, p->plan->z_cells) };
    return c;
}

static void coef_add(struct zkml_claim *c, uint32_t pad, struct zkml_k v)
{
    c->coef[pad] = zkml_k_add(c->coef[pad], v);
}

/* Adds k times the hidden scalar said as `said` under pad `at` to the left side of c. */
static void side_add(struct zkml_claim *c, struct zkml_k k, struct zkml_k said, uint32_t at)
{
    c->pub = zkml_k_sub(c->pub, zkml_k_mul(k, said));
    coef_add(c, at, zkml_k_neg(k));
}

/* Adds k times the product of two hidden scalars; w is the product of their pads. */
static void product_add(struct zkml_claim *c, struct zkml_k k, struct zkml_k said_a,
                        struct zkml_k said_b, const struct zkml_triple *t)
{
    c->pub = zkml_k_sub(c->pub, zkml_k_mul(k, zkml_k_mul(said_a, said_b)));
    coef_add(c, t->b, zkml_k_neg(zkml_k_mul(k, said_a)));
    coef_add(c, t->a, zkml_k_neg(zkml_k_mul(k, said_b)));
    coef_add(c, t->w, k);
}

static const struct zkml_triple *triple_new(struct zkml_proto *p, uint32_t a, uint32_t b)
{
    struct zkml_triple *t = &p->triple[p->triple_cnt];
    *t = (struct zkml_triple){ a, b, p->plan->pad_cnt + 4 * p->triple_cnt };
    p->triple_cnt++;
    QN_ASSERT(p->triple_cnt <= p->plan->triple_cnt);
    return t;
}

static void term_add(struct zkml_proto *p, bool on_w, uint32_t col, uint32_t len,
                     const struct zkml_k *a, const struct zkml_k *b)
{
    QN_ASSERT(p->term_cnt < ZK_TERMS_MAX && p->claim_cnt > 0);
    p->term[p->term_cnt++] = (struct zkml_term){ p->claim_cnt - 1, on_w, col, len, a, b };
}

/* Adds sum_o b[o] sum_t weight[t] bit(t, off + o) over cnt neurons to the newest claim. */
static void slots_add(struct zkml_proto *p, const struct zkml_k *weight, uint32_t off, uint32_t cnt,
                      const struct zkml_k *b)
{
    const struct zkml_plan *pl = p->plan;
    for (uint32_t g = 0; g < pl->groups; g++) {
        struct zkml_k *a = take_k(p, ZK_A_ROWS);
        bool any = false;
        for (uint32_t i = 0; i < ZK_A_ROWS && g * ZK_A_ROWS + i < pl->slots; i++) {
            a[i] = weight[g * ZK_A_ROWS + i];
            any |= !zkml_k_is_zero(a[i]);
        }
        if (any) term_add(p, false, g * pl->cells + off, cnt, a, b);
    }
}

/* weight[from + i] += k 2^i */
static void weigh(struct zkml_k *weight, uint32_t from, uint32_t cnt, int64_t k)
{
    for (uint32_t i = 0; i < cnt; i++)
        weight[from + i] = zkml_k_f(zkml_f_int(k * ((int64_t)1 << i)));
}

/* --- messages ---------------------------------------------------------------------------------------------------- */

static qn_rc hear(struct zkml_proto *p, enum zkml_step step, struct zkml_k *ret, size_t cnt)
{
    uint8_t bytes[3 * 20];
    QN_ASSERT(cnt <= 3);
    TRY(p->src.scalars(p->src.self, p, step, ret, cnt));
    for (size_t i = 0; i < cnt; i++)
        zkml_k_put(ret[i], bytes + 20 * i);
    zkml_fs_absorb(&p->fs, (uint8_t)(L_SCALARS + step), ZK_FS_SCALAR, bytes, 20 * cnt);
    return QN_OK;
}

static qn_rc hear_padded(struct zkml_proto *p, enum zkml_step step, struct zkml_k *ret, size_t cnt,
                         uint32_t *ret_pad)
{
    TRY(hear(p, step, ret, cnt));
    *ret_pad = p->pad_at;
    p->pad_at += (uint32_t)cnt;
    QN_ASSERT(p->pad_at <= p->plan->pad_cnt);
    return QN_OK;
}

/* A sumcheck of degree 2 a variable on form c (read as: the sum is c->pub + <c->coef, z>), with eq(p->z, .) when eq.
 * h(1) follows from a h(0) + b h(1) = c with (a, b) = (1 - z, z) or (1, 1); then c becomes h(r). */
static qn_rc rounds(struct zkml_proto *p, enum zkml_step step, uint32_t n, bool eq,
                    struct zkml_claim *c)
{
    for (p->round = 0; p->round < n; p->round++) {
        struct zkml_k said[2], a = zkml_k_one(), inv_b = zkml_k_one();
        uint32_t pad;
        if (eq) {
            if (zkml_k_is_zero(p->z[p->round])) return QN_E_PROOF;
            a = zkml_k_sub(zkml_k_one(), p->z[p->round]);
            inv_b = zkml_k_inv(p->z[p->round]);
        }
        TRY(hear_padded(p, step, said, 2, &pad));
        zkml_fs_squeeze(&p->fs, L_ROUND, &p->r[p->round], 1);
        struct zkml_k r = p->r[p->round], rb = zkml_k_mul(r, inv_b);
        struct zkml_k w0 = zkml_k_sub(zkml_k_sub(zkml_k_one(), r), zkml_k_mul(a, rb));
        struct zkml_k w2 = zkml_k_mul(r, zkml_k_sub(r, zkml_k_one()));
        c->pub = zkml_k_add(zkml_k_mul(c->pub, rb),
                            zkml_k_add(zkml_k_mul(w0, said[0]), zkml_k_mul(w2, said[1])));
        for (uint32_t i = 0; i < p->plan->z_cells; i++)
            if (!zkml_k_is_zero(c->coef[i])) c->coef[i] = zkml_k_mul(c->coef[i], rb);
        coef_add(c, pad, zkml_k_neg(w0));
        coef_add(c, pad + 1, zkml_k_neg(w2));
    }
    return QN_OK;
}

/* Turns a form (value = pub + <coef, z>) into the left side of a claim: <coef, z> = -pub. */
static void form_to_claim(struct zkml_claim *c)
{
    c->pub = zkml_k_neg(c->pub);
}

/* --- the layers -------------------------------------------------------------------------------------------------- */

/* What a neuron's output adds that is not in its bits: the public output, or the low end of the clamp. */
static int64_t fixed_part(const struct zkml_proto *p, uint32_t l, uint32_t o)
{
    return l + 1 == p->plan->shape.layer_cnt ? p->st->y[o] : p->plan->layer[l].lo;
}

/* m acc + 2^(s-1) = 2^s (y + over - under) + r for all neurons of a layer, weighed by eq(zeta, .). In the first layer
 * acc is linear in W, as the input is public; above, it is a bias and a hidden sum. */
static void equation(struct zkml_proto *p, uint32_t l, const struct zkml_k *sum, uint32_t sum_pad)
{
    const struct zkml_plan *pl = p->plan;
    const struct zkml_layer_shape *s = &pl->shape.layer[l];
    const struct zkml_plan_layer *a = &pl->layer[l];
    struct zkml_k *zeta = p->zeta[l], *weight = take_k(p, pl->slots), *in = take_k(p, s->in + 1);
    struct zkml_claim *c = claim_new(p);
    zkml_f m = zkml_f_int(s->m);
    int64_t unit = (int64_t)1 << s->s;
    for (uint32_t o = 0; o < s->out; o++)
        c->pub = zkml_k_add(
            c->pub, zkml_k_scale(zeta[o], zkml_f_int(unit * fixed_part(p, l, o) - unit / 2)));
    if (sum) side_add(c, zkml_k_f(m), *sum, sum_pad);
    weigh(weight, 0, s->s, -1);
    weigh(weight, s->s, a->y_bits, -unit);
    weigh(weight, zkml_slot_over(pl, l), a->k, -unit);
    weigh(weight, zkml_slot_under(pl, l), a->k, unit);
    slots_add(p, weight, a->off, s->out, zeta);
    for (uint32_t i = 0; i < s->in && l == 0; i++)
        in[i] = zkml_k_f(zkml_f_int(p->st->x[i]));
    in[s->in] = zkml_k_one();
    for (uint32_t blk = 0; blk < a->w_blks; blk++) {
        struct zkml_k *rows = take_k(p, pl->m);
        uint32_t col = a->w_off + blk * (s->in + 1);
        for (uint32_t j = 0; j < pl->m && blk * pl->m + j < s->out; j++)
            rows[j] = zkml_k_scale(zeta[blk * pl->m + j], m);
        if (l == 0)
            term_add(p, true, col, s->in + 1, rows, in);
        else
            term_add(p, true, col + s->in, 1, rows, in + s->in);
    }
}

/* The hidden sum S = sum_i (sum_o eq(zeta, o) W[o][i]) y[i], y the layer below's outputs: a sumcheck over i. */
static qn_rc product(struct zkml_proto *p, uint32_t l)
{
    const struct zkml_plan *pl = p->plan;
    const struct zkml_layer_shape *s = &pl->shape.layer[l];
    const struct zkml_plan_layer *a = &pl->layer[l], *below = &pl->layer[l - 1];
    struct zkml_k sum, said[2], *weight = take_k(p, pl->slots);
    uint32_t pad;
    p->layer = l;
    TRY(hear_padded(p, ZK_STEP_SUM, &sum, 1, &pad));
    equation(p, l, &sum, pad);
    struct zkml_claim *c = claim_new(p);
    c->pub = sum;
    coef_add(c, pad, zkml_k_neg(zkml_k_one()));
    TRY(rounds(p, ZK_STEP_PRODUCT, a->log_in, false, c));
    struct zkml_k *eq = eq_table(p, p->r, a->log_in);
    TRY(hear_padded(p, ZK_STEP_FACTORS, said, 2, &pad));
    form_to_claim(c);
    product_add(c, zkml_k_neg(zkml_k_one()), said[0], said[1], triple_new(p, pad, pad + 1));
    /* folded W */
    c = claim_new(p);
    c->pub = said[0];
    coef_add(c, pad, zkml_k_one());
    for (uint32_t blk = 0; blk < a->w_blks; blk++) {
        struct zkml_k *rows = take_k(p, pl->m);
        for (uint32_t j = 0; j < pl->m && blk * pl->m + j < s->out; j++)
            rows[j] = p->zeta[l][blk * pl->m + j];
        term_add(p, true, a->w_off + blk * (s->in + 1), s->in, rows, eq);
    }
    /* y */
    c = claim_new(p);
    c->pub = zkml_k_sub(said[1], zkml_k_scale(sum_of(eq, s->in), zkml_f_int(below->lo)));
    coef_add(c, pad + 1, zkml_k_one());
    weigh(weight, pl->shape.layer[l - 1].s, below->y_bits, 1);
    slots_add(p, weight, below->off, s->in, eq);
    return QN_OK;
}

/* over (hi - y) = 0 and under (y - lo) = 0: only what lies at an end of the range was clamped. */
static qn_rc clamps(struct zkml_proto *p)
{
    const struct zkml_plan *pl = p->plan;
    uint32_t n = pl->log_cells, pad;
    struct zkml_k said[3], hi = zkml_k_zero(), lo = zkml_k_zero(), fixed = zkml_k_zero(),
                           challenge[33];
    zkml_fs_squeeze(&p->fs, L_POINT, challenge, n + 1);
    memcpy(p->z, challenge, n * sizeof *p->z);
    p->alpha = challenge[n];
    struct zkml_claim *c = claim_new(p); /* the sum is 0 */
    TRY(rounds(p, ZK_STEP_CLAMP, n, true, c));
    struct zkml_k *eq = eq_table(p, p->r, n);
    TRY(hear_padded(p, ZK_STEP_CLAMPED, said, 3, &pad));
    for (uint32_t l = 0; l < pl->shape.layer_cnt; l++)
        for (uint32_t o = 0; o < pl->shape.layer[l].out; o++) {
            struct zkml_k at = eq[pl->layer[l].off + o];
            hi = zkml_k_add(hi, zkml_k_scale(at, zkml_f_int(pl->layer[l].hi)));
            lo = zkml_k_add(lo, zkml_k_scale(at, zkml_f_int(pl->layer[l].lo)));
            fixed = zkml_k_add(fixed, zkml_k_scale(at, zkml_f_int(fixed_part(p, l, o))));
        }
    /* end = over hi - over y + alpha (under y - under lo) */
    form_to_claim(c);
    side_add(c, zkml_k_neg(hi), said[0], pad);
    product_add(c, zkml_k_one(), said[0], said[1], triple_new(p, pad, pad + 1));
    product_add(c, zkml_k_neg(p->alpha), said[2], said[1], triple_new(p, pad + 2, pad + 1));
    side_add(c, zkml_k_mul(p->alpha, lo), said[2], pad + 2);
    for (uint32_t k = 0; k < 3; k++) {
        c = claim_new(p);
        c->pub = k == 1 ? zkml_k_sub(said[1], fixed) : said[k];
        coef_add(c, pad + k, zkml_k_one());
        for (uint32_t l = 0; l < pl->shape.layer_cnt; l++) {
            const struct zkml_plan_layer *a = &pl->layer[l];
            struct zkml_k *weight = take_k(p, pl->slots);
            if (k == 0) weigh(weight, zkml_slot_over(pl, l), a->k, 1);
            if (k == 1) weigh(weight, pl->shape.layer[l].s, a->y_bits, 1);
            if (k == 2) weigh(weight, zkml_slot_under(pl, l), a->k, 1);
            slots_add(p, weight, a->off, pl->shape.layer[l].out, eq + a->off);
        }
    }
    return QN_OK;
}

/* b (b - 1) = 0 for every cell of A. Slots are the upper variables. */
static qn_rc bits(struct zkml_proto *p)
{
    const struct zkml_plan *pl = p->plan;
    uint32_t n = pl->log_slots + pl->log_cells, pad;
    struct zkml_k said;
    zkml_fs_squeeze(&p->fs, L_POINT, p->z, n);
    struct zkml_claim *c = claim_new(p);
    TRY(rounds(p, ZK_STEP_BITS, n, true, c));
    struct zkml_k *eq_t = eq_table(p, p->r, pl->log_slots),
                  *eq_o = eq_table(p, p->r + pl->log_slots, pl->log_cells);
    TRY(hear_padded(p, ZK_STEP_BIT, &said, 1, &pad));
    form_to_claim(c);
    product_add(c, zkml_k_neg(zkml_k_one()), said, said, triple_new(p, pad, pad));
    side_add(c, zkml_k_one(), said, pad);
    c = claim_new(p);
    c->pub = said;
    coef_add(c, pad, zkml_k_one());
    slots_add(p, eq_t, 0, pl->cells, eq_o);
    return QN_OK;
}

static qn_rc triples(struct zkml_proto *p)
{
    struct zkml_k one = zkml_k_one();
    QN_ASSERT(p->triple_cnt == p->plan->triple_cnt);
    zkml_fs_squeeze(&p->fs, L_TRIPLE, &p->e, 1);
    for (uint32_t i = 0; i < p->triple_cnt; i++) {
        const struct zkml_triple *t = &p->triple[i];
        uint32_t f = t->w + 1, g = t->w + 2, h = t->w + 3;
        struct zkml_k said[2];
        p->round = i;
        TRY(hear(p, ZK_STEP_TRIPLE, said, 2));
        struct zkml_claim *c = claim_new(p);
        c->pub = said[0];
        coef_add(c, t->a, p->e), coef_add(c, f, zkml_k_neg(one));
        c = claim_new(p);
        c->pub = said[1];
        coef_add(c, t->b, one), coef_add(c, g, zkml_k_neg(one));
        c = claim_new(p);
        c->pub = zkml_k_mul(said[0], said[1]);
        coef_add(c, t->w, p->e), coef_add(c, h, zkml_k_neg(one));
        coef_add(c, f, zkml_k_neg(said[1])), coef_add(c, g, zkml_k_neg(said[0]));
    }
    return QN_OK;
}

/* All claims become one by powers of gamma; a sumcheck over the row variables folds W and A with the same weights. */
static qn_rc rows(struct zkml_proto *p)
{
    const struct zkml_plan *pl = p->plan;
    struct zkml_k power = zkml_k_one(), scale[ZK_CLAIMS_MAX];
    zkml_fs_squeeze(&p->fs, L_BATCH, &p->gamma, 1);
    p->end = (struct zkml_claim){ .coef = take_k(p, pl->z_cells) };
    for (uint32_t i = 0; i < p->claim_cnt; i++, power = zkml_k_mul(power, p->gamma)) {
        scale[i] = power;
        p->end.pub = zkml_k_add(p->end.pub, zkml_k_mul(power, p->claim[i].pub));
        for (uint32_t z = 0; z < pl->z_cells; z++)
            if (!zkml_k_is_zero(p->claim[i].coef[z]))
                p->end.coef[z] = zkml_k_sub(p->end.coef[z], zkml_k_mul(power, p->claim[i].coef[z]));
    }
    TRY(rounds(p, ZK_STEP_ROWS, pl->log_m, false, &p->end));
    p->row_eq = eq_table(p, p->r, pl->log_m);
    p->w_cov = take_k(p, pl->w_cols);
    p->a_cov = take_k(p, pl->a_cols);
    for (uint32_t i = 0; i < p->term_cnt; i++) {
        const struct zkml_term *t = &p->term[i];
        struct zkml_k *cov = t->on_w ? p->w_cov : p->a_cov, a = zkml_k_zero();
        uint32_t n = t->on_w ? pl->m : ZK_A_ROWS;
        for (uint32_t j = 0; j < n; j++)
            if (!zkml_k_is_zero(t->a[j])) a = zkml_k_add(a, zkml_k_mul(p->row_eq[j], t->a[j]));
        a = zkml_k_mul(a, scale[t->claim]);
        for (uint32_t j = 0; j < t->len; j++)
            cov[t->col + j] = zkml_k_add(cov[t->col + j], zkml_k_mul(a, t->b[j]));
    }
    return QN_OK;
}

/* --- the whole ----------------------------------------------------------------------------------------------------- */

qn_rc zkml_proto_begin(struct zkml_proto *p, const struct zkml_plan *plan,
                       const struct zkml_statement *st, const struct zkml_source *src)
{
    struct qn_buf buf = { 0 };
    *p = (struct zkml_proto){ .plan = plan, .st = st, .src = *src, .arena = { .max = ARENA_MAX } };
    zkml_fs_init(&p->fs);
    /* every derived number: both sides must walk the same way, and their transcripts part when they do not */
    const uint32_t numbers[] = { plan->budget,     plan->log_m,   plan->w_cols,    plan->w_deg,
                                 plan->cells,      plan->slots,   plan->groups,    plan->a_cols,
                                 plan->a_deg,      plan->pad_cnt, plan->log_cells, plan->log_slots,
                                 plan->triple_cnt, plan->z_cells, plan->z_deg,     plan->log_n,
                                 plan->queries,    plan->grind,   plan->scalar_cnt };
    zkml_fs_absorb(&p->fs, L_PLAN, ZK_FS_BYTES, numbers, sizeof numbers);
    zkml_statement_put(st, &buf);
    qn_buf_put(&buf, st->root_w.b, 32);
    zkml_fs_absorb(&p->fs, L_STATEMENT, ZK_FS_BYTES, buf.ptr, buf.len);
    qn_buf_free(&buf);
    return QN_OK;
}

void zkml_proto_root(struct zkml_proto *p, const struct qn_hash *root_p)
{
    zkml_fs_absorb(&p->fs, L_ROOT_P, ZK_FS_HASH, root_p->b, 32);
}

qn_rc zkml_proto_run(struct zkml_proto *p)
{
    const struct zkml_shape *s = &p->plan->shape;
    struct zkml_k point[ZK_LAYERS_MAX * 12 + 1];
    uint32_t at = 0;
    for (uint32_t l = 0; l < s->layer_cnt; l++)
        at += log_ceil(s->layer[l].out);
    zkml_fs_squeeze(&p->fs, L_ZETA, point, at + 1); /* the last is not used; at may be 0 */
    at = 0;
    for (uint32_t l = 0; l < s->layer_cnt; l++) {
        p->zeta[l] = eq_table(p, point + at, log_ceil(s->layer[l].out));
        at += log_ceil(s->layer[l].out);
    }
    equation(p, 0, NULL, 0);
    for (uint32_t l = 1; l < s->layer_cnt; l++)
        TRY(product(p, l));
    /* a fresh absorb for the next challenges also when there is one layer only */
    zkml_fs_absorb(&p->fs, L_POINT, ZK_FS_BYTES, NULL, 0);
    TRY(clamps(p));
    TRY(bits(p));
    TRY(triples(p));
    TRY(rows(p));
    QN_ASSERT(p->pad_at == p->plan->pad_cnt);
    return QN_OK;
}

void zkml_proto_fini(struct zkml_proto *p)
{
    qn_arena_free(&p->arena);
}

void zkml_proto_tau(struct zkml_proto *p, const uint8_t tau[20], struct zkml_k *ret_e)
{
    zkml_fs_absorb(&p->fs, L_TAU, ZK_FS_SCALAR, tau, 20);
    zkml_fs_squeeze(&p->fs, L_MASK, ret_e, 1);
}

void zkml_proto_ends(struct zkml_proto *p, struct qn_span vectors)
{
    zkml_fs_absorb(&p->fs, L_ENDS, ZK_FS_SCALAR, vectors.ptr, vectors.len);
}

size_t zkml_proto_rows(struct zkml_proto *p, uint64_t nonce, uint32_t rows_[ZK_QUERIES_MAX])
{
    uint32_t raw[ZK_QUERIES_MAX];
    size_t cnt = 0;
    zkml_fs_absorb(&p->fs, L_NONCE, ZK_FS_NONCE, &nonce, sizeof nonce);
    zkml_fs_rows(&p->fs, L_ROWS, p->plan->log_n, raw, p->plan->queries);
    for (uint32_t i = 0; i < p->plan->queries; i++) { /* insertion: a few hundred at most */
        size_t k = cnt;
        while (k > 0 && rows_[k - 1] > raw[i])
            k--;
        if (k > 0 && rows_[k - 1] == raw[i]) continue;
        memmove(rows_ + k + 1, rows_ + k, (cnt - k) * sizeof *rows_);
        rows_[k] = raw[i];
        cnt++;
    }
    return cnt;
}
