/* version.c - what this file is and what is in it. */
#include "core/node/cli.h"

#include <openssl/crypto.h>
#include <stdio.h>

static const struct {
    const char *name, *version, *licence;
} PARTS[] = {
    { "quoin", QN_VERSION, "Apache-2.0" },
    { "glibc", "2.36", "LGPL-2.1-or-later" },
    { "libevent", "2.1.12", "BSD-3-Clause" },
    { "LMDB", "0.9.24", "OLDAP-2.8" },
    { "libsodium", "1.0.18", "ISC" },
    { "jansson", "2.14", "MIT" },
    { "OpenSSL", OPENSSL_VERSION_STR, "Apache-2.0" },
    { "libseccomp", "2.5.4", "LGPL-2.1-only" },
    { "zlib", "1.2.13", "Zlib" },
};

int qn_version(bool json, bool licences)
{
    if (json) {
        json_t *parts = json_array();
        for (size_t i = 0; i < QN_COUNT(PARTS); i++)
            json_array_append_new(parts,
                                  json_pack("{s:s, s:s, s:s}", "name", PARTS[i].name, "version",
                                            PARTS[i].version, "licence", PARTS[i].licence));
        json_t *all = json_pack("{s:s, s:s, s:s, s:o}", "version", QN_VERSION, "commit", QN_COMMIT,
                                "compiler", __VERSION__, "parts", parts);
        json_dumpf(all, stdout, JSON_COMPACT);
        putchar('\n');
        json_decref(all);
        return 0;
    }
    printf("quoin " QN_VERSION " (" QN_COMMIT ")");
    const struct qn_module *mod;
    for (size_t i = 0; (mod = qn_module_at(i)); i++)
        printf(" +%s", mod->name);
    putchar('\n');
    for (size_t i = 0; licences && i < QN_COUNT(PARTS); i++)
        printf("%-12s %-10s %s\n", PARTS[i].name, PARTS[i].version, PARTS[i].licence);
    return 0;
}
