/* job.h - heavy or dangerous work runs in workers: this same file re-executed as `quoin worker KIND`, fd 3 a
 * socketpair to the node, sandboxed (namespaces where allowed, seccomp, rlimits, cgroup where there is
 * one), killed at its limits. A worker's crash costs one job. The node believes no result it can check.
 *
 * A job has: a kind, a JSON request, input files (passed read-only), a folder of its own
 * (HOME/jobs/ID: log.txt, out/), limits, progress, a JSON result or an error. */
#ifndef QN_CORE_JOB_JOB_H
#define QN_CORE_JOB_JOB_H

#include "core/env/env.h"

#include <jansson.h>

struct qn_jobs; /* the node's queue */

struct qn_job_limits {
    uint32_t cpu_cnt;  /* threads it may use; 0: 1 */
    uint64_t mem_mib;  /* address space or cgroup; 0: 2048 */
    uint64_t wall_ms;  /* 0: 600,000 */
    uint64_t file_mib; /* what it may write to its out folder; 0: 1024 */
};

/* --- worker side ------------------------------------------------------------------------------------ */
struct qn_worker; /* the worker's end of fd 3 */

/* qn_worker_progress tells the node how far it is; at most ten a second leave. */
void qn_worker_progress(struct qn_worker *w, uint64_t done, uint64_t total, const char *unit);
/* qn_worker_log writes a line into the job's log. */
void qn_worker_log(struct qn_worker *w, const char *fmt, ...) QN_PRINTF(2, 3);
/* qn_worker_out is the folder results are written to; qn_worker_in a readable path of an input file by the
 * name under which the request passed it (dst[4096]); false when there is none. */
const char *qn_worker_out(const struct qn_worker *w);
QN_CHECK bool qn_worker_in(const struct qn_worker *w, const char *name, char *dst, size_t dst_len);

/* A kind of job a module offers. run works in the sandboxed worker process. */
struct qn_job_kind {
    const char *name; /* "train" */
    const char *doc;
    qn_rc (*run)(struct qn_worker *w, const json_t *request, json_t **ret, struct qn_why *why);
};

/* --- node side -------------------------------------------------------------------------------------- */
enum qn_job_state { QN_JOB_QUEUED, QN_JOB_RUNNING, QN_JOB_DONE, QN_JOB_FAILED, QN_JOB_CANCELLED };

struct qn_job_input {
    const char *name; /* how the worker asks for it */
    const char *path; /* file on this machine */
};

struct qn_job_info {
    struct qn_hash id;
    const char *kind;
    enum qn_job_state state;
    uint64_t done, total, started_ms, ended_ms;
    const char *unit;
    const json_t *result; /* when done */
    qn_rc rc;             /* when failed */
    const char *why;      /* when failed: the reason in words */
    const char *folder;   /* HOME/jobs/ID: log.txt, out/ */
};

/* qn_job_start queues a job; request is copied. Lives across the caller; *ret_id names it. */
QN_CHECK qn_rc qn_job_start(struct qn_jobs *jobs, const char *kind, const json_t *request,
                            const struct qn_job_input *inputs, size_t input_cnt,
                            const struct qn_job_limits *limits, struct qn_hash *ret_id,
                            struct qn_why *why);
/* qn_job_get lends what is known; until the loop turns. QN_E_NOTFOUND. */
QN_CHECK qn_rc qn_job_get(struct qn_jobs *jobs, const struct qn_hash *id, struct qn_job_info *ret);
/* qn_job_each visits all jobs, newest first. */
void qn_job_each(struct qn_jobs *jobs, void (*visit)(void *arg, const struct qn_job_info *info),
                 void *arg);
/* qn_job_cancel kills a job; a job that ended already is fine. */
QN_CHECK qn_rc qn_job_cancel(struct qn_jobs *jobs, const struct qn_hash *id);

#endif
