/* test_hostile.c - peers that mean harm, each a process of its own with the machines in its hands: what they may take is bounded, they are
 * blamed or dropped, and an honest peer is served all the while. */
#include "net/libp2p/frames.h"

#include "core/base/test.h"
#include "net/libp2p/upgrade.h"
#include "net/libp2p/yamux.h"
#include "net/link/limit.h"

#include <arpa/inet.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* --- the foe: blocking, in a child ----------------------------------------------------------------------------------- */

struct foe {
    int fd;
    struct qn_aead *aead;
    struct qn_noise_cipher tx, rx;
    struct qn_buf out;
    uint8_t rec[70000];
    size_t have;
};

static int foe_connect(unsigned port)
{
    struct sockaddr_in sin = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
    sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)(void *)&sin, sizeof sin)) {
        close(fd);
        return -1;
    }
    return fd;
}

static bool foe_write(struct foe *f, const void *p, size_t len)
{
    for (size_t at = 0; at < len;) {
        ssize_t n = send(f->fd, (const uint8_t *)p + at, len - at, MSG_NOSIGNAL);
        if (n <= 0) return false;
        at += (size_t)n;
    }
    return true;
}

static bool foe_open(struct foe *f, unsigned port, uint8_t seed)
{
    static struct qn_upgrade up;
    uint8_t s[32] = { 200, seed }, buf[4096];
    struct qn_key key;
    struct qn_noise_self self;
    struct qn_buf out = { 0 };
    memset(f, 0, sizeof *f);
    f->fd = foe_connect(port);
    f->aead = qn_aead_new();
    qn_key_from_seed(s, &key);
    qn_noise_self_init(&self, &key, s);
    qn_upgrade_init(&up, true, NULL, s, f->aead, &self, &out);
    for (;;) {
        if (!foe_write(f, out.ptr, out.len)) return false;
        qn_buf_clear(&out);
        ssize_t n = recv(f->fd, buf, sizeof buf, 0);
        if (n <= 0) return false;
        struct qn_span in = QN_SPAN(buf, (size_t)n);
        qn_rc rc = qn_upgrade_step(&up, f->aead, &self, &in, &out);
        if (rc == QN_E_AGAIN) continue;
        f->tx = up.tx;
        f->rx = up.rx;
        if (rc != QN_OK || !foe_write(f, out.ptr, out.len)) return false;
        memcpy(f->rec, in.ptr, in.len);
        f->have = in.len;
        qn_buf_free(&out);
        return true;
    }
}

static void foe_frame(struct foe *f, unsigned type, unsigned flags, uint32_t id, uint32_t len,
                      const void *body, size_t body_len)
{
    uint8_t h[12] = { 0,
                      (uint8_t)type,
                      0,
                      (uint8_t)flags,
                      (uint8_t)(id >> 24),
                      (uint8_t)(id >> 16),
                      (uint8_t)(id >> 8),
                      (uint8_t)id,
                      (uint8_t)(len >> 24),
                      (uint8_t)(len >> 16),
                      (uint8_t)(len >> 8),
                      (uint8_t)len };
    qn_buf_put(&f->out, h, 12);
    qn_buf_put(&f->out, body, body_len);
}

/* Opens a stream and asks for proto, with more bytes behind. */
static void foe_stream(struct foe *f, uint32_t id, const char *proto, struct qn_span more)
{
    struct qn_mss m;
    struct qn_buf b = { 0 };
    qn_mss_dial(&m, proto, &b);
    qn_buf_span(&b, more);
    foe_frame(f, 0, 1, id, (uint32_t)b.len, b.ptr, b.len);
    qn_buf_free(&b);
}

/* Seals and sends what was framed; false when the connection is gone. */
static bool foe_flush(struct foe *f)
{
    bool ok = true;
    for (size_t at = 0; ok && at < f->out.len; at += 16384) {
        uint8_t rec[16384 + 18];
        size_t n = QN_MIN(f->out.len - at, (size_t)16384);
        memcpy(rec + 2, f->out.ptr + at, n);
        qn_aead_seal(f->aead, &f->tx, rec + 2, n);
        rec[0] = (uint8_t)((n + 16) >> 8);
        rec[1] = (uint8_t)(n + 16);
        ok = foe_write(f, rec, n + 18);
    }
    qn_buf_clear(&f->out);
    return ok;
}

