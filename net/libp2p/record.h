/* record.h - signed peer records (libp2p RFC 0002 and 0003): the addresses of a peer, by its own word, as others may pass them on.
 *
 *     Envelope { public_key 1, payload_type 2 = 03 01, payload 3, signature 5 }
 *     payload  PeerRecord { peer_id 1, seq 2, addresses 3 { multiaddr 1 } }
 *     signature over varint-length-prefixed "libp2p-peer-record", payload_type, payload */
#ifndef QN_NET_LIBP2P_RECORD_H
#define QN_NET_LIBP2P_RECORD_H

#include "net/libp2p/multiaddr.h"

#define QN_RECORD_MAX   4096 /* bytes of an envelope */
#define QN_RECORD_ADDRS 16   /* more are passed over */

struct qn_record {
    struct qn_peer_id id;
    uint64_t seq; /* the higher replaces */
    uint32_t addr_cnt;
    struct qn_maddr addr[QN_RECORD_ADDRS];
};

/* qn_record_write signs; appends the envelope. */
void qn_record_write(const struct qn_key *key, uint64_t seq, const struct qn_maddr *addrs,
                     uint32_t cnt, struct qn_buf *ret);
/* qn_record_read checks the signature and that the signer is the record's peer. Addresses it does not understand are left out.
 * QN_E_FORMAT, QN_E_SHORT, QN_E_TOOBIG, QN_E_SIGNATURE. */
QN_CHECK qn_rc qn_record_read(struct qn_span envelope, struct qn_record *ret);

/* qn_record_fit says whether a record, whose signature was checked before, may be told to a peer on the internet: it names no address of a
 * house, nor one that we cannot read. */
QN_CHECK bool qn_record_fit(struct qn_span envelope);

#endif
