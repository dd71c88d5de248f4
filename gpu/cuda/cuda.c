/* cuda.c - the CUDA driver API, opened at run time: no SDK to build with, libcuda.so.1 alone to run with.
 * Declarations are of the driver API as NVIDIA documents it; the ABI of these functions is kept. */
#include "gpu/worker/driver.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WARPS          4     /* of a block: gpu/dialect/cuda.h */
#define GRID_Y_MAX     65535 /* blocks; every device */
#define CAPABILITY_MIN 70    /* what the PTX is made for: sm_70 */

/* CUdevice_attribute */
#define ATTR_CAPABILITY_MAJOR 75
#define ATTR_CAPABILITY_MINOR 76

typedef int cu_result; /* 0: success */
typedef int cu_device;
typedef uint64_t cu_ptr;
struct cu_context;
struct cu_module;
struct cu_function;
struct cu_event;

/* To use one more function of the driver: a line here. */
#define CU_FUNCTIONS(X)                                                                            \
    X(init, "cuInit", unsigned flags)                                                              \
    X(version_get, "cuDriverGetVersion", int *ret)                                                 \
    X(device_count, "cuDeviceGetCount", int *ret)                                                  \
    X(device_get, "cuDeviceGet", cu_device *ret, int idx)                                          \
    X(device_name, "cuDeviceGetName", char *dst, int len, cu_device dev)                           \
    X(device_mem, "cuDeviceTotalMem_v2", size_t *ret, cu_device dev)                               \
    X(device_attr, "cuDeviceGetAttribute", int *ret, int attr, cu_device dev)                      \
    X(ctx_retain, "cuDevicePrimaryCtxRetain", struct cu_context **ret, cu_device dev)              \
    X(ctx_set, "cuCtxSetCurrent", struct cu_context *ctx)                                          \
    X(ctx_sync, "cuCtxSynchronize", void)                                                          \
    X(module_load, "cuModuleLoadData", struct cu_module **ret, const void *image)                  \
    X(module_fn, "cuModuleGetFunction", struct cu_function **ret, struct cu_module *mod,           \
      const char *name)                                                                            \
    X(alloc, "cuMemAlloc_v2", cu_ptr *ret, size_t len)                                             \
    X(free, "cuMemFree_v2", cu_ptr ptr)                                                            \
    X(to_device, "cuMemcpyHtoD_v2", cu_ptr dst, const void *src, size_t len)                       \
    X(to_host, "cuMemcpyDtoH_v2", void *dst, cu_ptr src, size_t len)                               \
    X(set8, "cuMemsetD8_v2", cu_ptr dst, unsigned char val, size_t cnt)                            \
    X(launch, "cuLaunchKernel", struct cu_function *fn, unsigned gx, unsigned gy, unsigned gz,     \
      unsigned bx, unsigned by, unsigned bz, unsigned shared, void *stream, void **params,         \
      void **extra)                                                                                \
    X(event_new, "cuEventCreate", struct cu_event **ret, unsigned flags)                           \
    X(event_free, "cuEventDestroy_v2", struct cu_event *event)                                     \
    X(event_record, "cuEventRecord", struct cu_event *event, void *stream)                         \
    X(event_sync, "cuEventSynchronize", struct cu_event *event)                                    \
    X(event_ms, "cuEventElapsedTime", float *ret, struct cu_event *from, struct cu_event *to)      \
    X(error_text, "cuGetErrorString", cu_result res, const char **ret)

struct cuda_device {
    cu_device dev;
    struct cu_context *ctx; /* NULL until the first job */
    struct cu_function *matmul_i8;
    size_t mem_bytes;
    int capability;
    char name[128];
};

struct gpu_driver {
#define X(field, name, ...) cu_result (*field)(__VA_ARGS__);
    CU_FUNCTIONS(X)
#undef X
    int version;
    uint32_t device_cnt;
    struct cuda_device devices[GPU_DEVICE_MAX];
};

static qn_rc failed(const struct gpu_driver *drv, qn_rc rc, const char *what, cu_result res,
                    struct qn_why *why)
{
    const char *text = NULL;
    if (drv->error_text(res, &text) || !text) text = "unknown error";
    return qn_why(why, rc, "%s: %s (%d)", what, text, res);
}

static qn_rc load(struct gpu_driver *drv, const char *lib, struct qn_why *why)
{
    void *so = dlopen(lib, RTLD_NOW | RTLD_LOCAL); /* never closed: drivers do not survive that */
    if (!so) return qn_why(why, QN_E_ABSENT, "no driver: %s", dlerror());
    void *sym;
#define X(field, name, ...)                                                                        \
    sym = dlsym(so, name);                                                                         \
    if (!sym) return qn_why(why, QN_E_DEVICE, "the driver has no " name);                          \
    memcpy(&drv->field, &sym, sizeof sym);
    CU_FUNCTIONS(X)
#undef X
    return QN_OK;
}

static qn_rc cuda_open(const char *lib, struct gpu_driver **ret, struct qn_why *why)
{
    struct gpu_driver *drv = calloc(1, sizeof *drv);
    int cnt = 0;
    if (!drv) return QN_E_MEMORY;
    qn_rc rc = load(drv, lib, why);
    if (rc) {
        free(drv);
        return rc;
    }
    cu_result res = drv->init(0);
    if (res == 0) res = drv->version_get(&drv->version);
    if (res == 0) res = drv->device_count(&cnt);
    if (res) rc = failed(drv, QN_E_ABSENT, "no device", res, why);
    for (int i = 0; rc == QN_OK && i < cnt && drv->device_cnt < GPU_DEVICE_MAX; i++) {
        struct cuda_device *d = &drv->devices[drv->device_cnt];
        int major = 0, minor = 0;
        if (drv->device_get(&d->dev, i) || drv->device_name(d->name, sizeof d->name, d->dev) ||
            drv->device_mem(&d->mem_bytes, d->dev) ||
            drv->device_attr(&major, ATTR_CAPABILITY_MAJOR, d->dev) ||
            drv->device_attr(&minor, ATTR_CAPABILITY_MINOR, d->dev))
            continue;
        d->name[sizeof d->name - 1] = 0;
        d->capability = 10 * major + minor;
        if (d->capability >= CAPABILITY_MIN) drv->device_cnt++;
    }
    if (rc == QN_OK && drv->device_cnt == 0)
        rc = qn_why(why, QN_E_ABSENT, "no device of compute capability 7.0 or more");
    if (rc) {
        free(drv);
        return rc;
    }
    *ret = drv;
    return QN_OK;
}

