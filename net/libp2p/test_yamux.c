/* test_yamux.c - frames as bytes, and what remote peers have brought other implementations down with. */
#include "net/libp2p/yamux.h"

#include "core/base/test.h"

struct side {
    struct qn_yamux y;
    struct qn_yamux_stream pool[70];
    uint32_t opened, data, finished, resets, credits, pongs, goaways;
    bool refuse, drop_on_data;
    struct qn_buf got;
};

static struct qn_yamux_stream *on_open(void *arg)
{
    struct side *s = arg;
    if (s->refuse || s->opened == QN_COUNT(s->pool)) return NULL;
    return &s->pool[s->opened++];
}

static void on_data(void *arg, struct qn_yamux_stream *y, struct qn_span b)
{
    struct side *s = arg;
    s->data++;
    qn_buf_span(&s->got, b);
    if (s->drop_on_data) qn_yamux_drop(&s->y, y, true);
}

static void on_credit(void *arg, struct qn_yamux_stream *y)
{
    struct side *s = arg;
    (void)y;
    s->credits++;
}

static void on_finish(void *arg, struct qn_yamux_stream *y)
{
    struct side *s = arg;
    (void)y;
    s->finished++;
}

static void on_reset(void *arg, struct qn_yamux_stream *y)
{
    struct side *s = arg;
    s->resets++;
    qn_yamux_drop(&s->y, y, false);
}

static void on_pong(void *arg, uint32_t v)
{
    struct side *s = arg;
    s->pongs += v;
}

static void on_goaway(void *arg, uint32_t code)
{
    struct side *s = arg;
    (void)code;
    s->goaways++;
}

static bool on_grow(void *arg, struct qn_yamux_stream *y, uint32_t bytes)
{
    (void)arg, (void)y, (void)bytes;
    return true;
}

static const struct qn_yamux_sink SINK = {
    .on_open = on_open,
    .on_data = on_data,
    .on_credit = on_credit,
    .on_finish = on_finish,
    .on_reset = on_reset,
    .on_pong = on_pong,
    .on_goaway = on_goaway,
    .on_grow = on_grow,
};

static void side_open(struct side *s, bool dialer)
{
    memset(s, 0, sizeof *s);
    qn_yamux_init(&s->y, dialer, &SINK, s);
}

static void side_close(struct side *s)
{
    qn_yamux_fini(&s->y);
    qn_buf_free(&s->got);
}

static qn_rc feed(struct side *s, const char *hex)
{
    uint8_t buf[512];
    size_t len = strlen(hex) / 2;
    QN_ASSERT(len <= sizeof buf && qn_unhex(hex, 2 * len, buf, len));
    return qn_yamux_feed(&s->y, QN_SPAN(buf, len));
}

static bool ctl_is(const struct side *s, const char *hex)
{
    uint8_t buf[512];
    size_t len = strlen(hex) / 2;
    QN_ASSERT(len <= sizeof buf && qn_unhex(hex, 2 * len, buf, len));
    return s->y.ctl.len == len && memcmp(s->y.ctl.ptr, buf, len) == 0;
}

/*                  ver type flags stream   length */
#define SYN1                                                                                       \
    "00"                                                                                           \
    "00"                                                                                           \
    "0001"                                                                                         \
    "00000001"                                                                                     \
    "00000000"
#define DATA1_2                                                                                    \
    "00"                                                                                           \
    "00"                                                                                           \
    "0000"                                                                                         \
    "00000001"                                                                                     \
    "00000002"                                                                                     \
    "6869"
#define WIN1_SYN                                                                                   \
    "00"                                                                                           \
    "01"                                                                                           \
    "0001"                                                                                         \
    "00000001"                                                                                     \
    "00000000"

