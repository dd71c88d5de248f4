/* upgrade.h - from the first byte of a connection to a secured one: multistream-select, then Noise. A machine; it is thrown away when the
 * connection is ready, so that an idle one costs two ciphers.
 *
 * The dialer sends the multistream header, "/noise" and the first Noise message in one flight. Before the peer is known nothing over
 * 4 KiB is held for it. */
#ifndef QN_NET_LIBP2P_UPGRADE_H
#define QN_NET_LIBP2P_UPGRADE_H

#include "net/libp2p/mss.h"
#include "net/libp2p/noise.h"

struct qn_upgrade {
    bool dialer, agreed; /* agreed: on Noise */
    struct qn_mss mss;
    struct qn_noise noise;
    bool has_want;
    struct qn_peer_id want; /* who was dialled */
    uint16_t have;          /* bytes in part */
    uint8_t part[2 + QN_NOISE_SHAKE_MAX];
    struct qn_noise_peer peer;
    struct qn_noise_cipher tx, rx;
};

/* qn_upgrade_init: want is whom a dialler expects, NULL: anybody. A dialler's first flight goes to out. */
void qn_upgrade_init(struct qn_upgrade *u, bool dialer, const struct qn_peer_id *want,
                     const uint8_t ephemeral[32], struct qn_aead *aead,
                     const struct qn_noise_self *self, struct qn_buf *out);

/* qn_upgrade_step takes from *in and answers to out. QN_OK: secured, peer, tx and rx are set and what is left of *in are records.
 * QN_E_AGAIN: more input. Else the connection fails: QN_E_SIGNATURE (not whom we dialled, or a forged identity), QN_E_PROOF, QN_E_FORMAT,
 * QN_E_REFUSED (no Noise there), QN_E_TOOBIG. */
QN_CHECK qn_rc qn_upgrade_step(struct qn_upgrade *u, struct qn_aead *aead,
                               const struct qn_noise_self *self, struct qn_span *in,
                               struct qn_buf *out);
void qn_upgrade_wipe(struct qn_upgrade *u);

#endif
