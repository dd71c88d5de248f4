/* discover_int.h - the inside of discovery, shared by its files. */
#ifndef QN_NET_LIBP2P_DISCOVER_INT_H
#define QN_NET_LIBP2P_DISCOVER_INT_H

#include "net/libp2p/chain.h"
#include "net/libp2p/discover.h"

#define DISCOVER_SELF      8 /* own addresses that others told us of */
#define DISCOVER_JOINS     8
#define DISCOVER_EXTRA     64 /* connections that exist for the hash table's questions alone */
#define DISCOVER_USEFUL    512
#define DISCOVER_PX        2  /* dials at once of peers that others named (peer exchange) */
#define DISCOVER_PX_ENOUGH 16 /* peers; who has these need not be told of more: twice the mesh */
#define DISCOVER_SHUN      64 /* addresses at which another chain was met */

struct discover_join {
    char addr[QN_MADDR_TEXT];
    bool running;
};

/* One that we dialled by choice and that has yet to say of which chain it is. */
struct discover_meet {
    uint32_t peer;
    bool fresh; /* our dial made the connection */
    struct net_addr addr;
    uint64_t end_ms;
};

struct discover_shun {
    struct net_addr addr;
    uint64_t until_ms;
};

/* When a peer last brought something new. */
struct discover_useful {
    uint32_t peer;
    uint64_t block_ms, tx_ms;
};

/* One thing under way that the host will call back about; d NULL: nobody waits any more. */
struct discover_work {
    struct qn_discover *d;
    struct discover_work *next, **at;
    void (*drop)(
        struct discover_work *work); /* when discovery closes; NULL: who calls back frees it */
};

struct asking;

struct qn_discover {
    struct qn_discover_conf conf;
    char *book_path;
    struct addrbook *book;
    struct outbound out;
    struct kad *kad;
    struct net_dice dice;
    struct event *timer;
    struct qn_host_watch watch;
    uint64_t start_ms,
        start_us; /* wall and monotonic clock at the start: times here never go back */
    uint64_t save_ms, join_ms;
    bool serving;
    char chain[QN_CHAIN_HEX];
    uint32_t self_cnt, join_cnt, extra_cnt, meet_cnt, shun_next, px_cnt;
    struct discover_meet meet[OUTBOUND_SLOTS];
    struct discover_shun shun[DISCOVER_SHUN]; /* the oldest makes room */
    struct net_addr self[DISCOVER_SELF];
    struct discover_join join[DISCOVER_JOINS];
    uint32_t extra[DISCOVER_EXTRA]; /* peers, the oldest first */
    struct discover_useful useful[DISCOVER_USEFUL];
    struct discover_work *works;
    struct asking *asks; /* to be started by `soon` */
    struct event *soon;
};

uint64_t discover_now(const struct qn_discover *d);
/* Work is linked in when it starts and unlinked when it ends or when discovery does. */
void discover_begin(struct qn_discover *d, struct discover_work *work);
void discover_end(struct discover_work *work);

struct net_addr discover_addr(const struct qn_endpoint *e);
/* A connection made for a question; the oldest that serves nothing else goes when there are many. */
void discover_extra(struct qn_discover *d, uint32_t peer);

/* discover_ask.c: the hash table's streams. discover_dial is qn_discover_dial whose fn hears of the end after a close, too. */
void discover_dial(struct qn_discover *d, const struct kad_peer *peer, qn_discover_peer_fn *fn,
                   void *arg);
void discover_ask(void *d, uint32_t query, const struct kad_peer *peer, struct qn_span message,
                  bool one_way);
void discover_asks(struct qn_discover *d, bool drop); /* starts, or drops, those that wait */
QN_CHECK qn_rc discover_serve(struct qn_discover *d);

#endif
