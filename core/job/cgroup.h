/* cgroup.h - a control group a job, where the machine lets us make one: memory and number of processes of
 * everything the job started. v2 where our own group is ours alone (a unit with Delegate=yes), v1 where
 * its folders are writable (root). Elsewhere rlimits and the watch on the process tree hold alone. */
#ifndef QN_CORE_JOB_CGROUP_H
#define QN_CORE_JOB_CGROUP_H

#include "core/job/job.h"

#include <sys/types.h>

/* Where groups can be made. */
struct cgroup_base {
    char path[512]; /* our group of v2; "" without */
    bool v1;        /* v1's memory and pids */
};

struct cgroup {
    char path[600]; /* of v2; "" without */
    char v1[2][96]; /* of v1's memory and pids; "" without */
};

/* cgroup_find looks for a place once. */
void cgroup_find(struct cgroup_base *ret);
/* cgroup_make makes a group with limits and puts pid in; what is refused is left out. */
void cgroup_make(const struct cgroup_base *base, const char *name, pid_t pid,
                 const struct qn_job_limits *limits, struct cgroup *ret);
/* cgroup_end kills what is left in it, removes it, and says whether it ran out of memory. */
bool cgroup_end(struct cgroup *group);

#endif
