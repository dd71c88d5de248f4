/* chain.h - a node's chain: the journal (truth), the state in memory, its checkpoint in LMDB, the pool, and the blocks that a
 * validator makes of them.
 *
 * A transaction is final when the frame with its block is synced; nobody hears of it before. After a crash the state is that of
 * the checkpoint plus the journal's later blocks, executed again and compared with the roots in their headers. */
#ifndef QN_LEDGER_STATE_CHAIN_H
#define QN_LEDGER_STATE_CHAIN_H

#include "core/env/env.h"
#include "ledger/state/state.h"

#define QN_BLOCK_EMPTY_MS 500 /* an empty block this often: deadlines and clocks move */

struct qn_chain;

struct qn_chain_conf {
    const char *home; /* folder of journal/ and state.mdb */
    const struct qn_env *env;
    const struct qn_exec_module *modules; /* borrowed for the chain's life */
    size_t module_cnt;
    const struct qn_contract_vm *vm;
    const struct qn_key *validator;   /* signs blocks; NULL: only reads */
    const struct qn_genesis *genesis; /* used when the home is new */
    uint64_t map_gib;                 /* 0: 64 */
    bool no_store; /* execute everything from the journal, write nothing: for audits */
    /* on_block is called with every new final block; lent for the call. */
    void (*on_block)(void *arg, const struct qn_frame *frame, const struct qn_hash *hash);
    void *arg;
};

QN_CHECK qn_rc qn_chain_open(const struct qn_chain_conf *conf, struct qn_chain **ret,
                             struct qn_why *why);
/* qn_chain_close writes a checkpoint and lets go. */
void qn_chain_close(struct qn_chain *chain);

const struct qn_view *qn_chain_view(const struct qn_chain *chain);
const struct qn_state *qn_chain_state(const struct qn_chain *chain);
struct qn_hash qn_chain_id(const struct qn_chain *chain);
struct qn_hash
qn_chain_head(const struct qn_chain *chain); /* hash of the last block; the genesis at height 0 */
struct qn_hash qn_chain_root(struct qn_chain *chain);

/* qn_chain_submit checks a transaction (Borsh) and pools it. One that is pooled or final already is QN_OK again. */
QN_CHECK qn_rc qn_chain_submit(struct qn_chain *chain, struct qn_span tx, struct qn_hash *ret_id,
                               struct qn_why *why);
size_t qn_chain_pooled(const struct qn_chain *chain);

/* qn_chain_turn makes the next block when transactions wait or QN_BLOCK_EMPTY_MS are over, and checkpoints when due. *ret_wait_ms is
 * when to call again. An error (disk) is final: the node stops. */
QN_CHECK qn_rc qn_chain_turn(struct qn_chain *chain, uint64_t *ret_wait_ms, struct qn_why *why);

/* Where a transaction is. */
enum qn_tx_where { QN_TX_UNKNOWN, QN_TX_POOLED, QN_TX_FINAL };
enum qn_tx_where qn_chain_tx(struct qn_chain *chain, const struct qn_hash *id,
                             uint64_t *ret_height);

/* qn_chain_frame reads a final block from the journal; memory from arena. QN_E_NOTFOUND. */
QN_CHECK qn_rc qn_chain_frame(struct qn_chain *chain, uint64_t height, struct qn_arena *arena,
                              struct qn_frame *ret, struct qn_why *why);

/* For proofs (ledger/state/proof.h): the head's header, its certificate and the genesis as Borsh, lent until the next block; and the
 * rows at the head. */
const struct qn_header *qn_chain_header(const struct qn_chain *chain);
struct qn_span qn_chain_cert(const struct qn_chain *chain);
struct qn_span qn_chain_genesis(const struct qn_chain *chain);
struct qn_trie *qn_chain_trie(struct qn_chain *chain);

#endif
