/* evict.h - who must go when all inbound places are taken and another knocks.
 *
 * After Bitcoin Core (net.cpp, SelectNodeToEvict): what an attacker cannot have all at once is protected - a place by a keyed hash of the
 * network group that nobody foresees, near ones by round trip, those that brought blocks and transactions lately, and half of the
 * rest by age - and of what is left the youngest of the largest group goes. An attacker with any number of addresses thus mostly
 * pushes out its own. A pure function. */
#ifndef QN_NET_LIBP2P_EVICT_H
#define QN_NET_LIBP2P_EVICT_H

#include "net/link/dice.h"
#include "net/link/ip.h"

#define EVICT_MAX    512 /* candidates looked at */
#define EVICT_GROUPS 4   /* protected by keyed hash of their group */
#define EVICT_NEAR   8   /* by round trip */
#define EVICT_TX     4   /* by newest transaction that was new to us */
#define EVICT_BLOCK  4   /* by newest block */

struct evict_peer {
    uint32_t peer;
    bool keep; /* explicit: not looked at */
    struct net_ip ip;
    uint64_t up_ms;    /* when it came */
    uint32_t rtt_us;   /* 0: not known, which is worse than any */
    uint64_t block_ms; /* when it last brought something new, 0: never */
    uint64_t tx_ms;
};

/* evict_pick returns the peer to close for a newcomer, 0 when all are protected. */
uint32_t evict_pick(const struct net_dice *dice, const struct evict_peer *peers, uint32_t cnt);

#endif
