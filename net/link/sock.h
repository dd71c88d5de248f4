/* sock.h - TCP sockets as the host wants them: non-blocking, closed on exec, no Nagle, and little unsent data inside the kernel, so that
 * what goes next is decided here. */
#ifndef QN_NET_LINK_SOCK_H
#define QN_NET_LINK_SOCK_H

#include "core/base/err.h"

/* An IP address and port; v4 in the first 4 bytes. */
struct qn_ip {
    bool v6;
    uint8_t b[16];
    uint16_t port;
};

/* qn_sock_listen binds; ret_at has the port that was given. QN_E_PORT, QN_E_IO. */
QN_CHECK qn_rc qn_sock_listen(const struct qn_ip *at, int *ret_fd, struct qn_ip *ret_at,
                              struct qn_why *why);
/* qn_sock_dial starts a connection, which is writable once it stands. from: the address it shall come from, NULL: any. QN_E_IO. */
QN_CHECK qn_rc qn_sock_dial(const struct qn_ip *to, const struct qn_ip *from, int *ret_fd,
                            struct qn_why *why);
/* qn_sock_accept takes one; -1 with errno when there is none. */
int qn_sock_accept(int fd, struct qn_ip *ret_from);
/* qn_sock_result is 0 once a dialled socket stands, else errno. */
int qn_sock_result(int fd);
bool qn_ip_local(const struct qn_ip *ip); /* loopback, private, link-local */

/* qn_sock_ahead: the kernel takes so many bytes more than it can send yet, and is full then (TCP_NOTSENT_LOWAT); at 100 Mbit/s 32 KiB are 2.6 ms.
 * It can be written again when less than half of that is left. qn_sock_unsent says how much there is. */
#define QN_SOCK_AHEAD_MAX 32768
#define QN_SOCK_AHEAD_MIN 8192
void qn_sock_ahead(int fd, int bytes);
int qn_sock_unsent(int fd);

#endif
