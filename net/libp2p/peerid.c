/* peerid.c - multihashes of keys, their texts, and signatures of foreign kinds of keys. */
#include "net/libp2p/peerid.h"

#include "core/schema/protobuf.h"

#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/sha.h>
#include <openssl/x509.h>
#include <sodium.h>
#include <string.h>

enum key_type { KEY_RSA = 0, KEY_ED25519 = 1, KEY_SECP256K1 = 2, KEY_ECDSA = 3 };

#define IDENTITY_MAX 42 /* bytes of PublicKey that stand in an id as they are */

void qn_peer_public(const struct qn_hash *pub, uint8_t dst[36])
{
    static const uint8_t HEAD[4] = { 0x08, KEY_ED25519, 0x12, 32 };
    memcpy(dst, HEAD, 4);
    memcpy(dst + 4, pub->b, 32);
}

qn_rc qn_peer_id_of_public(struct qn_span key, struct qn_peer_id *ret)
{
    struct qn_peer_id id = { 0 };
    if (key.len > QN_PEER_KEY_MAX) return QN_E_TOOBIG;
    if (key.len <= IDENTITY_MAX) {
        id.len = (uint8_t)(key.len + 2);
        id.b[1] = (uint8_t)key.len;
        if (key.len) memcpy(id.b + 2, key.ptr, key.len);
    } else {
        id.len = 34;
        id.b[0] = 0x12;
        id.b[1] = 32;
        SHA256(key.ptr, key.len, id.b + 2);
    }
    *ret = id;
    return QN_OK;
}

struct qn_peer_id qn_peer_id_of_key(const struct qn_hash *pub)
{
    uint8_t key[36];
    struct qn_peer_id id;
    qn_peer_public(pub, key);
    qn_rc rc = qn_peer_id_of_public(QN_SPAN_OF(key), &id);
    QN_ASSERT(rc == QN_OK);
    return id;
}

/* A PublicKey in its one canonical form: type, data, nothing else, shortest varints. */
static bool open_public(struct qn_span key, enum key_type *ret_type, struct qn_span *ret_data)
{
    struct qn_span s = key;
    uint8_t tag, type, tag2;
    uint64_t len;
    if (!qn_take_u8(&s, &tag) || tag != 0x08 || !qn_take_u8(&s, &type) || type > KEY_ECDSA ||
        !qn_take_u8(&s, &tag2) || tag2 != 0x12)
        return false;
    size_t before = s.len;
    if (!qn_pb_varint(&s, &len) || len != s.len) return false;
    if (before - s.len != (len < 128 ? 1u : 2u) || len >= 1u << 14) return false;
    *ret_type = (enum key_type)type;
    *ret_data = s;
    return true;
}

qn_rc qn_peer_id_read(struct qn_span b, struct qn_peer_id *ret)
{
    struct qn_peer_id id = { 0 };
    enum key_type type;
    struct qn_span data;
    if (b.len < 2 || b.len > QN_PEER_ID_MAX || b.ptr[1] != b.len - 2) return QN_E_FORMAT;
    if (b.ptr[0] == 0x12) {
        if (b.len != 34) return QN_E_FORMAT;
    } else if (b.ptr[0] == 0x00) { /* the key itself, or it could be written in two ways */
        if (!open_public(QN_SPAN(b.ptr + 2, b.len - 2), &type, &data)) return QN_E_FORMAT;
        if (type == KEY_ED25519 && data.len != 32) return QN_E_FORMAT;
    } else {
        return QN_E_FORMAT;
    }
    id.len = (uint8_t)b.len;
    memcpy(id.b, b.ptr, b.len);
    *ret = id;
    return QN_OK;
}

bool qn_peer_id_key(const struct qn_peer_id *id, struct qn_hash *ret)
{
    static const uint8_t HEAD[6] = { 0, 36, 0x08, KEY_ED25519, 0x12, 32 };
    if (id->len != 38 || memcmp(id->b, HEAD, 6) != 0) return false;
    memcpy(ret->b, id->b + 6, 32);
    return true;
}

int qn_peer_id_cmp(const struct qn_peer_id *a, const struct qn_peer_id *b)
{
    return qn_span_cmp(QN_SPAN(a->b, a->len), QN_SPAN(b->b, b->len));
}

