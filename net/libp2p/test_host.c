/* test_host.c - hosts of one process over real sockets on loopback. */
#include "net/libp2p/frames.h"

#include "core/env/turns.h"
#include "net/libp2p/chain.h"
#include "net/libp2p/deaf.h"
#include "net/link/limit.h"

#include <unistd.h>

struct node {
    struct qn_host *host;
    struct qn_host_watch watch;
    struct qn_key key;
    struct qn_frames *frames;
    uint32_t up, down, identified, messages, members, last_peer;
    size_t message_bytes;
    bool bad_message;
    uint32_t blames;
    int dial_rc, ping_rc, perf_rc; /* -1: not yet */
    uint32_t dial_peer;
    uint64_t rtt_us;
};

struct world {
    struct event_base *base;
    struct node n[2];
};

static void on_peer(void *arg, uint32_t peer, const struct qn_peer_id *id, bool up, bool outbound)
{
    struct node *n = arg;
    (void)id, (void)outbound;
    *(up ? &n->up : &n->down) += 1;
    if (up) n->last_peer = peer;
}

static void on_identify(void *arg, const struct qn_peer_info *info)
{
    struct node *n = arg;
    (void)info;
    n->identified++;
}

static void on_blame(void *arg, uint32_t peer, enum qn_blame how, const char *what)
{
    struct node *n = arg;
    (void)peer, (void)how, (void)what;
    n->blames++;
}

static struct qn_limits loose(void)
{
    struct qn_limits l = qn_limits_default();
    l.shake_s = 100000;
    l.grace_ms = 50;
    return l;
}

static void node_open(struct qn_test_state *t, struct world *w, struct node *n, uint8_t seed,
                      bool listen, const struct qn_limits *limits)
{
    uint8_t s[32] = { seed };
    CHECK_RC(qn_crypto_init(), QN_OK);
    qn_key_from_seed(s, &n->key);
    n->dial_rc = n->ping_rc = n->perf_rc = -1;
    const struct qn_host_conf conf = { .base = w->base,
                                       .env = qn_env_real(),
                                       .key = &n->key,
                                       .listen = listen ? "127.0.0.1:0" : NULL,
                                       .perf = true,
                                       .limits = limits };
    CHECK_RC(qn_host_open(&conf, &n->host, NULL), QN_OK);
    n->watch = (struct qn_host_watch){
        .arg = n, .on_peer = on_peer, .on_identify = on_identify, .on_blame = on_blame
    };
    qn_host_watch(n->host, &n->watch);
}

static void world_open(struct qn_test_state *t, struct world *w)
{
    struct qn_limits l = loose();
    memset(w, 0, sizeof *w);
    w->base = event_base_new();
    for (uint8_t i = 0; i < 2; i++)
        node_open(t, w, &w->n[i], (uint8_t)(i + 1), true, &l);
}

static void world_close(struct world *w)
{
    for (int i = 0; i < 2; i++) {
        qn_frames_close(w->n[i].frames);
        qn_host_close(w->n[i].host);
    }
    event_base_free(w->base);
}

/* Runs the loop until cond holds; 20 s are more than any test needs. */
static void dialled(void *arg, qn_rc rc, uint32_t peer, const struct qn_why *why)
{
    struct node *n = arg;
    (void)why;
    n->dial_rc = (int)rc;
    n->dial_peer = peer;
}

static void addr_of(struct node *n, bool with_id, char dst[QN_MADDR_TEXT])
{
    struct qn_maddr a;
    struct qn_endpoint e = { .ip = { 127, 0, 0, 1 }, .port = (uint16_t)qn_host_port(n->host) };
    e.has_id = with_id;
    e.id = *qn_host_id(n->host);
    qn_maddr_of(&e, &a);
    qn_maddr_print(&a, dst);
}

