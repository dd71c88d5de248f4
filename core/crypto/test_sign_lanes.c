/* test_sign_lanes.c - many signatures at once against libsodium one by one; the numbers beneath against a bignum. */
#include "core/base/test.h"
#include "core/crypto/sign_lanes.h"

#include <openssl/bn.h>
#include <openssl/evp.h>
#include <sodium.h>

enum { MSG_MAX = 1100 };

/* Signatures that own what they name. */
struct set {
    size_t cnt;
    struct qn_verify_item item[512];
    struct qn_hash pub[512];
    struct qn_sig sig[512];
    uint8_t msg[512][MSG_MAX];
};

static uint64_t next(uint64_t *x)
{
    *x = *x * 6364136223846793005u + 1442695040888963407u;
    return *x >> 33;
}

static void put(struct set *s, const uint8_t pub[32], const uint8_t r[32], const uint8_t scalar[32],
                const void *msg, size_t len)
{
    size_t i = s->cnt++;
    QN_ASSERT(s->cnt <= QN_COUNT(s->item) && len <= MSG_MAX);
    memcpy(s->pub[i].b, pub, 32);
    memcpy(s->sig[i].b, r, 32);
    memcpy(s->sig[i].b + 32, scalar, 32);
    if (len) memcpy(s->msg[i], msg, len);
    s->item[i] = (struct qn_verify_item){ &s->pub[i], &s->sig[i], QN_SPAN(s->msg[i], len) };
}

/* Says how many are good; every verdict is libsodium's, through the door and in lanes. */
static unsigned both(struct qn_test_state *t, struct set *s)
{
    bool one[512], many[512];
    unsigned good = 0;
    for (size_t i = 0; i < s->cnt; i++) {
        one[i] = crypto_sign_verify_detached(s->sig[i].b, s->msg[i], s->item[i].msg.len,
                                             s->pub[i].b) == 0;
        good += one[i];
        many[i] = !one[i];
    }
    qn_verify_many(s->item, s->cnt, many);
    CHECK(memcmp(one, many, s->cnt) == 0);
    for (size_t i = 0; i < s->cnt; i++)
        many[i] = !one[i];
    if (sign_lanes_can()) {
        sign_lanes_verify(s->item, s->cnt, many);
        CHECK(memcmp(one, many, s->cnt) == 0);
    }
    s->cnt = 0;
    return good;
}

/* --- signatures --------------------------------------------------------------------------------------------------------- */

/* OpenSSL's verdict, which is another for some. */
static bool openssl_takes(const uint8_t pub[32], const uint8_t sig[64], struct qn_span msg)
{
    EVP_PKEY *key = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, pub, 32);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool ret = key && ctx && EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, key) == 1 &&
               EVP_DigestVerify(ctx, sig, 64, msg.ptr, msg.len) == 1;
    EVP_MD_CTX_free(ctx);
    EVP_PKEY_free(key);
    return ret;
}

/* The published ones; ret_openssl may be NULL. */
static void read_golden(struct qn_test_state *t, struct set *s, bool want[32], bool *ret_openssl)
{
    FILE *f = fopen("tests/golden/ed25519.txt", "r");
    char line[4096], pub[65], sig[129], msg[2200];
    int verdict, openssl;
    CHECK(f != NULL);
    while (f && fgets(line, sizeof line, f)) {
        uint8_t p[32], rs[64], m[MSG_MAX];
        if (sscanf(line, "%d %64s %128s %2199s %d", &verdict, pub, sig, msg, &openssl) != 5)
            continue;
        size_t len = strcmp(msg, "-") == 0 ? 0 : strlen(msg) / 2;
        QN_ASSERT(qn_unhex(pub, 64, p, 32) && qn_unhex(sig, 128, rs, 64) &&
                  (len == 0 || qn_unhex(msg, 2 * len, m, len)));
        want[s->cnt] = verdict;
        if (ret_openssl) ret_openssl[s->cnt] = openssl;
        put(s, p, rs, rs + 32, m, len);
    }
    if (f) fclose(f);
    CHECK(s->cnt == 17);
}

