/* host.c - opening and closing, the listener, dials, and the turn that delivers and writes. */
#include "net/libp2p/host_in.h"

#include <errno.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define ACCEPT_MAX 16 /* a turn of the loop */
#define REST_US    100000

uint64_t host_now(const struct qn_host *h)
{
    return qn_env_mono_us(h->conf.env);
}

void host_turn_soon(struct qn_host *h)
{
    static const struct timeval NOW = { 0, 0 };
    if (h->turning) return;
    h->turning = true;
    event_add(
        &h->turn,
        &NOW); /* not event_active: the loop looks at its sockets between two turns, however much there is to write */
}

/* --- the turn ------------------------------------------------------------------------------------------ */

static void deliver_dial(struct qn_host *h)
{
    struct dial *d = h->dials;
    h->dials = d->next;
    if (peer_find(h, d->peer))
        d->done(d->arg, QN_OK, d->peer, NULL);
    else
        d->done(d->arg, QN_E_IO, 0, NULL);
    free(d);
}

static void deliver_dead(struct qn_host *h)
{
    struct conn *c = h->dead;
    h->dead = c->dead_next;
    if (c->peer) peer_leave(c);
    if (c->done) {
        struct qn_why why;
        qn_why(&why, c->rc, "%s", c->why);
        c->done(c->done_arg, c->rc ? c->rc : QN_E_IO, 0, &why);
    }
    conn_free(c);
}

static void deliver_ended(struct qn_host *h)
{
    struct qn_stream *s = h->ended;
    h->ended = s->ended_next;
    if (!h->ended) h->ended_tail = &h->ended;
    stream_ended(s);
}

/* What is put off is bounded: everything here ends something that was counted before. */
static void deliver(struct qn_host *h)
{
    for (;;) {
        if (h->ended) {
            deliver_ended(h);
        } else if (h->dead) {
            deliver_dead(h);
        } else if (h->dials) {
            deliver_dial(h);
        } else if (h->resume) {
            struct qn_stream *s = h->resume;
            h->resume = s->resume_next;
            stream_resume(s);
        } else {
            return;
        }
    }
}

static void on_turn(int fd, short what, void *arg)
{
    struct qn_host *h = arg;
    (void)fd, (void)what;
    h->in_turn = true;
    deliver(h);
    if (h->push) identify_push_now(h);
    struct conn *list =
        h->dirty; /* what becomes dirty from here on has a turn of its own: others come first */
    h->dirty = NULL;
    h->turning = false;
    while (list) {
        struct conn *c = list;
        list = c->dirty_next;
        c->dirty = false;
        c->dirty_next = NULL;
        conn_flush(c);
    }
    h->in_turn = false;
    if (h->ended || h->dead || h->dials || h->resume || h->dirty) host_turn_soon(h);
}

static void on_tick(int fd, short what, void *arg)
{
    struct qn_host *h = arg;
    uint64_t now = host_now(h);
    (void)fd, (void)what;
    for (struct conn *c = h->conns, *next; c; c = next) {
        next = c->next; /* the dead are freed in a turn alone */
        conn_tick(c, now);
    }
    if (h->ask_again) identify_ask_again(h);
    if (h->push_again) {
        h->push_again = false;
        h->push = true;
        host_turn_soon(h);
    }
    if (h->resting && now >= h->rest_us) {
        h->resting = false;
        event_add(&h->listen, NULL);
    }
}

/* --- the listener ---------------------------------------------------------------------------------------- */

static struct qn_endpoint endpoint_of(const struct qn_ip *ip)
{
    struct qn_endpoint e = { .v6 = ip->v6, .port = ip->port };
    memcpy(e.ip, ip->b, 16);
    return e;
}

/* Half of the descriptors are for others: the store, jobs, the API. */
static bool spare(int fd)
{
    struct rlimit lim;
    return getrlimit(RLIMIT_NOFILE, &lim) == 0 && (rlim_t)fd < lim.rlim_cur / 2;
}

/* A flood takes all places: the longest waiting of the largest network makes room, so that it mostly pays itself. */
static bool make_room(struct qn_host *h, uint64_t now)
{
    struct conn *worst = NULL;
    uint32_t worst_cnt = 0;
    for (struct conn *c = h->conns; c; c = c->next) {
        if (!c->gated || now - c->born_us < 100000) continue;
        uint32_t cnt = 0;
        for (struct conn *d = h->conns; d; d = d->next)
            if (d->gated && qn_endpoint_group(&d->remote) == qn_endpoint_group(&c->remote)) cnt++;
        if (cnt > worst_cnt || (cnt == worst_cnt && worst && c->born_us < worst->born_us)) {
            worst = c;
            worst_cnt = cnt;
        }
    }
    if (!worst) return false;
    conn_kill(worst, QN_E_LIMIT, "made room for another handshake");
    return true;
}

