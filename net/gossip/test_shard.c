/* test_shard.c - a body through its pieces, what liars do to it, who relays what. */
#include "core/base/test.h"
#include "core/crypto/hash.h"
#include "core/crypto/sign.h"
#include "net/gossip/shard.h"

struct world {
    struct qn_hash chain;
    struct qn_key key, other;
    uint32_t epoch;
    uint64_t asked; /* signatures checked */
};

static bool signed_by(void *self, uint32_t epoch, uint64_t view, const struct qn_hash *message,
                      const struct qn_sig *sig)
{
    struct world *w = self;
    (void)view;
    w->asked++;
    return epoch == w->epoch && qn_verify(&w->key.pub, QN_SPAN(message->b, 32), sig);
}

static void world_init(struct world *w)
{
    static const uint8_t A[32] = { 1 }, B[32] = { 2 };
    QN_ASSERT(qn_crypto_init() == QN_OK);
    memset(w, 0, sizeof *w);
    w->chain.b[5] = 9;
    w->epoch = 3;
    qn_key_from_seed(A, &w->key);
    qn_key_from_seed(B, &w->other);
}

static struct qn_span body_of(uint32_t len, uint32_t seed)
{
    uint8_t *body = malloc(len);
    for (uint32_t i = 0; i < len; i++)
        body[i] = (uint8_t)((i * 2654435761u + seed) >> 13);
    return QN_SPAN(body, len);
}

static void drop(struct qn_span body)
{
    free((void *)(uintptr_t)body.ptr);
}

static void sign_set(const struct world *w, const struct qn_key *key, struct shard_set *set)
{
    struct qn_hash what = shard_message(&w->chain, &set->head);
    set->head.sig = qn_sign(key, QN_SPAN(what.b, 32));
}

/* One piece into the pool. */
static qn_rc give(struct shard_pool *pool, const struct shard_set *set, unsigned idx,
                  struct shard_event *ev)
{
    struct qn_buf buf = { 0 };
    shard_put(set, idx, &buf);
    qn_rc rc = shard_pool_recv(pool, qn_buf_get(&buf), ev);
    qn_buf_free(&buf);
    return rc;
}

static void test_rebuild(struct qn_test_state *t)
{
    static const uint32_t LENS[] = { SHARD_BODY_MIN + 1, 100000,   512u << 10,
                                     (512u << 10) + 1,   1u << 20, 1500001 };
    struct world w;
    world_init(&w);
    for (size_t n = 0; n < QN_COUNT(LENS); n++) {
        struct qn_span body = body_of(LENS[n], (uint32_t)n);
        struct shard_set set;
        struct shard_event ev;
        shard_split(&set, 3, 7, body);
        sign_set(&w, &w.key, &set);
        w.asked = 0;
        unsigned k = set.head.k, done = 0;
        struct shard_pool *pool = shard_pool_new(&w.chain, (struct shard_trust){ &w, signed_by });
        shard_pool_turn(pool, 6);
        for (unsigned i = 0; i < 2 * k; i++) {
            unsigned idx =
                (i * 5 + 3) % (2 * k); /* data and parity mixed; 5 is prime to 2 k for each k */
            CHECK_RC(give(pool, &set, idx, &ev), QN_OK);
            CHECK(ev.fresh && !ev.split && !ev.twin);
            if (ev.body.len) {
                CHECK(i == k - 1);
                CHECK(qn_span_eq(ev.body, body));
                done++;
            }
            CHECK_RC(give(pool, &set, idx, &ev), QN_OK);
            CHECK(!ev.fresh && ev.body.len == 0);
        }
        CHECK(done == 1);
        CHECK(w.asked == 1);
        shard_pool_free(pool);
        shard_set_free(&set);
        drop(body);
    }
}

static void test_views(struct qn_test_state *t)
{
    struct world w;
    struct shard_event ev;
    world_init(&w);
    struct qn_span body = body_of(70000, 1);
    struct shard_pool *pool = shard_pool_new(&w.chain, (struct shard_trust){ &w, signed_by });
    shard_pool_turn(pool, 10);
    for (uint64_t view = 5; view < 16; view++) {
        struct shard_set set;
        shard_split(&set, 3, view, body);
        sign_set(&w, &w.key, &set);
        CHECK_RC(give(pool, &set, 0, &ev),
                 view >= 10 && view < 10 + SHARD_VIEWS ? QN_OK : QN_E_EXPIRED);
        shard_set_free(&set);
    }
    struct shard_set set;
    shard_split(&set, 3, 12, body);
    sign_set(&w, &w.key, &set);
    shard_pool_turn(pool, 11);
    CHECK_RC(give(pool, &set, 0, &ev), QN_OK);
    CHECK(!ev.fresh); /* still here */
    shard_pool_turn(pool, 13);
    CHECK_RC(give(pool, &set, 0, &ev), QN_E_EXPIRED);
    shard_set_free(&set);
    shard_split(&set, 3, UINT64_MAX, body);
    sign_set(&w, &w.key, &set);
    CHECK_RC(give(pool, &set, 0, &ev), QN_E_EXPIRED);
    shard_pool_turn(pool, UINT64_MAX);
    CHECK_RC(give(pool, &set, 0, &ev), QN_OK);
    shard_set_free(&set);
    shard_pool_free(pool);
    drop(body);
}

