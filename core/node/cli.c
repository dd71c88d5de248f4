/* cli.c - words to actions. The process's own verbs are in OWN; calls, transactions and module verbs come from the tables. */
#include "core/node/cli.h"

#include "core/base/embed.h"
#include "core/node/demo.h"
#include "core/node/local.h"
#include "core/node/node.h"
#include "core/node/script.h"
#include "core/node/wallet.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

int qn_completion(const char *shell);

/* --- verbs of this process ------------------------------------------------------------------------------------ */

static int usage(const struct qn_cli *cli, const char *text)
{
    struct qn_why why;
    qn_why(&why, QN_E_USAGE, "%s", text);
    return qn_fail(cli, QN_E_USAGE, &why);
}

static const char *flag(struct qn_cli *cli, const char *name)
{
    for (int i = 0; i < cli->argc; i++) {
        size_t n = strlen(name);
        if (strncmp(cli->argv[i], "--", 2) != 0 || strncmp(cli->argv[i] + 2, name, n) != 0)
            continue;
        const char *val = NULL;
        int gone = 1;
        if (cli->argv[i][2 + n] == '=') {
            val = cli->argv[i] + 3 + n;
        } else if (cli->argv[i][2 + n] == 0 && i + 1 < cli->argc) {
            val = cli->argv[i + 1];
            gone = 2;
        } else {
            continue;
        }
        memmove(cli->argv + i, cli->argv + i + gone,
                (size_t)(cli->argc - i - gone) * sizeof *cli->argv);
        cli->argc -= gone;
        return val;
    }
    return NULL;
}

static int verb_up(struct qn_cli *cli)
{
    struct qn_up_opts opts = { .home = cli->client.home, .json = cli->json, .quiet = cli->quiet };
    const char *api = flag(cli, "api"), *map = flag(cli, "store-map-gib");
    opts.enable = flag(cli, "enable");
    opts.disable = flag(cli, "disable");
    if (flag(cli, "join") || flag(cli, "listen"))
        return usage(cli, "--join and --listen: networks of many are not in this version; it runs "
                          "a network of one");
    if (cli->argc)
        return usage(cli, "up takes --home, --api, --enable, --disable, --store-map-gib");
    opts.api = api ? api : getenv("QUOIN_API") ? getenv("QUOIN_API") : "127.0.0.1:7846";
    opts.map_gib = map ? strtoull(map, NULL, 10) : 64;
    if (opts.map_gib == 0 || opts.map_gib > 65536)
        return usage(cli, "--store-map-gib takes 1 to 65536");
    return qn_node_up(&opts);
}

static int call_print(struct qn_cli *cli, const char *name, json_t *params QN_TAKES)
{
    struct qn_why why = { "" };
    json_t *result = NULL;
    qn_rc rc = qn_client_call(&cli->client, name, params, &result, &why);
    json_decref(params);
    if (rc) return qn_fail(cli, rc, &why);
    qn_print(cli, result);
    json_decref(result);
    return 0;
}

static int verb_status(struct qn_cli *cli)
{
    return call_print(cli, "node.status", NULL);
}

static int verb_down(struct qn_cli *cli)
{
    char path[4096];
    int rc = call_print(cli, "node.stop", NULL);
    snprintf(path, sizeof path, "%s/api.sock", cli->client.home);
    for (int i = 0; rc == 0 && i < 100 && access(path, F_OK) == 0; i++)
        usleep(50000); /* until it is really gone */
    return rc;
}

static int verb_explain(struct qn_cli *cli)
{
    qn_rc rc;
    char path[100];
    struct qn_span page;
    if (cli->argc != 1) return usage(cli, "explain takes one error code");
    if (!qn_err_find(cli->argv[0], &rc)) {
        struct qn_why why;
        return qn_fail(cli, qn_why(&why, QN_E_NOTFOUND, "there is no error code %s", cli->argv[0]),
                       &why);
    }
    printf("%s (class %s, exit %d): %s\n", qn_err_code(rc), qn_err_class(rc), qn_err_exit(rc),
           qn_err_text(rc));
    if (qn_err_hint(rc)) printf("  try   %s\n", qn_err_hint(rc));
    snprintf(path, sizeof path, "docs/ref/err/%s.md", qn_err_code(rc));
    if (qn_embed_get(path, &page)) printf("\n%.*s", (int)page.len, (const char *)page.ptr);
    return 0;
}

