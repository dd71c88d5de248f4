/* chain.h - a node's chain: the journal (truth), the state in memory, its checkpoint in LMDB, and above the last final block the tree of
 * executed ones that consensus decides between. Who makes blocks and hears of them is ledger/sync's replica.
 *
 * A transaction is final when the frame with its block is synced; nobody hears of it before. After a crash the state is that of
 * the checkpoint plus the journal's later blocks, executed again and compared with the roots in their headers. Reads see the last final
 * block alone, whatever lies above it. */
#ifndef QN_LEDGER_STATE_CHAIN_H
#define QN_LEDGER_STATE_CHAIN_H

#include "core/env/env.h"
#include "ledger/bft/set.h"
#include "ledger/state/parcel.h"
#include "ledger/state/stake.h"
#include "ledger/state/state.h"

#define QN_HEADER_VER 1u /* of a block; another is of a protocol that this build does not know */

struct qn_chain;

struct qn_chain_conf {
    const char *home; /* folder of journal/ and state.mdb */
    const struct qn_env *env;
    const struct qn_exec_module *modules; /* borrowed for the chain's life */
    size_t module_cnt;
    const struct qn_contract_vm *vm;
    const struct qn_genesis *genesis; /* used when the home is new */
    uint64_t map_gib;                 /* 0: 64 */
    uint64_t
        keep_ms; /* blocks older than this may go, once a checkpoint has what they did; 0: all stay */
    const struct qn_trace *trace; /* sees what is executed while opening; NULL: nobody */
    bool no_store; /* execute everything from the journal, write nothing: for audits */
    uint32_t run_ids,
        run_blocks; /* what is old goes to the disk by so many; 0: 65,536. Tests take fewer */
    /* on_block is called with every new final block; lent for the call. */
    void (*on_block)(void *arg, const struct qn_frame *frame, const struct qn_hash *hash);
    void *arg;
};

QN_CHECK qn_rc qn_chain_open(const struct qn_chain_conf *conf, struct qn_chain **ret,
                             struct qn_why *why);
/* qn_chain_close writes a checkpoint and lets go. */
void qn_chain_close(struct qn_chain *chain);

/* --- reading, at the last final block ------------------------------------------------------------------------------------ */

const struct qn_view *qn_chain_view(struct qn_chain *chain);
const struct qn_state *qn_chain_state(const struct qn_chain *chain);
struct qn_hash qn_chain_id(const struct qn_chain *chain);
struct qn_hash
qn_chain_head(const struct qn_chain *chain); /* hash of the last block; the genesis at height 0 */
struct qn_hash qn_chain_root(struct qn_chain *chain);
/* qn_chain_trie lends the rows, until anything else is asked. */
struct qn_trie *qn_chain_trie(struct qn_chain *chain);
/* qn_chain_header lends the header of the last final block (height 0: the genesis' time alone). */
const struct qn_header *qn_chain_header(const struct qn_chain *chain);
/* qn_chain_genesis lends the genesis, qn_chain_cert the last final block's certificate (empty: it has none of its own); Borsh. */
struct qn_span qn_chain_genesis(const struct qn_chain *chain);
struct qn_span qn_chain_cert(const struct qn_chain *chain);
/* qn_chain_by lends the same, or the filler's that stands for it. */
struct qn_span qn_chain_by(const struct qn_chain *chain);
/* qn_chain_set lends the validators that vote on the head's child, until the next final block; qn_chain_next_set copies those of the epoch
 * after. */
const struct qn_set *qn_chain_set(const struct qn_chain *chain);
void qn_chain_next_set(struct qn_chain *chain, struct qn_set *ret);

/* Where a transaction is. */
enum qn_tx_where { QN_TX_UNKNOWN, QN_TX_POOLED, QN_TX_FINAL };
/* qn_chain_tx says whether a transaction is final, and in which block, if that is kept. One of the last ten minutes is found in memory, an older one on
 * the disk (not without a store). */
QN_CHECK bool qn_chain_tx(struct qn_chain *chain, const struct qn_hash *id, uint64_t *ret_height);
/* qn_chain_recent_bytes is the memory of what is known by id and of where blocks lie: of ten minutes, and of what waits to be noted. */
size_t qn_chain_recent_bytes(const struct qn_chain *chain);

/* --- blocks above the last final one ---------------------------------------------------------------------------------------- */

/* Above a block that ends its epoch (ledger/state/stake.h) and is not final there are fillers only: empty, not executed, forgotten when it is
 * final. make and run know them by where they stand. */

/* qn_chain_make executes txs on parent (the head or a block made or run before) and makes a block of those that fit; misfit[i] tells which
 * did not. cnt is what had room; the rest may come in the next. *ret_hash is the block's. QN_E_NOTFOUND: no such parent. */
