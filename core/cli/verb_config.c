/* verb_config.c - quoin config show|check|set|modules. */
#include "core/cli/args.h"
#include "core/cli/config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A setting as JSON: a list is a list, a number a number. */
static json_t *value(size_t row, const char *text)
{
    if (qn_conf_row_at(row)->type == QN_CONF_NUM)
        return json_integer((json_int_t)strtoull(text, NULL, 10));
    if (qn_conf_row_at(row)->type == QN_CONF_TEXT) return json_string(text);
    json_t *list = json_array();
    for (const char *at = text; *at;) {
        size_t n = strcspn(at, ",");
        json_array_append_new(list, json_stringn(at, n));
        at += n + (at[n] == ',');
    }
    return list;
}

int qn_verb_config_show(struct qn_cli *cli)
{
    struct qn_config conf;
    struct qn_why why = { "" };
    char stray[4096];
    bool origin = qn_args_word(cli, "--origin");
    qn_rc rc = qn_config_load(cli, &conf, &why);
    if (rc) return qn_fail(cli, rc, &why);
    if (cli->argc) return qn_usage(cli, "config show takes --origin");
    json_t *list = json_array();
    for (size_t i = 0; i < QN_CONF_CNT; i++) {
        json_t *one = json_pack("{s:s}", "name", qn_conf_row_at(i)->name);
        json_object_set_new(
            one, "value", cli->json ? value(i, conf.vals[i].text) : json_string(conf.vals[i].text));
        if (origin || cli->json)
            json_object_set_new(one, "origin", json_string(conf.vals[i].origin));
        json_array_append_new(list, one);
    }
    qn_print(cli, list);
    json_decref(list);
    if (!cli->json && !cli->quiet)
        fprintf(stderr,
                conf.file[0] ? "of %s\n" : "there is no %s: the defaults, and what was set\n",
                conf.file[0] ? conf.file : conf.looked);
    if (qn_config_stray(cli, &conf, stray))
        fprintf(stderr, "quoin: %s is not read; name it with --config\n", stray);
    return 0;
}

int qn_verb_config_check(struct qn_cli *cli)
{
    struct qn_config conf;
    struct qn_why why = { "" };
    if (cli->argc > 1) return qn_usage(cli, "config check takes a file, or nothing");
    qn_rc rc =
        cli->argc ? qn_config_check(cli->argv[0], &conf, &why) : qn_config_load(cli, &conf, &why);
    if (rc) return qn_fail(cli, rc, &why);
    json_t *said = json_pack("{s:b, s:s}", "ok", 1, "file",
                             cli->argc      ? cli->argv[0]
                             : conf.file[0] ? conf.file
                                            : "none, defaults");
    qn_print(cli, said);
    json_decref(said);
    return 0;
}

/* Writes one setting into HOME/set.lua, which is made anew from what it held. */
int qn_verb_config_set(struct qn_cli *cli)
{
    struct qn_config conf;
    struct qn_why why = { "" };
    char path[4096], probe[600];
    struct qn_buf text = { 0 };
    if (cli->argc != 2) return qn_usage(cli, "config set takes a name and a value");
    snprintf(path, sizeof path, "%s/set.lua", cli->client.home);
    qn_rc rc = access(path, F_OK) == 0 ? qn_config_check(path, &conf, &why) : QN_OK;
    if (rc) return qn_fail(cli, rc, &why);
    bool kept[QN_CONF_CNT] = { false };
    for (size_t i = 0; i < QN_CONF_CNT && access(path, F_OK) == 0; i++)
        kept[i] = strcmp(conf.vals[i].origin, "default") != 0;
    struct qn_cli one = { .client = cli->client, .set_cnt = 1 }; /* checks name and value */
    snprintf(probe, sizeof probe, "%.60s=%.520s", cli->argv[0], cli->argv[1]);
    one.sets[0] = probe;
    struct qn_config asked;
    rc = qn_config_load(&one, &asked, &why);
    if (rc) return qn_fail(cli, rc, &why);
    qn_buf_str(&text, "-- Written by `quoin config set`; stands over quoin.lua.\n");
    for (size_t i = 0; i < QN_CONF_CNT; i++) {
        bool here = strcmp(qn_conf_row_at(i)->name, cli->argv[0]) == 0;
        if (!here && !kept[i]) continue;
        json_t *val = value(i, here ? asked.vals[i].text : conf.vals[i].text);
        char *lit = json_dumps(val, JSON_ENCODE_ANY | JSON_COMPACT);
        for (char *c = lit; json_is_array(val) && *c; c++) /* a list of names: braces are all */
            *c = *c == '[' ? '{' : *c == ']' ? '}' : *c;
        qn_buf_printf(&text, "%s = %s\n", qn_conf_row_at(i)->name, lit);
        free(lit);
        json_decref(val);
    }
    rc = qn_dir_make(cli->client.home, &why);
    if (rc == QN_OK) rc = qn_file_write(path, qn_buf_get(&text), 0600, &why);
    qn_buf_free(&text);
    if (rc) return qn_fail(cli, rc, &why);
    json_t *said = json_pack("{s:s, s:s, s:s, s:s}", "name", cli->argv[0], "value", cli->argv[1],
                             "file", path, "note", "counts from the next start");
    qn_print(cli, said);
    json_decref(said);
    return 0;
}

int qn_verb_config_modules(struct qn_cli *cli)
{
    const struct qn_module *mod;
    struct qn_why none;
    if (cli->argc) return qn_usage(cli, "config modules takes no words of its own");
    json_t *list = json_array(), *status = NULL, *row;
    size_t at;
    qn_rc rc = qn_client_call(&cli->client, "node.status", NULL, &status, &none);
    for (size_t i = 0; (mod = qn_module_at(i)); i++) {
        json_t *one = json_pack("{s:s}", "name", mod->name);
        json_array_foreach(json_object_get(status, "modules"), at, row)
        {
            if (strcmp(json_string_value(json_object_get(row, "name")), mod->name) == 0)
                json_object_set(one, "on", json_object_get(row, "on"));
        }
        json_object_set_new(one, "doc", json_string(mod->doc));
        json_array_append_new(list, one);
    }
    qn_print(cli, list);
    if (!cli->json && !cli->quiet && rc)
        fprintf(stderr, "of this build; no node runs for %s, which could switch some off\n",
                cli->client.home);
    json_decref(list);
    json_decref(status);
    return 0;
}
