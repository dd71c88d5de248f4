/* main.c - the GPU worker: opens one API's driver, says what devices it has, locks itself in, computes.
 *
 * Started by gpu/plan/gpu_process.c as `quoin-gpu API LIB` with fd 3 a SOCK_SEQPACKET socket. Linked with libc
 * alone, dynamically, because drivers are shared libraries. */
#include "gpu/worker/driver.h"
#include "gpu/worker/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static bool send_rep(struct gpu_rep *rep)
{
    rep->magic = GPU_REP_MAGIC;
    for (char *c = rep->text; *c; c++) /* names and messages come from drivers */
        if (*c < ' ' || *c > '~') *c = '?';
    for (char *c = rep->driver; *c; c++)
        if (*c < ' ' || *c > '~') *c = '?';
    ssize_t n;
    do
        n = send(GPU_WIRE_FD, rep, sizeof *rep, MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    return n == (ssize_t)sizeof *rep;
}

static bool send_failed(uint32_t seq, qn_rc rc, const struct qn_why *why)
{
    struct gpu_rep rep = { .kind = GPU_REP_FAILED, .seq = seq, .rc = (uint32_t)rc };
    const char *text = why->text[0] ? why->text : qn_err_text(rc);
    snprintf(rep.text, sizeof rep.text, "%.*s", (int)sizeof rep.text - 1, text);
    return send_rep(&rep);
}

/* One packet with its descriptors, all of which are closed unless they are as many as asked for. */
static ssize_t receive(void *dst, size_t dst_len, int fds[GPU_REQ_FDS], size_t *ret_fd_cnt)
{
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(GPU_REQ_FDS * sizeof(int))];
    } control;
    struct iovec iov = { dst, dst_len };
    struct msghdr msg = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control
    };
    ssize_t n;
    *ret_fd_cnt = 0;
    do
        n = recvmsg(GPU_WIRE_FD, &msg, MSG_CMSG_CLOEXEC);
    while (n < 0 && errno == EINTR);
    if (n < 0) return n;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg); c; c = CMSG_NXTHDR(&msg, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
        size_t cnt = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < cnt; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
            if (*ret_fd_cnt < GPU_REQ_FDS)
                fds[(*ret_fd_cnt)++] = fd;
            else
                close(fd);
        }
    }
    return msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC) ? 0 : n;
}

/* A tensor of exactly len bytes whose size nobody can change, so that reading it cannot fault. */
static void *map_tensor(int fd, size_t len, bool write)
{
    struct stat st;
    int seals = fcntl(fd, F_GET_SEALS), want = F_SEAL_SHRINK | (write ? 0 : F_SEAL_WRITE);
    if (seals < 0 || (seals & want) != want || fstat(fd, &st) || (uint64_t)st.st_size != len)
        return NULL;
    void *ptr = mmap(NULL, len, write ? PROT_READ | PROT_WRITE : PROT_READ,
                     write ? MAP_SHARED : MAP_PRIVATE, fd, 0);
    return ptr == MAP_FAILED ? NULL : ptr;
}

static qn_rc compute(const struct gpu_api *api, struct gpu_driver *drv, const struct gpu_req *req,
                     const int *fds, uint64_t *ret_ns, struct qn_why *why)
{
    size_t a_len = (size_t)req->m * req->k, b_len = (size_t)req->n * req->k,
           c_len = (size_t)req->m * req->n * 4;
    int8_t *a = map_tensor(fds[0], a_len, false), *b = map_tensor(fds[1], b_len, false);
    int32_t *c = map_tensor(fds[2], c_len, true);
    qn_rc rc;
    if (!a || !b || !c) {
        rc = qn_why(why, QN_E_FORMAT, "a tensor is not a sealed file of its size");
    } else if (req->device >= api->device_cnt(drv)) {
        rc = qn_why(why, QN_E_NOTFOUND, "there is no device %u", req->device);
    } else {
        struct gpu_product p = { req->device, req->m, req->n, req->k, req->repeat, a, b, c };
        rc = api->matmul_i8(drv, &p, ret_ns, why);
    }
    if (a) munmap(a, a_len);
    if (b) munmap(b, b_len);
    if (c) munmap(c, c_len);
    return rc;
}

static int serve(const struct gpu_api *api, struct gpu_driver *drv)
{
    for (;;) {
        uint8_t packet[sizeof(struct gpu_req) + 1];
        int fds[GPU_REQ_FDS];
        size_t fd_cnt;
        struct gpu_req req;
        struct qn_why why = { "" };
        ssize_t n = receive(packet, sizeof packet, fds, &fd_cnt);
        if (n == 0 && fd_cnt == 0) return 0; /* the parent is gone, or sent nothing */
        if (n < 0) return 1;
        qn_rc rc = gpu_wire_req(QN_SPAN(packet, (size_t)n), &req);
        if (rc == QN_OK && fd_cnt != GPU_REQ_FDS) rc = QN_E_FORMAT;
        struct gpu_rep rep = { .kind = GPU_REP_DONE };
        if (rc) {
            /* Out of form: whoever sent this is not the parent this worker was built for. */
            qn_why(&why, rc, "the request is out of form");
            send_failed(0, rc, &why);
            return 1;
        }
        rc = compute(api, drv, &req, fds, &rep.ns, &why);
        for (size_t i = 0; i < fd_cnt; i++)
            close(fds[i]);
        rep.seq = req.seq;
        if (!(rc ? send_failed(req.seq, rc, &why) : send_rep(&rep))) return 1;
    }
}

int main(int argc, char **argv)
{
    struct stat st;
    struct gpu_driver *drv = NULL;
    struct qn_why why = { "" };
    if (argc != 3 || fstat(GPU_WIRE_FD, &st) || !S_ISSOCK(st.st_mode)) {
        fprintf(stderr, "quoin-gpu: started by quoin, not by hand\n");
        return 2;
    }
    const struct gpu_api *api = strcmp(argv[1], gpu_cuda.name) == 0 ? &gpu_cuda : &gpu_vulkan;
    qn_rc rc = api->open(argv[2], &drv, &why);
    if (rc == QN_OK) rc = gpu_lock(&why); /* drivers are up; from here on foreign numbers come in */
    if (rc) {
        send_failed(0, rc, &why);
        return 1;
    }
    for (uint32_t i = 0; i < QN_MIN(api->device_cnt(drv), (uint32_t)GPU_DEVICE_MAX); i++) {
        struct gpu_rep rep = { .kind = GPU_REP_DEVICE };
        api->device(drv, i, &rep);
        if (!send_rep(&rep)) return 1;
    }
    struct gpu_rep ready = { .kind = GPU_REP_READY };
    if (!send_rep(&ready)) return 1;
    int status = serve(api, drv);
    _exit(status); /* drivers' exit handlers have hung before */
}