static void connect_both(struct qn_test_state *t, struct world *w)
{
    char addr[QN_MADDR_TEXT];
    addr_of(&w->n[1], true, addr);
    CHECK_RC(qn_host_dial(w->n[0].host, addr, dialled, &w->n[0], NULL), QN_OK);
    UNTIL(w, w->n[0].dial_rc >= 0);
    CHECK(w->n[0].dial_rc == QN_OK);
    UNTIL(w, w->n[0].identified && w->n[1].identified);
}

static void pinged(void *arg, qn_rc rc, uint64_t rtt_us)
{
    struct node *n = arg;
    n->ping_rc = (int)rc;
    n->rtt_us = rtt_us;
}

static void perfed(void *arg, qn_rc rc, uint64_t up_us, uint64_t down_us)
{
    struct node *n = arg;
    (void)up_us, (void)down_us;
    n->perf_rc = (int)rc;
}

static void test_pair(struct qn_test_state *t)
{
    struct world w;
    struct qn_peer_info info = { 0 };
    world_open(t, &w);
    connect_both(t, &w);
    CHECK(w.n[0].up == 1 && w.n[1].up == 1);
    CHECK(qn_host_peer(w.n[0].host, w.n[0].dial_peer, &info));
    CHECK(qn_peer_id_eq(&info.id, qn_host_id(w.n[1].host)));
    CHECK(info.outbound && info.identified && info.proto_cnt == 4 && info.addr_cnt == 1);
    CHECK(info.record.len > 0);
    CHECK(strcmp(info.agent, "quoin/" QN_VERSION) == 0);
    CHECK(info.observed.port != 0);
    CHECK(qn_host_speaks(w.n[0].host, w.n[0].dial_peer, "/ipfs/ping/1.0.0"));
    CHECK_RC(qn_host_ping(w.n[0].host, w.n[0].dial_peer, pinged, &w.n[0]), QN_OK);
    CHECK_RC(qn_host_ping(w.n[1].host, w.n[1].last_peer, pinged, &w.n[1]), QN_OK);
    UNTIL(&w, w.n[0].ping_rc >= 0 && w.n[1].ping_rc >= 0);
    CHECK(w.n[0].ping_rc == QN_OK && w.n[1].ping_rc == QN_OK && w.n[0].rtt_us > 0);
    CHECK_RC(qn_host_perf(w.n[0].host, w.n[0].dial_peer, 30 << 20, 20 << 20, perfed, &w.n[0]),
             QN_OK);
    UNTIL(&w, w.n[0].perf_rc >= 0);
    CHECK(w.n[0].perf_rc == QN_OK);
    qn_host_hangup(w.n[0].host, w.n[0].dial_peer, "enough");
    UNTIL(&w, w.n[0].down && w.n[1].down);
    CHECK(qn_host_peer_cnt(w.n[0].host) == 0 && qn_host_peer_cnt(w.n[1].host) == 0);
    CHECK(qn_host_stat(w.n[0].host).memory == 0 && qn_host_stat(w.n[1].host).memory == 0);
    world_close(&w);
}

static void test_wrong_id(struct qn_test_state *t)
{
    struct world w;
    char addr[QN_MADDR_TEXT];
    struct qn_maddr a;
    struct qn_endpoint e = { .ip = { 127, 0, 0, 1 }, .has_id = true };
    world_open(t, &w);
    struct qn_hash other = { { 9 } };
    e.id = qn_peer_id_of_key(&other);
    e.port = (uint16_t)qn_host_port(w.n[1].host);
    qn_maddr_of(&e, &a);
    qn_maddr_print(&a, addr);
    CHECK_RC(qn_host_dial(w.n[0].host, addr, dialled, &w.n[0], NULL), QN_OK);
    UNTIL(&w, w.n[0].dial_rc >= 0);
    CHECK(w.n[0].dial_rc == QN_E_SIGNATURE);
    CHECK(w.n[0].up == 0);
    /* Nobody listens there; ourselves. */
    w.n[0].dial_rc = -1;
    CHECK_RC(qn_host_dial(w.n[0].host, "127.0.0.1:1", dialled, &w.n[0], NULL), QN_OK);
    UNTIL(&w, w.n[0].dial_rc >= 0);
    CHECK(w.n[0].dial_rc == QN_E_IO);
    addr_of(&w.n[0], false, addr);
    w.n[0].dial_rc = -1;
    CHECK_RC(qn_host_dial(w.n[0].host, addr, dialled, &w.n[0], NULL), QN_OK);
    UNTIL(&w, w.n[0].dial_rc >= 0);
    CHECK(w.n[0].dial_rc == QN_E_STATE || w.n[0].dial_rc == QN_E_IO);
    world_close(&w);
}

