/* test_identify.c - identify messages and signed records: there and back, by others, and bent. */
#include "net/libp2p/identify.h"

#include "core/base/test.h"
#include "core/schema/protobuf.h"
#include "net/libp2p/record.h"

static struct qn_span body(const struct qn_buf *buf)
{
    struct qn_span s = qn_buf_get(buf);
    uint64_t len = 0;
    if (!qn_pb_varint(&s, &len) || len != s.len) return QN_SPAN(NULL, 0);
    return s;
}

static void test_round_trip(struct qn_test_state *t)
{
    static struct qn_identify a, b;
    struct qn_buf buf = { 0 };
    a.public_key = QN_SPAN_STR("key");
    a.version = QN_SPAN_STR("quoin/1");
    a.agent = QN_SPAN_STR("quoin/0.1.0");
    a.record = QN_SPAN_STR("record");
    CHECK_RC(qn_maddr_parse("/ip4/1.2.3.4/tcp/5", &a.addrs[0], NULL), QN_OK);
    a.addr_cnt = 1;
    a.observed = a.addrs[0];
    a.protos[0] = QN_SPAN_STR("/a/1");
    a.protos[1] = QN_SPAN_STR("/b/1");
    a.proto_cnt = 2;
    qn_identify_write(&a, &buf);
    CHECK_RC(qn_identify_read(body(&buf), &b), QN_OK);
    CHECK(qn_span_eq(a.agent, b.agent) && qn_span_eq(a.version, b.version) &&
          qn_span_eq(a.record, b.record));
    CHECK(b.addr_cnt == 1 && qn_maddr_eq(&b.addrs[0], &a.addrs[0]) &&
          qn_maddr_eq(&b.observed, &a.observed));
    CHECK(b.proto_cnt == 2 && qn_span_eq(b.protos[1], a.protos[1]));
    qn_buf_free(&buf);
}

static void test_bounds(struct qn_test_state *t)
{
    static struct qn_identify b;
    struct qn_buf buf = { 0 };
    struct qn_maddr m;
    CHECK_RC(qn_maddr_parse("/ip4/1.2.3.4/tcp/5", &m, NULL), QN_OK);
    for (int i = 0; i < 200; i++) {
        qn_pb_put_bytes(&buf, 2, QN_SPAN(m.b, m.len));
        qn_pb_put_str(&buf, 3, "/p");
    }
    qn_pb_put_bytes(&buf, 2, QN_SPAN("\xff\xff", 2)); /* an address of another age */
    qn_pb_put_str(&buf, 6, "an agent\nwith a line break");
    qn_pb_put_varint(&buf, 99, 1); /* a field of another age */
    CHECK_RC(qn_identify_read(qn_buf_get(&buf), &b), QN_OK);
    CHECK(b.addr_cnt == QN_IDENTIFY_ADDRS && b.proto_cnt == QN_IDENTIFY_PROTOS && b.agent.len == 0);
    for (size_t i = 0; i < 200; i++) {
        qn_rc rc = qn_identify_read(QN_SPAN(buf.ptr, i), &b);
        CHECK(rc == QN_OK || rc == QN_E_SHORT || rc == QN_E_FORMAT);
    }
    qn_buf_grow(&buf, QN_IDENTIFY_IN_MAX);
    CHECK_RC(qn_identify_read(qn_buf_get(&buf), &b), QN_E_TOOBIG);
    qn_buf_free(&buf);
    /* What we say is bounded as well. */
    static char names[QN_IDENTIFY_PROTOS][QN_IDENTIFY_TEXT];
    static struct qn_identify a;
    for (size_t i = 0; i < QN_IDENTIFY_PROTOS; i++) {
        memset(names[i], 'x', QN_IDENTIFY_TEXT);
        a.protos[a.proto_cnt++] = QN_SPAN(names[i], QN_IDENTIFY_TEXT);
    }
    qn_identify_write(&a, &buf);
    CHECK(buf.len <= QN_IDENTIFY_OUT_MAX + 2);
    CHECK_RC(qn_identify_read(body(&buf), &b), QN_OK);
    CHECK(b.proto_cnt > 20);
    qn_buf_free(&buf);
}

static void test_record(struct qn_test_state *t)
{
    struct qn_key key, other;
    uint8_t seed[32] = { 3 };
    struct qn_maddr addr[2];
    static struct qn_record rec;
    struct qn_buf buf = { 0 };
    qn_key_from_seed(seed, &key);
    seed[1] = 1;
    qn_key_from_seed(seed, &other);
    CHECK_RC(qn_maddr_parse("/ip4/1.2.3.4/tcp/5", &addr[0], NULL), QN_OK);
    CHECK_RC(qn_maddr_parse("/ip6/::1/tcp/5", &addr[1], NULL), QN_OK);
    qn_record_write(&key, 77, addr, 2, &buf);
    CHECK_RC(qn_record_read(qn_buf_get(&buf), &rec), QN_OK);
    struct qn_peer_id id = qn_peer_id_of_key(&key.pub);
    CHECK(rec.seq == 77 && rec.addr_cnt == 2 && qn_maddr_eq(&rec.addr[1], &addr[1]) &&
          qn_peer_id_eq(&rec.id, &id));
    for (size_t i = 0; i < buf.len; i++) { /* no byte may be changed */
        buf.ptr[i] ^= 2;
        CHECK(qn_record_read(qn_buf_get(&buf), &rec) != QN_OK);
        buf.ptr[i] ^= 2;
        CHECK(qn_record_read(QN_SPAN(buf.ptr, i), &rec) != QN_OK);
    }
    /* Signed by one, about another. */
    struct qn_buf payload = { 0 }, text = { 0 }, env = { 0 };
    uint8_t pub[36];
    qn_pb_put_bytes(&payload, 1, QN_SPAN(id.b, id.len));
    qn_pb_put_varint(&payload, 2, 1);
    qn_buf_str(&text, "\x12libp2p-peer-record\x02\x03\x01");
    qn_buf_u8(&text, (uint8_t)payload.len);
    qn_buf_span(&text, qn_buf_get(&payload));
    struct qn_sig sig = qn_sign(&other, qn_buf_get(&text));
    qn_peer_public(&other.pub, pub);
    qn_pb_put_bytes(&env, 1, QN_SPAN_OF(pub));
    qn_pb_put_bytes(&env, 2, QN_SPAN("\3\1", 2));
    qn_pb_put_bytes(&env, 3, qn_buf_get(&payload));
    qn_pb_put_bytes(&env, 5, QN_SPAN_OF(sig));
    CHECK_RC(qn_record_read(qn_buf_get(&env), &rec), QN_E_SIGNATURE);
    qn_buf_free(&payload);
    qn_buf_free(&text);
    qn_buf_free(&env);
    qn_buf_free(&buf);
}

int main(void)
{
    TEST_BEGIN();
    if (qn_crypto_init()) return 1;
    TEST(test_round_trip);
    TEST(test_bounds);
    TEST(test_record);
    return TEST_END();
}