static int verb_call(struct qn_cli *cli)
{
    if (cli->argc < 1 || cli->argc > 2)
        return usage(cli, "call takes a name and, if it has parameters, a JSON object");
    json_t *params =
        cli->argc == 2 ? json_loads(cli->argv[1], JSON_REJECT_DUPLICATES, NULL) : json_object();
    if (!json_is_object(params)) {
        json_decref(params);
        return usage(cli, "the parameters are not a JSON object");
    }
    return call_print(cli, cli->argv[0], params);
}

static int verb_modules(struct qn_cli *cli)
{
    const struct qn_module *mod;
    json_t *list = json_array();
    for (size_t i = 0; (mod = qn_module_at(i)); i++)
        json_array_append_new(list, json_pack("{s:s, s:s}", "name", mod->name, "doc", mod->doc));
    qn_print(cli, list);
    json_decref(list);
    return 0;
}

static int verb_wallet_new(struct qn_cli *cli)
{
    struct qn_why why = { "" };
    struct qn_key key;
    char addr[64];
    if (cli->argc != 1) return usage(cli, "wallet new takes a name");
    qn_rc rc = qn_crypto_init();
    if (rc == QN_OK) rc = qn_wallet_new(cli->client.home, cli->argv[0], NULL, &key, &why);
    if (rc) return qn_fail(cli, rc, &why);
    struct qn_hash acct = qn_acct_key(&key.pub);
    qn_addr_print(&acct, addr);
    char acct_hex[65];
    qn_hex(acct.b, 32, acct_hex);
    json_t *out =
        json_pack("{s:s, s:s, s:s}", "name", cli->argv[0], "address", addr, "account", acct_hex);
    qn_print(cli, out);
    json_decref(out);
    qn_key_wipe(&key);
    return 0;
}

static int verb_wallet_list(struct qn_cli *cli)
{
    json_t *list = qn_crypto_init() == QN_OK ? qn_wallet_list(cli->client.home) : json_array();
    qn_print(cli, list);
    json_decref(list);
    return 0;
}

/* An account by the name of a key of this wallet, or by address. */
static qn_rc account_named(const struct qn_cli *cli, const char *text, char hex[65],
                           struct qn_why *why)
{
    struct qn_hash acct;
    struct qn_key key;
    if (qn_addr_parse(text, &acct)) {
        qn_rc rc = qn_wallet_load(cli->client.home, text, &key, why);
        if (rc) return rc;
        acct = qn_acct_key(&key.pub);
        qn_key_wipe(&key);
    }
    qn_hex(acct.b, 32, hex);
    return QN_OK;
}

static int verb_wallet_balance(struct qn_cli *cli)
{
    struct qn_why why = { "" };
    char hex[65];
    qn_rc rc = account_named(cli, cli->argc ? cli->argv[0] : cli->as, hex, &why);
    if (rc) return qn_fail(cli, rc, &why);
    return call_print(cli, "account.get", json_pack("{s:s}", "id", hex));
}

static int verb_ledger_prove(struct qn_cli *cli)
{
    struct qn_why why = { "" };
    struct qn_hash acct;
    char hex[1100];
    json_t *result = NULL;
    const char *out = flag(cli, "out");
    for (int i = 0; i + 1 < cli->argc; i++)
        if (strcmp(cli->argv[i], "-o") == 0) {
            out = cli->argv[i + 1];
            memmove(cli->argv + i, cli->argv + i + 2,
                    (size_t)(cli->argc - i - 2) * sizeof *cli->argv);
            cli->argc -= 2;
        }
    if (cli->argc != 2) return usage(cli, "ledger prove takes a table and a key, and -o FILE");
    snprintf(hex, sizeof hex, "%s", cli->argv[1]);
    if (strncmp(hex, "qn1", 3) == 0 && qn_addr_parse(hex, &acct) == QN_OK) qn_hex(acct.b, 32, hex);
    json_t *params = json_pack("{s:s, s:s}", "table", cli->argv[0], "key", hex);
    qn_rc rc = qn_client_call(&cli->client, "ledger.row", params, &result, &why);
    json_decref(params);
    if (rc) return qn_fail(cli, rc, &why);
    const char *proof = json_string_value(json_object_get(result, "proof"));
    size_t len = proof ? strlen(proof) / 2 : 0;
    uint8_t *bytes = malloc(len + 1);
    QN_ASSERT(bytes != NULL);
    rc = proof && qn_unhex(proof, strlen(proof), bytes, len)
             ? qn_file_write(out ? out : "row.qp", QN_SPAN(bytes, len), 0644, &why)
             : QN_E_FORMAT;
    free(bytes);
    if (rc == QN_OK) {
        json_t *said = json_pack("{s:s, s:I, s:O}", "file", out ? out : "row.qp", "bytes",
                                 (json_int_t)len, "height", json_object_get(result, "height"));
        qn_print(cli, said);
        json_decref(said);
    }
    json_decref(result);
    return rc ? qn_fail(cli, rc, &why) : 0;
}

