/* test_contract.c - contracts on a ledger in memory: a token, savepoints, and a corpus that wants the node to hang, swell or fall. */
#include "core/base/embed.h"
#include "core/base/test.h"
#include "ledger/state/fixture.h"
#include "lua/bind/contract.h"

#include <time.h>

struct world {
    struct qn_fix fix;
    struct qn_hash id;
    struct qn_why why;
};

static qn_rc deploy(struct world *w, const char *source, const char *args)
{
    struct contract_deploy d = { .name = QN_SPAN_STR("t"),
                                 .source = QN_SPAN_STR(source),
                                 .args = QN_SPAN_STR(args),
                                 .value = QN_UQN(0) };
    qn_rc rc = qn_fix_tx(&w->fix, 0, QN_TX_DEPLOY, &d, NULL, &w->why);
    if (rc == QN_OK) QN_ASSERT(qn_fix_event(&w->fix, "contract.deployed", &w->id));
    return rc;
}

static qn_rc call(struct world *w, unsigned person, const char *method, const char *args,
                  uint64_t value)
{
    struct contract_call c = { .contract = w->id,
                               .method = QN_SPAN_STR(method),
                               .args = QN_SPAN_STR(args),
                               .value = QN_UQN(value) };
    return qn_fix_tx(&w->fix, person, QN_TX_CALL, &c, NULL, &w->why);
}

static json_int_t ask(struct world *w, const char *method, const char *args)
{
    uint64_t gas;
    json_t *list = json_loads(args, 0, NULL), *ret = NULL;
    qn_rc rc = qn_contract_query(w->fix.view, &w->id, method, list, 1000000, &gas, &ret, &w->why);
    json_int_t v = rc ? -1 : json_integer_value(ret);
    json_decref(list);
    json_decref(ret);
    return v;
}

static void begin(struct world *w)
{
    qn_fix_init(&w->fix, NULL, 0, qn_lua_contracts());
}

static void test_token(struct qn_test_state *t)
{
    struct world w = { 0 };
    struct qn_span source;
    char args[120], hex[65];
    begin(&w);
    CHECK(qn_embed_get("lua/contracts/token.lua", &source));
    CHECK_RC(deploy(&w, (const char *)source.ptr, "[1000]"), QN_OK);
    struct qn_hash other = qn_fix_acct(1);
    qn_hex(other.b, 32, hex);
    snprintf(args, sizeof args, "[\"%s\", 300]", hex);
    CHECK_RC(call(&w, 0, "transfer", args, 0), QN_OK);
    snprintf(args, sizeof args, "[\"%s\"]", hex);
    CHECK(ask(&w, "balance", args) == 300 && ask(&w, "supply", "[]") == 1000);
    snprintf(args, sizeof args, "[\"%s\", 100]", hex);
    CHECK_RC(call(&w, 1, "transfer", args, 0), QN_OK); /* to oneself: nothing is made */
    snprintf(args, sizeof args, "[\"%s\"]", hex);
    CHECK(ask(&w, "balance", args) == 300);
    snprintf(args, sizeof args, "[\"%s\", 301]", hex);
    CHECK_RC(call(&w, 1, "transfer", args, 0), QN_E_SCRIPT);
    CHECK(strstr(w.why.text, "t:") && strstr(w.why.text, "does not cover"));
    CHECK_RC(call(&w, 1, "mint", "[]", 0), QN_E_NOTFOUND);
    CHECK_RC(call(&w, 1, "init", "[5]", 0), QN_E_AUTH);
    qn_fix_fini(&w.fix);
}

