/* net.h - the node among others: a libp2p host, whom to stay in touch with, the ledger's messages on its streams, and the genesis for who
 * begins. The replica's wire (ledger/sync/replica.h) ends here.
 *
 *     /quoin/genesis/1              asked by who joins without one: the genesis, Borsh, then FIN
 *     /quoin/<8 hex>/ledger/2       a chain's replicas: messages of ledger/sync/sync.def as frames (net/libp2p/frames.h), to one peer
 *     /quoin/<8 hex>/tx/2, vote/2, block/2     topics of the mesh (core/net/gossip_net.h): the same messages, to everybody
 *     /quoin/<8 hex>/kad/1.0.0      the hash table (net/libp2p/discover.h), which finds the others from one address
 *     /quoin/<8 hex>/shard/1        a long proposal in pieces, where most peers are validators (core/net/coded.h) */
#ifndef QN_CORE_NET_NET_H
#define QN_CORE_NET_NET_H

#include "ledger/sync/replica.h"
#include "net/libp2p/host.h"

struct gossip;
struct reach_net;
struct qn_coded;
struct qn_discover;
struct qn_compact;
struct qn_net;

struct qn_net_conf {
    struct event_base *base;
    const struct qn_key *key; /* of the network; borrowed */
    const struct qn_key
        *validator;     /* signs pieces of proposals; borrowed, read from qn_net_serve on */
    const char *listen; /* "IP:PORT", or NULL: dials only */
    const char *join;   /* addresses with commas between them, or NULL */
    uint32_t outbound;  /* connections to choose besides; 0: none, and no hash table */
    const char *book;   /* HOME/peers.dat; NULL: addresses are forgotten */
    const char *nat;    /* how a port is opened in the router: net/link/nat.h; NULL: not */
};

/* qn_net_open listens and begins to dial those in `join`; who is lost is dialled again, later and later, up to every 15 s. */
QN_CHECK qn_rc qn_net_open(const struct qn_net_conf *conf, struct qn_net **ret, struct qn_why *why);
void qn_net_close(struct qn_net *net);

/* qn_net_genesis runs the loop until a peer has given a genesis; ret is appended to. QN_E_TIMEOUT after 30 s, QN_E_AGAIN once *end. */
QN_CHECK qn_rc qn_net_genesis(struct qn_net *net, const bool *end, struct qn_buf *ret,
                              struct qn_why *why);

/* qn_net_wire is what the replica speaks through; qn_net_serve, once it is open, lets peers in. turn is called after each message: time
 * for qn_replica_turn. */
struct qn_wire qn_net_wire(struct qn_net *net);
QN_CHECK qn_rc qn_net_serve(struct qn_net *net, struct qn_replica *replica, void (*turn)(void *arg),
                            void *arg, struct qn_why *why);

struct qn_host *qn_net_host(struct qn_net *net);
/* qn_net_coded lends what sends proposals in pieces; NULL before qn_net_serve. */
struct qn_coded *qn_net_coded(struct qn_net *net);
/* qn_net_compact lends what sends them by ids; NULL before qn_net_serve. */
struct qn_compact *qn_net_compact(struct qn_net *net);
/* qn_net_discover lends what finds peers; NULL before qn_net_serve, or when it looks for none. */
struct qn_discover *qn_net_discover(struct qn_net *net);
/* qn_net_reach lends what knows whether others can reach us; NULL before qn_net_serve. */
struct reach_net *qn_net_reach(struct qn_net *net);
/* qn_net_gossip lends the gossip machine for its readers; NULL before qn_net_serve. Topics are numbered tx, vote, block. */
struct gossip *qn_net_gossip(struct qn_net *net);
/* qn_net_addr writes the address to give to others, with the peer id; "" when it does not listen. */
void qn_net_addr(const struct qn_net *net, char dst[QN_MADDR_TEXT]);
/* qn_net_join lends the addresses to join as they were given, NULL: none. qn_net_joined counts those where somebody is now; *ret_cnt: all. */
const char *qn_net_join(const struct qn_net *net);
uint32_t qn_net_joined(const struct qn_net *net, uint32_t *ret_cnt);
/* qn_net_others counts the connected peers of this chain that speak other versions of its protocol only, and are not used. */
uint32_t qn_net_others(struct qn_net *net);
/* qn_net_foreign counts peers of other chains that were turned away. */
uint32_t qn_net_foreign(const struct qn_net *net);
/* qn_net_metrics appends what Prometheus reads. */
void qn_net_metrics(struct qn_net *net, struct qn_buf *out);

#endif