/* Both dial at once, again and again: in the end one connection each, the same, and no peer that came and went. */
static void test_crossing(struct qn_test_state *t)
{
    int rounds = test_long() ? 1000 : 60;
    for (int i = 0; i < rounds && !t->bad; i++) {
        struct world w;
        char a[QN_MADDR_TEXT], b[QN_MADDR_TEXT];
        world_open(t, &w);
        addr_of(&w.n[0], i & 1, a);
        addr_of(&w.n[1], i & 2, b);
        CHECK_RC(qn_host_dial(w.n[0].host, b, dialled, &w.n[0], NULL), QN_OK);
        if (i & 4) event_base_loop(w.base, EVLOOP_ONCE);
        CHECK_RC(qn_host_dial(w.n[1].host, a, dialled, &w.n[1], NULL), QN_OK);
        UNTIL(&w, w.n[0].dial_rc >= 0 && w.n[1].dial_rc >= 0);
        CHECK(w.n[0].dial_rc == QN_OK && w.n[1].dial_rc == QN_OK);
        UNTIL(&w, qn_host_stat(w.n[0].host).conns == 1 && qn_host_stat(w.n[1].host).conns == 1);
        struct qn_peer_info x = { 0 }, y = { 0 };
        CHECK(qn_host_peer(w.n[0].host, w.n[0].last_peer, &x));
        CHECK(qn_host_peer(w.n[1].host, w.n[1].last_peer, &y));
        CHECK(x.outbound != y.outbound);
        if (w.n[0].up > 1 || w.n[1].up > 1) printf("round %d: up %u %u\n", i, w.n[0].up, w.n[1].up);
        CHECK(w.n[0].up == 1 && w.n[1].up == 1 && w.n[0].down == 0 && w.n[1].down == 0);
        CHECK_RC(qn_host_ping(w.n[0].host, w.n[0].last_peer, pinged, &w.n[0]), QN_OK);
        UNTIL(&w, w.n[0].ping_rc >= 0);
        CHECK(w.n[0].ping_rc == QN_OK);
        UNTIL(&w, w.n[0].identified && w.n[1].identified);
        world_close(&w);
    }
}

/* Who a peer is was asked over a connection on which no answer comes: it is asked again over the one that takes its place. */
static void test_asked_again(struct qn_test_state *t)
{
    struct world w = { 0 };
    struct qn_limits l = loose();
    struct deaf d;
    char addr[QN_MADDR_TEXT];
    l.drain_ms = 300;
    w.base = event_base_new();
    for (uint8_t i = 0; i < 2; i++)
        node_open(t, &w, &w.n[i], (uint8_t)(i + 1), true, &l);
    deaf_open(&d, w.base, qn_host_port(w.n[1].host));
    snprintf(addr, sizeof addr, "127.0.0.1:%u", d.at.port);
    CHECK_RC(qn_host_dial(w.n[0].host, addr, dialled, &w.n[0], NULL), QN_OK);
    UNTIL(&w, w.n[0].up);
    deaf_now(&d);
    UNTIL(&w, w.n[1].up);
    addr_of(&w.n[1], false, addr);
    w.n[0].dial_rc = -1;
    CHECK_RC(qn_host_dial(w.n[0].host, addr, dialled, &w.n[0], NULL), QN_OK);
    UNTIL(&w, w.n[0].dial_rc >= 0);
    CHECK(w.n[0].dial_rc == QN_OK);
    UNTIL(&w, w.n[0].identified && w.n[1].identified);
    CHECK(w.n[0].up == 1 && w.n[1].up == 1 && w.n[0].down == 0 && w.n[1].down == 0);
    deaf_close(&d);
    world_close(&w);
}