/* The twelve of "Taming the many EdDSAs" and five of the RFC: libsodium, one by one, in lanes, and OpenSSL as the file says of each. What
 * noble says is tests/peers/sign.sh's to see. */
static void test_golden(struct qn_test_state *t)
{
    struct set *s = calloc(1, sizeof *s);
    bool want[32], openssl[32], got[32];
    unsigned apart = 0;
    read_golden(t, s, want, openssl);
    for (size_t i = 0; i < s->cnt; i++) {
        CHECK(qn_verify(s->item[i].pub, s->item[i].msg, s->item[i].sig) == want[i]);
        CHECK(openssl_takes(s->pub[i].b, s->sig[i].b, s->item[i].msg) == openssl[i]);
        apart += openssl[i] != want[i];
    }
    CHECK(apart == 4);
    qn_verify_many(s->item, s->cnt, got);
    CHECK(memcmp(got, want, s->cnt) == 0);
    CHECK(both(t, s) == 6);
    free(s);
}

/* One that is wrong in a lane of its own way (the published ones; keys that are no point of the curve; keys and R of small order, in each of
 * their forms) beside seven good ones: in each of the 8 lanes it alone is refused, with 7 beside it and in each of two groups. And the other way
 * about: a good one among seven of the same wrong kind. */
static void test_each_lane(struct qn_test_state *t)
{
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
    };
    struct set *golden = calloc(1, sizeof *golden), *good = calloc(1, sizeof *good),
               *wrong = calloc(1, sizeof *wrong);
    struct qn_verify_item items[16];
    bool want[32], one[16], many[16];
    struct qn_key key;
    read_golden(t, golden, want, NULL);
    for (uint8_t i = 0; i < 16; i++) {
        uint8_t seed[32] = { i, 3 };
        qn_key_from_seed(seed, &key);
        struct qn_sig sig = qn_sign(&key, QN_SPAN(seed, 8));
        put(good, key.pub.b, sig.b, sig.b + 32, seed, 8);
    }
    for (size_t i = 0; i < golden->cnt; i++)
        if (!want[i])
            put(wrong, golden->pub[i].b, golden->sig[i].b, golden->sig[i].b + 32, golden->msg[i],
                golden->item[i].msg.len);
    for (size_t i = 0; i < 2 * QN_COUNT(BAD); i++) { /* as the key, as R; with either sign */
        uint8_t point[32];
        QN_ASSERT(qn_unhex(BAD[i / 2], 64, point, 32));
        point[31] ^= (uint8_t)(i % 2 << 7);
        put(wrong, point, good->sig[0].b, good->sig[0].b + 32, good->msg[0], 8);
        put(wrong, good->pub[0].b, point, good->sig[0].b + 32, good->msg[0], 8);
    }
    CHECK(wrong->cnt == 11 + 4 * QN_COUNT(BAD));
    for (size_t w = 0; w < wrong->cnt; w++)
        for (size_t at = 0; at < 16; at++)
            for (int alone = 0; alone < 2; alone++) {
                for (size_t i = 0; i < 16; i++) {
                    bool bad = (i == at) != alone;
                    items[i] = bad ? wrong->item[w] : good->item[i];
                    one[i] = !bad;
                    many[i] = bad;
                }
                CHECK(qn_verify(items[at].pub, items[at].msg, items[at].sig) == one[at]);
                qn_verify_many(items, 16, many);
                CHECK(memcmp(one, many, sizeof one) == 0);
                if (!sign_lanes_can()) continue;
                memset(many, 2, sizeof many);
                sign_lanes_verify(items, 8, many); /* one group alone */
                CHECK(memcmp(one, many, 8) == 0);
            }
    free(golden);
    free(good);
    free(wrong);
}

