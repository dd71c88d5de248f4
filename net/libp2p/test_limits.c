/* test_limits.c - every row of net/link/limit.def by its name, set low: what is within it is served, what is over it is refused. main is made of the
 * table, so a row without a test (limit_NAME) does not build. */
#include "core/env/turns.h"
#include "net/libp2p/deaf.h"
#include "net/libp2p/host_in.h"
#include "net/link/limit.h"

struct node {
    struct qn_host *host;
    struct qn_host_watch watch;
    struct qn_key key;
    uint32_t up, down, opened, closed, last_peer, blames;
    enum qn_stream_end end; /* of the last stream that closed */
    uint64_t got;
    uint32_t window; /* widest seen of a stream that is read */
    int dial_rc;     /* -1: not yet */
};

struct world {
    struct event_base *base;
    struct qn_limits limits; /* of node 0 */
    struct node n[3];
};

static void on_peer(void *arg, uint32_t peer, const struct qn_peer_id *id, bool up, bool outbound)
{
    struct node *n = arg;
    (void)id, (void)outbound;
    *(up ? &n->up : &n->down) += 1;
    if (up) n->last_peer = peer;
}

static void dialled(void *arg, qn_rc rc, uint32_t peer, const struct qn_why *why)
{
    struct node *n = arg;
    (void)peer, (void)why;
    n->dial_rc = (int)rc;
}

static void on_open(void *arg, struct qn_stream *s)
{
    struct node *n = arg;
    n->opened++;
    qn_stream_pause(s, true); /* busy: reads nothing */
}

static void on_close(void *arg, struct qn_stream *s, enum qn_stream_end end)
{
    struct node *n = arg;
    (void)s;
    n->end = end;
    n->closed++;
}

static void on_blame(void *arg, uint32_t peer, enum qn_blame how, const char *what)
{
    struct node *n = arg;
    (void)peer, (void)how, (void)what;
    n->blames++;
}

/* Reads all. */
static void on_data(void *arg, struct qn_stream *s, struct qn_span bytes)
{
    struct node *n = arg;
    n->got += bytes.len;
    n->window = QN_MAX(n->window, s->y.recv_window);
}

static const struct qn_stream_ops SINK = { .on_data = on_data };
static const struct qn_stream_ops IN = { .on_open = on_open }, OUT = { .on_close = on_close };

static void world_open(struct qn_test_state *t, struct world *w)
{
    w->base = event_base_new();
    for (uint8_t i = 0; i < 3; i++) {
        struct node *n = &w->n[i];
        uint8_t seed[32] = { (uint8_t)(i + 1) };
        qn_key_from_seed(seed, &n->key);
        n->dial_rc = -1;
        const struct qn_host_conf conf = { .base = w->base,
                                           .env = qn_env_real(),
                                           .key = &n->key,
                                           .listen = "127.0.0.1:0",
                                           .limits = i ? NULL : &w->limits };
        CHECK_RC(qn_host_open(&conf, &n->host, NULL), QN_OK);
        n->watch = (struct qn_host_watch){ .arg = n, .on_peer = on_peer, .on_blame = on_blame };
        qn_host_watch(n->host, &n->watch);
        const struct qn_proto p = { .id = "/test/few/1", .ops = &IN, .arg = n, .class = QN_NET_TX };
        const struct qn_proto many = {
            .id = "/test/many/1", .ops = &IN, .arg = n, .class = QN_NET_TX, .in_max = 64
        };
        const struct qn_proto sink = {
            .id = "/test/sink/1", .ops = &SINK, .arg = n, .class = QN_NET_TX, .in_max = 64
        };
        const struct qn_proto blob = {
            .id = "/test/blob/1", .ops = &IN, .arg = n, .class = QN_NET_BLOB, .in_max = 64
        };
        CHECK_RC(qn_host_proto(n->host, &sink), QN_OK);
        CHECK_RC(qn_host_proto(n->host, &blob), QN_OK);
        CHECK_RC(qn_host_proto(n->host, &p), QN_OK);
        CHECK_RC(qn_host_proto(n->host, &many), QN_OK);
    }
}

static void world_close(struct world *w)
{
    for (int i = 0; i < 3; i++)
        qn_host_close(w->n[i].host);
    event_base_free(w->base);
}

static qn_rc dial(struct world *w, int from, unsigned port)
{
    char addr[64];
    snprintf(addr, sizeof addr, "127.0.0.1:%u", port);
    w->n[from].dial_rc = -1;
    return qn_host_dial(w->n[from].host, addr, dialled, &w->n[from], NULL);
}

