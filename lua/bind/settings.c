/* settings.c - a Lua state that can only compute. */
#include "lua/bind/settings.h"

#include "lua/bind/value.h"
#include "lua/vm/lauxlib.h"
#include "lua/vm/lualib.h"

#include <stdlib.h>
#include <string.h>

#define GAS        1000000     /* instructions; a file of settings takes a few hundred */
#define MEMORY_MAX (16u << 20) /* bytes */

static void *bounded(void *ud, void *ptr, size_t old, size_t size)
{
    size_t *used = ud;
    if (!ptr) old = 0; /* then it is a type, not a size */
    if (size == 0) {
        *used -= old;
        free(ptr);
        return NULL;
    }
    if (*used - old + size > MEMORY_MAX) return NULL;
    void *ret = realloc(ptr, size);
    if (ret) *used = *used - old + size;
    return ret;
}

static int nothing(lua_State *L)
{
    (void)L;
    return 0;
}

/* Protected: everything that may raise. [1] the call's frame, as light userdata. */
struct call {
    const char *name;
    struct qn_span source;
    json_t *ret;
    qn_rc rc;
    struct qn_why *why;
};

static int run(lua_State *L)
{
    static const luaL_Reg LIBS[] = {
        { LUA_GNAME, luaopen_base },
        { LUA_TABLIBNAME, luaopen_table },
        { LUA_STRLIBNAME, luaopen_string },
        { LUA_MATHLIBNAME, luaopen_math },
    };
    static const char *const GONE[] = { "dofile", "loadfile", "load", "collectgarbage" };
    struct call *call = lua_touserdata(L, 1);
    char chunk[256];
    for (size_t i = 0; i < QN_COUNT(LIBS); i++) {
        luaL_requiref(L, LIBS[i].name, LIBS[i].func, 1);
        lua_pop(L, 1);
    }
    for (size_t i = 0; i < QN_COUNT(GONE); i++) {
        lua_pushnil(L);
        lua_setglobal(L, GONE[i]);
    }
    lua_pushcfunction(L, nothing);
    lua_setglobal(L, "print");
    snprintf(chunk, sizeof chunk, "@%s", call->name);
    if (luaL_loadbufferx(L, (const char *)call->source.ptr, call->source.len, chunk, "t") != LUA_OK)
        return lua_error(L);
    lua_newtable(L); /* what it assigns, and beneath it the library */
    lua_newtable(L);
    lua_pushglobaltable(L);
    lua_setfield(L, -2, "__index");
    lua_setmetatable(L, -2);
    lua_pushvalue(L, -1);
    if (!lua_setupvalue(L, -3, 1)) lua_pop(L, 1); /* an empty file has no _ENV */
    lua_insert(L, -2);
    int held = lua_gettop(L) - 1; /* without the chunk */
    lua_call(L, 0, LUA_MULTRET);
    if (lua_gettop(L) != held)
        return luaL_error(L,
                          "%s: what a file of settings returns is not read; assign each, as in "
                          "listen = \"127.0.0.1:4460\", without return and braces",
                          call->name);
    call->rc = qn_lua_json(L, -1, &call->ret, call->why);
    return 0;
}

qn_rc qn_lua_settings(const char *name, struct qn_span source, json_t **ret, struct qn_why *why)
{
    size_t used = 0;
    struct call call = { .name = name, .source = source, .why = why };
    lua_State *L = lua_newstate(bounded, &used);
    if (!L) return qn_why(why, QN_E_MEMORY, "no memory for %s", name);
    lua_qnset(L, GAS, 0);
    lua_pushcfunction(L, run);
    lua_pushlightuserdata(L, &call);
    if (lua_pcall(L, 1, 0, 0) != LUA_OK) {
        const char *text = lua_tostring(L, -1);
        call.rc = qn_why(why, QN_E_CONFIG, "%s", text ? text : "error without text");
    } else if (call.rc) {
        char text[400];
        snprintf(text, sizeof text, "%s", why ? why->text : "");
        call.rc = qn_why(why, QN_E_CONFIG, "%s: %s", name, text);
    }
    lua_close(L);
    if (call.rc == QN_OK && json_is_array(call.ret)) { /* numbered globals cannot be */
        json_decref(call.ret);
        return qn_why(why, QN_E_CONFIG, "%s: expected named settings", name);
    }
    if (call.rc == QN_OK) *ret = call.ret;
    return call.rc;
}
