/* complete.c - completion: each shell asks `quoin __complete WORD..` for what may follow; ids come from the node, which has 200 ms. */
#include "core/cli/cli.h"
#include "core/cli/config.h"

#include <stdio.h>
#include <string.h>

bool qn_completion(const char *shell)
{
    if (strcmp(shell, "bash") == 0)
        fputs("_quoin() {\n"
              "  local cur=${COMP_WORDS[COMP_CWORD]}\n"
              "  local IFS=$'\\n'\n"
              "  COMPREPLY=($(compgen -W \"$(\"${COMP_WORDS[0]}\" __complete "
              "\"${COMP_WORDS[@]:1:COMP_CWORD-1}\" 2>/dev/null)\" -- \"$cur\"))\n"
              "}\n"
              "complete -o default -F _quoin quoin\n",
              stdout);
    else if (strcmp(shell, "zsh") == 0)
        fputs("#compdef quoin\n"
              "_quoin() {\n"
              "  local -a found\n"
              "  found=(${(f)\"$(${words[1]} __complete ${words[2,CURRENT-1]} 2>/dev/null)\"})\n"
              "  (( $#found )) && compadd -a found || _files\n"
              "}\n"
              "if [ \"$funcstack[1]\" = _quoin ]; then _quoin \"$@\"; else compdef _quoin quoin; "
              "fi\n",
              stdout);
    else if (strcmp(shell, "fish") == 0)
        fputs("complete -c quoin -a '(set -l w (commandline -opc); $w[1] __complete $w[2..-1] "
              "2>/dev/null)'\n",
              stdout);
    else
        return false;
    return true;
}

/* What the command that cli's words begin with takes as positional word idx, when the node can list it: ids of the noun. */
static void ids(struct qn_cli *cli, const char *noun)
{
    char name[80];
    struct qn_why why;
    json_t *list = NULL, *row;
    size_t i;
    snprintf(name, sizeof name, "%.60s.list", noun);
    const struct qn_call *call = qn_call_find(name);
    if (!call || !(call->flags & QN_CALL_QUERY)) return;
    cli->client.timeout_ms = 200;
    if (qn_client_call(&cli->client, name, NULL, &list, &why) == QN_OK)
        json_array_foreach(list, i, row)
        {
            const json_t *id = json_object_get(row, "id"), *height = json_object_get(row, "height");
            if (json_is_string(id)) printf("%s\n", json_string_value(id));
            if (!id && json_is_integer(height))
                printf("%lld\n", (long long)json_integer_value(height));
        }
    json_decref(list);
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
    struct qn_cmd cmd, before;
    for (size_t i = 0; qn_cmd_at(i, &cmd); i++) {
        bool seen = false;
        size_t len = strcspn(cmd.name, " ");
        for (size_t k = 0; k < i && !seen && qn_cmd_at(k, &before); k++)
            seen = strcspn(before.name, " ") == len && strncmp(before.name, cmd.name, len) == 0;
        if (!seen) printf("%.*s\n", (int)len, cmd.name);
    }
}

/* What a flag of `up` takes, where that is one of a few words; false: it is no flag with a value. */
static bool up_values(const char *flag)
{
    static const char *const WORDS[][2] = { { "sync", "auto\nsnapshot\nblocks" },
                                            { "nat", "auto\noff\nnatpmp\nupnp" } };
    const struct qn_conf_row *row;
    const struct qn_module *mod;
    if (strncmp(flag, "--", 2) != 0) return false;
    flag += 2;
    for (size_t i = 0; i < QN_COUNT(WORDS); i++)
        if (strcmp(WORDS[i][0], flag) == 0) puts(WORDS[i][1]);
    if (strcmp(flag, "enable") == 0 || strcmp(flag, "disable") == 0)
        for (size_t i = 0; (mod = qn_module_at(i)); i++)
            puts(mod->name);
    for (size_t i = 0; (row = qn_conf_row_at(i)); i++)
        if (strcmp(row->flag, flag) == 0) return true;
    return false;
}

/* The flags of a verb of this process: those that its words for people name, and where its home is. */
static void own_flags(const struct qn_cmd *cmd)
{
    const struct qn_conf_row *row;
    for (const char *at = cmd->args; (at = strstr(at, "--")); at += 2) {
        size_t len = strspn(at + 2, "abcdefghijklmnopqrstuvwxyz_-");
        if (len && strncmp(at, "--home", 6) != 0) printf("--%.*s\n", (int)len, at + 2);
    }
    if (strcmp(cmd->name, "up") == 0)
        for (size_t i = 0; (row = qn_conf_row_at(i)); i++)
            printf("--%s\n", row->flag);
    printf("--home\n--json\n");
}

int qn_complete(struct qn_cli *cli)
{
    struct qn_cmd cmd;
    char asked[80];
    int cnt = cli->argc - 1; /* without __complete */
    if (cnt == 0) {
        first_words();
        return 0;
    }
    if (strcmp(cli->argv[1], "up") == 0 && cnt > 1 && up_values(cli->argv[cnt])) return 0;
    for (size_t i = 0; qn_cmd_at(i, &cmd) && cmd.kind == QN_CMD_OWN; i++)
        if (strcmp(cmd.name, cli->argv[1]) == 0 && strchr(cmd.args, '-')) own_flags(&cmd);
    if (cnt == 1) {
        second_words(cli->argv[1]);
        if (strcmp(cli->argv[1], "completion") == 0) puts("bash\nzsh\nfish");
        if (strcmp(cli->argv[1], "explain") == 0)
            for (int rc = 1; rc < QN_RC_CNT; rc++)
                puts(qn_err_code((qn_rc)rc));
        return 0;
    }
    snprintf(asked, sizeof asked, "%.38s %.38s", cli->argv[1], cli->argv[2]);
    for (size_t i = 0; qn_cmd_at(i, &cmd); i++) {
        if (strcmp(cmd.name, asked) != 0) continue;
        if (cmd.kind == QN_CMD_OWN) own_flags(&cmd);
        for (uint32_t k = 0; cmd.fields && k < cmd.fields->field_cnt; k++)
            printf("--%s\n", cmd.fields->fields[k].name);
        if (cmd.args && strncmp(cmd.args, "id", 2) == 0) ids(cli, cli->argv[1]);
        if (cmd.args && strncmp(cmd.args, "height", 6) == 0) ids(cli, cli->argv[1]);
        break;
    }
    return 0;
}
