/* cli.c - words to actions: this process's own verbs (OWN), calls, transactions and modules' verbs, each from its table. */
#include "core/cli/cli.h"

#include "core/cli/args.h"
#include "core/cli/local.h"
#include "core/cli/script.h"
#include "core/crypto/sign.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct qn_own OWN[] = {
    { "demo", "[--seed N] [--keep] [--home DIR] [--show-script] [--json]",
      "what exists, end to end, on this computer, then removed", "demo --seed 7 --keep",
      qn_verb_demo },
    { "lua", "[FILE [ARG..] | -e TEXT | --check FILE]",
      "run a script, or a prompt, with every call as a function",
      "lua -e 'return qn.node.status()'", qn_script_lua },
    { "up", "[--home DIR] [--config FILE] [--set NAME=VALUE] [--SETTING VALUE..]",
      "start a node: a network of one, or with --join a member of another",
      "up --listen 0.0.0.0:4460", qn_verb_up },
    { "devnet", "N [--home DIR] [--restart] [--json]",
      "start a network of N nodes here, each a validator; --restart starts again who dies; without "
      "--home in a new folder of /tmp, which stays; Ctrl-C ends them",
      "devnet 4 --home /tmp/net", qn_verb_devnet },
    { "down", "", "stop the node of this home", "down", qn_verb_down },
    { "status", "", "what the node is and where its chain stands", "status --json",
      qn_verb_status },
    { "doctor", "[--quick]", "look at machine and home; each line with its remedy", "doctor",
      qn_verb_doctor },
    { "explain", "CODE", "what an error code means and what to do", "explain FUNDS",
      qn_verb_explain },
    { "call", "NAME [JSON]", "make any call by its name", "call block.get '{\"height\":1}'",
      qn_verb_call },
    { "config show", "[--origin]", "every setting and where it comes from", "config show --origin",
      qn_verb_config_show },
    { "config check", "[FILE]", "read a file of settings without starting",
      "config check /etc/quoin/quoin.lua", qn_verb_config_check },
    { "config set", "NAME VALUE", "write a setting into the home's set.lua",
      "config set api 127.0.0.1:0", qn_verb_config_set },
    { "config modules", "", "modules of this build, and which are on", "config modules",
      qn_verb_config_modules },
    { "wallet new", "NAME", "make a key", "wallet new alice", qn_verb_wallet_new },
    { "wallet list", "", "keys of this home", "wallet list", qn_verb_wallet_list },
    { "wallet balance", "[NAME|ADDRESS]", "what an account holds", "wallet balance alice",
      qn_verb_wallet_balance },
    { "validator create", "AMOUNT [--name TEXT] [--commission_ppm N] [--key KEY] --as OWNER",
      "make a validator of a key of this wallet, with a first stake of its owner",
      "wallet new mine && quoin validator create 500QN --name mine --key mine --as owner",
      qn_verb_validator_create },
    { "ledger prove", "TABLE KEY [-o FILE]", "write the proof of a row or of its absence",
      "ledger prove account @owner -o row.qp", qn_verb_ledger_prove },
    { "ledger list", "TABLE [--from KEY] [--to KEY] [--proof FILE]",
      "all rows of a table from a key up to another, or the proof that they are all",
      "ledger list mandate --proof all.qp", qn_verb_ledger_list },
    { "ledger verify", "FILE [HASH]",
      "check a proof file, without a node; pinned to the hash of a chain or of a block",
      "ledger verify row.qp", qn_verb_ledger_verify },
    { "backup create", "DIR",
      "copy chain and state of a running node, without keys and votes; never run a copied home "
      "twice: two signers with one key are slashed",
      "backup create /tmp/backup", qn_verb_backup_create },
    { "backup verify", "DIR [HASH]", "check a backup, without a node", "backup verify /tmp/backup",
      qn_verb_backup_verify },
    { "backup restore", "DIR [HASH]",
      "begin a fresh home from a backup; its validator signs after validator rearm",
      "backup restore /tmp/backup --home /tmp/q", qn_verb_backup_restore },
    { "snapshot create", "[DIR]", "put the state away in chunks that prove themselves",
      "snapshot create /tmp/snap", qn_verb_snapshot_create },
    { "snapshot verify", "FILE [HASH]",
      "check a snapshot, without a node; pinned to the hash of a chain or of a block",
      "snapshot verify /tmp/snap/snapshot.qs", qn_verb_snapshot_verify },
    { "snapshot restore", "FILE [HASH]", "begin a fresh home from a snapshot",
      "snapshot restore /tmp/snap/snapshot.qs --home /tmp/q", qn_verb_snapshot_restore },
    { "ledger scrub", "",
      "look whether every row is still the one that was written, in memory and on the disk",
      "ledger scrub", qn_verb_ledger_scrub },
    { "ledger repair", "",
      "make a damaged state.mdb again: of a running node from memory, else from journal or "
      "snapshot",
      "ledger repair --home /tmp/q", qn_verb_ledger_repair },
    { "ledger replay", "",
      "execute a home's chain from genesis, without its node, and print the root",
      "ledger replay --home /tmp/q", qn_verb_ledger_replay },
    { "ledger trace", "FILE [--from HEIGHT]",
      "execute a home's chain, without its node, and write down each posting and row",
      "ledger trace /tmp/a.trace --home /tmp/q", qn_verb_ledger_trace },
    { "ledger diff", "A B",
      "say where two executions part: homes, or traces of other machines or builds",
      "ledger diff /tmp/a.trace /tmp/q", qn_verb_ledger_diff },
    { "blob get", "ID -o FILE", "write a blob to a file; the node fetches it from peers if it must",
      "blob get 5f3a.. -o model.onnx", qn_verb_blob_get },
    { "device list", "", "CPU variants and devices for int8 products: speed and self-test",
      "device list --json", qn_verb_device_list },
    { "device test", "", "compare the bits of every variant and device with the reference",
      "device test", qn_verb_device_test },
    { "device bench", "", "speed of every variant and device over some shapes",
      "device bench --json", qn_verb_device_bench },
    { "completion", "bash|zsh|fish", "print a shell's completion", "completion bash",
      qn_verb_completion },
    { "help", "[NOUN [VERB] | ref [PART] | --man]", "help, the reference, the manual page",
      "help wallet", qn_verb_help },
    { "version", "[--json] [--licences]", "version, commit, parts", "version --licences",
      qn_verb_version },
};

