/* places.h - every place of this machine where an int8 product can be computed: CPU variants, and devices of
 * each API that has a driver. For `quoin device`: blocking, and one worker process an API. */
#ifndef QN_GPU_PLAN_PLACES_H
#define QN_GPU_PLAN_PLACES_H

#include "gpu/plan/gpu.h"
#include "gpu/plan/matmul_i8.h"

#define QN_PLACE_MAX 64

struct qn_place {
    const char *api; /* "cpu", "vulkan", "cuda" */
    char name[256];  /* "avx2"; the device's */
    char doc[64];    /* how it computes; driver and version */
    bool software;   /* a device that the CPU plays */
    qn_rc rc;        /* QN_OK, or why there is none of this API: then nothing else counts */
    struct qn_why why;
    const struct matmul_i8_build *build; /* cpu */
    struct qn_gpu *gpu;                  /* a device, its number below; lent */
    uint32_t device;
};

struct qn_places {
    struct qn_place list[QN_PLACE_MAX];
    uint32_t cnt;
    struct qn_gpu *gpus[2];
};

/* qn_places_open lists CPU variants that this CPU has, fastest last, then devices; an API without driver or
 * device has one entry that says why. End with qn_places_close. */
void qn_places_open(struct qn_places *ret);
void qn_places_close(struct qn_places *places);

/* qn_place_matmul_i8 computes there as qn_matmul_i8 does; ret_ns is the fastest of repeat runs, without the
 * packing of B and without copies to a device. */
QN_CHECK qn_rc qn_place_matmul_i8(const struct qn_place *place, const int8_t *a, const int8_t *b,
                                  int32_t *c, uint32_t m, uint32_t n, uint32_t k, uint32_t repeat,
                                  uint64_t *ret_ns, struct qn_why *why);
/* qn_place_golden counts golden tiles that are right, of QN_MATMUL_I8_TILES. */
QN_CHECK qn_rc qn_place_golden(const struct qn_place *place, uint32_t *ret_tiles,
                               struct qn_why *why);
/* qn_place_rate measures operations a second (a multiplication and an addition are two), in about 50 ms on
 * a CPU and a few runs on a device. */
QN_CHECK qn_rc qn_place_rate(const struct qn_place *place, uint32_t m, uint32_t n, uint32_t k,
                             double *ret_ops, struct qn_why *why);

struct qn_place_bits {
    uint32_t shape_cnt;
    uint64_t value_cnt, wrong_cnt; /* values compared; of them, not the reference's */
};
/* qn_place_compare computes many shapes there and by the reference (matmul_i8_c), and compares all bits:
 * every m and n to 33, rests of every blocking, the bound of k with the largest sums. */
QN_CHECK qn_rc qn_place_compare(const struct qn_place *place, struct qn_place_bits *ret,
                                struct qn_why *why);

#endif
