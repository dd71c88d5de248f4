/* evidence.h - validators that voted twice, or proposed two blocks in one view, as this node saw it: told to whoever asks, and reported to the ledger in this node's name. */
#ifndef QN_CORE_NODE_EVIDENCE_H
#define QN_CORE_NODE_EVIDENCE_H

#include "ledger/sync/replica.h"

struct qn_coded;

/* qn_evidence_json returns [{"validator","epoch","view","a","b"}]: what evidence.submit takes; with a_sig and b_sig, evidence.twins; with roots in a and b,
 * evidence.roots. coded may be NULL. */
json_t *qn_evidence_json(struct qn_replica *r, const struct qn_coded *coded) QN_GIVES;
/* qn_evidence_report sends a transaction for each validator that is not barred yet; reporter's account pays its fee and gets the reward.
 * Returns how many it sent. */
unsigned qn_evidence_report(struct qn_replica *r, const struct qn_coded *coded,
                            const struct qn_key *reporter, uint64_t now_ms);

#endif
