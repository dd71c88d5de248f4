/* sandbox_seccomp.c - the system calls a worker may make. */
#include "core/job/sandbox.h"

#include <errno.h>
#include <sched.h>
#include <seccomp.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

/* For computing: memory, threads, time, and files by paths that its root or landlock bounds. To add
 * a call: a line here, when a kind cannot work without it. */
static const char *const ALLOWED[] = {
    "read",
    "write",
    "readv",
    "writev",
    "pread64",
    "pwrite64",
    "preadv",
    "pwritev",
    "lseek",
    "open",
    "openat",
    "close",
    "close_range",
    "stat",
    "fstat",
    "lstat",
    "newfstatat",
    "statx",
    "access",
    "faccessat",
    "faccessat2",
    "getdents64",
    "readlink",
    "readlinkat",
    "getcwd",
    "fcntl",
    "dup",
    "dup2",
    "dup3",
    "pipe",
    "pipe2",
    "eventfd2",
    "ftruncate",
    "fallocate",
    "fsync",
    "fdatasync",
    "fadvise64",
    "flock",
    "rename",
    "renameat",
    "renameat2",
    "unlink",
    "unlinkat",
    "mkdir",
    "mkdirat",
    "rmdir",
    "sendfile",
    "copy_file_range",
    "memfd_create",
    "munmap",
    "mremap",
    "madvise",
    "msync",
    "mincore",
    "brk",
    "membarrier",
    "rseq",
    "futex",
    "futex_waitv",
    "set_robust_list",
    "get_robust_list",
    "set_tid_address",
    "arch_prctl",
    "sched_yield",
    "sched_getaffinity",
    "sched_setaffinity",
    "sched_getparam",
    "sched_getscheduler",
    "getpriority",
    "nanosleep",
    "clock_nanosleep",
    "clock_gettime",
    "clock_getres",
    "gettimeofday",
    "time",
    "timerfd_create",
    "timerfd_settime",
    "getpid",
    "getppid",
    "gettid",
    "getuid",
    "geteuid",
    "getgid",
    "getegid",
    "rt_sigaction",
    "rt_sigprocmask",
    "rt_sigreturn",
    "sigaltstack",
    "rt_sigtimedwait",
    "tgkill",
    "restart_syscall",
    "exit",
    "exit_group",
    "getrandom",
    "uname",
    "sysinfo",
    "getrusage",
    "times",
    "getrlimit",
    "poll",
    "ppoll",
    "select",
    "pselect6",
    "epoll_create1",
    "epoll_ctl",
    "epoll_wait",
    "epoll_pwait",
    "getcpu",
    "shutdown",
};

/* Forbidden to everybody, and trying is the end of the worker: what reaches other processes, the
 * network or the kernel's insides. Other calls that are not allowed just fail. */
static const char *const FATAL[] = {
    "ptrace",
    "process_vm_readv",
    "process_vm_writev",
    "mount",
    "umount2",
    "pivot_root",
    "setns",
    "unshare",
    "bpf",
    "perf_event_open",
    "kexec_load",
    "kexec_file_load",
    "init_module",
    "finit_module",
    "delete_module",
    "reboot",
    "swapon",
    "swapoff",
    "iopl",
    "ioperm",
    "add_key",
    "request_key",
    "keyctl",
    "userfaultfd",
    "open_by_handle_at",
    "settimeofday",
    "clock_settime",
    "clock_adjtime",
    "adjtimex",
    "acct",
    "quotactl",
    "fsopen",
    "fsmount",
    "move_mount",
    "open_tree",
    "fsconfig",
    "fspick",
    "mount_setattr",
    "nfsservctl",
    "lookup_dcookie",
    "vhangup",
    "chroot",
};

/* Beyond those, fatal to computing and plain refusals or allowed to commands. */
static const char *const FATAL_COMPUTE[] = { "execve",     "execveat", "fork",   "vfork",  "socket",
                                             "socketpair", "connect",  "bind",   "listen", "accept",
                                             "accept4",    "kill",     "setuid", "setgid" };

/* Commands: these fail as if the kernel had none. io_uring goes around the filter. */
static const char *const REFUSED_COMMAND[] = {
    "io_uring_setup", "io_uring_enter", "io_uring_register", "mknod",         "mknodat",
    "mbind",          "migrate_pages",  "move_pages",        "set_mempolicy", "personality",
    "syslog",         "kcmp",           "pidfd_getfd"
};

