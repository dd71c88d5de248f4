/* gas.h - the same Lua work for the metered VM (bench_gas.c) and for Debian's unpatched one (gas_peer.c): seconds of the best of five. */
#ifndef QN_TESTS_BENCH_GAS_H
#define QN_TESTS_BENCH_GAS_H

#include <stdio.h>
#include <time.h>

static const char *const GAS_WORK[][2] = {
    { "calls", "local function fib(n) if n < 2 then return n end return fib(n-1) + fib(n-2) end "
               "return fib(27)" },
    { "loops", "local a = 0 for i = 1, 5000000 do a = (a * 31 + i) % 1000003 end return a" },
    { "tables", "local s = 0 for k = 1, 20 do local t = {} for i = 1, 20000 do t[i] = i * k end "
                "for i = 1, #t do s = s + t[i] end end return s" },
    { "text", "local n = 0 for i = 1, 40000 do local s = 'k' .. i n = n + #s:sub(2, -1) + "
              "(s:find('9', 1, true) or 0) end return n" },
};
enum { GAS_WORK_CNT = 4, GAS_ROUNDS = 7 };

/* gas_time runs work idx on states that fresh makes; *ret is what it returned. */
static double gas_time(lua_State *(*fresh)(void), int idx, long long *ret)
{
    double best = 1e9;
    for (int round = 0; round < GAS_ROUNDS; round++) {
        struct timespec a, b;
        lua_State *L = fresh();
        if (luaL_loadstring(L, GAS_WORK[idx][1])) return -1;
        clock_gettime(CLOCK_MONOTONIC, &a);
        int bad = lua_pcall(L, 0, 1, 0);
        clock_gettime(CLOCK_MONOTONIC, &b);
        if (bad) return -1;
        *ret = lua_tointeger(L, -1);
        lua_close(L);
        double took = (double)(b.tv_sec - a.tv_sec) + (double)(b.tv_nsec - a.tv_nsec) / 1e9;
        if (took < best) best = took;
    }
    return best;
}

#endif
