/* jobs.h - the node's side of workers: making the queue, and what a process does that was started as
 * `quoin worker KIND`.
 *
 * Traps: a job's callback runs inside the event loop; starting or cancelling jobs in it is fine, freeing the
 * queue is not. Each job owns its folder HOME/jobs/ID, which stays after the job for whoever reads the
 * log and the results. */
#ifndef QN_CORE_JOB_JOBS_H
#define QN_CORE_JOB_JOBS_H

#include "core/job/job.h"

struct event_base;

#define QN_JOB_LOG_MAX     (UINT32_C(4) << 20) /* bytes of log kept; the rest is read and dropped */
#define QN_JOB_MESSAGE_MAX (UINT32_C(1) << 20) /* bytes of one message either way, JSON */
#define QN_JOB_INPUT_MAX   64

/* What a machine may refuse a sandbox; set in jobs_opts.without by tests to act as such a machine. */
enum qn_job_without {
    QN_JOB_NO_USERNS = 1, /* no namespaces of any kind */
    QN_JOB_NO_LANDLOCK = 2,
};

struct qn_jobs_opts {
    struct event_base *base; /* lent for the life of the queue */
    const struct qn_env *env;
    const char *home; /* HOME; jobs lie in HOME/jobs */
    /* Tables of kinds, each ended by a zero row; the list ends with NULL. Lent for ever. The core's own
     * kinds (qn_job_kinds_core) are always known. */
    const struct qn_job_kind *const *tables;
    uint32_t running_max; /* processes at once; 0: the machine's CPUs, at least 4 */
    uint32_t queue_max;   /* jobs waiting; 0: 256 */
    /* changed is called after a job's state or progress changed; info is lent for the call. */
    void (*changed)(void *arg, const struct qn_job_info *info);
    /* answered is called once a turn of the loop in which qn_job_ask_wait would return something; may be NULL. */
    void (*answered)(void *arg);
    void *arg;
    unsigned without; /* enum qn_job_without; 0 but in tests */
};

/* qn_jobs_new makes an empty queue and HOME/jobs. */
QN_CHECK qn_rc qn_jobs_new(const struct qn_jobs_opts *opts, struct qn_jobs **ret,
                           struct qn_why *why) QN_GIVES;
/* qn_jobs_free kills what runs, waits until it is gone, and frees. NULL is welcome. */
void qn_jobs_free(struct qn_jobs *jobs);

/* qn_job_log reads up to max bytes of a job's log from offset on into ret; *ret_size is the log's size
 * now. home and id name the job, so that it works for jobs of an earlier run of the node. */
QN_CHECK qn_rc qn_job_log(const char *home, const struct qn_hash *id, uint64_t offset, size_t max,
                          struct qn_buf *ret, uint64_t *ret_size, struct qn_why *why);

/* qn_memfd_sealed makes a memory file with these bytes that nobody can change any more. Its path for
 * qn_job_input is "/proc/self/fd/N"; the caller closes it after qn_job_start. */
QN_CHECK qn_rc qn_memfd_sealed(const char *name, struct qn_span bytes, int *ret_fd);

/* qn_job_kinds_core are the kinds of this folder: exec. Ended by a zero row. */
const struct qn_job_kind *qn_job_kinds_core(void);

/* qn_worker_main is the whole life of `quoin worker KIND`: it locks itself in before it reads its request,
 * runs the kind and returns the exit status. fd 3 must be the socket that the queue passed. */
int qn_worker_main(const char *kind, const struct qn_job_kind *const *tables);

#endif
