/* bench_referee.c - the referee's dearest step: 256 terms of a 16 x 16 tile, by integers alone, as apply computes it. */
#include "gpu/graph/mlp.h"
#include "gpu/graph/tile_step.h"

#include <stdio.h>
#include <time.h>

static double now_us(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
    return (double)ts.tv_sec * 1e6 + (double)ts.tv_nsec / 1e3;
}

int main(void)
{
    struct qn_arena arena = { 0 };
    struct graph_mlp mlp = graph_mlp_default(100);
    struct graph_tile in[GRAPH_IN_MAX], out[GRAPH_CARRY_MAX];
    struct graph_need need;
    struct graph g;
    uint32_t node = 0, s = 1;
    double best = 1e12;
    qn_rc rc = graph_mlp(&mlp, &arena, &g, NULL);
    QN_ASSERT(rc == QN_OK);
    while (g.node.ptr[node].op != GRAPH_CONTRACT)
        node++;
    rc = graph_tile_inputs(&g, node, 0, 1, &need);
    QN_ASSERT(rc == QN_OK && need.open_cnt == 32 && need.carry_cnt == 1);
    for (uint32_t i = 0; i < need.open_cnt + need.carry_cnt; i++)
        for (uint32_t k = 0; k < GRAPH_TILE_ELEMS; k++) {
            s = s * 1664525 + 1013904223;
            in[i].v[k] = 0x3c000000 | (s >> 6 & 0x83ffffff); /* small values of both signs */
        }
    for (int i = 0; i < 20; i++) {
        double begun = now_us();
        rc = graph_tile_step(&g, node, 0, 1, 5, in, need.open_cnt + need.carry_cnt,
                             QN_SPAN(NULL, 0), out);
        QN_ASSERT(rc == QN_OK);
        best = QN_MIN(best, now_us() - begun);
    }
    printf("{\"name\":\"referee_tile\",\"value\":%.1f,\"unit\":\"us\"}\n", best);
    qn_arena_free(&arena);
    return 0;
}
