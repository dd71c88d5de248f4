/* client.h - one blocking HTTP/1.1 request, for commands and scripts. */
#ifndef QN_CORE_HTTP_CLIENT_H
#define QN_CORE_HTTP_CLIENT_H

#include "core/base/span.h"

#define QN_HTTP_REPLY_MAX (64u << 20)

/* qn_http_ask sends one request and reads the answer.
 *
 * where    path of a unix socket (begins with '/'), or "http://ADDRESS:PORT"
 * headers  further header lines, each ending in \r\n, or NULL
 * ret_head the answer's header block, or NULL when nobody asks
 *
 * QN_E_NONODE when nobody listens, QN_E_TIMEOUT, QN_E_FORMAT on an answer that is not HTTP. */
QN_CHECK qn_rc qn_http_ask(const char *where, const char *method, const char *path,
                           const char *headers, struct qn_span body, uint64_t timeout_ms,
                           int *ret_status, struct qn_buf *ret_head, struct qn_buf *ret_body,
                           struct qn_why *why);

#endif