/* Every byte of a piece turned in turn: refused, or (signature of a known head) checked again. */
static void test_forged(struct qn_test_state *t)
{
    struct world w;
    struct shard_event ev;
    world_init(&w);
    struct qn_span body = body_of(66000, 1);
    struct shard_set set;
    struct qn_buf buf = { 0 };
    shard_split(&set, 3, 0, body);
    sign_set(&w, &w.key, &set);
    struct shard_pool *pool = shard_pool_new(&w.chain, (struct shard_trust){ &w, signed_by });
    CHECK_RC(give(pool, &set, 0, &ev), QN_OK);
    shard_put(&set, 9, &buf);
    for (size_t i = 0; i < buf.len; i = i < 400 ? i + 1 : i + 131) {
        buf.ptr[i] ^= 0x10;
        CHECK(shard_pool_recv(pool, qn_buf_get(&buf), &ev) != QN_OK);
        buf.ptr[i] ^= 0x10;
    }
    for (size_t i = 0; i < buf.len; i = i < 400 ? i + 1 : i + 131)
        CHECK_RC(shard_pool_recv(pool, QN_SPAN(buf.ptr, i), &ev), QN_E_SHORT);
    qn_buf_u8(&buf, 0);
    CHECK_RC(shard_pool_recv(pool, qn_buf_get(&buf), &ev), QN_E_EXTRA);
    buf.len--;
    CHECK_RC(shard_pool_recv(pool, qn_buf_get(&buf), &ev), QN_OK);
    CHECK(ev.fresh);
    qn_buf_free(&buf);
    sign_set(&w, &w.other, &set); /* right pieces, signed by who does not propose */
    CHECK_RC(give(pool, &set, 11, &ev), QN_E_SIGNATURE);
    shard_set_free(&set);
    shard_split(&set, 4, 1, body); /* of an epoch in which nobody signs */
    sign_set(&w, &w.key, &set);
    CHECK_RC(give(pool, &set, 11, &ev), QN_E_SIGNATURE);
    shard_set_free(&set);
    shard_pool_free(pool);
    drop(body);
}

static void test_twin(struct qn_test_state *t)
{
    struct world w;
    struct shard_event ev;
    world_init(&w);
    struct shard_set a, b, c;
    struct qn_span body[3] = { body_of(66000, 1), body_of(66000, 2), body_of(67000, 3) };
    shard_split(&a, 3, 1, body[0]);
    shard_split(&b, 3, 1, body[1]);
    shard_split(&c, 3, 1, body[2]);
    sign_set(&w, &w.key, &a);
    sign_set(&w, &w.key, &b);
    sign_set(&w, &w.key, &c);
    struct shard_pool *pool = shard_pool_new(&w.chain, (struct shard_trust){ &w, signed_by });
    CHECK_RC(give(pool, &a, 0, &ev), QN_OK);
    CHECK_RC(give(pool, &b, 1, &ev), QN_OK);
    CHECK(!ev.fresh && ev.twin && qn_hash_eq(&ev.twin->root, &a.head.root));
    CHECK(qn_hash_eq(&ev.shard.head.root, &b.head.root));
    CHECK_RC(give(pool, &c, 1, &ev), QN_OK); /* once is enough */
    CHECK(!ev.fresh && !ev.twin);
    for (unsigned i = 1; i < a.head.k; i++)
        CHECK_RC(give(pool, &a, i, &ev), QN_OK);
    CHECK(qn_span_eq(ev.body, body[0])); /* the first goes on */
    shard_pool_free(pool);
    shard_set_free(&a);
    shard_set_free(&b);
    shard_set_free(&c);
    for (int i = 0; i < 3; i++)
        drop(body[i]);
}

/* Views that an epoch spent on fillers come again in the next: what its leader said in them is no twin, and holds nobody up. */
static void test_epochs(struct qn_test_state *t)
{
    struct world w;
    struct shard_event ev;
    world_init(&w);
    struct shard_set old[2], next;
    struct qn_span body[3] = { body_of(66000, 1), body_of(66000, 2), body_of(67000, 3) };
    struct shard_pool *pool = shard_pool_new(&w.chain, (struct shard_trust){ &w, signed_by });
    shard_pool_turn(pool, 8);
    for (unsigned i = 0; i < 2; i++) {
        shard_split(&old[i], 3, 9, body[i]);
        sign_set(&w, &w.key, &old[i]);
        CHECK_RC(give(pool, &old[i], i, &ev), QN_OK);
    }
    CHECK(ev.twin != NULL);
    w.epoch = 4;
    shard_pool_turn(pool, 7);
    shard_split(&next, 4, 9, body[2]);
    sign_set(&w, &w.other, &next);
    CHECK_RC(give(pool, &next, 0, &ev), QN_E_SIGNATURE);
    sign_set(&w, &w.key, &next);
    for (unsigned i = 0; i < next.head.k; i++) {
        CHECK_RC(give(pool, &next, i, &ev), QN_OK);
        CHECK(ev.fresh && !ev.twin);
        CHECK_RC(give(pool, &old[0], 5, &ev), QN_E_EXPIRED);
    }
    CHECK_RC(give(pool, &next, next.head.k, &ev), QN_OK);
    CHECK(ev.fresh && ev.body.len == 0); /* it was there with the one before */
    shard_pool_free(pool);
    shard_set_free(&next);
    for (int i = 0; i < 2; i++)
        shard_set_free(&old[i]);
    for (int i = 0; i < 3; i++)
        drop(body[i]);
}

