/* serve.h - services: a job's answers for sale at POST /svc/NAME. Inside of modules/agents. */
#ifndef QN_MODULES_AGENTS_SERVE_H
#define QN_MODULES_AGENTS_SERVE_H

#include "core/module/module.h"
#include "modules/agents/d402.h"
#include "modules/agents/paid.h"

#define SERVE_ANSWER_MAX 262144 /* bytes; a longer answer is none */
#define SERVE_BODY_MAX   65536

/* One service. It stays until the node stops; the owner may take it off, or give it another job. */
struct svc {
    struct svc *next;
    char name[65], doc[257];
    bool on, once;
    struct qn_hash job, acct; /* acct is paid */
    struct qn_key key;        /* of acct: signs receipts and claims */
    struct qn_amount price;
    uint32_t body_max, claim_ppm;
    uint32_t live; /* requests being run */
    uint64_t served, aborted;
};

struct want;

/* The module's state in a node: ctx->self. */
struct agents_node {
    const struct qn_env *env;
    struct qn_node *node;
    const struct qn_node_ops *ops;
    struct qn_jobs *jobs;
    struct qn_hash chain;
    struct paid *paid;
    struct svc *services;
    struct want *staged, **staged_end; /* what waits for the next commit, in order */
    struct want *early;                /* what came before its turn */
    bool commit_due, sweep_due;
    struct paid_chan *watch; /* where the look at channels goes on */
    struct settle *settle;   /* claims to send */
    uint64_t now_ms;         /* of the last final block */
};

qn_rc serve_start(struct qn_call_ctx *ctx, void **ret_self, struct qn_why *why);
void serve_stop(void *self);
void serve_route(struct qn_call_ctx *ctx, struct qn_http_req *req, const char *method,
                 const char *path, const char *query, struct qn_span body);
extern const struct qn_job_kind SERVE_JOBS[];

/* serve_find returns the service of that name, NULL when there is none; serve_of one that acct is paid for. */
struct svc *serve_find(struct agents_node *n, struct qn_span name);
struct svc *serve_of(struct agents_node *n, const struct qn_hash *acct);
/* serve_put makes a service, or changes it, and runs what was paid for before the node stopped; *ret_resumed counts
 * that. */
QN_CHECK qn_rc serve_put(struct agents_node *n, const struct agent_serve *params,
                         const struct qn_hash *job, const struct qn_key *key, uint32_t *ret_resumed,
                         struct qn_why *why);

/* settle_final looks at channels after a block and claims where it is time; settle_send claims a channel now. */
void settle_final(struct qn_call_ctx *ctx);
QN_CHECK qn_rc settle_send(struct agents_node *n, const struct svc *svc,
                           const struct paid_chan *chan, bool close, struct qn_hash *ret_tx,
                           struct qn_why *why);

qn_rc serve_calls_put(struct qn_call_ctx *ctx, const void *params, json_t **ret,
                      struct qn_why *why);
qn_rc serve_calls_drop(struct qn_call_ctx *ctx, const void *params, json_t **ret,
                       struct qn_why *why);
qn_rc serve_calls_list(struct qn_call_ctx *ctx, const void *params, json_t **ret,
                       struct qn_why *why);
qn_rc serve_calls_income(struct qn_call_ctx *ctx, const void *params, json_t **ret,
                         struct qn_why *why);
qn_rc serve_calls_settle(struct qn_call_ctx *ctx, const void *params, json_t **ret,
                         struct qn_why *why);

#endif
