/* server.c - listeners, limits and who may ask, in front of evhttp. */
#include "core/http/server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <event2/listener.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define STREAM_LAG_MAX (1u << 20)
#define SPARE_FDS      512 /* kept from strangers, for the ledger, jobs and the owner's socket */
#define BREATH_MS      100

/* A listener that rests while descriptors are short: who waits in its queue is served later. */
struct door {
    struct evconnlistener *listener;
    int spare;
};

struct qn_http {
    struct qn_http_conf conf;
    struct evhttp *local, *port;
    struct door local_door, port_door;
    struct event *breath; /* opens doors again */
    char socket[108], cookie[80];
    unsigned port_no;
};

struct qn_http_req {
    struct qn_http *http;
    struct evhttp_request *ev;
    bool stream;
    void (*gone)(void *arg); /* instead of conf.gone */
    void *gone_arg;
};

static void on_gone(struct evhttp_connection *conn, void *arg)
{
    struct qn_http_req *req = arg;
    (void)conn;
    if (req->gone)
        req->gone(req->gone_arg);
    else if (req->http->conf.gone)
        req->http->conf.gone(req->http->conf.arg, req);
    if (req->stream) evhttp_request_free(req->ev);
    free(req);
}

const char *qn_http_header(const struct qn_http_req *req, const char *name, unsigned *ret_cnt)
{
    const char *first = NULL;
    unsigned cnt = 0;
    const struct evkeyvalq *in = evhttp_request_get_input_headers(req->ev);
    for (const struct evkeyval *kv = in->tqh_first; kv; kv = kv->next.tqe_next) {
        if (strcasecmp(kv->key, name) != 0) continue;
        if (cnt++ == 0) first = kv->value;
    }
    if (ret_cnt) *ret_cnt = cnt;
    return first;
}

void qn_http_add(struct qn_http_req *req, const char *name, const char *value)
{
    evhttp_add_header(evhttp_request_get_output_headers(req->ev), name, value);
}

void qn_http_keep(struct qn_http_req *req, void (*gone)(void *arg), void *arg)
{
    req->gone = gone;
    req->gone_arg = arg;
}

static void answer(struct evhttp_request *ev, int status, const char *type, struct qn_span body)
{
    struct evbuffer *out = evbuffer_new();
    evbuffer_add(out, body.ptr, body.len);
    evhttp_add_header(evhttp_request_get_output_headers(ev), "Content-Type", type);
    evhttp_add_header(evhttp_request_get_output_headers(ev), "X-Content-Type-Options", "nosniff");
    evhttp_send_reply(ev, status, NULL, out);
    evbuffer_free(out);
}

void qn_http_reply(struct qn_http_req *req, int status, const char *type, struct qn_span body)
{
    evhttp_connection_set_closecb(evhttp_request_get_connection(req->ev), NULL, NULL);
    answer(req->ev, status, type, body);
    free(req);
}

void qn_http_stream(struct qn_http_req *req)
{
    req->stream = true;
    evhttp_add_header(evhttp_request_get_output_headers(req->ev), "Content-Type",
                      "text/event-stream");
    evhttp_add_header(evhttp_request_get_output_headers(req->ev), "Cache-Control", "no-store");
    evhttp_send_reply_start(req->ev, 200, "OK");
}

void qn_http_send(struct qn_http_req *req, struct qn_span chunk)
{
    struct evhttp_connection *conn = evhttp_request_get_connection(req->ev);
    struct evbuffer *pending = bufferevent_get_output(evhttp_connection_get_bufferevent(conn));
    if (evbuffer_get_length(pending) > STREAM_LAG_MAX)
        return; /* lost; the reader resumes by its last id, or times out */
    struct evbuffer *out = evbuffer_new();
    evbuffer_add(out, chunk.ptr, chunk.len);
    evhttp_send_reply_chunk(req->ev, out);
    evbuffer_free(out);
}

/* The whole name, up to a port or the end: "localhost.example" is somebody else's. */
static bool loopback_name(const char *host)
{
    static const char *const OURS[] = { "localhost", "127.0.0.1", "[::1]" };
    for (size_t i = 0; i < QN_COUNT(OURS); i++) {
        size_t len = strlen(OURS[i]);
        if (strncasecmp(host, OURS[i], len) == 0 && (host[len] == 0 || host[len] == ':'))
            return true;
    }
    return false;
}

