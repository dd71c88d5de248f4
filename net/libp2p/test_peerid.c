/* test_peerid.c - the specification's keys of four kinds, texts, and forms that are not canonical. */
#include "net/libp2p/peerid.h"

#include "core/base/test.h"

#include <openssl/evp.h>
#include <openssl/x509.h>

static size_t unhex(const char *text, uint8_t *dst)
{
    size_t len = strlen(text) / 2;
    return qn_unhex(text, strlen(text), dst, len) ? len : 0;
}

/* OpenSSL's key of a PrivateKey message: the part behind its header, for secp256k1 a bare scalar. */
static EVP_PKEY *private_key(const char *kind, const uint8_t *msg, size_t len)
{
    uint8_t sec[48] = { 0x30, 0x2e, 0x02, 0x01, 0x01, 0x04, 0x20 };
    static const uint8_t CURVE[] = { 0xa0, 0x07, 0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x0a };
    const uint8_t *at = msg + (msg[3] & 128 ? 5 : 4);
    size_t left = len - (size_t)(at - msg);
    if (strcmp(kind, "ed25519") == 0)
        return EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, at, 32);
    if (strcmp(kind, "secp256k1") == 0) {
        memcpy(sec + 7, at, 32);
        memcpy(sec + 39, CURVE, sizeof CURVE);
        at = sec;
        left = 48;
    }
    return d2i_AutoPrivateKey(NULL, &at, (long)left);
}

static size_t sign(const char *kind, EVP_PKEY *key, struct qn_span msg, uint8_t *ret)
{
    size_t len = QN_PEER_SIG_MAX;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    const EVP_MD *md = strcmp(kind, "ed25519") == 0 ? NULL : EVP_sha256();
    if (EVP_DigestSignInit(ctx, NULL, md, NULL, key) != 1 ||
        EVP_DigestSign(ctx, ret, &len, msg.ptr, msg.len) != 1)
        len = 0;
    EVP_MD_CTX_free(ctx);
    return len;
}

static void check_key(struct qn_test_state *t, const char *kind, const char *priv_hex,
                      const char *pub_hex, const char *text)
{
    static uint8_t priv[4096], pub[4096], sig[QN_PEER_SIG_MAX];
    size_t priv_len = unhex(priv_hex, priv), pub_len = unhex(pub_hex, pub);
    const struct qn_span msg = QN_SPAN_STR("what is signed"), key = QN_SPAN(pub, pub_len);
    struct qn_peer_id id, again;
    char out[QN_PEER_TEXT_MAX];
    CHECK(priv_len && pub_len);
    CHECK_RC(qn_peer_id_of_public(key, &id), QN_OK);
    qn_peer_id_print(&id, out);
    CHECK(strcmp(out, text) == 0);
    CHECK_RC(qn_peer_id_parse(text, &again), QN_OK);
    CHECK(qn_peer_id_eq(&id, &again));
    EVP_PKEY *sk = private_key(kind, priv, priv_len);
    CHECK(sk != NULL);
    size_t sig_len = sign(kind, sk, msg, sig);
    EVP_PKEY_free(sk);
    CHECK(sig_len > 0);
    CHECK_RC(qn_peer_verify(key, msg, QN_SPAN(sig, sig_len)), QN_OK);
    CHECK_RC(qn_peer_verify(key, QN_SPAN_STR("another text"), QN_SPAN(sig, sig_len)),
             QN_E_SIGNATURE);
    sig[sig_len / 2] ^= 1;
    CHECK_RC(qn_peer_verify(key, msg, QN_SPAN(sig, sig_len)), QN_E_SIGNATURE);
    sig[sig_len / 2] ^= 1;
    /* Another encoding of the same key would be a second id of one peer. */
    pub[pub_len] = 0;
    CHECK_RC(qn_peer_verify(QN_SPAN(pub, pub_len + 1), msg, QN_SPAN(sig, sig_len)), QN_E_FORMAT);
    CHECK_RC(qn_peer_verify(QN_SPAN(pub, pub_len - 1), msg, QN_SPAN(sig, sig_len)), QN_E_FORMAT);
    static uint8_t swapped[4096]; /* data first, type last: the same message to a lax reader */
    memcpy(swapped, pub + 2, pub_len - 2);
    memcpy(swapped + pub_len - 2, pub, 2);
    CHECK_RC(qn_peer_verify(QN_SPAN(swapped, pub_len), msg, QN_SPAN(sig, sig_len)), QN_E_FORMAT);
}

