/* places.c - CPU variants and devices side by side: listing, speed, equal bits. */
#include "gpu/plan/places.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static uint64_t now_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static struct qn_place *add(struct qn_places *places, const char *api)
{
    if (places->cnt == QN_PLACE_MAX) return NULL;
    struct qn_place *place = &places->list[places->cnt++];
    *place = (struct qn_place){ .api = api };
    return place;
}

static void add_api(struct qn_places *places, enum qn_gpu_api api)
{
    struct qn_gpu_opts opts = { .api = api };
    struct qn_why why = { "" };
    uint32_t cnt = 0;
    const char *name = qn_gpu_api_name(api);
    qn_rc rc = qn_gpu_open(&opts, &places->gpus[api], &why);
    if (rc) {
        struct qn_place *place = add(places, name);
        if (!place) return;
        place->rc = rc;
        place->why = why;
        return;
    }
    const struct qn_gpu_device *devs = qn_gpu_devices(places->gpus[api], &cnt);
    for (uint32_t i = 0; i < cnt; i++) {
        struct qn_place *place = add(places, name);
        if (!place) return;
        snprintf(place->name, sizeof place->name, "%s", devs[i].name);
        snprintf(place->doc, sizeof place->doc, "%s", devs[i].driver);
        place->software = devs[i].software;
        place->gpu = places->gpus[api];
        place->device = i;
    }
}

void qn_places_open(struct qn_places *ret)
{
    size_t cnt;
    const struct matmul_i8_build *const *builds = matmul_i8_builds(&cnt);
    *ret = (struct qn_places){ 0 };
    for (size_t i = 0; i < cnt; i++) {
        struct qn_place *place = builds[i]->runs() ? add(ret, "cpu") : NULL;
        if (!place) continue;
        snprintf(place->name, sizeof place->name, "%s", builds[i]->name);
        snprintf(place->doc, sizeof place->doc, "%s", builds[i]->doc);
        place->build = builds[i];
    }
    add_api(ret, QN_GPU_VULKAN);
    add_api(ret, QN_GPU_CUDA);
}

void qn_places_close(struct qn_places *places)
{
    for (size_t i = 0; i < QN_COUNT(places->gpus); i++)
        qn_gpu_close(places->gpus[i]);
}

qn_rc qn_place_matmul_i8(const struct qn_place *place, const int8_t *a, const int8_t *b, int32_t *c,
                         uint32_t m, uint32_t n, uint32_t k, uint32_t repeat, uint64_t *ret_ns,
                         struct qn_why *why)
{
    struct matmul_i8_packed packed;
    uint64_t best = UINT64_MAX;
    if (place->gpu)
        return qn_gpu_matmul_i8(place->gpu, place->device, a, b, c, m, n, k, repeat, ret_ns, why);
    qn_rc rc = matmul_i8_pack(place->build, b, n, k, &packed);
    if (rc) return qn_why(why, rc, "%u x %u x %u: %s", m, n, k, qn_err_text(rc));
    for (uint32_t i = 0; rc == QN_OK && i < repeat; i++) {
        uint64_t begin = now_ns();
        rc = matmul_i8_run(&packed, a, c, m);
        best = QN_MIN(best, now_ns() - begin);
    }
    matmul_i8_packed_fini(&packed);
    if (rc) return qn_why(why, rc, "%u x %u x %u: %s", m, n, k, qn_err_text(rc));
    if (ret_ns) *ret_ns = best;
    return QN_OK;
}

struct golden {
    const struct qn_place *place;
    struct qn_why why;
};

static qn_rc golden_run(void *arg, const int8_t *a, const int8_t *b, int32_t *c, uint32_t m,
                        uint32_t n, uint32_t k)
{
    struct golden *g = arg;
    return qn_place_matmul_i8(g->place, a, b, c, m, n, k, 1, NULL, &g->why);
}

qn_rc qn_place_golden(const struct qn_place *place, uint32_t *ret_tiles, struct qn_why *why)
{
    struct golden g = { .place = place };
    qn_rc rc = qn_matmul_i8_selftest(golden_run, &g, ret_tiles);
    if (rc) return qn_why(why, rc, "%s", g.why.text[0] ? g.why.text : qn_err_text(rc));
    return QN_OK;
}

/* Operands and room for two results. */
struct matrices {
    int8_t *a, *b;
    int32_t *c, *want;
};

