/* gossip_net.c - streams, wake-ups and time for the gossip machine. */
#include "core/net/gossip_net.h"

#include "net/libp2p/host.h"
#include "net/libp2p/record.h"
#include "net/link/ip.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#define AHEAD                                                                                      \
    (64u                                                                                           \
     << 10) /* bytes handed to a stream ahead of the socket: what goes next stays ours to choose */
#define QUEUE      (2u * GOSSIP_RPC_MAX)
#define TRIES      5 /* to open a stream anew after it was lost, 1 s, 2 s, 4 s .. apart */
#define BUCKET_CNT 64

/* A peer of the host. */
struct mate {
    struct mate *next;
    uint32_t peer;
    struct qn_peer_id id;
    bool outbound, up; /* up: the machine knows it */
    bool only_11;      /* refused 1.2 */
    bool waiting;      /* in the list of those to flush */
    struct qn_stream *in, *out;
    uint32_t tries;
    uint64_t again_ms; /* when to open a stream anew, 0: not */
    struct mate *flush_next;
};

struct qn_gossip {
    struct qn_gossip_conf conf;
    struct gossip *machine;
    struct qn_host_watch watch;
    struct event *timer;
    uint64_t due_ms;
    unsigned depth; /* calls into the machine that are under way */
    struct mate *mate[BUCKET_CNT], *flush;
    bool closed;
    uint32_t streams; /* that still may call back */
};

static void maybe_free(struct qn_gossip *gn)
{
    if (gn->closed && gn->streams == 0) free(gn);
}

static uint64_t now_ms(const struct qn_gossip *gn)
{
    return qn_env_mono_us(gn->conf.env) / 1000;
}

static struct mate *mate_get(const struct qn_gossip *gn, uint32_t peer)
{
    struct mate *m = gn->mate[peer % BUCKET_CNT];
    while (m && m->peer != peer)
        m = m->next;
    return m;
}

/* --- out: what the machine has for a peer, while its stream has room ---------------------------------------------- */

static void flush_mate(struct qn_gossip *gn, struct mate *m)
{
    static const enum qn_net_class classes[GOSSIP_CLASS_CNT] = {
        [GOSSIP_CONTROL] = QN_NET_CONTROL,
        [GOSSIP_VOTE] = QN_NET_URGENT,
        [GOSSIP_BLOCK] = QN_NET_BLOCK,
        [GOSSIP_TX] = QN_NET_TX,
    };
    struct qn_buf out = { 0 };
    enum gossip_class class;
    while (m->up && m->out && qn_stream_queued(m->out) < AHEAD &&
           gossip_pull(gn->machine, m->peer, &out, &class)) {
        /* One stream keeps its order, so it is as urgent as what it was given last. */
        qn_stream_set_class(m->out, classes[class]);
        if (qn_stream_write(m->out, qn_buf_get(&out))) qn_stream_reset(m->out);
        qn_buf_clear(&out);
    }
    qn_buf_free(&out);
}

static void on_wake(void *self, uint32_t peer)
{
    struct qn_gossip *gn = self;
    struct mate *m = mate_get(gn, peer);
    if (!m || m->waiting) return;
    m->waiting = true;
    m->flush_next = gn->flush;
    gn->flush = m;
}

static void arm(struct qn_gossip *gn, uint64_t due_ms)
{
    if (due_ms == gn->due_ms) return;
    gn->due_ms = due_ms;
    uint64_t now = now_ms(gn), wait = due_ms > now ? due_ms - now : 0;
    struct timeval tv = { (time_t)(wait / 1000), (suseconds_t)(wait % 1000 * 1000) };
    event_add(gn->timer, &tv);
}

/* Calls into the machine are bracketed: time first; at the end of the outermost what woke up is flushed. */
static void enter(struct qn_gossip *gn)
{
    if (gn->depth++ == 0) arm(gn, gossip_turn(gn->machine, now_ms(gn)));
}

static void leave(struct qn_gossip *gn)
{
    if (--gn->depth) return;
    while (gn->flush) {
        struct mate *m = gn->flush;
        gn->flush = m->flush_next;
        m->waiting = false;
        flush_mate(gn, m);
    }
}

static enum gossip_verdict on_deliver(void *self, uint32_t topic, uint32_t peer, uint64_t handle,
                                      struct qn_span data)
{
    struct qn_gossip *gn = self;
    return gn->conf.on_message(gn->conf.arg, topic, peer, handle, data);
}

