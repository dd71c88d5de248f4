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

qn_rc qn_why(struct qn_why *why, qn_rc rc, const char *fmt, ...)
{
    if (!why) return rc;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(why->text, sizeof why->text, fmt, ap);
    va_end(ap);
    for (char *c = why->text; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f) *c = *c == '\n' ? ' ' : '?';
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
