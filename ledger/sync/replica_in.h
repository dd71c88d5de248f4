/* replica_in.h - inside of a replica, shared by its files: replica.c holds it together, replica_bft.c does what consensus asks for, replica_msg.c
 * takes what peers say, replica_sync.c catches up, replica_fork.c sees chains that part. */
#ifndef QN_LEDGER_SYNC_REPLICA_IN_H
#define QN_LEDGER_SYNC_REPLICA_IN_H

#include "ledger/bft/bft.h"
#include "ledger/pool/pool.h"
#include "ledger/sync/replica.h"

enum kind {
    SAY_STATUS = 1,
    SAY_TXS,
    SAY_VOTE,
    SAY_CERT,
    SAY_PROPOSAL,
    SAY_WANT,
    SAY_GET,
    SAY_BLOCKS,
};

#define SLOTS     4          /* requests for final blocks on their way */
#define GET_MAX   128        /* blocks of one, */
#define GET_BYTES (6u << 20) /* and bytes */
/* The last; one of a signer and epoch is enough to bar it, and so nobody fills them alone. */
#define EVIDENCE_MAX 256
#define PLEDGE_MAX                                                                                 \
    4 /* votes of one frame; each stands on one block and one certificate at most: qn_pledge has room for all */
#define DECODE_MAX (64u << 20)

/* A proposal that is held. */
struct body {
    struct body *next;
    struct qn_hash hash;
    struct qn_bft_block b;
    struct qn_parcel *parcel;
    bool pledged; /* the journal has it */
    bool mine;    /* made here, and not cast yet: that waits for the vote to be synced */
};

struct peer {
    uint32_t no;
    bool met; /* its status came */
    bool
        lied; /* blocks that it gave did not hold, and were looked at when another's came: its next status tells */
    uint64_t height, oldest; /* oldest: the first block that it still has */
    uint64_t spent_ms; /* monotonic: until here its questions have used up what it may cost us */
    struct sync_want wants[SLOTS]; /* questions that wait for that */
    struct sync_get gets[SLOTS];
    uint8_t want_cnt, get_cnt;
    uint8_t late; /* answers in a row that did not come in time, or had less than was said */
    uint8_t owes; /* blocks that votes name, asked for since it brought one that was news */
    bool gave;    /* as much as was asked for, once, and nothing since that did not hold */
};

/* A stretch of final blocks asked for, and the answer until what lies before it is here. */
struct slot {
    uint64_t from, until_ms;
    uint16_t cnt;
    uint32_t peer;
    bool quick, poor; /* it came in half the time; it has fewer blocks than were asked for */
    struct qn_buf answer;
};

struct evidence {
    struct qn_vote a, b;
};

struct qn_replica {
    struct qn_replica_conf conf;
    struct qn_chain *chain;
    struct qn_bft *bft;
    struct qn_pool *pool;
    struct qn_set set;  /* of the epoch that `bft` decides in */
    int number;         /* ours in the set, -1 */
    bool twin;          /* our key voted elsewhere */
    bool silent;        /* told to sign nothing */
    bool listening;     /* for that, after a start */
    uint64_t listen_ms; /* since when somebody is there to be heard; 0: nobody was */
    struct body *bodies;
    struct peer *peers;
    uint32_t peer_cnt, peer_cap, turn_peer, serve_peer;
    uint64_t spent_ms; /* as a peer's, of all together */
    struct slot slots[SLOTS];
    uint64_t gives;     /* qn_replica_gives, while that is kept */
    uint64_t behind_ms; /* since when a peer has more; 0: none has */
    bool asked;         /* consensus waits for the block that `ask` describes */
    bool fresh;         /* the pool has something that was not tried for it */
    struct qn_bft_action ask;
    uint64_t ask_ms, due_ms; /* monotonic: since when; when a block may be empty */
    uint64_t status_ms, recast_ms, expire_ms;
    struct qn_hash waits; /* the transaction that was the oldest at recast_ms */
    struct qn_buf batch;  /* transactions to cast: Borsh, one after the other */
    uint32_t batch_cnt;
    uint64_t batch_ms;                       /* monotonic, of the last */
    struct qn_bft_action pledge[PLEDGE_MAX]; /* votes to journal */
    struct qn_cert *pledge_cert[PLEDGE_MAX];
    unsigned pledge_cnt, pledge_cert_cnt;
    struct evidence *evidence;
    struct evidence_twins *twins;
    uint64_t evidence_cnt, twins_cnt; /* ever */
    struct qn_past past;
    struct qn_fork *fork; /* NULL: none was shown */
    qn_rc rc;             /* what the disk said: nothing goes on */
    struct qn_why why;
};

uint64_t qn_replica_now_ms(const struct qn_replica *r);
uint64_t qn_replica_mono_ms(const struct qn_replica *r);
uint64_t qn_replica_head_height(const struct qn_replica *r);
void qn_replica_failed(struct qn_replica *r, qn_rc rc, const struct qn_why *why);
struct qn_span qn_replica_say(struct qn_buf *buf, enum kind kind, const struct qn_record *rec,
                              const void *obj);
bool qn_replica_alone(const struct qn_replica *r);
void qn_replica_cast(struct qn_replica *r, enum qn_class class, enum kind kind,
                     const struct qn_record *rec, const void *obj);