static void test_golden(struct qn_test_state *t)
{
    struct side s;
    uint8_t head[12];
    struct qn_yamux_stream mine = { 0 };
    side_open(&s, true);
    qn_yamux_open(&s.y, &mine);
    CHECK(mine.id == 1 && mine.send_credit == 262144 && s.y.unacked == 1);
    qn_yamux_data(&s.y, &mine, 5, head);
    CHECK(memcmp(head, "\0\0\0\1\0\0\0\1\0\0\0\5", 12) == 0);
    qn_yamux_data(&s.y, &mine, 6, head);
    CHECK(memcmp(head, "\0\0\0\0\0\0\0\1\0\0\0\6", 12) == 0);
    CHECK(mine.send_credit == 262144 - 11);
    CHECK_RC(feed(&s, "000100020000000100000001"), QN_OK); /* window ACK +1 */
    CHECK(mine.acked && s.y.unacked == 0 && mine.send_credit == 262144 - 10 && s.credits == 1);
    qn_yamux_fin(&s.y, &mine, head);
    CHECK(memcmp(head, "\0\1\0\4\0\0\0\1\0\0\0\0", 12) == 0);
    CHECK_RC(feed(&s, "00000004000000010000000361"
                      "6263"),
             QN_OK); /* data FIN "abc" */
    CHECK(s.finished == 1 && s.got.len == 3 && mine.fin_in && mine.fin_out);
    qn_yamux_drop(&s.y, &mine, true);
    CHECK(s.y.ctl.len == 0); /* both ends were told */
    /* ping: answered, and ours */
    CHECK_RC(feed(&s, "000200010000000000000007"), QN_OK);
    CHECK(ctl_is(&s, "000200020000000000000007"));
    CHECK_RC(feed(&s, "00020002000000000000000a"), QN_OK);
    CHECK(s.pongs == 10);
    CHECK_RC(feed(&s, "000300000000000000000000"), QN_OK);
    CHECK(s.goaways == 1);
    side_close(&s);
}

static void test_inbound(struct qn_test_state *t)
{
    struct side s;
    side_open(&s, false);
    CHECK_RC(feed(&s, SYN1 DATA1_2), QN_OK);
    CHECK(s.opened == 1 && s.got.len == 2 && s.y.in_cnt == 1);
    qn_yamux_announce(&s.y, &s.pool[0]);
    CHECK(ctl_is(&s, "000100020000000100000000")); /* the ACK */
    s.refuse = true;
    qn_buf_clear(&s.y.ctl);
    CHECK_RC(feed(&s, "000100010000000300000000"), QN_OK);
    CHECK(ctl_is(&s, "000100080000000300000000") && s.y.refused == 1);
    /* What was on its way to a stream that is refused or reset is passed over. */
    CHECK_RC(feed(&s, "000000000000000300000002"
                      "6869"
                      "000100000000000300000010"
                      "000100080000000300000000"),
             QN_OK);
    CHECK(s.got.len == 2 && s.resets == 0);
    CHECK_RC(feed(&s, "000100080000000100000000"), QN_OK);
    CHECK(s.resets == 1 && s.y.in_cnt == 0);
    side_close(&s);
}

static void test_bad(struct qn_test_state *t)
{
    static const struct {
        const char *hex;
        qn_rc want;
    } ROW[] = {
        { "01"
          "00"
          "0001"
          "00000001"
          "00000000",
          QN_E_FORMAT }, /* version */
        { "00"
          "04"
          "0001"
          "00000001"
          "00000000",
          QN_E_FORMAT }, /* type */
        { "00"
          "00"
          "0101"
          "00000001"
          "00000000",
          QN_E_FORMAT }, /* unknown flag */
        { "00"
          "00"
          "0001"
          "00000000"
          "00000000",
          QN_E_FORMAT }, /* stream 0 */
        { "00"
          "00"
          "0001"
          "00000002"
          "00000000",
          QN_E_FORMAT },            /* our parity */
        { SYN1 SYN1, QN_E_FORMAT }, /* twice */
        { "00"
          "02"
          "0001"
          "00000001"
          "00000000",
          QN_E_FORMAT }, /* ping of a stream */
        { "00"
          "03"
          "0000"
          "00000001"
          "00000000",
          QN_E_FORMAT },
        /* CVE-2026-32314: SYN with data beyond the first credit */
        { "00"
          "00"
          "0001"
          "00000001"
          "00040001",
          QN_E_LIMIT },
        { "00"
          "00"
          "0001"
          "00000001"
          "ffffffff",
          QN_E_LIMIT },
        { SYN1 "00"
               "00"
               "0000"
               "00000001"
               "00040001",
          QN_E_LIMIT },
        /* GHSA-4w32-2493-32g7: credit over 2^32 */
        { WIN1_SYN "00"
                   "01"
                   "0000"
                   "00000001"
                   "ffffffff",
          QN_E_LIMIT },
        { "00"
          "01"
          "0001"
          "00000001"
          "fffc0000",
          QN_E_LIMIT },
        { "00"
          "00"
          "0000"
          "00000009"
          "7fffffff",
          QN_E_LIMIT }, /* gigabytes to nobody */
        { SYN1 "00"
               "01"
               "0004"
               "00000001"
               "00000000" DATA1_2,
          QN_E_FORMAT }, /* data after the end */
    };
    for (size_t i = 0; i < QN_COUNT(ROW); i++) {
        struct side s;
        side_open(&s, false);
        qn_rc rc = feed(&s, ROW[i].hex);
        if (rc != ROW[i].want) printf("row %zu\n", i);
        CHECK_RC(rc, ROW[i].want);
        side_close(&s);
    }
}

