/* queue.h - bytes that wait to be sent, in order, in pieces of at most 16 KiB, or as they were given: what is written in small parts costs no copy of what is
 * already there, and what was sent is given back at once. */
#ifndef QN_NET_LINK_QUEUE_H
#define QN_NET_LINK_QUEUE_H

#include "core/base/span.h"

struct qn_queue_piece;

struct qn_queue {
    struct qn_queue_piece *head, *tail;
    size_t len;
};

void qn_queue_put(struct qn_queue *q, struct qn_span bytes);
/* qn_queue_give puts all of buf without a copy; it is empty after. */
void qn_queue_give(struct qn_queue *q, struct qn_buf *buf QN_TAKES);
/* qn_queue_take moves up to max bytes to dst; returns how many. */
size_t qn_queue_take(struct qn_queue *q, uint8_t *dst, size_t max);
void qn_queue_clear(struct qn_queue *q);

#endif
