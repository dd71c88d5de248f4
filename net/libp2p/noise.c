/* noise.c - the symmetric state, the three messages of XX, and libp2p's payload. */
#include "net/libp2p/noise.h"

#include "core/schema/protobuf.h"

#include <openssl/evp.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

static const char NAME[] =
    "Noise_XX_25519_ChaChaPoly_SHA256"; /* exactly 32: h and ck at the start */
static const char SIGNED[] = "noise-libp2p-static-key:";
static const char MUXER[] = "/yamux/1.0.0";
_Static_assert(sizeof NAME == 33, "a name of 32 bytes is not hashed");

/* --- records ------------------------------------------------------------------------------------------- */

struct qn_aead {
    EVP_CIPHER_CTX *seal, *open;
};

struct qn_aead *qn_aead_new(void)
{
    struct qn_aead *a = calloc(1, sizeof *a);
    QN_ASSERT(a != NULL);
    a->seal = EVP_CIPHER_CTX_new();
    a->open = EVP_CIPHER_CTX_new();
    QN_ASSERT(a->seal && a->open);
    QN_ASSERT(EVP_EncryptInit_ex(a->seal, EVP_chacha20_poly1305(), NULL, NULL, NULL) == 1);
    QN_ASSERT(EVP_DecryptInit_ex(a->open, EVP_chacha20_poly1305(), NULL, NULL, NULL) == 1);
    return a;
}

void qn_aead_free(struct qn_aead *a)
{
    if (!a) return;
    EVP_CIPHER_CTX_free(a->seal);
    EVP_CIPHER_CTX_free(a->open);
    free(a);
}

static void nonce(const struct qn_noise_cipher *c, uint8_t iv[12])
{
    memset(iv, 0, 4);
    for (int i = 0; i < 8; i++)
        iv[4 + i] = (uint8_t)(c->n >> (8 * i));
}

static void seal(struct qn_aead *a, struct qn_noise_cipher *c, struct qn_span ad, uint8_t *buf,
                 size_t len)
{
    uint8_t iv[12];
    int n = 0;
    QN_ASSERT(c->n < UINT64_MAX); /* the last is reserved; 2^64 records do not happen */
    nonce(c, iv);
    QN_ASSERT(EVP_EncryptInit_ex(a->seal, NULL, NULL, c->key, iv) == 1);
    if (ad.len) QN_ASSERT(EVP_EncryptUpdate(a->seal, NULL, &n, ad.ptr, (int)ad.len) == 1);
    if (len) QN_ASSERT(EVP_EncryptUpdate(a->seal, buf, &n, buf, (int)len) == 1);
    QN_ASSERT(EVP_EncryptFinal_ex(a->seal, buf + len, &n) == 1);
    QN_ASSERT(EVP_CIPHER_CTX_ctrl(a->seal, EVP_CTRL_AEAD_GET_TAG, QN_NOISE_TAG, buf + len) == 1);
    c->n++;
}

static bool open_sealed(struct qn_aead *a, struct qn_noise_cipher *c, struct qn_span ad,
                        uint8_t *buf, size_t len)
{
    uint8_t iv[12], none[16];
    int n = 0;
    if (len < QN_NOISE_TAG || c->n == UINT64_MAX) return false;
    len -= QN_NOISE_TAG;
    nonce(c, iv);
    QN_ASSERT(EVP_DecryptInit_ex(a->open, NULL, NULL, c->key, iv) == 1);
    if (ad.len) QN_ASSERT(EVP_DecryptUpdate(a->open, NULL, &n, ad.ptr, (int)ad.len) == 1);
    if (len) QN_ASSERT(EVP_DecryptUpdate(a->open, buf, &n, buf, (int)len) == 1);
    QN_ASSERT(EVP_CIPHER_CTX_ctrl(a->open, EVP_CTRL_AEAD_SET_TAG, QN_NOISE_TAG, buf + len) == 1);
    if (EVP_DecryptFinal_ex(a->open, none, &n) != 1) return false;
    c->n++;
    return true;
}

void qn_aead_seal(struct qn_aead *a, struct qn_noise_cipher *c, uint8_t *buf, size_t len)
{
    seal(a, c, QN_SPAN(NULL, 0), buf, len);
}

bool qn_aead_open(struct qn_aead *a, struct qn_noise_cipher *c, uint8_t *buf, size_t len)
{
    return open_sealed(a, c, QN_SPAN(NULL, 0), buf, len);
}

/* --- the symmetric state --------------------------------------------------------------------------------- */

/* Inputs are short here: libsodium's portable SHA-256 costs less than OpenSSL's look-up of its own. */
static void mix_hash(struct qn_noise *n, struct qn_span data)
{
    crypto_hash_sha256_state st;
    crypto_hash_sha256_init(&st);
    crypto_hash_sha256_update(&st, n->h, 32);
    if (data.len) crypto_hash_sha256_update(&st, data.ptr, data.len);
    crypto_hash_sha256_final(&st, n->h);
}

