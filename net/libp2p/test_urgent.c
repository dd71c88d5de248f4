/* test_urgent.c - a vote beside a blob that fills the link: how many bytes stand before it, counted, on a link that carries what the test tells it
 * to. No clock is looked at. */
#include "core/base/test.h"
#include "net/libp2p/host.h"
#include "net/link/sock.h"

#include <errno.h>
#include <event2/event.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    RECORD = 2 + 16384 + 16, /* of a full one, on the wire */
    VOTE = 111,
    STEP = 2048,         /* bytes carried at a time */
    FRONT_MAX = 4 << 20, /* then it is looked for no longer */
    BLOB_WINDOW = 16 << 20
};

struct world {
    struct event_base *base;
    struct qn_host *a, *b;
    struct qn_key key[2];
    struct qn_stream *blob, *vote;
    uint32_t peer;
    int listen_fd, fd[2]; /* the link's ends: towards a, towards b */
    uint64_t carried, blob_bytes, vote_bytes, blob_at_vote;
    bool up, refused;
};

static const uint8_t ZEROS[65536];

/* The blob's queue is never empty. */
static void refill(void *arg, struct qn_stream *s)
{
    (void)arg;
    while (qn_stream_write(s, QN_SPAN_OF(ZEROS)) == QN_OK)
        ;
}

static void blob_in(void *arg, struct qn_stream *s, struct qn_span bytes)
{
    struct world *w = arg;
    (void)s;
    w->blob_bytes += bytes.len;
}

static void vote_in(void *arg, struct qn_stream *s, struct qn_span bytes)
{
    struct world *w = arg;
    (void)s;
    w->vote_bytes += bytes.len;
}

static void blob_open(void *arg, struct qn_stream *s)
{
    (void)arg;
    qn_stream_set_window(s, BLOB_WINDOW);
}

static const struct qn_stream_ops BLOB_OUT = { .on_drain = refill }, VOTE_OUT = { 0 },
                                  BLOB_IN = { .on_open = blob_open, .on_data = blob_in },
                                  VOTE_IN = { .on_data = vote_in };

static void dialled(void *arg, qn_rc rc, uint32_t peer, const struct qn_why *why)
{
    struct world *w = arg;
    (void)why;
    w->up = rc == QN_OK;
    w->refused = rc != QN_OK;
    w->peer = peer;
}

static void turn(struct world *w)
{
    for (int i = 0; i < 4; i++)
        event_base_loop(w->base, EVLOOP_NONBLOCK);
}

/* Carries up to max bytes from a to b, and all that b says back; b has read them when it returns. How many: 0 when a has written nothing. */
static size_t carry(struct world *w, size_t max)
{
    uint8_t buf[65536];
    ssize_t n = recv(w->fd[1], buf, sizeof buf, MSG_DONTWAIT);
    if (n > 0) QN_ASSERT(send(w->fd[0], buf, (size_t)n, MSG_NOSIGNAL) == n);
    n = recv(w->fd[0], buf, QN_MIN(max, sizeof buf), MSG_DONTWAIT);
    if (n <= 0) return 0;
    for (ssize_t at = 0; at < n;) {
        ssize_t m = send(w->fd[1], buf + at, (size_t)(n - at), MSG_NOSIGNAL | MSG_DONTWAIT);
        if (m > 0) at += m;
        turn(w);
    }
    w->carried += (uint64_t)n;
    while (qn_host_stat(w->b).in_bytes < w->carried)
        turn(w);
    return (size_t)n;
}

/* Until a writes no more: the link is full. */
static uint64_t fill(struct world *w)
{
    uint64_t before, now = qn_host_stat(w->a).out_bytes;
    do {
        before = now;
        for (int i = 0; i < 10; i++)
            turn(w);
        now = qn_host_stat(w->a).out_bytes;
    } while (now != before);
    return now;
}

