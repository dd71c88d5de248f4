/* test_gossip_score.c - the arithmetic of scores, and the theorem: silent in one active topic, or caught with one invalid message, is below 0
 * whatever it does elsewhere. */
#include "net/gossip/rig.h"

#include <math.h>

static const struct {
    const char *name;
    double half_life_s;
    uint32_t decay;
} parts[] = {
#define SCORE_PART(name, points, cap, half_life_s, decay, doc) { #name, half_life_s, decay },
#include "net/gossip/score.def"
};

static void test_decay(struct qn_test_state *t)
{
    for (size_t i = 0; i < QN_COUNT(parts); i++) {
        double want =
            parts[i].half_life_s > 0 ? 4294967296.0 * pow(2, -1 / parts[i].half_life_s) : 0;
        CHECK(fabs(want - parts[i].decay) < 1);
    }
    struct rig r;
    rig_init(&r);
    rig_peer(&r, 1, true);
    struct peer *p = gossip_peer_get(r.g, 1);
    p->offence = 26u << 16; /* (26 - 6)^2 * 10 */
    gossip_score_refresh(r.g, p);
    CHECK(p->score == -4000000);
    rig_run(&r, 600000);
    CHECK(abs((int)p->offence - (13 << 16)) < 2000);
    rig_run(&r, 24 * 3600 * 1000);
    CHECK(p->offence == 0);
    gossip_free(r.g);
}

static uint64_t rnd(uint64_t *s)
{
    *s ^= *s << 13;
    *s ^= *s >> 7;
    *s ^= *s << 17;
    return *s;
}

/* Any good behaviour at all: times, deliveries, credit of the ledger. */
static void saint(struct rig *r, struct peer *p, uint64_t *s)
{
    p->credit = (int32_t)(rnd(s) % 1000);
    for (uint32_t i = 0; i < r->g->topic_cnt; i++) {
        p->deed[i].first = (uint32_t)(rnd(s) % (40u << 16));
        p->deed[i].graft_ms = r->now_ms - rnd(s) % r->now_ms;
        for (size_t k = 0; k < 5; k++) {
            p->deed[i].minute[k].withheld = (uint16_t)(rnd(s) % 1000);
            p->deed[i].minute[k].brought = p->deed[i].minute[k].withheld;
        }
    }
}

static void test_theorem(struct qn_test_state *t)
{
    struct rig r;
    rig_init(&r);
    rig_run(&r, 7200000);
    rig_peer(&r, 1, true);
    struct peer *p = gossip_peer_get(r.g, 1);
    const struct peer clean = *p;
    CHECK(p->mesh == 7);
    uint64_t s = 99;
    for (int i = 0; i < 20000; i++) {
        uint32_t topic = (uint32_t)(rnd(&s) % 3);
        p->invalid = clean.invalid;
        saint(&r, p, &s);
        gossip_score_refresh(r.g, p);
        CHECK(p->mesh_score >= 0 && p->mesh_score <= LINE_GOOD_MAX);
        gossip_score_sin(r.g, p, SIN_INVALID);
        CHECK(p->mesh_score < 0);
        p->invalid = 0;
        uint16_t withheld = (uint16_t)(8 + rnd(&s) % 1000);
        memset(p->deed[topic].minute, 0, sizeof p->deed[topic].minute);
        p->deed[topic].minute[rnd(&s) % 5].withheld = withheld;
        gossip_score_refresh(r.g, p);
        CHECK(p->mesh_score < 0);
        /* A seventh of the samples brought is not enough either; half of them is. */
        p->deed[topic].minute[0].brought = (uint16_t)(withheld / 7);
        gossip_score_refresh(r.g, p);
        CHECK(p->mesh_score < 0);
        p->deed[topic].minute[0].brought = (uint16_t)(withheld / 2 + 1);
        gossip_score_refresh(r.g, p);
        CHECK(p->mesh_score >= 0);
    }
    gossip_free(r.g);
}

/* What was brought before buys no time to be silent in: eight samples in a row, over ten seconds at least, are enough. One of them brought, or all
 * of them lost in a stall of some seconds, are no silence. */
static void test_streak(struct qn_test_state *t)
{
    struct rig r;
    rig_init(&r);
    rig_run(&r, 7200000);
    rig_peer(&r, 1, true);
    struct peer *p = gossip_peer_get(r.g, 1);
    for (uint32_t i = 0; i < 600; i++) { /* ten minutes without fault */
        gossip_score_sample(r.g, p, r.tx, true);
        rig_run(&r, 1000);
    }
    p->deed[r.tx].first = 40u << 16;
    for (uint32_t i = 0; i < QUIET_CNT; i++)
        gossip_score_sample(r.g, p, r.tx, false);
    gossip_score_refresh(r.g, p);
    CHECK(p->mesh_score >= 0);
    gossip_score_sample(r.g, p, r.tx, true); /* it is back */
    for (uint32_t i = 1; i < QUIET_CNT; i++) {
        rig_run(&r, 2000);
        gossip_score_sample(r.g, p, r.tx, false);
        gossip_score_refresh(r.g, p);
        CHECK(p->mesh_score >= 0);
    }
    gossip_score_sample(r.g, p, r.tx, false);
    gossip_score_refresh(r.g, p);
    CHECK(p->mesh_score < 0 && p->mesh_score > -100000 + 35000);
    gossip_free(r.g);
}