/* Good ones and ones with something wrong, each kind often. */
static void test_random(struct qn_test_state *t)
{
    struct set *s = calloc(1, sizeof *s);
    uint64_t x = 1;
    unsigned good = 0, all = 0, rounds = test_long() ? 250 : 6;
    for (unsigned r = 0; r < rounds; r++) {
        for (unsigned i = 0; i < 512; i++) {
            uint8_t sk[64], msg[MSG_MAX], seed[32];
            struct qn_hash pub;
            struct qn_sig sig;
            size_t len = next(&x) % 3 ? 73 : next(&x) % MSG_MAX;
            for (int k = 0; k < 32; k++)
                seed[k] = (uint8_t)next(&x);
            for (size_t k = 0; k < len; k++)
                msg[k] = (uint8_t)next(&x);
            crypto_sign_seed_keypair(pub.b, sk, seed);
            crypto_sign_detached(sig.b, NULL, msg, len, sk);
            uint8_t bit = (uint8_t)(1u << next(&x) % 8);
            switch (next(&x) % 12) {
            case 0: sig.b[next(&x) % 32] ^= bit; break;
            case 1: sig.b[32 + next(&x) % 32] ^= bit; break;
            case 2: pub.b[next(&x) % 32] ^= bit; break;
            case 3: msg[next(&x) % MSG_MAX] ^= bit; break; /* at times behind its end */
            case 4: sig.b[31] ^= 0x80; break;
            case 5: pub.b[31] ^= 0x80; break;
            case 6: memcpy(pub.b, seed, 32); break;
            case 7: memset(sig.b + 32 * (next(&x) % 2), 0, 32); break;
            default: break;
            }
            put(s, pub.b, sig.b, sig.b + 32, msg, len);
        }
        all += 512;
        good += both(t, s);
    }
    CHECK(good > all / 4 && good < all - all / 4);
    free(s);
}

/* In groups of every size, each signature alone bad, and alone good. */
static void test_places(struct qn_test_state *t)
{
    struct set *s = calloc(1, sizeof *s);
    static const size_t CNT[] = { 0, 1, 2, 3, 7, 8, 9, 15, 16, 17, 63, 64, 65, 130 };
    bool ok[130];
    struct qn_key key;
    for (unsigned i = 0; i < 130; i++) {
        uint8_t seed[32] = { (uint8_t)i, 9 };
        qn_key_from_seed(seed, &key);
        struct qn_sig sig = qn_sign(&key, QN_SPAN(seed, i % 32));
        put(s, key.pub.b, sig.b, sig.b + 32, seed, i % 32);
    }
    for (size_t c = 0; c < QN_COUNT(CNT); c++)
        for (size_t at = 0; at<CNT[c]; at += CNT[c]> 17 ? 5 : 1)
            for (int alone = 0; alone < 2; alone++) {
                for (size_t i = 0; i < CNT[c]; i++)
                    s->sig[i].b[i % 64] ^= (i == at) != alone;
                memset(ok, 2, sizeof ok);
                qn_verify_many(s->item, CNT[c], ok);
                for (size_t i = 0; i < CNT[c]; i++) {
                    CHECK(ok[i] == ((i == at) == alone));
                    s->sig[i].b[i % 64] ^= (i == at) != alone;
                }
            }
    free(s);
}

/* Bytes that are no point, points of small order, numbers that are too large: as key, as R, as S, all with all. */
static void test_edges(struct qn_test_state *t)
{
    static const char *const POINTS[] = {
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "0200000000000000000000000000000000000000000000000000000000000000",
        "0300000000000000000000000000000000000000000000000000000000000000",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "ebffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", /* p - 2 */
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "efffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "f0ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", /* p + 3 */
        "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "5866666666666666666666666666666666666666666666666666666666666666", /* B */
    };
    static const char *const SCALARS[] = {
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "ecd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010", /* L - 1 */
        "edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010",
        "eed3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010",
        "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff0f",
        "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff1f",
        "8080808080808080808080808080808080808080808080808080808080808000",
        "7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f0f",
    };
    struct set *s = calloc(1, sizeof *s);
    for (unsigned a = 0; a < 2 * QN_COUNT(POINTS); a++)
        for (unsigned r = 0; r < 2 * QN_COUNT(POINTS); r++) {
            uint8_t pub[32], big_r[32], scalar[32];
            QN_ASSERT(qn_unhex(POINTS[a / 2], 64, pub, 32) &&
                      qn_unhex(POINTS[r / 2], 64, big_r, 32));
            pub[31] ^= (uint8_t)(a % 2 << 7);
            big_r[31] ^= (uint8_t)(r % 2 << 7);
            for (unsigned k = 0; k < QN_COUNT(SCALARS); k++) {
                QN_ASSERT(qn_unhex(SCALARS[k], 64, scalar, 32));
                put(s, pub, big_r, scalar, "edge", 4);
            }
            if (s->cnt > 500) both(t, s);
        }
    both(t, s);
    free(s);
}

