/* kad_find.h - one search through the hash table, on three paths that share no peer (Baumgart and Mies, "S/Kademlia", 2007): a bad peer
 * leads astray the path that it is on and no other. Nothing that a peer says is believed: an answer only adds to whom else to ask, and
 * what was found is tried by who searches (the id of who answers a dial is proven there). */
#ifndef QN_NET_LIBP2P_KAD_FIND_H
#define QN_NET_LIBP2P_KAD_FIND_H

#include "net/libp2p/kad_wire.h"

#define KAD_PATHS      3
#define KAD_ALPHA      10 /* questions at once, over all paths */
#define KAD_LIST       32 /* candidates of a path: those farther than 32 others are forgotten */
#define KAD_ENOUGH     8 /* a path ends when its 8 nearest have answered: 24 in all, a bucket's worth */
#define KAD_GROUP_PATH 3 /* candidates of one network group on a path */
#define KAD_ASKS_MAX                                                                               \
    40 /* questions of one path: an answer that always names somebody nearer ends too */
#define KAD_FOUND_MAX 128 /* providers, or addresses of the peer sought */
#define KAD_FOUND_ONE 4   /* taken from one answer, so that a liar does not fill the list */

enum kad_state { KAD_NEW, KAD_ASKED, KAD_DONE, KAD_FAILED };

struct kad_candidate {
    struct kad_peer peer;
    struct qn_hash key;
    enum kad_state state;
};

struct kad_path {
    uint32_t cnt, asks, running;
    struct kad_candidate list[KAD_LIST]; /* nearest first */
};

struct kad_find {
    enum kad_type type; /* KAD_FIND_NODE, KAD_GET_PROVIDERS */
    uint8_t key_len, key[KAD_KEY_MAX];
    struct qn_hash target;
    struct qn_peer_id self;
    uint32_t path_cnt, want; /* want: enough found; 0: all that can be found */
    struct kad_path path[KAD_PATHS];
    uint32_t found_cnt;
    struct kad_peer
        found[KAD_FOUND_MAX]; /* providers, or what was said of the peer sought (once an address) */
};

/* kad_find_init starts from peers known (nearest first), dealt out over the paths. paths 0: KAD_PATHS. */
void kad_find_init(struct kad_find *f, enum kad_type type, struct qn_span key,
                   const struct qn_peer_id *self, uint32_t paths, uint32_t want,
                   const struct kad_peer *start, uint32_t start_cnt);
/* kad_find_next gives somebody to ask now; false when enough run or nobody is left. */
QN_CHECK bool kad_find_next(struct kad_find *f, struct kad_peer *ret);
/* What became of it. Answers from peers that were not asked are ignored. */
void kad_find_answer(struct kad_find *f, const struct qn_peer_id *from,
                     const struct kad_message *m);
void kad_find_fail(struct kad_find *f, const struct qn_peer_id *from);
/* kad_find_done: nobody is left to ask and nobody owes an answer, or enough was found. */
bool kad_find_done(const struct kad_find *f);
/* kad_find_near copies the up to 20 nearest that answered, nearest first. */
uint32_t kad_find_near(const struct kad_find *f, struct kad_peer ret[KAD_K]);

#endif
