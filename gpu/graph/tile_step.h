/* tile_step.h - the referee: one tile of one node from opened tiles, by integers alone.
 *
 * A node's output tile takes graph_tile_steps steps: contractions, rowsums and rowmaxes one for each 256
 * of the summed dimension, all others one. Between steps a *carry* is handed on: contract 1 tile (C so far),
 * rowsum 4 tiles (lane l of row r at tile l / 16, element r * 16 + l % 16), rowmax 1 tile (column 0). The
 * last step gives the output tile itself.
 *
 * Both functions are pure, allocate nothing and are bounded: <= 48 tiles in, <= 2^20 flop. A graph must
 * have passed graph_check (graph_decode does it). Opened tiles may hold any bits. */
#ifndef QN_GPU_GRAPH_TILE_STEP_H
#define QN_GPU_GRAPH_TILE_STEP_H

#include "gpu/graph/node.h"

#define GRAPH_OPEN_MAX  32u /* tiles of other nodes */
#define GRAPH_CARRY_MAX 4u
#define GRAPH_IN_MAX    (GRAPH_OPEN_MAX + GRAPH_CARRY_MAX)

/* 16 x 16 f32 as bits, row-major: one BLAKE3 chunk. */
struct graph_tile {
    uint32_t v[GRAPH_TILE_ELEMS];
};

struct graph_open {
    uint32_t node, tile;
};

/* What a step of a tile wants opened, in the order in which graph_tile_step takes it. */
struct graph_need {
    uint32_t open_cnt;
    struct graph_open open[GRAPH_OPEN_MAX]; /* const and step nodes are never opened */
    uint32_t carry_cnt;                     /* tiles of the previous step's carry, after open */
    uint32_t out_cnt;                /* tiles that come out: the carry, or 1 at the last step */
    bool last;                       /* what comes out is the node's output tile */
    uint32_t slot_cnt;               /* input nodes: records wanted, the first for row slot */
    uint32_t slot, rec_off, rec_len; /* and the bytes of each */
};

/* graph_tile_steps returns how many steps a tile of node takes, >= 1. */
uint32_t graph_tile_steps(const struct graph *g, uint32_t node);

/* graph_tile_inputs lists what step kblock of tile of node needs. State nodes have no step (their value is
 * proved under the state root): QN_E_NOTFOUND. QN_E_RANGE when node, tile or kblock is past the end. */
QN_CHECK qn_rc graph_tile_inputs(const struct graph *g, uint32_t node, uint32_t tile,
                                 uint32_t kblock, struct graph_need *ret);

/* graph_tile_step executes it.
 *
 * step     the train step's number
 * in       need.open_cnt + need.carry_cnt tiles in order
 * rec      need.slot_cnt records' bytes, rec_len each, one after another; else NULL
 * ret_out  need.out_cnt tiles, all written
 *
 * Errors as graph_tile_inputs; QN_E_RANGE when in_cnt or rec_len differ from need. */
QN_CHECK qn_rc graph_tile_step(const struct graph *g, uint32_t node, uint32_t tile, uint32_t kblock,
                               uint64_t step, const struct graph_tile *in, uint32_t in_cnt,
                               struct qn_span rec, struct graph_tile *ret_out);

/* graph_init_tile gives a tile of a state's first value: attr, or uniform by Philox4x32-10 keyed by seed
 * with counter (element / 4, node, 0, 0). Errors as above, QN_E_NOTFOUND for other nodes. */
QN_CHECK qn_rc graph_init_tile(const struct graph *g, uint32_t node, uint32_t tile, uint64_t seed,
                               struct graph_tile *ret_out);

/* The same two by the C prelude: the reference that test and runtime use. Never in apply. */
QN_CHECK qn_rc graph_tile_step_c(const struct graph *g, uint32_t node, uint32_t tile,
                                 uint32_t kblock, uint64_t step, const struct graph_tile *in,
                                 uint32_t in_cnt, struct qn_span rec, struct graph_tile *ret_out);
QN_CHECK qn_rc graph_init_tile_c(const struct graph *g, uint32_t node, uint32_t tile, uint64_t seed,
                                 struct graph_tile *ret_out);

#endif
