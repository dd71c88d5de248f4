/* net_desk.h - what the owner asks of the network: dials and pings on their way, and how much each peer says a second.
 *
 * A call cannot wait (core/module/call.h), so a question gets a ticket, and the call comes back with it until there is an answer. */
#ifndef QN_CORE_NET_NET_DESK_H
#define QN_CORE_NET_NET_DESK_H

#include "net/libp2p/host.h"

struct net_desk;

struct net_desk_conf {
    struct event_base *base;
    const struct qn_env *env;
    struct qn_host *host; /* closed before the desk, without a turn of the loop between them */
    void (*changed)(void *arg); /* an answer is there. NULL: nobody waits */
    void *arg;
};

QN_GIVES struct net_desk *net_desk_open(const struct net_desk_conf *conf);
void net_desk_close(struct net_desk *desk);

struct net_answer {
    struct qn_peer_id id;
    uint64_t dial_us; /* until the peer was ready; 0: it was connected before */
    uint64_t rtt_us;  /* of a ping */
};

/* net_desk_dial connects to an address, and with ping also measures a round trip; a peer that was dialled for its ping alone is let go
 * again. net_desk_ping measures to a peer that is connected. An error means that there is no ticket; QN_E_LIMIT: too many at once. */
QN_CHECK qn_rc net_desk_dial(struct net_desk *desk, const char *addr, bool ping,
                             uint64_t *ret_ticket, struct qn_why *why);
QN_CHECK qn_rc net_desk_ping(struct net_desk *desk, uint32_t peer, uint64_t *ret_ticket,
                             struct qn_why *why);
/* net_desk_answer: QN_E_AGAIN until it is there, then once QN_OK or what went wrong. An answer that nobody fetches is kept for a minute. */
QN_CHECK qn_rc net_desk_answer(struct net_desk *desk, uint64_t ticket, struct net_answer *ret,
                               struct qn_why *why);

/* net_desk_rate tells bytes a second to and from a peer, as of the last few seconds; false for one that has just come. */
QN_CHECK bool net_desk_rate(const struct net_desk *desk, uint32_t peer, uint64_t *ret_in,
                            uint64_t *ret_out);

#endif
