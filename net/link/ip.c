/* ip.c - ranges and groups of addresses. */
#include "net/link/ip.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const uint8_t V4[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };

struct net_ip net_ip4(uint8_t a, uint8_t b, uint8_t c, uint8_t d)
{
    struct net_ip ip;
    memcpy(ip.b, V4, 12);
    ip.b[12] = a, ip.b[13] = b, ip.b[14] = c, ip.b[15] = d;
    return ip;
}

bool net_ip_is4(const struct net_ip *ip)
{
    return memcmp(ip->b, V4, 12) == 0;
}

bool net_ip_eq(const struct net_ip *a, const struct net_ip *b)
{
    return memcmp(a->b, b->b, 16) == 0;
}

bool net_addr_eq(const struct net_addr *a, const struct net_addr *b)
{
    return net_ip_eq(&a->ip, &b->ip) && a->port == b->port;
}

bool net_ip_parse(const char *text, struct net_ip *ret)
{
    struct net_ip ip = net_ip4(0, 0, 0, 0);
    if (inet_pton(AF_INET, text, ip.b + 12) != 1 && inet_pton(AF_INET6, text, ip.b) != 1)
        return false;
    *ret = ip;
    return true;
}

bool net_addr_parse(const char *text, struct net_addr *ret)
{
    char host[NET_ADDR_TEXT];
    struct net_addr addr;
    const char *colon = strrchr(text, ':');
    if (!colon) return false;
    size_t len = (size_t)(colon - text);
    if (len > 2 && text[0] == '[' && text[len - 1] == ']')
        text++, len -= 2;
    else if (memchr(text, ':', len))
        return false; /* a bare IPv6 address would hide its port */
    if (len == 0 || len >= sizeof host) return false;
    memcpy(host, text, len);
    host[len] = 0;
    uint32_t port = 0;
    for (const char *p = colon + 1; *p; p++) {
        if (*p < '0' || *p > '9' || port > 6553) return false;
        port = port * 10 + (uint32_t)(*p - '0');
    }
    if (port == 0 || port > 65535 || !net_ip_parse(host, &addr.ip)) return false;
    addr.port = (uint16_t)port;
    *ret = addr;
    return true;
}

void net_ip_print(const struct net_ip *ip, char dst[NET_ADDR_TEXT])
{
    bool four = net_ip_is4(ip);
    const char *ok =
        inet_ntop(four ? AF_INET : AF_INET6, ip->b + (four ? 12 : 0), dst, NET_ADDR_TEXT);
    QN_ASSERT(ok);
}

void net_addr_print(const struct net_addr *addr, char dst[NET_ADDR_TEXT])
{
    char ip[NET_ADDR_TEXT];
    net_ip_print(&addr->ip, ip);
    int n = snprintf(dst, NET_ADDR_TEXT, net_ip_is4(&addr->ip) ? "%.45s:%u" : "[%.45s]:%u", ip,
                     (unsigned)addr->port);
    QN_ASSERT(n > 0 && n < NET_ADDR_TEXT);
}

struct range {
    uint8_t b[16], bits;
    uint8_t range;
};

/* IANA's special-purpose registries (RFC 6890 and after); the first that fits counts. */
static const struct range RANGE4[] = {
    { { 0 }, 8, NET_NOWHERE },
    { { 10 }, 8, NET_PRIVATE },
    { { 100, 64 }, 10, NET_PRIVATE },
    { { 127 }, 8, NET_LOOPBACK },
    { { 169, 254 }, 16, NET_PRIVATE },
    { { 172, 16 }, 12, NET_PRIVATE },
    { { 192, 0, 0 }, 24, NET_NOWHERE },
    { { 192, 0, 2 }, 24, NET_NOWHERE },
    { { 192, 168 }, 16, NET_PRIVATE },
    { { 198, 18 }, 15, NET_NOWHERE },
    { { 198, 51, 100 }, 24, NET_NOWHERE },
    { { 203, 0, 113 }, 24, NET_NOWHERE },
    { { 224 }, 3, NET_NOWHERE },
};
static const struct range RANGE6[] = {
    { { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1 }, 128, NET_LOOPBACK },
    { { 0x20, 0x01, 0x0d, 0xb8 }, 32, NET_NOWHERE },
    { { 0x3f, 0xff }, 20, NET_NOWHERE },
    { { 0x20 }, 3, NET_PUBLIC },
    { { 0xfc }, 7, NET_PRIVATE },
    { { 0xfe, 0x80 }, 10, NET_PRIVATE },
};

