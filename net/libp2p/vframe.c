/* vframe.c - lengths as varints. */
#include "net/libp2p/vframe.h"

#include "core/schema/protobuf.h"

void qn_vframe_put(struct qn_buf *buf, struct qn_span message)
{
    size_t v = message.len;
    for (; v > 127; v >>= 7)
        qn_buf_u8(buf, (uint8_t)(v | 128));
    qn_buf_u8(buf, (uint8_t)v);
    qn_buf_span(buf, message);
}

qn_rc qn_vframe_take(struct qn_span s, size_t max, struct qn_span *ret, size_t *ret_used)
{
    struct qn_span rest = s;
    uint64_t len;
    if (!qn_pb_varint(&rest, &len)) return s.len < QN_VFRAME_HEAD ? QN_E_AGAIN : QN_E_FORMAT;
    if (len > max) return QN_E_TOOBIG;
    if (rest.len < len) return QN_E_AGAIN;
    *ret = QN_SPAN(rest.ptr, (size_t)len);
    *ret_used = s.len - rest.len + (size_t)len;
    return QN_OK;
}
