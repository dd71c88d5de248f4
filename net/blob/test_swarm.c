/* test_swarm.c - one to many, many to one, among liars, the silent and those who leave; and the machine's answers one by one. */
#include "core/base/test.h"
#include "net/blob/swarm_sim.h"

/* One seed, eight who fetch: the seed's uplink must not carry much more than one copy. */
static void test_spread(struct qn_test_state *t)
{
    static const enum sim_kind KIND[9] = { SIM_SEEDS };
    const uint64_t size = (test_long() ? 1024u : 256u) * (uint64_t)BLOB_PIECE, rate = 12500000;
    struct sim *s = malloc(sizeof *s);
    CHECK(sim_run(s, KIND, 9, size, rate, 40000, 1));
    uint64_t last = 0, ideal_us = size * 1000000 / rate;
    for (int i = 1; i < 9; i++)
        last = QN_MAX(last, s->node[i].done_us);
    CHECK(last < 2 * ideal_us);
    for (int i = 1; i < 9; i++) {
        struct swarm_info info = swarm_info(s->node[i].swarm);
        CHECK(info.groups == blob_group_cnt(size));
        CHECK(info.repeated < info.groups / 10);
        CHECK(info.dropped == 0);
        CHECK(s->node[i].sent > 0); /* all of them served as well */
    }
    printf("spread %u MiB to 8: %.2f x size / uplink, seed sent %.2f copies\n",
           (unsigned)(size >> 20), (double)last / (double)ideal_us,
           (double)s->node[0].sent / (double)blob_group_cnt(size));
    sim_free(s);
    free(s);
}

static void test_bad(struct qn_test_state *t)
{
    static const enum sim_kind KIND[10] = { SIM_SEEDS,   SIM_LIES,    SIM_LIES,    SIM_SILENT,
                                            SIM_LEAVES,  SIM_FETCHES, SIM_FETCHES, SIM_FETCHES,
                                            SIM_FETCHES, SIM_SEEDS };
    const uint64_t size = 30 * (uint64_t)BLOB_PIECE + 12345;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct sim *s = malloc(sizeof *s);
        CHECK(sim_run(s, KIND, 10, size, 12500000, 20000, seed));
        for (int i = 5; i < 9; i++) {
            CHECK(swarm_done(s->node[i].swarm));
            CHECK(swarm_info(s->node[i].swarm).groups == blob_group_cnt(size));
            for (uint32_t k = 5; k < 10; k++)
                CHECK(!swarm_dropped(s->node[i].swarm, k));
        }
        CHECK(s->now_us < 60000000);
        sim_free(s);
        free(s);
    }
}

/* More who drip than may be asked at once, and before the seed: each says enough not to be silent. */
static void test_drips(struct qn_test_state *t)
{
    enum sim_kind kind[14];
    const uint64_t size = 60 * (uint64_t)BLOB_PIECE + 12345;
    for (uint64_t seed = 1; seed <= 5; seed++) {
        struct sim *s = malloc(sizeof *s);
        for (int i = 0; i < 14; i++)
            kind[i] = i < 12 ? SIM_DRIPS : i == 12 ? SIM_SEEDS : SIM_FETCHES;
        CHECK(sim_run(s, kind, 14, size, 12500000, 20000, seed));
        CHECK(s->node[13].done_us < 60000000 && swarm_info(s->node[13].swarm).dropped == 0);
        sim_free(s);
        free(s);
    }
    struct sim *slow = malloc(sizeof *slow); /* where there is nobody else it goes on */
    const enum sim_kind two[3] = { SIM_DRIPS, SIM_DRIPS, SIM_FETCHES };
    CHECK(sim_run(slow, two, 3, 2 * (uint64_t)BLOB_PIECE, 12500000, 20000, 1));
    CHECK(slow->node[2].done_us < 400000000 && swarm_info(slow->node[2].swarm).dropped == 0);
    sim_free(slow);
    free(slow);
}

/* A hand-driven machine: what it asked last. */
struct hand {
    struct {
        uint32_t peer, req, cnt;
        struct blob_range range[4];
    } ask[64];
    uint32_t asks, cancels, pieces;
};

static void hand_ask(void *self, uint32_t peer, uint32_t req, const struct blob_range *range,
                     uint32_t cnt)
{
    struct hand *h = self;
    QN_ASSERT(h->asks < 64);
    h->ask[h->asks].peer = peer;
    h->ask[h->asks].req = req;
    h->ask[h->asks].cnt = cnt;
    memcpy(h->ask[h->asks].range, range, QN_MIN(cnt, 4u) * sizeof *range);
    h->asks++;
}

static void hand_cancel(void *self, uint32_t peer, uint32_t req)
{
    struct hand *h = self;
    (void)peer;
    (void)req;
    h->cancels++;
}

