/* script.c - the host behind scripts: every call and transaction as a function. */
#include "core/cli/script.h"

#include "core/cli/local.h"
#include "core/node/wallet.h"
#include "lua/bind/run.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NAMES_MAX 400
#define SETTLE_US 30000000 /* all nodes are at one block by then */

/* --- the host --------------------------------------------------------------------------------------------------- */

struct host {
    struct qn_lua_host lua;
    const struct qn_cli *cli;
    struct qn_client client; /* the cli's */
    struct qn_locals locals;
    const char *const *homes; /* of all nodes, when there are several; else NULL */
    unsigned home_cnt;
    const char *names[NAMES_MAX];
    uint64_t begun_us, shown_us;
    bool bar; /* a progress bar stands on the line */
};

/* Functions of scripts that are neither calls nor transactions. */
static const char *const OWN[] = { "wallet.new", "wallet.list", "time.now",     "time.sleep",
                                   "show.step",  "show.line",   "show.progress" };

static qn_rc own_new(struct host *h, const json_t *args, json_t **ret, struct qn_why *why)
{
    struct qn_key key;
    char addr[64], hex[65];
    const char *name = json_string_value(json_object_get(args, "name"));
    qn_rc rc = name ? qn_wallet_new(h->cli->client.home, name, NULL, &key, why)
                    : qn_why(why, QN_E_USAGE, "name: expected text");
    if (rc) return rc;
    struct qn_hash acct = qn_acct_key(&key.pub);
    qn_addr_print(&acct, addr);
    qn_hex(acct.b, 32, hex);
    *ret = json_pack("{s:s, s:s, s:s}", "name", name, "address", addr, "account", hex);
    qn_hex(key.pub.b, 32, hex);
    json_object_set_new(*ret, "pub", json_string(hex));
    qn_key_wipe(&key);
    return QN_OK;
}

static void event_line(struct host *h, const json_t *args)
{
    if (h->bar) printf("\r\033[K");
    h->bar = false;
    const char *text = json_string_value(json_object_get(args, "text"));
    if (h->cli->json) {
        json_dumpf(args, stdout, JSON_COMPACT);
        putchar('\n');
    } else if (text && !h->cli->quiet) {
        printf("%6.1f s  %s\n", (double)(qn_env_mono_us(qn_env_real()) - h->begun_us) / 1e6, text);
    }
    fflush(stdout);
}

/* A bar on a terminal, ten times a second at most; a plain line each ten seconds into anything else. */
static void progress(struct host *h, const json_t *args)
{
    const char *text = json_string_value(json_object_get(args, "text"));
    json_int_t done = json_integer_value(json_object_get(args, "done")),
               total = json_integer_value(json_object_get(args, "total"));
    uint64_t now = qn_env_mono_us(qn_env_real());
    bool tty = isatty(STDOUT_FILENO) && !h->cli->json;
    if (h->cli->quiet || total <= 0 || done < 0 || done > total || !text) return;
    if (now - h->shown_us < (tty ? 100000u : 10000000u)) return;
    h->shown_us = now;
    if (h->cli->json) {
        printf("{\"event\":\"progress\",\"done\":%lld,\"total\":%lld}\n", (long long)done,
               (long long)total);
    } else if (tty) {
        int full = (int)(done * 20 / total);
        printf("\r%6.1f s  %-24.24s  %.*s%.*s  %lld/%lld\033[K", (double)(now - h->begun_us) / 1e6,
               text, full, "####################", 20 - full, "....................",
               (long long)done, (long long)total);
        h->bar = true;
    } else {
        printf("%6.1f s  %s: %lld of %lld\n", (double)(now - h->begun_us) / 1e6, text,
               (long long)done, (long long)total);
    }
    fflush(stdout);
}

/* Whoever blocked these signals (the demo, to tidy up behind itself) hears of them between two calls. */
static bool interrupted(void)
{
    sigset_t set;
    return sigpending(&set) == 0 && (sigismember(&set, SIGINT) || sigismember(&set, SIGTERM));
}

static void nap(uint64_t ms)
{
    uint64_t until_us = qn_env_mono_us(qn_env_real()) + QN_MIN(ms, UINT64_C(60000)) * 1000, now;
    while (!interrupted() && (now = qn_env_mono_us(qn_env_real())) < until_us)
        usleep((useconds_t)QN_MIN(until_us - now, UINT64_C(100000)));
}

