/* plan.c - layout, lengths and the security sum of a proof. */
#include "modules/zkml/plan.h"

#include "core/crypto/hash.h"

#include <string.h>

#define GRIND     16  /* bits: 2^16 hashes, half a millisecond of the prover's */
#define BITS_WANT 100 /* of the sum of all probabilities */
#define SEMANTICS 1   /* int8, int32 accumulators, floor((m acc + 2^(s-1)) / 2^s), clamp */

/* --- probabilities: mant * 2^exp, always rounded up ---------------------------------------------------------- */

struct prob {
    uint64_t mant; /* top bit set, or 0 */
    int exp;
};

__extension__ typedef unsigned __int128 wide;

static struct prob prob_of(uint64_t num, int exp)
{
    if (num == 0) return (struct prob){ 0, 0 };
    int shift = __builtin_clzll(num);
    return (struct prob){ num << shift, exp - shift };
}

static struct prob prob_mul(struct prob a, struct prob b)
{
    wide t = (wide)a.mant * b.mant;
    if (t == 0) return (struct prob){ 0, 0 };
    if (t >> 127) { /* + 1: rounded up */
        uint64_t hi = (uint64_t)(t >> 64);
        return hi == UINT64_MAX ? (struct prob){ UINT64_C(1) << 63, a.exp + b.exp + 65 }
                                : (struct prob){ hi + 1, a.exp + b.exp + 64 };
    }
    uint64_t hi = (uint64_t)(t >> 63);
    return hi == UINT64_MAX ? (struct prob){ UINT64_C(1) << 63, a.exp + b.exp + 64 }
                            : (struct prob){ hi + 1, a.exp + b.exp + 63 };
}

static struct prob prob_add(struct prob a, struct prob b)
{
    if (a.mant == 0) return b;
    if (b.mant == 0) return a;
    if (a.exp < b.exp) {
        struct prob t = a;
        a = b, b = t;
    }
    int shift = a.exp - b.exp;
    uint64_t low = (shift > 63 ? 0 : b.mant >> shift) + 1, sum;
    if (__builtin_add_overflow(a.mant, low, &sum))
        return (struct prob){ (sum >> 1 | UINT64_C(1) << 63) + 1, a.exp + 1 };
    return (struct prob){ sum, a.exp };
}

static struct prob prob_pow(struct prob a, uint32_t n)
{
    struct prob r = prob_of(1, 0);
    for (; n; n >>= 1, a = prob_mul(a, a))
        if (n & 1) r = prob_mul(r, a);
    return r;
}

/* floor of -10 log2 of p: squares the fraction ten times over. */
static uint32_t prob_bits10(struct prob p)
{
    /* p = f 2^(exp + 64), f in [1/2, 1); -log2 p = -(exp + 64) + log2(1/f); tenths of f^10 >= 2^-i */
    struct prob f10 = prob_pow((struct prob){ p.mant, -64 }, 10);
    int whole = -(p.exp + 64) * 10, extra = 0;
    if (f10.mant) extra = -(f10.exp + 64); /* f^10 in [2^-(extra+1), 2^-extra) */
    int r = whole + extra;
    return r < 0 ? 0 : (uint32_t)r;
}

/* --- layout ------------------------------------------------------------------------------------------------------ */

static uint32_t log_ceil(uint32_t n)
{
    return n <= 1 ? 0 : 32u - (uint32_t)__builtin_clz(n - 1);
}

static uint32_t bit_len(uint64_t n)
{
    return n ? 64u - (uint32_t)__builtin_clzll(n) : 0;
}

/* Ranges of one layer. The equation m acc + 2^(s-1) = 2^s q + r holds mod p by the proof; it holds over the integers
 * because the difference of its sides cannot reach p. */
static qn_rc layer_plan(const struct zkml_layer_shape *s, bool last, struct zkml_plan_layer *r,
                        struct qn_why *why)
{
    if (s->in < 1 || s->in > ZK_DIM_MAX || s->out < 1 || s->out > ZK_DIM_MAX)
        return qn_why(why, QN_E_RANGE, "a layer has 1 to %d inputs and outputs", ZK_DIM_MAX);
    if (s->s < 1 || s->s > 14 || s->m < 1 || s->m > 127)
        return qn_why(why, QN_E_RANGE, "a layer's shift is 1 to 14 and its multiplier 1 to 127");
    uint64_t acc = (uint64_t)s->in * 128 * 128 + ZK_BIAS_MAX;
    uint64_t left = acc * (uint64_t)s->m + (UINT64_C(1) << (s->s - 1));
    r->k = bit_len(left >> s->s);
    uint64_t right = ((UINT64_C(1) << r->k) + 129) << s->s;
    if (left + right >= ZK_P)
        return qn_why(why, QN_E_RANGE, "%u inputs with multiplier %d may leave the field", s->in,
                      s->m);
    r->y_bits = last ? 0 : s->relu ? 7 : 8;
    r->lo = s->relu ? 0 : -128;
    r->hi = 127;
    r->log_in = log_ceil(s->in);
    return QN_OK;
}

