/* matmul_i8_avxvnni.c - matmul_i8.k for AVX-VNNI; built with -O3 -mavx2 -mavxvnni (CMakeLists.txt). */
#include "gpu/cpu/matmul_i8.h"

#ifdef __x86_64__

#include "gpu/dialect/simd.h"

#include "gpu/cpu/rows_i8.h"

#include <cpuid.h>

#define COLS      2u
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
    unsigned a, b, c, d;
    return __builtin_cpu_supports("avx2") && __get_cpuid_count(7, 1, &a, &b, &c, &d) && a & 1u << 4;
}

const struct matmul_i8_build matmul_i8_avxvnni = { .name = "avxvnni",
                                                   .doc = "matmul_i8.k by vpdpbusd, 256 bits",
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