static void test_money(struct qn_test_state *t)
{
    struct world w = { 0 };
    begin(&w);
    CHECK_RC(deploy(&w,
                    "public.pay = function(c) c:transfer(c.caller, c.value // 2) end\n"
                    "public.undo = function(c) c:set('k', 1) local ok = pcall(function() "
                    "c:set('k', 2) c:transfer(c.caller, 5) error('no') end)"
                    " assert(not ok and c:get('k') == 1 and c:balance() == c.value) end\n"
                    "view.k = function(c) return c:get('k') end\n"
                    "view.bad = function(c) c:set('k', 9) end",
                    "[]"),
             QN_OK);
    CHECK_RC(call(&w, 1, "undo", "[]", 1000), QN_OK);
    CHECK(ask(&w, "k", "[]") == 1);
    CHECK_RC(call(&w, 1, "bad", "[]", 0), QN_E_SCRIPT);
    CHECK(ask(&w, "bad", "[]") == -1);
    CHECK_RC(call(&w, 1, "pay", "[]", 1000), QN_OK);
    struct qn_hash acct = qn_acct_module(0, "contract", &w.id);
    CHECK(qn_view_balance(w.fix.view, &acct).uqn == 1500);
    qn_fix_fini(&w.fix);
}

/* Each of these must fail, for want of gas or with an error, and the next block goes on. */
static const char *const HOSTILE[] = {
    "while true do end",
    "local function f() return f() end f()",
    "local function f() f() f() end f()",
    "while true do pcall(error) end",
    "local function f() while true do end end while true do pcall(f) end",
    "local t = {} while true do t[#t + 1] = t end",
    "local s = 'x' while true do s = s .. s end",
    "local s = ('x'):rep(1 << 40)",
    "while true do pcall(string.rep, 'x', 1 << 40) end",
    "local s = ('x'):rep(1 << 24) while true do s:find('y') end",
    "('a'):rep(800):find(('.-'):rep(20) .. 'b')",
    "('a'):rep(100000):find('.-.-.-.-b$')",
    "('x'):rep(100000):gsub('.', function() while true do end end)",
    "local t = {} for i = 1, 100000 do t[i] = i end while true do table.sort(t, function(a, b) "
    "return true end) end",
    "local t = {} for i = 1, 1000000 do table.insert(t, 1, i) end",
    "local t = {} for i = 1, 10000 do t[i] = 'x' end while true do table.concat(t) end",
    "while true do table.unpack({}, 1, 1000000) end",
    "table.unpack({}, 1, 1 << 60)",
    "local x = setmetatable({}, {__index = function(t, k) return t[k] end}) x = x.y",
    "local t = setmetatable({}, {}) getmetatable(t).__index = t t = t.x while true do end",
    "error(setmetatable({}, {__tostring = function() while true do end end}))",
    "setmetatable({}, {__gc = function() end})",
    "local x <close> = setmetatable({}, {__close = function() while true do end end})",
    "local t = {} t[t] = 1", /* hashed by address: gas would differ between machines */
    "local t = {} t[function() end] = 1",
    "local x = 1.5",
    "local x = 1 / 2",
    "local x = 2 ^ 3",
    "local x = '10' + 1",
    "return string.format('%p', {})",
    "return load('x = 1')",
    "return os.time()",
    "return io.open('/etc/passwd')",
    "return require('x')",
    "return coroutine.create(function() end)",
    "return string.dump(init)",
    "for k in pairs({[{}] = 1}) do end",
    "for k in pairs({[1 << 62] = 1, x = {}}) do while true do end end",
    "local t = {} for i = 1, 60000 do t[i * 65535] = 1 end while true do local x = t[65535] end",
    "local a, b = ('x'):rep(1 << 22) .. 'a', ('x'):rep(1 << 22) .. 'b' while a ~= b do end",
    "local a, b = ('x'):rep(1 << 22) .. 'a', ('x'):rep(1 << 22) .. 'b' while a < b do end",
    "local a = ('x'):rep(1 << 20) while true do a:find(('x'):rep(1 << 19) .. 'y', 1, true) end",
    "local a = ('x'):rep(50000) while true do a:byte(1, -1) end",
    "local function f(...) while true do (function(...) end)(...) end end f(table.unpack({}, 1, "
    "50000))",
    "local t = {} for i = 1, 1990 do t = setmetatable({}, {__index = t}) end while true do local x "
    "= t.y end",
    "local t = print for i = 1, 500 do t = setmetatable({}, {__call = t}) end while true do "
    "pcall(t) end",
    "local t = {} t[('x'):rep(2000)] = 1",
    "local t = {} for i = 1, 65535 do t[i .. ''] = 1 end while true do t['a'] = 1 t['a'] = nil "
    "t['b'] = 1 "
    "t['b'] = nil end",
    "return string.unpack('d', '12345678')",
    "goto a ::a:: goto a",
    "local a = math.mininteger // 0",
    "return {} .. {}",
    "c:emit('x\\n\\nevent: lease.paid\\ndata: {}', {})",
    "c:emit('\\xff', {})",
    "('a'):rep(40):find(('a?'):rep(40) .. ('a'):rep(40) .. 'b')",
    "('a'):rep(20000):gsub('%f[b]', '') while true do (('('):rep(20000)):find('%b()') end",
    "('a'):rep(100000):find('[' .. ('b'):rep(100000) .. ']*c')",
    "('a'):rep(100000):find('[' .. ('b'):rep(100000) .. 'a]*c')",
    "('a'):rep(100000):find('.-[' .. ('b'):rep(100000) .. 'a]-c')",
    "('a'):rep(100000):find('%f[' .. ('b'):rep(100000) .. ']')",
    "(('a'):rep(100000) .. 'b'):find('(a*)%1c')",
    "local a = ('1'):rep(1 << 20) while true do tonumber(a) end",
    "local a = ('1'):rep(1 << 20) while true do tonumber(a, 16) end",
    "local a, b = ('x'):rep(1 << 22) .. 'a', ('x'):rep(1 << 22) .. 'b' while true do rawequal(a, "
    "b) end",
    "while true do ('x'):rep(10000):gmatch('.-y')() end",
    "while true do string.format(('%s'):rep(50), ('x'):rep(10000)) end",
    "while true do utf8.char(table.unpack({65, 66})) end",
    "while true do ('x'):rep(1 << 20):reverse():upper() end",
    /* one table named twice is 2^31 values outside */
    "local t = {} for i = 1, 30 do t = {t, t} end return t",
    "local t = {} for i = 1, 30 do t = {t, t} end c:set('x', t)",
    "local t = {} for i = 1, 30 do t = {t, t} end c:emit('x', t)",
    "local t = {} for i = 1, 30 do t = {a = t, b = t} end c:chain('x', t)",
    "local s = ('x'):rep(1 << 20) local t = {} for i = 1, 5000 do t[i] = s end while true do "
    "pcall(c.set, c, 'x', t) end",
    "local t = {} for i = 1, 5000 do t[i] = i end while true do pcall(c.emit, c, 'x', t) end",
};