static qn_rc layout(struct zkml_plan *p, struct qn_why *why)
{
    const struct zkml_shape *s = &p->shape;
    if (s->layer_cnt < 1 || s->layer_cnt > ZK_LAYERS_MAX)
        return qn_why(why, QN_E_RANGE, "a model has 1 to %d layers", ZK_LAYERS_MAX);
    for (uint32_t l = 0; l < s->layer_cnt; l++) {
        qn_rc rc = layer_plan(&s->layer[l], l + 1 == s->layer_cnt, &p->layer[l], why);
        if (rc) return rc;
        if (l && s->layer[l].in != s->layer[l - 1].out)
            return qn_why(why, QN_E_RANGE, "layer %u takes %u inputs, the one before gives %u", l,
                          s->layer[l].in, s->layer[l - 1].out);
        p->layer[l].off = p->cells;
        p->cells += s->layer[l].out;
        p->slots = QN_MAX(p->slots, zkml_slot_under(p, l) + p->layer[l].k);
    }
    if (p->cells > ZK_CELLS_MAX)
        return qn_why(why, QN_E_RANGE, "a model has at most %d neurons", ZK_CELLS_MAX);
    p->groups = (p->slots + ZK_A_ROWS - 1) / ZK_A_ROWS;
    p->a_cols = p->groups * p->cells;
    p->log_cells = log_ceil(p->cells);
    p->log_slots = log_ceil(p->slots);
    p->triple_cnt = s->layer_cnt - 1 + 3;
    for (uint32_t l = 1; l < s->layer_cnt; l++)
        p->pad_cnt += 3 + 2 * p->layer[l].log_in;
    p->pad_cnt += 2 * p->log_cells + 3 + 2 * (p->log_slots + p->log_cells) + 1;
    return QN_OK;
}

static void w_layout(struct zkml_plan *p, uint32_t log_m)
{
    p->log_m = log_m;
    p->m = 1u << log_m;
    p->w_cols = 0;
    for (uint32_t l = 0; l < p->shape.layer_cnt; l++) {
        p->layer[l].w_off = p->w_cols;
        p->layer[l].w_blks = (p->shape.layer[l].out + p->m - 1) / p->m;
        p->w_cols += p->layer[l].w_blks * (p->shape.layer[l].in + 1);
    }
}

/* At most so many terms come out of proto.c: equation and factors of each layer, four sums over slots a layer, bits. */
static uint64_t terms(const struct zkml_plan *p)
{
    uint64_t cnt = p->groups;
    for (uint32_t l = 0; l < p->shape.layer_cnt; l++)
        cnt += 2 * (uint64_t)p->layer[l].w_blks + 5 * (uint64_t)p->groups;
    return cnt;
}

static struct prob query_error(const struct zkml_plan *p, uint32_t log_n, uint32_t deg, uint32_t t)
{
    struct prob miss = prob_of((UINT64_C(1) << log_n) + deg, -(int)log_n - 1); /* (1 + rho) / 2 */
    return prob_mul(prob_pow(miss, t), prob_of(1, -(int)p->grind));
}

/* Everything but the queries. Schwartz-Zippel counts degrees: each round of a sumcheck 3 with its point of eq, each
 * batch the number of its claims; proximity gaps N a fold in each of three codes, unique decoding. */
static void other_errors(const struct zkml_plan *p, uint32_t log_n, struct prob *gap,
                         struct prob *iop, struct prob *hash)
{
    uint64_t rounds = 2 * p->log_cells + p->log_slots + p->log_m, claims = 8 + 4 * p->triple_cnt;
    for (uint32_t l = 0; l < p->shape.layer_cnt; l++)
        rounds += p->layer[l].log_in + log_ceil(p->shape.layer[l].out), claims += 4;
    *gap = prob_of((uint64_t)(3 * p->log_m + 3) << log_n, -ZK_KBITS);
    *iop = prob_of(4 * rounds + claims + 4, -ZK_KBITS);
    *hash = prob_of(3, -128);
}

static uint32_t proof_bytes(const struct zkml_plan *p, uint32_t log_n, uint32_t w_deg, uint32_t t)
{
    uint32_t log_t = 31u - (uint32_t)__builtin_clz(t);
    uint32_t path = t * (log_n - QN_MIN(log_t, log_n)) + t; /* siblings of t leaves, at worst */
    uint32_t head = 1024 + p->shape.layer[0].in + p->shape.layer[p->shape.layer_cnt - 1].out;
    uint32_t scalars = p->pad_cnt + 2 * p->log_m + 2 * p->triple_cnt + 1;
    return head +
           20 * (scalars + w_deg + p->a_cols + t + p->pad_cnt + 2 * p->log_m + 4 * p->triple_cnt +
                 t) +
           t * (4 * p->m + 4 * ZK_P_ROWS + 2 * ZK_SALT) + 2 * 32 * path;
}

