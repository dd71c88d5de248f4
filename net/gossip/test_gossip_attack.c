/* test_gossip_attack.c - one attacker each: what it can take from us in bytes, memory and manners stays within the budgets. */
#include "net/gossip/rig.h"

/* Asks for everything, again and again: an answer costs it a question, and there are three an id and 1 MiB a beat. */
static void test_iwant(struct qn_test_state *t)
{
    struct rig r;
    rig_init(&r);
    rig_peer(&r, 1, true);
    rig_peer(&r, 66, false);
    enum { BODIES = 100 };
    uint8_t ids[BODIES * GOSSIP_ID_LEN];
    for (uint32_t i = 0; i < BODIES; i++) {
        rig_number(&r, 1, r.tx, i, 30000);
        rig_id(&r, r.tx, i, 30000, ids + i * GOSSIP_ID_LEN);
        rig_hear(&r, 66); /* got it already */
    }
    rig_run(&r, BEAT_MS);
    rig_hear(&r, 66);
    uint64_t beats = 3, bytes = 0, answers = 0;
    for (uint64_t b = 0; b < beats; b++) {
        for (int i = 0; i < 100; i++) {
            struct say s = { 0 };
            gossip_put_ids(&s.control, GOSSIP_PART_IWANT, NULL, ids, BODIES);
            CHECK_RC(rig_say(&r, 66, &s), QN_OK);
            struct heard h = rig_hear(&r, 66);
            bytes += h.bytes;
            answers += h.messages;
        }
        rig_run(&r, BEAT_MS);
    }
    CHECK(bytes <= beats * (IWANT_BYTES + 65536));
    CHECK(answers > 0 && answers <= IWANT_ANSWERS * BODIES);
    CHECK(gossip_stats(r.g)->over_budget > 0);
    gossip_free(r.g);
}

/* Announces what does not exist: 5,000 questions a beat at most, and after a few broken promises none at all. */
static void test_ihave(struct qn_test_state *t)
{
    struct rig r;
    rig_init(&r);
    rig_peer(&r, 66, false);
    rig_hear(&r, 66);
    uint64_t n = 0, asked_late = 0;
    for (int beat = 0; beat < 40; beat++) {
        uint32_t asked = 0;
        for (int rpc = 0; rpc < 30; rpc++) {
            struct say s = { 0 };
            uint8_t ids[1000 * GOSSIP_ID_LEN] = { 0 };
            for (uint32_t i = 0; i < 1000; i++, n++)
                memcpy(ids + i * GOSSIP_ID_LEN, &n, sizeof n);
            gossip_put_ids(&s.control, GOSSIP_PART_IHAVE, gossip_topic_wire(r.g, r.tx), ids, 1000);
            CHECK_RC(rig_say(&r, 66, &s), QN_OK);
            asked += rig_hear(&r, 66).iwant;
        }
        CHECK(asked <= IHAVE_ID_MAX);
        if (beat >= 20) asked_late += asked;
        rig_run(&r, BEAT_MS);
    }
    CHECK(asked_late == 0 && rig_score(&r, 66) < LINE_GOSSIP);
    CHECK(gossip_memory(r.g) < 8u << 20);
    gossip_free(r.g);
}

/* A thousand messages that no honest peer says in one RPC: each may cost a signature, so the first few are looked at, and it goes then, not with
 * the beat. */
static void test_invalid(struct qn_test_state *t)
{
    struct rig r;
    struct say s = { 0 };
    rig_init(&r);
    rig_peer(&r, 66, false);
    r.verdict = GOSSIP_REJECT;
    for (uint32_t i = 0; i < 1000; i++) {
        struct qn_buf b = rig_bytes(i, 100);
        gossip_put_message(&s.rpc, gossip_topic_wire(r.g, r.tx), qn_buf_get(&b));
        qn_buf_free(&b);
    }
    CHECK_RC(rig_say(&r, 66, &s), QN_OK);
    CHECK(gossip_stats(r.g)->delivered < 10);
    CHECK(r.drops == 1);
    /* What others blame it for counts at once as well. */
    rig_peer(&r, 67, false);
    for (int i = 0; i < 6; i++)
        gossip_peer_offence(r.g, 67, 4);
    CHECK(r.drops == 2);
    rig_run(&r, 2 * BEAT_MS);
    CHECK(r.drops == 2);
    gossip_free(r.g);
}

