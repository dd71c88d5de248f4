/* test_names.c - dialling by name, with a name server on loopback that answers well, badly or not at all. */
#include "net/libp2p/host.h"

#include "core/env/turns.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

enum how {
    GOOD,    /* nobody lives at the first of two addresses */
    MANY,    /* forty, the last of them good: too many are not tried */
    NONE,    /* there is no such name */
    GARBAGE, /* bytes without sense */
    FORGED,  /* another question's answer */
    LOOP,    /* a name that points at itself */
    SILENT,
    CUT, /* what is longer than 512 bytes is cut off over UDP */
};

struct text_row {
    const char *name, *text;
};

struct world {
    struct event_base *base;
    struct event *ev;
    int fd, tcp_fd;
    unsigned port;
    enum how how;
    uint32_t asked, tcp_asked;
    struct event *tcp_ev;
    const struct text_row *rows; /* text records; their name NULL: the end */
    struct qn_key key[2];
    struct qn_host *host[2];
    int rc; /* -1: not yet */
    uint32_t peer, done;
    struct qn_why why;
};

static size_t put_answer(uint8_t *out, uint8_t a, uint8_t d)
{
    const uint8_t row[16] = { 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, a, d };
    memcpy(out, row, sizeof row);
    return sizeof row;
}

/* Text records in strings of 100 bytes. */
static size_t put_texts(const struct world *w, const char *name, uint8_t *out, size_t max,
                        uint8_t *cnt)
{
    const uint8_t head[10] = { 0xc0, 12, 0, 16, 0, 1, 0, 0, 0, 60 };
    size_t at = 0;
    for (const struct text_row *r = w->rows; r && r->name; r++) {
        size_t len = strlen(r->text), rdata = len + (len + 99) / 100;
        if (strcasecmp(r->name, name) != 0 || at + 12 + rdata > max) continue;
        memcpy(out + at, head, sizeof head);
        out[at + 10] = (uint8_t)(rdata >> 8), out[at + 11] = (uint8_t)rdata;
        at += 12;
        for (size_t done = 0; done < len; done += 100) {
            size_t n = QN_MIN(len - done, (size_t)100);
            out[at++] = (uint8_t)n;
            memcpy(out + at, r->text + done, n);
            at += n;
        }
        (*cnt)++;
    }
    return at;
}

static size_t answer_text(struct world *w, const uint8_t *in, size_t len, size_t max, uint8_t *out)
{
    char name[300];
    size_t at = 0;
    uint8_t cnt = 0;
    for (size_t i = 12; in[i] && at + in[i] + 1u < sizeof name; i += in[i] + 1u) {
        if (at) name[at++] = '.';
        memcpy(name + at, in + i + 1, in[i]);
        at += in[i];
    }
    name[at] = 0;
    memcpy(out, in, len);
    out[2] = 0x81, out[3] = 0x80;
    memset(out + 6, 0, 6);
    size_t more = put_texts(w, name, out + len, 4096 - len, &cnt);
    if (len + more > max) {
        out[2] |= 2; /* cut off */
        return len;
    }
    out[7] = cnt;
    return len + more;
}

/* One question a connection, sent as soon as it stands. */
static void on_tcp_data(int fd, short what, void *arg)
{
    struct world *w = arg;
    uint8_t in[600], out[4098];
    ssize_t n = recv(fd, in, sizeof in, 0);
    (void)what;
    if (n > 19) {
        size_t len = 14;
        while (len < (size_t)n && in[len])
            len += in[len] + 1u;
        len = answer_text(w, in + 2, len + 5 - 2, 4096, out + 2);
        out[0] = (uint8_t)(len >> 8), out[1] = (uint8_t)len;
        w->tcp_asked++;
        if (send(fd, out, len + 2, MSG_NOSIGNAL) < 0) perror("send");
    }
    close(fd);
}

static void on_tcp(int fd, short what, void *arg)
{
    struct world *w = arg;
    int c = accept(fd, NULL, NULL);
    (void)what;
    if (c >= 0) event_base_once(w->base, c, EV_READ, on_tcp_data, w, NULL);
}

static void on_query(int fd, short what, void *arg)
{
    struct world *w = arg;
    uint8_t in[600], out[4096];
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
    if (in[len - 3] == 16 && (w->how == GOOD || w->how == CUT)) {
        len = answer_text(w, in, len, w->how == CUT ? 512 : sizeof out, out);
        sendto(fd, out, len, 0, (struct sockaddr *)&from, from_len);
        return;
    }
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
        for (size_t i = len; i < 1400; i++)
            out[i] = (uint8_t)(i * 37);
        len = 1400;
    }
    sendto(fd, out, len, 0, (struct sockaddr *)&from, from_len);
}

