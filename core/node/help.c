/* help.c - help, printed from the tables. */
#include "core/node/cli.h"

#include <stdio.h>
#include <string.h>

/* Commands that stand alone or belong to this process; everything else comes from the tables. */
static const struct {
    const char *name, *args, *doc, *example;
} OWN[] = {
    { "demo", "[--seed N] [--keep] [--home DIR] [--show-script] [--json]",
      "what exists, end to end, on this computer, then removed", "demo --seed 7 --keep" },
    { "lua", "[FILE [ARG..] | -e TEXT | --check FILE]",
      "run a script, or a prompt, with every call as a function",
      "lua -e 'return qn.node.status()'" },
    { "up", "[--home DIR] [--api ADDR:PORT] [--enable M,..] [--disable M,..] [--json]",
      "start a node; here a network of one", "up --home /tmp/q --api 127.0.0.1:0" },
    { "down", "", "stop the node of this home", "down" },
    { "status", "", "what the node is and where its chain stands", "status --json" },
    { "doctor", "", "look at machine and home; each line with its remedy", "doctor" },
    { "explain", "CODE", "what an error code means and what to do", "explain FUNDS" },
    { "call", "NAME [JSON]", "make any call by its name", "call block.get '{\"height\":1}'" },
    { "config modules", "", "modules of this build", "config modules" },
    { "wallet new", "NAME", "make a key", "wallet new alice" },
    { "wallet list", "", "keys of this home", "wallet list" },
    { "wallet balance", "[NAME|ADDRESS]", "what an account holds", "wallet balance alice" },
    { "ledger prove", "TABLE KEY [-o FILE]", "write the proof of a row or of its absence",
      "ledger prove account qn1.. -o row.qp" },
    { "ledger verify", "FILE [CHAIN]", "check a proof file, without a node",
      "ledger verify row.qp" },
    { "ledger replay", "",
      "execute a home's chain from genesis, without its node, and print the root",
      "ledger replay --home /tmp/q" },
    { "completion", "bash|zsh|fish", "print a shell's completion", "completion bash" },
    { "help", "[NOUN [VERB]]", "this", "help wallet" },
    { "version", "[--json] [--licences]", "version, commit, parts", "version --licences" },
};

static bool noun_is(const char *name, const char *noun)
{
    size_t n = strlen(noun);
    return strncmp(name, noun, n) == 0 && (name[n] == 0 || name[n] == ' ' || name[n] == '.');
}

static void line(const char *name, const char *doc)
{
    char words[80];
    snprintf(words, sizeof words, "%s", name);
    for (char *c = words; *c; c++)
        if (*c == '.') *c = ' ';
    printf("  quoin %-26s %s\n", words, doc);
}

static void overview(void)
{
    static const char *const FIRST[] = { "demo", "up", "status", "down" };
    printf("quoin " QN_VERSION
           " - lease compute, train, score and prove models: one file, one network\n\n");
    for (size_t i = 0; i < QN_COUNT(FIRST); i++)
        for (size_t k = 0; k < QN_COUNT(OWN); k++)
            if (strcmp(OWN[k].name, FIRST[i]) == 0) line(OWN[k].name, OWN[k].doc);
    printf("\nAll commands:\n");
    for (size_t k = 1; k < QN_COUNT(OWN); k++)
        line(OWN[k].name, OWN[k].doc);
    const struct qn_module *mod;
    for (size_t m = 0; (mod = qn_module_at(m)); m++)
        for (const struct qn_verb *v = mod->verbs; v && v->name; v++)
            line(v->name, v->doc);
    const struct qn_call *c;
    for (size_t i = 0; (c = qn_call_at(i)); i++)
        line(c->name, c->doc);
    const struct qn_tx_kind *t;
    for (size_t i = 0; (t = qn_txkind_at(i)); i++)
        line(t->name, t->doc);
    const struct qn_local *l;
    for (size_t i = 0; (l = qn_local_at(i)); i++)
        line(l->name, l->doc);
    printf("\nGlobal flags: --json --home DIR --node SOCKET|URL --as KEY --mandate ID --no-wait -q "
           "-h\n"
           "Example: quoin wallet send qn1.. 2.5QN --as alice        Help: quoin help NOUN VERB\n");
}

static void fields(const struct qn_record *rec, const char *positional)
{
    for (uint32_t i = 0; rec && i < rec->field_cnt; i++) {
        const struct qn_field *f = &rec->fields[i];
        printf("  --%-16s %-8s %s%s\n", f->name, qn_type_word(f->type), f->doc,
               positional ? "" : "");
        if (f->type == QN_T_ENUM) printf("  %-18s %-8s one of %s\n", "", "", f->names);
    }
}

