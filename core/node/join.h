/* join.h - a node without a chain takes the state of a recent block from its peers instead of executing every block.
 *
 *     look       peers say which snapshots they hold (core/node/offer.h); the newest that is not known to be bad is taken
 *     manifest   a blob. Its block must be final by the validators that follow from those trusted, else who offered it is to blame
 *     parts      chunks of rows, each a list proof under that block's state root, checked as it comes; and the bodies of the last ten minutes, from
 *                the last to the first, each checked by the block above it. From all peers that have them (core/net/share.h); one that is not what
 *                the manifest should say condemns the manifest
 *     restore    aside: a journal and a checkpoint in the home, moved to their place when everything leads to the block
 *
 * Trust begins at the genesis, or at a block whose hash the owner gave: a peer names its validators. What has come stays among the blobs of the
 * home, so that who is killed begins where it was (core/node/join_kept.h). What only takes time is waited for, and said: a full disk, a source that is
 * gone, a trusted block that nobody knows. */
#ifndef QN_CORE_NODE_JOIN_H
#define QN_CORE_NODE_JOIN_H

#include "core/net/share.h"
#include "core/node/aside.h"
#include "ledger/state/chain.h"

struct join;

enum join_end {
    JOIN_RESTORED, /* the home has its chain: open it */
    JOIN_BLOCKS,   /* no snapshot is to be had, and peers have all blocks */
    JOIN_FAILED,   /* the disk, or the system: why tells */
};

struct join_conf {
    struct event_base *base;
    const struct qn_env *env;
    struct qn_host *host; /* closed before join_close */
    struct share *share;
    struct aside *aside;
    const char *home;
    uint64_t map_gib;
    struct qn_hash chain;
    uint32_t fast_ppm; /* of the genesis */
    bool pinned;       /* trust begins at this block, not at the genesis */
    struct qn_hash trust;
    uint64_t trust_height;
    bool patient; /* waits for a snapshot for ever: never JOIN_BLOCKS */
    void *arg;
    void (*log)(void *arg, const char *line);
    void (*end)(void *arg, enum join_end how, qn_rc rc, const struct qn_why *why); /* once */
};

QN_CHECK qn_rc join_open(const struct join_conf *conf, struct join **ret, struct qn_why *why);
/* join_turn is called when a fetch or the restoring moved; by itself it looks ten times a second. */
void join_turn(struct join *j);
/* join_detach stops; join_close, once the host is gone, frees. */
void join_detach(struct join *j);
void join_close(struct join *j);

struct join_info {
    const char *stage; /* "looking for a snapshot", ... */
    uint64_t height;   /* of the block, 0: not chosen */
    uint64_t done, total, bytes, bytes_total;
    uint32_t offers, refused; /* peers that offer one; offers that were not what they should be */
    uint32_t put_off,
        proven;        /* offers that came to nothing for now; pieces of bodies that are proven */
    uint32_t work_max; /* parts touched in one turn, at most */
};
#define JOIN_TEXT 260
struct join_info join_info(const struct join *j);
/* join_text tells it to people: "snapshot of block 812: 37 of 120 parts, 82.1 MB". */
void join_text(const struct join *j, char dst[JOIN_TEXT]);

#endif