/* Calls the library does not know by name on this machine are skipped: the default refuses them. */
static int rules(scmp_filter_ctx ctx, uint32_t action, const char *const *names, size_t cnt)
{
    int err = 0;
    for (size_t i = 0; i < cnt && err == 0; i++) {
        int nr = seccomp_syscall_resolve_name(names[i]);
        if (nr != __NR_SCMP_ERROR && nr >= 0) err = seccomp_rule_add(ctx, action, nr, 0);
    }
    return err;
}

static int compute_rules(scmp_filter_ctx ctx)
{
    const scmp_datum_t thread = CLONE_THREAD, exec = PROT_EXEC;
    int err = rules(ctx, SCMP_ACT_ALLOW, ALLOWED, QN_COUNT(ALLOWED));
    if (err == 0) err = rules(ctx, SCMP_ACT_KILL_PROCESS, FATAL_COMPUTE, QN_COUNT(FATAL_COMPUTE));
    /* Threads, not processes. clone3 hides its flags behind a pointer; without it glibc takes clone. */
    if (err == 0)
        err = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
                               SCMP_A0(SCMP_CMP_MASKED_EQ, thread, thread));
    if (err == 0)
        err = seccomp_rule_add(ctx, SCMP_ACT_KILL_PROCESS, SCMP_SYS(clone), 1,
                               SCMP_A0(SCMP_CMP_MASKED_EQ, thread, 0));
    /* No memory becomes code. */
    if (err == 0)
        err = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1,
                               SCMP_A2(SCMP_CMP_MASKED_EQ, exec, 0));
    if (err == 0)
        err = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1,
                               SCMP_A2(SCMP_CMP_MASKED_EQ, exec, 0));
    /* prlimit64 and prctl: reading limits, naming threads. */
    if (err == 0)
        err = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(prlimit64), 1,
                               SCMP_A2(SCMP_CMP_EQ, 0, 0));
    if (err == 0)
        err =
            seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(prctl), 1, SCMP_A0(SCMP_CMP_EQ, 15, 0));
    return err;
}

static int command_rules(scmp_filter_ctx ctx)
{
    /* Kill on any new namespace; clone3 as if the kernel were older, so that this check sees flags. */
    const scmp_datum_t ns[] = { CLONE_NEWUSER, CLONE_NEWNS,  CLONE_NEWPID,   CLONE_NEWNET,
                                CLONE_NEWIPC,  CLONE_NEWUTS, CLONE_NEWCGROUP };
    int err = rules(ctx, SCMP_ACT_ERRNO(ENOSYS), REFUSED_COMMAND, QN_COUNT(REFUSED_COMMAND));
    if (err == 0) err = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
    for (size_t i = 0; i < QN_COUNT(ns) && err == 0; i++)
        err = seccomp_rule_add(ctx, SCMP_ACT_KILL_PROCESS, SCMP_SYS(clone), 1,
                               SCMP_A0(SCMP_CMP_MASKED_EQ, ns[i], ns[i]));
    /* The network namespace is empty; sockets other than local ones are refused all the same. */
    if (err == 0)
        err = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EACCES), SCMP_SYS(socket), 1,
                               SCMP_A0(SCMP_CMP_NE, AF_UNIX, 0));
    return err;
}

qn_rc sandbox_seccomp(bool exec, struct qn_why *why)
{
    uint32_t other = exec ? SCMP_ACT_ALLOW : SCMP_ACT_ERRNO(ENOSYS);
    scmp_filter_ctx ctx = seccomp_init(other);
    if (!ctx) return qn_why(why, QN_E_MEMORY, "seccomp: no filter");
    int err = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2); /* a binary search, not a list */
    if (err == 0) err = rules(ctx, SCMP_ACT_KILL_PROCESS, FATAL, QN_COUNT(FATAL));
    if (err == 0) err = exec ? command_rules(ctx) : compute_rules(ctx);
    if (err == 0) err = seccomp_load(ctx);
    seccomp_release(ctx);
    if (err) return qn_why(why, QN_E_SYSTEM, "seccomp: %s", strerror(-err));
    return QN_OK;
}
