/* names.c - dialling by name: addresses from a name server, then one after the other. */
#include "net/libp2p/host_in.h"

#include <event2/dns.h>
#include <event2/util.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOOK_MS   10000
#define ADDRS_MAX 8
#define RUN_MAX   64 /* names at once */

/* A name that is looked up, and then dialled. */
struct naming {
    struct naming *next;
    struct qn_host *host;                      /* NULL: nobody waits */
    struct evdns_getaddrinfo_request *request; /* NULL: answered */
    struct event late;                         /* the answer is, or it came at once */
    char name[254];
    struct qn_endpoint to[ADDRS_MAX];
    uint32_t cnt, at;
    qn_rc rc; /* of the last address */
    struct qn_why why;
    qn_dial_fn *done;
    void *arg;
    bool over; /* done was called; what the name server still says frees it */
};

static void unlink_naming(struct naming *n)
{
    struct naming **at = &n->host->namings;
    while (*at != n)
        at = &(*at)->next;
    *at = n->next;
}

static void end(struct naming *n, qn_rc rc, uint32_t peer)
{
    struct qn_why why = n->why;
    qn_dial_fn *done = n->done;
    void *arg = n->arg;
    event_del(&n->late);
    unlink_naming(n);
    n->over = true;
    if (n->request)
        evdns_getaddrinfo_cancel(n->request); /* which is answered, later */
    else
        free(n);
    done(arg, rc, peer, rc ? &why : NULL);
}

static void dial_next(struct naming *n);

static void dialled(void *arg, qn_rc rc, uint32_t peer, const struct qn_why *why)
{
    struct naming *n = arg;
    n->rc = rc;
    if (why) n->why = *why;
    if (rc == QN_OK || n->host->closing)
        end(n, rc, peer);
    else
        dial_next(n);
}

static void dial_next(struct naming *n)
{
    while (n->at < n->cnt) {
        n->rc = qn_host_dial_to(n->host, &n->to[n->at++], dialled, n, &n->why);
        if (n->rc == QN_OK) return;
    }
    end(n, n->rc, 0);
}

/* Time is up, or the answer came inside the question: names of /etc/hosts do. */
static void on_late(int fd, short what, void *arg)
{
    struct naming *n = arg;
    (void)fd, (void)what;
    if (n->request)
        end(n, qn_why(&n->why, QN_E_TIMEOUT, "%.100s: no name server answers", n->name), 0);
    else
        dial_next(n);
}

static void on_answer(int err, struct evutil_addrinfo *list, void *arg)
{
    struct naming *n = arg;
    n->request = NULL;
    if (n->over) {
        if (list) evutil_freeaddrinfo(list);
        free(n);
        return;
    }
    for (struct evutil_addrinfo *i = list; i && n->cnt < ADDRS_MAX; i = i->ai_next) {
        struct qn_endpoint to = n->to[0]; /* port and id */
        if (i->ai_family == AF_INET) {
            struct sockaddr_in sin;
            memcpy(&sin, i->ai_addr, sizeof sin);
            memcpy(to.ip, &sin.sin_addr, 4);
        } else if (i->ai_family == AF_INET6) {
            struct sockaddr_in6 sin;
            memcpy(&sin, i->ai_addr, sizeof sin);
            memcpy(to.ip, &sin.sin6_addr, 16);
        } else {
            continue;
        }
        to.v6 = i->ai_family == AF_INET6;
        n->to[n->cnt++] = to;
    }
    if (list) evutil_freeaddrinfo(list);
    if (!n->cnt)
        n->rc = qn_why(&n->why, QN_E_IO, "%.100s: %s", n->name,
                       err ? evutil_gai_strerror(err) : "has no address");
    event_active(&n->late, EV_TIMEOUT, 0);
}

/* Who dials is told what went wrong. */
static void quiet(int is_warning, const char *text)
{
    (void)is_warning, (void)text;
}

static bool resolver(struct qn_host *h)
{
    if (h->dns) return true;
    h->dns = evdns_base_new(h->conf.base, EVDNS_BASE_DISABLE_WHEN_INACTIVE);
    if (!h->dns) return false;
    evdns_set_log_fn(quiet);
    if (h->nameserver[0])
        (void)!evdns_base_nameserver_ip_add(h->dns, h->nameserver);
    else /* without that file 127.0.0.1 is asked */
        (void)!evdns_base_resolv_conf_parse(h->dns, DNS_OPTIONS_ALL, "/etc/resolv.conf");
    evdns_base_set_option(h->dns, "timeout:", "3");
    evdns_base_set_option(h->dns, "attempts:", "2");
    evdns_base_set_option(h->dns, "randomize-case:", "1"); /* more for a forger to guess */
    return true;
}

qn_rc names_dial(struct qn_host *h, const struct qn_named *named, qn_dial_fn *done, void *arg,
                 struct qn_why *why)
{
    const struct timeval tv = { LOOK_MS / 1000, 0 };
    struct evutil_addrinfo hints = { .ai_family = named->v4 && named->v6 ? AF_UNSPEC
                                                  : named->v4            ? AF_INET
                                                                         : AF_INET6,
                                     .ai_socktype = SOCK_STREAM,
                                     .ai_protocol = IPPROTO_TCP };
    uint32_t running = 0;
    for (const struct naming *n = h->namings; n; n = n->next)
        running++;
    if (running >= RUN_MAX) return qn_why(why, QN_E_LIMIT, "%u names are dialled already", running);
    if (!resolver(h)) return qn_why(why, QN_E_SYSTEM, "names cannot be looked up");
    struct naming *n = calloc(1, sizeof *n);
    QN_ASSERT(n != NULL);
    n->host = h;
    n->done = done;
    n->arg = arg;
    n->to[0] = named->to;
    n->rc = QN_E_IO;
    memcpy(n->name, named->name, sizeof n->name);
    n->next = h->namings;
    h->namings = n;
    event_assign(&n->late, h->conf.base, -1, 0, on_late, n);
    event_add(&n->late, &tv);
    struct evdns_getaddrinfo_request *request =
        evdns_getaddrinfo(h->dns, n->name, NULL, &hints, on_answer, n);
    /* NULL: on_answer was called in there, and what follows comes on a turn of the loop. */
    n->request = request;
    return QN_OK;
}

/* Those that are dialling end with their connections. */
void names_fini(struct qn_host *h)
{
    for (struct naming *n = h->namings, *next; n; n = next) {
        next = n->next;
        if (n->request || !n->at) end(n, qn_why(&n->why, QN_E_STATE, "the host closes"), 0);
    }
    if (h->dns) evdns_base_free(h->dns, 1);
    h->dns = NULL;
}
