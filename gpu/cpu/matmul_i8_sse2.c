/* matmul_i8_sse2.c - matmul_i8.k for any x86-64; built with -O3 (CMakeLists.txt). */
#include "gpu/cpu/matmul_i8.h"

#ifdef __x86_64__

#include "gpu/dialect/simd.h"

#include "gpu/cpu/rows_i8.h"

#define COLS      2u
#define PANEL     (LANES * COLS)
#define ROWS      4u
#define MATMUL_I8 many
#include "gpu/kernels/matmul_i8.k"
#undef ROWS
#undef MATMUL_I8

#define ROWS      1u
#define MATMUL_I8 few
#include "gpu/kernels/matmul_i8.k"

static bool runs(void)
{
    return true;
}

const struct matmul_i8_build matmul_i8_sse2 = { .name = "sse2",
                                                .doc = "matmul_i8.k by pmaddwd, 128 bits",
                                                .runs = runs,
                                                .dot_cnt = DOT_CNT,
                                                .bias = DOT_BIAS,
                                                .kw_step = 1,
                                                .panel = PANEL,
                                                .rows = 4,
                                                .pack_rows = rows_i8,
                                                .many = many,
                                                .few_rows = 1,
                                                .few = few };

#endif
