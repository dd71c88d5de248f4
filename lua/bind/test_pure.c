/* test_pure.c - pure scripts: same in, same out and same gas; what they cannot reach or outlast; and the library they load. */
#include "core/base/test.h"
#include "lua/bind/pure.h"

#include <stdlib.h>

static qn_rc run(const char *source, const char *fn, const char *args, uint64_t gas,
                 uint64_t *ret_gas, char **ret_text, struct qn_why *why)
{
    json_t *list = json_loads(args, 0, NULL), *ret = NULL;
    qn_rc rc = qn_lua_pure("t", QN_SPAN(source, strlen(source)), fn, list, gas, ret_gas, &ret, why);
    *ret_text = rc ? NULL : json_dumps(ret, JSON_COMPACT | JSON_ENCODE_ANY | JSON_SORT_KEYS);
    json_decref(list);
    json_decref(ret);
    return rc;
}

static bool gives(const char *source, const char *args, const char *want)
{
    struct qn_why why = { "" };
    uint64_t gas;
    char *text;
    qn_rc rc = run(source, "f", args, 10000000, &gas, &text, &why);
    bool ok = rc ? strstr(why.text, want) != NULL : strcmp(text, want) == 0;
    if (!ok) printf("%s -> %s\n", source, rc ? why.text : text);
    free(text);
    return ok;
}

#define F(body) "return { f = function(a, b) " body " end }"

static void test_values(struct qn_test_state *t)
{
    CHECK(gives(F("return a + b"), "[1, 2]", "3"));
    CHECK(gives(F("return { x = { a, true, 'z' } }"), "[1]", "{\"x\":[1,true,\"z\"]}"));
    CHECK(gives(F("return nil"), "[]", "null"));
    CHECK(gives("return 5", "[]", "returns no table"));
    CHECK(gives("return {}", "[]", "has no function f"));
    CHECK(gives(F("return x.y"), "[]", "t:1:"));
    CHECK(gives("x = = 1", "[]", "t:1:"));
    CHECK(gives(F("return a.b.c"), "[{\"b\":{\"c\":[7]}}]", "[7]"));
}

static void test_walls(struct qn_test_state *t)
{
    CHECK(
        gives(F("return { io == nil, os == nil, load == nil, qn == nil, print == nil, c == nil }"),
              "[]", "[true,true,true,true,true,true]"));
    CHECK(gives(F("return 1 / 2"), "[]", "t:1:"));
    CHECK(gives("return { f = function() return 0.5 end }", "[]", "t:1:"));
    CHECK(gives(F("return require '/etc/passwd'"), "[]", "names are of"));
    CHECK(gives(F("return require 'lego/fashion'"), "[]", "names are of"));
    CHECK(gives(F("return require('q32').one"), "[]", "4294967296"));
    CHECK(gives(F("return pcall(error, 'x')"), "[]", "false"));
    CHECK(gives(F("return math.muldiv(a, b, 0)"), "[1, 2]", "out of range"));
}

static void test_gas(struct qn_test_state *t)
{
    static const char *const BOMBS[] = {
        F("while true do end"),
        F("while true do pcall(function() while true do end end) end"),
        F("local s = 'x' while true do s = s .. s end"),
        F("local t = {} while true do t[#t + 1] = {} end"),
        F("local function g() return g() end g()"),
        F("return (('a'):rep(3000)):find(('a-'):rep(60) .. 'b')"),
        "while true do end",
    };
    for (size_t i = 0; i < QN_COUNT(BOMBS); i++) {
        struct qn_why why = { "" };
        uint64_t gas = 0;
        char *text;
        qn_rc rc = run(BOMBS[i], "f", "[]", 1000000, &gas, &text, &why);
        if (rc != QN_E_GAS) printf("%s: %s\n", BOMBS[i], why.text);
        CHECK(rc == QN_E_GAS && gas == 1000000);
        free(text);
    }
    uint64_t first = 0, again = 0;
    struct qn_why why = { "" };
    char *text;
    const char *work = F("local seed = require('seed').new(a) return seed:pick(20, 10000)");
    const char *arg = "[\"00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\"]";
    CHECK_RC(run(work, "f", arg, 1000000, &first, &text, &why), QN_OK);
    char *before = text;
    CHECK_RC(run(work, "f", arg, 5000000, &again, &text, &why), QN_OK);
    CHECK(first == again && text && before && strcmp(text, before) == 0);
    free(before);
    free(text);
    CHECK_RC(run(work, "f", arg, 100, &first, &text, &why), QN_E_GAS);
}

