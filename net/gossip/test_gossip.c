/* test_gossip.c - the machine's manners, one peer's bytes at a time. */
#include "net/gossip/rig.h"

static void test_id(struct qn_test_state *t)
{
    struct rig r;
    rig_init(&r);
    uint8_t id[GOSSIP_ID_LEN];
    char hex[2 * GOSSIP_ID_LEN + 1];
    CHECK(strcmp(gossip_topic_wire(r.g, r.tx), "/quoin/00000000/tx/1") == 0);
    gossip_message_id(r.g, &r.g->topic[r.tx], QN_SPAN_STR("hello"), id);
    qn_hex(id, sizeof id, hex);
    CHECK(strcmp(hex, "33a46422d7f846da6a24135d887698fc18ac065f") == 0); /* Python's hashlib */
    gossip_free(r.g);
}

/* protobuf by hand: what protoc makes of rpc.proto's fields. */
static void test_rpc(struct qn_test_state *t)
{
    static const uint8_t bytes[] = {
        0x0a, 0x05, 0x08, 0x01, 0x12, 0x01, 'a',                      /* subscribe a */
        0x12, 0x06, 0x12, 0x01, 'd',  0x22, 0x01, 'a',                /* message d on a */
        0x1a, 0x1e,                                                   /* control */
        0x0a, 0x06, 0x0a, 0x01, 'a',  0x12, 0x01, 'x',                /* ihave a: x */
        0x12, 0x06, 0x0a, 0x01, 'y',  0x0a, 0x01, 'z',                /* iwant y z */
        0x1a, 0x03, 0x0a, 0x01, 'a',                                  /* graft a */
        0x22, 0x05, 0x0a, 0x01, 'b',  0x18, 0x3c,                     /* prune b, 60 s */
        0x32, 0x00,                                                   /* extensions: passed over */
        0x12, 0x09, 0x12, 0x01, 'e',  0x22, 0x01, 'a', 0x1a, 0x01, 0, /* with a seqno */
        0x52, 0x02, 0x0a, 0x00,                                       /* partial: passed over */
    };
    static const enum gossip_part_kind want[] = { GOSSIP_PART_SUBSCRIBE, GOSSIP_PART_MESSAGE,
                                                  GOSSIP_PART_IHAVE,     GOSSIP_PART_IWANT,
                                                  GOSSIP_PART_GRAFT,     GOSSIP_PART_PRUNE,
                                                  GOSSIP_PART_MESSAGE };
    struct gossip_rpc rpc;
    struct gossip_part part;
    struct qn_span id;
    gossip_rpc_begin(&rpc, QN_SPAN(bytes, sizeof bytes));
    for (size_t i = 0; i < QN_COUNT(want); i++) {
        CHECK_RC(gossip_rpc_next(&rpc, &part), QN_OK);
        CHECK(part.kind == want[i]);
        if (i == 1) CHECK(!part.foreign && part.data.len == 1 && part.data.ptr[0] == 'd');
        if (i == 3) {
            CHECK(gossip_rpc_id(part.kind, &part.data, &id) && id.ptr[0] == 'y');
            CHECK(gossip_rpc_id(part.kind, &part.data, &id) && id.ptr[0] == 'z');
            CHECK(!gossip_rpc_id(part.kind, &part.data, &id));
        }
        if (i == 5) CHECK(part.backoff_s == 60 && part.topic.ptr[0] == 'b');
        if (i == 6) CHECK(part.foreign);
    }
    CHECK_RC(gossip_rpc_next(&rpc, &part), QN_E_AGAIN);
    for (size_t cut = 1; cut < sizeof bytes; cut++) { /* any cut: an end or an error, no more */
        gossip_rpc_begin(&rpc, QN_SPAN(bytes, cut));
        while (gossip_rpc_next(&rpc, &part) == QN_OK)
            ;
    }
    struct qn_buf many = { 0 };
    for (int i = 0; i <= GOSSIP_PART_MAX; i++)
        gossip_put_subscribe(&many, "a", true);
    gossip_rpc_begin(&rpc, qn_buf_get(&many));
    for (int i = 0; i < GOSSIP_PART_MAX; i++)
        CHECK_RC(gossip_rpc_next(&rpc, &part), QN_OK);
    CHECK_RC(gossip_rpc_next(&rpc, &part), QN_E_TOOBIG);
    qn_buf_free(&many);
    struct qn_span at = QN_SPAN("\xff\xff\xff\xff\x01", 5);
    CHECK_RC(gossip_frame(&at, &id), QN_E_FORMAT);
    at = QN_SPAN("\x81\x80\x44", 3); /* GOSSIP_RPC_MAX + 1 */
    CHECK_RC(gossip_frame(&at, &id), QN_E_TOOBIG);
    at = QN_SPAN("\x80\x80\x44", 3);
    CHECK_RC(gossip_frame(&at, &id), QN_E_AGAIN);
}