/* Waits until the other side hangs up. */
static bool foe_dropped(struct foe *f, int ms)
{
    static uint8_t buf[65536];
    struct pollfd p = { .fd = f->fd, .events = POLLIN };
    for (int i = 0; i < ms / 10; i++) {
        if (poll(&p, 1, 10) <= 0) continue;
        ssize_t n = recv(f->fd, buf, sizeof buf, 0);
        if (n <= 0) return true;
    }
    return false;
}

/* Reads plaintext for so long; returns bytes. shortest: of a data frame that is not the last of its stream. */
static size_t foe_read(struct foe *f, int ms, uint32_t *ret_frames)
{
    struct pollfd p = { .fd = f->fd, .events = POLLIN };
    size_t bytes = 0;
    for (int i = 0; i < ms / 10; i++) {
        if (poll(&p, 1, 10) <= 0) continue;
        ssize_t n = recv(f->fd, f->rec + f->have, sizeof f->rec - f->have, 0);
        if (n <= 0) break;
        f->have += (size_t)n;
        for (;;) {
            size_t rec = (size_t)f->rec[0] << 8 | f->rec[1];
            if (f->have < 2 || f->have < rec + 2) break;
            if (!qn_aead_open(f->aead, &f->rx, f->rec + 2, rec)) return bytes;
            for (size_t at = 0; at + 12 <= rec - 16;) {
                const uint8_t *h = f->rec + 2 + at;
                uint32_t len =
                    (uint32_t)h[8] << 24 | (uint32_t)h[9] << 16 | (uint32_t)h[10] << 8 | h[11];
                at += 12;
                if (h[1] != 0) continue;
                bytes += len;
                (*ret_frames)++;
                at += len;
            }
            f->have -= rec + 2;
            memmove(f->rec, f->rec + rec + 2, f->have);
        }
    }
    return bytes;
}

/* --- the victim and an honest peer ----------------------------------------------------------------------------------- */

struct world {
    struct event_base *base;
    struct qn_host *victim, *friend;
    struct qn_key key[2];
    struct qn_host_watch watch;
    struct qn_frames *frames;
    struct qn_limits limits;
    uint32_t blames, offences, messages, peers;
    uint32_t paused;
    uint64_t sprung;
    int dial_rc, ping_rc;
    uint32_t dial_peer;
    uint64_t ping_us;
};

static void on_blame(void *arg, uint32_t peer, enum qn_blame how, const char *what)
{
    struct world *w = arg;
    (void)peer, (void)what;
    w->blames++;
    if (how != QN_BLAME_SLIP) w->offences++;
}

static void on_peer(void *arg, uint32_t peer, const struct qn_peer_id *id, bool up, bool outbound)
{
    struct world *w = arg;
    (void)peer, (void)id, (void)outbound;
    if (up) w->peers++;
}

static const uint8_t ZEROS[65536];

/* A generous protocol: whoever opens it is sent a megabyte. */
static void gift_open(void *arg, struct qn_stream *s)
{
    (void)arg;
    while (qn_stream_write(s, QN_SPAN_OF(ZEROS)) == QN_OK)
        ;
}

/* And one that is busy and reads nothing. */
static void busy_open(void *arg, struct qn_stream *s)
{
    struct world *w = arg;
    w->paused++;
    qn_stream_pause(s, true);
}

/* One that never ends: as much as is read. */
static void spring(void *arg, struct qn_stream *s)
{
    struct world *w = arg;
    while (qn_stream_queued(s) < 256u << 10 && qn_stream_write(s, QN_SPAN_OF(ZEROS)) == QN_OK)
        w->sprung += sizeof ZEROS;
}

