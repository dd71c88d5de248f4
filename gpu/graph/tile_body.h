/* tile_body.h - the text of the tile step, built twice: tile_step.c (integers), tile_ref.c (C floats).
 * The including file has a prelude and defines TILE_STEP and TILE_INIT, the names of what comes out. */
#include "gpu/dialect/num.k"

#include "gpu/dialect/fn.k"
#include "gpu/kernels/contract.k"
#include "gpu/kernels/map.k"
#include "gpu/kernels/philox.k"
#include "gpu/kernels/rowmax.k"
#include "gpu/kernels/rowsum.k"

#include "gpu/graph/tile_step.h"

struct tile_ctx {
    const struct graph *g;
    const struct graph_node *n;
    uint32_t row, col; /* of the output tile, in tiles */
    uint32_t kblock;
    uint64_t step;
    const struct graph_tile *in; /* the next opened tile */
};

/* v < 2^24 as f32, exact: the bits are put in the low end of 2^23 and 2^23 is taken off, in two halves. */
static f32 tile_float(u32 v)
{
    f32 high = f32_sub(f_bits((v >> 12) | 0x4b000000), F(0x4b000000));
    f32 low = f32_sub(f_bits((v & 0xfff) | 0x4b000000), F(0x4b000000));
    return f32_add(f32_mul(high, F(0x45800000)), low); /* 4096 */
}

static f32 tile_step_float(uint64_t step)
{
    return tile_float((u32)(step < 0xffffff ? step : 0xffffff));
}

static bool tile_opened(const struct graph *g, uint32_t id)
{
    return g->node.ptr[id].op != GRAPH_CONST && g->node.ptr[id].op != GRAPH_STEP;
}

/* Tile (row, col) of node id: the next opened one, cleaned, or made on the spot. */
static void tile_get(struct tile_ctx *x, uint32_t id, uint32_t row, uint32_t col, f32 dst[256])
{
    const struct graph_node *n = &x->g->node.ptr[id];
    if (tile_opened(x->g, id)) {
        for (u32 i = 0; i < 256; i++)
            dst[i] = num_clean(f_bits(x->in->v[i]));
        x->in++;
        return;
    }
    f32 v = n->op == GRAPH_STEP ? tile_step_float(x->step) : f_bits(n->attr);
    for (u32 i = 0; i < 256; i++)
        dst[i] = row * 16 + i / 16 < n->rows && col * 16 + i % 16 < n->cols ? v : F(0);
}

static void tile_contract(struct tile_ctx *x, f32 out[256])
{
    f32 a[16 * 256], b[256 * 16], t[256], c[256];
    const struct graph_node *n = x->n;
    bool ta = n->kind & CONTRACT_TA, tb = n->kind & CONTRACT_TB,
         t12 = (n->kind & 15) == CONTRACT_T12;
    uint32_t k0 = x->kblock * 16, kt = graph_tiles(graph_contract_k(x->g, n));
    uint32_t k1 = QN_MIN(k0 + 16, kt),
             kcnt = QN_MIN(graph_contract_k(x->g, n) - k0 * 16, GRAPH_K_BLOCK);
    for (uint32_t k = k0; k < k1; k++) {
        tile_get(x, n->in.ptr[0], ta ? k : x->row, ta ? x->row : k, t);
        for (u32 i = 0; i < 256; i++) { /* i is r * 16 + k */
            f32 v = t[ta ? i % 16 * 16 + i / 16 : i];
            a[i / 16 * 256 + (k - k0) * 16 + i % 16] = t12 ? num_t12(v) : num_c32(v);
        }
    }
    for (uint32_t k = k0; k < k1; k++) {
        tile_get(x, n->in.ptr[1], tb ? x->col : k, tb ? k : x->col, t);
        for (u32 i = 0; i < 256; i++) { /* i is k * 16 + c */
            f32 v = t[tb ? i % 16 * 16 + i / 16 : i];
            b[(k - k0) * 256 + i] = t12 ? num_t12(v) : num_c32(v);
        }
    }
    for (u32 i = 0; i < 256; i++)
        c[i] = x->kblock ? num_clean(f_bits(x->in->v[i])) : F(0);
    contract_tile(a, b, kcnt, x->kblock == 0, c, out);
}

