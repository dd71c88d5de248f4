/* peerid.h - who a peer is: the multihash of its public key (libp2p/specs peer-ids). Our own keys are Ed25519, whose id is the key itself
 * in an identity multihash; Secp256k1, ECDSA and RSA keys of others are verified, never made.
 *
 *     PublicKey  08 01 12 20 | pk[32]          36 bytes, the only form accepted: another encoding of one key would be a second id
 *     id         00 24 | those 36 bytes        38 bytes; of keys longer than 42 bytes: 12 20 | SHA-256(PublicKey), 34 bytes
 *     text       base58btc "12D3KooW.." "Qm..", or CIDv1 base32 "bafz.." */
#ifndef QN_NET_LIBP2P_PEERID_H
#define QN_NET_LIBP2P_PEERID_H

#include "core/crypto/sign.h"

#define QN_PEER_ID_MAX   44   /* identity multihash of a 42-byte key */
#define QN_PEER_TEXT_MAX 80   /* with its 0 byte */
#define QN_PEER_KEY_MAX  1200 /* PublicKey of an RSA key of 8,192 bits: 1,062 */
#define QN_PEER_SIG_MAX  1024

/* Compared as bytes; zeros behind len, so that the whole struct may be a key of a table. */
struct qn_peer_id {
    uint8_t len;
    uint8_t b[QN_PEER_ID_MAX];
};

/* qn_peer_id_of_key is the id of an Ed25519 key. */
struct qn_peer_id qn_peer_id_of_key(const struct qn_hash *pub);
/* qn_peer_id_of_public is the id of a PublicKey message, whose form qn_peer_verify checks. QN_E_TOOBIG. */
QN_CHECK qn_rc qn_peer_id_of_public(struct qn_span public_key, struct qn_peer_id *ret);
/* qn_peer_id_read takes the binary form: exactly one multihash of one of the two kinds; QN_E_FORMAT. */
QN_CHECK qn_rc qn_peer_id_read(struct qn_span bytes, struct qn_peer_id *ret);
/* qn_peer_id_key gives the Ed25519 key inside an id that has one. */
QN_CHECK bool qn_peer_id_key(const struct qn_peer_id *id, struct qn_hash *ret);
bool qn_peer_id_eq(const struct qn_peer_id *a, const struct qn_peer_id *b);
int qn_peer_id_cmp(const struct qn_peer_id *a, const struct qn_peer_id *b); /* bytewise */

void qn_peer_id_print(const struct qn_peer_id *id, char dst[QN_PEER_TEXT_MAX]);
/* qn_peer_id_parse reads either text form; QN_E_FORMAT. */
QN_CHECK qn_rc qn_peer_id_parse(const char *text, struct qn_peer_id *ret);

/* qn_peer_public writes the PublicKey message of an Ed25519 key. */
void qn_peer_public(const struct qn_hash *pub, uint8_t dst[36]);
/* qn_peer_verify checks sig over msg by a PublicKey message of any of the four kinds, in its canonical form. QN_E_FORMAT,
 * QN_E_SIGNATURE, QN_E_RANGE for an RSA key outside 2,048 to 8,192 bits. */
QN_CHECK qn_rc qn_peer_verify(struct qn_span public_key, struct qn_span msg, struct qn_span sig);

/* The key on disk: PrivateKey 08 01 12 40 | seed[32] | pk[32]. The old form with pk twice is read as well, if both copies agree. */
void qn_peer_key_write(const struct qn_key *key, struct qn_buf *ret);
QN_CHECK qn_rc qn_peer_key_read(struct qn_span bytes, struct qn_key *ret);

#endif
