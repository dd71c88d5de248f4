/* onnx_walk.h - inside of onnx*.c: what is known of a value while the nodes of a file are followed. */
#ifndef QN_GPU_GRAPH_ONNX_WALK_H
#define QN_GPU_GRAPH_ONNX_WALK_H

#include "gpu/graph/onnx_tensor.h"

enum onnx_stage {
    ONNX_CONST, /* a tensor of the file */
    ONNX_INPUT, /* what goes in, maybe halved */
    ONNX_ACC,   /* int32 sums of the layer in work */
    ONNX_REAL,  /* the same as floats, on the way to be rounded */
    ONNX_READY, /* int8 or uint8 activations behind layer_cnt layers */
    ONNX_CLASS, /* index of the largest */
};

struct onnx_value {
    struct qn_span name;
    enum onnx_stage stage;
    uint32_t type;
    uint64_t width; /* values a record; 0: not said */
    struct onnx_tensor tensor;
    bool halved, scaled, raised, floored;
    double low, high; /* ONNX_REAL: bounds so far */
    uint32_t layer_cnt;
    struct int8_layer layer[INT8_LAYER_MAX]; /* ONNX_ACC, ONNX_REAL: layer[layer_cnt] is in work */
};

struct onnx_import {
    struct qn_arena *arena;
    struct qn_span graph;
    struct onnx_info info;
    struct onnx_value *values;
    uint32_t value_cnt;
};

/* What a node works on: its one value that is no constant, and its constants in their order. */
struct onnx_args {
    const struct onnx_node *node;
    struct onnx_value x;
    const struct onnx_tensor *c[ONNX_NODE_IN_MAX]; /* NULL: not given */
    uint32_t x_at;
};

typedef qn_rc onnx_op_fn(struct onnx_import *im, struct onnx_args *a, struct qn_why *why);

/* An operator: fn turns args.x into the node's result. */
struct onnx_op {
    const char *name;
    uint32_t in_min, in_max;
    onnx_op_fn *fn;
};

/* onnx_op_find returns the operator of that name, or NULL. */
const struct onnx_op *onnx_op_find(struct qn_span name);

#endif