static void connect_to(struct qn_test_state *t, struct world *w, int from, int to)
{
    CHECK_RC(dial(w, from, qn_host_port(w->n[to].host)), QN_OK);
    UNTIL(w, w->n[from].dial_rc >= 0);
    CHECK(w->n[from].dial_rc == QN_OK);
}

/* --- the gate, in a time of its own --------------------------------------------------------------------- */

static struct qn_gate *gate(const struct qn_limits *l)
{
    static const uint8_t KEY[16] = { 1 };
    struct qn_gate *g = calloc(1, sizeof *g);
    QN_ASSERT(g);
    qn_gate_init(g, l, KEY);
    return g;
}

static void gate_free(struct qn_gate *g)
{
    qn_gate_fini(g);
    free(g);
}

/* How many of cnt get in whose addresses differ in one byte. */
static uint32_t enter(struct qn_gate *g, bool v6, unsigned byte, uint32_t cnt)
{
    uint32_t in = 0;
    for (uint32_t i = 0; i < cnt; i++) {
        struct qn_origin from = { .v6 = v6, .ip = { 0x20, 1, 2, 3 } };
        from.ip[byte] = (uint8_t)(i + 10);
        in += qn_gate_enter(g, &from, 1000) == QN_OK;
    }
    return in;
}

static void limit_pending_max(struct qn_test_state *t)
{
    struct qn_limits l = qn_limits_default();
    l.pending_max = 5;
    struct qn_gate *g = gate(&l);
    CHECK(enter(g, false, 1, 20) == 5);
    CHECK_RC(qn_gate_enter(g, &(struct qn_origin){ .ip = { 9, 9, 9, 9 } }, 1000), QN_E_BUSY);
    gate_free(g);
}

static void limit_pending_ip4(struct qn_test_state *t)
{
    struct qn_limits l = qn_limits_default();
    l.pending_ip4 = 3;
    struct qn_gate *g = gate(&l);
    const struct qn_origin one = { .ip = { 9, 9, 9, 9 } };
    for (int i = 0; i < 6; i++)
        CHECK_RC(qn_gate_enter(g, &one, 1000), i < 3 ? QN_OK : QN_E_LIMIT);
    CHECK(enter(g, false, 3, 10) == 10); /* others are not touched */
    gate_free(g);
}

static void limit_pending_ip6_56(struct qn_test_state *t)
{
    struct qn_limits l = qn_limits_default();
    l.pending_ip6_56 = 3;
    struct qn_gate *g = gate(&l);
    CHECK(enter(g, true, 7, 10) == 3); /* 56 bits are seven bytes */
    CHECK(enter(g, true, 6, 10) == 10);
    gate_free(g);
}

static void limit_pending_ip6_48(struct qn_test_state *t)
{
    struct qn_limits l = qn_limits_default();
    l.pending_ip6_48 = 5;
    struct qn_gate *g = gate(&l);
    CHECK(enter(g, true, 6, 10) == 5);
    CHECK(enter(g, true, 5, 10) == 10);
    gate_free(g);
}

static void limit_accept_net_s(struct qn_test_state *t)
{
    struct qn_limits l = qn_limits_default();
    l.accept_net_s = 2;
    l.accept_net_burst = 1;
    struct qn_gate *g = gate(&l);
    const struct qn_origin six = { .v6 = true, .ip = { 0x20, 1 } };
    const uint64_t at[] = { 1000, 400000, 502000, 900000, 1003000 };
    for (size_t i = 0; i < QN_COUNT(at); i++) {
        const struct qn_origin o = { .ip = { 9, 9, 9, (uint8_t)i } };
        CHECK_RC(qn_gate_enter(g, &o, at[i]), i % 2 ? QN_E_RATE : QN_OK);
        CHECK_RC(qn_gate_enter(g, &six, at[i]), i % 2 ? QN_E_RATE : QN_OK);
    }
    gate_free(g);
}

static void limit_accept_net_burst(struct qn_test_state *t)
{
    struct qn_limits l = qn_limits_default();
    l.accept_net_burst = 7;
    struct qn_gate *g = gate(&l);
    CHECK(enter(g, false, 3, 20) == 7); /* a /24 */
    CHECK(enter(g, false, 2, 20) == 20);
    gate_free(g);
}

static void limit_shake_s(struct qn_test_state *t)
{
    struct qn_limits l = qn_limits_default();
    l.shake_s = 9;
    struct qn_gate *g = gate(&l);
    for (uint64_t second = 0; second < 3; second++)
        for (uint32_t i = 0; i < 30; i++)
            CHECK(qn_gate_shake(g, second * 1000000 + 5) == (i < 9));
    gate_free(g);
}

