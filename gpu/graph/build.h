/* build.h - graphs in code: nodes are added in order, each call returns the new node's id. */
#ifndef QN_GPU_GRAPH_BUILD_H
#define QN_GPU_GRAPH_BUILD_H

#include "gpu/graph/node.h"

/* A graph in the making; g is whole after graph_build_end. Memory from arena (asserted to suffice). */
struct graph_build {
    struct graph g;
    struct qn_arena *arena;
};

void graph_build_begin(struct graph_build *b, struct qn_arena *arena);
uint32_t graph_add_const(struct graph_build *b, uint32_t rows, uint32_t cols, uint32_t bits);
uint32_t graph_add_input(struct graph_build *b, uint32_t rows, uint32_t cols, uint32_t rec_off);
uint32_t graph_add_step(struct graph_build *b);
/* kind: STATE_FILL or STATE_UNIFORM with bits the value or the bound; name is borrowed. */
uint32_t graph_add_state(struct graph_build *b, uint32_t rows, uint32_t cols, const char *name,
                         uint8_t kind, uint32_t bits);
/* kind: CONTRACT_C32 or CONTRACT_T12, with CONTRACT_TA, CONTRACT_TB. */
uint32_t graph_add_contract(struct graph_build *b, uint32_t x, uint32_t y, uint8_t kind);
uint32_t graph_add_rowsum(struct graph_build *b, uint32_t x);
uint32_t graph_add_rowmax(struct graph_build *b, uint32_t x);
uint32_t graph_add_transpose(struct graph_build *b, uint32_t x);
/* prog: lines `op args`, separated by ';', e.g. "mul a b; const 3f800000; add 2 3". Inputs are a, b, ..;
 * a number is the value of that index (inputs first). Shape: the largest rows and cols of the inputs. */
uint32_t graph_add_map(struct graph_build *b, const uint32_t *in, uint32_t in_cnt,
                       const char *prog);
void graph_add_next(struct graph_build *b, uint32_t state, uint32_t node);

/* f32 bits of num / den, of a square root and of a - b, by integers: for constants of a graph. */
uint32_t graph_bits_ratio(uint32_t num, uint32_t den);
uint32_t graph_bits_sqrt(uint32_t bits);
uint32_t graph_bits_sub(uint32_t a, uint32_t b);

#endif
