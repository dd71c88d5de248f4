/* tiletree.c - trees over tiles. */
#include "modules/training/tiletree.h"

#include <stdlib.h>
#include <string.h>

#define PACK 64u /* tiles hashed at a time: 64 KiB, in the second cache */

_Static_assert(sizeof(struct graph_tile) == 1024, "a tile is one BLAKE3 chunk");
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "tiles are hashed as they lie in memory");

uint32_t tree_height(uint32_t cnt)
{
    uint32_t level = 0;
    for (; cnt > 1; cnt = cnt / 2 + cnt % 2)
        level++;
    return level;
}

uint32_t tree_level_cnt(uint32_t cnt, uint32_t level)
{
    while (level-- && cnt > 1)
        cnt = cnt / 2 + cnt % 2;
    return cnt;
}

uint32_t tree_up(struct qn_hash *nodes, uint32_t cnt, uint32_t levels)
{
    struct qn_hash up[PACK];
    for (; levels && cnt > 1; levels--) {
        uint32_t pairs = cnt / 2;
        for (uint32_t i = 0; i < pairs; i += PACK) {
            uint32_t n = QN_MIN(PACK, pairs - i);
            qn_h_many("train/node", nodes + 2 * i, 64, 64, n, up);
            memcpy(nodes + i, up, n * sizeof *up);
        }
        if (cnt & 1) nodes[pairs] = nodes[cnt - 1];
        cnt = pairs + (cnt & 1);
    }
    return cnt;
}

static struct qn_hash *copy_of(const struct qn_hash *leaves, uint32_t cnt)
{
    QN_ASSERT(cnt > 0);
    struct qn_hash *copy = malloc(cnt * sizeof *copy);
    QN_ASSERT(copy != NULL);
    memcpy(copy, leaves, cnt * sizeof *copy);
    return copy;
}

struct qn_hash tree_root(const struct qn_hash *leaves, uint32_t cnt)
{
    struct qn_hash *level = copy_of(leaves, cnt);
    tree_up(level, cnt, TREE_DEPTH_MAX);
    struct qn_hash root = level[0];
    free(level);
    return root;
}

uint32_t tree_path(const struct qn_hash *leaves, uint32_t cnt, uint32_t idx, struct qn_hash *ret)
{
    QN_ASSERT(idx < cnt);
    struct qn_hash *level = copy_of(leaves, cnt);
    uint32_t n = 0;
    for (; cnt > 1; idx /= 2) {
        if ((idx ^ 1) < cnt) ret[n++] = level[idx ^ 1];
        cnt = tree_up(level, cnt, 1);
    }
    free(level);
    return n;
}

bool tree_check(const struct qn_hash *root, uint32_t cnt, uint32_t idx, const struct qn_hash *leaf,
                const struct qn_hash *path, uint32_t path_cnt)
{
    struct qn_hash at = *leaf;
    uint32_t used = 0;
    if (idx >= cnt) return false;
    for (; cnt > 1; cnt = cnt / 2 + cnt % 2, idx /= 2) {
        if ((idx ^ 1) >= cnt) continue;
        if (used == path_cnt) return false;
        const struct qn_hash *side = &path[used++];
        at = idx & 1 ? qn_h2("train/node", side, &at) : qn_h2("train/node", &at, side);
    }
    return used == path_cnt && qn_hash_eq(&at, root);
}

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

struct qn_hash state_root(const struct graph *g, uint64_t step, const struct qn_hash *roots)
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