static const struct qn_stream_ops SPRING = { .on_open = spring, .on_drain = spring };
static const struct qn_stream_ops GIFT = { .on_open = gift_open }, BUSY = { .on_open = busy_open };

static void on_message(void *arg, uint32_t peer, struct qn_span m)
{
    struct world *w = arg;
    (void)peer, (void)m;
    w->messages++;
}

static uint64_t now_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static void world_open(struct qn_test_state *t, struct world *w)
{
    uint8_t seed[2][32] = { { 1 }, { 2 } };
    struct qn_host_conf conf = { .env = qn_env_real(),
                                 .listen = "127.0.0.1:0",
                                 .limits = &w->limits };
    w->base = event_base_new();
    w->dial_rc = w->ping_rc = -1;
    conf.base = w->base;
    for (int i = 0; i < 2; i++)
        qn_key_from_seed(seed[i], &w->key[i]);
    conf.key = &w->key[0];
    CHECK_RC(qn_host_open(&conf, &w->victim, NULL), QN_OK);
    conf.key = &w->key[1];
    CHECK_RC(qn_host_open(&conf, &w->friend, NULL), QN_OK);
    w->watch = (struct qn_host_watch){ .arg = w, .on_blame = on_blame, .on_peer = on_peer };
    qn_host_watch(w->victim, &w->watch);
    const struct qn_proto gift = {
        .id = "/test/gift/1", .ops = &GIFT, .arg = w, .class = QN_NET_TX, .in_max = 64
    };
    const struct qn_proto busy = {
        .id = "/test/busy/1", .ops = &BUSY, .arg = w, .class = QN_NET_TX, .in_max = 64
    };
    CHECK_RC(qn_host_proto(w->victim, &gift), QN_OK);
    CHECK_RC(qn_host_proto(w->victim, &busy), QN_OK);
    const struct qn_proto spring_proto = {
        .id = "/test/spring/1", .ops = &SPRING, .arg = w, .class = QN_NET_BLOB
    };
    CHECK_RC(qn_host_proto(w->victim, &spring_proto), QN_OK);
    const struct qn_frames_conf fc = { .host = w->victim,
                                       .proto = "/test/frames/1",
                                       .message_max = 4 << 20,
                                       .on_message = on_message,
                                       .arg = w };
    CHECK_RC(qn_frames_open(&fc, &w->frames), QN_OK);
}

static void world_close(struct world *w)
{
    qn_frames_close(w->frames);
    qn_host_close(w->victim);
    qn_host_close(w->friend);
    event_base_free(w->base);
}

static void dialled(void *arg, qn_rc rc, uint32_t peer, const struct qn_why *why)
{
    struct world *w = arg;
    (void)why;
    w->dial_rc = (int)rc;
    w->dial_peer = peer;
}

static void pinged(void *arg, qn_rc rc, uint64_t us)
{
    struct world *w = arg;
    w->ping_rc = (int)rc;
    w->ping_us = us;
}

static long rss_bytes(void)
{
    long size = 0, pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (f && fscanf(f, "%ld %ld", &size, &pages) != 2) pages = 0;
    if (f) fclose(f);
    return pages * sysconf(_SC_PAGESIZE);
}

/* Starts attack in a child (its exit status is whether it went as it should), lets it run, and has the friend join and ping
 * meanwhile; with whole, until the child is done. */
