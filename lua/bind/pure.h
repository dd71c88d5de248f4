/* pure.h - functions of a script without any world: strict Lua (see contract.h) that gets values and gives a value. A subnet's script is
 * one: the same text and arguments give the same result and gas on every machine.
 *
 * The script returns a table of functions. `require "NAME"` loads lua/std/NAME.lua, and no more. */
#ifndef QN_LUA_BIND_PURE_H
#define QN_LUA_BIND_PURE_H

#include "core/base/span.h"

#include <jansson.h>

/* qn_lua_pure runs the script's function fn with args (JSON array). QN_E_NOTFOUND when it has none of that name, QN_E_GAS when gas
 * is used up, QN_E_SCRIPT with file:line; *ret_gas is set always, *ret (a new value) on QN_OK. */
QN_CHECK qn_rc qn_lua_pure(const char *name, struct qn_span source, const char *fn,
                           const json_t *args, uint64_t gas, uint64_t *ret_gas, json_t **ret,
                           struct qn_why *why);

#endif
