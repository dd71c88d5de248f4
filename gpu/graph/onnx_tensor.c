/* onnx_tensor.c - constant tensors and nodes of a file, every length held against the bytes that are there. */
#include "gpu/graph/onnx_tensor.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define BYTES_MAX (UINT64_C(1) << 31)

static uint32_t type_bytes(uint32_t type)
{
    switch (type) {
    case ONNX_UINT8:
    case ONNX_INT8: return 1;
    case ONNX_FLOAT:
    case ONNX_INT32: return 4;
    case ONNX_INT64:
    case ONNX_DOUBLE: return 8;
    default: return 0;
    }
}

/* --- tensors ---------------------------------------------------------------------------------------------- */

static qn_rc take_dim(struct onnx_tensor *t, uint64_t dim, struct qn_why *why)
{
    if (t->rank == ONNX_RANK_MAX)
        return qn_why(why, QN_E_TOOBIG, "a tensor of more than %u dimensions", ONNX_RANK_MAX);
    if (dim == 0 || dim > UINT32_MAX || t->cnt * dim > BYTES_MAX)
        return qn_why(why, QN_E_TOOBIG, "a tensor dimension of %llu", (unsigned long long)dim);
    t->cnt *= dim; /* at most 2^31 times 2^32 before the check */
    t->dims[t->rank++] = (uint32_t)dim;
    return QN_OK;
}

static qn_rc take_dims(struct onnx_tensor *t, const struct qn_pb_field *f, struct qn_why *why)
{
    struct qn_span list = f->bytes;
    uint64_t dim;
    if (f->wire == QN_PB_VARINT) return take_dim(t, f->value, why);
    while (f->wire == QN_PB_BYTES && list.len) {
        if (!qn_pb_varint(&list, &dim)) return qn_why(why, QN_E_FORMAT, "a tensor's shape is cut");
        qn_rc rc = take_dim(t, dim, why);
        if (rc) return rc;
    }
    return QN_OK;
}

qn_rc onnx_tensor_open(struct qn_span msg, struct onnx_tensor *ret, struct qn_why *why)
{
    struct onnx_tensor t = { .msg = msg, .cnt = 1 };
    struct qn_pb_field f;
    qn_rc rc;
    while ((rc = qn_pb_next(&msg, &f)) == QN_OK) {
        if (f.number == TENSOR_DIMS) {
            rc = take_dims(&t, &f, why);
            if (rc) return rc;
        } else if (f.number == TENSOR_TYPE && f.wire == QN_PB_VARINT) {
            t.type = f.value > 1000 ? 1000 : (uint32_t)f.value;
        } else if (f.number == TENSOR_NAME && f.wire == QN_PB_BYTES) {
            t.name = f.bytes;
        } else if (f.number == TENSOR_RAW && f.wire == QN_PB_BYTES) {
            t.raw = f.bytes;
            t.has_raw = true;
        } else if (f.number == TENSOR_EXTERNAL || (f.number == TENSOR_LOCATION && f.value)) {
            return qn_why(why, QN_E_RANGE, "tensor %.*s lies in another file",
                          (int)QN_MIN(t.name.len, 64u), (const char *)t.name.ptr);
        }
    }
    if (rc != QN_E_AGAIN) return qn_why(why, rc, "a tensor is cut off or damaged");
    if (!type_bytes(t.type))
        return qn_why(why, QN_E_RANGE, "tensor %.*s: element type %u is not understood",
                      (int)QN_MIN(t.name.len, 64u), (const char *)t.name.ptr, t.type);
    if (t.cnt * type_bytes(t.type) > BYTES_MAX)
        return qn_why(why, QN_E_TOOBIG, "a tensor of more than 2 GiB");
    *ret = t;
    return QN_OK;
}

static uint32_t typed_field(uint32_t type)
{
    switch (type) {
    case ONNX_FLOAT: return TENSOR_FLOATS;
    case ONNX_DOUBLE: return TENSOR_DOUBLES;
    case ONNX_INT64: return TENSOR_INT64S;
    default: return TENSOR_INT32S;
    }
}