/* One message in, by any cut of the stream, and out to the others of the mesh once it is accepted; copies and echoes stop here. */
static void test_relay(struct qn_test_state *t)
{
    struct rig r;
    rig_init(&r);
    for (uint32_t p = 1; p <= 3; p++)
        rig_peer(&r, p, true);
    for (uint32_t p = 1; p <= 3; p++) {
        struct heard h = rig_hear(&r, p);
        CHECK(h.subs == 3 && h.graft == 3);
    }
    struct qn_buf b = rig_bytes(1, 2000), rpc = { 0 }, frame = { 0 };
    gossip_put_message(&rpc, gossip_topic_wire(r.g, r.tx), qn_buf_get(&b));
    gossip_put_varint(&frame, rpc.len);
    qn_buf_span(&frame, qn_buf_get(&rpc));
    r.verdict = GOSSIP_LATER;
    for (size_t i = 0; i < frame.len; i++)
        CHECK_RC(gossip_recv(r.g, 1, QN_SPAN(frame.ptr + i, 1)), QN_OK);
    CHECK(r.delivered == 1 && r.from == 1);
    CHECK(rig_hear(&r, 2).idontwant == 1); /* before it is validated */
    struct qn_span data;
    CHECK(gossip_data(r.g, r.handle, &data) && qn_span_eq(data, qn_buf_get(&b)));
    CHECK_RC(gossip_recv(r.g, 3, qn_buf_get(&frame)), QN_OK); /* a copy */
    CHECK(r.delivered == 1 && gossip_stats(r.g)->copy_in == 1);
    gossip_verdict(r.g, r.handle, GOSSIP_ACCEPT);
    gossip_verdict(r.g, r.handle, GOSSIP_REJECT); /* the past */
    CHECK(!gossip_data(r.g, r.handle, &data));
    CHECK(rig_hear(&r, 1).messages == 0 && rig_hear(&r, 3).messages == 0);
    CHECK(rig_hear(&r, 2).messages == 1);
    CHECK_RC(gossip_publish(r.g, r.tx, qn_buf_get(&b)), QN_E_DUPLICATE);
    rig_run(&r, 60000); /* long out of the cache, still seen */
    CHECK_RC(gossip_recv(r.g, 3, qn_buf_get(&frame)), QN_OK);
    CHECK(r.delivered == 1);
    rig_run(&r, 300000);
    CHECK_RC(gossip_recv(r.g, 3, qn_buf_get(&frame)), QN_OK);
    CHECK(r.delivered == 2);
    qn_buf_free(&b);
    qn_buf_free(&rpc);
    qn_buf_free(&frame);
    gossip_free(r.g);
}

static void test_verdicts(struct qn_test_state *t)
{
    struct rig r;
    rig_init(&r);
    for (uint32_t p = 1; p <= 3; p++)
        rig_peer(&r, p, true);
    r.verdict = GOSSIP_REJECT;
    rig_number(&r, 1, r.tx, 1, 100);
    CHECK(rig_score(&r, 1) < -90000);
    rig_number(&r, 2, r.tx, 1, 100); /* the same rubbish from another */
    CHECK(r.delivered == 1 && rig_score(&r, 2) < -90000 && rig_score(&r, 3) == 0);
    r.verdict = GOSSIP_IGNORE;
    rig_number(&r, 3, r.tx, 2, 100);
    CHECK(rig_score(&r, 3) == 0);
    /* StrictNoSign: author, number or signature are refused; so are too many bytes. */
    struct say s = { 0 };
    struct qn_buf inner = { 0 };
    qn_buf_put(&inner, "\x0a\x01m\x12\x01x\x22", 7);
    const char *topic = gossip_topic_wire(r.g, r.tx);
    qn_buf_u8(&inner, (uint8_t)strlen(topic));
    qn_buf_str(&inner, topic);
    qn_buf_u8(&s.rpc, 0x12);
    qn_buf_u8(&s.rpc, (uint8_t)inner.len);
    qn_buf_span(&s.rpc, qn_buf_get(&inner));
    qn_buf_free(&inner);
    CHECK_RC(rig_say(&r, 3, &s), QN_OK);
    CHECK(r.delivered == 2 && rig_score(&r, 3) < -90000);
    rig_peer(&r, 4, true);
    rig_number(&r, 4, r.tx, 3, 65537);
    CHECK(r.delivered == 2 && rig_score(&r, 4) < -90000);
    rig_run(&r, 2000);
    CHECK(gossip_topic_info(r.g, r.tx).mesh == 0); /* none of them is fit for the mesh */
    gossip_free(r.g);
}

