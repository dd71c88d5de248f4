/* vote.h - votes and certificates: what makes a block final. */
#ifndef QN_LEDGER_BFT_VOTE_H
#define QN_LEDGER_BFT_VOTE_H

#include "ledger/state/tx.h"

enum { QN_VOTE_FIRST = 1, QN_VOTE_EXTRA = 2, QN_VOTE_FINAL = 3 };
enum { QN_CERT_VIEW = 1, QN_CERT_FAST = 2, QN_CERT_SLOW = 3 };

/* qn_vote_make signs "quoin vote" 00 | chain | kind u8 | epoch u32 | view u64 | block. */
struct qn_vote qn_vote_make(const struct qn_key *key, uint16_t signer, const struct qn_hash *chain,
                            uint8_t kind, uint32_t epoch, uint64_t view,
                            const struct qn_hash *block);
QN_CHECK bool qn_vote_ok(const struct qn_vote *vote, const struct qn_hash *chain,
                         const struct qn_hash *pub);

/* qn_cert_check says whether cert makes block final for a set of cnt equal validators: FAST when all but P voted first for it, SLOW when
 * Q voted final; W = cnt, P = 0 (below 21 validators), F = floor((W - 1) / 3), Q = W - F. QN_E_PROOF, QN_E_SIGNATURE. */
QN_CHECK qn_rc qn_cert_check(const struct qn_cert *cert, const struct qn_hash *chain,
                             const struct qn_hash *block, const struct qn_hash *set, uint32_t cnt,
                             struct qn_why *why);

#endif
