/* test_run.c - scripts: values both ways, what is out of reach, errors with file and line, the prompt. */
#include "core/base/test.h"
#include "lua/bind/run.h"

#include <stdlib.h>

static qn_rc echo(void *self, const char *name, json_t *args, json_t **ret, struct qn_why *why)
{
    (void)self;
    if (strcmp(name, "test.fail") == 0) return qn_why(why, QN_E_FUNDS, "have 1, need 2");
    *ret = json_incref(args);
    return QN_OK;
}

static const char *const NAMES[] = { "test.echo", "test.fail", "other.echo", NULL };
static const struct qn_lua_host HOST = { NULL, NAMES, echo };

static bool gives(const char *source, const char *want)
{
    struct qn_why why = { "" };
    json_t *ret = NULL;
    if (qn_lua_run(&HOST, "t.lua", QN_SPAN_STR(source), NULL, &ret, &why)) {
        if (strstr(why.text, want)) return true;
        printf("%s -> %s\n", source, why.text);
        return false;
    }
    char *text = json_dumps(ret, JSON_COMPACT | JSON_ENCODE_ANY | JSON_SORT_KEYS);
    bool same = strcmp(text, want) == 0;
    if (!same) printf("%s -> %s\n", source, text);
    free(text);
    json_decref(ret);
    return same;
}

static void test_values(struct qn_test_state *t)
{
    CHECK(gives("return qn.test.echo{a=1, b={1,2,{c='x'}}, d=true}",
                "{\"a\":1,\"b\":[1,2,{\"c\":\"x\"}],\"d\":true}"));
    CHECK(gives("return qn.other.echo()", "{}"));
    CHECK(gives("return qn.json{1,2}", "\"[1,2]\""));
    CHECK(gives("return qn.parse('{\"k\":[1]}')", "{\"k\":[1]}"));
    CHECK(gives("return 9007199254740993", "9007199254740993"));
    CHECK(gives("local t = {} t[1]=1 t.x=2 return t", "mixes"));
    CHECK(gives("local t = {} t.t = t return t", "nested too deeply"));
    CHECK(gives("return print", "cannot leave"));
}

static void test_errors(struct qn_test_state *t)
{
    CHECK(gives("\n\nqn.test.fail{}", "t.lua:3: test.fail: have 1, need 2 [FUNDS]"));
    CHECK(gives("x = = 1", "t.lua:1:"));
    CHECK(gives("\nerror('no')", "t.lua:2: no"));
    CHECK(gives("qn.test.echo(5)", "one table"));
    CHECK(gives("local ok, why = pcall(qn.test.fail, {}) return {ok, why:match('%[(%u+)%]')}",
                "[false,\"FUNDS\"]"));
}

static void test_reach(struct qn_test_state *t)
{
    CHECK(gives(
        "return {io == nil, os == nil, package == nil, debug == nil, load == nil, dofile == nil}",
        "[true,true,true,true,true,true]"));
    CHECK(gives("return require('q32').one", "4294967296")); /* what travels in the binary */
    CHECK(gives("return require('subnets/fashion').name", "\"fashion\""));
    CHECK(gives("require '/etc/passwd'", "there is no lua/"));
    CHECK(gives("require '../lego/fashion'", "names are of"));
    CHECK(gives("require 'nothing'", "there is no lua/std/nothing.lua"));
    struct qn_why why = { "" };
    CHECK_RC(qn_lua_check("b.lua", QN_SPAN("\x1bLua", 4), &why), QN_E_SCRIPT); /* bytecode */
    CHECK_RC(qn_lua_check("b.lua", QN_SPAN_STR("return 1"), &why), QN_OK);
}

static void test_repl(struct qn_test_state *t)
{
    char in[] = "1 + 1\nfor i = 1, 2 do\nprint = i\nend\nprint\nqn.test.fail{}\n", *out = NULL;
    size_t len;
    FILE *r = fmemopen(in, sizeof in - 1, "r"), *w = open_memstream(&out, &len);
    CHECK_RC(qn_lua_repl(&HOST, r, w, false), QN_OK);
    fclose(r);
    fclose(w);
    CHECK(strncmp(out, "2\n2\nerror: ", 11) == 0);
    free(out);
}

int main(void)
{
    TEST_BEGIN();
    TEST(test_values);
    TEST(test_errors);
    TEST(test_reach);
    TEST(test_repl);
    return TEST_END();
}
