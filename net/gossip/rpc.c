/* rpc.c - RPCs from bytes and back; no allocation on the way in. */
#include "net/gossip/rpc.h"

#include "core/schema/protobuf.h"
#include "net/gossip/gossip.h"

#include <string.h>

void gossip_rpc_begin(struct gossip_rpc *rpc, struct qn_span bytes)
{
    *rpc = (struct gossip_rpc){ .rest = bytes };
}

/* Field `number` of a message that must be bytes; other wire types under the number are an error. */
static qn_rc want_bytes(const struct qn_pb_field *f, struct qn_span *ret)
{
    if (f->wire != QN_PB_BYTES) return QN_E_FORMAT;
    *ret = f->bytes;
    return QN_OK;
}

static qn_rc read_subscription(struct qn_span s, struct gossip_part *part)
{
    struct qn_pb_field f;
    qn_rc rc;
    part->kind = GOSSIP_PART_UNSUBSCRIBE;
    while ((rc = qn_pb_next(&s, &f)) == QN_OK) {
        if (f.number == 1) {
            if (f.wire != QN_PB_VARINT) return QN_E_FORMAT;
            part->kind = f.value ? GOSSIP_PART_SUBSCRIBE : GOSSIP_PART_UNSUBSCRIBE;
        } else if (f.number == 2 && (rc = want_bytes(&f, &part->topic)) != QN_OK) {
            return rc;
        }
    }
    return rc == QN_E_AGAIN ? QN_OK : rc;
}

static qn_rc read_message(struct qn_span s, struct gossip_part *part)
{
    struct qn_pb_field f;
    qn_rc rc;
    bool has_data = false, has_topic = false;
    part->kind = GOSSIP_PART_MESSAGE;
    while ((rc = qn_pb_next(&s, &f)) == QN_OK) {
        struct qn_span *to = f.number == 2 ? &part->data : f.number == 4 ? &part->topic : NULL;
        bool *seen = f.number == 2 ? &has_data : &has_topic;
        if (!to || *seen) {
            part->foreign = true; /* a second one as well: two readings of one message */
            continue;
        }
        rc = want_bytes(&f, to);
        if (rc) return rc;
        *seen = true;
    }
    return rc == QN_E_AGAIN ? QN_OK : rc;
}

static uint32_t id_field(enum gossip_part_kind kind)
{
    return kind == GOSSIP_PART_IHAVE ? 2 : 1;
}

static qn_rc read_control(uint32_t number, struct qn_span s, struct gossip_part *part)
{
    static const enum gossip_part_kind kinds[] = { GOSSIP_PART_IHAVE, GOSSIP_PART_IWANT,
                                                   GOSSIP_PART_GRAFT, GOSSIP_PART_PRUNE,
                                                   GOSSIP_PART_IDONTWANT };
    part->kind = kinds[number - 1];
    bool ids = part->kind == GOSSIP_PART_IHAVE || part->kind == GOSSIP_PART_IWANT ||
               part->kind == GOSSIP_PART_IDONTWANT;
    bool topic = part->kind != GOSSIP_PART_IWANT && part->kind != GOSSIP_PART_IDONTWANT;
    if (ids || part->kind == GOSSIP_PART_PRUNE) part->data = s;
    struct qn_pb_field f;
    struct qn_span id;
    qn_rc rc;
    while ((rc = qn_pb_next(&s, &f)) == QN_OK) {
        if (topic && f.number == 1)
            rc = want_bytes(&f, &part->topic);
        else if (ids && f.number == id_field(part->kind))
            rc = want_bytes(&f, &id);
        else if (part->kind == GOSSIP_PART_PRUNE && f.number == 2 && f.wire == QN_PB_BYTES)
            part->px_cnt++;
        else if (part->kind == GOSSIP_PART_PRUNE && f.number == 3 && f.wire == QN_PB_VARINT)
            part->backoff_s = f.value;
        if (rc) return rc;
    }
    return rc == QN_E_AGAIN ? QN_OK : rc;
}

qn_rc gossip_rpc_next(struct gossip_rpc *rpc, struct gossip_part *ret)
{
    for (;;) {
        struct qn_pb_field f;
        bool inner = rpc->control.len > 0;
        qn_rc rc = qn_pb_next(inner ? &rpc->control : &rpc->rest, &f);
        if (rc)
            return rc; /* the end of control is seen by its length, so AGAIN is the end of all */
        if (!inner && f.number == 3) {
            if (f.wire != QN_PB_BYTES) return QN_E_FORMAT;
            rpc->control = f.bytes;
            continue;
        }
        if (f.number == 0 || f.number > (inner ? 5u : 2u)) continue;
        if (f.wire != QN_PB_BYTES) return QN_E_FORMAT;
        if (++rpc->parts > GOSSIP_PART_MAX) return QN_E_TOOBIG;
        *ret = (struct gossip_part){ 0 };
        if (inner) return read_control(f.number, f.bytes, ret);
        return f.number == 1 ? read_subscription(f.bytes, ret) : read_message(f.bytes, ret);
    }
}