static void under_attack(struct qn_test_state *t, struct world *w, bool (*attack)(unsigned port),
                         bool wait_for_it)
{
    unsigned port = qn_host_port(w->victim);
    char addr[64];
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        alarm(40);
        _exit(attack(port) ? 0 : 1);
    }
    uint64_t begin = now_ms(), joined = 0;
    long rss = rss_bytes(), rss_high = rss;
    int status = -1;
    snprintf(addr, sizeof addr, "127.0.0.1:%u", port);
    while (now_ms() - begin < 200) /* the attack is under way */
        event_base_loop(w->base, EVLOOP_ONCE);
    uint64_t dialled_ms = now_ms();
    CHECK_RC(qn_host_dial(w->friend, addr, dialled, w, NULL), QN_OK);
    while (now_ms() - begin < 30000) {
        event_base_loop(w->base, EVLOOP_ONCE);
        long rss_now = rss_bytes();
        rss_high = QN_MAX(rss_high, rss_now);
        if (w->dial_rc == QN_OK && !joined) {
            joined = now_ms();
            CHECK_RC(qn_host_ping(w->friend, w->dial_peer, pinged, w), QN_OK);
        }
        if (w->dial_rc > QN_OK &&
            !joined) { /* all places taken for a moment: an honest peer tries again */
            w->dial_rc = -1;
            CHECK_RC(qn_host_dial(w->friend, addr, dialled, w, NULL), QN_OK);
        }
        if (status == -1 && waitpid(pid, &status, WNOHANG) == 0) status = -1;
        if (w->ping_rc >= 0 && (status != -1 || !wait_for_it)) break;
    }
    CHECK(w->ping_rc == QN_OK);
#ifndef QN_SANITIZED /* whose heap keeps what was freed */
    CHECK(rss_high - rss <=
          (long)w->limits.peer_memory + (4l << 20)); /* buffers of two hosts beside it */
#endif
    CHECK(joined && joined - dialled_ms < 2000);
    if (status == -1) {
        kill(pid, SIGKILL);
        waitpid(pid, &status, 0);
        CHECK(!wait_for_it);
    } else {
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
}

static size_t one_peer(const struct world *w)
{
    return w->limits.peer_memory + (256u << 10); /* and the honest one */
}

/* --- attacks ------------------------------------------------------------------------------------------------------------ */

static bool attack_streams(unsigned port)
{
    static struct foe f;
    if (!foe_open(&f, port, 1)) return false;
    for (uint32_t i = 0; i < 1000; i++)
        foe_stream(&f, 1 + 2 * i, "/test/gift/1", QN_SPAN(NULL, 0));
    foe_flush(&f); /* may fail: dropped on the way is fine */
    usleep(500000);
    return foe_dropped(&f, 30000);
}

static void test_streams(struct qn_test_state *t)
{
    struct world w = { .limits = qn_limits_default() };
    world_open(t, &w);
    under_attack(t, &w, attack_streams, true);
    struct qn_host_stat s = qn_host_stat(w.victim);
    CHECK(s.memory_high <= one_peer(&w));
    CHECK(w.offences > 0);
    world_close(&w);
}

static bool attack_rst(unsigned port)
{
    static struct foe f;
    if (!foe_open(&f, port, 2)) return false;
    for (uint32_t i = 0; i < 100000; i++) {
        foe_frame(&f, 1, 1, 1 + 2 * i, 0, NULL, 0);
        foe_frame(&f, 1, 8, 1 + 2 * i, 0, NULL, 0);
        if (i % 50 == 0 && !foe_flush(&f))
            return true; /* how much the socket takes until then is the machine's */
    }
    return foe_dropped(&f, 30000);
}

static void test_rst(struct qn_test_state *t)
{
    struct world w = { .limits = qn_limits_default() };
    world_open(t, &w);
    under_attack(t, &w, attack_rst, true);
    CHECK(w.offences == 1);
    CHECK(qn_host_stat(w.victim).memory_high <= one_peer(&w));
    world_close(&w);
}

/* More half-open connections than places, each with a byte a while. */
static bool attack_half_open(unsigned port)
{
    int fd[300];
    int cnt = 0;
    uint32_t lost = 0;
    for (int round = 0; round < 30; round++) {
        for (int i = cnt; i < 300; i++)
            fd[cnt++] = foe_connect(port);
        for (int i = 0; i < cnt; i++)
            if (fd[i] < 0 || send(fd[i], "\x13", round == 0, MSG_NOSIGNAL) < 0) lost++;
        usleep(100000);
    }
    (void)lost;
    uint32_t open = 0;
    for (int i = 0; i < cnt; i++) {
        char c;
        ssize_t n = fd[i] < 0 ? 0 : recv(fd[i], &c, 1, MSG_DONTWAIT);
        if (n < 0) open++; /* EAGAIN: still there */
    }
    return open == 0; /* 3 s later all are gone: ready_ms is 1 s */
}

