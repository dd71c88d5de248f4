/* test_autonat.c - who is dialled for whom, and what counts as reached. */
#include "net/libp2p/autonat.h"

#include "core/base/test.h"
#include "core/crypto/sign.h"

#define NOW UINT64_C(60000000)

static struct kad_addr at(uint8_t a, uint8_t d)
{
    struct net_addr addr = { net_ip4(a, 1, 1, d), 4460 };
    return kad_addr_of(&addr);
}

static struct autonat_message read(struct qn_test_state *t, struct qn_buf *buf)
{
    struct autonat_message m;
    CHECK_RC(autonat_read(qn_buf_get(buf), &m), QN_OK);
    qn_buf_clear(buf);
    return m;
}

/* A question of a peer at `from` about addr; the server's dial succeeds and the nonce comes back, or not. */
static enum autonat_verdict round_of(struct qn_test_state *t, struct autonat_server *s,
                                     struct net_ip from, struct kad_addr addr, bool back,
                                     uint64_t now, uint64_t *ret_data)
{
    struct autonat_client c;
    struct net_dice dice;
    struct qn_buf buf = { 0 };
    struct autonat_job job;
    uint32_t idx = 9;
    enum autonat_verdict v;
    net_dice_init(&dice, QN_SPAN_STR("client"));
    autonat_ask(&c, &dice, &addr, 1, &buf);
    struct autonat_message m = read(t, &buf);
    CHECK(m.kind == AUTONAT_REQUEST && m.addr_cnt == 1 && m.nonce == c.nonce);
    *ret_data = 0;
    qn_rc rc = autonat_serve(s, &m, &from, false, now, &job, &buf);
    if (rc == QN_OK && job.due) {
        m = read(t, &buf);
        v = autonat_heard(&c, &m, ret_data, &idx);
        CHECK(v == AUTONAT_SEND && *ret_data >= AUTONAT_DATA_MIN && *ret_data < AUTONAT_DATA_MAX);
        uint64_t left = *ret_data;
        do {
            struct autonat_message data = { .kind = AUTONAT_DATA,
                                            .bytes = QN_MIN(left, (uint64_t)AUTONAT_CHUNK) };
            CHECK(rc == QN_E_AGAIN || left == *ret_data);
            left -= data.bytes;
            autonat_write(&data, &buf);
            m = read(t, &buf);
            rc = autonat_data(&job, &m);
        } while (left);
    }
    if (rc == QN_OK) {
        uint64_t nonce;
        autonat_back_write(job.nonce, &buf);
        CHECK_RC(autonat_back_read(qn_buf_get(&buf), &nonce), QN_OK);
        qn_buf_clear(&buf);
        CHECK(!autonat_back(&c, nonce + 1));
        if (back) CHECK(autonat_back(&c, nonce));
        autonat_done(&job, AUTONAT_DIAL_OK, &buf);
    }
    m = read(t, &buf);
    v = autonat_heard(&c, &m, ret_data, &idx);
    qn_buf_free(&buf);
    return v;
}

static void test_rounds(struct qn_test_state *t)
{
    struct autonat_server s = { 0 };
    uint64_t data;
    struct net_ip me = net_ip4(8, 1, 1, 1);
    net_dice_init(&s.dice, QN_SPAN_STR("server"));
    CHECK(round_of(t, &s, me, at(8, 1), true, NOW, &data) == AUTONAT_REACHED && data == 0);
    CHECK(round_of(t, &s, me, at(8, 1), false, NOW + 60000, &data) ==
          AUTONAT_VOID); /* the server only says so */
    CHECK(round_of(t, &s, me, at(9, 1), true, NOW + 60000, &data) == AUTONAT_REACHED &&
          data >= AUTONAT_DATA_MIN); /* another's address has its price */
    CHECK(round_of(t, &s, me, at(8, 1), true, NOW + 60000, &data) ==
          AUTONAT_VOID); /* the third in a minute */
    CHECK(round_of(t, &s, me, at(8, 1), true, NOW + 120000, &data) == AUTONAT_REACHED);
    CHECK(round_of(t, &s, me, at(10, 1), true, NOW + 180000, &data) ==
          AUTONAT_VOID); /* nobody is dialled inside a house */
    uint32_t served = 0;
    for (uint8_t i = 0; i < 50; i++)
        served += round_of(t, &s, net_ip4(20, i, 1, 1), at(20, 1), true, NOW + 240000, &data) ==
                  AUTONAT_REACHED;
    CHECK(served == AUTONAT_MINUTE_MAX);
}

static void test_liars(struct qn_test_state *t)
{
    struct autonat_client c;
    struct net_dice dice;
    struct qn_buf buf = { 0 };
    struct kad_addr addr = at(8, 1);
    uint64_t data;
    uint32_t idx;
    net_dice_init(&dice, QN_SPAN_STR("client"));
    struct autonat_message bad[] = {
        { .kind = AUTONAT_DATA_REQUEST, .bytes = AUTONAT_DATA_MAX + 1 },
        { .kind = AUTONAT_DATA_REQUEST, .bytes = 40000, .addr_idx = 1 },
        { .kind = AUTONAT_RESPONSE, .status = AUTONAT_OK, .dial = AUTONAT_DIAL_OK, .addr_idx = 7 },
        { .kind = AUTONAT_REQUEST }
    };
    for (size_t i = 0; i < QN_COUNT(bad); i++) {
        autonat_ask(&c, &dice, &addr, 1, &buf);
        CHECK(autonat_heard(&c, &bad[i], &data, &idx) == AUTONAT_VOID);
    }
    autonat_ask(&c, &dice, &addr, 1, &buf);
    struct autonat_message ask = { .kind = AUTONAT_DATA_REQUEST, .bytes = 40000 };
    CHECK(autonat_heard(&c, &ask, &data, &idx) == AUTONAT_SEND);
    CHECK(autonat_heard(&c, &ask, &data, &idx) == AUTONAT_VOID); /* asked twice */
    qn_buf_free(&buf);
    struct autonat_job job = { .due = 5000 };
    CHECK_RC(autonat_data(&job, &ask), QN_E_FORMAT);
    CHECK_RC(autonat_data(&job, &(struct autonat_message){ .kind = AUTONAT_DATA }),
             QN_E_FORMAT); /* nothing for ever */
    CHECK_RC(autonat_data(&job, &(struct autonat_message){ .kind = AUTONAT_DATA, .bytes = 4096 }),
             QN_E_AGAIN);
    CHECK_RC(autonat_data(&job, &(struct autonat_message){ .kind = AUTONAT_DATA, .bytes = 4096 }),
             QN_OK);
}

static void test_votes(struct qn_test_state *t)
{
    struct autonat_votes v = { 0 };
    autonat_vote(&v, true);
    autonat_vote(&v, true);
    CHECK(!autonat_public(&v, 5));
    CHECK(autonat_public(&v, 2)); /* there are no others to ask */
    autonat_vote(&v, false);
    CHECK(autonat_public(&v, 5)); /* two of three */
    autonat_vote(&v, false);
    CHECK(!autonat_public(&v, 5));
    for (int i = 0; i < 20; i++)
        autonat_vote(&v, true);
    CHECK(autonat_public(&v, 5) && v.cnt == 8);
}

int main(void)
{
    if (qn_crypto_init()) return 1;
    TEST_BEGIN();
    TEST(test_rounds);
    TEST(test_liars);
    TEST(test_votes);
    return TEST_END();
}
