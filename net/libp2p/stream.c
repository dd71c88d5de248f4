/* stream.c - streams: negotiation, delivery, queues, and which frame goes next. */
#include "net/libp2p/host_in.h"

#include <stdlib.h>
#include <string.h>

static struct qn_stream *of(struct qn_yamux_stream *y)
{
    return (struct qn_stream *)(void *)y;
}
_Static_assert(offsetof(struct qn_stream, y) == 0, "of() relies on it");

/* --- which goes next --------------------------------------------------------------------------------------- */

static bool credit_ok(const struct qn_stream *s)
{
    return s->y.send_credit >= QN_MIN(s->out.len, (size_t)CREDIT_MIN);
}

/* js-libp2p drops what it has read of a stream when the end comes together with the answer to its proposal: where we speak first, the
 * end waits for a sign that the answer was read, or a tick. */
static bool holds_end(const struct qn_stream *s)
{
    return !s->outbound && !s->heard && !s->y.fin_in;
}

static bool sendable(const struct qn_stream *s)
{
    if (s->dead || s->y.fin_out) return false;
    return s->out.len ? credit_ok(s) : s->finish && !holds_end(s);
}

static void schedule(struct qn_stream *s)
{
    struct conn *c = s->conn;
    if (s->out.len && !credit_ok(s)) {
        if (!s->blocked_us) s->blocked_us = host_now(s->host);
    } else {
        s->blocked_us = 0;
    }
    if (s->ready || !sendable(s)) return;
    s->ready = true;
    s->ready_next = NULL;
    if (c->ready[s->class].tail)
        c->ready[s->class].tail->ready_next = s;
    else
        c->ready[s->class].head = s;
    c->ready[s->class].tail = s;
    conn_dirty(c);
}

static void unschedule(struct qn_stream *s)
{
    struct qn_stream **at = &s->conn->ready[s->class].head, *before = NULL;
    if (!s->ready) return;
    while (*at != s) {
        before = *at;
        at = &(*at)->ready_next;
    }
    *at = s->ready_next;
    if (s->conn->ready[s->class].tail == s) s->conn->ready[s->class].tail = before;
    s->ready = false;
}

bool stream_waiting(const struct conn *c)
{
    for (size_t i = 0; i < QN_NET_CLASS_CNT; i++)
        if (c->ready[i].head) return true;
    return c->y.ctl.len > 0;
}

/* Control and urgent strictly first; the others by deficit round robin. */
static struct qn_stream *pick(struct conn *c)
{
    static const int32_t SHARE[QN_NET_CLASS_CNT] = { [QN_NET_BLOCK] = 8 * 4096,
                                                     [QN_NET_TX] = 4 * 4096,
                                                     [QN_NET_REQUEST] = 2 * 4096,
                                                     [QN_NET_BLOB] = 4096 };
    if (c->ready[QN_NET_CONTROL].head) return c->ready[QN_NET_CONTROL].head;
    if (c->ready[QN_NET_URGENT].head) return c->ready[QN_NET_URGENT].head;
    for (;;) {
        bool any = false;
        for (size_t i = QN_NET_BLOCK; i < QN_NET_CLASS_CNT; i++) {
            if (!c->ready[i].head) {
                c->deficit[i] = 0;
                continue;
            }
            if (c->deficit[i] > 0) return c->ready[i].head;
            any = true;
        }
        if (!any) return NULL;
        for (size_t i = QN_NET_BLOCK; i < QN_NET_CLASS_CNT; i++)
            if (c->ready[i].head) c->deficit[i] += SHARE[i];
    }
}

static void maybe_done(struct qn_stream *s)
{
    if (s->y.fin_in && s->y.fin_out && !s->held.len && !s->fin_held) stream_end(s, QN_STREAM_DONE);
}

