/* run.c - a Lua state for scripts off the ledger. */
#include "lua/bind/run.h"

#include "lua/bind/strict.h"
#include "lua/bind/value.h"
#include "lua/vm/lauxlib.h"
#include "lua/vm/lualib.h"

#include <stdlib.h>
#include <string.h>

/* --- the table qn ------------------------------------------------------------------------------------------- */

static int invoke(lua_State *L)
{
    const struct qn_lua_host *host = lua_touserdata(L, lua_upvalueindex(1));
    const char *name = lua_tostring(L, lua_upvalueindex(2));
    struct qn_why why = { "" };
    json_t *args = NULL, *ret = NULL;
    if (lua_isnoneornil(L, 1))
        args = json_object();
    else if (!lua_istable(L, 1))
        return luaL_error(L, "%s takes one table of named values: %s{name = value}", name, name);
    qn_rc rc = args ? QN_OK : qn_lua_json(L, 1, &args, &why);
    if (rc == QN_OK && json_is_array(args))
        rc = qn_why(&why, QN_E_FORMAT, "expected named values, not a list");
    if (rc == QN_OK) rc = host->invoke(host->self, name, args, &ret, &why);
    json_decref(args);
    if (rc) {
        char text[480];
        snprintf(text, sizeof text, "%s: %s [%s]", name, why.text[0] ? why.text : qn_err_text(rc),
                 qn_err_code(rc));
        return luaL_error(L, "%s", text);
    }
    qn_lua_push(L, ret);
    json_decref(ret);
    return 1;
}

static int json_text(lua_State *L)
{
    struct qn_why why = { "" };
    json_t *val;
    if (qn_lua_json(L, 1, &val, &why)) return luaL_error(L, "qn.json: %s", why.text);
    char *text = json_dumps(val, JSON_COMPACT | JSON_ENCODE_ANY | JSON_SORT_KEYS);
    json_decref(val);
    lua_pushstring(L, text ? text : "null");
    free(text);
    return 1;
}

static int json_value(lua_State *L)
{
    size_t len;
    const char *text = luaL_checklstring(L, 1, &len);
    json_t *val = json_loadb(text, len, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, NULL);
    if (!val) return luaL_error(L, "qn.parse: not JSON");
    qn_lua_push(L, val);
    json_decref(val);
    return 1;
}

static void open_qn(lua_State *L, const struct qn_lua_host *host)
{
    lua_newtable(L);
    lua_pushcfunction(L, json_text);
    lua_setfield(L, -2, "json");
    lua_pushcfunction(L, json_value);
    lua_setfield(L, -2, "parse");
    for (size_t i = 0; host && host->names[i]; i++) {
        const char *dot = strchr(host->names[i], '.');
        QN_ASSERT(dot != NULL);
        lua_pushlstring(L, host->names[i], (size_t)(dot - host->names[i]));
        if (lua_rawget(L, -2) != LUA_TTABLE) {
            lua_pop(L, 1);
            lua_newtable(L);
            lua_pushlstring(L, host->names[i], (size_t)(dot - host->names[i]));
            lua_pushvalue(L, -2);
            lua_rawset(L, -4);
        }
        lua_pushlightuserdata(L, (void *)(uintptr_t)host);
        lua_pushstring(L, host->names[i]);
        lua_pushcclosure(L, invoke, 2);
        lua_setfield(L, -2, dot + 1);
        lua_pop(L, 1);
    }
    lua_setglobal(L, "qn");
}

/* --- the state ------------------------------------------------------------------------------------------------ */

static int panic_at(lua_State *L)
{
    QN_BUG(lua_tostring(L, -1) ? "unprotected error in Lua" : "Lua");
}

static lua_State *state_new(const struct qn_lua_host *host)
{
    static const luaL_Reg LIBS[] = {
        { LUA_GNAME, luaopen_base },       { LUA_COLIBNAME, luaopen_coroutine },
        { LUA_TABLIBNAME, luaopen_table }, { LUA_STRLIBNAME, luaopen_string },
        { LUA_MATHLIBNAME, luaopen_math }, { LUA_UTF8LIBNAME, luaopen_utf8 },
    };
    static const char *const GONE[] = { "dofile", "loadfile", "load", "collectgarbage" };
    lua_State *L = luaL_newstate();
    QN_ASSERT(L != NULL);
    lua_atpanic(L, panic_at);
    for (size_t i = 0; i < QN_COUNT(LIBS); i++) {
        luaL_requiref(L, LIBS[i].name, LIBS[i].func, 1);
        lua_pop(L, 1);
    }
    for (size_t i = 0; i < QN_COUNT(GONE); i++) {
        lua_pushnil(L);
        lua_setglobal(L, GONE[i]);
    }
    lua_getglobal(L, LUA_MATHLIBNAME);
    lua_pushcfunction(L, qn_lua_muldiv);
    lua_setfield(L, -2, "muldiv");
    lua_pop(L, 1);
    open_qn(L, host);
    qn_require_open(L, true);
    return L;
}