static void hash_mod(const uint8_t r[32], const uint8_t a[32], const uint8_t *msg, uint8_t h[32])
{
    crypto_hash_sha512_state st;
    uint8_t wide[64];
    crypto_hash_sha512_init(&st);
    crypto_hash_sha512_update(&st, r, 32);
    crypto_hash_sha512_update(&st, a, 32);
    crypto_hash_sha512_update(&st, msg, 8);
    crypto_hash_sha512_final(&st, wide);
    crypto_core_ed25519_scalar_reduce(h, wide);
}

/* Keys and R with a part of small order beside their large one: S = r + ha holds up to a point of order 8, and libsodium takes one only where it
 * holds in full. Every eighth does. */
static void test_torsion(struct qn_test_state *t)
{
    static const char EIGHT[] = "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05";
    struct set *s = calloc(1, sizeof *s);
    uint8_t order[8][32] = { { 1 } }; /* i times a point of order 8 */
    uint64_t x = 5;
    QN_ASSERT(qn_unhex(EIGHT, 64, order[1], 32));
    for (int i = 2; i < 8; i++)
        QN_ASSERT(crypto_core_ed25519_add(order[i], order[i - 1], order[1]) == 0);
    for (unsigned i = 0; i < 512; i++) {
        uint8_t a[32] = { 0 }, r[32] = { 0 }, pub[32], big_r[32], h[32], scalar[32], msg[8];
        for (int k = 0; k < 31; k++) {
            a[k] = (uint8_t)next(&x);
            r[k] = (uint8_t)next(&x);
        }
        for (int k = 0; k < 8; k++)
            msg[k] = (uint8_t)next(&x);
        QN_ASSERT(crypto_scalarmult_ed25519_base_noclamp(pub, a) == 0 &&
                  crypto_scalarmult_ed25519_base_noclamp(big_r, r) == 0 &&
                  crypto_core_ed25519_add(pub, pub, order[next(&x) % 8]) == 0 &&
                  crypto_core_ed25519_add(big_r, big_r, order[next(&x) % 8]) == 0);
        hash_mod(big_r, pub, msg, h);
        crypto_core_ed25519_scalar_mul(scalar, h, a);
        crypto_core_ed25519_scalar_add(scalar, scalar, r);
        put(s, pub, big_r, scalar, msg, 8);
    }
    unsigned good = both(t, s);
    CHECK(good > 30 && good < 130);
    free(s);
}

/* S = ha - r: SB - hA is -R, which has the y of R and not its sign. Only who has the key can make one. */
static void test_minus_r(struct qn_test_state *t)
{
    struct set *s = calloc(1, sizeof *s);
    uint64_t x = 6;
    for (unsigned i = 0; i < 64; i++) {
        uint8_t a[32] = { 0 }, r[32] = { 0 }, pub[32], big_r[32], h[32], scalar[32], msg[8] = { 0 };
        for (int k = 0; k < 31; k++) {
            a[k] = (uint8_t)next(&x);
            r[k] = (uint8_t)next(&x);
        }
        QN_ASSERT(crypto_scalarmult_ed25519_base_noclamp(pub, a) == 0 &&
                  crypto_scalarmult_ed25519_base_noclamp(big_r, r) == 0);
        hash_mod(big_r, pub, msg, h);
        crypto_core_ed25519_scalar_mul(scalar, h, a);
        if (i % 2)
            crypto_core_ed25519_scalar_sub(scalar, scalar, r);
        else
            crypto_core_ed25519_scalar_add(scalar, scalar, r);
        put(s, pub, big_r, scalar, msg, 8);
    }
    CHECK(both(t, s) == 32);
    free(s);
}

/* --- numbers ------------------------------------------------------------------------------------------------------------ */

