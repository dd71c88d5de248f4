/* onnx_ops.c - the operators of integer models: each takes a value one step on its way through a layer. */
#include "gpu/graph/onnx_walk.h"

#include <string.h>

/* Largest |x| that goes into the layer in work. */
static uint32_t x_max(const struct onnx_value *v)
{
    bool positive = v->layer_cnt ? v->layer[v->layer_cnt - 1].relu : v->halved;
    return positive ? 127 : 128;
}

static qn_rc scalar(const struct onnx_args *a, uint32_t idx, double *ret, struct qn_why *why)
{
    struct qn_why inner = { "" };
    if (!a->c[idx]) return onnx_node_bad(a->node, why, "input %u must be a constant", idx);
    if (a->c[idx]->type != a->x.type)
        return onnx_node_bad(a->node, why, "types %u and %u meet", a->x.type, a->c[idx]->type);
    qn_rc rc = onnx_tensor_scalar(a->c[idx], ret, &inner);
    return rc ? onnx_node_bad(a->node, why, "%s", inner.text) : QN_OK;
}

static qn_rc same(struct onnx_import *im, struct onnx_args *a, struct qn_why *why)
{
    (void)im, (void)a, (void)why;
    return QN_OK;
}

static qn_rc bit_shift(struct onnx_import *im, struct onnx_args *a, struct qn_why *why)
{
    struct qn_span way;
    double by;
    qn_rc rc = scalar(a, 1, &by, why);
    if (rc) return rc;
    if (a->x.stage != ONNX_INPUT || a->x.type != ONNX_UINT8 || a->x.halved || by != 1 ||
        !onnx_node_str(a->node, "direction", &way) || !qn_span_eq(way, QN_SPAN_STR("RIGHT")))
        return onnx_node_bad(a->node, why, "only the uint8 input may be shifted, right by one");
    a->x.halved = true;
    im->info.pixels = true;
    return QN_OK;
}

static qn_rc flatten(struct onnx_import *im, struct onnx_args *a, struct qn_why *why)
{
    (void)im;
    if ((a->x.stage != ONNX_INPUT && a->x.stage != ONNX_READY) ||
        onnx_node_int(a->node, "axis", 1) != 1)
        return onnx_node_bad(a->node, why, "only activations are flattened, from axis 1");
    return QN_OK;
}

static qn_rc reshape(struct onnx_import *im, struct onnx_args *a, struct qn_why *why)
{
    void *raw;
    int64_t shape[2];
    const struct onnx_tensor *t = a->c[1];
    if ((a->x.stage != ONNX_INPUT && a->x.stage != ONNX_READY) || !t || t->type != ONNX_INT64 ||
        t->cnt != 2)
        return onnx_node_bad(a->node, why, "only activations are reshaped, to (records, values)");
    qn_rc rc = onnx_tensor_load(t, im->arena, &raw, why);
    if (rc) return rc;
    memcpy(shape, raw, sizeof shape);
    if (shape[0] < -1 || shape[1] == 0 || shape[1] < -1 || (shape[0] == -1 && shape[1] == -1) ||
        (shape[1] > 0 && a->x.width && a->x.width != (uint64_t)shape[1]))
        return onnx_node_bad(a->node, why, "the shape does not keep the records apart");
    if (shape[1] > 0) a->x.width = (uint64_t)shape[1];
    return QN_OK;
}

/* A zero point of x moves into the bias: sum of (x - z) w = sum of x w - z * (sum of w). */
static qn_rc start_bias(const struct onnx_args *a, const struct int8_layer *layer, int32_t *bias,
                        struct qn_why *why)
{
    double zero = 0;
    qn_rc rc = a->c[2] ? scalar(a, 2, &zero, why) : QN_OK;
    for (uint32_t o = 0; rc == QN_OK && o < layer->out; o++) {
        int64_t sum = 0;
        for (uint32_t i = 0; i < layer->in; i++)
            sum += layer->w[(size_t)o * layer->in + i];
        bias[o] = (int32_t)(-(int64_t)zero * sum); /* at most 255 * 128 * 65,536 < 2^31 */
    }
    return rc;
}