const struct qn_own *qn_own_at(size_t idx)
{
    return idx < QN_COUNT(OWN) ? &OWN[idx] : NULL;
}

int qn_usage(const struct qn_cli *cli, const char *text)
{
    struct qn_why why;
    qn_why(&why, QN_E_USAGE, "%s", text);
    return qn_fail(cli, QN_E_USAGE, &why);
}

/* --- calls and transactions --------------------------------------------------------------------------------------- */

void qn_call_params(const struct qn_cli *cli, json_t *params)
{
    if (cli->timeout_ms && !json_object_get(params, "timeout_ms"))
        json_object_set_new(params, "timeout_ms", json_integer((json_int_t)cli->timeout_ms));
}

/* Whoever named nothing is told what is wanted, not that nothing has that name. */
static qn_rc bare_words(const char *name, const char *args, qn_rc rc, struct qn_why *why)
{
    char cmd[80];
    if (rc != QN_E_NOTFOUND) return rc;
    snprintf(cmd, sizeof cmd, "%s", name);
    for (char *c = cmd; *c; c++)
        if (*c == '.') *c = ' ';
    return qn_why(why, QN_E_USAGE, "%s takes %s", cmd, args);
}

int qn_call_show(struct qn_cli *cli, const char *name, json_t *params QN_TAKES)
{
    struct qn_why why = { "" };
    json_t *result = NULL;
    if (!params) params = json_object();
    bool bare = json_object_size(params) == 0;
    qn_call_params(cli, params);
    qn_rc rc = qn_client_call(&cli->client, name, params, &result, &why);
    if (rc == QN_OK) qn_print(cli, result);
    /* A list that was cut at the asked number: where it goes on. */
    const json_t *last = json_array_get(result, json_array_size(result) - 1),
                 *limit = json_object_get(params, "limit"),
                 *height = json_object_get(last, "height");
    const struct qn_call *call = qn_call_find(name);
    if (rc == QN_OK && cli->json && !cli->no_field && json_is_string(limit) && height && call &&
        call->params && qn_field_find(call->params(), "after") &&
        json_array_size(result) == strtoull(json_string_value(limit), NULL, 10))
        printf("{\"next\":%lld}\n", (long long)json_integer_value(height));
    json_decref(params);
    json_decref(result);
    if (bare && call && call->args) rc = bare_words(name, call->args, rc, &why);
    return rc ? qn_fail(cli, rc, &why) : 0;
}

