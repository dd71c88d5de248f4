/* ops.h - the f32 kernels of a processor: one table a variant, all with the same bits (gpu/cpu/test_ops.c). */
#ifndef QN_GPU_CPU_OPS_H
#define QN_GPU_CPU_OPS_H

#include "gpu/kernels/map.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* C (m, n) = A (m, k) B (k, n), the written order of gpu/graph/node.h. lda, ldb, ldc: elements from a row
 * as stored to the next; ta: A is stored (k, m); tb: B is stored (n, k). C overlaps neither A nor B. */
struct cpu_gemm {
    uint32_t m, n, k;
    const float *a, *b;
    float *c;
    size_t lda, ldb, ldc;
    bool ta, tb;
    bool t12;     /* operands to 12 bits first; else full (C32) */
    float *space; /* CPU_GEMM_SPACE floats, 64-byte aligned */
};
#define CPU_GEMM_SPACE (512u * 1024u)

/* out (rows, cols) by a program; input i has element (r, c) at in[i] + r * row_step[i] + c * col_step[i],
 * col_step 0 or 1. out may be one of the inputs read at the same place. */
struct cpu_map {
    uint32_t rows, cols, in_cnt, ins_cnt;
    const struct map_ins *ins;
    const float *in[MAP_IN_MAX];
    size_t row_step[MAP_IN_MAX];
    uint8_t col_step[MAP_IN_MAX];
    float *out; /* rows of cols, without gaps */
};

/* An Adam update of n values in place (gpu/kernels/adam.k). */
struct cpu_adam {
    size_t n;
    float *w, *m, *v;
    const float *g;
    float b1, b1c, b2, b2c; /* c: 1 - b as the graph has it */
    float c1, c2, lr, eps, wd;
};

struct cpu_ops {
    const char *name;
    bool (*usable)(void);
    void (*gemm)(const struct cpu_gemm *arg);
    void (*map)(const struct cpu_map *arg);
    void (*rowsum)(const float *x, uint32_t rows, uint32_t cols, float *out);
    void (*rowmax)(const float *x, uint32_t rows, uint32_t cols, float *out);
    void (*adam)(const struct cpu_adam *arg);
    void (*bytes)(const uint8_t *src, size_t n, float *out); /* u8 to f32 */
};

/* cpu_ops_all lists the variants built in, slowest first, c always first. */
const struct cpu_ops *const *cpu_ops_all(uint32_t *ret_cnt);
/* cpu_ops_best returns the last usable one; cpu_ops_find one by name, NULL when absent or not usable. */
const struct cpu_ops *cpu_ops_best(void);
const struct cpu_ops *cpu_ops_find(const char *name);

#endif