/* What a verdict is awaited for is bounded a peer and a topic; what had no place is not noted as seen. */
static void test_pending(struct qn_test_state *t)
{
    struct rig r;
    rig_init(&r);
    for (uint32_t p = 1; p <= 20; p++)
        rig_peer(&r, p, true);
    r.verdict = GOSSIP_LATER;
    for (uint32_t i = 0; i < 100; i++)
        rig_number(&r, 1, r.tx, i, 100);
    CHECK(r.delivered == PENDING_PEER);
    for (uint32_t p = 2; p <= 20; p++)
        for (uint32_t i = 0; i < PENDING_PEER; i++)
            rig_number(&r, p, r.tx, p * 1000 + i, 100);
    CHECK(r.delivered == PENDING_TOPIC && gossip_topic_info(r.g, r.tx).pending == PENDING_TOPIC);
    rig_run(&r, 61000); /* verdicts that never come */
    CHECK(gossip_topic_info(r.g, r.tx).pending == 0 && gossip_stats(r.g)->ignored == PENDING_TOPIC);
    rig_number(&r, 2, r.tx, 99, 100);
    CHECK(r.delivered == PENDING_TOPIC + 1);
    gossip_peer_down(r.g, 2); /* its message outlives it */
    gossip_verdict(r.g, r.handle, GOSSIP_ACCEPT);
    CHECK(gossip_stats(r.g)->accepted == 1);
    gossip_free(r.g);
}

static void test_repair(struct qn_test_state *t)
{
    struct rig r;
    rig_init(&r);
    for (uint32_t p = 1; p <= 30; p++)
        rig_peer(&r, p, p <= 15);
    rig_run(&r, 1000);
    uint32_t meshed = 0, out = gossip_topic_info(r.g, r.tx).mesh_outbound;
    CHECK(gossip_topic_info(r.g, r.tx).mesh >= MESH_LO && out >= MESH_OUT);
    rig_number(&r, 1, r.tx, 1, 5000);
    uint8_t id[GOSSIP_ID_LEN];
    rig_id(&r, r.tx, 1, 5000, id);
    for (uint32_t p = 1; p <= 30; p++)
        meshed += rig_hear(&r, p).messages;
    CHECK(meshed >= MESH_LO - 2 && meshed <= MESH_HI); /* one or two may be withheld */
    rig_run(&r, BEAT_MS);
    uint32_t announced = 0;
    for (uint32_t p = 1; p <= 30; p++)
        announced += rig_hear(&r, p).ihave;
    CHECK(announced == GOSSIP_LAZY);
    /* IWANT brings it, three times and no more, while the cache has it. */
    for (int i = 0; i < 5; i++) {
        struct say s = { 0 };
        gossip_put_ids(&s.control, GOSSIP_PART_IWANT, NULL, id, 1);
        CHECK_RC(rig_say(&r, 30, &s), QN_OK);
        CHECK(rig_hear(&r, 30).messages == (i < 3));
    }
    rig_run(&r, BEAT_MS * WINDOW_CNT);
    struct say s = { 0 };
    gossip_put_ids(&s.control, GOSSIP_PART_IWANT, NULL, id, 1);
    CHECK_RC(rig_say(&r, 29, &s), QN_OK);
    CHECK(rig_hear(&r, 29).messages == 0);
    /* IHAVE of what we lack is asked for, of three at most; a promise broken is noted. */
    memset(id, 1, sizeof id);
    uint32_t asked = 0;
    for (uint32_t p = 20; p < 26; p++) {
        rig_hear(&r, p);
        gossip_put_ids(&s.control, GOSSIP_PART_IHAVE, gossip_topic_wire(r.g, r.tx), id, 1);
        CHECK_RC(rig_say(&r, p, &s), QN_OK);
        asked += rig_hear(&r, p).iwant;
    }
    CHECK(asked == IWANT_ASKS);
    rig_run(&r, 5000);
    uint32_t noted = 0;
    for (uint32_t p = 20; p < 26; p++)
        noted += gossip_peer_get(r.g, p)->offence > 0;
    CHECK(noted == IWANT_ASKS);
    gossip_free(r.g);
}