static int verb_ledger_verify(struct qn_cli *cli)
{
    struct qn_why why = { "" };
    struct qn_buf file = { 0 };
    struct qn_hash trust;
    json_t *said = NULL;
    if (cli->argc < 1 || cli->argc > 2)
        return usage(cli, "ledger verify takes a file and, to pin it, the chain's hash");
    if (cli->argc == 2 && !qn_unhex(cli->argv[1], strlen(cli->argv[1]), trust.b, 32))
        return usage(cli, "the chain's hash has 64 hex digits");
    qn_rc rc = qn_crypto_init();
    if (rc == QN_OK) rc = qn_file_read(cli->argv[0], 4u << 20, &file, &why);
    if (rc == QN_OK)
        rc = qn_chain_verify(qn_buf_get(&file), cli->argc == 2 ? &trust : NULL, &said, &why);
    qn_buf_free(&file);
    if (rc) return qn_fail(cli, rc, &why);
    qn_print(cli, said);
    json_decref(said);
    return 0;
}

static int verb_ledger_replay(struct qn_cli *cli)
{
    struct qn_exec_module exec[16];
    const struct qn_module *mod;
    struct qn_chain_conf conf = {
        .home = cli->client.home, .env = qn_env_real(), .modules = exec, .no_store = true
    };
    struct qn_chain *chain = NULL;
    struct qn_why why = { "" };
    for (size_t i = 0; (mod = qn_module_at(i)) && i < QN_COUNT(exec); i++)
        exec[conf.module_cnt++] =
            (struct qn_exec_module){ mod->name,  mod->txs,     mod->dues,     mod->tables,
                                     mod->chain, mod->genesis, mod->block_end };
    conf.vm = qn_contract_vm_get();
    qn_rc rc = qn_crypto_init();
    if (rc == QN_OK) rc = qn_chain_open(&conf, &chain, &why);
    if (rc) return qn_fail(cli, rc, &why);
    char root_hex[65], head_hex[65];
    struct qn_hash root = qn_chain_root(chain), head = qn_chain_head(chain);
    qn_hex(root.b, 32, root_hex);
    qn_hex(head.b, 32, head_hex);
    json_t *said = json_pack("{s:I, s:s, s:s, s:I, s:I}", "height",
                             (json_int_t)qn_view_height(qn_chain_view(chain)), "block_hash",
                             head_hex, "state_root", root_hex, "sum_uqn",
                             (json_int_t)qn_state_sum(qn_chain_view(chain)).uqn, "supply_uqn",
                             (json_int_t)QN_SUPPLY_UQN);
    qn_print(cli, said);
    json_decref(said);
    qn_chain_close(chain);
    return 0;
}

static void check_line(json_t *list, bool ok, const char *what, const char *found,
                       const char *remedy)
{
    json_t *one =
        json_pack("{s:s, s:s, s:s}", "state", ok ? "ok" : "fail", "what", what, "found", found);
    if (!ok) json_object_set_new(one, "do", json_string(remedy));
    json_array_append_new(list, one);
}