static void hmac(const uint8_t key[32], struct qn_span data, uint8_t ret[32])
{
    crypto_auth_hmacsha256_state st;
    crypto_auth_hmacsha256_init(&st, key, 32);
    if (data.len) crypto_auth_hmacsha256_update(&st, data.ptr, data.len);
    crypto_auth_hmacsha256_final(&st, ret);
    sodium_memzero(&st, sizeof st);
}

/* HKDF with two outputs. */
static void hkdf(const uint8_t ck[32], struct qn_span input, uint8_t ret_a[32], uint8_t ret_b[32])
{
    uint8_t temp[32], two[33];
    hmac(ck, input, temp);
    hmac(temp, QN_SPAN("\1", 1), ret_a);
    memcpy(two, ret_a, 32);
    two[32] = 2;
    hmac(temp, QN_SPAN_OF(two), ret_b);
    sodium_memzero(temp, sizeof temp);
    sodium_memzero(two, sizeof two);
}

/* MixKey(DH(sk, pk)); a key of low order would make the secret known to all. */
static bool mix_dh(struct qn_noise *n, const uint8_t sk[32], const uint8_t pk[32])
{
    uint8_t dh[32], ck[32];
    bool ok = crypto_scalarmult(dh, sk, pk) == 0;
    if (ok) {
        hkdf(n->ck, QN_SPAN_OF(dh), ck, n->k.key);
        memcpy(n->ck, ck, 32);
        n->k.n = 0;
        n->has_key = true;
    }
    sodium_memzero(dh, sizeof dh);
    sodium_memzero(ck, sizeof ck);
    return ok;
}

static void encrypt_and_hash(struct qn_noise *n, struct qn_aead *aead, struct qn_span plain,
                             struct qn_buf *out)
{
    uint8_t *at = qn_buf_grow(out, plain.len + (n->has_key ? QN_NOISE_TAG : 0));
    if (plain.len) memcpy(at, plain.ptr, plain.len);
    if (n->has_key) seal(aead, &n->k, QN_SPAN_OF(n->h), at, plain.len);
    mix_hash(n, QN_SPAN(at, plain.len + (n->has_key ? QN_NOISE_TAG : 0)));
}

static bool decrypt_and_hash(struct qn_noise *n, struct qn_aead *aead, struct qn_span data,
                             struct qn_buf *out)
{
    size_t before = out->len;
    uint8_t *at = qn_buf_grow(out, data.len);
    if (data.len) memcpy(at, data.ptr, data.len);
    if (n->has_key) {
        if (!open_sealed(aead, &n->k, QN_SPAN_OF(n->h), at, data.len)) {
            out->len = before;
            return false;
        }
        out->len -= QN_NOISE_TAG;
    }
    mix_hash(n, data);
    return true;
}

/* --- messages -------------------------------------------------------------------------------------------- */

void qn_noise_init(struct qn_noise *n, bool initiator, const uint8_t ephemeral[32])
{
    memset(n, 0, sizeof *n);
    n->initiator = initiator;
    memcpy(n->e_sk, ephemeral, 32);
    crypto_scalarmult_base(n->e_pk, n->e_sk);
    memcpy(n->h, NAME, 32);
    memcpy(n->ck, NAME, 32);
    mix_hash(n, QN_SPAN(NULL, 0)); /* an empty prologue */
}

static bool our_turn(const struct qn_noise *n)
{
    return n->step < 3 && (n->step % 2 == 0) == n->initiator;
}

qn_rc qn_noise_write(struct qn_noise *n, struct qn_aead *aead, const uint8_t s_sk[32],
                     const uint8_t s_pk[32], struct qn_span payload, struct qn_buf *out)
{
    if (!our_turn(n)) return QN_E_STATE;
    bool ok = true;
    if (n->step < 2) { /* e */
        qn_buf_put(out, n->e_pk, 32);
        mix_hash(n, QN_SPAN_OF(n->e_pk));
    }
    if (n->step == 1) { /* ee, s, es */
        ok = mix_dh(n, n->e_sk, n->re);
        if (ok) encrypt_and_hash(n, aead, QN_SPAN(s_pk, 32), out);
        ok = ok && mix_dh(n, s_sk, n->re);
    } else if (n->step == 2) { /* s, se */
        encrypt_and_hash(n, aead, QN_SPAN(s_pk, 32), out);
        ok = mix_dh(n, s_sk, n->re);
    }
    if (!ok) return QN_E_FORMAT;
    encrypt_and_hash(n, aead, payload, out);
    n->step++;
    return QN_OK;
}