static void on_member(void *arg, uint32_t peer, bool up)
{
    struct node *n = arg;
    (void)peer;
    n->members += up ? 1 : UINT32_MAX;
}

static void on_message(void *arg, uint32_t peer, struct qn_span m)
{
    struct node *n = arg;
    (void)peer;
    n->messages++;
    n->message_bytes += m.len;
    for (size_t i = 0; i < m.len; i++)
        if (m.ptr[i] != (uint8_t)(m.len + i)) n->bad_message = true;
}

#define LEDGER_1 "/quoin/00000000/ledger/1"
#define LEDGER_2 "/quoin/00000000/ledger/2"

static void frames_open(struct qn_test_state *t, struct node *n, const char *proto)
{
    const struct qn_frames_conf conf = { .host = n->host,
                                         .proto = proto,
                                         .message_max = 3 << 20,
                                         .on_peer = on_member,
                                         .on_message = on_message,
                                         .arg = n };
    CHECK_RC(qn_frames_open(&conf, &n->frames), QN_OK);
}

static void test_frames(struct qn_test_state *t)
{
    static const size_t SIZES[] = { 0, 1, 4, 100, 16384, 300000, 3 << 20, 7, 0, 0 };
    struct world w;
    world_open(t, &w);
    for (int i = 0; i < 2; i++)
        frames_open(t, &w.n[i], LEDGER_1);
    connect_both(t, &w);
    UNTIL(&w, w.n[0].members == 1 && w.n[1].members == 1);
    uint8_t *buf = malloc((3 << 20) + 1);
    size_t bytes = 0;
    uint32_t sent = 0;
    for (size_t i = 0; i < QN_COUNT(SIZES); i++)
        for (size_t k = 0; k < 2; k++) {
            struct node *n = &w.n[k], *m = &w.n[!k];
            for (size_t j = 0; j < SIZES[i]; j++)
                buf[j] = (uint8_t)(SIZES[i] + j);
            qn_rc rc;
            enum qn_net_class class = (enum qn_net_class)(i % QN_NET_CLASS_CNT);
            while ((rc = qn_frames_send(n->frames, n->last_peer, class, QN_SPAN(buf, SIZES[i]))) ==
                   QN_E_LIMIT)
                event_base_loop(w.base, EVLOOP_ONCE);
            CHECK_RC(rc, QN_OK);
            if (k == 0) bytes += SIZES[i];
            if (k == 0) sent++;
            (void)m;
        }
    UNTIL(&w, w.n[0].messages == sent && w.n[1].messages == sent);
    CHECK(w.n[0].message_bytes == bytes && w.n[1].message_bytes == bytes);
    CHECK(!w.n[0].bad_message && !w.n[1].bad_message);
    CHECK_RC(qn_frames_send(w.n[0].frames, 77, QN_NET_TX, QN_SPAN(buf, 1)), QN_E_NOTFOUND);
    CHECK_RC(
        qn_frames_send(w.n[0].frames, w.n[0].last_peer, QN_NET_TX, QN_SPAN(buf, (3 << 20) + 1)),
        QN_E_TOOBIG);
    /* The queue is bounded. */
    uint32_t took = 0;
    while (qn_frames_send(w.n[0].frames, w.n[0].last_peer, QN_NET_TX, QN_SPAN(buf, 65536)) == QN_OK)
        took++;
    CHECK(took >= 8 && took <= 17);
    free(buf);
    world_close(&w);
}

