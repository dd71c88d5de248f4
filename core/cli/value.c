/* value.c - values in words for people. */
#include "core/cli/value.h"

#include "core/base/amount.h"
#include "core/base/span.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define EPOCHS_MS 1000000000000 /* ms that are no duration but a time: from September 2001 on */

static bool ends(const char *name, const char *unit)
{
    size_t len = strlen(name), unit_len = strlen(unit);
    return len >= unit_len && strcmp(name + len - unit_len, unit) == 0;
}

/* A point in time as 2026-11-26T20:24:51.726Z, or how long something takes. */
static void time_text(json_int_t ms, char dst[48])
{
    time_t s = (time_t)(ms / 1000);
    struct tm tm;
    if (ms >= EPOCHS_MS && gmtime_r(&s, &tm)) {
        size_t len = strftime(dst, 40, "%Y-%m-%dT%H:%M:%S", &tm);
        snprintf(dst + len, 48 - len, ".%03dZ", (int)(ms % 1000));
    } else if (ms < 1000)
        snprintf(dst, 48, "%lld ms", (long long)ms);
    else if (ms < 60000)
        snprintf(dst, 48, "%.1f s", (double)ms / 1000);
    else if (s < 3600)
        snprintf(dst, 48, "%lld min %lld s", (long long)s / 60, (long long)s % 60);
    else if (s < 86400)
        snprintf(dst, 48, "%lld h %lld min", (long long)s / 3600, (long long)s / 60 % 60);
    else
        snprintf(dst, 48, "%lld d %lld h", (long long)s / 86400, (long long)s / 3600 % 24);
}

/* A number whose name says its unit, as people write it; false: the name says none of these. */
static bool measure(const char *name, json_int_t n, char dst[48])
{
    if (ends(name, "_uqn") && n >= 0)
        qn_amount_print(QN_UQN((uint64_t)n), dst);
    else if (ends(name, "rtt_us") || ends(name, "dial_us"))
        snprintf(dst, 48, "%.*f ms", n < 10000 ? 2 : 0, (double)n / 1000);
    else if (ends(name, "_ms") && n >= 0)
        time_text(n, dst);
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

const char *qn_value_label(const json_t *row, const char *name, char dst[QN_LABEL_MAX])
{
    static const char *const UNITS[][2] = {
        { "_bytes_s", "/s" }, { "_us", "" }, { "_milli", "" }, { "_uqn", "" }, { "_ms", "" }
    };
    char text[48];
    snprintf(dst, QN_LABEL_MAX, "%s", name);
    for (size_t i = 0; measure(name, 0, text) && i < QN_COUNT(UNITS); i++)
        if (ends(dst, UNITS[i][0])) /* shorter than it was */
            memcpy(dst + strlen(dst) - strlen(UNITS[i][0]), UNITS[i][1], strlen(UNITS[i][1]) + 1);
    if (ends(name, "t_ms") && (strcmp(dst, "t") == 0 || ends(dst, ".t")))
        snprintf(dst + strlen(dst), 4, "ime");                              /* "t_ms" was longer */
    if (json_object_get(row, dst)) snprintf(dst, QN_LABEL_MAX, "%s", name); /* epoch, epoch_ms */
    return dst;
}

/* "a, b"; of a list of switches, as modules are, those that are on, and those that are not behind a minus; NULL: it is neither. */
static char *in_a_row(const json_t *list)
{
    struct qn_buf line = { 0 };
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *one = json_array_get(list, i), *on = json_object_get(one, "on"),
                     *name = json_object_get(one, "name");
        if (json_is_object(one)
                ? json_object_size(one) != 2 || !json_is_boolean(on) || !json_is_string(name)
                : json_is_array(one)) {
            qn_buf_free(&line);
            return NULL;
        }
        char *text = json_is_object(one) ? strdup(json_string_value(name)) : qn_value_word("", one);
        qn_buf_printf(&line, "%s%s%s", i ? ", " : "", json_is_false(on) ? "-" : "", text);
        free(text);
    }
    qn_buf_u8(&line, 0);
    return (char *)line.ptr;
}

char *qn_value_word(const char *name, const json_t *val)
{
    char *text = NULL, number[48];
    if (json_is_string(val)) return strdup(json_string_value(val));
    if (json_is_integer(val) && measure(name, json_integer_value(val), number))
        return strdup(number);
    if (json_is_array(val)) text = in_a_row(val);
    if (!text) text = json_dumps(val, JSON_COMPACT | JSON_ENCODE_ANY);
    return text ? text : strdup("");
}
