/* test_gossip_churn.c - a day of peers that come and go, some far, some slow, all honest: nobody ever thinks ill of anybody, nobody is dropped, and who is
 * there gets what is said. */
#include "core/base/test.h"
#include "net/gossip/world.h"

enum { NODES = 24, DIALS = 5, SAY_MS = 5000, MINUTE_MS = 60000 };

/* Who is away, and until when. */
struct day {
    struct world w;
    uint64_t back_us[NODES];
    uint32_t left, returned;
};

static void dial(struct day *d, uint32_t node, uint32_t cnt)
{
    for (uint32_t i = 0; i < 4 * cnt && d->w.node[node].link_cnt < cnt; i++) {
        uint32_t to = (uint32_t)(world_rand(&d->w) % NODES);
        if (d->back_us[to] == 0) world_connect(&d->w, node, to);
    }
}

static void leave(struct day *d, uint32_t node, uint64_t ms)
{
    struct world_node *n = &d->w.node[node];
    if (d->back_us[node]) return;
    d->back_us[node] = d->w.now_us + ms * 1000;
    d->left++;
    while (n->link_cnt)
        world_cut(&d->w, node, n->link[n->link_cnt - 1].peer);
}

/* A minute's comings and goings: one leaves for a time between a moment (a connection that broke) and half an hour, at times many at once (a
 * partition, a release); links break; who has too few dials. */
static void churn(struct day *d)
{
    static const uint64_t AWAY_MS[] = { 1000, 30000, 90000, 600000, 1800000 };
    struct world *w = &d->w;
    for (uint32_t i = 0; i < NODES; i++)
        if (d->back_us[i] && d->back_us[i] <= w->now_us) {
            d->back_us[i] = 0;
            d->returned++;
            dial(d, i, DIALS);
        }
    uint32_t cnt = world_rand(w) % 60 == 0 ? NODES / 3 : world_rand(w) % 2 == 0;
    while (cnt--) {
        uint32_t node = (uint32_t)(world_rand(w) % NODES);
        leave(d, node, AWAY_MS[world_rand(w) % QN_COUNT(AWAY_MS)]);
    }
    for (uint32_t i = 0; i < NODES; i++) {
        struct world_node *n = &w->node[i];
        if (n->link_cnt && world_rand(w) % 20 == 0)
            world_cut(w, i, n->link[world_rand(w) % n->link_cnt].peer);
        if (!d->back_us[i]) dial(d, i, DIALS);
    }
}

/* Of who is there all the time from a message's leaving until two minutes later. */
static bool there(const struct day *d, uint32_t node, const uint64_t away_us[NODES])
{
    return d->back_us[node] == 0 && away_us[node] == 0;
}

static void run(struct qn_test_state *t, uint64_t seed, uint64_t minutes)
{
    struct day *d = calloc(1, sizeof *d);
    struct world *w = &d->w;
    uint32_t per_minute = MINUTE_MS / SAY_MS;
    uint64_t due = 0, missed = 0;
    world_new(w, seed, NODES, DIALS, 0, WORLD_HONEST, (uint32_t)(minutes * per_minute), false);
    for (uint32_t i = 0; i < NODES; i++) {
        /* far: up to 0.6 s one way, to everybody (a satellite has 0.3); slow: 1 Mbit/s. At 0.8 s a withheld sample is at times brought too late. */
        if (i % 8 == 0) w->node[i].far = 3;
        if (i % 8 == 1) w->node[i].slow = 100;
    }
    for (uint32_t i = 0; i < NODES; i++) /* again, as they are now */
        while (w->node[i].link_cnt)
            world_cut(w, i, w->node[i].link[0].peer);
    for (uint32_t i = 0; i < NODES; i++)
        dial(d, i, DIALS);
    world_run(w, MINUTE_MS);
    for (uint64_t m = 0; m < minutes; m++) {
        uint64_t away_us[NODES];
        uint32_t first = w->message_cnt;
        churn(d);
        memcpy(away_us, d->back_us, sizeof away_us);
        world_run(w, 10000); /* those who came are known */
        for (uint32_t i = 0; i < per_minute - 2; i++) {
            world_publish(w);
            world_run(w, SAY_MS);
        }
        CHECK(world_scores(w) == 0);
        for (uint32_t i = 0; i < NODES; i++)
            for (uint32_t k = first; k + 2 < w->message_cnt; k++) { /* the last are on their way */
                if (!there(d, i, away_us) || !there(d, w->origin[k], away_us)) continue;
                due++;
                missed += w->took_us[(size_t)k * w->cnt + i] == 0;
            }
    }
    printf("seed %llu: %llu virtual hours, %u left, %u came back, %llu of %llu deliveries missing, "
           "lowest honest score %lld, drops %u\n",
           (unsigned long long)seed, (unsigned long long)(minutes / 60), d->left, d->returned,
           (unsigned long long)missed, (unsigned long long)due, (long long)w->honest_min, w->drops);
    CHECK(w->honest_min >= 0 && w->drops == 0);
    CHECK(d->left > minutes / 4 && d->returned > minutes / 8);
    CHECK(due > 0 && missed * 1000 <= due);
    world_free(w);
    free(d);
}

static void test_day(struct qn_test_state *t)
{
    run(t, 1, test_long() ? 24 * 60 : 6 * 60);
    if (test_long())
        for (uint64_t seed = 2; seed < 6; seed++)
            run(t, seed, 24 * 60);
}

int main(void)
{
    TEST_BEGIN();
    TEST(test_day);
    return TEST_END();
}
