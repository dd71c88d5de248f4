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

/* A job may serve: after what it needs is loaded, its run loops over requests that the node passes on, until
 * the job is cancelled (the wall limit holds as for any job):
 *
 *     struct qn_request req;
 *     while (qn_worker_next(w, &req)) {
 *         rc = classify(req.message, &result, &why);
 *         if (rc) qn_worker_refuse(w, req.id, rc, why.text); else qn_worker_answer(w, req.id, result);
 *     }
 *     return QN_OK;
 *
 * Requests are answered one by one, in their order; anything else and the node kills the worker. */
struct qn_request {
    uint64_t id;
    const json_t *message; /* any JSON value; lent until the next qn_worker_next */
};

/* qn_worker_next waits for a request; false when the node is gone. The first call tells the node that the
 * job serves: from then on it does not count among the jobs that run at once. */
QN_CHECK bool qn_worker_next(struct qn_worker *w, struct qn_request *ret);
/* qn_worker_answer gives the answer of request id; one too large for a message becomes a refusal.
 * qn_worker_refuse says why there is none. */
void qn_worker_answer(struct qn_worker *w, uint64_t id, json_t *result QN_TAKES);
void qn_worker_refuse(struct qn_worker *w, uint64_t id, qn_rc rc, const char *why);

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
    bool serving;         /* it runs and takes requests: qn_job_ask */
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

/* --- asking a job that serves ------------------------------------------------------------------------- */
#define QN_JOB_ASKS_MAX      1024                 /* unanswered requests of one job */
#define QN_JOB_ASK_BYTES_MAX (UINT32_C(16) << 20) /* and their JSON, together */

/* How a request ended. rc QN_OK: result is the answer, lent for the call. Else result is NULL and why says it:
 * the job's own refusal with its code, QN_E_TIMEOUT, or QN_E_JOB when the job ended first. */
typedef void (*qn_job_answer_fn)(void *arg, qn_rc rc, const json_t *result, const char *why);

/* qn_job_ask passes a message to a job that serves, or will once it runs.
 *
 * message     any JSON value, at most QN_JOB_MESSAGE_MAX bytes as text; QN_E_TOOBIG
 * timeout_ms  after it fn is called with QN_E_TIMEOUT (looked at every 100 ms); 0: 30,000
 * fn          called exactly once, from the event loop, never before qn_job_ask returned QN_OK; it may ask,
 *             start and cancel jobs. qn_jobs_free calls it, too.
 *
 * QN_E_NOTFOUND, QN_E_STATE when the job has ended, QN_E_RATE when too much is unanswered already. */
QN_CHECK qn_rc qn_job_ask(struct qn_jobs *jobs, const struct qn_hash *id, const json_t *message,
                          uint32_t timeout_ms, qn_job_answer_fn fn, void *arg, struct qn_why *why);

/* qn_job_ask_wait is qn_job_ask for calls (core/module/call.h), which never block but are tried again: it asks
 * at the first try and returns QN_E_AGAIN until the answer is there, then that answer once.
 *
 * state       ctx->state: 0 at the first try; holds the request's number from then on
 * ret         a new value
 *
 *     return qn_job_ask_wait(ctx->jobs, ctx->state, &id, message, 0, ret, why);
 *
 * An answer nobody comes back for is dropped after 10 s. QN_E_RATE when too many calls wait. */
QN_CHECK qn_rc qn_job_ask_wait(struct qn_jobs *jobs, uint64_t *state, const struct qn_hash *id,
                               const json_t *message, uint32_t timeout_ms, json_t **ret QN_GIVES,
                               struct qn_why *why);

#endif