static size_t fill_one(struct conn *c, struct qn_stream *s, uint8_t *dst, size_t max)
{
    size_t n = QN_MIN(QN_MIN(s->out.len, (size_t)s->y.send_credit), max - QN_YAMUX_HEAD);
    unschedule(s);
    if (s->out.len) {
        qn_yamux_data(&c->y, &s->y, (uint32_t)n, dst);
        qn_queue_take(&s->out, dst + QN_YAMUX_HEAD, n);
        qn_budget_give(&s->peer->memory, n);
        s->peer->queued -= n;
    } else {
        qn_yamux_fin(&c->y, &s->y, dst);
    }
    s->peer->class_bytes[s->class] += n + QN_YAMUX_HEAD;
    s->host->stat.class_bytes[s->class] += n + QN_YAMUX_HEAD;
    if (s->class >= QN_NET_BLOCK) c->deficit[s->class] -= (int32_t)(n + QN_YAMUX_HEAD);
    if (s->above && s->out.len < LOW_WATER) {
        s->above = false;
        if (!s->draining) {
            s->draining = true;
            s->drain_next = c->drained;
            c->drained = s;
        }
    }
    schedule(s); /* behind the others of its class */
    maybe_done(s);
    return n + QN_YAMUX_HEAD;
}

static size_t fill_control(struct conn *c, uint8_t *dst, size_t max)
{
    size_t n = QN_MIN(c->y.ctl.len, max / QN_YAMUX_HEAD * QN_YAMUX_HEAD);
    if (n == 0) return 0;
    memcpy(dst, c->y.ctl.ptr, n);
    if (n < c->y.ctl.len) {
        memmove(c->y.ctl.ptr, c->y.ctl.ptr + n, c->y.ctl.len - n);
        c->y.ctl.len -= n;
    } else {
        qn_buf_free(&c->y.ctl);
    }
    return n;
}

size_t stream_fill(struct conn *c, uint8_t *dst, size_t max)
{
    size_t len = fill_control(c, dst, max);
    while (max - len > 512) { /* a smaller rest is not worth a frame */
        struct qn_stream *s = pick(c);
        if (!s) break;
        len += fill_one(c, s, dst + len, max - len);
    }
    return len;
}

void stream_drains(struct conn *c)
{
    while (c->drained) {
        struct qn_stream *s = c->drained;
        c->drained = s->drain_next;
        s->draining = false;
        if (s->ops->on_drain) s->ops->on_drain(s->arg, s);
    }
}

/* --- birth and end -------------------------------------------------------------------------------------------- */

/* Whether the node has one more stream for the peer. */
static bool spare(const struct qn_host *h, const struct peer *p)
{
    uint32_t max = h->limits.streams_max, cnt = 0;
    if (h->stat.streams >= max) return false;
    for (const struct conn *c = p->conns; c; c = c->peer_next)
        cnt += c->y.in_cnt + c->y.out_cnt;
    return h->stat.streams < max / 2 || cnt < qn_limits_share(&h->limits, max);
}

static struct qn_stream *make(struct conn *c)
{
    struct qn_host *h = c->host;
    if (!spare(h, c->peer)) return NULL;
    if (!qn_budget_take(&c->peer->memory, sizeof(struct qn_stream) + sizeof(struct qn_mss)))
        return NULL;
    struct qn_stream *s = calloc(1, sizeof *s);
    QN_ASSERT(s != NULL);
    s->mss = calloc(1, sizeof *s->mss);
    QN_ASSERT(s->mss != NULL);
    s->host = h;
    s->conn = c;
    s->peer = c->peer;
    s->peer_num = c->peer->num;
    s->born_us = s->last_us = host_now(h);
    s->queue_max = h->limits.stream_queue;
    s->y.recv_max = h->limits.stream_window;
    s->next = c->streams;
    if (c->streams) c->streams->prev = s;
    c->streams = s;
    h->stat.streams++;
    return s;
}

static const struct qn_stream_ops NOTHING;

