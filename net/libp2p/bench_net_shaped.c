/* bench_net_shaped.c - the wire over a link with delay and a rate, which a relay process makes of loopback: round trips until a dialler may
 * speak, and a vote's way beside a blob that takes all the link has. */
#include "net/libp2p/host.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define DELAY_US 25000u
#define RATE     12500000u /* bytes a second: 100 Mbit/s */
#define VOTES    150

static uint64_t now_us(void)
{
    return qn_env_mono_us(qn_env_real());
}

/* --- the link ------------------------------------------------------------------------------------------------------------ */

enum { PIECE = 1448, SLOTS = 4096 };

struct way {
    int from, to;
    uint64_t free_us; /* when the line has sent what it took */
    uint32_t head, cnt;
    struct {
        uint64_t due_us;
        uint32_t len;
        uint8_t b[PIECE];
    } slot[SLOTS];
};

/* Moves what is due, takes what the line can carry; returns us until there is more to do, 0: the end. */
static uint64_t way_step(struct way *w)
{
    uint64_t now = now_us();
    while (w->cnt && w->slot[w->head].due_us <= now) {
        uint32_t at = 0;
        while (at < w->slot[w->head].len) {
            ssize_t n =
                send(w->to, w->slot[w->head].b + at, w->slot[w->head].len - at, MSG_NOSIGNAL);
            if (n <= 0) return 0;
            at += (uint32_t)n;
        }
        w->head = (w->head + 1) % SLOTS;
        w->cnt--;
    }
    while (w->cnt < SLOTS && w->free_us <= now + 1000) { /* a router's queue of 1 ms */
        uint32_t i = (w->head + w->cnt) % SLOTS;
        ssize_t n = recv(w->from, w->slot[i].b, PIECE, MSG_DONTWAIT);
        if (n == 0) return 0;
        if (n < 0 && errno != EAGAIN) return 0;
        if (n < 0) break;
        w->free_us = QN_MAX(w->free_us, now) + (uint64_t)n * 1000000 / RATE;
        w->slot[i].len = (uint32_t)n;
        w->slot[i].due_us = w->free_us + DELAY_US;
        w->cnt++;
    }
    return 500;
}

