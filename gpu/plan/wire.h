/* wire.h - what a process and its GPU worker say to each other over fd 3, a SOCK_SEQPACKET socket: one packet
 * is one message, a struct below, both ends being one build on one machine.
 *
 *     worker   DEVICE for each device, then READY; or FAILED and exit, when there is no driver
 *     parent   MATMUL with three descriptors: a, b (sealed memory files) and c (sealed but for writing)
 *     worker   DONE or FAILED with the request's seq
 *
 * Each end checks every field of the other's: a worker runs drivers, and a driver may write anywhere. */
#ifndef QN_GPU_PLAN_WIRE_H
#define QN_GPU_PLAN_WIRE_H

#include "core/base/span.h"

#define GPU_WIRE_FD    3
#define GPU_REQ_MAGIC  UINT32_C(0x71474e51) /* "QNGq" */
#define GPU_REP_MAGIC  UINT32_C(0x72474e51) /* "QNGr" */
#define GPU_REQ_FDS    3
#define GPU_DEVICE_MAX 16
#define GPU_REPEAT_MAX 10000
#define GPU_INPUT_MAX  (UINT64_C(1) << 30) /* bytes of a, and of b */
#define GPU_OUTPUT_MAX (UINT64_C(1) << 30) /* bytes of c */

enum gpu_req_kind { GPU_REQ_MATMUL = 1 };

struct gpu_req {
    uint32_t magic, kind, seq;
    uint32_t device;  /* its place in the list */
    uint32_t m, n, k; /* c (m, n) int32 = a (m, k) int8 times b (n, k) int8 */
    uint32_t repeat;  /* run so often, for benchmarks; 1 to GPU_REPEAT_MAX */
};
_Static_assert(sizeof(struct gpu_req) == 32, "no padding");

enum gpu_rep_kind { GPU_REP_DEVICE = 1, GPU_REP_READY, GPU_REP_DONE, GPU_REP_FAILED };

struct gpu_rep {
    uint32_t magic, kind, seq;
    uint32_t rc;        /* FAILED: a qn_rc other than QN_OK */
    uint64_t mem_bytes; /* DEVICE */
    uint64_t ns;        /* DONE: the fastest run on the device, copies not counted */
    uint32_t software;  /* DEVICE: 1 when the CPU does it */
    uint32_t unused;    /* 0 */
    char text[256];     /* DEVICE: its name; FAILED: why. Printable, ends with 0 */
    char driver[64];    /* DEVICE: driver and version */
};
_Static_assert(sizeof(struct gpu_rep) == 360, "no padding");

/* gpu_wire_req reads a request; QN_E_FORMAT, QN_E_RANGE. What it accepts, the worker may compute. */
QN_CHECK qn_rc gpu_wire_req(struct qn_span packet, struct gpu_req *ret);
/* gpu_wire_rep reads a reply. Its texts are clean. */
QN_CHECK qn_rc gpu_wire_rep(struct qn_span packet, struct gpu_rep *ret);

#endif
