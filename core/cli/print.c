/* print.c - results for people, pipes and programs. */
#include "core/cli/cli.h"
#include "core/cli/value.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define COLS_MAX 32

/* Foreign text reaches no terminal raw. */
static void put(const char *text, size_t width)
{
    size_t n = 0;
    for (const char *c = text; *c; c++, n++)
        putchar((unsigned char)*c < 0x20 || *c == 0x7f ? '?' : *c);
    for (; n < width; n++)
        putchar(' ');
}

/* --- a card: one object, a line each value ------------------------------------------------------------------------------ */

struct show {
    bool tty, header, whole; /* whole: objects and lists are columns, too */
    size_t term;             /* width of the terminal; 0: it is none */
};

static void table(const struct show *show, const json_t *list, int indent);

static bool all_objects(const json_t *list)
{
    for (size_t i = 0; i < json_array_size(list); i++)
        if (!json_is_object(json_array_get(list, i))) return false;
    return json_array_size(list) > 0;
}

/* The longest name that a card of obj has; of one inside another, "link.addr". */
static size_t widest(const json_t *obj, size_t prefix)
{
    const char *name;
    json_t *val, *mutable = json_incref((json_t *)(uintptr_t)obj);
    char shown[QN_LABEL_MAX];
    size_t max = 14;
    json_object_foreach(mutable, name, val)
    {
        size_t len = json_is_object(val) ? widest(val, prefix + strlen(name) + 1)
                                         : prefix + strlen(qn_value_label(obj, name, shown));
        max = QN_MAX(max, len);
    }
    json_decref(mutable);
    return max;
}

/* prefix is of an object inside another: "link." */
static void card(const struct show *show, const json_t *obj, const char *prefix, size_t width)
{
    const char *name;
    json_t *val, *mutable = json_incref((json_t *)(uintptr_t)obj);
    json_object_foreach(mutable, name, val)
    {
        char shown[QN_LABEL_MAX], whole[QN_LABEL_MAX];
        snprintf(whole, sizeof whole, "%.60s%.30s", prefix, name);
        if (json_is_object(val) && json_object_size(val) && strlen(prefix) < 40) {
            snprintf(shown, sizeof shown, "%.90s.", whole);
            card(show, val, shown, width);
            continue;
        }
        char *text = qn_value_word(name, val);
        bool below = all_objects(val) && text[0] == '[';
        put(qn_value_label(obj, whole, shown), below ? 0 : width);
        if (!below) fputs("  ", stdout);
        put(below ? "" : text, 0);
        putchar('\n');
        if (below) table(show, val, 2);
        free(text);
    }
    json_decref(mutable);
}

/* --- a table: a list of objects, a line each ------------------------------------------------------------------------------ */

struct columns {
    char name[COLS_MAX][QN_LABEL_MAX]; /* "key", "value.balance" */
    size_t width[COLS_MAX], cnt;
};

static void add_columns(struct columns *cols, const struct show *show, const json_t *row,
                        const char *prefix, bool deep)
{
    const char *name;
    json_t *val, *mutable = json_incref((json_t *)(uintptr_t)row);
    json_object_foreach(mutable, name, val)
    {
        bool nested = json_is_object(val) || (json_is_array(val) && !show->whole);
        if (deep && json_is_object(val) && !*prefix) {
            char inner[QN_LABEL_MAX];
            snprintf(inner, sizeof inner, "%.80s.", name);
            add_columns(cols, show, val, inner, true);
        } else if (cols->cnt < COLS_MAX && (!nested || show->whole)) {
            snprintf(cols->name[cols->cnt++], QN_LABEL_MAX, "%.50s%.40s", prefix, name);
        }
    }
    json_decref(mutable);
}

/* A cell's text; freed by the caller. */
static char *cell(const json_t *row, const char *name)
{
    const char *dot = strchr(name, '.');
    const json_t *val = json_object_get(row, name);
    if (dot && !val) {
        char outer[QN_LABEL_MAX];
        snprintf(outer, sizeof outer, "%.*s", (int)(dot - name), name);
        val = json_object_get(json_object_get(row, outer), dot + 1);
        name = dot + 1;
    }
    return val ? qn_value_word(name, val) : strdup("");
}

/* Few scalars beside an object, as the rows of the ledger have: then what is in the object is of interest. */
static bool is_deep(const json_t *row)
{
    const char *name;
    json_t *val, *mutable = json_incref((json_t *)(uintptr_t)row);
    size_t flat = 0;
    json_object_foreach(mutable, name, val)
    {
        flat += !json_is_object(val);
    }
    json_decref(mutable);
    return flat <= 1;
}

static void table(const struct show *show, const json_t *list, int indent)
{
    struct columns *cols = calloc(1, sizeof *cols);
    char shown[QN_LABEL_MAX];
    size_t all = (size_t)indent;
    bool pad = show->tty || indent;
    QN_ASSERT(cols != NULL);
    const json_t *first = json_array_get(list, 0);
    add_columns(cols, show, first, "", is_deep(first));
    for (size_t k = 0; k < cols->cnt; k++) {
        cols->width[k] = strlen(qn_value_label(first, cols->name[k], shown));
        for (size_t i = 0; pad && i < json_array_size(list); i++) {
            char *text = cell(json_array_get(list, i), cols->name[k]);
            cols->width[k] = QN_MAX(cols->width[k], QN_MIN(strlen(text), (size_t)64));
            free(text);
        }
        all += cols->width[k] + 2;
    }
    if (show->term && all > 2 * show->term &&
        !indent) { /* three lines a row and more: cards read better */
        for (size_t i = 0; i < json_array_size(list); i++) {
            if (i) putchar('\n');
            card(show, json_array_get(list, i), "", QN_MIN(widest(first, 0), (size_t)28));
        }
        free(cols);
        return;
    }
    for (size_t i = !show->header; i <= json_array_size(list) && cols->cnt;
         i++) { /* 0: the header */
        printf("%*s", indent, "");
        for (size_t k = 0; k < cols->cnt; k++) {
            bool last = k + 1 == cols->cnt;
            char *text = i == 0 ? strdup(qn_value_label(first, cols->name[k], shown))
                                : cell(json_array_get(list, i - 1), cols->name[k]);
            put(text, pad && !last ? cols->width[k] : 0);
            fputs(last ? "\n" : pad ? "  " : "\t", stdout);
            free(text);
        }
    }
    free(cols);
}

