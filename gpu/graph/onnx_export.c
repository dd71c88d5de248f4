/* onnx_export.c - an integer model as an ONNX file. */
#include "core/schema/protobuf.h"
#include "gpu/graph/onnx_def.h"

#include <stdio.h>
#include <string.h>

#define IR_VERSION 7 /* with opset 13: runtimes since 2020 */
#define OPSET      13

uint64_t onnx_reach(const struct int8_layer *layer, uint32_t x_max)
{
    return int8_layer_acc_max(layer, x_max) * (uint64_t)layer->m + (UINT64_C(1) << (layer->s - 1));
}

static void put_msg(struct qn_buf *to, uint32_t number, struct qn_buf *msg QN_TAKES)
{
    qn_pb_put_bytes(to, number, qn_buf_get(msg));
    qn_buf_free(msg);
}

static void put_tensor(struct qn_buf *graph, const char *name, enum onnx_type type,
                       const uint32_t *dims, uint32_t rank, struct qn_span raw)
{
    struct qn_buf t = { 0 };
    for (uint32_t i = 0; i < rank; i++)
        qn_pb_put_varint(&t, TENSOR_DIMS, dims[i]);
    qn_pb_put_varint(&t, TENSOR_TYPE, type);
    qn_pb_put_str(&t, TENSOR_NAME, name);
    qn_pb_put_bytes(&t, TENSOR_RAW, raw);
    put_msg(graph, GRAPH_INIT, &t);
}

/* A scalar in the layer's float type. */
static void put_real(struct qn_buf *graph, const char *name, bool wide, double v)
{
    float f = (float)v;
    put_tensor(graph, name, wide ? ONNX_DOUBLE : ONNX_FLOAT, NULL, 0,
               wide ? QN_SPAN_OF(v) : QN_SPAN_OF(f));
}

struct attr {
    const char *name;
    int64_t i;
    const char *s; /* NULL: an integer */
};

/* ins: names apart by a space. */
static void put_node(struct qn_buf *graph, const char *op, const char *ins, const char *out,
                     const struct attr *attr)
{
    struct qn_buf n = { 0 };
    while (*ins) {
        size_t len = strcspn(ins, " ");
        qn_pb_put_bytes(&n, NODE_IN, QN_SPAN(ins, len));
        ins += len + (ins[len] == ' ');
    }
    qn_pb_put_str(&n, NODE_OUT, out);
    qn_pb_put_str(&n, NODE_NAME, out);
    qn_pb_put_str(&n, NODE_OP, op);
    for (; attr && attr->name; attr++) {
        struct qn_buf a = { 0 };
        qn_pb_put_str(&a, ATTR_NAME, attr->name);
        if (attr->s)
            qn_pb_put_str(&a, ATTR_S, attr->s);
        else
            qn_pb_put_varint(&a, ATTR_I, (uint64_t)attr->i);
        qn_pb_put_varint(&a, ATTR_TYPE, attr->s ? ATTR_IS_STRING : ATTR_IS_INT);
        put_msg(&n, NODE_ATTR, &a);
    }
    put_msg(graph, GRAPH_NODE, &n);
}

static void put_cast(struct qn_buf *graph, const char *in, const char *out, enum onnx_type type)
{
    put_node(graph, "Cast", in, out, (const struct attr[]){ { "to", type, NULL }, { 0 } });
}

/* A graph input or output of shape (N) or (N, cols). */
static void put_value(struct qn_buf *graph, uint32_t field, const char *name, enum onnx_type type,
                      uint32_t cols)
{
    struct qn_buf value = { 0 }, outer = { 0 }, tensor = { 0 }, shape = { 0 }, dim = { 0 };
    qn_pb_put_str(&dim, DIM_PARAM, "N");
    put_msg(&shape, SHAPE_DIM, &dim);
    if (cols) {
        struct qn_buf second = { 0 };
        qn_pb_put_varint(&second, DIM_VALUE, cols);
        put_msg(&shape, SHAPE_DIM, &second);
    }
    qn_pb_put_varint(&tensor, TENSORTYPE_ELEM, type);
    put_msg(&tensor, TENSORTYPE_SHAPE, &shape);
    put_msg(&outer, TYPE_TENSOR, &tensor);
    qn_pb_put_str(&value, VALUE_NAME, name);
    put_msg(&value, VALUE_TYPE, &outer);
    put_msg(graph, field, &value);
}

