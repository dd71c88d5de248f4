/* test_noise.c - published handshakes byte for byte, libp2p's payload, and a man in the middle with a dozen ideas. */
#include "net/libp2p/noise.h"

#include "core/base/test.h"
#include "net/libp2p/noise_pair.h"

#include <sodium.h>

/* The XX vectors of flynn/noise (vectors.txt), empty prologue: keys, then payload and ciphertext of five messages. */
static const char *const KEYS[4] = {
    "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
    "0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20",
    "202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f",
    "4142434445464748494a4b4c4d4e4f505152535455565758595a5b5c5d5e5f60"
};
static const char *const VECTORS[2][10] = {
    { "", "358072d6365880d1aeea329adf9121383851ed21a28e3b75e965d0d2cd166254", "",
      "64b101b1d0be5a8704bd078f9895001fc03e8e9f9522f188dd128d9846d484663414af878d3e46a2f58911a816d6"
      "e8346d4ea17a6f2a0bb4ef4ed56c133cff45"
      "60a34e36ea82109f26cf2e5a5caf992b608d55c747f615e5a3425a7a19eefb8f",
      "",
      "87f864c11ba449f46a0a4f4e2eacbb7b0457784f4fca1937f572c93603e9c4d97e5ea11b16f3968710b23a3be320"
      "2dc1b5e1ce3c963347491e74f5c0768a9b42",
      "79656c6c6f777375626d6172696e65",
      "a52ef02ba60e12696d1d6b9ef4245c88fca757b6134ad6e76b56e310a6adf6",
      "7375626d6172696e6579656c6c6f77",
      "2445aa438ebd649281c636cc7269ca82f1d9023d72520943aeabf909cdf521" },
    { "746573745f6d73675f30",
      "358072d6365880d1aeea329adf9121383851ed21a28e3b75e965d0d2cd166254746573745f6d73675f30",
      "746573745f6d73675f31",
      "64b101b1d0be5a8704bd078f9895001fc03e8e9f9522f188dd128d9846d484663414af878d3e46a2f58911a816d6"
      "e8346d4ea17a6f2a0bb4ef4ed56c133cff45"
      "72e7a2ba5123ac30618b3d205f5c2d17f50cbca216483ac56bcc78e33bf520303278db641e5e731b2e3a",
      "746573745f6d73675f32",
      "87f864c11ba449f46a0a4f4e2eacbb7b0457784f4fca1937f572c93603e9c4d9f27e318e43ba630594c4d08eeb3b"
      "36d97c7377a2f4f9144b2f0c8095ad921405"
      "05b2ab53eff244b14138",
      "79656c6c6f777375626d6172696e65",
      "a52ef02ba60e12696d1d6b9ef4245c88fca757b6134ad6e76b56e310a6adf6",
      "7375626d6172696e6579656c6c6f77",
      "2445aa438ebd649281c636cc7269ca82f1d9023d72520943aeabf909cdf521" }
};

static size_t unhex(const char *text, uint8_t *dst)
{
    size_t len = strlen(text) / 2;
    return qn_unhex(text, 2 * len, dst, len) ? len : 0;
}

