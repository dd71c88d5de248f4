/* script.c - the host behind scripts, and the demo. */
#include "core/node/script.h"

#include "core/base/embed.h"
#include "core/node/wallet.h"
#include "lua/bind/run.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define NAMES_MAX 400
#define SCRIPT    "lua/lego/fashion.lua"

/* --- the host --------------------------------------------------------------------------------------------------- */

struct host {
    struct qn_lua_host lua;
    const struct qn_cli *cli;
    const char *names[NAMES_MAX];
    uint64_t begun_us;
};

/* Functions of scripts that are neither calls nor transactions. */
static const char *const OWN[] = { "wallet.new", "wallet.list", "time.now",
                                   "time.sleep", "show.step",   "show.line" };

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

static void event_line(const struct host *h, const json_t *args)
{
    const char *text = json_string_value(json_object_get(args, "text"));
    if (h->cli->json) {
        json_dumpf(args, stdout, JSON_COMPACT);
        putchar('\n');
    } else if (text && !h->cli->quiet) {
        printf("%6.1f s  %s\n", (double)(qn_env_mono_us(qn_env_real()) - h->begun_us) / 1e6, text);
    }
    fflush(stdout);
}

static qn_rc own(struct host *h, const char *name, json_t *args, json_t **ret, struct qn_why *why)
{
    if (strcmp(name, "wallet.new") == 0) return own_new(h, args, ret, why);
    if (strcmp(name, "wallet.list") == 0)
        *ret = qn_wallet_list(h->cli->client.home);
    else if (strcmp(name, "time.now") == 0)
        *ret = json_integer((json_int_t)qn_env_now_ms(qn_env_real()));
    else if (strcmp(name, "time.sleep") == 0)
        usleep((useconds_t)QN_MIN((uint64_t)json_integer_value(json_object_get(args, "ms")),
                                  UINT64_C(60000)) *
               1000);
    else
        event_line(h, args);
    return QN_OK;
}

static qn_rc invoke(void *self, const char *name, json_t *args, json_t **ret, struct qn_why *why)
{
    struct host *h = self;
    struct qn_hash mandate;
    for (size_t i = 0; i < QN_COUNT(OWN); i++)
        if (strcmp(OWN[i], name) == 0) return own(h, name, args, ret, why);
    json_t *as = json_incref(json_object_get(args, "as")),
           *under = json_incref(json_object_get(args, "mandate"));
    const struct qn_tx_kind *kind = qn_txkind_find(name);
    qn_rc rc;
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
        rc = qn_client_tx(&h->cli->client, name, args,
                          json_string_value(as) ? json_string_value(as) : "owner",
                          limited ? &mandate : NULL, true, ret, why);
    json_decref(as);
    json_decref(under);
    return rc;
}

static void host_init(struct host *h, const struct qn_cli *cli)
{
    const struct qn_call *c;
    const struct qn_tx_kind *t;
    size_t cnt = 0;
    *h = (struct host){ .cli = cli, .begun_us = qn_env_mono_us(qn_env_real()) };
    for (size_t i = 0; i < QN_COUNT(OWN); i++)
        h->names[cnt++] = OWN[i];
    for (size_t i = 0; (c = qn_call_at(i)) && cnt + 1 < NAMES_MAX; i++)
        h->names[cnt++] = c->name;
    for (size_t i = 0; (t = qn_txkind_at(i)) && cnt + 1 < NAMES_MAX; i++)
        h->names[cnt++] = t->name;
    h->lua = (struct qn_lua_host){ h, h->names, invoke };
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
            rc = qn_lua_run(&host.lua, name, qn_buf_get(&text), args, &ret, &why);
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
    return rc ? qn_fail(cli, rc, &why) : 0;
}

/* --- quoin demo ------------------------------------------------------------------------------------------------------ */

/* Starts this file again; its standard output goes to fd. */
static pid_t spawn(char *const argv[], int out)
{
    pid_t pid = fork();
    if (pid == 0) {
        dup2(out, STDOUT_FILENO);
        execv("/proc/self/exe", argv);
        _exit(127);
    }
    return pid;
}

static qn_rc wait_ready(const struct qn_cli *cli, pid_t pid, struct qn_why *why)
{
    for (int i = 0; i < 400; i++) {
        json_t *status = NULL;
        int how;
        struct qn_why ignored;
        if (qn_client_call(&cli->client, "node.status", NULL, &status, &ignored) == QN_OK) {
            json_decref(status);
            return QN_OK;
        }
        if (waitpid(pid, &how, WNOHANG) == pid)
            return qn_why(why, QN_E_SYSTEM, "the node ended at once; its words are above");
        usleep(25000);
    }
    return qn_why(why, QN_E_TIMEOUT, "the node did not start within ten seconds");
}

