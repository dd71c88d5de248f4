/* test_crowd.c - many hostile peers together: what each may take within its own limits must not add up to nothing left for an honest one. */
#include "core/base/test.h"
#include "net/libp2p/host.h"
#include "net/link/limit.h"

#include <event2/event.h>
#include <time.h>

enum { CROWD = 12 };

struct node {
    struct qn_host *host;
    struct qn_host_watch watch;
    struct qn_key key;
    uint32_t up, blames, opened, closed, peer;
    int dial_rc; /* -1: not yet */
};

/* n[0] is the victim, n[1] the honest one, the others the crowd. */
struct world {
    struct event_base *base;
    struct qn_env
        env; /* of the victim: its time passes with its work alone, and by WAIT_US a turn */
    uint64_t us, costly, heard;
    struct qn_limits limits; /* of the victim */
    struct node n[2 + CROWD];
};

static void on_peer(void *arg, uint32_t peer, const struct qn_peer_id *id, bool up, bool outbound)
{
    struct node *n = arg;
    (void)id, (void)outbound;
    n->up += up ? 1 : UINT32_MAX;
    if (up) n->peer = peer;
}

static void on_blame(void *arg, uint32_t peer, enum qn_blame how, const char *what)
{
    struct node *n = arg;
    (void)peer, (void)how, (void)what;
    n->blames++;
}

static void dialled(void *arg, qn_rc rc, uint32_t peer, const struct qn_why *why)
{
    struct node *n = arg;
    (void)peer, (void)why;
    n->dial_rc = (int)rc;
}

/* Busy: reads nothing of a stream. */
static void on_open(void *arg, struct qn_stream *s)
{
    struct node *n = arg;
    n->opened++;
    qn_stream_pause(s, true);
}

static void on_close(void *arg, struct qn_stream *s, enum qn_stream_end end)
{
    struct node *n = arg;
    (void)s, (void)end;
    n->closed++;
}

/* Dear to handle: a microsecond for five bytes, as a signature is for what carries it. */
static void on_costly(void *arg, struct qn_stream *s, struct qn_span bytes)
{
    struct world *w = arg;
    (void)s;
    w->us += bytes.len / 5;
    w->costly += bytes.len;
}

static void on_heard(void *arg, struct qn_stream *s, struct qn_span bytes)
{
    struct world *w = arg;
    (void)s;
    w->heard += bytes.len;
}

static const struct qn_stream_ops IN = { .on_open = on_open }, OUT = { .on_close = on_close };
static const struct qn_stream_ops COSTLY = { .on_data = on_costly },
                                  HEARD = { .on_data = on_heard };

static uint64_t env_us(void *self)
{
    const struct world *w = self;
    return w->us;
}

static uint64_t env_ms(void *self)
{
    return 1700000000000u + env_us(self) / 1000;
}

static void env_random(void *self, void *dst, size_t len)
{
    (void)self;
    qn_env_random(qn_env_real(), dst, len);
}

struct pick {
    uint32_t peer;
};

static void first_in(void *arg, const struct qn_peer_info *info)
{
    struct pick *p = arg;
    if (!p->peer && !info->outbound) p->peer = info->peer;
}

/* The oldest goes. */
static uint32_t evict(void *arg)
{
    const struct world *w = arg;
    struct pick p = { 0 };
    qn_host_peers(w->n[0].host, first_in, &p);
    return p.peer;
}