/* Who shares the address waits, others do not. */
static void limit_shun_s(struct qn_test_state *t)
{
    struct qn_limits l = qn_limits_default();
    l.shun_s = 7;
    struct qn_gate *g = gate(&l);
    const struct qn_origin bad = { .ip = { 9, 9, 9, 9 } }, near = { .ip = { 9, 9, 9, 8 } };
    const struct qn_origin six = { .v6 = true, .ip = { 9, 9, 9, 9 } };
    qn_gate_shun(g, &bad, 1000);
    CHECK_RC(qn_gate_enter(g, &bad, 1000), QN_E_REFUSED);
    CHECK_RC(qn_gate_enter(g, &near, 1000), QN_OK);
    CHECK_RC(qn_gate_enter(g, &six, 1000), QN_OK);
    CHECK_RC(qn_gate_enter(g, &bad, 1000 + 6999999), QN_E_REFUSED);
    CHECK_RC(qn_gate_enter(g, &bad, 1000 + 7000000), QN_OK);
    gate_free(g);
}

static void limit_local_exempt(struct qn_test_state *t)
{
    for (uint32_t exempt = 0; exempt < 2; exempt++) {
        struct qn_limits l = qn_limits_default();
        l.local_exempt = exempt;
        struct qn_gate *g = gate(&l);
        const struct qn_origin house = { .local = true, .ip = { 192, 168, 1, 2 } };
        const struct qn_origin street = { .ip = { 9, 9, 9, 9 } };
        uint32_t in = 0, out = 0;
        for (int i = 0; i < 20; i++) {
            in += qn_gate_enter(g, &house, 1000) == QN_OK;
            out += qn_gate_enter(g, &street, 1000) == QN_OK;
        }
        CHECK(in == (exempt ? 20 : l.pending_ip4) && out == l.pending_ip4);
        gate_free(g);
    }
}

/* --- the node ------------------------------------------------------------------------------------------------- */

/* Who connects and says nothing. */
static void limit_ready_ms(struct qn_test_state *t)
{
    struct world w = { .limits = qn_limits_default() };
    struct qn_ip to = { .b = { 127, 0, 0, 1 } };
    int fd;
    w.limits.ready_ms = 300;
    world_open(t, &w);
    to.port = (uint16_t)qn_host_port(w.n[0].host);
    CHECK_RC(qn_sock_dial(&to, NULL, &fd, NULL), QN_OK);
    UNTIL(&w, qn_host_stat(w.n[0].host).pending == 1);
    UNTIL(&w, qn_host_stat(w.n[0].host).pending == 0);
    UNTIL(&w, qn_host_stat(w.n[0].host).conns == 0); /* told of in the next turn */
    close(fd);
    world_close(&w);
}

static void limit_in_max(struct qn_test_state *t)
{
    struct world w = { .limits = qn_limits_default() };
    w.limits.in_max = 1;
    world_open(t, &w);
    connect_to(t, &w, 1, 0);
    UNTIL(&w, w.n[0].up == 1);
    CHECK_RC(dial(&w, 2, qn_host_port(w.n[0].host)), QN_OK);
    UNTIL(&w, qn_host_stat(w.n[0].host).refused == 1);
    CHECK(w.n[0].up == 1 && w.n[0].down == 0);
    world_close(&w);
}

/* Explicit peers have places of their own: one, here, and no other. */
static void limit_explicit_max(struct qn_test_state *t)
{
    struct world w = { .limits = qn_limits_default() };
    w.limits.in_max = 0;
    w.limits.explicit_max = 1;
    world_open(t, &w);
    for (int i = 1; i < 3; i++)
        qn_host_explicit(w.n[0].host, qn_host_id(w.n[i].host), true);
    connect_to(t, &w, 1, 0);
    UNTIL(&w, w.n[0].up == 1);
    CHECK_RC(dial(&w, 2, qn_host_port(w.n[0].host)), QN_OK);
    UNTIL(&w, qn_host_stat(w.n[0].host).refused == 1);
    CHECK(w.n[0].up == 1 && w.n[0].down == 0);
    world_close(&w);
}

static void limit_out_max(struct qn_test_state *t)
{
    struct world w = { .limits = qn_limits_default() };
    w.limits.out_max = 1;
    world_open(t, &w);
    connect_to(t, &w, 0, 1);
    qn_rc rc = dial(&w, 0, qn_host_port(w.n[2].host));
    if (rc == QN_OK) UNTIL(&w, w.n[0].dial_rc >= 0);
    CHECK(rc == QN_E_LIMIT || w.n[0].dial_rc == QN_E_LIMIT);
    world_close(&w);
}

