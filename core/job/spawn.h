/* spawn.h - the process of one job as the node sees it: start it, see what it wrote, end it. */
#ifndef QN_CORE_JOB_SPAWN_H
#define QN_CORE_JOB_SPAWN_H

#include "core/job/wire.h"

#include <sys/types.h>

/* A started worker. All descriptors belong to the caller. */
struct spawn {
    pid_t pid;  /* leader of a process group of its own */
    int pid_fd; /* readable when it has ended; -1 where the kernel has none */
    int sock;   /* nonblocking end of its fd 3 */
    int log;    /* nonblocking end of its stdout and stderr */
};

/* spawn_worker re-executes this program as `worker KIND` with inputs on fd 4 and up. */
QN_CHECK qn_rc spawn_worker(const char *kind, const int *inputs, size_t input_cnt,
                            struct spawn *ret, struct qn_why *why);
/* spawn_kill ends the process group at once; the pid namespace of the worker goes with it. */
void spawn_kill(const struct spawn *spawn);
/* What the processes of this machine use, read once for all jobs. */
struct spawn_procs {
    struct spawn_proc *list;
    size_t cnt;
};
void spawn_procs_read(struct spawn_procs *ret);
void spawn_procs_free(struct spawn_procs *procs);
/* spawn_procs_sum adds up pid and all its descendants; orphans count, since they fall to the init of the
 * worker's own process tree. */
void spawn_procs_sum(const struct spawn_procs *procs, pid_t pid, uint64_t *ret_rss_mib,
                     uint32_t *ret_cnt);

/* spawn_usage adds up what lies in a folder, links not followed, and says whether there are too many
 * files or levels to look at. */
struct spawn_usage {
    uint64_t bytes, file_cnt;
    bool too_many;
};
struct spawn_usage spawn_usage(const char *folder);

#endif