static int verb_doctor(struct qn_cli *cli)
{
    json_t *list = json_array();
    struct statvfs disk;
    char text[200], path[4096];
    const char *cpu = "plain";
    struct qn_why why = { "" };
#ifdef __x86_64__
    cpu = __builtin_cpu_supports("avx512f") ? "avx512"
          : __builtin_cpu_supports("avx2")  ? "avx2"
                                            : "plain";
#endif
    snprintf(text, sizeof text, "%ld cores %s", sysconf(_SC_NPROCESSORS_ONLN), cpu);
    check_line(list, true, "cpu", text, "");
    bool made = qn_dir_make(cli->client.home, &why) == QN_OK;
    bool writable = made && access(cli->client.home, W_OK) == 0;
    check_line(list, writable, "home", cli->client.home, "choose another folder: --home DIR");
    if (made && statvfs(cli->client.home, &disk) == 0) {
        uint64_t mib = (uint64_t)disk.f_bavail * disk.f_frsize >> 20;
        snprintf(text, sizeof text, "%llu MiB free", (unsigned long long)mib);
        check_line(list, mib > 256, "disk", text,
                   "make room, or choose another folder: --home DIR");
    }
    uint64_t begin = qn_env_mono_us(qn_env_real());
    snprintf(path, sizeof path, "%s/doctor.tmp", cli->client.home);
    if (writable && qn_file_write(path, QN_SPAN_STR("x"), 0600, &why) == QN_OK) {
        uint64_t us = qn_env_mono_us(qn_env_real()) - begin;
        snprintf(text, sizeof text, "a synced write takes %.2f ms", (double)us / 1000);
        check_line(list, us < 100000, "sync", text, "put --home on an SSD");
        unlink(path);
    }
    check_line(list, qn_env_now_ms(qn_env_real()) > UINT64_C(1700000000000), "clock",
               "after November 2023", "sudo timedatectl set-ntp true");
    check_line(list, access("/proc/sys/user/max_user_namespaces", F_OK) == 0, "namespaces",
               "user namespaces of the kernel", "sysctl kernel.unprivileged_userns_clone=1");
    bool all = true;
    for (size_t i = 0; i < json_array_size(list); i++)
        all &=
            strcmp(json_string_value(json_object_get(json_array_get(list, i), "state")), "ok") == 0;
    qn_print(cli, list);
    json_decref(list);
    return all ? 0 : qn_err_exit(QN_E_SYSTEM);
}

static int verb_version(struct qn_cli *cli)
{
    bool licences = cli->argc && strcmp(cli->argv[0], "--licences") == 0;
    return cli->argc > licences ? usage(cli, "version takes --json and --licences")
                                : qn_version(cli->json, licences);
}

static int verb_help(struct qn_cli *cli)
{
    return qn_help(cli->argc > 0 ? cli->argv[0] : NULL, cli->argc > 1 ? cli->argv[1] : NULL);
}

static int verb_completion(struct qn_cli *cli)
{
    return cli->argc == 1 ? qn_completion(cli->argv[0])
                          : usage(cli, "completion takes bash, zsh or fish");
}

static bool take_word(struct qn_cli *cli, const char *word)
{
    for (int i = 0; i < cli->argc; i++) {
        if (strcmp(cli->argv[i], word) != 0) continue;
        memmove(cli->argv + i, cli->argv + i + 1, (size_t)(cli->argc - i - 1) * sizeof *cli->argv);
        cli->argc--;
        return true;
    }
    return false;
}

static int verb_demo(struct qn_cli *cli)
{
    const char *seed = flag(cli, "seed");
    bool keep = take_word(cli, "--keep");
    struct qn_span script;
    if (take_word(cli, "--show-script") && qn_embed_get("lua/lego/fashion.lua", &script))
        return fwrite(script.ptr, 1, script.len, stdout) == script.len ? 0 : 5;
    if (cli->argc || (seed && (!*seed || seed[strspn(seed, "0123456789")])))
        return usage(cli, "demo takes --seed NUMBER, --home, --keep, --show-script, --json");
    return qn_demo(cli, seed ? seed : "1", keep);
}

static const struct {
    const char *noun, *verb;
    int (*run)(struct qn_cli *cli);
} OWN[] = {
    { "demo", NULL, verb_demo },
    { "lua", NULL, qn_script_lua },
    { "up", NULL, verb_up },
    { "down", NULL, verb_down },
    { "status", NULL, verb_status },
    { "doctor", NULL, verb_doctor },
    { "explain", NULL, verb_explain },
    { "call", NULL, verb_call },
    { "version", NULL, verb_version },
    { "help", NULL, verb_help },
    { "completion", NULL, verb_completion },
    { "config", "modules", verb_modules },
    { "wallet", "new", verb_wallet_new },
    { "wallet", "list", verb_wallet_list },
    { "wallet", "balance", verb_wallet_balance },
    { "ledger", "prove", verb_ledger_prove },
    { "ledger", "verify", verb_ledger_verify },
    { "ledger", "replay", verb_ledger_replay },
};

