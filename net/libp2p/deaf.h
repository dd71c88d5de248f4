/* deaf.h - for tests: a link before a listener on loopback that carries both ways until it is told to, and from then on only what the dialler
 * says. Both ends go on thinking that they are connected, as they do when a real link goes. */
#ifndef QN_NET_LIBP2P_DEAF_H
#define QN_NET_LIBP2P_DEAF_H

#include "net/link/sock.h"

#include <errno.h>
#include <event2/event.h>
#include <sys/socket.h>
#include <unistd.h>

struct deaf {
    struct event_base *base;
    struct event *on_accept, *on_bytes[2];
    int listen_fd, fd[2]; /* the dialler's side, the listener's */
    struct qn_ip at, to;
};

static inline void deaf_end(struct deaf *d)
{
    for (int i = 0; i < 2; i++) {
        if (!d->on_bytes[i]) continue;
        event_free(d->on_bytes[i]);
        d->on_bytes[i] = NULL;
        close(d->fd[i]);
    }
}

static inline void deaf_bytes(evutil_socket_t fd, short what, void *arg)
{
    struct deaf *d = arg;
    uint8_t b[65536];
    (void)what;
    ssize_t n = recv(fd, b, sizeof b, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (n <= 0 || send(d->fd[fd == d->fd[0]], b, (size_t)n, MSG_NOSIGNAL) != n) deaf_end(d);
}

static inline void deaf_accept(evutil_socket_t fd, short what, void *arg)
{
    struct deaf *d = arg;
    struct qn_ip from;
    (void)what;
    d->fd[0] = qn_sock_accept((int)fd, &from);
    if (d->fd[0] < 0 || qn_sock_dial(&d->to, NULL, &d->fd[1], NULL) != QN_OK) return;
    for (int i = 0; i < 2; i++) {
        d->on_bytes[i] = event_new(d->base, d->fd[i], EV_READ | EV_PERSIST, deaf_bytes, d);
        event_add(d->on_bytes[i], NULL);
    }
}

/* deaf_open stands before port, on d->at.port, for one connection. */
static inline void deaf_open(struct deaf *d, struct event_base *base, unsigned port)
{
    *d = (struct deaf){ .base = base, .at.b = { 127, 0, 0, 1 } };
    d->to = d->at;
    d->to.port = (uint16_t)port;
    qn_rc rc = qn_sock_listen(&d->at, &d->listen_fd, &d->at, NULL);
    QN_ASSERT(rc == QN_OK);
    d->on_accept = event_new(base, d->listen_fd, EV_READ | EV_PERSIST, deaf_accept, d);
    event_add(d->on_accept, NULL);
}

static inline void deaf_now(struct deaf *d)
{
    event_del(d->on_bytes[1]);
}

static inline void deaf_close(struct deaf *d)
{
    deaf_end(d);
    event_free(d->on_accept);
    close(d->listen_fd);
}

#endif