struct qn_stream *stream_new(struct conn *c, const char *proto, enum qn_net_class class,
                             const struct qn_stream_ops *ops, void *arg)
{
    struct qn_buf first = { 0 };
    struct qn_stream *s = make(c);
    if (!s) return NULL;
    s->outbound = s->told = true;
    s->ops = ops;
    s->arg = arg;
    s->proto = strdup(proto);
    QN_ASSERT(s->proto != NULL);
    qn_yamux_open(&c->y, &s->y);
    qn_stream_set_class(s, class);
    qn_mss_dial(s->mss, proto, &first);
    qn_rc rc = qn_stream_write(s, qn_buf_get(&first));
    qn_buf_free(&first);
    if (rc == QN_OK) return s;
    s->told = false;
    stream_end(s, QN_STREAM_LIMIT);
    return NULL;
}

static void drop_mss(struct qn_stream *s)
{
    if (!s->mss) return;
    free(s->mss);
    s->mss = NULL;
    qn_budget_give(&s->peer->memory, sizeof(struct qn_mss));
}

static void remove_from(struct qn_stream **at, struct qn_stream *s, bool resume)
{
    while (*at && *at != s)
        at = resume ? &(*at)->resume_next : &(*at)->drain_next;
    if (*at) *at = resume ? s->resume_next : s->drain_next;
}

static void end_stream(struct qn_stream *s, enum qn_stream_end end, bool rst)
{
    struct conn *c = s->conn;
    struct qn_host *h = s->host;
    if (s->dead) return;
    unschedule(s);
    s->dead = true;
    s->end = end;
    if (s->draining) remove_from(&c->drained, s, false);
    if (s->resuming) remove_from(&h->resume, s, true);
    qn_yamux_drop(&c->y, &s->y, rst);
    if (rst) conn_dirty(c);
    qn_stream_set_class(s, QN_NET_CONTROL); /* lets a blob's budget go */
    drop_mss(s);
    s->peer->queued -= s->out.len;
    qn_budget_give(&s->peer->memory, s->out.len + s->held.len + s->grown + sizeof *s);
    qn_queue_clear(&s->out);
    qn_queue_clear(&s->held);
    if (s->prev)
        s->prev->next = s->next;
    else
        c->streams = s->next;
    if (s->next) s->next->prev = s->prev;
    h->stat.streams--;
    if (end == QN_STREAM_RESET || end == QN_STREAM_LIMIT) h->stat.stream_resets++;
    s->ended_next = NULL;
    *h->ended_tail = s;
    h->ended_tail = &s->ended_next;
    s->peer = NULL;
    s->conn = NULL;
    host_turn_soon(h);
}

void stream_end(struct qn_stream *s, enum qn_stream_end end)
{
    end_stream(s, end, end != QN_STREAM_LOST && end != QN_STREAM_DONE);
}

void stream_ended(struct qn_stream *s)
{
    if (s->told && s->ops->on_close) s->ops->on_close(s->arg, s, s->end);
    free(s->proto);
    free(s);
}

/* Resets and refusals cost the peer that causes them. */
static void count_reset(struct conn *c)
{
    const struct qn_limits *l = &c->host->limits;
    if (c->state != CONN_READY) return;
    if (qn_bucket_take(&c->peer->resets, l->peer_resets_s, l->peer_resets_burst, host_now(c->host)))
        return;
    qn_yamux_goaway(&c->y, 1);
    qn_host_blame(c->host, c->peer->num, QN_BLAME_OFFENCE, "opens and resets too many streams");
    conn_kill(c, QN_E_RATE, "too many resets");
}

/* --- what the peer does ------------------------------------------------------------------------------------------ */

static struct qn_yamux_stream *on_open(void *arg)
{
    struct conn *c = arg;
    struct qn_stream *s = NULL;
    if (c->state != CONN_READY) return NULL;
    if (c->y.in_cnt < c->host->limits.peer_streams) s = make(c);
    if (!s) {
        count_reset(c);
        return NULL;
    }
    s->ops = &NOTHING;
    qn_mss_listen(s->mss);
    return &s->y;
}

static void credit(struct qn_stream *s, size_t n)
{
    qn_yamux_read(&s->conn->y, &s->y, (uint32_t)n, host_now(s->host));
}