static void world_open(struct qn_test_state *t, struct world *w)
{
    struct qn_host_conf conf = { .env = qn_env_real() };
    struct qn_ip at = { .b = { 127, 0, 0, 1 } }, to = at, from;
    char addr[40];
    int small = 65536;
    memset(w, 0, sizeof *w);
    conf.base = w->base = event_base_new();
    for (uint8_t i = 0; i < 2; i++) {
        uint8_t seed[32] = { 3, i };
        qn_key_from_seed(seed, &w->key[i]);
        conf.key = &w->key[i];
        conf.listen = i ? "127.0.0.1:0" : NULL;
        CHECK_RC(qn_host_open(&conf, i ? &w->b : &w->a, NULL), QN_OK);
    }
    const struct qn_proto blob = {
        .id = "/test/blob/1", .ops = &BLOB_IN, .arg = w, .class = QN_NET_BLOB
    };
    const struct qn_proto vote = {
        .id = "/test/vote/1", .ops = &VOTE_IN, .arg = w, .class = QN_NET_URGENT
    };
    CHECK_RC(qn_host_proto(w->b, &blob), QN_OK);
    CHECK_RC(qn_host_proto(w->b, &vote), QN_OK);
    CHECK_RC(qn_sock_listen(&at, &w->listen_fd, &at, NULL), QN_OK);
    setsockopt(w->listen_fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    to.port = (uint16_t)qn_host_port(w->b);
    CHECK_RC(qn_sock_dial(&to, NULL, &w->fd[1], NULL), QN_OK);
    snprintf(addr, sizeof addr, "127.0.0.1:%u", at.port);
    CHECK_RC(qn_host_dial(w->a, addr, dialled, w, NULL), QN_OK);
    for (w->fd[0] = -1; w->fd[0] < 0;) {
        turn(w);
        w->fd[0] = qn_sock_accept(w->listen_fd, &from);
    }
    while (!w->up && !w->refused) {
        turn(w);
        carry(w, STEP);
    }
    CHECK(w->up);
    CHECK_RC(qn_host_stream(w->a, w->peer, "/test/vote/1", QN_NET_URGENT, &VOTE_OUT, w, &w->vote),
             QN_OK);
    CHECK_RC(qn_host_stream(w->a, w->peer, "/test/blob/1", QN_NET_BLOB, &BLOB_OUT, w, &w->blob),
             QN_OK);
    qn_stream_set_queue(w->blob, 4 << 20);
    refill(w, w->blob);
    while (w->blob_bytes < 4 << 20) { /* the window has grown, everybody knows everybody */
        turn(w);
        carry(w, sizeof ZEROS);
    }
}

static void world_close(struct world *w)
{
    qn_host_close(w->a);
    qn_host_close(w->b);
    close(w->fd[0]);
    close(w->fd[1]);
    close(w->listen_fd);
    event_base_free(w->base);
}

static void test_vote_beside_blob(struct qn_test_state *t)
{
    struct world w;
    uint64_t most = 0, before_it = 0, votes = test_long() ? 5000 : 200, x = 1;
    world_open(t, &w);
    for (uint64_t i = 1; i <= votes; i++) {
        uint8_t vote[VOTE] = { 1 };
        uint64_t out = fill(&w); /* what the kernel has is on its way */
        CHECK_RC(qn_stream_write(w.vote, QN_SPAN_OF(vote)), QN_OK);
        turn(&w);
        uint64_t blob = w.blob_bytes;
        while (w.vote_bytes < i * VOTE && w.carried < out + FRONT_MAX)
            if (carry(&w, STEP) == 0) turn(&w);
        if (w.vote_bytes < i * VOTE) break; /* behind the whole blob */
        uint64_t front = w.carried > out ? w.carried - out : 0;
        most = QN_MAX(most, front);
        before_it += w.blob_bytes - blob;
        x = x * 6364136223846793005u + 1442695040888963407u;
        for (uint64_t skip = (x >> 33) % 80; skip > 0; skip--) /* another place in a record */
            carry(&w, 1 + skip * 37);
    }
    printf("at most %.2f records of %d bytes stood before a vote\n", (double)most / RECORD, RECORD);
    CHECK(w.vote_bytes == votes * VOTE);
    CHECK(before_it > votes * 16384); /* the link was full each time */
    /* What was sealed, its own record, and what one step carries too far. */
    CHECK(most <= RECORD + RECORD + STEP);
    world_close(&w);
}

int main(void)
{
    TEST_BEGIN();
    if (qn_crypto_init()) return 1;
    TEST(test_vote_beside_blob);
    return TEST_END();
}
