/* test_gossip_net.c - many machines at once: all honest, a fifth silent, a fifth lying. Everybody honest gets every message, nobody honest
 * is ever thought ill of. */
#include "core/base/test.h"
#include "net/gossip/world.h"

/* Pairs of an honest node and a bad one in its mesh, and of these where it thinks well of it. */
static void bad_pairs(const struct world *w, uint32_t *ret_meshed, uint32_t *ret_good)
{
    *ret_meshed = *ret_good = 0;
    for (uint32_t i = 0; i < w->cnt; i++) {
        const struct world_node *n = &w->node[i];
        for (uint32_t k = 0; n->role == WORLD_HONEST && k < n->link_cnt; k++) {
            struct gossip_peer_info info;
            if (w->node[n->link[k].peer].role == WORLD_HONEST ||
                !gossip_peer_info(n->gossip, n->link[k].peer, &info))
                continue;
            *ret_meshed += info.meshed & 1;
            *ret_good += info.mesh_score_milli >= 0;
        }
    }
}

struct plan {
    const char *name;
    uint64_t seed;
    uint32_t nodes, bad, messages, every_ms, dials;
    enum world_role role;
    uint32_t len; /* 0: 1,024 */
};

static void run(struct qn_test_state *t, const struct plan *p)
{
    struct world w;
    uint32_t meshed_before, meshed, good;
    world_new(&w, p->seed, p->nodes, p->dials, p->bad, p->role, p->messages, false);
    if (p->len) w.message_len = p->len;
    world_run(&w, 10000);
    bad_pairs(&w, &meshed_before, &good);
    for (uint32_t i = 0; i < p->messages; i++) {
        world_publish(&w);
        world_run(&w, p->every_ms);
        if (i % 16 == 0) CHECK(world_scores(&w) == 0);
    }
    world_run(&w, 6000);
    struct world_result r = world_result(&w, 0);
    bad_pairs(&w, &meshed, &good);
    CHECK(world_scores(&w) ==
          0); /* nobody honest thinks ill of anybody honest, at any time looked at */
    CHECK(w.drops == 0);
    CHECK(r.missing == 0);
    if (p->bad && p->messages >= 400) CHECK(meshed * 4 < meshed_before);
    printf("%s seed %llu: %u nodes, %u bad, p50 %.0f ms, p99 %.0f, max %.0f, copies %.2f, bad in "
           "meshes %u -> %u, lowest "
           "honest %lld\n",
           p->name, (unsigned long long)p->seed, p->nodes, p->bad, r.p50_ms, r.p99_ms, r.max_ms,
           r.copies, meshed_before, meshed, (long long)w.honest_min);
    world_free(&w);
}

static void test_clean(struct qn_test_state *t)
{
    run(t, &(struct plan){ "clean", 1, 200, 0, 100, 200, 10, WORLD_SILENT, 0 });
}

static void test_silent(struct qn_test_state *t)
{
    run(t, &(struct plan){ "silent", 2, 100, 20, 400, 200, 10, WORLD_SILENT, 0 });
}

static void test_liar(struct qn_test_state *t)
{
    run(t, &(struct plan){ "liars", 3, 100, 20, 400, 200, 10, WORLD_LIAR, 0 });
}

/* Long bodies go to half the mesh at once and to the rest when they still lack them: fewer copies, and nobody takes it for silence. */
static void test_long_bodies(struct qn_test_state *t)
{
    run(t, &(struct plan){ "long bodies", 4, 60, 12, 400, 200, 10, WORLD_SILENT, 20000 });
}

/* Few nodes and few links: the mesh is everybody, samples stay away where an honest peer has no other source. */
static void test_small(struct qn_test_state *t)
{
    for (uint32_t nodes = 2; nodes <= 8; nodes++)
        run(t, &(struct plan){ "small", nodes, nodes, 0, 200, 250, nodes < 4 ? 4 : 12, WORLD_SILENT,
                               0 });
}

/* A thousand, as the figures have it; and a day of slow traffic, in which nobody honest ever falls below 0. */
static void test_many(struct qn_test_state *t)
{
    run(t, &(struct plan){ "many", 4, 1000, 200, 150, 200, 10, WORLD_SILENT, 0 });
    run(t, &(struct plan){ "many", 5, 1000, 200, 150, 200, 10, WORLD_LIAR, 0 });
    for (uint64_t seed = 10; seed < 30; seed++)
        run(t, &(struct plan){ "seeds", seed, 50 + (uint32_t)seed * 4, (uint32_t)seed, 200, 100, 10,
                               seed & 1 ? WORLD_LIAR : WORLD_SILENT, 0 });
    run(t, &(struct plan){ "a day", 6, 40, 0, 8640, 10000, 6, WORLD_SILENT, 0 });
}

int main(void)
{
    TEST_BEGIN();
    TEST(test_clean);
    TEST(test_silent);
    TEST(test_liar);
    TEST(test_long_bodies);
    TEST(test_small);
    if (test_long()) TEST(test_many);
    return TEST_END();
}
