/* bench_train_step.c - ms a step of 784-128-10, batch 64, Adam, on Fashion-MNIST where it is installed, and
 * the test accuracy after the run: QUOIN_BENCH_STEPS steps, 2,000 by default. */
#include "core/base/base.h"
#include "core/env/env.h"
#include "gpu/cpu/ops.h"
#include "gpu/graph/mlp.h"
#include "gpu/graph/run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#define DIR "/usr/share/datasets/fashion-mnist/"
#define REC 800u

/* Reads cnt items of len bytes behind head bytes into records. */
static bool idx_read(const char *path, size_t head, uint32_t cnt, uint32_t len, uint8_t *dst)
{
    gzFile f = gzopen(path, "rb");
    uint8_t skip[16];
    bool ok = f && gzread(f, skip, (unsigned)head) == (int)head;
    for (uint32_t i = 0; ok && i < cnt; i++)
        ok = gzread(f, dst + (size_t)i * REC, len) == (int)len;
    if (f) gzclose(f);
    return ok;
}

static uint8_t *set_load(const char *images, const char *labels, uint32_t cnt)
{
    uint8_t *rec = calloc(cnt, REC);
    QN_ASSERT(rec);
    if (!idx_read(images, 16, cnt, 784, rec) || !idx_read(labels, 8, cnt, 1, rec + 784))
        for (size_t i = 0; i < (size_t)cnt * REC; i++) /* no data set: noise is as fast */
            rec[i] = (uint8_t)(i % REC < 784 ? i * 2654435761u >> 13 : i / REC % 10);
    return rec;
}

static double accuracy(struct graph_run *run, const uint8_t *rec, uint32_t cnt, uint32_t batch)
{
    uint32_t hits = 0;
    for (uint32_t i = 0; i < cnt; i += batch) {
        struct graph_records r = { rec + (size_t)i * REC, REC, REC, QN_MIN(batch, cnt - i) };
        const float *z;
        qn_rc rc = graph_run_eval(run, &r, &z, NULL);
        QN_ASSERT(rc == QN_OK);
        for (uint32_t k = 0; k < r.cnt; k++, z += 10) {
            uint32_t top = 0;
            for (uint32_t c = 1; c < 10; c++)
                if (z[c] > z[top]) top = c;
            hits += top == rec[(size_t)(i + k) * REC + 784];
        }
    }
    return (double)hits / cnt;
}

static int u64_cmp(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static void one(const char *variant, uint8_t arith, uint32_t steps, const uint8_t *train,
                const uint8_t *test)
{
    struct qn_arena arena = { 0 };
    struct graph g;
    struct graph_mlp o = graph_mlp_default(steps);
    const char *lr = getenv("QUOIN_BENCH_LR"); /* bits, hex */
    if (lr) o.lr = (uint32_t)strtoul(lr, NULL, 16);
    o.arith = arith;
    struct graph_run *run = NULL;
    qn_rc rc = graph_mlp(&o, &arena, &g, NULL);
    if (rc == QN_OK)
        rc = graph_run_new(&g, &(struct graph_run_opt){ .variant = variant }, &run, NULL);
    QN_ASSERT(rc == QN_OK);
    const char *seed = getenv("QUOIN_BENCH_SEED");
    graph_run_init(run, seed ? strtoull(seed, NULL, 10) : 1);
    struct graph_result res;
    uint8_t *batch = malloc((size_t)o.batch * REC);
    QN_ASSERT(batch);
    uint64_t *us =
        calloc(steps, sizeof *us); /* the median step is printed: others use the machine too */
    QN_ASSERT(us);
    for (uint32_t s = 0; s < steps; s++) {
        for (uint32_t b = 0; b < o.batch; b++) /* a fixed walk with a stride coprime to 60,000 */
            memcpy(batch + (size_t)b * REC,
                   train + (uint64_t)(s * o.batch + b) * 30011 % 60000 * REC, REC);
        struct graph_records r = { batch, REC, REC, o.batch };
        uint64_t t0 = qn_env_mono_us(qn_env_real());
        rc = graph_run_step(run, s, &r, &res, NULL);
        us[s] = qn_env_mono_us(qn_env_real()) - t0;
        QN_ASSERT(rc == QN_OK);
    }
    free(batch);
    qsort(us, steps, sizeof *us, u64_cmp);
    const char *kind = arith == CONTRACT_T12 ? "t12" : "c32";
    printf("{\"name\":\"train_step_%s_%s\",\"value\":%.4f,\"unit\":\"ms\"}\n", kind,
           graph_run_variant(run), (double)us[steps / 2] * 1e-3);
    printf("{\"name\":\"train_accuracy_%s_%s_%u_steps\",\"value\":%.4f,\"unit\":\"share\"}\n", kind,
           graph_run_variant(run), steps, accuracy(run, test, 10000, o.batch));
    free(us);
    graph_run_free(run);
    qn_arena_free(&arena);
}

int main(void)
{
    const char *env = getenv("QUOIN_BENCH_STEPS"), *only = getenv("QUOIN_BENCH_VARIANT");
    uint32_t steps = env && atoi(env) > 0 ? (uint32_t)atoi(env) : 2000;
    uint8_t *train =
        set_load(DIR "train-images-idx3-ubyte.gz", DIR "train-labels-idx1-ubyte.gz", 60000);
    uint8_t *test =
        set_load(DIR "t10k-images-idx3-ubyte.gz", DIR "t10k-labels-idx1-ubyte.gz", 10000);
    uint32_t cnt;
    const struct cpu_ops *const *all = cpu_ops_all(&cnt);
    for (uint32_t i = 0; i < cnt; i++) {
        if (!all[i]->usable() || (only && strcmp(only, all[i]->name) != 0)) continue;
        one(all[i]->name, CONTRACT_C32, steps, train, test);
        one(all[i]->name, CONTRACT_T12, steps, train, test);
    }
    free(train);
    free(test);
    return 0;
}
