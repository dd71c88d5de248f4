/* vframe.h - libp2p's usual framing of protocol buffers on a stream: a message behind its length as a varint. */
#ifndef QN_NET_LIBP2P_VFRAME_H
#define QN_NET_LIBP2P_VFRAME_H

#include "core/base/span.h"

#define QN_VFRAME_HEAD 3 /* bytes of a length at most: messages end at 2^21 */

void qn_vframe_put(struct qn_buf *buf, struct qn_span message);
/* qn_vframe_take takes a message from the front of s, lent; *ret_used counts it with its length. QN_E_AGAIN: more bytes are needed, at most
 * `max` + QN_VFRAME_HEAD in all. QN_E_FORMAT, QN_E_TOOBIG. */
QN_CHECK qn_rc qn_vframe_take(struct qn_span s, size_t max, struct qn_span *ret, size_t *ret_used);

#endif
