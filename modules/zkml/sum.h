/* sum.h - the prover's half of a sumcheck: h(X) = sum_b eq(z, b) sum_k coef_k a_k(X, b) b_k(X, b), one variable a round,
 * the top one first. */
#ifndef QN_MODULES_ZKML_SUM_H
#define QN_MODULES_ZKML_SUM_H

#include "modules/zkml/field.h"

struct zk_pair {
    struct zk_k coef, *a, *b; /* 2^n values each, folded in place; b NULL stands for a - 1 */
    size_t live;              /* values of a and b from here on are zero (b NULL: a's) */
};

struct zk_sum {
    uint32_t n, pair_cnt;
    struct zk_pair *pair;
    const struct zk_k *z; /* NULL: no eq */
    struct zk_k *eq;      /* room for 2^(n-1) values when z is given */
};

/* zk_sum_round gives h(0) and h(inf) of round i of the n rounds, after i folds. */
void zk_sum_round(struct zk_sum *s, uint32_t i, struct zk_k *ret_0, struct zk_k *ret_inf);
/* zk_sum_fold fixes the variable of round i to r. */
void zk_sum_fold(struct zk_sum *s, uint32_t i, struct zk_k r);

#endif
