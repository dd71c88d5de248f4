/* training.h - work that a stranger can check: data sets, training jobs, their traces, and disputes that the ledger
 * decides by computing one 16 x 16 tile. Records: training.def; the protocol: README.md. */
#ifndef QN_MODULES_TRAINING_TRAINING_H
#define QN_MODULES_TRAINING_TRAINING_H

#include "core/module/module.h"

#include "core/schema/declare.h"
#include "modules/training/training.def"

enum { TRAINING_TAG = 2 };

/* Tables. Keys are 32-byte ids unless written otherwise. */
enum training_table {
    TRAINING_T_DATA = 0x20, /* BLAKE3 of the blob */
};

/* Transactions, 2 << 8 | n. */
enum training_tx {
    TRAINING_TX_DATA_PUT = 0x0210,
};

/* --- transactions and deadlines ------------------------------------------------------------------------ */
QN_CHECK qn_rc training_data_put_check(const void *body, struct qn_why *why);
QN_CHECK qn_rc training_data_put(struct qn_apply *ap, const void *body, struct qn_why *why);

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
