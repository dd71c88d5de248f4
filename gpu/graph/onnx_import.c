/* onnx_import.c - an ONNX file as an integer model: nodes are followed in their order, each value known by how far it is
 * on the way from one layer's activations to the next's. */
#include "gpu/graph/onnx_walk.h"

#include <stdlib.h>
#include <string.h>

#define OPSET_MIN 11 /* Clip takes its bounds as inputs from there */
#define OPSET_MAX 25

static struct onnx_value *find(const struct onnx_import *im, struct qn_span name)
{
    for (uint32_t i = 0; i < im->value_cnt; i++)
        if (qn_span_eq(im->values[i].name, name)) return &im->values[i];
    return NULL;
}

static qn_rc add(struct onnx_import *im, const struct onnx_value *v, struct qn_why *why)
{
    if (im->value_cnt == ONNX_NODE_MAX)
        return qn_why(why, QN_E_TOOBIG, "more than %u tensors and nodes", ONNX_NODE_MAX);
    if (v->name.len == 0 || find(im, v->name))
        return qn_why(why, QN_E_FORMAT, "two values are called \"%.*s\"",
                      (int)QN_MIN(v->name.len, 64u), v->name.len ? (const char *)v->name.ptr : "");
    im->values[im->value_cnt++] = *v;
    return QN_OK;
}

static qn_rc constant(struct onnx_import *im, const struct onnx_node *n, struct qn_why *why)
{
    struct onnx_value v = { .name = n->out, .stage = ONNX_CONST };
    struct qn_span msg;
    if (!onnx_node_tensor(n, "value", &msg))
        return onnx_node_bad(n, why, "only a constant given as a tensor is read");
    qn_rc rc = onnx_tensor_open(msg, &v.tensor, why);
    return rc ? rc : add(im, &v, why);
}

static qn_rc gather(const struct onnx_import *im, const struct onnx_node *n, struct onnx_args *a,
                    struct qn_why *why)
{
    bool have = false;
    *a = (struct onnx_args){ .node = n };
    for (uint32_t i = 0; i < n->in_cnt; i++) {
        if (n->in[i].len == 0) continue; /* an optional input left out */
        const struct onnx_value *v = find(im, n->in[i]);
        if (!v)
            return onnx_node_bad(n, why, "its input \"%.*s\" is not there yet",
                                 (int)QN_MIN(n->in[i].len, 64u), (const char *)n->in[i].ptr);
        if (v->stage == ONNX_CONST) {
            a->c[i] = &v->tensor;
            continue;
        }
        if (have) return onnx_node_bad(n, why, "two computed values meet: only chains are read");
        have = true;
        a->x = *v;
        a->x_at = i;
    }
    return have ? QN_OK : onnx_node_bad(n, why, "it works on constants alone");
}

static qn_rc follow(struct onnx_import *im, const struct onnx_node *n, struct qn_why *why)
{
    const struct onnx_op *op = onnx_op_find(n->op);
    struct onnx_args a;
    if (n->domain.len && !qn_span_eq(n->domain, QN_SPAN_STR("ai.onnx")))
        return onnx_node_bad(n, why, "its operators are not those of ONNX itself");
    if (qn_span_eq(n->op, QN_SPAN_STR("Constant"))) return constant(im, n, why);
    if (!op && (qn_span_eq(n->op, QN_SPAN_STR("Round")) ||
                qn_span_eq(n->op, QN_SPAN_STR("QuantizeLinear")) ||
                qn_span_eq(n->op, QN_SPAN_STR("QLinearMatMul"))))
        return onnx_node_bad(n, why,
                             "it rounds halves to even, integer models round them up: other bits");
    if (!op) return onnx_node_bad(n, why, "this operator has no place in an integer model");
    if (n->in_cnt < op->in_min || n->in_cnt > op->in_max || n->out_cnt != 1)
        return onnx_node_bad(n, why, "%u inputs and %u outputs", n->in_cnt, n->out_cnt);
    qn_rc rc = gather(im, n, &a, why);
    if (rc == QN_OK) rc = op->fn(im, &a, why);
    a.x.name = n->out;
    return rc ? rc : add(im, &a.x, why);
}

