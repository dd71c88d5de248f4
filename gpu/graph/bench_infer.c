/* bench_infer.c - images a second through an int8 784-128-10 model, by batch, against what bounds it: reading the pixels
 * from memory and the products alone at the rate of a large square product on the same variant. */
#include "gpu/graph/int8_batch.h"
#include "gpu/graph/onnx.h"
#include "gpu/plan/matmul_i8.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define IMAGES UINT32_C(20000)
#define IN     784u
#define MACS   (784.0 * 128 + 128 * 10)

static double now(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + 1e-9 * (double)ts.tv_nsec;
}

/* Bytes a second of reading cnt bytes that no cache holds. */
static double read_rate(const uint8_t *p, size_t cnt)
{
    double best = 0;
    for (int round = 0; round < 5; round++) {
        uint64_t sum = 0, word;
        double begin = now();
        for (size_t i = 0; i + 64 <= cnt; i += 64)
            for (size_t k = 0; k < 64; k += 8) {
                memcpy(&word, p + i + k, 8);
                sum += word;
            }
        double rate = (double)cnt / (now() - begin);
        __asm__ volatile("" ::"r"(sum));
        best = rate > best ? rate : best;
    }
    return best;
}

static double product_rate(const struct qn_matmul_i8_plan *plan)
{
    enum { N = 1024 };
    int8_t *a = calloc(N, N), *b = calloc(N, N);
    int32_t *c = malloc(4 * N * N);
    double best = 0;
    QN_ASSERT(a && b && c);
    for (int round = 0; round < 4; round++) {
        double begin = now();
        qn_rc rc = qn_matmul_i8(plan, a, b, c, N, N, N);
        QN_ASSERT(rc == QN_OK);
        double rate = (double)N * N * N / (now() - begin);
        best = rate > best ? rate : best;
    }
    free(a);
    free(b);
    free(c);
    return best;
}

static void line(const char *name, double value, const char *unit, double limit)
{
    printf("{\"name\":\"%s\",\"value\":%.6g,\"unit\":\"%s\"", name, value, unit);
    if (limit > 0)
        printf(",\"limit\":\"pixels read, products at peak: %.4g %s\",\"limit_ratio\":%.3f", limit,
               unit, value / limit);
    printf("}\n");
}

int main(void)
{
    struct qn_arena arena = { 0 };
    struct qn_matmul_i8_plan plan;
    struct int8_batch batch;
    uint32_t seed = 1;
    int8_t *w[2] = { qn_arena_alloc(&arena, IN * 128), qn_arena_alloc(&arena, 128 * 10) };
    int32_t *bias = qn_arena_alloc(&arena, 4 * 128);
    uint8_t *pixels = malloc((size_t)IMAGES * IN);
    int8_t *x = malloc(1000 * IN), *y = malloc(1000 * 10), one[10];
    QN_ASSERT(w[0] && w[1] && bias && pixels && x && y);
    for (size_t i = 0; i < IN * 128; i++)
        w[0][i] = (int8_t)((seed = seed * 1664525 + 1013904223) >> 24);
    for (size_t i = 0; i < 1280; i++)
        w[1][i] = (int8_t)((seed = seed * 1664525 + 1013904223) >> 24);
    for (size_t i = 0; i < (size_t)IMAGES * IN; i++)
        pixels[i] = (uint8_t)(i * 2654435761u >> 13);
    struct int8_model model = {
        2, { { IN, 128, w[0], bias, 1, 12, true }, { 128, 10, w[1], bias, 1, 9, false } }
    };
    if (qn_matmul_i8_plan(&plan, NULL) || int8_batch_init(&batch, &model, plan.build)) return 1;
    double bytes = read_rate(pixels, (size_t)IMAGES * IN), macs = product_rate(&plan);
    double limit = 1 / (IN / bytes + MACS / macs);
    static const uint32_t SIZES[] = { 1, 16, 256, 1000 };
    for (size_t s = 0; s < QN_COUNT(SIZES); s++) {
        uint32_t size = SIZES[s], cnt = QN_MIN(IMAGES, size * 2000) / size * size;
        double best = 0;
        char name[64];
        for (int round = 0; round < 3; round++) {
            double begin = now();
            for (uint32_t at = 0; at < cnt; at += size) {
                int8_pixels(pixels + (size_t)at * IN, (size_t)size * IN, x);
                if (int8_batch_run(&batch, x, size, y)) return 1;
            }
            double rate = cnt / (now() - begin);
            best = rate > best ? rate : best;
        }
        snprintf(name, sizeof name, "infer_%s_batch_%u", plan.build->name, size);
        line(name, best, "images/s", limit);
    }
    double begin = now();
    for (int i = 0; i < 500; i++)
        if (int8_run(&model, x, one)) return 1;
    line("infer_reference", 500 / (now() - begin), "images/s", 0);
    struct qn_buf file = { 0 };
    begin = now();
    onnx_export(&model, &file);
    line("onnx_export", 1e3 * (now() - begin), "ms", 0);
    begin = now();
    if (onnx_import(qn_buf_get(&file), &arena, &model, NULL, NULL)) return 1;
    line("onnx_import", 1e3 * (now() - begin), "ms", 0);
    line("onnx_bytes", (double)file.len, "bytes", 0);
    int8_batch_fini(&batch);
    qn_buf_free(&file);
    qn_arena_free(&arena);
    free(pixels);
    free(x);
    free(y);
    return 0;
}
