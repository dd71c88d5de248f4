/* training.h - work that a stranger can check: data sets, training jobs, their traces, and disputes that the ledger
 * decides by computing one 16 x 16 tile. Records: training.def; the protocol: README.md.
 *
 * Nothing waits for a human: every state that waits has a deadline below with what happens then. All of it is integers:
 * the ledger never touches a float. */
#ifndef QN_MODULES_TRAINING_TRAINING_H
#define QN_MODULES_TRAINING_TRAINING_H

#include "core/module/module.h"
#include "gpu/graph/node.h"

#include "core/schema/declare.h"
#include "modules/training/training.def"

enum { TRAINING_TAG = 2 };

/* Tables. Keys are 32-byte ids unless written otherwise. */
enum training_table {
    TRAINING_T_DATA = 0x20,  /* BLAKE3 of the blob */
    TRAINING_T_GRAPH = 0x21, /* hash of the graph -> its canonical bytes */
    TRAINING_T_JOB = 0x22,
    TRAINING_T_RUN = 0x23,
    TRAINING_T_JOB_RUN = 0x24,  /* job | run -> empty */
    TRAINING_T_CLAIM = 0x25,    /* H(sender, claim) */
    TRAINING_T_GAME = 0x26,     /* id of the transaction that opened it */
    TRAINING_T_RUN_GAME = 0x27, /* run | game -> empty; open games */
};

/* Transactions, 2 << 8 | n. */
enum training_tx {
    TRAINING_TX_JOB = 0x0201,
    TRAINING_TX_CANCEL,
    TRAINING_TX_TAKE,
    TRAINING_TX_COMMIT,
    TRAINING_TX_ACCEPT,
    TRAINING_TX_GAME_COMMIT,
    TRAINING_TX_GAME_OPEN,
    TRAINING_TX_GAME_ROOTS,
    TRAINING_TX_GAME_PICK,
    TRAINING_TX_GAME_TILE,
    TRAINING_TX_DATA_PUT = 0x0210,
};

/* Deadlines and what happens when nobody acted. */
enum training_due {
    TRAINING_DUE_TTL = 0x0201, /* job: too few solvers; bonds and escrow back */
    TRAINING_DUE_DRAW,         /* job: the order of records is drawn, solvers may begin */
    TRAINING_DUE_COMMIT, /* run: silent; lost, a tenth of its bond to the requester, its pay back */
    TRAINING_DUE_WINDOW, /* run: nobody challenged; paid, bond back */
    TRAINING_DUE_CLAIM,  /* claim: never opened; forgotten */
    TRAINING_DUE_MOVE,   /* game: the mover was silent and loses */
};

enum training_job_state {
    TRAINING_JOB_OPEN,
    TRAINING_JOB_DRAWN,
    TRAINING_JOB_RUNNING,
    TRAINING_JOB_CLOSED
};

enum training_run_state {
    TRAINING_RUN_WAITING,
    TRAINING_RUN_RUNNING,
    TRAINING_RUN_WINDOW,
    TRAINING_RUN_PAID,
    TRAINING_RUN_CONVICTED,
    TRAINING_RUN_LOST
};

enum training_result { TRAINING_OPEN, TRAINING_SOLVER, TRAINING_CHALLENGER, TRAINING_MOOT };

/* Odd phases and TILE are the challenger's to move. */
enum training_phase {
    TRAINING_STEPS,
    TRAINING_PICK_STEP,
    TRAINING_NODES,
    TRAINING_PICK_NODE,
    TRAINING_TILES,
    TRAINING_PICK_TILE,
    TRAINING_SUMS,
    TRAINING_PICK_SUM,
    TRAINING_TILE,
    TRAINING_OVER
};

#define TRAINING_NODE_MAX   1024u /* of a job's graph: their roots lie in one row */
#define TRAINING_STEP_ARITY 64u   /* states a round */
#define TRAINING_TREE_ARITY 9u    /* levels of a tile tree a round: 512 hashes */
#define TRAINING_GAME_MAX   64u   /* open against one run */

struct training_pair_key {
    uint8_t b[64];
};

/* --- keys, accounts, rows (row.c) ------------------------------------------------------------------------ */
struct training_pair_key training_pair(const struct qn_hash *a, const struct qn_hash *b);
struct qn_hash training_run_id(const struct qn_hash *job, const struct qn_hash *solver);
struct qn_hash training_claim_id(const struct qn_hash *who, const struct qn_hash *claim);
/* training_claim_hash is what game.commit announces; mark is the step of a rejected mark, UINT64_MAX without. */
struct qn_hash training_claim_hash(const struct qn_hash *who, const struct qn_hash *salt,
                                   const struct qn_hash *run, uint32_t seg, uint64_t mark);