static uint32_t cuda_device_cnt(const struct gpu_driver *drv)
{
    return drv->device_cnt;
}

static void cuda_device(const struct gpu_driver *drv, uint32_t idx, struct gpu_rep *ret)
{
    const struct cuda_device *d = &drv->devices[idx];
    ret->mem_bytes = d->mem_bytes;
    snprintf(ret->text, sizeof ret->text, "%s", d->name);
    snprintf(ret->driver, sizeof ret->driver, "CUDA %d.%d, sm_%d", drv->version / 1000,
             drv->version % 1000 / 10, d->capability);
}

static qn_rc context(struct gpu_driver *drv, struct cuda_device *d, struct qn_why *why)
{
    struct cu_module *mod = NULL;
    cu_result res = 0;
    if (!d->ctx) res = drv->ctx_retain(&d->ctx, d->dev);
    if (res == 0) res = drv->ctx_set(d->ctx);
    if (res) return failed(drv, QN_E_DEVICE, "context", res, why);
    if (d->matmul_i8) return QN_OK;
    res = drv->module_load(&mod, gpu_matmul_i8_ptx);
    if (res == 0) res = drv->module_fn(&d->matmul_i8, mod, "matmul_i8");
    if (res) return failed(drv, QN_E_DEVICE, "the driver does not take the kernel", res, why);
    return QN_OK;
}

/* Runs the kernel repeat times and keeps the fastest, by the device's own clock. */
static qn_rc launch(struct gpu_driver *drv, const struct cuda_device *d, cu_ptr bufs[4],
                    const struct gpu_product *p, const struct gpu_packed *packed, uint64_t *ret_ns,
                    struct qn_why *why)
{
    uint32_t m = p->m, n = p->n, kw = packed->kw, rows = WARPS * GPU_ROWS;
    void *params[] = { &bufs[0], &bufs[1], &bufs[2], &bufs[3], &m, &n, &kw };
    struct cu_event *begin = NULL, *end = NULL;
    float ms = 0, best = 0;
    cu_result res = drv->event_new(&begin, 0);
    if (res == 0) res = drv->event_new(&end, 0);
    for (uint32_t i = 0; res == 0 && i < p->repeat; i++) {
        res = drv->event_record(begin, NULL);
        if (res == 0)
            res = drv->launch(d->matmul_i8, packed->panel_cnt, (m + rows - 1) / rows, 1, 32, WARPS,
                              1, 0, NULL, params, NULL);
        if (res == 0) res = drv->event_record(end, NULL);
        if (res == 0) res = drv->event_sync(end);
        if (res == 0) res = drv->event_ms(&ms, begin, end);
        best = i == 0 || ms < best ? ms : best;
    }
    if (res == 0) res = drv->ctx_sync();
    if (begin) drv->event_free(begin);
    if (end) drv->event_free(end);
    if (res) return failed(drv, QN_E_DEVICE, "kernel", res, why);
    *ret_ns = best > 0 ? (uint64_t)((double)best * 1e6) : 0;
    return QN_OK;
}

static qn_rc cuda_matmul_i8(struct gpu_driver *drv, const struct gpu_product *p, uint64_t *ret_ns,
                            struct qn_why *why)
{
    struct cuda_device *d = &drv->devices[p->device];
    struct gpu_packed packed = { 0 };
    cu_ptr bufs[4] = { 0 };
    if ((uint64_t)p->m > UINT64_C(1) * GRID_Y_MAX * WARPS * GPU_ROWS)
        return qn_why(why, QN_E_RANGE, "%u rows are too many for one launch", p->m);
    qn_rc rc = context(drv, d, why);
    if (rc == QN_OK) rc = gpu_pack(p, &packed);
    if (rc) return rc;
    const size_t lens[4] = { packed.a_len, packed.b_len, (size_t)p->m * 4,
                             (size_t)p->m * p->n * 4 };
    cu_result res = 0;
    for (int i = 0; res == 0 && i < 4; i++)
        res = drv->alloc(&bufs[i], lens[i]);
    if (res == 0) res = drv->to_device(bufs[0], packed.a, lens[0]);
    if (res == 0) res = drv->to_device(bufs[1], packed.b, lens[1]);
    if (res == 0) res = drv->set8(bufs[2], 0, lens[2]);
    if (res) rc = failed(drv, QN_E_DEVICE, "memory", res, why);
    if (rc == QN_OK) rc = launch(drv, d, bufs, p, &packed, ret_ns, why);
    if (rc == QN_OK && (res = drv->to_host(p->c, bufs[3], lens[3])))
        rc = failed(drv, QN_E_DEVICE, "result", res, why);
    for (int i = 0; i < 4; i++)
        if (bufs[i]) drv->free(bufs[i]);
    gpu_packed_free(&packed);
    return rc;
}

const struct gpu_api gpu_cuda = { "cuda", cuda_open, cuda_device_cnt, cuda_device, cuda_matmul_i8 };