static void give(struct qn_stream *s, struct qn_span bytes)
{
    if (bytes.len == 0) return;
    s->last_us = host_now(s->host);
    if (s->paused || s->held.len) {
        if (!qn_budget_take(&s->peer->memory, bytes.len)) {
            qn_host_short(s->host, s->peer_num, bytes.len, "sends more than its memory");
            stream_end(s, QN_STREAM_LIMIT);
            return;
        }
        qn_queue_put(&s->held, bytes);
        return;
    }
    if (s->ops->on_data) s->ops->on_data(s->arg, s, bytes);
    if (!s->dead) credit(s, bytes.len);
}

static const void *pick_proto(void *arg, struct qn_span name)
{
    const struct qn_host *h = arg;
    for (uint32_t i = 0; i < h->proto_cnt; i++)
        if (h->protos[i].id && qn_span_eq(name, QN_SPAN_STR(h->protos[i].id))) return &h->protos[i];
    return NULL;
}

static uint32_t count_row(const struct peer *p, const struct qn_proto *row)
{
    uint32_t cnt = 0;
    for (const struct conn *c = p->conns; c; c = c->peer_next)
        for (const struct qn_stream *s = c->streams; s; s = s->next)
            if (s->row == row) cnt++;
    return cnt;
}

static void agreed_in(struct qn_stream *s, const struct qn_proto *row)
{
    struct conn *c = s->conn;
    if (count_row(s->peer, row) >= row->in_max ||
        (row->admit && !row->admit(row->arg, s->peer_num))) {
        stream_end(s, QN_STREAM_LIMIT);
        count_reset(c);
        return;
    }
    s->row = row;
    s->ops = row->ops;
    s->arg = row->arg;
    s->told = true;
    qn_stream_set_class(s, row->class);
}

/* Takes what belongs to the negotiation; true when what is left is the protocol's. */
static bool negotiate(struct qn_stream *s, struct qn_span *bytes)
{
    struct qn_buf out = { 0 };
    const void *row = NULL;
    size_t before = bytes->len;
    qn_rc rc = qn_mss_step(s->mss, bytes, &out, s->proto, pick_proto, s->host, &row);
    credit(s, before - bytes->len);
    if (out.len && qn_stream_write(s, qn_buf_get(&out)) != QN_OK) rc = QN_E_LIMIT;
    qn_buf_free(&out);
    if (rc == QN_E_AGAIN) return false;
    if (rc) {
        stream_end(s, rc == QN_E_REFUSED ? QN_STREAM_REFUSED : QN_STREAM_RESET);
        return false;
    }
    drop_mss(s);
    if (!s->outbound) agreed_in(s, row);
    if (!s->dead && s->ops->on_open) s->ops->on_open(s->arg, s);
    return !s->dead;
}

static void heard(struct qn_stream *s)
{
    if (s->mss || s->heard) return;
    s->heard = true;
    schedule(s);
}

static void on_data(void *arg, struct qn_yamux_stream *y, struct qn_span bytes)
{
    struct qn_stream *s = of(y);
    (void)arg;
    if (s->mss && !negotiate(s, &bytes)) return;
    if (bytes.len) heard(s);
    if (!s->dead) give(s, bytes);
}

static void on_credit(void *arg, struct qn_yamux_stream *y)
{
    (void)arg;
    heard(of(y));
    schedule(of(y));
}

static void finished(struct qn_stream *s)
{
    schedule(s); /* an end that was held */
    if (s->ops->on_finish) s->ops->on_finish(s->arg, s);
    if (!s->dead) maybe_done(s);
}

static void on_finish(void *arg, struct qn_yamux_stream *y)
{
    struct qn_stream *s = of(y);
    (void)arg;
    if (s->mss)
        stream_end(s, s->outbound ? QN_STREAM_REFUSED : QN_STREAM_RESET);
    else if (s->held.len || s->paused)
        s->fin_held = true;
    else
        finished(s);
}

static void on_reset(void *arg, struct qn_yamux_stream *y)
{
    struct conn *c = arg;
    end_stream(of(y), of(y)->mss && of(y)->outbound ? QN_STREAM_REFUSED : QN_STREAM_RESET, false);
    count_reset(c);
}

