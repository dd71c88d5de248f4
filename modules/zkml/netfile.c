/* netfile.c - reading the int8 network that is to be committed to. */
#include "modules/zkml/netfile.h"

#include "gpu/graph/onnx.h"
#include "modules/zkml/secret.h"
#include "modules/zkml/wire.h"

#include <string.h>

qn_rc netfile_get(struct qn_span file, struct qn_arena *arena, struct int8_model *ret,
                  struct qn_why *why)
{
    struct qn_span magic, w, b;
    uint16_t version;
    struct zkml_shape shape;
    if (!qn_span_starts(file, QN_SPAN_STR("QNI8"))) return onnx_import(file, arena, ret, NULL, why);
    if (!qn_take(&file, 4, &magic) || !qn_take_u16(&file, &version) || version != 1 ||
        !zkml_shape_get(&file, &shape))
        return qn_why(why, QN_E_FORMAT, "the int8 network has a header of another form");
    *ret = (struct int8_model){ .layer_cnt = shape.layer_cnt };
    for (uint32_t l = 0; l < shape.layer_cnt; l++) {
        const struct zkml_layer_shape *a = &shape.layer[l];
        if (a->in > ZK_DIM_MAX || a->out > ZK_DIM_MAX)
            return qn_why(why, QN_E_RANGE, "layer %u: %u x %u is no size of a layer", l, a->in,
                          a->out);
        if (!qn_take(&file, (size_t)a->in * a->out, &w) || !qn_take(&file, 4 * (size_t)a->out, &b))
            return qn_why(why, QN_E_SHORT, "the int8 network ends in layer %u", l);
        int8_t *wc = qn_arena_copy(arena, w.ptr, w.len);
        int32_t *bc = qn_arena_copy(arena, b.ptr, b.len);
        if (!wc || !bc) return QN_E_MEMORY;
        ret->layer[l] = (struct int8_layer){ a->in, a->out, wc, bc, a->m, a->s, a->relu };
    }
    if (file.len) return qn_why(why, QN_E_EXTRA, "bytes follow the int8 network");
    return int8_model_check(ret, why);
}

void netfile_put(const struct int8_model *net, struct qn_buf *out)
{
    struct zkml_shape shape = zkml_shape_of(net);
    qn_buf_str(out, "QNI8");
    qn_buf_u16(out, 1);
    zkml_shape_put(&shape, out);
    for (uint32_t l = 0; l < net->layer_cnt; l++) {
        qn_buf_put(out, net->layer[l].w, (size_t)net->layer[l].in * net->layer[l].out);
        qn_buf_put(out, net->layer[l].bias, 4 * (size_t)net->layer[l].out);
    }
}
