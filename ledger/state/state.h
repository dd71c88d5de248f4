/* state.h - the state and its execution, inside the ledger. One struct qn_state holds the rows (a trie), the undo log of the
 * block being executed, and what a transaction has done so far. Modules see it through view.h and apply.h. */
#ifndef QN_LEDGER_STATE_STATE_H
#define QN_LEDGER_STATE_STATE_H

#include "ledger/state/apply.h"
#include "ledger/state/contract.h"
#include "ledger/state/trie.h"
#include "ledger/state/tx.h"

#define QN_BLOCK_TXS   4096
#define QN_BLOCK_BYTES (2u << 20) /* most that the transactions of a block have, all together */

/* One module's share in execution; core/node fills it from the module table. */
struct qn_exec_module {
    const char *name;
    const struct qn_tx_kind *txs;
    const struct qn_due_kind *dues;
    const struct qn_table *tables;
    const struct qn_chain_fn *chain;
    void (*genesis)(struct qn_apply *ap);
    void (*block_end)(struct qn_apply *ap);
};

struct qn_state;

/* Who wants to see each step of the execution: what was posted, and what a row became, in order. Steps that a failing transaction takes back
 * were steps, too. tx is what is being executed: a transaction, or what a deadline is about. */
struct qn_trace {
    void *self;
    void (*post)(void *self, uint64_t height, const struct qn_hash *tx, const struct qn_hash *debit,
                 const struct qn_hash *credit, struct qn_amount amount);
    /* key begins with the table; val NULL: the row was deleted. */
    void (*row)(void *self, uint64_t height, const struct qn_hash *tx, struct qn_span key,
                const struct qn_span *val);
};
void qn_state_trace(struct qn_state *st, const struct qn_trace *trace); /* borrowed; NULL: nobody */

/* qn_state_new makes an empty state. modules (in tag order, borrowed, cnt of them) and vm (NULL: no contracts)
 * must outlive it. */
struct qn_state *qn_state_new(const struct qn_exec_module *modules, size_t module_cnt,
                              const struct qn_contract_vm *vm) QN_GIVES;
void qn_state_free(struct qn_state *st);

const struct qn_view *qn_state_view(const struct qn_state *st);
struct qn_trie *qn_state_trie(struct qn_state *st);
/* qn_state_at says which block the rows are of: after loading them from a store. */
void qn_state_at(struct qn_state *st, const struct qn_hash *chain, uint64_t height, uint64_t now_ms,
                 const struct qn_hash *beacon);

/* qn_state_genesis writes the first rows: all coins in `unissued`, grants, bonds, the modules' own. qn_set_genesis has accepted the genesis. */
void qn_state_genesis(struct qn_state *st, const struct qn_genesis *genesis,
                      const struct qn_hash *chain);

/* What executing a block made. Memory is the arena's. */
struct qn_outcome {
    struct qn_receipt *receipts; /* one a transaction */
    uint32_t receipt_cnt;
    struct qn_event *events; /* of deadlines and block end */
    uint32_t event_cnt;
    struct qn_hash root;
};

/* qn_state_block executes one block on the state: deadlines due at t_ms, then txs in order, then block ends, mint and
 * fees. Every transaction gets a receipt, also one that fails; one that cannot even pay its fee or is out of its window
 * makes the block invalid, and the caller then takes it back; unless it only collects what fits: then misfit[i] tells.
 *
 * ids      H("tx") of each
 * misfit   NULL to check a block; else one bool a transaction, set where it had to be left out (its receipt is undefined);
 *          those from ret->receipt_cnt on did not find room and may come in the next block
 * proposer account that receives tips and the validators' share */
QN_CHECK qn_rc qn_state_block(struct qn_state *st, uint64_t height, uint64_t t_ms,
                              const struct qn_hash *beacon, const struct qn_hash *proposer,
                              const struct qn_tx *txs, const struct qn_hash *ids, uint32_t tx_cnt,
                              struct qn_arena *arena, bool *misfit, struct qn_outcome *ret,
                              struct qn_why *why);
/* qn_state_signers says, before a qn_state_block, of whom the block's proposer heard votes: bit i for number i of the parent's set of cnt. Who
 * is missed in half of 10,000 blocks is jailed; fault.c says what counts as missed. It must come from the block itself, so that all nodes
 * say the same; without it nobody counts as absent. */
void qn_state_signers(struct qn_state *st, const uint8_t *bits, uint32_t cnt);

/* qn_state_accept keeps the block's changes; dirty (may be NULL) is called with each changed key. qn_state_reject takes
 * them back. One of both follows each qn_state_block. */
void qn_state_accept(struct qn_state *st, void (*dirty)(void *arg, struct qn_span key), void *arg);
void qn_state_reject(struct qn_state *st);

/* A block's changes while nobody knows yet whether it stays. qn_state_keep follows qn_state_block instead of accept or reject: the
 * changes stay in the rows, and the delta can take them out and put them back. Deltas lie on each other like the blocks: only the
 * top one in may be taken out, only one made on these rows put in. */
struct qn_delta;
struct qn_delta *qn_state_keep(struct qn_state *st) QN_GIVES;
/* qn_delta_swap takes the changes out of st, or puts them back in. */
void qn_delta_swap(struct qn_state *st, struct qn_delta *delta);
void qn_delta_keys(const struct qn_delta *delta, void (*dirty)(void *arg, struct qn_span key),
                   void *arg);
void qn_delta_free(struct qn_delta *delta);

/* qn_state_charge looks at what costs little to look at: kind, window, and whether who pays has the most that it may take in fees, tip included. */
struct qn_charge {
    struct qn_hash payer;
    struct qn_amount fee, balance;
};
QN_CHECK qn_rc qn_state_charge(const struct qn_state *st, const struct qn_tx *tx, size_t bytes,
                               uint64_t now_ms, struct qn_charge *ret, struct qn_why *why);

/* qn_state_payable says whether a transaction could enter a block now: window, kind known, body decodes and passes check, fee
 * covered. What the pool asks. */
QN_CHECK qn_rc qn_state_payable(const struct qn_state *st, const struct qn_tx *tx, size_t bytes,
                                uint64_t now_ms, struct qn_why *why);

/* qn_state_kind and _kind_named find a transaction kind; NULL when no module has it. */
const struct qn_tx_kind *qn_state_kind(const struct qn_state *st, uint16_t kind);
/* qn_state_chain_fn finds what contracts may ask. */
const struct qn_chain_fn *qn_state_chain_fn(const struct qn_state *st, const char *name);

/* The core's own kinds and tables, for listings. */
extern const struct qn_tx_kind QN_CORE_TXS[];
extern const struct qn_table QN_CORE_TABLES[];

/* Sums for audits: all balances; and a visit of each module account with a balance. */
struct qn_amount qn_state_sum(const struct qn_view *view);

#endif
