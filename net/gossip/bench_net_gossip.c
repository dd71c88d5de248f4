/* bench_net_gossip.c - what a message costs two machines in memory, and how long one takes through a thousand in virtual time, held against
 * the way of light: one-way delay between two nodes at random. JSON lines. */
#include "net/gossip/world.h"

#include <stdio.h>
#include <time.h>

/* Time of this process, so that neighbours on the machine do not count: both ends run on one core. */
static uint64_t cpu_us(void)
{
    struct timespec ts;
    int rc = clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
    QN_ASSERT(rc == 0);
    return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

struct end {
    struct gossip *g;
    uint64_t got;
};

static enum gossip_verdict deliver(void *self, uint32_t topic, uint32_t peer, uint64_t handle,
                                   struct qn_span data)
{
    struct end *e = self;
    (void)topic, (void)peer, (void)handle, (void)data;
    e->got++;
    return GOSSIP_ACCEPT;
}

static void wake(void *self, uint32_t peer)
{
    (void)self, (void)peer;
}

/* Everything that a's queue for b holds, over. */
static void carry(struct end *a, struct end *b, struct qn_buf *wire)
{
    enum gossip_class class;
    for (qn_buf_clear(wire); gossip_pull(a->g, 0, wire, &class); qn_buf_clear(wire)) {
        qn_rc rc = gossip_recv(b->g, 0, qn_buf_get(wire));
        QN_ASSERT(rc == QN_OK);
    }
}

/* Both ends on one core: publish, frame, read, find new, hash, accept, cache. */
static void two(size_t len, uint32_t cnt)
{
    struct end end[2] = { 0 };
    struct qn_buf wire = { 0 };
    uint32_t topic = 0;
    uint64_t now_ms = 1000;
    for (int i = 0; i < 2; i++) {
        struct gossip_conf conf = { .hooks = { &end[i], deliver, wake, NULL, NULL, NULL } };
        struct gossip_topic_conf tx = { "tx", GOSSIP_DATA_MAX, GOSSIP_TX, 1000, false, false, 0 };
        struct gossip_peer_conf peer = { .id = QN_SPAN_STR("other"),
                                         .outbound = i == 0,
                                         .speaks_12 = true };
        end[i].g = gossip_new(&conf, now_ms);
        qn_rc rc = gossip_topic_add(end[i].g, &tx, &topic);
        rc = rc ? rc : gossip_peer_up(end[i].g, 0, &peer);
        QN_ASSERT(rc == QN_OK);
    }
    for (int i = 0; i < 6; i++)
        carry(&end[i & 1], &end[!(i & 1)], &wire);
    uint8_t *body = calloc(1, len);
    QN_ASSERT(body != NULL);
    uint64_t start = cpu_us();
    for (uint32_t i = 0; i < cnt; i++) {
        memcpy(body, &i, sizeof i);
        qn_rc rc = gossip_publish(end[0].g, topic, QN_SPAN(body, len));
        QN_ASSERT(rc == QN_OK);
        if (len > 8192 || i % 16 == 15) carry(&end[0], &end[1], &wire);
        if (i % 1024 == 1023) { /* time passes as it would: beats come */
            now_ms = 1000 + (cpu_us() - start) / 1000;
            (void)gossip_turn(end[0].g, now_ms);
            (void)gossip_turn(end[1].g, now_ms);
            carry(&end[1], &end[0], &wire);
        }
    }
    carry(&end[0], &end[1], &wire);
    uint64_t us = cpu_us() - start;
    QN_ASSERT(end[1].got == cnt);
    double rate = (double)cnt * 1e6 / (double)us;
    /* No peer: js is raced over a transport, in core/net/bench_net_gossip_host.c. */
    printf("{\"name\":\"gossip_two_%zu\",\"value\":%.0f,\"unit\":\"msg/s\"}\n", len, rate);
    for (int i = 0; i < 2; i++)
        gossip_free(end[i].g);
    qn_buf_free(&wire);
    free(body);
}

/* p99 of one-way delay between nodes at random: as fast as anything can be. */
static double light_p99(struct world *w)
{
    enum { PAIRS = 20000 };
    uint32_t *us = malloc(PAIRS * sizeof *us);
    QN_ASSERT(us != NULL);
    for (int i = 0; i < PAIRS; i++) {
        const struct world_node *a = &w->node[world_rand(w) % w->cnt],
                                *b = &w->node[world_rand(w) % w->cnt];
        double dx = a->x - b->x, dy = a->y - b->y;
        us[i] = 5000 + (uint32_t)(134000 * world_sqrt(dx * dx + dy * dy + 1e-12));
    }
    qsort(us, PAIRS, sizeof *us, world_u32_cmp);
    double ms = us[PAIRS - PAIRS / 100] / 1000.0;
    free(us);
    return ms;
}

static double many(const char *name, uint32_t nodes, uint32_t bad, enum world_role role,
                   uint32_t len, uint32_t messages, double clean_ms, bool no_sampling)
{
    struct world w;
    world_new(&w, 42, nodes, 10, bad, role, messages, no_sampling);
    w.message_len = len;
    world_run(&w, 15000);
    uint32_t warm = bad ? messages / 2 : 0; /* scores settle first */
    for (uint32_t i = 0; i < messages; i++) {
        world_publish(&w);
        world_run(&w, len > 8192 ? 1500 : 300);
    }
    world_run(&w, 6000);
    struct world_result r = world_result(&w, warm);
    double light = light_p99(&w);
    printf("{\"name\":\"gossip_%s_p99\",\"value\":%.0f,\"unit\":\"ms\",\"limit\":%.0f,\"limit_"
           "ratio\":%.2f",
           name, r.p99_ms, light, r.p99_ms / light);
    if (clean_ms > 0)
        printf(",\"peer\":\"the same network, all honest\",\"peer_value\":%.0f,\"ratio\":%.2f",
               clean_ms, r.p99_ms / clean_ms);
    printf("}\n{\"name\":\"gossip_%s_p50\",\"value\":%.0f,\"unit\":\"ms\"}\n", name, r.p50_ms);
    printf(
        "{\"name\":\"gossip_%s_copies\",\"value\":%.2f,\"unit\":\"bodies a message and node\"}\n",
        name, r.copies);
    printf("{\"name\":\"gossip_%s_missing\",\"value\":%llu,\"unit\":\"deliveries\"}\n", name,
           (unsigned long long)r.missing);
    fflush(stdout);
    world_free(&w);
    return r.p99_ms;
}

int main(void)
{
    two(1024, 400000);
    two(65536, 20000);
    double clean = many("1000_nodes", 1000, 0, WORLD_SILENT, 1024, 60, 0, false);
    (void)many("1000_nodes_no_sampling", 1000, 0, WORLD_SILENT, 1024, 60, clean, true);
    (void)many("1000_nodes_200_silent", 1000, 200, WORLD_SILENT, 1024, 120, clean, false);
    (void)many("1000_nodes_200_lying", 1000, 200, WORLD_LIAR, 1024, 120, clean, false);
    (void)many("100_nodes_64k", 100, 0, WORLD_SILENT, 65536, 40, 0, false);
    return 0;
}
