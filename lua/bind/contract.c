/* contract.c - running a contract. */
#include "lua/bind/contract.h"

#include "lua/bind/strict.h"
#include "lua/bind/value.h"
#include "lua/vm/lauxlib.h"
#include "lua/vm/lualib.h"

#include <stdlib.h>
#include <string.h>

#define KEY_MAX   200
#define PARSE_GAS 50 /* of a byte of source */
#define READ_GAS  16 /* of a byte of JSON made into values */

/* --- what contracts may do ------------------------------------------------------------------------------------------ */

static struct qn_span key_arg(lua_State *L, int idx)
{
    size_t len;
    const char *text = luaL_checklstring(L, idx, &len);
    if (len > KEY_MAX) luaL_error(L, "a key has at most %d bytes", KEY_MAX);
    return QN_SPAN(text, len);
}

static int c_get(lua_State *L)
{
    struct qn_strict *r = qn_strict_of(L);
    struct qn_span val;
    if (!r->host->get(r->host->self, key_arg(L, 2), &val)) {
        lua_pushnil(L);
        return 1;
    }
    lua_qngas(L, READ_GAS * (long long)val.len);
    qn_strict_push(
        L, json_loadb((const char *)val.ptr, val.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL));
    return 1;
}

static int c_set(lua_State *L)
{
    struct qn_strict *r = qn_strict_of(L);
    json_t *json;
    struct qn_span key = key_arg(L, 2);
    r->why.text[0] = 0;
    if (r->view) return luaL_error(L, "a view changes nothing");
    if (lua_isnoneornil(L, 3)) return luaL_error(L, "c:set wants a value; c:del removes a key");
    qn_rc rc = qn_lua_json(L, 3, &json, &r->why);
    if (rc) return qn_strict_raise(L, r, rc);
    char *text = json_dumps(json, JSON_COMPACT | JSON_ENCODE_ANY | JSON_SORT_KEYS);
    json_decref(json);
    rc =
        text ? r->host->put(r->host->self, key, QN_SPAN(text, strlen(text)), &r->why) : QN_E_FORMAT;
    free(text);
    return rc ? qn_strict_raise(L, r, rc) : 0;
}

static int c_del(lua_State *L)
{
    struct qn_strict *r = qn_strict_of(L);
    r->why.text[0] = 0;
    if (r->view) return luaL_error(L, "a view changes nothing");
    qn_rc rc = r->host->del(r->host->self, key_arg(L, 2), &r->why);
    return rc ? qn_strict_raise(L, r, rc) : 0;
}

static int c_next(lua_State *L)
{
    struct qn_strict *r = qn_strict_of(L);
    struct qn_span key, val, prefix = key_arg(L, 2), after = { NULL, 0 };
    if (!lua_isnoneornil(L, 3)) after = key_arg(L, 3);
    if (!r->host->next(r->host->self, prefix, after, &key, &val)) return 0;
    lua_qngas(L, READ_GAS * (long long)val.len);
    lua_pushlstring(L, (const char *)key.ptr, key.len);
    qn_strict_push(
        L, json_loadb((const char *)val.ptr, val.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL));
    return 2;
}

static int c_balance(lua_State *L)
{
    struct qn_strict *r = qn_strict_of(L);
    lua_qngas(L, 1000);
    lua_pushinteger(L, (lua_Integer)r->host->balance(r->host->self));
    return 1;
}

static int c_transfer(lua_State *L)
{
    struct qn_strict *r = qn_strict_of(L);
    struct qn_hash to;
    size_t len;
    const char *hex = luaL_checklstring(L, 2, &len);
    lua_Integer uqn = luaL_checkinteger(L, 3);
    r->why.text[0] = 0;
    if (r->view) return luaL_error(L, "a view changes nothing");
    if (!qn_unhex(hex, len, to.b, sizeof to.b))
        return luaL_error(L, "an account has 64 hex digits");
    if (uqn < 0) return luaL_error(L, "an amount is not negative");
    qn_rc rc = r->host->transfer(r->host->self, &to, (uint64_t)uqn, &r->why);
    return rc ? qn_strict_raise(L, r, rc) : 0;
}

static int c_emit(lua_State *L)
{
    struct qn_strict *r = qn_strict_of(L);
    json_t *json;
    const char *topic = luaL_checkstring(L, 2);
    r->why.text[0] = 0;
    if (r->view) return luaL_error(L, "a view changes nothing");
    qn_rc rc = qn_lua_json(L, 3, &json, &r->why);
    if (rc) return qn_strict_raise(L, r, rc);
    rc = r->host->emit(r->host->self, topic, json, &r->why);
    json_decref(json);
    return rc ? qn_strict_raise(L, r, rc) : 0;
}

