/* bench_net.c - the wire: one stream beside a bare pipe of TCP and AEAD and beside js-libp2p; handshakes; an idle peer's memory; a vote
 * beside a saturating blob. Each opponent runs in the same run; two processes each. */
#include "net/libp2p/host.h"

#include "net/libp2p/noise.h"
#include "net/link/limit.h"

#include <arpa/inet.h>
#include <event2/event.h>
#include <math.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define BULK   (UINT64_C(128) << 20)
#define TURNS  8 /* short and many, the best of each: others use these cores as well */
#define ROUNDS 3
#define IDLE   500

static uint64_t now_us(void)
{
    return qn_env_mono_us(qn_env_real());
}

/* --- hosts ------------------------------------------------------------------------------------------------------------ */

struct end {
    struct event_base *base;
    struct qn_host *host;
    struct qn_host_watch watch;
    struct qn_key key;
    uint32_t peer, ups, downs;
    qn_rc rc;
    bool done;
    uint64_t up_us;
};

static void on_peer(void *arg, uint32_t peer, const struct qn_peer_id *id, bool up, bool outbound)
{
    struct end *e = arg;
    (void)id, (void)outbound;
    if (up) e->peer = peer;
    *(up ? &e->ups : &e->downs) += 1;
}

static void end_open(struct end *e, struct event_base *base, uint32_t seed, bool listen)
{
    static struct qn_limits l;
    uint8_t s[32] = { 0 };
    struct qn_why why;
    l = qn_limits_default();
    l.shake_s = l.in_max = l.out_max = 1u << 20;
    l.pending_max = 4096;
    memset(e, 0, sizeof *e);
    memcpy(s, &seed, sizeof seed);
    e->base = base;
    QN_ASSERT(qn_crypto_init() == QN_OK);
    qn_key_from_seed(s, &e->key);
    const struct qn_host_conf conf = { .base = base,
                                       .env = qn_env_real(),
                                       .key = &e->key,
                                       .perf = true,
                                       .limits = &l,
                                       .listen = listen ? "127.0.0.1:0" : NULL };
    if (qn_host_open(&conf, &e->host, &why) != QN_OK) {
        fprintf(stderr, "%s\n", why.text);
        exit(1);
    }
    e->watch = (struct qn_host_watch){ .arg = e, .on_peer = on_peer };
    qn_host_watch(e->host, &e->watch);
}

static long rss_bytes(void)
{
    long size = 0, pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (f && fscanf(f, "%ld %ld", &size, &pages) != 2) pages = 0;
    if (f) fclose(f);
    return pages * sysconf(_SC_PAGESIZE);
}

/* A listening process: tells its port, then its memory whenever asked by a byte; goes when the pipe is closed. */
struct server {
    pid_t pid;
    int ask, answer;
    unsigned port;
};

static struct end served;
static int server_out;

static void asked(int fd, short what, void *arg)
{
    char c;
    (void)what, (void)arg;
    if (read(fd, &c, 1) != 1) _exit(0);
    long rss = rss_bytes();
    QN_ASSERT(write(server_out, &rss, sizeof rss) == sizeof rss);
}

static struct server server_start(void (*more)(struct qn_host *host))
{
    int in[2], out[2];
    struct server s;
    QN_ASSERT(pipe(in) == 0 && pipe(out) == 0);
    s.pid = fork();
    if (s.pid == 0) {
        close(in[1]);
        close(out[0]);
        server_out = out[1];
        struct event_base *base = event_base_new();
        end_open(&served, base, 1, true);
        if (more) more(served.host);
        unsigned port = qn_host_port(served.host);
        QN_ASSERT(write(out[1], &port, sizeof port) == sizeof port);
        struct event *ev = event_new(base, in[0], EV_READ | EV_PERSIST, asked, NULL);
        event_add(ev, NULL);
        event_base_dispatch(base);
        _exit(0);
    }
    close(in[0]);
    close(out[1]);
    s.ask = in[1];
    s.answer = out[0];
    QN_ASSERT(read(s.answer, &s.port, sizeof s.port) == sizeof s.port);
    return s;
}

static long server_rss(const struct server *s)
{
    long rss = 0;
    QN_ASSERT(write(s->ask, "r", 1) == 1 && read(s->answer, &rss, sizeof rss) == sizeof rss);
    return rss;
}

static void server_stop(struct server *s)
{
    close(s->ask);
    close(s->answer);
    waitpid(s->pid, NULL, 0);
}

static void dialled(void *arg, qn_rc rc, uint32_t peer, const struct qn_why *why)
{
    struct end *e = arg;
    (void)why;
    e->rc = rc;
    e->peer = peer;
    e->done = true;
}

static void wait_done(struct end *e)
{
    while (!e->done)
        event_base_loop(e->base, EVLOOP_ONCE);
    e->done = false;
}

static void dial(struct end *e, unsigned port)
{
    char addr[32];
    struct qn_why why;
    snprintf(addr, sizeof addr, "127.0.0.1:%u", port);
    if (qn_host_dial(e->host, addr, dialled, e, &why) != QN_OK) {
        fprintf(stderr, "%s\n", why.text);
        exit(1);
    }
    wait_done(e);
    QN_ASSERT(e->rc == QN_OK);
}

