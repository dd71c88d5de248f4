/* man.c - the manual page in mdoc(7), from the same tables as the help. */
#include "core/cli/cli.h"
#include "core/cli/config.h"

#include <stdio.h>
#include <string.h>

/* Text of a table in a line of its own: a dot or quote at its start would be a request, a backslash an escape. */
static void text(const char *s)
{
    if (*s == '.' || *s == '\'') fputs("\\&", stdout);
    for (; *s; s++)
        if (*s == '\\')
            fputs("\\e", stdout);
        else if (*s == '-')
            fputs("\\-", stdout);
        else
            putchar(*s);
}

static void item(const char *name, const char *args)
{
    printf(".It Cm ");
    text(name);
    if (args && *args) {
        printf(" Ns \" ");
        for (; *args; args++)
            if (*args == '"')
                fputs("\\(dq", stdout);
            else if (*args == '-')
                fputs("\\-", stdout);
            else
                putchar(*args);
        printf("\"");
    }
    putchar('\n');
}

static void section(const char *title, int kind)
{
    struct qn_cmd cmd;
    struct qn_buf example = { 0 };
    bool any = false;
    for (size_t i = 0; qn_cmd_at(i, &cmd); i++) {
        if ((int)cmd.kind != kind) continue;
        if (!any) printf(".Sh %s\n.Bl -tag -width Ds\n", title);
        any = true;
        item(cmd.name, cmd.args);
        text(cmd.doc);
        putchar('\n');
        qn_buf_clear(&example);
        qn_cmd_example(&cmd, &example);
        qn_buf_u8(&example, 0);
        printf(".Dl quoin ");
        text((char *)example.ptr);
        putchar('\n');
    }
    if (any) printf(".El\n");
    qn_buf_free(&example);
}

void qn_man(void)
{
    const struct qn_conf_row *row;
    printf(".Dd November 26, 2026\n.Dt QUOIN 1\n.Os\n.Sh NAME\n.Nm quoin\n"
           ".Nd lease compute, train, score and prove models: one file, one network\n"
           ".Sh SYNOPSIS\n.Nm\n.Op Fl Fl json\n.Op Fl Fl home Ar DIR\n.Ar NOUN\n.Ar VERB\n"
           ".Op Ar ARG ...\n.Op Fl Fl Ns Ar FIELD Ar VALUE\n.Sh DESCRIPTION\n"
           ".Nm\nis node, client and tools in one file.\nIt starts a network of one with\n"
           ".Nm Cm up\nand shows the whole loop with\n.Nm Cm demo .\n"
           "Every command prints one JSON object a line with\n.Fl Fl json .\n");
    printf(".Pp\nFlags that every command takes:\n.Bl -tag -width Ds\n");
    for (const struct qn_flag *f = QN_FLAGS; f->name; f++) {
        printf(".It Fl %s%s%s\n", f->name + 1, *f->val ? " Ar " : "", f->val);
        text(f->doc);
        putchar('\n');
    }
    printf(".El\n");
    section("COMMANDS", QN_CMD_OWN);
    section("MODULES", QN_CMD_VERB);
    section("CALLS", QN_CMD_CALL);
    section("CALLER'S SIDE", QN_CMD_LOCAL);
    section("TRANSACTIONS", QN_CMD_TX);
    printf(".Sh SETTINGS\nIn quoin.lua as\n.Li name = value ;\nin the environment as\n"
           ".Ev QUOIN_NAME .\nA flag of\n.Nm Cm up\nstands over the environment, that over the "
           "file.\n.Bl -tag -width Ds\n");
    for (size_t i = 0; (row = qn_conf_row_at(i)); i++) {
        printf(".It Va %s , Fl Fl %s\n", row->name, row->flag);
        text(row->doc);
        printf("; default\n.Dq ");
        text(row->def);
        printf(" .\n");
    }
    printf(".El\n.Sh ENVIRONMENT\n.Bl -tag -width Ds\n.It Ev QUOIN_HOME\nas\n.Fl Fl home ;\n"
           "else\n.Ev XDG_DATA_HOME\nhas the folder quoin\n.It Ev QUOIN_CONFIG\nas\n"
           ".Fl Fl config\n.El\n");
    printf(".Sh FILES\n.Bl -tag -width Ds\n.It Pa ~/.local/share/quoin\nthe home: journal, "
           "state.mdb, wallet, blobs, jobs, api.sock, cookie\n.It Pa "
           "~/.config/quoin/quoin.lua\nsettings\n.It Pa /etc/quoin/quoin.lua\nsettings of the "
           "system's service\n.El\n.Sh EXIT STATUS\n.Bl -tag -width Ds\n"
           ".It 0\ndone\n.It 1\nrefused, or the answer is no\n.It 2\nthe words are off\n"
           ".It 3\nno such thing, or no node\n.It 4\nnot allowed\n.It 5\ndisk, port or memory\n"
           ".It 6\nnot yet\n.It 7\nthe other side broke the rules\n.It 70\na bug\n"
           ".It 78\nbad settings or data\n.El\n.Pp\n.Nm Cm explain Ar CODE\ntells about the code "
           "that an error ends with.\n.Sh SEE ALSO\n.Xr systemd 1\n");
}
