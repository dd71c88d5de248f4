/* ip.h - addresses of the internet as bytes: what kind of range one lies in, and in which group it counts when limits are set.
 *
 * An IPv4 address is kept as ::ffff:a.b.c.d, so that every table has one kind of key. Attackers get many addresses of one range for
 * little and of many ranges for much: limits therefore count groups (/16, of IPv6 /32), never addresses. */
#ifndef QN_NET_LINK_IP_H
#define QN_NET_LINK_IP_H

#include "core/base/span.h"

struct net_ip {
    uint8_t b[16];
};

struct net_addr {
    struct net_ip ip;
    uint16_t port;
};

enum net_range {
    NET_PUBLIC,   /* may be dialled from anywhere */
    NET_PRIVATE,  /* 10/8, 192.168/16, fc00::/7 ...: of some house */
    NET_LOOPBACK, /* this machine */
    NET_NOWHERE,  /* multicast, documentation, unspecified, reserved */
};

#define NET_ADDR_TEXT 56 /* bytes of "[v6]:port" with its end */

struct net_ip net_ip4(uint8_t a, uint8_t b, uint8_t c, uint8_t d);
/* net_ip_parse reads a numeric address of either family; false on anything else. */
QN_CHECK bool net_ip_parse(const char *text, struct net_ip *ret);
/* net_addr_parse reads "1.2.3.4:5" or "[v6]:5"; port 0 is refused. */
QN_CHECK bool net_addr_parse(const char *text, struct net_addr *ret);
void net_ip_print(const struct net_ip *ip, char dst[NET_ADDR_TEXT]);
void net_addr_print(const struct net_addr *addr, char dst[NET_ADDR_TEXT]);

bool net_ip_is4(const struct net_ip *ip);
bool net_ip_eq(const struct net_ip *a, const struct net_ip *b);
bool net_addr_eq(const struct net_addr *a, const struct net_addr *b);

/* net_ip_range classes an address; one embedded in 6to4, Teredo or NAT64 counts as what is embedded. */
enum net_range net_ip_range(const struct net_ip *ip);

/* net_ip_group returns a number for the /16 (IPv6: /32) of a public address; tunnels count as the IPv4 network behind them. Any
 * other address is a group by itself: inside one house or machine there are no groups to count. Never 0. */
uint64_t net_ip_group(const struct net_ip *ip);

/* net_ip_prefix returns a number for the first `bits` of the address as the family counts them (IPv4: 1..32, IPv6: 1..60). Never 0. */
uint64_t net_ip_prefix(const struct net_ip *ip, unsigned bits4, unsigned bits6);

#endif