/* A page of another site may make the browser call loopback: its Host or Origin gives it away. */
static bool foreign(struct evhttp_request *ev)
{
    struct evkeyvalq *in = evhttp_request_get_input_headers(ev);
    const char *host = evhttp_find_header(in, "Host"), *origin = evhttp_find_header(in, "Origin");
    if (host && *host && !loopback_name(host)) return true;
    if (!origin) return false;
    const char *at = strstr(origin, "://");
    return !at || !loopback_name(at + 3);
}

static bool same(const char *a, const char *b)
{
    unsigned diff = strlen(a) != strlen(b);
    for (size_t i = 0; a[i] && b[i]; i++)
        diff |= (unsigned)(a[i] ^ b[i]);
    return diff == 0;
}

static void handle(struct qn_http *http, struct evhttp_request *ev, bool local)
{
    const char *method = NULL;
    enum evhttp_cmd_type cmd = evhttp_request_get_command(ev);
    const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(ev);
    const char *path = uri ? evhttp_uri_get_path(uri) : NULL;
    if (cmd == EVHTTP_REQ_GET) method = "GET";
    if (cmd == EVHTTP_REQ_POST) method = "POST";
    if (!method || !path) {
        answer(ev, 405, "application/problem+json",
               QN_SPAN_STR("{\"title\":\"only GET and POST are served\",\"status\":405}"));
        return;
    }
    if (!local && foreign(ev)) {
        answer(
            ev, 403, "application/problem+json",
            QN_SPAN_STR("{\"title\":\"foreign Host or Origin\",\"status\":403,\"code\":\"AUTH\"}"));
        return;
    }
    const char *auth = evhttp_find_header(evhttp_request_get_input_headers(ev), "Authorization");
    bool owner =
        local || (auth && strncmp(auth, "Bearer ", 7) == 0 && same(auth + 7, http->cookie));
    struct evbuffer *in = evhttp_request_get_input_buffer(ev);
    size_t len = evbuffer_get_length(in);
    struct qn_http_req *req = calloc(1, sizeof *req);
    QN_ASSERT(req != NULL);
    *req = (struct qn_http_req){ .http = http, .ev = ev };
    evhttp_connection_set_closecb(evhttp_request_get_connection(ev), on_gone, req);
    http->conf.handle(http->conf.arg, req, method, path, evhttp_uri_get_query(uri),
                      QN_SPAN(len ? evbuffer_pullup(in, -1) : NULL, len), owner);
}

static void on_local(struct evhttp_request *ev, void *arg)
{
    handle(arg, ev, true);
}

static void on_port(struct evhttp_request *ev, void *arg)
{
    handle(arg, ev, false);
}

/* accept takes the lowest number that is free, so that one tells how many are left. */
static bool room(const struct door *door)
{
    struct rlimit lim;
    int fd = fcntl(evconnlistener_get_fd(door->listener), F_DUPFD_CLOEXEC, 0);
    if (fd < 0 || getrlimit(RLIMIT_NOFILE, &lim)) return false;
    close(fd);
    return (rlim_t)fd + QN_MIN((rlim_t)door->spare, lim.rlim_cur / 4) < lim.rlim_cur;
}

static struct bufferevent *on_accept(struct event_base *base, void *arg)
{
    struct door *door = arg;
    (void)base;
    if (!room(door)) evconnlistener_disable(door->listener);
    return NULL; /* evhttp makes its usual one */
}

/* Without this libevent writes a line for each failure and tries again at once. */
static void on_accept_error(struct evconnlistener *listener, void *arg)
{
    (void)arg;
    evconnlistener_disable(listener);
}

static void on_breath(int fd, short what, void *arg)
{
    struct qn_http *http = arg;
    struct door *doors[] = { &http->local_door, &http->port_door };
    (void)fd, (void)what;
    for (size_t i = 0; i < QN_COUNT(doors); i++)
        if (doors[i]->listener && room(doors[i])) evconnlistener_enable(doors[i]->listener);
}

static bool accept_on(struct evhttp *ev, int fd, struct door *door, int spare)
{
    struct evhttp_bound_socket *bound = evhttp_accept_socket_with_handle(ev, fd);
    if (!bound) return false;
    *door = (struct door){ evhttp_bound_socket_get_listener(bound), spare };
    evconnlistener_set_error_cb(door->listener, on_accept_error);
    evhttp_set_bevcb(ev, on_accept, door);
    return true;
}

static struct evhttp *server(struct qn_http *http, void (*fn)(struct evhttp_request *, void *))
{
    struct evhttp *ev = evhttp_new(http->conf.base);
    QN_ASSERT(ev != NULL);
    evhttp_set_max_body_size(ev, QN_HTTP_BODY_MAX);
    evhttp_set_max_headers_size(ev, 16384);
    evhttp_set_timeout(ev, 60);
    evhttp_set_allowed_methods(ev, EVHTTP_REQ_GET | EVHTTP_REQ_POST | EVHTTP_REQ_PUT |
                                       EVHTTP_REQ_DELETE | EVHTTP_REQ_HEAD);
    evhttp_set_gencb(ev, fn, http);
    return ev;
}

