/* onnx.h - integer models as ONNX files of standard operators, out and in, to the bit.
 *
 * A layer is, with x and y of int8.h,
 *
 *     MatMulInteger(x, w) -> Add bias (int32) -> Cast -> Mul m/2^s -> Add 0.5 -> Floor -> Clip -> Cast
 *
 * in float32 where every number on the way is an integer over a power of two below 2^24, so exact; else in float64.
 * Behind ReLU y travels as uint8 in 0..127: of uint8 by int8 products two fit into the 16 bits some runtimes add them
 * in. In front a BitShift halves 8-bit pixels; behind, ArgMax gives the class. Any runtime computes int8_run's bits.
 *
 * Reading takes that form whoever wrote it: also a zero point of x (it moves into the bias), Constant nodes, Identity,
 * Flatten, Reshape, Relu, Max, Min, Div by a power of two, typed or raw tensors. A rounding that is not this one (Round
 * and QuantizeLinear round halves to even) is refused by name, since the bits would differ. */
#ifndef QN_GPU_GRAPH_ONNX_H
#define QN_GPU_GRAPH_ONNX_H

#include "gpu/graph/int8.h"

#define ONNX_BYTES_MAX (UINT64_C(1) << 28) /* of a file */
#define ONNX_NODE_MAX  1024u               /* nodes, and tensors: eight layers need 80 */
#define ONNX_RANK_MAX  6u

struct onnx_info {
    bool pixels; /* the input is halved in the graph: 8-bit pixels go in. Else int8 x0 */
    uint32_t opset, node_cnt;
    char producer[32];
};

/* onnx_export appends the file of a checked model that takes pixels. */
void onnx_export(const struct int8_model *model, struct qn_buf *ret);

/* onnx_import reads a file; weights and biases are taken from arena. info may be NULL.
 *
 * QN_E_TOOBIG, QN_E_SHORT, QN_E_FORMAT (no protobuf, no model, tensors that are not as long as they say), QN_E_RANGE
 * (a node whose operator, type or value has no place in such a model: why names node and operator), QN_E_MEMORY. */
QN_CHECK qn_rc onnx_import(struct qn_span file, struct qn_arena *arena, struct int8_model *ret,
                           struct onnx_info *info, struct qn_why *why);

#endif
