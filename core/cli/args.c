/* args.c - words to flags and fields. */
#include "core/cli/args.h"

#include "core/node/wallet.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- global flags ----------------------------------------------------------------------------------------------- */

bool qn_args_ms(const char *text, uint64_t *ret)
{
    char *end;
    if (*text < '0' || *text > '9') return false;
    unsigned long long n = strtoull(text, &end, 10);
    uint64_t unit = strcmp(end, "ms") == 0 || *end == 0 ? 1
                    : strcmp(end, "s") == 0             ? 1000
                    : strcmp(end, "m") == 0             ? 60000
                                                        : 0;
    if (unit == 0 || n > UINT32_MAX) return false;
    *ret = n * unit;
    return true;
}

bool qn_args_num(const char *text, uint64_t max, uint64_t *ret)
{
    uint64_t n = 0;
    if (!*text) return false;
    for (; *text; text++) {
        if (*text < '0' || *text > '9' || n > (UINT64_MAX - 9) / 10) return false;
        n = n * 10 + (uint64_t)(*text - '0');
    }
    if (n > max) return false;
    *ret = n;
    return true;
}

/* The place of a global flag that takes a text, or NULL. */
static const char **text_flag(struct qn_cli *cli, const char *name)
{
    const struct {
        const char *name, **val;
    } flags[] = { { "--home", &cli->home },       { "--data", &cli->home },
                  { "--node", &cli->node },       { "--as", &cli->as },
                  { "--mandate", &cli->mandate }, { "--config", &cli->config },
                  { "--fields", &cli->fields } };
    for (size_t i = 0; i < QN_COUNT(flags); i++)
        if (strcmp(flags[i].name, name) == 0) return flags[i].val;
    return NULL;
}

/* A flag with a value that is checked here. */
static qn_rc value_flag(struct qn_cli *cli, const char *name, const char *val, struct qn_why *why)
{
    if (strcmp(name, "--timeout") == 0) {
        if (!qn_args_ms(val, &cli->timeout_ms) || cli->timeout_ms == 0)
            return qn_why(why, QN_E_USAGE, "--timeout takes a time: 250ms, 30s, 5m");
    } else if (strcmp(name, "--wait") == 0) {
        if (strcmp(val, "final") != 0 && strcmp(val, "pool") != 0)
            return qn_why(why, QN_E_USAGE, "--wait takes final or pool");
        cli->wait = val[0] == 'f';
    } else {
        if (cli->set_cnt == QN_CLI_SETS_MAX)
            return qn_why(why, QN_E_USAGE, "more than %d --set", QN_CLI_SETS_MAX);
        if (!strchr(val, '=')) return qn_why(why, QN_E_USAGE, "--set takes KEY=VALUE");
        cli->sets[cli->set_cnt++] = val;
    }
    return QN_OK;
}

static bool is_value_flag(const char *name)
{
    return strcmp(name, "--timeout") == 0 || strcmp(name, "--wait") == 0 ||
           strcmp(name, "--set") == 0;
}

/* Whether the command that the words so far begin has a field of that name, which then is what a flag behind it means: `mandate revoke
 * --mandate ID`. */
static bool is_field(const struct qn_cli *cli, const char *flag)
{
    struct qn_cmd cmd;
    char spaced[80];
    if (cli->argc < 2 || strncmp(flag, "--", 2) != 0) return false;
    snprintf(spaced, sizeof spaced, "%.38s %.38s", cli->argv[0], cli->argv[1]);
    for (size_t i = 0; qn_cmd_at(i, &cmd); i++)
        if (strcmp(cmd.name, spaced) == 0)
            return cmd.fields && qn_field_find(cmd.fields, flag + 2) != NULL;
    return false;
}

qn_rc qn_args_global(struct qn_cli *cli, int argc, char **argv, bool *ret_version,
                     struct qn_why *why)
{
    bool words_only = false;
    *ret_version = false;
    cli->argv = argv;
    for (int i = 1; i < argc; i++) {
        const char *a = argv[i];
        const char **val = words_only ? NULL : text_flag(cli, a);
        /* `bid put --node 5f3a..` names a machine by its hash; an address is where the caller's node listens, there too. */
        bool address = val == &cli->node && i + 1 < argc &&
                       (argv[i + 1][0] == '/' || strchr(argv[i + 1], ':'));
        if (val && !address && is_field(cli, a)) val = NULL;
        if (words_only)
            argv[cli->argc++] = argv[i];
        else if (strcmp(a, "--") == 0)
            words_only = true;
        else if ((val || is_value_flag(a)) && (i + 1 == argc || !*argv[i + 1]))
            return qn_why(why, QN_E_USAGE, "%.40s wants a value", a);
        else if (val == &cli->node && !address)
            return qn_why(why, QN_E_USAGE,
                          "--node takes the path of a socket or IP:PORT, not \"%.60s\"",
                          argv[i + 1]);
        else if (val)
            *val = argv[++i];
        else if (is_value_flag(a)) {
            qn_rc rc = value_flag(cli, a, argv[++i], why);
            if (rc) return rc;
        } else if (strcmp(a, "--json") == 0)
            cli->json = true;
        else if (strcmp(a, "--no-header") == 0)
            cli->no_header = true;
        else if (strcmp(a, "-q") == 0)
            cli->quiet = true;
        else if (strcmp(a, "--no-wait") == 0)
            cli->wait = false;
        else if (strcmp(a, "-h") == 0 || strcmp(a, "--help") == 0)
            cli->help = true;
        else if (strcmp(a, "--version") == 0)
            *ret_version = true;
        else
            argv[cli->argc++] = argv[i];
    }
    return QN_OK;
}