static void matrices_free(struct matrices *mat)
{
    free(mat->a);
    free(mat->b);
    free(mat->c);
    free(mat->want);
}

static qn_rc matrices_new(uint32_t m, uint32_t n, uint32_t k, bool extreme, struct matrices *ret)
{
    size_t a_cnt = (size_t)m * k, b_cnt = (size_t)n * k, c_cnt = (size_t)m * n;
    struct matrices mat = { malloc(a_cnt), malloc(b_cnt), malloc(c_cnt * 4), malloc(c_cnt * 4) };
    if (!mat.a || !mat.b || !mat.c || !mat.want) {
        matrices_free(&mat);
        return QN_E_MEMORY;
    }
    uint32_t x = m * 31 + n * 17 + k;
    for (size_t i = 0; i < a_cnt + b_cnt; i++) {
        x = x * UINT32_C(1664525) + UINT32_C(1013904223);
        int8_t *dst = i < a_cnt ? &mat.a[i] : &mat.b[i - a_cnt];
        *dst = extreme ? INT8_MIN : (int8_t)(uint8_t)(x >> 24);
    }
    *ret = mat;
    return QN_OK;
}

qn_rc qn_place_rate(const struct qn_place *place, uint32_t m, uint32_t n, uint32_t k,
                    double *ret_ops, struct qn_why *why)
{
    struct matrices mat;
    qn_rc rc = matrices_new(m, n, k, false, &mat);
    if (rc) return rc;
    uint64_t best = UINT64_MAX, ns = 0, begin = now_ns();
    uint32_t repeat = place->gpu && !place->software ? 20 : 3;
    do {
        rc = qn_place_matmul_i8(place, mat.a, mat.b, mat.c, m, n, k, repeat, &ns, why);
        best = QN_MIN(best, ns);
    } while (rc == QN_OK && place->build && now_ns() - begin < 50000000);
    matrices_free(&mat);
    if (rc == QN_OK) *ret_ops = best ? 2e9 * m * n * k / (double)best : 0;
    return rc;
}

static qn_rc compare(const struct qn_place *place, uint32_t m, uint32_t n, uint32_t k, bool extreme,
                     struct qn_place_bits *sum, struct qn_why *why)
{
    const struct qn_place reference = { .api = "cpu", .build = &matmul_i8_c };
    struct matrices mat;
    qn_rc rc = matrices_new(m, n, k, extreme, &mat);
    if (rc) return rc;
    size_t cnt = (size_t)m * n;
    memset(mat.c, 0x77, cnt * 4);
    rc = qn_place_matmul_i8(&reference, mat.a, mat.b, mat.want, m, n, k, 1, NULL, why);
    if (rc == QN_OK) rc = qn_place_matmul_i8(place, mat.a, mat.b, mat.c, m, n, k, 1, NULL, why);
    for (size_t i = 0; rc == QN_OK && i < cnt; i++)
        sum->wrong_cnt += mat.c[i] != mat.want[i];
    sum->value_cnt += cnt;
    sum->shape_cnt++;
    matrices_free(&mat);
    return rc;
}

qn_rc qn_place_compare(const struct qn_place *place, struct qn_place_bits *ret, struct qn_why *why)
{
    static const struct {
        uint32_t m, n, k;
        bool extreme;
    } SHAPES[] = { { 64, 128, 784, false },  { 37, 300, 785, false }, { 100, 129, 1001, false },
                   { 333, 257, 515, false }, { 9, 129, 65536, true }, { 1, 10, 65536, true },
                   { 2, 1000, 1, false },    { 1000, 2, 3, false } };
    struct qn_place_bits sum = { 0 };
    qn_rc rc = QN_OK;
    /* Each job of a device costs a round trip, so there a third of the small shapes. */
    uint32_t step = place->gpu ? 3 : 1;
    for (uint32_t m = 1; rc == QN_OK && m <= 33; m++)
        for (uint32_t n = 1 + m % step; rc == QN_OK && n <= 33; n += step)
            rc = compare(place, m, n, 1 + (m * 7 + n * 3) % 70, (m + n) % 5 == 0, &sum, why);
    for (size_t i = 0; rc == QN_OK && i < QN_COUNT(SHAPES); i++)
        rc = compare(place, SHAPES[i].m, SHAPES[i].n, SHAPES[i].k, SHAPES[i].extreme, &sum, why);
    if (rc == QN_OK) *ret = sum;
    return rc;
}