/* The fewest queries that reach the bits wanted, for W of w_cols columns; 0 when none do. */
static uint32_t queries_for(const struct zkml_plan *p, uint32_t log_n)
{
    struct prob gap, iop, hash;
    other_errors(p, log_n, &gap, &iop, &hash);
    struct prob rest = prob_add(prob_add(gap, iop), hash);
    for (uint32_t t = 48; t <= ZK_QUERIES_MAX; t++) {
        uint64_t deg =
            QN_MAX((uint64_t)p->w_cols + (uint64_t)p->budget * t, (uint64_t)p->a_cols + t);
        if (deg > (UINT64_C(1) << log_n) * 3 / 4) return 0;
        if (prob_bits10(prob_add(query_error(p, log_n, (uint32_t)deg, t), rest)) >= 10 * BITS_WANT)
            return t;
    }
    return 0;
}

qn_rc zkml_plan_make(const struct zkml_shape *shape, uint32_t budget, struct zkml_plan *ret,
                     struct qn_why *why)
{
    struct zkml_plan p = { .shape = *shape, .budget = budget, .grind = GRIND }, best = { 0 };
    struct prob gap, iop, hash;
    if (budget < 1 || budget > ZK_BUDGET_MAX)
        return qn_why(why, QN_E_RANGE, "a commitment is good for 1 to %d proofs", ZK_BUDGET_MAX);
    qn_rc rc = layout(&p, why);
    if (rc) return rc;
    for (uint32_t log_m = 4; log_m <= 7; log_m++) {
        w_layout(&p, log_m);
        if (terms(&p) > ZK_TERMS_MAX) continue;
        for (uint32_t log_n = 10; log_n <= 16; log_n++) {
            uint32_t t = queries_for(&p, log_n);
            if (t == 0) continue;
            uint32_t bytes = proof_bytes(&p, log_n, p.w_cols + budget * t, t);
            /* a codeword twice as long costs twice the time: it must save a sixth of the bytes */
            if (best.proof_max && bytes + (best.log_n < log_n ? bytes / 6 : 0) >= best.proof_max)
                continue;
            best = p;
            best.log_n = log_n;
            best.queries = t;
            best.proof_max = bytes;
        }
    }
    if (best.proof_max == 0 || best.proof_max > ZK_PROOF_MAX)
        return qn_why(why, QN_E_TOOBIG, "a proof of this model would need more than %u bytes",
                      ZK_PROOF_MAX);
    p = best;
    p.pad_cnt += 2 * p.log_m;
    p.z_cells = p.pad_cnt + 4 * p.triple_cnt;
    p.scalar_cnt = p.pad_cnt + 2 * p.triple_cnt;
    p.w_deg = p.w_cols + budget * p.queries;
    p.a_deg = p.a_cols + p.queries;
    p.z_deg = p.z_cells + p.queries;
    if (p.z_cells > ZK_Z_MAX)
        return qn_why(why, QN_E_TOOBIG, "the model has too many layers for one proof");
    struct prob query =
        query_error(&p, p.log_n, QN_MAX(p.w_deg, QN_MAX(p.a_deg, p.z_deg)), p.queries);
    other_errors(&p, p.log_n, &gap, &iop, &hash);
    p.bits_query = prob_bits10(query);
    p.bits_gap = prob_bits10(gap);
    p.bits_iop = prob_bits10(iop);
    p.bits_hash = prob_bits10(hash);
    p.bits = prob_bits10(prob_add(prob_add(query, gap), prob_add(iop, hash)));
    if (p.bits < 10 * BITS_WANT)
        return qn_why(why, QN_E_TOOBIG, "this model does not reach %d bits", BITS_WANT);
    *ret = p;
    return QN_OK;
}

/* --- names ----------------------------------------------------------------------------------------------------------- */

static void shape_put(const struct zkml_shape *s, struct qn_hasher *h)
{
    uint32_t head[2] = { SEMANTICS, s->layer_cnt };
    qn_hasher_put(h, head, sizeof head);
    for (uint32_t l = 0; l < s->layer_cnt; l++) {
        const struct zkml_layer_shape *a = &s->layer[l];
        uint32_t row[5] = { a->in, a->out, (uint32_t)a->m, a->s, a->relu };
        qn_hasher_put(h, row, sizeof row);
    }
}

struct qn_hash zkml_shape_hash(const struct zkml_shape *shape)
{
    struct qn_hasher h;
    qn_hasher_label(&h, "zk/graph");
    shape_put(shape, &h);
    return qn_hasher_end(&h);
}

struct qn_hash zkml_model_hash(const struct zkml_shape *shape, uint32_t budget,
                               const struct qn_hash *root_w)
{
    struct qn_hasher h;
    struct qn_hash graph = zkml_shape_hash(shape);
    qn_hasher_label(&h, "zk/model");
    qn_hasher_put(&h, graph.b, sizeof graph.b);
    qn_hasher_put(&h, &budget, sizeof budget);
    qn_hasher_put(&h, root_w->b, sizeof root_w->b);
    return qn_hasher_end(&h);
}
