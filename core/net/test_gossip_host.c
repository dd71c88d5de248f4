/* test_gossip_host.c - gossip over real sockets: five hosts in one process, and the other end for tests/peers/gossip.mjs.
 *   test_gossip_host serve COUNT BYTES PEERS     listens, prints {"addr"}, sends COUNT messages of BYTES on "js" once PEERS are in its mesh, counts
 *                                                what comes on it, prints the counts when stdin ends
 *   test_gossip_host px                          the same for tests/peers/px.mjs: on "l" it leaves the topic, on "i" it prints counts */
#include "core/env/turns.h"
#include "core/net/gossip_net.h"
#include "net/libp2p/deaf.h"
#include "net/libp2p/discover.h"
#include "net/libp2p/host.h"

#include <unistd.h>

enum { HOSTS = 5 };

struct node {
    struct qn_key key;
    struct qn_host *host;
    struct qn_gossip *gossip;
    uint32_t topic, got, dialled, bad;
    uint8_t seen[4096];
    uint64_t handle;
    enum gossip_verdict verdict;
    struct qn_discover *discover; /* NULL: what others name is not read */
    int32_t vouch;                /* for all peers, in points */
};

static enum gossip_verdict on_message(void *arg, uint32_t topic, uint32_t peer, uint64_t handle,
                                      struct qn_span data)
{
    struct node *n = arg;
    uint32_t number;
    (void)peer;
    if (topic != n->topic || !qn_take_u32(&data, &number) || number >= sizeof n->seen)
        return GOSSIP_REJECT;
    n->bad += n->seen[number]; /* twice */
    n->seen[number] = 1;
    n->got++;
    n->handle = handle;
    return n->verdict;
}

static void open_host(struct node *n, struct event_base *base, uint8_t seed)
{
    uint8_t s[32] = { seed };
    struct qn_why why = { "" };
    qn_rc rc = qn_crypto_init();
    qn_key_from_seed(s, &n->key);
    const struct qn_host_conf host = {
        .base = base, .env = qn_env_real(), .key = &n->key, .listen = "127.0.0.1:0"
    };
    rc = rc ? rc : qn_host_open(&host, &n->host, &why);
    QN_ASSERT(rc == QN_OK);
}

static int32_t vouch(void *arg, uint32_t peer)
{
    const struct node *n = arg;
    (void)peer;
    return n->vouch;
}

static qn_rc on_px(void *arg, uint32_t from, struct qn_span id, struct qn_span record)
{
    struct node *n = arg;
    return qn_discover_px(n->discover, from, id, record);
}

static void open_gossip(struct node *n, struct event_base *base)
{
    struct qn_why why = { "" };
    const struct qn_gossip_conf conf = { .base = base,
                                         .host = n->host,
                                         .env = qn_env_real(),
                                         .arg = n,
                                         .on_message = on_message,
                                         .credit = vouch,
                                         .on_px = n->discover ? on_px : NULL };
    qn_rc rc = qn_gossip_open(&conf, &n->gossip, &why);
    const struct gossip_topic_conf topic = { "js", 65536, GOSSIP_TX, 1000, false, false, 0 };
    rc = rc ? rc : qn_gossip_topic(n->gossip, &topic, &n->topic);
    QN_ASSERT(rc == QN_OK);
}

static void close_node(struct node *n)
{
    qn_gossip_close(n->gossip);
    qn_host_close(n->host);
}

static void dialled(void *arg, qn_rc rc, uint32_t peer, const struct qn_why *why)
{
    struct node *n = arg;
    (void)peer, (void)why;
    QN_ASSERT(rc == QN_OK);
    n->dialled++;
}

static void send_number(struct node *n, uint32_t number, size_t len)
{
    struct qn_buf b = { 0 };
    qn_buf_u32(&b, number);
    while (b.len < len)
        qn_buf_u8(&b, (uint8_t)b.len);
    qn_rc rc = qn_gossip_publish(n->gossip, n->topic, qn_buf_get(&b));
    QN_ASSERT(rc == QN_OK);
    qn_buf_free(&b);
}

static uint32_t total(const struct node *n, uint32_t but)
{
    uint32_t sum = 0;
    for (uint32_t i = 0; i < HOSTS; i++)
        if (i != but) sum += n[i].got;
    return sum;
}

