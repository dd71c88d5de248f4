/* test_kad.c - the hash table's parts: messages, buckets, bounds, who may say what. */
#include "net/libp2p/kad.h"

#include "core/base/test.h"
#include "core/crypto/sign.h"

#define NOW UINT64_C(1800000000000)

static struct qn_peer_id id_of(uint32_t n)
{
    struct qn_peer_id id = { .len = 34, .b = { 0x12, 32 } };
    memcpy(id.b + 2, &n, sizeof n);
    return id;
}

static struct kad_peer peer_at(uint32_t n, struct net_ip ip)
{
    struct net_addr addr = { ip, 4460 };
    struct kad_peer p = { .id = id_of(n), .addr_cnt = 1 };
    p.addr[0] = kad_addr_of(&addr);
    return p;
}

static struct kad_peer peer_of(uint32_t n)
{
    return peer_at(n, net_ip4((uint8_t)(40 + n % 50), (uint8_t)(n / 50), 1, 1));
}

static void test_message(struct qn_test_state *t)
{
    /* FIND_NODE, key "ab", one closer peer: id 12 20 .., /ip4/8.8.8.8/tcp/4001, connected; as go-libp2p writes it. */
    uint8_t bytes[128] = { 0x08, 4, 0x12, 2, 'a', 'b', 0x42, 0 };
    size_t n = 8;
    uint8_t head[] = { 0x0a, 34, 0x12, 0x20 },
            tail[] = { 0x12, 8, 4, 8, 8, 8, 8, 6, 0x0f, 0xa1, 0x18, 1 };
    memcpy(bytes + n, head, 4), n += 4;
    memset(bytes + n, 7, 32), n += 32;
    memcpy(bytes + n, tail, sizeof tail), n += sizeof tail;
    bytes[7] = (uint8_t)(n - 8);
    struct kad_message m, again;
    struct qn_buf buf = { 0 };
    CHECK_RC(kad_read(QN_SPAN(bytes, n), &m), QN_OK);
    CHECK(m.type == KAD_FIND_NODE && m.key.len == 2 && m.closer_cnt == 1 && m.provider_cnt == 0);
    struct net_addr addr;
    char text[NET_ADDR_TEXT];
    CHECK(m.closer[0].connected == 1 && kad_addr_ip(&m.closer[0].addr[0], &addr));
    net_addr_print(&addr, text);
    CHECK(strcmp(text, "8.8.8.8:4001") == 0);
    kad_write(&m, &buf);
    CHECK(qn_span_eq(qn_buf_get(&buf), QN_SPAN(bytes, n)));
    for (size_t cut = 1; cut < n;
         cut++) { /* a cut ends at a field or is an error, never more than was there */
        qn_rc rc = kad_read(QN_SPAN(bytes, cut), &again);
        CHECK(rc == QN_OK ? cut == 2 || cut == 6 : rc == QN_E_SHORT || rc == QN_E_FORMAT);
    }
    bytes[1] = 6;
    CHECK_RC(kad_read(QN_SPAN(bytes, n), &m), QN_E_RANGE);
    uint8_t *big = calloc(1, KAD_MESSAGE_MAX + 1);
    CHECK_RC(kad_read(QN_SPAN(big, KAD_MESSAGE_MAX + 1), &m), QN_E_TOOBIG);
    free(big);

    /* The largest answer that limits allow is readable, and 21 peers are 20. */
    static struct kad_message full;
    full = (struct kad_message){ .type = KAD_GET_PROVIDERS,
                                 .closer_cnt = KAD_K,
                                 .provider_cnt = KAD_K };
    for (uint32_t i = 0; i < KAD_K; i++) {
        full.closer[i] = full.provider[i] = peer_of(i);
        full.closer[i].id.len = full.provider[i].id.len = 34;
        full.closer[i].addr_cnt = full.provider[i].addr_cnt = KAD_ADDRS;
        for (int a = 0; a < KAD_ADDRS; a++)
            full.closer[i].addr[a].len = full.provider[i].addr[a].len = KAD_ADDR_MAX;
    }
    qn_buf_clear(&buf);
    kad_write(&full, &buf);
    CHECK(buf.len <= KAD_MESSAGE_MAX);
    CHECK_RC(kad_read(qn_buf_get(&buf), &m), QN_OK);
    CHECK(m.closer_cnt == KAD_K && m.provider_cnt == KAD_K && m.provider[19].addr_cnt == KAD_ADDRS);
    struct qn_buf twice = { 0 };
    qn_buf_span(&twice, qn_buf_get(&buf));
    CHECK(twice.len * 2 > KAD_MESSAGE_MAX || kad_read(qn_buf_get(&twice), &m) == QN_OK);
    qn_buf_free(&twice);
    qn_buf_free(&buf);
}

