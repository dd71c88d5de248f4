/* demo.c - the main job on a fresh node, and the audit of what it left: all coins accounted for, every locked coin somebody's, and a
 * second process that reaches the same state from the genesis alone. */
#include "core/cli/demo.h"

#include "core/base/embed.h"
#include "core/cli/devnet.h"
#include "core/cli/script.h"
#include "core/node/wallet.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define SCRIPT "lua/lego/fashion.lua"
#define NODES  4
#define TEXT   (char *)(uintptr_t) /* execv's argv is not const, though nobody writes to it */

/* --- processes ------------------------------------------------------------------------------------------------------ */

/* Starts this file again with its standard output in fd; it ends with this process. */
static pid_t spawn(char *const argv[], int out)
{
    pid_t pid = fork();
    if (pid == 0) {
        sigset_t none;
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        prctl(PR_SET_PDEATHSIG, SIGTERM);
        dup2(out, STDOUT_FILENO);
        execv("/proc/self/exe", argv);
        _exit(127);
    }
    return pid;
}

/* Executes the stopped node's chain from genesis in another process; *ret is what it says. */
static qn_rc replay(const struct qn_cli *cli, json_t **ret, struct qn_why *why)
{
    int fds[2], how;
    char text[4096];
    if (pipe(fds)) return qn_why(why, QN_E_SYSTEM, "pipe: %s", strerror(errno));
    char *argv[] = { TEXT "quoin",          TEXT "ledger", TEXT "replay", TEXT "--home",
                     TEXT cli->client.home, TEXT "--json", NULL };
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

/* --- the audit -------------------------------------------------------------------------------------------------------- */

static bool in_wallet(const json_t *wallet, const char *account)
{
    json_t *key;
    size_t i;
    json_array_foreach(wallet, i,
                       key) if (strcmp(json_string_value(json_object_get(key, "account")),
                                       account) == 0) return true;
    return false;
}

static bool all_zero(const char *hex)
{
    return strspn(hex, "0") == strlen(hex);
}

/* Every coin lies in an account of a key in this wallet, in one of the ledger's own pools, or in an account that code made for one of
 * these keys. On a chain where this wallet holds every key, anything else is lost money. */
static uint64_t lost(const json_t *said, const json_t *wallet, unsigned *ret_held)
{
    uint64_t uqn = 0;
    json_t *a;
    size_t i;
    *ret_held = 0;
    json_array_foreach(json_object_get(said, "held"), i, a)
    {
        const char *owner = json_string_value(json_object_get(a, "owner"));
        if (all_zero(owner)) continue; /* unissued, burnt, the pools */
        (*ret_held)++;
        if (!in_wallet(wallet, owner))
            uqn += (uint64_t)json_integer_value(json_object_get(a, "balance_uqn"));
    }
    json_array_foreach(json_object_get(said, "keys"), i,
                       a) if (!in_wallet(wallet, json_string_value(json_object_get(a, "account"))))
        uqn += (uint64_t)json_integer_value(json_object_get(a, "balance_uqn"));
    return uqn;
}

/* How many nodes have the block and root that node 0 had when it stopped; the others went on. */
static unsigned agreeing(const struct qn_cli *cli, const struct qn_devnet *net,
                         const json_t *stopping)
{
    const char *root = json_string_value(json_object_get(stopping, "state_root"));
    json_t *height = json_object_get(stopping, "height");
    unsigned cnt = 1; /* the one that says so */
    for (unsigned i = 1; i < NODES; i++) {
        struct qn_client c = cli->client;
        snprintf(c.where, sizeof c.where, "%.4000s/api.sock", qn_devnet_home(net, i));
        json_t *params = json_pack("{s:O}", "height", height), *block = NULL;
        for (int k = 0; k < 200 && !block; k++) { /* it may be a moment behind */
            if (qn_client_call(&c, "block.get", params, &block, NULL)) usleep(10000);
        }
        const json_t *header = json_object_get(json_object_get(block, "block"), "header");
        const char *other = json_string_value(json_object_get(header, "state_root"));
        cnt += root && other && strcmp(root, other) == 0;
        json_decref(params);
        json_decref(block);
    }
    return cnt;
}

static qn_rc audit(const struct qn_cli *cli, struct qn_devnet *net, json_t *result,
                   struct qn_why *why)
{
    json_t *said = NULL, *again = NULL, *stopping = NULL, *wallet = json_array();
    uint64_t begun = qn_env_mono_us(qn_env_real());
    unsigned held = 0, agree = 0;
    qn_rc rc = QN_OK;
    for (unsigned i = 0; i < NODES && rc == QN_OK; i++) {
        json_t *list;
        rc = qn_wallet_list(qn_devnet_home(net, i), &list, why);
        json_array_extend(wallet, list);
        json_decref(list);
    }
    if (rc == QN_OK) rc = qn_client_call(&cli->client, "ledger.audit", NULL, &said, why);
    if (rc == QN_OK) rc = qn_client_call(&cli->client, "node.stop", NULL, &stopping, why);
    if (rc == QN_OK) {
        agree = agreeing(cli, net, stopping);
        qn_devnet_await(net, 0);
        rc = replay(cli, &again, why);
    }
    if (rc) goto out;
    const char *root = json_string_value(json_object_get(stopping, "state_root")),
               *replayed = json_string_value(json_object_get(again, "state_root"));
    uint64_t sum = (uint64_t)json_integer_value(json_object_get(said, "sum_uqn")),
             gone = lost(said, wallet, &held);
    bool same = root && replayed && strcmp(root, replayed) == 0,
         ok = same && sum == QN_SUPPLY_UQN && gone == 0 && agree == NODES;
    char text[300];
    snprintf(
        text, sizeof text,
        "%" PRIu64 " blocks; sum of %" PRIu64 " accounts %s supply; %u locked accounts, %" PRIu64
        " uqn without an owner; %u of %d nodes have this root; replay from genesis: %s root",
        (uint64_t)json_integer_value(json_object_get(again, "height")),
        (uint64_t)json_integer_value(json_object_get(said, "accounts")),
        sum == QN_SUPPLY_UQN ? "=" : "IS NOT", held, gone, agree, NODES, same ? "same" : "ANOTHER");
    json_t *row =
        json_pack("{s:s, s:s, s:b, s:I, s:s}", "event", "step", "name", "audit", "ok", ok, "ms",
                  (json_int_t)((qn_env_mono_us(qn_env_real()) - begun) / 1000), "text", text);
    if (cli->json) {
        json_dumpf(row, stdout, JSON_COMPACT);
        putchar('\n');
    }
    json_object_del(row, "event");
    json_array_append_new(json_object_get(result, "steps"), row);
    json_object_set_new(result, "supply_uqn", json_integer((json_int_t)QN_SUPPLY_UQN));
    json_object_set_new(result, "sum_uqn", json_integer((json_int_t)sum));
    json_object_set(result, "state_root", json_object_get(stopping, "state_root"));
    json_object_set(result, "replay_root", json_object_get(again, "state_root"));
out:
    json_decref(wallet);
    json_decref(said);
    json_decref(stopping);
    json_decref(again);
    return rc;
}

/* --- the whole ---------------------------------------------------------------------------------------------------------- */

static void print_rows(const json_t *steps)
{
    json_t *s;
    size_t i;
    printf("\n%-10s  %-7s  %8s  %s\n", "step", "", "took", "what happened");
    json_array_foreach(steps, i, s)
    {
        const char *text = json_string_value(json_object_get(s, "text"));
        printf("%-10s  %-7s  %6.2f s  %s\n", json_string_value(json_object_get(s, "name")),
               json_is_true(json_object_get(s, "ok")) ? "ok" : "FAILED",
               (double)json_integer_value(json_object_get(s, "ms")) / 1000.0, text ? text : "");
    }
}

static qn_rc pipeline(const struct qn_cli *cli, const struct qn_devnet *net, const char *seed,
                      json_t **ret, struct qn_why *why)
{
    const char *homes[NODES];
    for (unsigned i = 0; i < NODES; i++)
        homes[i] = qn_devnet_home(net, i);
    struct qn_span source;
    if (!qn_embed_get(SCRIPT, &source))
        return qn_why(why, QN_E_ABSENT, "this build has no %s", SCRIPT);
    json_t *args = json_pack("{s:I, s:s}", "seed", (json_int_t)strtoull(seed, NULL, 10), "home",
                             cli->client.home);
    qn_rc rc = qn_script_spread(cli, homes, NODES, SCRIPT, source, args, ret, why);
    json_decref(args);
    if (rc == QN_OK && !json_is_array(json_object_get(*ret, "steps")))
        rc = qn_why(why, QN_E_SCRIPT, "%s returned no steps", SCRIPT);
    return rc;
}

static bool all_ok(const json_t *steps)
{
    json_t *s;
    size_t i;
    json_array_foreach(steps, i, s) if (!json_is_true(json_object_get(s, "ok"))) return false;
    return json_array_size(steps) > 0;
}

static void say(const struct qn_cli *cli, const char *seed, json_t *result, bool ok, bool stays)
{
    if (cli->json) {
        json_object_set_new(result, "event", json_string("result"));
        json_object_set_new(result, "ok", json_boolean(ok));
        json_object_set_new(result, "seed", json_integer((json_int_t)strtoull(seed, NULL, 10)));
        json_object_set_new(result, "home", json_string(cli->client.home));
        json_dumpf(result, stdout, JSON_COMPACT);
        putchar('\n');
    } else if (!cli->quiet) {
        print_rows(json_object_get(result, "steps"));
        printf("\n%s   %sthe script: quoin demo --show-script\n",
               ok ? "all steps hold" : "NOT all steps hold",
               stays ? "" : "look around: quoin demo --keep     ");
    }
}

static void remove_home(const char *home)
{
    char *argv[] = { TEXT "rm", TEXT "-rf", TEXT "--", TEXT home, NULL };
    pid_t pid = fork();
    if (pid == 0) {
        execv("/bin/rm", argv);
        _exit(127);
    }
    waitpid(pid, NULL, 0);
}

int qn_demo(struct qn_cli *cli, const char *seed, bool keep)
{
    struct qn_why why = { "" };
    char home[] = "/tmp/quoin-demo-XXXXXX", first[4096];
    json_t *result = NULL;
    struct qn_devnet *net = NULL;
    sigset_t stop, pending;
    bool own_home = cli->home == NULL, ok = false;
    qn_rc rc = qn_crypto_init();
    sigemptyset(&stop);
    sigaddset(&stop, SIGINT);
    sigaddset(&stop, SIGTERM);
    sigprocmask(SIG_BLOCK, &stop, NULL); /* they are asked for between two calls; see script.c */
    if (rc == QN_OK && own_home && !mkdtemp(home))
        rc = qn_why(&why, QN_E_IO, "%s: %s", home, strerror(errno));
    if (rc) return qn_fail(cli, rc, &why);
    qn_client_init(&cli->client, own_home ? home : cli->home, NULL);
    cli->client.timeout_ms = 120000;
    snprintf(first, sizeof first, "%s/journal", cli->client.home);
    rc = qn_dir_make(cli->client.home, &why);
    if (rc == QN_OK && access(first, F_OK) == 0)
        rc = qn_why(&why, QN_E_EXISTS, "%s holds a chain; the demo wants a fresh folder",
                    cli->client.home);
    if (rc) return qn_fail(cli, rc, &why);
    if (!cli->json && !cli->quiet)
        printf("quoin demo: %d nodes here, in %s; seed %s%s\n", NODES, cli->client.home, seed,
               keep || !own_home ? "" : "; removed at the end (--keep stays)");
    fflush(stdout);
    rc = qn_devnet_open(cli->client.home, NODES, true, &net, &why);
    if (rc == QN_OK) rc = pipeline(cli, net, seed, &result, &why);
    if (rc == QN_OK) rc = audit(cli, net, result, &why);
    qn_devnet_close(net);
    if (rc == QN_OK) {
        ok = all_ok(json_object_get(result, "steps"));
        say(cli, seed, result, ok, keep || !own_home);
    }
    json_decref(result);
    if (own_home && !keep) /* only a folder that this process made */
        remove_home(home);
    else if (!cli->json && !cli->quiet)
        printf("kept: quoin devnet %d --home %s, then quoin --home %s status\n", NODES,
               cli->client.home, cli->client.home);
    if (rc && cli->json) { /* a stream of events ends with what ended it */
        json_t *end = json_pack("{s:s, s:s, s:s}", "event", "error", "code", qn_err_code(rc),
                                "text", why.text[0] ? why.text : qn_err_text(rc));
        json_dumpf(end, stdout, JSON_COMPACT);
        putchar('\n');
        json_decref(end);
    }
    fflush(stdout);
    if (sigpending(&pending) == 0 &&
        (sigismember(&pending, SIGINT) || sigismember(&pending, SIGTERM)))
        return 128 + (sigismember(&pending, SIGINT) ? SIGINT : SIGTERM);
    return rc ? qn_fail(cli, rc, &why) : ok ? 0 : 1;
}
