/* state_in.h - inside of ledger/state: what struct qn_state holds. */
#ifndef QN_LEDGER_STATE_STATE_IN_H
#define QN_LEDGER_STATE_STATE_IN_H

#include "ledger/state/gov.h"
#include "ledger/state/param.h"
#include "ledger/state/stake.h"
#include "ledger/state/state.h"

struct qn_view {
    struct qn_state *state;
};

/* A key's content before a change. */
struct undo {
    uint8_t *data; /* key, then old value */
    uint32_t key_len, val_len;
    bool had;
};

#define QN_DEBITS_MAX      64
#define QN_EVENTS_MAX      4096u  /* of one transaction, or of a block's deadlines and end */
#define QN_EVENT_DATA_MAX  65536u /* bytes of one */
#define QN_EVENT_HEAD      40u    /* bytes of one beside topic and data: two lengths, an id */
#define QN_EVENT_BYTES_MAX (1024u << 10) /* of one transaction's */

/* What a transaction under a mandate has taken from the owner so far. */
struct debit {
    struct qn_hash credit;
    struct qn_amount amount;
    bool lent; /* a channel's deposit: not under call_max and rate */
};

struct qn_state {
    struct qn_trie *trie;
    struct qn_view view;
    const struct qn_exec_module *modules;
    size_t module_cnt;
    const struct qn_contract_vm *vm;
    const struct qn_trace *trace; /* NULL: nobody looks */
    struct qn_hash fees, burnt;   /* qn_acct_fees, qn_acct_burnt: of every transaction */
    struct qn_hash chain, beacon;
    uint64_t height, now_ms;
    uint64_t was_height, was_ms; /* before the block in execution, whose rows undo can restore */
    struct qn_hash was_beacon;
    struct undo *undo;
    size_t undo_cnt, undo_cap;
    struct qn_event *events; /* of the transaction or block part in execution */
    uint32_t event_cnt, event_cap;
    size_t event_bytes;
    bool event_over; /* more was told than a receipt may hold: the transaction fails */
    uint64_t gas_left;
    uint64_t moved_uqn; /* posted in this block, for the curious */
    struct debit debits[QN_DEBITS_MAX];
    uint32_t debit_cnt;
    bool debit_over;            /* more debits than can be judged */
    struct qn_amount lend_left; /* of the next posting to lend_to, exempt */
    struct qn_hash lend_to;
    uint64_t lend_rate_uqn_h, lend_burst_uqn;
    int depth;                       /* contracts calling contracts */
    uint8_t signers[QN_SET_MAX / 8]; /* of the block before, for the next qn_state_block */
    uint32_t signer_cnt;
};

/* qn_row_key writes table and key as one trie key. */
struct qn_span qn_row_key(uint8_t table, struct qn_span key, uint8_t dst[QN_TRIE_KEY_MAX]);
/* qn_state_back undoes changes down to an earlier undo_cnt. */
void qn_state_back(struct qn_state *st, size_t mark);
/* qn_due_pop takes the first deadline that is due; false when there is none. */
QN_CHECK bool qn_due_pop(struct qn_apply *ap, uint16_t *ret_kind, struct qn_hash *ret_id);
/* qn_acct_takes says whether people and contracts may send coins to an account of their choice: to each other and to contracts, not
 * into the accounts of modules and of the ledger, whose sums must hold. QN_E_REFUSED. */
QN_CHECK qn_rc qn_acct_takes(const struct qn_view *view, const struct qn_hash *acct,
                             struct qn_arena *arena, struct qn_why *why);
void qn_emit_json(struct qn_apply *ap, const char *topic, const struct qn_hash *id,
                  const json_t *data);

/* Mandates (mandate.c): begin judges key, kind and time; note collects debits while the transaction runs; end judges them. */
QN_CHECK qn_rc qn_mandate_begin(struct qn_apply *ap, uint16_t kind, struct qn_hash *ret_owner,
                                struct qn_why *why);
void qn_mandate_note(struct qn_apply *ap, const struct qn_hash *debit, const struct qn_hash *credit,
                     struct qn_amount amount);
QN_CHECK qn_rc qn_mandate_end(struct qn_apply *ap, struct qn_why *why);
extern const struct qn_tx_kind QN_MANDATE_TXS[];

/* Stake (stake.c): reward shares out new coins of `from` for a block of the validator with account `proposer`; without stake it gets all
 * itself. payee is who receives its tips. */
void qn_stake_reward(struct qn_apply *ap, const struct qn_hash *from,
                     const struct qn_hash *proposer, struct qn_amount amount);
struct qn_hash qn_stake_payee(struct qn_apply *ap, const struct qn_hash *proposer);
/* The accounts that hold a validator's stake and what is leaving it; rows of who staked there. */
struct qn_hash qn_stake_bond(const struct qn_hash *id);
struct qn_hash qn_stake_leaving(const struct qn_hash *id);
struct qn_delegation qn_delegation_get(const struct qn_view *view, const struct qn_hash *id,
                                       const struct qn_hash *owner);
void qn_delegation_put(struct qn_apply *ap, const struct qn_hash *id, const struct qn_hash *owner,
                       const struct qn_delegation *d);
void qn_stake_put(struct qn_apply *ap, const struct qn_hash *id, const struct qn_validator *v);
void qn_stake_genesis(struct qn_apply *ap, const struct qn_genesis *genesis);
/* qn_stake_slash takes ppm of all that stands behind a validator: staked, leaving, moved away. A part goes to reporter. */
void qn_stake_slash(struct qn_apply *ap, const struct qn_hash *id, struct qn_validator *v,
                    uint32_t ppm, const struct qn_hash *reporter, struct qn_penalty *ret);
extern const struct qn_tx_kind QN_STAKE_TXS[];
extern const struct qn_due_kind QN_STAKE_DUES[];

/* Epochs (epoch.c): begin moves on to the next epoch if the last block ended one; end says whether this block does. */
void qn_epoch_genesis(struct qn_apply *ap, const struct qn_genesis *genesis);
void qn_epoch_begin(struct qn_apply *ap);
void qn_epoch_end(struct qn_apply *ap);
struct qn_epoch qn_epoch_get(const struct qn_view *view);

/* Mint (mint.c): step is what new coins `left` unissued ones allow up to now_ms; block shares out a block's. */
struct qn_amount qn_mint_step(struct qn_mint_state *m, uint64_t left_uqn, uint64_t now_ms);
void qn_mint_block(struct qn_apply *ap, const struct qn_hash *proposer);

/* Fees (fee.c): prices in millionths of a uqn, as they stand for the next block; end moves them by what a block used. */
struct qn_price {
    uint64_t gas, byte;
};
struct qn_price qn_fee_price(const struct qn_view *view);
struct qn_amount qn_fee_of(const struct qn_price *price, uint64_t gas, uint64_t bytes);
void qn_fee_end(struct qn_apply *ap, uint64_t gas, uint64_t bytes);
/* qn_fee_scale is least * 2^(excess / (8 target)): at most 9 % more a block that is twice its target. */
uint64_t qn_fee_scale(uint64_t least, uint64_t excess, uint64_t target);

/* Votes (gov.c): begin brings into effect what was decided for this height. */
void qn_gov_begin(struct qn_apply *ap);
extern const struct qn_tx_kind QN_GOV_TXS[];
extern const struct qn_due_kind QN_GOV_DUES[];

/* Faults (fault.c): evidence, and who missed the block before. */
void qn_fault_absent(struct qn_apply *ap, const uint8_t *signers, uint32_t cnt,
                     const struct qn_hash *proposer);
extern const struct qn_tx_kind QN_FAULT_TXS[];

#endif
