/* stake.h - who secures the chain: validators, delegators, epochs.
 *
 * A validator's stake is a pool of shares. Who delegates buys shares at stake / shares; rewards make the pool grow and slashing makes it
 * shrink, so that both reach every delegator by shares, in O(1). Stake that is asked back goes to the validator's pool of the leaving, can be
 * slashed there as before, and is paid out after unbond_ms of block time. A redelegation counts at its new validator at once, answers
 * for the old one for unbond_ms, and cannot be moved or asked back before: one move an unbonding.
 *
 * WHEN THE SET CHANGES. Block time rules: the last block K of epoch e is the first whose time is epoch_ms or more behind that of the last
 * block of e - 1. Executing K fixes the set of epoch e + 2 from the stake as it then is; the set of e + 1 was fixed an epoch before. So
 * the states of an epoch all hold its own set and the next as rows (QN_TABLE_SET), any final header with a proof of one hands a light
 * client on, and stake asked back the moment its set is fixed can still be slashed long after that set has served: unbond_ms is at
 * least seven days, two epochs at most two.
 *
 *     views      ... | K certified | filler | filler | K final |  epoch e + 1: set e + 1 votes, last final block K
 *     voted by             set e      set e    set e
 *
 * Until K is final the set of e votes on: blocks above K are fillers, that is, empty, not executed, and forgotten when K is final;
 * the first block of e + 1 has K for a parent. (qn_bft_new with K as `last`, the new set, epoch e + 1 and views from K's view + 1 on; votes name
 * their epoch, so that views of the two cannot be taken for each other.) Why not at once: both sets would vote above K while K is not
 * final, the new one for a child of K, the old one for a rival of K after its timer ran out, and no two quorums would share an honest
 * member. Why fixed an epoch ahead: then who votes in e + 1 was final long before, whatever becomes of K; a node that sees K only through
 * certificates of e + 1 may believe them, for that set acts on a final K alone. If nobody is eligible the set before stays. */
#ifndef QN_LEDGER_STATE_STAKE_H
#define QN_LEDGER_STATE_STAKE_H

#include "ledger/bft/set.h"
#include "ledger/state/apply.h"

#include "core/schema/declare.h"

#include "ledger/state/stake.def"

/* The sets around a state. */
struct qn_stake_sets {
    struct qn_set
        now; /* votes on the block that follows this state; its header's epoch is now.epoch */
    struct qn_set next; /* of the epoch after that */
    bool last; /* the state's block is its epoch's last: before it is final only fillers follow,
                             * voted by the set of now.epoch - 1 */
    uint64_t ends_ms; /* the first block from this time on is the epoch's last */
};

/* qn_stake_set reads the sets at a state (a block's, or the genesis'). About 16 KiB in ret. */
void qn_stake_set(const struct qn_view *view, struct qn_stake_sets *ret);

/* qn_stake_past reads the set of one epoch: the one before, the present, the next; false for others. Votes and certificates of an epoch
 * that just ended still arrive. */
QN_CHECK bool qn_stake_past(const struct qn_view *view, uint32_t epoch, struct qn_set *ret);

/* qn_stake_get reads a validator by its id, the account of its consensus key. QN_E_NOTFOUND. */
QN_CHECK qn_rc qn_stake_get(const struct qn_view *view, const struct qn_hash *id,
                            struct qn_arena *arena, struct qn_validator *ret);
/* qn_stake_of is what an account's shares there are worth now. */
struct qn_amount qn_stake_of(const struct qn_view *view, const struct qn_hash *id,
                             const struct qn_validator *v, const struct qn_hash *owner);
/* qn_stake_proof signs what validator.create needs of the consensus key. */
struct qn_sig qn_stake_proof(const struct qn_key *key, const struct qn_hash *chain,
                             const struct qn_hash *owner);

/* qn_worth is floor(shares * pool / all): what shares are worth; 0 when there are none. */
uint64_t qn_worth(uint64_t shares, uint64_t pool, uint64_t all);

#endif
