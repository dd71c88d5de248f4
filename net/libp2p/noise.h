/* noise.h - Noise_XX_25519_ChaChaPoly_SHA256 (noiseprotocol.org revision 34) as libp2p uses it (libp2p/specs noise), and the records
 * that follow. A machine: the owner frames messages by `u16 BE length`.
 *
 *     -> e                        32 bytes
 *     <- e, ee, s, es, payload    32 + 48 + payload + 16
 *     -> s, se, payload           48 + payload + 16
 *
 * The payload proves who holds the static key and names stream muxers:
 *     NoiseHandshakePayload { identity_key 1, identity_sig 2 (over "noise-libp2p-static-key:" | static key), extensions 4 { stream_muxers 2 } }
 * Nothing of a payload is believed before its signature held. */
#ifndef QN_NET_LIBP2P_NOISE_H
#define QN_NET_LIBP2P_NOISE_H

#include "net/libp2p/peerid.h"

#define QN_NOISE_TAG         16
#define QN_NOISE_MESSAGE_MAX 65535 /* with its tag */
#define QN_NOISE_SHAKE_MAX   4096  /* a handshake message: an RSA-8192 payload has some 2,300 */

/* One direction of a secured connection: 40 bytes. */
struct qn_noise_cipher {
    uint8_t key[32];
    uint64_t n; /* next nonce */
};

/* The process' static key and what it says about its owner, signed once. */
struct qn_noise_self {
    uint8_t sk[32], pk[32];
    uint8_t payload[192];
    size_t payload_len;
};

struct qn_noise {
    bool initiator;
    uint8_t step; /* messages done */
    bool has_key;
    uint8_t e_sk[32], e_pk[32], re[32], rs[32];
    uint8_t ck[32], h[32];
    struct qn_noise_cipher k;
};

/* What the peer's payload says, after it was verified. */
struct qn_noise_peer {
    struct qn_peer_id id;
    bool muxers;    /* it named stream muxers */
    bool muxer_yes; /* and "/yamux/1.0.0" is among them */
};

/* One OpenSSL context serves all connections of a thread. */
struct qn_aead;
struct qn_aead *qn_aead_new(void);
void qn_aead_free(struct qn_aead *aead);
/* qn_aead_seal encrypts len bytes at buf in place and writes the tag behind them. */
void qn_aead_seal(struct qn_aead *aead, struct qn_noise_cipher *c, uint8_t *buf, size_t len);
/* qn_aead_open decrypts len bytes (tag among them) at buf in place; the plaintext is len - 16 bytes. false: forged. */
QN_CHECK bool qn_aead_open(struct qn_aead *aead, struct qn_noise_cipher *c, uint8_t *buf,
                           size_t len);

/* qn_noise_self_init draws the static key from 32 random bytes and signs it. */
void qn_noise_self_init(struct qn_noise_self *self, const struct qn_key *identity,
                        const uint8_t random[32]);

/* qn_noise_init starts a handshake; ephemeral is 32 fresh random bytes. */
void qn_noise_init(struct qn_noise *n, bool initiator, const uint8_t ephemeral[32]);

/* qn_noise_write appends the next message (unframed) with payload, when it is our turn: QN_E_STATE when not. QN_E_FORMAT when the
 * peer's key is of low order. */
QN_CHECK qn_rc qn_noise_write(struct qn_noise *n, struct qn_aead *aead, const uint8_t s_sk[32],
                              const uint8_t s_pk[32], struct qn_span payload, struct qn_buf *out);
/* qn_noise_read takes the peer's next message and appends its payload to ret. QN_E_FORMAT, QN_E_PROOF (tag), QN_E_STATE. */
QN_CHECK qn_rc qn_noise_read(struct qn_noise *n, struct qn_aead *aead, struct qn_span msg,
                             struct qn_buf *ret);
/* qn_noise_split gives the two directions once three messages are done, and wipes n. */
void qn_noise_split(struct qn_noise *n, struct qn_noise_cipher *ret_tx,
                    struct qn_noise_cipher *ret_rx);

/* qn_noise_payload checks a payload against the static key it came with. */
QN_CHECK qn_rc qn_noise_payload(struct qn_span payload, const uint8_t rs[32],
                                struct qn_noise_peer *ret);

#endif
