/* ops_c.c - the portable variant: four lanes of the compiler's own vectors (SSE2, NEON). */
#define LANES         4
#define GEMM_MR       4
#define GEMM_NV       2
#define GEMM_SIZES(X) X(1) X(2) X(3) X(4)
#include "gpu/cpu/ops_body.h"

static bool ops_usable(void)
{
    return true;
}

extern const struct cpu_ops cpu_ops_c;
const struct cpu_ops cpu_ops_c = { "c",        ops_usable, ops_gemm, ops_map,
                                   ops_rowsum, ops_rowmax, ops_adam, ops_bytes };
