/* matmul_i8.h - int8 matrix products by the best of this machine's CPU variants, with equal bits from all.
 *
 *     struct qn_matmul_i8_plan plan;
 *     rc = qn_matmul_i8_plan(&plan, &why);                      once; some milliseconds of self-test
 *     rc = qn_matmul_i8(&plan, a, b, c, m, n, k);               c (m, n) int32 = a (m, k) x b (n, k)
 *
 * All matrices are row-major: k is contiguous in a and in b, so b may be the weights (out, in) of a layer.
 * Sums are exact for k <= 65,536. One thread; to use more, split the rows of a. A plan is plain data: copy
 * it, share it between threads, keep it as long as the process.
 *
 * b is packed for each product. Weights used again are packed once instead: qn_matmul_i8_pack, then
 * matmul_i8_run and matmul_i8_packed_fini of gpu/cpu/matmul_i8.h. */
#ifndef QN_GPU_PLAN_MATMUL_I8_H
#define QN_GPU_PLAN_MATMUL_I8_H

#include "gpu/cpu/matmul_i8.h"

#define QN_MATMUL_I8_TILES 4096u /* golden output tiles, 16 x 16, of one self-test */

struct qn_matmul_i8_plan {
    const struct matmul_i8_build *build;      /* the variant in use */
    const struct matmul_i8_build *dropped[8]; /* failed their self-test; report them loudly */
    uint32_t dropped_cnt;
};

/* qn_matmul_i8_plan picks the fastest variant that this CPU has and that passes its self-test. A variant
 * that computes otherwise is dropped; it and what happened are named in why although the answer is QN_OK
 * (why->text is empty when nothing was dropped). QN_E_DEVICE: even the reference fails; QN_E_MEMORY. */
QN_CHECK qn_rc qn_matmul_i8_plan(struct qn_matmul_i8_plan *ret, struct qn_why *why);

/* qn_matmul_i8 writes c (m, n) = a (m, k) times b (n, k). QN_E_RANGE when a dimension is 0, k > 65,536 or a
 * matrix is too large (gpu/cpu/matmul_i8.h); QN_E_MEMORY. */
QN_CHECK qn_rc qn_matmul_i8(const struct qn_matmul_i8_plan *plan, const int8_t *a, const int8_t *b,
                            int32_t *c, uint32_t m, uint32_t n, uint32_t k);

/* qn_matmul_i8_pack packs weights b (n, k) for the plan's variant. */
QN_CHECK qn_rc qn_matmul_i8_pack(const struct qn_matmul_i8_plan *plan, const int8_t *b, uint32_t n,
                                 uint32_t k, struct matmul_i8_packed *ret);

/* What runs a product in a self-test: writes c, or returns why not. */
typedef qn_rc qn_matmul_i8_run_fn(void *arg, const int8_t *a, const int8_t *b, int32_t *c,
                                  uint32_t m, uint32_t n, uint32_t k);
/* qn_matmul_i8_selftest runs the golden products, computed once by other means, through run and counts the
 * tiles of those that are equal in every bit: QN_MATMUL_I8_TILES when all is well. */
QN_CHECK qn_rc qn_matmul_i8_selftest(qn_matmul_i8_run_fn *run, void *arg, uint32_t *ret_tiles);
/* qn_matmul_i8_build_run is such a function; arg is a const struct matmul_i8_build. */
qn_matmul_i8_run_fn qn_matmul_i8_build_run;

#endif
