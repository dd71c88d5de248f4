/* sign.c - Ed25519, addresses, sealed secrets; all on libsodium. */
#include "core/crypto/sign.h"

#include <sodium.h>
#include <string.h>

qn_rc qn_crypto_init(void)
{
    return sodium_init() < 0 ? QN_E_SYSTEM : QN_OK;
}

void qn_key_from_seed(const uint8_t seed[32], struct qn_key *ret)
{
    memcpy(ret->seed, seed, sizeof ret->seed);
    QN_ASSERT(crypto_sign_seed_keypair(ret->pub.b, ret->sk, seed) == 0);
}

void qn_key_wipe(struct qn_key *key)
{
    if (key) sodium_memzero(key, sizeof *key);
}

struct qn_sig qn_sign(const struct qn_key *key, struct qn_span msg)
{
    struct qn_sig sig;
    QN_ASSERT(crypto_sign_detached(sig.b, NULL, msg.ptr, msg.len, key->sk) == 0);
    return sig;
}

bool qn_verify(const struct qn_hash *pub, struct qn_span msg, const struct qn_sig *sig)
{
    return crypto_sign_verify_detached(sig->b, msg.ptr, msg.len, pub->b) == 0;
}

/* --- bech32m (BIP-350) ------------------------------------------------------------------------------ */

static const char CHARSET[] = "qpzry9x8gf2tvdw0s3jn54khce6mua7l";
#define BECH32M 0x2bc830a3u

static uint32_t polymod(uint32_t chk, uint8_t value)
{
    static const uint32_t gen[5] = { 0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3 };
    uint32_t top = chk >> 25;
    chk = (chk & 0x1ffffff) << 5 ^ value;
    for (int i = 0; i < 5; i++)
        if (top >> i & 1) chk ^= gen[i];
    return chk;
}

static uint32_t prefix_mod(void)
{
    uint32_t chk = polymod(polymod(1, 'q' >> 5), 'n' >> 5);
    chk = polymod(chk, 0);
    return polymod(polymod(chk, 'q' & 31), 'n' & 31);
}

#define DIGITS 52 /* 256 bits in groups of five, the last padded by four zeros */

void qn_addr_print(const struct qn_hash *acct, char dst[64])
{
    uint32_t chk = prefix_mod(), acc = 0;
    int bits = 0, n = 0;
    memcpy(dst, "qn1", 3);
    for (int i = 0; i < 32; i++) {
        acc = acc << 8 | acct->b[i];
        for (bits += 8; bits >= 5; bits -= 5) {
            uint8_t v = acc >> (bits - 5) & 31;
            chk = polymod(chk, v);
            dst[3 + n++] = CHARSET[v];
        }
    }
    uint8_t last = (uint8_t)(acc << (5 - bits) & 31);
    chk = polymod(chk, last);
    dst[3 + n++] = CHARSET[last];
    QN_ASSERT(n == DIGITS);
    for (int i = 0; i < 6; i++)
        chk = polymod(chk, 0);
    chk ^= BECH32M;
    for (int i = 0; i < 6; i++)
        dst[3 + n++] = CHARSET[chk >> (5 * (5 - i)) & 31];
    dst[3 + n] = 0;
}

qn_rc qn_addr_parse(const char *text, struct qn_hash *ret)
{
    size_t len = strlen(text);
    struct qn_hash acct = { { 0 } };
    if (len == 64) {
        if (!qn_unhex(text, len, acct.b, sizeof acct.b)) return QN_E_FORMAT;
        *ret = acct;
        return QN_OK;
    }
    if (len != 3 + DIGITS + 6 || memcmp(text, "qn1", 3) != 0) return QN_E_FORMAT;
    uint32_t chk = prefix_mod(), acc = 0;
    int bits = 0, n = 0;
    for (size_t i = 3; i < len; i++) {
        const char *at = strchr(CHARSET, text[i]);
        if (!at) return QN_E_FORMAT;
        uint8_t v = (uint8_t)(at - CHARSET);
        chk = polymod(chk, v);
        if (i >= 3 + DIGITS) continue;
        acc = (acc << 5 | v) & 0xfff;
        bits += 5;
        if (bits >= 8 && n < 32) {
            acct.b[n++] = (uint8_t)(acc >> (bits - 8));
            bits -= 8;
        }
    }
    if (chk != BECH32M || (acc & 15) != 0 || n != 32) return QN_E_FORMAT;
    *ret = acct;
    return QN_OK;
}

