/* replica.h - one member of the network: its chain, its pool, consensus and sync, as a machine over messages. It holds no socket and
 * no clock of its own: who drives it (core/node over libp2p, tests/sim over a world in virtual time) tells it who is there, hands it
 * what they say, calls qn_replica_turn when asked to, and carries away what it wants said.
 *
 * A message is one Borsh value, `kind u8 | record`, of at most QN_MESSAGE_MAX bytes; records and limits are in ledger/sync/sync.def.
 *
 *     cast (to everybody, relayed by others once they hold it valid)     tx | vote | cert | proposal
 *     sent (to one peer)                                                 status | want | blocks | the same as above again
 *
 * A network of one is its smallest case: no peer, nothing said, the same code. */
#ifndef QN_LEDGER_SYNC_REPLICA_H
#define QN_LEDGER_SYNC_REPLICA_H

#include "ledger/state/chain.h"
#include "ledger/sync/fork.h"

#include "core/schema/declare.h"
#include "ledger/sync/sync.def"

#define QN_MESSAGE_MAX (8u << 20)

/* What goes first on a crowded link. */
enum qn_class {
    QN_CLASS_CONTROL, /* status */
    QN_CLASS_VOTE,    /* votes, proposals, certificates that are said again */
    QN_CLASS_CERT, /* certificates: most make them of the votes, so that who passes them on may be few */
    QN_CLASS_BLOCK,
    QN_CLASS_TX,
    QN_CLASS_REQUEST, /* blocks for who is behind */
    QN_CLASS_COUNT
};

/* The links of a replica. Peers are numbers that the owner gives; messages are lent for the call. */
struct qn_wire {
    void *self;
    void (*send)(void *self, uint32_t peer, enum qn_class class, struct qn_span message);
    void (*cast)(void *self, enum qn_class class, struct qn_span message);
};

/* What became of a message that was cast: whether others should have it, and what is thought of who sent it. */
enum qn_verdict {
    QN_ACCEPT, /* pass it on */
    QN_IGNORE, /* late, known, or of what is not known here: no harm, no relay */
    QN_REJECT, /* no honest peer says this: why tells */
};

struct qn_replica;

struct qn_replica_conf {
    struct qn_chain_conf chain;
    const struct qn_key *validator; /* borrowed; NULL: follows, makes no block */
    struct qn_wire wire;            /* send NULL: a network of one */
    uint64_t block_ms;              /* an empty block this often; 0: 500 */
    bool hold; /* hears where peers stand, and no more: the state comes by another way */
    int bug;   /* enum qn_bft_bug, in simulations */
    bool
        deaf; /* votes on though its key votes elsewhere: planted bugs of simulations would hide behind the rule */
};

QN_CHECK qn_rc qn_replica_open(const struct qn_replica_conf *conf, struct qn_replica **ret,
                               struct qn_why *why);
/* qn_replica_close checkpoints and lets go. */
void qn_replica_close(struct qn_replica *r);

/* A peer that passed the handshake is there (up), or gone. */
void qn_replica_peer(struct qn_replica *r, uint32_t peer, bool up);
/* qn_replica_recv takes a message of `peer`. */
enum qn_verdict qn_replica_recv(struct qn_replica *r, uint32_t peer, struct qn_span message,
                                struct qn_why *why);

/* A message that came, and what became of it. */
struct qn_heard {
    uint32_t peer;
    struct qn_span message; /* lent for the call */
    enum qn_verdict verdict;
    struct qn_why why;
};

/* qn_replica_vote_news says whether a message is a vote whose signature is worth a look: well-formed, of the set, of a view that matters, not heard. */
bool qn_replica_vote_news(const struct qn_replica *r, struct qn_span message);

/* qn_replica_recv_many takes messages in their order. Signatures of the votes among them are checked side by side, each for itself: a bad one costs who
 * sent it and nobody else. */
void qn_replica_recv_many(struct qn_replica *r, struct qn_heard *list, size_t cnt);
/* qn_replica_decides says whether these might change what consensus does, or are as many as are checked for the price of one: false for a few votes
 * that are too light with all that is known, which may wait a moment for others. */