static void accept_one(struct qn_host *h, int fd, const struct qn_ip *from)
{
    uint64_t now = host_now(h);
    struct qn_endpoint remote = endpoint_of(from);
    struct qn_origin origin = { .v6 = from->v6, .local = qn_ip_local(from) };
    memcpy(origin.ip, from->b, 16);
    qn_rc rc = spare(fd) ? QN_OK : QN_E_LIMIT;
    if (rc == QN_OK && h->conf.admit && !h->conf.admit(h->conf.arg, &remote)) rc = QN_E_REFUSED;
    if (rc == QN_OK) rc = qn_gate_enter(&h->gate, &origin, now);
    if (rc == QN_E_BUSY && make_room(h, now)) rc = qn_gate_enter(&h->gate, &origin, now);
    if (rc) {
        h->stat.refused++;
        close(fd);
        return;
    }
    h->stat.accepted++;
    struct conn *c = conn_new(h, fd, false, &remote);
    c->origin = origin;
    c->gated = true;
    conn_start(c);
}

static void on_accept(int fd, short what, void *arg)
{
    struct qn_host *h = arg;
    (void)what;
    for (int i = 0; i < ACCEPT_MAX; i++) {
        struct qn_ip from;
        int got = qn_sock_accept(fd, &from);
        if (got >= 0) {
            accept_one(h, got, &from);
            continue;
        }
        if (errno == ECONNABORTED || errno == EINTR) continue;
        if (errno != EAGAIN) { /* no descriptors: who waits is served when there are some again */
            event_del(&h->listen);
            h->resting = true;
            h->rest_us = host_now(h) + REST_US;
        }
        return;
    }
}

static qn_rc start_listening(struct qn_host *h, struct qn_why *why)
{
    struct qn_maddr a;
    struct qn_ip ip = { 0 };
    const char *text = h->conf.listen;
    qn_rc rc = qn_maddr_parse(text, &a, why);
    if (rc) return qn_why(why, QN_E_USAGE, "%.80s: expected IP:PORT to listen on", text);
    /* A port of 0 is no endpoint to dial, but one to listen on: read the parts. */
    size_t len = a.b[0] == 4 ? 4 : 16;
    if ((a.b[0] != 4 && a.b[0] != 41) || a.len != len + 4 || a.b[len + 1] != 6)
        return qn_why(why, QN_E_USAGE, "%.80s: expected IP:PORT to listen on", text);
    ip.v6 = len == 16;
    memcpy(ip.b, a.b + 1, len);
    ip.port = (uint16_t)(a.b[len + 2] << 8 | a.b[len + 3]);
    rc = qn_sock_listen(&ip, &h->listen_fd, &h->listen_ip, why);
    if (rc) return rc;
    event_assign(&h->listen, h->conf.base, h->listen_fd, EV_READ | EV_PERSIST, on_accept, h);
    event_add(&h->listen, NULL);
    return QN_OK;
}

/* --- open and close ------------------------------------------------------------------------------------ */

qn_rc qn_host_open(const struct qn_host_conf *conf, struct qn_host **ret, struct qn_why *why)
{
    static const struct timeval TICK = { 0, TICK_MS * 1000 };
    uint8_t secret[32], gate_key[16];
    qn_rc rc = qn_crypto_init();
    if (rc) return rc;
    struct qn_host *h = calloc(1, sizeof *h);
    QN_ASSERT(h != NULL);
    h->conf = *conf;
    h->listen_fd = -1;
    h->ended_tail = &h->ended;
    h->heavy_tail = &h->heavy;
    h->next_peer = 1;
    h->limits = conf->limits ? *conf->limits : qn_limits_default();
    h->memory.max = h->limits.memory_max;
    if (conf->in_max) h->limits.in_max = conf->in_max;
    if (conf->out_max) h->limits.out_max = conf->out_max;
    if (conf->nameserver) snprintf(h->nameserver, sizeof h->nameserver, "%s", conf->nameserver);
    h->agent = strdup(conf->agent ? conf->agent : "quoin/" QN_VERSION);
    h->read_buf = malloc(READ_MAX);
    h->write_buf = malloc(BATCH_MAX * (RECORD_MAX + 2 + QN_NOISE_TAG));
    QN_ASSERT(h->agent && h->read_buf && h->write_buf);
    qn_env_random(conf->env, secret, sizeof secret);
    qn_env_random(conf->env, gate_key, sizeof gate_key);
    qn_gate_init(&h->gate, &h->limits, gate_key);
    h->aead = qn_aead_new();
    qn_noise_self_init(&h->self, conf->key, secret);
    explicit_bzero(secret, sizeof secret);
    h->id = qn_peer_id_of_key(&conf->key->pub);
    h->record_seq = qn_env_now_ms(conf->env);
    event_assign(&h->turn, conf->base, -1, 0, on_turn, h);
    event_assign(&h->tick, conf->base, -1, EV_PERSIST, on_tick, h);
    event_assign(&h->heavies, conf->base, -1, 0, conn_heavies, h);
    event_add(&h->tick, &TICK);
    identify_serve(h);
    ping_serve(h);
    if (conf->perf) perf_serve(h);
    if (conf->announce) rc = qn_maddr_parse(conf->announce, &h->announce, why);
    if (rc == QN_OK && conf->listen) rc = start_listening(h, why);
    if (rc)
        qn_host_close(h);
    else
        *ret = h;
    return rc;
}

