/* coded.h - large messages of a validator to many peers as signed pieces (net/gossip/shard.h): the sender's uplink carries each byte twice,
 * whatever the number of peers, where sending it whole would carry it once a peer.
 *
 *     /quoin/<8 hex>/shard/1        frames: u8 way | a piece. way 0: pass it on to all, once it holds; 1: passed on
 *
 * A peer's piece is passed on once, after its path and its signature held, and only to peers it did not come from; so a piece travels two
 * hops, and a liar's does not travel at all. What does not arrive is asked for whole, as any block that votes name (ledger/sync). */
#ifndef QN_CORE_NET_CODED_H
#define QN_CORE_NET_CODED_H

#include "net/gossip/shard.h"
#include "net/libp2p/host.h"

#define QN_CODED_PEERS                                                                             \
    8u /* below, whole messages cost less: one hop, and at most four times the bytes */

struct qn_coded;

struct qn_coded_conf {
    struct qn_host *host; /* must outlive it */
    struct qn_hash chain;
    const struct qn_key *key; /* signs what this node sends; borrowed, NULL: sends nothing */
    void *arg;
    /* leader gives the key that may send in a view; false: not known here. */
    bool (*leader)(void *arg, uint32_t epoch, uint64_t view, struct qn_hash *ret);
    uint64_t (*view)(void *arg); /* the present one */
    /* A message is whole, and what its signed root says; lent. peer brought its last piece, and need not be who made it. */
    void (*on_message)(void *arg, uint32_t peer, struct qn_span message);
};

QN_CHECK qn_rc qn_coded_open(const struct qn_coded_conf *conf, struct qn_coded **ret,
                             struct qn_why *why);
void qn_coded_close(struct qn_coded *c);

/* qn_coded_cast sends a message of this view; false, and nothing sent, where it would not pay: a short message, few peers, no key. */
QN_CHECK bool qn_coded_cast(struct qn_coded *c, uint32_t epoch, uint64_t view,
                            struct qn_span message);

/* qn_coded_roots visits what proves that a leader signed two roots in one view, as evidence.roots takes it. */
struct evidence_roots; /* ledger/state/stake.def */
void qn_coded_roots(const struct qn_coded *c,
                    void (*visit)(void *arg, const struct evidence_roots *roots), void *arg);

uint32_t qn_coded_peer_cnt(const struct qn_coded *c);

struct qn_coded_stat {
    uint64_t sent, rebuilt, relayed, split, twins;
};
struct qn_coded_stat qn_coded_stat(const struct qn_coded *c);

#endif
