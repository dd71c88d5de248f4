/* multiaddr.h - addresses as libp2p writes them, in text "/ip4/1.2.3.4/tcp/4460/p2p/12D3KooW.." and in bytes. */
#ifndef QN_NET_LIBP2P_MULTIADDR_H
#define QN_NET_LIBP2P_MULTIADDR_H

#include "net/libp2p/peerid.h"

#define QN_MADDR_MAX  256 /* bytes; longer ones are dropped */
#define QN_MADDR_TEXT 400

struct qn_maddr {
    uint16_t len;
    uint8_t b[QN_MADDR_MAX];
};

/* What this host can dial of it: an IP address and a TCP port, and whom to expect there. */
struct qn_endpoint {
    bool v6;
    uint8_t ip[16]; /* v4 in the first 4 */
    uint16_t port;
    bool has_id;
    struct qn_peer_id id;
};

/* The same where the machine is named: what to ask a name server for. */
struct qn_named {
    char name[254];
    bool v4, v6;           /* which addresses are wanted */
    bool text;             /* neither: text records that hold whole addresses (dnsaddr) */
    struct qn_endpoint to; /* but for its address; of text: id alone */
};

/* qn_maddr_read checks bytes: known codes, whole values. QN_E_FORMAT (drop the address, not the peer), QN_E_TOOBIG. */
QN_CHECK qn_rc qn_maddr_read(struct qn_span bytes, struct qn_maddr *ret);
/* qn_maddr_parse reads text, also plain "1.2.3.4:4460", "[::1]:4460" and "node.example:4460". */
QN_CHECK qn_rc qn_maddr_parse(const char *text, struct qn_maddr *ret, struct qn_why *why);
void qn_maddr_print(const struct qn_maddr *a, char dst[QN_MADDR_TEXT]);

/* qn_maddr_endpoint says how to dial it; QN_E_ABSENT when not over plain TCP to an IP address (names, QUIC, relays). */
QN_CHECK qn_rc qn_maddr_endpoint(const struct qn_maddr *a, struct qn_endpoint *ret);
/* qn_maddr_named reads /dns4|dns6|dns/NAME/tcp/PORT and /dnsaddr/NAME, with /p2p/ID or without; QN_E_ABSENT when it is something else. */
QN_CHECK qn_rc qn_maddr_named(const struct qn_maddr *a, struct qn_named *ret);
/* qn_maddr_of writes an endpoint, with /p2p/ when it has an id. */
void qn_maddr_of(const struct qn_endpoint *e, struct qn_maddr *ret);
bool qn_maddr_eq(const struct qn_maddr *a, const struct qn_maddr *b);
/* qn_endpoint_public says whether the address can be reached over the internet: not loopback, private, link-local,
 * shared (100.64/10), documentation, multicast or reserved. */
bool qn_endpoint_public(const struct qn_endpoint *e);
/* qn_maddr_house says whether it begins with an IP address that is not of the internet, whatever comes behind. */
bool qn_maddr_house(const struct qn_maddr *a);
/* qn_endpoint_group is what one operator likely owns: /16 of v4, /32 of v6, as a number. */
uint64_t qn_endpoint_group(const struct qn_endpoint *e);

#endif