static qn_rc matmul(struct onnx_import *im, struct onnx_args *a, struct qn_why *why)
{
    struct onnx_value *x = &a->x;
    const struct onnx_tensor *w = a->c[1];
    void *raw;
    if (a->x_at != 0 || !w || (x->stage != ONNX_INPUT && x->stage != ONNX_READY))
        return onnx_node_bad(a->node, why, "expected activations times constant weights");
    if (x->type != ONNX_INT8 && x->type != ONNX_UINT8)
        return onnx_node_bad(a->node, why, "activations of type %u are no int8 or uint8", x->type);
    if (x->stage == ONNX_INPUT && x->type == ONNX_UINT8 && !x->halved)
        return onnx_node_bad(a->node, why, "a uint8 input must be halved by a BitShift first");
    if (w->type != ONNX_INT8 || w->rank != 2 || w->dims[0] > INT8_DIM_MAX ||
        w->dims[1] > INT8_DIM_MAX || w->cnt > INT8_WEIGHT_MAX)
        return onnx_node_bad(a->node, why, "weights must be int8 of shape (in, out), up to %u each",
                             INT8_DIM_MAX);
    if (x->width && x->width != w->dims[0])
        return onnx_node_bad(a->node, why, "%llu values meet weights for %u",
                             (unsigned long long)x->width, w->dims[0]);
    if (x->layer_cnt == INT8_LAYER_MAX)
        return onnx_node_bad(a->node, why, "more than %u layers", INT8_LAYER_MAX);
    if (a->c[3]) {
        qn_rc rc = onnx_tensor_load(a->c[3], im->arena, &raw, why);
        if (rc) return rc;
        for (uint64_t i = 0; i < a->c[3]->cnt; i++)
            if (a->c[3]->type != ONNX_INT8 || ((int8_t *)raw)[i] != 0)
                return onnx_node_bad(a->node, why, "weights must have zero point 0");
    }
    qn_rc rc = onnx_tensor_load(w, im->arena, &raw, why);
    if (rc) return rc;
    struct int8_layer *layer = &x->layer[x->layer_cnt];
    *layer = (struct int8_layer){ .in = w->dims[0], .out = w->dims[1] };
    int8_t *turned = qn_arena_alloc(im->arena, (size_t)w->cnt);
    int32_t *bias = qn_arena_alloc(im->arena, 4 * (size_t)layer->out);
    if (!turned || !bias) return qn_why(why, QN_E_MEMORY, "the model does not fit in memory");
    for (uint32_t i = 0; i < layer->in; i++)
        for (uint32_t o = 0; o < layer->out; o++)
            turned[(size_t)o * layer->in + i] = ((int8_t *)raw)[(size_t)i * layer->out + o];
    layer->w = turned;
    rc = start_bias(a, layer, bias, why);
    layer->bias = bias;
    x->stage = ONNX_ACC;
    x->scaled = x->raised = x->floored = false;
    x->low = -1e9, x->high = 1e9;
    x->type = ONNX_INT32;
    x->width = layer->out;
    return rc;
}

static qn_rc add_bias(struct onnx_import *im, struct onnx_args *a, const struct onnx_tensor *c,
                      struct qn_why *why)
{
    struct int8_layer *layer = &a->x.layer[a->x.layer_cnt];
    void *raw;
    bool row = c->cnt == layer->out && c->rank <= 2 && c->dims[c->rank ? c->rank - 1 : 0] == c->cnt;
    if (c->type != ONNX_INT32 || !(c->cnt == 1 || row))
        return onnx_node_bad(a->node, why, "a bias must be int32, one value or %u", layer->out);
    qn_rc rc = onnx_tensor_load(c, im->arena, &raw, why);
    if (rc) return rc;
    int32_t *bias = qn_arena_alloc(im->arena, 4 * (size_t)layer->out);
    if (!bias) return qn_why(why, QN_E_MEMORY, "the model does not fit in memory");
    for (uint32_t o = 0; o < layer->out; o++) {
        int64_t sum = (int64_t)layer->bias[o] + ((int32_t *)raw)[c->cnt == 1 ? 0 : o];
        if (sum > INT32_MAX || sum < INT32_MIN)
            return onnx_node_bad(a->node, why, "the biases leave 32 bits");
        bias[o] = (int32_t)sum;
    }
    layer->bias = bias;
    return QN_OK;
}