/* Grafts against its back-off: refused, counted, in the end not listened to. */
static void test_graft(struct qn_test_state *t)
{
    struct rig r;
    rig_init(&r);
    for (uint32_t p = 1; p <= 12; p++)
        rig_peer(&r, p, true);
    rig_run(&r, 1000);
    rig_peer(&r, 66, false);
    for (uint32_t p = 1; p <= 12; p++) { /* fill the mesh: all graft us */
        struct say s = { 0 };
        gossip_put_graft(&s.control, gossip_topic_wire(r.g, r.tx));
        CHECK_RC(rig_say(&r, p, &s), QN_OK);
    }
    CHECK(gossip_topic_info(r.g, r.tx).mesh == MESH_HI);
    rig_hear(&r, 66);
    uint32_t pruned = 0;
    for (int i = 0; i < 2000; i++) {
        struct say s = { 0 };
        gossip_put_graft(&s.control, gossip_topic_wire(r.g, r.tx));
        CHECK_RC(rig_say(&r, 66, &s), QN_OK);
        struct heard h = rig_hear(&r, 66);
        pruned += h.prune;
        if (h.prune) CHECK(h.backoff_s == BACKOFF_S);
    }
    struct gossip_peer_info info;
    CHECK(gossip_peer_info(r.g, 66, &info) && !(info.meshed >> r.tx & 1));
    CHECK(info.score_milli < LINE_GRAYLIST && pruned < 20);
    rig_run(&r, 1000);
    CHECK(r.drops == 1); /* the owner is told once */
    /* Unread answers do not pile up: a fresh one grafts 100,000 times and reads nothing. */
    rig_peer(&r, 67, false);
    for (int i = 0; i < 100; i++) {
        struct say s = { 0 };
        for (int k = 0; k < 1000; k++)
            gossip_put_graft(&s.control, gossip_topic_wire(r.g, r.tx));
        CHECK_RC(rig_say(&r, 67, &s), QN_OK);
    }
    CHECK(gossip_peer_info(r.g, 67, &info) && info.queued < 2 * CONTROL_MAX);
    gossip_free(r.g);
}

/* Back-offs that would overflow time (GHSA-gc42-3jg7-rxr2): an hour at most, and we never graft before it is over. */
static void test_backoff(struct qn_test_state *t)
{
    static const uint64_t seconds[] = { UINT64_MAX, UINT64_MAX / 1000, 1ull << 63, 1ull << 32, 0 };
    static const uint64_t starts[] = { 1000000, UINT64_MAX / 4, UINT64_MAX - (1ull << 40) };
    for (size_t at = 0; at < QN_COUNT(starts); at++)
        for (size_t i = 0; i < QN_COUNT(seconds); i++) {
            struct rig r;
            rig_init(&r);
            r.now_ms = starts[at];
            (void)gossip_turn(r.g, r.now_ms);
            rig_peer(&r, 1, true);
            CHECK(gossip_topic_info(r.g, r.tx).mesh == 1);
            struct say s = { 0 };
            gossip_put_prune(&s.control, gossip_topic_wire(r.g, r.tx), seconds[i],
                             QN_SPAN(NULL, 0));
            CHECK_RC(rig_say(&r, 1, &s), QN_OK);
            CHECK(gossip_topic_info(r.g, r.tx).mesh == 0);
            rig_hear(&r, 1);
            uint64_t wait_ms = seconds[i] ? BACKOFF_MAX_S * 1000 : BACKOFF_S * 1000;
            gossip_subscribe(r.g, r.tx, false); /* leaving and coming back is no way around it */
            gossip_subscribe(r.g, r.tx, true);
            gossip_peer_down(r.g, 1);
            rig_peer(&r, 1, true);
            rig_run(&r, wait_ms);
            CHECK(gossip_topic_info(r.g, r.tx).mesh == 0);
            rig_run(&r, 2 * BEAT_MS + 1);
            CHECK(gossip_topic_info(r.g, r.tx).mesh == 1);
            gossip_free(r.g);
        }
}

