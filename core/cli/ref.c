/* ref.c - the reference, printed in Markdown from the tables and the pages of docs/ref. */
#include "core/cli/cli.h"
#include "core/cli/config.h"

#include "core/base/embed.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RECORDS_MAX 512

static void fields(const struct qn_record *rec)
{
    if (rec->field_cnt == 0) return;
    printf("\n| field | type | meaning |\n|---|---|---|\n");
    for (uint32_t i = 0; i < rec->field_cnt; i++) {
        const struct qn_field *f = &rec->fields[i];
        printf("| `%s` | %s", f->name, qn_type_word(f->type));
        if (f->rec) printf(" `%s`", f->rec()->name);
        if (f->max) printf(" <= %u", f->max);
        printf(" | %s", f->doc);
        for (const char *c = f->names; c && *c; c++) { /* a bar would end the cell */
            if (c == f->names) fputs(": ", stdout);
            if (*c == '|')
                fputs(", ", stdout);
            else
                putchar(*c);
        }
        printf(" |\n");
    }
}

static void calls(void)
{
    const struct qn_call *c;
    printf("# Calls\n\nEach is `quoin NOUN VERB`, `POST /v1/NOUN/VERB` (a query also `GET`), the "
           "JSON-RPC method, "
           "and `qn.NOUN.VERB{}` in Lua.\n");
    for (size_t i = 0; (c = qn_call_at(i)); i++) {
        printf("\n## %s\n\n%s %s%s\n", c->name,
               c->flags & QN_CALL_QUERY ? "A query:" : "An action:", c->doc,
               c->flags & QN_CALL_LOCAL ? " (For the node's owner.)" : "");
        if (c->params) fields(c->params());
        printf("\nResult%s: `%s`\n\n```\nquoin %s\n```\n",
               c->flags & QN_CALL_MANY ? ", a list of" : "",
               c->result && *c->result ? c->result : "-", c->example);
    }
}

static void txs(void)
{
    const struct qn_tx_kind *k;
    printf("# Transactions\n\nEach is `quoin NOUN VERB --as KEY` and `qn.NOUN.VERB{ as = KEY }` in "
           "Lua; its body is the record below, in "
           "Borsh (`quoin help ref wire`).\n");
    for (size_t i = 0; (k = qn_txkind_at(i)); i++) {
        printf("\n## %s\n\nkind %u, record `%s`, %u gas: %s\n", k->name, (unsigned)k->kind,
               k->body()->name, (unsigned)k->gas, k->doc);
        fields(k->body());
    }
}

struct seen {
    const struct qn_record *list[RECORDS_MAX];
    size_t cnt;
};

static void record(struct seen *seen, const struct qn_record *rec)
{
    for (size_t i = 0; i < seen->cnt; i++)
        if (seen->list[i] == rec) return;
    if (seen->cnt == RECORDS_MAX) return;
    seen->list[seen->cnt++] = rec;
    printf("\n## %s\n\n%s\n", rec->name, rec->doc);
    fields(rec);
    for (uint32_t i = 0; i < rec->field_cnt; i++)
        if (rec->fields[i].rec) record(seen, rec->fields[i].rec());
}

static void records(void)
{
    struct seen seen = { .cnt = 0 };
    const struct qn_call *c;
    const struct qn_tx_kind *k;
    const struct qn_table *table;
    printf("# Records\n\nFields in the order of their bytes; types as in `quoin help ref wire`.\n");
    record(&seen, qn_frame_record());
    record(&seen, qn_genesis_record());
    record(&seen, qn_account_record());
    record(&seen, qn_mandate_record());
    for (size_t i = 0; (table = qn_table_at(i)); i++)
        if (table->rec) record(&seen, table->rec());
    for (size_t i = 0; (k = qn_txkind_at(i)); i++)
        record(&seen, k->body());
    for (size_t i = 0; (c = qn_call_at(i)); i++)
        if (c->params) record(&seen, c->params());
}

