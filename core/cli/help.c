/* help.c - help, printed from the tables. */
#include "core/cli/cli.h"
#include "core/cli/config.h"

#include <stdio.h>
#include <string.h>

const struct qn_flag QN_FLAGS[] = {
#define FLAG(name, val, doc) { name, val, doc },
#include "core/cli/args.def"
#undef FLAG
    { 0 },
};

static void line(const struct qn_cmd *cmd)
{
    printf("  quoin %-26s %s\n", cmd->name, cmd->doc);
}

static void cmd_json(const struct qn_cmd *cmd)
{
    static const char *const KINDS[] = { "verb", "verb", "call", "local", "transaction" };
    struct qn_buf example = { 0 };
    qn_cmd_example(cmd, &example);
    json_t *one = json_pack("{s:s, s:s, s:s, s:s, s:s%}", "name", cmd->name, "kind",
                            KINDS[cmd->kind], "args", cmd->args ? cmd->args : "", "doc", cmd->doc,
                            "example", (char *)example.ptr, example.len);
    if (cmd->fields) json_object_set_new(one, "fields", qn_schema_json(cmd->fields));
    json_dumpf(one, stdout, JSON_COMPACT);
    putchar('\n');
    json_decref(one);
    qn_buf_free(&example);
}

void qn_help_first(const char *home)
{
    printf("quoin " QN_VERSION
           " - lease compute, train, score and prove models: one file, one network\n"
           "  quoin demo              the whole loop on this computer, then removed\n"
           "  quoin up                start a node; here a network of one\n"
           "  quoin doctor            look at this machine\n"
           "No node runs for %s.   All commands: quoin help\n",
           home);
}

static void overview(void)
{
    static const char *const PARTS[] = { "This program", "Modules' own", "Calls of a node",
                                         "On the caller's side",
                                         "Transactions, signed with --as KEY" };
    struct qn_cmd cmd;
    printf("quoin " QN_VERSION
           " - lease compute, train, score and prove models: one file, one network\n");
    for (int kind = QN_CMD_OWN; kind <= QN_CMD_TX; kind++) {
        bool any = false;
        for (size_t i = 0; qn_cmd_at(i, &cmd); i++) {
            if ((int)cmd.kind != kind) continue;
            if (!any) printf("\n%s:\n", PARTS[kind]);
            any = true;
            line(&cmd);
        }
    }
    puts("\nGlobal flags:");
    for (const struct qn_flag *f = QN_FLAGS; f->name; f++) {
        char form[40];
        snprintf(form, sizeof form, "%s %s", f->name, f->val);
        printf("  %-17s %s\n", form, f->doc);
    }
    printf("\nExample: quoin wallet send @alice 2.5QN --as owner\n"
           "Help: quoin help NOUN VERB     Reference: quoin help ref\n");
}

static void fields(const struct qn_record *rec)
{
    for (uint32_t i = 0; rec && i < rec->field_cnt; i++) {
        const struct qn_field *f = &rec->fields[i];
        printf("  --%-16s %-8s %s\n", f->name, qn_type_word(f->type), f->doc);
        if (f->type == QN_T_ENUM) printf("  %-18s %-8s one of %s\n", "", "", f->names);
    }
}

/* Of `up`: every setting is a flag of it. */
static void settings(void)
{
    const struct qn_conf_row *row;
    printf("Settings; quoin config show tells them all, with where each comes from:\n");
    for (size_t i = 0; (row = qn_conf_row_at(i)); i++)
        printf("  --%-16s %s%s%s%s\n", row->flag, row->doc, *row->def ? " [" : "", row->def,
               *row->def ? "]" : "");
}

static void one(const struct qn_cmd *cmd)
{
    struct qn_buf example = { 0 };
    bool up = strcmp(cmd->name, "up") == 0;
    qn_cmd_example(cmd, &example);
    printf("quoin %s %s%s\n  %s\n", cmd->name, cmd->args ? cmd->args : "",
           cmd->kind == QN_CMD_TX     ? "[VALUE..] [--FIELD VALUE..] --as KEY"
           : cmd->fields && cmd->args ? " [--FIELD VALUE..]"
           : cmd->fields              ? "[--FIELD VALUE..]"
                                      : "",
           cmd->doc);
    if (cmd->kind == QN_CMD_TX)
        printf("  A transaction. Values without a flag fill the fields in this order:\n");
    fields(cmd->fields);
    if (cmd->result) printf("Result: %s\n", cmd->result[0] ? cmd->result : "-");
    if (up) settings();
    printf("Example:\n  quoin %.*s\n", (int)example.len, (char *)example.ptr);
    if (up) printf("  quoin up --join 192.0.2.7:4460\n");
    qn_buf_free(&example);
}

int qn_help(const struct qn_cli *cli, const char *noun, const char *verb)
{
    char asked[80];
    struct qn_cmd cmd;
    size_t seen = 0, len = noun ? strlen(noun) : 0;
    if (!noun && !cli->json) {
        overview();
        return 0;
    }
    snprintf(asked, sizeof asked, "%s%s%s", noun ? noun : "", verb ? " " : "", verb ? verb : "");
    for (size_t i = 0; noun && qn_cmd_at(i, &cmd); i++) {
        if (strcmp(cmd.name, asked) != 0) continue;
        if (cli->json)
            cmd_json(&cmd);
        else
            one(&cmd);
        return 0;
    }
    for (size_t i = 0; !verb && qn_cmd_at(i, &cmd); i++) {
        if (noun && (strncmp(cmd.name, noun, len) != 0 || cmd.name[len] != ' ')) continue;
        seen++;
        if (cli->json)
            cmd_json(&cmd);
        else
            line(&cmd);
    }
    if (seen) return 0;
    return qn_unknown(cli, noun ? noun : "", verb);
}