/* The same by behaviour: a peer first with everything in two topics, an echo in the third, and one that brings its share. */
static void test_silent(struct qn_test_state *t)
{
    struct rig r;
    rig_init(&r);
    for (uint32_t p = 1; p <= 8; p++)
        rig_peer(&r, p, true);
    gossip_peer_credit(r.g, 1, 100); /* even a validator */
    uint64_t s = 5;
    for (uint32_t i = 0; i < 400; i++) {
        for (uint32_t p = 1; p <= 8; p++) {
            rig_number(&r, p, r.vote, 100000 + i, 100);
            rig_number(&r, p, r.block, 200000 + i, 100);
        }
        rig_number(&r, 2, r.tx, i, 100);
        uint8_t id[GOSSIP_ID_LEN];
        rig_id(&r, r.tx, i, 100, id);
        rig_run(&r, 100);
        for (uint32_t p = 3; p <= 8; p++) { /* the honest bring what they do not know us to have */
            struct heard h = rig_hear(&r, p);
            if (!(h.messages && h.last_number == i) && rnd(&s) % 16)
                rig_number(&r, p, r.tx, i, 100);
        }
        struct heard h = rig_hear(&r, 1);
        struct say say = { 0 };
        gossip_put_ids(&say.control, GOSSIP_PART_IDONTWANT, NULL, id, 1); /* it claims to have it */
        gossip_put_ids(&say.control, GOSSIP_PART_IHAVE, gossip_topic_wire(r.g, r.tx), id, 1);
        CHECK_RC(rig_say(&r, 1, &say), QN_OK);
        if (h.messages && i % 2) rig_number(&r, 1, r.tx, i, 100); /* echoes what it was sent */
        rig_run(&r, 400);
    }
    struct gossip_peer_info info;
    CHECK(gossip_peer_info(r.g, 1, &info));
    CHECK(info.mesh_score_milli < 0 && !(info.meshed >> r.tx & 1));
    for (uint32_t p = 2; p <= 8; p++)
        CHECK(rig_score(&r, p) >= 0);
    CHECK(gossip_stats(r.g)->withheld > 80);
    gossip_free(r.g);
}

/* Leaving and coming back pays nothing off; a crowd of one address counts, private ranges do not. */
static void test_kept(struct qn_test_state *t)
{
    struct rig r;
    rig_init(&r);
    rig_peer(&r, 1, true);
    r.verdict = GOSSIP_REJECT;
    rig_number(&r, 1, r.tx, 1, 100);
    int64_t before = rig_score(&r, 1);
    CHECK(before < -90000);
    gossip_peer_down(r.g, 1);
    rig_run(&r, 5 * 3600 * 1000);
    rig_peer(&r, 1, true);
    CHECK(rig_score(&r, 1) == before);
    gossip_peer_down(r.g, 1);
    rig_run(&r, 7 * 3600 * 1000);
    rig_peer(&r, 1, true);
    CHECK(rig_score(&r, 1) == 0);
    for (uint32_t p = 10; p < 20; p++) {
        struct gossip_peer_conf conf = { .id = QN_SPAN_OF(p), .ip_group = p < 15 ? 77 : 0 };
        CHECK_RC(gossip_peer_up(r.g, p, &conf), QN_OK);
    }
    CHECK(rig_score(&r, 10) == -4 * 20000 && rig_score(&r, 15) == 0);
    gossip_peer_down(r.g, 14);
    gossip_peer_down(r.g, 13);
    CHECK(rig_score(&r, 10) == 0);
    gossip_peer_fault(r.g, 10);
    CHECK(rig_score(&r, 10) == -10000);
    gossip_free(r.g);
}

/* In an unsampled topic nothing is withheld: who ignores there what we accept is not taken for silent. */
static void test_unsampled(struct qn_test_state *t)
{
    struct rig r;
    rig_init(&r);
    uint32_t topic;
    const struct gossip_topic_conf conf = { "cert", 1000, GOSSIP_VOTE, 1000, false, true, 0 };
    CHECK_RC(gossip_topic_add(r.g, &conf, &topic), QN_OK);
    for (uint32_t p = 1; p <= 8; p++) {
        rig_peer(&r, p, true);
        rig_subscribe(&r, p, topic);
    }
    for (uint32_t i = 0; i < 400; i++) {
        rig_number(&r, 1, topic, i, 100);
        for (uint32_t p = 2; p <= 8; p++) {
            struct gossip_peer_info info;
            CHECK(gossip_peer_info(r.g, p, &info));
            if (info.meshed >> topic & 1) CHECK(rig_hear(&r, p).messages == 1);
        }
        rig_run(&r, 200);
    }
    for (uint32_t p = 1; p <= 8; p++)
        CHECK(rig_score(&r, p) >= 0);
    CHECK(gossip_stats(r.g)->withheld == 0);
    gossip_free(r.g);
}

int main(void)
{
    TEST_BEGIN();
    TEST(test_decay);
    TEST(test_theorem);
    TEST(test_streak);
    TEST(test_silent);
    TEST(test_unsampled);
    TEST(test_kept);
    return TEST_END();
}
