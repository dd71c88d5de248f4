/* print.c - results for people, pipes and programs. */
#include "core/cli/cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool ends(const char *name, const char *unit)
{
    size_t len = strlen(name), unit_len = strlen(unit);
    return len >= unit_len && strcmp(name + len - unit_len, unit) == 0;
}

/* A number whose name says its unit, as people write it; false: the name says none of these. */
static bool measure(const char *name, json_int_t n, char dst[48])
{
    if (ends(name, "_uqn") && n >= 0)
        qn_amount_print(QN_UQN((uint64_t)n), dst);
    else if (ends(name, "rtt_us") || ends(name, "dial_us"))
        snprintf(dst, 48, "%.*f ms", n < 10000 ? 2 : 0, (double)n / 1000);
    else if (ends(name, "_milli"))
        snprintf(dst, 48, "%.1f", (double)n / 1000);
    else if (ends(name, "_bytes_s") && n < 1000)
        snprintf(dst, 48, "%lld B", (long long)n);
    else if (ends(name, "_bytes_s"))
        snprintf(dst, 48, "%.1f %s", (double)n / (n < 1000000 ? 1e3 : 1e6),
                 n < 1000000 ? "kB" : "MB");
    else
        return false;
    return true;
}

/* What people see over a value: the name without a unit that stands behind each of them. */
static const char *label(const char *name, char dst[48])
{
    static const char *const UNITS[][2] = { { "_bytes_s", "/s" }, { "_us", "" }, { "_milli", "" } };
    char text[48];
    snprintf(dst, 48, "%s", name);
    for (size_t i = 0; measure(name, 0, text) && i < QN_COUNT(UNITS); i++)
        if (ends(dst, UNITS[i][0]))
            memcpy(dst + strlen(dst) - strlen(UNITS[i][0]), UNITS[i][1], strlen(UNITS[i][1]) + 1);
    return dst;
}

/* A value in one word or line; freed by the caller. */
static char *word(const char *name, const json_t *val)
{
    char *text, number[48];
    if (json_is_string(val)) return strdup(json_string_value(val));
    if (json_is_integer(val) && measure(name, json_integer_value(val), number))
        return strdup(number);
    text = json_dumps(val, JSON_COMPACT | JSON_ENCODE_ANY);
    return text ? text : strdup("");
}

/* Foreign text reaches no terminal raw. */
static void put(const char *text, size_t width)
{
    size_t n = 0;
    for (const char *c = text; *c; c++, n++)
        putchar((unsigned char)*c < 0x20 || *c == 0x7f ? '?' : *c);
    for (; n < width; n++)
        putchar(' ');
}

static void card(const json_t *obj)
{
    const char *name;
    json_t *val, *mutable = json_incref((json_t *)(uintptr_t)obj);
    json_object_foreach(mutable, name, val)
    {
        char *text = word(name, val), shown[48];
        put(label(name, shown), 14);
        fputs("  ", stdout);
        put(text, 0);
        putchar('\n');
        free(text);
    }
    json_decref(mutable);
}

static void table(const json_t *list)
{
    const json_t *first = json_array_get(list, 0);
    const char *names[12];
    size_t width[12], cnt = 0;
    const char *name;
    char shown[48];
    json_t *val, *mutable = json_incref((json_t *)(uintptr_t)first);
    bool tty = isatty(STDOUT_FILENO);
    json_object_foreach(mutable, name, val)
    {
        if (cnt < QN_COUNT(names) && !json_is_object(val) && !json_is_array(val))
            names[cnt++] = name;
    }
    for (size_t k = 0; k < cnt; k++) {
        width[k] = strlen(label(names[k], shown));
        for (size_t i = 0; i < json_array_size(list); i++) {
            char *text = word(names[k], json_object_get(json_array_get(list, i), names[k]));
            width[k] = QN_MAX(width[k], QN_MIN(strlen(text), (size_t)64));
            free(text);
        }
    }
    for (size_t k = 0; tty && k < cnt; k++)
        printf("%-*s%s", (int)width[k], label(names[k], shown), k + 1 < cnt ? "  " : "\n");
    for (size_t i = 0; i < json_array_size(list); i++) {
        for (size_t k = 0; k < cnt; k++) {
            const json_t *cell = json_object_get(json_array_get(list, i), names[k]);
            char *text = cell ? word(names[k], cell) : strdup("");
            put(text, tty ? width[k] : 0);
            putchar(k + 1 == cnt ? '\n' : tty ? ' ' : '\t');
            if (tty && k + 1 < cnt) putchar(' ');
            free(text);
        }
    }
    json_decref(mutable);
}

