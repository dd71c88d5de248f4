/* bench_prove.c - proving and verifying ms and proof bytes of MLPs. One thread, its CPU time (what the clock shows on an
 * idle core, whatever else runs), medians of nine. */
#include "modules/zkml/testnet.h"
#include "modules/zkml/verify.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static uint64_t cpu_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static void line(const char *net, const char *what, double value, const char *unit)
{
    printf("{\"name\":\"zkml.%s.%s\",\"value\":%.3f,\"unit\":\"%s\"}\n", net, what, value, unit);
}

static int run(const char *name, const uint32_t *dims, uint32_t layers)
{
    enum { ROUNDS = 9 };
    struct testnet n;
    struct qn_why why = { "" };
    struct qn_buf proof = { 0 };
    struct zkml_verdict v;
    uint64_t prove[ROUNDS], verify[ROUNDS], begun = cpu_us();
    if (testnet_make(&n, dims, layers, 16, 1, &why)) return 1;
    double setup = (double)(cpu_us() - begun) / 1000;
    for (uint64_t i = 0; i < ROUNDS; i++) {
        qn_buf_clear(&proof);
        begun = cpu_us();
        if (testnet_prove(&n, NULL, i, &proof, NULL, &why)) return 1;
        prove[i] = cpu_us() - begun;
        begun = cpu_us();
        if (zkml_verify(qn_buf_get(&proof), &v, &why)) return 1;
        verify[i] = cpu_us() - begun;
    }
    qsort(prove, ROUNDS, sizeof *prove, by_value);
    qsort(verify, ROUNDS, sizeof *verify, by_value);
    line(name, "setup", setup, "ms");
    line(name, "prove", (double)prove[ROUNDS / 2] / 1000, "ms");
    line(name, "verify", (double)verify[ROUNDS / 2] / 1000, "ms");
    line(name, "proof", (double)proof.len, "bytes");
    line(name, "security", (double)v.bits / 10, "bits");
    qn_buf_free(&proof);
    testnet_free(&n);
    return 0;
}

int main(void)
{
    return run("mlp_784_128_10", (const uint32_t[]){ 784, 128, 10 }, 2) ||
           run("mlp_784_56_10", (const uint32_t[]){ 784, 56, 10 }, 2) ||
           run("dense_3_4", (const uint32_t[]){ 3, 4 }, 1);
}
