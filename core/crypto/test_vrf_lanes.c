/* test_vrf_lanes.c - proofs in lanes against libsodium one by one, hostile ones above all: points outside the prime-order group whose equations
 * hold, every form of a point of small order, scalars at their limits, flipped bits. */
#include "core/base/test.h"
#include "core/crypto/hash.h"
#include "core/crypto/vrf_lanes.h"

#include <sodium.h>

enum { MAX = 80, TEXT = 300 };
#define LAST "ecd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010" /* L - 1 */

/* Proofs that own what they name. */
struct set {
    size_t cnt;
    struct qn_vrf_item item[MAX];
    struct qn_hash pub[MAX];
    struct qn_vrf_proof pi[MAX];
    uint8_t text[MAX][TEXT];
};

static uint64_t next(uint64_t *x)
{
    *x = *x * 6364136223846793005u + 1442695040888963407u;
    return *x >> 33;
}

static void put(struct set *s, const struct qn_hash *pub, const struct qn_vrf_proof *pi,
                struct qn_span text)
{
    size_t i = s->cnt++;
    QN_ASSERT(s->cnt <= MAX && text.len <= TEXT);
    s->pub[i] = *pub;
    s->pi[i] = *pi;
    if (text.len) memcpy(s->text[i], text.ptr, text.len);
    s->item[i] = (struct qn_vrf_item){ &s->pub[i], &s->pi[i], QN_SPAN(s->text[i], text.len) };
}

/* Says how many are good; verdict and output are libsodium's through every door. */
static unsigned all_ways(struct qn_test_state *t, struct set *s)
{
    static uint8_t one[MAX][QN_VRF_OUT], many[MAX][QN_VRF_OUT];
    bool is[MAX], got[MAX];
    unsigned good = 0;
    for (size_t i = 0; i < s->cnt; i++) {
        const struct qn_vrf_item *v = &s->item[i];
        is[i] = vrf_plain_verify(v->pub, v->alpha, v->proof, one[i]);
        CHECK(qn_vrf_verify(v->pub, v->alpha, v->proof, many[0]) == is[i]);
        if (is[i]) CHECK(memcmp(one[i], many[0], QN_VRF_OUT) == 0);
        good += is[i];
        got[i] = !is[i];
    }
    memset(many, 0xa5, sizeof many);
    qn_vrf_verify_many(s->item, s->cnt, got, many);
    CHECK(memcmp(is, got, s->cnt) == 0);
    for (size_t i = 0; i < s->cnt; i++)
        if (is[i]) CHECK(memcmp(one[i], many[i], QN_VRF_OUT) == 0);
    s->cnt = 0;
    return good;
}

static void person(uint64_t no, struct qn_key *ret)
{
    struct qn_hash seed = qn_h("vrf lanes test", &no, sizeof no);
    QN_ASSERT(qn_crypto_init() == QN_OK);
    qn_key_from_seed(seed.b, ret);
}

/* --- good ones -------------------------------------------------------------------------------------------------------------- */

/* Of all counts, of texts of all lengths, of the same key and of others, the same proof twice. */
static void test_good(struct qn_test_state *t)
{
    static struct set s;
    uint64_t x = 7;
    for (size_t cnt = 1; cnt <= MAX; cnt += cnt < 18 ? 1 : 31) {
        for (size_t i = 0; i < cnt; i++) {
            uint8_t text[TEXT];
            struct qn_key key;
            struct qn_vrf_proof pi;
            size_t len = i % 4 ? 85 : next(&x) % TEXT;
            for (size_t k = 0; k < len; k++)
                text[k] = (uint8_t)next(&x);
            person(next(&x) % 5, &key);
            qn_vrf_prove(&key, QN_SPAN(text, len), &pi, NULL);
            put(&s, &key.pub, &pi, QN_SPAN(text, len));
            if (i % 7 == 6) {
                s.cnt--;
                put(&s, &s.pub[0], &s.pi[0], s.item[0].alpha);
            }
        }
        CHECK(all_ways(t, &s) == cnt);
    }
}

