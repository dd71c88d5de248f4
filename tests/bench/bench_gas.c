/* bench_gas.c - what metering costs: contracts' VM with gas against Debian's Lua 5.4 of the same release, in % of time. */
#include "core/base/base.h"
#include "lua/vm/lauxlib.h"
#include "lua/vm/lua.h"
#include "lua/vm/lualib.h"

#include "tests/bench/gas.h"

#include <stdlib.h>
#include <string.h>

static lua_State *fresh(void)
{
    lua_State *L = luaL_newstate();
    luaL_requiref(L, LUA_GNAME, luaopen_base, 1);
    luaL_requiref(L, LUA_STRLIBNAME, luaopen_string, 1);
    lua_settop(L, 0);
    lua_qnset(L, 1000000000000, 1);
    return L;
}

int main(int argc, char **argv)
{
    char cmd[4096];
    double ours = 0, theirs = 0, took;
    snprintf(cmd, sizeof cmd, "%.4000s", argv[0]);
    char *slash = strrchr(cmd, '/');
    (void)argc;
    snprintf(slash ? slash + 1 : cmd, 32, "gas_peer");
    FILE *peer = popen(cmd, "r");
    QN_ASSERT(peer != NULL);
    for (int i = 0; i < GAS_WORK_CNT; i++) {
        long long mine = 0, other = 0;
        char line[100];
        double metered = gas_time(fresh, i, &mine);
        if (!fgets(line, sizeof line, peer) || sscanf(line, "%lf %lld", &took, &other) != 2 ||
            mine != other || metered < 0)
            return 1;
        ours += metered;
        theirs += took;
        printf(
            "{\"name\":\"Lua gas overhead, %s\",\"value\":%.1f,\"unit\":\"%%\",\"peer\":\"Lua 5.4 "
            "unpatched, ms\",\"peer_value\":%.1f,\"ratio\":%.3f}\n",
            GAS_WORK[i][0], (metered / took - 1) * 100, took * 1000, metered / took);
    }
    pclose(peer);
    printf("{\"name\":\"Lua gas overhead\",\"value\":%.1f,\"unit\":\"%%\",\"peer\":\"Lua 5.4 "
           "unpatched, "
           "ms\",\"peer_value\":%.1f,\"ratio\":%.3f}\n",
           (ours / theirs - 1) * 100, theirs * 1000, ours / theirs);
    return 0;
}