static qn_rc op_add(struct onnx_import *im, struct onnx_args *a, struct qn_why *why)
{
    uint32_t at = 1 - a->x_at;
    double v;
    if (!a->c[at]) return onnx_node_bad(a->node, why, "expected a constant");
    if (a->x.stage == ONNX_ACC) return add_bias(im, a, a->c[at], why);
    qn_rc rc = scalar(a, at, &v, why);
    if (rc) return rc;
    if (a->x.stage != ONNX_REAL || !a->x.scaled || a->x.raised || a->x.floored || v != 0.5)
        return onnx_node_bad(a->node, why,
                             "expected int32 sums plus a bias, or scaled sums plus 0.5");
    a->x.raised = true;
    return QN_OK;
}

/* Finds m / 2^s of a scale. */
static bool split(double scale, struct int8_layer *layer)
{
    for (uint8_t s = 1; s <= INT8_S_MAX; s++) {
        double m = scale * (1 << s);
        if (!(m >= 1 && m <= INT8_M_MAX) || m != (double)(int32_t)m) continue;
        layer->m = (int32_t)m;
        layer->s = s;
        return true;
    }
    return false;
}

static qn_rc set_scale(struct onnx_args *a, double v, struct qn_why *why)
{
    if (a->x.stage != ONNX_REAL || a->x.scaled || a->x.raised || a->x.floored)
        return onnx_node_bad(a->node, why, "expected sums cast to float, scaled once");
    if (!split(v, &a->x.layer[a->x.layer_cnt]))
        return onnx_node_bad(a->node, why,
                             "a scale of %.9g is no m / 2^s with m in 1..%d and s in 1..%d", v,
                             INT8_M_MAX, INT8_S_MAX);
    a->x.scaled = true;
    return QN_OK;
}

static qn_rc op_mul(struct onnx_import *im, struct onnx_args *a, struct qn_why *why)
{
    double v;
    (void)im;
    qn_rc rc = scalar(a, 1 - a->x_at, &v, why);
    return rc ? rc : set_scale(a, v, why);
}

static qn_rc op_div(struct onnx_import *im, struct onnx_args *a, struct qn_why *why)
{
    double v;
    (void)im;
    qn_rc rc = a->x_at == 0 ? scalar(a, 1, &v, why)
                            : onnx_node_bad(a->node, why, "expected sums over a constant");
    if (rc) return rc;
    for (int s = 1; s <= INT8_S_MAX; s++)
        if (v == (1 << s)) return set_scale(a, 1 / v, why);
    return onnx_node_bad(a->node, why, "a divisor of %.9g is no power of two up to 2^%d", v,
                         INT8_S_MAX);
}

static qn_rc op_floor(struct onnx_import *im, struct onnx_args *a, struct qn_why *why)
{
    (void)im;
    if (a->x.stage != ONNX_REAL || !a->x.raised)
        return onnx_node_bad(a->node, why, "expected scaled sums plus 0.5");
    a->x.floored = true;
    return QN_OK;
}

/* Bounds that are integers may stand before or after the rounding: it keeps order and integers. */
static qn_rc bound(struct onnx_args *a, bool low, double v, struct qn_why *why)
{
    if (!(v >= -128 && v <= 127) || v != (double)(int32_t)v)
        return onnx_node_bad(a->node, why, "a bound of %.9g is no integer of int8", v);
    if (a->x.stage != ONNX_REAL || !a->x.scaled || (a->x.raised && !a->x.floored))
        return onnx_node_bad(a->node, why, "expected scaled sums");
    if (low)
        a->x.low = QN_MAX(a->x.low, v);
    else
        a->x.high = QN_MIN(a->x.high, v);
    return QN_OK;
}

static qn_rc op_clip(struct onnx_import *im, struct onnx_args *a, struct qn_why *why)
{
    qn_rc rc = QN_OK;
    (void)im;
    if (a->x_at != 0) return onnx_node_bad(a->node, why, "expected constant bounds");
    for (uint32_t i = 1; rc == QN_OK && i <= 2; i++) {
        double v;
        if (i >= a->node->in_cnt || a->node->in[i].len == 0) continue;
        rc = scalar(a, i, &v, why);
        if (rc == QN_OK) rc = bound(a, i == 1, v, why);
    }
    return rc;
}

static qn_rc op_max(struct onnx_import *im, struct onnx_args *a, struct qn_why *why)
{
    double v;
    (void)im;
    qn_rc rc = scalar(a, 1 - a->x_at, &v, why);
    return rc ? rc : bound(a, true, v, why);
}

