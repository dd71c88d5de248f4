/* contract.c - running a contract. */
#include "lua/bind/contract.h"

#include "lua/bind/value.h"
#include "lua/vm/lauxlib.h"
#include "lua/vm/lualib.h"

#include <stdlib.h>
#include <string.h>

#define MEM_MAX   (64u << 20)
#define KEY_MAX   200
#define START_GAS 2000 /* making the state and its tables */

/* One run; reached from C functions through the allocator's user data. */
struct run {
    const struct qn_contract_host *host;
    lua_State *L;
    size_t used;
    bool view;         /* inside a view method */
    struct qn_why why; /* of the host function that failed last */
    json_t *held;      /* being turned into Lua values; freed also when that fails */
    qn_rc rc;
};

static struct run *run_of(lua_State *L)
{
    void *ud;
    lua_getallocf(L, &ud);
    return ud;
}

/* Memory above the limit ends the run for good: a caught "not enough memory" would give a thousand free tries. */
static void *alloc(void *ud, void *ptr, size_t old, size_t want)
{
    struct run *r = ud;
    size_t before = ptr ? old : 0;
    if (want == 0) {
        r->used -= before;
        free(ptr);
        return NULL;
    }
    if (r->used - before + want > MEM_MAX) {
        if (r->L) lua_qnset(r->L, -1, 1);
        return NULL;
    }
    void *fresh = realloc(ptr, want);
    if (fresh) r->used += want - before;
    return fresh;
}

/* Pushes json and lets it go. Making Lua values may run out of memory, which leaves this function at once. */
static void push_taken(lua_State *L, json_t *json QN_TAKES)
{
    struct run *r = run_of(L);
    r->held = json;
    qn_lua_push(L, json);
    json_decref(json);
    r->held = NULL;
}

/* --- what contracts may do ------------------------------------------------------------------------------------------ */

static int raise(lua_State *L, struct run *r, qn_rc rc)
{
    char text[480];
    if (rc == QN_E_GAS) lua_qnset(L, -1, 1);
    snprintf(text, sizeof text, "%s [%s]", r->why.text[0] ? r->why.text : qn_err_text(rc),
             qn_err_code(rc));
    return luaL_error(L, "%s", text);
}

static struct qn_span key_arg(lua_State *L, int idx)
{
    size_t len;
    const char *text = luaL_checklstring(L, idx, &len);
    if (len > KEY_MAX) luaL_error(L, "a key has at most %d bytes", KEY_MAX);
    return QN_SPAN(text, len);
}

static int c_get(lua_State *L)
{
    struct run *r = run_of(L);
    struct qn_span val;
    if (!r->host->get(r->host->self, key_arg(L, 2), &val)) {
        lua_pushnil(L);
        return 1;
    }
    lua_qngas(L, (long long)val.len / 8);
    push_taken(L, json_loadb((const char *)val.ptr, val.len, JSON_DECODE_ANY, NULL));
    return 1;
}

static int c_set(lua_State *L)
{
    struct run *r = run_of(L);
    json_t *json;
    struct qn_span key = key_arg(L, 2);
    r->why.text[0] = 0;
    if (r->view) return luaL_error(L, "a view changes nothing");
    if (lua_isnoneornil(L, 3)) return luaL_error(L, "c:set wants a value; c:del removes a key");
    qn_rc rc = qn_lua_json(L, 3, &json, &r->why);
    if (rc) return raise(L, r, rc);
    char *text = json_dumps(json, JSON_COMPACT | JSON_ENCODE_ANY | JSON_SORT_KEYS);
    json_decref(json);
    rc =
        text ? r->host->put(r->host->self, key, QN_SPAN(text, strlen(text)), &r->why) : QN_E_FORMAT;
    free(text);
    return rc ? raise(L, r, rc) : 0;
}

static int c_del(lua_State *L)
{
    struct run *r = run_of(L);
    r->why.text[0] = 0;
    if (r->view) return luaL_error(L, "a view changes nothing");
    qn_rc rc = r->host->del(r->host->self, key_arg(L, 2), &r->why);
    return rc ? raise(L, r, rc) : 0;
}

static int c_next(lua_State *L)
{
    struct run *r = run_of(L);
    struct qn_span key, val, prefix = key_arg(L, 2), after = { NULL, 0 };
    if (!lua_isnoneornil(L, 3)) after = key_arg(L, 3);
    if (!r->host->next(r->host->self, prefix, after, &key, &val)) return 0;
    lua_qngas(L, (long long)val.len / 8);
    lua_pushlstring(L, (const char *)key.ptr, key.len);
    push_taken(L, json_loadb((const char *)val.ptr, val.len, JSON_DECODE_ANY, NULL));
    return 2;
}

static int c_balance(lua_State *L)
{
    struct run *r = run_of(L);
    lua_qngas(L, 1000);
    lua_pushinteger(L, (lua_Integer)r->host->balance(r->host->self));
    return 1;
}