static void world_open(struct qn_test_state *t, struct world *w)
{
    w->base = event_base_new();
    w->env =
        (struct qn_env){ .self = w, .now_ms = env_ms, .mono_us = env_us, .random = env_random };
    w->us = 1000000;
    for (uint8_t i = 0; i < QN_COUNT(w->n); i++) {
        struct node *n = &w->n[i];
        uint8_t seed[32] = { (uint8_t)(i + 1) };
        qn_key_from_seed(seed, &n->key);
        n->dial_rc = -1;
        const struct qn_host_conf conf = { .base = w->base,
                                           .env = i ? qn_env_real() : &w->env,
                                           .key = &n->key,
                                           .listen = i ? NULL : "127.0.0.1:0",
                                           .limits = i ? NULL : &w->limits,
                                           .evict = evict,
                                           .arg = w };
        const struct qn_proto p = {
            .id = "/test/busy/1", .ops = &IN, .arg = n, .class = QN_NET_TX, .in_max = 64
        };
        CHECK_RC(qn_host_open(&conf, &n->host, NULL), QN_OK);
        n->watch = (struct qn_host_watch){ .arg = n, .on_peer = on_peer, .on_blame = on_blame };
        qn_host_watch(n->host, &n->watch);
        CHECK_RC(qn_host_proto(n->host, &p), QN_OK);
        if (i) continue;
        const struct qn_proto costly = {
            .id = "/test/costly/1", .ops = &COSTLY, .arg = w, .class = QN_NET_TX, .in_max = 64
        };
        const struct qn_proto heard = {
            .id = "/test/heard/1", .ops = &HEARD, .arg = w, .class = QN_NET_URGENT
        };
        CHECK_RC(qn_host_proto(n->host, &costly), QN_OK);
        CHECK_RC(qn_host_proto(n->host, &heard), QN_OK);
    }
}