static void test_vectors(struct qn_test_state *t)
{
    static char line[16384];
    char *save = NULL;
    int cnt = 0;
    FILE *f = fopen("tests/golden/libp2p_keys.txt", "r");
    CHECK(f != NULL);
    while (f && fgets(line, sizeof line, f)) {
        if (line[0] == '#') continue;
        char *word[4] = { strtok_r(line, " \n", &save) };
        for (int i = 1; i < 4; i++)
            word[i] = strtok_r(NULL, " \n", &save);
        check_key(t, word[0], word[1], word[2], word[3]);
        cnt++;
    }
    if (f) fclose(f);
    CHECK(cnt == 4);
}

static void test_text(struct qn_test_state *t)
{
    static const char *const BAD[] = {
        "",
        "1",
        "12D3",
        "Qm",
        "QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5",
        "0OIl",
        "QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N1",
        "bafzbeie5745rpv2m6tjyuugywy4d5ewrqgqqhfnf445he3omzpjbx5xqx",
        "bafybeie5745rpv2m6tjyuugywy4d5ewrqgqqhfnf445he3omzpjbx5xqxe", /* dag-pb, not a key */
        "12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SAA",
        "1112D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA12D3KooWD3eckifWpRn9wQpMG9R9hX3sD1",
    };
    struct qn_peer_id a, b;
    CHECK_RC(qn_peer_id_parse("QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N", &a), QN_OK);
    CHECK_RC(qn_peer_id_parse("bafzbeie5745rpv2m6tjyuugywy4d5ewrqgqqhfnf445he3omzpjbx5xqxe", &b),
             QN_OK);
    CHECK(qn_peer_id_eq(&a, &b) && a.len == 34);
    CHECK_RC(qn_peer_id_parse("12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA", &a), QN_OK);
    CHECK_RC(
        qn_peer_id_parse("bafzaajaiaejcal72gwuz2or47oyxxn6b3rkwdmmkrxgkjxzy3rqt5kczyn7lcm3l", &b),
        QN_OK);
    CHECK(qn_peer_id_eq(&a, &b) && a.len == 38);
    for (size_t i = 0; i < QN_COUNT(BAD); i++)
        CHECK_RC(qn_peer_id_parse(BAD[i], &a), QN_E_FORMAT);
}

static void test_disk(struct qn_test_state *t)
{
    struct qn_key key, again;
    struct qn_buf buf = { 0 };
    uint8_t seed[32] = { 5 };
    qn_key_from_seed(seed, &key);
    qn_peer_key_write(&key, &buf);
    CHECK(buf.len == 68);
    CHECK_RC(qn_peer_key_read(qn_buf_get(&buf), &again), QN_OK);
    CHECK(qn_hash_eq(&key.pub, &again.pub));
    qn_buf_put(&buf, key.pub.b, 32);
    CHECK_RC(qn_peer_key_read(qn_buf_get(&buf), &again), QN_E_FORMAT);
    buf.ptr[3] = 96;
    CHECK_RC(qn_peer_key_read(qn_buf_get(&buf), &again), QN_OK);
    buf.ptr[99] ^= 1;
    CHECK_RC(qn_peer_key_read(qn_buf_get(&buf), &again), QN_E_FORMAT);
    buf.ptr[99] ^= 1;
    buf.ptr[36] ^= 1;
    buf.ptr[68] ^= 1; /* both copies alike, of another key */
    CHECK_RC(qn_peer_key_read(qn_buf_get(&buf), &again), QN_E_FORMAT);
    struct qn_peer_id id = qn_peer_id_of_key(&key.pub);
    struct qn_hash pub;
    CHECK(qn_peer_id_key(&id, &pub) && qn_hash_eq(&pub, &key.pub));
    qn_buf_free(&buf);
}

int main(void)
{
    TEST_BEGIN();
    if (qn_crypto_init()) return 1;
    TEST(test_vectors);
    TEST(test_text);
    TEST(test_disk);
    return TEST_END();
}