static void errors(void)
{
    printf("# Errors\n\n`quoin explain CODE` tells more. A command exits with the number of the "
           "class.\n\n"
           "| code | class | exit | meaning | try |\n|---|---|---|---|---|\n");
    for (int i = 1; i < QN_RC_CNT; i++) {
        const char *hint = qn_err_hint((qn_rc)i);
        printf("| `%s` | %s | %d | %s | %s%s%s |\n", qn_err_code((qn_rc)i), qn_err_class((qn_rc)i),
               qn_err_exit((qn_rc)i), qn_err_text((qn_rc)i), hint ? "`" : "", hint ? hint : "",
               hint ? "`" : "");
    }
}

static void config(void)
{
    const struct qn_conf_row *row;
    printf(
        "# Settings\n\nIn `quoin.lua` as `name = value`, as `--set name=value`, as a flag of "
        "`quoin up`, in the environment as "
        "`QUOIN_NAME`. The later of these counts: the default; the file named by `--config`, else "
        "by `QUOIN_CONFIG`, else `$XDG_CONFIG_HOME/quoin/quoin.lua`, which is "
        "`~/.config/quoin/quoin.lua`; `HOME/set.lua`, which `quoin config set` writes; the "
        "environment; `--set` and flags. A `quoin.lua` in the node's home is not read. `quoin "
        "config show --origin` tells where each value is from.\n\n| name | flag | default | "
        "meaning |\n|---|---|---|---|\n");
    for (size_t i = 0; (row = qn_conf_row_at(i)); i++)
        printf("| `%s` | `--%s` | `%s` | %s |\n", row->name, row->flag, row->def, row->doc);
}

static const struct {
    const char *name, *doc;
    void (*print)(void);
} PARTS[] = {
    { "calls", "every call of a node", calls },
    { "txs", "every kind of transaction", txs },
    { "records", "every record, field by field", records },
    { "errors", "every error code", errors },
    { "config", "every setting", config },
};

/* A page of docs/ref: its name, and its length. */
static const char *page_name(const struct qn_embed *e, int *ret_len)
{
    size_t len = strlen(e->path);
    if (strncmp(e->path, "docs/ref/", 9) != 0 || strchr(e->path + 9, '/') || len < 12) return NULL;
    *ret_len = (int)(len - 12);
    return e->path + 9;
}

void qn_ref_parts(void)
{
    int len;
    for (size_t i = 0; i < QN_COUNT(PARTS); i++)
        puts(PARTS[i].name);
    for (const struct qn_embed *e = qn_embed_all(); e->path; e++) {
        const char *name = page_name(e, &len);
        if (name) printf("%.*s\n", len, name);
    }
}

int qn_ref(const struct qn_cli *cli, const char *part)
{
    struct qn_span page;
    struct qn_why why;
    char path[120];
    for (size_t i = 0; i < QN_COUNT(PARTS); i++) {
        if (!part)
            printf("  quoin help ref %-10s %s\n", PARTS[i].name, PARTS[i].doc);
        else if (strcmp(part, PARTS[i].name) == 0) {
            PARTS[i].print();
            return 0;
        }
    }
    for (const struct qn_embed *e = qn_embed_all(); e->path && !part; e++) {
        int len;
        const char *title = (const char *)e->ptr + (e->len > 2 ? 2 : 0); /* behind "# " */
        const char *name = page_name(e, &len);
        if (name)
            printf("  quoin help ref %-10.*s %.*s\n", len, name, (int)strcspn(title, "\n"), title);
    }
    if (!part) return 0;
    snprintf(path, sizeof path, "docs/ref/%.60s.md", part);
    if (qn_embed_get(path, &page)) {
        fwrite(page.ptr, 1, page.len, stdout);
        return 0;
    }
    qn_why(&why, QN_E_NOTFOUND,
           "there is no part \"%.40s\" of the reference; quoin help ref lists them", part);
    return qn_fail(cli, QN_E_NOTFOUND, &why);
}
