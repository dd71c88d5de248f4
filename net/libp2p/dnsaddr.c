/* dnsaddr.c - dialling by /dnsaddr/NAME: the text records at _dnsaddr.NAME, each an address with whom to expect there, one after the other.
 *
 *     _dnsaddr.example.org  TXT  "dnsaddr=/ip4/192.0.2.7/tcp/4460/p2p/12D3KooW.."
 *                           TXT  "dnsaddr=/dnsaddr/more.example.org"                  looked up in turn
 *
 * Only names that a person gave are looked up. Who answers chooses where we dial and, unless the person named him, whom: so a record without
 * an id is worth nothing, and all of it is bounded. c-ares asks, over UDP and TCP; evdns, which names.c uses, knows no text records. */
#include "net/libp2p/host_in.h"

#include <ares.h>
#include <arpa/nameser.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOOK_MS 10000 /* for all questions of a dial */
#define TRY_MS  2000
#define TRIES   2
#define ANSWERS 16 /* records of an answer that are read; addresses of a dial that are tried */
#define DEPTH   3  /* names behind names */
#define LOOKS   8  /* questions of a dial */
#define RUN_MAX 8  /* dials at once */
#define SOCKS   16
#define UDP_MAX 1232 /* bytes of an answer; longer ones come over TCP */

struct question {
    struct lookup *l;
    uint32_t depth;
    bool has_id; /* only addresses of this peer are wanted */
    struct qn_peer_id id;
};

struct lookup {
    struct lookup *next;
    struct qn_host *host;
    ares_channel channel; /* NULL: nothing is asked any more */
    struct event timer;   /* of the channel */
    struct event late;    /* time is up, or all is answered */
    struct {
        int fd; /* -1: free */
        struct event ev;
    } sock[SOCKS];
    char name[254];
    struct question question[LOOKS];
    uint32_t asked, open, cnt, at;
    struct qn_maddr to[ANSWERS];
    qn_rc rc; /* of the last address */
    struct qn_why why;
    qn_dial_fn *done;
    void *arg;
};

/* --- the channel on our loop ------------------------------------------------------------------------------ */

static void rearm(struct lookup *l)
{
    struct timeval max = { 1, 0 }, tv;
    event_add(&l->timer, ares_timeout(l->channel, &max, &tv));
}

