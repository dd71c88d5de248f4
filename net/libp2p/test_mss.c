/* test_mss.c - agreeing, refusing, and lines in every cut. */
#include "net/libp2p/mss.h"

#include "core/base/test.h"

static const void *pick(void *arg, struct qn_span name)
{
    return qn_span_eq(name, QN_SPAN_STR(arg)) ? arg : NULL;
}

static void test_golden(struct qn_test_state *t)
{
    static const char FLIGHT[] = "\x13/multistream/1.0.0\n\x07/noise\n";
    struct qn_mss d, l;
    struct qn_buf out = { 0 }, back = { 0 };
    const void *got = NULL;
    qn_mss_dial(&d, "/noise", &out);
    CHECK(out.len == sizeof FLIGHT - 1 && memcmp(out.ptr, FLIGHT, out.len) == 0);
    qn_buf_str(&out, "first data");
    qn_mss_listen(&l);
    struct qn_span in = qn_buf_get(&out);
    char name[] = "/noise";
    CHECK_RC(qn_mss_step(&l, &in, &back, NULL, pick, name, &got), QN_OK);
    CHECK(got == name);
    CHECK(qn_span_eq(in, QN_SPAN_STR("first data")));
    CHECK(back.len == sizeof FLIGHT - 1 && memcmp(back.ptr, FLIGHT, back.len) == 0);
    in = qn_buf_get(&back);
    CHECK_RC(qn_mss_step(&d, &in, &out, "/noise", NULL, NULL, NULL), QN_OK);
    CHECK(in.len == 0);
    qn_buf_free(&out);
    qn_buf_free(&back);
}

/* The same in every pair of cuts, and byte by byte. */
static void test_cuts(struct qn_test_state *t)
{
    static const char IN[] = "\x13/multistream/1.0.0\n\x03ls\n\x06/none\n\x07/noise\nDATA";
    static const char OUT[] = "\x13/multistream/1.0.0\n\x03na\n\x03na\n\x07/noise\n";
    size_t len = sizeof IN - 1;
    char name[] = "/noise";
    for (size_t a = 0; a <= len; a++)
        for (size_t b = a; b <= len; b++) {
            const size_t cut[4] = { 0, a, b, len };
            struct qn_mss l;
            struct qn_buf out = { 0 };
            const void *got = NULL;
            qn_rc rc = QN_E_AGAIN;
            size_t left = 0;
            qn_mss_listen(&l);
            for (int i = 0; i < 3; i++) {
                struct qn_span in = QN_SPAN(IN + cut[i], cut[i + 1] - cut[i]);
                if (rc == QN_E_AGAIN) rc = qn_mss_step(&l, &in, &out, NULL, pick, name, &got);
                left += rc == QN_OK ? in.len : 0;
                CHECK(rc == QN_OK || (rc == QN_E_AGAIN && in.len == 0));
            }
            CHECK(rc == QN_OK && got == name && left == 4);
            CHECK(out.len == sizeof OUT - 1 && memcmp(out.ptr, OUT, out.len) == 0);
            qn_buf_free(&out);
        }
}

static void refuse(struct qn_test_state *t, bool dialer, const char *text, size_t len, qn_rc want)
{
    struct qn_mss m;
    struct qn_buf out = { 0 };
    const void *got;
    char name[] = "/noise";
    if (dialer)
        qn_mss_dial(&m, "/noise", &out);
    else
        qn_mss_listen(&m);
    struct qn_span in = QN_SPAN(text, len);
    CHECK_RC(qn_mss_step(&m, &in, &out, "/noise", pick, name, &got), want);
    qn_buf_free(&out);
}

static void test_bad(struct qn_test_state *t)
{
    static char many[4096] = "\x13/multistream/1.0.0\n";
    size_t len = 20;
    refuse(t, true, "\x13/multistream/1.0.0\n\x03na\n", 24, QN_E_REFUSED);
    refuse(t, true, "\x13/multistream/1.0.0\n\x07/other\n", 28, QN_E_FORMAT);
    refuse(t, false, "\x13/multistream/2.0.0\n", 20, QN_E_FORMAT);
    refuse(t, false, "\x13/multistream/1.0.0 ", 20, QN_E_FORMAT);
    refuse(t, false, "\0", 1, QN_E_FORMAT);
    refuse(t, false, "\x93\x00", 2, QN_E_FORMAT);     /* a length of 19 in two bytes */
    refuse(t, false, "\x81\x08", 2, QN_E_TOOBIG);     /* 1,025 */
    refuse(t, false, "\xff\xff\x7f", 3, QN_E_TOOBIG); /* no third byte is waited for */
    refuse(t, false, "GET / HTTP/1.1\r\n", 16, QN_E_AGAIN);
    for (int i = 0; i < QN_MSS_PROPOSALS_MAX + 1; i++) {
        memcpy(many + len, "\x03/x\n", 4);
        len += 4;
    }
    refuse(t, false, many, len, QN_E_LIMIT);
    refuse(t, false, many, len - 4, QN_E_AGAIN);
}

int main(void)
{
    TEST_BEGIN();
    TEST(test_golden);
    TEST(test_cuts);
    TEST(test_bad);
    return TEST_END();
}
