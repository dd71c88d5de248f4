/* sandbox.h - how a worker locks itself in, in this order, before it reads its request:
 *
 *   1 namespaces     user, mount, pid, net, ipc, uts: a process tree of its own with no network
 *   2 root           an empty read-only root with out/ (the job's folder, writable) and fd/ (its inputs);
 *                    a command (exec) also sees /usr, /lib, /bin read-only, /dev/null and the like,
 *                    /proc of its own processes and a /tmp in memory
 *   3 limits         address space, CPU time, file size, no core files
 *   4 rights         no_new_privs, no capabilities, landlock where there is no root of its own
 *   5 system calls   seccomp: an allow-list for computing; for commands a list of what is forbidden
 *
 * Where a machine refuses step 1 the rest still holds and one line in the log says what is missing. */
#ifndef QN_CORE_JOB_SANDBOX_H
#define QN_CORE_JOB_SANDBOX_H

#include "core/job/wire.h"

struct sandbox {
    bool exec;      /* the kind runs commands */
    bool user_ns;   /* namespaces that were granted */
    bool root;      /* the worker has a root of its own */
    char out[1024]; /* out folder as the worker sees it */
    char fds[32];   /* folder in which a file named N opens descriptor N anew */
};

/* sandbox_enter does 1 to 5. With a process tree of its own this process stays behind as its watcher and
 * never returns; the worker goes on in a grandchild. What went missing is written to stderr.
 * QN_E_SYSTEM when a step fails that no machine may refuse. */
QN_CHECK qn_rc sandbox_enter(const struct wire_hello *hello, bool exec, struct sandbox *ret,
                             struct qn_why *why);

/* Parts of it, in files of their own. */
QN_CHECK qn_rc sandbox_root(const struct wire_hello *hello, struct sandbox *box,
                            struct qn_why *why);
QN_CHECK qn_rc sandbox_landlock(const struct wire_hello *hello, struct qn_why *why);
QN_CHECK qn_rc sandbox_seccomp(bool exec, struct qn_why *why);

#endif
