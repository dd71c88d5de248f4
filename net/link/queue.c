/* queue.c - a list of pieces. */
#include "net/link/queue.h"

#include <stdlib.h>
#include <string.h>

#define PIECE_MAX (16384u - 32u) /* with malloc's own header a round 16 KiB */
#define PIECE_MIN 224u

struct qn_queue_piece {
    struct qn_queue_piece *next;
    size_t at, end, cap; /* unsent bytes are [at, end) */
    uint8_t *bytes;      /* data, or a buffer that was given */
    uint8_t data[];
};

static void append(struct qn_queue *q, struct qn_queue_piece *p)
{
    if (q->tail)
        q->tail->next = p;
    else
        q->head = p;
    q->tail = p;
}

static void piece_free(struct qn_queue_piece *p)
{
    if (p->bytes != p->data) free(p->bytes);
    free(p);
}

static void grow(struct qn_queue *q, size_t len)
{
    /* The second piece of a queue shows that more is coming. */
    size_t cap = q->head ? PIECE_MAX : QN_MIN(QN_MAX(len, PIECE_MIN), PIECE_MAX);
    struct qn_queue_piece *p = malloc(sizeof *p + cap);
    QN_ASSERT(p != NULL);
    *p = (struct qn_queue_piece){ .cap = cap, .bytes = p->data };
    append(q, p);
}

void qn_queue_give(struct qn_queue *q, struct qn_buf *buf)
{
    if (buf->len == 0) {
        qn_buf_free(buf);
        return;
    }
    struct qn_queue_piece *p = malloc(sizeof *p);
    QN_ASSERT(p != NULL);
    *p = (struct qn_queue_piece){ .end = buf->len, .cap = buf->len, .bytes = buf->ptr };
    append(q, p);
    q->len += buf->len;
    *buf = (struct qn_buf){ 0 };
}

void qn_queue_put(struct qn_queue *q, struct qn_span s)
{
    q->len += s.len;
    while (s.len) {
        if (!q->tail || q->tail->end == q->tail->cap) grow(q, s.len);
        struct qn_queue_piece *p = q->tail;
        size_t n = QN_MIN(s.len, p->cap - p->end);
        memcpy(p->bytes + p->end, s.ptr, n);
        p->end += n;
        s = QN_SPAN(s.ptr + n, s.len - n);
    }
}

size_t qn_queue_take(struct qn_queue *q, uint8_t *dst, size_t max)
{
    size_t got = 0;
    while (q->head && got < max) {
        struct qn_queue_piece *p = q->head;
        size_t n = QN_MIN(max - got, p->end - p->at);
        memcpy(dst + got, p->bytes + p->at, n);
        p->at += n;
        got += n;
        if (p->at < p->end) break;
        q->head = p->next;
        if (!q->head) q->tail = NULL;
        piece_free(p);
    }
    q->len -= got;
    return got;
}

void qn_queue_clear(struct qn_queue *q)
{
    while (q->head) {
        struct qn_queue_piece *p = q->head;
        q->head = p->next;
        piece_free(p);
    }
    *q = (struct qn_queue){ 0 };
}
