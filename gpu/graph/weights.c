/* weights.c - reading and writing QNTW. */
#include "gpu/graph/weights.h"

#include <string.h>

#define MAGIC   UINT32_C(0x57544e51) /* "QNTW" */
#define VERSION 1

static qn_rc take_shape(struct qn_span *in, struct weights *w, struct weights_tensor *t,
                        struct qn_why *why)
{
    struct qn_span name;
    uint32_t len;
    uint64_t cnt = 1;
    if (!qn_take_u32(in, &len)) return QN_E_SHORT;
    if (len == 0 || len > WEIGHTS_NAME_MAX)
        return qn_why(why, QN_E_FORMAT, "tensor %u: a name of %u bytes", w->tensor_cnt, len);
    if (!qn_take(in, len, &name)) return QN_E_SHORT;
    for (uint32_t i = 0; i < len; i++)
        if (name.ptr[i] <= 32 || name.ptr[i] > 126)
            return qn_why(why, QN_E_FORMAT, "tensor %u: its name is unprintable", w->tensor_cnt);
    memcpy(t->name, name.ptr, len);
    t->name[len] = 0;
    if (weights_find(w, t->name))
        return qn_why(why, QN_E_FORMAT, "two tensors are called %s", t->name);
    if (!qn_take_u32(in, &t->rank)) return QN_E_SHORT;
    if (t->rank == 0 || t->rank > WEIGHTS_RANK_MAX)
        return qn_why(why, QN_E_FORMAT, "tensor %s: rank %u", t->name, t->rank);
    for (uint32_t i = 0; i < WEIGHTS_RANK_MAX; i++) {
        t->dims[i] = 1;
        if (i < t->rank && !qn_take_u32(in, &t->dims[i])) return QN_E_SHORT;
        if (t->dims[i] == 0) return qn_why(why, QN_E_FORMAT, "tensor %s: it is empty", t->name);
        cnt *= t->dims[i];
        if (cnt > WEIGHTS_VALUE_MAX)
            return qn_why(why, QN_E_TOOBIG, "tensor %s: more than %llu values", t->name,
                          (unsigned long long)WEIGHTS_VALUE_MAX);
    }
    t->cnt = (size_t)cnt;
    return QN_OK;
}

static qn_rc take_values(struct qn_span *in, struct qn_arena *arena, struct weights_tensor *t,
                         struct qn_why *why)
{
    float *v = qn_arena_alloc(arena, 4 * t->cnt);
    if (!v) return qn_why(why, QN_E_MEMORY, "tensor %s does not fit in memory", t->name);
    for (size_t i = 0; i < t->cnt; i++) {
        uint32_t bits;
        if (!qn_take_u32(in, &bits)) return QN_E_SHORT; /* not reached: the sum was checked */
        if ((bits & 0x7f800000) == 0x7f800000)
            return qn_why(why, QN_E_RANGE, "tensor %s: value %zu is no finite number", t->name, i);
        memcpy(&v[i], &bits, 4);
    }
    t->v = v;
    return QN_OK;
}

qn_rc weights_open(struct qn_span blob, struct qn_arena *arena, struct weights *ret,
                   struct qn_why *why)
{
    struct weights w = { 0 };
    uint32_t magic, version, tensor_cnt;
    uint64_t sum = 0;
    struct qn_span in = blob;
    if (why) why->text[0] = 0;
    if (!qn_take_u32(&in, &magic) || !qn_take_u32(&in, &version) || !qn_take_u32(&in, &tensor_cnt))
        return qn_why(why, QN_E_SHORT, "weights: %zu bytes are no file of them", blob.len);
    if (magic != MAGIC || version != VERSION)
        return qn_why(why, QN_E_FORMAT, "these are no weights (QNTW, version 1)");
    if (tensor_cnt == 0 || tensor_cnt > WEIGHTS_TENSOR_MAX)
        return qn_why(why, QN_E_TOOBIG, "weights: %u tensors, from 1 to %u may be", tensor_cnt,
                      WEIGHTS_TENSOR_MAX);
    for (; w.tensor_cnt < tensor_cnt; w.tensor_cnt++) {
        struct weights_tensor *t = &w.tensor[w.tensor_cnt];
        qn_rc rc = take_shape(&in, &w, t, why);
        if (rc)
            return why && why->text[0] ? rc
                                       : qn_why(why, rc, "weights: a name or shape is cut off");
        sum += t->cnt;
    }
    if (sum > WEIGHTS_VALUE_MAX)
        return qn_why(why, QN_E_TOOBIG, "weights: more than %llu values",
                      (unsigned long long)WEIGHTS_VALUE_MAX);
    if (in.len != 4 * sum)
        return qn_why(why, in.len < 4 * sum ? QN_E_SHORT : QN_E_EXTRA,
                      "weights: %zu bytes of values where the shapes say %llu", in.len,
                      (unsigned long long)(4 * sum));
    for (uint32_t i = 0; i < w.tensor_cnt; i++) {
        qn_rc rc = take_values(&in, arena, &w.tensor[i], why);
        if (rc) return rc;
    }
    *ret = w;
    return QN_OK;
}

void weights_put(const struct weights *w, struct qn_buf *ret)
{
    QN_ASSERT(w->tensor_cnt >= 1 && w->tensor_cnt <= WEIGHTS_TENSOR_MAX);
    qn_buf_u32(ret, MAGIC);
    qn_buf_u32(ret, VERSION);
    qn_buf_u32(ret, w->tensor_cnt);
    for (uint32_t i = 0; i < w->tensor_cnt; i++) {
        const struct weights_tensor *t = &w->tensor[i];
        qn_buf_u32(ret, (uint32_t)strlen(t->name));
        qn_buf_str(ret, t->name);
        qn_buf_u32(ret, t->rank);
        for (uint32_t k = 0; k < t->rank; k++)
            qn_buf_u32(ret, t->dims[k]);
    }
    for (uint32_t i = 0; i < w->tensor_cnt; i++)
        for (size_t k = 0; k < w->tensor[i].cnt; k++) {
            uint32_t bits;
            memcpy(&bits, &w->tensor[i].v[k], 4);
            qn_buf_u32(ret, bits);
        }
}

const struct weights_tensor *weights_find(const struct weights *w, const char *name)
{
    for (uint32_t i = 0; i < w->tensor_cnt; i++)
        if (strcmp(w->tensor[i].name, name) == 0) return &w->tensor[i];
    return NULL;
}
