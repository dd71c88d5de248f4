/* proof.h - proof files: all rows of a range of the state (one row, its absence, a list) under a final block, checked without a node by
 * whoever knows the chain's hash or the hash of one of its blocks.
 *
 *     "QNLP" | u8 4
 *     u32 len | genesis, Borsh
 *     u16 cnt, cnt times a step:
 *         u16 cnt, cnt times: key[32] | weight u64     the validators that made the block final
 *         header, Borsh | certificate, Borsh
 *         u32 len | edge                               around the row with the next epoch's validators; len 0: none
 *     u16 len | from | u16 len | to                    the range; keys begin with their table's byte
 *     u32 len | rows | edge, to the end                ledger/state/trie.h
 *
 * All numbers little-endian; docs/ref/proof.md says the same to who has no C. The rows are those after the last step's block. A step is
 * believed when its certificate is good by its own validators and these are the ones believed before; or the ones that the block before
 * names for its next epoch, as a row of its state; or share with the ones before signers of more weight than the traitors these bear:
 * then an honest validator of a set that is trusted has seen the block final. */
#ifndef QN_LEDGER_STATE_PROOF_H
#define QN_LEDGER_STATE_PROOF_H

#include "ledger/state/chain.h"
#include "ledger/state/steps.h"

/* What a proof says, once it holds. */
struct qn_proof {
    struct qn_hash chain, block; /* of the rows */
    struct qn_header header;
    uint32_t validators, steps;
    bool pinned; /* it leads from what the reader trusts; false only when that was NULL */
    struct qn_span genesis,
        cert; /* of the chain, of the block; Borsh. Lent from the file, as are */
    struct qn_span from, to, rows;
};

/* qn_proof_head appends what shows the chain's head to be final, to who knows the genesis or one of the blocks in `steps` (NULL: none is
 * kept): all up to the range. qn_proof_range appends the rest. QN_E_AGAIN before the first block. */
QN_CHECK qn_rc qn_proof_head(struct qn_chain *chain, const struct qn_steps *steps,
                             struct qn_buf *ret, struct qn_why *why);
void qn_proof_range(struct qn_trie *trie, struct qn_span from, struct qn_span to,
                    struct qn_buf *ret);

/* qn_proof_front reads what qn_proof_head wrote from the front of *s, qn_proof_check a whole file. trust is the hash of a chain or of one of its
 * blocks; NULL believes the file's own beginning. QN_E_PROOF, QN_E_SIGNATURE, QN_E_SHORT, QN_E_FORMAT. */
QN_CHECK qn_rc qn_proof_front(struct qn_span *s, const struct qn_hash *trust, struct qn_proof *ret,
                              struct qn_why *why);
/* qn_proof_front_by does the same for who believes the validators of one epoch, `set`, of the chain `trust`: it begins at the first step that is
 * theirs, or that enough of them signed. set NULL: as qn_proof_front. */
QN_CHECK qn_rc qn_proof_front_by(struct qn_span *s, const struct qn_hash *trust,
                                 const struct qn_set *set, struct qn_proof *ret,
                                 struct qn_why *why);
QN_CHECK qn_rc qn_proof_check(struct qn_span file, const struct qn_hash *trust,
                              struct qn_proof *ret, struct qn_why *why);

/* qn_proof_maybe_filler says whether the block may be one that stands above an epoch's last (ledger/state/stake.h): the rows hold all the same; height, time
 * and hash may be of no block that stays. An empty block that names no signers looks the same. */
QN_CHECK bool qn_proof_maybe_filler(const struct qn_proof *proof);

/* qn_proof_json tells a checked proof to people: a range [key, key 00) as one row or its absence, any other as a list. */
json_t *qn_proof_json(const struct qn_proof *proof);

#endif