static void test_hosts(struct qn_test_state *t)
{
    struct event_base *base = event_base_new();
    struct node n[HOSTS];
    memset(n, 0, sizeof n);
    for (uint32_t i = 0; i < HOSTS; i++)
        open_host(&n[i], base, (uint8_t)(i + 1));
    for (uint32_t i = 0; i < HOSTS - 1; i++)
        open_gossip(&n[i], base);
    /* A line: what the first says reaches the last through all others. */
    for (uint32_t i = 1; i < HOSTS; i++) {
        char addr[64];
        snprintf(addr, sizeof addr, "127.0.0.1:%u", qn_host_port(n[i - 1].host));
        CHECK_RC(qn_host_dial(n[i].host, addr, dialled, &n[i], NULL), QN_OK);
    }
    /* The last begins to serve when its neighbour was long refused. */
    UNTIL_ON(base, n[HOSTS - 1].dialled == 1);
    const struct timeval soon = { 0, 100000 };
    event_base_loopexit(base, &soon);
    event_base_dispatch(base);
    open_gossip(&n[HOSTS - 1], base);
    UNTIL_ON(base, gossip_topic_info(qn_gossip_machine(n[0].gossip), n[0].topic).mesh == 1 &&
                       gossip_topic_info(qn_gossip_machine(n[1].gossip), n[1].topic).mesh == 2 &&
                       gossip_topic_info(qn_gossip_machine(n[2].gossip), n[2].topic).mesh == 2 &&
                       gossip_topic_info(qn_gossip_machine(n[3].gossip), n[3].topic).mesh == 2 &&
                       gossip_topic_info(qn_gossip_machine(n[4].gossip), n[4].topic).mesh == 1);
    for (uint32_t i = 0; i < 200; i++)
        send_number(&n[0], i, i * 20); /* all at once: less than a queue holds */
    UNTIL_ON(base, total(n, 0) == 200 * (HOSTS - 1));
    /* Validation that takes its time: nothing passes on before the verdict. */
    n[2].verdict = GOSSIP_LATER;
    send_number(&n[0], 200, 3000);
    UNTIL_ON(base, n[2].got == 201);
    CHECK(n[3].got == 200);
    n[2].verdict = GOSSIP_ACCEPT;
    qn_gossip_verdict(n[2].gossip, n[2].handle, GOSSIP_ACCEPT);
    UNTIL_ON(base, n[4].got == 201);
    for (uint32_t i = 0; i < HOSTS; i++)
        CHECK(n[i].bad == 0);
    /* One goes: the others notice, and go on. */
    close_node(&n[2]);
    UNTIL_ON(base, gossip_topic_info(qn_gossip_machine(n[3].gossip), n[3].topic).mesh == 1);
    send_number(&n[4], 300, 100);
    UNTIL_ON(base, n[3].got == 202);
    for (uint32_t i = 0; i < HOSTS; i++)
        if (i != 2) close_node(&n[i]);
    event_base_loop(base, EVLOOP_NONBLOCK);
    event_base_free(base);
}

static bool subscribed(const struct node *n, const struct node *to)
{
    struct gossip_peer_info info;
    uint32_t peer;
    return qn_host_find(n->host, qn_host_id(to->host), &peer) &&
           gossip_peer_info(qn_gossip_machine(n->gossip), peer, &info) &&
           info.subscribed >> n->topic & 1;
}

/* What one says of its topics is lost with the connection it was said on: it is said again on the one that takes its place. */
static void test_moved(struct qn_test_state *t)
{
    struct event_base *base = event_base_new();
    struct node n[2];
    struct deaf d;
    char addr[64];
    uint32_t peer;
    struct gossip_peer_info info;
    memset(n, 0, sizeof n);
    for (uint8_t i = 0; i < 2; i++) {
        open_host(&n[i], base, (uint8_t)(i + 1));
        open_gossip(&n[i], base);
    }
    deaf_open(&d, base, qn_host_port(n[1].host));
    snprintf(addr, sizeof addr, "127.0.0.1:%u", d.at.port);
    CHECK_RC(qn_host_dial(n[0].host, addr, dialled, &n[0], NULL), QN_OK);
    UNTIL_ON(base, qn_host_find(n[1].host, qn_host_id(n[0].host), &peer) &&
                       gossip_peer_info(qn_gossip_machine(n[1].gossip), peer, &info));
    deaf_now(&d); /* its stream stands; its words do not pass */
    UNTIL_ON(base, subscribed(&n[1], &n[0]));
    CHECK(!subscribed(&n[0], &n[1]));
    snprintf(addr, sizeof addr, "127.0.0.1:%u", qn_host_port(n[1].host));
    CHECK_RC(qn_host_dial(n[0].host, addr, dialled, &n[0], NULL), QN_OK);
    UNTIL_ON(base, subscribed(&n[0], &n[1]) && subscribed(&n[1], &n[0]));
    /* A second stream of one kind counts, the first is reset; whose it was opens another, and has forgotten nothing meanwhile. */
    static const struct qn_stream_ops NOTHING = { 0 };
    struct qn_stream *s;
    CHECK(qn_host_find(n[1].host, qn_host_id(n[0].host), &peer));
    CHECK_RC(
        qn_host_stream(n[1].host, peer, GOSSIP_PROTOCOL_12, QN_NET_CONTROL, &NOTHING, NULL, &s),
        QN_OK);
    const struct timeval soon = { 0, 500000 };
    event_base_loopexit(base, &soon);
    event_base_dispatch(base);
    CHECK(subscribed(&n[0], &n[1]) && subscribed(&n[1], &n[0]));
    for (uint32_t i = 0; i < 2; i++) /* one of them while it has no stream */
        send_number(&n[i], i, 100);
    UNTIL_ON(base, n[0].got == 1 && n[1].got == 1);
    deaf_close(&d);
    for (uint32_t i = 0; i < 2; i++)
        close_node(&n[i]);
    event_base_loop(base, EVLOOP_NONBLOCK);
    event_base_free(base);
}