/* Says of everything that it has it, known or not: its own loss; what is remembered is bounded, and others still get theirs. */
static void test_idontwant(struct qn_test_state *t)
{
    struct rig r;
    rig_init(&r);
    for (uint32_t p = 1; p <= 3; p++)
        rig_peer(&r, p, true);
    size_t before = gossip_memory(r.g);
    uint64_t n = 0;
    for (uint32_t p = 100; p < 300; p++) { /* 200 of them */
        rig_peer(&r, p, false);
        for (int rpc = 0; rpc < 20; rpc++) {
            struct say s = { 0 };
            for (int k = 0; k < 100; k++) {
                uint8_t ids[50 * GOSSIP_ID_LEN] = { 0 };
                for (uint32_t i = 0; i < 50; i++, n++)
                    memcpy(ids + i * GOSSIP_ID_LEN, &n, sizeof n);
                gossip_put_ids(&s.control, GOSSIP_PART_IDONTWANT, NULL, ids, 50);
            }
            CHECK_RC(rig_say(&r, p, &s), QN_OK);
        }
        CHECK(gossip_peer_get(r.g, p)->dontwant_kept <= DONTWANT_PEER);
    }
    CHECK(gossip_peer_get(r.g, 100)->dontwant_kept == DONTWANT_PEER);
    CHECK(r.g->dontwant.gen[0].cnt <= DONTWANT_CNT);
    CHECK(gossip_memory(r.g) - before < 200 * 16384 + (8u << 20));
    rig_number(&r, 1, r.tx, 1, 5000);
    CHECK(rig_hear(&r, 2).messages == 1 || gossip_stats(r.g)->withheld);
    rig_run(&r, 3 * DONTWANT_BEATS * BEAT_MS);
    CHECK(r.g->dontwant.gen[0].cnt == 0 && r.g->dontwant.gen[1].cnt == 0);
    gossip_free(r.g);
}

/* sub_flood (CVE-2026-46679): topics by the million cost us 64 words; the known ones work as before. */
static void test_sub_flood(struct qn_test_state *t)
{
    struct rig r;
    rig_init(&r);
    rig_peer(&r, 1, true);
    struct gossip_peer_conf conf = { .id = QN_SPAN_STR("flood") };
    CHECK_RC(gossip_peer_up(r.g, 66, &conf), QN_OK);
    size_t before = gossip_memory(r.g);
    for (int rpc = 0; rpc < 1000; rpc++) {
        struct say s = { 0 };
        for (int k = 0; k < 1000; k++) {
            char topic[32];
            snprintf(topic, sizeof topic, "/quoin/%d/%d", rpc, k);
            gossip_put_subscribe(&s.rpc, topic, (rpc + k) % 3 != 0);
        }
        CHECK_RC(rig_say(&r, 66, &s), QN_OK);
        if (rpc % 100 == 0) rig_run(&r, BEAT_MS);
    }
    CHECK(gossip_memory(r.g) <= before + 65536);
    CHECK(gossip_peer_get(r.g, 66)->sub_cnt <= SUB_CNT);
    CHECK(gossip_topic_info(r.g, r.tx).peers == 1);
    /* Subscribed before the topic was known: found when it is. */
    struct say s = { 0 };
    gossip_put_subscribe(&s.rpc, "/quoin/00000000/late/1", true);
    CHECK_RC(rig_say(&r, 1, &s), QN_OK);
    uint32_t late;
    struct gossip_topic_conf topic = { "late", 100, GOSSIP_TX, 0, false, false, 0 };
    CHECK_RC(gossip_topic_add(r.g, &topic, &late), QN_OK);
    CHECK(gossip_topic_info(r.g, late).mesh == 1);
    CHECK_RC(gossip_topic_add(r.g, &topic, &late), QN_E_EXISTS);
    gossip_free(r.g);
}

/* A PRUNE that names cnt peers; every other entry is none. */
static void say_px(struct qn_test_state *t, struct rig *r, uint32_t from, uint32_t cnt)
{
    struct say s = { 0 };
    struct qn_buf px = { 0 };
    for (uint32_t i = 0; i < cnt; i++) {
        const struct gossip_px one = { QN_SPAN_OF(i), QN_SPAN_STR("record") };
        qn_buf_put(&px, "\x12\x02\x12\x00\x12\x01\xff", 7); /* nobody; and what is no message */
        gossip_put_px(&px, &one);
    }
    gossip_put_prune(&s.control, gossip_topic_wire(r->g, r->tx), 60, qn_buf_get(&px));
    qn_buf_free(&px);
    CHECK_RC(rig_say(r, from, &s), QN_OK);
}