static void test_half_open(struct qn_test_state *t)
{
    struct world w = { .limits = qn_limits_default() };
    w.limits.ready_ms = 1000;
    world_open(t, &w);
    under_attack(t, &w, attack_half_open, true);
    struct qn_host_stat s = qn_host_stat(w.victim);
    CHECK(s.pending <= w.limits.pending_max && s.refused > 0);
    CHECK(s.memory_high <= one_peer(&w));
    world_close(&w);
}

/* Makes us do the curves and goes: the first flight of a handshake, 60 bytes, again and again, as fast as it can. */
static bool attack_flood(unsigned port)
{
    static const char HELLO[] = "\x13/multistream/1.0.0\n\x07/noise\n\x00\x20";
    uint8_t flight[sizeof HELLO - 1 + 32];
    int fd[64];
    uint32_t opened = 0;
    memcpy(flight, HELLO, sizeof HELLO - 1);
    for (int i = 0; i < 64; i++)
        fd[i] = -1;
    for (uint64_t end = now_ms() + 3000; now_ms() < end; opened++) {
        int *at = &fd[opened % 64];
        for (size_t k = 0; k < 32; k++) /* another point each time */
            flight[sizeof HELLO - 1 + k] = (uint8_t)(opened >> (k % 4 * 8)) ^ (uint8_t)k;
        if (*at >= 0) close(*at);
        *at = foe_connect(port);
        if (*at >= 0) (void)!send(*at, flight, sizeof flight, MSG_NOSIGNAL);
    }
    return opened > 100;
}

static void test_flood(struct qn_test_state *t)
{
    struct world w = { .limits = qn_limits_default() };
    w.limits.shake_s = 50; /* a machine that can do few: what is over is refused before any curve */
    world_open(t, &w);
    under_attack(t, &w, attack_flood, true);
    struct qn_host_stat s = qn_host_stat(w.victim);
    CHECK(s.handshake_fails > 100 && s.pending <= w.limits.pending_max);
    CHECK(s.memory_high <= one_peer(&w));
    world_close(&w);
}

/* --- ten thousand a second, in a time of the test's own ---------------------------------------------------------------- */

struct clock {
    uint64_t us;
};

static uint64_t clock_ms(void *self)
{
    return 1700000000000u + ((struct clock *)self)->us / 1000;
}

static uint64_t clock_us(void *self)
{
    return ((struct clock *)self)->us;
}

static void clock_random(void *self, void *dst, size_t len)
{
    (void)self;
    qn_env_random(qn_env_real(), dst, len);
}

enum { FLOOD_MS = 3000, FLOOD_NETS = 100, FLOOD_OPEN = 400, FLOOD_JOIN_MS = 400 };

/* From one of a hundred /24, in ten /16; the first flight of a handshake, which costs curves, and then nothing. */
static int flood_one(unsigned port, uint32_t i)
{
    static const char HELLO[] = "\x13/multistream/1.0.0\n\x07/noise\n\x00\x20";
    uint8_t flight[sizeof HELLO - 1 + 32];
    struct sockaddr_in from = { .sin_family = AF_INET }, to = from;
    uint32_t net = i % FLOOD_NETS, host = 1 + i / FLOOD_NETS % 250;
    from.sin_addr.s_addr = htonl(127u << 24 | (1 + net % 10) << 16 | net / 10 << 8 | host);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    to.sin_port = htons((uint16_t)port);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&from, sizeof from) ||
        connect(fd, (struct sockaddr *)&to, sizeof to)) {
        close(fd);
        return -1;
    }
    memcpy(flight, HELLO, sizeof HELLO - 1);
    for (size_t k = 0; k < 32; k++) /* another point each time */
        flight[sizeof HELLO - 1 + k] = (uint8_t)(i >> (k % 4 * 8)) ^ (uint8_t)k;
    (void)!send(fd, flight, sizeof flight, MSG_NOSIGNAL);
    return fd;
}

