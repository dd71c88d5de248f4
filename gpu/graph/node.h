/* node.h - the L0 graph: what runs and what is judged.
 *
 * Every tensor is (rows, cols) of f32, row-major, values clean (gpu/dialect/num.k), cut in tiles of 16 x 16
 * (row-major, edges zero-padded, tile t = (t / tiles of a row, t % tiles of a row); 1,024 bytes each, little-endian).
 * Every node obeys the tile rule: one output tile, or one contraction step of it, is a function of at most
 * 48 input tiles (tile_step.h). The written order of sums is part of the meaning:
 *
 * contract  C[m][n] over blocks of 256 k: S_j = ((+0 + a0 b0) + a1 b1) + .., k ascending, mul and add each
 *           rounded; C = S_0, then C = C + S_j. Operands pass num_c32 or num_t12 first.
 * rowsum    64 lanes from +0, lane l adds x[l], x[l + 64], ..; then lane[i] += lane[i + 32], 16, 8, 4, 2, 1;
 *           every sum num_clean. Output (rows, 1).
 * rowmax    greatest by num_key (a total order; NaN is the greatest). Output (rows, 1).
 * map       per element; each instruction's result is clean. An input of one row or one column is spread.
 * transpose out[r][c] = in[c][r].
 * const     every element is attr.      step   (1, 1): the step's number as f32, exact below 2^24.
 * input     row r, column c: byte attr + c of record r, as f32.
 * state     the value before the step; `next` names its value after it. Its first value: graph_init_tile. */
#ifndef QN_GPU_GRAPH_NODE_H
#define QN_GPU_GRAPH_NODE_H

#include "core/schema/schema.h"
#include "gpu/kernels/map.h"

#include "core/schema/declare.h"
#include "gpu/graph/graph.def"

#include "core/schema/undef.h" /* after the .def */

#define GRAPH_SEMVER     1
#define GRAPH_NODE_MAX   4096u
#define GRAPH_DIM_MAX    (1u << 20)
#define GRAPH_ELEM_MAX   (1u << 26) /* of one tensor */
#define GRAPH_TOTAL_MAX  (1u << 29) /* of all */
#define GRAPH_BYTES_MAX  (1u << 20) /* of an encoded graph */
#define GRAPH_TILE       16u
#define GRAPH_TILE_ELEMS 256u
#define GRAPH_K_BLOCK    256u

enum graph_op {
    GRAPH_CONST,
    GRAPH_INPUT,
    GRAPH_STEP,
    GRAPH_STATE,
    GRAPH_CONTRACT,
    GRAPH_ROWSUM,
    GRAPH_ROWMAX,
    GRAPH_MAP,
    GRAPH_TRANSPOSE,
    GRAPH_OP_CNT
};

#define CONTRACT_C32  0u
#define CONTRACT_T12  1u
#define CONTRACT_TA   16u /* the first operand is stored (K, M) */
#define CONTRACT_TB   32u /* the second operand is stored (N, K) */

#define STATE_FILL    0u
#define STATE_UNIFORM 1u

/* graph_check says whether g keeps every rule above: shapes, order, caps, operands, zero in unused fields.
 * QN_E_RANGE naming the node. Everything else here and in run.h, tile_step.h takes checked graphs only. */
QN_CHECK qn_rc graph_check(const struct graph *g, struct qn_why *why);

/* graph_decode reads and checks a graph; it lies in arena and in bytes (borrowed). Errors of qn_decode, or
 * of graph_check. QN_E_TOOBIG above GRAPH_BYTES_MAX. */
QN_CHECK qn_rc graph_decode(struct qn_span bytes, struct qn_arena *arena, struct graph *ret,
                            struct qn_why *why);

/* graph_encode appends the canonical bytes (Borsh) of a checked graph. */
void graph_encode(const struct graph *g, struct qn_buf *buf);

/* graph_hash is H("graph", canonical bytes). */
struct qn_hash graph_hash(const struct graph *g);

/* graph_op_word returns "contract" and so on. */
const char *graph_op_word(uint8_t op);

/* Tiles of a tensor, across and in all. */
static inline uint32_t graph_tiles(uint32_t len)
{
    return (len + GRAPH_TILE - 1) / GRAPH_TILE;
}

static inline uint32_t graph_tile_cnt(const struct graph_node *n)
{
    return graph_tiles(n->rows) * graph_tiles(n->cols);
}

/* graph_contract_k returns the length of the sum of a contract node. */
static inline uint32_t graph_contract_k(const struct graph *g, const struct graph_node *n)
{
    const struct graph_node *a = &g->node.ptr[n->in.ptr[0]];
    return n->kind & CONTRACT_TA ? a->rows : a->cols;
}

/* graph_flops returns mul and add of all contractions of a step. */
uint64_t graph_flops(const struct graph *g);

/* graph_find_state returns the node id of the state called name; false when there is none. */
QN_CHECK bool graph_find_state(const struct graph *g, const char *name, uint32_t *ret);

#endif