static void check_version(void *arg, const struct qn_peer_info *info)
{
    const char *other = "";
    uint32_t *seen = arg;
    if (qn_peer_other_version(info, LEDGER_1, &other) && strcmp(other, LEDGER_2) == 0) ++*seen;
}

/* One side is of a later version: connected, identified, named as such, and not used. Its neighbour goes on. */
static void test_version(struct qn_test_state *t)
{
    static const char *const MANY[] = { LEDGER_2, "/ipfs/ping/1.0.0", LEDGER_1 };
    static const char *const ODD[] = { "/quoin/00000000/ledger/", "/quoin/00000000/ledger/2\x1b[2J",
                                       "/quoin/00000000/kad/2.0.0", "/quoin/11111111/ledger/2",
                                       "/quoin/00000000/ledger/x" };
    struct world w;
    uint32_t seen = 0;
    const char *other;
    world_open(t, &w);
    frames_open(t, &w.n[0], LEDGER_1);
    frames_open(t, &w.n[1], LEDGER_2);
    connect_both(t, &w);
    UNTIL(&w, w.n[0].identified && w.n[1].identified);
    qn_host_peers(w.n[0].host, check_version, &seen);
    CHECK(seen == 1);
    turns_for(w.base, 200);
    CHECK(w.n[0].members == 0 && w.n[1].members == 0 && w.n[0].blames == 0);
    CHECK(qn_frames_cast(w.n[0].frames, 0, QN_NET_TX, QN_SPAN_STR("x")) == 0);
    CHECK_RC(qn_frames_send(w.n[0].frames, w.n[0].last_peer, QN_NET_TX, QN_SPAN_STR("x")),
             QN_E_NOTFOUND);
    CHECK(w.n[0].down == 0);
    world_close(&w);
    struct qn_peer_info both = { .protos = MANY, .proto_cnt = QN_COUNT(MANY) };
    CHECK(!qn_peer_other_version(&both, LEDGER_1, &other)); /* it speaks ours as well */
    struct qn_peer_info odd = { .protos = ODD, .proto_cnt = QN_COUNT(ODD) };
    CHECK(!qn_peer_other_version(&odd, LEDGER_1, &other));
}

/* A second dial is answered with the connection there is; one that the peer dials anew replaces what it may have lost. */
static void test_again(struct qn_test_state *t)
{
    struct world w;
    char addr[QN_MADDR_TEXT];
    world_open(t, &w);
    connect_both(t, &w);
    uint32_t peer = w.n[0].dial_peer;
    for (int i = 0; i < 2;
         i++) { /* by id: nothing is dialled; by address: a second connection that goes */
        addr_of(&w.n[1], i == 0, addr);
        w.n[0].dial_rc = -1;
        CHECK_RC(qn_host_dial(w.n[0].host, addr, dialled, &w.n[0], NULL), QN_OK);
        UNTIL(&w, w.n[0].dial_rc >= 0);
        CHECK(w.n[0].dial_rc == QN_OK && w.n[0].dial_peer == peer);
    }
    UNTIL(&w, qn_host_stat(w.n[0].host).conns == 1 && qn_host_stat(w.n[1].host).conns == 1);
    CHECK(w.n[0].up == 1 && w.n[1].up == 1 && w.n[0].down == 0 && w.n[1].down == 0);
    CHECK_RC(qn_host_ping(w.n[1].host, w.n[1].last_peer, pinged, &w.n[1]), QN_OK);
    UNTIL(&w, w.n[1].ping_rc >= 0);
    CHECK(w.n[1].ping_rc == QN_OK);
    world_close(&w);
}

