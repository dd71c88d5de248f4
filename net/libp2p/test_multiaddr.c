/* test_multiaddr.c - addresses there and back, and those that are none. */
#include "net/libp2p/multiaddr.h"

#include "core/base/test.h"

static void round_trip(struct qn_test_state *t, const char *text, const char *hex)
{
    struct qn_maddr a, b;
    char out[QN_MADDR_TEXT];
    uint8_t want[QN_MADDR_MAX];
    struct qn_why why = { "" };
    CHECK_RC(qn_maddr_parse(text, &a, &why), QN_OK);
    qn_maddr_print(&a, out);
    if (strcmp(out, text) != 0) printf("%s printed as %s\n", text, out);
    CHECK(strcmp(out, text) == 0);
    CHECK_RC(qn_maddr_read(QN_SPAN(a.b, a.len), &b), QN_OK);
    CHECK(qn_maddr_eq(&a, &b));
    if (!hex) return;
    CHECK(a.len == strlen(hex) / 2 && qn_unhex(hex, strlen(hex), want, a.len));
    CHECK(memcmp(a.b, want, a.len) == 0);
}

static void test_forms(struct qn_test_state *t)
{
    struct qn_maddr a;
    struct qn_endpoint e;
    round_trip(t, "/ip4/127.0.0.1/tcp/4460", "047f00000106116c");
    round_trip(t, "/ip4/1.2.3.4/udp/80/quic-v1", "040102030491020050cd03");
    round_trip(t, "/ip6/2001:db8::1/tcp/1",
               "2920010db80000000000000000000000010600"
               "01");
    round_trip(t, "/dnsaddr/bootstrap.libp2p.io", NULL);
    round_trip(t, "/dns4/a-b.example/tcp/443/tls/ws", NULL);
    round_trip(t, "/ip4/1.2.3.4/tcp/1/p2p/12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA",
               NULL);
    round_trip(
        t,
        "/ip4/1.2.3.4/tcp/1/p2p/QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N/p2p-circuit/p2p/"
        "12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA",
        NULL);
    CHECK_RC(qn_maddr_parse("[::1]:4460", &a, NULL), QN_OK);
    CHECK_RC(qn_maddr_endpoint(&a, &e), QN_OK);
    CHECK(e.v6 && e.port == 4460 && e.ip[15] == 1 && !e.has_id);
    CHECK_RC(qn_maddr_parse("10.0.0.9:65535", &a, NULL), QN_OK);
    CHECK_RC(qn_maddr_endpoint(&a, &e), QN_OK);
    CHECK(!e.v6 && e.port == 65535 && e.ip[3] == 9);
    CHECK_RC(qn_maddr_parse("/ip4/1.2.3.4/udp/80/quic-v1", &a, NULL), QN_OK);
    CHECK_RC(qn_maddr_endpoint(&a, &e), QN_E_ABSENT);
    CHECK_RC(qn_maddr_parse("/ip4/1.2.3.4/tcp/0", &a, NULL), QN_OK);
    CHECK_RC(qn_maddr_endpoint(&a, &e), QN_E_ABSENT);
}

static void test_bad(struct qn_test_state *t)
{
    static const char *const TEXT[] = { "",
                                        "/",
                                        "127.0.0.1",
                                        "127.0.0.1:",
                                        ":80",
                                        "1.2.3.4:65536",
                                        "1.2.3.4:-1",
                                        "/ip4/1.2.3/tcp/1",
                                        "/ip4/1.2.3.4/tcp",
                                        "/ip4/1.2.3.4/tcp/65536",
                                        "/nope/1",
                                        "/p2p/xyz",
                                        "/dns/a b/tcp/1" };
    static const char *const HEX[] = {
        "04",
        "047f000001"
        "06",
        "047f00000106ff",
        "8400"
        "7f000001",
        "ff",
        "a503",
        "a50300",
        "a50326"
        "0024080112",
        "35"
        "00",
        "35ff01",
        "0400000000"
        "060001"
        "80",
        "04000000000600017f" /* unknown code */
    };
    struct qn_maddr a;
    uint8_t buf[QN_MADDR_MAX + 8] = { 0 };
    for (size_t i = 0; i < QN_COUNT(TEXT); i++)
        CHECK_RC(qn_maddr_parse(TEXT[i], &a, NULL), QN_E_FORMAT);
    for (size_t i = 0; i < QN_COUNT(HEX); i++) {
        size_t len = strlen(HEX[i]) / 2;
        CHECK(qn_unhex(HEX[i], 2 * len, buf, len));
        CHECK_RC(qn_maddr_read(QN_SPAN(buf, len), &a), QN_E_FORMAT);
    }
    CHECK_RC(qn_maddr_read(QN_SPAN(buf, 0), &a), QN_E_FORMAT);
    CHECK_RC(qn_maddr_read(QN_SPAN(buf, QN_MADDR_MAX + 1), &a), QN_E_TOOBIG);
}

static void test_public(struct qn_test_state *t)
{
    static const struct {
        const char *text;
        bool is;
    } ROW[] = { { "8.8.8.8:1", true },          { "127.0.0.1:1", false },
                { "10.1.2.3:1", false },        { "172.16.0.1:1", false },
                { "172.32.0.1:1", true },       { "192.168.1.1:1", false },
                { "100.64.0.1:1", false },      { "100.128.0.1:1", true },
                { "169.254.1.1:1", false },     { "224.0.0.1:1", false },
                { "255.255.255.255:1", false }, { "198.51.100.7:1", false },
                { "[::1]:1", false },           { "[fe80::1]:1", false },
                { "[fd00::1]:1", false },       { "[2a00:1450::1]:1", true },
                { "[2001:db8::1]:1", false },   { "[::ffff:10.0.0.1]:1", false },
                { "[::ffff:8.8.8.8]:1", true } };
    for (size_t i = 0; i < QN_COUNT(ROW); i++) {
        struct qn_maddr a;
        struct qn_endpoint e;
        CHECK_RC(qn_maddr_parse(ROW[i].text, &a, NULL), QN_OK);
        CHECK_RC(qn_maddr_endpoint(&a, &e), QN_OK);
        if (qn_endpoint_public(&e) != ROW[i].is) printf("%s\n", ROW[i].text);
        CHECK(qn_endpoint_public(&e) == ROW[i].is);
    }
}

int main(void)
{
    TEST_BEGIN();
    TEST(test_forms);
    TEST(test_bad);
    TEST(test_public);
    return TEST_END();
}