static bool in(const uint8_t *b, const struct range *r)
{
    unsigned whole = r->bits / 8u, rest = r->bits % 8u;
    if (memcmp(b, r->b, whole) != 0) return false;
    return rest == 0 || (b[whole] ^ r->b[whole]) >> (8 - rest) == 0;
}

/* The IPv4 address that a tunnel's IPv6 address stands for. */
static bool embedded(const struct net_ip *ip, struct net_ip *ret)
{
    static const uint8_t NAT64[12] = { 0, 0x64, 0xff, 0x9b };
    const uint8_t *b = ip->b;
    if (b[0] == 0x20 && b[1] == 0x02)
        *ret = net_ip4(b[2], b[3], b[4], b[5]); /* 6to4, RFC 3056 */
    else if (memcmp(b, "\x20\x01\0\0", 4) == 0) /* Teredo, RFC 4380: inverted */
        *ret = net_ip4(b[12] ^ 0xff, b[13] ^ 0xff, b[14] ^ 0xff, b[15] ^ 0xff);
    else if (memcmp(b, NAT64, 12) == 0)
        *ret = net_ip4(b[12], b[13], b[14], b[15]); /* RFC 6052 */
    else
        return false;
    return true;
}

enum net_range net_ip_range(const struct net_ip *ip)
{
    struct net_ip inner;
    if (embedded(ip, &inner)) {
        enum net_range range = net_ip_range(&inner);
        return range == NET_PUBLIC ? NET_PUBLIC : NET_NOWHERE;
    }
    if (net_ip_is4(ip)) {
        for (size_t i = 0; i < QN_COUNT(RANGE4); i++)
            if (in(ip->b + 12, &RANGE4[i])) return (enum net_range)RANGE4[i].range;
        return NET_PUBLIC;
    }
    for (size_t i = 0; i < QN_COUNT(RANGE6); i++)
        if (in(ip->b, &RANGE6[i])) return (enum net_range)RANGE6[i].range;
    return NET_NOWHERE;
}

static uint64_t be(const uint8_t *b, unsigned n)
{
    uint64_t v = 0;
    for (unsigned i = 0; i < n; i++)
        v = v << 8 | b[i];
    return v;
}

uint64_t net_ip_prefix(const struct net_ip *ip, unsigned bits4, unsigned bits6)
{
    QN_ASSERT(bits4 > 0 && bits4 <= 32 && bits6 > 0 && bits6 <= 60);
    if (net_ip_is4(ip)) return UINT64_C(4) << 60 | be(ip->b + 12, 4) >> (32 - bits4);
    return UINT64_C(6) << 60 | be(ip->b, 8) >> (64 - bits6);
}

uint64_t net_ip_group(const struct net_ip *ip)
{
    struct net_ip inner;
    if (net_ip_range(ip) !=
        NET_PUBLIC) { /* alone: the low half tells hosts of a house apart, loopback's ports do not count */
        uint64_t v = (be(ip->b, 8) + 1) * UINT64_C(0x9e3779b97f4a7c15) + be(ip->b + 8, 8);
        v *= UINT64_C(0xd6e8feb86659fd93);
        return v >> 4 | UINT64_C(1) << 60;
    }
    if (embedded(ip, &inner)) return net_ip_prefix(&inner, 16, 32);
    return net_ip_prefix(ip, 16, 32);
}
