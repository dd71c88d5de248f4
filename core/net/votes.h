/* votes.h - votes kept together until, at the end of a turn of the loop, they might decide something, or one has waited for a millisecond: their
 * signatures cost a fraction side by side. And certificates that came behind them, of which nothing is left to check when they are of these votes.
 *
 * What is no news is said at once and keeps nobody's place: it costs nothing to make, and gossip holds few that wait (32 of a peer, 256 of all). For
 * the same reason a full desk does not wait for the end of the turn. */
#ifndef QN_CORE_NET_VOTES_H
#define QN_CORE_NET_VOTES_H

#include "ledger/sync/replica.h"
#include "net/gossip/gossip.h"

#define VOTE_LEN  112 /* a message: kind, vote (docs/why/consensus.md) */
#define VOTES_US  1000
#define VOTES_MAX 32 /* of one turn, then they are taken: PENDING_PEER of net/gossip */

struct event_base;
struct votes;

struct votes_conf {
    struct event_base *base;
    void *arg;
    bool (*news)(void *arg, struct qn_span message); /* whether its signature is worth a look */
    /* Whether they are worth a look yet. */
    bool (*decide)(void *arg, const struct qn_heard *list, unsigned cnt);
    /* Sets the verdict of each, and tells gossip by its handle. */
    void (*take)(void *arg, struct qn_heard *list, const uint64_t *handles, unsigned cnt);
};

struct votes *votes_new(const struct votes_conf *conf);
void votes_free(struct votes *votes); /* NULL is welcome; those that wait are forgotten */

/* votes_fit says whether a message of gossip is for votes_keep, which answers GOSSIP_LATER, or GOSSIP_IGNORE to what is no news. */
bool votes_fit(const struct votes *votes, struct qn_span message);
enum gossip_verdict votes_keep(struct votes *votes, uint32_t peer, uint64_t handle,
                               struct qn_span message);

/* votes_look says that something else happened, with which they may decide. */
void votes_look(struct votes *votes);

#endif
