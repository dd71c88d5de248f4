/* protobuf.h - reading and writing protocol buffers where the outside world speaks them: field by field over borrowed
 * bytes, no allocation, no schema compiler (https://protobuf.dev/programming-guides/encoding). Groups, long out of use,
 * are refused. */
#ifndef QN_CORE_SCHEMA_PROTOBUF_H
#define QN_CORE_SCHEMA_PROTOBUF_H

#include "core/base/span.h"

enum qn_pb_wire { QN_PB_VARINT = 0, QN_PB_FIXED64 = 1, QN_PB_BYTES = 2, QN_PB_FIXED32 = 5 };

struct qn_pb_field {
    uint32_t number;
    enum qn_pb_wire wire;
    uint64_t value;       /* VARINT, FIXED64, FIXED32 */
    struct qn_span bytes; /* BYTES: string, message or packed list; lent */
};

/* qn_pb_next takes the next field from the front of msg. QN_E_AGAIN at the end; QN_E_SHORT when a length leads past it,
 * QN_E_FORMAT for a number of 0, a group, or a varint of more than 64 bits. */
QN_CHECK qn_rc qn_pb_next(struct qn_span *msg, struct qn_pb_field *ret);

/* qn_pb_varint takes one varint, as packed lists hold them; false when it is cut off or too long. */
QN_CHECK bool qn_pb_varint(struct qn_span *s, uint64_t *ret);

/* Writers append one field. A message is made in a buffer of its own and put as bytes. */
void qn_pb_put_varint(struct qn_buf *buf, uint32_t number, uint64_t value);
void qn_pb_put_bytes(struct qn_buf *buf, uint32_t number, struct qn_span bytes);
void qn_pb_put_str(struct qn_buf *buf, uint32_t number, const char *text);

#endif