static int run_call(struct qn_cli *cli, const struct qn_call *call)
{
    struct qn_why why = { "" };
    json_t *params = json_object();
    qn_rc rc = qn_args_fields(cli, call->params ? call->params() : NULL,
                              call->args ? call->args : "", params, &why);
    if (rc) {
        json_decref(params);
        return qn_fail(cli, rc, &why);
    }
    return qn_call_show(cli, call->name, params);
}

static int run_local(struct qn_cli *cli, const struct qn_local *local)
{
    struct qn_why why = { "" };
    struct qn_locals keep = { 0 };
    json_t *params = json_object(), *result = NULL;
    qn_rc rc = qn_crypto_init();
    if (rc == QN_OK)
        rc = qn_args_fields(cli, local->params ? local->params() : NULL,
                            local->args ? local->args : "", params, &why);
    if (rc == QN_OK) rc = qn_local_run(&cli->client, &keep, local, cli->as, params, &result, &why);
    qn_locals_end(&keep);
    json_decref(params);
    if (!cli->argc && local->args) rc = bare_words(local->name, local->args, rc, &why);
    if (rc) return qn_fail(cli, rc, &why);
    qn_print(cli, result);
    json_decref(result);
    return 0;
}

/* Of a transaction without a word: what it is made of. */
static qn_rc bare_tx(const struct qn_tx_kind *kind, struct qn_why *why)
{
    const struct qn_record *rec = kind->body();
    struct qn_buf all = { 0 };
    for (uint32_t i = 0; i < rec->field_cnt; i++)
        qn_buf_printf(&all, " --%s", rec->fields[i].name);
    qn_why(why, QN_E_USAGE, "it takes%.*s", (int)all.len,
           all.len ? (const char *)all.ptr : " nothing");
    qn_buf_free(&all);
    return QN_E_USAGE;
}

static int run_tx(struct qn_cli *cli, const struct qn_tx_kind *kind)
{
    struct qn_why why = { "" };
    struct qn_hash mandate;
    json_t *fields = json_object(), *receipt = NULL;
    qn_rc rc = qn_crypto_init();
    if (rc == QN_OK) rc = qn_args_fields(cli, kind->body(), NULL, fields, &why);
    if (rc == QN_OK && cli->mandate && !qn_unhex(cli->mandate, strlen(cli->mandate), mandate.b, 32))
        rc = qn_why(&why, QN_E_USAGE, "--mandate takes 64 hex digits");
    if (rc == QN_OK)
        rc = qn_client_tx(&cli->client, kind->name, fields, cli->as, cli->mandate ? &mandate : NULL,
                          cli->wait, &receipt, &why);
    json_decref(fields);
    if (!cli->argc && (rc == QN_E_USAGE || rc == QN_E_NOTFOUND)) rc = bare_tx(kind, &why);
    if (rc) return qn_fail(cli, rc, &why);
    qn_print(cli, receipt);
    json_decref(receipt);
    return 0;
}

/* --- the whole line ----------------------------------------------------------------------------------------------- */

/* Whether name ("wallet new") is what the words begin with; *ret_words of them. */
static bool begins(const char *name, const struct qn_cli *cli, int *ret_words)
{
    const char *space = strchr(name, ' ');
    size_t len = space ? (size_t)(space - name) : strlen(name);
    *ret_words = space ? 2 : 1;
    return strlen(cli->argv[0]) == len && strncmp(cli->argv[0], name, len) == 0 &&
           (!space || (cli->argc > 1 && strcmp(cli->argv[1], space + 1) == 0));
}

