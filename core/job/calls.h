/* calls.h - jobs as calls: job.list, job.get, job.logs, job.ask, job.keep, job.cancel. core/node puts them into its table. */
#ifndef QN_CORE_JOB_CALLS_H
#define QN_CORE_JOB_CALLS_H

#include "core/module/call.h"

#include "core/schema/declare.h"

#include "core/job/job.def"

extern const struct qn_call QN_JOB_CALLS[]; /* ends with a zero row */

/* qn_job_log_json is a piece of a log as the result of a call: {job, offset, next, size, text}; NULL and
 * *ret_rc when there is none. */
json_t *qn_job_log_json(const char *home, const struct qn_hash *id, uint64_t offset, uint32_t max,
                        qn_rc *ret_rc, struct qn_why *why) QN_GIVES;

/* qn_job_run is a whole job for a call that waits for it: it starts the job at the first try (*ctx->state is 0) and gives
 * QN_E_AGAIN until it has ended; then ret as qn_job_get lends it, or the job's own failure. */
QN_CHECK qn_rc qn_job_run(struct qn_call_ctx *ctx, const char *kind, const json_t *request,
                          const struct qn_job_input *inputs, size_t input_cnt,
                          const struct qn_job_limits *limits, struct qn_job_info *ret,
                          struct qn_why *why);

/* qn_job_keep makes a blob of the file `name` that a job left in its out folder, as the call job.keep does. The job
 * must have ended, or be of an earlier run of the node. What a worker leaves is foreign: a name with a folder
 * in it, a link of any kind and what is no file are refused, so that nothing outside the folder is ever read.
 *
 * QN_E_USAGE, QN_E_STATE while it runs, QN_E_NOTFOUND, QN_E_REFUSED, QN_E_TOOBIG, disk trouble. */
QN_CHECK qn_rc qn_job_keep(struct qn_call_ctx *ctx, const struct qn_hash *job, const char *name,
                           struct qn_hash *ret, uint64_t *ret_bytes, struct qn_why *why);

#endif