/* Pings and refusals cost the sender its connection when it does not read the answers. */
static void test_flood(struct qn_test_state *t)
{
    struct side s;
    qn_rc rc = QN_OK;
    uint32_t cnt = 0;
    side_open(&s, false);
    while ((rc = feed(&s, "000200010000000000000007")) == QN_OK)
        cnt++;
    CHECK_RC(rc, QN_E_LIMIT);
    CHECK(cnt <= QN_YAMUX_CTL_MAX / 12 + 1 && s.y.ctl.len <= QN_YAMUX_CTL_MAX + 12);
    side_close(&s);
}

static void test_windows(struct qn_test_state *t)
{
    struct side s;
    static uint8_t zeros[262144];
    uint8_t head[12] = { 0, 0, 0, 0, 0, 0, 0, 1, 0, 4, 0, 0 };
    side_open(&s, false);
    CHECK_RC(feed(&s, SYN1), QN_OK);
    struct qn_yamux_stream *y = &s.pool[0];
    y->recv_max = 1 << 20;
    s.y.rtt_us = 1000;
    /* The whole window comes, nothing is consumed: not a byte more. */
    CHECK_RC(qn_yamux_feed(&s.y, QN_SPAN(head, 12)), QN_OK);
    CHECK_RC(qn_yamux_feed(&s.y, QN_SPAN(zeros, 262144)), QN_OK);
    CHECK(y->recv_credit == 0 && s.y.ctl.len == 0);
    CHECK_RC(feed(&s, "00000000000000010000000161"), QN_E_LIMIT);
    s.y.have = 0;
    /* Credit comes back in halves; consumed within two round trips the window doubles, up to its limit. */
    qn_yamux_read(&s.y, y, 131071, 1000000);
    CHECK(s.y.ctl.len == 0);
    qn_yamux_read(&s.y, y, 1, 1000000);
    CHECK(ctl_is(&s, "000100020000000100020000") && y->recv_credit == 131072);
    qn_buf_clear(&s.y.ctl);
    qn_yamux_read(&s.y, y, 131072, 1001999);
    CHECK(y->recv_window == 524288 && y->recv_credit == 524288);
    qn_yamux_read(&s.y, y, 262144, 1002000);
    CHECK(y->recv_window == 1 << 20);
    qn_yamux_read(&s.y, y, 524288, 1002001);
    CHECK(y->recv_window == 1 << 20);
    side_close(&s);
}

/* In every cut the same events; a stream may go in the middle of its data. */
static void test_cuts(struct qn_test_state *t)
{
    static const char HEX[] = SYN1 DATA1_2 "000000000000000100000003"
                                           "6a6b6c"
                                           "000100040000000100000000"
                                           "000200010000000000000007";
    uint8_t buf[128];
    size_t len = strlen(HEX) / 2;
    CHECK(qn_unhex(HEX, 2 * len, buf, len));
    for (size_t a = 0; a <= len; a++)
        for (size_t b = a; b <= len; b++) {
            struct side s;
            side_open(&s, false);
            CHECK_RC(qn_yamux_feed(&s.y, QN_SPAN(buf, a)), QN_OK);
            CHECK_RC(qn_yamux_feed(&s.y, QN_SPAN(buf + a, b - a)), QN_OK);
            CHECK_RC(qn_yamux_feed(&s.y, QN_SPAN(buf + b, len - b)), QN_OK);
            CHECK(s.got.len == 5 && memcmp(s.got.ptr, "hijkl", 5) == 0 && s.finished == 1);
            side_close(&s);
        }
    struct side s;
    side_open(&s, false);
    s.drop_on_data = true;
    CHECK_RC(qn_yamux_feed(&s.y, QN_SPAN(buf, len)), QN_OK);
    CHECK(s.data == 1 && s.finished == 0 && s.y.in_cnt == 0);
    CHECK(ctl_is(&s, "000100080000000100000000"
                     "000200020000000000000007"));
    side_close(&s);
}

int main(void)
{
    TEST_BEGIN();
    TEST(test_golden);
    TEST(test_inbound);
    TEST(test_bad);
    TEST(test_flood);
    TEST(test_windows);
    TEST(test_cuts);
    return TEST_END();
}