bool qn_peer_id_eq(const struct qn_peer_id *a, const struct qn_peer_id *b)
{
    return a->len == b->len && memcmp(a->b, b->b, a->len) == 0;
}

/* --- text -------------------------------------------------------------------------------------------- */

static const char B58[] = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
static const char B32[] = "abcdefghijklmnopqrstuvwxyz234567";

void qn_peer_id_print(const struct qn_peer_id *id, char dst[QN_PEER_TEXT_MAX])
{
    uint8_t digit[QN_PEER_TEXT_MAX] = { 0 }; /* base 58, the lowest first */
    size_t cnt = 0, at = 0;
    for (size_t i = 0; i < id->len; i++) {
        uint32_t carry = id->b[i];
        for (size_t k = 0; k < cnt || carry; k++) {
            if (k == cnt) cnt++;
            carry += (uint32_t)digit[k] << 8;
            digit[k] = (uint8_t)(carry % 58);
            carry /= 58;
        }
    }
    for (size_t i = 0; i < id->len && id->b[i] == 0; i++)
        dst[at++] = '1';
    while (cnt)
        dst[at++] = B58[digit[--cnt]];
    dst[at] = 0;
}

static qn_rc parse_b58(const char *text, size_t len, struct qn_peer_id *ret)
{
    uint8_t byte[QN_PEER_TEXT_MAX] = { 0 }; /* base 256, the lowest first */
    uint8_t out[QN_PEER_TEXT_MAX];
    size_t cnt = 0, at = 0;
    for (size_t i = 0; i < len; i++) {
        const char *p = strchr(B58, text[i]);
        if (!p) return QN_E_FORMAT;
        uint32_t carry = (uint32_t)(p - B58);
        for (size_t k = 0; k < cnt || carry; k++) {
            if (k == cnt) cnt++;
            carry += (uint32_t)byte[k] * 58;
            byte[k] = (uint8_t)carry;
            carry >>= 8;
        }
    }
    for (size_t i = 0; i < len && text[i] == '1'; i++)
        out[at++] = 0;
    if (at + cnt > sizeof out) return QN_E_FORMAT;
    while (cnt)
        out[at++] = byte[--cnt];
    return qn_peer_id_read(QN_SPAN(out, at), ret);
}

static qn_rc parse_cid(const char *text, size_t len, struct qn_peer_id *ret)
{
    uint8_t out[QN_PEER_TEXT_MAX];
    size_t at = 0;
    uint32_t acc = 0, bits = 0;
    for (size_t i = 0; i < len; i++) {
        const char *p = text[i] ? strchr(B32, text[i]) : NULL;
        if (!p) return QN_E_FORMAT;
        acc = acc << 5 | (uint32_t)(p - B32);
        bits += 5;
        if (bits >= 8) {
            bits -= 8;
            out[at++] = (uint8_t)(acc >> bits);
        }
    }
    if (bits >= 5 || (acc & ((1u << bits) - 1)) != 0) return QN_E_FORMAT;
    if (at < 2 || out[0] != 1 || out[1] != 0x72) return QN_E_FORMAT; /* CIDv1, libp2p-key */
    return qn_peer_id_read(QN_SPAN(out + 2, at - 2), ret);
}

qn_rc qn_peer_id_parse(const char *text, struct qn_peer_id *ret)
{
    size_t len = strnlen(text, QN_PEER_TEXT_MAX);
    if (len < 4 || len == QN_PEER_TEXT_MAX) return QN_E_FORMAT;
    return text[0] == 'b' ? parse_cid(text + 1, len - 1, ret) : parse_b58(text, len, ret);
}

/* --- signatures ---------------------------------------------------------------------------------------- */

/* SubjectPublicKeyInfo around a compressed secp256k1 point. */
static const uint8_t SECP_HEAD[] = { 0x30, 0x36, 0x30, 0x10, 0x06, 0x07, 0x2a, 0x86,
                                     0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x05, 0x2b,
                                     0x81, 0x04, 0x00, 0x0a, 0x03, 0x22, 0x00 };