/* All inbound places taken: a newcomer is refused, an explicit peer is not. */
static void test_full(struct qn_test_state *t)
{
    struct world w;
    struct node third, fourth;
    char addr[QN_MADDR_TEXT];
    struct qn_limits l = loose();
    memset(&w, 0, sizeof w);
    memset(&third, 0, sizeof third);
    memset(&fourth, 0, sizeof fourth);
    w.base = event_base_new();
    l.in_max = 1;
    node_open(t, &w, &w.n[0], 1, true, &l);
    node_open(t, &w, &w.n[1], 2, true, &l);
    node_open(t, &w, &third, 3, false, &l);
    node_open(t, &w, &fourth, 4, false, &l);
    connect_both(t, &w);
    addr_of(&w.n[1], true, addr);
    CHECK_RC(qn_host_dial(third.host, addr, dialled, &third, NULL), QN_OK);
    UNTIL(&w, third.dial_rc >= 0 && (third.dial_rc != QN_OK || third.down == 1));
    CHECK(w.n[1].up == 1 && qn_host_stat(w.n[1].host).refused == 1);
    qn_host_explicit(w.n[1].host, qn_host_id(fourth.host), true);
    CHECK_RC(qn_host_dial(fourth.host, addr, dialled, &fourth, NULL), QN_OK);
    UNTIL(&w, fourth.dial_rc >= 0 && w.n[1].up == 2);
    CHECK(fourth.dial_rc == QN_OK && fourth.down == 0);
    qn_host_close(third.host);
    qn_host_close(fourth.host);
    world_close(&w);
}

static void test_ban(struct qn_test_state *t)
{
    struct world w;
    char addr[QN_MADDR_TEXT];
    world_open(t, &w);
    connect_both(t, &w);
    qn_host_ban(w.n[1].host, qn_host_id(w.n[0].host), 60, "test");
    UNTIL(&w, w.n[0].down && w.n[1].down);
    addr_of(&w.n[1], true, addr);
    w.n[0].dial_rc = -1;
    CHECK_RC(qn_host_dial(w.n[0].host, addr, dialled, &w.n[0], NULL), QN_OK);
    UNTIL(&w, w.n[0].dial_rc >= 0);
    UNTIL(&w, w.n[0].dial_rc != QN_OK || w.n[0].down == 2);
    CHECK(w.n[1].up == 1);
    addr_of(&w.n[0], true, addr);
    CHECK_RC(qn_host_dial(w.n[1].host, addr, dialled, &w.n[1], NULL), QN_E_AUTH);
    qn_host_ban(w.n[1].host, qn_host_id(w.n[0].host), 0, NULL);
    CHECK_RC(qn_host_dial(w.n[1].host, addr, dialled, &w.n[1], NULL), QN_OK);
    UNTIL(&w, w.n[1].dial_rc == QN_OK);
    world_close(&w);
}

/* Two connections to one peer that go at once, whichever stays of them: the peer is gone. */
static void test_ban_two(struct qn_test_state *t)
{
    for (int i = 0; i < 8 && !t->bad; i++) {
        struct world w;
        char addr[QN_MADDR_TEXT];
        struct node *first = &w.n[i & 1], *second = &w.n[!(i & 1)], *judge = &w.n[i >> 1 & 1];
        world_open(t, &w);
        addr_of(second, true, addr);
        CHECK_RC(qn_host_dial(first->host, addr, dialled, first, NULL), QN_OK);
        UNTIL(&w, first->up && second->up);
        addr_of(first, false, addr); /* not known to be the same */
        CHECK_RC(qn_host_dial(second->host, addr, dialled, second, NULL), QN_OK);
        UNTIL(&w, second->dial_rc >= 0);
        UNTIL(&w, qn_host_stat(judge->host).handshakes == 2);
        CHECK(qn_host_stat(judge->host).conns == 2);
        qn_host_ban(judge->host, qn_host_id((judge == first ? second : first)->host), 60, "test");
        UNTIL(&w, first->down && second->down);
        CHECK(qn_host_peer_cnt(judge->host) == 0);
        world_close(&w);
    }
}