/* Four tiles of lanes come in after the opened ones and go out, or are folded. */
static void tile_rowsum(struct tile_ctx *x, bool last, struct graph_tile *ret_out)
{
    f32 row[16][256], t[256];
    const struct graph_node *src = &x->g->node.ptr[x->n->in.ptr[0]];
    uint32_t c0 = x->kblock * 256, cnt = QN_MIN(src->cols - c0, 256u);
    for (uint32_t k = 0; k < graph_tiles(cnt); k++) {
        tile_get(x, x->n->in.ptr[0], x->row, x->kblock * 16 + k, t);
        for (u32 i = 0; i < 256; i++)
            row[i / 16][k * 16 + i % 16] = t[i];
    }
    for (u32 r = 0; r < 16; r++) {
        f32 lanes[64];
        for (u32 l = 0; l < 64; l++)
            lanes[l] = x->kblock ? num_clean(f_bits(x->in[l / 16].v[r * 16 + l % 16])) : F(0);
        rowsum_add(lanes, row[r], cnt);
        if (last) {
            for (u32 c = 0; c < 16; c++)
                ret_out->v[r * 16 + c] = 0;
            f32 sum = rowsum_fold(lanes);
            if (x->row * 16 + r < x->n->rows) ret_out->v[r * 16] = bits_f(sum);
        } else {
            for (u32 l = 0; l < 64; l++)
                ret_out[l / 16].v[r * 16 + l % 16] =
                    x->row * 16 + r < x->n->rows ? bits_f(lanes[l]) : 0;
        }
    }
}

static void tile_rowmax(struct tile_ctx *x, f32 out[256])
{
    f32 row[16][256], t[256];
    const struct graph_node *src = &x->g->node.ptr[x->n->in.ptr[0]];
    uint32_t cnt = QN_MIN(src->cols - x->kblock * 256, 256u);
    for (uint32_t k = 0; k < graph_tiles(cnt); k++) {
        tile_get(x, x->n->in.ptr[0], x->row, x->kblock * 16 + k, t);
        for (u32 i = 0; i < 256; i++)
            row[i / 16][k * 16 + i % 16] = t[i];
    }
    for (u32 r = 0; r < 16; r++)
        out[r * 16] =
            rowmax(x->kblock ? num_clean(f_bits(x->in->v[r * 16])) : row[r][0], row[r], cnt);
}

static void tile_map(struct tile_ctx *x, f32 out[256])
{
    f32 in[8][256], v[40];
    const struct graph_node *n = x->n;
    uint8_t rows[8], cols[8]; /* 15: own index, 0: spread */
    for (uint32_t k = 0; k < n->in.cnt; k++) {
        const struct graph_node *src = &x->g->node.ptr[n->in.ptr[k]];
        rows[k] = src->rows == n->rows ? 15 : 0;
        cols[k] = src->cols == n->cols ? 15 : 0;
        tile_get(x, n->in.ptr[k], rows[k] ? x->row : 0, cols[k] ? x->col : 0, in[k]);
    }
    for (u32 i = 0; i < 256; i++) {
        for (uint32_t k = 0; k < n->in.cnt; k++)
            v[k] = in[k][(i / 16 & rows[k]) * 16 + (i % 16 & cols[k])];
        for (uint32_t p = 0; p < n->prog.cnt; p++) {
            const struct graph_ins *s = &n->prog.ptr[p];
            f32 a = v[s->a], b = v[s->b], c = v[s->c], y = F(0);
            switch ((enum graph_map_op)s->op) {
            case MAP_CONST: y = f_bits(s->imm); break;
            case MAP_COL: y = tile_float(x->col * 16 + i % 16); break;
#define X(word, expr)                                                                              \
    case MAP_##word: y = expr; break;
                MAP_OPS(X)
#undef X
            }
            v[n->in.cnt + p] = y;
        }
        out[i] = v[n->in.cnt + n->prog.cnt - 1];
    }
}