/* 8 times the first hash that is a point: as the plain way finds it, however many are none before it. */
static void test_curve(struct qn_test_state *t)
{
    unsigned most = 0, rounds = test_long() ? 20000 : 1500;
    struct qn_key key;
    person(1, &key);
    for (unsigned i = 0; i < rounds && vrf_lanes_can(); i++) {
        uint8_t hash[64], want[32], got[32];
        struct vrf_flat flat;
        unsigned ctr = 0;
        for (;; ctr++) {
            vrf_try(&key.pub, QN_SPAN_OF(i), ctr, hash);
            if (vrf_canonical(hash) && crypto_core_ed25519_add(want, hash, hash) == 0) break;
        }
        QN_ASSERT(crypto_core_ed25519_add(want, want, want) == 0 &&
                  crypto_core_ed25519_add(want, want, want) == 0);
        vrf_lanes_curve(&key.pub, QN_SPAN_OF(i), got, &flat);
        CHECK(memcmp(want, got, 32) == 0);
        most = QN_MAX(most, ctr);
    }
    CHECK(most >= 8 || !vrf_lanes_can()); /* a second turn of eight was needed */
}

/* A proof is the same bytes whoever makes it. */
static void test_draw(struct qn_test_state *t)
{
    uint64_t x = 11;
    for (unsigned i = 0; i < (test_long() ? 20000u : 400u); i++) {
        uint8_t text[TEXT], out[2][QN_VRF_OUT];
        struct qn_vrf_proof pi[2];
        struct qn_key key;
        size_t len = next(&x) % TEXT;
        for (size_t k = 0; k < len; k++)
            text[k] = (uint8_t)next(&x);
        person(i, &key);
        qn_vrf_prove(&key, QN_SPAN(text, len), &pi[0], out[0]);
        vrf_plain_prove(&key, QN_SPAN(text, len), &pi[1], out[1]);
        CHECK(memcmp(&pi[0], &pi[1], sizeof pi[0]) == 0);
        CHECK(memcmp(out[0], out[1], sizeof out[0]) == 0);
    }
}

/* Multiples by scalars at their limits, beside libsodium's. */
static void test_multiples(struct qn_test_state *t)
{
    struct vrf_flat flat;
    struct vrf_drawn d;
    struct qn_key key;
    uint8_t h[32], want[32], s[2][32];
    person(2, &key);
    if (!vrf_lanes_can()) return;
    vrf_lanes_curve(&key.pub, QN_SPAN_STR("text"), h, &flat);
    for (unsigned i = 0; i < 2 + 31 * 5; i++) {
        memset(s, 0, sizeof s);
        s[0][0] = 1;
        QN_ASSERT(qn_unhex(LAST, 64, s[1], 32));
        if (i > 1) { /* a digit alone, of each height */
            s[0][0] = 0;
            s[0][(i - 2) / 5] = (uint8_t)(1u << (i - 2) % 5 | 0x10);
        }
        const uint8_t *x = s[i == 1], *k = s[i != 1];
        vrf_lanes_draw(&flat, x, k, &d);
        CHECK(crypto_scalarmult_ed25519_noclamp(want, x, h) == 0);
        CHECK(memcmp(want, d.gamma, 32) == 0);
        for (int n = 0; n < 3; n++)
            CHECK(crypto_core_ed25519_add(want, want, want) == 0);
        CHECK(memcmp(want, d.gamma8, 32) == 0);
        CHECK(crypto_scalarmult_ed25519_base_noclamp(want, k) == 0);
        CHECK(memcmp(want, d.u, 32) == 0);
        CHECK(crypto_scalarmult_ed25519_noclamp(want, k, h) == 0);
        CHECK(memcmp(want, d.v, 32) == 0);
    }
}

/* --- hostile ones ------------------------------------------------------------------------------------------------------------- */

/* Of order 8; its multiples are all of small order. */
static void torsion(unsigned k, uint8_t ret[32])
{
    uint8_t eighth[32];
    memset(ret, 0, 32);
    ret[0] = 1;
    QN_ASSERT(qn_unhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05", 64,
                       eighth, 32));
    while (k--)
        QN_ASSERT(crypto_core_ed25519_add(ret, ret, eighth) == 0);
}

/* A proof by who knows x, with points of small order added to its key and its gamma: c is searched for that takes both away again (or, where
 * whole is false, does not), so that but for the test of the group all holds. no 0: x is 0, and there is nothing but those points. */
