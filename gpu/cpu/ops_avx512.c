/* ops_avx512.c - sixteen lanes; up to 14 x 32 of C in 28 registers. Built with -mavx512f and friends. */
#if defined __AVX512F__
#define LANES         16
#define GEMM_MR       14
#define GEMM_NV       2
#define GEMM_SIZES(X) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14)
#include "gpu/cpu/ops_body.h"

static bool ops_usable(void)
{
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw");
}

extern const struct cpu_ops cpu_ops_avx512;
const struct cpu_ops cpu_ops_avx512 = { "avx512",   ops_usable, ops_gemm, ops_map,
                                        ops_rowsum, ops_rowmax, ops_adam, ops_bytes };
#else
typedef int ops_avx512_empty; /* another processor */
#endif