struct qn_make {
    struct qn_hash parent;
    uint64_t view, t_ms;
    struct qn_hash signers;   /* bits of who was heard to vote (qn_bft_heard); zero: not known */
    const struct qn_key *key; /* the proposer's: it draws the beacon (ledger/bft/beacon.h) */
    const struct qn_tx *txs;
    const struct qn_hash *ids;
    uint32_t cnt;
};
/* qn_chain_draw draws the beacon of a block on parent ahead of its making, which needs nothing else and then finds it. Of one parent at a time. */
void qn_chain_draw(struct qn_chain *chain, const struct qn_key *key, const struct qn_hash *parent);
QN_CHECK qn_rc qn_chain_make(struct qn_chain *chain, const struct qn_make *make, bool *misfit,
                             struct qn_hash *ret_hash, struct qn_why *why);
/* qn_chain_run executes a block that came from outside and checks everything that its header says of it, its set and its view excepted;
 * transactions' signatures are the caller's. A copy is kept. QN_E_NOTFOUND: its parent is not here; other errors: no honest validator
 * makes it. */
QN_CHECK qn_rc qn_chain_run(struct qn_chain *chain, const struct qn_block *block,
                            struct qn_why *why);
/* qn_chain_beacons looks, side by side, whether blocks that follow each other have the beacons that their proposers had to draw, and notes in the parcels
 * which have: qn_chain_take, which would look at each by itself, need not then. The first one's parent is the head or above it. */
void qn_chain_beacons(const struct qn_chain *chain, struct qn_parcel *const parcels[],
                      uint32_t cnt);
/* qn_chain_take is the same of a block that came in a parcel, which it counts while it keeps the block. qn_chain_parcel lends that, or the one of a
 * block that was made here. */
QN_CHECK qn_rc qn_chain_take(struct qn_chain *chain, struct qn_parcel *parcel, struct qn_why *why);
struct qn_parcel *qn_chain_parcel(const struct qn_chain *chain, const struct qn_hash *hash);
/* qn_chain_block lends a block that was made or run and is not final; NULL when there is none. */
const struct qn_block *qn_chain_block(const struct qn_chain *chain, const struct qn_hash *hash);
/* qn_chain_ends_epoch says whether a block that was made or run is its epoch's last. */
QN_CHECK bool qn_chain_ends_epoch(const struct qn_chain *chain, const struct qn_hash *hash);
/* qn_chain_holds says whether a transaction is in a block from parent down, or final and so late that it could come again. */
QN_CHECK bool qn_chain_holds(const struct qn_chain *chain, const struct qn_hash *parent,
                             const struct qn_hash *id);
/* qn_chain_slot says whether a transaction of a slot (qn_tx_slot) is final or in a block from parent down, and so late that a block of t_ms may
 * hold no other of it. */
QN_CHECK bool qn_chain_slot(const struct qn_chain *chain, const struct qn_hash *parent,
                            const struct qn_hash *slot, uint64_t t_ms);
/* What makes a block final: a certificate, its own or, for the last block of an epoch, that of the last of the fillers above it; their
 * headers lead there. */
struct qn_why_final {
    const struct qn_cert *cert; /* NULL: a descendant's comes next */
    const struct qn_header *fillers;
    uint32_t filler_cnt; /* at most 256 */
};
/* qn_final_check says whether it makes the block of that header final, by the voters of set. QN_E_PROOF, QN_E_SIGNATURE. */
QN_CHECK qn_rc qn_final_check(const struct qn_header *header, const struct qn_why_final *by,
                              const struct qn_set *set, struct qn_why *why);

/* qn_chain_final journals a child of the head, which was made or run, and makes it the head. What does not descend from it is forgotten. An error (disk) is final: close, open again. */
QN_CHECK qn_rc qn_chain_final(struct qn_chain *chain, const struct qn_hash *hash,
                              const struct qn_why_final *by, struct qn_why *why);
/* qn_chain_finals is the same of several, each the child of the one before, of which the last alone may end its epoch and has the reason: they are
 * synced together, and heard of after that. */
#define QN_FINALS_MAX 128
QN_CHECK qn_rc qn_chain_finals(struct qn_chain *chain, const struct qn_hash *hashes, uint32_t cnt,
                               const struct qn_why_final *by, struct qn_why *why);
/* qn_chain_pledge syncs what this validator is about to say, before it says it. qn_chain_pledges visits those that the journal held at
 * the opening and that no final block has settled. */
QN_CHECK qn_rc qn_chain_pledge(struct qn_chain *chain, const struct qn_pledge *pledge,
                               struct qn_why *why);
void qn_chain_pledges(const struct qn_chain *chain,
                      void (*visit)(void *arg, const struct qn_pledge *pledge), void *arg);
/* qn_chain_save writes a checkpoint when one is due. */
QN_CHECK qn_rc qn_chain_save(struct qn_chain *chain, struct qn_why *why);

/* --- history -------------------------------------------------------------------------------------------------------------- */

/* qn_chain_frame reads a final block from the journal; memory from arena. QN_E_NOTFOUND. qn_chain_first is the lowest that is kept. */
uint64_t qn_chain_first(const struct qn_chain *chain);
QN_CHECK qn_rc qn_chain_frame(struct qn_chain *chain, uint64_t height, struct qn_arena *arena,
                              struct qn_frame *ret, struct qn_why *why);

#endif