static void forge(uint64_t no, unsigned of_key, unsigned of_gamma, bool whole, struct set *s)
{
    uint8_t x[32], wide[64], k[32], h[32], hash[64], u[32], v[32], c[32] = { 0 }, sc[32], t[32];
    struct qn_hash pub, seed = qn_h("vrf forger", &no, sizeof no);
    struct qn_vrf_proof pi;
    memset(wide, 0, sizeof wide);
    memcpy(wide, seed.b, 32);
    crypto_core_ed25519_scalar_reduce(x, wide);
    if (no == 0) memset(x, 0, sizeof x);
    torsion(of_key, pub.b);
    if (no && crypto_scalarmult_ed25519_base_noclamp(t, x) == 0)
        QN_ASSERT(crypto_core_ed25519_add(pub.b, pub.b, t) == 0);
    for (unsigned ctr = 0;; ctr++) {
        vrf_try(&pub, QN_SPAN_OF(no), ctr, hash);
        if (vrf_canonical(hash) && crypto_core_ed25519_add(h, hash, hash) == 0) break;
    }
    QN_ASSERT(crypto_core_ed25519_add(h, h, h) == 0 && crypto_core_ed25519_add(h, h, h) == 0);
    torsion(of_gamma, pi.b);
    if (no && crypto_scalarmult_ed25519_noclamp(t, x, h) == 0)
        QN_ASSERT(crypto_core_ed25519_add(pi.b, pi.b, t) == 0);
    for (uint64_t i = 0;; i++) {
        const uint8_t *points[] = { pub.b, h, pi.b, u, v };
        memcpy(wide, &i, sizeof i);
        crypto_core_ed25519_scalar_reduce(k, wide);
        QN_ASSERT(crypto_scalarmult_ed25519_base_noclamp(u, k) == 0 &&
                  crypto_scalarmult_ed25519_noclamp(v, k, h) == 0);
        vrf_challenge(points, c);
        if ((c[0] % 8 == 0) == whole) break;
    }
    crypto_core_ed25519_scalar_mul(sc, c, x);
    crypto_core_ed25519_scalar_add(sc, sc, k);
    memcpy(pi.b + 32, c, 16);
    memcpy(pi.b + 48, sc, 32);
    put(s, &pub, &pi, QN_SPAN_OF(no));
}

/* Key and gamma with a part of small order, in every way: refused, though U and V are right; without one taken. */
static void test_group(struct qn_test_state *t)
{
    static struct set s;
    for (unsigned i = 0; i < 64; i++)
        forge(i / 16 + 1, i % 8, i / 8, true, &s);
    CHECK(all_ways(t, &s) == 1);
    for (unsigned i = 0; i < 64; i++)
        forge(0, i % 8, i / 8, true, &s);
    CHECK(all_ways(t, &s) == 0);
    for (unsigned i = 1; i < 9; i++)
        forge(i, 0, 0, i % 2, &s);
    CHECK(all_ways(t, &s) == 8);
    for (unsigned i = 1; i < 16; i++)
        forge(i, i % 8, i / 8 * 3, false, &s);
    CHECK(all_ways(t, &s) == 0);
}

/* Bytes that are no point, or one of small order, in every form; as key, as gamma, as both. */
static const char *const BAD[] = {
    "0200000000000000000000000000000000000000000000000000000000000000", /* no x for this y */
    "0700000000000000000000000000000000000000000000000000000000000000",
    "ebffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "0000000000000000000000000000000000000000000000000000000000000000", /* small order */
    "0100000000000000000000000000000000000000000000000000000000000000",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", /* of them, y + p */
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "f0ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", /* not canonical */
    "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
};

/* s, little-endian: 0, 1, L - 1, L, L + 1, 2^252, all ones. */
static const char *const SCALARS[] = {
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "ecd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010",
    "edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010",
    "eed3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010",
    "0000000000000000000000000000000000000000000000000000000000000010",
    "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
};

static void wrong(struct set *w, const struct qn_key *key)
{
    struct qn_vrf_proof pi, bad;
    struct qn_hash point;
    qn_vrf_prove(key, QN_SPAN_STR("text"), &pi, NULL);
    for (size_t i = 0; i < 2 * QN_COUNT(BAD); i++) {
        QN_ASSERT(qn_unhex(BAD[i / 2], 64, point.b, 32));
        point.b[31] ^= (uint8_t)(i % 2 << 7);
        bad = pi;
        memcpy(bad.b, point.b, 32);
        put(w, &key->pub, &bad, QN_SPAN_STR("text"));
        put(w, &point, i % 3 ? &pi : &bad, QN_SPAN_STR("text"));
    }
    for (size_t i = 0; i < QN_COUNT(SCALARS); i++) {
        bad = pi;
        QN_ASSERT(qn_unhex(SCALARS[i], 64, bad.b + 48, 32));
        put(w, &key->pub, &bad, QN_SPAN_STR("text"));
        memset(bad.b + 32, i % 2 ? 0 : 0xff, 16); /* c of 0: U and V are sB and sH */
        put(w, &key->pub, &bad, QN_SPAN_STR("text"));
    }
    bad = pi; /* s + L is the same scalar, and another proof */
    for (unsigned i = 0, carry = 0; i < 32; i++, carry >>= 8) {
        uint8_t l[32];
        QN_ASSERT(qn_unhex(SCALARS[3], 64, l, 32));
        carry += bad.b[48 + i] + l[i];
        bad.b[48 + i] = (uint8_t)carry;
    }
    put(w, &key->pub, &bad, QN_SPAN_STR("text"));
    bad = pi;
    memset(bad.b + 32, 0, 16);
    put(w, &key->pub, &bad, QN_SPAN_STR("text"));
}