/* The object with only the fields that --fields names, in that order; a new reference. */
static json_t *picked(const char *fields, const json_t *obj)
{
    json_t *out = json_object();
    for (const char *at = fields; *at;) {
        char name[80];
        size_t n = strcspn(at, ",");
        snprintf(name, sizeof name, "%.*s", (int)QN_MIN(n, sizeof name - 1), at);
        json_t *val = json_object_get(obj, name);
        if (val) json_object_set(out, name, val);
        at += n + (at[n] == ',');
    }
    return out;
}

static json_t *pick_all(const char *fields, const json_t *result)
{
    if (json_is_object(result)) return picked(fields, result);
    json_t *out = json_array();
    for (size_t i = 0; i < json_array_size(result); i++)
        json_array_append_new(out, picked(fields, json_array_get(result, i)));
    return out;
}

void qn_print(const struct qn_cli *cli, const json_t *result)
{
    if (cli->quiet) return;
    if (cli->fields && (json_is_object(result) || json_is_array(result))) {
        struct qn_cli all = *cli;
        all.fields = NULL;
        json_t *some = pick_all(cli->fields, result);
        qn_print(&all, some);
        json_decref(some);
        return;
    }
    if (cli->json) {
        size_t cnt = json_is_array(result) ? json_array_size(result) : 1;
        for (size_t i = 0; i < cnt; i++) {
            json_dumpf(json_is_array(result) ? json_array_get(result, i) : result, stdout,
                       JSON_COMPACT | JSON_ENCODE_ANY);
            putchar('\n');
        }
    } else if (json_is_array(result)) {
        table(result);
    } else if (json_is_object(result)) {
        card(result);
    }
    fflush(stdout);
}

void qn_unpinned(const struct qn_cli *cli, const json_t *result)
{
    const char *chain = json_string_value(json_object_get(result, "chain"));
    if (cli->json || !chain) return; /* "pinned" tells programs */
    fprintf(stderr,
            "quoin: no HASH pins it: all fits together, but who made the file may have made the "
            "chain, too.\n"
            "       If %.8s.. is the chain that you mean (quoin status of a node you trust tells), "
            "give its hash as well.\n",
            chain);
}

int qn_fail(const struct qn_cli *cli, qn_rc rc, const struct qn_why *why)
{
    const char *text = why->text[0] ? why->text : qn_err_text(rc);
    if (cli->json) {
        json_t *err = json_pack("{s:{s:s, s:s, s:s}}", "error", "code", qn_err_code(rc), "class",
                                qn_err_class(rc), "text", text);
        if (qn_err_hint(rc))
            json_object_set_new(json_object_get(err, "error"), "hint",
                                json_string(qn_err_hint(rc)));
        json_dumpf(err, stderr, JSON_COMPACT);
        fputc('\n', stderr);
        json_decref(err);
    } else {
        fprintf(stderr, "error: %s [%s]\n", text, qn_err_code(rc));
        if (qn_err_hint(rc))
            fprintf(stderr, "  try   %s%*swhy: quoin explain %s\n", qn_err_hint(rc),
                    (int)(40 - QN_MIN(strlen(qn_err_hint(rc)), (size_t)39)), "", qn_err_code(rc));
    }
    return qn_err_exit(rc);
}