QN_CHECK bool qn_replica_decides(const struct qn_replica *r, const struct qn_heard list[],
                                 size_t cnt);

/* A transaction on its way in: tx (Borsh, lent for the call) is the caller's, the rest is what became of it. */
struct qn_submit {
    struct qn_span tx;
    qn_rc rc;
    bool fresh; /* it was not known */
    struct qn_hash id;
    struct qn_why why;
};

/* qn_replica_submit_many checks transactions, pools and casts those that are good: each has its own verdict, and all together cost much less than
 * one by one. One known already is QN_OK again. */
void qn_replica_submit_many(struct qn_replica *r, struct qn_submit *list, size_t cnt);
/* qn_replica_submit is the same of one. */
QN_CHECK qn_rc qn_replica_submit(struct qn_replica *r, struct qn_span tx, struct qn_hash *ret_id,
                                 struct qn_why *why);

/* qn_replica_turn does what time has made due; *ret_wait_ms is when to call again (after each recv and submit it may be sooner: call
 * it then). An error (disk) is final: close, and open again from what is there. */
QN_CHECK qn_rc qn_replica_turn(struct qn_replica *r, uint64_t *ret_wait_ms, struct qn_why *why);

/* qn_replica_silence lets this validator sign nothing more, and takes back what has not left; or lets it sign again. */
void qn_replica_silence(struct qn_replica *r, bool silent);

/* The chain, at its last final block: reads between two calls never see what is not final. */
struct qn_chain *qn_replica_chain(struct qn_replica *r);
size_t qn_replica_pooled(const struct qn_replica *r);

/* qn_replica_tx says where a transaction is. */
enum qn_tx_where qn_replica_tx(const struct qn_replica *r, const struct qn_hash *id,
                               uint64_t *ret_height);

struct qn_replica_info {
    uint64_t view, height, peer_height; /* peer_height: the most that a peer claims to have */
    uint64_t
        peer_oldest; /* the first block that one with more than we have still has; 0: none is */
    uint32_t peers, validators;
    uint64_t block_ms; /* an empty block this often */
    uint64_t weight, quorum,
        heard;    /* of all validators; what a block needs; whose vote of `view` is here */
    int self;     /* own number in the validator set, -1 */
    bool syncing; /* behind its peers by more than a few blocks */
    bool
        twin; /* our key voted elsewhere: a copy of this home runs, and this one signs no more until it is started again */
};
struct qn_replica_info qn_replica_info(const struct qn_replica *r);

/* qn_replica_leader gives the key of who may propose in a view of the present epoch; false: of another epoch, or before it knows its set. */
QN_CHECK bool qn_replica_leader(const struct qn_replica *r, uint32_t epoch, uint64_t view,
                                struct qn_hash *ret);

/* qn_replica_want asks a peer, each time the next one, for a proposal by its block's hash; false: it is here, or there is nobody. */
bool qn_replica_want(struct qn_replica *r, const struct qn_hash *block);

/* qn_replica_waiting shows every transaction in the pool; lent for the call. */
void qn_replica_waiting(const struct qn_replica *r,
                        void (*visit)(void *to, const struct qn_hash *id, struct qn_span bytes),
                        void *to);

/* qn_replica_evidence visits what proves that a validator voted twice. */
void qn_replica_evidence(const struct qn_replica *r,
                         void (*visit)(void *arg, const struct qn_vote *a, const struct qn_vote *b),
                         void *arg);
/* qn_replica_twins visits what proves that a validator proposed two blocks in one view. */
void qn_replica_twins(const struct qn_replica *r,
                      void (*visit)(void *arg, const struct evidence_twins *twins), void *arg);

/* qn_replica_fork lends what a peer showed that cannot be beside what is final here (ledger/sync/fork.h), NULL when none did. A first one that
 * tells nobody's name gives way to one that does; that stays. */
const struct qn_fork *qn_replica_fork(const struct qn_replica *r);

#endif
