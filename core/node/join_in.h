/* join_in.h - inside of join*.c. */
#ifndef QN_CORE_NODE_JOIN_IN_H
#define QN_CORE_NODE_JOIN_IN_H

#include "core/node/join.h"
#include "core/node/join_kept.h"
#include "core/node/offer.h"
#include "ledger/sync/snapshot.h"

#define JOIN_PEERS_MAX                                                                             \
    384u /* more than a host holds (net/link/limit.def): who comes last is asked, too */
#define JOIN_BAD_MAX   1024u
#define JOIN_LATER_MAX 64u
#define JOIN_AT_ONCE   6u /* parts being fetched */
#define JOIN_BODIES    3u /* of bodies; not further than JOIN_AHEAD before those that are proven */
#define JOIN_AHEAD     4u
#define JOIN_A_TURN    256u /* parts looked at before others have their turn */

enum join_stage {
    JOIN_LOOK,
    JOIN_MANIFEST,
    JOIN_READ,
    JOIN_PARTS,
    JOIN_FULL,
    JOIN_RESTORE,
    JOIN_OVER
};

struct join_peer {
    uint32_t no; /* 0: free */
    struct qn_peer_id id;
    uint64_t asked_ms;
    struct qn_stream *stream; /* of a question under way */
    struct qn_buf in;
    bool answered, lied;
    uint32_t late;    /* times that something it offered did not come */
    bool knows_other; /* a block at the trusted height that is not the trusted one */
    uint64_t first;
    uint32_t cnt;
    struct offer list[OFFER_MAX];
};

struct join_question;

enum join_is { JOIN_MISSING, JOIN_FETCHING, JOIN_HERE };

struct join_part {
    struct qn_part p;
    uint8_t is, misses;
    bool
        ours; /* was not here: this join, in this run or one before, fetched it, and may remove it */
};

/* Whose offers did not come, and how often. */
struct join_tardy {
    struct qn_peer_id id;
    uint32_t times;
};

/* An offer that comes to nothing now and may later: nobody has it, the disk is too small, it is too slow. */
struct join_later {
    struct offer offer;
    uint64_t until_ms;
    uint32_t times;
};

struct join {
    struct join_conf conf;
    char home[1025], proto[64], last[200];
    char waits[230]; /* for what, while it looks */
    enum join_stage stage;
    struct event *tick, *soon;
    struct qn_host_watch watch;
    struct join_peer peers[JOIN_PEERS_MAX];
    struct join_question *questions;
    uint64_t begun_ms, offered_ms, said_ms;
    struct offer bad[JOIN_BAD_MAX];
    struct qn_peer_id liars[JOIN_BAD_MAX];
    struct join_tardy tardy[JOIN_BAD_MAX];
    struct join_later later[JOIN_LATER_MAX];
    uint32_t bad_cnt, liar_cnt, tardy_cnt, later_cnt;
    bool has_set, turning;
    struct qn_set set; /* of the trusted block */
    struct join_kept *kept;
    bool has_before; /* one that was being taken when the node was killed */
    struct qn_hash before;
    struct offer at;  /* the one that is taken */
    uint32_t at_late; /* of the best of those who offer it */
    struct qn_buf manifest;
    struct qn_snapshot sn;
    struct join_part *parts; /* chunks, then bodies */
    bool manifest_ours;
    uint32_t part_cnt, looked, swept, here, said;
    uint32_t busy[JOIN_AT_ONCE], busy_cnt, busy_bodies; /* parts being fetched */
    uint32_t chunk_at;                                  /* no chunk before it is missing */
    uint32_t body_at, body_end, proven_to;              /* of bodies, downwards: see join_parts.c */
    struct qn_link link;                                /* what the next body must end in */
    struct qn_part listed;                              /* the last that was looked at */
    uint64_t bytes, bytes_total, ticket;
    uint64_t window_ms, window_bytes; /* how fast it comes */
    uint64_t full_ms;
    uint32_t full_times;
    enum join_stage full_back; /* where it goes on when there is room */
    uint32_t deaths;           /* of children */
    uint32_t work, work_max;   /* parts touched in this turn, in any */
};

/* join.c */
uint64_t join_now_ms(const struct join *j);
__attribute__((format(printf, 2, 3))) void join_tell(struct join *j, const char *fmt, ...);
void join_end_with(struct join *j, enum join_end how, qn_rc rc, const struct qn_why *why);
/* join_child says what to do about a child that ended with rc and did not do its work for a reason of its own: true: again. */
QN_CHECK bool join_child(struct join *j, qn_rc rc, const struct qn_why *why);

/* join_turn_soon takes another turn once others had theirs. */
void join_turn_soon(struct join *j);

/* join_look.c: peers, and what they offer. */
QN_CHECK bool join_same(const struct offer *a, const struct offer *b);
void join_look(struct join *j);
/* join_others asks peers as it does while it looks, and says whether another snapshot than this one could be taken. */
QN_CHECK bool join_others(struct join *j);
void join_watch(struct join *j);
void join_unwatch(struct join *j);
void join_peers_fini(struct join *j);
/* join_condemn: it is not what it says; not taken again, and who offers it is scored and not listened to. join_put_off: not now. Both go back to
 * looking. */
void join_condemn(struct join *j, const char *what);
void join_put_off(struct join *j, uint64_t ms, bool slip, const char *what);

/* join_parts.c */
void join_manifest_fetch(struct join *j);
void join_manifest_read(struct join *j);
void join_parts_turn(struct join *j);
void join_full_turn(struct join *j);
void join_drop(struct join *j);
/* join_remove_ours removes what was fetched for this manifest and proves nothing. */
void join_remove_ours(struct join *j);
/* join_stop_ours ends what is under way, so that it takes no other's place. */
void join_stop_ours(struct join *j);
void join_remove(const struct join *j, const struct qn_hash *id);
uint64_t join_size_here(const struct join *j, const struct qn_hash *id);
void join_full(struct join *j);
/* join_to_blame says whether only bytes that are not what they should be end so. */
QN_CHECK bool join_to_blame(qn_rc rc);

/* join_restore.c */
void join_restore_begin(struct join *j);
void join_restore_wait(struct join *j);

#endif
