/* kad.h - the distributed hash table of a node: finds peers by id and providers by content key, and answers others. A machine: messages
 * and time in, messages out through kad_ops; it opens no stream and reads no clock.
 *
 * /quoin/NET/kad/1.0.0 is libp2p's Kademlia (specs/kad-dht) but for this: values are not kept (PUT_VALUE is refused: names belong on
 * the ledger), a peer may provide for itself alone, searches run three disjoint paths, and tables are filled by network group. */
#ifndef QN_NET_LIBP2P_KAD_H
#define QN_NET_LIBP2P_KAD_H

#include "net/libp2p/kad_find.h"
#include "net/libp2p/kad_store.h"
#include "net/libp2p/kad_table.h"

#define KAD_ASK_MS       10000
#define KAD_SEARCHES     16   /* at once */
#define KAD_OWN_MAX      4096 /* keys that we provide */
#define KAD_REPUBLISH_MS (22 * UINT64_C(3600000))
#define KAD_REFRESH_MS   300000

struct kad;

struct kad_ops {
    void *arg;
    /* Carry a message to a peer; answer with kad_answer or kad_fail of that query, later. one_way: it will not answer, and
     * nothing is to be told. */
    void (*ask)(void *arg, uint32_t query, const struct kad_peer *peer, struct qn_span message,
                bool one_way);
    /* A peer was named to us by `source`; for the address book. NULL: not interested. */
    void (*heard)(void *arg, const struct kad_peer *peer, const struct net_ip *source);
    /* Fill in a connected peer that the table may lack (it serves no table). NULL: none. */
    bool (*find)(void *arg, struct qn_span id, struct kad_peer *ret);
};

struct kad_conf {
    struct qn_peer_id self;
    struct qn_hash seed; /* secret */
    bool server;         /* answers others: can be reached by them */
    bool private;        /* the network is a house or a machine: private addresses are good */
    uint32_t paths;      /* 0: KAD_PATHS */
    uint32_t record_max; /* 0: KAD_RECORD_MAX */
    struct kad_ops ops;
};

/* A search found something (done false) or ended. f is lent for the call; no search may be stopped in it. */
typedef void kad_search_fn(void *arg, const struct kad_find *f, bool done);

struct kad *kad_new(const struct kad_conf *conf) QN_GIVES;
void kad_free(struct kad *kad); /* searches end without a word */

void kad_server_set(struct kad *kad, bool server);
/* Where we can be reached, for provider records. */
void kad_self_set(struct kad *kad, const struct kad_addr *addrs, uint32_t cnt);

/* kad_hello: a connected peer says that it serves the table (identify). */
void kad_hello(struct kad *kad, const struct kad_peer *peer, const struct net_ip *ip,
               uint64_t now_ms);

/* kad_serve answers a request: the reply is appended to `reply`, nothing for those that have none. An error means: reset the stream;
 * QN_E_REFUSED (PUT_VALUE) is no offence, QN_E_LIMIT neither; others are. */
QN_CHECK qn_rc kad_serve(struct kad *kad, const struct qn_peer_id *from, struct qn_span request,
                         uint64_t now_ms, struct qn_buf *reply);

/* The end of a query. ip is where the peer answered from. An answer that cannot be read is a failure, and returned as its error. */
QN_CHECK qn_rc kad_answer(struct kad *kad, uint32_t query, const struct net_ip *ip,
                          struct qn_span answer, uint64_t now_ms);
void kad_fail(struct kad *kad, uint32_t query, uint64_t now_ms);

/* kad_search starts a search: FIND_NODE of a peer id (or any key: what lies near it) or GET_PROVIDERS of a key. want 0: look
 * everywhere. fn NULL: for the table's sake. Returns a number for kad_stop, 0 when too many run. */
uint32_t kad_search(struct kad *kad, enum kad_type type, struct qn_span key, uint32_t want,
                    kad_search_fn *fn, void *arg, uint64_t now_ms);
/* kad_stop ends a search without a word to its fn; one that is over already is fine. */
void kad_stop(struct kad *kad, uint32_t search);

/* kad_provide says that we have what key (a multihash) names, now and every 22 h. QN_E_LIMIT, QN_E_TOOBIG. */
QN_CHECK qn_rc kad_provide(struct kad *kad, struct qn_span key, uint64_t now_ms);
void kad_unprovide(struct kad *kad, struct qn_span key);

/* kad_turn ends what is late, refreshes, publishes; call it every second or so. */
void kad_turn(struct kad *kad, uint64_t now_ms);

struct kad_info {
    uint32_t peers, records, own, searches, queries;
};
struct kad_info kad_info(const struct kad *kad);
const struct kad_table *kad_peers(const struct kad *kad);

#endif
