/* offer.h - what a node says of the snapshots that it holds, /quoin/<8 hex>/snapshot/1. The bytes of one are blobs (core/net/share.h).
 *
 *     request   u64 height FIN                     of a block that the asker trusts; 0: none
 *     answer    u8 0 | u32 len | u64 height | u64 first | u8 cnt | cnt * (u64 height | block[32] | manifest[32] | u32 bytes) | pin FIN
 *
 * height and first are the last and the first block that the peer holds, bytes the manifest's. pin, of qn_pin_put (ledger/state/steps.h), says who
 * voted at the height that was asked for; empty: it is not known there. Nothing of it is believed: a manifest proves itself, and its parts. */
#ifndef QN_CORE_NODE_OFFER_H
#define QN_CORE_NODE_OFFER_H

#include "core/base/span.h"

#define OFFER_MAX       8u
#define OFFER_ASK       8u          /* bytes of a request */
#define OFFER_BYTES_MAX (32u << 10) /* of an answer */
#define OFFER_PROTOCOL  "/quoin/%s/snapshot/1"

struct offer {
    uint64_t height;
    struct qn_hash block, manifest;
    uint32_t bytes;
};

struct offers {
    uint64_t height, first;
    uint32_t cnt;
    struct offer list[OFFER_MAX];
    struct qn_span pin; /* lent */
};

void offers_put(const struct offers *o, struct qn_buf *ret);
/* offers_get reads an answer that ended. QN_E_SHORT, QN_E_FORMAT (code, length, more than OFFER_MAX). */
QN_CHECK qn_rc offers_get(struct qn_span in, struct offers *ret);

#endif
