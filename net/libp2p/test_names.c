/* test_names.c - dialling by name, with a name server on loopback that answers well, badly or not at all. */
#include "net/libp2p/host.h"

#include "core/base/test.h"

#include <arpa/inet.h>
#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum how {
    GOOD,    /* nobody lives at the first of two addresses */
    MANY,    /* forty, the last of them good: too many are not tried */
    NONE,    /* there is no such name */
    GARBAGE, /* bytes without sense */
    FORGED,  /* another question's answer */
    LOOP,    /* a name that points at itself */
    SILENT,
};

struct world {
    struct event_base *base;
    struct event *ev;
    int fd;
    unsigned port;
    enum how how;
    uint32_t asked;
    struct qn_key key[2];
    struct qn_host *host[2];
    int rc; /* -1: not yet */
    uint32_t peer, done;
    struct qn_why why;
};

static uint64_t now_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

#define UNTIL(w, cond)                                                                             \
    do {                                                                                           \
        uint64_t end_ = now_ms() + 30000;                                                          \
        while (!(cond) && now_ms() < end_)                                                         \
            event_base_loop((w)->base, EVLOOP_ONCE);                                               \
        CHECK(cond);                                                                               \
    } while (0)

static size_t put_answer(uint8_t *out, uint8_t a, uint8_t d)
{
    const uint8_t row[16] = { 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, a, d };
    memcpy(out, row, sizeof row);
    return sizeof row;
}

static void on_query(int fd, short what, void *arg)
{
    struct world *w = arg;
    uint8_t in[600], out[1400];
    struct sockaddr_in from;
    socklen_t from_len = sizeof from;
    ssize_t n = recvfrom(fd, in, sizeof in, 0, (struct sockaddr *)&from, &from_len);
    (void)what;
    if (n < 17) return;
    w->asked++;
    if (w->how == SILENT) return;
    size_t len = 12; /* to the end of the question */
    while (len < (size_t)n && in[len])
        len += in[len] + 1u;
    len += 5;
    bool v4 = in[len - 3] == 1;
    memcpy(out, in, len);
    out[2] = 0x81, out[3] = 0x80;
    memset(out + 6, 0, 6);
    if (w->how == FORGED) out[0] ^= 0x55;
    if (w->how == NONE) out[3] |= 3;
    uint8_t cnt = 0;
    if (v4 && (w->how == GOOD || w->how == FORGED)) {
        len += put_answer(out + len, 9, 9);
        len += put_answer(out + len, 0, 1);
        cnt = 2;
    }
    for (; v4 && w->how == MANY && cnt < 40; cnt++)
        len += put_answer(out + len, 9, cnt == 39 ? 1 : 9);
    if (w->how == LOOP) { /* CNAME of itself */
        const uint8_t row[14] = { 0xc0, 12, 0, 5, 0, 1, 0, 0, 0, 60, 0, 2, 0xc0, 12 };
        memcpy(out + len, row, sizeof row);
        len += sizeof row;
        cnt = 1;
    }
    out[7] = cnt;
    if (w->how == GARBAGE) {
        out[7] = 200;
        for (size_t i = len; i < sizeof out; i++)
            out[i] = (uint8_t)(i * 37);
        len = sizeof out;
    }
    sendto(fd, out, len, 0, (struct sockaddr *)&from, from_len);
}

static void world_open(struct qn_test_state *t, struct world *w, enum how how)
{
    struct sockaddr_in at = { .sin_family = AF_INET };
    socklen_t len = sizeof at;
    char server[32];
    *w = (struct world){ .base = event_base_new(), .how = how, .rc = -1 };
    w->fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK(bind(w->fd, (struct sockaddr *)&at, sizeof at) == 0);
    getsockname(w->fd, (struct sockaddr *)&at, &len);
    w->ev = event_new(w->base, w->fd, EV_READ | EV_PERSIST, on_query, w);
    event_add(w->ev, NULL);
    snprintf(server, sizeof server, "127.0.0.1:%u", ntohs(at.sin_port));
    for (uint8_t i = 0; i < 2; i++) {
        uint8_t seed[32] = { (uint8_t)(i + 1), 3 };
        qn_key_from_seed(seed, &w->key[i]);
        const struct qn_host_conf conf = { .base = w->base,
                                           .env = qn_env_real(),
                                           .key = &w->key[i],
                                           .nameserver = server,
                                           .listen = i ? "127.0.0.1:0" : NULL };
        CHECK_RC(qn_host_open(&conf, &w->host[i], NULL), QN_OK);
    }
    w->port = qn_host_port(w->host[1]);
}

