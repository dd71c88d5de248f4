/* yamux.c - frames in, frames out. */
#include "net/libp2p/yamux.h"

#include <string.h>

enum { TYPE_DATA, TYPE_WINDOW, TYPE_PING, TYPE_GOAWAY };
enum { SYN = 1, ACK = 2, FIN = 4, RST = 8 };

#define BODY_MAX (16u << 20) /* of frames to streams that are gone: no honest window is larger */

static uint32_t get_u32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void put_head(uint8_t *h, unsigned type, unsigned flags, uint32_t id, uint32_t len)
{
    const uint8_t head[QN_YAMUX_HEAD] = {
        0,
        (uint8_t)type,
        (uint8_t)(flags >> 8),
        (uint8_t)flags,
        (uint8_t)(id >> 24),
        (uint8_t)(id >> 16),
        (uint8_t)(id >> 8),
        (uint8_t)id,
        (uint8_t)(len >> 24),
        (uint8_t)(len >> 16),
        (uint8_t)(len >> 8),
        (uint8_t)len,
    };
    memcpy(h, head, sizeof head);
}

static void control(struct qn_yamux *y, unsigned type, unsigned flags, uint32_t id, uint32_t len)
{
    if (!y->over) put_head(qn_buf_grow(&y->ctl, QN_YAMUX_HEAD), type, flags, id, len);
}

void qn_yamux_init(struct qn_yamux *y, bool dialer, const struct qn_yamux_sink *sink, void *arg)
{
    memset(y, 0, sizeof *y);
    y->dialer = dialer;
    y->next_id = dialer ? 1 : 2;
    y->sink = sink;
    y->arg = arg;
}

void qn_yamux_fini(struct qn_yamux *y)
{
    qn_buf_free(&y->ctl);
    y->over = true;
}

/* --- the table -------------------------------------------------------------------------------------------- */

static struct qn_yamux_stream **slot(struct qn_yamux *y, uint32_t id)
{
    return &y->bucket[(id >> 1) % QN_YAMUX_BUCKETS];
}

struct qn_yamux_stream *qn_yamux_find(const struct qn_yamux *y, uint32_t id)
{
    struct qn_yamux_stream *s = y->bucket[(id >> 1) % QN_YAMUX_BUCKETS];
    while (s && s->id != id)
        s = s->next;
    return s;
}

static bool ours(const struct qn_yamux *y, uint32_t id)
{
    return (id & 1) == (y->dialer ? 1u : 0u);
}

static void insert(struct qn_yamux *y, struct qn_yamux_stream *s, uint32_t id)
{
    s->id = id;
    s->send_credit = s->recv_credit = s->recv_window = QN_YAMUX_WINDOW;
    if (s->recv_max < QN_YAMUX_WINDOW) s->recv_max = QN_YAMUX_WINDOW;
    s->next = *slot(y, id);
    *slot(y, id) = s;
    *(ours(y, id) ? &y->out_cnt : &y->in_cnt) += 1;
}

void qn_yamux_open(struct qn_yamux *y, struct qn_yamux_stream *s)
{
    QN_ASSERT(y->next_id < QN_YAMUX_ID_MAX); /* the owner looks */
    insert(y, s, y->next_id);
    y->next_id += 2;
    y->unacked++;
    s->syn_due = true;
}

void qn_yamux_drop(struct qn_yamux *y, struct qn_yamux_stream *s, bool rst)
{
    struct qn_yamux_stream **at = slot(y, s->id);
    while (*at && *at != s)
        at = &(*at)->next;
    QN_ASSERT(*at == s);
    *at = s->next;
    *(ours(y, s->id) ? &y->out_cnt : &y->in_cnt) -= 1;
    if (ours(y, s->id) && !s->acked) y->unacked--;
    bool told = s->syn_due && ours(y, s->id); /* the peer never heard of it */
    if (rst && !told && !(s->fin_in && s->fin_out)) control(y, TYPE_WINDOW, RST, s->id, 0);
}

/* --- out --------------------------------------------------------------------------------------------------- */

static unsigned due(struct qn_yamux_stream *s)
{
    unsigned flags = (s->syn_due ? SYN : 0u) | (s->ack_due ? ACK : 0u);
    s->syn_due = s->ack_due = false;
    return flags;
}

void qn_yamux_data(struct qn_yamux *y, struct qn_yamux_stream *s, uint32_t len,
                   uint8_t head[QN_YAMUX_HEAD])
{
    (void)y;
    QN_ASSERT(len <= s->send_credit);
    QN_ASSERT(!s->fin_out);
    s->send_credit -= len;
    put_head(head, TYPE_DATA, due(s), s->id, len);
}

void qn_yamux_fin(struct qn_yamux *y, struct qn_yamux_stream *s, uint8_t head[QN_YAMUX_HEAD])
{
    (void)y;
    QN_ASSERT(!s->fin_out);
    s->fin_out = true;
    put_head(head, TYPE_WINDOW, due(s) | FIN, s->id, 0);
}

void qn_yamux_announce(struct qn_yamux *y, struct qn_yamux_stream *s)
{
    if (s->syn_due || s->ack_due) control(y, TYPE_WINDOW, due(s), s->id, 0);
}

void qn_yamux_read(struct qn_yamux *y, struct qn_yamux_stream *s, uint32_t n, uint64_t now_us)
{
    s->read += n;
    if (s->read < s->recv_window / 2 || s->fin_in) return;
    uint32_t more = 0;
    if (s->recv_window < s->recv_max && s->refill_us && y->rtt_us &&
        now_us - s->refill_us < 2ull * y->rtt_us) {
        more = QN_MIN(s->recv_window, s->recv_max - s->recv_window);
        if (!y->sink->on_grow || !y->sink->on_grow(y->arg, s, more)) more = 0;
    }
    s->recv_window += more;
    s->recv_credit += s->read + more;
    control(y, TYPE_WINDOW, due(s), s->id, s->read + more);
    s->read = 0;
    s->refill_us = now_us;
}

