/* wallet.c - key files. */
#include "core/node/wallet.h"

#include "ledger/state/apply.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static qn_rc key_path(const char *home, const char *name, char dst[4096], struct qn_why *why)
{
    size_t len = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-");
    if (len == 0 || name[len] || len > 64)
        return qn_why(why, QN_E_USAGE, "a key's name has letters, digits, - and _, at most 64");
    snprintf(dst, 4096, "%s/wallet/%s.key", home, name);
    return QN_OK;
}

qn_rc qn_wallet_load(const char *home, const char *name, struct qn_key *ret, struct qn_why *why)
{
    char path[4096];
    uint8_t seed[32];
    struct qn_buf text = { 0 };
    struct stat st;
    qn_rc rc = key_path(home, name, path, why);
    if (rc) return rc;
    rc = qn_file_read(path, 200, &text, why);
    if (rc == QN_E_NOTFOUND)
        return qn_why(why, rc, "there is no key \"%s\"; make it: quoin wallet new %s", name, name);
    if (rc) return rc;
    if (stat(path, &st) == 0 && st.st_mode & 077) {
        explicit_bzero(text.ptr, text.cap);
        qn_buf_free(&text);
        return qn_why(why, QN_E_AUTH,
                      "%s may be read by others (mode %04o): chmod 600 it first, "
                      "and think of who has it",
                      path, (unsigned)st.st_mode & 07777);
    }
    while (text.len && (text.ptr[text.len - 1] == '\n' || text.ptr[text.len - 1] == ' '))
        text.len--;
    if (qn_unhex((const char *)text.ptr, text.len, seed, sizeof seed))
        qn_key_from_seed(seed, ret);
    else
        rc = qn_why(why, QN_E_CORRUPT, "%s is not a key file", path);
    if (text.ptr) explicit_bzero(text.ptr, text.cap);
    explicit_bzero(seed, sizeof seed);
    qn_buf_free(&text);
    return rc;
}

qn_rc qn_wallet_new(const char *home, const char *name, const uint8_t *seed, struct qn_key *ret,
                    struct qn_why *why)
{
    char path[4096], dir[4096], hex[66];
    uint8_t fresh[32];
    qn_rc rc = key_path(home, name, path, why);
    if (rc) return rc;
    if (access(path, F_OK) == 0)
        return qn_why(why, QN_E_EXISTS, "there is a key \"%s\" already", name);
    snprintf(dir, sizeof dir, "%s/wallet", home);
    rc = qn_dir_make(dir, why);
    if (rc) return rc;
    if (seed)
        memcpy(fresh, seed, sizeof fresh);
    else
        qn_env_random(qn_env_real(), fresh, sizeof fresh);
    qn_hex(fresh, sizeof fresh, hex);
    memcpy(hex + 64, "\n", 2);
    rc = qn_file_write(path, QN_SPAN(hex, 65), 0600, why);
    if (rc == QN_OK) qn_key_from_seed(fresh, ret);
    explicit_bzero(fresh, sizeof fresh);
    explicit_bzero(hex, sizeof hex);
    return rc;
}

qn_rc qn_wallet_list(const char *home, json_t **ret, struct qn_why *why)
{
    char dir[4096], addr[64], acct_hex[65];
    qn_rc first = QN_OK;
    *ret = json_array();
    snprintf(dir, sizeof dir, "%s/wallet", home);
    struct dirent **names;
    int cnt = scandir(dir, &names, NULL, alphasort);
    if (cnt < 0 && errno == EACCES) return qn_why(why, QN_E_AUTH, "%s: %s", dir, strerror(errno));
    for (int i = 0; i < cnt; i++) {
        char *dot = strrchr(names[i]->d_name, '.');
        struct qn_key key;
        if (dot && strcmp(dot, ".key") == 0) {
            *dot = 0;
            qn_rc rc = qn_wallet_load(home, names[i]->d_name, &key, first ? NULL : why);
            if (rc == QN_OK) {
                struct qn_hash acct = qn_acct_key(&key.pub);
                qn_addr_print(&acct, addr);
                qn_hex(acct.b, 32, acct_hex);
                json_array_append_new(*ret, json_pack("{s:s, s:s, s:s}", "name", names[i]->d_name,
                                                      "address", addr, "account", acct_hex));
                qn_key_wipe(&key);
            }
            if (!first) first = rc;
        }
        free(names[i]);
    }
    if (cnt >= 0) free(names);
    return first;
}
