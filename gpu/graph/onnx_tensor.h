/* onnx_tensor.h - inside of onnx*.c: constant tensors of a file, and nodes, where they lie. */
#ifndef QN_GPU_GRAPH_ONNX_TENSOR_H
#define QN_GPU_GRAPH_ONNX_TENSOR_H

#include "core/schema/protobuf.h"
#include "gpu/graph/onnx_def.h"

struct onnx_tensor {
    struct qn_span name, msg; /* msg: the whole TensorProto */
    struct qn_span raw;
    bool has_raw;
    uint32_t type, rank, dims[ONNX_RANK_MAX];
    uint64_t cnt; /* values; at most 2^31 bytes of them */
};

/* onnx_tensor_open reads a TensorProto's head: shape, type and how its values are held. Types other than enum onnx_type
 * and values in other files are refused. */
QN_CHECK qn_rc onnx_tensor_open(struct qn_span msg, struct onnx_tensor *ret, struct qn_why *why);

/* onnx_tensor_load gives the values as an array of their C type in arena. The file's length bounds what is taken:
 * QN_E_FORMAT when there are fewer or more values than the shape says, QN_E_RANGE, QN_E_MEMORY. */
QN_CHECK qn_rc onnx_tensor_load(const struct onnx_tensor *t, struct qn_arena *arena, void **ret,
                                struct qn_why *why);

/* onnx_tensor_scalar reads the only value of a tensor of one; integers beyond 2^53 are QN_E_RANGE. */
QN_CHECK qn_rc onnx_tensor_scalar(const struct onnx_tensor *t, double *ret, struct qn_why *why);

#define ONNX_NODE_IN_MAX 8u

struct onnx_node {
    uint32_t idx;
    struct qn_span msg, op, name, domain, in[ONNX_NODE_IN_MAX], out;
    uint32_t in_cnt, out_cnt;
};

QN_CHECK qn_rc onnx_node_open(struct qn_span msg, uint32_t idx, struct onnx_node *ret,
                              struct qn_why *why);
/* onnx_node_bad is qn_why(why, QN_E_RANGE, ..) that names the node first. */
qn_rc onnx_node_bad(const struct onnx_node *n, struct qn_why *why, const char *fmt, ...)
    QN_PRINTF(3, 4);
/* onnx_node_int returns an attribute, or def when the node has none of that name; the others false without one. */
int64_t onnx_node_int(const struct onnx_node *n, const char *name, int64_t def);
bool onnx_node_str(const struct onnx_node *n, const char *name, struct qn_span *ret);
bool onnx_node_tensor(const struct onnx_node *n, const char *name, struct qn_span *ret);

#endif