static void dialled(void *arg, qn_rc rc, uint32_t peer, const struct qn_why *why)
{
    struct world *w = arg;
    w->rc = (int)rc;
    w->peer = peer;
    w->done++;
    w->why.text[0] = 0;
    if (why) w->why = *why;
}

static void world_close(struct world *w)
{
    for (int i = 0; i < 2; i++)
        if (w->host[i]) qn_host_close(w->host[i]);
    for (int i = 0; i < 20; i++) /* the resolver says goodbye */
        event_base_loop(w->base, EVLOOP_NONBLOCK);
    event_free(w->ev);
    close(w->fd);
    event_base_free(w->base);
}

static void dial(struct qn_test_state *t, struct world *w, const char *front, const char *id)
{
    char addr[300];
    struct qn_why why;
    snprintf(addr, sizeof addr, "%s%u%s%s", front, w->port, *id ? "/p2p/" : "", id);
    w->rc = -1;
    qn_rc rc = qn_host_dial(w->host[0], addr, dialled, w, &why);
    CHECK_RC(rc, QN_OK);
    CHECK(w->rc == -1); /* nothing calls back from in there */
    UNTIL(w, w->rc >= 0);
}

static void test_good(struct qn_test_state *t)
{
    struct world w;
    char id[QN_PEER_TEXT_MAX];
    world_open(t, &w, GOOD);
    dial(t, &w, "/dns4/node.example/tcp/", "");
    CHECK(w.rc == QN_OK && w.peer != 0 && w.asked == 1);
    dial(t, &w, "/dns/node.example/tcp/", "");
    CHECK(w.rc == QN_OK && w.asked >= 2);
    dial(t, &w, "node.example:", "");
    CHECK(w.rc == QN_OK);
    qn_peer_id_print(qn_host_id(w.host[1]), id);
    dial(t, &w, "/dns4/node.example/tcp/", id);
    CHECK(w.rc == QN_OK);
    /* The name leads to somebody else than was promised. */
    dial(t, &w, "/dns4/node.example/tcp/", "12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA");
    CHECK(w.rc == QN_E_SIGNATURE);
    dial(t, &w, "/dns6/node.example/tcp/", "");
    CHECK(w.rc == QN_E_IO && strstr(w.why.text, "node.example") != NULL);
    world_close(&w);
}

static void test_bad(struct qn_test_state *t)
{
    static const struct {
        enum how how;
        uint32_t asked_max;
    } CASES[] = { { MANY, 2 },   { NONE, 4 }, { GARBAGE, 8 },
                  { FORGED, 8 }, { LOOP, 8 }, { SILENT, 8 } };
    for (size_t i = 0; i < QN_COUNT(CASES); i++) {
        struct world w;
        world_open(t, &w, CASES[i].how);
        dial(t, &w, "/dns4/node.example/tcp/", "");
        CHECK(w.rc != QN_OK && w.why.text[0] && w.asked >= 1 && w.asked <= CASES[i].asked_max);
        CHECK(qn_host_stat(w.host[0]).dialled <= 8);
        world_close(&w);
    }
}

/* Closed while names are looked up and addresses dialled: each is told once. */
static void test_close(struct qn_test_state *t)
{
    struct world w;
    struct qn_why why;
    world_open(t, &w, SILENT);
    for (int i = 0; i < 10; i++)
        CHECK_RC(qn_host_dial(w.host[0], "/dns/a.example/tcp/1", dialled, &w, &why), QN_OK);
    for (int i = 0; i < 10; i++)
        event_base_loop(w.base, EVLOOP_NONBLOCK);
    qn_host_close(w.host[0]);
    w.host[0] = NULL;
    CHECK(w.done == 10);
    world_close(&w);
    CHECK(w.done == 10);
    world_open(t, &w, GOOD);
    for (int i = 0; i < 70; i++)
        (void)!qn_host_dial(w.host[0], "/dns/a.example/tcp/1", dialled, &w, &why);
    CHECK_RC(qn_host_dial(w.host[0], "/dns/a.example/tcp/1", dialled, &w, &why), QN_E_LIMIT);
    CHECK_RC(qn_host_dial(w.host[0], "/dnsaddr/a.example", dialled, &w, &why), QN_E_ABSENT);
    world_close(&w);
    CHECK(w.done == 64);
}

int main(void)
{
    if (qn_crypto_init() || signal(SIGPIPE, SIG_IGN) == SIG_ERR) return 1;
    TEST_BEGIN();
    TEST(test_good);
    TEST(test_bad);
    TEST(test_close);
    return TEST_END();
}
