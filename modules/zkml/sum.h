/* sum.h - the prover's half of a sumcheck: h(X) = sum_b eq(z, b) sum_k coef_k a_k(X, b) b_k(X, b), one variable a round,
 * the top one first. */
#ifndef QN_MODULES_ZKML_SUM_H
#define QN_MODULES_ZKML_SUM_H

#include "modules/zkml/field.h"

struct zkml_pair {
    struct zkml_k coef, *a, *b; /* 2^n values each, folded in place; b NULL stands for a - 1 */
    size_t live;                /* values of a and b from here on are zero (b NULL: a's) */
};

struct zkml_sum {
    uint32_t n, pair_cnt;
    struct zkml_pair *pair;
    const struct zkml_k *z; /* NULL: no eq */
    struct zkml_k *eq;      /* room for 2^(n-1) values when z is given */
};

/* zkml_sum_round gives h(0) and h(inf) of round i of the n rounds, after i folds. */
void zkml_sum_round(struct zkml_sum *s, uint32_t i, struct zkml_k *ret_0, struct zkml_k *ret_inf);
/* zkml_sum_fold fixes the variable of round i to r. */
void zkml_sum_fold(struct zkml_sum *s, uint32_t i, struct zkml_k r);

#endif