/* Reads name, element type and values a record of a ValueInfoProto. */
static qn_rc open_value(struct qn_span msg, struct onnx_value *v, struct qn_why *why)
{
    struct qn_pb_field f, g, h, d, e;
    uint64_t width = 1;
    uint32_t dim_cnt = 0;
    bool known = true;
    while (qn_pb_next(&msg, &f) == QN_OK) {
        if (f.number == VALUE_NAME && f.wire == QN_PB_BYTES) v->name = f.bytes;
        if (f.number != VALUE_TYPE || f.wire != QN_PB_BYTES) continue;
        while (qn_pb_next(&f.bytes, &g) == QN_OK) {
            if (g.number != TYPE_TENSOR || g.wire != QN_PB_BYTES) continue;
            while (qn_pb_next(&g.bytes, &h) == QN_OK) {
                if (h.number == TENSORTYPE_ELEM && h.wire == QN_PB_VARINT)
                    v->type = h.value > 1000 ? 1000 : (uint32_t)h.value;
                if (h.number != TENSORTYPE_SHAPE || h.wire != QN_PB_BYTES) continue;
                while (qn_pb_next(&h.bytes, &d) == QN_OK) {
                    uint64_t dim = 0;
                    if (d.number != SHAPE_DIM || d.wire != QN_PB_BYTES) continue;
                    while (qn_pb_next(&d.bytes, &e) == QN_OK)
                        if (e.number == DIM_VALUE && e.wire == QN_PB_VARINT) dim = e.value;
                    if (dim_cnt++ == 0) continue; /* the records */
                    known = known && dim > 0 && dim <= INT8_DIM_MAX && width * dim <= INT8_DIM_MAX;
                    if (known) width *= dim;
                }
            }
        }
    }
    v->width = known && dim_cnt > 1 ? width : 0;
    if (v->name.len == 0) return qn_why(why, QN_E_FORMAT, "a graph input or output has no name");
    return QN_OK;
}

static qn_rc read_constants(struct onnx_import *im, struct qn_why *why)
{
    struct qn_span s = im->graph;
    struct qn_pb_field f;
    qn_rc rc;
    while ((rc = qn_pb_next(&s, &f)) == QN_OK) {
        struct onnx_value v = { .stage = ONNX_CONST };
        if (f.number == GRAPH_SPARSE) return qn_why(why, QN_E_RANGE, "sparse tensors are not read");
        if (f.number != GRAPH_INIT || f.wire != QN_PB_BYTES) continue;
        rc = onnx_tensor_open(f.bytes, &v.tensor, why);
        v.name = v.tensor.name;
        if (rc == QN_OK) rc = add(im, &v, why);
        if (rc) return rc;
    }
    return rc == QN_E_AGAIN ? QN_OK : qn_why(why, rc, "the graph is cut off or damaged");
}

static qn_rc read_inputs(struct onnx_import *im, struct qn_why *why)
{
    struct qn_span s = im->graph;
    struct qn_pb_field f;
    uint32_t cnt = 0;
    while (qn_pb_next(&s, &f) == QN_OK) {
        struct onnx_value v = { .stage = ONNX_INPUT };
        if (f.number != GRAPH_IN || f.wire != QN_PB_BYTES) continue;
        qn_rc rc = open_value(f.bytes, &v, why);
        if (rc) return rc;
        const struct onnx_value *known = find(im, v.name);
        if (known && known->stage == ONNX_CONST)
            continue; /* files before IR 4 list constants, too */
        if (v.type != ONNX_UINT8 && v.type != ONNX_INT8)
            return qn_why(why, QN_E_RANGE,
                          "input \"%.*s\" has element type %u: int8 or uint8 pixels go in",
                          (int)QN_MIN(v.name.len, 64u), (const char *)v.name.ptr, v.type);
        rc =
            cnt++ ? qn_why(why, QN_E_RANGE, "the graph has more than one input") : add(im, &v, why);
        if (rc) return rc;
    }
    return cnt ? QN_OK : qn_why(why, QN_E_RANGE, "the graph has no input");
}

static qn_rc read_nodes(struct onnx_import *im, struct qn_why *why)
{
    struct qn_span s = im->graph;
    struct qn_pb_field f;
    while (qn_pb_next(&s, &f) == QN_OK) {
        struct onnx_node n;
        if (f.number != GRAPH_NODE || f.wire != QN_PB_BYTES) continue;
        qn_rc rc = onnx_node_open(f.bytes, im->info.node_cnt++, &n, why);
        if (rc == QN_OK) rc = follow(im, &n, why);
        if (rc) return rc;
    }
    return QN_OK;
}