/* --- fields from words ------------------------------------------------------------------------------------------ */

static qn_rc set_field(const struct qn_cli *cli, json_t *obj, const struct qn_field *f,
                       const char *text, struct qn_why *why)
{
    char hex[65];
    json_t *val = NULL;
    if (f->type == QN_T_REC || f->type == QN_T_OPT_REC || f->type == QN_T_VEC_REC ||
        (f->type >= QN_T_VEC_U32 && text[0] == '['))
        val = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    else if ((f->type == QN_T_HASH || f->type == QN_T_OPT_HASH) && text[0] == '@') {
        if (account_named(cli, text + 1, hex,
                          why)) /* @alice: the account of a key of this wallet */
            return QN_E_NOTFOUND;
        val = json_string(hex);
    } else if (text[0] == '@' &&
               (f->type == QN_T_STR || f->type == QN_T_BYTES)) { /* @FILE: its content */
        struct qn_buf file = { 0 };
        qn_rc rc = qn_file_read(text + 1, 1u << 20, &file, why);
        if (rc) return rc;
        if (f->type == QN_T_BYTES) {
            char *digits = malloc(2 * file.len + 1);
            QN_ASSERT(digits != NULL);
            qn_hex(file.ptr, file.len, digits);
            val = json_string(digits);
            free(digits);
        } else {
            val = json_stringn((const char *)file.ptr, file.len);
        }
        qn_buf_free(&file);
    } else {
        val = json_string(text);
    }
    if (!val) return qn_why(why, QN_E_USAGE, "--%s: expected JSON or clean text", f->name);
    json_object_set_new(obj, f->name, val);
    return QN_OK;
}

/* Words to fields: --name value, --name=value, a flag alone, and bare values for the fields in order (of order, a list of names, or of the record). */
static qn_rc fields_of(struct qn_cli *cli, const struct qn_record *rec, const char *order,
                       json_t *obj, struct qn_why *why)
{
    uint32_t bare = 0;
    for (int i = 0; i < cli->argc; i++) {
        char name[65] = "";
        const char *val = NULL;
        const struct qn_field *f = NULL;
        if (strncmp(cli->argv[i], "--", 2) == 0) {
            const char *eq = strchr(cli->argv[i], '=');
            snprintf(name, sizeof name, "%.*s",
                     eq ? (int)QN_MIN(eq - cli->argv[i] - 2, (ptrdiff_t)64) : 64, cli->argv[i] + 2);
            for (char *c = name; *c; c++)
                if (*c == '-') *c = '_';
            if (strcmp(name, "timeout_ms") == 0) {
                json_object_set_new(obj, name,
                                    json_string(eq                  ? eq + 1
                                                : i + 1 < cli->argc ? cli->argv[++i]
                                                                    : ""));
                continue;
            }
            f = rec ? qn_field_find(rec, name) : NULL;
            if (!f) return qn_why(why, QN_E_USAGE, "there is no flag --%s here", name);
            if (eq)
                val = eq + 1;
            else if (f->type == QN_T_BOOL &&
                     (i + 1 == cli->argc || strncmp(cli->argv[i + 1], "--", 2) == 0))
                val = "true";
            else if (i + 1 < cli->argc)
                val = cli->argv[++i];
            else
                return qn_why(why, QN_E_USAGE, "--%s wants a value", name);
        } else {
            const char *at = order;
            for (uint32_t k = 0; at && k < bare; k++) {
                at += strcspn(at, " ");
                at += *at == ' ';
            }
            if (at) snprintf(name, sizeof name, "%.*s", (int)strcspn(at, " "), at);
            f = order                          ? (rec && name[0] ? qn_field_find(rec, name) : NULL)
                : rec && bare < rec->field_cnt ? &rec->fields[bare]
                                               : NULL;
            bare++;
            if (!f) return qn_why(why, QN_E_USAGE, "\"%.60s\" is one word too many", cli->argv[i]);
            val = cli->argv[i];
        }
        qn_rc rc = set_field(cli, obj, f, val, why);
        if (rc) return rc;
    }
    return QN_OK;
}

