/* wire.c - checks of messages between a process and its GPU worker. */
#include "gpu/plan/wire.h"

#include <string.h>

qn_rc gpu_wire_req(struct qn_span packet, struct gpu_req *ret)
{
    struct gpu_req req;
    if (packet.len != sizeof req) return QN_E_FORMAT;
    memcpy(&req, packet.ptr, sizeof req);
    if (req.magic != GPU_REQ_MAGIC || req.kind != GPU_REQ_MATMUL) return QN_E_FORMAT;
    if (req.device >= GPU_DEVICE_MAX || req.repeat == 0 || req.repeat > GPU_REPEAT_MAX)
        return QN_E_RANGE;
    if (req.m == 0 || req.n == 0 || req.k == 0 || req.k > 65536) return QN_E_RANGE;
    if ((uint64_t)req.m * req.k > GPU_INPUT_MAX || (uint64_t)req.n * req.k > GPU_INPUT_MAX ||
        (uint64_t)req.m * req.n > GPU_OUTPUT_MAX / 4)
        return QN_E_RANGE;
    *ret = req;
    return QN_OK;
}

/* Ends inside its array, and holds printable ASCII alone. */
static bool clean(const char *text, size_t size)
{
    const char *end = memchr(text, 0, size);
    for (const char *c = text; end && c < end; c++)
        if (*c < ' ' || *c > '~') return false;
    return end != NULL;
}

qn_rc gpu_wire_rep(struct qn_span packet, struct gpu_rep *ret)
{
    struct gpu_rep rep;
    if (packet.len != sizeof rep) return QN_E_FORMAT;
    memcpy(&rep, packet.ptr, sizeof rep);
    if (rep.magic != GPU_REP_MAGIC || rep.kind < GPU_REP_DEVICE || rep.kind > GPU_REP_FAILED)
        return QN_E_FORMAT;
    if (rep.software > 1 || rep.unused != 0) return QN_E_FORMAT;
    if (rep.rc >= QN_RC_CNT || (rep.kind == GPU_REP_FAILED) != (rep.rc != QN_OK)) return QN_E_RANGE;
    if (!clean(rep.text, sizeof rep.text) || !clean(rep.driver, sizeof rep.driver))
        return QN_E_FORMAT;
    *ret = rep;
    return QN_OK;
}