static void on_timer(int fd, short what, void *arg)
{
    struct lookup *l = arg;
    (void)fd, (void)what;
    ares_process_fd(l->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    rearm(l);
}

static void on_sock(int fd, short what, void *arg)
{
    struct lookup *l = arg;
    ares_process_fd(l->channel, what & EV_READ ? fd : ARES_SOCKET_BAD,
                    what & EV_WRITE ? fd : ARES_SOCKET_BAD);
    rearm(l);
}

static void on_state(void *arg, ares_socket_t fd, int read, int write)
{
    struct lookup *l = arg;
    uint32_t free_at = SOCKS, at = 0;
    for (; at < SOCKS && l->sock[at].fd != fd; at++)
        if (l->sock[at].fd < 0) free_at = at;
    if (at < SOCKS)
        event_del(&l->sock[at].ev);
    else
        at = free_at;
    if (at == SOCKS) return; /* more servers than we listen to: their answers come too late */
    l->sock[at].fd = read || write ? fd : -1;
    if (l->sock[at].fd < 0) return;
    short what = (short)((read ? EV_READ : 0) | (write ? EV_WRITE : 0) | EV_PERSIST);
    event_assign(&l->sock[at].ev, l->host->conf.base, fd, what, on_sock, l);
    event_add(&l->sock[at].ev, NULL);
}

static bool channel_open(struct lookup *l)
{
    struct ares_options opt = { .flags = ARES_FLAG_EDNS | ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES,
                                .timeout = TRY_MS,
                                .tries = TRIES,
                                .ednspsz = UDP_MAX,
                                .sock_state_cb = on_state,
                                .sock_state_cb_data = l };
    const int mask = ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_EDNSPSZ |
                     ARES_OPT_SOCK_STATE_CB;
    if (ares_init_options(&l->channel, &opt, mask)) return false;
    const char *server = l->host->nameserver;
    return !server[0] || ares_set_servers_ports_csv(l->channel, server) == ARES_SUCCESS;
}

/* --- answers ------------------------------------------------------------------------------------------------- */

static void on_answer(void *arg, int status, int timeouts, unsigned char *bytes, int len);

static void ask(struct lookup *l, const char *name, uint32_t depth, bool has_id,
                const struct qn_peer_id *id)
{
    char at[sizeof "_dnsaddr." + 254];
    if (l->asked == LOOKS) return;
    struct question *q = &l->question[l->asked++];
    *q = (struct question){ .l = l, .depth = depth, .has_id = has_id };
    if (has_id) q->id = *id;
    l->open++;
    snprintf(at, sizeof at, "_dnsaddr.%s", name);
    ares_query(l->channel, at, ns_c_in, ns_t_txt, on_answer, q);
}

static void take(struct question *q, const char *text)
{
    static const char HEAD[] = "dnsaddr=/";
    struct lookup *l = q->l;
    struct qn_maddr addr;
    struct qn_named named;
    struct qn_endpoint to;
    if (strncmp(text, HEAD, sizeof HEAD - 1) != 0) return; /* other people's records */
    if (qn_maddr_parse(text + sizeof HEAD - 2, &addr, NULL)) return;
    bool by_name = qn_maddr_named(&addr, &named) == QN_OK;
    if (by_name) to = named.to;
    if (!by_name && qn_maddr_endpoint(&addr, &to)) return;
    if (q->has_id && to.has_id && !qn_peer_id_eq(&q->id, &to.id)) return;
    if (by_name && named.text) {
        if (q->depth < DEPTH)
            ask(l, named.name, q->depth + 1, q->has_id || to.has_id, q->has_id ? &q->id : &to.id);
        return;
    }
    if (!to.has_id || l->cnt == ANSWERS) return;
    l->to[l->cnt++] = addr;
}

/* The strings of a record are one text. */
static void take_all(struct question *q, const struct ares_txt_ext *part)
{
    char text[QN_MADDR_TEXT + 16];
    for (uint32_t records = 0; part && records < ANSWERS; records++) {
        size_t len = 0;
        bool fits = true;
        do {
            fits = fits && part->length < sizeof text - len && !memchr(part->txt, 0, part->length);
            if (fits) memcpy(text + len, part->txt, part->length), len += part->length;
            part = part->next;
        } while (part && !part->record_start);
        text[len] = 0;
        if (fits) take(q, text);
    }
}

static void on_answer(void *arg, int status, int timeouts, unsigned char *bytes, int len)
{
    struct question *q = arg;
    struct lookup *l = q->l;
    struct ares_txt_ext *texts = NULL;
    (void)timeouts;
    if (status == ARES_EDESTRUCTION || status == ARES_ECANCELLED) {
        l->open--;
        return;
    }
    if (status == ARES_SUCCESS) status = ares_parse_txt_reply_ext(bytes, len, &texts);
    if (status == ARES_SUCCESS)
        take_all(q, texts);
    else
        l->rc = qn_why(&l->why, status == ARES_ETIMEOUT ? QN_E_TIMEOUT : QN_E_IO,
                       "_dnsaddr.%.100s: %s", l->name, ares_strerror(status));
    ares_free_data(texts);
    if (!--l->open) event_active(&l->late, EV_TIMEOUT, 0);
}

/* --- dialling -------------------------------------------------------------------------------------------------- */

static void channel_close(struct lookup *l)
{
    event_del(&l->timer);
    event_del(&l->late);
    if (l->channel) ares_destroy(l->channel);
    l->channel = NULL;
    QN_ASSERT(l->open == 0);
    for (uint32_t i = 0; i < SOCKS; i++)
        QN_ASSERT(l->sock[i].fd < 0); /* told of each socket that goes */
}

static void end(struct lookup *l, qn_rc rc, uint32_t peer)
{
    struct lookup **at = &l->host->lookups;
    while (*at != l)
        at = &(*at)->next;
    *at = l->next;
    channel_close(l);
    l->done(l->arg, rc, peer, rc ? &l->why : NULL);
    free(l);
}

static void dial_next(struct lookup *l);

static void dialled(void *arg, qn_rc rc, uint32_t peer, const struct qn_why *why)
{
    struct lookup *l = arg;
    l->rc = rc;
    if (why) l->why = *why;
    if (rc == QN_OK || l->host->closing)
        end(l, rc, peer);
    else
        dial_next(l);
}

static void dial_next(struct lookup *l)
{
    while (l->at < l->cnt) {
        const struct qn_maddr *addr = &l->to[l->at++];
        struct qn_named named;
        struct qn_endpoint to;
        if (qn_maddr_named(addr, &named) == QN_OK)
            l->rc = names_dial(l->host, &named, dialled, l, &l->why);
        else if (qn_maddr_endpoint(addr, &to) == QN_OK)
            l->rc = qn_host_dial_to(l->host, &to, dialled, l, &l->why);
        if (l->rc == QN_OK) return;
    }
    end(l, l->rc, 0);
}

static void on_late(int fd, short what, void *arg)
{
    struct lookup *l = arg;
    (void)fd, (void)what;
    if (l->open)
        l->rc = qn_why(&l->why, QN_E_TIMEOUT, "_dnsaddr.%.100s: no name server answers", l->name);
    channel_close(l);
    if (!l->cnt && l->rc == QN_OK)
        l->rc = qn_why(&l->why, QN_E_IO,
                       "_dnsaddr.%.100s: no text record is dnsaddr=/ip4/../tcp/../p2p/.. (of "
                       "the peer wanted)",
                       l->name);
    dial_next(l);
}

qn_rc dnsaddr_dial(struct qn_host *h, const struct qn_named *named, qn_dial_fn *done, void *arg,
                   struct qn_why *why)
{
    const struct timeval tv = { LOOK_MS / 1000, 0 };
    uint32_t running = 0;
    for (const struct lookup *l = h->lookups; l; l = l->next)
        running++;
    if (running >= RUN_MAX)
        return qn_why(why, QN_E_LIMIT, "%u /dnsaddr names are dialled already", running);
    struct lookup *l = calloc(1, sizeof *l);
    QN_ASSERT(l != NULL);
    l->host = h;
    l->done = done;
    l->arg = arg;
    memcpy(l->name, named->name, sizeof l->name);
    for (uint32_t i = 0; i < SOCKS; i++)
        l->sock[i].fd = -1;
    event_assign(&l->timer, h->conf.base, -1, 0, on_timer, l);
    event_assign(&l->late, h->conf.base, -1, 0, on_late, l);
    if (!channel_open(l)) {
        channel_close(l);
        free(l);
        return qn_why(why, QN_E_SYSTEM, "text records cannot be looked up");
    }
    l->next = h->lookups;
    h->lookups = l;
    event_add(&l->late, &tv);
    ask(l, l->name, 0, named->to.has_id, &named->to.id);
    rearm(l);
    return QN_OK;
}

/* Those that are dialling end with their connections. */
void dnsaddr_fini(struct qn_host *h)
{
    for (struct lookup *l = h->lookups, *next; l; l = next) {
        next = l->next;
        if (l->channel) end(l, qn_why(&l->why, QN_E_STATE, "the host closes"), 0);
    }
}