static void on_event(void *self, enum gossip_event event, uint32_t peer, uint32_t topic)
{
    struct qn_gossip *gn = self;
    (void)topic;
    if (event == GOSSIP_DROP && !gn->closed)
        qn_host_hangup(gn->conf.host, peer, "gossip: too slow or too bad");
    if (event == GOSSIP_BAD && !gn->closed)
        qn_host_blame(gn->conf.host, peer, QN_BLAME_FATAL, "says what is false, again and again");
}

/* A record tells where its peer listens: what lies in a house is not told outside. */
static bool on_record(void *self, uint32_t peer, uint32_t to, struct qn_span *ret_id,
                      struct qn_span *ret_record)
{
    struct qn_gossip *gn = self;
    const struct mate *m = mate_get(gn, peer);
    struct qn_peer_info info, other;
    if (!m || (gn->conf.tellable && !gn->conf.tellable(gn->conf.arg, peer))) return false;
    if (!qn_host_peer(gn->conf.host, peer, &info) || !info.record.len) return false;
    if (!qn_host_peer(gn->conf.host, to, &other)) return false;
    if (qn_endpoint_public(&other.remote) && !qn_record_fit(info.record)) return false;
    *ret_id = QN_SPAN(m->id.b, m->id.len);
    *ret_record = info.record;
    return true;
}

static qn_rc on_px(void *self, uint32_t from, struct qn_span id, struct qn_span record)
{
    struct qn_gossip *gn = self;
    return gn->conf.on_px(gn->conf.arg, from, id, record);
}

/* --- streams ------------------------------------------------------------------------------------------------------- */

static const struct qn_stream_ops OUT;

static void open_out(struct qn_gossip *gn, struct mate *m)
{
    m->again_ms = 0;
    if (m->out || gn->closed) return;
    const char *proto = m->only_11 ? GOSSIP_PROTOCOL_11 : GOSSIP_PROTOCOL_12;
    if (qn_host_stream(gn->conf.host, m->peer, proto, QN_NET_CONTROL, &OUT, gn, &m->out)) {
        m->out = NULL;
        return;
    }
    gn->streams++;
    qn_stream_set_queue(m->out, QUEUE);
}

/* The group that a crowd is counted by: the address (IPv6: its /56); inside a house or machine there are none. */
static uint64_t crowd(const struct qn_gossip *gn, uint32_t peer)
{
    struct qn_peer_info info;
    if (!qn_host_peer(gn->conf.host, peer, &info)) return 0;
    struct net_ip ip =
        net_ip4(info.remote.ip[0], info.remote.ip[1], info.remote.ip[2], info.remote.ip[3]);
    if (info.remote.v6) memcpy(ip.b, info.remote.ip, sizeof ip.b);
    return net_ip_range(&ip) == NET_PUBLIC ? net_ip_prefix(&ip, 32, 56) : 0;
}

static void peer_up(struct qn_gossip *gn, struct mate *m)
{
    const struct gossip_peer_conf conf = {
        .id = QN_SPAN(m->id.b, m->id.len),
        .ip_group = crowd(gn, m->peer),
        .outbound = m->outbound,
        .explicit = gn->conf.is_explicit && gn->conf.is_explicit(gn->conf.arg, &m->id),
        .speaks_12 = !m->only_11,
    };
    enter(gn);
    m->up = gossip_peer_up(gn->machine, m->peer, &conf) == QN_OK;
    if (m->up && gn->conf.credit)
        gossip_peer_credit(gn->machine, m->peer, gn->conf.credit(gn->conf.arg, m->peer));
    leave(gn);
    if (m->up && m->in) qn_stream_pause(m->in, false);
}

static void peer_down(struct qn_gossip *gn, struct mate *m)
{
    if (!m->up) return;
    m->up = false;
    enter(gn);
    gossip_peer_down(gn->machine, m->peer);
    leave(gn);
}

static void out_open(void *arg, struct qn_stream *s)
{
    struct qn_gossip *gn = arg;
    struct mate *m = mate_get(gn, qn_stream_peer(s));
    if (!m || m->out != s) return;
    m->tries = 0;
    if (!m->up) {
        peer_up(gn, m);
        return;
    }
    /* The stream moved. What was written on the old one may be on its way still, and is not read once this one is there. */
    enter(gn);
    gossip_peer_again(gn->machine, m->peer);
    leave(gn);
    flush_mate(gn, m); /* the machine woke us while there was no stream, and does so once */
}

static void out_drain(void *arg, struct qn_stream *s)
{
    struct qn_gossip *gn = arg;
    struct mate *m = mate_get(gn, qn_stream_peer(s));
    if (m && m->out == s) flush_mate(gn, m);
}

static void out_move(void *arg, struct qn_stream *s)
{
    struct qn_gossip *gn = arg;
    struct mate *m = mate_get(gn, qn_stream_peer(s));
    qn_stream_finish(s);
    if (!m || m->out != s) return;
    m->out = NULL;
    open_out(gn, m);
}

