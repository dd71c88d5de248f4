/* sum.c - rounds and folds. */
#include "modules/zkml/sum.h"

/* One value pair of a pair of vectors: at X = 0 and its slope; beyond live all is zero. */
struct line {
    struct zkml_k at, slope;
};

static struct line line_of(const struct zkml_k *v, size_t b, size_t half, size_t live)
{
    struct zkml_k low = b < live ? v[b] : zkml_k_zero();
    struct line l = { low, zkml_k_neg(low) };
    if (b + half < live) l.slope = zkml_k_sub(v[b + half], low);
    return l;
}

void zkml_sum_round(struct zkml_sum *s, uint32_t i, struct zkml_k *ret_0, struct zkml_k *ret_inf)
{
    size_t half = (size_t)1 << (s->n - i - 1);
    struct zkml_k h0 = zkml_k_zero(), h2 = zkml_k_zero();
    if (s->z) zkml_eq(s->z + i + 1, s->n - i - 1, s->eq);
    for (uint32_t k = 0; k < s->pair_cnt; k++) {
        const struct zkml_pair *p = &s->pair[k];
        struct zkml_k p0 = zkml_k_zero(), p2 = zkml_k_zero();
        for (size_t b = 0; b < half && b < p->live; b++) {
            struct line x = line_of(p->a, b, half, p->live);
            struct zkml_k at, slope;
            if (p->b) {
                struct line y = line_of(p->b, b, half, p->live);
                at = zkml_k_mul(x.at, y.at);
                slope = zkml_k_mul(x.slope, y.slope);
            } else {
                at = zkml_k_mul(x.at, zkml_k_sub(x.at, zkml_k_one()));
                slope = zkml_k_mul(x.slope, x.slope);
            }
            if (s->z) {
                at = zkml_k_mul(at, s->eq[b]);
                slope = zkml_k_mul(slope, s->eq[b]);
            }
            p0 = zkml_k_add(p0, at);
            p2 = zkml_k_add(p2, slope);
        }
        h0 = zkml_k_add(h0, zkml_k_mul(p->coef, p0));
        h2 = zkml_k_add(h2, zkml_k_mul(p->coef, p2));
    }
    *ret_0 = h0;
    *ret_inf = h2;
}

static void fold(struct zkml_k *v, size_t half, size_t live, struct zkml_k r)
{
    for (size_t b = 0; b < half && b < live; b++) {
        struct line l = line_of(v, b, half, live);
        v[b] = zkml_k_add(l.at, zkml_k_mul(r, l.slope));
    }
}

void zkml_sum_fold(struct zkml_sum *s, uint32_t i, struct zkml_k r)
{
    size_t half = (size_t)1 << (s->n - i - 1);
    for (uint32_t k = 0; k < s->pair_cnt; k++) {
        struct zkml_pair *p = &s->pair[k];
        fold(p->a, half, p->live, r);
        if (p->b) fold(p->b, half, p->live, r);
        p->live = p->live < half ? p->live : half;
    }
}