static void check_vector(struct qn_test_state *t, const char *const v[10])
{
    struct qn_aead *aead = qn_aead_new();
    uint8_t key[4][32], pub[2][32], payload[64], want[256];
    struct qn_noise side[2];
    struct qn_noise_cipher tx[2], rx[2];
    for (int i = 0; i < 4; i++)
        unhex(KEYS[i], key[i]);
    for (int i = 0; i < 2; i++) {
        crypto_scalarmult_base(pub[i], key[i]);
        qn_noise_init(&side[i], i == 0, key[2 + i]);
    }
    for (int m = 0; m < 3; m++) {
        int from = m % 2;
        struct qn_buf out = { 0 }, got = { 0 };
        size_t p = unhex(v[2 * m], payload), w = unhex(v[2 * m + 1], want);
        CHECK_RC(qn_noise_write(&side[from], aead, key[from], pub[from], QN_SPAN(payload, p), &out),
                 QN_OK);
        CHECK(out.len == w && memcmp(out.ptr, want, w) == 0);
        CHECK_RC(qn_noise_write(&side[from], aead, key[from], pub[from], QN_SPAN(payload, p), &out),
                 QN_E_STATE);
        CHECK_RC(qn_noise_read(&side[!from], aead, QN_SPAN(out.ptr, w), &got), QN_OK);
        CHECK(got.len == p && memcmp(got.ptr, payload, p) == 0);
        qn_buf_free(&out);
        qn_buf_free(&got);
    }
    CHECK(memcmp(side[0].rs, pub[1], 32) == 0 && memcmp(side[1].rs, pub[0], 32) == 0);
    for (int i = 0; i < 2; i++)
        qn_noise_split(&side[i], &tx[i], &rx[i]);
    for (int m = 3; m < 5; m++) {
        int from = m % 2 == 0;
        uint8_t buf[64];
        size_t p = unhex(v[2 * m], buf), w = unhex(v[2 * m + 1], want);
        qn_aead_seal(aead, &tx[from], buf, p);
        CHECK(w == p + QN_NOISE_TAG && memcmp(buf, want, w) == 0);
        CHECK(qn_aead_open(aead, &rx[!from], buf, w));
        unhex(v[2 * m], payload);
        CHECK(memcmp(buf, payload, p) == 0);
        CHECK(!qn_aead_open(aead, &rx[!from], want, w)); /* the same record again */
    }
    qn_aead_free(aead);
}

static void test_vectors(struct qn_test_state *t)
{
    for (int i = 0; i < 2; i++)
        check_vector(t, VECTORS[i]);
}

/* --- whole upgrades, with somebody between ------------------------------------------------------------------------ */

/* Carries bytes until nobody says more; change (n-th byte carried, xor) sits between; cut: pieces of so many bytes. */
static void pair_run(struct pair *p, size_t change, uint8_t xor, size_t cut)
{
    size_t carried = 0;
    for (int round = 0; round < 6; round++)
        for (int from = 0; from < 2; from++) {
            struct qn_buf out = p->wire[from];
            p->wire[from] = (struct qn_buf){ 0 };
            for (size_t i = 0; i < out.len; i++)
                if (carried++ == change) out.ptr[i] ^= xor;
            for (size_t at = 0; at < out.len && p->rc[!from] == QN_E_AGAIN; at += cut) {
                struct qn_span in = QN_SPAN(out.ptr + at, QN_MIN(cut, out.len - at));
                p->rc[!from] =
                    qn_upgrade_step(&p->up[!from], p->aead, &p->self[!from], &in, &p->wire[!from]);
            }
            qn_buf_free(&out);
        }
}

static void test_upgrade(struct qn_test_state *t)
{
    static const size_t CUTS[] = { 1, 2, 7, 64, 100000 };
    struct qn_peer_id id[2];
    for (size_t c = 0; c < QN_COUNT(CUTS); c++) {
        struct pair p;
        pair_open(&p, NULL);
        for (int i = 0; i < 2; i++)
            id[i] = qn_peer_id_of_key(&p.key[i].pub);
        p.up[0].has_want = true;
        p.up[0].want = id[1];
        CHECK(p.self[0].payload_len == 120);
        pair_run(&p, SIZE_MAX, 0, CUTS[c]);
        CHECK(p.rc[0] == QN_OK && p.rc[1] == QN_OK);
        CHECK(qn_peer_id_eq(&p.up[0].peer.id, &id[1]) && qn_peer_id_eq(&p.up[1].peer.id, &id[0]));
        CHECK(p.up[0].peer.muxer_yes && p.up[1].peer.muxer_yes);
        CHECK(memcmp(p.up[0].tx.key, p.up[1].rx.key, 32) == 0);
        pair_close(&p);
    }
    struct pair p;
    pair_open(&p, &id[0]); /* whoever answers is not whom we dialled */
    pair_run(&p, SIZE_MAX, 0, 1000);
    CHECK(p.rc[0] == QN_E_SIGNATURE && p.rc[1] == QN_E_AGAIN);
    pair_close(&p);
}