void qn_yamux_ping(struct qn_yamux *y, uint32_t value)
{
    control(y, TYPE_PING, SYN, 0, value);
}

void qn_yamux_goaway(struct qn_yamux *y, uint32_t code)
{
    control(y, TYPE_GOAWAY, 0, 0, code);
}

/* --- in ---------------------------------------------------------------------------------------------------- */

/* Its number: s may be gone after any event, so it is looked up again. */
static struct qn_yamux_stream *finish(struct qn_yamux *y, uint32_t id)
{
    struct qn_yamux_stream *s = qn_yamux_find(y, id);
    if (!s || s->fin_in) return s;
    s->fin_in = true;
    y->sink->on_finish(y->arg, s);
    return qn_yamux_find(y, id);
}

static void reset(struct qn_yamux *y, uint32_t id)
{
    struct qn_yamux_stream *s = qn_yamux_find(y, id);
    if (!s) return;
    y->resets++;
    y->sink->on_reset(y->arg, s);
}

static qn_rc take_syn(struct qn_yamux *y, uint32_t id)
{
    if (ours(y, id) || qn_yamux_find(y, id)) return QN_E_FORMAT;
    y->syns++;
    struct qn_yamux_stream *s = y->sink->on_open(y->arg);
    if (!s) {
        y->refused++;
        control(y, TYPE_WINDOW, RST, id, 0);
        return QN_OK;
    }
    insert(y, s, id);
    s->ack_due = true;
    return QN_OK;
}

static void take_ack(struct qn_yamux *y, struct qn_yamux_stream *s)
{
    if (s->acked || !ours(y, s->id)) return;
    s->acked = true;
    y->unacked--;
}

static qn_rc take_stream(struct qn_yamux *y, unsigned type, unsigned flags, uint32_t id,
                         uint32_t len)
{
    if (flags & SYN) {
        qn_rc rc = take_syn(y, id);
        if (rc) return rc;
    }
    struct qn_yamux_stream *s = qn_yamux_find(y, id);
    if (s && (flags & ACK)) take_ack(y, s);
    if (type == TYPE_WINDOW) {
        if (s && len) {
            if (s->send_credit > UINT32_MAX - len) return QN_E_LIMIT;
            s->send_credit += len;
            y->sink->on_credit(y->arg, s);
        }
        if (flags & FIN) finish(y, id);
        if (flags & RST) reset(y, id);
        return QN_OK;
    }
    if (s) {
        if (len > s->recv_credit) return QN_E_LIMIT;
        if (s->fin_in && len) return QN_E_FORMAT;
        s->recv_credit -= len;
    } else if (len > BODY_MAX) {
        return QN_E_LIMIT;
    }
    y->body_id = id;
    y->body_left = len;
    y->body_fin = flags & FIN;
    y->body_rst = flags & RST;
    return QN_OK;
}

static qn_rc take_head(struct qn_yamux *y)
{
    const uint8_t *h = y->head;
    unsigned type = h[1], flags = (unsigned)h[2] << 8 | h[3];
    uint32_t id = get_u32(h + 4), len = get_u32(h + 8);
    if (h[0] != 0 || flags > 15) return QN_E_FORMAT;
    if (y->ctl.len > QN_YAMUX_CTL_MAX) return QN_E_LIMIT;
    switch (type) {
    case TYPE_DATA:
    case TYPE_WINDOW: return id ? take_stream(y, type, flags, id, len) : QN_E_FORMAT;
    case TYPE_PING:
        if (id) return QN_E_FORMAT;
        if (flags & SYN)
            control(y, TYPE_PING, ACK, 0, len);
        else if (flags & ACK)
            y->sink->on_pong(y->arg, len);
        return QN_OK;
    case TYPE_GOAWAY:
        if (id) return QN_E_FORMAT;
        y->sink->on_goaway(y->arg, len);
        return QN_OK;
    default: return QN_E_FORMAT;
    }
}

static void body_end(struct qn_yamux *y)
{
    uint32_t id = y->body_id;
    y->body_id = 0;
    if (y->body_fin) finish(y, id);
    if (y->body_rst) reset(y, id);
}

qn_rc qn_yamux_feed(struct qn_yamux *y, struct qn_span in)
{
    while (in.len && !y->over) {
        if (y->body_id) {
            size_t n = QN_MIN((size_t)y->body_left, in.len);
            struct qn_yamux_stream *s = qn_yamux_find(y, y->body_id);
            y->body_left -= (uint32_t)n;
            if (s) y->sink->on_data(y->arg, s, QN_SPAN(in.ptr, n));
            in = QN_SPAN(in.ptr + n, in.len - n);
            if (y->body_left == 0) body_end(y);
            continue;
        }
        size_t n = QN_MIN((size_t)(QN_YAMUX_HEAD - y->have), in.len);
        memcpy(y->head + y->have, in.ptr, n);
        y->have = (uint8_t)(y->have + n);
        in = QN_SPAN(in.ptr + n, in.len - n);
        if (y->have < QN_YAMUX_HEAD) break;
        y->have = 0;
        qn_rc rc = take_head(y);
        if (rc) return rc;
        if (y->body_id && y->body_left == 0) body_end(y); /* an empty frame: flags alone */
    }
    return QN_OK;
}
