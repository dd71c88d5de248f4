/* client.c - one request, one answer, then the connection ends; or many over one that stays. */
#include "core/http/client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

static qn_rc dial(const char *where, int *ret_fd, struct qn_why *why)
{
    struct sockaddr_un sun = { .sun_family = AF_UNIX };
    struct sockaddr_in sin = { .sin_family = AF_INET };
    const struct sockaddr *addr = (const struct sockaddr *)(const void *)&sun;
    socklen_t len = sizeof sun;
    if (where[0] == '/') {
        if (strlen(where) >= sizeof sun.sun_path)
            return qn_why(why, QN_E_USAGE, "%s: the path is too long for a socket", where);
        memcpy(sun.sun_path, where, strlen(where));
    } else {
        char host[64] = "";
        const char *at = strncmp(where, "http://", 7) == 0 ? where + 7 : where;
        const char *colon = strrchr(at, ':');
        if (!colon || (size_t)(colon - at) >= sizeof host)
            return qn_why(why, QN_E_USAGE, "%s: expected http://ADDRESS:PORT", where);
        memcpy(host, at, (size_t)(colon - at));
        if (inet_pton(AF_INET, host, &sin.sin_addr) != 1)
            return qn_why(why, QN_E_USAGE, "%s: expected a numeric address", where);
        unsigned long port = strtoul(colon + 1, NULL, 10);
        if (port == 0 || port > UINT16_MAX)
            return qn_why(why, QN_E_USAGE, "%s: expected a port from 1 to 65535", where);
        sin.sin_port = htons((uint16_t)port);
        addr = (const struct sockaddr *)(const void *)&sin;
        len = sizeof sin;
    }
    int fd = socket(addr->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return qn_why(why, QN_E_SYSTEM, "socket: %s", strerror(errno));
    if (connect(fd, addr, len)) {
        int err = errno;
        close(fd);
        if (err == EACCES || err == EPERM)
            return qn_why(why, QN_E_AUTH, "%s: %s", where, strerror(err));
        return qn_why(why, QN_E_NONODE, "%s: %s", where, strerror(err));
    }
    *ret_fd = fd;
    return QN_OK;
}

static qn_rc io_error(struct qn_why *why)
{
    if (errno == EAGAIN || errno == EWOULDBLOCK)
        return qn_why(why, QN_E_TIMEOUT, "no answer in time");
    return qn_why(why, QN_E_IO, "the connection broke: %s", strerror(errno));
}

static qn_rc send_all(int fd, struct qn_span s, struct qn_why *why)
{
    while (s.len) {
        ssize_t n = send(fd, s.ptr, s.len, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return io_error(why);
        s.ptr += n;
        s.len -= (size_t)n;
    }
    return QN_OK;
}

const char *qn_http_find(const char *head, const char *name, size_t *ret_len)
{
    size_t n = strlen(name);
    for (const char *at = strstr(head, "\r\n"); at; at = strstr(at + 2, "\r\n")) {
        if (strncasecmp(at + 2, name, n) == 0 && at[2 + n] == ':') {
            const char *val = at + 3 + n;
            while (*val == ' ')
                val++;
            *ret_len = strcspn(val, "\r");
            return val;
        }
    }
    return NULL;
}

qn_rc qn_http_answer(const char *text, size_t text_len, bool ended, size_t *ret_head,
                     size_t *ret_len, int *ret_status)
{
    size_t len;
    const char *end = text_len ? memmem(text, text_len, "\r\n\r\n", 4) : NULL;
    if (!end) return ended || text_len > QN_HTTP_HEAD_MAX ? QN_E_FORMAT : QN_E_AGAIN;
    size_t head = (size_t)(end - text) + 4;
    if (head < 16 || memcmp(text, "HTTP/1.", 7) != 0) return QN_E_FORMAT;
    const char *val = qn_http_find(text, "Content-Length", &len);
    if (val && val > end) val = NULL;      /* of the body */
    if (!val && !ended) return QN_E_AGAIN; /* the connection's end is the body's */
    unsigned long long body = val ? strtoull(val, NULL, 10) : text_len - head;
    if (body > QN_HTTP_REPLY_MAX || text_len > head + QN_HTTP_REPLY_MAX) return QN_E_TOOBIG;
    *ret_head = head;
    *ret_len = head + (size_t)body;
    *ret_status = (int)strtol(text + 9, NULL, 10);
    if (text_len >= *ret_len) return QN_OK;
    return ended ? QN_E_FORMAT : QN_E_AGAIN;
}

qn_rc qn_http_ask(const char *where, const char *method, const char *path, const char *headers,
                  struct qn_span body, uint64_t timeout_ms, int *ret_status,
                  struct qn_buf *ret_head, struct qn_buf *ret_body, struct qn_why *why)
{
    int fd = -1;
    struct qn_buf out = { 0 }, in = { 0 };
    qn_rc rc = dial(where, &fd, why);
    if (rc) return rc;
    struct timeval tv = { (time_t)(timeout_ms / 1000), (suseconds_t)(timeout_ms % 1000 * 1000) };
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof tv);
    qn_buf_printf(
        &out,
        "%s %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: %zu\r\n%s\r\n",
        method, path, body.len, headers ? headers : "");
    qn_buf_span(&out, body);
    rc = send_all(fd, qn_buf_get(&out), why);
    size_t head = 0, len = 0;
    while (rc == QN_OK) {
        uint8_t *at = qn_buf_grow(&in, 65537);
        ssize_t n = recv(fd, at, 65536, 0);
        in.len -= 65537 - (n > 0 ? (size_t)n : 0);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) rc = io_error(why);
        if (n < 0) break;
        in.ptr[in.len] = 0; /* there is room: one byte more was grown */
        rc = qn_http_answer((const char *)in.ptr, in.len, n == 0, &head, &len, ret_status);
        if (rc == QN_OK) break;
        if (rc == QN_E_AGAIN && in.len <= QN_HTTP_HEAD_MAX + QN_HTTP_REPLY_MAX)
            rc = QN_OK;
        else if (rc == QN_E_FORMAT)
            rc = qn_why(why, rc, "the answer of %s is cut off or not HTTP", where);
        else
            rc = qn_why(why, QN_E_TOOBIG, "the answer is larger than %u bytes", QN_HTTP_REPLY_MAX);
    }
    if (rc == QN_OK) {
        if (ret_head) qn_buf_put(ret_head, in.ptr, head);
        qn_buf_put(ret_body, in.ptr + head, len - head);
    }
    close(fd);
    qn_buf_free(&out);
    qn_buf_free(&in);
    return rc;
}