static void test_hostile(struct qn_test_state *t)
{
    struct world w = { 0 };
    begin(&w);
    for (size_t i = 0; i < QN_COUNT(HOSTILE); i++) {
        char source[512];
        struct timespec a, b;
        snprintf(source, sizeof source, "function init(c) %s end", HOSTILE[i]);
        clock_gettime(CLOCK_MONOTONIC, &a);
        qn_rc rc = deploy(&w, source, "[]");
        clock_gettime(CLOCK_MONOTONIC, &b);
        double s = (double)(b.tv_sec - a.tv_sec) + (double)(b.tv_nsec - a.tv_nsec) / 1e9;
        if (rc == QN_OK || s > 5) printf("%s -> %s, %.2f s\n", HOSTILE[i], qn_err_code(rc), s);
        CHECK(rc == QN_E_GAS || rc == QN_E_SCRIPT);
        CHECK(!strstr(w.why.text, "0x")); /* no address in any text */
        CHECK_RC(deploy(&w, "x = 1", "[]"), QN_OK);
    }
    qn_fix_fini(&w.fix);
}

static void test_nesting(struct qn_test_state *t)
{
    struct world w = { 0 };
    struct qn_buf source = { 0 };
    begin(&w);
    qn_buf_str(&source, "local x = ");
    for (int i = 0; i < 20000; i++)
        qn_buf_str(&source, "(");
    qn_buf_u8(&source, 0);
    CHECK_RC(deploy(&w, (char *)source.ptr, "[]"), QN_E_SCRIPT);
    qn_buf_clear(&source);
    qn_buf_str(&source, "local x = ");
    for (int i = 0; i < 20000; i++)
        qn_buf_str(&source, "{");
    qn_buf_u8(&source, 0);
    CHECK_RC(deploy(&w, (char *)source.ptr, "[]"), QN_E_SCRIPT);
    qn_buf_free(&source);
    qn_fix_fini(&w.fix);
}