static qn_rc open_socket(struct qn_http *http, struct qn_why *why)
{
    struct sockaddr_un sun = { .sun_family = AF_UNIX };
    const char *path = http->conf.socket;
    if (strlen(path) >= sizeof sun.sun_path)
        return qn_why(why, QN_E_USAGE,
                      "%s: a socket's path has at most %zu bytes; choose a shorter --home", path,
                      sizeof sun.sun_path - 1);
    memcpy(sun.sun_path, path, strlen(path));
    memcpy(http->socket, sun.sun_path, sizeof http->socket);
    unlink(path); /* the home's lock says that nobody uses it */
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    mode_t old = umask(0177);
    int bad = fd < 0 || bind(fd, (struct sockaddr *)(void *)&sun, sizeof sun) || listen(fd, 128);
    umask(old);
    if (bad || !accept_on(http->local, fd, &http->local_door, SPARE_FDS / 4)) {
        if (fd >= 0) close(fd);
        return qn_why(why, QN_E_IO, "%s: %s", path, strerror(errno));
    }
    return QN_OK;
}

static qn_rc open_port(struct qn_http *http, struct qn_why *why)
{
    struct sockaddr_in sin = { .sin_family = AF_INET };
    char host[64];
    const char *colon = strrchr(http->conf.addr, ':');
    char *end;
    unsigned long port = colon ? strtoul(colon + 1, &end, 10) : 0;
    if (!colon || !colon[1] || *end || port > 65535 ||
        (size_t)(colon - http->conf.addr) >= sizeof host)
        return qn_why(why, QN_E_USAGE, "%s: expected ADDRESS:PORT", http->conf.addr);
    memcpy(host, http->conf.addr, (size_t)(colon - http->conf.addr));
    host[colon - http->conf.addr] = 0;
    if (inet_pton(AF_INET, host, &sin.sin_addr) != 1)
        return qn_why(why, QN_E_USAGE, "%s: expected a numeric address", host);
    if (sin.sin_addr.s_addr != htonl(INADDR_LOOPBACK)) /* the cookie goes over it in clear text */
        return qn_why(why, QN_E_USAGE, "%s: the API listens on 127.0.0.1 alone", host);
    sin.sin_port = htons((uint16_t)port);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), one = 1;
    socklen_t len = sizeof sin;
    if (fd >= 0) setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (fd < 0 || bind(fd, (struct sockaddr *)(void *)&sin, sizeof sin) || listen(fd, 256) ||
        getsockname(fd, (struct sockaddr *)(void *)&sin, &len) ||
        !accept_on(http->port, fd, &http->port_door, SPARE_FDS)) {
        int err = errno;
        if (fd >= 0) close(fd);
        return qn_why(why, err == EADDRINUSE ? QN_E_PORT : QN_E_IO, "the API at %s: %s",
                      http->conf.addr, strerror(err));
    }
    http->port_no = ntohs(sin.sin_port);
    return QN_OK;
}

qn_rc qn_http_open(const struct qn_http_conf *conf, struct qn_http **ret, struct qn_why *why)
{
    struct qn_http *http = calloc(1, sizeof *http);
    QN_ASSERT(http != NULL);
    http->conf = *conf;
    if (conf->cookie)
        memcpy(http->cookie, conf->cookie, QN_MIN(strlen(conf->cookie), sizeof http->cookie - 1));
    http->local = server(http, on_local);
    http->port = server(http, on_port);
    const struct timeval every = { 0, BREATH_MS * 1000 };
    http->breath = event_new(conf->base, -1, EV_PERSIST, on_breath, http);
    QN_ASSERT(http->breath != NULL);
    event_add(http->breath, &every);
    qn_rc rc = conf->socket ? open_socket(http, why) : QN_OK;
    if (rc == QN_OK && conf->addr) rc = open_port(http, why);
    if (rc)
        qn_http_close(http);
    else
        *ret = http;
    return rc;
}

unsigned qn_http_port(const struct qn_http *http)
{
    return http->port_no;
}

void qn_http_close(struct qn_http *http)
{
    if (!http) return;
    http->conf.gone = NULL; /* who kept requests has let them go */
    event_free(http->breath);
    evhttp_free(http->local);
    evhttp_free(http->port);
    if (http->socket[0]) unlink(http->socket);
    free(http);
}
