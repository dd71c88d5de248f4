/* test_set.c - sets, roots, weighted certificates, what excludes what. */
#include "core/base/test.h"
#include "core/crypto/hash.h"
#include "ledger/bft/beacon.h"
#include "ledger/bft/vote.h"

#define N 25

struct world {
    struct qn_key key[N];
    struct qn_set set;
    struct qn_hash chain, block;
    struct qn_cert_vote votes[N], extras[N];
    struct qn_cert cert;
};

static void world_init(struct world *w, uint32_t n, uint32_t fast_ppm)
{
    QN_ASSERT(qn_crypto_init() == QN_OK);
    *w = (struct world){ 0 };
    w->chain = qn_h("test", "chain", 5);
    w->block = qn_h("test", "block", 5);
    w->set = (struct qn_set){ .epoch = 7, .cnt = n, .fast_ppm = fast_ppm };
    for (uint32_t i = 0; i < n; i++) {
        struct qn_hash seed = qn_h("set key", &i, sizeof i);
        qn_key_from_seed(seed.b, &w->key[i]);
        w->set.keys[i] = w->key[i].pub;
        w->set.weights[i] = 10 + i;
    }
}

/* A certificate signed by those whose bit is set. */
static struct qn_cert *sign(struct world *w, uint8_t kind, uint8_t vote, uint32_t bits)
{
    w->cert = (struct qn_cert){ .kind = kind, .epoch = w->set.epoch, .view = 3, .block = w->block };
    w->cert.votes.ptr = w->votes;
    w->cert.extras.ptr = w->extras;
    for (uint16_t i = 0; i < w->set.cnt; i++) {
        struct qn_vote v = qn_vote_make(&w->key[i], i, &w->chain, vote, w->set.epoch, 3, &w->block);
        if (bits >> i & 1) qn_cert_add(&w->cert, &v);
    }
    return &w->cert;
}

static uint64_t weight(const struct world *w, uint32_t bits)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < w->set.cnt; i++)
        if (bits >> i & 1) sum += w->set.weights[i];
    return sum;
}

/* Every subset of seven weighted validators: valid exactly when its weight says so. */
static void test_every_subset(struct qn_test_state *t)
{
    struct world w;
    world_init(&w, 7, 0);
    struct qn_quorum q = qn_set_quorum(&w.set);
    CHECK(q.all == 91 && q.q == 61 && q.fast == 91);
    for (uint32_t bits = 0; bits < 128; bits++) {
        qn_rc want = weight(&w, bits) >= q.q ? QN_OK : QN_E_PROOF;
        struct qn_cert *c = sign(&w, QN_CERT_SLOW, QN_VOTE_FINAL, bits);
        CHECK_RC(qn_cert_final(c, &w.chain, &w.block, &w.set, NULL), want);
        c = sign(&w, QN_CERT_VIEW, bits & 1 ? QN_VOTE_FIRST : QN_VOTE_EXTRA, bits);
        CHECK_RC(qn_cert_valid(c, &w.chain, &w.set, NULL), want);
        CHECK_RC(qn_cert_final(c, &w.chain, &w.block, &w.set, NULL), QN_E_PROOF);
        c = sign(&w, QN_CERT_FAST, QN_VOTE_FIRST, bits);
        CHECK_RC(qn_cert_final(c, &w.chain, &w.block, &w.set, NULL),
                 bits == 127 ? QN_OK : QN_E_PROOF);
    }
}

/* From 21 validators on, fast_ppm of the weight may be missing on the fast path. */
static void test_fast_ppm(struct qn_test_state *t)
{
    struct world w;
    world_init(&w, N, 50000);
    struct qn_quorum q = qn_set_quorum(&w.set);
    uint32_t all = (1u << N) - 1;
    CHECK(q.all == 550 && q.missing == 27 && q.fast == 523);
    CHECK_RC(qn_cert_valid(sign(&w, QN_CERT_FAST, QN_VOTE_FIRST, all & ~(1u << 17)), &w.chain,
                           &w.set, NULL), /* of weight 27 */
             QN_OK);
    CHECK_RC(qn_cert_valid(sign(&w, QN_CERT_FAST, QN_VOTE_FIRST, all & ~(1u << 18)), &w.chain,
                           &w.set, NULL),
             QN_E_PROOF);
}

