/* matmul_i8.h - CPU builds of gpu/kernels/matmul_i8.k and what overrides it, behind one driver that packs.
 *
 * gpu/plan/matmul_i8.h is the door for users: it picks a build by what the CPU has and by a self-test. */
#ifndef QN_GPU_CPU_MATMUL_I8_H
#define QN_GPU_CPU_MATMUL_I8_H

#include "core/base/err.h"

/* One group of the kernel: see matmul_i8.k; group_x is the panel, group_y the block of rows. */
typedef void matmul_i8_fn(const uint32_t *a, const uint32_t *b, const int32_t *start, int32_t *c,
                          uint32_t m, uint32_t n, uint32_t kw, uint32_t group_x, uint32_t group_y);

struct matmul_i8_build {
    const char *name;       /* "avx2" */
    const char *doc;        /* what it is made from, in words */
    bool (*runs)(void);     /* whether this CPU and kernel have it */
    uint8_t dot_cnt;        /* int8 values in a word: 2 (as 16 bits) or 4 */
    uint8_t bias;           /* added to B when it is packed; 128 or 0 */
    uint8_t kw_step;        /* rows are padded to a multiple of so many words */
    uint8_t panel;          /* columns of a group */
    uint8_t rows, few_rows; /* rows of a group of `many`, and of `few` */
    void (*pack_rows)(const int8_t *a, uint32_t cnt, uint32_t k, uint32_t kw, uint32_t *dst,
                      int32_t *start); /* rows_i8.h */
    matmul_i8_fn *many, *few;          /* few is for m < rows; NULL: many does */
    void (*begin)(void);               /* around the groups of one product, or NULL */
    void (*end)(void);
};

/* matmul_i8_builds returns the table, from the reference on, roughly slowest first; *ret_cnt rows. */
const struct matmul_i8_build *const *matmul_i8_builds(size_t *ret_cnt);

/* B packed for one build: panels of words, see matmul_i8.k. */
struct matmul_i8_packed {
    const struct matmul_i8_build *build;
    uint32_t n, k, kw;
    uint32_t *words; /* 64-byte aligned, owned */
};

/* matmul_i8_pack lays out b (n, k) int8, row-major, for a build. QN_E_MEMORY; QN_E_RANGE when n or k is 0,
 * k > 65,536 (sums could leave int32) or n * k > 2^30. matmul_i8_packed_fini frees the words. */
QN_CHECK qn_rc matmul_i8_pack(const struct matmul_i8_build *build, const int8_t *b, uint32_t n,
                              uint32_t k, struct matmul_i8_packed *ret);
void matmul_i8_packed_fini(struct matmul_i8_packed *packed);

/* matmul_i8_run writes c (m, n) = a (m, k) times packed; a is row-major. QN_E_MEMORY, QN_E_RANGE when m is
 * 0 or m * n or m * k > 2^31. */
QN_CHECK qn_rc matmul_i8_run(const struct matmul_i8_packed *packed, const int8_t *a, int32_t *c,
                             uint32_t m);

extern const struct matmul_i8_build matmul_i8_c; /* the reference */
#ifdef __x86_64__
extern const struct matmul_i8_build matmul_i8_sse2, matmul_i8_avx2, matmul_i8_avxvnni,
    matmul_i8_avx512, matmul_i8_avx512vnni, matmul_i8_amx;
#endif

#endif
