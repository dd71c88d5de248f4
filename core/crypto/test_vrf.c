/* test_vrf.c - the examples of RFC 9381, appendix B.3; forgeries; points of small order. */
#include "core/base/test.h"
#include "core/crypto/hash.h"
#include "core/crypto/vrf.h"

static const struct {
    const char *seed, *pub, *alpha, *pi, *beta;
} CASES[] = {
    { "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
      "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
      "8657106690b5526245a92b003bb079ccd1a92130477671f6fc01ad16f26f723f26f8a57ccaed74ee1b190bed1f47"
      "9d97"
      "27d2d0f9b005a6e456a35d4fb0daab1268a1b0db10836d9826a528ca76567805",
      "90cf1df3b703cce59e2a35b925d411164068269d7b2d29f3301c03dd757876ff66b71dda49d2de59d03450451af0"
      "2679"
      "8e8f81cd2e333de5cdf4f3e140fdd8ae" },
    { "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
      "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
      "f3141cd382dc42909d19ec5110469e4feae18300e94f304590abdced48aed5933bf0864a62558b3ed7f2fea45c92"
      "a465"
      "301b3bbf5e3e54ddf2d935be3b67926da3ef39226bbc355bdc9850112c8f4b02",
      "eb4440665d3891d668e7e0fcaf587f1b4bd7fbfe99d0eb2211ccec90496310eb5e33821bc613efb94db5e5b54c70"
      "a848"
      "a0bef4553a41befc57663b56373a5031" },
    { "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
      "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
      "9bc0f79119cc5604bf02d23b4caede71393cedfbb191434dd016d30177ccbf8096bb474e53895c362d8628ee9f9e"
      "a3c0"
      "e52c7a5c691b6c18c9979866568add7a2d41b00b05081ed0f58ee5e31b3a970e",
      "645427e5d00c62a23fb703732fa5d892940935942101e456ecca7bb217c61c452118fec1219202a0edcf038bb637"
      "3241"
      "578be7217ba85a2687f7a0310b2df19f" },
};

static void key_of(unsigned i, struct qn_key *ret)
{
    uint8_t seed[32];
    QN_ASSERT(qn_crypto_init() == QN_OK && qn_unhex(CASES[i].seed, 64, seed, 32));
    qn_key_from_seed(seed, ret);
}

static void test_rfc(struct qn_test_state *t)
{
    for (unsigned i = 0; i < QN_COUNT(CASES); i++) {
        struct qn_key key;
        struct qn_vrf_proof pi;
        uint8_t alpha[8], out[64], again[64];
        char hex[161];
        size_t len = strlen(CASES[i].alpha) / 2;
        key_of(i, &key);
        qn_hex(key.pub.b, 32, hex);
        CHECK(strcmp(hex, CASES[i].pub) == 0);
        QN_ASSERT(qn_unhex(CASES[i].alpha, 2 * len, alpha, len));
        qn_vrf_prove(&key, QN_SPAN(alpha, len), &pi, out);
        qn_hex(pi.b, sizeof pi.b, hex);
        CHECK(strcmp(hex, CASES[i].pi) == 0);
        qn_hex(out, sizeof out, hex);
        CHECK(strcmp(hex, CASES[i].beta) == 0);
        CHECK(qn_vrf_verify(&key.pub, QN_SPAN(alpha, len), &pi, again));
        CHECK(memcmp(out, again, sizeof out) == 0);
    }
}

