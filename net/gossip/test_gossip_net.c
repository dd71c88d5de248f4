/* test_gossip_net.c - many machines at once: all honest, a fifth silent, a fifth lying. Everybody honest gets every message, nobody honest
 * is ever thought ill of. */
#include "core/base/test.h"
#include "net/gossip/world.h"

static void run(struct qn_test_state *t, uint64_t seed, uint32_t cnt, uint32_t bad_cnt,
                enum world_role bad, uint32_t messages, const char *name)
{
    struct world w;
    world_new(&w, seed, cnt, 10, bad_cnt, bad, messages, false);
    world_run(&w, 20000);
    for (uint32_t i = 0; i < messages; i++) {
        world_publish(&w);
        world_run(&w, 200);
        if (i % 16 == 0) CHECK(world_scores(&w) == 0);
    }
    world_run(&w, 6000);
    struct world_result r = world_result(&w, 0);
    CHECK(world_scores(&w) == 0);
    CHECK(r.missing == 0);
    CHECK(w.drops == 0);
    printf("%s: %u nodes, %u bad, p50 %.0f ms, p99 %.0f, max %.0f, copies %.2f, lowest honest "
           "%lld, events %llu\n",
           name, cnt, bad_cnt, r.p50_ms, r.p99_ms, r.max_ms, r.copies, (long long)w.honest_min,
           (unsigned long long)w.events);
    world_free(&w);
}

static void test_clean(struct qn_test_state *t)
{
    run(t, 1, 200, 0, WORLD_SILENT, 100, "clean");
}

static void test_silent(struct qn_test_state *t)
{
    run(t, 2, 200, 40, WORLD_SILENT, 300, "silent");
}

static void test_liar(struct qn_test_state *t)
{
    run(t, 3, 200, 40, WORLD_LIAR, 300, "liars");
}

int main(void)
{
    TEST_BEGIN();
    TEST(test_clean);
    TEST(test_silent);
    TEST(test_liar);
    return TEST_END();
}
