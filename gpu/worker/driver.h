/* driver.h - what the GPU worker asks of an API: gpu/vulkan/vulkan.c, gpu/cuda/cuda.c.
 *
 * A driver's library is opened by name and everything of it is looked up; nothing here links with one. */
#ifndef QN_GPU_WORKER_DRIVER_H
#define QN_GPU_WORKER_DRIVER_H

#include "gpu/plan/wire.h"

struct gpu_driver; /* an opened API with its devices */

/* A product whose matrices lie in memory: a, b as in gpu_req, c written whole. */
struct gpu_product {
    uint32_t device, m, n, k, repeat;
    const int8_t *a, *b;
    int32_t *c;
};

struct gpu_api {
    const char *name; /* "vulkan" */
    /* open loads lib and finds devices; QN_E_ABSENT when there is no library or device. */
    qn_rc (*open)(const char *lib, struct gpu_driver **ret, struct qn_why *why);
    uint32_t (*device_cnt)(const struct gpu_driver *drv);
    /* device fills mem_bytes, software, text and driver of ret. */
    void (*device)(const struct gpu_driver *drv, uint32_t idx, struct gpu_rep *ret);
    qn_rc (*matmul_i8)(struct gpu_driver *drv, const struct gpu_product *p, uint64_t *ret_ns,
                       struct qn_why *why);
};

extern const struct gpu_api gpu_vulkan, gpu_cuda;

/* Kernels as the build made them: SPIR-V words; PTX text that ends with 0. gpu/worker/kernels.S */
extern const uint32_t gpu_matmul_i8_spv[], gpu_matmul_i8_spv_end[];
extern const char gpu_matmul_i8_ptx[];

/* Shape of a group in both device builds (CMakeLists.txt passes the same to the kernel). */
#define GPU_PANEL 128
#define GPU_ROWS  8

/* Operands as the kernel reads them, see matmul_i8.k; free with gpu_packed_free. */
struct gpu_packed {
    uint32_t kw, panel_cnt;
    uint32_t *a, *b;
    size_t a_len, b_len; /* bytes */
};
QN_CHECK qn_rc gpu_pack(const struct gpu_product *p, struct gpu_packed *ret);
void gpu_packed_free(struct gpu_packed *packed);

uint64_t gpu_now_ns(void);

#endif
