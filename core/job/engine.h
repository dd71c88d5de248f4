/* engine.h - what can run a lease's workload. One constant table each; `local` is the sandbox of this
 * folder. An engine that this build or machine has not says so in one line. */
#ifndef QN_CORE_JOB_ENGINE_H
#define QN_CORE_JOB_ENGINE_H

#include "core/job/job.h"

struct qn_engine {
    const char *name, *doc;
    /* probe says whether it can run here; QN_E_ABSENT or QN_E_SYSTEM with the reason. */
    qn_rc (*probe)(struct qn_why *why);
    /* run starts manifest {"kind": K, ...} as a job of kind K whose request is the manifest itself. */
    qn_rc (*run)(struct qn_jobs *jobs, const json_t *manifest, const struct qn_job_input *inputs,
                 size_t input_cnt, const struct qn_job_limits *limits, struct qn_hash *ret_id,
                 struct qn_why *why);
};

/* qn_engine_find returns the engine of that name, NULL when there is none; qn_engine_at lists them. */
const struct qn_engine *qn_engine_find(const char *name);
const struct qn_engine *qn_engine_at(size_t idx);

#endif
