/* netfile.h - reading the int8 network that is to be committed to. */
#ifndef QN_MODULES_ZKML_NETFILE_H
#define QN_MODULES_ZKML_NETFILE_H

#include "gpu/graph/int8.h"

#define NETFILE_MAX (64u << 20)

/* netfile_get reads a network, its arrays in arena: an ONNX file of the form gpu/graph/onnx.h writes, or the plain
 * "QNI8" | u16 version 1 | layers as in a statement | per layer w int8 (out, in), bias i32. */
QN_CHECK qn_rc netfile_get(struct qn_span file, struct qn_arena *arena, struct int8_model *ret,
                           struct qn_why *why);
void netfile_put(const struct int8_model *net, struct qn_buf *out);

#endif