static qn_rc op_min(struct onnx_import *im, struct onnx_args *a, struct qn_why *why)
{
    double v;
    (void)im;
    qn_rc rc = scalar(a, 1 - a->x_at, &v, why);
    return rc ? rc : bound(a, false, v, why);
}

static qn_rc op_relu(struct onnx_import *im, struct onnx_args *a, struct qn_why *why)
{
    (void)im;
    if (a->x.stage == ONNX_READY && a->x.layer_cnt) {
        a->x.layer[a->x.layer_cnt - 1].relu = true;
        return QN_OK;
    }
    return bound(a, true, 0, why);
}

/* The cast that ends a layer. */
static qn_rc finish(struct onnx_args *a, uint32_t to, struct qn_why *why)
{
    struct onnx_value *x = &a->x;
    struct int8_layer *layer = &x->layer[x->layer_cnt];
    if (!x->scaled || !x->raised || !x->floored)
        return onnx_node_bad(a->node, why, "expected scaled sums plus 0.5, rounded by Floor");
    if (x->high != 127 || (x->low != 0 && x->low != -128) || (to == ONNX_UINT8 && x->low != 0))
        return onnx_node_bad(a->node, why, "expected values clipped to -128..127 or 0..127");
    layer->relu = x->low == 0;
    if (x->type == ONNX_FLOAT && onnx_reach(layer, x_max(x)) > ONNX_F32_EXACT)
        return onnx_node_bad(a->node, why,
                             "sums up to %llu are not exact in float32; cast them to double",
                             (unsigned long long)int8_layer_acc_max(layer, x_max(x)));
    x->layer_cnt++;
    x->stage = ONNX_READY;
    return QN_OK;
}

static qn_rc op_cast(struct onnx_import *im, struct onnx_args *a, struct qn_why *why)
{
    int64_t to = onnx_node_int(a->node, "to", 0);
    qn_rc rc = QN_OK;
    (void)im;
    if (a->x.stage == ONNX_ACC && (to == ONNX_FLOAT || to == ONNX_DOUBLE))
        a->x.stage = ONNX_REAL;
    else if (a->x.stage == ONNX_REAL && (to == ONNX_INT8 || to == ONNX_UINT8))
        rc = finish(a, (uint32_t)to, why);
    else if (!(a->x.stage == ONNX_READY &&
               (to == ONNX_INT8 || to == ONNX_INT32 || to == ONNX_FLOAT)) &&
             !(a->x.stage == ONNX_INPUT && a->x.halved && to == ONNX_INT8))
        rc = onnx_node_bad(a->node, why, "a cast to type %lld has no place here", (long long)to);
    a->x.type = (uint32_t)to;
    return rc;
}

static qn_rc op_argmax(struct onnx_import *im, struct onnx_args *a, struct qn_why *why)
{
    int64_t axis = onnx_node_int(a->node, "axis", 0);
    (void)im;
    if (a->x.stage != ONNX_READY || (axis != 1 && axis != -1) ||
        onnx_node_int(a->node, "select_last_index", 0) != 0)
        return onnx_node_bad(a->node, why, "expected the first largest of each record's logits");
    a->x.stage = ONNX_CLASS;
    a->x.type = ONNX_INT64;
    return QN_OK;
}

/* To read another operator: a function above, a line here. */
static const struct onnx_op OPS[] = {
    { "MatMulInteger", 2, 4, matmul }, { "Add", 2, 2, op_add },
    { "Cast", 1, 1, op_cast },         { "Mul", 2, 2, op_mul },
    { "Div", 2, 2, op_div },           { "Floor", 1, 1, op_floor },
    { "Clip", 1, 3, op_clip },         { "Max", 2, 2, op_max },
    { "Min", 2, 2, op_min },           { "Relu", 1, 1, op_relu },
    { "BitShift", 2, 2, bit_shift },   { "Identity", 1, 1, same },
    { "Flatten", 1, 1, flatten },      { "Reshape", 2, 2, reshape },
    { "ArgMax", 1, 1, op_argmax },
};

const struct onnx_op *onnx_op_find(struct qn_span name)
{
    for (size_t i = 0; i < QN_COUNT(OPS); i++)
        if (qn_span_eq(name, QN_SPAN_STR(OPS[i].name))) return &OPS[i];
    return NULL;
}