/* Executes the stopped node's chain from genesis in another process; *ret is what it says. */
static qn_rc replay(const struct qn_cli *cli, json_t **ret, struct qn_why *why)
{
    int fds[2], how;
    char text[4096];
    if (pipe(fds)) return qn_why(why, QN_E_SYSTEM, "pipe: %s", strerror(errno));
    char *argv[] = { (char *)(uintptr_t) "quoin",
                     (char *)(uintptr_t) "ledger",
                     (char *)(uintptr_t) "replay",
                     (char *)(uintptr_t) "--home",
                     (char *)(uintptr_t)cli->client.home,
                     (char *)(uintptr_t) "--json",
                     NULL };
    pid_t pid = spawn(argv, fds[1]);
    close(fds[1]);
    size_t len = 0;
    for (ssize_t n; len < sizeof text && (n = read(fds[0], text + len, sizeof text - len)) > 0;)
        len += (size_t)n;
    close(fds[0]);
    waitpid(pid, &how, 0);
    *ret = json_loadb(text, len, 0, NULL);
    return *ret ? QN_OK : qn_why(why, QN_E_CHECK, "the replay failed");
}

static void print_rows(const struct qn_cli *cli, const json_t *steps)
{
    if (cli->json || cli->quiet || json_array_size(steps) == 0) return;
    printf("\n%-10s  %-7s  %8s  %s\n", "step", "", "took", "what happened");
    for (size_t i = 0; i < json_array_size(steps); i++) {
        const json_t *s = json_array_get(steps, i);
        printf("%-10s  %-7s  %6.2f s  %s\n", json_string_value(json_object_get(s, "name")),
               json_is_true(json_object_get(s, "ok")) ? "ok" : "FAILED",
               (double)json_integer_value(json_object_get(s, "ms")) / 1000.0,
               json_string_value(json_object_get(s, "text"))
                   ? json_string_value(json_object_get(s, "text"))
                   : "");
    }
}

static qn_rc run_script(const struct qn_cli *cli, const char *seed, json_t **ret,
                        struct qn_why *why)
{
    struct host host;
    struct qn_span source;
    if (!qn_embed_get(SCRIPT, &source))
        return qn_why(why, QN_E_ABSENT, "this build has no %s", SCRIPT);
    host_init(&host, cli);
    json_t *args = json_pack("{s:I, s:s}", "seed", (json_int_t)strtoull(seed, NULL, 10), "home",
                             cli->client.home);
    qn_rc rc = qn_lua_run(&host.lua, SCRIPT, source, args, ret, why);
    json_decref(args);
    if (rc == QN_OK && !json_is_array(json_object_get(*ret, "steps")))
        rc = qn_why(why, QN_E_SCRIPT, "%s returned no steps", SCRIPT);
    return rc;
}

/* The last row: all coins are accounted for, and a second process reaches the same state from the genesis alone. */
static qn_rc audit(const struct qn_cli *cli, pid_t pid, json_t *result, struct qn_why *why)
{
    json_t *ledger = NULL, *again = NULL, *status = NULL;
    uint64_t begun = qn_env_mono_us(qn_env_real());
    int how;
    qn_rc rc = qn_client_call(&cli->client, "node.stop", NULL, &status, why);
    if (rc) return rc;
    waitpid(pid, &how, 0);
    rc = replay(cli, &again, why);
    json_decref(status);
    if (rc) return rc;
    /* What the node wrote at its stop is in its checkpoint; open it as a node would and compare. */
    struct qn_exec_module exec[16];
    const struct qn_module *mod;
    struct qn_chain_conf conf = {
        .home = cli->client.home, .env = qn_env_real(), .modules = exec, .vm = qn_contract_vm_get()
    };
    struct qn_chain *chain = NULL;
    for (size_t i = 0; (mod = qn_module_at(i)) && i < QN_COUNT(exec); i++)
        exec[conf.module_cnt++] =
            (struct qn_exec_module){ mod->name,  mod->txs,     mod->dues,     mod->tables,
                                     mod->chain, mod->genesis, mod->block_end };
    rc = qn_chain_open(&conf, &chain, why);
    if (rc) {
        json_decref(again);
        return rc;
    }
    char root[65];
    struct qn_hash h = qn_chain_root(chain);
    qn_hex(h.b, 32, root);
    uint64_t sum = qn_state_sum(qn_chain_view(chain)).uqn;
    const char *root2 = json_string_value(json_object_get(again, "state_root"));
    bool ok = sum == QN_SUPPLY_UQN && root2 && strcmp(root, root2) == 0;
    char text[200];
    snprintf(text, sizeof text,
             "%" PRIu64 " blocks; sum of all accounts %s supply; replay from genesis: %s root",
             qn_view_height(qn_chain_view(chain)), sum == QN_SUPPLY_UQN ? "=" : "IS NOT",
             ok ? "same" : "ANOTHER");
    json_array_append_new(json_object_get(result, "steps"),
                          json_pack("{s:s, s:b, s:I, s:s}", "name", "audit", "ok", ok, "ms",
                                    (json_int_t)((qn_env_mono_us(qn_env_real()) - begun) / 1000),
                                    "text", text));
    json_object_set_new(result, "supply_uqn", json_integer((json_int_t)QN_SUPPLY_UQN));
    json_object_set_new(result, "sum_uqn", json_integer((json_int_t)sum));
    json_object_set_new(result, "state_root", json_string(root));
    json_object_set(result, "replay_root", json_object_get(again, "state_root"));
    qn_chain_close(chain);
    json_decref(again);
    json_decref(ledger);
    return QN_OK;
}