static double js(const char *mode, const char *arg)
{
    char cmd[512], line[64] = "";
    snprintf(cmd, sizeof cmd,
             "timeout 60 node --no-warnings --expose-gc --import ./tests/peers/polyfill.mjs "
             "tests/peers/libp2p_bench.mjs %s %s "
             "2>/dev/null",
             mode, arg);
    FILE *f = popen(cmd, "r");
    if (f && !fgets(line, sizeof line, f)) line[0] = 0;
    if (f) pclose(f);
    return strtod(line, NULL);
}

/* The js columns of a line: measured beside ours, or, where node or its packages are not here, what another machine said, and no ratio. */
static void print_js(double ours, double theirs, double published, int digits)
{
    if (theirs > 0)
        printf("\"peer\":\"js-libp2p 3.3.11, same run\",\"peer_value\":%.0f,\"ratio\":%.*f", theirs,
               digits, ours / theirs);
    else
        printf("\"peer\":\"js-libp2p 3.3.11 on a 2.6 GHz Zen 4, our own measurement, not in this "
               "run\",\"peer_value\":%.0f",
               published);
}

/* --- one stream ---------------------------------------------------------------------------------------------------------- */

static void perfed(void *arg, qn_rc rc, uint64_t up_us, uint64_t down_us)
{
    struct end *e = arg;
    (void)down_us;
    e->rc = rc;
    e->up_us = up_us;
    e->done = true;
}

static double stream_rate(unsigned port)
{
    struct end e;
    struct event_base *base = event_base_new();
    end_open(&e, base, 2, false);
    dial(&e, port);
    QN_ASSERT(qn_host_perf(e.host, e.peer, BULK, 0, perfed, &e) == QN_OK);
    wait_done(&e);
    QN_ASSERT(e.rc == QN_OK);
    qn_host_close(e.host);
    event_base_free(base);
    return (double)BULK / (double)e.up_us * 1e6;
}

static bool whole(int fd, uint8_t *p, size_t len, bool out)
{
    for (size_t at = 0; at < len;) {
        ssize_t n = out ? write(fd, p + at, len - at) : read(fd, p + at, len - at);
        if (n <= 0) return false;
        at += (size_t)n;
    }
    return true;
}

/* The least that any such wire must do: seal 16 KiB, write, read, open. */
static double pipe_rate(void)
{
    enum { REC = 16384 + QN_NOISE_TAG, BATCH = 4 };
    static uint8_t buf[BATCH * REC];
    struct sockaddr_in sin = { .sin_family = AF_INET };
    socklen_t len = sizeof sin;
    struct qn_noise_cipher c = { .key = { 1 } };
    struct qn_aead *aead = qn_aead_new();
    int l = socket(AF_INET, SOCK_STREAM, 0), fd = socket(AF_INET, SOCK_STREAM, 0);
    sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    QN_ASSERT(bind(l, (struct sockaddr *)(void *)&sin, sizeof sin) == 0 && listen(l, 1) == 0);
    QN_ASSERT(getsockname(l, (struct sockaddr *)(void *)&sin, &len) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        int in = accept(l, NULL, NULL);
        while (whole(in, buf, sizeof buf, false))
            for (size_t i = 0; i < BATCH; i++)
                QN_ASSERT(qn_aead_open(aead, &c, buf + i * REC, REC));
        QN_ASSERT(write(in, "k", 1) == 1);
        _exit(0);
    }
    int one = 1;
    QN_ASSERT(connect(fd, (struct sockaddr *)(void *)&sin, sizeof sin) == 0);
    QN_ASSERT(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) == 0);
    uint64_t begin = now_us(), cnt = BULK / (BATCH * 16384);
    for (uint64_t i = 0; i < cnt; i++) {
        for (size_t k = 0; k < BATCH; k++)
            qn_aead_seal(aead, &c, buf + k * REC, 16384);
        QN_ASSERT(whole(fd, buf, sizeof buf, true));
    }
    shutdown(fd, SHUT_WR);
    QN_ASSERT(whole(fd, buf, 1, false)); /* all of it was opened */
    double rate = (double)BULK / (double)(now_us() - begin) * 1e6;
    close(fd);
    close(l);
    waitpid(pid, NULL, 0);
    qn_aead_free(aead);
    return rate;
}

static void bench_bulk(void)
{
    double ours = 0, bare = 0, theirs = 0;
    struct server s = server_start(NULL);
    for (int i = 0; i < TURNS; i++) {
        ours = fmax(ours, stream_rate(s.port));
        bare = fmax(bare, pipe_rate());
        if (i < 2) theirs = fmax(theirs, js("bulk", "134217728"));
    }
    server_stop(&s);
    printf("{\"name\":\"one stream\",\"value\":%.0f,\"unit\":\"MB/s\",", ours / 1e6);
    print_js(ours / 1e6, theirs / 1e6, 400, 2);
    printf(",\"limit\":\"bare pipe of TCP and AEAD %.0f MB/s\",\"limit_ratio\":%.3f}\n", bare / 1e6,
           ours / bare);
    fflush(stdout);
}

