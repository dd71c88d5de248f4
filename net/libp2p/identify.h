/* identify.h - the message of /ipfs/id/1.0.0 and /ipfs/id/push/1.0.0 (libp2p/specs identify): what a peer says about itself.
 *
 *     varint length | Identify { publicKey 1, listenAddrs 2, protocols 3, observedAddr 4, protocolVersion 5, agentVersion 6,
 *                                signedPeerRecord 8 } */
#ifndef QN_NET_LIBP2P_IDENTIFY_H
#define QN_NET_LIBP2P_IDENTIFY_H

#include "net/libp2p/multiaddr.h"

#define QN_IDENTIFY_ID      "/ipfs/id/1.0.0"
#define QN_IDENTIFY_PUSH    "/ipfs/id/push/1.0.0"

#define QN_IDENTIFY_IN_MAX  8192
#define QN_IDENTIFY_OUT_MAX 4096
#define QN_IDENTIFY_ADDRS   16
#define QN_IDENTIFY_PROTOS  64
#define QN_IDENTIFY_TEXT                                                                           \
    128 /* bytes of a protocol's name, an agent, a version; what is longer is passed over */

/* Spans are lent by the message. Lists hold what fits, the rest is passed over. */
struct qn_identify {
    struct qn_span public_key, version, agent, record;
    struct qn_maddr observed; /* len 0: not told, or not understood */
    uint32_t addr_cnt, proto_cnt;
    struct qn_maddr addrs[QN_IDENTIFY_ADDRS];
    struct qn_span protos[QN_IDENTIFY_PROTOS];
};

/* qn_identify_read takes one message without its length. QN_E_FORMAT, QN_E_SHORT, QN_E_TOOBIG. */
QN_CHECK qn_rc qn_identify_read(struct qn_span msg, struct qn_identify *ret);
/* qn_identify_write appends the message with its length before it; protocols that would make it longer than QN_IDENTIFY_OUT_MAX are
 * left out. */
void qn_identify_write(const struct qn_identify *id, struct qn_buf *ret);

#endif