static void world_close(struct world *w)
{
    for (size_t i = 0; i < QN_COUNT(w->n); i++)
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

static void dial(struct qn_test_state *t, struct world *w, size_t from)
{
    char addr[64];
    snprintf(addr, sizeof addr, "127.0.0.1:%u", qn_host_port(w->n[0].host));
    CHECK_RC(qn_host_dial(w->n[from].host, addr, dialled, &w->n[from], NULL), QN_OK);
}

static bool all_dialled(const struct world *w)
{
    for (size_t i = 2; i < QN_COUNT(w->n); i++)
        if (w->n[i].dial_rc < 0) return false;
    return true;
}

/* The crowd is there, and the honest one. */
static void gather(struct qn_test_state *t, struct world *w)
{
    world_open(t, w);
    for (size_t i = 1; i < QN_COUNT(w->n); i++)
        dial(t, w, i);
    UNTIL(w, w->n[0].up == CROWD + 1 && all_dialled(w) && w->n[1].dial_rc == QN_OK);
    run(w, 300); /* who is who */
    w->n[0].blames = 0;
}

/* Each opens as many streams as one may. */
static void crowd_streams(struct world *w)
{
    struct qn_stream *s;
    for (size_t i = 2; i < QN_COUNT(w->n); i++)
        for (int k = 0; k < 64; k++)
            if (qn_host_stream(w->n[i].host, w->n[i].peer, "/test/busy/1", QN_NET_TX, &OUT,
                               &w->n[i], &s))
                break;
    run(w, 300);
}

/* Places: handshakes that end in one turn of the loop each push somebody out, and nobody twice. */
static void test_places(struct qn_test_state *t)
{
    struct world w = { .limits = qn_limits_default() };
    w.limits.in_max = 3;
    world_open(t, &w);
    for (size_t i = 2; i < QN_COUNT(w.n); i++)
        dial(t, &w, i);
    UNTIL(&w, all_dialled(&w));
    run(&w, 300);
    CHECK(w.n[0].up <= w.limits.in_max);
    CHECK(qn_host_stat(w.n[0].host).conns <= w.limits.in_max);
    world_close(&w);
}

/* Streams: the honest one still gets some, and so do we towards it. */
static void test_streams(struct qn_test_state *t)
{
    struct world w = { .limits = qn_limits_default() };
    struct qn_stream *s;
    w.limits.in_max = CROWD + 2;
    w.limits.out_max = 2;
    w.limits.streams_max = 200; /* a quarter of what the crowd wants */
    gather(t, &w);
    crowd_streams(&w);
    CHECK(qn_host_stat(w.n[0].host).streams >= w.limits.streams_max / 2);
    uint32_t before = w.n[0].opened;
    for (int i = 0; i < 4; i++)
        CHECK_RC(
            qn_host_stream(w.n[1].host, w.n[1].peer, "/test/busy/1", QN_NET_TX, &OUT, &w.n[1], &s),
            QN_OK);
    run(&w, 300);
    CHECK(w.n[0].opened == before + 4 && w.n[1].closed == 0);
    uint32_t peer;
    CHECK(qn_host_find(w.n[0].host, qn_host_id(w.n[1].host), &peer));
    CHECK_RC(qn_host_stream(w.n[0].host, peer, "/test/busy/1", QN_NET_TX, &OUT, &w.n[0], &s),
             QN_OK);
    world_close(&w);
}

/* Memory: what the crowd makes us hold leaves the honest one its share, and no blame. */
static void test_memory(struct qn_test_state *t)
{
    static const uint8_t ZEROS[16000];
    struct world w = { .limits = qn_limits_default() };
    struct qn_stream *s;
    uint32_t peer;
    w.limits.in_max = CROWD + 2;
    w.limits.out_max = 2;
    w.limits.memory_max = 16u << 20;
    gather(t, &w);
    size_t full = w.limits.memory_max - (48u << 10), before;
    do { /* a little at a time, so that none is cut off for what was too much */
        before = qn_host_stat(w.n[0].host).memory;
        for (size_t i = 2; i < QN_COUNT(w.n) && before < full; i++) {
            if (qn_host_stream(w.n[i].host, w.n[i].peer, "/test/busy/1", QN_NET_TX, &OUT, &w.n[i],
                               &s))
                continue;
            for (int n = 0; n < 2; n++)
                CHECK_RC(qn_stream_write(s, QN_SPAN_OF(ZEROS)), QN_OK);
            run(&w, 3);
        }
    } while (qn_host_stat(w.n[0].host).memory > before);
    CHECK(qn_host_stat(w.n[0].host).memory >= w.limits.memory_max / 2 - (256u << 10));
    uint32_t blames = w.n[0].blames, opened = w.n[0].opened;
    CHECK(qn_host_find(w.n[0].host, qn_host_id(w.n[1].host), &peer));
    CHECK_RC(qn_host_stream(w.n[0].host, peer, "/test/busy/1", QN_NET_TX, &OUT, &w.n[0], &s),
             QN_OK);
    for (int n = 0; n < 8; n++) /* a long proposal for it */
        CHECK_RC(qn_stream_write(s, QN_SPAN_OF(ZEROS)), QN_OK);
    CHECK_RC(qn_host_stream(w.n[1].host, w.n[1].peer, "/test/busy/1", QN_NET_TX, &OUT, &w.n[1], &s),
             QN_OK);
    for (int n = 0; n < 8; n++)
        CHECK_RC(qn_stream_write(s, QN_SPAN_OF(ZEROS)), QN_OK);
    run(&w, 300);
    CHECK(w.n[0].opened == opened + 1 && w.n[0].blames == blames && w.n[1].closed == 0);
    CHECK(qn_host_stat(w.n[0].host).memory_high <= w.limits.memory_max);
    /* More than its share is refused while others are so greedy, but not its fault. */
    for (int k = 0; k < 4; k++) {
        CHECK_RC(
            qn_host_stream(w.n[1].host, w.n[1].peer, "/test/busy/1", QN_NET_TX, &OUT, &w.n[1], &s),
            QN_OK);
        for (int n = 0; n < 15; n++)
            CHECK_RC(qn_stream_write(s, QN_SPAN_OF(ZEROS)), QN_OK);
    }
    run(&w, 300);
    CHECK(w.n[1].closed > 0 && w.n[0].blames == blames);
    world_close(&w);
}

/* Windows: all send so much that theirs would grow, which is not what makes memory scarce. */
static void test_windows(struct qn_test_state *t)
{
    static const uint8_t ZEROS[65536];
    struct world w = { .limits = qn_limits_default() };
    struct qn_stream *out[CROWD * 4];
    w.limits.in_max = CROWD + 2;
    w.limits.memory_max = 16u << 20;
    gather(t, &w);
    for (size_t i = 0; i < QN_COUNT(out); i++) {
        struct node *n = &w.n[2 + i % CROWD];
        CHECK_RC(qn_host_stream(n->host, n->peer, "/test/heard/1", QN_NET_TX, &OUT, n, &out[i]),
                 QN_OK);
    }
    for (int k = 0; k < 40; k++, run(&w, 5))
        for (size_t i = 0; i < QN_COUNT(out); i++)
            while (qn_stream_write(out[i], QN_SPAN_OF(ZEROS)) == QN_OK)
                ;
    CHECK(w.heard > 16u << 20);
    size_t high = qn_host_stat(w.n[0].host).memory_high;
    CHECK(high > w.limits.memory_max / 8 && high < w.limits.memory_max / 8 * 3);
    world_close(&w);
}

/* Time: all send what is dear to handle, as fast as they can, or each just less than what is heavy by itself; the honest one says a word. Counted in the
 * victim's own time: a turn of its loop takes no longer than a slice and one read beyond, and the word is heard in the next. */
static void dear(struct qn_test_state *t, bool modest)
{
    static const uint8_t ZEROS[32768];
    struct world w = { .limits = qn_limits_default() };
    struct qn_stream *out[CROWD], *s;
    uint64_t worst = 0, late = 0, said = 0, said_us = 0, tick = 0;
    w.limits.in_max = CROWD + 2;
    w.limits.stream_window = 16u << 20;
    gather(t, &w);
    CHECK_RC(
        qn_host_stream(w.n[1].host, w.n[1].peer, "/test/heard/1", QN_NET_URGENT, &OUT, &w.n[1], &s),
        QN_OK);
    for (size_t i = 0; i < CROWD; i++)
        CHECK_RC(qn_host_stream(w.n[2 + i].host, w.n[2 + i].peer, "/test/costly/1", QN_NET_TX, &OUT,
                                &w.n[2 + i], &out[i]),
                 QN_OK);
    for (int turn = 0; turn < 1500; turn++) {
        bool again = w.us / 100000 != tick;
        tick = w.us / 100000;
        for (size_t i = 0; i < CROWD; i++)
            while ((!modest || again) && qn_stream_queued(out[i]) < (512u << 10) &&
                   qn_stream_write(out[i], QN_SPAN(ZEROS, sizeof ZEROS)) == QN_OK && !modest)
                ;
        if (turn >= 500 && w.heard == said) { /* the last was heard: another */
            late = said ? QN_MAX(late, w.us - said_us) : 0;
            said++;
            said_us = w.us;
            CHECK_RC(qn_stream_write(s, QN_SPAN(ZEROS, 1)), QN_OK);
        }
        uint64_t begin = w.us;
        event_base_loop(w.base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
        if (turn >= 500) worst = QN_MAX(worst, w.us - begin);
        w.us += modest ? 500 : 20;
    }
    printf("crowd: %llu KiB of dear bytes, a turn at most %llu us, a word %llu us late at most "
           "(%llu said)\n",
           (unsigned long long)(w.costly >> 10), (unsigned long long)worst,
           (unsigned long long)late, (unsigned long long)said);
    CHECK(w.costly > 2u << 20);
    CHECK(worst <= 12000);
    CHECK(said > 20 && late < 60000);
    world_close(&w);
}

static void test_time(struct qn_test_state *t)
{
    dear(t, false);
    dear(t, true);
}

int main(void)
{
    TEST_BEGIN();
    if (qn_crypto_init()) return 1;
    TEST(test_places);
    TEST(test_streams);
    TEST(test_memory);
    TEST(test_windows);
    TEST(test_time);
    return TEST_END();
}