static void test_same(struct qn_test_state *t)
{
    /* Same text, same gas, same order, whatever ran before. */
    static const char SOURCE[] = "function init(c) local t = {} for i = 1, 200 do t['k' .. (i * "
                                 "7919) % 211] = i end local s = '' "
                                 "for k, v in pairs(t) do s = s .. k .. v end c:set('s', s) end";
    struct world a = { 0 }, b = { 0 };
    begin(&a);
    begin(&b);
    CHECK_RC(deploy(&a, SOURCE, "[]"), QN_OK);
    uint64_t gas = a.fix.last.gas;
    CHECK_RC(deploy(&b, "x = ('q'):rep(100000)", "[]"), QN_OK);
    CHECK_RC(deploy(&b, SOURCE, "[]"), QN_OK);
    CHECK(b.fix.last.gas == gas);
    qn_fix_fini(&a.fix);
    qn_fix_fini(&b.fix);
}

/* What a contract hands to the node is measured before it is copied, and kept only when it can be written down. */
static const char *const UNFIT[] = {
    "local v = {} for i = 1, 30 do v = {v, v} end c:set('k', v)", /* 2^30 values */
    "local v = {} for i = 1, 30 do v = {a = v, b = v} end c:emit('e', v)",
    "local v = {} for i = 1, 30 do v = {v, v} end return v",
    "local v = {} for i = 1, 30 do v = {v, v} end c:chain('proof', v)",
    "local s = ('x'):rep(60000) c:set('k', {s, s, s})",
    "c:emit('\\xff', 1)",
    "c:emit('\\127', 1)",
    "c:emit('e', '\\127')",
    "c:emit('e', {['\\194\\128'] = 1})",
    "return '\\127'",
};

static void test_unfit(struct qn_test_state *t)
{
    struct world w = { 0 };
    char source[512];
    begin(&w);
    for (size_t i = 0; i < QN_COUNT(UNFIT); i++) {
        snprintf(source, sizeof source, "function init(c) %s end", UNFIT[i]);
        qn_rc rc = deploy(&w, source, "[]");
        if (rc == QN_OK) printf("%s\n", UNFIT[i]);
        CHECK(rc == QN_E_SCRIPT || rc == QN_E_GAS || rc == QN_E_TOOBIG);
        CHECK(w.fix.last.gas < 10000000);
    }
    /* No float comes in by the arguments: they print differently from machine to machine. */
    CHECK_RC(deploy(&w, "public.f = function(c, x) c:set('k', tostring(x * x - x * x)) end", "[]"),
             QN_OK);
    CHECK_RC(call(&w, 0, "f", "[1e308]", 0), QN_E_SCRIPT);
    CHECK_RC(call(&w, 0, "f", "[{\"a\": [0.5]}]", 0), QN_E_SCRIPT);
    CHECK_RC(call(&w, 0, "f", "[2]", 0), QN_OK);
    qn_fix_fini(&w.fix);
}

