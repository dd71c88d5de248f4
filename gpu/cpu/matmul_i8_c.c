/* matmul_i8_c.c - the reference build of matmul_i8.k: plain C, one lane. */
#include "gpu/cpu/matmul_i8.h"

#include "gpu/dialect/group.h"

#include "gpu/cpu/rows_i8.h"

#define PANEL     4u
#define COLS      4u
#define ROWS      2u
#define MATMUL_I8 many
#include "gpu/kernels/matmul_i8.k"

static bool runs(void)
{
    return true;
}

const struct matmul_i8_build matmul_i8_c = { .name = "c",
                                             .doc = "matmul_i8.k as plain C, the reference",
                                             .runs = runs,
                                             .dot_cnt = 4,
                                             .kw_step = 1,
                                             .panel = PANEL,
                                             .rows = ROWS,
                                             .pack_rows = rows_i8,
                                             .many = many };
