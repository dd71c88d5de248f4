/* client.c - one request, one answer, then the connection ends. */
#include "core/http/client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
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
        sin.sin_port = htons((uint16_t)strtoul(colon + 1, NULL, 10));
        addr = (const struct sockaddr *)(const void *)&sin;
        len = sizeof sin;
    }
    int fd = socket(addr->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return qn_why(why, QN_E_SYSTEM, "socket: %s", strerror(errno));
    if (connect(fd, addr, len)) {
        int err = errno;
        close(fd);
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

/* Value of a header in a block of lines, or NULL; *ret_len its length. */
static const char *header(const char *head, const char *name, size_t *ret_len)
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
    char *end = NULL;
    size_t want = SIZE_MAX;
    while (rc == QN_OK && in.len < want) {
        uint8_t *at = qn_buf_grow(&in, 65537);
        ssize_t n = recv(fd, at, 65536, 0);
        in.len -= 65537 - (n > 0 ? (size_t)n : 0);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) rc = io_error(why);
        if (n <= 0) break;
        if (in.len > QN_HTTP_REPLY_MAX)
            rc = qn_why(why, QN_E_TOOBIG, "the answer is larger than %u bytes", QN_HTTP_REPLY_MAX);
        in.ptr[in.len] = 0; /* there is room: one byte more was grown */
        if (!end && (end = strstr((char *)in.ptr, "\r\n\r\n"))) {
            size_t len, head = (size_t)(end - (char *)in.ptr) + 4;
            const char *val = header((char *)in.ptr, "Content-Length", &len);
            if (val && end > val) want = head + strtoull(val, NULL, 10);
        }
    }
    int status = 0;
    if (rc == QN_OK && in.len > 12 && memcmp(in.ptr, "HTTP/1.", 7) == 0)
        status = (int)strtol((char *)in.ptr + 9, NULL, 10);
    char *split = status ? strstr((char *)in.ptr, "\r\n\r\n") : NULL;
    if (rc == QN_OK && (!split || (want != SIZE_MAX && in.len < want)))
        rc = qn_why(why, QN_E_FORMAT, "the answer of %s is cut off or not HTTP", where);
    if (rc == QN_OK) {
        size_t head = (size_t)(split - (char *)in.ptr) + 4;
        if (ret_head) qn_buf_put(ret_head, in.ptr, head);
        qn_buf_put(ret_body, in.ptr + head, QN_MIN(in.len, want) - head);
        *ret_status = status;
    }
    close(fd);
    qn_buf_free(&out);
    qn_buf_free(&in);
    return rc;
}
