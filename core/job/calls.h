/* calls.h - jobs as calls: job.list, job.get, job.logs, job.cancel. core/node puts them into its table. */
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

#endif
