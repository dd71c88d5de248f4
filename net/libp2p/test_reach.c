/* test_reach.c - hosts on loopback that ask each other whether they can be reached: the truth is found, liars are no help, and nobody is
 * made to dial a third for less than it costs. */
#include "net/libp2p/reach.h"

#include "core/env/turns.h"
#include "net/libp2p/autonat.h"
#include "net/libp2p/vframe.h"

#include <signal.h>

#define NODES 5

struct node {
    struct qn_key key;
    struct qn_host *host;
    struct qn_reach *reach;
    uint32_t yes, no; /* changes told */
    struct net_addr addr;
};

struct world {
    struct event_base *base;
    struct node n[NODES];
};

static void changed(void *arg, const struct net_addr *addr)
{
    struct node *n = arg;
    ++*(addr ? &n->yes : &n->no);
    if (addr) n->addr = *addr;
}

static void node_open(struct qn_test_state *t, struct world *w, uint32_t i, const char *listen)
{
    struct node *n = &w->n[i];
    uint8_t seed[32] = { (uint8_t)(i + 1), 9 };
    qn_key_from_seed(seed, &n->key);
    const struct qn_host_conf conf = {
        .base = w->base, .env = qn_env_real(), .key = &n->key, .listen = listen
    };
    CHECK_RC(qn_host_open(&conf, &n->host, NULL), QN_OK);
}

static void reach_open(struct qn_test_state *t, struct world *w, uint32_t i, bool private, bool ask)
{
    struct node *n = &w->n[i];
    const struct qn_reach_conf conf = { .base = w->base,
                                        .env = qn_env_real(),
                                        .host = n->host,
                                        .private = private,
                                        .ask = ask,
                                        .ask_ms = 50,
                                        .changed = changed,
                                        .arg = n };
    CHECK_RC(qn_reach_open(&conf, &n->reach, NULL), QN_OK);
}

static void ignore(void *arg, qn_rc rc, uint32_t peer, const struct qn_why *why)
{
    (void)arg, (void)rc, (void)peer, (void)why;
}

static void connect_to(struct qn_test_state *t, struct world *w, uint32_t from, uint32_t to)
{
    char addr[64];
    snprintf(addr, sizeof addr, "127.0.0.1:%u", qn_host_port(w->n[to].host));
    CHECK_RC(qn_host_dial(w->n[from].host, addr, ignore, NULL, NULL), QN_OK);
}

static void world_close(struct world *w)
{
    for (uint32_t i = 0; i < NODES; i++) {
        qn_reach_close(w->n[i].reach);
        if (w->n[i].host) qn_host_close(w->n[i].host);
    }
    event_base_free(w->base);
}

static struct qn_reach_info info_of(const struct world *w, uint32_t i)
{
    return qn_reach_info(w->n[i].reach);
}

/* One that listens, and asks four others. */
static void test_yes(struct qn_test_state *t)
{
    struct world w = { .base = event_base_new() };
    for (uint32_t i = 0; i < NODES; i++) {
        node_open(t, &w, i, "127.0.0.1:0");
        reach_open(t, &w, i, true, i == 0);
    }
    for (uint32_t i = 1; i < NODES; i++)
        connect_to(t, &w, 0, i);
    UNTIL(&w, w.n[0].yes == 1);
    struct qn_reach_info info = info_of(&w, 0);
    CHECK(info.state == QN_REACH_YES && info.asked == 3 && info.reached == 3);
    CHECK(info.addr.port == qn_host_port(w.n[0].host) && w.n[0].addr.port == info.addr.port);
    uint64_t served = 0;
    for (uint32_t i = 1; i < NODES; i++)
        served += info_of(&w, i).served;
    CHECK(served == 3);
    turns_for(w.base,
              1000); /* who dialled back has gone again: those named for it, and their names */
    CHECK(qn_host_peer_cnt(w.n[0].host) == NODES - 1);
    world_close(&w);
}

/* A router says that a port of ours is mapped, and it is not: nobody is there, or somebody else. Three others try; the address that is good is
 * found all the same. */
static void no(struct qn_test_state *t, bool other)
{
    struct world w = { .base = event_base_new() };
    for (uint32_t i = 0; i < NODES; i++) {
        node_open(t, &w, i, "127.0.0.1:0");
        reach_open(t, &w, i, true, i == 0);
    }
    struct net_addr gone = { net_ip4(127, 0, 0, 1),
                             other ? (uint16_t)qn_host_port(w.n[4].host) : 1 };
    qn_reach_mapped(w.n[0].reach, &gone);
    for (uint32_t i = 1; i < NODES; i++)
        connect_to(t, &w, 0, i);
    UNTIL(&w, info_of(&w, 0).asked == 3);
    struct qn_reach_info info = info_of(&w, 0);
    CHECK(w.n[0].yes == 0 && info.reached == 0 && net_addr_eq(&info.addr, &gone));
    UNTIL(&w, w.n[0].yes == 1);
    CHECK(w.n[0].addr.port == qn_host_port(w.n[0].host));
    world_close(&w);
}

