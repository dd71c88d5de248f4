/* gpu.c - one worker and its devices; a job each, a new worker after one that ended. */
#include "gpu/plan/gpu.h"

#include "gpu/plan/gpu_process.h"
#include "gpu/plan/wire.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define TIMEOUT_MS 60000

struct qn_gpu {
    struct qn_gpu_opts opts;
    char lib[256];
    struct gpu_process proc;
    struct qn_gpu_device devices[GPU_DEVICE_MAX];
    uint32_t device_cnt, seq;
};

const char *qn_gpu_api_name(enum qn_gpu_api api)
{
    switch (api) {
    case QN_GPU_VULKAN: return "vulkan";
    case QN_GPU_CUDA: return "cuda";
    }
    QN_BUG("qn_gpu_api out of range");
}

static const char *lib_of(enum qn_gpu_api api)
{
    return api == QN_GPU_CUDA ? "libcuda.so.1" : "libvulkan.so.1";
}

/* Ends the worker and adds to why how it went. */
static qn_rc lost(struct qn_gpu *gpu, qn_rc rc, const char *what, struct qn_why *why)
{
    char end[64];
    gpu_process_end(&gpu->proc, end);
    return qn_why(why, rc, "%s worker %s: %s", qn_gpu_api_name(gpu->opts.api), end, what);
}

/* The next reply, clean and in form; anything else ends the worker. */
static qn_rc reply(struct qn_gpu *gpu, uint64_t until_ms, struct gpu_rep *ret, struct qn_why *why)
{
    uint8_t packet[sizeof(struct gpu_rep) + 1];
    size_t len = 0;
    qn_rc rc = gpu_process_recv(&gpu->proc, until_ms, packet, sizeof packet, &len, why);
    if (rc == QN_E_TIMEOUT) return lost(gpu, rc, "no answer in time", why);
    if (rc) return lost(gpu, rc, "its socket failed", why);
    if (len == 0) return lost(gpu, QN_E_DEVICE, "the driver or the job broke it", why);
    if (len > sizeof packet) len = sizeof packet; /* cut short: wrong in any case */
    if (gpu_wire_rep(QN_SPAN(packet, len), ret))
        return lost(gpu, QN_E_DEVICE, "its answer is out of form", why);
    return QN_OK;
}

static qn_rc start(struct qn_gpu *gpu, struct qn_why *why)
{
    struct gpu_rep rep;
    uint64_t until = gpu_mono_ms() + gpu->opts.timeout_ms;
    qn_rc rc = gpu_process_start(gpu->opts.image.len ? gpu->opts.image : gpu_image(),
                                 qn_gpu_api_name(gpu->opts.api), gpu->lib, &gpu->proc, why);
    if (rc) return rc;
    gpu->device_cnt = 0;
    for (;;) {
        rc = reply(gpu, until, &rep, why);
        if (rc) return rc;
        if (rep.kind == GPU_REP_READY) break;
        if (rep.kind == GPU_REP_FAILED) {
            char end[64];
            gpu_process_end(&gpu->proc, end);
            return qn_why(why, (qn_rc)rep.rc, "%s: %s", qn_gpu_api_name(gpu->opts.api), rep.text);
        }
        if (rep.kind != GPU_REP_DEVICE || gpu->device_cnt == GPU_DEVICE_MAX)
            return lost(gpu, QN_E_DEVICE, "its answer is out of order", why);
        struct qn_gpu_device *dev = &gpu->devices[gpu->device_cnt++];
        *dev = (struct qn_gpu_device){ .mem_bytes = rep.mem_bytes, .software = rep.software };
        memcpy(dev->name, rep.text, sizeof dev->name);
        memcpy(dev->driver, rep.driver, sizeof dev->driver);
    }
    if (gpu->device_cnt == 0) return lost(gpu, QN_E_ABSENT, "there is no device", why);
    return QN_OK;
}

qn_rc qn_gpu_open(const struct qn_gpu_opts *opts, struct qn_gpu **ret, struct qn_why *why)
{
    struct qn_gpu *gpu = calloc(1, sizeof *gpu);
    if (!gpu) return qn_why(why, QN_E_MEMORY, "no memory for a GPU worker");
    gpu->opts = *opts;
    if (gpu->opts.timeout_ms == 0) gpu->opts.timeout_ms = TIMEOUT_MS;
    snprintf(gpu->lib, sizeof gpu->lib, "%s", opts->lib ? opts->lib : lib_of(opts->api));
    gpu->proc.sock = -1;
    qn_rc rc = start(gpu, why);
    if (rc) {
        qn_gpu_close(gpu);
        return rc;
    }
    *ret = gpu;
    return QN_OK;
}