int qn_help(const char *noun, const char *verb)
{
    char dotted[80], spaced[80];
    bool seen = false;
    if (!noun) {
        overview();
        return 0;
    }
    snprintf(dotted, sizeof dotted, "%s%s%s", noun, verb ? "." : "", verb ? verb : "");
    snprintf(spaced, sizeof spaced, "%s%s%s", noun, verb ? " " : "", verb ? verb : "");
    for (size_t k = 0; k < QN_COUNT(OWN); k++) {
        if (strcmp(OWN[k].name, spaced) == 0) {
            printf("quoin %s %s\n  %s\nExample:\n  quoin %s\n", OWN[k].name, OWN[k].args,
                   OWN[k].doc, OWN[k].example);
            return 0;
        }
        if (!verb && noun_is(OWN[k].name, noun)) {
            line(OWN[k].name, OWN[k].doc);
            seen = true;
        }
    }
    const struct qn_module *mod;
    for (size_t m = 0; (mod = qn_module_at(m)); m++) {
        for (const struct qn_verb *v = mod->verbs; v && v->name; v++) {
            if (strcmp(v->name, spaced) == 0) {
                printf("quoin %s %s\n  %s\nExample:\n  quoin %s\n", v->name, v->args, v->doc,
                       v->example);
                return 0;
            }
            if (!verb && noun_is(v->name, noun)) {
                line(v->name, v->doc);
                seen = true;
            }
        }
    }
    const struct qn_call *c;
    for (size_t i = 0; (c = qn_call_at(i)); i++) {
        if (strcmp(c->name, dotted) == 0) {
            printf("quoin %s %s [--FIELD VALUE..]\n  %s\n", spaced, c->args ? c->args : "", c->doc);
            fields(c->params ? c->params() : NULL, c->args);
            printf("Result: %s\nExample:\n  quoin %s\n", c->result ? c->result : "-", c->example);
            return 0;
        }
        if (!verb && noun_is(c->name, noun)) {
            line(c->name, c->doc);
            seen = true;
        }
    }
    const struct qn_local *l;
    for (size_t i = 0; (l = qn_local_at(i)); i++) {
        if (strcmp(l->name, dotted) == 0) {
            printf("quoin %s %s [--FIELD VALUE..]\n  %s\n", spaced, l->args ? l->args : "", l->doc);
            fields(l->params ? l->params() : NULL, l->args);
            printf("Result: %s\nExample:\n  quoin %s\n", l->result ? l->result : "-", l->example);
            return 0;
        }
        if (!verb && noun_is(l->name, noun)) {
            line(l->name, l->doc);
            seen = true;
        }
    }
    const struct qn_tx_kind *t;
    for (size_t i = 0; (t = qn_txkind_at(i)); i++) {
        if (strcmp(t->name, dotted) == 0) {
            printf("quoin %s [VALUE..] [--FIELD VALUE..] --as KEY\n  %s (a transaction; values "
                   "without a flag fill the fields in this order)\n",
                   spaced, t->doc);
            fields(t->body(), NULL);
            printf("Example:\n  quoin %s --as owner", spaced);
            for (uint32_t f = 0; f < QN_MIN(t->body()->field_cnt, 3u); f++)
                printf(" --%s ..", t->body()->fields[f].name);
            putchar('\n');
            return 0;
        }
        if (!verb && noun_is(t->name, noun)) {
            line(t->name, t->doc);
            seen = true;
        }
    }
    if (seen) return 0;
    fprintf(stderr, "error: there is no command \"%s\" [USAGE]\n  try   quoin help\n", spaced);
    return 2;
}

int qn_completion(const char *shell);

int qn_completion(const char *shell)
{
    struct qn_buf words = { 0 };
    const struct qn_call *c;
    const struct qn_local *l;
    const struct qn_tx_kind *t;
    const struct qn_module *mod;
    for (size_t k = 0; k < QN_COUNT(OWN); k++)
        qn_buf_printf(&words, "%s\n", OWN[k].name);
    for (size_t m = 0; (mod = qn_module_at(m)); m++)
        for (const struct qn_verb *v = mod->verbs; v && v->name; v++)
            qn_buf_printf(&words, "%s\n", v->name);
    for (size_t i = 0; (c = qn_call_at(i)); i++)
        qn_buf_printf(&words, "%s\n", c->name);
    for (size_t i = 0; (t = qn_txkind_at(i)); i++)
        qn_buf_printf(&words, "%s\n", t->name);
    for (size_t i = 0; (l = qn_local_at(i)); i++)
        qn_buf_printf(&words, "%s\n", l->name);
    qn_buf_u8(&words, 0);
    for (uint8_t *at = words.ptr; *at; at++)
        if (*at == '.') *at = ' ';
    if (strcmp(shell, "bash") == 0)
        printf("_quoin() {\n  local words=$'%s'\n  words=${words//$'\\n'/$'\\n'}\n"
               "  local cur=${COMP_WORDS[COMP_CWORD]}\n"
               "  if [ \"$COMP_CWORD\" = 1 ]; then COMPREPLY=($(compgen -W \"$(cut -d' ' -f1 "
               "<<<\"$words\" | sort -u)\" -- \"$cur\"))\n"
               "  else COMPREPLY=($(compgen -W \"$(grep \"^${COMP_WORDS[1]} \" <<<\"$words\" | cut "
               "-d' ' -f2)\" -- \"$cur\")); fi\n}\n"
               "complete -F _quoin quoin\n",
               (char *)words.ptr);
    else if (strcmp(shell, "zsh") == 0)
        printf("#compdef quoin\n_quoin() {\n  local words=$'%s'\n"
               "  if (( CURRENT == 2 )); then compadd -- ${(u)${(f)\"$(print -r -- $words | cut "
               "-d' ' -f1)\"}}\n"
               "  else compadd -- ${(f)\"$(print -r -- $words | grep \"^${words[2]} \" | cut -d' ' "
               "-f2)\"}; fi\n}\ncompdef _quoin quoin\n",
               (char *)words.ptr);
    else if (strcmp(shell, "fish") == 0) {
        for (char *at = (char *)words.ptr, *end; *at; at = end + 1) {
            end = strchr(at, '\n');
            char *space = memchr(at, ' ', (size_t)(end - at));
            if (space)
                printf("complete -c quoin -f -n '__fish_seen_subcommand_from %.*s' -a '%.*s'\n",
                       (int)(space - at), at, (int)(end - space - 1), space + 1);
            printf("complete -c quoin -f -n '__fish_use_subcommand' -a '%.*s'\n",
                   (int)((space ? space : end) - at), at);
        }
    } else {
        fprintf(stderr, "error: completion is printed for bash, zsh and fish [USAGE]\n");
        qn_buf_free(&words);
        return 2;
    }
    qn_buf_free(&words);
    return 0;
}
