/* kad_wire.c - the table's messages to bytes and back. */
#include "net/libp2p/kad_wire.h"

#include "core/schema/protobuf.h"

#include <openssl/sha.h>
#include <string.h>

enum { P_IP4 = 4, P_TCP = 6, P_IP6 = 41 }; /* multiaddr codes below 128 are one byte */

/* What is written must be readable by us as well: the most that limits allow fits. */
_Static_assert(2 * KAD_K * (8 + QN_PEER_ID_MAX + KAD_ADDRS * (2 + KAD_ADDR_MAX)) + KAD_KEY_MAX +
                       64 <=
                   KAD_MESSAGE_MAX,
               "an answer fits in a message");

static qn_rc read_peer(struct qn_span s, struct kad_peer *ret, bool *ret_ok)
{
    struct kad_peer p = { 0 };
    struct qn_pb_field f;
    qn_rc rc;
    while ((rc = qn_pb_next(&s, &f)) == QN_OK) {
        if (f.number == 1 && f.wire == QN_PB_BYTES) {
            if (qn_peer_id_read(f.bytes, &p.id)) p.id.len = 0;
        } else if (f.number == 2 && f.wire == QN_PB_BYTES) {
            if (f.bytes.len == 0 || f.bytes.len > KAD_ADDR_MAX || p.addr_cnt == KAD_ADDRS) continue;
            struct kad_addr *a = &p.addr[p.addr_cnt++];
            a->len = (uint8_t)f.bytes.len;
            memcpy(a->b, f.bytes.ptr, f.bytes.len);
        } else if (f.number == 3 && f.wire == QN_PB_VARINT) {
            p.connected = f.value == 1;
        }
    }
    if (rc != QN_E_AGAIN) return rc;
    *ret_ok = p.id.len != 0;
    *ret = p;
    return QN_OK;
}

static qn_rc add_peer(struct qn_span s, struct kad_peer *list, uint32_t *cnt)
{
    struct kad_peer p;
    bool ok;
    qn_rc rc = read_peer(s, &p, &ok);
    if (rc) return rc;
    if (ok && *cnt < KAD_K) list[(*cnt)++] = p;
    return QN_OK;
}

qn_rc kad_read(struct qn_span bytes, struct kad_message *ret)
{
    struct qn_pb_field f;
    qn_rc rc;
    ret->type = KAD_PUT_VALUE; /* a protobuf leaves out what is 0 */
    ret->key = (struct qn_span){ 0 };
    ret->has_record = false;
    ret->closer_cnt = ret->provider_cnt = 0;
    if (bytes.len > KAD_MESSAGE_MAX) return QN_E_TOOBIG;
    while ((rc = qn_pb_next(&bytes, &f)) == QN_OK) {
        if (f.number == 1) {
            if (f.wire != QN_PB_VARINT) return QN_E_FORMAT;
            if (f.value >= KAD_TYPE_CNT) return QN_E_RANGE;
            ret->type = (enum kad_type)f.value;
        } else if (f.number == 2) {
            if (f.wire != QN_PB_BYTES) return QN_E_FORMAT;
            if (f.bytes.len > KAD_KEY_MAX) return QN_E_TOOBIG;
            ret->key = f.bytes;
        } else if (f.number == 3) {
            ret->has_record = true;
        } else if (f.number == 8 || f.number == 9) {
            if (f.wire != QN_PB_BYTES) return QN_E_FORMAT;
            rc = f.number == 8 ? add_peer(f.bytes, ret->closer, &ret->closer_cnt)
                               : add_peer(f.bytes, ret->provider, &ret->provider_cnt);
            if (rc) return rc;
        }
    }
    return rc == QN_E_AGAIN ? QN_OK : rc;
}

static void put_peer(struct qn_buf *buf, uint32_t number, const struct kad_peer *p)
{
    struct qn_buf one = { 0 };
    qn_pb_put_bytes(&one, 1, QN_SPAN(p->id.b, p->id.len));
    for (uint8_t i = 0; i < p->addr_cnt; i++)
        qn_pb_put_bytes(&one, 2, QN_SPAN(p->addr[i].b, p->addr[i].len));
    if (p->connected) qn_pb_put_varint(&one, 3, 1);
    qn_pb_put_bytes(buf, number, qn_buf_get(&one));
    qn_buf_free(&one);
}

void kad_write(const struct kad_message *m, struct qn_buf *buf)
{
    QN_ASSERT(m->closer_cnt <= KAD_K && m->provider_cnt <= KAD_K);
    QN_ASSERT(m->key.len <= KAD_KEY_MAX);
    qn_pb_put_varint(buf, 1, m->type);
    if (m->key.len) qn_pb_put_bytes(buf, 2, m->key);
    for (uint32_t i = 0; i < m->closer_cnt; i++)
        put_peer(buf, 8, &m->closer[i]);
    for (uint32_t i = 0; i < m->provider_cnt; i++)
        put_peer(buf, 9, &m->provider[i]);
}

bool kad_addr_host(const struct kad_addr *addr, struct net_ip *ret)
{
    struct net_ip ip = net_ip4(0, 0, 0, 0);
    if (addr->len < 5 || (addr->b[0] != P_IP4 && addr->b[0] != P_IP6)) return false;
    size_t n = addr->b[0] == P_IP4 ? 4 : 16;
    if (addr->len < 1 + n) return false;
    memcpy(ip.b + 16 - n, addr->b + 1, n);
    *ret = ip;
    return true;
}

bool kad_addr_ip(const struct kad_addr *addr, struct net_addr *ret)
{
    struct net_addr a;
    if (!kad_addr_host(addr, &a.ip)) return false;
    const uint8_t *b = addr->b + (addr->b[0] == P_IP4 ? 5 : 17);
    if (b + 3 > addr->b + addr->len || b[0] != P_TCP) return false;
    a.port = (uint16_t)(b[1] << 8 | b[2]);
    if (a.port == 0) return false;
    *ret = a;
    return true;
}

struct kad_addr kad_addr_of(const struct net_addr *addr)
{
    struct kad_addr a = { 0 };
    size_t n = net_ip_is4(&addr->ip) ? 4 : 16;
    a.b[0] = n == 4 ? P_IP4 : P_IP6;
    memcpy(a.b + 1, addr->ip.b + 16 - n, n);
    a.b[1 + n] = P_TCP;
    a.b[2 + n] = (uint8_t)(addr->port >> 8);
    a.b[3 + n] = (uint8_t)addr->port;
    a.len = (uint8_t)(4 + n);
    return a;
}

struct qn_hash kad_key(struct qn_span bytes)
{
    struct qn_hash h;
    unsigned char *done = SHA256(bytes.ptr, bytes.len, h.b);
    QN_ASSERT(done);
    return h;
}

bool kad_near(const struct qn_hash *key, const struct qn_hash *a, const struct qn_hash *b)
{
    for (int i = 0; i < 32; i++) {
        uint8_t x = key->b[i] ^ a->b[i], y = key->b[i] ^ b->b[i];
        if (x != y) return x < y;
    }
    return false;
}