static void test_no(struct qn_test_state *t)
{
    no(t, false);
    no(t, true);
}

/* Bound to all addresses, asked about one that is not where the question comes from: the asker pays with data first. */
static void test_price(struct qn_test_state *t)
{
    struct world w = { .base = event_base_new() };
    node_open(t, &w, 0, "0.0.0.0:0");
    reach_open(t, &w, 0, true, true);
    node_open(t, &w, 1, "127.0.0.1:0");
    reach_open(t, &w, 1, true, false);
    struct net_addr other = { net_ip4(127, 0, 0, 2), (uint16_t)qn_host_port(w.n[0].host) };
    qn_reach_mapped(w.n[0].reach, &other);
    connect_to(t, &w, 0, 1);
    UNTIL(&w, w.n[0].yes == 1);
    CHECK(net_addr_eq(&w.n[0].addr, &other));
    struct qn_peer_info info;
    uint32_t peer = 0;
    CHECK(qn_host_find(w.n[1].host, qn_host_id(w.n[0].host), &peer));
    CHECK(qn_host_peer(w.n[1].host, peer, &info) && info.in_bytes > AUTONAT_DATA_MIN);
    world_close(&w);
}

/* --- bad ones --------------------------------------------------------------------------------------------- */

/* A server that says yes and dials nobody, or writes what it likes. */
struct liar {
    uint32_t asked;
    int how;
};

static void lie(void *arg, struct qn_stream *s, struct qn_span bytes)
{
    struct liar *l = arg;
    struct autonat_message m = { .kind = AUTONAT_RESPONSE,
                                 .status = AUTONAT_OK,
                                 .dial = AUTONAT_DIAL_OK };
    struct qn_buf out = { 0 }, framed = { 0 };
    (void)bytes;
    l->asked++;
    if (l->how == 1)
        m = (struct autonat_message){ .kind = AUTONAT_DATA_REQUEST, .bytes = 1u << 30 };
    if (l->how == 2) m.addr_idx = 77;
    autonat_write(&m, &out);
    qn_vframe_put(&framed, qn_buf_get(&out));
    if (l->how == 3) {
        qn_buf_clear(&framed);
        for (int i = 0; i < 20000; i++)
            qn_buf_u8(&framed, 0xff);
    }
    (void)!qn_stream_write(s, qn_buf_get(&framed));
    if (l->how != 3) qn_stream_finish(s);
    qn_buf_free(&out);
    qn_buf_free(&framed);
}

static const struct qn_stream_ops LIE = { .on_data = lie };

static void test_liars(struct qn_test_state *t)
{
    struct world w = { .base = event_base_new() };
    struct liar liar[NODES] = { 0 };
    for (uint32_t i = 0; i < NODES; i++)
        node_open(t, &w, i, "127.0.0.1:0");
    reach_open(t, &w, 0, true, true);
    for (uint32_t i = 1; i < NODES; i++) {
        const struct qn_proto proto = { .id = QN_REACH_ASK, .ops = &LIE, .arg = &liar[i] };
        liar[i].how = (int)i - 1;
        CHECK_RC(qn_host_proto(w.n[i].host, &proto), QN_OK);
        connect_to(t, &w, 0, i);
    }
    UNTIL(&w, liar[1].asked && liar[2].asked && liar[3].asked && liar[4].asked);
    turns_for(w.base, 1000);
    struct qn_reach_info info = info_of(&w, 0);
    CHECK(w.n[0].yes == 0 && info.state == QN_REACH_UNKNOWN && info.asked == 0);
    CHECK(qn_host_stat(w.n[0].host).blames >= 1); /* the one of garbage */
    world_close(&w);
}

/* Somebody who would have a server dial a third. */
struct amplifier {
    struct world *w;
    uint32_t statuses, reached, refused, rejected, wants_data, closed;
};

