/* nat.h - keeping a port open in the router (net/link/nat.h), from a process of its own.
 *
 * `quoin worker nat` is this program anew, with none of the node's memory: it may open no file and start no program, has little memory and
 * twelve seconds for each exchange, and says in lines what it got. Should a router's bytes be too much for the libraries that read them, that
 * is lost and nothing else. When the node goes, however it goes, it closes the port and ends. */
#ifndef QN_CORE_NET_NAT_H
#define QN_CORE_NET_NAT_H

#include "core/env/env.h"
#include "net/link/nat.h"

struct event_base;
struct qn_nat;

struct qn_nat_conf {
    struct event_base *base;
    const struct qn_env *env;
    struct net_nat_conf how;
    uint16_t port;
    /* A port is open there (lent), or none is any more. */
    void (*changed)(void *arg, const struct net_addr *outside);
    void *arg;
};

/* qn_nat_open starts it; what comes of it, comes. */
QN_GIVES struct qn_nat *qn_nat_open(const struct qn_nat_conf *conf);
/* qn_nat_close gives the port back; it waits a second and a half at most for the router. */
void qn_nat_close(struct qn_nat *nat);

/* qn_nat_text says how it stands, for people: "port 4460 opened by UPnP". */
const char *qn_nat_text(const struct qn_nat *nat);

/* qn_nat_main is the process. */
int qn_nat_main(void);

#endif
