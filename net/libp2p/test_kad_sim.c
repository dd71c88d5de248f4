/* test_kad_sim.c - some hundreds of nodes in virtual time, one in five bad: silent, or answering with other bad nodes near the target, or
 * lying about addresses and providers. Honest nodes find honest peers and providers all the same. */
#include "net/libp2p/kad.h"

#include "core/base/heap.h"
#include "core/base/test.h"
#include "core/crypto/sign.h"

#define NODES_MAX 1000

enum evil { HONEST, SILENT, NEIGHBOURS, LIAR };

struct event {
    struct heap_when when; /* t in us */
    enum { TURN, REQUEST, ANSWER } kind;
    uint32_t from, to, query;
    struct qn_buf bytes; /* owned */
};

struct world;
struct node {
    struct world *world;
    uint32_t idx;
    enum evil evil;
    struct kad *kad;
    struct kad_peer self;
    struct net_ip ip;
};

struct world {
    uint32_t cnt, bad;
    struct node node[NODES_MAX];
    struct net_dice dice;
    uint64_t now_us, next, messages;
    struct heap heap; /* of struct event */
};

static void push(struct world *w, struct event e)
{
    e.when.tie = w->next++;
    heap_put(&w->heap, &e);
}

static struct node *by_id(struct world *w, const struct qn_peer_id *id)
{
    uint32_t i;
    memcpy(&i, id->b + 2, sizeof i);
    return i < w->cnt && qn_peer_id_eq(&w->node[i].self.id, id) ? &w->node[i] : NULL;
}

static uint64_t delay_us(struct world *w)
{
    return 5000 + net_dice_below(&w->dice, 185000);
}

static void on_ask(void *arg, uint32_t query, const struct kad_peer *peer, struct qn_span message,
                   bool one_way)
{
    struct node *n = arg;
    struct node *to = by_id(n->world, &peer->id);
    struct net_addr addr;
    (void)one_way;
    /* A false address reaches nobody: the id is proven when dialling. */
    if (!to || !kad_addr_ip(&peer->addr[0], &addr) || !net_ip_eq(&addr.ip, &to->ip)) return;
    struct event e = { .when.t = n->world->now_us + delay_us(n->world),
                       .kind = REQUEST,
                       .from = n->idx,
                       .to = to->idx,
                       .query = query };
    qn_buf_span(&e.bytes, message);
    push(n->world, e);
}

/* The 20 bad nodes nearest to the target: what a liar that knows them all would say. */
static uint32_t bad_near(struct world *w, const struct qn_hash *target, struct kad_peer *ret)
{
    const struct node *best[KAD_K];
    struct qn_hash keys[KAD_K];
    uint32_t cnt = 0;
    for (uint32_t i = w->cnt - w->bad; i < w->cnt; i++) {
        struct qn_hash key = kad_key(QN_SPAN(w->node[i].self.id.b, w->node[i].self.id.len));
        uint32_t at = cnt;
        while (at > 0 && kad_near(target, &key, &keys[at - 1]))
            at--;
        if (at >= KAD_K) continue;
        if (cnt < KAD_K) cnt++;
        memmove(best + at + 1, best + at, (cnt - at - 1) * sizeof *best);
        memmove(keys + at + 1, keys + at, (cnt - at - 1) * sizeof *keys);
        best[at] = &w->node[i], keys[at] = key;
    }
    for (uint32_t i = 0; i < cnt; i++)
        ret[i] = best[i]->self;
    return cnt;
}

static bool lie(struct world *w, const struct node *n, struct qn_span request, struct qn_buf *reply)
{
    struct kad_message *m = calloc(1, sizeof *m);
    QN_ASSERT(m);
    qn_rc rc = kad_read(request, m);
    bool told = !rc && n->evil != SILENT && m->type != KAD_ADD_PROVIDER && m->type != KAD_PUT_VALUE;
    if (told) {
        struct qn_hash target = kad_key(m->key);
        struct net_addr nowhere = { net_ip4(99, 99, 9, 9), 9 };
        m->closer_cnt = m->key.len ? bad_near(w, &target, m->closer) : 0;
        m->provider_cnt = 0;
        if (n->evil == LIAR && m->key.len) {
            struct kad_peer wrong = { .addr_cnt = 1 };
            wrong.addr[0] = kad_addr_of(&nowhere);
            if (qn_peer_id_read(m->key, &wrong.id) == QN_OK)
                m->closer[0] = wrong; /* "the one you seek lives there" */
            if (m->type == KAD_GET_PROVIDERS) m->provider_cnt = bad_near(w, &target, m->provider);
        }
        kad_write(m, reply);
    }
    free(m);
    return told;
}

