/* map.h - instructions of a map program, as kernels take them (gpu/kernels/map.k says what each computes). */
#ifndef QN_GPU_KERNELS_MAP_H
#define QN_GPU_KERNELS_MAP_H

#include <stdint.h>

#define MAP_IN_MAX  8u
#define MAP_INS_MAX 32u

/* The words and order of graph_ins.op in gpu/graph/graph.def. */
enum graph_map_op {
    MAP_CONST, /* imm */
    MAP_COL,   /* the column's number */
    MAP_ADD,
    MAP_SUB,
    MAP_MUL,
    MAP_DIV,
    MAP_SQRT,
    MAP_MAX, /* by num_key */
    MAP_MIN,
    MAP_NEG,
    MAP_ABS,
    MAP_EXP,
    MAP_LOG,
    MAP_TANH,
    MAP_EQ, /* same bits: 1, else 0 */
    MAP_LT, /* a < b: 1, else 0 */
    MAP_SEL /* a > 0 ? b : c */
};

struct map_ins {
    uint8_t op, a, b,
        c; /* operands: values 0 .. in_cnt - 1 are inputs, in_cnt + i is instruction i */
    uint32_t imm;
};

#endif
