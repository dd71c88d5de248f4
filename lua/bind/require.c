/* require.c - scripts load what travels in the binary, and nothing else: no path of the machine, no search. */
#include "core/base/embed.h"
#include "lua/bind/strict.h"
#include "lua/vm/lauxlib.h"

#include <string.h>

#define NAME_MAX_ 64

static int require(lua_State *L)
{
    size_t len;
    const char *name = luaL_checklstring(L, 1, &len);
    bool all = lua_toboolean(L, lua_upvalueindex(1));
    char path[NAME_MAX_ + 16];
    struct qn_span source;
    for (size_t i = 0; i < len; i++) {
        char c = name[i];
        bool ok = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || (c == '/' && all);
        if (!ok || len > NAME_MAX_)
            return luaL_error(L, "require: names are of a-z, 0-9 and _, at most %d", NAME_MAX_);
    }
    snprintf(path, sizeof path, "lua/%s%s.lua", strchr(name, '/') ? "" : "std/", name);
    lua_settop(L, 1);
    lua_getfield(L, LUA_REGISTRYINDEX, "qn.required");
    if (lua_getfield(L, 2, path) != LUA_TNIL) {
        if (lua_isboolean(L, -1)) return luaL_error(L, "require: %s loads itself", name);
        return 1;
    }
    if (!qn_embed_get(path, &source)) return luaL_error(L, "require: there is no %s", path);
    if (lua_qnstrict(L)) lua_qngas(L, (long long)source.len / 4);
    lua_pushboolean(L, 1);
    lua_setfield(L, 2, path);
    lua_pushfstring(L, "@%s", path);
    if (luaL_loadbufferx(L, (const char *)source.ptr, source.len, lua_tostring(L, -1), "t") !=
        LUA_OK)
        return lua_error(L);
    lua_call(L, 0, 1);
    if (lua_isnil(L, -1)) return luaL_error(L, "require: %s returns nothing", path);
    lua_pushvalue(L, -1);
    lua_setfield(L, 2, path);
    return 1;
}

void qn_require_open(lua_State *L, bool all)
{
    lua_newtable(L);
    lua_setfield(L, LUA_REGISTRYINDEX, "qn.required");
    lua_pushboolean(L, all);
    lua_pushcclosure(L, require, 1);
    lua_setglobal(L, "require");
}
