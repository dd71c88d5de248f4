/* proofs.h - calls that give out rows of the state with their proofs. */
#ifndef QN_CORE_NODE_PROOFS_H
#define QN_CORE_NODE_PROOFS_H

#include "core/module/call.h"

qn_rc qn_call_ledger_row(struct qn_call_ctx *ctx, const void *params, json_t **ret,
                         struct qn_why *why);
qn_rc qn_call_ledger_list(struct qn_call_ctx *ctx, const void *params, json_t **ret,
                          struct qn_why *why);

qn_rc qn_call_snapshot_create(struct qn_call_ctx *ctx, const void *params, json_t **ret,
                              struct qn_why *why);
qn_rc qn_call_backup_create(struct qn_call_ctx *ctx, const void *params, json_t **ret,
                            struct qn_why *why);

/* qn_chunks_in keeps chunks as blobs of a folder: DIR/blobs. dir must outlive it. */
struct qn_chunks;
void qn_chunks_in(const char *dir, struct qn_chunks *ret);
/* qn_snapshot_json tells a snapshot to people. */
struct qn_backup;
json_t *qn_backup_json(const struct qn_backup *backup, const char *dir);
struct qn_snapshot;
json_t *qn_snapshot_json(const struct qn_snapshot *sn, const char *file);

#endif