/* Every node keeps what a contract writes for ever: a block's gas may buy megabytes, not hundreds of them. */
static void test_prices(struct qn_test_state *t)
{
    struct world w = { 0 };
    struct qn_buf source = { 0 };
    begin(&w);
    CHECK_RC(deploy(&w, "function init(c) c:set('k', ('x'):rep(60000)) end", "[]"), QN_OK);
    CHECK(w.fix.last.gas > 20 * 60000);
    qn_buf_str(&source, "public.f = function() end public.g = function() local a = 1");
    while (source.len < 100000)
        qn_buf_str(&source, " a=a+1");
    qn_buf_str(&source, " end");
    qn_buf_u8(&source, 0);
    CHECK_RC(deploy(&w, (char *)source.ptr, "[]"), QN_OK);
    struct timespec a, b;
    clock_gettime(CLOCK_MONOTONIC, &a);
    CHECK_RC(call(&w, 0, "f", "[]", 0), QN_OK); /* the text is read again at each call */
    clock_gettime(CLOCK_MONOTONIC, &b);
    printf("a call of a text of 100,000 bytes: %ld us, %llu gas\n",
           (long)((b.tv_sec - a.tv_sec) * 1000000 + (b.tv_nsec - a.tv_nsec) / 1000),
           (unsigned long long)w.fix.last.gas);
    CHECK(w.fix.last.gas > 1000000);
    qn_buf_free(&source);
    qn_fix_fini(&w.fix);
}

/* Many small events fill a block as few large ones do: what the journal keeps of it stays within a frame. */
static void test_small_events(struct qn_test_state *t)
{
    enum { CALLS = 60 };
    struct world w = { 0 };
    struct qn_key key;
    struct qn_tx txs[CALLS];
    struct qn_hash ids[CALLS], proposer = qn_fix_acct(1000);
    struct qn_buf body = { 0 }, raw = { 0 };
    struct qn_outcome out;
    bool misfit[CALLS];
    begin(&w);
    CHECK_RC(deploy(&w,
                    "public.f = function(c) for i = 1, 4000 do c:emit(('t'):rep(50), 1) end end",
                    "[]"),
             QN_OK);
    qn_fix_key(0, &key);
    struct contract_call call = { .contract = w.id,
                                  .method = QN_SPAN_STR("f"),
                                  .args = QN_SPAN_STR("[]") };
    qn_encode(contract_call_record(), &call, &body);
    for (unsigned i = 0; i < CALLS; i++) {
        struct qn_tx_opts opts = { .salt = 1000 + i };
        qn_buf_clear(&raw);
        qn_tx_build(&w.fix.chain, QN_TX_CALL, qn_buf_get(&body), &key, w.fix.now_ms, &opts, &raw,
                    &ids[i]);
        void *copy = qn_arena_copy(&w.fix.arena, raw.ptr, raw.len);
        CHECK_RC(qn_decode(qn_tx_record(), QN_SPAN(copy, raw.len), &w.fix.arena, &txs[i], NULL),
                 QN_OK);
    }
    CHECK_RC(qn_state_block(w.fix.st, w.fix.height + 1, w.fix.now_ms + 10, &ids[0], &proposer, txs,
                            ids, CALLS, &w.fix.arena, misfit, &out, &w.why),
             QN_OK);
    qn_buf_clear(&raw);
    for (uint32_t i = 0; i < out.receipt_cnt; i++)
        qn_encode(qn_receipt_record(), &out.receipts[i], &raw);
    printf("%u calls tell %zu bytes, %llu gas each\n", out.receipt_cnt, raw.len,
           (unsigned long long)out.receipts[0].gas);
    CHECK(out.receipts[0].rc == 0 && out.receipt_cnt > 1 && raw.len < 10u << 20);
    qn_state_reject(w.fix.st);
    qn_buf_free(&body);
    qn_buf_free(&raw);
    qn_fix_fini(&w.fix);
}

int main(void)
{
    TEST_BEGIN();
    TEST(test_token);
    TEST(test_money);
    TEST(test_hostile);
    TEST(test_nesting);
    TEST(test_same);
    TEST(test_unfit);
    TEST(test_prices);
    TEST(test_small_events);
    return TEST_END();
}
