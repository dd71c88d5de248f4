/* gas_peer.c - the unpatched VM's half of bench_gas: a line of seconds and result for each piece of work. */
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

#include "tests/bench/gas.h"

static lua_State *fresh(void)
{
    lua_State *L = luaL_newstate();
    luaL_openlibs(L);
    return L;
}

int main(void)
{
    for (int i = 0; i < GAS_WORK_CNT; i++) {
        long long ret = 0;
        double took = gas_time(fresh, i, &ret);
        printf("%.9f %lld\n", took, ret);
    }
    return 0;
}