static void test_id(struct qn_test_state *t)
{
    struct qn_peer_id id;
    uint8_t b[64] = { 0x12, 32 }, key[64] = { 0, 36, 8, 1, 0x12, 32 };
    CHECK(qn_peer_id_read(QN_SPAN(b, 34), &id) == QN_OK && id.len == 34);
    CHECK(qn_peer_id_read(QN_SPAN(key, 38), &id) == QN_OK && id.len == 38);
    CHECK(qn_peer_id_read(QN_SPAN(b, 33), &id) && qn_peer_id_read(QN_SPAN(b, 35), &id));
    b[0] = 0x13; /* SHA-512 names nobody here */
    CHECK(qn_peer_id_read(QN_SPAN(b, 34), &id));
    key[1] = 60;
    CHECK(qn_peer_id_read(QN_SPAN(key, 62), &id)); /* a key so long is hashed */
    CHECK(qn_peer_id_read(QN_SPAN(key, 0), &id));
}

static void test_table(struct qn_test_state *t)
{
    struct kad_table table;
    struct qn_peer_id self = id_of(1 << 20);
    struct kad_peer near[KAD_K], old;
    kad_table_init(&table, &self);
    uint32_t taken = 0, refused = 0, full = 0;
    for (uint32_t i = 0; i < 200; i++) { /* one network with 200 ids */
        struct kad_peer p = peer_at(i, net_ip4(45, 1, 1, (uint8_t)i));
        struct net_ip ip = net_ip4(45, 1, 1, (uint8_t)i);
        qn_rc rc = kad_table_seen(&table, &p, &ip, NOW, &old);
        taken += rc == QN_OK, refused += rc == QN_E_LIMIT;
    }
    CHECK(taken <= KAD_GROUP_TABLE && taken + refused == 200);
    for (uint32_t i = 1000; i < 1300; i++) { /* 300 networks: buckets fill */
        struct kad_peer p = peer_at(i, net_ip4((uint8_t)(60 + (i & 63)), (uint8_t)(i >> 6), 1, 1));
        struct net_ip ip = net_ip4((uint8_t)(60 + (i & 63)), (uint8_t)(i >> 6), 1, 1);
        qn_rc rc = kad_table_seen(&table, &p, &ip, NOW + i, &old);
        full += rc == QN_E_BUSY;
        if (rc == QN_E_BUSY) CHECK(kad_table_get(&table, &old.id) != NULL);
    }
    CHECK(full > 100 && table.cnt > 60 && table.cnt < 200);
    for (uint32_t b = 0; b < KAD_BUCKETS; b++)
        CHECK(!table.bucket[b] || table.bucket[b]->cnt <= KAD_K);
    struct qn_hash key = kad_key(QN_SPAN_STR("somewhere"));
    uint32_t cnt = kad_table_near(&table, &key, KAD_K, NULL, near);
    CHECK(cnt == KAD_K);
    for (uint32_t i = 0; i + 1 < cnt; i++) {
        struct qn_hash a = kad_key(QN_SPAN(near[i].id.b, near[i].id.len)),
                       b = kad_key(QN_SPAN(near[i + 1].id.b, near[i + 1].id.len));
        CHECK(kad_near(&key, &a, &b));
    }
    uint32_t before = table.cnt;
    struct qn_peer_id gone = near[0].id;
    kad_table_fail(&table, &gone);
    CHECK(table.cnt == before);
    kad_table_fail(&table, &gone);
    CHECK(table.cnt == before - 1 && !kad_table_get(&table, &gone));
    struct kad_peer me = { .id = self };
    struct net_ip ip = net_ip4(9, 9, 9, 9);
    CHECK_RC(kad_table_seen(&table, &me, &ip, NOW, NULL), QN_E_LIMIT);
    /* Moving to a network that has its share does not slip in. */
    struct kad_peer mover = near[1];
    struct net_ip bad = net_ip4(45, 1, 9, 9);
    CHECK_RC(kad_table_seen(&table, &mover, &bad, NOW, NULL), QN_E_LIMIT);
    kad_table_fini(&table);
}

