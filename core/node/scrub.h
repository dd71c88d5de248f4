/* scrub.h - once in a while a node looks whether its rows are still those that were written (ledger/state/scrub.h), a slice of them at a time, aside
 * (core/node/aside.h).
 *
 * What is wrong in memory ends the node at once, without a checkpoint: a wrong row may have been served. What is wrong in state.mdb does not
 * concern what is served, which is in memory; but a disk that changed one thing may have changed a vote: the node signs no more and lets the file be,
 * until `ledger repair` has made it again. */
#ifndef QN_CORE_NODE_SCRUB_H
#define QN_CORE_NODE_SCRUB_H

#include "core/node/aside.h"
#include "ledger/sync/replica.h"

struct scrub;

struct scrub_conf {
    const char *home; /* of the chain */
    const struct qn_env *env;
    struct aside *aside;
    struct qn_replica *replica; /* outlives it */
    uint64_t every_ms;          /* 0: only when asked */
    void *arg;
    void (*log)(void *arg, const char *line);
    void (*wrong)(void *arg, qn_rc rc, const struct qn_why *why); /* memory is: stop */
};

QN_GIVES struct scrub *scrub_open(const struct scrub_conf *conf);
void scrub_close(struct scrub *s);
/* scrub_turn begins a slice when it is due and takes in one that ended. */
void scrub_turn(struct scrub *s);
/* scrub_damage says what was found and not mended; NULL: nothing. */
const char *scrub_damage(const struct scrub *s);

struct qn_call_ctx;
qn_rc qn_call_ledger_scrub(struct qn_call_ctx *ctx, const void *params, json_t **ret,
                           struct qn_why *why);
qn_rc qn_call_ledger_repair(struct qn_call_ctx *ctx, const void *params, json_t **ret,
                            struct qn_why *why);

#endif