void qn_host_close(struct qn_host *h)
{
    if (!h) return;
    h->closing = true;
    if (h->listen_fd >= 0) {
        event_del(&h->listen);
        close(h->listen_fd);
    }
    for (struct conn *c = h->conns; c; c = c->next) {
        if (c->state == CONN_READY) qn_yamux_goaway(&c->y, 0);
        conn_kill(c, QN_E_STATE, "the host closes");
    }
    names_fini(h);
    dnsaddr_fini(h);
    deliver(h);
    QN_ASSERT(h->conns == NULL && h->peer_cnt == 0 && h->memory.used == 0);
    event_del(&h->turn);
    event_del(&h->tick);
    event_del(&h->heavies);
    identify_fini(h);
    qn_gate_fini(&h->gate);
    qn_aead_free(h->aead);
    explicit_bzero(&h->self, sizeof h->self);
    free(h->agent);
    free(h->read_buf);
    free(h->write_buf);
    free(h->peers);
    free(h->explicits);
    free(h->bans);
    free(h);
}

void qn_host_watch(struct qn_host *h, struct qn_host_watch *watch)
{
    watch->next = h->watches;
    h->watches = watch;
}

void qn_host_unwatch(struct qn_host *h, struct qn_host_watch *watch)
{
    struct qn_host_watch **at = &h->watches;
    while (*at && *at != watch)
        at = &(*at)->next;
    if (*at) *at = watch->next;
}

qn_rc qn_host_proto(struct qn_host *h, const struct qn_proto *proto)
{
    uint32_t at = h->proto_cnt;
    for (uint32_t i = 0; i < h->proto_cnt; i++) {
        if (!h->protos[i].id)
            at = i;
        else if (strcmp(h->protos[i].id, proto->id) == 0)
            return QN_E_EXISTS;
    }
    if (at == PROTO_MAX) return QN_E_LIMIT;
    if (strlen(proto->id) > QN_IDENTIFY_TEXT) return QN_E_TOOBIG;
    h->protos[at] = *proto;
    if (proto->in_max == 0) h->protos[at].in_max = h->limits.peer_proto;
    h->proto_cnt = QN_MAX(h->proto_cnt, at + 1);
    identify_push(h);
    return QN_OK;
}

void qn_host_unproto(struct qn_host *h, const char *id)
{
    for (uint32_t i = 0; i < h->proto_cnt; i++) {
        struct qn_proto *row = &h->protos[i];
        if (!row->id || strcmp(row->id, id) != 0) continue;
        for (struct conn *c = h->conns; c; c = c->next)
            for (struct qn_stream *s = c->streams, *next; s; s = next) {
                next = s->next;
                if (s->row != row && !(s->proto && strcmp(s->proto, id) == 0)) continue;
                stream_end(s, QN_STREAM_RESET);
            }
        row->id = NULL; /* rows do not move: streams point at them */
    }
    identify_push(h);
}

const struct qn_peer_id *qn_host_id(const struct qn_host *h)
{
    return &h->id;
}

unsigned qn_host_port(const struct qn_host *h)
{
    return h->listen_fd < 0 ? 0 : h->listen_ip.port;
}

/* Bound to all: the addresses of this machine's interfaces. */
static uint32_t interface_addrs(const struct qn_host *h, struct qn_maddr *ret, uint32_t max)
{
    struct ifaddrs *list = NULL;
    uint32_t cnt = 0;
    if (getifaddrs(&list)) return 0;
    for (struct ifaddrs *i = list; i && cnt < max; i = i->ifa_next) {
        struct qn_endpoint e = { .port = h->listen_ip.port };
        if (!i->ifa_addr) continue;
        if (i->ifa_addr->sa_family == AF_INET) {
            struct sockaddr_in sin;
            memcpy(&sin, i->ifa_addr, sizeof sin);
            memcpy(e.ip, &sin.sin_addr, 4);
        } else if (i->ifa_addr->sa_family == AF_INET6 && h->listen_ip.v6) {
            struct sockaddr_in6 sin;
            memcpy(&sin, i->ifa_addr, sizeof sin);
            memcpy(e.ip, &sin.sin6_addr, 16);
            e.v6 = true;
            if (e.ip[0] == 0xfe && (e.ip[1] & 0xc0) == 0x80) continue; /* means nothing elsewhere */
        } else {
            continue;
        }
        qn_maddr_of(&e, &ret[cnt++]);
    }
    freeifaddrs(list);
    return cnt;
}