/* A proposer that signs a tree over pieces which are no code word: k of them give one body, another k another. All who rebuild see it. */
static void test_split(struct qn_test_state *t)
{
    struct world w;
    struct shard_event ev;
    world_init(&w);
    struct qn_span body = body_of(66000, 1), lie = body_of(66000, 2);
    struct shard_set a, b;
    shard_split(&a, 3, 1, body);
    shard_split(&b, 3, 1, lie);
    unsigned k = a.head.k, depth = 6;
    for (unsigned i = k; i < 2 * k; i++) { /* data of one, parity of the other */
        memcpy(a.bytes + i * a.piece_len, b.bytes + i * a.piece_len, a.piece_len);
        a.node[(1u << depth) + i] = b.node[(1u << depth) + i];
    }
    for (unsigned i = (1u << depth) - 1; i > 0; i--) {
        uint8_t both[65] = { 1 };
        memcpy(both + 1, a.node[2 * i].b, 32);
        memcpy(both + 33, a.node[2 * i + 1].b, 32);
        a.node[i] = qn_h("shard", both, sizeof both);
    }
    a.head.root = a.node[1];
    sign_set(&w, &w.key, &a);
    for (unsigned from = 0; from <= k;
         from += k / 2) { /* data alone, half and half, parity alone */
        struct shard_pool *pool = shard_pool_new(&w.chain, (struct shard_trust){ &w, signed_by });
        for (unsigned i = 0; i < k; i++) {
            CHECK_RC(give(pool, &a, from + i, &ev), QN_OK);
            CHECK(ev.split == (i == k - 1));
            CHECK(ev.body.len == 0);
        }
        CHECK_RC(give(pool, &a, (from + k) % (2 * k), &ev), QN_OK);
        CHECK(ev.body.len == 0);
        shard_pool_free(pool);
    }
    shard_set_free(&a);
    shard_set_free(&b);
    drop(body);
    drop(lie);
}

static void test_relays(struct qn_test_state *t)
{
    uint64_t stake[100];
    uint16_t relay[SHARD_CNT_MAX], again[SHARD_CNT_MAX];
    unsigned sum[100] = { 0 };
    for (unsigned i = 0; i < 100; i++)
        stake[i] = 1000 + i % 7 * 500;
    stake[42] = 200000; /* as much as all the others together */
    uint64_t total = 0;
    for (unsigned i = 0; i < 100; i++)
        total += i == 5 ? 0 : stake[i];
    for (unsigned round = 0; round < 400; round++) {
        struct qn_hash seed = qn_blake3(&round, sizeof round);
        unsigned has[100] = { 0 };
        shard_relays(&seed, stake, 100, 5, 64, relay);
        shard_relays(&seed, stake, 100, 5, 64, again);
        CHECK(memcmp(relay, again, 128 * sizeof *relay) == 0);
        for (unsigned i = 0; i < 128; i++) {
            CHECK(relay[i] < 100 && relay[i] != 5);
            has[relay[i]]++;
            sum[relay[i]]++;
        }
        for (unsigned i = 0; i < 100; i++) { /* its share, rounded down or up */
            if (i == 5) continue;
            uint64_t low = 128 * stake[i] / total;
            CHECK(has[i] >= low && has[i] <= low + 1);
        }
    }
    for (unsigned i = 0; i < 100; i++) { /* and right in the long run: within a third */
        if (i == 5) continue;
        double want = 400.0 * 128 * (double)stake[i] / (double)total;
        CHECK(sum[i] > want * 0.66 && sum[i] < want * 1.34);
    }
    uint64_t none[3] = { 0, 0, 0 }; /* no stake at all: even */
    struct qn_hash seed = { { 1 } };
    unsigned has[3] = { 0 };
    shard_relays(&seed, none, 3, 1, 32, relay);
    for (unsigned i = 0; i < 64; i++)
        has[relay[i]]++;
    CHECK(has[0] == 32 && has[1] == 0 && has[2] == 32);
    uint64_t huge[2] = { UINT64_MAX, UINT64_MAX };
    shard_relays(&seed, huge, 2, 0, 127, relay);
    for (unsigned i = 0; i < 254; i++)
        CHECK(relay[i] == 1);
}

int main(void)
{
    TEST_BEGIN();
    TEST(test_rebuild);
    TEST(test_views);
    TEST(test_forged);
    TEST(test_twin);
    TEST(test_epochs);
    TEST(test_split);
    TEST(test_relays);
    return TEST_END();
}
