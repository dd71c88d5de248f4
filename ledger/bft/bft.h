/* bft.h - consensus as a pure machine: input in, actions out; no clock, disk or socket of its own, so that one process runs a whole
 * network from one seed. The protocol is Kudzu (DISC 2025, arXiv 2505.08771) with one set of votes:
 *
 *     FIRST(v, x)      once a view: the leader's block, when its parent is certified, the views between are certified as nothing and
 *                      the body is held and valid; or NOTHING when the timer ran out
 *     EXTRA(v, b)      WEAK of FIRST for b, b held and valid, b not voted yet, no FINAL sent in v
 *     EXTRA(v, NOTHING) FIRST of others than the strongest block weigh WEAK, not voted yet, no FINAL sent in v
 *     CERT(v, x)       FIRST or EXTRA for x of weight Q: forwarded by who sees it (without that views hang), and view v + 1 begins
 *     FINAL(v, b)      CERT(v, b) seen and nothing but b voted in v; afterwards no vote at all in v. It is not cast when FIRST made b final
 *                      within 2 ms; and waits for that only where those who spoke in v or v - 1 weigh FAST
 *     final            FIRST for b of weight FAST, or FINAL for b of weight Q: b and all its ancestors
 *
 * Who drives the machine feeds inputs, then takes actions until there is none, and calls qn_bft_tick at qn_bft_wake_ms. Votes and
 * certificates fed in have been verified (qn_vote_ok, qn_cert_valid). NOTHING is the hash of 32 zeros.
 *
 * Safety rests on the journal: a vote that QN_BFT_JOURNAL names must be synced, with the body (FIRST, EXTRA) and the certificate
 * that come with it, before qn_bft_journalled lets it leave; after a crash every journalled vote comes back through
 * qn_bft_restore before qn_bft_start. */
#ifndef QN_LEDGER_BFT_BFT_H
#define QN_LEDGER_BFT_BFT_H

#include "ledger/bft/quorum.h"
#include "ledger/bft/vote.h"

/* Bugs that the simulator plants to see whether its checkers bite; QN_BUG_NONE in a node. */
enum qn_bft_bug {
    QN_BUG_NONE,
    QN_BUG_QUORUM,       /* certifies at Q - 1 */
    QN_BUG_FAST,         /* final at FAST - 1 */
    QN_BUG_FINAL_ANYWAY, /* FINAL though something else was voted */
    QN_BUG_VOTE_AFTER,   /* EXTRA in the view before as well, FINAL or not */
    QN_BUG_NO_FORWARD,   /* keeps certificates to itself */
    QN_BUG_NO_JOURNAL,   /* a vote leaves before it is journalled */
    QN_BUG_TWO_FIRST,    /* a second FIRST when the timer runs out */
    QN_BUG_ANY_PARENT,   /* asks for no certificate of the parent */
    QN_BUG_SKIP_NOTHING, /* asks for no certificates of the views between */
    QN_BUG_NO_EXTRA,     /* never casts EXTRA */
    QN_BUG_FORGET,       /* a restart forgets its votes */
    QN_BUG_WEAK,         /* EXTRA for a block at WEAK - F */
    QN_BUG_COUNT
};

struct qn_bft_conf {
    struct qn_hash chain;
    uint32_t epoch;
    uint32_t cnt;              /* validators */
    const struct qn_hash *set; /* their keys, borrowed */
    const uint64_t *weights;   /* borrowed */
    uint32_t fast_ppm;
    int self;                 /* own number in the set, -1: only watches */
    const struct qn_key *key; /* NULL when self is -1 */
    /* sign may replace Ed25519, in simulations; NULL: qn_vote_make. */
    struct qn_vote (*sign)(void *arg, uint16_t signer, uint8_t kind, uint64_t view,
                           const struct qn_hash *block);
    void *arg;
    uint64_t block_ms; /* a leader waits so long for transactions */
    enum qn_bft_bug bug;
};

/* What the machine must know of a block. */
struct qn_bft_block {
    struct qn_hash hash, parent;
    uint64_t view, height, t_ms;
    uint16_t proposer; /* number in the set; its signature was checked */
};

enum qn_bft_what {
    QN_BFT_PROPOSE, /* make a block in `view` on `block` (of view parent_view) and feed it by qn_bft_proposal, qn_bft_valid */
    QN_BFT_EXECUTE, /* run `block` on its parent's state, then qn_bft_valid */
    QN_BFT_JOURNAL, /* sync `vote` and what it stands on, then qn_bft_journalled(token) */
    QN_BFT_VOTE,    /* broadcast `vote` */
    QN_BFT_CERT,    /* broadcast `cert`; again: it did not help before */
    QN_BFT_PROPOSAL, /* broadcast the proposal `block` again, with the certificates it needs */
    QN_BFT_FINAL, /* `block` is final; they come in order of height. cert: FAST or SLOW, NULL for an ancestor of the next */
    QN_BFT_WANT, /* `block` is certified or final here, and unknown: fetch it. Zero: certificates from `view` on are missing */
    QN_BFT_EVIDENCE, /* `vote` and `other` of one signer exclude each other */
};