#ifdef __x86_64__
#include "core/crypto/fe8.h"
#include "core/crypto/sha512x8.h"
#include "core/crypto/sign_base.h"

struct big {
    BN_CTX *ctx;
    BIGNUM *p;
};

static struct big big_open(void)
{
    struct big big = { BN_CTX_new(), BN_new() };
    BN_set_bit(big.p, 255);
    BN_sub_word(big.p, 19);
    return big;
}

static void big_close(struct big *big)
{
    BN_free(big->p);
    BN_CTX_free(big->ctx);
}

/* Sum of limbs of any size. */
static BIGNUM *value(const uint64_t limbs[5])
{
    BIGNUM *v = BN_new(), *limb = BN_new();
    for (int i = 4; i >= 0; i--) {
        uint8_t be[8];
        for (int k = 0; k < 8; k++)
            be[k] = (uint8_t)(limbs[i] >> (56 - 8 * k));
        BN_bin2bn(be, 8, limb);
        BN_lshift(v, v, 52);
        BN_add(v, v, limb);
    }
    BN_free(limb);
    return v;
}

/* A lane's number. */
static BIGNUM *lane(const struct fe8 *a, int l)
{
    uint64_t limbs[5];
    for (int i = 0; i < 5; i++)
        memcpy(&limbs[i], (const uint8_t *)&a->v[i] + 8 * l, 8);
    return value(limbs);
}

static bool is_tight(const struct fe8 *a)
{
    for (int i = 0; i < 5; i++)
        for (int l = 0; l < 8; l++) {
            uint64_t limb;
            memcpy(&limb, (const uint8_t *)&a->v[i] + 8 * l, 8);
            if (limb >= (i < 4 ? FE8_MASK + 1 : FE8_TOP + 1 + 0x1000)) return false;
        }
    return true;
}

static bool same(const struct big *big, const BIGNUM *a, const BIGNUM *b)
{
    BIGNUM *d = BN_new();
    BN_mod_sub(d, a, b, big->p, big->ctx);
    bool ret = BN_is_zero(d);
    BN_free(d);
    return ret;
}

/* Numbers of which many have limbs at their bounds. */
static void draw(struct fe8 *r, uint64_t *x, bool wide)
{
    for (int i = 0; i < 5; i++)
        for (int l = 0; l < 8; l++) {
            uint64_t max = wide    ? (UINT64_C(1) << 63) - 1
                           : i < 4 ? FE8_MASK
                                   : FE8_TOP + 0x1000,
                     v = next(x) << 33 ^ next(x) << 11 ^ next(x);
            switch (next(x) % 6) {
            case 0: v = 0; break;
            case 1: v = max; break;
            case 2: v = max - next(x) % 40; break;
            case 3: v = next(x) % 40; break;
            default: v %= max + 1; break;
            }
            memcpy((uint8_t *)&r->v[i] + 8 * l, &v, 8);
        }
}

/* The numbers around p, which have two forms. */
static void draw_near(struct fe8 *r, uint64_t *x)
{
    for (int l = 0; l < 8; l++) {
        uint64_t limb[5] = { FE8_MASK - next(x) % 40, FE8_MASK, FE8_MASK, FE8_MASK, FE8_TOP };
        if (next(x) % 2) { /* 2^255 and a little, */
            memset(limb, 0, sizeof limb);
            limb[0] = next(x) % 40;
            limb[4] = FE8_TOP + 1;
        }
        for (int i = 0; i < 5; i++)
            memcpy((uint8_t *)&r->v[i] + 8 * l, &limb[i], 8);
    }
}

