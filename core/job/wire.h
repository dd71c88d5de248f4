/* wire.h - what node and worker say to each other over fd 3.
 *
 * The node speaks first: the hello below, raw, since the worker must know its limits before it may
 * parse anything; then one request. From then on the worker speaks; the node only if the job serves.
 * Messages either way:
 *
 *     len u32 little-endian | len bytes of JSON, 1 <= len <= 1 MiB
 *
 *     node    {"request": any, "inputs": ["name of fd 4", "name of fd 5", ...]}
 *     worker  {"t":"progress","done":n,"total":n,"unit":"steps"}
 *             {"t":"result","result":any}   or   {"t":"error","code":"FUNDS","why":"..."}   once, last
 *
 *     node    {"t":"ask","id":n,"message":any}       n counts from 1; at most QN_JOB_ASKS_MAX unanswered
 *     worker  {"t":"serving"}                        before it reads the first
 *             {"t":"answer","id":n,"result":any}   or   {"t":"answer","id":n,"code":"RANGE","why":"..."}
 *                                                    to each ask one, in the order of the asks
 *
 * The node takes nothing in these bytes on trust: lengths, types and rates are bounded. */
#ifndef QN_CORE_JOB_WIRE_H
#define QN_CORE_JOB_WIRE_H

#include "core/job/jobs.h"

#define WIRE_MAGIC    UINT32_C(0x314a4e51) /* "QNJ1" */
#define WIRE_UNIT_MAX 16
#define WIRE_FD       3 /* the socket; inputs follow from 4 on */

struct wire_hello {
    uint32_t magic, input_cnt, cpu_cnt, without;
    uint64_t mem_mib, wall_ms, file_mib;
    char out[1024]; /* folder for results */
};

enum wire_type { WIRE_PROGRESS, WIRE_RESULT, WIRE_ERROR, WIRE_SERVING, WIRE_ANSWER };

struct wire_msg {
    enum wire_type type;
    uint64_t done, total;
    char unit[WIRE_UNIT_MAX];
    uint64_t ask;   /* WIRE_ANSWER: which */
    json_t *result; /* owned; NULL in a WIRE_ANSWER that refuses */
    qn_rc rc;       /* WIRE_ERROR, and a WIRE_ANSWER that refuses; else QN_OK */
    struct qn_why why;
};

/* wire_next takes one message from the front of in. QN_E_AGAIN: it is not complete yet; QN_E_TOOBIG,
 * QN_E_FORMAT: it never will be. ret_body lies in in. */
QN_CHECK qn_rc wire_next(struct qn_span *in, struct qn_span *ret_body);
/* wire_parse reads a worker's message; on QN_OK the caller owns ret->result (may be NULL). */
QN_CHECK qn_rc wire_parse(struct qn_span body, struct wire_msg *ret, struct qn_why *why);
/* wire_put appends a message; QN_E_TOOBIG when the JSON is longer than a message may be. */
QN_CHECK qn_rc wire_put(struct qn_buf *buf, const json_t *json);

#endif
