/* fuzz_gpu_wire.c - packets of a GPU worker and to one: what is accepted keeps the bounds that users rely on. */
#include "gpu/plan/wire.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct gpu_req req;
    struct gpu_rep rep;
    if (gpu_wire_req(QN_SPAN(data, len), &req) == QN_OK) {
        QN_ASSERT(len == sizeof req && memcmp(&req, data, len) == 0);
        QN_ASSERT((uint64_t)req.m * req.k <= GPU_INPUT_MAX && req.m && req.n && req.k);
        QN_ASSERT((uint64_t)req.m * req.n * 4 <= GPU_OUTPUT_MAX);
        QN_ASSERT(req.device < GPU_DEVICE_MAX);
    }
    if (gpu_wire_rep(QN_SPAN(data, len), &rep) == QN_OK) {
        QN_ASSERT(strlen(rep.text) < sizeof rep.text && strlen(rep.driver) < sizeof rep.driver);
        QN_ASSERT(rep.rc < QN_RC_CNT);
    }
    return 0;
}