struct qn_hash training_escrow_acct(const struct qn_hash *job);
struct qn_hash training_bond_acct(const struct qn_hash *run);
struct qn_hash training_game_acct(const struct qn_hash *game);

/* The rows; QN_E_NOTFOUND with words. */
QN_CHECK qn_rc training_job_get(const struct qn_view *view, struct qn_arena *arena,
                                const struct qn_hash *id, struct training_job *ret,
                                struct qn_why *why);
QN_CHECK qn_rc training_run_get(const struct qn_view *view, struct qn_arena *arena,
                                const struct qn_hash *id, struct training_run *ret,
                                struct qn_why *why);
QN_CHECK qn_rc training_game_get(const struct qn_view *view, struct qn_arena *arena,
                                 const struct qn_hash *id, struct training_game *ret,
                                 struct qn_why *why);
void training_job_save(struct qn_apply *ap, const struct qn_hash *id,
                       const struct training_job *job);
void training_run_save(struct qn_apply *ap, const struct qn_hash *id,
                       const struct training_run *run);
void training_game_save(struct qn_apply *ap, const struct qn_hash *id,
                        const struct training_game *game);
/* training_graph_get decodes a graph of the table; memory from arena. */
void training_graph_get(const struct qn_view *view, struct qn_arena *arena,
                        const struct qn_hash *hash, struct graph *ret);

/* --- what a game asks for (rules.c): the same for ledger, solver and challenger ----------------------------- */
/* training_seg_end returns the number of steps done at the end of a segment. */
uint64_t training_seg_end(const struct training_job *job, uint32_t seg);
/* training_point is the steps done at the i-th of n evenly spaced states between lo and hi; the last is hi. */
uint64_t training_point(uint64_t lo, uint64_t hi, uint32_t n, uint32_t i);
/* training_list_cnt returns how many hashes the solver owes in the game's phase. */
uint32_t training_list_cnt(const struct graph *g, const struct training_game *game);
/* training_tile_level returns the level of the tile tree the next list stands at. */
uint32_t training_tile_level(const struct training_game *game);
/* training_root_of_nodes checks a step's node roots against the states at its ends, and a rejected mark's figures. */
QN_CHECK qn_rc training_nodes_bound(const struct graph *g, const struct training_game *game,
                                    const struct qn_hash *nodes, struct qn_why *why);
/* training_solver_moves says whose move a phase is. */
bool training_solver_moves(uint8_t phase);

/* --- ends of a run (settle.c) ---------------------------------------------------------------------------- */
void training_run_pay(struct qn_apply *ap, const struct qn_hash *run_id, struct training_run *run);
void training_run_convict(struct qn_apply *ap, const struct qn_hash *run_id,
                          const struct qn_hash *game_id, struct training_game *game);
void training_game_acquit(struct qn_apply *ap, const struct qn_hash *game_id,
                          struct training_game *game);

/* --- transactions and deadlines ------------------------------------------------------------------------ */
#define TRAINING_TX(name)                                                                          \
    QN_CHECK qn_rc name(struct qn_apply *ap, const void *body, struct qn_why *why)
QN_CHECK qn_rc training_data_put_check(const void *body, struct qn_why *why);
TRAINING_TX(training_data_put);
TRAINING_TX(training_tx_job);
TRAINING_TX(training_tx_cancel);
TRAINING_TX(training_tx_take);
TRAINING_TX(training_tx_commit);
TRAINING_TX(training_tx_accept);
TRAINING_TX(training_tx_game_commit);
TRAINING_TX(training_tx_game_open);
TRAINING_TX(training_tx_game_roots);
TRAINING_TX(training_tx_game_pick);
TRAINING_TX(training_tx_game_tile);
void training_due_ttl(struct qn_apply *ap, const struct qn_hash *id);
void training_due_draw(struct qn_apply *ap, const struct qn_hash *id);
void training_due_commit(struct qn_apply *ap, const struct qn_hash *id);
void training_due_window(struct qn_apply *ap, const struct qn_hash *id);
void training_due_claim(struct qn_apply *ap, const struct qn_hash *id);
void training_due_move(struct qn_apply *ap, const struct qn_hash *id);

/* --- tables of the module -------------------------------------------------------------------------------- */
extern const struct qn_call TRAINING_CALLS[];
extern const struct qn_job_kind TRAINING_JOBS[];

/* training_job_wait runs a job for a call that waits for it: it starts the job at the first try and returns QN_E_AGAIN
 * until it has ended. request is the caller's. On QN_OK *ret is the finished job, lent until the loop turns. */
QN_CHECK qn_rc training_job_wait(struct qn_call_ctx *ctx, const char *kind, const json_t *request,
                                 const struct qn_job_input *inputs, size_t input_cnt,
                                 const struct qn_job_limits *limits, struct qn_job_info *ret,
                                 struct qn_why *why);

#endif