/* Puts one typed value; integers of fewer bits than their field must fit. */
static bool put_typed(const struct onnx_tensor *t, uint64_t v, void *dst, uint64_t at)
{
    int64_t i = (int64_t)v;
    int32_t i32 = (int32_t)i;
    switch (t->type) {
    case ONNX_UINT8: ((uint8_t *)dst)[at] = (uint8_t)v; return v <= 255;
    case ONNX_INT8: ((int8_t *)dst)[at] = (int8_t)i; return i >= -128 && i <= 127;
    case ONNX_INT32:
    case ONNX_FLOAT: {
        uint32_t bits = (uint32_t)v;
        memcpy((uint8_t *)dst + 4 * at, &bits, 4);
        return t->type == ONNX_FLOAT || i32 == i;
    }
    default: memcpy((uint8_t *)dst + 8 * at, &v, 8); return true;
    }
}

static bool take_typed(uint32_t type, struct qn_span *s, uint64_t *ret)
{
    uint32_t word;
    if (type == ONNX_DOUBLE) return qn_take_u64(s, ret);
    if (type != ONNX_FLOAT) return qn_pb_varint(s, ret);
    if (!qn_take_u32(s, &word)) return false;
    *ret = word;
    return true;
}

static qn_rc load_typed(const struct onnx_tensor *t, void *dst, struct qn_why *why)
{
    struct qn_span msg = t->msg;
    struct qn_pb_field f;
    uint64_t at = 0;
    qn_rc rc;
    while ((rc = qn_pb_next(&msg, &f)) == QN_OK) {
        if (f.number != typed_field(t->type)) continue;
        struct qn_span list = f.bytes;
        bool one = f.wire != QN_PB_BYTES;
        while (one || list.len) {
            uint64_t v = f.value;
            if (!one && !take_typed(t->type, &list, &v))
                return qn_why(why, QN_E_FORMAT, "a tensor's values are cut");
            if (at == t->cnt)
                return qn_why(why, QN_E_FORMAT, "a tensor has more values than its shape");
            if (!put_typed(t, v, dst, at++))
                return qn_why(why, QN_E_RANGE, "a tensor's value does not fit its type");
            if (one) break;
        }
    }
    QN_ASSERT(rc == QN_E_AGAIN); /* the message was walked when it was opened */
    return at == t->cnt ? QN_OK
                        : qn_why(why, QN_E_FORMAT, "a tensor has fewer values than its shape");
}

qn_rc onnx_tensor_load(const struct onnx_tensor *t, struct qn_arena *arena, void **ret,
                       struct qn_why *why)
{
    uint64_t bytes = t->cnt * type_bytes(t->type);
    if (t->has_raw && t->raw.len != bytes)
        return qn_why(why, QN_E_FORMAT, "tensor %.*s: %zu bytes where its shape says %llu",
                      (int)QN_MIN(t->name.len, 64u), (const char *)t->name.ptr, t->raw.len,
                      (unsigned long long)bytes);
    if (!t->has_raw && t->cnt > t->msg.len) /* a value takes a byte at least */
        return qn_why(why, QN_E_FORMAT, "tensor %.*s has fewer values than its shape",
                      (int)QN_MIN(t->name.len, 64u), (const char *)t->name.ptr);
    void *dst = qn_arena_alloc(arena, (size_t)bytes);
    if (!dst) return qn_why(why, QN_E_MEMORY, "the model does not fit in memory");
    *ret = dst;
    if (!t->has_raw) return load_typed(t, dst, why);
    memcpy(dst, t->raw.ptr, (size_t)bytes);
    return QN_OK;
}