static int c_transfer(lua_State *L)
{
    struct run *r = run_of(L);
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
    return rc ? raise(L, r, rc) : 0;
}

static int c_emit(lua_State *L)
{
    struct run *r = run_of(L);
    json_t *json;
    const char *topic = luaL_checkstring(L, 2);
    r->why.text[0] = 0;
    if (r->view) return luaL_error(L, "a view changes nothing");
    qn_rc rc = qn_lua_json(L, 3, &json, &r->why);
    if (rc) return raise(L, r, rc);
    rc = r->host->emit(r->host->self, topic, json, &r->why);
    json_decref(json);
    return rc ? raise(L, r, rc) : 0;
}

static int c_chain(lua_State *L)
{
    struct run *r = run_of(L);
    json_t *arg = NULL, *ret = NULL;
    const char *name = luaL_checkstring(L, 2);
    r->why.text[0] = 0;
    qn_rc rc = qn_lua_json(L, 3, &arg, &r->why);
    if (rc == QN_OK) rc = r->host->chain(r->host->self, name, arg, &ret, &r->why);
    json_decref(arg);
    if (rc) return raise(L, r, rc);
    push_taken(L, ret);
    return 1;
}

/* --- strict library ---------------------------------------------------------------------------------------------------- */

static int strict_pcall(lua_State *L)
{
    struct run *r = run_of(L);
    luaL_checkany(L, 1);
    size_t mark = r->host->mark(r->host->self);
    int status = lua_pcall(L, lua_gettop(L) - 1, LUA_MULTRET, 0);
    if (status != LUA_OK) r->host->back(r->host->self, mark);
    lua_pushboolean(L, status == LUA_OK);
    lua_insert(L, 1);
    return lua_gettop(L);
}

/* Keys sort as: false, true, integers, text bytewise. */
static int key_rank(lua_State *L, int idx)
{
    switch (lua_type(L, idx)) {
    case LUA_TBOOLEAN: return 0;
    case LUA_TNUMBER: return 1;
    case LUA_TSTRING: return 2;
    default: return luaL_error(L, "pairs: keys must be flags, whole numbers or text");
    }
}

static int key_before(lua_State *L)
{
    int a = key_rank(L, 1), b = key_rank(L, 2);
    bool before = a < b;
    if (a == b && a == 0)
        before = !lua_toboolean(L, 1) && lua_toboolean(L, 2);
    else if (a == b && a == 1)
        before = lua_tointeger(L, 1) < lua_tointeger(L, 2);
    else if (a == b) {
        size_t la, lb;
        const char *x = lua_tolstring(L, 1, &la), *y = lua_tolstring(L, 2, &lb);
        before = qn_span_cmp(QN_SPAN(x, la), QN_SPAN(y, lb)) < 0;
    }
    lua_pushboolean(L, before);
    return 1;
}

static int pairs_step(lua_State *L)
{
    lua_Integer at = lua_tointeger(L, lua_upvalueindex(2)) + 1;
    for (;; at++) { /* a key removed since the start is left out */
        lua_qngas(L, 1);
        if (lua_rawgeti(L, lua_upvalueindex(1), at) == LUA_TNIL) return 1;
        lua_pushvalue(L, -1);
        if (lua_gettable(L, 1) != LUA_TNIL) break;
        lua_pop(L, 2);
    }
    lua_pushinteger(L, at);
    lua_replace(L, lua_upvalueindex(2));
    return 2;
}

static int strict_pairs(lua_State *L)
{
    lua_Integer cnt = 0;
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    lua_newtable(L);
    lua_pushnil(L);
    while (lua_next(L, 1)) {
        lua_pop(L, 1);
        key_rank(L, -1);
        lua_pushvalue(L, -1);
        lua_rawseti(L, 2, ++cnt);
    }
    lua_qngas(L, 4 * cnt);
    lua_getfield(L, LUA_REGISTRYINDEX, "qn.sort");
    lua_pushvalue(L, 2);
    lua_pushcfunction(L, key_before);
    lua_call(L, 2, 0);
    lua_pushvalue(L, 2);
    lua_pushinteger(L, 0);
    lua_pushcclosure(L, pairs_step, 2);
    lua_pushvalue(L, 1);
    return 2;
}

static int strict_setmetatable(lua_State *L)
{
    static const char *const REFUSED[] = { "__gc", "__mode", "__close", "__metatable" };
    luaL_checktype(L, 1, LUA_TTABLE);
    luaL_checktype(L, 2, LUA_TTABLE);
    for (size_t i = 0; i < QN_COUNT(REFUSED); i++) {
        if (lua_getfield(L, 2, REFUSED[i]) != LUA_TNIL)
            return luaL_error(L, "no %s here", REFUSED[i]);
        lua_pop(L, 1);
    }
    lua_settop(L, 2);
    lua_setmetatable(L, 1);
    return 1;
}