qn_rc qn_noise_read(struct qn_noise *n, struct qn_aead *aead, struct qn_span msg,
                    struct qn_buf *ret)
{
    struct qn_span part;
    struct qn_buf rs = { 0 };
    qn_rc rc = QN_E_FORMAT;
    if (n->step >= 3 || our_turn(n)) return QN_E_STATE;
    if (msg.len > QN_NOISE_SHAKE_MAX) return QN_E_TOOBIG;
    if (n->step < 2) {
        if (!qn_take(&msg, 32, &part)) return QN_E_FORMAT;
        memcpy(n->re, part.ptr, 32);
        mix_hash(n, part);
    }
    if (n->step == 1 && !mix_dh(n, n->e_sk, n->re)) return QN_E_FORMAT;
    if (n->step > 0) {
        if (!qn_take(&msg, 48, &part)) return QN_E_FORMAT;
        rc = QN_E_PROOF;
        if (!decrypt_and_hash(n, aead, part, &rs)) goto out;
        memcpy(n->rs, rs.ptr, 32);
        rc = QN_E_FORMAT;
        if (!mix_dh(n, n->e_sk, n->rs)) goto out; /* es of message 2, se of message 3 */
    }
    rc = QN_E_PROOF;
    if (!decrypt_and_hash(n, aead, msg, ret)) goto out;
    n->step++;
    rc = QN_OK;
out:
    qn_buf_free(&rs);
    return rc;
}

void qn_noise_split(struct qn_noise *n, struct qn_noise_cipher *ret_tx,
                    struct qn_noise_cipher *ret_rx)
{
    struct qn_noise_cipher first = { 0 }, second = { 0 };
    QN_ASSERT(n->step == 3);
    hkdf(n->ck, QN_SPAN(NULL, 0), first.key, second.key);
    *ret_tx = n->initiator ? first : second;
    *ret_rx = n->initiator ? second : first;
    sodium_memzero(&first, sizeof first);
    sodium_memzero(&second, sizeof second);
    sodium_memzero(n, sizeof *n);
}

/* --- the payload ------------------------------------------------------------------------------------------ */

static void signed_bytes(const uint8_t pk[32], uint8_t ret[sizeof SIGNED - 1 + 32])
{
    memcpy(ret, SIGNED, sizeof SIGNED - 1);
    memcpy(ret + sizeof SIGNED - 1, pk, 32);
}

void qn_noise_self_init(struct qn_noise_self *self, const struct qn_key *identity,
                        const uint8_t random[32])
{
    uint8_t text[sizeof SIGNED - 1 + 32], public_key[36];
    struct qn_buf buf = { 0 }, ext = { 0 };
    memset(self, 0, sizeof *self);
    memcpy(self->sk, random, 32);
    crypto_scalarmult_base(self->pk, self->sk);
    signed_bytes(self->pk, text);
    struct qn_sig sig = qn_sign(identity, QN_SPAN_OF(text));
    qn_peer_public(&identity->pub, public_key);
    qn_pb_put_str(&ext, 2, MUXER);
    qn_pb_put_bytes(&buf, 1, QN_SPAN_OF(public_key));
    qn_pb_put_bytes(&buf, 2, QN_SPAN_OF(sig));
    qn_pb_put_bytes(&buf, 4, qn_buf_get(&ext));
    QN_ASSERT(buf.len <= sizeof self->payload);
    memcpy(self->payload, buf.ptr, buf.len);
    self->payload_len = buf.len;
    qn_buf_free(&buf);
    qn_buf_free(&ext);
}

static qn_rc read_extensions(struct qn_span ext, struct qn_noise_peer *peer)
{
    struct qn_pb_field f;
    qn_rc rc;
    while ((rc = qn_pb_next(&ext, &f)) == QN_OK) {
        if (f.number != 2 || f.wire != QN_PB_BYTES) continue;
        peer->muxers = true;
        if (qn_span_eq(f.bytes, QN_SPAN_STR(MUXER))) peer->muxer_yes = true;
    }
    return rc == QN_E_AGAIN ? QN_OK : rc;
}

qn_rc qn_noise_payload(struct qn_span payload, const uint8_t rs[32], struct qn_noise_peer *ret)
{
    struct qn_noise_peer peer = { 0 };
    struct qn_span key = { 0 }, sig = { 0 }, ext = { 0 };
    uint8_t text[sizeof SIGNED - 1 + 32];
    struct qn_pb_field f;
    qn_rc rc;
    while ((rc = qn_pb_next(&payload, &f)) == QN_OK) {
        if (f.wire != QN_PB_BYTES) continue;
        if (f.number == 1) key = f.bytes;
        if (f.number == 2) sig = f.bytes;
        if (f.number == 4) ext = f.bytes;
    }
    if (rc != QN_E_AGAIN) return rc;
    signed_bytes(rs, text);
    rc = qn_peer_verify(key, QN_SPAN_OF(text), sig);
    if (rc) return rc;
    rc = qn_peer_id_of_public(key, &peer.id);
    if (rc) return rc;
    rc = read_extensions(ext, &peer);
    if (rc) return rc;
    *ret = peer;
    return QN_OK;
}
