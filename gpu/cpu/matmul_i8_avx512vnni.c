/* matmul_i8_avx512vnni.c - matmul_i8.k for AVX-512VNNI; built with -O3 -mavx512f -mavx512bw -mavx512vnni (CMakeLists.txt). */
#include "gpu/cpu/matmul_i8.h"

#ifdef __x86_64__

#include "gpu/dialect/simd.h"

#include "gpu/cpu/rows_i8.h"

#define COLS      4u
#define PANEL     (LANES * COLS)
#define ROWS      6u
#define MATMUL_I8 many
#include "gpu/kernels/matmul_i8.k"
#undef ROWS
#undef MATMUL_I8

#define ROWS      1u
#define MATMUL_I8 few
#include "gpu/kernels/matmul_i8.k"

static bool runs(void)
{
    return __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vnni");
}

const struct matmul_i8_build matmul_i8_avx512vnni = { .name = "avx512vnni",
                                                      .doc = "matmul_i8.k by vpdpbusd, 512 bits",
                                                      .runs = runs,
                                                      .dot_cnt = DOT_CNT,
                                                      .bias = DOT_BIAS,
                                                      .kw_step = 1,
                                                      .panel = PANEL,
                                                      .rows = 6,
                                                      .pack_rows = rows_i8,
                                                      .many = many,
                                                      .few_rows = 1,
                                                      .few = few };

#endif
