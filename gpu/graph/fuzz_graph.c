/* fuzz_graph.c - any bytes as a graph: what decodes must encode to the same bytes, keep the tile rule, and
 * give the same bits by integers and by C floats on tiles made of the input's own bytes. */
#include "gpu/graph/tile_step.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void tiles(const struct graph *g, uint32_t node, uint32_t tile, uint32_t kblock,
                  const uint8_t *data, size_t size)
{
    static const uint8_t zeros[256];
    struct graph_need need;
    struct graph_tile in[GRAPH_IN_MAX], a[GRAPH_CARRY_MAX], b[GRAPH_CARRY_MAX];
    if (graph_tile_inputs(g, node, tile, kblock, &need)) return;
    QN_ASSERT(need.open_cnt <= GRAPH_OPEN_MAX && need.carry_cnt <= GRAPH_CARRY_MAX &&
              need.out_cnt <= GRAPH_CARRY_MAX);
    for (uint32_t i = 0; i < need.open_cnt; i++) {
        const struct graph_node *n = &g->node.ptr[need.open[i].node];
        QN_ASSERT(need.open[i].node < node && need.open[i].tile < graph_tile_cnt(n));
    }
    uint8_t *bytes = (uint8_t *)in;
    for (size_t i = 0; i < sizeof in; i++)
        bytes[i] = data[(i * 7 + i / 13) % size];
    struct qn_span rec = { zeros, (size_t)need.slot_cnt * need.rec_len };
    QN_ASSERT(graph_tile_step(g, node, tile, kblock, 5, in, need.open_cnt + need.carry_cnt, rec,
                              a) == QN_OK ||
              g->node.ptr[node].op == GRAPH_STATE);
    QN_ASSERT(graph_tile_step_c(g, node, tile, kblock, 5, in, need.open_cnt + need.carry_cnt, rec,
                                b) == QN_OK);
    QN_ASSERT(memcmp(a, b, need.out_cnt * sizeof *a) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct qn_arena arena = { .max = 4 << 20 };
    struct graph g;
    if (graph_decode(QN_SPAN(data, size), &arena, &g, NULL) == QN_OK) {
        struct qn_buf buf = { 0 };
        graph_encode(&g, &buf);
        QN_ASSERT(qn_span_eq(qn_buf_get(&buf), QN_SPAN(data, size)));
        qn_buf_free(&buf);
        for (uint32_t i = 0; i < QN_MIN(g.node.cnt, 24u); i++) {
            uint32_t node = (i * 31 + data[size / 2]) % g.node.cnt,
                     cnt = graph_tile_cnt(&g.node.ptr[node]);
            tiles(&g, node, (data[size - 1] * 2654435761u + i) % cnt,
                  i % graph_tile_steps(&g, node), data, size);
        }
    }
    qn_arena_free(&arena);
    return 0;
}