bool gossip_rpc_id(enum gossip_part_kind kind, struct qn_span *fields, struct qn_span *ret)
{
    struct qn_pb_field f;
    while (qn_pb_next(fields, &f) == QN_OK) {
        if (f.number != id_field(kind) || f.wire != QN_PB_BYTES) continue;
        *ret = f.bytes;
        return true;
    }
    return false;
}

static bool read_px(struct qn_span s, struct gossip_px *ret)
{
    struct qn_pb_field f;
    qn_rc rc;
    *ret = (struct gossip_px){ 0 };
    while ((rc = qn_pb_next(&s, &f)) == QN_OK) {
        if (f.number == 1 && f.wire == QN_PB_BYTES) ret->id = f.bytes;
        if (f.number == 2 && f.wire == QN_PB_BYTES) ret->record = f.bytes;
    }
    return rc == QN_E_AGAIN && ret->id.len > 0;
}

bool gossip_rpc_px(struct qn_span *fields, struct gossip_px *ret)
{
    struct qn_pb_field f;
    while (qn_pb_next(fields, &f) == QN_OK)
        if (f.number == 2 && f.wire == QN_PB_BYTES && read_px(f.bytes, ret)) return true;
    return false;
}

qn_rc gossip_frame(struct qn_span *bytes, struct qn_span *ret)
{
    uint64_t len = 0;
    for (size_t i = 0;; i++) {
        if (i == bytes->len) return QN_E_AGAIN;
        if (i == 4) return QN_E_FORMAT; /* 28 bits are beyond any length we take */
        len |= (uint64_t)(bytes->ptr[i] & 127) << (7 * i);
        if (bytes->ptr[i] & 128) continue;
        if (len > GOSSIP_RPC_MAX) return QN_E_TOOBIG;
        if (bytes->len - i - 1 < len) return QN_E_AGAIN;
        *ret = QN_SPAN(bytes->ptr + i + 1, (size_t)len);
        *bytes = QN_SPAN(ret->ptr + len, bytes->len - i - 1 - (size_t)len);
        return QN_OK;
    }
}

void gossip_put_varint(struct qn_buf *buf, uint64_t v)
{
    for (; v > 127; v >>= 7)
        qn_buf_u8(buf, (uint8_t)(v | 128));
    qn_buf_u8(buf, (uint8_t)v);
}

static size_t varint_len(uint64_t v)
{
    size_t n = 1;
    for (; v > 127; v >>= 7)
        n++;
    return n;
}

static size_t bytes_len(size_t len)
{
    return 1 + varint_len(len) + len; /* all our field numbers are below 16 */
}

static void put_head(struct qn_buf *buf, uint32_t number, size_t len)
{
    qn_buf_u8(buf, (uint8_t)(number << 3 | QN_PB_BYTES));
    gossip_put_varint(buf, len);
}

void gossip_put_subscribe(struct qn_buf *subs, const char *topic, bool on)
{
    put_head(subs, 1, 2 + bytes_len(strlen(topic)));
    qn_pb_put_varint(subs, 1, on); /* said even when false: js reads the field as optional */
    qn_pb_put_str(subs, 2, topic);
}

void gossip_put_graft(struct qn_buf *control, const char *topic)
{
    put_head(control, 3, bytes_len(strlen(topic)));
    qn_pb_put_str(control, 1, topic);
}

void gossip_put_px(struct qn_buf *px, const struct gossip_px *peer)
{
    put_head(px, 2, bytes_len(peer->id.len) + bytes_len(peer->record.len));
    qn_pb_put_bytes(px, 1, peer->id);
    qn_pb_put_bytes(px, 2, peer->record);
}

void gossip_put_prune(struct qn_buf *control, const char *topic, uint64_t backoff_s,
                      struct qn_span px)
{
    put_head(control, 4, bytes_len(strlen(topic)) + px.len + 1 + varint_len(backoff_s));
    qn_pb_put_str(control, 1, topic);
    qn_buf_span(control, px);
    qn_pb_put_varint(control, 3, backoff_s);
}

void gossip_put_ids(struct qn_buf *control, enum gossip_part_kind kind, const char *topic,
                    const uint8_t *ids, size_t cnt)
{
    uint32_t number = kind == GOSSIP_PART_IHAVE ? 1 : kind == GOSSIP_PART_IWANT ? 2 : 5;
    size_t len = cnt * (2 + GOSSIP_ID_LEN) + (topic ? bytes_len(strlen(topic)) : 0);
    put_head(control, number, len);
    if (topic) qn_pb_put_str(control, 1, topic);
    for (size_t i = 0; i < cnt; i++)
        qn_pb_put_bytes(control, id_field(kind), QN_SPAN(ids + i * GOSSIP_ID_LEN, GOSSIP_ID_LEN));
}

size_t gossip_message_len(size_t topic_len, size_t data_len)
{
    return bytes_len(bytes_len(data_len) + bytes_len(topic_len));
}

size_t gossip_put_message(struct qn_buf *rpc, const char *topic, struct qn_span data)
{
    size_t topic_len = strlen(topic);
    put_head(rpc, 2, bytes_len(data.len) + bytes_len(topic_len));
    put_head(rpc, 2, data.len);
    size_t at = rpc->len;
    qn_buf_span(rpc, data);
    qn_pb_put_str(rpc, 4, topic);
    return at;
}
