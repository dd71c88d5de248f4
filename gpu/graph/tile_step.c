/* tile_step.c - what a tile step needs, and the referee's build of it: no float type, no float instruction
 * (built with -mgeneral-regs-only, see CMakeLists.txt). */
#include "gpu/graph/tile_step.h"

#include "gpu/dialect/soft.h"

#define TILE_STEP graph_tile_step
#define TILE_INIT graph_init_tile
#include "gpu/graph/tile_body.h"

static uint32_t tile_sum_len(const struct graph *g, const struct graph_node *n)
{
    if (n->op == GRAPH_CONTRACT) return graph_contract_k(g, n);
    if (n->op == GRAPH_ROWSUM || n->op == GRAPH_ROWMAX) return g->node.ptr[n->in.ptr[0]].cols;
    return 1;
}

uint32_t graph_tile_steps(const struct graph *g, uint32_t node)
{
    QN_ASSERT(node < g->node.cnt);
    return (tile_sum_len(g, &g->node.ptr[node]) + GRAPH_K_BLOCK - 1) / GRAPH_K_BLOCK;
}

static void need_open(const struct graph *g, struct graph_need *need, uint32_t id, uint32_t row,
                      uint32_t col)
{
    if (!tile_opened(g, id)) return;
    QN_ASSERT(need->open_cnt < GRAPH_OPEN_MAX); /* the tile rule */
    need->open[need->open_cnt++] =
        (struct graph_open){ id, row * graph_tiles(g->node.ptr[id].cols) + col };
}

qn_rc graph_tile_inputs(const struct graph *g, uint32_t node, uint32_t tile, uint32_t kblock,
                        struct graph_need *ret)
{
    if (node >= g->node.cnt || tile >= graph_tile_cnt(&g->node.ptr[node]) ||
        kblock >= graph_tile_steps(g, node))
        return QN_E_RANGE;
    const struct graph_node *n = &g->node.ptr[node];
    uint32_t row = tile / graph_tiles(n->cols), col = tile % graph_tiles(n->cols);
    uint32_t k0 = kblock * 16, k1 = QN_MIN(k0 + 16, graph_tiles(tile_sum_len(g, n)));
    bool ta = n->kind & CONTRACT_TA, tb = n->kind & CONTRACT_TB;
    *ret = (struct graph_need){ .out_cnt = 1, .last = kblock + 1 == graph_tile_steps(g, node) };
    switch ((enum graph_op)n->op) {
    case GRAPH_CONST:
    case GRAPH_STEP: break;
    case GRAPH_INPUT:
        ret->slot = row * 16;
        ret->slot_cnt = QN_MIN(n->rows - row * 16, 16u);
        ret->rec_off = n->attr + col * 16;
        ret->rec_len = QN_MIN(n->cols - col * 16, 16u);
        break;
    case GRAPH_CONTRACT:
        for (uint32_t k = k0; k < k1; k++)
            need_open(g, ret, n->in.ptr[0], ta ? k : row, ta ? row : k);
        for (uint32_t k = k0; k < k1; k++)
            need_open(g, ret, n->in.ptr[1], tb ? col : k, tb ? k : col);
        ret->carry_cnt = kblock ? 1 : 0;
        break;
    case GRAPH_ROWSUM:
    case GRAPH_ROWMAX:
        for (uint32_t k = k0; k < k1; k++)
            need_open(g, ret, n->in.ptr[0], row, k);
        uint32_t carry = n->op == GRAPH_ROWSUM ? 4 : 1;
        ret->carry_cnt = kblock ? carry : 0;
        ret->out_cnt = ret->last ? 1 : carry;
        break;
    case GRAPH_MAP:
        for (uint32_t k = 0; k < n->in.cnt; k++) {
            const struct graph_node *src = &g->node.ptr[n->in.ptr[k]];
            need_open(g, ret, n->in.ptr[k], src->rows == n->rows ? row : 0,
                      src->cols == n->cols ? col : 0);
        }
        break;
    case GRAPH_TRANSPOSE: need_open(g, ret, n->in.ptr[0], col, row); break;
    case GRAPH_STATE:
    case GRAPH_OP_CNT: return QN_E_NOTFOUND;
    }
    return QN_OK;
}