/* Peer exchange: B and C know A alone. A leaves the topic, names C to B as it does, and B finds C; unless nobody vouched for A. */
static bool has_record(const struct node *n, const struct node *of)
{
    struct qn_peer_info info;
    uint32_t peer;
    return qn_host_find(n->host, qn_host_id(of->host), &peer) &&
           qn_host_peer(n->host, peer, &info) && info.record.len;
}

static bool meshed(const struct node *n, uint32_t want)
{
    return gossip_topic_info(qn_gossip_machine(n->gossip), n->topic).mesh == want;
}

static void test_exchange(struct qn_test_state *t)
{
    for (int32_t points = 0; points <= 100; points += 100) {
        struct event_base *base = event_base_new();
        struct node n[3];
        char addr[64];
        uint32_t peer;
        memset(n, 0, sizeof n);
        for (uint8_t i = 0; i < 3; i++) {
            open_host(&n[i], base, (uint8_t)(i + 1));
            n[i].vouch = points;
            const struct qn_discover_conf dc = { .base = base,
                                                 .env = qn_env_real(),
                                                 .host = n[i].host,
                                                 .proto = "/quoin/00000000/kad/1.0.0",
                                                 .private = true };
            /* The one in the middle serves no table: nothing but its PRUNE tells one of the other. */
            if (i) CHECK_RC(qn_discover_open(&dc, &n[i].discover, NULL), QN_OK);
            open_gossip(&n[i], base);
        }
        snprintf(addr, sizeof addr, "127.0.0.1:%u", qn_host_port(n[0].host));
        for (uint32_t i = 1; i < 3; i++)
            CHECK_RC(qn_host_dial(n[i].host, addr, dialled, &n[i], NULL), QN_OK);
        UNTIL_ON(base, meshed(&n[0], 2) && meshed(&n[1], 1) && meshed(&n[2], 1) &&
                           has_record(&n[0], &n[1]) && has_record(&n[0], &n[2]));
        CHECK(!qn_host_find(n[1].host, qn_host_id(n[2].host), &peer));
        gossip_subscribe(qn_gossip_machine(n[0].gossip), n[0].topic, false);
        const struct gossip_stats *st = gossip_stats(qn_gossip_machine(n[1].gossip));
        UNTIL_ON(base, st->prune_in);
        if (points) {
            UNTIL_ON(base, qn_host_find(n[1].host, qn_host_id(n[2].host), &peer));
            UNTIL_ON(base, meshed(&n[1], 1) && meshed(&n[2], 1));
            send_number(&n[1], 7, 100);
            UNTIL_ON(base, n[2].got == 1);
        } else {
            CHECK(st->px_in == 0 && st->px_unread == 1);
            CHECK(qn_discover_info(n[1].discover).told == 0);
        }
        for (uint32_t i = 0; i < 3; i++) {
            qn_discover_close(n[i].discover);
            close_node(&n[i]);
        }
        event_base_loop(base, EVLOOP_NONBLOCK);
        event_base_free(base);
    }
}

struct serve {
    struct node node;
    struct event_base *base;
    struct event *tick, *end;
    uint32_t count, sent, bytes, peers;
};