void qn_replica_send(struct qn_replica *r, uint32_t peer, enum qn_class class, enum kind kind,
                     const struct qn_record *rec, const void *obj);
void qn_replica_say_status(struct qn_replica *r, const uint32_t *peer);
struct body *qn_replica_body_find(const struct qn_replica *r, const struct qn_hash *hash);
void qn_replica_prune_bodies(struct qn_replica *r);
struct body *qn_replica_body_put(struct qn_replica *r, const struct qn_bft_block *block,
                                 struct qn_parcel *parcel QN_TAKES);
struct qn_bft_block qn_replica_known(const struct qn_replica *r, const struct qn_header *h);
/* Adds the certificates that b's place rests on, as long as there is room; others were cast when they were made. */
void qn_replica_add_certs(const struct qn_replica *r, const struct qn_bft_block *b,
                          uint64_t parent_view, struct qn_proposal *p, struct qn_cert *dst,
                          uint32_t max);
/* Every signature in the block; those of a transaction that the pool holds to the last byte were checked when it came. */
/* Of several blocks side by side; *ret_good is how many from the first on are right. */
qn_rc qn_replica_check_txs(const struct qn_replica *r, struct qn_parcel *const parcels[],
                           uint32_t block_cnt, uint32_t *ret_good, struct qn_why *why);
void qn_replica_on_block(void *arg, const struct qn_frame *f, const struct qn_hash *hash);
void qn_replica_forget_pledge(struct qn_replica *r);
/* As whom we speak: our number, once and as long as we may; else -1. */
int qn_replica_self(const struct qn_replica *r);
/* Signs nothing from here on, and takes back what has not left. */
void qn_replica_mute(struct qn_replica *r);
/* Begins to decide with the chain's present set, on its head, which cert made final (NULL: not known here). */
void qn_replica_begin_bft(struct qn_replica *r, const struct qn_cert *cert);
/* The head ended its epoch: what waited in the old one was never said, and need not be. */
void qn_replica_next_epoch(struct qn_replica *r, const struct qn_cert *cert);
void qn_replica_note_past(struct qn_replica *r);
void qn_replica_on_evidence(struct qn_replica *r, const struct qn_vote *a, const struct qn_vote *b);
void qn_replica_drain(struct qn_replica *r);
/* Of a view that is over here: news only when it makes something else final. */
enum qn_verdict qn_replica_on_late_cert(struct qn_replica *r, const struct qn_cert *cert,
                                        struct qn_why *why);
/* A stretch that begins above the head but not on it. Its links and its last certificate may hold all the same: then who gave it is asked for what
 * it has in the head's place. */
void qn_replica_look_fork(struct qn_replica *r, uint32_t from, const struct sync_block *blocks,
                          uint32_t cnt, struct qn_why *why);
/* What look_fork asked for, or an answer that came too late. */
enum qn_verdict qn_replica_on_other_blocks(struct qn_replica *r, const struct sync_blocks *m,
                                           struct qn_why *why);
/* Those of calls: sets all but tx in each. */
void qn_replica_pool_txs(struct qn_replica *r, struct qn_submit *list, size_t cnt);
struct peer *qn_replica_peer_find(struct qn_replica *r, uint32_t no);
void qn_replica_slot_clear(struct slot *s);
/* The height of whoever has most, of those that gave what they said they have. */
uint64_t qn_replica_most(const struct qn_replica *r);
/* The first block that any peer with more blocks than are here still has; 0: there is no such peer. */
uint64_t qn_replica_oldest(const struct qn_replica *r);
/* The first block that peers can be given: of what is kept, where an epoch begins whose blocks have a certificate of its voters behind them. A
 * snapshot brings the blocks of ten minutes and one certificate, which nobody an epoch behind could check. */
uint64_t qn_replica_gives(const struct qn_replica *r);
void qn_replica_find_gives(struct qn_replica *r);
/* The set of an epoch that the head's state knows: the present one or the next. */
bool qn_replica_set_of(struct qn_replica *r, uint32_t epoch, struct qn_set *ret);
/* The verdict is on `from`, whose message it is that made them ready; another who lied is noted. */
enum qn_verdict qn_replica_take_answers(struct qn_replica *r, uint32_t from, struct qn_why *why);
enum qn_verdict qn_replica_on_status(struct qn_replica *r, uint32_t from,
                                     const struct sync_status *s, struct qn_why *why);
/* Blocks up to the next one with a certificate of its own, and so on to `cnt` or the bytes of a message. */
void qn_replica_on_get(struct qn_replica *r, uint32_t from, const struct sync_get *get);
/* Puts a transaction among those that are cast next. */
void qn_replica_batch(struct qn_replica *r, struct qn_span tx);
/* The same for what is not final yet: a proposal, or certificates. */
void qn_replica_on_want(struct qn_replica *r, uint32_t from, const struct sync_want *want);
/* Answers what waits and may be answered now; true: some wait on. */
bool qn_replica_serve(struct qn_replica *r);
enum qn_verdict qn_replica_on_blocks(struct qn_replica *r, uint32_t from, struct qn_span payload,
                                     const struct sync_blocks *m, struct qn_why *why);

#endif