static void test_bytes(struct qn_test_state *t)
{
    static struct set w;
    struct qn_key key;
    person(3, &key);
    wrong(&w, &key);
    CHECK(w.cnt > 60);
    CHECK(all_ways(t, &w) == 0);
}

/* A wrong one in each of 9 places alone among good ones; and a good one among the same wrong one everywhere. */
static void test_each_lane(struct qn_test_state *t)
{
    static struct set good, w;
    static uint8_t out[9][QN_VRF_OUT];
    struct qn_vrf_item items[9];
    struct qn_key key;
    bool got[9];
    for (unsigned i = 0; i < 9; i++) {
        struct qn_vrf_proof pi;
        person(i, &key);
        qn_vrf_prove(&key, QN_SPAN_OF(i), &pi, NULL);
        put(&good, &key.pub, &pi, QN_SPAN_OF(i));
    }
    wrong(&w, &key);
    for (unsigned i = 0; i < 8; i++) {
        w.cnt = QN_MIN(w.cnt, (size_t)MAX - 1);
        forge(i, 1 + i % 7, i % 2 ? 0 : i, true, &w);
    }
    for (size_t k = 0; k < w.cnt; k++)
        for (size_t at = k % 3; at < 9; at += 3)
            for (int alone = 0; alone < 2; alone++) {
                for (size_t i = 0; i < 9; i++) {
                    bool bad = (i == at) != alone;
                    items[i] = bad ? w.item[k] : good.item[i];
                    got[i] = bad;
                }
                qn_vrf_verify_many(items, 9, got, out);
                for (size_t i = 0; i < 9; i++)
                    CHECK(got[i] == ((i == at) == alone));
            }
}

/* Flipped bits, other texts, other keys, exchanged halves, noise. */
static void test_random(struct qn_test_state *t)
{
    static struct set s;
    uint64_t x = 1;
    unsigned good = 0, all = 0, rounds = test_long() ? 300 : 8;
    for (unsigned r = 0; r < rounds; r++) {
        size_t cnt = 1 + next(&x) % MAX;
        for (size_t i = 0; i < cnt; i++) {
            struct qn_key key, other;
            struct qn_vrf_proof pi;
            uint8_t text[TEXT];
            size_t len = next(&x) % 4 ? 85 : next(&x) % TEXT;
            for (size_t k = 0; k < len; k++)
                text[k] = (uint8_t)next(&x);
            person(next(&x) % 50, &key);
            person(next(&x) % 50 + 50, &other);
            qn_vrf_prove(&key, QN_SPAN(text, len), &pi, NULL);
            uint8_t bit = (uint8_t)(1u << next(&x) % 8);
            switch (next(&x) % 10) {
            case 0: pi.b[next(&x) % 32] ^= bit; break;
            case 1: pi.b[32 + next(&x) % 16] ^= bit; break;
            case 2: pi.b[48 + next(&x) % 32] ^= bit; break;
            case 3: key.pub.b[next(&x) % 32] ^= bit; break;
            case 4: text[next(&x) % TEXT] ^= len ? bit : 0; break;
            case 5: key.pub = other.pub; break;
            case 6:
                for (unsigned k = 0; k < 80; k++)
                    pi.b[k] = (uint8_t)next(&x);
                break;
            default: break;
            }
            put(&s, &key.pub, &pi, QN_SPAN(text, len));
        }
        all += (unsigned)cnt;
        good += all_ways(t, &s);
    }
    CHECK(good > all / 5);
    CHECK(good < all / 2);
}

int main(void)
{
    TEST_BEGIN();
    TEST(test_good);
    TEST(test_curve);
    TEST(test_draw);
    TEST(test_multiples);
    TEST(test_group);
    TEST(test_bytes);
    TEST(test_each_lane);
    TEST(test_random);
    return TEST_END();
}