static qn_rc own_list(struct host *h, json_t **ret, struct qn_why *why)
{
    json_t *list;
    qn_rc rc = qn_wallet_list(h->cli->client.home, &list, why);
    if (rc)
        json_decref(list);
    else
        *ret = list;
    return rc;
}

static qn_rc own(struct host *h, const char *name, json_t *args, json_t **ret, struct qn_why *why)
{
    if (strcmp(name, "wallet.new") == 0) return own_new(h, args, ret, why);
    if (strcmp(name, "wallet.list") == 0) return own_list(h, ret, why);
    if (strcmp(name, "time.now") == 0)
        *ret = json_integer((json_int_t)qn_env_now_ms(qn_env_real()));
    else if (strcmp(name, "time.sleep") == 0)
        nap((uint64_t)json_integer_value(json_object_get(args, "ms")));
    else if (strcmp(name, "show.progress") == 0)
        progress(h, args);
    else
        event_line(h, args);
    return QN_OK;
}

/* --- several nodes ------------------------------------------------------------------------------------------------ */

static struct qn_client client_of(const struct host *h, unsigned idx)
{
    struct qn_client c = h->cli->client; /* its wallet */
    if (idx) snprintf(c.where, sizeof c.where, "%.4000s/api.sock", h->homes[idx]);
    return c;
}

static qn_rc height_of(const struct qn_client *c, json_int_t *ret, struct qn_why *why)
{
    json_t *status = NULL;
    qn_rc rc = qn_client_call(c, "node.status", NULL, &status, why);
    *ret = json_integer_value(json_object_get(status, "height"));
    json_decref(status);
    return rc;
}

/* Waits until every node is where node `from` is. */
static qn_rc settle(const struct host *h, unsigned from, struct qn_why *why)
{
    struct qn_client c = client_of(h, from);
    json_int_t height, other;
    qn_rc rc = height_of(&c, &height, why);
    uint64_t until = qn_env_mono_us(qn_env_real()) + SETTLE_US;
    for (unsigned i = 0; rc == QN_OK && i < h->home_cnt; i++) {
        if (i == from) continue;
        c = client_of(h, i);
        while ((rc = height_of(&c, &other, why)) == QN_OK && other < height) {
            if (qn_env_mono_us(qn_env_real()) > until)
                return qn_why(why, QN_E_TIMEOUT, "node %u stands at block %lld, node %u at %lld", i,
                              (long long)other, from, (long long)height);
            usleep(2000);
        }
    }
    return rc;
}

static qn_rc send_tx(struct host *h, const char *name, const json_t *args, const char *as,
                     const struct qn_hash *mandate, json_t **ret, struct qn_why *why)
{
    unsigned at = 0;
    struct qn_why late;
    for (const char *c = as; h->home_cnt && *c; c++)
        at = (at * 31 + (uint8_t)*c) % h->home_cnt;
    struct qn_client client = client_of(h, at);
    qn_rc rc = qn_client_tx(&client, name, args, as, mandate, true, ret, why);
    qn_rc settled = h->home_cnt ? settle(h, at, &late) : QN_OK;
    if (rc == QN_OK && settled) {
        json_decref(*ret);
        *ret = NULL;
        *why = late;
    }
    return rc ? rc : settled;
}

static qn_rc invoke(void *self, const char *name, json_t *args, json_t **ret, struct qn_why *why)
{
    struct host *h = self;
    struct qn_hash mandate;
    if (interrupted()) return qn_why(why, QN_E_REFUSED, "interrupted");
    for (size_t i = 0; i < QN_COUNT(OWN); i++)
        if (strcmp(OWN[i], name) == 0) return own(h, name, args, ret, why);
    json_t *as = json_incref(json_object_get(args, "as")),
           *under = json_incref(json_object_get(args, "mandate"));
    const struct qn_tx_kind *kind = qn_txkind_find(name);
    const struct qn_local *local = qn_local_find(name);
    qn_rc rc;
    if (local) {
        json_object_del(args, "as");
        rc = qn_local_run(&h->client, &h->locals, local,
                          json_string_value(as) ? json_string_value(as) : "owner", args, ret, why);
        json_decref(as);
        json_decref(under);
        return rc;
    }
    if (!kind || (qn_call_find(name) && !as)) {
        json_decref(as);
        json_decref(under);
        return qn_client_call(&h->cli->client, name, args, ret, why);
    }
    json_object_del(args, "as");
    const char *hex = json_string_value(under);
    bool limited = hex && !qn_field_find(kind->body(), "mandate");
    if (limited) json_object_del(args, "mandate");
    if (limited && !qn_unhex(hex, strlen(hex), mandate.b, 32))
        rc = qn_why(why, QN_E_USAGE, "mandate: expected 64 hex digits");
    else
        rc = send_tx(h, name, args, json_string_value(as) ? json_string_value(as) : "owner",
                     limited ? &mandate : NULL, ret, why);
    json_decref(as);
    json_decref(under);
    return rc;
}

