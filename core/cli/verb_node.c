/* verb_node.c - verbs that stand alone: up down status demo call explain version help completion. */
#include "core/cli/args.h"

#include "core/base/embed.h"
#include "core/cli/config.h"
#include "core/cli/demo.h"
#include "core/node/node.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The first word that is left over: a flag without its value, one that does not exist, or no flag at all. */
static int wrong_flag(const struct qn_cli *cli)
{
    const struct qn_conf_row *row;
    const char *word = cli->argv[0];
    struct qn_nearest n;
    struct qn_why why;
    size_t len = strcspn(word, "=");
    if (strncmp(word, "--", 2) != 0) {
        qn_why(&why, QN_E_USAGE,
               "up takes no word \"%.40s\"; an address to join is --join ADDR, a folder --home DIR",
               word);
        return qn_fail(cli, QN_E_USAGE, &why);
    }
    qn_nearest_init(&n, word + 2);
    for (size_t i = 0; (row = qn_conf_row_at(i)); i++) {
        if (strlen(row->flag) == len - 2 && strncmp(row->flag, word + 2, len - 2) == 0) {
            qn_why(&why, QN_E_USAGE, "--%s wants a value: %s", row->flag, row->doc);
            return qn_fail(cli, QN_E_USAGE, &why);
        }
        qn_nearest_offer(&n, row->flag);
    }
    qn_why(&why, QN_E_USAGE, "up has no flag %.40s%s%s%s", word,
           n.near[0] ? "; did you mean --" : "", n.near, n.near[0] ? "?" : "");
    return qn_fail(cli, QN_E_USAGE, &why);
}

int qn_verb_up(struct qn_cli *cli)
{
    struct qn_config conf;
    struct qn_why why = { "" };
    char stray[4096];
    qn_node_hold_signals();
    qn_rc rc = qn_config_load(cli, &conf, &why);
    if (rc) return qn_fail(cli, rc, &why);
    if (cli->argc) return wrong_flag(cli);
    if (qn_config_stray(cli, &conf, stray))
        fprintf(stderr, "quoin: %s is not read; name it with --config\n", stray);
    const char *modules = conf.vals[QN_CONF_modules].text, *off = conf.vals[QN_CONF_disable].text;
    struct qn_up_opts opts = { .home = cli->client.home,
                               .api = conf.vals[QN_CONF_api].text,
                               .enable = *modules ? modules : NULL,
                               .disable = *off ? off : NULL,
                               .config = conf.file,
                               .json = cli->json,
                               .quiet = cli->quiet };
    const char *listen = conf.vals[QN_CONF_listen].text, *join = conf.vals[QN_CONF_join].text,
               *genesis = conf.vals[QN_CONF_genesis].text;
    opts.listen = *listen ? listen : NULL;
    opts.join = *join ? join : NULL;
    opts.nat = conf.vals[QN_CONF_nat].text;
    opts.genesis = *genesis ? genesis : NULL;
    opts.block_ms = strtoull(conf.vals[QN_CONF_block_ms].text, NULL, 10);
    opts.outbound = (uint32_t)strtoul(conf.vals[QN_CONF_outbound].text, NULL, 10);
    opts.map_gib = strtoull(conf.vals[QN_CONF_store_map_gib].text, NULL, 10);
    opts.keep_ms = strtoull(conf.vals[QN_CONF_keep_days].text, NULL, 10) * 86400000;
    opts.snapshots = (uint32_t)strtoul(conf.vals[QN_CONF_snapshots].text, NULL, 10);
    opts.scrub_ms = strtoull(conf.vals[QN_CONF_scrub_hours].text, NULL, 10) * 3600000;
    opts.sync = conf.vals[QN_CONF_sync].text;
    const char *trust = conf.vals[QN_CONF_trust].text;
    if (*trust && !qn_conf_trust(trust, &opts.trust, &opts.trust_height))
        return qn_usage(cli, "trust is HASH@HEIGHT: 64 hex digits and a number");
    rc = qn_node_up(&opts, &why);
    return rc ? qn_fail(cli, rc, &why) : 0;
}

int qn_verb_status(struct qn_cli *cli)
{
    if (cli->argc) return qn_usage(cli, "status takes no words of its own");
    return qn_call_show(cli, "node.status", NULL);
}

int qn_verb_down(struct qn_cli *cli)
{
    char path[4096];
    if (cli->argc) return qn_usage(cli, "down takes no words of its own");
    int rc = qn_call_show(cli, "node.stop", NULL);
    snprintf(path, sizeof path, "%s/api.sock", cli->client.home);
    for (int i = 0; rc == 0 && i < 100 && access(path, F_OK) == 0; i++)
        usleep(50000); /* until it is really gone */
    return rc;
}

