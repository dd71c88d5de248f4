/* compact_net.h - long proposals over the mesh as the ids of their transactions (net/gossip/compact.h); what a pool lacks is asked of who sent
 * them, where that does not come of a second peer, and then the block is asked for whole (ledger/sync), each for well under a second. Nothing
 * is believed of a guess: what is put together must have the body root that the header names, else all that was guessed is asked for.
 *
 *     topic compact               a proposal without its transactions as head, their ids
 *     /quoin/<8 hex>/blocktx/1    u32 len | block, indices -> u8 0 | u32 len | block, transactions; or u8 3 | u32 0: not here */
#ifndef QN_CORE_NET_COMPACT_NET_H
#define QN_CORE_NET_COMPACT_NET_H

#include "ledger/sync/replica.h"
#include "net/gossip/gossip.h"
#include "net/libp2p/host.h"

struct event_base;
struct qn_compact;

struct qn_compact_conf {
    struct event_base *base;
    const struct qn_env *env;
    struct qn_host *host; /* closed before qn_compact_close */
    struct qn_hash chain;
    void *arg;
    /* pool visits the transactions that wait here. */
    void (*pool)(void *arg, void (*visit)(void *to, const struct qn_hash *id, struct qn_span bytes),
                 void *to);
    /* leader gives the key that may propose in a view; false: not known here. */
    bool (*leader)(void *arg, uint32_t epoch, uint64_t view, struct qn_hash *ret);
    /* A proposal (a message of ledger/sync) put together; lent. */
    enum qn_verdict (*on_message)(void *arg, uint32_t peer, struct qn_span message);
    /* whole asks a peer, each time the next one, for a block; false: it is here, or not wanted any more. */
    bool (*whole)(void *arg, const struct qn_hash *block);
    /* What became of a message that qn_compact_take put off. */
    void (*verdict)(void *arg, uint64_t handle, enum gossip_verdict verdict);
};

QN_CHECK qn_rc qn_compact_open(const struct qn_compact_conf *conf, struct qn_compact **ret,
                               struct qn_why *why);
/* qn_compact_detach gives up what is under way; then the host may be closed, then this. */
void qn_compact_detach(struct qn_compact *c);
void qn_compact_close(struct qn_compact *c);

/* qn_compact_make appends the short form of a proposal (a message of ledger/sync) to ret, and keeps the proposal for who asks; false: none,
 * or made before. */
QN_CHECK bool qn_compact_make(struct qn_compact *c, struct qn_span message, struct qn_buf *ret);

/* qn_compact_take judges a message of the topic; GOSSIP_LATER: verdict will come, within two seconds. */
enum gossip_verdict qn_compact_take(struct qn_compact *c, uint32_t peer, uint64_t handle,
                                    struct qn_span data);

struct qn_compact_stat {
    uint64_t made, made_bytes, whole_bytes; /* ours: short form, and what it stands for */
    uint64_t built, asked, filled,
        failed; /* others': put together; transactions asked for; got; given up */
};
struct qn_compact_stat qn_compact_stat(const struct qn_compact *c);

#endif