FE8_CODE static void numbers(struct qn_test_state *t, const struct big *big, uint64_t *x)
{
    struct fe8 a, b, sum, dif, mul, sq, wide, carried, ice, a_ice, inv, root;
    if (next(x) % 4)
        draw(&a, x, false);
    else
        draw_near(&a, x);
    draw(&b, x, false);
    draw(&wide, x, true);
    fe8_add(&sum, a.v, b.v);
    fe8_sub(&dif, a.v, b.v);
    fe8_mul(&mul, &a, &b);
    fe8_sq(&sq, &a, 3);
    fe8_carry(&carried, wide.v);
    fe8_freeze(&ice, &carried);
    fe8_freeze(&a_ice, &a);
    fe8_invert(&inv, &a);
    fe8_root(&root, &a);
    CHECK(is_tight(&sum) && is_tight(&dif) && is_tight(&mul) && is_tight(&sq) &&
          is_tight(&carried) && is_tight(&inv) && is_tight(&root));
    for (int l = 0; l < 8; l++) {
        BIGNUM *u = lane(&a, l), *v = lane(&b, l), *w = BN_new(), *e = BN_new(),
               *got[] = { lane(&sum, l),     lane(&dif, l), lane(&mul, l), lane(&sq, l),
                          lane(&carried, l), lane(&ice, l), lane(&inv, l), lane(&root, l),
                          lane(&a_ice, l),   lane(&wide, l) };
        BN_mod_add(w, u, v, big->p, big->ctx);
        CHECK(same(big, got[0], w));
        BN_mod_sub(w, u, v, big->p, big->ctx);
        CHECK(same(big, got[1], w));
        BN_mod_mul(w, u, v, big->p, big->ctx);
        CHECK(same(big, got[2], w));
        BN_set_word(e, 8);
        BN_mod_exp(w, u, e, big->p, big->ctx);
        CHECK(same(big, got[3], w));
        CHECK(same(big, got[4], got[9]));
        BN_mod(w, got[9], big->p, big->ctx);
        CHECK(BN_cmp(got[5], w) == 0);
        BN_mod(w, u, big->p, big->ctx);
        CHECK(BN_cmp(got[8], w) == 0);
        BN_copy(e, big->p);
        BN_sub_word(e, 2);
        BN_mod_exp(w, u, e, big->p, big->ctx);
        CHECK(same(big, got[6], w));
        BN_sub_word(e, 3);
        BN_rshift(e, e, 3);
        BN_mod_exp(w, u, e, big->p, big->ctx);
        CHECK(same(big, got[7], w));
        BN_free(u);
        BN_free(v);
        BN_free(w);
        BN_free(e);
        for (size_t i = 0; i < QN_COUNT(got); i++)
            BN_free(got[i]);
    }
    __mmask8 equal = fe8_same(&ice, &a_ice), want = 0;
    for (int l = 0; l < 8; l++) {
        BIGNUM *u = lane(&ice, l), *v = lane(&a_ice, l);
        want |= (__mmask8)((BN_cmp(u, v) == 0) << l);
        BN_free(u);
        BN_free(v);
    }
    CHECK(equal == want && fe8_same(&ice, &ice) == 0xff);
}

/* The bias is a multiple of p; three raw numbers at their largest, taken from it or added, leave limbs that carry. */
static void test_bias(struct qn_test_state *t)
{
    struct big big = big_open();
    uint64_t bias[5];
    for (int i = 0; i < 5; i++) {
        bias[i] = FE8_BIAS(i);
        CHECK(bias[i] > 3 * FE8_RAW_MAX);
        CHECK(bias[i] + 3 * FE8_RAW_MAX < UINT64_C(1) << 63);
    }
    BIGNUM *v = value(bias), *zero = BN_new();
    CHECK(same(&big, v, zero));
    BN_free(v);
    BN_free(zero);
    big_close(&big);
}

static void test_numbers(struct qn_test_state *t)
{
    struct big big = big_open();
    uint64_t x = 3;
    for (unsigned i = 0; i < (test_long() ? 3000u : 60u) && sign_lanes_can(); i++)
        numbers(t, &big, &x);
    big_close(&big);
}

/* Inputs of every length up to some blocks, of different lengths side by side. */
FE8_CODE static void hashes(struct qn_test_state *t)
{
    struct sha512x8_input in[8];
    uint8_t data[1024], got[8][64], want[64];
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)(i * 7 + i / 256);
    for (size_t len = 0; len < 420; len++) {
        for (size_t l = 0; l < 8; l++) {
            size_t all = l % 3 == 0   ? len
                         : l % 3 == 1 ? len * l % 600
                                      : l,
                   a = (len / 3) % (all + 1),
                   b = (all - a) / (1 + l % 2); /* any of the three may be empty */
            in[l].part[0] = QN_SPAN(data + l, a);
            in[l].part[1] = QN_SPAN(data + l + a, b);
            in[l].part[2] = QN_SPAN(data + l + a + b, all - a - b);
        }
        sha512x8(in, got);
        for (size_t l = 0; l < 8; l++) {
            crypto_hash_sha512(want, data + l, sha512x8_len(&in[l]));
            CHECK(memcmp(want, got[l], 64) == 0);
        }
    }
}