static void put_weights(struct qn_buf *graph, const char *name, const struct int8_layer *layer)
{
    struct qn_buf raw = { 0 };
    uint8_t *at = qn_buf_grow(&raw, (size_t)layer->in * layer->out);
    for (uint32_t i = 0; i < layer->in; i++)
        for (uint32_t o = 0; o < layer->out; o++)
            *at++ = (uint8_t)layer->w[(size_t)o * layer->in + i];
    put_tensor(graph, name, ONNX_INT8, (uint32_t[]){ layer->in, layer->out }, 2, qn_buf_get(&raw));
    qn_buf_free(&raw);
}

static void put_layer(struct qn_buf *graph, uint32_t l, const struct int8_layer *layer,
                      const char *x, uint32_t x_max, const char *y)
{
    char n[10][24], ins[80];
    static const char *const WORDS[] = { "weight", "bias", "scale", "half", "low",
                                         "high",   "sum",  "acc",   "real", "q" };
    bool wide = onnx_reach(layer, x_max) > ONNX_F32_EXACT;
    for (size_t i = 0; i < QN_COUNT(WORDS); i++)
        snprintf(n[i], sizeof n[i], "%s%u", WORDS[i], l);
    put_weights(graph, n[0], layer);
    put_tensor(graph, n[1], ONNX_INT32, &layer->out, 1, QN_SPAN(layer->bias, 4 * layer->out));
    put_real(graph, n[2], wide, (double)layer->m / (1 << layer->s));
    put_real(graph, n[3], wide, 0.5);
    put_real(graph, n[4], wide, layer->relu ? 0 : -128);
    put_real(graph, n[5], wide, 127);
    snprintf(ins, sizeof ins, "%s %s", x, n[0]);
    put_node(graph, "MatMulInteger", ins, n[6], NULL);
    snprintf(ins, sizeof ins, "%s %s", n[6], n[1]);
    put_node(graph, "Add", ins, n[7], NULL);
    put_cast(graph, n[7], n[8], wide ? ONNX_DOUBLE : ONNX_FLOAT);
    char scaled[24], raised[24], floored[24];
    snprintf(scaled, sizeof scaled, "scaled%u", l);
    snprintf(raised, sizeof raised, "raised%u", l);
    snprintf(floored, sizeof floored, "floor%u", l);
    snprintf(ins, sizeof ins, "%s %s", n[8], n[2]);
    put_node(graph, "Mul", ins, scaled, NULL);
    snprintf(ins, sizeof ins, "%s %s", scaled, n[3]);
    put_node(graph, "Add", ins, raised, NULL);
    put_node(graph, "Floor", raised, floored, NULL);
    snprintf(ins, sizeof ins, "%s %s %s", floored, n[4], n[5]);
    put_node(graph, "Clip", ins, n[9], NULL);
    put_cast(graph, n[9], y, layer->relu ? ONNX_UINT8 : ONNX_INT8);
}

void onnx_export(const struct int8_model *model, struct qn_buf *ret)
{
    struct qn_buf graph = { 0 }, opset = { 0 };
    const uint8_t one = 1;
    const struct int8_layer *last = &model->layer[model->layer_cnt - 1];
    char x[24] = "x0", y[24];
    put_node(&graph, "BitShift", "pixels one", x,
             (const struct attr[]){ { "direction", 0, "RIGHT" }, { 0 } });
    put_tensor(&graph, "one", ONNX_UINT8, NULL, 0, QN_SPAN_OF(one));
    for (uint32_t l = 0; l < model->layer_cnt; l++) {
        if (l + 1 == model->layer_cnt)
            snprintf(y, sizeof y, "logits");
        else
            snprintf(y, sizeof y, "x%u", l + 1);
        put_layer(&graph, l, &model->layer[l], x, l && !model->layer[l - 1].relu ? 128 : 127, y);
        memcpy(x, y, sizeof x);
    }
    put_node(&graph, "ArgMax", "logits", "class",
             (const struct attr[]){ { "axis", 1, NULL }, { "keepdims", 0, NULL }, { 0 } });
    qn_pb_put_str(&graph, GRAPH_NAME, "int8 model");
    put_value(&graph, GRAPH_IN, "pixels", ONNX_UINT8, model->layer[0].in);
    put_value(&graph, GRAPH_OUT, "logits", last->relu ? ONNX_UINT8 : ONNX_INT8, last->out);
    put_value(&graph, GRAPH_OUT, "class", ONNX_INT64, 0);
    qn_pb_put_varint(ret, MODEL_IR, IR_VERSION);
    qn_pb_put_str(ret, MODEL_PRODUCER, "quoin");
    put_msg(ret, MODEL_GRAPH, &graph);
    qn_pb_put_str(&opset, OPSET_DOMAIN, "");
    qn_pb_put_varint(&opset, OPSET_VERSION, OPSET);
    put_msg(ret, MODEL_OPSET, &opset);
}