static int run_call(struct qn_cli *cli, const struct qn_call *call)
{
    struct qn_why why = { "" };
    json_t *params = json_object();
    qn_rc rc = fields_of(cli, call->params ? call->params() : NULL, call->args ? call->args : "",
                         params, &why);
    if (rc) {
        json_decref(params);
        return qn_fail(cli, rc, &why);
    }
    return call_print(cli, call->name, params);
}

static int run_local(struct qn_cli *cli, const struct qn_local *local)
{
    struct qn_why why = { "" };
    struct qn_locals keep = { 0 };
    json_t *params = json_object(), *result = NULL;
    qn_rc rc = qn_crypto_init();
    if (rc == QN_OK)
        rc = fields_of(cli, local->params ? local->params() : NULL, local->args ? local->args : "",
                       params, &why);
    if (rc == QN_OK) rc = qn_local_run(&cli->client, &keep, local, cli->as, params, &result, &why);
    qn_locals_end(&keep);
    json_decref(params);
    if (rc) return qn_fail(cli, rc, &why);
    qn_print(cli, result);
    json_decref(result);
    return 0;
}

static int run_tx(struct qn_cli *cli, const struct qn_tx_kind *kind)
{
    struct qn_why why = { "" };
    struct qn_hash mandate;
    json_t *fields = json_object(), *receipt = NULL;
    qn_rc rc = qn_crypto_init();
    if (rc == QN_OK) rc = fields_of(cli, kind->body(), NULL, fields, &why);
    if (rc == QN_OK && cli->mandate && !qn_unhex(cli->mandate, strlen(cli->mandate), mandate.b, 32))
        rc = qn_why(&why, QN_E_USAGE, "--mandate takes 64 hex digits");
    if (rc == QN_OK)
        rc = qn_client_tx(&cli->client, kind->name, fields, cli->as, cli->mandate ? &mandate : NULL,
                          cli->wait, &receipt, &why);
    json_decref(fields);
    if (rc) return qn_fail(cli, rc, &why);
    qn_print(cli, receipt);
    json_decref(receipt);
    return 0;
}

/* --- the whole line ----------------------------------------------------------------------------------------------- */

/* How far two words are apart (Levenshtein), for suggestions; words of at most 40 letters. */
static unsigned apart(const char *a, const char *b)
{
    unsigned row[42];
    size_t m = QN_MIN(strlen(b), (size_t)40);
    for (unsigned j = 0; j <= m; j++)
        row[j] = j;
    for (unsigned i = 1; a[i - 1] && i <= 40; i++) {
        unsigned diag = row[0];
        row[0] = i;
        for (size_t j = 1; j <= m; j++) {
            unsigned up = row[j], cost = diag + (a[i - 1] != b[j - 1]);
            diag = up;
            row[j] = QN_MIN(QN_MIN(up, row[j - 1]) + 1, cost);
        }
    }
    return row[m];
}

static void nearest(const char *asked, const char *name, unsigned *best, char dst[80])
{
    char spaced[80];
    snprintf(spaced, sizeof spaced, "%s", name);
    for (char *c = spaced; *c; c++)
        if (*c == '.') *c = ' ';
    unsigned d = apart(asked, spaced);
    if (d < *best) {
        *best = d;
        memcpy(dst, spaced, sizeof spaced);
    }
}