static int c_chain(lua_State *L)
{
    struct qn_strict *r = qn_strict_of(L);
    json_t *arg = NULL, *ret = NULL;
    const char *name = luaL_checkstring(L, 2);
    r->why.text[0] = 0;
    qn_rc rc = qn_lua_json(L, 3, &arg, &r->why);
    if (rc == QN_OK) rc = r->host->chain(r->host->self, name, arg, &ret, &r->why);
    json_decref(arg);
    if (rc) return qn_strict_raise(L, r, rc);
    qn_strict_push(L, ret);
    return 1;
}

static const luaL_Reg CONTRACT[] = {
    { "get", c_get },   { "set", c_set },         { "del", c_del },
    { "next", c_next }, { "balance", c_balance }, { "transfer", c_transfer },
    { "emit", c_emit }, { "chain", c_chain },     { NULL, NULL },
};

static void open_contract(lua_State *L)
{
    lua_newtable(L);
    lua_setglobal(L, "public");
    lua_newtable(L);
    lua_setglobal(L, "view");
    lua_newtable(L);
    luaL_setfuncs(L, CONTRACT, 0);
    lua_setfield(L, LUA_REGISTRYINDEX, "qn.contract");
}

static void push_context(lua_State *L, const struct qn_contract_host *host)
{
    char hex[65];
    lua_newtable(L);
    qn_hex(host->caller.b, 32, hex);
    lua_pushstring(L, hex);
    lua_setfield(L, -2, "caller");
    qn_hex(host->contract.b, 32, hex);
    lua_pushstring(L, hex);
    lua_setfield(L, -2, "contract");
    lua_pushinteger(L, (lua_Integer)host->value_uqn);
    lua_setfield(L, -2, "value");
    lua_pushinteger(L, (lua_Integer)host->height);
    lua_setfield(L, -2, "height");
    lua_pushinteger(L, (lua_Integer)host->now_ms);
    lua_setfield(L, -2, "now_ms");
    lua_newtable(L);
    lua_getfield(L, LUA_REGISTRYINDEX, "qn.contract");
    lua_setfield(L, -2, "__index");
    lua_setmetatable(L, -2);
}

/* --- a run ----------------------------------------------------------------------------------------------------------------- */

struct ask {
    const char *name, *method;
    struct qn_span source;
    const json_t *args;
    json_t *ret;
    bool missing; /* no such method */
    long long gas;
};

static int body(lua_State *L)
{
    struct qn_strict *r = qn_strict_of(L);
    struct ask *a = lua_touserdata(L, 1);
    char chunk[80];
    qn_strict_open(L);
    open_contract(L);
    lua_qnset(L, a->gas, 1);
    snprintf(chunk, sizeof chunk, "@%s", a->name);
    if (luaL_loadbufferx(L, (const char *)a->source.ptr, a->source.len, chunk, "t") != LUA_OK)
        return lua_error(L);
    lua_call(L, 0, 0);
    bool init = strcmp(a->method, "init") == 0;
    int type = LUA_TNIL;
    if (init) {
        type = lua_getglobal(L, "init");
    } else {
        if (!r->host->view && lua_getglobal(L, "public") == LUA_TTABLE)
            type = lua_getfield(L, -1, a->method);
        if (type != LUA_TFUNCTION && lua_getglobal(L, "view") == LUA_TTABLE) {
            type = lua_getfield(L, -1, a->method);
            r->view = true;
        }
    }
    if (type != LUA_TFUNCTION) {
        a->missing = !init;
        return init ? 0 : luaL_error(L, "the contract has no method %s", a->method);
    }
    push_context(L, r->host);
    int argc = (int)json_array_size(a->args);
    luaL_checkstack(L, argc + 4, "too many arguments");
    for (int i = 0; i < argc; i++)
        qn_lua_push(L, json_array_get(a->args, (size_t)i));
    lua_call(L, argc + 1, 1);
    qn_rc rc = qn_lua_json(L, -1, &a->ret, &r->why);
    return rc ? qn_strict_raise(L, r, rc) : 0;
}

static qn_rc run(const char *name, struct qn_span source, const char *method, const json_t *args,
                 const struct qn_contract_host *host, uint64_t gas, uint64_t *ret_gas, json_t **ret,
                 struct qn_why *why)
{
    struct qn_strict r = { .host = host };
    struct ask ask = { .name = name, .method = method, .source = source, .args = args };
    uint64_t parse = QN_STRICT_START + PARSE_GAS * (uint64_t)source.len;
    *ret_gas = gas;
    if (gas <= parse) return qn_why(why, QN_E_GAS, "%s.%s: not enough gas to begin", name, method);
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
        rc = qn_why(why, QN_E_GAS, "%s.%s used up its gas", name, method);
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

const struct qn_contract_vm *qn_lua_contracts(void)
{
    static const struct qn_contract_vm vm = { run };
    return &vm;
}
