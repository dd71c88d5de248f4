/* test_crypto.c - BLAKE3 against b3sum's answers, lanes against one stream, Ed25519 (RFC 8032), addresses, seals. */
#include "core/base/test.h"
#include "core/crypto/blake3.h"
#include "core/crypto/hash_label.h"
#include "core/crypto/sign.h"

#include <stdlib.h>

static void fill(uint8_t *dst, size_t len)
{
    for (size_t i = 0; i < len; i++)
        dst[i] = (uint8_t)(i % 251);
}

static void test_golden(struct qn_test_state *t)
{
    FILE *f = fopen("tests/golden/blake3.txt", "r");
    CHECK(f != NULL);
    if (!f) return;
    static const size_t max = 102400;
    uint8_t *data = malloc(max);
    fill(data, max);
    char line[256], plain[65], derived[65];
    unsigned long len;
    int seen = 0;
    while (fgets(line, sizeof line, f)) {
        if (sscanf(line, "%lu %64s %64s", &len, plain, derived) != 3) continue;
        char hex[65];
        struct qn_hash got = qn_blake3(data, len);
        qn_hex(got.b, 32, hex);
        CHECK(strcmp(hex, plain) == 0);
        got = qn_h("golden", data, len);
        qn_hex(got.b, 32, hex);
        CHECK(strcmp(hex, derived) == 0);
        struct qn_hasher h; /* in pieces of every small size */
        qn_hasher_init(&h);
        for (size_t at = 0, piece = 1; at < len; piece = piece % 97 + 1) {
            size_t n = QN_MIN(piece, len - at);
            qn_hasher_put(&h, data + at, n);
            at += n;
        }
        got = qn_hasher_end(&h);
        qn_hex(got.b, 32, hex);
        CHECK(strcmp(hex, plain) == 0);
        seen++;
    }
    CHECK(seen == 21);
    fclose(f);
    free(data);
}

static void test_many(struct qn_test_state *t)
{
    enum { CNT = 37, STRIDE = 1031 };
    uint8_t *data = malloc(CNT * STRIDE);
    for (size_t i = 0; i < CNT * STRIDE; i++)
        data[i] = (uint8_t)(i * 7 + (i >> 8));
    struct qn_hash got[CNT];
    for (size_t len = 0; len <= 1024; len += len < 140 ? 1 : 63) {
        qn_blake3_many(data, STRIDE, len, CNT, got);
        for (size_t i = 0; i < CNT; i++) {
            struct qn_hash want = qn_blake3(data + i * STRIDE, len);
            CHECK(qn_hash_eq(&want, &got[i]));
        }
        qn_h_many("many", data, STRIDE, len, CNT, got);
        struct qn_hash want = qn_h("many", data + 20 * STRIDE, len);
        CHECK(qn_hash_eq(&want, &got[20]));
    }
    free(data);
}

/* What stands in hash_label.h, and is taken for it, is what one compression of the context gives. */
static void test_labels(struct qn_test_state *t)
{
    for (size_t i = 0; i < QN_COUNT(HASH_LABELS); i++) {
        struct qn_hasher h;
        uint8_t block[64] = "quoin ";
        uint32_t want[16], got[8];
        const char *text = HASH_LABELS[i].text;
        memcpy(block + 6, text, strlen(text));
        qn_b3_compress(QN_B3_IV, block, (uint32_t)(6 + strlen(text)), 0,
                       QN_B3_CONTEXT | QN_B3_CHUNK_START | QN_B3_CHUNK_END | QN_B3_ROOT, want);
        CHECK(memcmp(want, HASH_LABELS[i].key, 32) == 0);
        for (int w = 0; w < 8 && memcmp(want, HASH_LABELS[i].key, 32) != 0; w++)
            printf("%s 0x%08x%c", w ? "" : text, want[w], w < 7 ? ',' : '\n');
        qn_hasher_label(&h, text);
        qn_hasher_key(&h, got);
        CHECK(memcmp(want, got, 32) == 0);
    }
}

static void test_sign(struct qn_test_state *t)
{
    /* RFC 8032, 7.1, test 2 */
    static const char SEED[] = "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb";
    static const char PUB[] = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c";
    static const char SIG[] = "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
                              "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00";
    uint8_t seed[32];
    char hex[129];
    CHECK(qn_unhex(SEED, 64, seed, 32));
    struct qn_key key;
    qn_key_from_seed(seed, &key);
    qn_hex(key.pub.b, 32, hex);
    CHECK(strcmp(hex, PUB) == 0);
    struct qn_sig sig = qn_sign(&key, QN_SPAN("\x72", 1));
    qn_hex(sig.b, 64, hex);
    CHECK(strcmp(hex, SIG) == 0);
    CHECK(qn_verify(&key.pub, QN_SPAN("\x72", 1), &sig));
    CHECK(!qn_verify(&key.pub, QN_SPAN("\x73", 1), &sig));
    sig.b[40] ^= 1;
    CHECK(!qn_verify(&key.pub, QN_SPAN("\x72", 1), &sig));
}

static void test_addr(struct qn_test_state *t)
{
    struct qn_hash acct = qn_blake3("a", 1), back;
    char text[64];
    qn_addr_print(&acct, text);
    CHECK(strncmp(text, "qn1", 3) == 0);
    CHECK_RC(qn_addr_parse(text, &back), QN_OK);
    CHECK(qn_hash_eq(&acct, &back));
    for (size_t i = 3; text[i]; i++) {
        char keep = text[i];
        text[i] = keep == 'q' ? 'p' : 'q';
        CHECK_RC(qn_addr_parse(text, &back), QN_E_FORMAT);
        text[i] = keep;
    }
    CHECK_RC(qn_addr_parse("qn1", &back), QN_E_FORMAT);
    CHECK_RC(qn_addr_parse("", &back), QN_E_FORMAT);
}

static void test_seal(struct qn_test_state *t)
{
    struct qn_buf box = { 0 }, back = { 0 };
    CHECK_RC(qn_seal(QN_SPAN_STR("secret"), "pass", &box), QN_OK);
    CHECK_RC(qn_unseal(qn_buf_get(&box), "pass", &back), QN_OK);
    CHECK(qn_span_eq(qn_buf_get(&back), QN_SPAN_STR("secret")));
    CHECK_RC(qn_unseal(qn_buf_get(&box), "Pass", &back), QN_E_AUTH);
    box.ptr[box.len - 1] ^= 1;
    CHECK_RC(qn_unseal(qn_buf_get(&box), "pass", &back), QN_E_AUTH);
    CHECK_RC(qn_unseal(QN_SPAN(box.ptr, 20), "pass", &back), QN_E_FORMAT);
    qn_buf_free(&box);
    qn_buf_free(&back);
}

int main(void)
{
    TEST_BEGIN();
    QN_ASSERT(qn_crypto_init() == QN_OK);
    TEST(test_golden);
    TEST(test_many);
    TEST(test_labels);
    TEST(test_sign);
    TEST(test_addr);
    TEST(test_seal);
    return TEST_END();
}
