/* gpu_process.h - the process of a GPU worker as its parent sees it: start, packets, end. */
#ifndef QN_GPU_PLAN_GPU_PROCESS_H
#define QN_GPU_PLAN_GPU_PROCESS_H

#include "gpu/plan/gpu.h"

struct gpu_process {
    pid_t pid; /* 0: none */
    int sock;
};

/* gpu_image is the embedded worker. */
struct qn_span gpu_image(void);

/* gpu_process_start runs an image with the words api and lib, its fd 3 the other end of ret->sock. */
QN_CHECK qn_rc gpu_process_start(struct qn_span image, const char *api, const char *lib,
                                 struct gpu_process *ret, struct qn_why *why);
/* gpu_process_send passes one packet with descriptors, which stay the caller's. */
QN_CHECK qn_rc gpu_process_send(const struct gpu_process *proc, struct qn_span packet,
                                const int *fds, size_t fd_cnt, struct qn_why *why);
/* gpu_process_recv waits for one packet until mono_ms; *ret_len 0: the worker is gone. QN_E_TIMEOUT. */
QN_CHECK qn_rc gpu_process_recv(const struct gpu_process *proc, uint64_t until_ms, void *dst,
                                size_t dst_len, size_t *ret_len, struct qn_why *why);
/* gpu_process_end kills what still runs, collects it and says how it ended ("signal 11"); dst[64]. */
void gpu_process_end(struct gpu_process *proc, char *dst);

uint64_t gpu_mono_ms(void);

#endif
