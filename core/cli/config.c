/* config.c - settings from every place they may come from, each value with its origin. */
#include "core/cli/config.h"

#include "core/cli/args.h"
#include "core/env/env.h"
#include "lua/bind/settings.h"
#include "net/libp2p/multiaddr.h"
#include "net/link/nat.h"

#include <ctype.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FILE_MAX (256u << 10)

static const struct qn_conf_row ROWS[] = {
#define CONF(name, type, def, min, max, flag, doc)                                                 \
    { #name, QN_CONF_##type, def, min, max, flag, doc },
#include "core/cli/config.def"
#undef CONF
};

const struct qn_conf_row *qn_conf_row_at(size_t idx)
{
    return idx < QN_COUNT(ROWS) ? &ROWS[idx] : NULL;
}

const char *qn_conf_words(size_t idx)
{
    return idx == QN_CONF_sync  ? "auto|snapshot|blocks"
           : idx == QN_CONF_nat ? "auto|off|natpmp|upnp"
                                : NULL;
}

bool qn_conf_trust(const char *text, struct qn_hash *ret_hash, uint64_t *ret_height)
{
    const char *at = strchr(text, '@');
    return at && at - text == 64 && qn_unhex(text, 64, ret_hash->b, 32) &&
           qn_args_num(at + 1, QN_NUM_MAX, ret_height);
}

/* 127.0.0.1:PORT */
static bool is_api(const char *text)
{
    uint64_t port;
    return strncmp(text, "127.0.0.1:", 10) == 0 && strlen(text) <= 15 &&
           qn_args_num(text + 10, 65535, &port);
}

/* Whether each of the addresses, with commas between them, can be dialled; or the one be listened on, then of numbers alone. */
static bool are_addrs(const char *list, bool listen)
{
    struct qn_why why;
    while (*list) {
        char one[QN_MADDR_TEXT];
        struct qn_maddr addr;
        struct qn_endpoint to;
        struct qn_named named;
        size_t n = strcspn(list, listen ? "" : ",");
        if (n == 0 || n >= sizeof one) return false;
        snprintf(one, sizeof one, "%.*s", (int)n, list);
        if (qn_maddr_parse(one, &addr, &why)) return false;
        if (!listen && qn_maddr_endpoint(&addr, &to) && qn_maddr_named(&addr, &named))
            return false; /* of a transport that is not spoken here, or none at all */
        if (listen && addr.b[0] != 4 && addr.b[0] != 41) return false; /* a name, not an IP */
        list += n + (list[n] == ',');
    }
    return true;
}

/* What `up` would refuse is refused when it is written. Returns what the setting takes, NULL: it is fine. */
static const char *unfit(size_t row, const char *text)
{
    struct qn_hash hash;
    struct net_nat_conf nat;
    struct qn_why why;
    uint64_t height;
    uint8_t word;
    if (!*text) return row == QN_CONF_api ? "127.0.0.1:PORT" : NULL; /* as if it was not set */
    switch (row) {
    case QN_CONF_api: return is_api(text) ? NULL : "127.0.0.1:PORT; port 0 takes a free one";
    case QN_CONF_listen: return are_addrs(text, true) ? NULL : "IP:PORT; port 0 takes a free one";
    case QN_CONF_join:
        return are_addrs(text, false) ? NULL : "IP:PORT, NAME:PORT or /ip4/IP/tcp/PORT/p2p/ID";
    case QN_CONF_sync:
        return qn_enum_find(qn_conf_words(row), text, &word) ? NULL : "auto, snapshot or blocks";
    case QN_CONF_nat:
        return net_nat_parse(text, &nat, &why)
                   ? "auto, off, natpmp, upnp, natpmp:IP or upnp:http://.."
                   : NULL;
    case QN_CONF_trust:
        return qn_conf_trust(text, &hash, &height) ? NULL
                                                   : "HASH@HEIGHT: 64 hex digits and a number";
    default: return NULL;
    }
}

static qn_rc put(struct qn_config *conf, size_t row, const char *text, const char *origin,
                 struct qn_why *why)
{
    struct qn_conf_val *val = &conf->vals[row];
    if (strlen(text) >= sizeof val->text)
        return qn_why(why, QN_E_CONFIG, "%s: %s is too long", origin, ROWS[row].name);
    if (ROWS[row].type == QN_CONF_NUM) {
        char *end;
        unsigned long long n = strtoull(text, &end, 10);
        if (!isdigit((unsigned char)*text) || *end || n < ROWS[row].min || n > ROWS[row].max)
            return qn_why(why, QN_E_CONFIG, "%s: %s takes a number from %llu to %llu", origin,
                          ROWS[row].name, (unsigned long long)ROWS[row].min,
                          (unsigned long long)ROWS[row].max);
    }
    const char *takes = unfit(row, text);
    if (takes)
        return qn_why(why, QN_E_CONFIG, "%s: %s takes %s, not \"%.60s\"", origin, ROWS[row].name,
                      takes, text);
    for (const char *c = text; *c; c++)
        if ((unsigned char)*c < 0x20)
            return qn_why(why, QN_E_CONFIG, "%s: %s has a control character", origin,
                          ROWS[row].name);
    snprintf(val->text, sizeof val->text, "%s", text);
    snprintf(val->origin, sizeof val->origin, "%s", origin);
    return QN_OK;
}

static qn_rc find(const char *name, const char *origin, size_t *ret, struct qn_why *why)
{
    struct qn_nearest n;
    qn_nearest_init(&n, name);
    for (size_t i = 0; i < QN_COUNT(ROWS); i++) {
        if (strcmp(ROWS[i].name, name) == 0) {
            *ret = i;
            return QN_OK;
        }
        qn_nearest_offer(&n, ROWS[i].name);
    }
    return qn_why(why, QN_E_CONFIG, "%s: there is no setting \"%.60s\"%s%s%s", origin, name,
                  n.near[0] ? "; did you mean \"" : "", n.near, n.near[0] ? "\"?" : "");
}

/* The line on which a file assigns name, 0 when that is not plain to see. */
static unsigned line_of(struct qn_span source, const char *name)
{
    size_t len = strlen(name);
    unsigned line = 1;
    for (const uint8_t *at = source.ptr, *end = at + source.len; at < end; line++) {
        const uint8_t *stop = memchr(at, '\n', (size_t)(end - at));
        if (!stop) stop = end;
        while (at < stop && (*at == ' ' || *at == '\t'))
            at++;
        if ((size_t)(stop - at) > len && memcmp(at, name, len) == 0 && !isalnum(at[len]) &&
            at[len] != '_')
            return line;
        at = stop + 1;
    }
    return 0;
}

/* A Lua value as the text of its setting. */
static qn_rc text_of(const json_t *val, const char *origin, const char *name,
                     char dst[QN_CONF_TEXT], struct qn_why *why)
{
    if (json_is_string(val) && json_string_length(val) < QN_CONF_TEXT)
        snprintf(dst, QN_CONF_TEXT, "%s", json_string_value(val));
    else if (json_is_integer(val))
        snprintf(dst, QN_CONF_TEXT, "%lld", (long long)json_integer_value(val));
    else if (json_is_array(val) || (json_is_object(val) && json_object_size(val) == 0)) {
        size_t len = 0;
        dst[0] = 0;
        for (size_t i = 0; i < json_array_size(val); i++) {
            const char *word = json_string_value(json_array_get(val, i));
            if (!word || strchr(word, ',') || len + strlen(word) + 2 > QN_CONF_TEXT)
                return qn_why(why, QN_E_CONFIG, "%s: %s takes a list of names", origin, name);
            len += (size_t)snprintf(dst + len, QN_CONF_TEXT - len, "%s%s", i ? "," : "", word);
        }
    } else {
        return qn_why(why, QN_E_CONFIG, "%s: %s takes text, a whole number or a list of names",
                      origin, name);
    }
    return QN_OK;
}

static qn_rc read_file(struct qn_config *conf, const char *path, struct qn_why *why)
{
    struct qn_buf source = { 0 };
    json_t *set = NULL, *val;
    const char *name;
    qn_rc rc = qn_file_read(path, FILE_MAX, &source, why);
    if (rc == QN_OK) rc = qn_lua_settings(path, qn_buf_get(&source), &set, why);
    if (rc) goto out;
    json_object_foreach(set, name, val)
    {
        char origin[512], text[QN_CONF_TEXT];
        size_t row;
        unsigned line = line_of(qn_buf_get(&source), name);
        snprintf(origin, sizeof origin, line ? "%s:%u" : "%s", path, line);
        rc = find(name, origin, &row, why);
        if (rc == QN_OK) rc = text_of(val, origin, name, text, why);
        if (rc == QN_OK) rc = put(conf, row, text, origin, why);
        if (rc) break;
    }
out:
    json_decref(set);
    qn_buf_free(&source);
    return rc;
}

static void defaults(struct qn_config *conf)
{
    *conf = (struct qn_config){ 0 };
    for (size_t i = 0; i < QN_COUNT(ROWS); i++) {
        snprintf(conf->vals[i].text, sizeof conf->vals[i].text, "%s", ROWS[i].def);
        snprintf(conf->vals[i].origin, sizeof conf->vals[i].origin, "default");
    }
}

/* Which quoin.lua counts; one that was named has to be there. */
static bool pick_file(const struct qn_cli *cli, char dst[4096], char looked[4096])
{
    const char *env = getenv("QUOIN_CONFIG"), *xdg = getenv("XDG_CONFIG_HOME"),
               *user = getenv("HOME");
    memset(dst, 0, 4096);
    if (cli->config || (env && *env)) {
        snprintf(dst, 4096, "%s", cli->config ? cli->config : env);
        memcpy(looked, dst, 4096);
        return true;
    }
    if (xdg && *xdg == '/')
        snprintf(dst, 4096, "%s/quoin/quoin.lua", xdg);
    else if (user && *user)
        snprintf(dst, 4096, "%s/.config/quoin/quoin.lua", user);
    memcpy(looked, dst, 4096);
    if (dst[0] && access(dst, F_OK) != 0) dst[0] = 0;
    return false;
}

static qn_rc from_env(struct qn_config *conf, struct qn_why *why)
{
    qn_rc rc = QN_OK;
    for (size_t i = 0; i < QN_COUNT(ROWS) && rc == QN_OK; i++) {
        char name[64] = "QUOIN_";
        size_t len = strlen(name);
        for (const char *c = ROWS[i].name; *c && len + 1 < sizeof name; c++)
            name[len++] = (char)toupper((unsigned char)*c);
        name[len] = 0;
        const char *val = getenv(name);
        if (val && *val) rc = put(conf, i, val, name, why);
    }
    return rc;
}

static qn_rc from_words(struct qn_cli *cli, struct qn_config *conf, struct qn_why *why)
{
    qn_rc rc = QN_OK;
    for (uint32_t i = 0; i < cli->set_cnt && rc == QN_OK; i++) {
        char name[64];
        size_t row, len = strcspn(cli->sets[i], "=");
        snprintf(name, sizeof name, "%.*s", (int)QN_MIN(len, sizeof name - 1), cli->sets[i]);
        rc = find(name, "--set", &row, why);
        if (rc == QN_OK) rc = put(conf, row, cli->sets[i] + len + 1, "--set", why);
    }
    for (size_t i = 0; i < QN_COUNT(ROWS) && rc == QN_OK; i++) {
        char origin[64];
        const char *val = qn_args_flag(cli, ROWS[i].flag);
        snprintf(origin, sizeof origin, "--%s", ROWS[i].flag);
        if (val) rc = put(conf, i, val, origin, why);
    }
    return rc == QN_E_CONFIG ? QN_E_USAGE : rc; /* words that were typed just now */
}

qn_rc qn_config_load(struct qn_cli *cli, struct qn_config *ret, struct qn_why *why)
{
    char set[4096];
    qn_rc rc = QN_OK;
    defaults(ret);
    (void)pick_file(cli, ret->file, ret->looked);
    snprintf(set, sizeof set, "%s/set.lua", cli->client.home);
    if (ret->file[0]) rc = read_file(ret, ret->file, why);
    if (rc == QN_OK && access(set, F_OK) == 0) rc = read_file(ret, set, why);
    if (rc == QN_OK) rc = from_env(ret, why);
    if (rc == QN_OK) rc = from_words(cli, ret, why);
    return rc;
}

bool qn_config_stray(const struct qn_cli *cli, const struct qn_config *conf, char dst[4096])
{
    char real[PATH_MAX], read[PATH_MAX];
    snprintf(dst, 4096, "%s/quoin.lua", cli->client.home);
    return realpath(dst, real) &&
           !(conf->file[0] && realpath(conf->file, read) && strcmp(real, read) == 0);
}

qn_rc qn_config_check(const char *path, struct qn_config *ret, struct qn_why *why)
{
    defaults(ret);
    return read_file(ret, path, why);
}
