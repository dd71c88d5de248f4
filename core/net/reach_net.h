/* reach_net.h - the node's place in the world: a port opened in its router (nat.h), whether others can reach it (net/libp2p/reach.h), and what
 * follows from the answer: the address that is told to peers, and whether the hash table is served.
 *
 * In a network of a house or a machine everybody is within reach by definition: nothing is opened or asked, only others are answered. */
#ifndef QN_CORE_NET_REACH_NET_H
#define QN_CORE_NET_REACH_NET_H

#include "net/libp2p/reach.h"
#include "net/link/nat.h"

struct qn_discover;
struct reach_net;

struct reach_net_conf {
    struct event_base *base;
    struct qn_host *host;
    struct qn_discover *discover; /* NULL: the node looks for nobody */
    bool private;
    struct net_nat_conf nat;
};

QN_CHECK qn_rc reach_net_open(const struct reach_net_conf *conf, struct reach_net **ret,
                              struct qn_why *why);
/* reach_net_close comes before those of discovery and the host. */
void reach_net_close(struct reach_net *rn);

struct reach_net_info {
    struct qn_reach_info reach;
    const char *nat; /* how it stands with the router; lent; "": not asked */
};
struct reach_net_info reach_net_info(const struct reach_net *rn);

#endif
