/* bench_trace.c - what a trace costs: the same steps with marks and state roots and without, segment by segment in turn, in
 * processor time, the least of each. The limit is hashing the state once a segment at the speed of the tile hash alone. */
#include "core/crypto/hash.h"
#include "gpu/graph/mlp.h"
#include "modules/training/replay.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define RECS   6000u
#define ROUNDS 25
#define SEG    36u

static double now_us(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
    return (double)ts.tv_sec * 1e6 + (double)ts.tv_nsec / 1e3;
}

static double least(const double *v, size_t cnt)
{
    double best = v[0];
    for (size_t i = 1; i < cnt; i++)
        best = QN_MIN(best, v[i]);
    return best;
}

/* Images of noise, brighter where their class is. */
static void make_data(struct qn_buf *blob, struct dataset *ret)
{
    const struct dataset d = {
        .rec_bytes = 800, .rec_cnt = RECS, .dims = { 28, 28, 1 }, .label_off = 784, .class_cnt = 10
    };
    uint32_t s = 1;
    dataset_put(&d, blob);
    uint8_t *p = qn_buf_grow(blob, (size_t)800 * RECS);
    for (size_t i = 0; i < (size_t)800 * RECS; i++) {
        s = s * 1664525 + 1013904223;
        size_t k = i % 800, label = i / 800 % 10;
        p[i] = (uint8_t)(k < 784    ? (s >> 24) / 2 + (k % 10 == label ? 100 : 0)
                         : k == 784 ? label
                                    : 0);
    }
    QN_ASSERT(dataset_open(qn_buf_get(blob), ret, NULL) == QN_OK);
}

static double segment(struct replay *r, bool trace, struct qn_hash *chain)
{
    struct qn_hash leaves[SEG];
    double begun = now_us();
    for (uint32_t i = 0; i < SEG; i++) {
        struct trace_step mark;
        qn_rc rc = replay_step(r, trace ? &mark : NULL, NULL);
        QN_ASSERT(rc == QN_OK);
        if (!trace) continue;
        mark.chain = trace_chain(chain, &mark);
        *chain = mark.chain;
        leaves[i] = trace_step_hash(&mark);
    }
    if (trace) {
        struct trace_segment seg = { .to = replay_root(r), .steps = tree_root(leaves, SEG) };
        *chain = qn_h2("bench", chain, &seg.to);
    }
    return now_us() - begun;
}

static double hash_us(size_t tiles)
{
    struct graph_tile *t = calloc(tiles, sizeof *t);
    struct qn_hash *h = calloc(tiles, sizeof *h);
    double best = 1e12;
    QN_ASSERT(t && h);
    for (int i = 0; i < 9; i++) {
        double begun = now_us();
        qn_blake3_many(t, sizeof *t, sizeof *t, tiles, h);
        best = QN_MIN(best, now_us() - begun);
    }
    free(t);
    free(h);
    return best;
}

int main(void)
{
    struct qn_arena arena = { 0 };
    struct qn_buf blob = { 0 };
    struct replay_conf conf = { .seed = 1, .steps = 1u << 20, .batch = 64, .seg = SEG };
    struct graph_mlp mlp = graph_mlp_default(1u << 20);
    struct replay *plain = NULL, *traced = NULL;
    struct qn_hash chain = { { 0 } };
    double off[ROUNDS], on[ROUNDS];
    size_t tiles = 0;
    make_data(&blob, &conf.data);
    QN_ASSERT(graph_mlp(&mlp, &arena, &conf.g, NULL) == QN_OK);
    QN_ASSERT(replay_new(&conf, &plain, NULL) == QN_OK &&
              replay_new(&conf, &traced, NULL) == QN_OK);
    segment(plain, false, NULL);
    segment(traced, true, &chain);
    for (int i = 0; i < ROUNDS; i++) {
        off[i] = segment(plain, false, NULL);
        on[i] = segment(traced, true, &chain);
    }
    for (uint32_t i = 0; i < conf.g.next.cnt; i++)
        tiles += graph_tile_cnt(&conf.g.node.ptr[conf.g.next.ptr[i].state]);
    double a = least(off, ROUNDS), b = least(on, ROUNDS);
    printf("{\"name\":\"train_step\",\"value\":%.1f,\"unit\":\"us\"}\n", a / SEG);
    printf("{\"name\":\"train_step_traced\",\"value\":%.1f,\"unit\":\"us\"}\n", b / SEG);
    printf("{\"name\":\"train_trace_overhead\",\"value\":%.2f,\"unit\":\"%%\",\"limit\":%.2f}\n",
           (b - a) / a * 100, hash_us(tiles) / a * 100);
    replay_free(plain);
    replay_free(traced);
    qn_buf_free(&blob);
    qn_arena_free(&arena);
    return 0;
}