/* 10,000 half-open handshakes a second from a hundred networks: curves are computed for 500 of them, and who joins meanwhile, and comes again as
 * `join` does (250 ms, then twice as long), is in within two seconds. All by the test's clock: how long the machine took does not matter. */
static void test_ten_thousand(struct qn_test_state *t)
{
    struct clock clock = { .us = 1000000 };
    const struct qn_env env = {
        .self = &clock, .now_ms = clock_ms, .mono_us = clock_us, .random = clock_random
    };
    struct world w = { .limits = qn_limits_default(), .dial_rc = -1 };
    struct qn_host_conf conf = { .env = &env, .limits = &w.limits, .listen = "127.0.0.1:0" };
    char addr[64];
    int fd[FLOOD_OPEN];
    uint32_t sent = 0, refused = 0;
    uint64_t joined_ms = 0, again_ms = FLOOD_JOIN_MS, wait_ms = 125;
    w.limits.local_exempt = 0; /* what comes from 127.1.2.3 counts as from anywhere */
    conf.base = w.base = event_base_new();
    for (uint8_t i = 0; i < 2; i++) {
        uint8_t seed[32] = { (uint8_t)(i + 1) };
        qn_key_from_seed(seed, &w.key[i]);
        conf.key = &w.key[i];
        CHECK_RC(qn_host_open(&conf, i ? &w.friend : &w.victim, NULL), QN_OK);
    }
    memset(fd, 0xff, sizeof fd);
    const unsigned port = qn_host_port(w.victim);
    snprintf(addr, sizeof addr, "127.0.0.1:%u", port);
    for (uint64_t ms = 0; ms < FLOOD_MS; ms++, clock.us += 1000) {
        for (int i = 0; i < 10; i++, sent++) {
            int *at = &fd[sent % FLOOD_OPEN];
            if (*at >= 0) close(*at);
            *at = flood_one(port, sent);
            refused += *at < 0;
        }
        if (w.dial_rc > QN_OK) { /* no place, or no curves for it: again */
            w.dial_rc = -1;
            wait_ms *= 2;
            again_ms = ms + wait_ms;
        }
        if (ms == again_ms) CHECK_RC(qn_host_dial(w.friend, addr, dialled, &w, NULL), QN_OK);
        for (int i = 0; i < 4; i++)
            event_base_loop(w.base, EVLOOP_NONBLOCK);
        if (w.dial_rc == QN_OK && qn_host_peer_cnt(w.victim) && !joined_ms) joined_ms = ms;
    }
    struct qn_host_stat s = qn_host_stat(w.victim);
    printf("flood: %u half-open in 3 s, %llu let in; joined after %llu ms\n", sent,
           (unsigned long long)s.accepted, (unsigned long long)(joined_ms - FLOOD_JOIN_MS));
    CHECK(sent == 10 * FLOOD_MS && refused == 0);
    CHECK(joined_ms && joined_ms - FLOOD_JOIN_MS < 2000);
    CHECK(s.accepted <= FLOOD_NETS * (w.limits.accept_net_burst + w.limits.accept_net_s * 3) + 8);
    CHECK(s.pending <= w.limits.pending_max && s.memory_high <= one_peer(&w));
    for (int i = 0; i < FLOOD_OPEN; i++)
        if (fd[i] >= 0) close(fd[i]);
    qn_host_close(w.victim);
    qn_host_close(w.friend);
    event_base_free(w.base);
}