/* The key in DER, if this is the only DER of it. */
static EVP_PKEY *der_key(struct qn_span der)
{
    const uint8_t *at = der.ptr;
    uint8_t *again = NULL;
    EVP_PKEY *key = d2i_PUBKEY(NULL, &at, (long)der.len);
    if (!key) return NULL;
    int len = i2d_PUBKEY(key, &again);
    bool same = at == der.ptr + der.len && len > 0 && (size_t)len == der.len &&
                memcmp(again, der.ptr, der.len) == 0;
    OPENSSL_free(again);
    if (same) return key;
    EVP_PKEY_free(key);
    return NULL;
}

static qn_rc der_verify(struct qn_span der, int kind, struct qn_span msg, struct qn_span sig)
{
    EVP_MD_CTX *ctx = NULL;
    qn_rc rc = QN_E_FORMAT;
    EVP_PKEY *key = der_key(der);
    if (!key || EVP_PKEY_get_base_id(key) != kind) goto out;
    rc = QN_E_RANGE;
    int bits = EVP_PKEY_get_bits(key);
    if (kind == EVP_PKEY_RSA && (bits < 2048 || bits > 8192)) goto out;
    ctx = EVP_MD_CTX_new();
    QN_ASSERT(ctx != NULL);
    rc = QN_E_SIGNATURE;
    if (EVP_DigestVerifyInit(ctx, NULL, EVP_sha256(), NULL, key) == 1 &&
        EVP_DigestVerify(ctx, sig.ptr, sig.len, msg.ptr, msg.len) == 1)
        rc = QN_OK;
out:
    EVP_MD_CTX_free(ctx);
    EVP_PKEY_free(key);
    return rc;
}

qn_rc qn_peer_verify(struct qn_span public_key, struct qn_span msg, struct qn_span sig)
{
    enum key_type type;
    struct qn_span data;
    uint8_t der[sizeof SECP_HEAD + 33];
    if (public_key.len > QN_PEER_KEY_MAX || sig.len > QN_PEER_SIG_MAX) return QN_E_TOOBIG;
    if (!open_public(public_key, &type, &data)) return QN_E_FORMAT;
    switch (type) {
    case KEY_ED25519:
        if (data.len != 32) return QN_E_FORMAT;
        if (sig.len != 64) return QN_E_SIGNATURE;
        return crypto_sign_verify_detached(sig.ptr, msg.ptr, msg.len, data.ptr) ? QN_E_SIGNATURE
                                                                                : QN_OK;
    case KEY_SECP256K1:
        if (data.len != 33) return QN_E_FORMAT;
        memcpy(der, SECP_HEAD, sizeof SECP_HEAD);
        memcpy(der + sizeof SECP_HEAD, data.ptr, 33);
        return der_verify(QN_SPAN_OF(der), EVP_PKEY_EC, msg, sig);
    case KEY_ECDSA: return der_verify(data, EVP_PKEY_EC, msg, sig);
    case KEY_RSA: return der_verify(data, EVP_PKEY_RSA, msg, sig);
    }
    return QN_E_FORMAT;
}

/* --- our own key on disk --------------------------------------------------------------------------------- */

void qn_peer_key_write(const struct qn_key *key, struct qn_buf *ret)
{
    static const uint8_t HEAD[4] = { 0x08, KEY_ED25519, 0x12, 64 };
    qn_buf_put(ret, HEAD, 4);
    qn_buf_put(ret, key->seed, 32);
    qn_buf_put(ret, key->pub.b, 32);
}

qn_rc qn_peer_key_read(struct qn_span b, struct qn_key *ret)
{
    if (b.len < 4 || b.ptr[0] != 0x08 || b.ptr[1] != KEY_ED25519 || b.ptr[2] != 0x12)
        return QN_E_FORMAT;
    if (b.ptr[3] + 4u != b.len || (b.ptr[3] != 64 && b.ptr[3] != 96)) return QN_E_FORMAT;
    const uint8_t *seed = b.ptr + 4, *pub = b.ptr + 36;
    if (b.ptr[3] == 96 && memcmp(pub, b.ptr + 68, 32) != 0) return QN_E_FORMAT;
    struct qn_key key;
    qn_key_from_seed(seed, &key);
    bool same = memcmp(key.pub.b, pub, 32) == 0;
    if (same) *ret = key;
    qn_key_wipe(&key);
    return same ? QN_OK : QN_E_FORMAT;
}
