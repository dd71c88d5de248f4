/* onnx_def.h - inside of onnx*.c: the numbers of the ONNX schema that are used here (onnx.proto, IR version 7). */
#ifndef QN_GPU_GRAPH_ONNX_DEF_H
#define QN_GPU_GRAPH_ONNX_DEF_H

#include "gpu/graph/onnx.h"

enum { /* fields */
       MODEL_IR = 1,
       MODEL_PRODUCER = 2,
       MODEL_GRAPH = 7,
       MODEL_OPSET = 8,
       OPSET_DOMAIN = 1,
       OPSET_VERSION = 2,
       GRAPH_NODE = 1,
       GRAPH_NAME = 2,
       GRAPH_INIT = 5,
       GRAPH_IN = 11,
       GRAPH_OUT = 12,
       GRAPH_SPARSE = 15,
       NODE_IN = 1,
       NODE_OUT = 2,
       NODE_NAME = 3,
       NODE_OP = 4,
       NODE_ATTR = 5,
       NODE_DOMAIN = 7,
       ATTR_NAME = 1,
       ATTR_I = 3,
       ATTR_S = 4,
       ATTR_T = 5,
       ATTR_TYPE = 20,
       TENSOR_DIMS = 1,
       TENSOR_TYPE = 2,
       TENSOR_FLOATS = 4,
       TENSOR_INT32S = 5,
       TENSOR_INT64S = 7,
       TENSOR_NAME = 8,
       TENSOR_RAW = 9,
       TENSOR_DOUBLES = 10,
       TENSOR_EXTERNAL = 13,
       TENSOR_LOCATION = 14,
       VALUE_NAME = 1,
       VALUE_TYPE = 2,
       TYPE_TENSOR = 1,
       TENSORTYPE_ELEM = 1,
       TENSORTYPE_SHAPE = 2,
       SHAPE_DIM = 1,
       DIM_VALUE = 1,
       DIM_PARAM = 2,
};

enum { /* values of ATTR_TYPE */
       ATTR_IS_INT = 2,
       ATTR_IS_STRING = 3,
       ATTR_IS_TENSOR = 4,
};

enum onnx_type {
    ONNX_FLOAT = 1,
    ONNX_UINT8 = 2,
    ONNX_INT8 = 3,
    ONNX_INT32 = 6,
    ONNX_INT64 = 7,
    ONNX_DOUBLE = 11,
};

/* Largest |m * acc| + 2^(s-1) of a layer: up to 2^24 float32 holds every value on the way. */
#define ONNX_F32_EXACT (UINT64_C(1) << 24)
uint64_t onnx_reach(const struct int8_layer *layer, uint32_t x_max);

#endif