static void deliver(struct world *w, struct event *e)
{
    struct node *n = &w->node[e->to], *from = &w->node[e->from];
    uint64_t now_ms = w->now_us / 1000;
    struct event back = { .when.t = w->now_us + delay_us(w),
                          .kind = ANSWER,
                          .from = e->to,
                          .to = e->from,
                          .query = e->query };
    switch (e->kind) {
    case TURN:
        kad_turn(n->kad, now_ms);
        push(w, (struct event){ .when.t = w->now_us + 1000000, .kind = TURN, .to = e->to });
        break;
    case REQUEST:
        w->messages++;
        kad_hello(n->kad, &from->self, &from->ip, now_ms); /* identify */
        if (n->evil ? lie(w, n, qn_buf_get(&e->bytes), &back.bytes)
                    : kad_serve(n->kad, &from->self.id, qn_buf_get(&e->bytes), now_ms,
                                &back.bytes) == QN_OK) {
            if (back.bytes.len && e->query)
                push(w, back);
            else
                qn_buf_free(&back.bytes);
        }
        break;
    case ANSWER:
        if (kad_answer(n->kad, e->query, &from->ip, qn_buf_get(&e->bytes), now_ms))
            QN_BUG("answer not read");
        break;
    }
    qn_buf_free(&e->bytes);
}

static void run(struct world *w, uint64_t us)
{
    uint64_t end = w->now_us + us;
    while (heap_due(&w->heap, end)) {
        struct event e;
        heap_pop(&w->heap, &e);
        w->now_us = e.when.t;
        deliver(w, &e);
    }
    w->now_us = end;
}

/* groups: networks that the bad have addresses in; 0: each has one of its own, the dearest attack. */
static struct world *world_new(uint32_t cnt, uint32_t bad, uint32_t groups, uint32_t paths,
                               uint64_t seed)
{
    struct world *w = calloc(1, sizeof *w);
    QN_ASSERT(w);
    net_dice_init(&w->dice, QN_SPAN_OF(seed));
    w->cnt = cnt, w->bad = bad;
    w->heap.size = sizeof(struct event);
    w->now_us = UINT64_C(1800000000) * 1000000;
    for (uint32_t i = 0; i < cnt; i++) {
        struct node *n = &w->node[i];
        *n = (struct node){ .world = w, .idx = i };
        n->evil = i < cnt - bad ? HONEST : (enum evil)(1 + i % 3);
        n->ip = net_ip4((uint8_t)(40 + i % 50), (uint8_t)(i / 50), 1, 1);
        if (n->evil && groups)
            n->ip = net_ip4(200, (uint8_t)(i % groups), (uint8_t)(i / groups), 1);
        n->self.id = (struct qn_peer_id){ .len = 34, .b = { 0x12, 32 } };
        memcpy(n->self.id.b + 2, &i, sizeof i);
        uint64_t salt = net_dice_draw(&w->dice);
        memcpy(n->self.id.b + 6, &salt, sizeof salt);
        struct net_addr addr = { n->ip, 4460 };
        n->self.addr_cnt = 1;
        n->self.addr[0] = kad_addr_of(&addr);
        struct kad_conf conf = {
            .self = n->self.id, .server = true, .paths = paths, .ops = { .arg = n, .ask = on_ask }
        };
        memcpy(conf.seed.b, &salt, sizeof salt);
        n->kad = kad_new(&conf);
        kad_self_set(n->kad, n->self.addr, 1);
        push(w, (struct event){ .when.t = w->now_us + net_dice_below(&w->dice, 1000000),
                                .kind = TURN,
                                .to = i });
        /* It was given two names when it came. */
        for (int k = 0; k < 2 && i; k++) {
            const struct node *other = &w->node[net_dice_below(&w->dice, i)];
            kad_hello(n->kad, &other->self, &other->ip, w->now_us / 1000);
        }
    }
    return w;
}

static void world_free(struct world *w)
{
    for (uint32_t i = 0; i < w->cnt; i++)
        kad_free(w->node[i].kad);
    for (size_t i = 0; i < w->heap.cnt; i++)
        qn_buf_free(&((struct event *)heap_at(&w->heap, i))->bytes);
    heap_free(&w->heap);
    free(w);
}

struct wish {
    const struct node *want;
    bool found, done;
    uint64_t start_us, took_us;
    struct world *world;
};