/* --- sealed secrets ---------------------------------------------------------------------------------- */

#define SEAL_OPS     3
#define SEAL_MEM_KIB 262144 /* 256 MiB, 3 passes: about half a second */
#define SEAL_HEAD    (4 + 4 + 4 + 16 + 24)

static qn_rc seal_key(const char *passphrase, const uint8_t salt[16], uint32_t ops,
                      uint32_t mem_kib, uint8_t key[32])
{
    if (crypto_pwhash(key, 32, passphrase, strlen(passphrase), salt, ops, (size_t)mem_kib * 1024,
                      crypto_pwhash_ALG_ARGON2ID13))
        return QN_E_MEMORY;
    return QN_OK;
}

qn_rc qn_seal(struct qn_span secret, const char *passphrase, struct qn_buf *ret)
{
    uint8_t key[32], salt[16], nonce[24];
    randombytes_buf(salt, sizeof salt);
    randombytes_buf(nonce, sizeof nonce);
    qn_rc rc = seal_key(passphrase, salt, SEAL_OPS, SEAL_MEM_KIB, key);
    if (rc) return rc;
    qn_buf_put(ret, "QNK1", 4);
    qn_buf_u32(ret, SEAL_OPS);
    qn_buf_u32(ret, SEAL_MEM_KIB);
    qn_buf_put(ret, salt, sizeof salt);
    qn_buf_put(ret, nonce, sizeof nonce);
    size_t head = ret->len - SEAL_HEAD;
    uint8_t *box = qn_buf_grow(ret, secret.len + crypto_aead_xchacha20poly1305_ietf_ABYTES);
    crypto_aead_xchacha20poly1305_ietf_encrypt(box, NULL, secret.ptr, secret.len, ret->ptr + head,
                                               SEAL_HEAD, NULL, nonce, key);
    sodium_memzero(key, sizeof key);
    return QN_OK;
}

qn_rc qn_unseal(struct qn_span sealed, const char *passphrase, struct qn_buf *ret)
{
    const size_t tag = crypto_aead_xchacha20poly1305_ietf_ABYTES;
    struct qn_span s = sealed, magic, salt, nonce;
    uint32_t ops, mem_kib;
    if (!qn_take(&s, 4, &magic) || memcmp(magic.ptr, "QNK1", 4) != 0 || !qn_take_u32(&s, &ops) ||
        !qn_take_u32(&s, &mem_kib) || !qn_take(&s, 16, &salt) || !qn_take(&s, 24, &nonce) ||
        s.len < tag)
        return QN_E_FORMAT;
    if (ops < 1 || ops > 10 || mem_kib < 8 || mem_kib > 1048576) return QN_E_RANGE;
    uint8_t key[32];
    qn_rc rc = seal_key(passphrase, salt.ptr, ops, mem_kib, key);
    if (rc) return rc;
    size_t before = ret->len;
    uint8_t *dst = qn_buf_grow(ret, s.len - tag);
    if (crypto_aead_xchacha20poly1305_ietf_decrypt(dst, NULL, NULL, s.ptr, s.len, sealed.ptr,
                                                   SEAL_HEAD, nonce.ptr, key)) {
        ret->len = before;
        rc = QN_E_AUTH;
    }
    sodium_memzero(key, sizeof key);
    return rc;
}
