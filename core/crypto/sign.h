/* sign.h - Ed25519 keys and signatures; valid is what libsodium's crypto_sign_verify_detached says. */
#ifndef QN_CORE_CRYPTO_SIGN_H
#define QN_CORE_CRYPTO_SIGN_H

#include "core/base/span.h"

/* A key pair. The seed is the secret: wipe the struct with qn_key_wipe when done. */
struct qn_key {
    uint8_t seed[32];
    struct qn_hash pub;
    uint8_t sk[64]; /* libsodium's expanded form */
};

/* qn_crypto_init must have run once in the process (idempotent); QN_E_SYSTEM when it cannot. */
QN_CHECK qn_rc qn_crypto_init(void);
void qn_key_from_seed(const uint8_t seed[32], struct qn_key *ret);
void qn_key_wipe(struct qn_key *key);
struct qn_sig qn_sign(const struct qn_key *key, struct qn_span msg);
QN_CHECK bool qn_verify(const struct qn_hash *pub, struct qn_span msg, const struct qn_sig *sig);

/* One of many signatures; all borrowed for the call. */
struct qn_verify_item {
    const struct qn_hash *pub;
    const struct qn_sig *sig;
    struct qn_span msg;
};

/* qn_verify_many says of each of cnt signatures what qn_verify says of it alone: each has its own verdict, there is no equation over all. Hand
 * over as many as there are at hand: eight share the work of one. */
void qn_verify_many(const struct qn_verify_item items[], size_t cnt, bool ret_ok[]);

/* qn_addr_print writes an account id as bech32m "qn1..." (BIP-350); dst holds 64 bytes.
 * qn_addr_parse reads it back, or 64 hex digits; QN_E_FORMAT on anything else. */
void qn_addr_print(const struct qn_hash *acct, char dst[64]);
QN_CHECK qn_rc qn_addr_parse(const char *text, struct qn_hash *ret);

/* qn_seal_* : passphrase-sealed secret: Argon2id (libsodium) + XChaCha20-Poly1305.
 * Sealed form: "QNK1" | ops u32 | mem_kib u32 | salt[16] | nonce[24] | box (len + 16). */
QN_CHECK qn_rc qn_seal(struct qn_span secret, const char *passphrase, struct qn_buf *ret);
QN_CHECK qn_rc qn_unseal(struct qn_span sealed, const char *passphrase, struct qn_buf *ret);

#endif
