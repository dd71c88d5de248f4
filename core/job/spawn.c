/* spawn.c - fork and exec of a worker, its end, and looking at what it uses. */
#include "core/job/spawn.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define FILE_CNT_MAX 10000
#define DEPTH_MAX    16

/* Only calls that are safe between fork and exec in a program with threads. */
static _Noreturn void child(const char *kind, pid_t node, int sock, int log, const int *inputs,
                            size_t input_cnt)
{
    char *argv[] = { NULL, NULL, NULL, NULL };
    char *env[] = { NULL };
    char self[] = "quoin", verb[] = "worker", name[64] = { 0 };
    for (size_t i = 0; i + 1 < sizeof name && kind[i]; i++)
        name[i] = kind[i];
    argv[0] = self;
    argv[1] = verb;
    argv[2] = name;
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != node) _exit(1); /* the node went before the line above */
    /* Lift everything above the places it goes to, so that no dup2 covers one still needed. */
    int high = WIRE_FD + 1 + QN_JOB_INPUT_MAX, moved[QN_JOB_INPUT_MAX];
    int sock_fd = fcntl(sock, F_DUPFD_CLOEXEC, high), log_fd = fcntl(log, F_DUPFD_CLOEXEC, high);
    for (size_t i = 0; i < input_cnt; i++)
        moved[i] = fcntl(inputs[i], F_DUPFD_CLOEXEC, high);
    int null = open("/dev/null", O_RDONLY);
    if (sock_fd < 0 || log_fd < 0 || dup2(null, 0) < 0 || dup2(log_fd, 1) < 0 ||
        dup2(log_fd, 2) < 0 || dup2(sock_fd, WIRE_FD) < 0)
        _exit(1);
    for (size_t i = 0; i < input_cnt; i++)
        if (moved[i] < 0 || dup2(moved[i], WIRE_FD + 1 + (int)i) < 0) _exit(1);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    for (int sig = 1; sig < 32; sig++)
        signal(sig, SIG_DFL);
    execve("/proc/self/exe", argv, env);
    _exit(127);
}

qn_rc spawn_worker(const char *kind, const int *inputs, size_t input_cnt, struct spawn *ret,
                   struct qn_why *why)
{
    int sock[2] = { -1, -1 }, log[2] = { -1, -1 };
    QN_ASSERT(input_cnt <= QN_JOB_INPUT_MAX);
    qn_rc rc = QN_OK;
    pid_t node = getpid(), pid = -1;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sock) || pipe2(log, O_CLOEXEC) ||
        fcntl(sock[0], F_SETFL, O_NONBLOCK) || fcntl(log[0], F_SETFL, O_NONBLOCK)) {
        rc = qn_why(why, QN_E_SYSTEM, "socketpair: %s", strerror(errno));
        goto out;
    }
    pid = fork();
    if (pid == 0) child(kind, node, sock[1], log[1], inputs, input_cnt);
    if (pid < 0) {
        rc = qn_why(why, QN_E_SYSTEM, "fork: %s", strerror(errno));
        goto out;
    }
    setpgid(pid, pid); /* whoever is first; the other fails harmlessly */
    ret->pid = pid;
    ret->pid_fd = (int)syscall(SYS_pidfd_open, pid, 0);
    ret->sock = sock[0];
    ret->log = log[0];
out:
    if (sock[1] >= 0) close(sock[1]);
    if (log[1] >= 0) close(log[1]);
    if (rc && sock[0] >= 0) close(sock[0]);
    if (rc && log[0] >= 0) close(log[0]);
    return rc;
}

void spawn_kill(const struct spawn *spawn)
{
    kill(-spawn->pid, SIGKILL);
    kill(spawn->pid, SIGKILL);
}

struct spawn_proc {
    long pid, parent;
    unsigned long rss_pages;
    bool in;
};

