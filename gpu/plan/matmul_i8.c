/* matmul_i8.c - self-test on golden products, and the choice of a variant by it. */
#include "gpu/plan/matmul_i8.h"

#include <stdlib.h>
#include <string.h>

/* Products of numbers of a linear congruential generator, or all -128, and a hash of the result as an
 * independent program (schoolbook, arbitrary precision) computed it. Shapes leave rests in every blocking;
 * one reaches the bound of k; the last holds most of the 4,096 tiles. */
static const struct golden {
    uint32_t m, n, k;
    bool extreme;
    uint64_t hash;
} GOLDEN[] = {
    { 1, 10, 784, false, UINT64_C(0x2a493d466d8a97b5) },
    { 5, 3, 1, false, UINT64_C(0xec3cab44f9d6853b) },
    { 33, 17, 65, false, UINT64_C(0x11b87af085cfb31e) },
    { 64, 128, 784, false, UINT64_C(0x7a2785ac03274eaa) },
    { 13, 200, 130, false, UINT64_C(0x270dc91c57c79d5a) },
    { 6, 64, 65536, true, UINT64_C(0xb710173ec0ee8125) },
    { 112, 9232, 37, false, UINT64_C(0x67f5e7bfda34e633) },
};

static void fill(int8_t *dst, size_t cnt, uint32_t seed, bool extreme)
{
    uint32_t x = seed;
    for (size_t i = 0; i < cnt; i++) {
        x = x * UINT32_C(1664525) + UINT32_C(1013904223); /* Numerical Recipes, 7.1 */
        dst[i] = extreme ? INT8_MIN : (int8_t)(uint8_t)(x >> 24);
    }
}

/* FNV-1a over 32-bit words instead of bytes. */
static uint64_t hash_of(const int32_t *c, size_t cnt)
{
    uint64_t h = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < cnt; i++)
        h = (h ^ (uint32_t)c[i]) * UINT64_C(0x100000001b3);
    return h;
}

qn_rc qn_matmul_i8_selftest(qn_matmul_i8_run_fn *run, void *arg, uint32_t *ret_tiles)
{
    uint32_t tiles = 0;
    for (uint32_t i = 0; i < QN_COUNT(GOLDEN); i++) {
        const struct golden *g = &GOLDEN[i];
        size_t a_cnt = (size_t)g->m * g->k, b_cnt = (size_t)g->n * g->k,
               c_cnt = (size_t)g->m * g->n;
        int8_t *a = malloc(a_cnt), *b = malloc(b_cnt);
        int32_t *c = calloc(c_cnt, sizeof *c);
        qn_rc rc = a && b && c ? QN_OK : QN_E_MEMORY;
        if (rc == QN_OK) {
            fill(a, a_cnt, 2 * i + 1, g->extreme);
            fill(b, b_cnt, 2 * i + 2, g->extreme);
            rc = run(arg, a, b, c, g->m, g->n, g->k);
        }
        if (rc == QN_OK && hash_of(c, c_cnt) == g->hash)
            tiles += (g->m + 15) / 16 * ((g->n + 15) / 16);
        free(a);
        free(b);
        free(c);
        if (rc) return rc;
    }
    *ret_tiles = tiles;
    return QN_OK;
}

static qn_rc product(const struct matmul_i8_build *build, const int8_t *a, const int8_t *b,
                     int32_t *c, uint32_t m, uint32_t n, uint32_t k)
{
    struct matmul_i8_packed packed;
    qn_rc rc = matmul_i8_pack(build, b, n, k, &packed);
    if (rc) return rc;
    rc = matmul_i8_run(&packed, a, c, m);
    matmul_i8_packed_fini(&packed);
    return rc;
}

qn_rc qn_matmul_i8_build_run(void *arg, const int8_t *a, const int8_t *b, int32_t *c, uint32_t m,
                             uint32_t n, uint32_t k)
{
    const struct matmul_i8_build *build = arg;
    return product(build, a, b, c, m, n, k);
}

qn_rc qn_matmul_i8_plan(struct qn_matmul_i8_plan *ret, struct qn_why *why)
{
    struct qn_matmul_i8_plan plan = { 0 };
    size_t cnt;
    const struct matmul_i8_build *const *builds = matmul_i8_builds(&cnt);
    if (why) why->text[0] = 0;
    while (cnt-- > 0 && !plan.build) {
        const struct matmul_i8_build *build = builds[cnt];
        struct matmul_i8_build arg = *build;
        uint32_t tiles = 0;
        if (!build->runs()) continue;
        qn_rc rc = qn_matmul_i8_selftest(qn_matmul_i8_build_run, &arg, &tiles);
        if (rc) return qn_why(why, rc, "int8 matmul %s: %s", build->name, qn_err_text(rc));
        if (tiles == QN_MATMUL_I8_TILES) {
            plan.build = build;
        } else {
            qn_why(why, QN_E_DEVICE,
                   "int8 matmul %s gets only %u of %u golden tiles right: not used", build->name,
                   tiles, QN_MATMUL_I8_TILES);
            if (plan.dropped_cnt < QN_COUNT(plan.dropped)) plan.dropped[plan.dropped_cnt++] = build;
        }
    }
    if (!plan.build) return QN_E_DEVICE; /* why names the reference, which came last */
    *ret = plan;
    return QN_OK;
}

qn_rc qn_matmul_i8(const struct qn_matmul_i8_plan *plan, const int8_t *a, const int8_t *b,
                   int32_t *c, uint32_t m, uint32_t n, uint32_t k)
{
    return product(plan->build, a, b, c, m, n, k);
}

qn_rc qn_matmul_i8_pack(const struct qn_matmul_i8_plan *plan, const int8_t *b, uint32_t n,
                        uint32_t k, struct matmul_i8_packed *ret)
{
    return matmul_i8_pack(plan->build, b, n, k, ret);
}
