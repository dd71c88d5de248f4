/* queue.c - a list of pieces. */
#include "net/link/queue.h"

#include <stdlib.h>
#include <string.h>

#define PIECE_MAX (16384u - 32u) /* with malloc's own header a round 16 KiB */
#define PIECE_MIN 224u

struct qn_queue_piece {
    struct qn_queue_piece *next;
    uint32_t at, end, cap; /* unsent bytes are [at, end) */
    uint8_t data[];
};

static void grow(struct qn_queue *q, size_t len)
{
    /* The second piece of a queue shows that more is coming. */
    size_t cap = q->head ? PIECE_MAX : QN_MIN(QN_MAX(len, PIECE_MIN), PIECE_MAX);
    struct qn_queue_piece *p = malloc(sizeof *p + cap);
    QN_ASSERT(p != NULL);
    *p = (struct qn_queue_piece){ .cap = (uint32_t)cap };
    if (q->tail)
        q->tail->next = p;
    else
        q->head = p;
    q->tail = p;
}

void qn_queue_put(struct qn_queue *q, struct qn_span s)
{
    q->len += s.len;
    while (s.len) {
        if (!q->tail || q->tail->end == q->tail->cap) grow(q, s.len);
        struct qn_queue_piece *p = q->tail;
        size_t n = QN_MIN(s.len, (size_t)(p->cap - p->end));
        memcpy(p->data + p->end, s.ptr, n);
        p->end += (uint32_t)n;
        s = QN_SPAN(s.ptr + n, s.len - n);
    }
}

size_t qn_queue_take(struct qn_queue *q, uint8_t *dst, size_t max)
{
    size_t got = 0;
    while (q->head && got < max) {
        struct qn_queue_piece *p = q->head;
        size_t n = QN_MIN(max - got, (size_t)(p->end - p->at));
        memcpy(dst + got, p->data + p->at, n);
        p->at += (uint32_t)n;
        got += n;
        if (p->at < p->end) break;
        q->head = p->next;
        if (!q->head) q->tail = NULL;
        free(p);
    }
    q->len -= got;
    return got;
}

void qn_queue_clear(struct qn_queue *q)
{
    while (q->head) {
        struct qn_queue_piece *p = q->head;
        q->head = p->next;
        free(p);
    }
    *q = (struct qn_queue){ 0 };
}