/* Memory for one peer: the second is turned away, the first stays. */
static void limit_memory_max(struct qn_test_state *t)
{
    struct world w = { .limits = qn_limits_default() };
    w.limits.memory_max = 200000; /* a connection is 72 KiB; beyond half each has a share only */
    world_open(t, &w);
    connect_to(t, &w, 1, 0);
    UNTIL(&w, w.n[0].up == 1);
    CHECK_RC(dial(&w, 2, qn_host_port(w.n[0].host)), QN_OK);
    turns_for(w.base, 300);
    CHECK(w.n[0].up == 1 && w.n[0].down == 0 && qn_host_stat(w.n[0].host).memory <= 200000);
    world_close(&w);
}

/* Streams of one protocol, of all, of ours without an answer: what is over is refused, on this side or the other. */
static void streams(struct qn_test_state *t, int which)
{
    struct world w = { .limits = qn_limits_default() };
    struct qn_stream *s;
    uint32_t taken = 0, max = 3;
    if (which == 0) w.limits.peer_proto = max;
    if (which == 1) w.limits.streams_max = max;
    if (which == 2) w.limits.peer_unacked = max;
    world_open(t, &w);
    connect_to(t, &w, 1, 0);
    UNTIL(&w, w.n[0].up && w.n[1].up);
    turns_for(w.base, 200);
    int from = which != 2;
    for (uint32_t i = 0; i < 20; i++)
        taken += qn_host_stream(w.n[from].host, w.n[from].last_peer,
                                which ? "/test/many/1" : "/test/few/1", QN_NET_TX, &OUT, &w.n[from],
                                &s) == QN_OK;
    CHECK(which == 2 ? taken <= max && taken > 0 : taken > max);
    turns_for(w.base, 300);
    if (which < 2) {
        CHECK(w.n[0].opened > 0 && w.n[0].opened <= max);
        CHECK(w.n[1].closed >= taken - max);
    }
    CHECK(w.n[0].down == 0 && w.n[1].down == 0);
    world_close(&w);
}

static void limit_peer_proto(struct qn_test_state *t)
{
    streams(t, 0);
}

static void limit_streams_max(struct qn_test_state *t)
{
    streams(t, 1);
}

static void limit_peer_unacked(struct qn_test_state *t)
{
    streams(t, 2);
}

/* --- a peer ---------------------------------------------------------------------------------------------------- */

static uint32_t open_many(struct world *w, int from, const char *proto, uint32_t cnt)
{
    struct qn_stream *s;
    uint32_t taken = 0;
    for (uint32_t i = 0; i < cnt; i++)
        taken += qn_host_stream(w->n[from].host, w->n[from].last_peer, proto, QN_NET_TX, &OUT,
                                &w->n[from], &s) == QN_OK;
    return taken;
}

/* Each way: what it opens, and what we open. */
static void limit_peer_streams(struct qn_test_state *t)
{
    struct world w = { .limits = qn_limits_default() };
    w.limits.peer_streams = 5;
    world_open(t, &w);
    connect_to(t, &w, 1, 0);
    UNTIL(&w, w.n[0].up && w.n[1].up);
    turns_for(w.base, 300);
    CHECK(open_many(&w, 1, "/test/many/1", 20) == 20);
    UNTIL(&w, w.n[1].closed >= 15);
    CHECK(w.n[0].opened > 0 && w.n[0].opened <= 5 && w.n[1].closed == 20 - w.n[0].opened);
    CHECK(open_many(&w, 0, "/test/many/1", 20) == 5);
    CHECK(w.n[0].down == 0);
    world_close(&w);
}

/* More connections of one peer than that: the oldest goes at once, not when its streams ended. */
static void limit_peer_conns(struct qn_test_state *t)
{
    for (uint32_t max = 1; max <= 2; max++) {
        struct world w = { .limits = qn_limits_default() };
        w.limits.peer_conns = max;
        world_open(t, &w);
        connect_to(t, &w, 1, 0);
        UNTIL(&w, w.n[0].up && w.n[1].up);
        turns_for(w.base, 200);
        CHECK(open_many(&w, 1, "/test/many/1", 1) == 1); /* keeps the first for drain_ms */
        UNTIL(&w, w.n[0].opened == 1);
        connect_to(t, &w, 1, 0);
        UNTIL(&w, qn_host_stat(w.n[0].host).handshakes == 2);
        turns_for(w.base, 300);
        CHECK(qn_host_stat(w.n[0].host).conns == max && w.n[0].up == 1 && w.n[0].down == 0);
        world_close(&w);
    }
}

