/* record.c - envelopes around lists of addresses. */
#include "net/libp2p/record.h"

#include "core/schema/protobuf.h"

#include <string.h>

static const char DOMAIN[] = "libp2p-peer-record";
static const uint8_t TYPE[2] = { 0x03, 0x01 };

static void put_prefixed(struct qn_buf *buf, struct qn_span s)
{
    size_t v = s.len;
    for (; v > 127; v >>= 7)
        qn_buf_u8(buf, (uint8_t)(v | 128));
    qn_buf_u8(buf, (uint8_t)v);
    qn_buf_span(buf, s);
}

static void signed_bytes(struct qn_span payload, struct qn_buf *ret)
{
    put_prefixed(ret, QN_SPAN_STR(DOMAIN));
    put_prefixed(ret, QN_SPAN_OF(TYPE));
    put_prefixed(ret, payload);
}

void qn_record_write(const struct qn_key *key, uint64_t seq, const struct qn_maddr *addrs,
                     uint32_t cnt, struct qn_buf *ret)
{
    struct qn_buf payload = { 0 }, text = { 0 };
    struct qn_peer_id id = qn_peer_id_of_key(&key->pub);
    uint8_t public_key[36];
    qn_pb_put_bytes(&payload, 1, QN_SPAN(id.b, id.len));
    qn_pb_put_varint(&payload, 2, seq);
    for (uint32_t i = 0; i < cnt; i++) {
        struct qn_buf one = { 0 };
        qn_pb_put_bytes(&one, 1, QN_SPAN(addrs[i].b, addrs[i].len));
        qn_pb_put_bytes(&payload, 3, qn_buf_get(&one));
        qn_buf_free(&one);
    }
    signed_bytes(qn_buf_get(&payload), &text);
    struct qn_sig sig = qn_sign(key, qn_buf_get(&text));
    qn_peer_public(&key->pub, public_key);
    qn_pb_put_bytes(ret, 1, QN_SPAN_OF(public_key));
    qn_pb_put_bytes(ret, 2, QN_SPAN_OF(TYPE));
    qn_pb_put_bytes(ret, 3, qn_buf_get(&payload));
    qn_pb_put_bytes(ret, 5, QN_SPAN_OF(sig));
    qn_buf_free(&payload);
    qn_buf_free(&text);
}

static qn_rc read_address(struct qn_span msg, struct qn_record *rec)
{
    struct qn_pb_field f;
    qn_rc rc;
    while ((rc = qn_pb_next(&msg, &f)) == QN_OK)
        if (f.number == 1 && f.wire == QN_PB_BYTES && rec->addr_cnt < QN_RECORD_ADDRS &&
            qn_maddr_read(f.bytes, &rec->addr[rec->addr_cnt]) == QN_OK)
            rec->addr_cnt++;
    return rc == QN_E_AGAIN ? QN_OK : rc;
}

static qn_rc read_payload(struct qn_span msg, struct qn_record *rec)
{
    struct qn_pb_field f;
    qn_rc rc;
    bool has_id = false;
    while ((rc = qn_pb_next(&msg, &f)) == QN_OK) {
        if (f.number == 1 && f.wire == QN_PB_BYTES) {
            rc = qn_peer_id_read(f.bytes, &rec->id);
            has_id = true;
        } else if (f.number == 2 && f.wire == QN_PB_VARINT) {
            rec->seq = f.value;
        } else if (f.number == 3 && f.wire == QN_PB_BYTES) {
            rc = read_address(f.bytes, rec);
        }
        if (rc) return rc;
    }
    if (rc != QN_E_AGAIN) return rc;
    return has_id ? QN_OK : QN_E_FORMAT;
}

static bool address_fit(struct qn_span msg)
{
    struct qn_pb_field f;
    struct qn_maddr addr;
    while (qn_pb_next(&msg, &f) == QN_OK)
        if (f.number == 1 && f.wire == QN_PB_BYTES &&
            (qn_maddr_read(f.bytes, &addr) || qn_maddr_house(&addr)))
            return false;
    return true;
}

bool qn_record_fit(struct qn_span envelope)
{
    struct qn_pb_field f;
    struct qn_span payload = { 0 };
    while (qn_pb_next(&envelope, &f) == QN_OK)
        if (f.number == 3 && f.wire == QN_PB_BYTES) payload = f.bytes;
    while (qn_pb_next(&payload, &f) == QN_OK)
        if (f.number == 3 && f.wire == QN_PB_BYTES && !address_fit(f.bytes)) return false;
    return true;
}

qn_rc qn_record_read(struct qn_span envelope, struct qn_record *ret)
{
    struct qn_span key = { 0 }, type = { 0 }, payload = { 0 }, sig = { 0 };
    struct qn_buf text = { 0 };
    struct qn_peer_id signer;
    struct qn_pb_field f;
    qn_rc rc;
    if (envelope.len > QN_RECORD_MAX) return QN_E_TOOBIG;
    while ((rc = qn_pb_next(&envelope, &f)) == QN_OK) {
        if (f.wire != QN_PB_BYTES) continue;
        if (f.number == 1) key = f.bytes;
        if (f.number == 2) type = f.bytes;
        if (f.number == 3) payload = f.bytes;
        if (f.number == 5) sig = f.bytes;
    }
    if (rc != QN_E_AGAIN) return rc;
    if (!qn_span_eq(type, QN_SPAN_OF(TYPE))) return QN_E_FORMAT;
    memset(ret, 0, sizeof *ret);
    rc = read_payload(payload, ret); /* cheap, and only bounded bytes: before the curves */
    if (rc) return rc;
    rc = qn_peer_id_of_public(key, &signer);
    if (rc) return rc;
    if (!qn_peer_id_eq(&signer, &ret->id)) return QN_E_SIGNATURE;
    signed_bytes(payload, &text);
    rc = qn_peer_verify(key, qn_buf_get(&text), sig);
    qn_buf_free(&text);
    return rc;
}
