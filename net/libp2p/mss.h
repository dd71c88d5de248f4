/* mss.h - multistream-select 1.0.0: agreeing on a protocol at the start of a connection or stream.
 *
 *     varint(length with newline) | text | 0a        "/multistream/1.0.0\n" is 13 2f 6d .. 0a, "na\n" is 03 6e 61 0a
 *
 * A machine: qn_mss_step takes whole lines from the front of its input and says what to answer. Lines are at most 1,024 bytes; after
 * the agreement no byte more is taken, what follows belongs to the protocol. */
#ifndef QN_NET_LIBP2P_MSS_H
#define QN_NET_LIBP2P_MSS_H

#include "core/base/span.h"

#define QN_MSS_LINE_MAX      1024
#define QN_MSS_PROPOSALS_MAX 32

struct qn_mss {
    bool dialer, header; /* header: theirs has come */
    uint8_t proposals;
    uint16_t have;                     /* bytes in part */
    uint8_t part[QN_MSS_LINE_MAX + 2]; /* a line that came in pieces */
};

/* qn_mss_dial asks for proto, header and proposal in one flight: what is written behind it is read by the other side once it
 * agreed. qn_mss_listen waits. */
void qn_mss_dial(struct qn_mss *m, const char *proto, struct qn_buf *out);
void qn_mss_listen(struct qn_mss *m);

/* qn_mss_step reads from *in (advanced over what was taken) and appends answers to out. QN_OK: agreed; a listener gets what pick
 * returned (not NULL) in *ret. QN_E_AGAIN: more input is needed. QN_E_REFUSED: the listener does not speak it. QN_E_FORMAT,
 * QN_E_TOOBIG, QN_E_LIMIT: the peer broke the rules, close.
 *
 * dialer    proto is what was asked for; pick is not used
 * listener  pick says what answers to a name (lent, without newline; NULL: "na") */
QN_CHECK qn_rc qn_mss_step(struct qn_mss *m, struct qn_span *in, struct qn_buf *out,
                           const char *proto, const void *(*pick)(void *arg, struct qn_span name),
                           void *arg, const void **ret);

#endif