qn_rc TILE_STEP(const struct graph *g, uint32_t node, uint32_t tile, uint32_t kblock, uint64_t step,
                const struct graph_tile *in, uint32_t in_cnt, struct qn_span rec,
                struct graph_tile *ret_out)
{
    struct graph_need need;
    qn_rc rc = graph_tile_inputs(g, node, tile, kblock, &need);
    if (rc) return rc;
    if (in_cnt != need.open_cnt + need.carry_cnt || rec.len != (size_t)need.slot_cnt * need.rec_len)
        return QN_E_RANGE;

    const struct graph_node *n = &g->node.ptr[node];
    uint32_t across = graph_tiles(n->cols);
    struct tile_ctx x = { .g = g,
                          .n = n,
                          .row = tile / across,
                          .col = tile % across,
                          .kblock = kblock,
                          .step = step,
                          .in = in };
    f32 out[256];
    for (u32 i = 0; i < 256; i++)
        out[i] = F(0);
    switch ((enum graph_op)n->op) {
    case GRAPH_CONST:
    case GRAPH_STEP: tile_get(&x, node, x.row, x.col, out); break;
    case GRAPH_INPUT:
        for (u32 r = 0; r < need.slot_cnt; r++)
            for (u32 c = 0; c < need.rec_len; c++)
                out[r * 16 + c] = tile_float(rec.ptr[r * need.rec_len + c]);
        break;
    case GRAPH_CONTRACT: tile_contract(&x, out); break;
    case GRAPH_ROWSUM: tile_rowsum(&x, need.last, ret_out); return QN_OK;
    case GRAPH_ROWMAX: tile_rowmax(&x, out); break;
    case GRAPH_MAP: tile_map(&x, out); break;
    case GRAPH_TRANSPOSE: {
        f32 t[256];
        tile_get(&x, n->in.ptr[0], x.col, x.row, t);
        for (u32 i = 0; i < 256; i++)
            out[i] = t[i % 16 * 16 + i / 16];
        break;
    }
    case GRAPH_STATE:
    case GRAPH_OP_CNT: return QN_E_NOTFOUND;
    }
    for (u32 i = 0; i < 256; i++) /* padding is zero, whatever the operator makes of zeros */
        ret_out->v[i] =
            x.row * 16 + i / 16 < n->rows && x.col * 16 + i % 16 < n->cols ? bits_f(out[i]) : 0;
    return QN_OK;
}

qn_rc TILE_INIT(const struct graph *g, uint32_t node, uint32_t tile, uint64_t seed,
                struct graph_tile *ret_out)
{
    if (node >= g->node.cnt || tile >= graph_tile_cnt(&g->node.ptr[node])) return QN_E_RANGE;
    const struct graph_node *n = &g->node.ptr[node];
    if (n->op != GRAPH_STATE) return QN_E_NOTFOUND;
    uint32_t across = graph_tiles(n->cols), row = tile / across * 16, col = tile % across * 16;
    for (u32 i = 0; i < 256; i++) {
        uint32_t r = row + i / 16, c = col + i % 16;
        ret_out->v[i] = 0;
        if (r >= n->rows || c >= n->cols) continue;
        ret_out->v[i] = n->attr;
        if (n->kind != STATE_UNIFORM) continue;
        uint32_t elem = r * n->cols + c;
        u32 ctr[4] = { elem / 4, node, 0, 0 };
        philox4x32(ctr, (u32)seed, (u32)(seed >> 32));
        ret_out->v[i] = bits_f(num_clean(f32_mul(philox_unit(ctr[elem % 4]), f_bits(n->attr))));
    }
    return QN_OK;
}
