/* ops_avx2.c - eight lanes; 6 x 16 of C in twelve registers. Built with -mavx2 -mfma. */
#if defined __AVX2__ && defined __FMA__
#define LANES         8
#define GEMM_MR       6
#define GEMM_NV       2
#define GEMM_SIZES(X) X(1) X(2) X(3) X(4) X(5) X(6)
#include "gpu/cpu/ops_body.h"

static bool ops_usable(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

extern const struct cpu_ops cpu_ops_avx2;
const struct cpu_ops cpu_ops_avx2 = { "avx2",     ops_usable, ops_gemm, ops_map,
                                      ops_rowsum, ops_rowmax, ops_adam, ops_bytes };
#else
typedef int ops_avx2_empty; /* another processor */
#endif