static void test_forged(struct qn_test_state *t)
{
    struct world w;
    world_init(&w, 7, 0);
    struct qn_cert *c = sign(&w, QN_CERT_SLOW, QN_VOTE_FINAL, 127);
    struct qn_hash other = qn_h("test", "other", 5);
    CHECK_RC(qn_cert_final(c, &w.chain, &other, &w.set, NULL), QN_E_PROOF);
    CHECK_RC(qn_cert_final(c, &other, &w.block, &w.set, NULL), QN_E_SIGNATURE);
    w.set.epoch++;
    CHECK_RC(qn_cert_valid(c, &w.chain, &w.set, NULL), QN_E_PROOF);
    w.set.epoch--;
    c->votes.ptr[6].sig.b[5] ^= 1;
    CHECK_RC(qn_cert_valid(c, &w.chain, &w.set, NULL), QN_E_SIGNATURE);
    c = sign(&w, QN_CERT_SLOW, QN_VOTE_FINAL, 127);
    c->votes.ptr[3].signer = 2; /* the same one twice */
    CHECK_RC(qn_cert_valid(c, &w.chain, &w.set, NULL), QN_E_PROOF);
    c->votes.ptr[3].signer = 3;
    c->votes.ptr[6].signer = 7; /* nobody */
    CHECK_RC(qn_cert_valid(c, &w.chain, &w.set, NULL), QN_E_PROOF);
    c = sign(&w, QN_CERT_SLOW, QN_VOTE_FIRST, 127); /* FIRST votes make no SLOW certificate */
    CHECK_RC(qn_cert_valid(c, &w.chain, &w.set, NULL), QN_E_SIGNATURE);
    c = sign(&w, 4, QN_VOTE_FINAL, 127);
    CHECK_RC(qn_cert_valid(c, &w.chain, &w.set, NULL), QN_E_PROOF);
    /* All say FIRST for nothing where a leader is silent: it ends a view, and is no block. */
    memset(&w.block, 0, sizeof w.block);
    c = sign(&w, QN_CERT_VIEW, QN_VOTE_FIRST, 127);
    CHECK_RC(qn_cert_valid(c, &w.chain, &w.set, NULL), QN_OK);
    c->kind = QN_CERT_FAST;
    CHECK_RC(qn_cert_valid(c, &w.chain, &w.set, NULL), QN_E_PROOF);
}

static bool knows(const void *arg, const struct qn_vote *vote)
{
    const struct qn_vote *one = arg;
    return vote->signer == one->signer && memcmp(&vote->sig, &one->sig, sizeof vote->sig) == 0;
}

/* A vote that was checked is not checked again; one that differs from it is. */
static void test_known(struct qn_test_state *t)
{
    struct world w;
    world_init(&w, 7, 0);
    struct qn_cert *c = sign(&w, QN_CERT_VIEW, QN_VOTE_FIRST, 127);
    c->votes.ptr[4].sig.b[5] ^= 1;
    struct qn_vote one = qn_cert_vote_whole(c, 4);
    CHECK_RC(qn_cert_valid_but(c, &w.chain, &w.set, knows, &one, NULL), QN_OK);
    one.sig.b[5] ^= 1;
    CHECK_RC(qn_cert_valid_but(c, &w.chain, &w.set, knows, &one, NULL), QN_E_SIGNATURE);
    c->votes.cnt = 3; /* known or not, they must weigh enough */
    CHECK_RC(qn_cert_valid_but(c, &w.chain, &w.set, knows, &one, NULL), QN_E_PROOF);
}

