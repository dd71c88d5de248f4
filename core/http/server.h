/* server.h - the API's HTTP server, on libevent's evhttp: a unix socket for the owner and a loopback port with a cookie. Bodies of at most
 * 1 MiB, headers of 16 KiB, 60 s for a silent connection; a client that is slower or
 * larger is cut off. */
#ifndef QN_CORE_HTTP_SERVER_H
#define QN_CORE_HTTP_SERVER_H

#include "core/base/span.h"

#include <event2/event.h>

#define QN_HTTP_BODY_MAX (1u << 20)

struct qn_http;
struct qn_http_req; /* one request, until it is answered */

struct qn_http_conf {
    struct event_base *base;
    const char *socket; /* path; a stale one is replaced. NULL: none */
    const char *addr;   /* "127.0.0.1:7846"; port 0 picks one. NULL: none */
    const char *cookie; /* 64 hex digits the port's callers send as Bearer */
    /* handle answers now by qn_http_reply, or keeps req and answers later. method is "GET" or "POST"; path without query; query may be NULL. owner:
     * came over the socket or with the cookie. All but req are lent for the call. */
    void (*handle)(void *arg, struct qn_http_req *req, const char *method, const char *path,
                   const char *query, struct qn_span body, bool owner);
    /* gone tells that a kept request's client left: it must not be answered any more. */
    void (*gone)(void *arg, struct qn_http_req *req);
    void *arg;
};

QN_CHECK qn_rc qn_http_open(const struct qn_http_conf *conf, struct qn_http **ret,
                            struct qn_why *why);
void qn_http_close(struct qn_http *http);
unsigned qn_http_port(const struct qn_http *http);

/* qn_http_header lends a header's value, NULL without; *ret_cnt (may be NULL) is how often the header came. */
const char *qn_http_header(const struct qn_http_req *req, const char *name, unsigned *ret_cnt);
/* qn_http_add adds a header to the answer that follows. value holds no line breaks. */
void qn_http_add(struct qn_http_req *req, const char *name, const char *value);
/* qn_http_keep says who wants to know when a kept request's client leaves, instead of the server's `gone`. */
void qn_http_keep(struct qn_http_req *req, void (*gone)(void *arg), void *arg);

/* qn_http_reply answers and forgets req. type is a media type. */
void qn_http_reply(struct qn_http_req *req, int status, const char *type, struct qn_span body);
/* A stream of server-sent events: begin, any number of sends, until gone is called. A reader that lags more than 1 MiB is cut. */
void qn_http_stream(struct qn_http_req *req);
void qn_http_send(struct qn_http_req *req, struct qn_span chunk);

#endif