qn_rc onnx_tensor_scalar(const struct onnx_tensor *t, double *ret, struct qn_why *why)
{
    struct qn_arena arena = { .max = 64 };
    void *v;
    float f;
    int32_t i;
    int64_t l;
    if (t->cnt != 1)
        return qn_why(why, QN_E_RANGE, "expected one value, not %llu", (unsigned long long)t->cnt);
    qn_rc rc = onnx_tensor_load(t, &arena, &v, why);
    if (rc) goto out;
    switch (t->type) {
    case ONNX_UINT8: *ret = *(uint8_t *)v; break;
    case ONNX_INT8: *ret = *(int8_t *)v; break;
    case ONNX_INT32: memcpy(&i, v, 4), *ret = i; break;
    case ONNX_FLOAT: memcpy(&f, v, 4), *ret = (double)f; break;
    case ONNX_DOUBLE: memcpy(ret, v, 8); break;
    default:
        memcpy(&l, v, 8);
        if (l > INT64_C(1) << 53 || l < -(INT64_C(1) << 53))
            rc = qn_why(why, QN_E_RANGE, "a constant of more than 53 bits");
        *ret = (double)l;
    }
out:
    qn_arena_free(&arena);
    return rc;
}

/* --- nodes ------------------------------------------------------------------------------------------------- */

qn_rc onnx_node_open(struct qn_span msg, uint32_t idx, struct onnx_node *ret, struct qn_why *why)
{
    struct onnx_node n = { .idx = idx, .msg = msg };
    struct qn_pb_field f;
    qn_rc rc;
    while ((rc = qn_pb_next(&msg, &f)) == QN_OK) {
        if (f.wire != QN_PB_BYTES) continue;
        if (f.number == NODE_IN && n.in_cnt++ < ONNX_NODE_IN_MAX) n.in[n.in_cnt - 1] = f.bytes;
        if (f.number == NODE_OUT && n.out_cnt++ == 0) n.out = f.bytes;
        if (f.number == NODE_NAME) n.name = f.bytes;
        if (f.number == NODE_OP) n.op = f.bytes;
        if (f.number == NODE_DOMAIN) n.domain = f.bytes;
    }
    if (rc != QN_E_AGAIN) return qn_why(why, rc, "node %u is cut off or damaged", idx);
    *ret = n;
    return QN_OK;
}

qn_rc onnx_node_bad(const struct onnx_node *n, struct qn_why *why, const char *fmt, ...)
{
    char text[300];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    return qn_why(why, QN_E_RANGE, "node %u (%.*s \"%.*s\"): %s", n->idx,
                  (int)QN_MIN(n->op.len, 24u), n->op.len ? (const char *)n->op.ptr : "",
                  (int)QN_MIN(n->name.len, 40u), n->name.len ? (const char *)n->name.ptr : "",
                  text);
}

/* The attribute's message, walked for one field of one wire type. */
static bool attr_field(const struct onnx_node *n, const char *name, uint32_t number,
                       enum qn_pb_wire wire, struct qn_pb_field *ret)
{
    struct qn_span msg = n->msg;
    struct qn_pb_field f;
    while (qn_pb_next(&msg, &f) == QN_OK) {
        if (f.number != NODE_ATTR || f.wire != QN_PB_BYTES) continue;
        struct qn_span attr = f.bytes;
        struct qn_pb_field part, found = { 0 };
        bool named = false, have = false;
        while (qn_pb_next(&attr, &part) == QN_OK) {
            if (part.number == ATTR_NAME && part.wire == QN_PB_BYTES)
                named = qn_span_eq(part.bytes, QN_SPAN_STR(name));
            if (part.number != number || part.wire != wire) continue;
            found = part;
            have = true;
        }
        if (!named) continue;
        *ret = found;
        return have;
    }
    return false;
}

int64_t onnx_node_int(const struct onnx_node *n, const char *name, int64_t def)
{
    struct qn_pb_field f;
    return attr_field(n, name, ATTR_I, QN_PB_VARINT, &f) ? (int64_t)f.value : def;
}

bool onnx_node_str(const struct onnx_node *n, const char *name, struct qn_span *ret)
{
    struct qn_pb_field f;
    if (!attr_field(n, name, ATTR_S, QN_PB_BYTES, &f)) return false;
    *ret = f.bytes;
    return true;
}

bool onnx_node_tensor(const struct onnx_node *n, const char *name, struct qn_span *ret)
{
    struct qn_pb_field f;
    if (!attr_field(n, name, ATTR_T, QN_PB_BYTES, &f)) return false;
    *ret = f.bytes;
    return true;
}
