/* bft_in.h - inside of the machine, shared by its files: bft.c has the rules and the clock, bft_votes.c counts, bft_tree.c knows the blocks. */
#ifndef QN_LEDGER_BFT_BFT_IN_H
#define QN_LEDGER_BFT_BFT_IN_H

#include "ledger/bft/bft.h"

#include <string.h>

#define EXTRA_MAX 4 /* different EXTRA of one signer in a view; honest ones cast fewer */
#define MORE_MAX                                                                                   \
    6 /* of 4 votes of each honest one at most, Q - F are in each certificate: 4(W - F) / (Q - F) < 8 */
#define AHEAD_MAX  8   /* views ahead of ours whose votes are kept; a certificate jumps */
#define BEHIND_MAX 8   /* views behind ours whose votes still count towards finality */
#define DELTA_MS   200 /* first guess of the network's delay */
/* FINAL waits so long, where the FIRST of all who are there would make it idle: a sync, a message to each and its check. Longer than four nodes of one
 * machine are apart (bench_net_lan), and not worth a word on any longer way. */
#define FINAL_WAIT_MS 2
#define RESEND_VIEWS  16 /* certificates of views that passed, at a time */

static const struct qn_hash NOTHING = { { 0 } };

/* What one validator said in a view. */
struct said {
    struct qn_vote first, final, extra[EXTRA_MAX]; /* kind 0: not yet */
    unsigned extra_cnt;
};

struct view {
    struct view *next; /* a higher one */
    uint64_t no;
    struct said *said;       /* one a validator; NULL when the votes were let go */
    struct qn_cert *cert[3]; /* for a block, for nothing, for a final block */
    struct qn_cert
        *more[MORE_MAX]; /* for further blocks: a leader who lies may have several certified */
    unsigned more_cnt;
    /* Own votes, also those not journalled yet. */
    bool first, final;
    const struct qn_cert
        *ripe;         /* FINAL may be cast for its block, and waits whether that is needed, */
    uint64_t final_ms; /* until then; 0: the clock was not seen since */
    struct qn_hash voted[EXTRA_MAX + 1];
    unsigned voted_cnt;
};

struct block {
    struct block *next, *up; /* up: the child towards the block that votes made final */
    struct qn_bft_block b;
    bool asked, judged, valid; /* EXECUTE was said; the answer came; what it was */
};

struct waiting {
    uint64_t token;
    struct qn_vote vote;
};

struct qn_bft {
    struct qn_bft_conf conf;
    struct qn_quorum need;
    struct qn_bft_block last;
    struct view *views;
    struct block *blocks;
    uint64_t view, now_ms, clock_ms, deadline_ms, resend_ms, resend_step_ms, ask_ms, delta_ms,
        token;
    bool proposed;
    uint16_t leader; /* of the view: asked for at every input */
    uint64_t *heard; /* of each validator: the highest view that a vote of it is known of */
    /* A block that votes made final, until it and its ancestors are held and valid. */
    bool ending;
    struct qn_hash end;
    uint64_t end_view;
    struct waiting *waiting;
    size_t waiting_cnt, waiting_cap;
    struct qn_bft_action *out;
    size_t out_at, out_cnt, out_cap;
};

/* Weight of FIRST for x, of FIRST or EXTRA for x, of FINAL for x. */
enum tally { FIRSTS, VOTES, FINALS };

bool qn_bft_has_bug(const struct qn_bft *m, enum qn_bft_bug which);
/* Asked a thousand times a vote where many vote. */
static inline bool qn_bft_same(const struct qn_hash *a, const struct qn_hash *b)
{
    uint64_t x[4], y[4];
    memcpy(x, a->b, sizeof x);
    memcpy(y, b->b, sizeof y);
    return ((x[0] ^ y[0]) | (x[1] ^ y[1]) | (x[2] ^ y[2]) | (x[3] ^ y[3])) == 0;
}
struct qn_bft_action *qn_bft_emit(struct qn_bft *m, enum qn_bft_what what);
struct view *qn_bft_view_find(const struct qn_bft *m, uint64_t no);
struct view *qn_bft_view_make(struct qn_bft *m, uint64_t no);
/* What lies below the last final block is history. Only between two drained inputs: actions lend certificates. */
void qn_bft_prune(struct qn_bft *m);
void qn_bft_enter(struct qn_bft *m, uint64_t view);
/* All that may have become possible in the present view. */
void qn_bft_react(struct qn_bft *m);
uint64_t qn_bft_weigh(const struct qn_bft *m, const struct view *v, enum tally which,
                      const struct qn_hash *x);
/* Weight of all FIRST less that of the strongest block. */
uint64_t qn_bft_against(const struct qn_bft *m, const struct view *v);
/* The certificate that the votes of v for x make; kind QN_CERT_*. */
struct qn_cert *qn_bft_cert_make(const struct qn_bft *m, const struct view *v, uint8_t kind,
                                 const struct qn_hash *x);
/* The certificate of v for x; NULL: there is none here. */
const struct qn_cert *qn_bft_view_cert(const struct view *v, const struct qn_hash *x);
bool qn_bft_voted(const struct view *v, const struct qn_hash *x);
void qn_bft_note_mine(struct view *v, uint8_t kind, const struct qn_hash *x);
void qn_bft_cast(struct qn_bft *m, struct view *v, uint8_t kind, const struct qn_hash *x);
void qn_bft_count(struct qn_bft *m, struct view *v, const struct qn_hash *x);
/* Says whether it is new; two votes of one signer that exclude each other are evidence. */
bool qn_bft_keep(struct qn_bft *m, struct said *s, const struct qn_vote *vote);
void qn_bft_hear_cert(struct qn_bft *m, const struct qn_cert *cert);
struct block *qn_bft_block_find(const struct qn_bft *m, const struct qn_hash *hash);
/* May b's parent have a child in b's view? */
bool qn_bft_well_placed(const struct qn_bft *m, const struct qn_bft_block *b);
bool qn_bft_is_held(const struct qn_bft *m, const struct qn_hash *hash);
void qn_bft_ask_run(struct qn_bft *m);
void qn_bft_want(struct qn_bft *m, const struct qn_hash *hash);
/* Casts FINAL where that waited long enough; and when to look again. */
void qn_bft_ripen(struct qn_bft *m);
uint64_t qn_bft_ripe_ms(const struct qn_bft *m);
/* Says FINAL for the block that votes ended at and its ancestors, once all are here. */
void qn_bft_advance(struct qn_bft *m);
void qn_bft_make_final(struct qn_bft *m, struct view *v, uint8_t kind, const struct qn_hash *x);

#endif
