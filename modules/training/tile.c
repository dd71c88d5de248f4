/* tile.c - tiles of tensors, and the root of a state. */
#include "modules/training/tile.h"

#include <stdlib.h>
#include <string.h>

#define PACK 64u /* tiles hashed at a time: 64 KiB, in the second cache */

_Static_assert(sizeof(struct graph_tile) == 1024, "a tile is one BLAKE3 chunk");
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "tiles are hashed as they lie in memory");

void tile_get(const float *src, uint32_t rows, uint32_t cols, uint32_t idx, struct graph_tile *ret)
{
    uint32_t row = idx / graph_tiles(cols) * 16, col = idx % graph_tiles(cols) * 16;
    uint32_t h = QN_MIN(16u, rows - row), w = QN_MIN(16u, cols - col);
    if (h < 16 || w < 16) memset(ret, 0, sizeof *ret);
    for (uint32_t r = 0; r < h; r++)
        memcpy(ret->v + r * 16, src + (size_t)(row + r) * cols + col, w * 4);
}

void tile_put(float *dst, uint32_t rows, uint32_t cols, uint32_t idx, const struct graph_tile *tile)
{
    uint32_t row = idx / graph_tiles(cols) * 16, col = idx % graph_tiles(cols) * 16;
    uint32_t h = QN_MIN(16u, rows - row), w = QN_MIN(16u, cols - col);
    for (uint32_t r = 0; r < h; r++)
        memcpy(dst + (size_t)(row + r) * cols + col, tile->v + r * 16, w * 4);
}

void tile_hashes(const float *src, uint32_t rows, uint32_t cols, struct qn_hash *ret)
{
    _Alignas(64) struct graph_tile pack[PACK];
    uint32_t cnt = graph_tiles(rows) * graph_tiles(cols);
    for (uint32_t i = 0; i < cnt; i += PACK) {
        uint32_t n = QN_MIN(PACK, cnt - i);
        for (uint32_t k = 0; k < n; k++)
            tile_get(src, rows, cols, i + k, &pack[k]);
        qn_blake3_many(pack, sizeof *pack, sizeof *pack, n, ret + i);
    }
}

struct qn_hash tile_root(const float *src, uint32_t rows, uint32_t cols)
{
    uint32_t cnt = graph_tiles(rows) * graph_tiles(cols);
    struct qn_hash *leaves = malloc(cnt * sizeof *leaves);
    QN_ASSERT(leaves != NULL);
    tile_hashes(src, rows, cols, leaves);
    tree_up(leaves, cnt, TREE_DEPTH_MAX);
    struct qn_hash root = leaves[0];
    free(leaves);
    return root;
}

struct qn_hash tile_hash(const struct graph_tile *tile)
{
    return qn_blake3(tile, sizeof *tile);
}

struct qn_hash tile_state_root(const struct graph *g, uint64_t step, const struct qn_hash *roots)
{
    struct qn_hash leaves[1024];
    struct qn_hasher h;
    QN_ASSERT(g->next.cnt <= QN_COUNT(leaves));
    for (uint32_t i = 0; i < g->next.cnt; i++) {
        const struct graph_node *n = &g->node.ptr[g->next.ptr[i].state];
        const uint32_t shape[2] = { n->rows, n->cols };
        qn_hasher_label(&h, "train/tensor");
        qn_hasher_put(&h, shape, sizeof shape);
        qn_hasher_put(&h, roots[i].b, 32);
        qn_hasher_put(&h, n->name.ptr, n->name.len);
        leaves[i] = qn_hasher_end(&h);
    }
    const struct qn_hash none = { { 0 } };
    if (g->next.cnt) tree_up(leaves, g->next.cnt, TREE_DEPTH_MAX);
    qn_hasher_label(&h, "train/state");
    qn_hasher_put(&h, &step, sizeof step);
    qn_hasher_put(&h, g->next.cnt ? leaves[0].b : none.b, 32);
    return qn_hasher_end(&h);
}