/* What a busy reader does not take is held up to there. Returns the most that was. */
static size_t fill(struct qn_test_state *t, struct world *w, const char *proto)
{
    static const uint8_t ZEROS[16000];
    struct qn_stream *s[6];
    world_open(t, w);
    connect_to(t, w, 1, 0);
    UNTIL(w, w->n[0].up && w->n[1].up);
    turns_for(w->base, 200);
    for (size_t i = 0; i < QN_COUNT(s); i++) {
        CHECK_RC(qn_host_stream(w->n[1].host, w->n[1].last_peer, proto, QN_NET_TX, &OUT, &w->n[1],
                                &s[i]),
                 QN_OK);
        for (int k = 0; k < 15; k++)
            CHECK_RC(qn_stream_write(s[i], QN_SPAN_OF(ZEROS)), QN_OK);
    }
    turns_for(w->base, 500);
    size_t high = qn_host_stat(w->n[0].host).memory_high;
    CHECK(w->n[0].opened == QN_COUNT(s) && w->n[0].down == 0);
    world_close(w);
    return high;
}

/* What waits for a peer leaves it less room, and is not its fault. */
static void memory_that_waits(struct qn_test_state *t)
{
    static const uint8_t ZEROS[16000];
    struct world w = { .limits = qn_limits_default() };
    struct qn_stream *s;
    w.limits.peer_memory = 500000;
    world_open(t, &w);
    connect_to(t, &w, 1, 0);
    UNTIL(&w, w.n[0].up && w.n[1].up);
    turns_for(w.base, 200);
    CHECK_RC(
        qn_host_stream(w.n[0].host, w.n[0].last_peer, "/test/many/1", QN_NET_TX, &OUT, &w.n[0], &s),
        QN_OK);
    for (int k = 0; k < 40; k++, turns_for(w.base, 5)) /* a window, and what it leaves */
        if (qn_stream_queued(s) < 350000) CHECK_RC(qn_stream_write(s, QN_SPAN_OF(ZEROS)), QN_OK);
    CHECK(qn_stream_queued(s) > 300000);
    CHECK_RC(
        qn_host_stream(w.n[1].host, w.n[1].last_peer, "/test/many/1", QN_NET_TX, &OUT, &w.n[1], &s),
        QN_OK);
    for (int k = 0; k < 15; k++)
        CHECK_RC(qn_stream_write(s, QN_SPAN_OF(ZEROS)), QN_OK);
    UNTIL(&w, w.n[1].closed == 1);
    CHECK(w.n[0].blames == 0 && w.n[0].down == 0);
    world_close(&w);
}

static void limit_peer_memory(struct qn_test_state *t)
{
    struct world w = { .limits = qn_limits_default() };
    w.limits.peer_memory = 500000;
    size_t high = fill(t, &w, "/test/many/1"); /* 1.4 MB */
    CHECK(high > 300000 && high <= 500000);
    CHECK(w.n[0].blames > 0);
    memory_that_waits(t);
}

static void limit_peer_memory_blob(struct qn_test_state *t)
{
    struct world w = { .limits = qn_limits_default() };
    w.limits.peer_memory = 500000;
    w.limits.peer_memory_blob = 1000000;
    size_t high = fill(t, &w, "/test/blob/1");
    CHECK(high > 500000 && high <= 1000000 && w.n[0].blames > 0);
    w = (struct world){ .limits = qn_limits_default() };
    w.limits.peer_memory = 500000;
    high = fill(t, &w, "/test/blob/1"); /* all of it has room */
    CHECK(high > 1400000 && w.n[0].blames == 0);
}

/* Refused streams: so many at once, then so many a second. */
static uint32_t refusals(struct qn_test_state *t, uint32_t rate, uint32_t burst, uint32_t pause_ms)
{
    struct world w = { .limits = qn_limits_default() };
    uint32_t opened = 0;
    w.limits.peer_streams = 0;
    w.limits.peer_resets_s = rate;
    w.limits.peer_resets_burst = burst;
    world_open(t, &w);
    connect_to(t, &w, 0, 1); /* it asks node 0 who it is, which counts as well */
    UNTIL(&w, w.n[0].up && w.n[1].up);
    while (!w.n[0].down && opened < 60) {
        opened += open_many(&w, 1, "/test/many/1", 1);
        turns_for(w.base, pause_ms);
    }
    CHECK(w.n[0].down == 0 || w.n[0].blames == 1);
    world_close(&w);
    return opened;
}

static void limit_peer_resets_burst(struct qn_test_state *t)
{
    uint32_t opened = refusals(t, 1, 10, 5);
    CHECK(opened >= 5 && opened <= 12);
    opened = refusals(t, 1, 30, 5);
    CHECK(opened >= 25 && opened <= 33);
}