static void amp_data(void *arg, struct qn_stream *s, struct qn_span bytes)
{
    struct amplifier *a = arg;
    struct qn_span message;
    struct autonat_message m;
    size_t used;
    if (qn_vframe_take(bytes, 8192, &message, &used) || autonat_read(message, &m)) return;
    a->wants_data += m.kind == AUTONAT_DATA_REQUEST;
    if (m.kind != AUTONAT_RESPONSE) return;
    qn_stream_finish(s);
    a->statuses++;
    a->reached += m.status == AUTONAT_OK && m.dial == AUTONAT_DIAL_OK;
    a->refused += m.status == AUTONAT_REFUSED;
    a->rejected += m.status == AUTONAT_REJECTED;
}

static void amp_close(void *arg, struct qn_stream *s, enum qn_stream_end end)
{
    struct amplifier *a = arg;
    (void)s, (void)end;
    a->closed++;
}

static const struct qn_stream_ops AMP = { .on_data = amp_data, .on_close = amp_close };

static struct qn_stream *amp_ask(struct qn_test_state *t, struct amplifier *a, uint32_t peer,
                                 struct net_ip ip, uint16_t port, bool garbage)
{
    struct autonat_message m = { .kind = AUTONAT_REQUEST, .nonce = 5, .addr_cnt = 1 };
    struct net_addr addr = { ip, port };
    struct qn_buf out = { 0 }, framed = { 0 };
    struct qn_stream *s = NULL;
    m.addr[0] = kad_addr_of(&addr);
    CHECK_RC(qn_host_stream(a->w->n[0].host, peer, QN_REACH_ASK, QN_NET_REQUEST, &AMP, a, &s),
             QN_OK);
    autonat_write(&m, &out);
    if (garbage) qn_buf_u8(&out, 0xff);
    qn_vframe_put(&framed, qn_buf_get(&out));
    CHECK_RC(qn_stream_write(s, qn_buf_get(&framed)), QN_OK);
    qn_buf_free(&out);
    qn_buf_free(&framed);
    return s;
}

static void test_amplifier(struct qn_test_state *t)
{
    struct world w = { .base = event_base_new() };
    struct amplifier a = { .w = &w };
    uint32_t peer = 0;
    for (uint32_t i = 0; i < 3; i++)
        node_open(t, &w, i, i == 2 ? "127.0.0.3:0" : "127.0.0.1:0");
    reach_open(t, &w, 1, true, false);
    uint16_t victim = (uint16_t)qn_host_port(w.n[2].host);
    connect_to(t, &w, 0, 1);
    UNTIL(&w, qn_host_find(w.n[0].host, qn_host_id(w.n[1].host), &peer) &&
                  qn_host_speaks(w.n[0].host, peer, QN_REACH_ASK));
    /* It names the victim and sends nothing of what is due. */
    struct qn_stream *s = amp_ask(t, &a, peer, net_ip4(127, 0, 0, 3), victim, false);
    UNTIL(&w, a.wants_data == 1);
    /* A second at the same time, and many more: two a minute are heard. */
    amp_ask(t, &a, peer, net_ip4(127, 0, 0, 3), victim, false);
    UNTIL(&w, a.rejected == 1);
    qn_stream_reset(s);
    UNTIL(&w, a.closed == 2);
    for (uint32_t i = 0; i < 20; i++) {
        uint32_t closed = a.closed;
        struct qn_stream *one = amp_ask(t, &a, peer, net_ip4(127, 0, 0, 3), victim, false);
        uint32_t had = a.statuses + a.wants_data;
        UNTIL(&w, a.statuses + a.wants_data > had);
        if (a.closed == closed) qn_stream_reset(one); /* else it is gone */
    }
    CHECK(a.wants_data == 2 && a.rejected == 20);
    /* What cannot be read costs its sender. */
    amp_ask(t, &a, peer, net_ip4(127, 0, 0, 3), victim, true);
    UNTIL(&w, qn_host_stat(w.n[1].host).blames == 1);
    turns_for(w.base, 1000);
    CHECK(qn_host_stat(w.n[2].host).accepted == 0 && info_of(&w, 1).served == 0);
    world_close(&w);
}

/* One that is slow to answer the number, as js-libp2p is: the end must not come before the answer, or it drops the number. */
struct slow {
    struct qn_stream *s;
    uint32_t ended;
};

static void slow_data(void *arg, struct qn_stream *s, struct qn_span bytes)
{
    struct slow *slow = arg;
    if (bytes.len) slow->s = s;
}

static void slow_finish(void *arg, struct qn_stream *s)
{
    struct slow *slow = arg;
    (void)s;
    slow->ended++;
}

static const struct qn_stream_ops SLOW = { .on_data = slow_data, .on_finish = slow_finish };

