/* secret.h - the prover's side of a model: its weights, the randomness of their commitment, and how many proofs it has
 * left. W's rows carry budget * queries random coefficients; when more rows were shown than that, the weights could be
 * solved for. So whoever holds a secret counts its proofs, and writes the count down before a proof leaves.
 *
 *   file `.qzw`: magic "QZKW" | u16 version 1 | layers and budget as in a statement | w int8, bias i32 of each layer | seed[32] */
#ifndef QN_MODULES_ZKML_SECRET_H
#define QN_MODULES_ZKML_SECRET_H

#include "gpu/graph/int8.h"
#include "modules/zkml/plan.h"

#define ZK_SECRET_MAX (64u << 20)

struct zkml_secret {
    struct zkml_plan plan;
    struct int8_model net; /* weights in arena */
    uint8_t seed[32];
    struct qn_arena arena;
    /* what follows from them: coefficients (w_deg, m), leaves of the encoded matrix, tree */
    zkml_f *coef;
    uint8_t *leaves;
    struct qn_hash *nodes, root, model;
};

/* zkml_secret_make commits to a model with fresh randomness from seed. QN_E_RANGE for models outside the plan's limits.
 * The net's memory is copied. */
QN_CHECK qn_rc zkml_secret_make(const struct int8_model *net, uint32_t budget,
                                const uint8_t seed[32], struct zkml_secret *ret,
                                struct qn_why *why);
void zkml_secret_free(struct zkml_secret *s); /* wipes */

void zkml_secret_put(const struct zkml_secret *s, struct qn_buf *out);
QN_CHECK qn_rc zkml_secret_get(struct qn_span file, struct zkml_secret *ret, struct qn_why *why);

/* zkml_shape_of is what the world may know of a net. */
struct zkml_shape zkml_shape_of(const struct int8_model *net);

/* zkml_rand is an endless stream of uniform numbers of F from a seed: XOF, values of 31 bits not below p left out. */
struct zkml_rand {
    uint8_t key[40];
    uint32_t word[512], at;
    uint64_t block;
};
void zkml_rand_init(struct zkml_rand *r, const uint8_t seed[32], uint64_t what);
zkml_f zkml_rand_f(struct zkml_rand *r);
struct zkml_k zkml_rand_k(struct zkml_rand *r);

/* zkml_leaves writes salt | canonical row for each of n rows of cnt numbers; salts are H("zk/salt", seed | row). */
void zkml_leaves(const zkml_f *m, size_t n, size_t cnt, const uint8_t seed[32], uint8_t *ret);

#endif