/* No byte of the whole exchange may be changed: either side then refuses. The listener's first line and the length bytes are among them. */
static void test_middle(struct qn_test_state *t)
{
    struct pair p;
    pair_open(&p, NULL);
    pair_run(&p, SIZE_MAX, 0, 4096);
    pair_close(&p);
    for (size_t i = 0; i < 28 + 34 + 28 + 2 + 216 + 2 + 184; i++) {
        pair_open(&p, NULL);
        pair_run(&p, i, (uint8_t)(1u << (i % 8)), 4096);
        if (p.rc[0] == QN_OK && p.rc[1] == QN_OK) printf("byte %zu\n", i);
        CHECK(!(p.rc[0] == QN_OK && p.rc[1] == QN_OK));
        pair_close(&p);
    }
}

static void test_low_order(struct qn_test_state *t)
{
    /* RFC 7748 7: points that make the shared secret zero. */
    static const char *const POINTS[] = {
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"
    };
    for (size_t i = 0; i < QN_COUNT(POINTS); i++) {
        struct pair p;
        uint8_t flight[28 + 34] = "\x13/multistream/1.0.0\n\x07/noise\n";
        pair_open(&p, NULL);
        flight[28] = 0;
        flight[29] = 32;
        unhex(POINTS[i], flight + 30);
        struct qn_span in = QN_SPAN_OF(flight);
        CHECK_RC(qn_upgrade_step(&p.up[1], p.aead, &p.self[1], &in, &p.wire[1]), QN_E_FORMAT);
        pair_close(&p);
    }
}

static void test_payload(struct qn_test_state *t)
{
    struct pair p;
    struct qn_noise_peer peer;
    pair_open(&p, NULL);
    struct qn_noise_self *s = &p.self[0];
    CHECK_RC(qn_noise_payload(QN_SPAN(s->payload, s->payload_len), s->pk, &peer), QN_OK);
    /* An honest payload with another's static key; each byte changed; each length. */
    CHECK_RC(qn_noise_payload(QN_SPAN(s->payload, s->payload_len), p.self[1].pk, &peer),
             QN_E_SIGNATURE);
    for (size_t i = 0; i < 2 + 36 + 2 + 64; i++) {
        s->payload[i] ^= 4;
        CHECK(qn_noise_payload(QN_SPAN(s->payload, s->payload_len), s->pk, &peer) != QN_OK);
        s->payload[i] ^= 4;
    }
    for (size_t i = 0; i < s->payload_len; i++) {
        qn_rc rc = qn_noise_payload(QN_SPAN(s->payload, i), s->pk, &peer);
        CHECK(rc != QN_OK || (i == 104 && !peer.muxers)); /* without extensions it is whole */
    }
    /* Message 1 carries nothing in the clear. */
    uint8_t flight[28 + 35] = "\x13/multistream/1.0.0\n\x07/noise\n";
    flight[29] = 33;
    memcpy(flight + 30, p.up[0].noise.e_pk, 32);
    struct qn_span in = QN_SPAN_OF(flight);
    CHECK_RC(qn_upgrade_step(&p.up[1], p.aead, &p.self[1], &in, &p.wire[1]), QN_E_FORMAT);
    pair_close(&p);
}

int main(void)
{
    TEST_BEGIN();
    if (qn_crypto_init()) return 1;
    TEST(test_vectors);
    TEST(test_upgrade);
    TEST(test_middle);
    TEST(test_low_order);
    TEST(test_payload);
    return TEST_END();
}