static void out_data(void *arg, struct qn_stream *s, struct qn_span bytes)
{
    (void)arg, (void)s,
        (void)bytes; /* a meshsub stream goes one way; what comes back means nothing */
}

static void out_close(void *arg, struct qn_stream *s, enum qn_stream_end end)
{
    struct qn_gossip *gn = arg;
    struct mate *m = mate_get(gn, qn_stream_peer(s));
    gn->streams--;
    maybe_free(gn);
    if (!m || m->out != s) return;
    m->out = NULL;
    if (end == QN_STREAM_REFUSED && !m->only_11) {
        m->only_11 = true;
        open_out(gn, m);
        return;
    }
    /* What the peer told us on its own stream holds; it would not say it again when we are back. */
    if (end != QN_STREAM_REFUSED && m->tries < TRIES)
        m->again_ms = now_ms(gn) + (1000ull << m->tries++);
    else
        peer_down(gn, m);
}

static const struct qn_stream_ops OUT = {
    .on_open = out_open,
    .on_data = out_data,
    .on_drain = out_drain,
    .on_move = out_move,
    .on_close = out_close,
};

static void in_open(void *arg, struct qn_stream *s)
{
    struct qn_gossip *gn = arg;
    struct mate *m = mate_get(gn, qn_stream_peer(s));
    gn->streams++;
    if (!m) { /* closed, or its connection is going */
        qn_stream_reset(s);
        return;
    }
    if (m->in) { /* the newer one counts, as everywhere */
        struct qn_stream *old = m->in;
        m->in = NULL;
        qn_stream_reset(old);
        gossip_peer_cut(gn->machine, m->peer);
    }
    m->in = s;
    if (!m->up) qn_stream_pause(s, true); /* until we can answer it */
}

static void in_data(void *arg, struct qn_stream *s, struct qn_span bytes)
{
    struct qn_gossip *gn = arg;
    struct mate *m = mate_get(gn, qn_stream_peer(s));
    if (!m || m->in != s) return;
    enter(gn);
    qn_rc rc = gossip_recv(gn->machine, m->peer, bytes);
    leave(gn);
    if (rc == QN_OK || rc == QN_E_NOTFOUND) return;
    qn_host_blame(gn->conf.host, m->peer, rc == QN_E_LIMIT ? QN_BLAME_SLIP : QN_BLAME_OFFENCE,
                  rc == QN_E_LIMIT ? "gossip: too much of a frame that does not end"
                                   : "gossip: no RPC");
    qn_stream_reset(s);
}

static void in_finish(void *arg, struct qn_stream *s)
{
    (void)arg;
    qn_stream_finish(s);
}

static void in_close(void *arg, struct qn_stream *s, enum qn_stream_end end)
{
    struct qn_gossip *gn = arg;
    struct mate *m = mate_get(gn, qn_stream_peer(s));
    (void)end;
    gn->streams--;
    maybe_free(gn);
    if (!m || m->in != s) return;
    m->in = NULL;
    gossip_peer_cut(gn->machine, m->peer);
}

static const struct qn_stream_ops IN = {
    .on_open = in_open, .on_data = in_data, .on_finish = in_finish, .on_close = in_close
};

/* --- peers and time -------------------------------------------------------------------------------------------------- */

static void on_peer(void *arg, uint32_t peer, const struct qn_peer_id *id, bool up, bool outbound)
{
    struct qn_gossip *gn = arg;
    if (up) {
        struct mate *m = calloc(1, sizeof *m);
        QN_ASSERT(m != NULL);
        *m = (struct mate){ .peer = peer, .id = *id, .outbound = outbound };
        m->next = gn->mate[peer % BUCKET_CNT];
        gn->mate[peer % BUCKET_CNT] = m;
        open_out(gn, m); /* at once: a refusal costs less than waiting for identify */
        return;
    }
    struct mate **at = &gn->mate[peer % BUCKET_CNT];
    while (*at && (*at)->peer != peer)
        at = &(*at)->next;
    struct mate *m = *at;
    if (!m) return;
    peer_down(gn, m);
    *at = m->next;
    for (struct mate **f = &gn->flush; *f; f = &(*f)->flush_next)
        if (*f == m) {
            *f = m->flush_next;
            break;
        }
    free(m); /* what closes later finds nobody */
}

static void each_peer(void *arg, const struct qn_peer_info *info)
{
    on_peer(arg, info->peer, &info->id, true, info->outbound);
}