static qn_rc read_outputs(struct onnx_import *im, struct int8_model *ret, struct qn_why *why)
{
    struct qn_span s = im->graph;
    struct qn_pb_field f;
    const struct onnx_value *best = NULL;
    while (qn_pb_next(&s, &f) == QN_OK) {
        struct onnx_value v = { 0 };
        if (f.number != GRAPH_OUT || f.wire != QN_PB_BYTES) continue;
        qn_rc rc = open_value(f.bytes, &v, why);
        if (rc) return rc;
        const struct onnx_value *got = find(im, v.name);
        if (!got || (got->stage != ONNX_READY && got->stage != ONNX_CLASS) || got->layer_cnt == 0)
            return qn_why(why, QN_E_RANGE, "output \"%.*s\" is no layer's activations or class",
                          (int)QN_MIN(v.name.len, 64u), (const char *)v.name.ptr);
        /* Logits, or the class of the same layers. */
        if (!best || got->layer_cnt > best->layer_cnt) best = got;
    }
    if (!best) return qn_why(why, QN_E_RANGE, "the graph has no output");
    *ret = (struct int8_model){ .layer_cnt = best->layer_cnt };
    memcpy(ret->layer, best->layer, sizeof ret->layer);
    for (uint32_t l = ret->layer_cnt; l < INT8_LAYER_MAX; l++)
        ret->layer[l] = (struct int8_layer){ 0 };
    return QN_OK;
}

static qn_rc read_opset(struct onnx_import *im, struct qn_span msg, struct qn_why *why)
{
    struct qn_span domain = { NULL, 0 };
    struct qn_pb_field f;
    uint64_t version = 0;
    while (qn_pb_next(&msg, &f) == QN_OK) {
        if (f.number == OPSET_DOMAIN && f.wire == QN_PB_BYTES) domain = f.bytes;
        if (f.number == OPSET_VERSION && f.wire == QN_PB_VARINT) version = f.value;
    }
    if (domain.len && !qn_span_eq(domain, QN_SPAN_STR("ai.onnx"))) return QN_OK;
    if (version < OPSET_MIN || version > OPSET_MAX)
        return qn_why(why, QN_E_RANGE, "operator set %llu; %d to %d are read",
                      (unsigned long long)version, OPSET_MIN, OPSET_MAX);
    im->info.opset = (uint32_t)version;
    return QN_OK;
}

static qn_rc read_model(struct onnx_import *im, struct qn_span file, struct qn_why *why)
{
    struct qn_pb_field f;
    bool graph = false;
    qn_rc rc;
    while ((rc = qn_pb_next(&file, &f)) == QN_OK) {
        if (f.wire != QN_PB_BYTES) continue;
        if (f.number == MODEL_GRAPH) {
            if (graph) return qn_why(why, QN_E_FORMAT, "the file has two graphs");
            im->graph = f.bytes;
            graph = true;
        } else if (f.number == MODEL_OPSET) {
            rc = read_opset(im, f.bytes, why);
            if (rc) return rc;
        } else if (f.number == MODEL_PRODUCER) {
            for (size_t i = 0; i < f.bytes.len && i + 1 < sizeof im->info.producer; i++) {
                uint8_t c = f.bytes.ptr[i];
                im->info.producer[i] = c >= 32 && c < 127 ? (char)c : '?';
            }
        }
    }
    if (rc != QN_E_AGAIN) return qn_why(why, rc, "the file is cut off or is no ONNX model");
    if (!graph || !im->info.opset)
        return qn_why(why, QN_E_FORMAT, "the file is no ONNX model: %s is missing",
                      graph ? "the operator set" : "the graph");
    return QN_OK;
}

qn_rc onnx_import(struct qn_span file, struct qn_arena *arena, struct int8_model *ret,
                  struct onnx_info *info, struct qn_why *why)
{
    struct onnx_import im = { .arena = arena };
    if (file.len > ONNX_BYTES_MAX)
        return qn_why(why, QN_E_TOOBIG, "a model file has at most %llu bytes",
                      (unsigned long long)ONNX_BYTES_MAX);
    im.values = calloc(ONNX_NODE_MAX, sizeof *im.values);
    if (!im.values) return qn_why(why, QN_E_MEMORY, "%s", qn_err_text(QN_E_MEMORY));
    qn_rc rc = read_model(&im, file, why);
    if (rc == QN_OK) rc = read_constants(&im, why);
    if (rc == QN_OK) rc = read_inputs(&im, why);
    if (rc == QN_OK) rc = read_nodes(&im, why);
    if (rc == QN_OK) rc = read_outputs(&im, ret, why);
    if (rc == QN_OK) rc = int8_model_check(ret, why);
    if (rc == QN_OK && info) *info = im.info;
    free(im.values);
    return rc;
}