static void test_hashes(struct qn_test_state *t)
{
    if (sign_lanes_can()) hashes(t);
}

/* The table of B, from libsodium's points: y = (plus + minus) / 2, x = (plus - minus) / 2. */
static void test_base(struct qn_test_state *t)
{
    struct big big = big_open();
    BIGNUM *half = BN_new(), *x = BN_new(), *y = BN_new(), *w = BN_new(), *d2 = BN_new();
    BN_set_word(half, 2);
    BN_mod_inverse(half, half, big.p, big.ctx);
    BN_set_word(d2, 121666); /* 2d = -2 * 121665 / 121666 */
    BN_mod_inverse(d2, d2, big.p, big.ctx);
    BN_mul_word(d2, 2 * 121665);
    BN_mod_sub(d2, big.p, d2, big.p, big.ctx);
    for (unsigned i = 0; i <= 128; i++) {
        uint8_t scalar[32] = { (uint8_t)i }, bytes[32] = { 1 };
        BIGNUM *plus = value(SIGN_BASE[i]), *minus = value(SIGN_BASE[i] + 5),
               *t2d = value(SIGN_BASE[i] + 10);
        if (i) QN_ASSERT(crypto_scalarmult_ed25519_base_noclamp(bytes, scalar) == 0);
        bool odd = bytes[31] >> 7;
        bytes[31] &= 0x7f;
        BN_lebin2bn(bytes, 32, y);
        BN_mod_add(w, plus, minus, big.p, big.ctx);
        BN_mod_mul(w, w, half, big.p, big.ctx);
        CHECK(BN_cmp(w, y) == 0);
        BN_mod_sub(x, plus, minus, big.p, big.ctx);
        BN_mod_mul(x, x, half, big.p, big.ctx);
        CHECK(BN_is_odd(x) == odd);
        BN_mod_mul(w, x, y, big.p, big.ctx);
        BN_mod_mul(w, w, d2, big.p, big.ctx);
        CHECK(BN_cmp(w, t2d) == 0);
        /* On the curve: -x^2 + y^2 = 1 + d x^2 y^2, so that x is the right one but for its sign. */
        BN_mod_mul(w, w, x, big.p, big.ctx);
        BN_mod_mul(w, w, y, big.p, big.ctx);
        BN_mod_mul(w, w, half, big.p, big.ctx);
        BN_add_word(w, 1);
        BN_mod_sqr(x, x, big.p, big.ctx);
        BN_mod_sqr(y, y, big.p, big.ctx);
        BN_mod_sub(y, y, x, big.p, big.ctx);
        CHECK(same(&big, w, y));
        for (int k = 0; k < 15; k++) /* tight as they are */
            CHECK(SIGN_BASE[i][k] <= (k % 5 < 4 ? FE8_MASK : FE8_TOP));
        BN_free(plus);
        BN_free(minus);
        BN_free(t2d);
    }
    BN_free(half);
    BN_free(x);
    BN_free(y);
    BN_free(w);
    BN_free(d2);
    big_close(&big);
}
#endif

int main(void)
{
    TEST_BEGIN();
    QN_ASSERT(qn_crypto_init() == QN_OK);
    if (!sign_lanes_can()) printf("this processor has no AVX-512 IFMA: libsodium beside itself\n");
    TEST(test_golden);
    TEST(test_each_lane);
    TEST(test_random);
    TEST(test_places);
    TEST(test_edges);
    TEST(test_torsion);
    TEST(test_minus_r);
#ifdef __x86_64__
    TEST(test_bias);
    TEST(test_numbers);
    TEST(test_hashes);
    TEST(test_base);
#endif
    return TEST_END();
}