/* IDONTWANT empties the queue of what the peer has, and of what is yet to come. */
static void test_idontwant(struct qn_test_state *t)
{
    struct rig r;
    rig_init(&r);
    for (uint32_t p = 1; p <= 3; p++)
        rig_peer(&r, p, true);
    rig_hear(&r, 2);
    uint8_t id[GOSSIP_ID_LEN];
    struct say s = { 0 };
    rig_number(&r, 1, r.tx, 1, 5000); /* accepted: queued for 2 and 3 */
    rig_id(&r, r.tx, 1, 5000, id);
    gossip_put_ids(&s.control, GOSSIP_PART_IDONTWANT, NULL, id, 1);
    CHECK_RC(rig_say(&r, 2, &s), QN_OK);
    CHECK(rig_hear(&r, 2).messages == 0 && rig_hear(&r, 3).messages == 1);
    rig_id(&r, r.tx, 2, 5000, id);
    gossip_put_ids(&s.control, GOSSIP_PART_IDONTWANT, NULL, id, 1);
    CHECK_RC(rig_say(&r, 2, &s), QN_OK);
    rig_number(&r, 1, r.tx, 2, 5000);
    CHECK(rig_hear(&r, 2).messages == 0 && rig_hear(&r, 3).messages == 1);
    gossip_free(r.g);
}

/* A queue is bounded; votes pass and displace transactions, blocks and transactions share 2 : 1. */
static void test_queue(struct qn_test_state *t)
{
    struct rig r;
    rig_init(&r);
    rig_peer(&r, 1, true);
    rig_hear(&r, 1);
    for (uint32_t i = 0; i < 100; i++) {
        struct qn_buf b = rig_bytes(i, 60000);
        CHECK_RC(gossip_publish(r.g, r.tx, qn_buf_get(&b)), QN_OK);
        qn_buf_free(&b);
        struct gossip_peer_info info;
        CHECK(gossip_peer_info(r.g, 1, &info) && info.queued <= GOSSIP_QUEUE_MAX);
    }
    CHECK(gossip_stats(r.g)->dropped == 100 - GOSSIP_QUEUE_MAX / 60060);
    for (uint32_t i = 0; i < 8; i++) {
        struct qn_buf b = rig_bytes(1000 + i, 60000);
        CHECK_RC(gossip_publish(r.g, r.block, qn_buf_get(&b)), QN_OK);
        qn_buf_free(&b);
    }
    struct qn_buf b = rig_bytes(5000, 100), out = { 0 };
    CHECK_RC(gossip_publish(r.g, r.vote, qn_buf_get(&b)), QN_OK);
    qn_buf_free(&b);
    enum gossip_class class;
    uint32_t block = 0, tx = 0;
    for (int i = 0; gossip_pull(r.g, 1, &out, &class); i++) {
        CHECK((i == 0) == (class == GOSSIP_VOTE));
        if (i >= 1 && i <= 9) {
            block += class == GOSSIP_BLOCK;
            tx += class == GOSSIP_TX;
        }
    }
    CHECK(block == 6 && tx == 3);
    qn_buf_free(&out);
    /* Full for 10 s: the owner is told to let it go. */
    for (uint32_t i = 0; i < 20; i++) {
        b = rig_bytes(2000 + i, 60000);
        CHECK_RC(gossip_publish(r.g, r.tx, qn_buf_get(&b)), QN_OK);
        qn_buf_free(&b);
    }
    rig_run(&r, 9000);
    CHECK(r.drops == 0);
    rig_run(&r, 3000);
    CHECK(r.drops == 1);
    gossip_free(r.g);
}

static void test_fanout(struct qn_test_state *t)
{
    struct rig r;
    rig_init(&r);
    for (uint32_t p = 1; p <= 20; p++)
        rig_peer(&r, p, true);
    gossip_subscribe(r.g, r.block, false);
    uint32_t pruned = 0;
    for (uint32_t p = 1; p <= 20; p++) {
        struct heard h = rig_hear(&r, p);
        pruned += h.prune;
        if (h.prune) CHECK(h.backoff_s == BACKOFF_LEAVE_S);
    }
    CHECK(pruned == MESH_LO && gossip_topic_info(r.g, r.block).mesh == 0);
    struct qn_buf b = rig_bytes(1, 100000); /* too long to flood */
    CHECK_RC(gossip_publish(r.g, r.block, qn_buf_get(&b)), QN_OK);
    qn_buf_free(&b);
    uint32_t got = 0;
    for (uint32_t p = 1; p <= 20; p++)
        got += rig_hear(&r, p).messages;
    CHECK(got == MESH_D);
    rig_number(&r, 1, r.block, 5, 100); /* not ours any more */
    CHECK(r.delivered == 0);
    b = rig_bytes(2, 1000);
    CHECK_RC(gossip_publish(r.g, r.tx, qn_buf_get(&b)), QN_OK);
    qn_buf_free(&b);
    got = 0;
    for (uint32_t p = 1; p <= 20; p++)
        got += rig_hear(&r, p).messages;
    CHECK(got == 20); /* own and short: to all */
    b = rig_bytes(3, 1000);
    CHECK_RC(gossip_publish_mesh(r.g, r.tx, qn_buf_get(&b)), QN_OK);
    CHECK_RC(gossip_publish_mesh(r.g, r.tx, qn_buf_get(&b)), QN_E_DUPLICATE);
    qn_buf_free(&b);
    got = 0;
    for (uint32_t p = 1; p <= 20; p++)
        got += rig_hear(&r, p).messages;
    CHECK(got == gossip_topic_info(r.g, r.tx).mesh && got < 20);
    gossip_free(r.g);
}