static void limit_peer_resets_s(struct qn_test_state *t)
{
    CHECK(refusals(t, 100000, 10, 5) == 60); /* as quick as it asks */
    CHECK(refusals(t, 1, 10, 5) < 60);
}

static void blame(struct world *w, enum qn_blame how)
{
    qn_host_blame(w->n[0].host, w->n[0].last_peer, how, "as a test");
    turns_for(w->base, 100);
}

/* An offence is four slips; who has more than that is gone, and does not come back. */
static void limit_peer_blames(struct qn_test_state *t)
{
    struct world w = { .limits = qn_limits_default() };
    w.limits.peer_blames = 8;
    world_open(t, &w);
    connect_to(t, &w, 1, 0);
    UNTIL(&w, w.n[0].up && w.n[1].up);
    blame(&w, QN_BLAME_OFFENCE);
    blame(&w, QN_BLAME_OFFENCE);
    CHECK(w.n[0].down == 0 && w.n[0].blames == 2);
    blame(&w, QN_BLAME_SLIP);
    CHECK(w.n[0].down == 1 && w.n[0].blames == 3);
    CHECK_RC(dial(&w, 1, qn_host_port(w.n[0].host)), QN_OK);
    turns_for(w.base, 300);
    CHECK(w.n[0].up == 1);
    world_close(&w);
}

static void limit_peer_blame_s(struct qn_test_state *t)
{
    for (uint32_t s = 1; s <= 1000; s += 999) {
        struct world w = { .limits = qn_limits_default() };
        w.limits.peer_blames = 4;
        w.limits.peer_blame_s = s;
        world_open(t, &w);
        connect_to(t, &w, 1, 0);
        UNTIL(&w, w.n[0].up && w.n[1].up);
        blame(&w, QN_BLAME_OFFENCE);
        turns_for(w.base, 1100);
        blame(&w, QN_BLAME_SLIP);
        CHECK(w.n[0].down == (s > 1));
        world_close(&w);
    }
}

static bool told(const struct world *w, struct qn_peer_info *info)
{
    return qn_host_peer(w->n[0].host, w->n[0].last_peer, info) && info->identified;
}

static void limit_peer_addrs(struct qn_test_state *t)
{
    for (uint32_t max = 1; max <= 16; max += 15) {
        struct world w = { .limits = qn_limits_default() };
        struct qn_maddr second;
        struct qn_peer_info info;
        w.limits.peer_addrs = max;
        world_open(t, &w);
        CHECK_RC(qn_maddr_parse("/ip4/9.9.9.9/tcp/1", &second, NULL), QN_OK);
        qn_host_announce(w.n[1].host, &second);
        connect_to(t, &w, 0, 1);
        UNTIL(&w, w.n[0].up && told(&w, &info));
        CHECK(info.addr_cnt == QN_MIN(max, 2u));
        world_close(&w);
    }
}

static void limit_peer_protos(struct qn_test_state *t)
{
    struct world w = { .limits = qn_limits_default() };
    struct qn_peer_info info;
    w.limits.peer_protos = 3;
    world_open(t, &w);
    connect_to(t, &w, 0, 1);
    UNTIL(&w, w.n[0].up && told(&w, &info));
    CHECK(info.proto_cnt == 3);
    UNTIL(&w, w.n[1].up && qn_host_peer(w.n[1].host, w.n[1].last_peer, &info) && info.identified);
    CHECK(info.proto_cnt > 3); /* the other has the table's own */
    world_close(&w);
}

/* --- a stream -------------------------------------------------------------------------------------------------- */

/* A peer that reads nothing: what waits for it is bounded. */
static void limit_stream_queue(struct qn_test_state *t)
{
    static const uint8_t ZEROS[10000];
    struct world w = { .limits = qn_limits_default() };
    struct qn_stream *s;
    w.limits.stream_queue = 100000;
    world_open(t, &w);
    connect_to(t, &w, 0, 1);
    UNTIL(&w, w.n[0].up);
    CHECK_RC(
        qn_host_stream(w.n[0].host, w.n[0].last_peer, "/test/many/1", QN_NET_TX, &OUT, &w.n[0], &s),
        QN_OK);
    uint32_t refused = 0;
    for (int i = 0; i < 100; i++) {
        refused += qn_stream_write(s, QN_SPAN_OF(ZEROS)) != QN_OK;
        CHECK(qn_stream_queued(s) <= 100000);
        turns_for(w.base, 5);
    }
    CHECK(refused > 50); /* a window of 256 KiB and the queue */
    world_close(&w);
}