/* One form: each list rises, nobody is in both, EXTRA only where it counts. What comes out is what was cast. */
static void test_form(struct qn_test_state *t)
{
    struct world w;
    world_init(&w, 7, 0);
    struct qn_cert *c = sign(&w, QN_CERT_VIEW, QN_VOTE_FIRST, 0x53); /* 0, 1, 4, 6 */
    for (uint16_t i = 2; i < 6; i += 3) {                            /* 2, 5 */
        struct qn_vote v = qn_vote_make(&w.key[i], i, &w.chain, QN_VOTE_EXTRA, 7, 3, &w.block);
        qn_cert_add(c, &v);
    }
    CHECK(c->votes.cnt == 4 && c->extras.cnt == 2);
    CHECK_RC(qn_cert_valid(c, &w.chain, &w.set, NULL), QN_OK);
    for (uint32_t i = 0; i < qn_cert_cnt(c); i++) {
        struct qn_vote v = qn_cert_vote_whole(c, i);
        CHECK(v.kind == (i < 4 ? QN_VOTE_FIRST : QN_VOTE_EXTRA) && v.epoch == 7 && v.view == 3);
        CHECK(qn_vote_ok(&v, &w.chain, &w.key[v.signer].pub));
    }
    struct qn_buf whole = { 0 }, again = { 0 };
    struct qn_cert *copy = qn_cert_copy(c);
    qn_encode(qn_cert_record(), c, &whole);
    qn_encode(qn_cert_record(), copy, &again);
    CHECK(whole.len == 53 + 6 * 66 && again.len == whole.len);
    CHECK(memcmp(whole.ptr, again.ptr, whole.len) == 0);
    qn_buf_free(&whole);
    qn_buf_free(&again);
    free(copy);
    struct qn_cert_vote last = w.extras[1], first = w.extras[0];
    w.extras[0] = last; /* they fall */
    w.extras[1] = first;
    CHECK_RC(qn_cert_valid(c, &w.chain, &w.set, NULL), QN_E_PROOF);
    w.extras[0] = first;
    w.extras[1] = w.votes[3]; /* 6 stands in both */
    CHECK_RC(qn_cert_valid(c, &w.chain, &w.set, NULL), QN_E_PROOF);
    w.extras[1] = last;
    w.votes[4] = last; /* one in the list of the other kind */
    c->votes.cnt = 5;
    c->extras.cnt = 1;
    CHECK_RC(qn_cert_valid(c, &w.chain, &w.set, NULL), QN_E_PROOF);
    w.votes[3] = last;
    c->votes.cnt = 4;
    CHECK_RC(qn_cert_valid(c, &w.chain, &w.set, NULL), QN_E_SIGNATURE);
    c = sign(&w, QN_CERT_FAST, QN_VOTE_FIRST, 127); /* whole, and one too many */
    CHECK_RC(qn_cert_valid(c, &w.chain, &w.set, NULL), QN_OK);
    c->extras.cnt = 1;
    CHECK_RC(qn_cert_valid(c, &w.chain, &w.set, NULL), QN_E_PROOF);
}

static void test_equal(struct qn_test_state *t)
{
    struct world w;
    world_init(&w, 7, 0);
    for (uint32_t i = 0; i < w.set.cnt; i++)
        w.set.weights[i] = 1;
    struct qn_cert *c = sign(&w, QN_CERT_SLOW, QN_VOTE_FINAL, 0x1f); /* 5 of 7 */
    CHECK_RC(qn_cert_final(c, &w.chain, &w.block, &w.set, NULL), QN_OK);
    c = sign(&w, QN_CERT_SLOW, QN_VOTE_FINAL, 0xf);
    CHECK_RC(qn_cert_final(c, &w.chain, &w.block, &w.set, NULL), QN_E_PROOF);
}

static void test_cap(struct qn_test_state *t)
{
    uint64_t few[] = { 900, 50, 50, 0 }, many[20], one[] = { 0 };
    qn_set_cap(few, 4);
    CHECK(few[0] == 250 && few[1] == 50 && few[2] == 50 && few[3] == 1);
    for (int i = 0; i < 20; i++)
        many[i] = i ? 100 : 8100;
    qn_set_cap(many, 20);
    CHECK(many[0] == 1000 && many[1] == 100 && many[19] == 100);
    qn_set_cap(one, 1);
    CHECK(one[0] == 1);
}

static void test_root_and_overlap(struct qn_test_state *t)
{
    struct world w;
    world_init(&w, 7, 0);
    struct qn_set other = w.set;
    struct qn_hash root = qn_set_hash(&w.set), again;
    uint8_t flat[7 * 40];
    for (int i = 0; i < 7; i++) {
        memcpy(flat + 40 * i, w.set.keys[i].b, 32);
        memset(flat + 40 * i + 32, 0, 8);
        flat[40 * i + 32] = (uint8_t)w.set.weights[i];
    }
    again = qn_h("set", flat, sizeof flat);
    CHECK(qn_hash_eq(&root, &again));
    other.weights[2]++;
    again = qn_set_hash(&other);
    CHECK(!qn_hash_eq(&root, &again));
    other.keys[0] = w.chain; /* the trusted set has another member there */
    other.weights[1] = 1000;
    struct qn_cert *c = sign(&w, QN_CERT_SLOW, QN_VOTE_FINAL, 0x0b); /* 0, 1, 3 */
    CHECK(qn_set_overlap(&other, &w.set, c) == 1000 + 13);
}

static void test_exclude(struct qn_test_state *t)
{
    struct world w;
    world_init(&w, 2, 0);
    const struct qn_hash nothing = { { 0 } };
    for (uint8_t a = 1; a <= 3; a++) {
        for (uint8_t b = 1; b <= 3; b++) {
            struct qn_vote x = { .kind = a, .view = 5, .block = w.block },
                           y = { .kind = b, .view = 5, .block = nothing }, same = x, later = y,
                           epoch = y;
            bool want = a == QN_VOTE_FINAL || b == QN_VOTE_FINAL ||
                        (a == QN_VOTE_FIRST && b == QN_VOTE_FIRST);
            same.kind = b;
            later.view = 6;
            epoch.epoch = 1;
            CHECK(qn_votes_exclude(&x, &y) == want);
            CHECK(!qn_votes_exclude(&x, &same) && !qn_votes_exclude(&x, &later) &&
                  !qn_votes_exclude(&x, &epoch));
        }
    }
}