static void on_pong(void *arg, uint32_t value)
{
    struct conn *c = arg;
    if (!c->ping_us || value != c->ping_value) return;
    uint64_t rtt = host_now(c->host) - c->ping_us;
    c->ping_us = 0;
    c->y.rtt_us = (uint32_t)QN_MIN(QN_MAX(rtt, 1u), 60000000u);
    if (c->peer && c->peer->cur == c) c->peer->rtt_us = c->y.rtt_us;
}

static void on_goaway(void *arg, uint32_t code)
{
    struct conn *c = arg;
    (void)code;
    c->hangup = true; /* what is queued still goes out */
    conn_dirty(c);
}

/* Wide windows are for speed alone, and as wide as a peer has us think its way is long: they are of a quarter of the node's memory, so that a few large
 * fetches do not leave only the least share to whoever sends a block. */
static bool on_grow(void *arg, struct qn_yamux_stream *y, uint32_t bytes)
{
    const struct qn_budget *all = &((const struct conn *)arg)->host->memory;
    if (all->used + bytes > all->max / 4) return false;
    if (!qn_budget_take(&of(y)->peer->memory, bytes)) return false;
    of(y)->grown += bytes;
    return true;
}

const struct qn_yamux_sink STREAM_SINK = {
    .on_open = on_open,
    .on_data = on_data,
    .on_credit = on_credit,
    .on_finish = on_finish,
    .on_reset = on_reset,
    .on_pong = on_pong,
    .on_goaway = on_goaway,
    .on_grow = on_grow,
};

/* --- what the protocol does ---------------------------------------------------------------------------------------- */

qn_rc qn_host_stream(struct qn_host *h, uint32_t num, const char *proto, enum qn_net_class class,
                     const struct qn_stream_ops *ops, void *arg, struct qn_stream **ret)
{
    struct peer *p = peer_find(h, num);
    if (!p || !p->cur || p->cur->state != CONN_READY || p->cur->hangup) return QN_E_NOTFOUND;
    if (strlen(proto) > QN_IDENTIFY_TEXT) return QN_E_TOOBIG;
    if (p->cur->y.next_id >=
        QN_YAMUX_ID_MAX) { /* a peer that resets all we open gets there in months */
        qn_host_hangup(h, num, "its numbers are used up");
        return QN_E_LIMIT;
    }
    if (p->cur->y.out_cnt >= h->limits.peer_streams || p->cur->y.unacked >= h->limits.peer_unacked)
        return QN_E_LIMIT;
    struct qn_stream *s = stream_new(p->cur, proto, class, ops, arg);
    if (!s) return QN_E_LIMIT;
    *ret = s;
    return QN_OK;
}

/* Room for so many bytes at the end of the queue. */
static qn_rc may_queue(struct qn_stream *s, size_t len)
{
    if (s->dead || s->finish) return QN_E_STATE;
    if (s->out.len && s->out.len + len > s->queue_max) return QN_E_LIMIT;
    return qn_budget_take(&s->peer->memory, len) ? QN_OK : QN_E_LIMIT;
}

static void queued(struct qn_stream *s, size_t len)
{
    s->peer->queued += len;
    s->last_us = host_now(s->host);
    if (s->out.len >= LOW_WATER) s->above = true;
    schedule(s);
}

qn_rc qn_stream_write(struct qn_stream *s, struct qn_span bytes)
{
    qn_rc rc = may_queue(s, bytes.len);
    if (rc || bytes.len == 0) return rc;
    qn_queue_put(&s->out, bytes);
    queued(s, bytes.len);
    return QN_OK;
}

qn_rc qn_stream_give(struct qn_stream *s, struct qn_buf *buf)
{
    size_t len = buf->len;
    qn_rc rc = may_queue(s, len);
    if (rc || len == 0) return rc;
    qn_queue_give(&s->out, buf);
    queued(s, len);
    return QN_OK;
}

void qn_stream_finish(struct qn_stream *s)
{
    if (s->dead || s->finish) return;
    s->finish = true;
    schedule(s);
}

