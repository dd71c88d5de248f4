/* fork.h - more traitors than the protocol bears: a certificate that is good and says that another block is final where one is final here.
 *
 * Two final certificates of one view have at least 2Q - W > F of weight in common, each of whom voted against itself: a pair of its votes is
 * evidence, as if it had come vote by vote. What is final here stays final: no code puts another chain in its place. */
#ifndef QN_LEDGER_SYNC_FORK_H
#define QN_LEDGER_SYNC_FORK_H

#include "ledger/bft/vote.h"

#define QN_PAST_MAX 64 /* final blocks that a late certificate is held against */

struct qn_past_block {
    uint32_t epoch;
    uint64_t view, height;
    struct qn_hash hash;
};

/* The last final blocks, the newest in at[(cnt - 1) % QN_PAST_MAX]; zeros: none. */
struct qn_past {
    uint64_t cnt;
    struct qn_past_block at[QN_PAST_MAX];
};

void qn_past_put(struct qn_past *past, const struct qn_header *header, const struct qn_hash *hash);
/* qn_past_at gives the final block of a height; NULL when it is not among the last. */
const struct qn_past_block *qn_past_at(const struct qn_past *past, uint64_t height);
/* qn_past_clash gives the final block that cannot stand beside `block`, were that final in its view: the one of the same view, or the first
 * above it, which would have it among its ancestors. NULL: it is one of them, or its view is of another epoch, above all of them or below. */
const struct qn_past_block *qn_past_clash(const struct qn_past *past, uint32_t epoch, uint64_t view,
                                          const struct qn_hash *block);

struct qn_fork {
    struct qn_hash ours, theirs;
    uint64_t height; /* of ours */
    uint32_t epoch;
    uint64_t view;         /* of theirs */
    struct qn_quorum need; /* of the set of that epoch */
    uint64_t weight;       /* of those who voted for both */
    uint32_t cnt;          /* of them; 0: what made ours final is of another view, or not kept */
    struct qn_hash who[QN_SET_MAX]; /* their keys */
};

/* qn_fork_blame finds who signed both certificates in a way that no honest validator does, into fork->who, cnt, weight and need; visit gets
 * each one's pair of votes, lent for the call. Both certificates make something final, and were checked by set. */
void qn_fork_blame(struct qn_fork *fork, const struct qn_set *set, const struct qn_cert *ours,
                   const struct qn_cert *theirs,
                   void (*visit)(void *arg, const struct qn_vote *a, const struct qn_vote *b),
                   void *arg);
/* qn_fork_print appends one line without its end, accounts by their addresses. */
void qn_fork_print(const struct qn_fork *fork, struct qn_buf *dst);

#endif
