/* test_ip.c - ranges, groups and text of addresses; dice. */
#include "net/link/ip.h"

#include "core/base/test.h"
#include "core/crypto/sign.h"
#include "net/link/dice.h"

static struct net_ip ip(const char *text)
{
    struct net_ip ret;
    QN_ASSERT(net_ip_parse(text, &ret));
    return ret;
}

static void test_range(struct qn_test_state *t)
{
    static const struct {
        const char *ip;
        enum net_range range;
    } CASE[] = {
        { "8.8.8.8", NET_PUBLIC },
        { "10.1.2.3", NET_PRIVATE },
        { "100.63.0.1", NET_PUBLIC },
        { "100.64.0.1", NET_PRIVATE },
        { "100.127.9.9", NET_PRIVATE },
        { "100.128.0.1", NET_PUBLIC },
        { "127.8.0.1", NET_LOOPBACK },
        { "169.254.1.1", NET_PRIVATE },
        { "172.15.0.1", NET_PUBLIC },
        { "172.31.255.1", NET_PRIVATE },
        { "172.32.0.1", NET_PUBLIC },
        { "192.168.0.1", NET_PRIVATE },
        { "203.0.113.9", NET_NOWHERE },
        { "224.0.0.1", NET_NOWHERE },
        { "255.255.255.255", NET_NOWHERE },
        { "0.0.0.0", NET_NOWHERE },
        { "::", NET_NOWHERE },
        { "::1", NET_LOOPBACK },
        { "fd00::1", NET_PRIVATE },
        { "fe80::1", NET_PRIVATE },
        { "febf::1", NET_PRIVATE },
        { "ff02::1", NET_NOWHERE },
        { "2001:db8::1", NET_NOWHERE },
        { "2a00:1450:4001::1", NET_PUBLIC },
        { "2002:808:808::1", NET_PUBLIC },
        { "2002:c0a8:1::1", NET_NOWHERE },
        { "64:ff9b::8.8.8.8", NET_PUBLIC },
        { "64:ff9b::10.0.0.1", NET_NOWHERE },
        { "::ffff:10.0.0.1", NET_PRIVATE },
        { "4000::1", NET_NOWHERE },
    };
    for (size_t i = 0; i < QN_COUNT(CASE); i++) {
        struct net_ip a = ip(CASE[i].ip);
        if (net_ip_range(&a) != CASE[i].range) printf("%s\n", CASE[i].ip);
        CHECK(net_ip_range(&a) == CASE[i].range);
    }
}

static bool same(const char *a, const char *b)
{
    struct net_ip x = ip(a), y = ip(b);
    return net_ip_group(&x) == net_ip_group(&y);
}

static void test_group(struct qn_test_state *t)
{
    CHECK(same("8.8.1.1", "8.8.200.7"));
    CHECK(!same("8.8.1.1", "8.9.1.1"));
    CHECK(same("2a00:1450::1", "2a00:1450:ffff::1"));
    CHECK(!same("2a00:1450::1", "2a00:1451::1"));
    CHECK(
        same("2002:808:808::1", "8.8.9.9")); /* 6to4: thousands of IPv6 names of one IPv4 network */
    CHECK(same("2001:0:1:2:3:4:f7f7:fefe", "8.8.1.1")); /* Teredo */
    CHECK(!same("10.0.0.1", "10.0.0.2"));               /* no groups inside a house */
    struct net_ip a = ip("9.1.2.3"), b = ip("9.1.2.200"), c = ip("9.1.3.3");
    CHECK(net_ip_prefix(&a, 24, 48) == net_ip_prefix(&b, 24, 48));
    CHECK(net_ip_prefix(&a, 24, 48) != net_ip_prefix(&c, 24, 48));
    CHECK(net_ip_prefix(&a, 32, 56) != net_ip_prefix(&b, 32, 56));
    a = ip("2a00:1:2:300::1"), b = ip("2a00:1:2:3ff::1"), c = ip("2a00:1:2:400::1");
    CHECK(net_ip_prefix(&a, 32, 56) == net_ip_prefix(&b, 32, 56));
    CHECK(net_ip_prefix(&a, 32, 56) != net_ip_prefix(&c, 32, 56));
}

static void test_text(struct qn_test_state *t)
{
    struct net_addr a;
    char text[NET_ADDR_TEXT];
    CHECK(net_addr_parse("8.8.4.4:4460", &a));
    net_addr_print(&a, text);
    CHECK(strcmp(text, "8.8.4.4:4460") == 0);
    CHECK(net_addr_parse("[2a00:1450:4001:82a:1234:5678:9abc:def0]:65535", &a));
    net_addr_print(&a, text);
    CHECK(strcmp(text, "[2a00:1450:4001:82a:1234:5678:9abc:def0]:65535") == 0);
    static const char *const BAD[] = { "",          "8.8.8.8",     "8.8.8.8:0",  "8.8.8.8:65536",
                                       "8.8.8.8:",  "::1:80",      "[::1]",      "[::1]:80 ",
                                       "a.b.c.d:1", "8.8.8.8:+1",  "[8.8.8.8:1", ":1",
                                       "1.2.3:4",   "1.2.3.4:1x2", "[]:1" };
    for (size_t i = 0; i < QN_COUNT(BAD); i++)
        CHECK(!net_addr_parse(BAD[i], &a));
}

static void test_dice(struct qn_test_state *t)
{
    struct net_dice a, b;
    uint32_t seen[10] = { 0 };
    net_dice_init(&a, QN_SPAN_STR("one"));
    net_dice_init(&b, QN_SPAN_STR("one"));
    for (int i = 0; i < 10000; i++) {
        uint32_t v = net_dice_below(&a, 10);
        CHECK(v == net_dice_below(&b, 10));
        seen[v]++;
    }
    for (int i = 0; i < 10; i++)
        CHECK(seen[i] > 800 && seen[i] < 1200);
    net_dice_init(&b, QN_SPAN_STR("two"));
    CHECK(net_dice_draw(&a) != net_dice_draw(&b));
    CHECK(net_dice_hash3(&a, 1, 2, 3) != net_dice_hash3(&a, 1, 3, 2));
}

int main(void)
{
    if (qn_crypto_init()) return 1;
    TEST_BEGIN();
    TEST(test_range);
    TEST(test_group);
    TEST(test_text);
    TEST(test_dice);
    return TEST_END();
}
