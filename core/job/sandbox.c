/* sandbox.c - namespaces, the watcher and the small init of a worker's process tree, limits, rights. */
#include "core/job/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define PROC_CNT_MAX 256
#define NAMESPACES   (CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS)

static bool write_text(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0) return false;
    ssize_t n = write(fd, text, strlen(text));
    close(fd);
    return n == (ssize_t)strlen(text);
}

/* The user inside is 1000 and outside who runs the node, so that results belong to the node. */
static bool map_ids(uid_t uid, gid_t gid)
{
    char line[64];
    if (!write_text("/proc/self/setgroups", "deny")) return false;
    snprintf(line, sizeof line, "1000 %u 1", (unsigned)gid);
    if (!write_text("/proc/self/gid_map", line)) return false;
    snprintf(line, sizeof line, "1000 %u 1", (unsigned)uid);
    return write_text("/proc/self/uid_map", line);
}

static void namespaces(const struct wire_hello *hello, struct sandbox *box, bool *ret_any)
{
    uid_t uid = geteuid();
    gid_t gid = getegid();
    *ret_any = false;
    if (hello->without & QN_JOB_NO_USERNS) {
        fprintf(stderr, "sandbox: no namespaces (asked for by a test)\n");
    } else if (unshare(CLONE_NEWUSER | NAMESPACES) == 0) {
        *ret_any = true;
        box->user_ns = map_ids(uid, gid);
        if (!box->user_ns) fprintf(stderr, "sandbox: user id map refused: %s\n", strerror(errno));
    } else if (unshare(NAMESPACES) == 0) { /* root where user namespaces are switched off */
        *ret_any = true;
        fprintf(stderr, "sandbox: no user namespace; others are in place\n");
    } else {
        fprintf(stderr, "sandbox: no namespaces (%s): seccomp, landlock and limits hold alone\n",
                strerror(errno));
    }
}

/* die_with makes the kernel kill this process when the one that forked it is gone. */
static void die_with(void)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
}

static int wait_for(pid_t pid)
{
    int status = 0;
    for (;;) {
        pid_t got = waitpid(-1, &status, 0);
        if (got == pid) return status;
        if (got < 0 && errno != EINTR) return 0;
    }
}

static _Noreturn void end_like(int status)
{
    if (WIFSIGNALED(status)) {
        struct rlimit no_core = { 0, 0 };
        setrlimit(RLIMIT_CORE, &no_core);
        signal(WTERMSIG(status), SIG_DFL);
        raise(WTERMSIG(status));
        _exit(128 + WTERMSIG(status));
    }
    _exit(WEXITSTATUS(status));
}

/* The watcher stays outside, an init with nothing to do is process 1 inside, the worker its child: a
 * process 1 that computes would not die of its own signals (abort is ignored there). Init tells the
 * watcher how the worker ended through a pipe. */
static qn_rc process_tree(struct qn_why *why)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC)) return qn_why(why, QN_E_SYSTEM, "pipe: %s", strerror(errno));
    pid_t init = fork();
    if (init < 0) return qn_why(why, QN_E_SYSTEM, "fork: %s", strerror(errno));
    if (init > 0) {
        die_with();
        close(WIRE_FD);
        close(ends[1]);
        int status = wait_for(init), worker_status;
        if (read(ends[0], &worker_status, sizeof worker_status) == sizeof worker_status)
            status = worker_status;
        end_like(status);
    }
    die_with();
    close(ends[0]);
    pid_t worker = fork();
    if (worker < 0) return qn_why(why, QN_E_SYSTEM, "fork: %s", strerror(errno));
    if (worker > 0) {
        close(WIRE_FD);
        int status = wait_for(worker);
        ssize_t n = write(ends[1], &status, sizeof status);
        _exit(n == sizeof status ? 0 : 1); /* takes whatever else runs here along */
    }
    die_with();
    close(ends[1]);
    return QN_OK;
}

static bool limit(int what, uint64_t soft, uint64_t hard)
{
    struct rlimit cur, want;
    if (getrlimit((__rlimit_resource_t)what, &cur)) return false;
    want.rlim_max = QN_MIN(cur.rlim_max, (rlim_t)hard);
    want.rlim_cur = QN_MIN(want.rlim_max, (rlim_t)soft);
    return setrlimit((__rlimit_resource_t)what, &want) == 0;
}

static qn_rc limits(const struct wire_hello *hello, const struct sandbox *box, struct qn_why *why)
{
    uint64_t cpu_s = hello->wall_ms * hello->cpu_cnt / 1000 + 1;
    bool ok = limit(RLIMIT_CORE, 0, 0) && limit(RLIMIT_CPU, cpu_s, cpu_s + 1) &&
              limit(RLIMIT_FSIZE, hello->file_mib << 20, hello->file_mib << 20) &&
              limit(RLIMIT_NOFILE, 256, 256) && limit(RLIMIT_MEMLOCK, 0, 0);
#ifndef QN_SANITIZED
    /* Sanitizers reserve terabytes of address space; there the watch on resident memory holds alone. */
    ok = ok && limit(RLIMIT_AS, hello->mem_mib << 20, hello->mem_mib << 20);
#endif
    /* In a user namespace only the worker's own processes count. Root is exempt: there the watch on
     * the process tree, or its control group, ends a fork bomb. */
    if (box->user_ns) ok = ok && limit(RLIMIT_NPROC, PROC_CNT_MAX, PROC_CNT_MAX);
    if (!ok) return qn_why(why, QN_E_SYSTEM, "limits: %s", strerror(errno));
    return QN_OK;
}

static qn_rc drop_rights(struct qn_why *why)
{
    struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
    struct __user_cap_data_struct none[2] = { { 0 } };
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    for (int cap = 0; cap <= CAP_LAST_CAP; cap++)
        prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
    if (syscall(SYS_capset, &head, none) || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
        return qn_why(why, QN_E_SYSTEM, "dropping rights: %s", strerror(errno));
    return QN_OK;
}

qn_rc sandbox_enter(const struct wire_hello *hello, bool exec, struct sandbox *ret,
                    struct qn_why *why)
{
    struct sandbox box = { .exec = exec };
    bool any;
    snprintf(box.out, sizeof box.out, "%s", hello->out);
    snprintf(box.fds, sizeof box.fds, "/proc/self/fd");
    namespaces(hello, &box, &any);
    qn_rc rc = any ? process_tree(why) : QN_OK;
    if (rc) return rc;
    if (any) {
        rc = sandbox_root(hello, &box, why);
        if (rc && exec) return rc;
        if (rc) fprintf(stderr, "sandbox: no root of its own: %s\n", why->text);
    } else if (exec) {
        return qn_why(why, QN_E_SYSTEM,
                      "commands need user namespaces, which this machine refuses");
    }
    rc = limits(hello, &box, why);
    if (rc == QN_OK) rc = drop_rights(why);
    if (rc) return rc;
    if (!box.root) {
        rc = hello->without & QN_JOB_NO_LANDLOCK
                 ? qn_why(why, QN_E_ABSENT, "landlock: asked for by a test")
                 : sandbox_landlock(hello, why);
        if (rc) fprintf(stderr, "sandbox: files are not walled off: %s\n", why->text);
    }
    die_with(); /* a change of rights clears it */
    rc = sandbox_seccomp(exec, why);
    if (rc) return rc;
    *ret = box;
    return QN_OK;
}
