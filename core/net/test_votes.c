/* test_votes.c - the desk for votes under gossip: bursts of the honest are all heard, and what is no news does not take their place. */
#include "core/net/votes.h"

#include "net/gossip/rig.h"

#include <event2/event.h>

struct desk {
    struct rig rig; /* first: its hooks' self */
    struct votes *votes;
    struct event_base *base;
    uint32_t taken, batches, most;
    bool light; /* what waits decides nothing */
};

/* Those with an even number are news. */
static bool news(void *arg, struct qn_span message)
{
    (void)arg;
    return message.ptr[1] % 2 == 0;
}

static bool decide(void *arg, const struct qn_heard *list, unsigned cnt)
{
    const struct desk *d = arg;
    (void)list, (void)cnt;
    return !d->light;
}

static void take(void *arg, struct qn_heard *list, const uint64_t *handles, unsigned cnt)
{
    struct desk *d = arg;
    d->batches++;
    d->taken += cnt;
    d->most = QN_MAX(d->most, cnt);
    for (unsigned i = 0; i < cnt; i++) {
        QN_ASSERT(list[i].message.ptr[0] == (list[i].message.len == VOTE_LEN ? 3 : 4));
        gossip_verdict(d->rig.g, handles[i], GOSSIP_ACCEPT);
    }
}

static enum gossip_verdict deliver(void *self, uint32_t topic, uint32_t peer, uint64_t handle,
                                   struct qn_span data)
{
    struct desk *d = self;
    (void)topic;
    return votes_keep(d->votes, peer, handle, data);
}

static void open_desk(struct desk *d)
{
    *d = (struct desk){ .base = event_base_new() };
    const struct gossip_conf conf = {
        .seed = { 7 }, .hooks = { .self = d, .deliver = deliver, .wake = rig_wake }
    };
    const struct gossip_topic_conf vote = { "vote", 65536, GOSSIP_VOTE, 1000, false, true, 1 };
    const struct votes_conf votes = {
        .base = d->base, .arg = d, .news = news, .decide = decide, .take = take
    };
    d->rig.now_ms = 1000000;
    d->rig.g = gossip_new(&conf, d->rig.now_ms);
    qn_rc rc = gossip_topic_add(d->rig.g, &vote, &d->rig.vote);
    QN_ASSERT(rc == QN_OK);
    d->votes = votes_new(&votes);
}

static void close_desk(struct desk *d)
{
    votes_free(d->votes);
    gossip_free(d->rig.g);
    event_base_free(d->base);
}

static void peer_up(struct desk *d, uint32_t peer)
{
    const struct gossip_peer_conf conf = { .id = QN_SPAN_OF(peer), .speaks_12 = true };
    QN_ASSERT(gossip_peer_up(d->rig.g, peer, &conf) == QN_OK);
    rig_subscribe(&d->rig, peer, d->rig.vote);
}

static void say(struct qn_test_state *t, struct desk *d, uint32_t peer, bool is_news, uint32_t from,
                uint32_t cnt)
{
    struct say s = { 0 };
    for (uint32_t i = 0; i < cnt; i++) {
        uint8_t m[VOTE_LEN] = { 3, is_news ? 0 : 1 };
        uint32_t number = from + i;
        memcpy(m + 2, &number, sizeof number);
        gossip_put_message(&s.rpc, gossip_topic_wire(d->rig.g, d->rig.vote), QN_SPAN_OF(m));
    }
    CHECK_RC(rig_say(&d->rig, peer, &s), QN_OK);
}

/* All in one turn of the loop, as after a stall: a mesh peer brings what 200 validators said. */
static void test_burst(struct qn_test_state *t)
{
    struct desk d;
    open_desk(&d);
    for (uint32_t p = 1; p <= 4; p++)
        peer_up(&d, p);
    for (uint32_t p = 1; p <= 4; p++)
        say(t, &d, p, true, p * 1000, 205);
    event_base_loop(d.base, EVLOOP_NONBLOCK);
    CHECK(d.taken == 4 * 205 && d.most == VOTES_MAX && d.batches <= 4 * 205 / VOTES_MAX + 2);
    CHECK(gossip_stats(d.rig.g)->accepted == 4 * 205 && gossip_stats(d.rig.g)->over_budget == 0);
    close_desk(&d);
}

/* Twenty peers say what is no news, as fast as they can, and before the honest one: nothing of it waits. */
static void test_flood(struct qn_test_state *t)
{
    struct desk d;
    open_desk(&d);
    for (uint32_t p = 1; p <= 21; p++)
        peer_up(&d, p);
    for (uint32_t p = 1; p <= 20; p++)
        say(t, &d, p, false, p * 1000, 500);
    CHECK(gossip_topic_info(d.rig.g, d.rig.vote).pending == 0);
    say(t, &d, 21, true, 0, 20);
    CHECK(gossip_topic_info(d.rig.g, d.rig.vote).pending == 20);
    event_base_loop(d.base, EVLOOP_NONBLOCK);
    CHECK(d.taken == 20 && d.batches == 1);
    CHECK(gossip_stats(d.rig.g)->over_budget == 0);
    close_desk(&d);
}

/* What decides nothing waits for what does, or for a moment; each new one is a reason to look again, and so is what the owner did. */
static void test_light(struct qn_test_state *t)
{
    struct desk d;
    open_desk(&d);
    peer_up(&d, 1);
    d.light = true;
    say(t, &d, 1, true, 0, 2);
    event_base_loop(d.base, EVLOOP_ONCE);
    while (d.taken == 0) /* the moment */
        event_base_loop(d.base, EVLOOP_ONCE);
    CHECK(d.taken == 2 && d.batches == 1);
    say(t, &d, 1, true, 10, 2);
    d.light = false;
    say(t, &d, 1, true, 20, 1);
    event_base_loop(d.base, EVLOOP_NONBLOCK);
    CHECK(d.taken == 5 && d.batches == 2);
    d.light = true;
    say(t, &d, 1, true, 30, 2);
    d.light = false;
    votes_look(d.votes);
    event_base_loop(d.base, EVLOOP_NONBLOCK);
    CHECK(d.taken == 7 && d.batches == 3);
    votes_look(d.votes); /* nothing waits */
    event_base_loop(d.base, EVLOOP_NONBLOCK);
    CHECK(d.batches == 3);
    close_desk(&d);
}

/* A certificate waits behind votes, and for nothing else. */
static void test_certificate(struct qn_test_state *t)
{
    struct desk d;
    uint8_t cert[3000] = { 4 };
    open_desk(&d);
    peer_up(&d, 1);
    CHECK(!votes_fit(d.votes, QN_SPAN_OF(cert)));
    say(t, &d, 1, true, 0, 5);
    CHECK(votes_fit(d.votes, QN_SPAN_OF(cert)));
    CHECK_RC(rig_body(&d.rig, 1, d.rig.vote, QN_SPAN_OF(cert)), QN_OK);
    event_base_loop(d.base, EVLOOP_NONBLOCK);
    CHECK(d.taken == 6 && d.batches == 1 && gossip_stats(d.rig.g)->accepted == 6);
    close_desk(&d);
}

int main(void)
{
    TEST_BEGIN();
    TEST(test_burst);
    TEST(test_flood);
    TEST(test_light);
    TEST(test_certificate);
    return TEST_END();
}
