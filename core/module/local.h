/* local.h - functions on the caller's side: what needs a key of the caller's wallet, or a place to note what it
 * signed, runs in the process that asks (a command, a script), never in the node. One table row is at once
 * `quoin NOUN VERB` and a Lua function qn.NOUN.VERB{...}. */
#ifndef QN_CORE_MODULE_LOCAL_H
#define QN_CORE_MODULE_LOCAL_H

#include "core/crypto/sign.h"
#include "core/env/env.h"
#include "core/schema/schema.h"

/* What a function may use of the process it runs in. */
struct qn_local_ctx {
    const struct qn_env *env;
    const char *home; /* the caller's data folder */
    const char *as;   /* the key that acts: "as" of a script, --as of a command */
    struct qn_arena *arena;
    void *host;
    /* call asks the node; key loads a key of the wallet, which the function wipes. */
    qn_rc (*call)(void *host, const char *name, const json_t *params, json_t **ret,
                  struct qn_why *why);
    qn_rc (*key)(void *host, const char *name, struct qn_key *ret, struct qn_why *why);
    void *
        *state; /* kept from call to call of this function while the process runs; NULL at first */
};

struct qn_local {
    const char *name, *doc, *example; /* as in struct qn_call */
    qn_record_fn params;
    const char *args, *result;
    qn_rc (*fn)(struct qn_local_ctx *ctx, const void *params, json_t **ret, struct qn_why *why);
    void (*end)(void *state); /* frees what was kept; once a module, in any of its rows */
};

#endif
