/* value.c - JSON to Lua and back. */
#include "lua/bind/value.h"

#include "lua/vm/lauxlib.h"

#include <string.h>

#define DEPTH_MAX 32
#define PARTS_MAX (4l << 20)
#define PARTS_STRICT                                                                               \
    (128l << 10)    /* some 20 MiB of JSON; a contract writes 64 KiB of text at most */
#define PART_GAS 40 /* some 60 ns: allocated, walked, written and freed */

void qn_lua_push(lua_State *L, const json_t *json)
{
    const char *name;
    json_t *val;
    luaL_checkstack(L, 4, "value nested too deeply");
    switch (json ? json_typeof(json) : JSON_NULL) {
    case JSON_NULL: lua_pushnil(L); return;
    case JSON_TRUE: lua_pushboolean(L, 1); return;
    case JSON_FALSE: lua_pushboolean(L, 0); return;
    case JSON_INTEGER: lua_pushinteger(L, json_integer_value(json)); return;
    case JSON_REAL: /* floats print differently from machine to machine */
        if (lua_qnstrict(L)) luaL_error(L, "only whole numbers here");
        lua_pushnumber(L, json_real_value(json));
        return;
    case JSON_STRING: lua_pushlstring(L, json_string_value(json), json_string_length(json)); return;
    case JSON_ARRAY:
        lua_createtable(L, (int)json_array_size(json), 0);
        for (size_t i = 0; i < json_array_size(json); i++) {
            qn_lua_push(L, json_array_get(json, i));
            lua_rawseti(L, -2, (lua_Integer)i + 1);
        }
        return;
    case JSON_OBJECT: {
        json_t *mutable = (json_t *)(uintptr_t)json; /* only read; a failing push leaves at once */
        lua_createtable(L, 0, (int)json_object_size(json));
        json_object_foreach(mutable, name, val)
        {
            qn_lua_push(L, val);
            lua_setfield(L, -2, name);
        }
        return;
    }
    }
}

/* What is left of the room for one value. */
struct room {
    long parts;
    struct qn_why *why;
};

static qn_rc to_json(lua_State *L, int idx, int depth, json_t **ret, struct room *room);

static qn_rc room_take(lua_State *L, struct room *room, size_t text_len)
{
    size_t cnt = 1 + text_len / 16;
    if (cnt > (size_t)room->parts) return qn_why(room->why, QN_E_TOOBIG, "a value is too large");
    room->parts -= (long)cnt;
    if (lua_qngas(L, (long long)cnt * PART_GAS) < 0)
        return qn_why(room->why, QN_E_GAS, "no gas is left for the value");
    return QN_OK;
}

static qn_rc table_json(lua_State *L, int idx, int depth, json_t **ret, struct room *room)
{
    struct qn_why *why = room->why;
    lua_Integer len = (lua_Integer)lua_rawlen(L, idx);
    json_t *out = len > 0 ? json_array() : json_object(), *val;
    qn_rc rc = QN_OK;
    for (lua_Integer i = 1; i <= len && rc == QN_OK; i++) {
        lua_rawgeti(L, idx, i);
        rc = to_json(L, lua_gettop(L), depth + 1, &val, room);
        lua_pop(L, 1);
        if (rc == QN_OK) json_array_append_new(out, val);
    }
    lua_Integer seen = 0;
    lua_pushnil(L);
    while (rc == QN_OK && lua_next(L, idx)) {
        seen++;
        if (len == 0 && lua_type(L, -2) == LUA_TSTRING) {
            size_t key_len;
            const char *key = lua_tolstring(L, -2, &key_len);
            rc = room_take(L, room, key_len);
            if (rc == QN_OK) rc = to_json(L, lua_gettop(L), depth + 1, &val, room);
            if (rc == QN_OK && strlen(key) != key_len) {
                rc = qn_why(why, QN_E_FORMAT, "a key with a zero byte");
                json_decref(val);
            } else if (rc == QN_OK && json_object_set_new(out, key, val)) {
                rc = qn_why(why, QN_E_FORMAT, "a key that is not UTF-8");
            }
        } else if (len == 0) {
            rc = qn_why(why, QN_E_FORMAT, "a table's keys must be text, or 1 to n");
        }
        lua_pop(L, 1);
    }
    if (rc == QN_OK && len > 0 && seen != len)
        rc = qn_why(why, QN_E_FORMAT, "a table mixes a list with other keys");
    if (rc) {
        lua_settop(L, depth == 0 ? lua_gettop(L) : idx);
        json_decref(out);
        return rc;
    }
    *ret = out;
    return QN_OK;
}

static qn_rc to_json(lua_State *L, int idx, int depth, json_t **ret, struct room *room)
{
    struct qn_why *why = room->why;
    size_t len = 0;
    const char *text = lua_type(L, idx) == LUA_TSTRING ? lua_tolstring(L, idx, &len) : NULL;
    qn_rc rc = room_take(L, room, len);
    if (rc) return rc;
    if (depth > DEPTH_MAX || !lua_checkstack(L, 4))
        return qn_why(why, QN_E_TOOBIG, "a value is nested too deeply");
    switch (lua_type(L, idx)) {
    case LUA_TNIL: *ret = json_null(); return QN_OK;
    case LUA_TBOOLEAN: *ret = json_boolean(lua_toboolean(L, idx)); return QN_OK;
    case LUA_TNUMBER:
        *ret = lua_isinteger(L, idx) ? json_integer(lua_tointeger(L, idx))
                                     : json_real(lua_tonumber(L, idx));
        return *ret ? QN_OK : qn_why(why, QN_E_FORMAT, "not a number");
    case LUA_TSTRING:
        *ret = json_stringn(text, len);
        return *ret ? QN_OK : qn_why(why, QN_E_FORMAT, "text that is not UTF-8");
    case LUA_TTABLE: return table_json(L, idx, depth, ret, room);
    default: return qn_why(why, QN_E_FORMAT, "a %s cannot leave the script", luaL_typename(L, idx));
    }
}

qn_rc qn_lua_json(lua_State *L, int idx, json_t **ret, struct qn_why *why)
{
    int top = lua_gettop(L);
    struct room room = { lua_qnstrict(L) ? PARTS_STRICT : PARTS_MAX, why };
    qn_rc rc = to_json(L, lua_absindex(L, idx), 0, ret, &room);
    lua_settop(L, top);
    return rc;
}
