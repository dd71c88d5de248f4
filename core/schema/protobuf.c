/* protobuf.c - fields from bytes and back. */
#include "core/schema/protobuf.h"

bool qn_pb_varint(struct qn_span *s, uint64_t *ret)
{
    uint64_t v = 0;
    for (size_t i = 0; i < s->len && i < 10; i++) {
        uint8_t b = s->ptr[i];
        if (i == 9 && b > 1) return false;
        v |= (uint64_t)(b & 127) << (7 * i);
        if (b & 128) continue;
        *s = QN_SPAN(s->ptr + i + 1, s->len - i - 1);
        *ret = v;
        return true;
    }
    return false;
}

static qn_rc take_value(struct qn_span *s, struct qn_pb_field *f)
{
    uint32_t word;
    uint64_t len;
    switch (f->wire) {
    case QN_PB_VARINT: return qn_pb_varint(s, &f->value) ? QN_OK : QN_E_FORMAT;
    case QN_PB_FIXED64: return qn_take_u64(s, &f->value) ? QN_OK : QN_E_SHORT;
    case QN_PB_FIXED32:
        if (!qn_take_u32(s, &word)) return QN_E_SHORT;
        f->value = word;
        return QN_OK;
    case QN_PB_BYTES:
        if (!qn_pb_varint(s, &len)) return QN_E_FORMAT;
        if (len > s->len || !qn_take(s, (size_t)len, &f->bytes)) return QN_E_SHORT;
        return QN_OK;
    }
    return QN_E_FORMAT;
}

qn_rc qn_pb_next(struct qn_span *msg, struct qn_pb_field *ret)
{
    struct qn_span s = *msg;
    struct qn_pb_field f = { 0 };
    uint64_t tag;
    if (s.len == 0) return QN_E_AGAIN;
    if (!qn_pb_varint(&s, &tag) || tag > UINT32_MAX || tag >> 3 == 0) return QN_E_FORMAT;
    f.number = (uint32_t)(tag >> 3);
    f.wire = (enum qn_pb_wire)(tag & 7);
    qn_rc rc = take_value(&s, &f);
    if (rc) return rc;
    *msg = s;
    *ret = f;
    return QN_OK;
}

static void put_varint(struct qn_buf *buf, uint64_t v)
{
    for (; v > 127; v >>= 7)
        qn_buf_u8(buf, (uint8_t)(v | 128));
    qn_buf_u8(buf, (uint8_t)v);
}

void qn_pb_put_varint(struct qn_buf *buf, uint32_t number, uint64_t value)
{
    put_varint(buf, (uint64_t)number << 3 | QN_PB_VARINT);
    put_varint(buf, value);
}

void qn_pb_put_bytes(struct qn_buf *buf, uint32_t number, struct qn_span bytes)
{
    put_varint(buf, (uint64_t)number << 3 | QN_PB_BYTES);
    put_varint(buf, bytes.len);
    qn_buf_span(buf, bytes);
}

void qn_pb_put_str(struct qn_buf *buf, uint32_t number, const char *text)
{
    qn_pb_put_bytes(buf, number, QN_SPAN_STR(text));
}
