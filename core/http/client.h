/* client.h - blocking HTTP/1.1 requests, for commands and scripts. */
#ifndef QN_CORE_HTTP_CLIENT_H
#define QN_CORE_HTTP_CLIENT_H

#include "core/base/span.h"

#define QN_HTTP_REPLY_MAX (64u << 20)
#define QN_HTTP_HEAD_MAX  65536u

/* qn_http_answer looks whether an answer is whole: text, with a zero behind it, is what came so far; ended: no more comes. *ret_head bytes of it are
 * head, *ret_len all of it. QN_E_AGAIN: not yet; QN_E_FORMAT, QN_E_TOOBIG. Until then nothing that it says of lengths is believed. */
QN_CHECK qn_rc qn_http_answer(const char *text, size_t text_len, bool ended, size_t *ret_head,
                              size_t *ret_len, int *ret_status);

/* qn_http_ask sends one request and reads the answer.
 *
 * where    path of a unix socket (begins with '/'), or "http://ADDRESS:PORT"
 * headers  further header lines, each ending in \r\n, or NULL
 * ret_head the answer's header block, or NULL when nobody asks
 *
 * QN_E_NONODE when nobody listens, QN_E_AUTH when the socket is not ours to use, QN_E_TIMEOUT, QN_E_FORMAT on an answer that is not HTTP. */
QN_CHECK qn_rc qn_http_ask(const char *where, const char *method, const char *path,
                           const char *headers, struct qn_span body, uint64_t timeout_ms,
                           int *ret_status, struct qn_buf *ret_head, struct qn_buf *ret_body,
                           struct qn_why *why);

/* --- a connection that stays ------------------------------------------------------------------------------- */
/* For many requests to one server: answers come in the order of the requests. A server that hangs up between two
 * is dialled again by the next send. */
struct qn_http_conn;

QN_CHECK qn_rc qn_http_dial(const char *where, uint64_t timeout_ms, struct qn_http_conn **ret,
                            struct qn_why *why) QN_GIVES;
/* qn_http_put writes one request; qn_http_get reads the answer of the oldest unanswered. After an error the
 * connection is closed and its unanswered requests are lost. ret_head may be NULL. */
QN_CHECK qn_rc qn_http_put(struct qn_http_conn *c, const char *method, const char *path,
                           const char *headers, struct qn_span body, struct qn_why *why);
QN_CHECK qn_rc qn_http_get(struct qn_http_conn *c, int *ret_status, struct qn_buf *ret_head,
                           struct qn_buf *ret_body, struct qn_why *why);
void qn_http_hangup(struct qn_http_conn *c); /* NULL is welcome */

/* qn_http_find lends a header's value from an answer's head; NULL without. */
const char *qn_http_find(const char *head, const char *name, size_t *ret_len);

#endif