/* --- a command's own ---------------------------------------------------------------------------------------------- */

const char *qn_args_flag(struct qn_cli *cli, const char *name)
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

bool qn_args_word(struct qn_cli *cli, const char *word)
{
    for (int i = 0; i < cli->argc; i++) {
        if (strcmp(cli->argv[i], word) != 0) continue;
        memmove(cli->argv + i, cli->argv + i + 1, (size_t)(cli->argc - i - 1) * sizeof *cli->argv);
        cli->argc--;
        return true;
    }
    return false;
}

qn_rc qn_args_account(const struct qn_cli *cli, const char *text, char hex[65], struct qn_why *why)
{
    struct qn_hash acct;
    struct qn_key key;
    if (qn_addr_parse(text, &acct)) {
        if (strncmp(text, "qn1", 3) == 0)
            return qn_why(why, QN_E_USAGE, "%.80s is no address", text);
        qn_rc rc = qn_wallet_load(cli->client.home, text, &key, why);
        if (rc) return rc;
        acct = qn_acct_key(&key.pub);
        qn_key_wipe(&key);
    }
    qn_hex(acct.b, 32, hex);
    return QN_OK;
}

/* --- fields from words -------------------------------------------------------------------------------------------- */

static qn_rc set_field(const struct qn_cli *cli, json_t *obj, const struct qn_field *f,
                       const char *text, struct qn_why *why)
{
    char hex[65];
    struct qn_hash acct;
    json_t *val = NULL;
    if (f->type == QN_T_REC || f->type == QN_T_OPT_REC || f->type == QN_T_VEC_REC ||
        (f->type >= QN_T_VEC_U32 && text[0] == '['))
        val = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    else if ((f->type == QN_T_HASH || f->type == QN_T_OPT_HASH) && text[0] == '@') {
        qn_rc rc = qn_args_account(cli, text + 1, hex, why); /* @alice: a key of this wallet */
        if (rc) return rc;
        val = json_string(hex);
    } else if ((f->type == QN_T_HASH || f->type == QN_T_OPT_HASH) && strncmp(text, "qn1", 3) != 0 &&
               !qn_unhex(text, strlen(text), acct.b, 32)) {
        return qn_why(why, QN_E_USAGE,
                      "%s: expected 64 hex digits, an address qn1.. or @NAME of a key", f->name);
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

/* Names the nearest flag there is, or all of them. */
static qn_rc no_flag(const char *name, const struct qn_record *rec, struct qn_why *why)
{
    struct qn_nearest n;
    struct qn_buf all = { 0 };
    qn_nearest_init(&n, name);
    for (uint32_t i = 0; rec && i < rec->field_cnt; i++) {
        qn_nearest_offer(&n, rec->fields[i].name);
        qn_buf_printf(&all, " --%s", rec->fields[i].name);
    }
    if (n.near[0])
        qn_why(why, QN_E_USAGE, "there is no flag --%s here; did you mean --%s?", name, n.near);
    else
        qn_why(why, QN_E_USAGE, "there is no flag --%s here, %s%.*s", name,
               all.len ? "only" : "nor any other", (int)all.len,
               all.len ? (const char *)all.ptr : "");
    qn_buf_free(&all);
    return QN_E_USAGE;
}

qn_rc qn_args_fields(struct qn_cli *cli, const struct qn_record *rec, const char *order,
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
            if (!f) return no_flag(name, rec, why);
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

/* --- suggestions -------------------------------------------------------------------------------------------------- */

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

void qn_nearest_init(struct qn_nearest *n, const char *asked)
{
    size_t len = strlen(asked); /* letters; further off is another word */
    *n = (struct qn_nearest){ .best = len < 4 ? 2 : (unsigned)QN_MIN(len / 3 + 2, (size_t)4) };
    snprintf(n->asked, sizeof n->asked, "%s", asked);
}

void qn_nearest_offer(struct qn_nearest *n, const char *word)
{
    char spaced[80];
    snprintf(spaced, sizeof spaced, "%s", word);
    for (char *c = spaced; *c; c++)
        if (*c == '.') *c = ' ';
    unsigned d = apart(n->asked, spaced);
    if (d < n->best) {
        n->best = d;
        memcpy(n->near, spaced, sizeof spaced);
    }
}