static void test_slow(struct qn_test_state *t)
{
    struct world w = { .base = event_base_new() };
    struct amplifier a = { .w = &w };
    struct slow slow = { 0 };
    const struct qn_proto back = { .id = QN_REACH_BACK, .ops = &SLOW, .arg = &slow };
    uint32_t peer = 0;
    node_open(t, &w, 0, "127.0.0.1:0");
    node_open(t, &w, 1, "127.0.0.1:0");
    CHECK_RC(qn_host_proto(w.n[0].host, &back), QN_OK);
    reach_open(t, &w, 1, true, false);
    connect_to(t, &w, 0, 1);
    UNTIL(&w, qn_host_find(w.n[0].host, qn_host_id(w.n[1].host), &peer) &&
                  qn_host_speaks(w.n[0].host, peer, QN_REACH_ASK));
    amp_ask(t, &a, peer, net_ip4(127, 0, 0, 1), (uint16_t)qn_host_port(w.n[0].host), false);
    UNTIL(&w, slow.s);
    turns_for(w.base, 1500);
    CHECK(slow.ended == 0 && a.statuses == 0);
    static const uint8_t OK[] = { 0 };
    CHECK_RC(qn_stream_write(slow.s, QN_SPAN(OK, 1)), QN_OK);
    UNTIL(&w, slow.ended == 1);
    qn_stream_finish(slow.s);
    UNTIL(&w, a.reached == 1);
    world_close(&w);
}

/* On the internet nobody is dialled inside a house, and none of its addresses is put to others as ours. */
static void test_ranges(struct qn_test_state *t)
{
    struct world w = { .base = event_base_new() };
    struct amplifier a = { .w = &w };
    uint32_t peer = 0;
    for (uint32_t i = 0; i < 3; i++)
        node_open(t, &w, i, "0.0.0.0:0");
    reach_open(t, &w, 1, false, false);
    reach_open(t, &w, 2, false, true);
    connect_to(t, &w, 0, 1);
    connect_to(t, &w, 2, 1);
    UNTIL(&w, qn_host_find(w.n[0].host, qn_host_id(w.n[1].host), &peer) &&
                  qn_host_speaks(w.n[0].host, peer, QN_REACH_ASK));
    static const uint8_t INSIDE[][4] = { { 127, 0, 0, 1 },  { 10, 0, 0, 1 },    { 192, 168, 1, 1 },
                                         { 172, 16, 0, 1 }, { 169, 254, 1, 1 }, { 224, 0, 0, 1 },
                                         { 0, 0, 0, 0 } };
    for (uint32_t i = 0; i < QN_COUNT(INSIDE); i++) {
        const uint8_t *b = INSIDE[i];
        amp_ask(t, &a, peer, net_ip4(b[0], b[1], b[2], b[3]), (uint16_t)qn_host_port(w.n[2].host),
                false);
        UNTIL(&w, a.refused == i + 1);
    }
    turns_for(w.base, 1500);
    CHECK(info_of(&w, 1).served == 0);
    struct qn_reach_info info =
        info_of(&w, 2); /* it had time to ask, and nothing fit to ask about */
    CHECK(info.state == QN_REACH_UNKNOWN && info.asked == 0 && info.addr.port == 0);
    world_close(&w);
}

/* A dial-back that nobody waits for is refused; closing with everything under way leaves nothing behind (sanitizers look). */
static void test_close(struct qn_test_state *t)
{
    struct world w = { .base = event_base_new() };
    struct amplifier a = { .w = &w };
    struct qn_stream *s;
    uint32_t peer = 0;
    for (uint32_t i = 0; i < NODES; i++) {
        node_open(t, &w, i, "127.0.0.1:0");
        reach_open(t, &w, i, true, true);
    }
    for (uint32_t i = 1; i < NODES; i++)
        connect_to(t, &w, 0, i);
    UNTIL(&w, qn_host_find(w.n[0].host, qn_host_id(w.n[1].host), &peer) &&
                  qn_host_speaks(w.n[0].host, peer, QN_REACH_BACK));
    CHECK_RC(qn_host_stream(w.n[0].host, peer, QN_REACH_BACK, QN_NET_CONTROL, &AMP, &a, &s), QN_OK);
    UNTIL(&w, a.closed == 1);
    UNTIL(&w, info_of(&w, 1).served + info_of(&w, 0).served > 0); /* in the middle of it */
    world_close(&w);
}

int main(void)
{
    if (qn_crypto_init() || signal(SIGPIPE, SIG_IGN) == SIG_ERR) return 1;
    TEST_BEGIN();
    TEST(test_yes);
    TEST(test_no);
    TEST(test_price);
    TEST(test_liars);
    TEST(test_amplifier);
    TEST(test_slow);
    TEST(test_ranges);
    TEST(test_close);
    return TEST_END();
}
