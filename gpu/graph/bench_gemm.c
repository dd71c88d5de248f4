/* bench_gemm.c - contraction of 768 cubed on one thread, both kinds, every variant, against OpenBLAS. */
#include "core/base/base.h"
#include "gpu/cpu/ops.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#ifdef QN_OPENBLAS
void openblas_set_num_threads(int n);
void cblas_sgemm(int order, int ta, int tb, int m, int n, int k, float alpha, const float *a,
                 int lda, const float *b, int ldb, float beta, float *c, int ldc);
#endif

static double now(void)
{
    struct timespec t; /* of this thread: others may have the core in between */
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

struct bench {
    uint32_t d;
    float *a, *b, *c, *space;
};

static double ours(const struct bench *x, const struct cpu_ops *ops, bool t12)
{
    struct cpu_gemm g = { .m = x->d,
                          .n = x->d,
                          .k = x->d,
                          .a = x->a,
                          .b = x->b,
                          .c = x->c,
                          .lda = x->d,
                          .ldb = x->d,
                          .ldc = x->d,
                          .t12 = t12,
                          .space = x->space };
    double t0 = now();
    ops->gemm(&g);
    return now() - t0;
}

static double blas(const struct bench *x)
{
#ifdef QN_OPENBLAS
    int d = (int)x->d;
    double t0 = now();
    cblas_sgemm(101, 111, 111, d, d, d, 1, x->a, d, x->b, d, 0, x->c, d);
    return now() - t0;
#else
    (void)x;
    return 0;
#endif
}

/* Interleaved with the peer, best of each: the machine is shared. */
static void one(const struct bench *x, const struct cpu_ops *ops, bool t12)
{
    double best = 1e9, peer = 1e9, flop = 2.0 * x->d * x->d * x->d;
    for (int i = 0; i < 20; i++) {
        best = QN_MIN(best, ours(x, ops, t12));
        peer = QN_MIN(peer, blas(x));
    }
    printf("{\"name\":\"gemm_%s_%s_%u\",\"value\":%.1f,\"unit\":\"GFLOP/s\"", t12 ? "t12" : "c32",
           ops->name, x->d, flop / best * 1e-9);
    if (peer > 0)
        printf(",\"peer\":\"openblas\",\"peer_value\":%.1f,\"ratio\":%.3f", flop / peer * 1e-9,
               peer / best);
    printf("}\n");
}

int main(int argc, char **argv)
{
    (void)argc;
    (void)argv;
#if defined QN_OPENBLAS && defined __x86_64__
    /* Debian's OpenBLAS does not know newer processors and would run its SSE kernels: name the best family. */
    if (!getenv("OPENBLAS_CORETYPE")) {
        setenv("OPENBLAS_CORETYPE",
               cpu_ops_find("avx512") ? "SkylakeX"
               : cpu_ops_find("avx2") ? "Haswell"
                                      : "Nehalem",
               1);
        execv("/proc/self/exe", argv);
    }
#endif
    struct bench x = { .d = 768 };
    const char *dim = getenv("QUOIN_BENCH_DIM");
    if (dim && atoi(dim) > 0) x.d = (uint32_t)atoi(dim);
    size_t bytes = ((size_t)x.d * x.d * 4 + 63) / 64 * 64;
    x.a = aligned_alloc(64, bytes);
    x.b = aligned_alloc(64, bytes);
    x.c = aligned_alloc(64, bytes);
    x.space = aligned_alloc(64, CPU_GEMM_SPACE * 4);
    QN_ASSERT(x.a && x.b && x.c && x.space);
    uint32_t s = 1;
    for (size_t i = 0; i < (size_t)x.d * x.d; i++) {
        s = s * 1664525 + 1013904223;
        x.a[i] = (float)(s >> 8) * 0x1p-24f - 0.5f;
        s = s * 1664525 + 1013904223;
        x.b[i] = (float)(s >> 8) * 0x1p-24f - 0.5f;
    }
#ifdef QN_OPENBLAS
    openblas_set_num_threads(1);
#endif
    uint32_t cnt;
    const struct cpu_ops *const *all = cpu_ops_all(&cnt);
    for (uint32_t i = 0; i < cnt; i++)
        for (int t12 = 0; t12 < 2 && all[i]->usable(); t12++)
            one(&x, all[i], t12);
    free(x.a);
    free(x.b);
    free(x.c);
    free(x.space);
    return 0;
}
