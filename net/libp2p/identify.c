/* identify.c - the message, read and written. */
#include "net/libp2p/identify.h"

#include "core/schema/protobuf.h"

#include <string.h>

static bool text_ok(struct qn_span s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.ptr[i] < 0x20 || s.ptr[i] > 0x7e) return false;
    return s.len > 0 && s.len <= QN_IDENTIFY_TEXT;
}

qn_rc qn_identify_read(struct qn_span msg, struct qn_identify *ret)
{
    struct qn_pb_field f;
    qn_rc rc;
    if (msg.len > QN_IDENTIFY_IN_MAX) return QN_E_TOOBIG;
    memset(ret, 0, sizeof *ret);
    while ((rc = qn_pb_next(&msg, &f)) == QN_OK) {
        if (f.wire != QN_PB_BYTES) continue;
        switch (f.number) {
        case 1: ret->public_key = f.bytes; break;
        case 2:
            if (ret->addr_cnt < QN_IDENTIFY_ADDRS &&
                qn_maddr_read(f.bytes, &ret->addrs[ret->addr_cnt]) == QN_OK)
                ret->addr_cnt++;
            break;
        case 3:
            if (ret->proto_cnt < QN_IDENTIFY_PROTOS && text_ok(f.bytes))
                ret->protos[ret->proto_cnt++] = f.bytes;
            break;
        case 4:
            if (qn_maddr_read(f.bytes, &ret->observed) != QN_OK) ret->observed.len = 0;
            break;
        case 5: ret->version = text_ok(f.bytes) ? f.bytes : QN_SPAN(NULL, 0); break;
        case 6: ret->agent = text_ok(f.bytes) ? f.bytes : QN_SPAN(NULL, 0); break;
        case 8: ret->record = f.bytes; break;
        default: break;
        }
    }
    return rc == QN_E_AGAIN ? QN_OK : rc;
}

void qn_identify_write(const struct qn_identify *id, struct qn_buf *ret)
{
    struct qn_buf m = { 0 };
    if (id->public_key.len) qn_pb_put_bytes(&m, 1, id->public_key);
    for (uint32_t i = 0; i < id->addr_cnt; i++)
        qn_pb_put_bytes(&m, 2, QN_SPAN(id->addrs[i].b, id->addrs[i].len));
    if (id->observed.len) qn_pb_put_bytes(&m, 4, QN_SPAN(id->observed.b, id->observed.len));
    if (id->version.len) qn_pb_put_bytes(&m, 5, id->version);
    if (id->agent.len) qn_pb_put_bytes(&m, 6, id->agent);
    if (id->record.len) qn_pb_put_bytes(&m, 8, id->record);
    for (uint32_t i = 0; i < id->proto_cnt; i++)
        if (m.len + id->protos[i].len + 3 <= QN_IDENTIFY_OUT_MAX)
            qn_pb_put_bytes(&m, 3, id->protos[i]);
    for (size_t v = m.len; v > 127; v >>= 7)
        qn_buf_u8(ret, (uint8_t)(v | 128));
    qn_buf_u8(ret, (uint8_t)(m.len > 127 ? m.len >> 7 : m.len));
    QN_ASSERT(m.len < 1u << 14);
    qn_buf_span(ret, qn_buf_get(&m));
    qn_buf_free(&m);
}