static void relay_pair(int a, int b)
{
    static struct way there, back;
    int one = 1; /* a link does not wait for more */
    setsockopt(a, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    setsockopt(b, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    there.from = back.to = a;
    there.to = back.from = b;
    while (way_step(&there) && way_step(&back)) {
        struct pollfd p[2] = { { .fd = a, .events = POLLIN }, { .fd = b, .events = POLLIN } };
        const struct timespec ts = { 0, 300000 };
        bool busy = there.cnt || back.cnt || there.free_us > now_us() || back.free_us > now_us();
        if (busy)
            nanosleep(&ts, NULL);
        else
            (void)poll(p, 2, 1000);
    }
    _exit(0);
}

static int tcp(unsigned port, bool listens)
{
    struct sockaddr_in sin = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
    int fd = socket(AF_INET, SOCK_STREAM, 0), small = 8192, mss = PIECE; /* as on Ethernet */
    sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (listens) setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    if (listens) setsockopt(fd, IPPROTO_TCP, TCP_MAXSEG, &mss, sizeof mss);
    if (listens ? bind(fd, (struct sockaddr *)(void *)&sin, sizeof sin) || listen(fd, 8)
                : connect(fd, (struct sockaddr *)(void *)&sin, sizeof sin))
        exit(1);
    return fd;
}

/* A relay before port; returns its own. */
static pid_t relay_start(unsigned port, unsigned *ret_port)
{
    struct sockaddr_in sin;
    socklen_t len = sizeof sin;
    int l = tcp(0, true);
    QN_ASSERT(getsockname(l, (struct sockaddr *)(void *)&sin, &len) == 0);
    *ret_port = ntohs(sin.sin_port);
    pid_t pid = fork();
    if (pid == 0) {
        signal(SIGCHLD, SIG_IGN);
        setpgid(0, 0);
        for (;;) {
            int a = accept(l, NULL, NULL);
            if (a < 0) _exit(1);
            if (fork() == 0) relay_pair(a, tcp(port, false));
            close(a);
        }
    }
    close(l);
    return pid;
}

/* --- both ends --------------------------------------------------------------------------------------------------------------- */

struct end {
    struct event_base *base;
    struct qn_host *host;
    struct qn_key key;
    struct qn_stream *vote, *blob;
    uint32_t peer;
    bool done;
    uint64_t done_us, sent_us, lag[VOTES];
    uint32_t got;
    uint64_t blob_bytes;
};

static void echo_data(void *arg, struct qn_stream *s, struct qn_span b)
{
    (void)arg;
    (void)!qn_stream_write(s, b);
}

static const struct qn_stream_ops ECHO_OPS = { .on_data = echo_data }, SINK_OPS = { 0 };

static void end_open(struct end *e, uint8_t seed, bool listens)
{
    uint8_t s[32] = { seed };
    memset(e, 0, sizeof *e);
    e->base = event_base_new();
    QN_ASSERT(qn_crypto_init() == QN_OK);
    qn_key_from_seed(s, &e->key);
    const struct qn_host_conf conf = { .base = e->base,
                                       .env = qn_env_real(),
                                       .key = &e->key,
                                       .listen = listens ? "127.0.0.1:0" : NULL };
    QN_ASSERT(qn_host_open(&conf, &e->host, NULL) == QN_OK);
    const struct qn_proto echo = { .id = "/bench/vote/1",
                                   .ops = &ECHO_OPS,
                                   .class = QN_NET_URGENT };
    const struct qn_proto sink = { .id = "/bench/blob/1", .ops = &SINK_OPS, .class = QN_NET_BLOB };
    QN_ASSERT(qn_host_proto(e->host, &echo) == QN_OK && qn_host_proto(e->host, &sink) == QN_OK);
}

static void end_close(struct end *e)
{
    qn_host_close(e->host);
    event_base_free(e->base);
}

static void dialled(void *arg, qn_rc rc, uint32_t peer, const struct qn_why *why)
{
    struct end *e = arg;
    if (rc) {
        fprintf(stderr, "%s\n", why ? why->text : qn_err_text(rc));
        exit(1);
    }
    e->peer = peer;
    e->done_us = now_us();
    e->done = true;
}

static double dial(struct end *e, unsigned port)
{
    struct qn_endpoint to = { .ip = { 127, 0, 0, 1 }, .port = (uint16_t)port };
    uint64_t begin = now_us();
    QN_ASSERT(qn_host_dial_to(e->host, &to, dialled, e, NULL) == QN_OK);
    while (!e->done)
        event_base_loop(e->base, EVLOOP_ONCE);
    return (double)(e->done_us - begin);
}

static void vote_data(void *arg, struct qn_stream *s, struct qn_span b)
{
    struct end *e = arg;
    (void)s;
    e->blob_bytes += b.len;
    if (e->blob_bytes < 200) return;
    e->blob_bytes = 0;
    e->lag[e->got++] = now_us() - e->sent_us;
    e->sent_us = 0;
}

static void blob_push(void *arg, struct qn_stream *s)
{
    static const uint8_t ZEROS[32768];
    (void)arg;
    while (qn_stream_queued(s) < 1u << 18 && qn_stream_write(s, QN_SPAN_OF(ZEROS)) == QN_OK)
        ;
}

static const struct qn_stream_ops VOTE_OPS = { .on_data = vote_data },
                                  BLOB_OPS = { .on_drain = blob_push };

static int by_value(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

/* Median round trip of votes, one after the other, in us. */
static double votes(struct end *e)
{
    static const uint8_t VOTE[200];
    e->got = 0;
    while (e->got < VOTES) {
        if (!e->sent_us) {
            e->sent_us = now_us();
            QN_ASSERT(qn_stream_write(e->vote, QN_SPAN_OF(VOTE)) == QN_OK);
        }
        event_base_loop(e->base, EVLOOP_ONCE);
    }
    qsort(e->lag, VOTES, sizeof e->lag[0], by_value);
    return (double)e->lag[VOTES / 2];
}

static double js_dial(unsigned port, const char *id)
{
    char cmd[512], line[64] = "";
    snprintf(cmd, sizeof cmd,
             "timeout 60 node --no-warnings --import ./tests/peers/polyfill.mjs "
             "tests/peers/libp2p_bench.mjs dial "
             "/ip4/127.0.0.1/tcp/%u/p2p/%s 2>/dev/null",
             port, id);
    FILE *f = popen(cmd, "r");
    if (f && !fgets(line, sizeof line, f)) line[0] = 0;
    if (f) pclose(f);
    return strtod(line, NULL);
}

int main(void)
{
    struct end server, e;
    unsigned port;
    char id[QN_PEER_TEXT_MAX];
    double best = 1e9;
    signal(SIGPIPE, SIG_IGN);
    end_open(&server, 1, true);
    qn_peer_id_print(qn_host_id(server.host), id);
    pid_t pid = fork();
    if (pid == 0) {
        event_reinit(server.base);
        event_base_dispatch(server.base);
        _exit(0);
    }
    pid_t relay = relay_start(qn_host_port(server.host), &port);
    for (uint8_t i = 0; i < 5; i++) {
        end_open(&e, (uint8_t)(10 + i), false);
        double took = dial(&e, port);
        best = QN_MIN(best, took);
        end_close(&e);
    }
    double theirs = js_dial(port, id) * 1000,
           rtt =
               2.0 *
               DELAY_US; /* connecting to the relay takes no time: TCP's own round trip is added */
    printf(
        "{\"name\":\"dial until the first byte may go\",\"value\":%.2f,\"unit\":\"round trips\",",
        1 + best / rtt);
    if (theirs > 0)
        printf("\"peer\":\"js-libp2p 3.3.11, same run\",\"peer_value\":%.2f,\"ratio\":%.2f,",
               1 + theirs / rtt, (1 + best / rtt) / (1 + theirs / rtt));
    else
        printf("\"peer\":\"js-libp2p 3.3.11 on a 2.6 GHz Zen 4, our own measurement, not in this "
               "run\",\"peer_value\":5.36,");
    printf("\"limit\":\"TCP and Noise 2\",\"limit_ratio\":%.2f}\n", (1 + best / rtt) / 2);
    fflush(stdout);

    end_open(&e, 9, false);
    dial(&e, port);
    QN_ASSERT(qn_host_stream(e.host, e.peer, "/bench/vote/1", QN_NET_URGENT, &VOTE_OPS, &e,
                             &e.vote) == QN_OK);
    double alone = votes(&e);
    QN_ASSERT(qn_host_stream(e.host, e.peer, "/bench/blob/1", QN_NET_BLOB, &BLOB_OPS, &e,
                             &e.blob) == QN_OK);
    qn_stream_set_queue(e.blob, 1 << 20);
    blob_push(&e, e.blob);
    uint64_t begin = now_us();
    struct qn_peer_info before, after;
    while (now_us() - begin < 500000)
        event_base_loop(e.base, EVLOOP_ONCE);
    QN_ASSERT(qn_host_peer(e.host, e.peer, &before));
    begin = now_us();
    double beside = votes(&e);
    QN_ASSERT(qn_host_peer(e.host, e.peer, &after));
    double rate = (double)(after.out_bytes - before.out_bytes) / (double)(now_us() - begin) * 1e6;
    printf(
        "{\"name\":\"vote beside a saturating blob\",\"value\":%.2f,\"unit\":\"ms there and "
        "back\",\"limit\":\"on an idle link %.2f ms\","
        "\"limit_ratio\":%.3f}\n"
        "{\"name\":\"blob beside votes, link of 12.5 "
        "MB/s\",\"value\":%.2f,\"unit\":\"MB/s\",\"limit\":\"12.5 MB/s\",\"limit_ratio\":%.3f}\n",
        beside / 1000, alone / 1000, beside / alone, rate / 1e6, rate / RATE);
    end_close(&e);
    kill(-relay, SIGKILL);
    kill(pid, SIGKILL);
    waitpid(relay, NULL, 0);
    waitpid(pid, NULL, 0);
    return 0;
}