static void test_genesis(struct qn_test_state *t)
{
    struct world w;
    world_init(&w, 4, 0);
    struct qn_hash acct = qn_h("test", "owner", 5);
    struct qn_genesis_bond bonds[4];
    struct qn_grant grant = { acct, QN_UQN(QN_SUPPLY_UQN - 1000) };
    struct qn_genesis g = { .name = QN_SPAN_STR("test"),
                            .t_ms = 1,
                            .validators = { 4, w.set.keys } };
    struct qn_set set;
    struct qn_why why;
    for (int i = 0; i < 4; i++)
        bonds[i] = (struct qn_genesis_bond){ acct, QN_UQN(i ? 100 : 700), 0 };
    CHECK_RC(qn_set_genesis(&g, &set, &why), QN_OK);
    CHECK(set.cnt == 4 && set.weights[0] == 1 && set.weights[3] == 1 && set.epoch == 0);
    g.bonds.cnt = 4;
    g.bonds.ptr = bonds;
    CHECK_RC(qn_set_genesis(&g, &set, &why), QN_OK);
    CHECK(set.weights[0] == 250 && set.weights[3] == 100);
    g.grants.cnt = 1;
    g.grants.ptr = &grant;
    CHECK_RC(qn_set_genesis(&g, &set, &why), QN_OK);
    bonds[1].amount.uqn++;
    CHECK_RC(qn_set_genesis(&g, &set, &why), QN_E_RANGE); /* one coin more than there is */
    g.grants.cnt = 0;
    g.bonds.cnt = 3;
    CHECK_RC(qn_set_genesis(&g, &set, &why), QN_E_RANGE);
    g.bonds.cnt = 4;
    w.set.keys[2] = w.set.keys[0];
    CHECK_RC(qn_set_genesis(&g, &set, &why), QN_E_RANGE);
    g.bonds.cnt = g.validators.cnt = 0;
    CHECK_RC(qn_set_genesis(&g, &set, &why), QN_E_RANGE);
    g.validators.cnt = 2;
    g.fast_ppm = 200001;
    CHECK_RC(qn_set_genesis(&g, &set, &why), QN_E_RANGE);
    g.fast_ppm = 0;
    g.epoch_ms = 1000;
    CHECK_RC(qn_set_genesis(&g, &set, &why), QN_E_RANGE);
    g.dev = true;
    CHECK_RC(qn_set_genesis(&g, &set, &why), QN_OK);
}

/* One proof, one beacon; of this key, chain, height and beacon alone. */
static void test_beacon(struct qn_test_state *t)
{
    struct world w;
    struct qn_vrf_proof pi, again;
    struct qn_hash a, b;
    world_init(&w, 2, 0);
    qn_beacon_prove(&w.key[0], &w.chain, &w.block, 7, &pi, &a);
    qn_beacon_prove(&w.key[0], &w.chain, &w.block, 7, &again, &b);
    CHECK(qn_hash_eq(&a, &b) && memcmp(&pi, &again, sizeof pi) == 0);
    CHECK(qn_beacon_check(&w.set.keys[0], &w.chain, &w.block, 7, &pi, &b) && qn_hash_eq(&a, &b));
    CHECK(!qn_beacon_check(&w.set.keys[1], &w.chain, &w.block, 7, &pi, &b));
    CHECK(!qn_beacon_check(&w.set.keys[0], &w.block, &w.block, 7, &pi, &b));
    CHECK(!qn_beacon_check(&w.set.keys[0], &w.chain, &w.chain, 7, &pi, &b));
    CHECK(!qn_beacon_check(&w.set.keys[0], &w.chain, &w.block, 8, &pi, &b));
    qn_beacon_prove(&w.key[1], &w.chain, &w.block, 7, &again, &b);
    CHECK(!qn_hash_eq(&a, &b));
}

int main(void)
{
    TEST_BEGIN();
    TEST(test_every_subset);
    TEST(test_fast_ppm);
    TEST(test_forged);
    TEST(test_known);
    TEST(test_form);
    TEST(test_equal);
    TEST(test_cap);
    TEST(test_root_and_overlap);
    TEST(test_exclude);
    TEST(test_genesis);
    TEST(test_beacon);
    return TEST_END();
}