/* Nobody says whether the protocol is spoken there. */
static void limit_stream_open_ms(struct qn_test_state *t)
{
    struct world w = { .limits = qn_limits_default() };
    struct deaf d;
    struct qn_stream *s;
    w.limits.stream_open_ms = 300;
    world_open(t, &w);
    deaf_open(&d, w.base, qn_host_port(w.n[1].host));
    CHECK_RC(dial(&w, 0, d.at.port), QN_OK);
    UNTIL(&w, w.n[0].up && w.n[1].up);
    turns_for(w.base, 300);
    deaf_now(&d);
    CHECK_RC(
        qn_host_stream(w.n[0].host, w.n[0].last_peer, "/test/many/1", QN_NET_TX, &OUT, &w.n[0], &s),
        QN_OK);
    UNTIL(&w, w.n[0].closed == 1);
    CHECK(w.n[0].end == QN_STREAM_LIMIT && w.n[0].down == 0);
    deaf_close(&d);
    world_close(&w);
}

/* However many streams a link has when it stalls, it is one slip. */
static void limit_stream_stuck_ms(struct qn_test_state *t)
{
    static const uint8_t ZEROS[300000]; /* more than the first window */
    struct world w = { .limits = qn_limits_default() };
    struct qn_stream *s;
    w.limits.stream_stuck_ms = 300;
    world_open(t, &w);
    connect_to(t, &w, 0, 1);
    UNTIL(&w, w.n[0].up);
    for (int i = 0; i < 4; i++) {
        CHECK_RC(qn_host_stream(w.n[0].host, w.n[0].last_peer, "/test/many/1", QN_NET_TX, &OUT,
                                &w.n[0], &s),
                 QN_OK);
        CHECK_RC(qn_stream_write(s, QN_SPAN_OF(ZEROS)), QN_OK);
    }
    UNTIL(&w, w.n[0].closed == 4);
    CHECK(w.n[0].end == QN_STREAM_LIMIT && w.n[0].blames == 1 && w.n[0].down == 0);
    world_close(&w);
}

/* A reader that keeps up earns a wider window, but no wider than that. */
static void limit_stream_window(struct qn_test_state *t)
{
    static const uint8_t ZEROS[60000];
    for (uint32_t max = QN_YAMUX_WINDOW; max <= 4 * QN_YAMUX_WINDOW; max *= 2) {
        struct world w = { .limits = qn_limits_default() };
        struct qn_stream *s;
        uint64_t sent = 0;
        w.limits.stream_window = max;
        world_open(t, &w);
        connect_to(t, &w, 1, 0);
        UNTIL(&w, w.n[0].up && w.n[1].up);
        CHECK_RC(qn_host_stream(w.n[1].host, w.n[1].last_peer, "/test/sink/1", QN_NET_TX, &OUT,
                                &w.n[1], &s),
                 QN_OK);
        for (uint64_t end = turns_ms() + 20000; sent < 20000000 && turns_ms() < end;) {
            while (qn_stream_write(s, QN_SPAN_OF(ZEROS)) == QN_OK)
                sent += sizeof ZEROS;
            event_base_loop(w.base, EVLOOP_ONCE);
        }
        UNTIL(&w, w.n[0].got == sent);
        CHECK(sent >= 20000000 && w.n[0].window <= max);
        CHECK(w.n[0].window == max); /* on this link there is always reason to */
        world_close(&w);
    }
}

/* --- a connection ---------------------------------------------------------------------------------------------- */

/* Lets time pass until what is to happen did; what is not to happen, for a while. */
#define WHETHER(w, want, cond)                                                                     \
    do {                                                                                           \
        uint64_t end_ = turns_ms() + ((want) ? 20000 : 600);                                       \
        while (!(cond) && turns_ms() < end_)                                                       \
            event_base_loop((w)->base, EVLOOP_ONCE);                                               \
        CHECK((cond) == (want));                                                                   \
    } while (0)

/* A link that goes without a word. */
static void silence(struct qn_test_state *t, uint32_t idle_ms, uint32_t wait_ms, bool found)
{
    struct world w = { .limits = qn_limits_default() };
    struct deaf d;
    w.limits.ping_idle_ms = idle_ms;
    w.limits.ping_wait_ms = wait_ms;
    world_open(t, &w);
    deaf_open(&d, w.base, qn_host_port(w.n[1].host));
    CHECK_RC(dial(&w, 0, d.at.port), QN_OK);
    UNTIL(&w, w.n[0].up && w.n[1].up);
    turns_for(w.base, idle_ms < 1000 && wait_ms < 1000 ? 700 : 100);
    CHECK(w.n[0].down == 0); /* it lives */
    deaf_now(&d);
    WHETHER(&w, found, w.n[0].down == 1);
    deaf_close(&d);
    world_close(&w);
}