static void test_store(struct qn_test_state *t)
{
    struct kad_store store;
    struct qn_hash self = { { 0 } }, key = { { 1 } };
    struct kad_peer got[KAD_K];
    kad_store_init(&store, &self, QN_SPAN_STR("s"), 2000);
    CHECK(kad_store_get(&store, &key, NOW, KAD_K, got) == 0);
    for (uint32_t i = 0; i < 100; i++) {
        struct kad_peer p = peer_of(i);
        CHECK_RC(kad_store_put(&store, &key, &p, NOW), i < KAD_RECORD_KEY ? QN_OK : QN_E_LIMIT);
    }
    struct kad_peer p = peer_of(3);
    CHECK_RC(kad_store_put(&store, &key, &p, NOW + 1000), QN_OK); /* renewing is no new one */
    CHECK(kad_store_get(&store, &key, NOW, KAD_K, got) == KAD_K);
    CHECK(kad_store_get(&store, &key, NOW + KAD_RECORD_MS, KAD_K, got) == 1 &&
          qn_peer_id_eq(&got[0].id, &p.id));
    for (uint32_t i = 0; i < 100; i++)
        CHECK_RC(kad_store_put(&store, &key, &(struct kad_peer){ .id = id_of(500 + i % 50) },
                               NOW + KAD_RECORD_MS + 2000),
                 QN_OK);
    CHECK(store.cnt == 50); /* the old ones left when somebody came */
    uint32_t ok = 0;
    for (uint32_t i = 0; i < 3000; i++) { /* one peer, many keys */
        struct qn_hash k = kad_key(QN_SPAN_OF(i));
        ok += kad_store_put(&store, &k, &p, NOW + KAD_RECORD_MS) == QN_OK;
    }
    CHECK(ok == KAD_RECORD_ONE);
    for (uint32_t i = 0; i < 8000;
         i++) { /* a flood of peers and keys: bounded, and what lies near us stays */
        struct qn_hash k = kad_key(QN_SPAN_OF(i));
        struct kad_peer other = peer_of(1000 + i);
        qn_rc rc = kad_store_put(&store, &k, &other, NOW + KAD_RECORD_MS);
        CHECK(rc == QN_OK || rc == QN_E_LIMIT);
    }
    CHECK(store.cnt == 2000);
    CHECK(kad_store_get(&store, &key, NOW + KAD_RECORD_MS + 3000, KAD_K, got) ==
          KAD_K); /* key 01 00.. is near 0 */
    kad_store_expire(&store, 1000000, NOW + 4 * KAD_RECORD_MS);
    CHECK(store.cnt == 0);
    kad_store_fini(&store);
}

struct seen {
    uint32_t asked, last, heard;
    enum kad_type type;
    struct qn_peer_id to;
    bool done;
};

static void on_ask(void *arg, uint32_t query, const struct kad_peer *peer, struct qn_span message,
                   bool one_way)
{
    struct seen *seen = arg;
    struct kad_message *m = malloc(sizeof *m);
    qn_rc rc = kad_read(message, m);
    QN_ASSERT(rc == QN_OK && one_way == (m->type == KAD_ADD_PROVIDER));
    seen->asked++, seen->last = query, seen->type = m->type, seen->to = peer->id;
    free(m);
}

static void on_heard(void *arg, const struct kad_peer *peer, const struct net_ip *source)
{
    ((struct seen *)arg)->heard++;
    (void)peer, (void)source;
}

static void on_done(void *arg, const struct kad_find *f, bool done)
{
    ((struct seen *)arg)->done = done;
    (void)f;
}

static qn_rc serve(struct kad *kad, uint32_t from, const struct kad_message *m,
                   struct kad_message *ret)
{
    struct qn_buf in = { 0 }, out = { 0 };
    struct qn_peer_id id = id_of(from);
    kad_write(m, &in);
    qn_rc rc = kad_serve(kad, &id, qn_buf_get(&in), NOW, &out);
    if (!rc && ret) {
        rc = kad_read(qn_buf_get(&out), ret);
        ret->key = (struct qn_span){ 0 };
    }
    qn_buf_free(&in);
    qn_buf_free(&out);
    return rc;
}