static void on_end(evutil_socket_t fd, short what, void *arg)
{
    struct serve *s = arg;
    char c;
    (void)what;
    if (read(fd, &c, 1) <= 0) event_base_loopbreak(s->base);
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
    struct serve *s = arg;
    const struct timeval soon = { 0, 10000 };
    (void)fd, (void)what;
    if (gossip_topic_info(qn_gossip_machine(s->node.gossip), s->node.topic).mesh >= s->peers)
        for (int i = 0; i < 20 && s->sent < s->count; i++)
            send_number(&s->node, s->sent++, s->bytes);
    event_add(s->tick, &soon);
}

static void say_addr(const struct node *n)
{
    struct qn_maddr addr;
    char text[QN_MADDR_TEXT], id[QN_PEER_TEXT_MAX];
    QN_ASSERT(qn_host_addrs(n->host, &addr, 1) == 1);
    qn_maddr_print(&addr, text);
    qn_peer_id_print(qn_host_id(n->host), id);
    printf("{\"addr\":\"%s/p2p/%s\"}\n", text, id);
    fflush(stdout);
}

static int serve(uint32_t count, uint32_t bytes, uint32_t peers)
{
    struct serve s = { .base = event_base_new(), .count = count, .bytes = bytes, .peers = peers };
    open_host(&s.node, s.base, 9);
    open_gossip(&s.node, s.base);
    say_addr(&s.node);
    s.tick = event_new(s.base, -1, 0, on_tick, &s);
    s.end = event_new(s.base, 0, EV_READ | EV_PERSIST, on_end, &s);
    on_tick(-1, 0, &s);
    event_add(s.end, NULL);
    event_base_dispatch(s.base);
    const struct gossip_stats *st = gossip_stats(qn_gossip_machine(s.node.gossip));
    printf("{\"sent\":%u,\"got\":%u,\"twice\":%u,\"rejected\":%llu,\"idontwant_in\":%llu,\"ihave_"
           "in\":%llu,\"mesh\":%u,\"dropped\":%llu}\n",
           s.sent, s.node.got, s.node.bad, (unsigned long long)st->rejected,
           (unsigned long long)st->idontwant_in, (unsigned long long)st->ihave_in,
           gossip_topic_info(qn_gossip_machine(s.node.gossip), s.node.topic).mesh,
           (unsigned long long)st->dropped);
    event_free(s.tick);
    event_free(s.end);
    close_node(&s.node);
    event_base_free(s.base);
    return 0;
}

/* For tests/peers/px.mjs. */
static void on_word(evutil_socket_t fd, short what, void *arg)
{
    struct serve *s = arg;
    char c;
    (void)what;
    if (read(fd, &c, 1) <= 0) event_base_loopbreak(s->base);
    if (c == 'l') gossip_subscribe(qn_gossip_machine(s->node.gossip), s->node.topic, false);
    if (c != 'i') return;
    const struct gossip_stats *st = gossip_stats(qn_gossip_machine(s->node.gossip));
    printf("{\"mesh\":%u,\"peers\":%u,\"in\":%llu,\"out\":%llu,\"unread\":%llu}\n",
           gossip_topic_info(qn_gossip_machine(s->node.gossip), s->node.topic).mesh,
           qn_host_peer_cnt(s->node.host), (unsigned long long)st->px_in,
           (unsigned long long)st->px_out, (unsigned long long)st->px_unread);
    fflush(stdout);
}

static int exchange(void)
{
    struct serve s = { .base = event_base_new(), .node.vouch = 100 };
    open_host(&s.node, s.base, 9);
    const struct qn_discover_conf dc = { .base = s.base,
                                         .env = qn_env_real(),
                                         .host = s.node.host,
                                         .proto = "/quoin/00000000/kad/1.0.0",
                                         .private = true };
    if (qn_discover_open(&dc, &s.node.discover, NULL)) return 1;
    open_gossip(&s.node, s.base);
    say_addr(&s.node);
    s.end = event_new(s.base, 0, EV_READ | EV_PERSIST, on_word, &s);
    event_add(s.end, NULL);
    event_base_dispatch(s.base);
    event_free(s.end);
    qn_discover_close(s.node.discover);
    close_node(&s.node);
    event_base_free(s.base);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "px") == 0) return exchange();
    if (argc == 5 && strcmp(argv[1], "serve") == 0)
        return serve((uint32_t)strtoul(argv[2], NULL, 10), (uint32_t)strtoul(argv[3], NULL, 10),
                     (uint32_t)strtoul(argv[4], NULL, 10));
    TEST_BEGIN();
    TEST(test_hosts);
    TEST(test_moved);
    TEST(test_exchange);
    return TEST_END();
}
