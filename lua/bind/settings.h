/* settings.h - a file of settings in Lua: its global assignments, and nothing else. It has string, table and math, no I/O, a budget of
 * instructions and of memory. */
#ifndef QN_LUA_BIND_SETTINGS_H
#define QN_LUA_BIND_SETTINGS_H

#include "core/base/span.h"

#include <jansson.h>

/* qn_lua_settings runs source (named name in errors); *ret is a new object of the globals it set. QN_E_CONFIG with file:line in why. */
QN_CHECK qn_rc qn_lua_settings(const char *name, struct qn_span source, json_t **ret,
                               struct qn_why *why);

#endif