static int dispatch(struct qn_cli *cli)
{
    char *noun = cli->argv[0], *verb = cli->argc > 1 ? cli->argv[1] : NULL;
    char dotted[80], spaced[80];
    int words;
    snprintf(dotted, sizeof dotted, "%s.%s", noun, verb ? verb : "");
    for (size_t i = 0; i < QN_COUNT(OWN); i++) {
        if (!begins(OWN[i].name, cli, &words)) continue;
        if (words == 1 && qn_call_find(dotted)) continue; /* `call list` is a call, not `call` */
        if (cli->help) return qn_help(cli, noun, words == 2 ? verb : NULL);
        cli->argv += words;
        cli->argc -= words;
        snprintf(cli->cmd, sizeof cli->cmd, "%s", OWN[i].name);
        return OWN[i].run(cli);
    }
    if (noun[0] == '-') {
        struct qn_why why;
        qn_why(&why, QN_E_USAGE, "there is no flag %.40s before a command", noun);
        return qn_fail(cli, QN_E_USAGE, &why);
    }
    if (!verb || verb[0] == '-')
        return qn_help(cli, noun, NULL); /* lists the verbs, or says that there is no such noun */
    snprintf(spaced, sizeof spaced, "%s %s", noun, verb);
    const struct qn_module *mod;
    for (size_t m = 0; (mod = qn_module_at(m)); m++)
        for (const struct qn_verb *v = mod->verbs; v && v->name; v++)
            if (strcmp(v->name, spaced) == 0)
                return cli->help ? qn_help(cli, noun, verb)
                                 : v->run(cli->argc - 2, cli->argv + 2, cli->json);
    const struct qn_call *call = qn_call_find(dotted);
    const struct qn_tx_kind *kind = qn_txkind_find(dotted);
    const struct qn_local *local = qn_local_find(dotted);
    if (!call && !kind && !local) return qn_unknown(cli, noun, verb);
    if (cli->help) return qn_help(cli, noun, verb);
    snprintf(cli->cmd, sizeof cli->cmd, "%s", spaced);
    cli->argv += 2;
    cli->argc -= 2;
    if (local) return run_local(cli, local);
    return call && !(kind && cli->argc > 1) ? run_call(cli, call) : run_tx(cli, kind);
}

/* `quoin` alone: how the node is, or how to begin. */
static int alone(struct qn_cli *cli)
{
    struct qn_why why;
    json_t *status = NULL;
    cli->client.timeout_ms = 300;
    qn_rc rc = qn_client_call(&cli->client, "node.status", NULL, &status, &why);
    if (rc == QN_OK)
        qn_print(cli, status);
    else if (rc == QN_E_NONODE)
        qn_help_first(cli->client.home);
    json_decref(status);
    return rc && rc != QN_E_NONODE ? qn_fail(cli, rc, &why) : 0;
}

int qn_cli_main(int argc, char **argv)
{
    struct qn_cli cli = { .as = "owner", .wait = true };
    struct qn_why why = { "" };
    bool version;
    signal(SIGPIPE, SIG_DFL);
    const char *last = argv[argc - 1];
    qn_rc rc = qn_args_global(&cli, argc, argv, &version, &why);
    bool asks = cli.argc && strcmp(cli.argv[0], "__complete") == 0; /* what may follow last */
    if (rc && !asks) return qn_fail(&cli, rc, &why);
    if (version) return qn_version(cli.json, false);
    qn_client_init(&cli.client, cli.home, cli.node);
    if (cli.timeout_ms) cli.client.timeout_ms = cli.timeout_ms + QN_CLIENT_MORE_MS;
    if (asks) return qn_complete(&cli, last);
    int status = cli.argc ? dispatch(&cli) : cli.help ? qn_help(&cli, NULL, NULL) : alone(&cli);
    if (status == 0 && cli.no_field) status = qn_err_exit(QN_E_USAGE);
    if (status == 0 && (fflush(stdout) || ferror(stdout)))
        status =
            qn_fail(&cli, qn_why(&why, qn_err_errno(errno), "stdout: %s", strerror(errno)), &why);
    return status;
}