struct qn_bft_action {
    enum qn_bft_what what;
    struct qn_hash block;
    uint64_t view, parent_view, token;
    bool again;
    struct qn_vote vote, other;
    const struct qn_cert *cert; /* lent until the next input */
    const struct qn_cert *by;   /* FINAL: what made it so, its own certificate or a descendant's */
};

struct qn_bft;

/* qn_bft_new makes a machine whose last final block is `last` (the genesis: view 0, height 0, hash = chain), by cert (copied; NULL for
 * the genesis or an ancestor): who has missed it learns of it from here. */
struct qn_bft *qn_bft_new(const struct qn_bft_conf *conf, const struct qn_bft_block *last,
                          const struct qn_cert *cert) QN_GIVES;
void qn_bft_free(struct qn_bft *m);

/* --- before the start: what the journal holds ---------------------------------------------------------------------------- */
void qn_bft_restore(struct qn_bft *m, const struct qn_vote *mine);
/* now_ms only rises, and what is waited for is counted by it; clock_ms, which people set, is what a block's time is held against. */
void qn_bft_start(struct qn_bft *m, uint64_t now_ms, uint64_t clock_ms);

/* --- inputs --------------------------------------------------------------------------------------------------------------- */
void qn_bft_tick(struct qn_bft *m, uint64_t now_ms, uint64_t clock_ms);
/* qn_bft_proposal makes a block known; the certificates that came with it were fed before. Blocks fetched because of
 * QN_BFT_WANT come in the same way. */
void qn_bft_proposal(struct qn_bft *m, const struct qn_bft_block *block);
void qn_bft_valid(struct qn_bft *m, const struct qn_hash *block, bool valid);
/* qn_bft_lost answers QN_BFT_EXECUTE when the block's body is not here any more: the block is unknown again, and fetched where it is missed. */
void qn_bft_lost(struct qn_bft *m, const struct qn_hash *block);
void qn_bft_vote(struct qn_bft *m, const struct qn_vote *vote);
void qn_bft_cert(struct qn_bft *m, const struct qn_cert *cert);
void qn_bft_journalled(struct qn_bft *m, uint64_t token);
/* qn_bft_synced says that block, final by cert (copied), came from peers with all before it: what is below its view is over. */
void qn_bft_synced(struct qn_bft *m, const struct qn_bft_block *block, const struct qn_cert *cert);

/* qn_bft_wants says whether a vote would tell the machine anything: asked before its signature is verified. */
QN_CHECK bool qn_bft_wants(const struct qn_bft *m, const struct qn_vote *vote);
/* qn_bft_decides says whether these votes, if they are good, might do something with what is known: make a certificate, a final block, evidence.
 * Where FIRST of all who are there can make the block final, FIRST that only certify it do not count as such. */
QN_CHECK bool qn_bft_decides(const struct qn_bft *m, const struct qn_vote votes[], size_t cnt);
/* qn_bft_holds says whether it was fed this very vote, signature and all; of views that are over it may have forgotten. */
QN_CHECK bool qn_bft_holds(const struct qn_bft *m, const struct qn_vote *vote);
/* qn_bft_mine says of a vote with our own number whether we cast it; of views that are over it says yes. */
QN_CHECK bool qn_bft_mine(const struct qn_bft *m, const struct qn_vote *vote);
/* qn_bft_mute makes it watch from now on: no vote that waits leaves, none is cast. */
void qn_bft_mute(struct qn_bft *m);
/* qn_bft_speak ends it: self as in qn_bft_conf. */
void qn_bft_speak(struct qn_bft *m, int self);
/* qn_bft_awaits says whether a block is missed: certified, final, the parent of one that is known, or may be voted for after others. */
QN_CHECK bool qn_bft_awaits(const struct qn_bft *m, const struct qn_bft_block *block);

/* --- outputs -------------------------------------------------------------------------------------------------------------- */
QN_CHECK bool qn_bft_next(struct qn_bft *m, struct qn_bft_action *ret);
bool qn_bft_pending(const struct qn_bft *m); /* whether qn_bft_next has one */
uint64_t
qn_bft_wake_ms(const struct qn_bft *m); /* the now_ms at which qn_bft_tick has something to do */

uint64_t qn_bft_view(const struct qn_bft *m);
/* qn_bft_heard says of whom a vote of `view` or of the QN_BFT_HEARD - 1 views before is known here, of whatever kind: bit i for number i. Votes
 * that came too late to decide anything count, too. */
#define QN_BFT_HEARD 8
struct qn_hash qn_bft_heard(const struct qn_bft *m, uint64_t view);
struct qn_bft_block qn_bft_last(const struct qn_bft *m); /* the last final block */
uint16_t qn_bft_leader(const struct qn_bft_conf *conf, uint64_t view);
/* qn_bft_cert_of lends the certificate of a view: for a block, or for nothing; NULL when there is none here. */
const struct qn_cert *qn_bft_cert_of(const struct qn_bft *m, uint64_t view, bool nothing);
/* qn_bft_cert_for lends that for this block (or NOTHING): when the leader lies, a view may end in several. */
const struct qn_cert *qn_bft_cert_for(const struct qn_bft *m, uint64_t view,
                                      const struct qn_hash *block);

#endif