static void hand_piece(void *self, uint32_t piece)
{
    struct hand *h = self;
    (void)piece;
    h->pieces++;
}

static struct swarm *by_hand(struct hand *h)
{
    *h = (struct hand){ 0 };
    return swarm_new(5, 100 << 20, (struct swarm_ops){ h, hand_ask, hand_cancel, hand_piece });
}

static void test_size(struct qn_test_state *t)
{
    const uint64_t size = 3 * (uint64_t)BLOB_PIECE + 1;
    const uint8_t all = 0x0f, first = 0x01;
    struct hand h;
    struct swarm *s = by_hand(&h);
    uint64_t got;
    swarm_turn(s, 0);
    CHECK(h.asks == 0 && swarm_info(s).stuck);
    swarm_source(s, 1, size, &first); /* has no end of it */
    swarm_source(s, 2, 101u << 20, &all);
    CHECK(swarm_dropped(s, 2)); /* larger than wanted */
    swarm_source(s, 3, size + 1, &all);
    swarm_source(s, 4, size, &all);
    swarm_source(s, 5, size, &all);
    swarm_turn(s, 0);
    CHECK(h.asks == 2 && h.ask[0].range[0].first == BLOB_LAST && !swarm_size(s, &got));
    uint32_t liar = h.ask[0].peer == 3 ? 0 : 1;
    CHECK(h.ask[liar].peer == 3);
    CHECK(swarm_group(s, h.ask[1 - liar].req, 192, size)); /* the true end */
    CHECK(swarm_size(s, &got) && got == size);
    CHECK(swarm_dropped(s, 3) && !swarm_dropped(s, 1) && !swarm_dropped(s, 5));
    swarm_end(s, h.ask[1 - liar].req, SWARM_OK);
    CHECK(h.pieces == 1); /* the last piece is that one group */
    swarm_turn(s, 10);
    CHECK(h.cancels == 1); /* of the liar's probe */
    CHECK(swarm_bits(s)[0] == 0x08 && swarm_has(s, 192) && !swarm_has(s, 0) && !swarm_has(s, 193));
    CHECK(!swarm_news(s, 5, 4) && swarm_dropped(s, 5));
    swarm_free(s);
}

static void test_failures(struct qn_test_state *t)
{
    const uint64_t size = 2 * (uint64_t)BLOB_PIECE;
    const uint8_t all = 0x03;
    struct hand h;
    struct swarm *s = by_hand(&h);
    swarm_source(s, 1, size, &all);
    swarm_turn(s, 0);
    swarm_group(s, h.ask[0].req, 127, size);
    swarm_end(s, h.ask[0].req, SWARM_OK);
    swarm_turn(s, 1);
    CHECK(h.asks == 3); /* both pieces, the begun one first and without what is here */
    CHECK(h.ask[1].range[0].first == 64 && h.ask[1].range[0].cnt == 63);
    CHECK(h.ask[2].range[0].first == 0 && h.ask[2].range[0].cnt == 64);
    for (uint64_t g = 64; g < 70; g++)
        CHECK(swarm_group(s, h.ask[1].req, g, size));
    CHECK(!swarm_group(s, h.ask[1].req, 66, size) && swarm_info(s).repeated == 1);
    CHECK(!swarm_group(s, h.ask[1].req, 128, size)); /* not of this blob */
    CHECK(!swarm_group(s, 999, 71, size));
    swarm_end(s, h.ask[1].req, SWARM_BUSY);
    swarm_turn(s, 2);
    CHECK(h.asks == 3); /* a second's rest */
    swarm_turn(s, 2 + SWARM_BUSY_MS);
    CHECK(h.asks == 4 && h.ask[3].range[0].first == 70);
    swarm_source(s, 2, size, &all);
    CHECK(swarm_turn(s, 2 + SWARM_BUSY_MS) <= 1 + SWARM_SILENT_MS);
    CHECK(h.asks == 6); /* the last pieces are asked of a second source too */
    swarm_end(s, h.ask[4].req, SWARM_BAD);
    CHECK(swarm_dropped(s, 2));
    swarm_turn(s, 1003);
    CHECK(h.cancels == 1);
    swarm_turn(s, 1 + SWARM_SILENT_MS); /* request 2 never gave a group */
    CHECK(h.cancels == 2 && h.asks == 7 && !swarm_dropped(s, 1));
    swarm_turn(s, 1 + 3 * SWARM_SILENT_MS);
    CHECK(swarm_dropped(s, 1) && swarm_info(s).stuck && swarm_info(s).dropped == 2);
    swarm_source(s, 1, size, &all); /* no second chance while it is here */
    swarm_turn(s, 2 + 3 * SWARM_SILENT_MS);
    CHECK(h.asks == 7);
    swarm_source(s, 3, size, &all);
    swarm_turn(s, 3 + 3 * SWARM_SILENT_MS);
    CHECK(h.asks == 9);
    swarm_gone(s, 3);
    swarm_gone(s, 3);
    swarm_end(s, h.ask[8].req, SWARM_OK);
    CHECK(swarm_info(s).asked == 0);
    swarm_source(s, 4, size, &all);
    swarm_turn(s, 4 + 3 * SWARM_SILENT_MS);
    for (uint32_t i = 9; i < h.asks; i++) {
        for (uint64_t g = h.ask[i].range[0].first, n = 0; n < h.ask[i].range[0].cnt; n++)
            swarm_group(s, h.ask[i].req, g + n, size);
        swarm_end(s, h.ask[i].req, SWARM_OK);
    }
    CHECK(swarm_done(s) && h.pieces == 2);
    swarm_turn(s, 5 + 3 * SWARM_SILENT_MS);
    CHECK(swarm_info(s).asked == 0 && !swarm_info(s).stuck);
    swarm_free(s);
}