/* --- all of it ------------------------------------------------------------------------------------------------------------ */

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

static bool has_field(const json_t *result, const char *name)
{
    if (!json_is_array(result)) return json_object_get(result, name) != NULL;
    for (size_t i = 0; i < json_array_size(result); i++)
        if (json_object_get(json_array_get(result, i), name)) return true;
    return false;
}

/* Says which of the asked fields no result has, and which there are. QN_E_USAGE: it has none of them, in why. */
static qn_rc tell_missing(const char *fields, const json_t *result, struct qn_why *why)
{
    const json_t *first = json_is_array(result) ? json_array_get(result, 0) : result;
    json_t *mutable = json_incref((json_t *)(uintptr_t)first), *val;
    const char *name;
    struct qn_buf there = { 0 }, missed = { 0 };
    bool any = json_object_size(first) == 0;
    json_object_foreach(mutable, name, val) qn_buf_printf(&there, " %s", name);
    for (const char *at = fields; *at;) {
        char one[80];
        size_t n = strcspn(at, ",");
        snprintf(one, sizeof one, "%.*s", (int)QN_MIN(n, sizeof one - 1), at);
        if (has_field(result, one))
            any = true;
        else
            qn_buf_printf(&missed, "%s%s", missed.len ? "," : "", one);
        at += n + (at[n] == ',');
    }
    qn_rc rc = QN_OK;
    if (!any)
        rc = qn_why(why, QN_E_USAGE, "there is no field %.*s; there are%.*s",
                    (int)QN_MIN(missed.len, (size_t)80), (const char *)missed.ptr,
                    (int)QN_MIN(there.len, (size_t)240), (const char *)there.ptr);
    else if (missed.len && there.len)
        fprintf(stderr, "quoin: there is no field %.*s; there are%.*s\n", (int)missed.len,
                (const char *)missed.ptr, (int)there.len, (const char *)there.ptr);
    json_decref(mutable);
    qn_buf_free(&there);
    qn_buf_free(&missed);
    return rc;
}

static json_t *pick_all(const char *fields, const json_t *result)
{
    if (json_is_object(result)) return picked(fields, result);
    json_t *out = json_array();
    for (size_t i = 0; i < json_array_size(result); i++)
        json_array_append_new(out, picked(fields, json_array_get(result, i)));
    return out;
}

void qn_print(struct qn_cli *cli, const json_t *result)
{
    struct winsize size = { 0 };
    struct show show = { .tty = isatty(STDOUT_FILENO), .header = !cli->no_header };
    json_t *some = NULL;
    if (cli->quiet) return;
    if (show.tty)
        show.term = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col ? size.ws_col : 80;
    if (cli->fields && (json_is_object(result) || json_is_array(result))) {
        struct qn_why why;
        cli->no_field = tell_missing(cli->fields, result, &why) != QN_OK;
        if (cli->no_field) {
            (void)qn_fail(cli, QN_E_USAGE, &why);
            return;
        }
        result = some = pick_all(cli->fields, result);
        show.whole = true;
    }
    if (cli->json) {
        size_t cnt = json_is_array(result) ? json_array_size(result) : 1;
        for (size_t i = 0; i < cnt; i++) {
            json_dumpf(json_is_array(result) ? json_array_get(result, i) : result, stdout,
                       JSON_COMPACT | JSON_ENCODE_ANY);
            putchar('\n');
        }
    } else if (json_is_array(result)) {
        if (json_array_size(result))
            table(&show, result, 0);
        else if (show.tty)
            fputs("none\n", stderr); /* a list that is empty, not a command that failed */
    } else if (json_is_object(result)) {
        card(&show, result, "", QN_MIN(widest(result, 0), (size_t)28));
    }
    fflush(stdout);
    json_decref(some);
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
    const char *text = why->text[0] ? why->text : qn_err_text(rc), *hint = qn_err_hint(rc);
    char help[4200];
    if (rc == QN_E_USAGE && cli->cmd[0]) {
        snprintf(help, sizeof help, "quoin help %s", cli->cmd);
        hint = help;
    } else if (rc == QN_E_NONODE && cli->home) {
        snprintf(help, sizeof help, "quoin up --home %s", cli->home);
        hint = help;
    } else if (rc != QN_E_USAGE && strstr(text, "quoin ")) {
        hint = NULL; /* it says itself what to do */
    }
    if (cli->json) {
        json_t *err = json_pack("{s:{s:s, s:s, s:s}}", "error", "code", qn_err_code(rc), "class",
                                qn_err_class(rc), "text", text);
        if (hint) json_object_set_new(json_object_get(err, "error"), "hint", json_string(hint));
        json_dumpf(err, stderr, JSON_COMPACT);
        fputc('\n', stderr);
        json_decref(err);
    } else {
        fprintf(stderr, "error: %s [%s]\n", text, qn_err_code(rc));
        if (hint)
            fprintf(stderr, "  try   %s%*swhy: quoin explain %s\n", hint,
                    (int)(40 - QN_MIN(strlen(hint), (size_t)38)), "", qn_err_code(rc));
    }
    return qn_err_exit(rc);
}
