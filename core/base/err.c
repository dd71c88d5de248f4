/* err.c - the error table and the line of detail. */
#include "core/base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static const struct {
    const char *code, *class, *text, *hint;
    int exit;
} ERRS[QN_RC_CNT] = {
    [QN_OK] = { "OK", "OK", "done", NULL, 0 },
#define ERR(code, class, text, hint)                                                               \
    [QN_E_##code] = { #code, #class, text, hint, QN_CLASS_##class },
#include "core/base/err.def"
#undef ERR
};

/* Length of the UTF-8 character at s, 0 when it is none: too long a form, a surrogate, beyond U+10FFFF, cut off. */
static size_t utf8_len(const unsigned char *s)
{
    static const uint32_t LEAST[] = { 0, 0, 0x80, 0x800, 0x10000 };
    size_t n = s[0] < 0x80 ? 1 : s[0] >> 5 == 6 ? 2 : s[0] >> 4 == 14 ? 3 : s[0] >> 3 == 30 ? 4 : 0;
    uint32_t c = n == 1 ? s[0] : s[0] & (0x7fu >> n);
    for (size_t i = 1; i < n; i++) {
        if (s[i] >> 6 != 2) return 0; /* the 0 at the end, too */
        c = c << 6 | (s[i] & 0x3f);
    }
    bool bad = n == 0 || c < LEAST[n] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000);
    return bad ? 0 : n;
}

qn_rc qn_why(struct qn_why *why, qn_rc rc, const char *fmt, ...)
{
    if (!why) return rc;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(why->text, sizeof why->text, fmt, ap);
    va_end(ap);
    /* The text goes into JSON: what a caller quoted may be no UTF-8, or was cut within a character. */
    for (char *c = why->text; *c;) {
        size_t n = utf8_len((const unsigned char *)c);
        if (n == 0 || (unsigned char)*c < 0x20 || *c == 0x7f) *c = *c == '\n' ? ' ' : '?', n = 1;
        c += n;
    }
    return rc;
}

static size_t idx(qn_rc rc)
{
    return (unsigned)rc < QN_RC_CNT ? (size_t)rc : (size_t)QN_E_BUG;
}

const char *qn_err_code(qn_rc rc)
{
    return ERRS[idx(rc)].code;
}

const char *qn_err_text(qn_rc rc)
{
    return ERRS[idx(rc)].text;
}

const char *qn_err_hint(qn_rc rc)
{
    return ERRS[idx(rc)].hint;
}

const char *qn_err_class(qn_rc rc)
{
    return ERRS[idx(rc)].class;
}

int qn_err_exit(qn_rc rc)
{
    return ERRS[idx(rc)].exit;
}

bool qn_err_find(const char *code, qn_rc *ret)
{
    for (size_t i = 0; i < QN_RC_CNT; i++) {
        if (strcasecmp(code, ERRS[i].code) == 0) {
            *ret = (qn_rc)i;
            return true;
        }
    }
    return false;
}

qn_rc qn_err_errno(int err)
{
    if (err == ENOSPC || err == EDQUOT) return QN_E_DISKFULL;
    if (err == ENOMEM) return QN_E_MEMORY;
    return QN_E_IO;
}