static void test_serve(struct qn_test_state *t)
{
    struct seen seen = { 0 };
    struct kad_conf conf = { .self = id_of(1 << 20),
                             .server = true,
                             .ops = { .arg = &seen, .ask = on_ask } };
    struct kad *kad = kad_new(&conf);
    static struct kad_message m, a;
    uint8_t key[34] = { 0x1e, 32 };
    m = (struct kad_message){ .type = KAD_PUT_VALUE, .key = QN_SPAN_OF(key) };
    CHECK_RC(serve(kad, 1, &m, NULL), QN_E_REFUSED);
    m.type = KAD_ADD_PROVIDER, m.provider_cnt = 2;
    m.provider[0] = peer_of(7), m.provider[1] = peer_of(8);
    CHECK_RC(serve(kad, 1, &m, NULL), QN_OK); /* 1 speaks for 7 and 8: nothing comes of it */
    CHECK(kad_info(kad).records == 0);
    CHECK_RC(serve(kad, 7, &m, NULL), QN_OK);
    CHECK(kad_info(kad).records == 1);
    m.provider_cnt = 1;
    m.provider[0] = peer_at(9, net_ip4(192, 168, 1, 1)); /* in somebody's house */
    CHECK_RC(serve(kad, 9, &m, NULL), QN_OK);
    CHECK(kad_info(kad).records == 1);
    for (uint32_t i = 100; i < 110; i++) {
        struct kad_peer p = peer_of(i);
        struct net_addr addr;
        CHECK(kad_addr_ip(&p.addr[0], &addr));
        kad_hello(kad, &p, &addr.ip, NOW);
    }
    m = (struct kad_message){ .type = KAD_GET_PROVIDERS, .key = QN_SPAN_OF(key) };
    CHECK_RC(serve(kad, 100, &m, &a), QN_OK);
    CHECK(a.provider_cnt == 1 && a.closer_cnt == 9); /* all but who asks */
    struct qn_peer_id want = id_of(105);
    m = (struct kad_message){ .type = KAD_FIND_NODE, .key = QN_SPAN(want.b, want.len) };
    CHECK_RC(serve(kad, 1, &m, &a), QN_OK);
    CHECK(a.closer_cnt == 10 && qn_peer_id_eq(&a.closer[0].id, &want));
    m = (struct kad_message){ .type = KAD_PING };
    CHECK_RC(serve(kad, 1, &m, &a), QN_OK);
    CHECK(a.type == KAD_PING && a.closer_cnt == 0);
    m = (struct kad_message){ .type = KAD_FIND_NODE };
    CHECK_RC(serve(kad, 1, &m, &a), QN_E_RANGE);
    kad_server_set(kad, false); /* behind a NAT: nobody is led here */
    m = (struct kad_message){ .type = KAD_PING };
    CHECK_RC(serve(kad, 1, &m, &a), QN_E_REFUSED);
    kad_free(kad);
}

