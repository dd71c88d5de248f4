/* test_limits.c - rows of net/link/limit.def that no other test keeps: each set low, and what is over it refused. */
#include "core/base/test.h"
#include "net/libp2p/deaf.h"
#include "net/libp2p/host.h"
#include "net/link/limit.h"

#include <time.h>

struct node {
    struct qn_host *host;
    struct qn_host_watch watch;
    struct qn_key key;
    uint32_t up, down, opened, closed, last_peer;
    int dial_rc; /* -1: not yet */
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
    (void)s, (void)end;
    n->closed++;
}

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
        n->watch = (struct qn_host_watch){ .arg = n, .on_peer = on_peer };
        qn_host_watch(n->host, &n->watch);
        const struct qn_proto p = { .id = "/test/few/1", .ops = &IN, .arg = n, .class = QN_NET_TX };
        const struct qn_proto many = {
            .id = "/test/many/1", .ops = &IN, .arg = n, .class = QN_NET_TX, .in_max = 64
        };
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

static uint64_t now_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

#define UNTIL(w, cond)                                                                             \
    do {                                                                                           \
        uint64_t end_ = now_ms() + 20000;                                                          \
        while (!(cond) && now_ms() < end_)                                                         \
            event_base_loop((w)->base, EVLOOP_ONCE);                                               \
        CHECK(cond);                                                                               \
    } while (0)

static void run(struct world *w, long ms)
{
    const struct timeval tv = { ms / 1000, ms % 1000 * 1000 };
    event_base_loopexit(w->base, &tv);
    event_base_dispatch(w->base);
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

static void test_out(struct qn_test_state *t)
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
static void test_memory(struct qn_test_state *t)
{
    struct world w = { .limits = qn_limits_default() };
    w.limits.memory_max = 120000;
    world_open(t, &w);
    connect_to(t, &w, 1, 0);
    UNTIL(&w, w.n[0].up == 1);
    CHECK_RC(dial(&w, 2, qn_host_port(w.n[0].host)), QN_OK);
    run(&w, 500);
    CHECK(w.n[0].up == 1 && w.n[0].down == 0 && qn_host_stat(w.n[0].host).memory <= 120000);
    world_close(&w);
}

/* Streams of one protocol, of one peer, of all: what is over is refused, on this side or the other. */
static void test_streams(struct qn_test_state *t)
{
    for (int which = 0; which < 3; which++) {
        struct world w = { .limits = qn_limits_default() };
        struct qn_stream *s;
        uint32_t taken = 0, max = 3;
        if (which == 0) w.limits.peer_proto = max;
        if (which == 1) w.limits.streams_max = max;
        if (which == 2) w.limits.peer_unacked = max;
        world_open(t, &w);
        connect_to(t, &w, 1, 0);
        UNTIL(&w, w.n[0].up && w.n[1].up);
        run(&w, 200);
        int from = which != 2;
        for (uint32_t i = 0; i < 20; i++)
            taken += qn_host_stream(w.n[from].host, w.n[from].last_peer,
                                    which ? "/test/many/1" : "/test/few/1", QN_NET_TX, &OUT,
                                    &w.n[from], &s) == QN_OK;
        CHECK(which == 2 ? taken <= max && taken > 0 : taken > max);
        run(&w, 500);
        if (which < 2) {
            CHECK(w.n[0].opened > 0 && w.n[0].opened <= max);
            CHECK(w.n[1].closed >= taken - max);
        }
        CHECK(w.n[0].down == 0 && w.n[1].down == 0);
        world_close(&w);
    }
}

/* A peer that reads nothing: what waits for it is bounded. */
static void test_queue(struct qn_test_state *t)
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
        run(&w, 5);
    }
    CHECK(refused > 50); /* a window of 256 KiB and the queue */
    world_close(&w);
}

/* A link that went without a word is found out by who asks whether it lives. */
static void test_ping(struct qn_test_state *t)
{
    struct world w = { .limits = qn_limits_default() };
    struct deaf d;
    w.limits.ping_idle_ms = 200;
    w.limits.ping_wait_ms = 300;
    world_open(t, &w);
    deaf_open(&d, w.base, qn_host_port(w.n[1].host));
    CHECK_RC(dial(&w, 0, d.at.port), QN_OK);
    UNTIL(&w, w.n[0].up && w.n[1].up);
    run(&w, 1500);
    CHECK(w.n[0].down == 0); /* it lives */
    deaf_now(&d);
    UNTIL(&w, w.n[0].down == 1);
    deaf_close(&d);
    world_close(&w);
}

int main(void)
{
    TEST_BEGIN();
    if (qn_crypto_init()) return 1;
    TEST(test_out);
    TEST(test_memory);
    TEST(test_streams);
    TEST(test_queue);
    TEST(test_ping);
    return TEST_END();
}
