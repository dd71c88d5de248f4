/* bench_matmul_i8.c - int8 products a second of each variant, against a loop of its own instructions that
 * touches registers only. Operations: a multiplication and an addition count two. */
#include "gpu/plan/matmul_i8.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static double now(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + 1e-9 * (double)ts.tv_nsec;
}

#ifdef __x86_64__
#define REPEAT 120000 /* about 1 ms: between two turns of other processes */

/* 12 chains hide the latency (5 cycles of vpmaddwd and vpdpbusd, two a cycle). */
#define TWELVE(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11)
#define LOOP(X)                                                                                    \
    for (int i = 0; i < REPEAT; i++)                                                               \
    __asm__ volatile(TWELVE(X)::                                                                   \
                         : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", \
                           "xmm9", "xmm10", "xmm11", "xmm12", "xmm13")
/* SSE2's pmaddwd overwrites an operand; what it costs is the same. */
#define SSE2(r)    "pmaddwd %%xmm12, %%xmm" #r "\n\tpaddd %%xmm13, %%xmm" #r "\n\t"
#define AVX2(r)    "vpmaddwd %%ymm12, %%ymm12, %%ymm13\n\tvpaddd %%ymm13, %%ymm" #r ", %%ymm" #r "\n\t"
#define AVXVNNI(r) "%{vex%} vpdpbusd %%ymm12, %%ymm13, %%ymm" #r "\n\t"
#define AVX512(r)                                                                                  \
    "vpmaddwd %%zmm12, %%zmm12, %%zmm13\n\tvpaddd %%zmm13, %%zmm" #r ", %%zmm" #r "\n\t"
#define AVX512VNNI(r) "vpdpbusd %%zmm12, %%zmm13, %%zmm" #r "\n\t"

/* Multiplications a second of the instructions behind a build, or 0 when there is no such loop. */
static double limit_of(const struct matmul_i8_build *build)
{
    double best = 0;
    if (build->begin) build->begin();
    for (double stop = now() + 0.5; now() < stop;) {
        double begin = now(), lanes;
        if (strcmp(build->name, "sse2") == 0) {
            LOOP(SSE2);
            lanes = 8;
        } else if (strcmp(build->name, "avx2") == 0) {
            LOOP(AVX2);
            lanes = 16;
        } else if (strcmp(build->name, "avxvnni") == 0) {
            LOOP(AVXVNNI);
            lanes = 32;
        } else if (strcmp(build->name, "avx512") == 0) {
            LOOP(AVX512);
            lanes = 32;
        } else if (strcmp(build->name, "avx512vnni") == 0) {
            LOOP(AVX512VNNI);
            lanes = 64;
        } else if (strcmp(build->name, "amx") == 0) {
            for (int i = 0; i < REPEAT / 12; i++)
                __asm__ volatile(
                    "tdpbssd %%tmm6, %%tmm4, %%tmm0\n\ttdpbssd %%tmm7, %%tmm4, %%tmm1\n\t"
                    "tdpbssd %%tmm6, %%tmm5, %%tmm2\n\ttdpbssd %%tmm7, %%tmm5, %%tmm3" ::);
            lanes = 16384.0 * 4 / 144;
        } else {
            return 0;
        }
        double rate = lanes * 12 * REPEAT / (now() - begin);
        best = rate > best ? rate : best;
    }
    if (build->end) build->end();
    return best;
}
#else
static double limit_of(const struct matmul_i8_build *build)
{
    (void)build;
    return 0;
}
#endif

/* Best of several runs, in multiplications a second. */
static double rate_of(const struct matmul_i8_build *build, uint32_t m, uint32_t n, uint32_t k)
{
    struct matmul_i8_packed packed;
    int8_t *a = malloc((size_t)m * k), *b = malloc((size_t)n * k);
    int32_t *c = malloc((size_t)m * n * sizeof *c);
    QN_ASSERT(a && b && c);
    for (size_t i = 0; i < (size_t)m * k; i++)
        a[i] = (int8_t)(i * 37 % 251);
    for (size_t i = 0; i < (size_t)n * k; i++)
        b[i] = (int8_t)(i * 53 % 241);
    qn_rc rc = matmul_i8_pack(build, b, n, k, &packed);
    QN_ASSERT(rc == QN_OK);
    double best = 0, stop = now() + 0.5;
    do {
        double begin = now();
        int repeat = 0;
        do {
            rc = matmul_i8_run(&packed, a, c, m);
            QN_ASSERT(rc == QN_OK);
            repeat++;
        } while (now() - begin < 0.002);
        double rate = (double)m * n * k * repeat / (now() - begin);
        best = rate > best ? rate : best;
    } while (now() < stop);
    matmul_i8_packed_fini(&packed);
    free(a);
    free(b);
    free(c);
    return best;
}

int main(void)
{
    static const struct {
        uint32_t m, n, k;
    } SHAPES[] = { { 1, 128, 784 }, { 64, 128, 784 }, { 1024, 1024, 1024 } };
    size_t cnt;
    const struct matmul_i8_build *const *builds = matmul_i8_builds(&cnt);
    for (size_t v = 0; v < cnt; v++) {
        if (!builds[v]->runs()) continue;
        double limit = limit_of(builds[v]);
        for (size_t s = 0; s < QN_COUNT(SHAPES); s++) {
            double rate = rate_of(builds[v], SHAPES[s].m, SHAPES[s].n, SHAPES[s].k);
            printf("{\"name\":\"matmul_i8 %s %ux%ux%u\",\"value\":%.1f,\"unit\":\"Gop/s\"",
                   builds[v]->name, SHAPES[s].m, SHAPES[s].n, SHAPES[s].k, rate * 2e-9);
            if (limit > 0)
                printf(",\"limit\":%.1f,\"limit_ratio\":%.3f", limit * 2e-9, rate / limit);
            printf("}\n");
            fflush(stdout);
        }
    }
    return 0;
}
