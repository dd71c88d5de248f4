/* gpu.h - devices beside the CPU, through the GPU worker: a second, dynamically linked program that travels
 * inside this one, is written to a memory file and started from there, since a static program cannot load a
 * driver. One worker serves one API; it alone opens libvulkan.so.1 or libcuda.so.1.
 *
 * A driver that crashes, hangs or writes nonsense costs the one job it worked on: the worker is ended, the
 * caller gets one error, and the next job starts a new worker. Functions here block up to their timeout: not
 * for the node's event loop. Worker kinds (core/job) cannot use them either: their sandbox starts nothing. */
#ifndef QN_GPU_PLAN_GPU_H
#define QN_GPU_PLAN_GPU_H

#include "core/base/span.h"

#include <sys/types.h>

enum qn_gpu_api { QN_GPU_VULKAN, QN_GPU_CUDA };
const char *qn_gpu_api_name(enum qn_gpu_api api); /* "vulkan" */

struct qn_gpu_device {
    char name[256], driver[64];
    uint64_t mem_bytes;
    bool software; /* the CPU does it, as Mesa's llvmpipe */
};

struct qn_gpu_opts {
    enum qn_gpu_api api;
    uint32_t timeout_ms;  /* of the start and of each job; 0: 60,000 */
    const char *lib;      /* the driver's library; NULL: the API's own */
    struct qn_span image; /* a worker other than the embedded one; for tests */
};

struct qn_gpu;

/* qn_gpu_open starts a worker and asks what devices there are. QN_E_ABSENT: no driver, or no device;
 * QN_E_DEVICE: the worker failed; QN_E_TIMEOUT; QN_E_SYSTEM. Free with qn_gpu_close. */
QN_CHECK qn_rc qn_gpu_open(const struct qn_gpu_opts *opts, struct qn_gpu **ret,
                           struct qn_why *why) QN_GIVES;
/* qn_gpu_close ends the worker; NULL is welcome. */
void qn_gpu_close(struct qn_gpu *gpu);

/* qn_gpu_devices lends the list; *ret_cnt entries, at least 1. */
const struct qn_gpu_device *qn_gpu_devices(const struct qn_gpu *gpu, uint32_t *ret_cnt);
/* qn_gpu_pid is the worker's process, or 0 when it has ended and no job started another. */
pid_t qn_gpu_pid(const struct qn_gpu *gpu);

/* qn_gpu_matmul_i8 writes c (m, n) int32 = a (m, k) int8 times b (n, k) int8, all row-major.
 *
 * repeat   how often to compute it, for benchmarks; 1 otherwise
 * ret_ns   the fastest run on the device without copies; may be NULL
 *
 * On failure c is as it was. QN_E_RANGE, QN_E_DEVICE, QN_E_TIMEOUT, QN_E_MEMORY, QN_E_SYSTEM. */
QN_CHECK qn_rc qn_gpu_matmul_i8(struct qn_gpu *gpu, uint32_t device, const int8_t *a,
                                const int8_t *b, int32_t *c, uint32_t m, uint32_t n, uint32_t k,
                                uint32_t repeat, uint64_t *ret_ns, struct qn_why *why);

#endif
