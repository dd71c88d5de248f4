/* proof.h - proof files: a row of the state, or its absence, under a final block; checked without a node. */
#ifndef QN_LEDGER_STATE_PROOF_H
#define QN_LEDGER_STATE_PROOF_H

#include "ledger/state/chain.h"

/* qn_chain_prove appends a proof file for a row, or its absence, at the head:
 *     "QNLP" | u8 2 | genesis, Borsh | header, Borsh | cert, Borsh | u8 table | u16 key_len | key |
 *     u32 value_len, value (none when absent) | trie proof to the end
 * qn_chain_verify checks one offline. The chain's hash is the genesis' own, which names the validators: so trust, the hash of the
 * chain the reader means, is all that need be known beforehand; NULL accepts the chain that the file names ("pinned" false in the
 * answer). *ret is a new object for people. */
QN_CHECK qn_rc qn_chain_prove(struct qn_chain *chain, uint8_t table, struct qn_span key,
                              struct qn_buf *ret, struct qn_why *why);
QN_CHECK qn_rc qn_chain_verify(struct qn_span file, const struct qn_hash *trust, json_t **ret,
                               struct qn_why *why);

#endif
