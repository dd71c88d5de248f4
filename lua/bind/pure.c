/* pure.c - running one function of a pure script. */
#include "lua/bind/pure.h"

#include "lua/bind/strict.h"
#include "lua/bind/value.h"
#include "lua/vm/lauxlib.h"

struct ask {
    const char *name, *fn;
    struct qn_span source;
    const json_t *args;
    json_t *ret;
    bool missing;
    long long gas;
};

static int body(lua_State *L)
{
    struct qn_strict *r = qn_strict_of(L);
    struct ask *a = lua_touserdata(L, 1);
    char chunk[80];
    qn_strict_open(L);
    qn_require_open(L, false);
    lua_qnset(L, a->gas, 1);
    snprintf(chunk, sizeof chunk, "@%s", a->name);
    if (luaL_loadbufferx(L, (const char *)a->source.ptr, a->source.len, chunk, "t") != LUA_OK)
        return lua_error(L);
    lua_call(L, 0, 1);
    if (!lua_istable(L, -1)) return luaL_error(L, "%s returns no table of functions", a->name);
    if (lua_getfield(L, -1, a->fn) != LUA_TFUNCTION) {
        a->missing = true;
        return luaL_error(L, "%s has no function %s", a->name, a->fn);
    }
    int argc = (int)json_array_size(a->args);
    luaL_checkstack(L, argc + 4, "too many arguments");
    for (int i = 0; i < argc; i++)
        qn_strict_push(L, json_incref(json_array_get(a->args, (size_t)i)));
    lua_call(L, argc, 1);
    qn_rc rc = qn_lua_json(L, -1, &a->ret, &r->why);
    return rc ? qn_strict_raise(L, r, rc) : 0;
}

qn_rc qn_lua_pure(const char *name, struct qn_span source, const char *fn, const json_t *args,
                  uint64_t gas, uint64_t *ret_gas, json_t **ret, struct qn_why *why)
{
    struct qn_strict r = { 0 };
    struct ask ask = { .name = name, .fn = fn, .source = source, .args = args };
    uint64_t parse = QN_STRICT_START + source.len / 4;
    *ret_gas = gas;
    if (gas <= parse) return qn_why(why, QN_E_GAS, "%s.%s: not enough gas to begin", name, fn);
    ask.gas = (long long)QN_MIN(gas - parse, (uint64_t)INT64_MAX / 2);
    lua_State *L = lua_newstate(qn_strict_alloc, &r);
    if (!L) return QN_E_MEMORY;
    r.L = L;
    lua_pushcfunction(L, body);
    lua_pushlightuserdata(L, &ask);
    int status = lua_pcall(L, 1, 0, 0);
    long long left = lua_qngas(L, 0);
    qn_rc rc = QN_OK;
    if (left < 0) {
        rc = qn_why(why, QN_E_GAS, "%s.%s used up its gas", name, fn);
        left = 0;
    } else if (status != LUA_OK) {
        const char *text = lua_tostring(L, -1);
        rc = qn_why(why, ask.missing ? QN_E_NOTFOUND : QN_E_SCRIPT, "%s",
                    text ? text : "error without text");
    }
    *ret_gas = QN_MIN(gas, parse + (uint64_t)(ask.gas - QN_MIN(left, ask.gas)));
    if (rc == QN_OK)
        *ret = ask.ret;
    else
        json_decref(ask.ret);
    r.L = NULL;
    lua_close(L);
    json_decref(r.held);
    return rc;
}
