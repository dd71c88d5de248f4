/* gpu_process.c - starting, hearing and ending a GPU worker. */
#include "gpu/plan/gpu_process.h"

#include "gpu/plan/wire.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define FD_MAX  1024 /* what a driver may open */
#define ENV_MAX 16

extern const uint8_t gpu_worker_image[], gpu_worker_image_end[]; /* gpu/worker/image.S */

/* Variables by which machines tell loaders where drivers are; all others stay here. */
static const char *const PASSED[] = { "LD_LIBRARY_PATH",     "VK_DRIVER_FILES",
                                      "VK_ICD_FILENAMES",    "CUDA_VISIBLE_DEVICES",
                                      "CUDA_DEVICE_ORDER",   "NVIDIA_VISIBLE_DEVICES",
                                      "XDG_DATA_DIRS",       "LP_NUM_THREADS",
                                      "CUDA_MODULE_LOADING", "CUDA_FORCE_PTX_JIT" };

struct qn_span gpu_image(void)
{
    return QN_SPAN(gpu_worker_image, (size_t)(gpu_worker_image_end - gpu_worker_image));
}

uint64_t gpu_mono_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static qn_rc image_file(struct qn_span image, int *ret, struct qn_why *why)
{
    int fd = memfd_create("quoin-gpu", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0) return qn_why(why, QN_E_SYSTEM, "memfd_create: %s", strerror(errno));
    for (size_t at = 0; at < image.len;) {
        ssize_t n = write(fd, image.ptr + at, image.len - at);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) {
            close(fd);
            return qn_why(why, QN_E_SYSTEM, "GPU worker: %s", strerror(errno));
        }
        at += (size_t)n;
    }
    *ret = fd;
    return QN_OK;
}

/* Only calls that are safe between fork and exec in a program with threads. */
static _Noreturn void child(int image, int sock, pid_t parent, char *const argv[],
                            char *const env[])
{
    const struct rlimit none = { 0, 0 }, files = { FD_MAX, FD_MAX };
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(1); /* it went before the line above */
    setrlimit(RLIMIT_CORE, &none);     /* tensors are nobody's business */
    setrlimit(RLIMIT_NOFILE, &files);
    /* Address space stays free: CUDA reserves more of it than any machine has memory. */
    int sock_fd = fcntl(sock, F_DUPFD, 10), image_fd = fcntl(image, F_DUPFD_CLOEXEC, 10);
    int null = open("/dev/null", O_RDWR);
    if (sock_fd < 0 || image_fd < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0 ||
        dup2(sock_fd, GPU_WIRE_FD) < 0)
        _exit(1);
    dup2(null, 2); /* drivers chat; what matters comes as a packet */
    syscall(SYS_close_range, GPU_WIRE_FD + 1, ~0u, 4u /* CLOSE_RANGE_CLOEXEC */);
    sigset_t empty;
    sigemptyset(&empty);
    sigprocmask(SIG_SETMASK, &empty, NULL);
    for (int sig = 1; sig < 32; sig++)
        signal(sig, SIG_DFL);
    fexecve(image_fd, argv, env);
    _exit(127);
}

qn_rc gpu_process_start(struct qn_span image, const char *api, const char *lib,
                        struct gpu_process *ret, struct qn_why *why)
{
    int fd = -1, sock[2];
    char self[] = "quoin-gpu", api_word[16], lib_word[256], *env[ENV_MAX + 3];
    char *argv[] = { self, api_word, lib_word, NULL };
    char no_cache[] = "MESA_SHADER_CACHE_DISABLE=true", no_cuda_cache[] = "CUDA_CACHE_DISABLE=1";
    struct qn_buf words[QN_COUNT(PASSED)] = { 0 };
    size_t env_cnt = 0;
    _Static_assert(QN_COUNT(PASSED) <= ENV_MAX, "room for what is passed");
    snprintf(api_word, sizeof api_word, "%s", api);
    snprintf(lib_word, sizeof lib_word, "%s", lib);
    qn_rc rc = image_file(image, &fd, why);
    if (rc) return rc;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sock)) {
        close(fd);
        return qn_why(why, QN_E_SYSTEM, "socketpair: %s", strerror(errno));
    }
    for (size_t i = 0; i < QN_COUNT(PASSED); i++) {
        const char *val = getenv(PASSED[i]);
        if (!val || strlen(val) > 4096) continue;
        qn_buf_printf(&words[i], "%s=%s", PASSED[i], val);
        qn_buf_u8(&words[i], 0);
        env[env_cnt++] = (char *)words[i].ptr;
    }
    env[env_cnt++] = no_cache; /* nothing is written to anybody's home */
    env[env_cnt++] = no_cuda_cache;
    env[env_cnt] = NULL;
    pid_t parent = getpid(), pid = fork();
    if (pid == 0) child(fd, sock[1], parent, argv, env);
    if (pid < 0) rc = qn_why(why, QN_E_SYSTEM, "fork: %s", strerror(errno));
    if (pid > 0) setpgid(pid, pid); /* whoever is first; the other fails harmlessly */
    for (size_t i = 0; i < QN_COUNT(PASSED); i++)
        qn_buf_free(&words[i]);
    close(fd);
    close(sock[1]);
    if (rc) {
        close(sock[0]);
        return rc;
    }
    *ret = (struct gpu_process){ pid, sock[0] };
    return QN_OK;
}

