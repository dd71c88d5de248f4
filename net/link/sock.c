/* sock.c - the system calls. */
#include "net/link/sock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

union addr {
    struct sockaddr sa;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    struct sockaddr_storage room;
};

static socklen_t to_addr(const struct qn_ip *ip, union addr *ret)
{
    memset(ret, 0, sizeof *ret);
    if (ip->v6) {
        ret->v6.sin6_family = AF_INET6;
        ret->v6.sin6_port = htons(ip->port);
        memcpy(&ret->v6.sin6_addr, ip->b, 16);
        return sizeof ret->v6;
    }
    ret->v4.sin_family = AF_INET;
    ret->v4.sin_port = htons(ip->port);
    memcpy(&ret->v4.sin_addr, ip->b, 4);
    return sizeof ret->v4;
}

static struct qn_ip from_addr(const union addr *a)
{
    static const uint8_t MAPPED[12] = { [10] = 0xff, [11] = 0xff };
    struct qn_ip ip = { 0 };
    if (a->sa.sa_family == AF_INET) {
        ip.port = ntohs(a->v4.sin_port);
        memcpy(ip.b, &a->v4.sin_addr, 4);
        return ip;
    }
    ip.port = ntohs(a->v6.sin6_port);
    memcpy(ip.b, &a->v6.sin6_addr, 16);
    ip.v6 = memcmp(ip.b, MAPPED, 12) != 0;
    if (!ip.v6) { /* a v4 client of a v6 socket counts as what it is */
        memmove(ip.b, ip.b + 12, 4);
        memset(ip.b + 4, 0, 12);
    }
    return ip;
}

static void tune(int fd)
{
    int one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    qn_sock_ahead(fd, QN_SOCK_AHEAD_MAX);
}

void qn_sock_ahead(int fd, int bytes)
{
    setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &bytes, sizeof bytes);
}

int qn_sock_unsent(int fd)
{
    int bytes = 0;
    return ioctl(fd, SIOCOUTQNSD, &bytes) ? 0 : bytes;
}

qn_rc qn_sock_listen(const struct qn_ip *at, int *ret_fd, struct qn_ip *ret_at, struct qn_why *why)
{
    union addr a;
    char text[64] = "";
    int one = 1;
    socklen_t len = to_addr(at, &a);
    inet_ntop(at->v6 ? AF_INET6 : AF_INET, at->b, text, sizeof text);
    int fd = socket(a.sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd >= 0) setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    socklen_t room = sizeof a;
    if (fd < 0 || bind(fd, &a.sa, len) || listen(fd, 1024) || getsockname(fd, &a.sa, &room)) {
        int err = errno;
        if (fd >= 0) close(fd);
        return qn_why(why, err == EADDRINUSE ? QN_E_PORT : QN_E_IO, "%s port %u: %s", text,
                      at->port, strerror(err));
    }
    *ret_fd = fd;
    *ret_at = from_addr(&a);
    return QN_OK;
}

qn_rc qn_sock_dial(const struct qn_ip *to, const struct qn_ip *from, int *ret_fd,
                   struct qn_why *why)
{
    union addr a, own;
    const int late =
        1; /* the port is chosen with the connection: else one port serves one peer alone */
    socklen_t len = to_addr(to, &a);
    int fd = socket(a.sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return qn_why(why, QN_E_IO, "%s", strerror(errno));
    tune(fd);
    if (from) {
        struct qn_ip at = *from;
        at.port = 0;
        socklen_t own_len = to_addr(&at, &own);
        (void)setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &late, sizeof late);
        (void)!bind(fd, &own.sa, own_len); /* without it the system chooses */
    }
    if (connect(fd, &a.sa, len) && errno != EINPROGRESS) {
        int err = errno;
        close(fd);
        return qn_why(why, QN_E_IO, "%s", strerror(err));
    }
    *ret_fd = fd;
    return QN_OK;
}

int qn_sock_accept(int listener, struct qn_ip *ret_from)
{
    union addr a;
    socklen_t len = sizeof a;
    int fd = accept4(listener, &a.sa, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) return -1;
    tune(fd);
    *ret_from = from_addr(&a);
    return fd;
}

int qn_sock_result(int fd)
{
    int err = 0;
    socklen_t len = sizeof err;
    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len) ? errno : err;
}

bool qn_ip_local(const struct qn_ip *ip)
{
    const uint8_t *b = ip->b;
    static const uint8_t LOOP[16] = { [15] = 1 };
    if (ip->v6)
        return memcmp(b, LOOP, 16) == 0 || (b[0] & 0xfe) == 0xfc ||
               (b[0] == 0xfe && (b[1] & 0xc0) == 0x80);
    return b[0] == 127 || b[0] == 10 || (b[0] == 192 && b[1] == 168) ||
           (b[0] == 172 && (b[1] & 0xf0) == 16) || (b[0] == 169 && b[1] == 254);
}