/* Every bit of proof, key and text counts. */
static void test_forged(struct qn_test_state *t)
{
    struct qn_key key;
    struct qn_vrf_proof pi;
    uint8_t alpha[4] = { 1, 2, 3, 4 }, out[64];
    key_of(1, &key);
    qn_vrf_prove(&key, QN_SPAN(alpha, 4), &pi, NULL);
    CHECK(qn_vrf_verify(&key.pub, QN_SPAN(alpha, 4), &pi, out));
    for (unsigned bit = 0; bit < 8 * sizeof pi.b; bit++) {
        pi.b[bit / 8] ^= (uint8_t)(1 << bit % 8);
        CHECK(!qn_vrf_verify(&key.pub, QN_SPAN(alpha, 4), &pi, out));
        pi.b[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    for (unsigned bit = 0; bit < 256; bit++) {
        struct qn_hash pub = key.pub;
        pub.b[bit / 8] ^= (uint8_t)(1 << bit % 8);
        CHECK(!qn_vrf_verify(&pub, QN_SPAN(alpha, 4), &pi, out));
    }
    alpha[0] ^= 1;
    CHECK(!qn_vrf_verify(&key.pub, QN_SPAN(alpha, 4), &pi, out));
    CHECK(!qn_vrf_verify(&key.pub, QN_SPAN(alpha, 3), &pi, out));
    alpha[0] ^= 1;
    /* s + L is the same scalar: a second proof of the same output would do no harm, but is refused as the RFC says. */
    static const uint8_t L[32] = { 0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7,
                                   0xa2, 0xde, 0xf9, 0xde, 0x14, 0,    0,    0,    0,    0,    0,
                                   0,    0,    0,    0,    0,    0,    0,    0,    0,    0x10 };
    unsigned carry = 0;
    for (int i = 0; i < 32; i++) {
        carry += pi.b[48 + i] + L[i];
        pi.b[48 + i] = (uint8_t)carry;
        carry >>= 8;
    }
    CHECK(carry == 0 && !qn_vrf_verify(&key.pub, QN_SPAN(alpha, 4), &pi, out));
}

/* With a key or gamma of small order anybody could prove anything. */
static void test_small_order(struct qn_test_state *t)
{
    static const char *const points[] = {
        "0100000000000000000000000000000000000000000000000000000000000000",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0000000000000000000000000000000000000000000000000000000000000080",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", /* y = p */
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    };
    struct qn_key key;
    struct qn_vrf_proof pi = { { 0 } };
    uint8_t out[64];
    key_of(0, &key);
    for (size_t i = 0; i < QN_COUNT(points); i++) {
        struct qn_hash bad;
        QN_ASSERT(qn_unhex(points[i], 64, bad.b, 32));
        qn_vrf_prove(&key, QN_SPAN(NULL, 0), &pi, NULL);
        CHECK(!qn_vrf_verify(&bad, QN_SPAN(NULL, 0), &pi, out));
        memcpy(pi.b, bad.b, 32);
        CHECK(!qn_vrf_verify(&key.pub, QN_SPAN(NULL, 0), &pi, out));
        CHECK(!qn_vrf_verify(&bad, QN_SPAN(NULL, 0), &pi, out));
        memset(pi.b + 32, 0, 48);
        CHECK(!qn_vrf_verify(&bad, QN_SPAN(NULL, 0), &pi, out));
    }
}

/* Outputs look drawn: each of 8 bits about half the time, over texts and over keys. */
static void test_spread(struct qn_test_state *t)
{
    unsigned ones[8] = { 0 };
    for (unsigned i = 0; i < 400; i++) {
        struct qn_key key;
        struct qn_vrf_proof pi;
        struct qn_hash seed = qn_h("vrf test", &(unsigned){ i / 2 }, sizeof i);
        uint8_t out[64];
        qn_key_from_seed(seed.b, &key);
        qn_vrf_prove(&key, QN_SPAN_OF(i), &pi, out);
        for (int b = 0; b < 8; b++)
            ones[b] += out[0] >> b & 1;
    }
    for (int b = 0; b < 8; b++)
        CHECK(ones[b] > 140 && ones[b] < 260); /* six standard deviations */
}

int main(void)
{
    TEST_BEGIN();
    TEST(test_rfc);
    TEST(test_forged);
    TEST(test_small_order);
    TEST(test_spread);
    return TEST_END();
}