static int strict_tonumber(lua_State *L)
{
    size_t len;
    if (lua_isinteger(L, 1)) {
        lua_settop(L, 1);
        return 1;
    }
    const char *text = lua_type(L, 1) == LUA_TSTRING ? lua_tolstring(L, 1, &len) : "";
    char *end;
    if (!(*text == '-' || (*text >= '0' && *text <= '9')) || strlen(text) > 20) return 0;
    long long v = strtoll(text, &end, 10);
    if (*end || !end) return 0;
    lua_pushinteger(L, v);
    return 1;
}

static int muldiv(lua_State *L)
{
    lua_Integer a = luaL_checkinteger(L, 1), b = luaL_checkinteger(L, 2),
                c = luaL_checkinteger(L, 3);
    uint64_t v;
    if (a < 0 || b < 0 || c <= 0 || !qn_muldiv((uint64_t)a, (uint64_t)b, (uint64_t)c, &v) ||
        v > INT64_MAX)
        return luaL_error(L, "math.muldiv: out of range");
    lua_pushinteger(L, (lua_Integer)v);
    return 1;
}

static void open_strict(lua_State *L)
{
    static const char *const GONE[] = { "dofile",         "loadfile", "load",
                                        "collectgarbage", "next",     "print",
                                        "xpcall",         "rawset",   "warn" };
    static const luaL_Reg OWN[] = {
        { "pcall", strict_pcall },
        { "pairs", strict_pairs },
        { "setmetatable", strict_setmetatable },
        { "tonumber", strict_tonumber },
        { NULL, NULL },
    };
    static const luaL_Reg CONTRACT[] = {
        { "get", c_get },   { "set", c_set },         { "del", c_del },
        { "next", c_next }, { "balance", c_balance }, { "transfer", c_transfer },
        { "emit", c_emit }, { "chain", c_chain },     { NULL, NULL },
    };
    luaL_requiref(L, LUA_GNAME, luaopen_base, 1);
    luaL_requiref(L, LUA_TABLIBNAME, luaopen_table, 1);
    lua_getfield(L, -1, "sort");
    lua_setfield(L, LUA_REGISTRYINDEX, "qn.sort");
    luaL_requiref(L, LUA_STRLIBNAME, luaopen_string, 1);
    static const char *const NO_STRING[] = { "dump", "pack", "unpack",
                                             "packsize" }; /* unpack can make a float */
    for (size_t i = 0; i < QN_COUNT(NO_STRING); i++) {
        lua_pushnil(L);
        lua_setfield(L, -2, NO_STRING[i]);
    }
    lua_pushstring(L, ""); /* text is no number: its arithmetic goes */
    lua_getmetatable(L, -1);
    static const char *const ARITH[] = { "__add", "__sub", "__mul",  "__mod",
                                         "__pow", "__div", "__idiv", "__unm" };
    for (size_t i = 0; i < QN_COUNT(ARITH); i++) {
        lua_pushnil(L);
        lua_setfield(L, -2, ARITH[i]);
    }
    lua_settop(L, 0);
    for (size_t i = 0; i < QN_COUNT(GONE); i++) {
        lua_pushnil(L);
        lua_setglobal(L, GONE[i]);
    }
    lua_pushglobaltable(L);
    luaL_setfuncs(L, OWN, 0);
    lua_newtable(L);
    lua_pushcfunction(L, muldiv);
    lua_setfield(L, -2, "muldiv");
    lua_pushinteger(L, LUA_MAXINTEGER);
    lua_setfield(L, -2, "maxinteger");
    lua_pushinteger(L, LUA_MININTEGER);
    lua_setfield(L, -2, "mininteger");
    lua_setglobal(L, "math");
    lua_newtable(L);
    lua_setglobal(L, "public");
    lua_newtable(L);
    lua_setglobal(L, "view");
    lua_newtable(L);
    luaL_setfuncs(L, CONTRACT, 0);
    lua_setfield(L, LUA_REGISTRYINDEX, "qn.contract");
    lua_settop(L, 0);
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
    struct run *r = run_of(L);
    struct ask *a = lua_touserdata(L, 1);
    char chunk[80];
    open_strict(L);
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
    return rc ? raise(L, r, rc) : 0;
}

static qn_rc run(const char *name, struct qn_span source, const char *method, const json_t *args,
                 const struct qn_contract_host *host, uint64_t gas, uint64_t *ret_gas, json_t **ret,
                 struct qn_why *why)
{
    struct run r = { .host = host };
    struct ask ask = { .name = name, .method = method, .source = source, .args = args };
    uint64_t parse = START_GAS + source.len / 4;
    *ret_gas = gas;
    if (gas <= parse) return qn_why(why, QN_E_GAS, "%s.%s: not enough gas to begin", name, method);
    ask.gas = (long long)QN_MIN(gas - parse, (uint64_t)INT64_MAX / 2);
    lua_State *L = lua_newstate(alloc, &r);
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