static bool stat_of(const char *pid, struct spawn_proc *ret)
{
    char path[300], text[1024];
    snprintf(path, sizeof path, "/proc/%s/stat", pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return false;
    ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    if (n <= 0) return false;
    text[n] = 0;
    char *at = strrchr(text, ')'); /* the name may hold anything */
    if (!at) return false;
    ret->pid = strtol(pid, NULL, 10);
    ret->in = false;
    /* proc(5): after the name state, ppid, 19 more, rss */
    return sscanf(at + 1,
                  " %*c %ld %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d "
                  "%*u %*u %lu",
                  &ret->parent, &ret->rss_pages) == 2;
}

static int by_pid(const void *a, const void *b)
{
    const struct spawn_proc *x = a, *y = b;
    return (x->pid > y->pid) - (x->pid < y->pid);
}

void spawn_procs_read(struct spawn_procs *ret)
{
    *ret = (struct spawn_procs){ 0 };
    size_t cap = 0;
    DIR *dir = opendir("/proc");
    if (!dir) return;
    for (struct dirent *e; (e = readdir(dir));) {
        if (e->d_name[0] < '1' || e->d_name[0] > '9') continue;
        if (ret->cnt == cap) {
            size_t more = cap ? cap * 2 : 256;
            struct spawn_proc *list = realloc(ret->list, more * sizeof *list);
            if (!list) break;
            ret->list = list;
            cap = more;
        }
        if (stat_of(e->d_name, &ret->list[ret->cnt])) ret->cnt++;
    }
    closedir(dir);
    if (ret->cnt) qsort(ret->list, ret->cnt, sizeof *ret->list, by_pid);
}

void spawn_procs_free(struct spawn_procs *procs)
{
    free(procs->list);
    *procs = (struct spawn_procs){ 0 };
}

void spawn_procs_sum(const struct spawn_procs *procs, pid_t pid, uint64_t *ret_rss_mib,
                     uint32_t *ret_cnt)
{
    uint64_t pages = 0;
    uint32_t cnt = 0;
    for (size_t i = 0; i < procs->cnt; i++)
        procs->list[i].in = procs->list[i].pid == pid;
    /* Children have higher numbers than their parents until numbers wrap, so few rounds find all. */
    for (bool more = procs->cnt > 0; more;) {
        more = false;
        for (size_t i = 0; i < procs->cnt; i++) {
            struct spawn_proc *p = &procs->list[i], key = { .pid = p->parent };
            if (p->in) continue;
            const struct spawn_proc *parent =
                bsearch(&key, procs->list, procs->cnt, sizeof key, by_pid);
            if (parent && parent->in) p->in = more = true;
        }
    }
    for (size_t i = 0; i < procs->cnt; i++)
        if (procs->list[i].in) pages += procs->list[i].rss_pages, cnt++;
    *ret_rss_mib = pages * (uint64_t)sysconf(_SC_PAGESIZE) >> 20;
    *ret_cnt = cnt;
}

static void usage_of(int fd QN_TAKES, int depth, struct spawn_usage *sum)
{
    DIR *dir = fdopendir(fd);
    if (!dir) {
        close(fd);
        return;
    }
    for (struct dirent *e; !sum->too_many && (e = readdir(dir));) {
        struct stat st;
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0) continue;
        if (++sum->file_cnt > FILE_CNT_MAX || depth > DEPTH_MAX) sum->too_many = true;
        if (fstatat(dirfd(dir), e->d_name, &st, AT_SYMLINK_NOFOLLOW)) continue;
        sum->bytes += (uint64_t)st.st_blocks * 512;
        if (!S_ISDIR(st.st_mode)) continue;
        int sub = openat(dirfd(dir), e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (sub >= 0) usage_of(sub, depth + 1, sum);
    }
    closedir(dir);
}

struct spawn_usage spawn_usage(const char *folder)
{
    struct spawn_usage sum = { 0 };
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd >= 0) usage_of(fd, 0, &sum);
    return sum;
}