/* Poisoned peer exchange: 10,000 peers are 16, and none of one who earned no trust, is not asked to be in a mesh, or was caught with a lie. What
 * the records say is looked at by net/libp2p/discover (test_px there). */
static void test_px(struct qn_test_state *t)
{
    enum { CROWD = 10000 };
    struct rig r;
    struct gossip_peer_info info;
    rig_init(&r);
    for (uint32_t p = 1; p <= MESH_LO; p++)
        rig_peer(&r, p, true); /* all in our mesh */
    rig_peer(&r, 66, false);   /* not in it */
    const struct gossip_stats *st = gossip_stats(r.g);
    /* However good it behaved, 50 points are what a stranger earns. */
    for (uint32_t i = 0; i < 60; i++)
        rig_number(&r, 1, r.tx, i, 100);
    rig_run(&r, BEAT_MS);
    size_t before = gossip_memory(r.g);
    CHECK(rig_score(&r, 1) > LINE_GOOD_MAX / 2 && rig_score(&r, 1) <= LINE_GOOD_MAX);
    say_px(t, &r, 1, CROWD);
    CHECK(r.px == 0 && st->px_in == 0 && st->px_unread >= CROWD && st->prune_in == 1);
    CHECK(gossip_peer_info(r.g, 1, &info) && !(info.meshed >> r.tx & 1));
    /* One that the ledger vouches for, but in no mesh of ours: nobody asked it. */
    gossip_peer_credit(r.g, 66, 100);
    say_px(t, &r, 66, CROWD);
    CHECK(r.px == 0);
    /* In it: 16, and once, however often it says so. */
    gossip_peer_credit(r.g, 2, 100);
    say_px(t, &r, 2, CROWD);
    CHECK(r.px == PX_CNT && r.px_from == 2 && st->px_in == PX_CNT);
    for (int i = 0; i < 50; i++)
        say_px(t, &r, 2, CROWD);
    CHECK(r.px == PX_CNT);
    /* An honest one with a few. */
    gossip_peer_credit(r.g, 3, 100);
    say_px(t, &r, 3, 2);
    CHECK(r.px == PX_CNT + 2 && rig_score(&r, 3) >= LINE_PX);
    /* A lie ends it, and costs what an invalid message does: it is in no mesh, and taken at its word no more. */
    gossip_peer_credit(r.g, 4, 100);
    r.px_rc = QN_E_SIGNATURE;
    say_px(t, &r, 4, CROWD);
    CHECK(r.px == PX_CNT + 3 && rig_score(&r, 4) < LINE_PX);
    CHECK(gossip_peer_info(r.g, 4, &info) && info.mesh_score_milli < LINE_MESH);
    r.px_rc = QN_OK;
    rig_run(&r, (uint64_t)(BACKOFF_S + 2) * 1000);
    CHECK(gossip_peer_info(r.g, 4, &info) && !(info.meshed >> r.tx & 1));
    say_px(t, &r, 4, CROWD);
    CHECK(r.px == PX_CNT + 3);
    /* A validator that was caught with something invalid. */
    gossip_peer_credit(r.g, 5, 100);
    r.verdict = GOSSIP_REJECT;
    rig_number(&r, 5, r.tx, 1000, 100);
    say_px(t, &r, 5, CROWD);
    CHECK(r.px == PX_CNT + 3);
    CHECK(gossip_memory(r.g) <= before + 65536);
    gossip_free(r.g);
}

/* Frames begun and never ended, by all peers at once. */
static void test_half(struct qn_test_state *t)
{
    struct rig r;
    rig_init(&r);
    uint8_t *half = calloc(1, 1 << 20);
    QN_ASSERT(half != NULL);
    memcpy(half, "\x80\x80\x44", 3); /* the longest frame there is */
    uint32_t refused = 0;
    for (uint32_t p = 1; p <= 500; p++) {
        rig_peer(&r, p, false);
        qn_rc rc = gossip_recv(r.g, p, QN_SPAN(half, 1 << 20));
        CHECK(rc == QN_OK || rc == QN_E_LIMIT);
        refused += rc == QN_E_LIMIT;
    }
    CHECK(refused > 400 && gossip_memory(r.g) < IN_ALL + (16u << 20));
    gossip_peer_down(r.g, 1);
    for (uint32_t p = 2; p <= 500; p++)
        gossip_peer_down(r.g, p);
    CHECK(r.g->in_bytes == 0);
    free(half);
    gossip_free(r.g);
}