/* Each of these ends the connection. */
static bool attack_malformed(unsigned port)
{
    static const char *const RAW[] = { "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "\xff\xff\xff\xff",
                                       "\x13/multistream/1.0.0\n\x07/noise\n\xff\xff",
                                       "\x13/multistream/1.0.0\n\x07/noise\n\x01\x01zzzz" };
    static struct foe f;
    for (size_t i = 0; i < QN_COUNT(RAW); i++) {
        memset(&f, 0, sizeof f);
        f.fd = foe_connect(port);
        uint8_t junk[600] = { 0 };
        if (!foe_write(&f, RAW[i], strlen(RAW[i]))) return false;
        (void)foe_write(&f, junk, sizeof junk);
        if (!foe_dropped(&f, 4000)) return false;
        close(f.fd);
    }
    for (uint32_t i = 0; i < 5; i++) {
        if (!foe_open(&f, port, (uint8_t)(10 + i))) return false;
        if (i == 0) foe_frame(&f, 0, 1, 1, UINT32_MAX, NULL, 0);
        if (i == 1) foe_frame(&f, 1, 1, 1, 0xfffc0000, NULL, 0);
        if (i == 2) foe_frame(&f, 0, 1, 2, 0, NULL, 0);
        if (i == 3) foe_frame(&f, 9, 0, 0, 0, NULL, 0);
        if (i == 4 && !foe_write(&f,
                                 "\x00\x20"
                                 "a record that nobody sealed......",
                                 34))
            return false;
        foe_flush(&f);
        if (!foe_dropped(&f, 4000)) return false;
        close(f.fd);
    }
    return true;
}

static void test_malformed(struct qn_test_state *t)
{
    struct world w = { .limits = qn_limits_default() };
    w.limits.ready_ms = 2000;
    world_open(t, &w);
    under_attack(t, &w, attack_malformed, true);
    CHECK(w.offences == 4);
    CHECK(qn_host_stat(w.victim).memory_high <= one_peer(&w));
    world_close(&w);
}

/* Takes a gift through a window opened a byte at a time. */
static bool attack_drip(unsigned port)
{
    static struct foe f;
    uint32_t frames = 0;
    if (!foe_open(&f, port, 3)) return false;
    foe_stream(&f, 1, "/test/gift/1", QN_SPAN(NULL, 0));
    if (!foe_flush(&f)) return false;
    size_t bytes = foe_read(&f, 500, &frames);
    if (bytes < 250000 || bytes > 262144 + 1000)
        return false; /* the first window, identify beside it */
    frames = 0;
    for (int i = 0; i < 1500; i++) {
        foe_frame(&f, 1, 0, 1, 1, NULL, 0);
        if (!foe_flush(&f)) return false;
    }
    foe_read(&f, 2000, &frames);
    return frames <= 1; /* 1,500 bytes of credit make no frame, and the stream is given up */
}

static void test_drip(struct qn_test_state *t)
{
    struct world w = { .limits = qn_limits_default() };
    w.limits.stream_stuck_ms = 1000;
    world_open(t, &w);
    under_attack(t, &w, attack_drip, true);
    CHECK(w.blames == 1 && qn_host_stat(w.victim).stream_resets >= 1);
    world_close(&w);
}

/* Fills what a busy reader leaves: 64 windows of 256 KiB are twice the peer's memory. */
static bool attack_fill(unsigned port)
{
    static struct foe f;
    static uint8_t chunk[16000];
    if (!foe_open(&f, port, 4)) return false;
    for (uint32_t i = 0; i < 64; i++) {
        foe_stream(&f, 1 + 2 * i, "/test/busy/1", QN_SPAN(NULL, 0));
        for (uint32_t k = 0; k < 16; k++)
            foe_frame(&f, 0, 0, 1 + 2 * i, sizeof chunk, chunk, sizeof chunk);
        if (!foe_flush(&f)) return true;
    }
    usleep(300000);
    return true;
}

static void test_fill(struct qn_test_state *t)
{
    struct world w = { .limits = qn_limits_default() };
    world_open(t, &w);
    under_attack(t, &w, attack_fill, true);
    CHECK(w.paused > 20 && w.blames > 0);
    CHECK(qn_host_stat(w.victim).memory_high <= one_peer(&w));
    world_close(&w);
}