static int traceback(lua_State *L)
{
    const char *text = lua_tostring(L, 1);
    lua_pushstring(L, text ? text : "error without text");
    return 1;
}

static qn_rc said(lua_State *L, struct qn_why *why)
{
    const char *text = lua_tostring(L, -1);
    return qn_why(why, QN_E_SCRIPT, "%s", text ? text : "error without text");
}

static qn_rc load(lua_State *L, const char *name, struct qn_span source, struct qn_why *why)
{
    char chunk[256];
    snprintf(chunk, sizeof chunk, "@%s", name);
    /* "t": text only, bytecode is unchecked input */
    if (luaL_loadbufferx(L, (const char *)source.ptr, source.len, chunk, "t") != LUA_OK)
        return said(L, why);
    return QN_OK;
}

qn_rc qn_lua_check(const char *name, struct qn_span source, struct qn_why *why)
{
    lua_State *L = state_new(NULL);
    qn_rc rc = load(L, name, source, why);
    lua_close(L);
    return rc;
}

qn_rc qn_lua_run(const struct qn_lua_host *host, const char *name, struct qn_span source,
                 const json_t *args, json_t **ret, struct qn_why *why)
{
    lua_State *L = state_new(host);
    qn_lua_push(L, args);
    lua_setglobal(L, "arg");
    lua_pushcfunction(L, traceback);
    qn_rc rc = load(L, name, source, why);
    if (rc == QN_OK && lua_pcall(L, 0, 1, -2) != LUA_OK) rc = said(L, why);
    if (rc == QN_OK && ret) rc = qn_lua_json(L, -1, ret, why);
    lua_close(L);
    return rc;
}

/* --- the prompt ------------------------------------------------------------------------------------------------- */

/* Whether the failure says that the statement goes on. */
static bool unfinished(lua_State *L)
{
    size_t len;
    const char *text = lua_tolstring(L, -1, &len);
    return len >= 5 && strcmp(text + len - 5, "<eof>") == 0;
}

/* Under pcall: a __tostring of the script's may fail. */
static int text_of(lua_State *L)
{
    luaL_tolstring(L, 1, NULL);
    return 1;
}

static void show(lua_State *L, FILE *out, int from)
{
    for (int i = from; i <= lua_gettop(L); i++) {
        json_t *val;
        if (lua_istable(L, i) && qn_lua_json(L, i, &val, NULL) == QN_OK) {
            json_dumpf(val, out, JSON_INDENT(2) | JSON_ENCODE_ANY);
            json_decref(val);
        } else {
            lua_pushcfunction(L, text_of);
            lua_pushvalue(L, i);
            (void)lua_pcall(L, 1, 1, 0);
            const char *text = lua_tostring(L, -1);
            fputs(text ? text : "error without text", out);
            lua_pop(L, 1);
        }
        fputc('\n', out);
    }
}

qn_rc qn_lua_repl(const struct qn_lua_host *host, FILE *in, FILE *out, bool prompt)
{
    lua_State *L = state_new(host);
    struct qn_buf text = { 0 };
    char *line = NULL;
    size_t cap = 0;
    ssize_t n;
    for (;;) {
        if (prompt) {
            fputs(text.len ? ">> " : "> ", out);
            fflush(out);
        }
        n = getline(&line, &cap, in);
        if (n < 0) break;
        qn_buf_put(&text, line, (size_t)n);
        if (text.len > 1u << 20) break;
        lua_settop(L, 0);
        struct qn_buf expr = { 0 }; /* first as an expression, so that its value shows */
        qn_buf_printf(&expr, "return %.*s", (int)text.len, (char *)text.ptr);
        int bad = luaL_loadbufferx(L, (char *)expr.ptr, expr.len, "=stdin", "t");
        qn_buf_free(&expr);
        if (bad) {
            lua_settop(L, 0);
            bad = luaL_loadbufferx(L, (char *)text.ptr, text.len, "=stdin", "t");
        }
        if (bad && unfinished(L)) continue;
        if (!bad) bad = lua_pcall(L, 0, LUA_MULTRET, 0);
        if (bad)
            fprintf(out, "error: %s\n", lua_tostring(L, -1) ? lua_tostring(L, -1) : "without text");
        else
            show(L, out, 1);
        qn_buf_clear(&text);
    }
    free(line);
    qn_buf_free(&text);
    lua_close(L);
    return QN_OK;
}