static void world_open(struct qn_test_state *t, struct world *w, enum how how)
{
    struct sockaddr_in at = { .sin_family = AF_INET };
    socklen_t len = sizeof at;
    char server[32];
    *w = (struct world){ .base = event_base_new(), .how = how, .rc = -1 };
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    /* One port for both: what is free for UDP may be somebody's for TCP. */
    for (int tries = 0; tries < 50; tries++) {
        at.sin_port = 0;
        w->fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
        w->tcp_fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        QN_ASSERT(bind(w->fd, (struct sockaddr *)&at, sizeof at) == 0);
        getsockname(w->fd, (struct sockaddr *)&at, &len);
        if (bind(w->tcp_fd, (struct sockaddr *)&at, sizeof at) == 0 && listen(w->tcp_fd, 8) == 0)
            break;
        close(w->fd);
        close(w->tcp_fd);
        QN_ASSERT(tries < 49);
    }
    w->ev = event_new(w->base, w->fd, EV_READ | EV_PERSIST, on_query, w);
    event_add(w->ev, NULL);
    w->tcp_ev = event_new(w->base, w->tcp_fd, EV_READ | EV_PERSIST, on_tcp, w);
    event_add(w->tcp_ev, NULL);
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
    event_free(w->tcp_ev);
    close(w->fd);
    close(w->tcp_fd);
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

/* --- text records ---------------------------------------------------------------------------------------- */

#define NOBODY "12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA"
enum { ROWS = 64 };

/* Rows with the port and the id that are right in place of PORT and ID. */
struct zone {
    struct text_row row[ROWS + 1];
    char text[ROWS][800];
    uint32_t cnt;
};

static void zone_put(struct zone *z, struct world *w, const char *name, const char *text)
{
    char *to = z->text[z->cnt];
    size_t at = 0;
    char id[QN_PEER_TEXT_MAX];
    qn_peer_id_print(qn_host_id(w->host[1]), id);
    QN_ASSERT(z->cnt < ROWS);
    while (*text && at < sizeof z->text[0] - 100) {
        if (strncmp(text, "PORT", 4) == 0)
            at += (size_t)snprintf(to + at, 100, "%u", w->port), text += 4;
        else if (strncmp(text, "ID", 2) == 0)
            at += (size_t)snprintf(to + at, 100, "%s", id), text += 2;
        else
            to[at++] = *text++;
    }
    to[at] = 0;
    z->row[z->cnt++] = (struct text_row){ name, to };
    z->row[z->cnt] = (struct text_row){ NULL, NULL };
    w->rows = z->row;
}

static void dial_text(struct qn_test_state *t, struct world *w, const char *addr)
{
    struct qn_why why;
    w->rc = -1;
    w->asked = 0;
    CHECK_RC(qn_host_dial(w->host[0], addr, dialled, w, &why), QN_OK);
    CHECK(w->rc == -1);
    UNTIL(w, w->rc >= 0);
}

static void drop(struct world *w)
{
    qn_host_hangup(w->host[0], w->peer, "");
    uint64_t end = turns_ms() + 10000;
    while (qn_host_peer_cnt(w->host[0]) && turns_ms() < end)
        event_base_loop(w->base, EVLOOP_ONCE);
}

static void test_text(struct qn_test_state *t)
{
    struct world w;
    struct zone *z = calloc(1, sizeof *z);
    char addr[300], id[QN_PEER_TEXT_MAX];
    world_open(t, &w, GOOD);
    qn_peer_id_print(qn_host_id(w.host[1]), id);
    /* Others' records, nonsense, somebody who is not there, nobody at all; then the right one. */
    zone_put(z, &w, "_dnsaddr.a.example", "v=spf1 -all");
    zone_put(z, &w, "_dnsaddr.a.example", "dnsaddr=nonsense");
    zone_put(z, &w, "_dnsaddr.a.example", "dnsaddr=127.0.0.1:PORT");
    zone_put(z, &w, "_dnsaddr.a.example", "dnsaddr=/ip4/127.0.0.1/tcp/PORT");
    zone_put(z, &w, "_dnsaddr.a.example", "dnsaddr=/ip4/127.0.0.1/udp/PORT/quic-v1/p2p/ID");
    zone_put(z, &w, "_dnsaddr.a.example", "dnsaddr=/ip4/127.0.0.1/tcp/PORT/p2p/" NOBODY);
    zone_put(z, &w, "_dnsaddr.a.example", "dnsaddr=/ip4/127.0.9.9/tcp/PORT/p2p/ID");
    zone_put(z, &w, "_dnsaddr.a.example", "dnsaddr=/ip4/127.0.0.1/tcp/PORT/p2p/ID");
    dial_text(t, &w, "/dnsaddr/a.example");
    CHECK(w.rc == QN_OK && w.peer != 0 && w.asked == 1);
    CHECK(qn_host_stat(w.host[0]).dialled == 3);
    drop(&w);
    /* The id that a person names leaves those of it alone. */
    snprintf(addr, sizeof addr, "/dnsaddr/a.example/p2p/%s", id);
    dial_text(t, &w, addr);
    CHECK(w.rc == QN_OK && qn_host_stat(w.host[0]).dialled == 5);
    drop(&w);
    dial_text(t, &w, "/dnsaddr/a.example/p2p/12D3KooWA768LzHMatxkjD1f9DrYW375GZJr6MHPCNEdDtHeTNRt");
    CHECK(w.rc == QN_E_IO && qn_host_stat(w.host[0]).dialled == 5);
    CHECK(strstr(w.why.text, "_dnsaddr.a.example") != NULL);
    /* Who claims to be there and is not. */
    zone_put(z, &w, "_dnsaddr.liar.example", "dnsaddr=/ip4/127.0.0.1/tcp/PORT/p2p/" NOBODY);
    dial_text(t, &w, "/dnsaddr/liar.example");
    CHECK(w.rc == QN_E_SIGNATURE);
    /* No id: nobody answers for it. */
    zone_put(z, &w, "_dnsaddr.bare.example", "dnsaddr=/ip4/127.0.0.1/tcp/PORT");
    dial_text(t, &w, "/dnsaddr/bare.example");
    CHECK(w.rc == QN_E_IO && qn_host_stat(w.host[0]).dialled == 6);
    /* By a name in turn, in two strings and more. */
    zone_put(z, &w, "_dnsaddr.named.example",
             "dnsaddr=/dns4/a-name-that-fills-more-than-a-hundred-bytes-with-the-rest."
             "example.example.example/tcp/PORT/p2p/ID");
    dial_text(t, &w, "/dnsaddr/named.example");
    CHECK(w.rc == QN_OK);
    drop(&w);
    /* Three names behind a name, and no more. The id asked for holds to the end. */
    zone_put(z, &w, "_dnsaddr.d4.example", "dnsaddr=/dnsaddr/d3.example");
    zone_put(z, &w, "_dnsaddr.d3.example", "dnsaddr=/dnsaddr/d2.example/p2p/ID");
    zone_put(z, &w, "_dnsaddr.d2.example", "dnsaddr=/dnsaddr/d1.example");
    zone_put(z, &w, "_dnsaddr.d1.example", "dnsaddr=/dnsaddr/d0.example");
    zone_put(z, &w, "_dnsaddr.d0.example", "dnsaddr=/ip4/127.0.0.1/tcp/PORT/p2p/" NOBODY);
    zone_put(z, &w, "_dnsaddr.d0.example", "dnsaddr=/ip4/127.0.0.1/tcp/PORT/p2p/ID");
    uint64_t before = qn_host_stat(w.host[0]).dialled;
    dial_text(t, &w, "/dnsaddr/d3.example");
    CHECK(w.rc == QN_OK && w.asked == 4 && qn_host_stat(w.host[0]).dialled == before + 1);
    drop(&w);
    dial_text(t, &w, "/dnsaddr/d4.example");
    CHECK(w.rc == QN_E_IO && w.asked == 4);
    world_close(&w);
    free(z);
}

/* Records without end: sixteen of an answer are read, eight questions asked, sixteen addresses tried. */
static void test_texts(struct qn_test_state *t)
{
    struct world w;
    struct zone *z = calloc(1, sizeof *z);
    world_open(t, &w, GOOD);
    for (int i = 0; i < 20; i++)
        zone_put(z, &w, "_dnsaddr.many.example", "dnsaddr=/ip4/127.0.9.9/tcp/PORT/p2p/ID");
    zone_put(z, &w, "_dnsaddr.many.example", "dnsaddr=/ip4/127.0.0.1/tcp/PORT/p2p/ID");
    dial_text(t, &w, "/dnsaddr/many.example");
    CHECK(w.rc == QN_E_IO && qn_host_stat(w.host[0]).dialled == 16 && w.asked == 1);
    for (int i = 0; i < 16; i++)
        zone_put(z, &w, "_dnsaddr.loop.example", "dnsaddr=/dnsaddr/loop.example");
    dial_text(t, &w, "/dnsaddr/loop.example");
    CHECK(w.rc == QN_E_IO && w.asked == 8);
    memset(z, 0, sizeof *z);
    /* Longer than any address; cut off over UDP, so that it is asked for again over TCP. */
    char text[700];
    memset(text, 'a', sizeof text);
    memcpy(text, "dnsaddr=/dnsaddr/", 17);
    text[sizeof text - 1] = 0;
    zone_put(z, &w, "_dnsaddr.long.example", text);
    zone_put(z, &w, "_dnsaddr.long.example", "dnsaddr=/ip4/127.0.0.1/tcp/PORT/p2p/ID");
    w.how = CUT;
    dial_text(t, &w, "/dnsaddr/long.example");
    CHECK(w.rc == QN_OK && w.asked == 1 && w.tcp_asked >= 1);
    world_close(&w);
    free(z);
}

/* Bad name servers, all at once, for each takes its time. */
static void test_bad(struct qn_test_state *t)
{
    static const struct {
        enum how how;
        const char *front;
        uint32_t asked_max, dialled_max;
    } CASES[] = {
        { MANY, "/dns4/node.example/tcp/4460", 2, 8 },
        { NONE, "/dns4/node.example/tcp/4460", 4, 0 },
        { GARBAGE, "/dns4/node.example/tcp/4460", 8, 8 },
        { FORGED, "/dns4/node.example/tcp/4460", 8, 0 },
        { LOOP, "/dns4/node.example/tcp/4460", 8, 0 },
        { SILENT, "/dns4/node.example/tcp/4460", 8, 0 },
        { NONE, "/dnsaddr/node.example", 8, 0 },
        { GARBAGE, "/dnsaddr/node.example", 8, 0 },
        { FORGED, "/dnsaddr/node.example", 8, 0 },
        { LOOP, "/dnsaddr/node.example", 8, 0 },
        { SILENT, "/dnsaddr/node.example", 8, 0 },
    };
    struct world w[QN_COUNT(CASES)];
    struct qn_why why;
    bool over = false;
    for (size_t i = 0; i < QN_COUNT(CASES); i++) {
        world_open(t, &w[i], CASES[i].how);
        CHECK_RC(qn_host_dial(w[i].host[0], CASES[i].front, dialled, &w[i], &why), QN_OK);
    }
    for (uint64_t end = turns_ms() + 30000; !over && turns_ms() < end;) {
        over = true;
        for (size_t i = 0; i < QN_COUNT(CASES); i++) {
            event_base_loop(w[i].base, EVLOOP_ONCE);
            over = over && w[i].rc >= 0;
        }
    }
    for (size_t i = 0; i < QN_COUNT(CASES); i++) {
        CHECK(w[i].rc > QN_OK && w[i].done == 1 && w[i].why.text[0]);
        CHECK(w[i].asked >= 1 && w[i].asked <= CASES[i].asked_max);
        CHECK(qn_host_stat(w[i].host[0]).dialled <= CASES[i].dialled_max);
        world_close(&w[i]);
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
    for (int i = 0; i < 8; i++)
        CHECK_RC(qn_host_dial(w.host[0], "/dnsaddr/a.example", dialled, &w, &why), QN_OK);
    CHECK_RC(qn_host_dial(w.host[0], "/dnsaddr/a.example", dialled, &w, &why), QN_E_LIMIT);
    CHECK_RC(qn_host_dial(w.host[0], "/dnsaddr/a.example/tcp/1", dialled, &w, &why), QN_E_ABSENT);
    world_close(&w);
    CHECK(w.done == 72);
}

int main(void)
{
    if (qn_crypto_init() || signal(SIGPIPE, SIG_IGN) == SIG_ERR) return 1;
    TEST_BEGIN();
    TEST(test_good);
    TEST(test_text);
    TEST(test_texts);
    TEST(test_bad);
    TEST(test_close);
    return TEST_END();
}