/* Messages that never end, on every stream that may be opened. */
static bool attack_frames(unsigned port)
{
    static struct foe f;
    static uint8_t chunk[16000];
    if (!foe_open(&f, port, 5)) return false;
    for (uint32_t i = 0; i < 12; i++)
        foe_stream(&f, 1 + 2 * i, "/test/frames/1",
                   QN_SPAN("\x00\x00\x40\x00", 4)); /* 4 MiB each */
    for (uint32_t k = 0; k < 16; k++)
        for (uint32_t i = 0; i < 12; i++)
            foe_frame(&f, 0, 0, 1 + 2 * i, sizeof chunk, chunk, sizeof chunk);
    if (!foe_flush(&f)) return false;
    foe_stream(&f, 101, "/test/frames/1", QN_SPAN("\x01\x00\x00\x01zzzz", 8)); /* 16 MiB + 1 */
    return foe_flush(&f) && (usleep(500000), true);
}

static void test_frames(struct qn_test_state *t)
{
    struct world w = { .limits = qn_limits_default() };
    w.limits.peer_memory = 1 << 20;
    world_open(t, &w);
    under_attack(t, &w, attack_frames, true);
    CHECK(w.messages == 0 && w.blames > 0);
    CHECK(qn_host_stat(w.victim).memory_high <= one_peer(&w));
    world_close(&w);
}

/* Takes without end, and quicker than it can be sealed: it looks at none of it. */
static bool attack_thirst(unsigned port)
{
    static struct foe f;
    static uint8_t buf[1 << 20];
    if (!foe_open(&f, port, 7)) return false;
    foe_stream(&f, 1, "/test/spring/1", QN_SPAN(NULL, 0));
    foe_frame(&f, 1, 0, 1, 0xf0000000, NULL, 0); /* credit for 4 GB */
    if (!foe_flush(&f)) return false;
    for (uint64_t end = now_ms() + 1500; now_ms() < end;)
        if (recv(f.fd, buf, sizeof buf, 0) <= 0) return false;
    return true;
}

/* While bytes flow as fast as they are taken, the loop still looks at its sockets: of one connection a turn is 256 KiB. */
static void test_thirst(struct qn_test_state *t)
{
    struct world w = { .limits = qn_limits_default() };
    world_open(t, &w);
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) _exit(attack_thirst(qn_host_port(w.victim)) ? 0 : 1);
    int status = -1;
    uint64_t most = 0;
    while (waitpid(pid, &status, WNOHANG) == 0) {
        uint64_t before = w.sprung;
        event_base_loop(w.base, EVLOOP_ONCE);
        most = QN_MAX(most, w.sprung - before);
    }
    printf("thirst: %llu MiB, at most %llu KiB between two looks\n",
           (unsigned long long)(w.sprung >> 20), (unsigned long long)(most >> 10));
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    CHECK(w.sprung > 16u << 20 && most <= 2u << 20);
    world_close(&w);
}

/* Asks for pongs and reads none. */
static bool attack_pings(unsigned port)
{
    static struct foe f;
    if (!foe_open(&f, port, 6)) return false;
    for (int i = 0; i < 4000; i++) {
        for (int k = 0; k < 1000; k++)
            foe_frame(&f, 2, 1, 0, 7, NULL, 0);
        if (!foe_flush(&f)) return true;
    }
    return false; /* 48 MB of questions, all taken */
}

static void test_pings(struct qn_test_state *t)
{
    struct world w = { .limits = qn_limits_default() };
    w.limits.write_stuck_ms = 1000;
    world_open(t, &w);
    under_attack(t, &w, attack_pings, true);
    CHECK(w.blames == 1);
    world_close(&w);
}

int main(void)
{
    TEST_BEGIN();
    if (qn_crypto_init()) return 1;
    signal(SIGPIPE, SIG_DFL); /* a host must not need it ignored */
    TEST(test_streams);
    TEST(test_rst);
    TEST(test_half_open);
    TEST(test_flood);
    TEST(test_ten_thousand);
    TEST(test_malformed);
    TEST(test_drip);
    TEST(test_fill);
    TEST(test_frames);
    TEST(test_thirst);
    TEST(test_pings);
    return TEST_END();
}