/* --- handshakes ----------------------------------------------------------------------------------------------------------- */

static double shakes(unsigned port, uint32_t ms)
{
    enum { SIDE = 4 };
    static struct end e[SIDE]; /* a few at once, so that neither core waits for the other */
    struct event_base *base = event_base_new();
    struct qn_endpoint to = { .ip = { 127, 0, 0, 1 }, .port = (uint16_t)port };
    uint64_t cnt = 0, begin = now_us();
    for (uint32_t i = 0; i < SIDE; i++) {
        end_open(&e[i], base, 10 + i, false);
        QN_ASSERT(qn_host_dial_to(e[i].host, &to, dialled, &e[i], NULL) == QN_OK);
    }
    while (now_us() - begin < ms * 1000ull) {
        event_base_loop(base, EVLOOP_ONCE);
        for (uint32_t i = 0; i < SIDE; i++) {
            if (!e[i].done) continue;
            QN_ASSERT(e[i].rc == QN_OK);
            cnt++;
            e[i].done = false;
            qn_host_hangup(e[i].host, e[i].peer, "next");
        }
        for (uint32_t i = 0; i < SIDE; i++)
            if (e[i].downs && qn_host_peer_cnt(e[i].host) == 0) {
                e[i].downs = 0;
                QN_ASSERT(qn_host_dial_to(e[i].host, &to, dialled, &e[i], NULL) == QN_OK);
            }
    }
    double rate = (double)cnt / (double)(now_us() - begin) * 1e6;
    for (uint32_t i = 0; i < SIDE; i++)
        qn_host_close(e[i].host);
    event_base_free(base);
    return rate;
}

/* What an end cannot do without: a key of its own, three products, the other's signature. */
static double curve_rate(void)
{
    enum { CNT = 400 };
    struct qn_key key;
    uint8_t seed[32] = { 5 }, secret[32] = { 6 }, pub[32];
    qn_key_from_seed(seed, &key);
    struct qn_sig sig = qn_sign(&key, QN_SPAN_STR("a static key"));
    uint64_t begin = now_us();
    for (int i = 0; i < CNT; i++) {
        secret[1] = (uint8_t)i;
        bool ok = crypto_scalarmult_base(pub, secret) == 0;
        for (int k = 0; k < 3; k++)
            ok = ok && crypto_scalarmult(pub, secret, pub) == 0;
        QN_ASSERT(ok && qn_verify(&key.pub, QN_SPAN_STR("a static key"), &sig));
    }
    return CNT * 1e6 / (double)(now_us() - begin);
}

static void bench_shakes(void)
{
    double ours = 0, theirs = 0, curves = 0;
    struct server s = server_start(NULL);
    for (int i = 0; i < ROUNDS; i++) {
        curves = fmax(curves, curve_rate());
        ours = fmax(ours, shakes(s.port, 1500));
        if (i < 2) theirs = fmax(theirs, js("shakes", "2500"));
    }
    server_stop(&s);
    printf("{\"name\":\"handshakes\",\"value\":%.0f,\"unit\":\"1/s\",", ours);
    print_js(ours, theirs, 93, 1);
    printf(",\"limit\":\"curves alone %.0f/s\",\"limit_ratio\":%.3f}\n", curves, ours / curves);
    fflush(stdout);
}

/* --- idle peers --------------------------------------------------------------------------------------------------------------- */

static void bench_idle(void)
{
    static struct end e[IDLE];
    struct rlimit lim;
    if (getrlimit(RLIMIT_NOFILE, &lim) == 0) {
        lim.rlim_cur = QN_MIN(lim.rlim_max, 65536u);
        setrlimit(RLIMIT_NOFILE, &lim);
    }
    struct server s = server_start(NULL);
    struct event_base *base = event_base_new();
    for (uint32_t i = 0; i < 8; i++) { /* what is there once is paid by the first */
        end_open(&e[i], base, 100 + i, false);
        dial(&e[i], s.port);
    }
    long before = server_rss(&s);
    for (uint32_t i = 8; i < IDLE; i++) {
        end_open(&e[i], base, 100 + i, false);
        dial(&e[i], s.port);
    }
    for (uint64_t until = now_us() + 1000000; now_us() < until;)
        event_base_loop(base, EVLOOP_ONCE);
    double each = (double)(server_rss(&s) - before) / (IDLE - 8);
    for (uint32_t i = 0; i < IDLE; i++)
        qn_host_close(e[i].host);
    event_base_free(base);
    server_stop(&s);
    double theirs = js("idle", "60");
    printf("{\"name\":\"memory of an idle peer\",\"value\":%.1f,\"unit\":\"KiB\",", each / 1024);
    print_js(each / 1024, theirs / 1024, 627, 4);
    printf("}\n");
    fflush(stdout);
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    bench_bulk();
    bench_shakes();
    bench_idle();
    return 0;
}