/* Rubbish of any length, cut anywhere: an error or nothing, never more memory than was sent. */
static void test_rubbish(struct qn_test_state *t)
{
    struct rig r;
    rig_init(&r);
    uint64_t s = 1;
    for (uint32_t i = 0; i < 20000; i++) {
        uint8_t bytes[64];
        for (size_t k = 0; k < sizeof bytes; k++) {
            s = s * 6364136223846793005u + 1442695040888963407u;
            bytes[k] = (uint8_t)(s >> 56);
            if (k == 0) bytes[k] &= 63;
            if (k % 3 == 1) bytes[k] = (uint8_t)(bytes[k] % 6 << 3 | 2);
        }
        if (!gossip_peer_get(r.g, i / 100)) rig_peer(&r, i / 100, i & 1);
        if (gossip_recv(r.g, i / 100, QN_SPAN(bytes, sizeof bytes))) gossip_peer_down(r.g, i / 100);
        if (i % 50 == 0) rig_run(&r, 100);
    }
    CHECK(gossip_memory(r.g) < 4u << 20);
    gossip_free(r.g);
}

/* Eclipse: 48 silent sybils took the mesh first, 12 honest peers came later. The ones we dialled are grafted at the next beat, and withheld
 * samples put the sybils out: in 60 beats the mesh is the honest ones'. */
static void test_eclipse(struct qn_test_state *t)
{
    struct rig r;
    rig_init(&r);
    for (uint32_t p = 100; p < 148; p++) {
        rig_peer(&r, p, false);
        struct say s = { 0 };
        gossip_put_graft(&s.control, gossip_topic_wire(r.g, r.tx));
        CHECK_RC(rig_say(&r, p, &s), QN_OK);
    }
    CHECK(gossip_topic_info(r.g, r.tx).mesh == MESH_HI);
    for (uint32_t p = 1; p <= 12; p++)
        rig_peer(&r, p, p <= 6);
    rig_run(&r, 2 * BEAT_MS);
    CHECK(gossip_topic_info(r.g, r.tx).mesh_outbound >= MESH_OUT);
    uint32_t number = 0, honest = 0, sybils = 0;
    for (uint64_t end = r.now_ms + (uint64_t)60 * BEAT_MS; r.now_ms < end; number++) {
        /* All honest ones in the mesh bring it within a moment, as they do not know yet that we have it. */
        for (uint32_t p = 1; p <= 12; p++) {
            struct gossip_peer_info info;
            if (gossip_peer_info(r.g, p, &info) && info.meshed >> r.tx & 1)
                rig_number(&r, p, r.tx, number, 100);
        }
        rig_run(&r, 105);
        for (uint32_t p = 1; p < 148; p++)
            if (gossip_peer_get(r.g, p)) rig_hear(&r, p);
    }
    for (uint32_t p = 1; p < 148; p++) {
        struct gossip_peer_info info;
        if (!gossip_peer_info(r.g, p, &info)) continue;
        if (info.meshed >> r.tx & 1) (p < 100 ? honest++ : sybils++);
        if (p < 100) CHECK(info.score_milli >= 0);
    }
    CHECK(honest >= MESH_LO && honest > sybils);
    printf("eclipse: after 60 beats %u honest, %u sybils in the mesh\n", honest, sybils);
    gossip_free(r.g);
}

int main(void)
{
    TEST_BEGIN();
    TEST(test_iwant);
    TEST(test_invalid);
    TEST(test_ihave);
    TEST(test_graft);
    TEST(test_backoff);
    TEST(test_idontwant);
    TEST(test_sub_flood);
    TEST(test_px);
    TEST(test_half);
    TEST(test_rubbish);
    TEST(test_eclipse);
    return TEST_END();
}