static void on_found(void *arg, const struct kad_find *f, bool done)
{
    struct wish *wish = arg;
    for (uint32_t i = 0; i < f->found_cnt && !wish->found; i++)
        if (qn_peer_id_eq(&f->found[i].id, &wish->want->self.id) &&
            memcmp(&f->found[i].addr[0], &wish->want->self.addr[0], sizeof f->found[i].addr[0]) ==
                0) {
            wish->found = true;
            wish->took_us = wish->world->now_us - wish->start_us;
        }
    wish->done = done;
}

static struct node *honest(struct world *w)
{
    return &w->node[net_dice_below(&w->dice, w->cnt - w->bad)];
}

struct rate {
    uint32_t peers, providers, of;
    uint64_t took_us;
};

static struct rate measure(struct qn_test_state *t, uint32_t cnt, uint32_t bad, uint32_t groups,
                           uint32_t paths, uint64_t seed)
{
    enum { WISHES = 200 };
    struct world *w = world_new(cnt, bad, groups, paths, seed);
    struct rate rate = { .of = WISHES };
    struct wish *wish = calloc(WISHES, sizeof *wish);
    QN_ASSERT(wish);
    run(w, UINT64_C(600) * 1000000);
    for (uint32_t i = 0; i < WISHES; i++) {
        struct node *n = honest(w);
        wish[i] = (struct wish){ .want = honest(w), .world = w, .start_us = w->now_us };
        if (wish[i].want == n) wish[i].want = &w->node[(n->idx + 1) % (w->cnt - w->bad)];
        struct qn_peer_id id = wish[i].want->self.id;
        CHECK(kad_search(n->kad, KAD_FIND_NODE, QN_SPAN(id.b, id.len), 0, on_found, &wish[i],
                         w->now_us / 1000));
        run(w, 1000000);
    }
    run(w, UINT64_C(300) * 1000000);
    for (uint32_t i = 0; i < WISHES; i++) {
        CHECK(wish[i].done); /* every search ends */
        rate.peers += wish[i].found;
        rate.took_us += wish[i].took_us / WISHES;
    }
    for (uint32_t i = 0; i < WISHES; i++) {
        uint8_t key[34] = { 0x1e, 32 };
        memcpy(key + 2, &i, sizeof i);
        struct node *n = honest(w);
        wish[i] = (struct wish){ .want = n, .world = w };
        CHECK_RC(kad_provide(n->kad, QN_SPAN_OF(key), w->now_us / 1000), QN_OK);
    }
    run(w, UINT64_C(400) * 1000000);
    for (uint32_t i = 0; i < WISHES; i++) {
        uint8_t key[34] = { 0x1e, 32 };
        memcpy(key + 2, &i, sizeof i);
        struct node *n = honest(w);
        while (n == wish[i].want)
            n = honest(w);
        CHECK(kad_search(n->kad, KAD_GET_PROVIDERS, QN_SPAN_OF(key), 0, on_found, &wish[i],
                         w->now_us / 1000));
        run(w, 1000000);
    }
    run(w, UINT64_C(300) * 1000000);
    for (uint32_t i = 0; i < WISHES; i++) {
        CHECK(wish[i].done);
        rate.providers += wish[i].found;
    }
    printf(
        "%u nodes, %u bad, %u paths: peers %u, providers %u of %u, mean %llu ms, %llu messages\n",
        cnt, bad, paths ? paths : KAD_PATHS, rate.peers, rate.providers, rate.of,
        (unsigned long long)rate.took_us / 1000, (unsigned long long)w->messages);
    free(wish);
    world_free(w);
    return rate;
}

static void test_clean(struct qn_test_state *t)
{
    struct rate rate = measure(t, 100, 0, 0, 0, 1);
    CHECK(rate.peers == rate.of && rate.providers == rate.of);
}

static void test_bad(struct qn_test_state *t)
{
    struct rate rate = measure(t, test_long() ? NODES_MAX : 300, test_long() ? 200 : 60, 0, 0, 2);
    CHECK(rate.peers * 100 >= rate.of * 98);
    CHECK(rate.providers * 100 >= rate.of * 98);
}

/* Four sybils for each honest node, all in ten networks: of each a table takes three, so most answers come from honest nodes still. */
static void test_sybils(struct qn_test_state *t)
{
    struct rate rate = measure(t, test_long() ? 500 : 200, test_long() ? 400 : 160, 10, 0, 3);
    CHECK(rate.peers * 100 >= rate.of * 90);
    CHECK(rate.providers * 100 >= rate.of * 90);
}

int main(void)
{
    if (qn_crypto_init()) return 1;
    TEST_BEGIN();
    TEST(test_clean);
    TEST(test_bad);
    TEST(test_sybils);
    return TEST_END();
}
