/* training.c - the module: transactions, deadlines, tables. */
#include "modules/training/training.h"

#include "core/schema/define.h"
#include "modules/training/training.def"

/* To add a transaction: a record in training.def, a number in training.h, a handler, a line here. */
static const struct qn_tx_kind TXS[] = {
    { TRAINING_TX_DATA_PUT, "data.put", "register a data set with its licence and size",
      data_put_record, 20000, training_data_put_check, training_data_put },
    { 0 },
};

static const struct qn_table TABLES[] = {
    { TRAINING_T_DATA, "data", training_data_record, "data h32" },
    { 0 },
};

extern const struct qn_module training_module;
const struct qn_module training_module = {
    .name = "training",
    .doc =
        "train on leased machines, with a trace that a stranger can check and the ledger can judge",
    .tag = TRAINING_TAG,
    .txs = TXS,
    .tables = TABLES,
    .calls = TRAINING_CALLS,
    .jobs = TRAINING_JOBS,
};
