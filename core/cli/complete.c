/* complete.c - completion: each shell asks `quoin __complete WORD..` for what may follow, with the word that is begun in QUOIN_CUR; ids come from the
 * node, which has 200 ms. Nothing printed: the shell offers files. */
#include "core/cli/args.h"
#include "core/cli/config.h"
#include "core/node/wallet.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool qn_completion(const char *shell)
{
    if (strcmp(shell, "bash") == 0)
        fputs("_quoin() {\n"
              "  local cur=${COMP_WORDS[COMP_CWORD]}\n"
              "  local IFS=$'\\n'\n"
              "  COMPREPLY=($(compgen -W \"$(QUOIN_CUR=$cur \"${COMP_WORDS[0]}\" __complete "
              "\"${COMP_WORDS[@]:1:COMP_CWORD-1}\" 2>/dev/null)\" -- \"$cur\"))\n"
              "}\n"
              "complete -o default -F _quoin quoin\n",
              stdout);
    else if (strcmp(shell, "zsh") == 0)
        fputs("#compdef quoin\n"
              "_quoin() {\n"
              "  local -a found\n"
              "  found=(${(f)\"$(QUOIN_CUR=${words[CURRENT]} ${words[1]} __complete "
              "${words[2,CURRENT-1]} 2>/dev/null)\"})\n"
              "  (( $#found )) && compadd -a found || _files\n"
              "}\n"
              "if [ \"$funcstack[1]\" = _quoin ]; then _quoin \"$@\"; else compdef _quoin quoin; "
              "fi\n",
              stdout);
    else if (strcmp(shell, "fish") == 0)
        fputs("function __quoin\n"
              "  set -l words (commandline -opc)\n"
              "  set -l cur (commandline -ct)\n"
              "  set -l found (QUOIN_CUR=$cur $words[1] __complete $words[2..-1] 2>/dev/null)\n"
              "  if set -q found[1]\n"
              "    printf '%s\\n' $found\n"
              "  else\n"
              "    __fish_complete_path $cur\n"
              "  end\n"
              "end\n"
              "complete -c quoin -f -a '(__quoin)'\n",
              stdout);
    else
        return false;
    return true;
}

/* --- what there is to choose from ----------------------------------------------------------------------------------------- */

static void words(const char *list) /* "a|b" */
{
    for (size_t n; *list; list += n + (list[n] == '|'))
        if ((n = strcspn(list, "|"))) printf("%.*s\n", (int)n, list);
}

static void keys(const struct qn_cli *cli, const char *before)
{
    json_t *list = NULL, *row;
    size_t i;
    if (qn_crypto_init() == QN_OK && qn_wallet_list(cli->client.home, &list, NULL) != QN_E_BUG)
        json_array_foreach(list, i, row)
            printf("%s%s\n", before, json_string_value(json_object_get(row, "name")));
    json_decref(list);
}

/* Of each row that a call lists, what names it: its id, else its first field. False: there is no such call. */
static bool ids(struct qn_cli *cli, const char *noun, const char *verb)
{
    char name[80];
    struct qn_why why;
    json_t *list = NULL, *row;
    size_t i;
    snprintf(name, sizeof name, "%.40s.%.30s", noun, verb);
    const struct qn_call *call = qn_call_find(name);
    if (!call || !(call->flags & QN_CALL_MANY)) return false;
    cli->client.timeout_ms = 200;
    if (qn_client_call(&cli->client, name, NULL, &list, &why) == QN_OK)
        json_array_foreach(list, i, row)
        {
            const json_t *id = json_object_get(row, "id");
            if (!id) id = json_object_iter_value(json_object_iter(row));
            if (json_is_string(id)) printf("%s\n", json_string_value(id));
            if (json_is_integer(id)) printf("%lld\n", (long long)json_integer_value(id));
        }
    json_decref(list);
    return true;
}

