/* call.h - calls: one table row is at once a JSON-RPC method, POST /v1/NOUN/VERB (a query also GET), a CLI verb
 * `quoin NOUN VERB`, a Lua function qn.NOUN.VERB{...}, an OpenAPI path and a reference entry.
 *
 * A query reads the finalised view. An action touches this node: sends a transaction, starts a job, keeps a
 * blob. Parameters are a record (core/schema), so every face checks them alike. A call never blocks:
 * it returns QN_E_AGAIN and is called again after the next block or job event, until timeout_ms (a
 * parameter every call has by itself, default 30,000) is over; then the caller gets QN_E_TIMEOUT. A call that
 * waits for a job that serves is one line: see qn_job_ask_wait in core/job/job.h. */
#ifndef QN_CORE_MODULE_CALL_H
#define QN_CORE_MODULE_CALL_H

#include "core/crypto/sign.h"
#include "core/env/env.h"
#include "core/job/job.h"
#include "ledger/state/view.h"

struct qn_node; /* core/node's; opaque here */

/* What a call may use of the node; a table of functions that core/node fills. */
struct qn_node_ops {
    /* tx_send checks and pools a signed transaction (Borsh). *ret_id is its id also when it was known. */
    qn_rc (*tx_send)(struct qn_node *node, struct qn_span tx, struct qn_hash *ret_id,
                     struct qn_why *why);
    /* blob_put keeps bytes under their BLAKE3 hash; blob_path gives the file that holds a blob (dst[4096]). */
    qn_rc (*blob_put)(struct qn_node *node, struct qn_span bytes, struct qn_hash *ret,
                      struct qn_why *why);
    qn_rc (*blob_path)(struct qn_node *node, const struct qn_hash *hash, char *dst, size_t dst_len,
                       struct qn_why *why);
    /* key loads a key of the home's wallet by name, for a service that the owner lets sign (agent.serve). Only for
     * calls that are QN_CALL_LOCAL; the caller wipes it. */
    qn_rc (*key)(struct qn_node *node, const char *name, struct qn_key *ret, struct qn_why *why);
    /* later calls fn once, ms from now; 0: after what is ready in this turn of the loop, so that many requests share
     * one write to the disk. It is not called any more once the node stops. */
    void (*later)(struct qn_node *node, uint32_t ms, void (*fn)(void *arg), void *arg);
    /* api gives the port that HTTP is served on. */
    unsigned (*api)(struct qn_node *node);
    /* blob_keep keeps a copy of the file open at fd without holding it in memory; at most 1 GiB. */
    qn_rc (*blob_keep)(struct qn_node *node, int fd, struct qn_hash *ret, uint64_t *ret_bytes,
                       struct qn_why *why);
    /* script runs function fn of a pure Lua text (lua/bind/pure.h) in the node itself: bound gas, 1 gas is about 1.4 ns. */
    qn_rc (*script)(struct qn_node *node, const char *name, struct qn_span source, const char *fn,
                    const json_t *args, uint64_t gas, uint64_t *ret_gas, json_t **ret,
                    struct qn_why *why);
    /* tx_offer is tx_send for a call that is QN_CALL_SOON: QN_E_AGAIN at first, with a number in *state that was 0, and what became of it when
     * it is asked again. Those of one turn of the loop are checked together, which costs a fraction. */
    qn_rc (*tx_offer)(struct qn_node *node, struct qn_span tx, uint64_t *state,
                      struct qn_hash *ret_id, struct qn_why *why);
};

struct qn_call_ctx {
    const struct qn_env *env;
    const struct qn_view *view; /* finalised */
    struct qn_node *node;
    const struct qn_node_ops *ops;
    struct qn_jobs *jobs;
    const char *home;       /* the node's data folder */
    struct qn_arena *arena; /* life of the request */
    void *self;             /* what the call's module made in its start, or NULL */
    bool local;             /* came over the owner's socket or with the node's cookie */
    uint64_t *state; /* 0 at the first try; a call that returns QN_E_AGAIN may keep a number here */
};

enum qn_call_flags {
    QN_CALL_QUERY = 1, /* else an action */
    QN_CALL_MANY = 2,  /* result is an array; the CLI prints a table, --json one object a line */
    QN_CALL_LOCAL = 4, /* only for the node's owner */
    QN_CALL_BLIND =
        8, /* reads no rows: ctx->view may be NULL, and blocks above the head stay as they are */
    /* once *state is set it is called without its parameters */
    QN_CALL_SOON =
        16, /* waits for this turn of the loop alone: however many others wait, and whatever its timeout_ms */
};

struct qn_call {
    const char *name;    /* "lease.close" */
    const char *doc;     /* one sentence */
    const char *example; /* what follows `quoin `: "lease close 81ab" */
    unsigned flags;
    qn_record_fn
        params; /* NULL: none. The first fields named in `args` may be given without their flag */
    const char *args;   /* positional parameters of the CLI, "id node", or NULL */
    const char *result; /* fields of the result object, "id height fee_uqn", for the reference */
    /* fn: params as decoded record, or NULL without; *ret a new object or array. */
    qn_rc (*fn)(struct qn_call_ctx *ctx, const void *params, json_t **ret, struct qn_why *why);
};

#endif
