/* reach.h - whether others can reach this node, found out by asking them (AutoNAT v2, autonat.h), and answered for others who ask.
 *
 * Asking: what may be our address (a port mapped in the router, a public address that we listen on, the address others see us at with the
 * port we listen on) is given to one peer after the other, dialled ones first; it dials back. Three tell, two thirds decide; again after
 * half an hour, or five minutes when the answer was no.
 * Answering: dials back from a host of its own, under a name made for that alone, so that no connection that stands can pass for a new
 * one. It is opened when somebody asks and closed when nobody does. */
#ifndef QN_NET_LIBP2P_REACH_H
#define QN_NET_LIBP2P_REACH_H

#include "net/libp2p/host.h"
#include "net/link/ip.h"

#define QN_REACH_ASK  "/libp2p/autonat/2/dial-request"
#define QN_REACH_BACK "/libp2p/autonat/2/dial-back"

struct qn_reach;

struct qn_reach_conf {
    struct event_base *base;
    const struct qn_env *env;
    struct qn_host *host; /* must outlive it */
    bool private; /* the network is a house or a machine: its addresses may be dialled and may be ours */
    bool ask;        /* find out about ourselves, too */
    uint32_t ask_ms; /* from the start to the first question, and between them; 0: two seconds */
    /* addr can be reached (lent), or NULL: none can any more. Comes on turns of the loop, for each change. */
    void (*changed)(void *arg, const struct net_addr *addr);
    void *arg;
};

QN_CHECK qn_rc qn_reach_open(const struct qn_reach_conf *conf, struct qn_reach **ret,
                             struct qn_why *why);
/* qn_reach_close may come before qn_host_close only, with a turn of the loop or qn_host_close after it. */
void qn_reach_close(struct qn_reach *r);

/* qn_reach_mapped names an address that a router gave us; NULL: it is none any more. */
void qn_reach_mapped(struct qn_reach *r, const struct net_addr *addr);

enum qn_reach_state {
    QN_REACH_UNKNOWN, /* not asked yet, or nobody to ask */
    QN_REACH_YES,
    QN_REACH_NO,
};
struct qn_reach_info {
    enum qn_reach_state state;
    struct net_addr addr; /* that it is about; port 0: none was tried */
    uint32_t asked,
        reached;     /* servers that dialled back or said they could not; of these, who did */
    uint64_t served; /* dials made for others so far */
};
struct qn_reach_info qn_reach_info(const struct qn_reach *r);

#endif