void qn_stream_reset(struct qn_stream *s)
{
    stream_end(s, QN_STREAM_RESET);
}

void qn_stream_pause(struct qn_stream *s, bool paused)
{
    if (s->dead) return;
    s->paused = paused;
    if (paused || s->resuming || !(s->held.len || s->fin_held)) return;
    s->resuming = true;
    s->resume_next = s->host->resume;
    s->host->resume = s;
    host_turn_soon(s->host);
}

void stream_resume(struct qn_stream *s)
{
    struct qn_host *h = s->host;
    s->resuming = false;
    while (!s->dead && !s->paused && s->held.len) {
        size_t n =
            qn_queue_take(&s->held, h->read_buf, 16384); /* no read is in progress in a turn */
        qn_budget_give(&s->peer->memory, n);
        if (s->ops->on_data) s->ops->on_data(s->arg, s, QN_SPAN(h->read_buf, n));
        if (!s->dead) credit(s, n);
    }
    if (s->dead || s->paused) return;
    conn_dirty(s->conn);
    if (!s->fin_held) return;
    s->fin_held = false;
    finished(s);
}

void stream_tick(struct qn_stream *s, uint64_t now)
{
    const struct qn_limits *l = &s->host->limits;
    if (s->dead) return;
    if (!s->mss && now - s->born_us > TICK_MS * 1000ull) heard(s);
    bool late = s->mss && now - s->born_us > l->stream_open_ms * 1000ull;
    bool stuck = s->blocked_us && now - s->blocked_us > l->stream_stuck_ms * 1000ull;
    bool idle = s->row && s->row->idle_ms && now - s->last_us > s->row->idle_ms * 1000ull;
    bool over = s->deadline_us && now >= s->deadline_us;
    if (stuck && (!s->peer->stuck_us ||
                  now - s->peer->stuck_us >= STUCK_US)) { /* one stall of a link is one slip */
        s->peer->stuck_us = now;
        qn_host_blame(s->host, s->peer_num, QN_BLAME_SLIP, "does not read a stream");
    }
    if (s->dead) return;
    if (late || stuck || idle || over) stream_end(s, QN_STREAM_LIMIT);
}

void qn_stream_set_arg(struct qn_stream *s, void *arg)
{
    s->arg = arg;
}

void *qn_stream_arg(const struct qn_stream *s)
{
    return s->arg;
}

void qn_stream_set_class(struct qn_stream *s, enum qn_net_class class)
{
    bool ready = s->ready, blob = class == QN_NET_BLOB;
    const struct qn_limits *l = &s->host->limits;
    if (!s->conn) return;
    unschedule(s);
    s->class = class;
    if (blob != s->blob) { /* blobs may hold more, as long as there are any */
        s->blob = blob;
        s->peer->blob_streams += blob ? 1 : UINT32_MAX;
        s->peer->memory.max = s->peer->blob_streams ? l->peer_memory_blob : l->peer_memory;
    }
    if (ready) schedule(s);
}

void qn_stream_set_queue(struct qn_stream *s, size_t bytes_max)
{
    s->queue_max = bytes_max;
}

void qn_stream_set_window(struct qn_stream *s, uint32_t bytes_max)
{
    s->y.recv_max = QN_MAX(s->y.recv_window, bytes_max);
}

void qn_stream_set_deadline(struct qn_stream *s, uint32_t ms)
{
    s->deadline_us = ms ? host_now(s->host) + ms * 1000ull : 0;
}

bool qn_stream_alive(const struct qn_stream *s)
{
    return !s->dead;
}

size_t qn_stream_queued(const struct qn_stream *s)
{
    return s->out.len;
}

uint32_t qn_stream_peer(const struct qn_stream *s)
{
    return s->peer_num;
}

bool qn_stream_outbound(const struct qn_stream *s)
{
    return s->outbound;
}

const char *qn_stream_proto(const struct qn_stream *s)
{
    const char *id = s->row ? s->row->id : s->proto;
    return id ? id : "";
}

struct qn_host *qn_stream_host(const struct qn_stream *s)
{
    return s->host;
}
