/* strict.h - the machine that contracts and subnet scripts run on: Lua with gas, integers only, sorted pairs, a memory limit, and nothing
 * of the outside. Inside lua/bind alone. */
#ifndef QN_LUA_BIND_STRICT_H
#define QN_LUA_BIND_STRICT_H

#include "ledger/state/contract.h"
#include "lua/vm/lua.h"

#define QN_STRICT_START 2000 /* gas of making the state and its tables */

/* One run; reached from C functions through the allocator's user data. */
struct qn_strict {
    const struct qn_contract_host *host; /* NULL: a pure script */
    lua_State *L;
    size_t used;
    bool view;         /* inside a view method */
    struct qn_why why; /* of the host function that failed last */
    json_t *held;      /* being turned into Lua values; freed also when that fails */
    qn_rc rc;
};

struct qn_strict *qn_strict_of(lua_State *L);
/* For lua_newstate; ud is the struct qn_strict. */
void *qn_strict_alloc(void *ud, void *ptr, size_t old, size_t want);
void qn_strict_push(lua_State *L, json_t *json QN_TAKES);
int qn_strict_raise(lua_State *L, struct qn_strict *r, qn_rc rc);
/* qn_strict_open opens the library; inside a protected call. */
void qn_strict_open(lua_State *L);

/* qn_lua_muldiv is math.muldiv(a, b, c): floor(a * b / c) with a 128-bit middle, of numbers not below zero. */
int qn_lua_muldiv(lua_State *L);

/* qn_require_open adds `require` of the files that travel in the binary: require "score" is lua/std/score.lua. all: also of
 * other folders, require "subnets/fashion". */
void qn_require_open(lua_State *L, bool all);

#endif