static void say_graft(struct qn_test_state *t, struct rig *r, uint32_t from)
{
    struct say s = { 0 };
    gossip_put_graft(&s.control, gossip_topic_wire(r->g, r->tx));
    CHECK_RC(rig_say(r, from, &s), QN_OK);
}

static bool names(const struct heard *h, uint32_t peer)
{
    for (uint32_t i = 0; i < h->px; i++)
        if (h->px_peer[i] == peer) return true;
    return false;
}

/* Who finds no place in our mesh hears of others: 16 at most, neither itself nor those we think badly of nor the explicit; who is bad itself, or
 * asks against its back-off, hears of none. */
static void test_px(struct qn_test_state *t)
{
    enum { BAD = 13, EXPLICIT = 14, NEW = 15, WORSE = 16 };
    struct rig r;
    rig_init(&r);
    r.record_len = 300;
    for (uint32_t p = 1; p <= MESH_HI; p++) {
        rig_peer(&r, p, true);
        say_graft(t, &r, p);
    }
    for (uint32_t p = 100; p < 110; p++)
        rig_peer(&r, p, false);
    rig_peer(&r, BAD, false);
    gossip_peer_offence(r.g, BAD, 10);
    const struct gossip_peer_conf conf = { .id = QN_SPAN_STR("friend"), .explicit = true };
    CHECK_RC(gossip_peer_up(r.g, EXPLICIT, &conf), QN_OK);
    rig_subscribe(&r, EXPLICIT, r.tx);
    rig_peer(&r, NEW, false);
    rig_peer(&r, WORSE, false);
    gossip_peer_offence(r.g, WORSE, 10);
    CHECK(gossip_topic_info(r.g, r.tx).mesh == MESH_HI);
    rig_hear(&r, NEW);
    rig_hear(&r, WORSE);
    say_graft(t, &r, NEW);
    struct heard h = rig_hear(&r, NEW);
    CHECK(h.prune == 1 && h.px == PX_CNT && gossip_stats(r.g)->px_out == PX_CNT);
    CHECK(!names(&h, NEW) && !names(&h, BAD) && !names(&h, EXPLICIT) && !names(&h, WORSE));
    for (uint32_t i = 0; i < h.px; i++) /* nobody twice */
        for (uint32_t k = 0; k < i; k++)
            CHECK(h.px_peer[i] != h.px_peer[k]);
    CHECK(h.bytes < PX_CNT * 400);
    say_graft(t, &r, NEW);
    h = rig_hear(&r, NEW);
    CHECK(h.prune == 1 && h.px == 0);
    say_graft(t, &r, WORSE);
    h = rig_hear(&r, WORSE);
    CHECK(h.prune == 1 && h.px == 0);
    /* Leaving tells as well. A record that is long beyond reason is not passed on. */
    gossip_subscribe(r.g, r.tx, false);
    h = rig_hear(&r, 1);
    CHECK(h.prune == 1 && h.px == PX_CNT && !names(&h, 1));
    r.record_len = PX_RECORD_MAX + 1;
    uint32_t pruned = 0;
    for (uint32_t p = 2; p <= MESH_HI; p++)
        rig_hear(&r, p);
    gossip_subscribe(r.g, r.vote, false);
    for (uint32_t p = 1; p <= MESH_HI; p++) {
        h = rig_hear(&r, p);
        CHECK(h.px == 0);
        pruned += h.prune;
    }
    CHECK(pruned > 0);
    gossip_free(r.g);
}

int main(void)
{
    TEST_BEGIN();
    TEST(test_id);
    TEST(test_rpc);
    TEST(test_relay);
    TEST(test_verdicts);
    TEST(test_pending);
    TEST(test_repair);
    TEST(test_idontwant);
    TEST(test_queue);
    TEST(test_fanout);
    TEST(test_px);
    return TEST_END();
}
