/* err.h - result codes, their classes, and the line of detail that may come with one.
 *
 * A function that can fail returns qn_rc and is marked QN_CHECK; results leave through ret_ arguments,
 * set only on QN_OK. Where a person will read the failure, the function also takes `struct qn_why *why`
 * (NULL is welcome) and fills it by qn_why. */
#ifndef QN_CORE_BASE_ERR_H
#define QN_CORE_BASE_ERR_H

#include "core/base/base.h"

typedef enum qn_rc {
    QN_OK = 0,
#define ERR(code, class, text, hint) QN_E_##code,
#include "core/base/err.def"
#undef ERR
    QN_RC_CNT
} qn_rc;

enum qn_err_class {
    QN_CLASS_USER = 1,
    QN_CLASS_USAGE = 2,
    QN_CLASS_NONE = 3,
    QN_CLASS_AUTH = 4,
    QN_CLASS_ENV = 5,
    QN_CLASS_WAIT = 6,
    QN_CLASS_PEER = 7,
    QN_CLASS_BUG = 70,
    QN_CLASS_CONF = 78,
};

/* One failure in words: what was wrong, with figures. */
struct qn_why {
    char text[400];
};

/* qn_why writes the detail (printf form) into why, when there is one, and returns rc; so that
 * `return qn_why(why, QN_E_FUNDS, "have %llu", ...)` reads well. Control bytes become '?'. */
qn_rc qn_why(struct qn_why *why, qn_rc rc, const char *fmt, ...) QN_PRINTF(3, 4);

const char *qn_err_code(qn_rc rc);  /* "FUNDS"; "OK" for QN_OK */
const char *qn_err_text(qn_rc rc);  /* the sentence */
const char *qn_err_hint(qn_rc rc);  /* a command to paste, or NULL */
const char *qn_err_class(qn_rc rc); /* "USER" */
int qn_err_exit(qn_rc rc);          /* process exit status: 0, 1..7, 70, 78 */

/* qn_err_find looks a code up by its name, any case; false when there is none. */
QN_CHECK bool qn_err_find(const char *code, qn_rc *ret);

/* qn_err_errno maps errno to ENV codes: ENOSPC and EDQUOT to DISKFULL, ENOMEM to MEMORY, else IO. */
qn_rc qn_err_errno(int err);

#endif