/* The library that subnets stand on, each with a case that would show a slip. */
static void test_std(struct qn_test_state *t)
{
    CHECK(gives(
        F("local q = require 'q32' return { q.of(1, 4), q.of(1, 0), q.mul(q.one // 2, q.one // 2), "
          "q.pow(q.one // 2, 3), q.clamp(-1), q.clamp(q.one + 1), q.ppm(q.one // 4) }"),
        "[]", "[1073741824,0,1073741824,536870912,0,4294967296,250000]"));
    CHECK(gives(
        F("local s = require 'score' return { s.argmax({ 3, 9, 9 }), s.argmax({}) == nil, "
          "s.hits({ { 1, 2 }, { 2, 1 }, 'x', { 0, 1 } }, { 1, 0, 0, 0 }), s.hits('x', { 1 }) }"),
        "[]", "[1,true,2,0]"));
    CHECK(gives(F("local s = require 'score' return { s.above_chance(1, 10, 10), "
                  "s.above_chance(10, 10, 10), "
                  "s.above_chance(55, 100, 10), s.late(100, 100), s.late(100, 400) }"),
                "[]", "[0,4294967296,2147483648,4294967296,1073741824]"));
    CHECK(gives(
        F("local s = require 'score' return { s.brier({ 65535, 0 }, 0), s.brier({ 65535, 0 }, 1), "
          "s.brier({ 65535, 1 }, 0), s.brier({}, 0), s.brier('x', 0) }"),
        "[]", "[4294967296,0,0,0,0]"));
    /* groups through a third; the earliest leads wherever it stands */
    CHECK(gives(
        F("local d = require 'dedup' local function at(n) local p = {} for i = 1, 100 do p[i] = i "
          "<= n and 9 or 1 "
          "end return p end return d.groups({ { order = 3, print = at(0) }, { order = 1, print = "
          "at(4) }, "
          "{ order = 2, print = at(2) }, { order = 4, print = at(50) }, { order = 5, print = {} }, "
          "{ order = 6, print = {} } }, { part = 20 })"),
        "[]", "[2,2,2,4,5,6]"));
    CHECK(gives(F("local d = require 'dedup' return { d.distance({ 1, 2 }, { 2, 9 }, 1), "
                  "d.distance({ 1 }, { 1, 2 }, 9), "
                  "#d.flat({ { 1, { 2 } }, 3, 'x' }, 9), #d.flat({ 1, 2, 3 }, 2) }"),
                "[]", "[1,4,4,2]"));
    /* copies share one weight; a miner without enough answers gets none */
    CHECK(gives(
        F("local g = require 'aggregate' local function l(uid, reg, score, reply) return { uid = "
          "uid, reg = reg, "
          "score = score, common = reply ~= nil, reply = reply } end return g.mean_by_miner({ l(7, "
          "9, 0, { 1, 2 }), "
          "l(3, 4, 0, { 1, 2 }), l(7, 9, 100), l(3, 4, 90), l(5, 5, 45), l(3, 4, 90), l(7, 9, 100) "
          "}, "
          "{ min = 1, dedup = { part = 0 } })"),
        "[]",
        "[{\"uid\":3,\"weight\":65535},{\"uid\":5,\"weight\":32767},{\"uid\":7,\"weight\":0}]"));
    CHECK(gives(F("return require('aggregate').mean_by_miner({ { uid = 1, reg = 1, score = 5 } }, "
                  "{ min = 2 })"),
                "[]", "[{\"uid\":1,\"weight\":0}]"));
    CHECK(gives(F("return require('seed').new('00')"), "[]", "64 hex digits"));
    CHECK(gives(F("local s = require('seed').new(('ab'):rep(32)) local n = {} for i = 1, 20000 do "
                  "local v = s:below(4) "
                  "n[v] = (n[v] or 0) + 1 end for v = 0, 3 do if n[v] < 4700 or n[v] > 5300 then "
                  "return n end end return 'even'"),
                "[]", "\"even\""));
    CHECK(gives("return require 'subnet' { name = 'x' }", "[]",
                "functions task, score and aggregate"));
}

int main(void)
{
    TEST_BEGIN();
    TEST(test_values);
    TEST(test_walls);
    TEST(test_gas);
    TEST(test_std);
    return TEST_END();
}