int qn_script_demo(struct qn_cli *cli, const char *seed, bool keep)
{
    struct qn_why why = { "" };
    char home[] = "/tmp/quoin-demo-XXXXXX", log[4096];
    json_t *result = NULL;
    pid_t pid = -1;
    qn_rc rc = qn_crypto_init();
    bool own_home = cli->home == NULL;
    if (own_home && !mkdtemp(home)) {
        rc = qn_why(&why, QN_E_IO, "%s: %s", home, strerror(errno));
        return qn_fail(cli, rc, &why);
    }
    qn_client_init(&cli->client, own_home ? home : cli->home, NULL);
    cli->client.timeout_ms = 120000;
    rc = qn_dir_make(cli->client.home, &why);
    if (rc) return qn_fail(cli, rc, &why);
    if (!cli->json && !cli->quiet)
        printf("quoin demo: a node here, in %s; seed %s%s\n", cli->client.home, seed,
               keep ? "" : "; removed at the end (--keep stays)");
    fflush(stdout);
    snprintf(log, sizeof log, "%s/up.log", cli->client.home);
    FILE *out = fopen(log, "w");
    if (!out) {
        rc = qn_why(&why, QN_E_IO, "%s: %s", log, strerror(errno));
        return qn_fail(cli, rc, &why);
    }
    char *argv[] = { (char *)(uintptr_t) "quoin",  (char *)(uintptr_t) "up",
                     (char *)(uintptr_t) "--home", cli->client.home,
                     (char *)(uintptr_t) "--api",  (char *)(uintptr_t) "127.0.0.1:0",
                     (char *)(uintptr_t) "--json", NULL };
    pid = spawn(argv, fileno(out));
    fclose(out);
    rc = wait_ready(cli, pid, &why);
    if (rc == QN_OK) rc = run_script(cli, seed, &result, &why);
    if (rc == QN_OK) rc = audit(cli, pid, result, &why);
    if (rc) {
        kill(pid, SIGTERM);
        waitpid(pid, NULL, 0);
    }
    bool ok = rc == QN_OK;
    json_t *steps = json_object_get(result, "steps");
    for (size_t i = 0; i < json_array_size(steps); i++)
        ok &= json_is_true(json_object_get(json_array_get(steps, i), "ok"));
    print_rows(cli, steps);
    if (cli->json && rc == QN_OK) {
        json_object_set_new(result, "event", json_string("result"));
        json_object_set_new(result, "ok", json_boolean(ok));
        json_object_set_new(result, "seed", json_integer((json_int_t)strtoull(seed, NULL, 10)));
        json_object_set_new(result, "home", json_string(cli->client.home));
        json_dumpf(result, stdout, JSON_COMPACT);
        putchar('\n');
    } else if (rc == QN_OK && !cli->quiet) {
        printf("\n%s   look around: quoin demo --keep     the script: quoin demo --show-script\n",
               ok ? "all steps hold" : "NOT all steps hold");
    }
    json_decref(result);
    if (own_home && !keep) { /* only a folder that this process made */
        char *rm[] = { (char *)(uintptr_t) "rm", (char *)(uintptr_t) "-rf",
                       (char *)(uintptr_t) "--", home, NULL };
        pid_t gone = fork();
        if (gone == 0) {
            execv("/bin/rm", rm);
            _exit(127);
        }
        waitpid(gone, NULL, 0);
    } else if (!cli->json && !cli->quiet) {
        printf("kept: quoin up --home %s\n", cli->client.home);
    }
    if (rc) return qn_fail(cli, rc, &why);
    return ok ? 0 : 1;
}
