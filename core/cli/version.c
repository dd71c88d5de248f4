/* version.c - what this file is and what is in it, each part with the version that it says of itself. */
#include "core/cli/cli.h"

#include "lua/vm/lua.h"

#include <event2/event.h>
#include <gnu/libc-version.h>
#include <lmdb.h>
#include <openssl/opensslv.h>
#include <seccomp.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <zlib.h>

struct part {
    const char *name, *version, *licence;
};

/* To add one: a line here, when a library is linked or a source vendored. */
static size_t parts(struct part dst[static 12], char seccomp[32], char lmdb[32])
{
    const struct scmp_version *scmp = seccomp_version();
    int major, minor, patch;
    mdb_version(&major, &minor, &patch);
    snprintf(lmdb, 32, "%d.%d.%d", major, minor, patch);
    const struct part all[] = {
        { "quoin", QN_VERSION, "Apache-2.0" },
        { "glibc", gnu_get_libc_version(), "LGPL-2.1-or-later" },
        { "libgcc", "12", "GPL-3.0-or-later WITH GCC-exception-3.1" },
        { "Lua", LUA_VERSION_MAJOR "." LUA_VERSION_MINOR "." LUA_VERSION_RELEASE, "MIT" },
        { "libevent", event_get_version(), "BSD-3-Clause" },
        { "LMDB", lmdb, "OLDAP-2.8" },
        { "libsodium", sodium_version_string(), "ISC" },
        { "jansson", jansson_version_str(), "MIT" },
        { "OpenSSL", OPENSSL_VERSION_STR, "Apache-2.0" },
        { "libseccomp", seccomp, "LGPL-2.1-only" },
        { "zlib", zlibVersion(), "Zlib" },
    };
    snprintf(seccomp, 32, "%u.%u.%u", scmp->major, scmp->minor, scmp->micro);
    memcpy(dst, all, sizeof all);
    return QN_COUNT(all);
}

int qn_version(bool json, bool licences)
{
    struct part list[12];
    char seccomp[32], lmdb[32];
    size_t cnt = parts(list, seccomp, lmdb);
    const struct qn_module *mod;
    if (json) {
        json_t *has = json_array(), *modules = json_array();
        for (size_t i = 0; i < cnt; i++)
            json_array_append_new(has, json_pack("{s:s, s:s, s:s}", "name", list[i].name, "version",
                                                 list[i].version, "licence", list[i].licence));
        for (size_t i = 0; (mod = qn_module_at(i)); i++)
            json_array_append_new(modules, json_string(mod->name));
        json_t *all =
            json_pack("{s:s, s:s, s:s, s:o, s:o}", "version", QN_VERSION, "commit", QN_COMMIT,
                      "compiler", __VERSION__, "features", modules, "parts", has);
        json_dumpf(all, stdout, JSON_COMPACT);
        putchar('\n');
        json_decref(all);
        return 0;
    }
    printf("quoin " QN_VERSION " (" QN_COMMIT ")");
    for (size_t i = 0; (mod = qn_module_at(i)); i++)
        printf(" +%s", mod->name);
    putchar('\n');
    for (size_t i = 0; licences && i < cnt; i++)
        printf("%-12s %-24.24s %s\n", list[i].name, list[i].version, list[i].licence);
    return 0;
}