void qn_gpu_close(struct qn_gpu *gpu)
{
    char end[64];
    if (!gpu) return;
    gpu_process_end(&gpu->proc, end);
    free(gpu);
}

const struct qn_gpu_device *qn_gpu_devices(const struct qn_gpu *gpu, uint32_t *ret_cnt)
{
    *ret_cnt = gpu->device_cnt;
    return gpu->devices;
}

pid_t qn_gpu_pid(const struct qn_gpu *gpu)
{
    return gpu->proc.pid;
}

/* A memory file of len bytes: of src, and sealed; or zeros that only its size is sealed of. */
static qn_rc tensor_file(const char *name, const void *src, size_t len, int *ret,
                         struct qn_why *why)
{
    int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL | (src ? F_SEAL_WRITE : 0);
    bool ok = fd >= 0 && ftruncate(fd, (off_t)len) == 0;
    for (size_t at = 0; ok && src && at < len;) {
        ssize_t n = pwrite(fd, (const uint8_t *)src + at, len - at, (off_t)at);
        ok = n > 0 || (n < 0 && errno == EINTR);
        if (n > 0) at += (size_t)n;
    }
    if (!ok || fcntl(fd, F_ADD_SEALS, seals)) {
        qn_rc rc = qn_why(why, QN_E_SYSTEM, "memory file of %zu bytes: %s", len, strerror(errno));
        if (fd >= 0) close(fd);
        return rc;
    }
    *ret = fd;
    return QN_OK;
}

static qn_rc result_read(int fd, void *dst, size_t len, struct qn_why *why)
{
    for (size_t at = 0; at < len;) { /* its size is sealed, so this reads all of it */
        ssize_t n = pread(fd, (uint8_t *)dst + at, len - at, (off_t)at);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return qn_why(why, QN_E_SYSTEM, "result: %s", strerror(errno));
        at += (size_t)n;
    }
    return QN_OK;
}

static qn_rc job(struct qn_gpu *gpu, const struct gpu_req *req, const int *fds, uint64_t *ret_ns,
                 struct qn_why *why)
{
    struct gpu_rep rep;
    qn_rc rc = gpu_process_send(&gpu->proc, QN_SPAN_OF(*req), fds, GPU_REQ_FDS, why);
    if (rc) return lost(gpu, rc, "it took no job", why);
    rc = reply(gpu, gpu_mono_ms() + gpu->opts.timeout_ms, &rep, why);
    if (rc) return rc;
    if (rep.seq != req->seq || (rep.kind != GPU_REP_DONE && rep.kind != GPU_REP_FAILED))
        return lost(gpu, QN_E_DEVICE, "its answer is to another question", why);
    if (rep.kind == GPU_REP_FAILED)
        return qn_why(why, (qn_rc)rep.rc, "%s: %s", qn_gpu_api_name(gpu->opts.api), rep.text);
    if (ret_ns) *ret_ns = rep.ns;
    return QN_OK;
}

qn_rc qn_gpu_matmul_i8(struct qn_gpu *gpu, uint32_t device, const int8_t *a, const int8_t *b,
                       int32_t *c, uint32_t m, uint32_t n, uint32_t k, uint32_t repeat,
                       uint64_t *ret_ns, struct qn_why *why)
{
    struct gpu_req req = { GPU_REQ_MAGIC, GPU_REQ_MATMUL, ++gpu->seq, device, m, n, k, repeat };
    int fds[GPU_REQ_FDS] = { -1, -1, -1 };
    qn_rc rc = gpu_wire_req(QN_SPAN_OF(req), &req);
    if (rc) return qn_why(why, QN_E_RANGE, "%u x %u x %u is no product for a device", m, n, k);
    size_t c_len = (size_t)m * n * 4;
    if (gpu->proc.pid == 0) rc = start(gpu, why);
    if (rc) return rc;
    if (device >= gpu->device_cnt)
        return qn_why(why, QN_E_NOTFOUND, "there is no %s device %u",
                      qn_gpu_api_name(gpu->opts.api), device);
    rc = tensor_file("quoin-a", a, (size_t)m * k, &fds[0], why);
    if (rc == QN_OK) rc = tensor_file("quoin-b", b, (size_t)n * k, &fds[1], why);
    if (rc == QN_OK) rc = tensor_file("quoin-c", NULL, c_len, &fds[2], why);
    if (rc == QN_OK) rc = job(gpu, &req, fds, ret_ns, why);
    if (rc == QN_OK) rc = result_read(fds[2], c, c_len, why);
    for (int i = 0; i < GPU_REQ_FDS; i++)
        if (fds[i] >= 0) close(fds[i]);
    return rc;
}