/* --- for other implementations: tests/peers/libp2p.mjs talks to these ---------------------------------------- */

static void stdin_closed(int fd, short what, void *arg)
{
    char buf[64];
    struct event_base *base = arg;
    (void)what;
    if (read(fd, buf, sizeof buf) <= 0) event_base_loopbreak(base);
}

/* serve: prints its address, answers until standard input ends, then says whom it saw. */
static int tool_serve(struct qn_test_state *t)
{
    struct world w = { .base = event_base_new() };
    struct node *n = &w.n[0];
    char addr[QN_MADDR_TEXT];
    node_open(t, &w, n, 7, true, NULL);
    addr_of(n, true, addr);
    printf("{\"addr\":\"%s\"}\n", addr);
    fflush(stdout);
    struct event *in = event_new(w.base, 0, EV_READ | EV_PERSIST, stdin_closed, w.base);
    event_add(in, NULL);
    event_base_dispatch(w.base);
    printf("{\"up\":%u,\"identified\":%u,\"blames\":%u}\n", n->up, n->identified, n->blames);
    event_free(in);
    qn_host_close(n->host);
    event_base_free(w.base);
    return t->bad ? 1 : 0;
}

/* dial ADDR BYTES: identify, ping, perf both ways with that many bytes. */
static int tool_dial(struct qn_test_state *t, const char *addr, uint64_t bytes)
{
    struct world w = { .base = event_base_new() };
    struct node *n = &w.n[0];
    struct qn_peer_info info = { 0 };
    struct qn_why why = { "" };
    node_open(t, &w, n, 8, true, NULL);
    CHECK_RC(qn_host_dial(n->host, addr, dialled, n, &why), QN_OK);
    UNTIL(&w, n->dial_rc >= 0);
    if (n->dial_rc == QN_OK) {
        UNTIL(&w, n->identified);
        CHECK_RC(qn_host_ping(n->host, n->dial_peer, pinged, n), QN_OK);
        UNTIL(&w, n->ping_rc >= 0);
        if (bytes) {
            CHECK_RC(qn_host_perf(n->host, n->dial_peer, bytes, bytes, perfed, n), QN_OK);
            UNTIL(&w, n->perf_rc >= 0);
        }
    }
    bool there = qn_host_peer(n->host, n->dial_peer, &info);
    char id[QN_PEER_TEXT_MAX] = "";
    if (there) qn_peer_id_print(&info.id, id);
    printf("{\"dial\":\"%s\",\"id\":\"%s\",\"agent\":\"%s\",\"protos\":%u,\"record\":%s,\"ping\":"
           "\"%s\",\"perf\":\"%s\","
           "\"blames\":%u}\n",
           qn_err_code((qn_rc)n->dial_rc), id, there ? info.agent : "", there ? info.proto_cnt : 0,
           there && info.record.len ? "true" : "false",
           n->ping_rc >= 0 ? qn_err_code((qn_rc)n->ping_rc) : "",
           n->perf_rc >= 0 ? qn_err_code((qn_rc)n->perf_rc) : "", n->blames);
    qn_host_close(n->host);
    event_base_free(w.base);
    return t->bad ? 1 : 0;
}

int main(int argc, char **argv)
{
    TEST_BEGIN();
    if (argc > 1 && strcmp(argv[1], "serve") == 0) return tool_serve(&test_state);
    if (argc > 3 && strcmp(argv[1], "dial") == 0)
        return tool_dial(&test_state, argv[2], strtoull(argv[3], NULL, 10));
    TEST(test_pair);
    TEST(test_wrong_id);
    TEST(test_frames);
    TEST(test_version);
    TEST(test_ban);
    TEST(test_again);
    TEST(test_full);
    TEST(test_ban_two);
    TEST(test_crossing);
    TEST(test_asked_again);
    return TEST_END();
}