/* A way that is silent for once makes all requests late that are on it: the only source keeps its place. Silent twice, it does not. */
static void test_stall(struct qn_test_state *t)
{
    const uint64_t size = 8 * (uint64_t)BLOB_PIECE;
    const uint8_t all = 0xff;
    for (int twice = 0; twice < 2; twice++) {
        struct hand h;
        struct swarm *s = by_hand(&h);
        uint64_t now = 2 * SWARM_SILENT_MS;
        swarm_source(s, 1, size, &all);
        swarm_turn(s, now);
        swarm_group(s, h.ask[0].req, 511, size);
        swarm_end(s, h.ask[0].req, SWARM_OK);
        swarm_turn(s, now);
        CHECK(h.asks == 1 + SWARM_DEPTH);
        for (uint32_t i = 0; i < SWARM_DEPTH; i++) { /* each heard of a little later */
            swarm_turn(s, now + i);
            swarm_group(s, h.ask[1 + i].req, h.ask[1 + i].range[0].first, size);
        }
        for (uint64_t ms = 0; ms < 10; ms++)
            swarm_turn(s, now + SWARM_SILENT_MS + ms);
        CHECK(h.cancels == SWARM_DEPTH && h.asks == 1 + 2 * SWARM_DEPTH && !swarm_dropped(s, 1));
        if (!twice) swarm_group(s, h.ask[h.asks - 1].req, h.ask[h.asks - 1].range[0].first, size);
        swarm_turn(s, now + 2 * SWARM_SILENT_MS + 10);
        CHECK(swarm_dropped(s, 1) == twice);
        swarm_free(s);
    }
}

/* All places are taken by those who lie or are always busy: an honest one that comes later gets one. */
static void test_full(struct qn_test_state *t)
{
    const uint64_t size = 2 * (uint64_t)BLOB_PIECE;
    const uint8_t all = 0x03;
    for (int busy = 0; busy < 2; busy++) {
        struct hand h;
        struct swarm *s = by_hand(&h);
        uint64_t now = 0;
        for (uint32_t peer = 1; peer <= SWARM_KNOWN; peer++)
            swarm_source(s, peer, size, &all);
        swarm_turn(s, now);
        CHECK(h.asks == 2);
        for (uint32_t i = 0; i < h.asks; i++)
            swarm_end(s, h.ask[i].req, busy ? SWARM_BUSY : SWARM_BAD);
        swarm_source(s, 100, size, &all);
        swarm_source(s, 101, size, &all);
        swarm_source(s, 102, size, &all); /* the others may be honest */
        CHECK(swarm_info(s).sources == SWARM_KNOWN);
        h.asks = 0;
        for (int turn = 0; turn < 40; turn++) {
            uint32_t from = h.asks;
            swarm_turn(s, ++now);
            for (uint32_t i = from; i < h.asks; i++)
                if (h.ask[i].peer != 100) swarm_end(s, h.ask[i].req, SWARM_BUSY);
        }
        bool asked = false;
        for (uint32_t i = 0; i < h.asks; i++)
            asked |= h.ask[i].peer == 100;
        CHECK(asked);
        swarm_free(s);
    }
}

static void test_empty(struct qn_test_state *t)
{
    const uint8_t one = 1;
    struct hand h;
    struct swarm *s = by_hand(&h);
    swarm_source(s, 1, 0, &one);
    swarm_turn(s, 0);
    CHECK(h.asks == 1);
    CHECK(swarm_group(s, h.ask[0].req, 0, 0));
    CHECK(swarm_done(s) && h.pieces == 1);
    swarm_free(s);
}

int main(void)
{
    TEST_BEGIN();
    TEST(test_spread);
    TEST(test_bad);
    TEST(test_size);
    TEST(test_failures);
    TEST(test_drips);
    TEST(test_stall);
    TEST(test_full);
    TEST(test_empty);
    return TEST_END();
}