static void host_init(struct host *h, const struct qn_cli *cli)
{
    const struct qn_call *c;
    const struct qn_tx_kind *t;
    const struct qn_local *l;
    size_t cnt = 0;
    *h = (struct host){ .cli = cli,
                        .client = cli->client,
                        .begun_us = qn_env_mono_us(qn_env_real()) };
    for (size_t i = 0; i < QN_COUNT(OWN); i++)
        h->names[cnt++] = OWN[i];
    for (size_t i = 0; (c = qn_call_at(i)) && cnt + 1 < NAMES_MAX; i++)
        h->names[cnt++] = c->name;
    for (size_t i = 0; (t = qn_txkind_at(i)) && cnt + 1 < NAMES_MAX; i++)
        h->names[cnt++] = t->name;
    for (size_t i = 0; (l = qn_local_at(i)) && cnt + 1 < NAMES_MAX; i++)
        h->names[cnt++] = l->name;
    h->lua = (struct qn_lua_host){ h, h->names, invoke };
}

qn_rc qn_script_run(const struct qn_cli *cli, const char *name, struct qn_span source,
                    const json_t *args, json_t **ret, struct qn_why *why)
{
    return qn_script_spread(cli, NULL, 0, name, source, args, ret, why);
}

qn_rc qn_script_spread(const struct qn_cli *cli, const char *const *homes, unsigned cnt,
                       const char *name, struct qn_span source, const json_t *args, json_t **ret,
                       struct qn_why *why)
{
    struct host host;
    host_init(&host, cli);
    host.homes = homes;
    host.home_cnt = cnt;
    qn_rc rc = qn_lua_run(&host.lua, name, source, args, ret, why);
    qn_locals_end(&host.locals);
    return rc;
}

/* --- quoin lua ------------------------------------------------------------------------------------------------------ */

int qn_script_lua(struct qn_cli *cli)
{
    struct host host;
    struct qn_why why = { "" };
    struct qn_buf text = { 0 };
    bool check = cli->argc && strcmp(cli->argv[0], "--check") == 0,
         inline_text = cli->argc && strcmp(cli->argv[0], "-e") == 0;
    int first = check || inline_text;
    json_t *args = json_array(), *ret = NULL;
    qn_rc rc = qn_crypto_init();
    host_init(&host, cli);
    for (int i = first + 1; i < cli->argc; i++)
        json_array_append_new(args, json_string(cli->argv[i]));
    if (cli->argc == 0) {
        rc = qn_lua_repl(&host.lua, stdin, stdout, isatty(STDIN_FILENO));
    } else if (cli->argc == first) {
        rc = qn_why(&why, QN_E_USAGE, "%s wants a value", cli->argv[0]);
    } else {
        if (inline_text)
            qn_buf_str(&text, cli->argv[1]);
        else
            rc = qn_file_read(cli->argv[first], 1u << 20, &text, &why);
        const char *name = inline_text ? "-e" : cli->argv[first];
        if (rc == QN_OK && check)
            rc = qn_lua_check(name, qn_buf_get(&text), &why);
        else if (rc == QN_OK)
            rc = qn_script_run(cli, name, qn_buf_get(&text), args, &ret, &why);
    }
    if (rc == QN_OK && ret && !json_is_null(ret)) {
        if (json_is_object(ret) || json_is_array(ret))
            qn_print(cli, ret);
        else {
            json_dumpf(ret, stdout, JSON_ENCODE_ANY);
            putchar('\n');
        }
    }
    json_decref(args);
    json_decref(ret);
    qn_buf_free(&text);
    qn_locals_end(&host.locals);
    return rc ? qn_fail(cli, rc, &why) : 0;
}
