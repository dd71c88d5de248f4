/* strict.c - the library of strict mode. */
#include "lua/bind/strict.h"

#include "lua/bind/value.h"
#include "lua/vm/lauxlib.h"
#include "lua/vm/lualib.h"

#include <stdlib.h>
#include <string.h>

#define MEM_MAX (64u << 20)

struct qn_strict *qn_strict_of(lua_State *L)
{
    void *ud;
    lua_getallocf(L, &ud);
    return ud;
}

/* Memory above the limit ends the run for good: a caught "not enough memory" would give a thousand free tries. */
void *qn_strict_alloc(void *ud, void *ptr, size_t old, size_t want)
{
    struct qn_strict *r = ud;
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
void qn_strict_push(lua_State *L, json_t *json QN_TAKES)
{
    struct qn_strict *r = qn_strict_of(L);
    r->held = json;
    qn_lua_push(L, json);
    json_decref(json);
    r->held = NULL;
}

int qn_strict_raise(lua_State *L, struct qn_strict *r, qn_rc rc)
{
    char text[480];
    if (rc == QN_E_GAS) lua_qnset(L, -1, 1);
    snprintf(text, sizeof text, "%s [%s]", r->why.text[0] ? r->why.text : qn_err_text(rc),
             qn_err_code(rc));
    return luaL_error(L, "%s", text);
}

/* --- strict library ---------------------------------------------------------------------------------------------------- */

static int strict_pcall(lua_State *L)
{
    struct qn_strict *r = qn_strict_of(L);
    luaL_checkany(L, 1);
    size_t mark = r->host ? r->host->mark(r->host->self) : 0;
    int status = lua_pcall(L, lua_gettop(L) - 1, LUA_MULTRET, 0);
    if (status != LUA_OK && r->host) r->host->back(r->host->self, mark);
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
    if (lua_type(L, 1) != LUA_TSTRING) return 0;
    const char *text = lua_tolstring(L, 1, &len);
    char *end;
    if (len > 20 || strlen(text) != len || !(*text == '-' || (*text >= '0' && *text <= '9')))
        return 0; /* by its length first: the text may be megabytes */
    long long v = strtoll(text, &end, 10);
    if (*end || !end) return 0;
    lua_pushinteger(L, v);
    return 1;
}

int qn_lua_muldiv(lua_State *L)
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

void qn_strict_open(lua_State *L)
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
    lua_pushcfunction(L, qn_lua_muldiv);
    lua_setfield(L, -2, "muldiv");
    lua_pushinteger(L, LUA_MAXINTEGER);
    lua_setfield(L, -2, "maxinteger");
    lua_pushinteger(L, LUA_MININTEGER);
    lua_setfield(L, -2, "mininteger");
    lua_setglobal(L, "math");
    lua_settop(L, 0);
}