uint32_t qn_host_addrs(const struct qn_host *h, struct qn_maddr *ret, uint32_t max)
{
    static const uint8_t ANY[16];
    uint32_t cnt = 0;
    if (h->announce.len && cnt < max) ret[cnt++] = h->announce;
    if (h->listen_fd < 0) return cnt;
    if (memcmp(h->listen_ip.b, ANY, h->listen_ip.v6 ? 16 : 4) == 0)
        return cnt + interface_addrs(h, ret + cnt, max - cnt);
    struct qn_endpoint e = endpoint_of(&h->listen_ip);
    if (cnt < max) qn_maddr_of(&e, &ret[cnt++]);
    return cnt;
}

void qn_host_announce(struct qn_host *h, const struct qn_maddr *addr)
{
    if (addr)
        h->announce = *addr;
    else
        h->announce.len = 0;
    h->record_seq = QN_MAX(h->record_seq + 1, qn_env_now_ms(h->conf.env));
    identify_push(h);
}

struct qn_host_stat qn_host_stat(const struct qn_host *h)
{
    struct qn_host_stat s = h->stat;
    s.pending = h->gate.cnt;
    s.memory = h->memory.used;
    s.memory_high = h->memory.high;
    for (const struct conn *c = h->conns; c; c = c->next)
        s.conns++;
    return s;
}

/* --- dialling ---------------------------------------------------------------------------------------------- */

static void dial_done(struct qn_host *h, qn_dial_fn *done, void *arg, uint32_t peer)
{
    struct dial *d = calloc(1, sizeof *d), **at = &h->dials;
    QN_ASSERT(d != NULL);
    *d = (struct dial){ .done = done, .arg = arg, .peer = peer };
    while (*at)
        at = &(*at)->next;
    *at = d;
    host_turn_soon(h);
}

/* A machine of several addresses that listens on one of the internet's dials from that one: so peers see it where it is. */
static const struct qn_ip *source(const struct qn_host *h, const struct qn_endpoint *to)
{
    struct qn_endpoint own = endpoint_of(&h->listen_ip);
    bool fits = h->listen_fd >= 0 && own.v6 == to->v6 && qn_endpoint_public(&own);
    return fits && qn_endpoint_public(to) ? &h->listen_ip : NULL;
}

qn_rc qn_host_dial_to(struct qn_host *h, const struct qn_endpoint *to, qn_dial_fn *done, void *arg,
                      struct qn_why *why)
{
    int fd;
    struct qn_ip ip = { .v6 = to->v6, .port = to->port };
    memcpy(ip.b, to->ip, 16);
    if (to->has_id) {
        struct peer *p = peer_by_id(h, &to->id);
        if (qn_peer_id_eq(&to->id, &h->id)) return qn_why(why, QN_E_STATE, "that is this node");
        if (peer_banned(h, &to->id)) return qn_why(why, QN_E_AUTH, "the peer is banned");
        if (p && p->cur && p->cur->state == CONN_READY) {
            dial_done(h, done, arg, p->num);
            return QN_OK;
        }
    }
    if (h->out_cnt >= h->limits.out_max && !(to->has_id && peer_is_explicit(h, &to->id)))
        return qn_why(why, QN_E_LIMIT, "%u outbound connections already", h->out_cnt);
    qn_rc rc = qn_sock_dial(&ip, source(h, to), &fd, why);
    if (rc) return rc;
    struct conn *c = conn_new(h, fd, true, to);
    c->done = done;
    c->done_arg = arg;
    h->stat.dialled++;
    return QN_OK;
}

qn_rc qn_host_dial(struct qn_host *h, const char *addr, qn_dial_fn *done, void *arg,
                   struct qn_why *why)
{
    struct qn_maddr a;
    struct qn_endpoint to;
    struct qn_named named;
    qn_rc rc = qn_maddr_parse(addr, &a, why);
    if (rc) return rc;
    if (qn_maddr_named(&a, &named) == QN_OK)
        return (named.text ? dnsaddr_dial : names_dial)(h, &named, done, arg, why);
    rc = qn_maddr_endpoint(&a, &to);
    if (rc)
        return qn_why(
            why, rc, "%.120s: only /ip4|ip6|dns4|dns6|dns/../tcp/.. and /dnsaddr/.. can be dialled",
            addr);
    return qn_host_dial_to(h, &to, done, arg, why);
}
