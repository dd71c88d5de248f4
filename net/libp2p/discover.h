/* discover.h - how a node finds its network: address book, chosen connections and hash table, on a libp2p host.
 *
 * One address is enough: it is dialled, asked for what lies near our own id, and what it names is dialled in turn until the outbound
 * places are taken. What is learnt is kept in HOME/peers.dat, so that a restart needs no address at all. */
#ifndef QN_NET_LIBP2P_DISCOVER_H
#define QN_NET_LIBP2P_DISCOVER_H

#include "net/libp2p/host.h"
#include "net/libp2p/kad.h"
#include "net/libp2p/outbound.h"

struct event_base;
struct qn_discover;

struct qn_discover_conf {
    struct event_base *base;
    const struct qn_env *env;
    struct qn_host *host; /* must outlive it */
    const char *
        proto; /* "/quoin/<8 hex of genesis>/kad/1.0.0"; borrowed for the host's life. Its digits name the chain:
                              who speaks none of its protocols takes no place in tables or among those we chose */
    const char *book_path; /* HOME/peers.dat; NULL: kept in memory alone */
    bool private;          /* the network is a house or a machine: its addresses are good */
    bool server;           /* can be reached, so serves the table; private: always */
    uint32_t full, block;  /* connections to choose; 0: of outbound.h */
    void (*log)(void *arg, const char *line); /* NULL: silent */
    void *arg;
};

QN_CHECK qn_rc qn_discover_open(const struct qn_discover_conf *conf, struct qn_discover **ret,
                                struct qn_why *why);
/* qn_discover_close saves the book; dials and searches under way end without a word. Call it before qn_host_close, and let the loop turn after. */
void qn_discover_close(struct qn_discover *d);

/* qn_discover_join dials an address that a person named, "IP:PORT", "NAME:PORT" or a multiaddr, again and again while we are alone. */
QN_CHECK qn_rc qn_discover_join(struct qn_discover *d, const char *addr, struct qn_why *why);
/* qn_discover_public: it is known now that others can reach us (AutoNAT), or that they cannot: the table is served, or not. In a private
 * network it always is. */
void qn_discover_public(struct qn_discover *d, bool on);
/* qn_discover_hear takes a signed peer record that `peer` passed on (peer exchange); nonsense is ignored but returned as its error. */
QN_CHECK qn_rc qn_discover_hear(struct qn_discover *d, uint32_t peer, struct qn_span record);
/* qn_discover_px: the same of one that `peer` named as it threw us out of a mesh. id must be the record's, else QN_E_SIGNATURE. Some of them are
 * dialled at once, while we know few: DISCOVER_PX at a time. */
QN_CHECK qn_rc qn_discover_px(struct qn_discover *d, uint32_t peer, struct qn_span id,
                              struct qn_span record);
/* qn_discover_useful notes that a peer brought something new: it is harder to evict. */
void qn_discover_useful(struct qn_discover *d, uint32_t peer, bool block);
/* qn_discover_evict names the inbound peer that goes for a newcomer, 0: none. For qn_host_conf.evict, with d as its arg. */
uint32_t qn_discover_evict(void *d);
/* qn_discover_kind says of what kind a peer is that we chose; false for others. */
QN_CHECK bool qn_discover_kind(const struct qn_discover *d, uint32_t peer, enum outbound_kind *ret);

/* fn comes once: QN_OK with a peer connected, QN_E_NOTFOUND. */
typedef void qn_discover_peer_fn(void *arg, qn_rc rc, uint32_t peer);
/* qn_discover_peer finds and connects a peer by id. QN_E_LIMIT: too many searches. */
QN_CHECK qn_rc qn_discover_peer(struct qn_discover *d, const struct qn_peer_id *id,
                                qn_discover_peer_fn *fn, void *arg);
/* fn comes for each provider found (lent), and once with NULL at the end. */
typedef void qn_discover_provider_fn(void *arg, const struct kad_peer *provider);
/* qn_discover_providers finds who has what key names. want 0: all. */
QN_CHECK qn_rc qn_discover_providers(struct qn_discover *d, struct qn_span key, uint32_t want,
                                     qn_discover_provider_fn *fn, void *arg);
QN_CHECK qn_rc qn_discover_provide(struct qn_discover *d, struct qn_span key);
void qn_discover_unprovide(struct qn_discover *d, struct qn_span key);
/* qn_discover_dial connects a peer found, trying its addresses in turn; fn as above, with QN_E_IO when none answered. */
void qn_discover_dial(struct qn_discover *d, const struct kad_peer *peer, qn_discover_peer_fn *fn,
                      void *arg);

struct qn_endpoint discover_endpoint(const struct net_addr *addr);

struct qn_discover_info {
    uint32_t told, tried; /* addresses */
    uint32_t full, block; /* chosen connections that stand */
    uint32_t strangers;   /* dials that found another chain */
    bool server;
    struct kad_info kad;
};
struct qn_discover_info qn_discover_info(const struct qn_discover *d);
/* qn_discover_table lends the hash table's peers. */
const struct kad_table *qn_discover_table(const struct qn_discover *d);

#endif