static int unknown(const struct qn_cli *cli, const char *noun, const char *verb)
{
    char asked[80], near[80] = "";
    unsigned best = 4;
    struct qn_why why;
    const struct qn_call *c;
    const struct qn_tx_kind *t;
    const struct qn_local *l;
    const struct qn_module *mod;
    snprintf(asked, sizeof asked, "%s%s%s", noun, verb ? " " : "", verb ? verb : "");
    for (size_t i = 0; i < QN_COUNT(OWN); i++) {
        char own[80];
        snprintf(own, sizeof own, "%s%s%s", OWN[i].noun, OWN[i].verb ? " " : "",
                 OWN[i].verb ? OWN[i].verb : "");
        nearest(asked, own, &best, near);
    }
    for (size_t i = 0; (c = qn_call_at(i)); i++)
        nearest(asked, c->name, &best, near);
    for (size_t i = 0; (t = qn_txkind_at(i)); i++)
        nearest(asked, t->name, &best, near);
    for (size_t i = 0; (l = qn_local_at(i)); i++)
        nearest(asked, l->name, &best, near);
    for (size_t m = 0; (mod = qn_module_at(m)); m++)
        for (const struct qn_verb *v = mod->verbs; v && v->name; v++)
            nearest(asked, v->name, &best, near);
    qn_why(&why, QN_E_USAGE, "there is no command \"%s\"%s%s%s", asked,
           near[0] ? "; did you mean \"quoin " : "", near, near[0] ? "\"?" : "");
    return qn_fail(cli, QN_E_USAGE, &why);
}

static int dispatch(struct qn_cli *cli)
{
    char *noun = cli->argv[0], *verb = cli->argc > 1 ? cli->argv[1] : NULL;
    char dotted[80], spaced[80];
    for (size_t i = 0; i < QN_COUNT(OWN); i++) {
        int words = OWN[i].verb ? 2 : 1;
        if (strcmp(OWN[i].noun, noun) != 0 ||
            (words == 2 && (!verb || strcmp(OWN[i].verb, verb) != 0)))
            continue;
        if (cli->help) return qn_help(OWN[i].noun, OWN[i].verb);
        cli->argv += words;
        cli->argc -= words;
        return OWN[i].run(cli);
    }
    if (!verb || verb[0] == '-') return qn_help(noun, NULL);
    snprintf(dotted, sizeof dotted, "%s.%s", noun, verb);
    snprintf(spaced, sizeof spaced, "%s %s", noun, verb);
    const struct qn_module *mod;
    for (size_t m = 0; (mod = qn_module_at(m)); m++)
        for (const struct qn_verb *v = mod->verbs; v && v->name; v++)
            if (strcmp(v->name, spaced) == 0)
                return cli->help ? qn_help(noun, verb)
                                 : v->run(cli->argc - 2, cli->argv + 2, cli->json);
    const struct qn_call *call = qn_call_find(dotted);
    const struct qn_tx_kind *kind = qn_txkind_find(dotted);
    const struct qn_local *local = qn_local_find(dotted);
    if (!call && !kind && !local) return unknown(cli, noun, verb);
    if (cli->help) return qn_help(noun, verb);
    cli->argv += 2;
    cli->argc -= 2;
    if (local) return run_local(cli, local);
    return call && !(kind && cli->argc > 1) ? run_call(cli, call) : run_tx(cli, kind);
}

int qn_cli_main(int argc, char **argv)
{
    struct qn_cli cli = { .as = "owner", .wait = true, .argv = argv };
    signal(SIGPIPE, SIG_DFL);
    bool words_only = false;
    for (int i = 1; i < argc; i++) {
        const char *a = argv[i];
        const char **val = strcmp(a, "--home") == 0 || strcmp(a, "--data") == 0 ? &cli.home
                           : strcmp(a, "--node") == 0                           ? &cli.node
                           : strcmp(a, "--as") == 0                             ? &cli.as
                           : strcmp(a, "--mandate") == 0                        ? &cli.mandate
                                                                                : NULL;
        if (words_only)
            argv[cli.argc++] = argv[i];
        else if (strcmp(a, "--") == 0)
            words_only = true;
        else if (val && i + 1 < argc)
            *val = argv[++i];
        else if (val)
            return usage(&cli, "the last flag wants a value");
        else if (strcmp(a, "--json") == 0)
            cli.json = true;
        else if (strcmp(a, "-q") == 0)
            cli.quiet = true;
        else if (strcmp(a, "--no-wait") == 0)
            cli.wait = false;
        else if (strcmp(a, "-h") == 0 || strcmp(a, "--help") == 0)
            cli.help = true;
        else if (strcmp(a, "--version") == 0)
            return qn_version(cli.json, false);
        else
            argv[cli.argc++] = argv[i];
    }
    qn_client_init(&cli.client, cli.home, cli.node);
    if (cli.argc == 0) return qn_help(NULL, NULL);
    return dispatch(&cli);
}