static void tables(void)
{
    const struct qn_table *table;
    for (size_t i = 0; (table = qn_table_at(i)); i++)
        puts(table->name);
}

static void codes(void)
{
    for (int rc = 1; rc < QN_RC_CNT; rc++)
        puts(qn_err_code((qn_rc)rc));
}

static void calls(void)
{
    const struct qn_call *call;
    for (size_t i = 0; (call = qn_call_at(i)); i++)
        puts(call->name);
}

static void settings(const char *before)
{
    const struct qn_conf_row *row;
    for (size_t i = 0; (row = qn_conf_row_at(i)); i++)
        printf("%s%s\n", before, *before ? row->flag : row->name);
}

static void second_words(const char *noun)
{
    struct qn_cmd cmd;
    size_t len = strlen(noun);
    for (size_t i = 0; qn_cmd_at(i, &cmd); i++)
        if (strncmp(cmd.name, noun, len) == 0 && cmd.name[len] == ' ')
            printf("%s\n", cmd.name + len + 1);
}

static void first_words(void)
{
    struct qn_cmd cmd;
    char seen[4096] = "\n"; /* each between two ends of lines */
    for (size_t i = 0; qn_cmd_at(i, &cmd); i++) {
        char word[82];
        snprintf(word, sizeof word, "\n%.*s\n", (int)strcspn(cmd.name, " "), cmd.name);
        if (strstr(seen, word) || strlen(seen) + strlen(word) >= sizeof seen) continue;
        snprintf(seen + strlen(seen), sizeof seen - strlen(seen), "%s", word + 1);
        fputs(word + 1, stdout);
    }
}

/* What a setting takes; row is found by its name or by its flag. False: there is none. */
static bool setting_values(const char *name)
{
    const struct qn_conf_row *row;
    const struct qn_module *mod;
    for (size_t i = 0; (row = qn_conf_row_at(i)); i++) {
        if (strcmp(row->flag, name) != 0 && strcmp(row->name, name) != 0) continue;
        if (qn_conf_words(i)) words(qn_conf_words(i));
        if (i == QN_CONF_modules || i == QN_CONF_disable)
            for (size_t m = 0; (mod = qn_module_at(m)); m++)
                puts(mod->name);
        return true;
    }
    return false;
}

/* --- where the cursor is -------------------------------------------------------------------------------------------------- */

struct place {
    struct qn_cmd cmd;
    uint32_t bare;        /* words without a flag that stand before, behind the command */
    const char *word;     /* the last of them */
    const char *flag;     /* whose value is asked, without its --; NULL: none's */
    bool begun_flag, any; /* the word that is begun is a flag; nothing is known of it */
};

/* Whether a flag of this command is followed by a value. */
static bool takes_value(const struct qn_cmd *cmd, const char *flag)
{
    if (cmd->fields) {
        const struct qn_field *f = qn_field_find(cmd->fields, flag);
        return f && f->type != QN_T_BOOL;
    }
    if (strcmp(cmd->name, "up") == 0) return true;
    size_t len = strlen(flag);
    for (const char *at = cmd->args; at && (at = strstr(at, "--")); at += 2)
        if (strncmp(at + 2, flag, len) == 0 && at[2 + len] == ' ' && at[3 + len] >= 'A' &&
            at[3 + len] <= 'Z')
            return true;
    return false;
}

