/* runner.h - a lease's workload on the provider's node: started from its manifest, found again after a
 * restart, stopped when the lease no longer runs. */
#ifndef QN_MODULES_COMPUTE_RUNNER_H
#define QN_MODULES_COMPUTE_RUNNER_H

#include "core/module/call.h"

/* runner_start runs the manifest of a lease. Idempotent: what runs already, or ended well, is answered
 * again. */
QN_CHECK qn_rc runner_start(struct qn_call_ctx *ctx, const struct qn_hash *lease_id,
                            struct qn_span engine, struct qn_hash *ret_job, struct qn_why *why);
/* runner_job finds the job of a lease, also one of an earlier run of the node. QN_E_NOTFOUND. */
QN_CHECK qn_rc runner_job(const char *home, const struct qn_hash *lease_id,
                          struct qn_hash *ret_job);
/* runner_reconcile cancels jobs whose lease is closed on the ledger. */
void runner_reconcile(struct qn_call_ctx *ctx);

#endif
