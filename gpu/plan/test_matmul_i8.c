/* test_matmul_i8.c - every variant gives the bits of a schoolbook product; a variant that does not is dropped. */
#include "gpu/plan/matmul_i8.h"

#include "core/base/test.h"

#include <stdlib.h>

static uint32_t rnd(uint32_t *x)
{
    *x ^= *x << 13;
    *x ^= *x >> 17;
    return *x ^= *x << 5;
}

static void school(const int8_t *a, const int8_t *b, int64_t *c, uint32_t m, uint32_t n, uint32_t k)
{
    for (uint32_t i = 0; i < m; i++)
        for (uint32_t j = 0; j < n; j++) {
            int64_t sum = 0;
            for (uint32_t l = 0; l < k; l++)
                sum += (int32_t)a[(size_t)i * k + l] * b[(size_t)j * k + l];
            c[(size_t)i * n + j] = sum;
        }
}

enum fill { RANDOM, ALL_MIN, MIN_MAX, SIGNS };

/* One shape through every variant this CPU has; a guard word past c must survive. */
static void shape(struct qn_test_state *t, uint32_t m, uint32_t n, uint32_t k, enum fill how,
                  uint32_t seed)
{
    size_t cnt;
    const struct matmul_i8_build *const *builds = matmul_i8_builds(&cnt);
    int8_t *a = malloc((size_t)m * k), *b = malloc((size_t)n * k);
    int64_t *want = malloc((size_t)m * n * sizeof *want);
    int32_t *c = malloc(((size_t)m * n + 1) * sizeof *c);
    QN_ASSERT(a && b && want && c);
    for (size_t i = 0; i < (size_t)(m + n) * k; i++) {
        int8_t *dst = i < (size_t)m * k ? &a[i] : &b[i - (size_t)m * k];
        uint32_t r = rnd(&seed);
        *dst = how == RANDOM    ? (int8_t)(r & 255)
               : how == ALL_MIN ? INT8_MIN
               : how == MIN_MAX ? (i < (size_t)m * k ? INT8_MIN : INT8_MAX)
                                : (r & 1 ? INT8_MIN : INT8_MAX);
    }
    school(a, b, want, m, n, k);
    for (size_t v = 0; v < cnt; v++) {
        if (!builds[v]->runs()) continue;
        struct matmul_i8_build arg = *builds[v];
        memset(c, 0x5a, ((size_t)m * n + 1) * sizeof *c);
        CHECK_RC(qn_matmul_i8_build_run(&arg, a, b, c, m, n, k), QN_OK);
        size_t bad = 0;
        for (size_t i = 0; i < (size_t)m * n; i++)
            bad += c[i] != want[i];
        if (bad || c[(size_t)m * n] != 0x5a5a5a5a)
            printf("%s: %u x %u x %u fill %d: %zu differ\n", builds[v]->name, m, n, k, (int)how,
                   bad);
        CHECK(bad == 0);
        CHECK(c[(size_t)m * n] == 0x5a5a5a5a);
    }
    free(a);
    free(b);
    free(want);
    free(c);
}

static void test_small(struct qn_test_state *t)
{
    for (uint32_t m = 1; m <= 33; m++)
        for (uint32_t n = 1; n <= 33; n++)
            for (uint32_t k = 1; k <= 33; k += 1 + (m * n) % 3)
                shape(t, m, n, k, RANDOM, m * 10007 + n * 101 + k);
}

static void test_large(struct qn_test_state *t)
{
    uint32_t x = 77;
    for (int i = 0; i < (test_long() ? 400 : 25); i++) {
        uint32_t m = 1 + rnd(&x) % 150, n = 1 + rnd(&x) % 300, k = 1 + rnd(&x) % 900;
        shape(t, m, n, k, RANDOM, rnd(&x));
    }
    shape(t, 700, 65, 513, RANDOM, 5); /* more than one chunk of rows */
}

static void test_extremes(struct qn_test_state *t)
{
    shape(t, 7, 65, 65536, ALL_MIN, 1); /* 2^30 in every place */
    shape(t, 7, 9, 65535, MIN_MAX, 2);
    shape(t, 3, 70, 65536, SIGNS, 3);
    shape(t, 33, 130, 4097, SIGNS, 4);
}

static void test_bounds(struct qn_test_state *t)
{
    struct qn_matmul_i8_plan plan;
    struct qn_why why;
    struct matmul_i8_packed packed;
    int8_t one = 1;
    int32_t c = 0;
    CHECK_RC(qn_matmul_i8_plan(&plan, &why), QN_OK);
    CHECK(why.text[0] == 0);
    CHECK(plan.dropped_cnt == 0);
    CHECK_RC(qn_matmul_i8(&plan, &one, &one, &c, 1, 1, 1), QN_OK);
    CHECK(c == 1);
    CHECK_RC(qn_matmul_i8(&plan, &one, &one, &c, 0, 1, 1), QN_E_RANGE);
    CHECK_RC(qn_matmul_i8(&plan, &one, &one, &c, 1, 0, 1), QN_E_RANGE);
    CHECK_RC(qn_matmul_i8(&plan, &one, &one, &c, 1, 1, 0), QN_E_RANGE);
    CHECK_RC(qn_matmul_i8(&plan, &one, &one, &c, 1, 1, 65537), QN_E_RANGE);
    CHECK_RC(qn_matmul_i8(&plan, &one, &one, &c, 1, 65536, 65536), QN_E_RANGE);
    CHECK_RC(qn_matmul_i8_pack(&plan, &one, 1, 1, &packed), QN_OK);
    CHECK_RC(matmul_i8_run(&packed, &one, &c, UINT32_MAX), QN_E_RANGE);
    matmul_i8_packed_fini(&packed);
}

static qn_rc off_by_one(void *arg, const int8_t *a, const int8_t *b, int32_t *c, uint32_t m,
                        uint32_t n, uint32_t k)
{
    qn_rc rc = qn_matmul_i8_build_run(arg, a, b, c, m, n, k);
    if (k == 65) c[(size_t)m * n - 1] ^= 1;
    return rc;
}

static void test_selftest(struct qn_test_state *t)
{
    size_t cnt;
    const struct matmul_i8_build *const *builds = matmul_i8_builds(&cnt);
    for (size_t i = 0; i < cnt; i++) {
        struct matmul_i8_build arg = *builds[i];
        uint32_t tiles = 0;
        if (!arg.runs()) continue;
        CHECK_RC(qn_matmul_i8_selftest(qn_matmul_i8_build_run, &arg, &tiles), QN_OK);
        CHECK(tiles == QN_MATMUL_I8_TILES);
        CHECK_RC(qn_matmul_i8_selftest(off_by_one, &arg, &tiles), QN_OK);
        CHECK(tiles == QN_MATMUL_I8_TILES - 6);
    }
}

int main(void)
{
    TEST_BEGIN();
    TEST(test_small);
    TEST(test_large);
    TEST(test_extremes);
    TEST(test_bounds);
    TEST(test_selftest);
    return TEST_END();
}