static bool find(const struct qn_cli *cli, struct place *ret)
{
    struct qn_cmd cmd;
    const char *cur = getenv("QUOIN_CUR");
    int used = 0;
    *ret = (struct place){ .begun_flag = cur && cur[0] == '-', .any = !cur };
    for (size_t i = 0; qn_cmd_at(i, &cmd); i++) {
        const char *space = strchr(cmd.name, ' ');
        size_t len = strcspn(cmd.name, " ");
        int cnt = space ? 2 : 1;
        if (cnt <= used || cli->argc < 1 + cnt || strlen(cli->argv[1]) != len ||
            strncmp(cli->argv[1], cmd.name, len) != 0 ||
            (space && strcmp(cli->argv[2], space + 1) != 0))
            continue;
        ret->cmd = cmd;
        used = cnt;
    }
    for (int i = 1 + used; used && i < cli->argc; i++) {
        const char *word = cli->argv[i];
        bool flag = word[0] == '-' && word[1];
        const char *name = word + strspn(word, "-");
        if (flag && (strcmp(word, "-o") == 0 || takes_value(&ret->cmd, name))) {
            if (++i == cli->argc) ret->flag = name;
        } else if (!flag) {
            ret->bare++;
            ret->word = word;
        }
    }
    return used;
}

/* --- what may stand there --------------------------------------------------------------------------------------------------- */

static void field_values(struct qn_cli *cli, const char *noun, const struct qn_field *f)
{
    switch ((int)f->type) {
    case QN_T_ENUM: words(f->names); return;
    case QN_T_BOOL: words("true|false"); return;
    case QN_T_HASH:
    case QN_T_OPT_HASH:
        if (strcmp(f->name, "id") == 0 && ids(cli, noun, "list")) return;
        if (strcmp(f->name, "proposal") == 0 ? ids(cli, "gov", "list") : ids(cli, f->name, "list"))
            return;
        keys(cli, "@");
        return;
    case QN_T_STR:
        if (strcmp(noun, "net") == 0 &&
            (strcmp(f->name, "peer") == 0 || strcmp(f->name, "to") == 0))
            ids(cli, "net", "peers");
        if (strcmp(f->name, "table") == 0) tables();
        if (strcmp(f->name, "param") == 0) ids(cli, "param", "list");
        return;
    default:
        if (strcmp(f->name, "height") == 0 && strcmp(noun, "block") == 0) ids(cli, noun, "list");
        return;
    }
}

/* The field that bare word idx fills: of args, names in order, or of the record itself. */
static const struct qn_field *field_at(const struct qn_cmd *cmd, uint32_t idx)
{
    char name[65];
    const char *at = cmd->args;
    if (!cmd->fields) return NULL;
    if (!at) return idx < cmd->fields->field_cnt ? &cmd->fields->fields[idx] : NULL;
    for (uint32_t k = 0; k < idx; k++) {
        at += strcspn(at, " ");
        at += *at == ' ';
    }
    snprintf(name, sizeof name, "%.*s", (int)strcspn(at, " "), at);
    return name[0] ? qn_field_find(cmd->fields, name) : NULL;
}

/* Bare words of this process's own verbs; FILES: the shell knows better. */
static void own_values(struct qn_cli *cli, const struct place *p)
{
    enum what { FILES, KEYS, CODES, SHELLS, HELP, SETTINGS, TABLES, CALLS };
    static const struct {
        const char *name;
        enum what what;
    } VERBS[] = { { "wallet balance", KEYS }, { "explain", CODES },
                  { "completion", SHELLS },   { "help", HELP },
                  { "config set", SETTINGS }, { "ledger prove", TABLES },
                  { "ledger list", TABLES },  { "call", CALLS } };
    size_t i = 0;
    while (i < QN_COUNT(VERBS) && strcmp(VERBS[i].name, p->cmd.name) != 0)
        i++;
    switch (i < QN_COUNT(VERBS) ? VERBS[i].what : FILES) {
    case FILES: break;
    case KEYS:
        if (p->bare == 0) keys(cli, "");
        break;
    case CODES:
        if (p->bare == 0) codes();
        break;
    case SHELLS:
        if (p->bare == 0) words("bash|zsh|fish");
        break;
    case HELP:
        if (p->bare == 0) {
            first_words();
            puts("ref");
        } else if (p->bare == 1 && strcmp(p->word, "ref") == 0) {
            qn_ref_parts();
        } else if (p->bare == 1) {
            second_words(p->word);
        }
        break;
    case SETTINGS:
        if (p->bare == 0) settings("");
        if (p->bare == 1) (void)setting_values(p->word);
        break;
    case TABLES:
        if (p->bare == 0) tables();
        if (p->bare == 1) keys(cli, "@");
        break;
    case CALLS:
        if (p->bare == 0) calls();
        break;
    }
}