qn_rc gpu_process_send(const struct gpu_process *proc, struct qn_span packet, const int *fds,
                       size_t fd_cnt, struct qn_why *why)
{
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(GPU_REQ_FDS * sizeof(int))];
    } control = { 0 };
    struct iovec iov = { (void *)(uintptr_t)packet.ptr, packet.len };
    struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
    QN_ASSERT(fd_cnt <= GPU_REQ_FDS);
    if (fd_cnt) {
        msg.msg_control = control.room;
        msg.msg_controllen = CMSG_SPACE(fd_cnt * sizeof(int));
        struct cmsghdr *head = CMSG_FIRSTHDR(&msg);
        head->cmsg_level = SOL_SOCKET;
        head->cmsg_type = SCM_RIGHTS;
        head->cmsg_len = CMSG_LEN(fd_cnt * sizeof(int));
        memcpy(CMSG_DATA(head), fds, fd_cnt * sizeof(int));
    }
    ssize_t n;
    do
        n = sendmsg(proc->sock, &msg, MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    if (n != (ssize_t)packet.len)
        return qn_why(why, QN_E_DEVICE, "the GPU worker takes no job: %s", strerror(errno));
    return QN_OK;
}

qn_rc gpu_process_recv(const struct gpu_process *proc, uint64_t until_ms, void *dst, size_t dst_len,
                       size_t *ret_len, struct qn_why *why)
{
    for (;;) {
        uint64_t now = gpu_mono_ms();
        struct pollfd wait = { .fd = proc->sock, .events = POLLIN };
        int left = until_ms > now ? (int)QN_MIN(until_ms - now, (uint64_t)INT32_MAX) : 0;
        int got = poll(&wait, 1, left);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return qn_why(why, QN_E_SYSTEM, "poll: %s", strerror(errno));
        if (got == 0) return qn_why(why, QN_E_TIMEOUT, "the GPU worker did not answer in time");
        /* No room for control data: descriptors a worker might pass are dropped by the kernel. MSG_TRUNC
         * gives the true length, so that a packet that is too long is seen to be. */
        ssize_t n = recv(proc->sock, dst, dst_len, MSG_TRUNC | MSG_DONTWAIT);
        if (n < 0 && (errno == EINTR || errno == EAGAIN)) continue;
        *ret_len = n < 0 ? 0 : (size_t)n; /* ECONNRESET is gone, too */
        return QN_OK;
    }
}

void gpu_process_end(struct gpu_process *proc, char *dst)
{
    int status = 0;
    snprintf(dst, 64, "ended");
    if (proc->pid > 0) {
        /* One that is ending by itself gets a moment, so that its own signal is what is told. */
        pid_t got = 0;
        for (int i = 0; i < 20 && got == 0; i++) {
            got = waitpid(proc->pid, &status, WNOHANG);
            struct pollfd gone = { .fd = proc->sock, .events = 0 };
            if (got == 0 && poll(&gone, 1, 0) == 0) break; /* alive and connected: do not wait */
            if (got == 0) usleep(5000);
        }
        if (got == 0) {
            kill(-proc->pid, SIGKILL);
            kill(proc->pid, SIGKILL);
            do
                got = waitpid(proc->pid, &status, 0);
            while (got < 0 && errno == EINTR);
        }
        if (got > 0 && WIFSIGNALED(status))
            snprintf(dst, 64, "ended by signal %d (%s)", WTERMSIG(status),
                     strsignal(WTERMSIG(status)));
        else if (got > 0)
            snprintf(dst, 64, "ended with status %d", WEXITSTATUS(status));
        close(proc->sock);
    }
    *proc = (struct gpu_process){ 0, -1 };
}