static void limit_ping_idle_ms(struct qn_test_state *t)
{
    silence(t, 200, 300, true);
    silence(t, 60000, 300, false);
}

static void limit_ping_wait_ms(struct qn_test_state *t)
{
    silence(t, 200, 60000, false);
}

/* A socket that takes nothing more. */
static void limit_write_stuck_ms(struct qn_test_state *t)
{
    static const uint8_t ZEROS[250000];
    struct world w = { .limits = qn_limits_default() };
    struct deaf d;
    struct qn_stream *s;
    const int little = 4096;
    w.limits.write_stuck_ms = 500;
    w.limits.peer_memory = 64u << 20;
    world_open(t, &w);
    deaf_open(&d, w.base, qn_host_port(w.n[1].host));
    CHECK(setsockopt(d.listen_fd, SOL_SOCKET, SO_RCVBUF, &little, sizeof little) == 0);
    CHECK_RC(dial(&w, 0, d.at.port), QN_OK);
    UNTIL(&w, w.n[0].up && w.n[1].up);
    turns_for(w.base, 300);
    event_del(d.on_bytes[0]); /* nobody reads what node 0 says */
    for (int i = 0; i < 30; i++) {
        CHECK_RC(qn_host_stream(w.n[0].host, w.n[0].last_peer, "/test/sink/1", QN_NET_TX, &OUT,
                                &w.n[0], &s),
                 QN_OK);
        CHECK_RC(qn_stream_write(s, QN_SPAN_OF(ZEROS)), QN_OK);
    }
    UNTIL(&w, w.n[0].down == 1);
    CHECK(w.n[0].blames == 1);
    deaf_close(&d);
    world_close(&w);
}

/* A connection that is left for another goes after grace_ms when it has no stream, after drain_ms when it has. */
static void left(struct qn_test_state *t, uint32_t grace_ms, uint32_t drain_ms, uint32_t cnt,
                 bool gone)
{
    struct world w = { .limits = qn_limits_default() };
    w.limits.grace_ms = grace_ms;
    w.limits.drain_ms = drain_ms;
    world_open(t, &w);
    connect_to(t, &w, 0, 1);
    UNTIL(&w, w.n[0].up && w.n[1].up);
    turns_for(w.base, 300);
    CHECK(open_many(&w, 0, "/test/many/1", cnt) == cnt);
    UNTIL(&w, w.n[1].opened == cnt);
    connect_to(t, &w, 0, 1);
    CHECK(qn_host_stat(w.n[0].host).conns == 2);
    WHETHER(&w, gone, qn_host_stat(w.n[0].host).conns == 1);
    CHECK(w.n[0].down == 0 && w.n[1].down == 0);
    world_close(&w);
}

static void limit_grace_ms(struct qn_test_state *t)
{
    left(t, 200, 60000, 0, true);
    left(t, 30000, 60000, 0, false);
}

static void limit_drain_ms(struct qn_test_state *t)
{
    left(t, 200, 400, 1, true);
    left(t, 200, 60000, 1, false);
}

/* The numbers of streams: used up they end the connection, not the node. */
static void test_stream_ids(struct qn_test_state *t)
{
    struct world w = { .limits = qn_limits_default() };
    struct qn_stream *s;
    world_open(t, &w);
    connect_to(t, &w, 0, 1);
    UNTIL(&w, w.n[0].up && w.n[1].up);
    turns_for(w.base, 200);
    struct conn *c = peer_find(w.n[0].host, w.n[0].last_peer)->cur;
    while (c->y.next_id < QN_YAMUX_ID_MAX - 4)
        c->y.next_id += 2;
    uint32_t taken = open_many(&w, 0, "/test/many/1", 10);
    CHECK(taken > 0 && taken <= 3);
    CHECK_RC(
        qn_host_stream(w.n[0].host, w.n[0].last_peer, "/test/many/1", QN_NET_TX, &OUT, &w.n[0], &s),
        QN_E_NOTFOUND);
    UNTIL(&w, w.n[0].down == 1 && w.n[1].down == 1);
    connect_to(t, &w, 0, 1);
    world_close(&w);
}

int main(void)
{
    TEST_BEGIN();
    if (qn_crypto_init()) return 1;
#define LIMIT(name, value, meaning) TEST(limit_##name);
#include "net/link/limit.def"
#undef LIMIT
    TEST(test_stream_ids);
    return TEST_END();
}
