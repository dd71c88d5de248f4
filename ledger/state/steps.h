/* steps.h - the blocks by which a light client follows the validators: for each epoch one final block with its certificate, and the proof
 * that its state names the next epoch's validators. They cannot be made later, for old states are gone; so a node keeps them, in
 * HOME/steps.qs, as they pass. What is missing there (a torn end, a node that began from a snapshot) costs only proofs to who trusts
 * something older: nothing here is believed without its signatures. */
#ifndef QN_LEDGER_STATE_STEPS_H
#define QN_LEDGER_STATE_STEPS_H

#include "ledger/bft/set.h"
#include "ledger/state/chain.h"

#define QN_STEPS_MAX 1024 /* of a proof */

/* A final block as a proof carries it. */
struct qn_step {
    struct qn_set set; /* its epoch's; weights of the votes */
    struct qn_header header;
    struct qn_cert cert;             /* in the reader's arena */
    struct qn_span cert_bytes, edge; /* lent */
    struct qn_span bytes;            /* all of it, lent */
};

/* qn_step_head appends the step of the chain's head. QN_E_AGAIN before the first block, and while the head has no certificate of its own. */
QN_CHECK qn_rc qn_step_head(struct qn_chain *chain, struct qn_buf *ret, struct qn_why *why);
/* qn_step_take reads a step from the front of *s and checks what can be checked of it alone: its validators are those of its header, its certificate
 * is good by them and makes its block final. fast_ppm is the genesis'. QN_E_SHORT, QN_E_PROOF, QN_E_SIGNATURE. */
QN_CHECK qn_rc qn_step_take(struct qn_span *s, uint32_t fast_ppm, struct qn_arena *arena,
                            struct qn_step *ret, struct qn_why *why);
/* qn_step_follows says whether who believes `known` believes next: by the row that `before`, believed, has an edge for; else (NULL, or it has none)
 * because the validators are the same or enough of the known ones signed. */
QN_CHECK bool qn_step_follows(const struct qn_set *known, const struct qn_step *before,
                              const struct qn_step *next);

/* What a reader who trusts the hash of a block needs to trust its validators: the list, and the header that names it.
 *
 *     u16 cnt, cnt times: key[32] | weight u64 | header, Borsh
 *
 * qn_pin_put appends it for a final block; QN_E_NOTFOUND when the block or its epoch's validators are not kept. qn_pin_take reads and checks it against
 * that hash and height; *ret_chain is the header's. */
struct qn_steps;
QN_CHECK qn_rc qn_pin_put(struct qn_chain *chain, const struct qn_steps *steps, uint64_t height,
                          struct qn_buf *ret, struct qn_why *why);
QN_CHECK qn_rc qn_pin_take(struct qn_span *s, const struct qn_hash *hash, uint64_t height,
                           uint32_t fast_ppm, struct qn_set *ret, struct qn_hash *ret_chain,
                           struct qn_why *why);

/* qn_steps_open reads HOME/steps.qs; a torn or foreign end is cut off. */
QN_CHECK qn_rc qn_steps_open(const char *home, struct qn_steps **ret, struct qn_why *why);
void qn_steps_close(struct qn_steps *steps);
/* qn_steps_note is called after each final block: keeps it when it is the first of its epoch with a certificate. A file that cannot be written is
 * left alone from then on. */
void qn_steps_note(struct qn_steps *steps, struct qn_chain *chain);
/* qn_steps_adopt makes HOME/steps.qs, where there is none, of the steps in a proof's front (ledger/state/proof.h) that was checked. */
QN_CHECK qn_rc qn_steps_adopt(const char *home, struct qn_span front, struct qn_why *why);
/* qn_steps_put appends a count and the steps that lead from the genesis' validators to `head` (a step's bytes, the last), few where
 * sets overlap. */
QN_CHECK qn_rc qn_steps_put(const struct qn_steps *steps, const struct qn_set *genesis,
                            struct qn_span head, struct qn_buf *ret, struct qn_why *why);

#endif
