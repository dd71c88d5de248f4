/* value.h - inside of lua/bind: JSON values and Lua values. */
#ifndef QN_LUA_BIND_VALUE_H
#define QN_LUA_BIND_VALUE_H

#include "core/base/err.h"
#include "lua/vm/lua.h"

#include <jansson.h>

/* qn_lua_push pushes a JSON value; null and NULL become nil. */
void qn_lua_push(lua_State *L, const json_t *json);
/* qn_lua_json returns the value at idx: a table with the keys 1..n is an array, any other an object with text keys. QN_E_FORMAT on functions, mixed
 * keys and nesting beyond 32. A table that many others name is written out each time, so a small script can mean a large
 * value: QN_E_TOOBIG beyond 4 Mi parts (16 bytes of text are one), 128 Ki in a script with metered memory. Each takes gas. */
QN_CHECK qn_rc qn_lua_json(lua_State *L, int idx, json_t **ret, struct qn_why *why);

#endif
