/* nat.h - a TCP port of this machine opened in the router before it, by NAT-PMP (libnatpmp) or UPnP (libminiupnpc).
 *
 * Everything here blocks, for seconds where a router is slow, and what it reads comes from whoever answers in the house: so it runs in a
 * process of its own (core/net/nat.h), and what it says is a claim that others check by dialling (net/libp2p/reach.h). */
#ifndef QN_NET_LINK_NAT_H
#define QN_NET_LINK_NAT_H

#include "core/base/err.h"
#include "net/link/ip.h"

#define NET_NAT_TEXT    200
#define NET_NAT_LEASE_S 3600

enum net_nat_kind {
    NET_NAT_OFF,
    NET_NAT_AUTO, /* NAT-PMP, which answers at once or not at all; else UPnP */
    NET_NAT_PMP,
    NET_NAT_UPNP,
};

struct net_nat_conf {
    enum net_nat_kind kind;
    struct net_ip gateway;  /* of NAT-PMP; net_nat_gateway finds it */
    char url[NET_NAT_TEXT]; /* of a UPnP router's description; "": it is searched for */
};

/* net_nat_parse reads "auto", "off", "natpmp", "upnp", "natpmp:IP", "upnp:URL". */
QN_CHECK qn_rc net_nat_parse(const char *text, struct net_nat_conf *ret, struct qn_why *why);

/* A port that was opened. */
struct net_nat_map {
    enum net_nat_kind kind; /* PMP or UPNP; OFF: none */
    struct net_addr outside;
    uint16_t port;    /* inside */
    uint32_t lease_s; /* 0: until it is closed */
    struct net_ip gateway;
    char control[NET_NAT_TEXT], service[NET_NAT_TEXT]; /* of UPnP */
};

/* net_nat_gateway reads the default route; false: there is none. */
QN_CHECK bool net_nat_gateway(struct net_ip *ret);
/* net_nat_open opens or renews `port`; *map is what the last call gave, or zeroed. QN_E_ABSENT: no router answers; QN_E_REFUSED: it will not;
 * QN_E_FORMAT: it talks nonsense. */
QN_CHECK qn_rc net_nat_open(const struct net_nat_conf *conf, uint16_t port, struct net_nat_map *map,
                            struct qn_why *why);
/* net_nat_close gives it back, as far as the router listens. */
void net_nat_close(struct net_nat_map *map);

#endif
