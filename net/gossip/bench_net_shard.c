/* bench_net_shard.c - a 1 MiB proposal to 100 nodes, a fifth of them silent: through the mesh, and as signed pieces over relays. The same
 * network both times (net/gossip/world.h): places, delays, uplinks of 100 Mbit/s, 2 ms to validate. The pieces are real, and each node
 * checks, rebuilds and encodes them again; their cost is in the time. */
#include "core/crypto/hash.h"
#include "net/gossip/shard.h"
#include "net/gossip/world.h"

#include <stdio.h>
#include <time.h>

enum { NODES = 100, SILENT = 20, ROUNDS = 6, BODY = (1 << 20) - 8 };

struct piece_event {
    struct heap_when when; /* t in us */
    uint32_t node, from;
    uint16_t idx;
    bool relay; /* came from the proposer: to be passed on */
};

struct net {
    struct world *world;
    uint64_t free_us[NODES]; /* when its uplink is */
    struct shard_pool *pool[NODES];
    struct heap heap; /* of struct piece_event */
    uint64_t order, bytes;
};

static void push(struct net *n, struct piece_event e)
{
    e.when.tie = n->order++;
    heap_put(&n->heap, &e);
}

/* One piece from a to b, behind what a sends already. */
static void send_piece(struct net *n, uint32_t a, uint32_t b, uint16_t idx, size_t len,
                       uint64_t now_us, bool relay)
{
    const struct world_node *x = &n->world->node[a], *y = &n->world->node[b];
    double dx = x->x - y->x, dy = x->y - y->y;
    uint64_t delay_us = 5000 + (uint64_t)(134000 * world_sqrt(dx * dx + dy * dy + 1e-12));
    n->free_us[a] = QN_MAX(n->free_us[a], now_us) + (len + 80) * 8000000 / n->world->uplink_bps;
    n->bytes += len + 80;
    push(
        n,
        (struct piece_event){
            .when.t = n->free_us[a] + delay_us, .node = b, .from = a, .idx = idx, .relay = relay });
}

static bool honest(void *self, uint32_t epoch, uint64_t view, const struct qn_hash *message,
                   const struct qn_sig *sig)
{
    (void)self, (void)epoch, (void)view, (void)message, (void)sig;
    return true;
}

/* One proposal; took gets the microseconds of each honest node that has it. Returns how many do not. */
static uint32_t round_of(struct net *n, uint32_t proposer, uint64_t view, const uint8_t *body,
                         uint32_t *took, size_t *ret_cnt)
{
    static const struct qn_hash CHAIN = { { 5 } };
    struct shard_set set;
    struct qn_buf wire[SHARD_CNT_MAX] = { { 0 } };
    uint64_t stake[NODES];
    uint16_t relay[SHARD_CNT_MAX];
    uint32_t missing = 0;
    shard_split(&set, 1, view, QN_SPAN(body, BODY));
    unsigned cnt = 2u * set.head.k;
    for (unsigned i = 0; i < NODES; i++) {
        stake[i] = 1000;
        n->free_us[i] = 0;
        n->pool[i] = shard_pool_new(&CHAIN, (struct shard_trust){ NULL, honest });
        shard_pool_turn(n->pool[i], view);
    }
    struct qn_hash seed = qn_h("bench", &view, sizeof view);
    shard_relays(&seed, stake, NODES, proposer, set.head.k, relay);
    bool done[NODES] = { false };
    done[proposer] = true;
    for (unsigned i = 0; i < cnt; i++) {
        shard_put(&set, i, &wire[i]);
        send_piece(n, proposer, relay[i], (uint16_t)i, wire[i].len, 2000, true); /* 2 ms to split */
    }
    while (n->heap.cnt) {
        struct piece_event e;
        heap_pop(&n->heap, &e);
        struct shard_event ev;
        if (n->world->node[e.node].role != WORLD_HONEST) continue;
        struct timespec a, b;
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &a);
        qn_rc rc = shard_pool_recv(n->pool[e.node], qn_buf_get(&wire[e.idx]), &ev);
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &b);
        QN_ASSERT(rc == QN_OK);
        uint64_t cost_us =
            (uint64_t)((b.tv_sec - a.tv_sec) * 1000000 + (b.tv_nsec - a.tv_nsec) / 1000);
        if (ev.fresh && e.relay)
            for (uint32_t k = 1; k < NODES;
                 k++) { /* from its own place on, so that not all begin with the same */
                uint32_t to = (e.node + k) % NODES;
                if (to != proposer)
                    send_piece(n, e.node, to, e.idx, wire[e.idx].len, e.when.t + cost_us, false);
            }
        if (ev.body.len && !done[e.node]) {
            QN_ASSERT(ev.body.len == BODY && memcmp(ev.body.ptr, body, BODY) == 0);
            done[e.node] = true;
            took[(*ret_cnt)++] = (uint32_t)(e.when.t + cost_us + n->world->validate_us);
        }
    }
    for (unsigned i = 0; i < NODES; i++) {
        missing += n->world->node[i].role == WORLD_HONEST && !done[i];
        shard_pool_free(n->pool[i]);
    }
    for (unsigned i = 0; i < cnt; i++)
        qn_buf_free(&wire[i]);
    shard_set_free(&set);
    return missing;
}

