/* training.c - the module: transactions, deadlines, tables. */
#include "modules/training/training.h"

#include "core/schema/define.h"
#include "modules/training/training.def"

/* To add a transaction: a record in training.def, a number in training.h, a handler, a line here. */
static const struct qn_tx_kind TXS[] = {
    { TRAINING_TX_JOB, "train.job", "ask for a training and lock its pay", train_job_record, 300000,
      NULL, training_tx_job },
    { TRAINING_TX_CANCEL, "train.cancel", "take back a job that waits for solvers",
      train_cancel_record, 40000, NULL, training_tx_cancel },
    { TRAINING_TX_TAKE, "train.take", "take a job and stake the bond", train_take_record, 60000,
      NULL, training_tx_take },
    { TRAINING_TX_COMMIT, "train.commit", "commit to the segments so far", train_commit_record,
      40000, NULL, training_tx_commit },
    { TRAINING_TX_ACCEPT, "train.accept", "accept a result before its window is over",
      train_accept_record, 40000, NULL, training_tx_accept },
    { TRAINING_TX_GAME_COMMIT, "game.commit", "announce a challenge, sealed", game_commit_record,
      20000, NULL, training_tx_game_commit },
    { TRAINING_TX_GAME_OPEN, "game.open", "open an announced challenge", game_open_record, 100000,
      NULL, training_tx_game_open },
    { TRAINING_TX_GAME_ROOTS, "game.roots", "answer as solver: hashes that narrow the dispute",
      game_roots_record, 300000, NULL, training_tx_game_roots },
    { TRAINING_TX_GAME_PICK, "game.pick", "answer as challenger: the first hash you reject",
      game_pick_record, 200000, NULL, training_tx_game_pick },
    { TRAINING_TX_GAME_TILE, "game.tile",
      "open one tile's inputs; the ledger computes it and decides", game_tile_record, 1500000, NULL,
      training_tx_game_tile },
    { TRAINING_TX_DATA_PUT, "data.put", "register a data set with its licence and size",
      data_put_record, 20000, training_data_put_check, training_data_put },
    { 0 },
};

static const struct qn_due_kind DUES[] = {
    { TRAINING_DUE_TTL, "train.ttl", training_due_ttl },
    { TRAINING_DUE_DRAW, "train.draw", training_due_draw },
    { TRAINING_DUE_COMMIT, "train.commit", training_due_commit },
    { TRAINING_DUE_WINDOW, "train.window", training_due_window },
    { TRAINING_DUE_CLAIM, "game.claim", training_due_claim },
    { TRAINING_DUE_MOVE, "game.move", training_due_move },
    { 0 },
};

static const struct qn_table TABLES[] = {
    { TRAINING_T_DATA, "data", training_data_record, "data h32" },
    { TRAINING_T_JOB, "job", training_job_record, "job h32" },
    { TRAINING_T_RUN, "run", training_run_record, "run h32" },
    { TRAINING_T_CLAIM, "claim", training_claim_record, "claim h32" },
    { TRAINING_T_GAME, "game", training_game_record, "game h32" },
    { 0 },
};

extern const struct qn_module training_module;
const struct qn_module training_module = {
    .name = "training",
    .doc =
        "train on leased machines, with a trace that a stranger can check and the ledger can judge",
    .tag = TRAINING_TAG,
    .txs = TXS,
    .dues = DUES,
    .tables = TABLES,
    .calls = TRAINING_CALLS,
    .jobs = TRAINING_JOBS,
};
