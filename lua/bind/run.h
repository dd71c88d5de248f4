/* run.h - scripts off the ledger: the prompt, files, -e. A script has Lua's own library less what touches the machine (io, os, load,
 * debug), math.muldiv, the table `qn` with every call and transaction of the host, and `require` of the Lua files that travel in the
 * binary: require "score" is lua/std/score.lua, require "subnets/fashion" is lua/subnets/fashion.lua. */
#ifndef QN_LUA_BIND_RUN_H
#define QN_LUA_BIND_RUN_H

#include "core/base/span.h"

#include <jansson.h>
#include <stdio.h>

/* What a script can reach. */
struct qn_lua_host {
    void *self;
    const char *const *names; /* "wallet.send", NULL-terminated: becomes qn.wallet.send{...} */
    /* invoke runs one; args is an object; *ret a new value or NULL for nil. */
    qn_rc (*invoke)(void *self, const char *name, json_t *args, json_t **ret, struct qn_why *why);
};

/* qn_lua_run runs source (named name in errors) with args as the global `arg`. *ret, when not NULL, gets what the script returned.
 * QN_E_SCRIPT with file:line in why. */
QN_CHECK qn_rc qn_lua_run(const struct qn_lua_host *host, const char *name, struct qn_span source,
                          const json_t *args, json_t **ret, struct qn_why *why);
/* qn_lua_check only compiles. */
QN_CHECK qn_rc qn_lua_check(const char *name, struct qn_span source, struct qn_why *why);
/* qn_lua_repl reads statements from in until its end and prints results to out. */
QN_CHECK qn_rc qn_lua_repl(const struct qn_lua_host *host, FILE *in, FILE *out, bool prompt);

#endif