static void race(uint32_t silent)
{
    struct world w;
    world_new(&w, 7, NODES, 10, silent, WORLD_SILENT, ROUNDS, false);
    w.message_len = BODY;
    world_run(&w, 15000);
    for (uint32_t i = 0; i < ROUNDS; i++) {
        world_publish(&w);
        world_run(&w, 4000);
    }
    world_run(&w, 6000);
    struct world_result mesh = world_result(&w, 0);

    struct net n = { .world = &w, .heap.size = sizeof(struct piece_event) };
    static uint8_t body[BODY];
    uint32_t *took = malloc(ROUNDS * NODES * sizeof *took), missing = 0;
    size_t cnt = 0;
    QN_ASSERT(took != NULL);
    for (uint32_t i = 0; i < ROUNDS; i++) {
        uint32_t proposer =
            (uint32_t)(world_rand(&w) % (NODES - silent)); /* the silent are the last */
        for (size_t k = 0; k < BODY; k += 8) {
            uint64_t v = world_rand(&w);
            memcpy(body + k, &v, 8);
        }
        missing += round_of(&n, proposer, i + 1, body, took, &cnt);
    }
    qsort(took, cnt, sizeof *took, world_u32_cmp);
    double p50 = took[cnt / 2] / 1000.0, p99 = took[cnt - 1 - cnt / 100] / 1000.0;
    printf("{\"name\":\"shard.1MiB.100.silent%u.p99\",\"value\":%.0f,\"unit\":\"ms\",\"peer\":"
           "\"gossipsub "
           "mesh D = 8, the same network\",\"peer_value\":%.0f,\"ratio\":%.3f}\n",
           silent, p99, mesh.p99_ms, p99 / mesh.p99_ms);
    printf("{\"name\":\"shard.1MiB.100.silent%u.p50\",\"value\":%.0f,\"unit\":\"ms\",\"peer\":"
           "\"gossipsub "
           "mesh D = 8, the same network\",\"peer_value\":%.0f,\"ratio\":%.3f}\n",
           silent, p50, mesh.p50_ms, p50 / mesh.p50_ms);
    printf("{\"name\":\"shard.1MiB.100.silent%u.missing\",\"value\":%u,\"unit\":\"nodes\",\"peer\":"
           "\"mesh\","
           "\"peer_value\":%llu}\n",
           silent, missing, (unsigned long long)mesh.missing);
    fflush(stdout);
    free(took);
    heap_free(&n.heap);
    world_free(&w);
}

int main(void)
{
    race(0);
    race(SILENT);
    return 0;
}