static void test_search(struct qn_test_state *t)
{
    struct seen seen = { 0 };
    struct kad_conf conf = { .self = id_of(1 << 20),
                             .server = true,
                             .ops = { .arg = &seen, .ask = on_ask, .heard = on_heard } };
    struct kad *kad = kad_new(&conf);
    uint64_t now = NOW;
    uint32_t no = kad_search(kad, KAD_FIND_NODE, QN_SPAN_STR("abc"), 0, on_done, &seen, now);
    CHECK(no != 0 && !seen.done);
    kad_turn(kad, now); /* nobody to ask: over at once */
    CHECK(seen.done && kad_info(kad).searches == 0);
    struct kad_peer p = peer_of(5);
    struct net_addr addr;
    CHECK(kad_addr_ip(&p.addr[0], &addr));
    kad_hello(kad, &p, &addr.ip, now);
    seen = (struct seen){ 0 };
    no = kad_search(kad, KAD_FIND_NODE, QN_SPAN_STR("abc"), 0, on_done, &seen, now);
    kad_turn(kad, now); /* this search, and the table's first refresh */
    CHECK(seen.asked == 2 && !seen.done && kad_info(kad).queries == 2);
    static struct kad_message m;
    m = (struct kad_message){ .type = KAD_FIND_NODE, .closer_cnt = 3 };
    m.closer[0] = peer_of(6), m.closer[1] = peer_at(7, net_ip4(10, 0, 0, 1)),
    m.closer[2].id = conf.self;
    struct qn_buf buf = { 0 };
    kad_write(&m, &buf);
    CHECK_RC(kad_answer(kad, seen.last, &addr.ip, qn_buf_get(&buf), now), QN_OK);
    CHECK(seen.heard == 1); /* not who lives in a house, not ourselves */
    struct qn_peer_id six = id_of(6);
    CHECK(seen.asked == 3 && qn_peer_id_eq(&seen.to, &six));
    CHECK_RC(kad_answer(kad, seen.last, &addr.ip, QN_SPAN_STR("\xff\xff"), now), QN_E_FORMAT);
    CHECK_RC(kad_answer(kad, 4711, &addr.ip, qn_buf_get(&buf), now), QN_OK); /* nobody asked */
    for (int i = 0; i < 30; i++)
        kad_turn(kad, now += 1000);
    CHECK(seen.done && kad_info(kad).queries == 0); /* what is not answered ends by itself */
    uint32_t running[KAD_SEARCHES + 1];
    for (uint32_t i = 0; i <= KAD_SEARCHES; i++)
        running[i] = kad_search(kad, KAD_GET_PROVIDERS, QN_SPAN_STR("k"), 0, NULL, NULL, now);
    CHECK(running[KAD_SEARCHES - 1] && !running[KAD_SEARCHES]);
    for (uint32_t i = 0; i <= KAD_SEARCHES; i++)
        kad_stop(kad, running[i]);
    CHECK(kad_info(kad).searches == 0);
    qn_buf_free(&buf);
    kad_free(kad);
}

/* An answer that always names somebody nearer, and paths that never share a peer. */
static void test_find(struct qn_test_state *t)
{
    static struct kad_find f;
    static struct kad_message m;
    struct kad_peer start[KAD_K], p;
    struct qn_peer_id self = id_of(1 << 20);
    for (uint32_t i = 0; i < KAD_K; i++)
        start[i] = peer_of(i);
    kad_find_init(&f, KAD_FIND_NODE, QN_SPAN_STR("x"), &self, 0, 0, start, KAD_K);
    uint32_t asks = 0, next = 1000;
    while (kad_find_next(&f, &p)) {
        asks++;
        m = (struct kad_message){ .closer_cnt = KAD_K };
        for (uint32_t i = 0; i < KAD_K; i++)
            m.closer[i] = peer_of(next++);
        for (uint32_t i = 0; i < f.path_cnt; i++)
            for (uint32_t j = 0; j < f.path[i].cnt; j++)
                for (uint32_t k = i + 1; k < f.path_cnt; k++)
                    for (uint32_t l = 0; l < f.path[k].cnt; l++)
                        CHECK(
                            !qn_peer_id_eq(&f.path[i].list[j].peer.id, &f.path[k].list[l].peer.id));
        kad_find_answer(&f, &p.id, &m);
    }
    CHECK(kad_find_done(&f) && asks >= KAD_PATHS * KAD_ENOUGH && asks <= KAD_PATHS * KAD_ASKS_MAX);
    struct kad_peer near[KAD_K];
    CHECK(kad_find_near(&f, near) == KAD_K);
    /* One network does not fill a path. */
    kad_find_init(&f, KAD_FIND_NODE, QN_SPAN_STR("x"), &self, 1, 0, start, 1);
    CHECK(kad_find_next(&f, &p));
    for (uint32_t i = 0; i < KAD_K; i++)
        m.closer[i] = peer_at(5000 + i, net_ip4(45, 1, (uint8_t)i, 1));
    m.closer_cnt = KAD_K;
    kad_find_answer(&f, &p.id, &m);
    CHECK(f.path[0].cnt == 1 + KAD_GROUP_PATH);
}

int main(void)
{
    if (qn_crypto_init()) return 1;
    TEST_BEGIN();
    TEST(test_message);
    TEST(test_id);
    TEST(test_table);
    TEST(test_store);
    TEST(test_serve);
    TEST(test_search);
    TEST(test_find);
    return TEST_END();
}