/* Whether a verb of this process takes words that are no flags: its words for people begin with one. */
static bool takes_words(const struct qn_cmd *cmd)
{
    const char *at = cmd->args ? cmd->args : "";
    if (cmd->fields || cmd->kind != QN_CMD_OWN) return false;
    at += *at == '[';
    return *at && *at != '-' && !(at[0] == 'N' && at[1] == ' ');
}

static void flag_values(struct qn_cli *cli, const struct place *p, const char *noun)
{
    const struct qn_field *f = p->cmd.fields ? qn_field_find(p->cmd.fields, p->flag) : NULL;
    if (f)
        field_values(cli, noun, f);
    else if (strcmp(p->cmd.name, "up") == 0)
        (void)setting_values(p->flag);
    else if (strcmp(p->flag, "key") == 0)
        keys(cli, "");
    else if (strcmp(p->flag, "from") == 0 || strcmp(p->flag, "to") == 0)
        keys(cli, "@");
}

/* The flags of a command: its fields, or those that its words for people name, and where its home is. */
static void flags(const struct qn_cmd *cmd)
{
    for (uint32_t k = 0; cmd->fields && k < cmd->fields->field_cnt; k++)
        printf("--%s\n", cmd->fields->fields[k].name);
    for (const char *at = cmd->args; cmd->kind == QN_CMD_OWN && (at = strstr(at, "--")); at += 2) {
        size_t len = strspn(at + 2, "abcdefghijklmnopqrstuvwxyz_-");
        if (len && strncmp(at, "--home", 6) != 0 && strncmp(at, "--json", 6) != 0 &&
            strncmp(at, "--as ", 5) != 0)
            printf("--%.*s\n", (int)len, at + 2);
    }
    if (strcmp(cmd->name, "up") == 0) settings("--");
    if (cmd->kind == QN_CMD_TX || strcmp(cmd->name, "validator create") == 0) puts("--as");
    puts("--home\n--json\n--help");
}

/* The value of a global flag; false: word is none. */
static bool global_value(const struct qn_cli *cli, const char *word)
{
    static const char *const TEXT[] = { "--home",   "--data",    "--node",  "--mandate",
                                        "--config", "--timeout", "--fields" };
    if (strcmp(word, "--as") == 0)
        keys(cli, "");
    else if (strcmp(word, "--wait") == 0)
        words("final|pool");
    else if (strcmp(word, "--set") == 0)
        settings("");
    else {
        for (size_t i = 0; i < QN_COUNT(TEXT); i++)
            if (strcmp(word, TEXT[i]) == 0) return true;
        return false;
    }
    return true;
}

int qn_complete(struct qn_cli *cli, const char *last)
{
    struct place p;
    char noun[80] = "";
    if (global_value(cli, last)) return 0;
    if (cli->argc == 1) { /* __complete alone */
        first_words();
        return 0;
    }
    snprintf(noun, sizeof noun, "%.79s", cli->argv[1]);
    bool found = find(cli, &p);
    if (p.begun_flag && !p.flag) {
        if (found) flags(&p.cmd);
        return 0;
    }
    if (cli->argc == 2) second_words(noun);
    if (!found) return 0;
    if (p.flag) {
        flag_values(cli, &p, noun);
        return 0;
    }
    const struct qn_field *f = field_at(&p.cmd, p.bare);
    if (f)
        field_values(cli, noun, f);
    else if (p.cmd.kind == QN_CMD_OWN)
        own_values(cli, &p);
    /* An older shell's script does not say what is begun. */
    if (p.any || !(f || takes_words(&p.cmd))) flags(&p.cmd);
    return 0;
}