/* It may speak meshsub only since a moment ago: a node begins to serve when it has its genesis. */
static void on_identify(void *arg, const struct qn_peer_info *info)
{
    struct qn_gossip *gn = arg;
    struct mate *m = mate_get(gn, info->peer);
    if (!m || m->out) return;
    bool speaks_12 = qn_host_speaks(gn->conf.host, m->peer, GOSSIP_PROTOCOL_12);
    if (!speaks_12 && !qn_host_speaks(gn->conf.host, m->peer, GOSSIP_PROTOCOL_11)) return;
    m->only_11 = !speaks_12;
    open_out(gn, m);
}

static void on_blame(void *arg, uint32_t peer, enum qn_blame how, const char *what)
{
    struct qn_gossip *gn = arg;
    (void)what;
    gossip_peer_offence(gn->machine, peer,
                        how == QN_BLAME_SLIP      ? 1
                        : how == QN_BLAME_OFFENCE ? 4
                                                  : 100);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct qn_gossip *gn = arg;
    (void)fd, (void)what;
    gn->due_ms = 0;
    enter(gn);
    leave(gn);
    uint64_t now = now_ms(gn);
    for (int i = 0; i < BUCKET_CNT; i++)
        for (struct mate *m = gn->mate[i]; m; m = m->next)
            if (m->again_ms && m->again_ms <= now) open_out(gn, m);
}

qn_rc qn_gossip_open(const struct qn_gossip_conf *conf, struct qn_gossip **ret, struct qn_why *why)
{
    struct qn_gossip *gn = calloc(1, sizeof *gn);
    QN_ASSERT(gn != NULL);
    gn->conf = *conf;
    struct gossip_conf machine = { .genesis = conf->genesis,
                                   .hooks = { gn, on_deliver, on_wake, on_event, on_record,
                                              conf->on_px ? on_px : NULL } };
    qn_env_random(conf->env, machine.seed, sizeof machine.seed);
    gn->machine = gossip_new(&machine, now_ms(gn));
    gn->timer = event_new(conf->base, -1, 0, on_timer, gn);
    QN_ASSERT(gn->timer != NULL);
    for (int i = 0; i < 2; i++) {
        const struct qn_proto proto = { .id = i ? GOSSIP_PROTOCOL_11 : GOSSIP_PROTOCOL_12,
                                        .ops = &IN,
                                        .arg = gn,
                                        .class = QN_NET_CONTROL,
                                        .in_max = 2 };
        qn_rc rc = qn_host_proto(conf->host, &proto);
        if (rc) {
            event_free(gn->timer);
            gossip_free(gn->machine);
            free(gn);
            return qn_why(why, rc, "%s cannot be served", proto.id);
        }
    }
    gn->watch = (struct qn_host_watch){
        .arg = gn, .on_peer = on_peer, .on_identify = on_identify, .on_blame = on_blame
    };
    qn_host_watch(conf->host, &gn->watch);
    qn_host_peers(conf->host, each_peer, gn);
    enter(gn);
    leave(gn);
    *ret = gn;
    return QN_OK;
}

void qn_gossip_close(struct qn_gossip *gn)
{
    if (!gn) return;
    gn->closed = true;
    qn_host_unwatch(gn->conf.host, &gn->watch);
    for (int i = 0; i < BUCKET_CNT; i++)
        while (gn->mate[i]) {
            struct mate *m = gn->mate[i];
            gn->mate[i] = m->next;
            if (m->in) qn_stream_reset(m->in);
            if (m->out) qn_stream_reset(m->out);
            free(m);
        }
    event_free(gn->timer);
    gossip_free(gn->machine);
    maybe_free(gn); /* or when the last stream has closed */
}

qn_rc qn_gossip_topic(struct qn_gossip *gn, const struct gossip_topic_conf *conf,
                      uint32_t *ret_topic)
{
    enter(gn);
    qn_rc rc = gossip_topic_add(gn->machine, conf, ret_topic);
    leave(gn);
    return rc;
}

qn_rc qn_gossip_publish(struct qn_gossip *gn, uint32_t topic, struct qn_span data)
{
    enter(gn);
    qn_rc rc = gossip_publish(gn->machine, topic, data);
    leave(gn);
    return rc;
}

qn_rc qn_gossip_publish_mesh(struct qn_gossip *gn, uint32_t topic, struct qn_span data)
{
    enter(gn);
    qn_rc rc = gossip_publish_mesh(gn->machine, topic, data);
    leave(gn);
    return rc;
}

void qn_gossip_verdict(struct qn_gossip *gn, uint64_t handle, enum gossip_verdict verdict)
{
    enter(gn);
    gossip_verdict(gn->machine, handle, verdict);
    leave(gn);
}

struct gossip *qn_gossip_machine(struct qn_gossip *gn)
{
    return gn->machine;
}
