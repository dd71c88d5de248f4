/* vote.h - votes and certificates: what makes a block final. */
#ifndef QN_LEDGER_BFT_VOTE_H
#define QN_LEDGER_BFT_VOTE_H

#include "ledger/bft/set.h"

enum { QN_VOTE_FIRST = 1, QN_VOTE_EXTRA = 2, QN_VOTE_FINAL = 3 };
enum { QN_CERT_VIEW = 1, QN_CERT_FAST = 2, QN_CERT_SLOW = 3 };

/* qn_vote_make signs "quoin vote" 00 | chain | kind u8 | epoch u32 | view u64 | block. */
struct qn_vote qn_vote_make(const struct qn_key *key, uint16_t signer, const struct qn_hash *chain,
                            uint8_t kind, uint32_t epoch, uint64_t view,
                            const struct qn_hash *block);
QN_CHECK bool qn_vote_ok(const struct qn_vote *vote, const struct qn_hash *chain,
                         const struct qn_hash *pub);

/* qn_votes_ok says of each of cnt votes what qn_vote_ok says of it alone, for less; signers are of the set. */
void qn_votes_ok(const struct qn_vote votes[], size_t cnt, const struct qn_hash *chain,
                 const struct qn_set *set, bool ret_ok[]);

/* A certificate says once what its votes have in common, and of each who signed, and the signature. It has one form: signers rise in both lists,
 * nobody is in both; qn_cert_valid refuses any other. They are numbered through, those of `votes` first. */
static inline uint32_t qn_cert_cnt(const struct qn_cert *cert)
{
    return cert->votes.cnt + cert->extras.cnt;
}
static inline const struct qn_cert_vote *qn_cert_at(const struct qn_cert *cert, uint32_t i)
{
    return i < cert->votes.cnt ? &cert->votes.ptr[i] : &cert->extras.ptr[i - cert->votes.cnt];
}
/* qn_cert_add puts a vote behind those of its list, which has room. */
void qn_cert_add(struct qn_cert *cert, const struct qn_vote *vote);
/* qn_cert_vote_whole gives vote i as it was cast. */
struct qn_vote qn_cert_vote_whole(const struct qn_cert *cert, uint32_t i);
/* qn_cert_copy makes a copy in one piece of memory, for free(). */
struct qn_cert *qn_cert_copy(const struct qn_cert *cert) QN_GIVES;

/* qn_cert_valid says whether a certificate is what it claims to be, by the weights, epoch and fast_ppm of set: VIEW when FIRST or EXTRA for
 * its block (zero: nothing) weigh Q, FAST when FIRST weigh all but P, SLOW when FINAL weigh Q; these two are for a block. Every signer once, in rising order, every
 * signature good. What a node asks of each certificate it hears, and a light client of the one it is shown. QN_E_PROOF, QN_E_SIGNATURE;
 * set must be one of qn_set_genesis, qn_stake_set or of a root that was proved. */
QN_CHECK qn_rc qn_cert_valid(const struct qn_cert *cert, const struct qn_hash *chain,
                             const struct qn_set *set, struct qn_why *why);
/* qn_cert_valid_but asks the same; the signatures of votes that `known` says are good, to the last byte, it takes for that. */
QN_CHECK qn_rc qn_cert_valid_but(const struct qn_cert *cert, const struct qn_hash *chain,
                                 const struct qn_set *set,
                                 bool (*known)(const void *arg, const struct qn_vote *vote),
                                 const void *arg, struct qn_why *why);
/* qn_cert_final asks, besides, that it makes block final: FAST or SLOW, and for that block. */
QN_CHECK qn_rc qn_cert_final(const struct qn_cert *cert, const struct qn_hash *chain,
                             const struct qn_hash *block, const struct qn_set *set,
                             struct qn_why *why);

/* qn_proposal_text is what a proposer signs: "quoin proposal" 00 | block hash. */
#define QN_PROPOSAL_TEXT 47
struct qn_span qn_proposal_text(const struct qn_hash *block, uint8_t dst[QN_PROPOSAL_TEXT]);

/* qn_votes_exclude says whether two votes prove that their signer broke the protocol: two FIRST, or two FINAL, of one view for different
 * blocks; or a FINAL with a vote for another block (nothing is one) in its view. Several EXTRA are legal, and so is EXTRA beside a FIRST.
 * Looks at what the votes say, not at who signed. */
QN_CHECK bool qn_votes_exclude(const struct qn_vote *a, const struct qn_vote *b);

#endif