/* --- a connection that stays ------------------------------------------------------------------------------- */

struct qn_http_conn {
    char where[300];
    uint64_t timeout_ms;
    int fd;           /* -1: hung up */
    struct qn_buf in; /* read, not yet an answer */
};

qn_rc qn_http_dial(const char *where, uint64_t timeout_ms, struct qn_http_conn **ret,
                   struct qn_why *why)
{
    struct qn_http_conn *c = calloc(1, sizeof *c);
    QN_ASSERT(c != NULL);
    if (strlen(where) >= sizeof c->where) {
        free(c);
        return qn_why(why, QN_E_USAGE, "the address is too long");
    }
    memcpy(c->where, where, strlen(where) + 1);
    c->timeout_ms = timeout_ms;
    c->fd = -1;
    *ret = c;
    return QN_OK;
}

static void hang_up(struct qn_http_conn *c)
{
    if (c->fd >= 0) close(c->fd);
    c->fd = -1;
    qn_buf_clear(&c->in);
}

static qn_rc dial_again(struct qn_http_conn *c, struct qn_why *why)
{
    char byte;
    /* A server that hung up since the last answer left an end of file behind. */
    if (c->fd >= 0 && c->in.len == 0 && recv(c->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0)
        hang_up(c);
    if (c->fd >= 0) return QN_OK;
    qn_rc rc = dial(c->where, &c->fd, why);
    if (rc) return rc;
    struct timeval tv = { (time_t)(c->timeout_ms / 1000),
                          (suseconds_t)(c->timeout_ms % 1000 * 1000) };
    int one = 1;
    setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv);
    setsockopt(c->fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof tv);
    if (c->where[0] != '/') setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return QN_OK;
}

qn_rc qn_http_put(struct qn_http_conn *c, const char *method, const char *path, const char *headers,
                  struct qn_span body, struct qn_why *why)
{
    struct qn_buf out = { 0 };
    qn_rc rc = dial_again(c, why);
    if (rc) return rc;
    qn_buf_printf(&out, "%s %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: %zu\r\n%s\r\n",
                  method, path, body.len, headers ? headers : "");
    qn_buf_span(&out, body);
    rc = send_all(c->fd, qn_buf_get(&out), why);
    qn_buf_free(&out);
    if (rc) hang_up(c);
    return rc;
}

qn_rc qn_http_get(struct qn_http_conn *c, int *ret_status, struct qn_buf *ret_head,
                  struct qn_buf *ret_body, struct qn_why *why)
{
    size_t head = 0, len = 0;
    qn_rc rc;
    if (c->fd < 0) return qn_why(why, QN_E_IO, "the connection to %s broke", c->where);
    while ((rc = qn_http_answer((const char *)c->in.ptr, c->in.len, false, &head, &len,
                                ret_status)) == QN_E_AGAIN &&
           c->in.len <= QN_HTTP_HEAD_MAX + QN_HTTP_REPLY_MAX) {
        uint8_t *at = qn_buf_grow(&c->in, 65537);
        ssize_t n = recv(c->fd, at, 65536, 0);
        c->in.len -= 65537 - (n > 0 ? (size_t)n : 0);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) {
            rc = n == 0 ? qn_why(why, QN_E_IO, "%s hung up", c->where) : io_error(why);
            break;
        }
        c->in.ptr[c->in.len] = 0; /* there is room: one byte more was grown */
    }
    if (rc == QN_E_AGAIN) rc = QN_E_TOOBIG; /* and no length was said */
    if (rc == QN_E_FORMAT || rc == QN_E_TOOBIG)
        rc = qn_why(why, rc, "the answer of %s is not HTTP within limits", c->where);
    if (rc) {
        hang_up(c);
        return rc;
    }
    if (ret_head) {
        qn_buf_put(ret_head, c->in.ptr, head);
        qn_buf_u8(ret_head, 0);
    }
    if (ret_body) qn_buf_put(ret_body, c->in.ptr + head, len - head);
    memmove(c->in.ptr, c->in.ptr + len, c->in.len - len);
    c->in.len -= len;
    if (c->in.cap > c->in.len) c->in.ptr[c->in.len] = 0;
    return QN_OK;
}

void qn_http_hangup(struct qn_http_conn *c)
{
    if (!c) return;
    hang_up(c);
    qn_buf_free(&c->in);
    free(c);
}
