/* module.h - what a module is: one constant struct at the end of modules/M/M.c, and one line in
 * modules/modules.def. Zero in a member means it has none. Modules never include each other; they meet
 * through ledger rows of their own, calls, chain functions and Lua. */
#ifndef QN_CORE_MODULE_MODULE_H
#define QN_CORE_MODULE_MODULE_H

#include "core/http/server.h"
#include "core/job/job.h"
#include "core/module/call.h"
#include "core/module/local.h"
#include "ledger/state/apply.h"

/* An offline verb: a command that needs no node, e.g. `quoin proof verify FILE`. */
struct qn_verb {
    const char *name; /* "proof verify" */
    const char *args; /* "FILE [--json]" */
    const char *doc;
    const char *example;                          /* one line to paste */
    int (*run)(int argc, char **argv, bool json); /* returns the exit status */
};

/* A raw HTTP path for what is no call: a protocol of the outside world. It is reached without the node's cookie
 * (loopback's Host and Origin rules hold), so handle decides by itself who gets what. */
struct qn_route {
    const char *prefix; /* "/svc/": this and all below */
    const char *doc;
    /* handle answers req now (qn_http_reply) or keeps it (qn_http_keep). method is "GET" or "POST", query may be
     * NULL; ctx and all but req are lent for the call. */
    void (*handle)(struct qn_call_ctx *ctx, struct qn_http_req *req, const char *method,
                   const char *path, const char *query, struct qn_span body);
};

struct qn_module {
    const char *name, *doc;
    uint8_t tag;                  /* compute 1 training 2 subnet 3 zkml 4 agents 5 dashboard 6 */
    const struct qn_tx_kind *txs; /* each table ends with a zero row */
    const struct qn_due_kind *dues;
    const struct qn_table *tables;
    const struct qn_call *calls;
    const struct qn_chain_fn *chain;
    const struct qn_job_kind *jobs;
    const struct qn_verb *verbs;
    const struct qn_route *routes;
    const struct qn_local *locals; /* functions that run where the caller's keys are */
    void (*genesis)(struct qn_apply *ap);
    void (*block_end)(struct qn_apply *ap); /* after all transactions of a block, in tag order */
    /* on_final is for the node alone, after a block became final: a module may start or cancel jobs then.
     * Nothing it does reaches the ledger but by transactions. */
    void (*on_final)(struct qn_call_ctx *ctx);
    /* start runs once in a node, before its first block of this run; *ret_self becomes ctx->self in the module's
     * calls, routes and on_final. stop ends it, when API and jobs are gone (requests that were kept were told so by their
     * `gone`, asks of jobs by their callback). ops, env and jobs of start's ctx may be kept until then. */
    qn_rc (*start)(struct qn_call_ctx *ctx, void **ret_self, struct qn_why *why);
    void (*stop)(void *self);
};

/* qn_module_at returns module idx of this build in tag order, NULL past the last:
 * `for (size_t i = 0; (mod = qn_module_at(i)); i++)`. */
const struct qn_module *qn_module_at(size_t idx);
/* qn_module_find returns the module of that name, or NULL. */
const struct qn_module *qn_module_find(const char *name);

#endif