int qn_verb_explain(struct qn_cli *cli)
{
    qn_rc rc;
    char path[100];
    struct qn_span page = { NULL, 0 };
    if (cli->argc != 1) return qn_usage(cli, "explain takes one error code");
    if (!qn_err_find(cli->argv[0], &rc)) {
        struct qn_nearest n;
        struct qn_why why;
        char asked[80];
        snprintf(asked, sizeof asked, "%s", cli->argv[0]);
        for (char *c = asked; *c; c++)
            *c = *c >= 'a' && *c <= 'z' ? (char)(*c - 32) : *c;
        qn_nearest_init(&n, asked);
        for (int i = 1; i < QN_RC_CNT; i++)
            qn_nearest_offer(&n, qn_err_code((qn_rc)i));
        rc = qn_why(&why, QN_E_NOTFOUND, "there is no error code %.40s%s%s%s", cli->argv[0],
                    n.near[0] ? "; did you mean " : "; all of them: quoin help ref errors", n.near,
                    n.near[0] ? "?" : "");
        return qn_fail(cli, rc, &why);
    }
    snprintf(path, sizeof path, "docs/ref/err/%s.md", qn_err_code(rc));
    bool has = qn_embed_get(path, &page);
    if (cli->json) {
        json_t *one = json_pack("{s:s, s:s, s:i, s:s, s:s%}", "code", qn_err_code(rc), "class",
                                qn_err_class(rc), "exit", qn_err_exit(rc), "text", qn_err_text(rc),
                                "page", has ? (const char *)page.ptr : "", has ? page.len : 0);
        if (qn_err_hint(rc)) json_object_set_new(one, "hint", json_string(qn_err_hint(rc)));
        qn_print(cli, one);
        json_decref(one);
        return 0;
    }
    printf("%s (class %s, exit %d): %s\n", qn_err_code(rc), qn_err_class(rc), qn_err_exit(rc),
           qn_err_text(rc));
    if (qn_err_hint(rc)) printf("  try   %s\n", qn_err_hint(rc));
    const char *body = has ? strchr((const char *)page.ptr, '\n') : NULL; /* its title is said */
    while (body && *body == '\n')
        body++;
    putchar('\n');
    for (bool bold = false; body && *body; body++) { /* ** and ``` are for Markdown's eye */
        if (body[0] == '*' && body[1] == '*') {
            if (bold) putchar(':');
            bold = !bold;
            body++;
        } else if (strncmp(body, "```\n", 4) == 0) {
            body += 3;
        } else {
            putchar(*body);
        }
    }
    return 0;
}

/* The exit status for a name that is nearly a call's; 0: it is one, or may be one of a newer node. */
static int no_call(const struct qn_cli *cli, const char *name)
{
    struct qn_nearest n;
    struct qn_why why;
    const struct qn_call *call;
    char near[80];
    if (qn_call_find(name)) return 0;
    snprintf(near, sizeof near, "%s", name);
    for (char *c = near; *c; c++)
        if (*c == '.') *c = ' '; /* as they are offered */
    qn_nearest_init(&n, near);
    for (size_t i = 0; (call = qn_call_at(i)); i++)
        qn_nearest_offer(&n, call->name);
    if (!n.near[0]) return 0;
    for (char *c = n.near; *c; c++)
        if (*c == ' ') *c = '.';
    qn_why(&why, QN_E_NOTFOUND, "there is no call %.60s; did you mean %s?", name, n.near);
    return qn_fail(cli, QN_E_NOTFOUND, &why);
}

int qn_verb_call(struct qn_cli *cli)
{
    if (cli->argc < 1 || cli->argc > 2)
        return qn_usage(cli, "call takes a name and, if it has parameters, a JSON object");
    json_t *params =
        cli->argc == 2 ? json_loads(cli->argv[1], JSON_REJECT_DUPLICATES, NULL) : json_object();
    if (!json_is_object(params)) {
        json_decref(params);
        return qn_usage(cli, "the parameters are not a JSON object");
    }
    int status = no_call(cli, cli->argv[0]);
    if (status) json_decref(params);
    return status ? status : qn_call_show(cli, cli->argv[0], params);
}

int qn_verb_version(struct qn_cli *cli)
{
    bool licences = cli->argc && strcmp(cli->argv[0], "--licences") == 0;
    return cli->argc > licences ? qn_usage(cli, "version takes --json and --licences")
                                : qn_version(cli->json, licences);
}

int qn_verb_help(struct qn_cli *cli)
{
    if (qn_args_word(cli, "--man")) {
        qn_man();
        return 0;
    }
    if (cli->argc && strcmp(cli->argv[0], "ref") == 0)
        return qn_ref(cli, cli->argc > 1 ? cli->argv[1] : NULL);
    return qn_help(cli, cli->argc > 0 ? cli->argv[0] : NULL, cli->argc > 1 ? cli->argv[1] : NULL);
}

int qn_verb_completion(struct qn_cli *cli)
{
    if (cli->argc == 1 && qn_completion(cli->argv[0])) return 0;
    return qn_usage(cli, "completion takes bash, zsh or fish");
}

int qn_verb_demo(struct qn_cli *cli)
{
    const char *seed = qn_args_flag(cli, "seed");
    bool keep = qn_args_word(cli, "--keep");
    struct qn_span script;
    if (qn_args_word(cli, "--show-script") && qn_embed_get("lua/lego/fashion.lua", &script))
        return fwrite(script.ptr, 1, script.len, stdout) == script.len ? 0 : 5;
    if (cli->argc || (seed && (!*seed || seed[strspn(seed, "0123456789")])))
        return qn_usage(cli, "demo takes --seed NUMBER, --home, --keep, --show-script, --json");
    return qn_demo(cli, seed ? seed : "1", keep);
}
