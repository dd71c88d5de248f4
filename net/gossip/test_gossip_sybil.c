/* test_gossip_sybil.c - sybils that behave: four for each honest node, they relay like anybody, earn what can be earned, and then fall silent or
 * attack, all at once (covert flash); or they pass on everything but what one node says (censoring one). */
#include "core/base/test.h"
#include "net/gossip/state.h"
#include "net/gossip/world.h"

enum { HONEST = 10, SYBILS = 4 * HONEST, ALL = HONEST + SYBILS, RATE = 9 };

/* Sybils in the meshes of honest nodes, and how many of these meshes are not mostly honest. */
static uint32_t sybils_meshed(const struct world *w, uint32_t *ret_taken)
{
    uint32_t sum = 0;
    *ret_taken = 0;
    for (uint32_t i = 0; i < HONEST; i++) {
        const struct world_node *n = &w->node[i];
        uint32_t honest = 0, sybils = 0;
        for (uint32_t k = 0; k < n->link_cnt; k++) {
            struct gossip_peer_info info;
            if (!gossip_peer_info(n->gossip, n->link[k].peer, &info) || !(info.meshed & 1))
                continue;
            n->link[k].peer < HONEST ? honest++ : sybils++;
        }
        *ret_taken += sybils >= honest;
        sum += sybils;
    }
    return sum;
}

/* Each honest node found six honest ones; chance gives it sybils besides. */
static void open_world(struct world *w, uint64_t seed, enum world_role role, uint32_t messages)
{
    world_new(w, seed, ALL, 10, SYBILS, role, messages, false);
    for (uint32_t i = 0; i < HONEST; i++)
        for (uint32_t k = 1; k <= 3; k++)
            world_connect(w, i, (i + k) % HONEST);
    world_run(w, 10000);
}

static void talk(struct world *w, uint32_t seconds)
{
    for (uint32_t i = 0; i < seconds * RATE; i++) {
        world_publish(w);
        world_run(w, 1000 / RATE);
    }
}

static void flash(struct qn_test_state *t, uint64_t seed, enum world_role role)
{
    const uint32_t before_s = 320, beats_s = 60 * BEAT_MS / 1000;
    struct world w;
    uint32_t before, meshed, later, taken_before, taken, taken_later;
    open_world(&w, seed, WORLD_COVERT, (before_s + 3 * beats_s) * RATE);
    talk(&w, before_s); /* longer than scores look back */
    before = sybils_meshed(&w, &taken_before);
    CHECK(taken_before * 2 >= HONEST && world_scores(&w) == 0);
    for (uint32_t i = HONEST; i < ALL; i++)
        w.node[i].role = role;
    const uint32_t first = w.message_cnt;
    talk(&w, beats_s);
    meshed = sybils_meshed(&w, &taken);
    CHECK(meshed * 3 < before * 2 && taken * 5 <= HONEST); /* mostly the honest ones' again */
    talk(&w, 2 * beats_s);
    later = sybils_meshed(&w, &taken_later); /* those kept in reserve have had their turn */
    CHECK(later <= HONEST && taken_later * 5 <= HONEST);
    world_run(&w, 6000);
    struct world_result r = world_result(&w, first);
    CHECK(r.missing == 0); /* nothing that was said since then got lost */
    CHECK(world_scores(&w) == 0 && w.drops == 0);
    printf("flash seed %llu: sybils in meshes %u (mostly: %u) -> %u (%u) in 60 beats -> %u (%u), "
           "p99 %.0f ms, max %.0f\n",
           (unsigned long long)seed, before, taken_before, meshed, taken, later, taken_later,
           r.p99_ms, r.max_ms);
    world_free(&w);
}

/* Who attacks does all that the silent do and more: a sanitizer's build, in which each takes 20 s, sees those alone. */
#ifdef QN_SANITIZED
static const enum world_role FLASH[] = { WORLD_LIAR };
#else
static const enum world_role FLASH[] = { WORLD_SILENT, WORLD_LIAR };
#endif

static void test_flash(struct qn_test_state *t)
{
    for (size_t i = 0; i < QN_COUNT(FLASH); i++)
        for (uint64_t seed = 1; seed <= (test_long() ? 20 : 1); seed++)
            flash(t, seed, FLASH[i]);
}

/* What the victim says reaches all honest nodes within a few beats: short messages go to all its peers, long ones to its mesh, which is mostly the
 * censors', and by name to some of the others, who ask for them. */
static void test_censor(struct qn_test_state *t)
{
    for (uint64_t seed = 1; seed <= (test_long() ? 20 : 1); seed++)
        for (uint32_t len = 1024; len <= 2 * FLOOD_MAX; len += 2 * FLOOD_MAX - 1024) {
            struct world w;
            uint32_t taken;
            open_world(&w, seed, WORLD_CENSOR, 1000);
            w.victim = 3;
            talk(&w, 60);
            const uint32_t first = w.message_cnt;
            w.message_len = len;
            for (uint32_t i = 0; i < 40; i++) {
                world_publish_from(&w, w.victim);
                world_run(&w, 1000);
            }
            world_run(&w, 6000);
            struct world_result r = world_result(&w, first);
            CHECK(r.missing == 0 && r.max_ms < 10 * BEAT_MS);
            CHECK(world_scores(&w) == 0 && w.drops == 0);
            uint32_t sybils = sybils_meshed(&w, &taken);
            printf("censored seed %llu, %u bytes: p50 %.0f ms, p99 %.0f, max %.0f; %u sybils in "
                   "meshes\n",
                   (unsigned long long)seed, len, r.p50_ms, r.p99_ms, r.max_ms, sybils);
            world_free(&w);
        }
}

int main(void)
{
    TEST_BEGIN();
    TEST(test_flash);
    TEST(test_censor);
    return TEST_END();
}
