/* conn.c - a connection: its socket, its upgrade, records in and out. */
#include "net/libp2p/host_in.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const char MUXER[] = "/yamux/1.0.0";

static void on_readable(int fd, short what, void *arg);
static void on_writable(int fd, short what, void *arg);

struct conn *conn_new(struct qn_host *h, int fd, bool outbound, const struct qn_endpoint *remote)
{
    struct conn *c = calloc(1, sizeof *c);
    QN_ASSERT(c != NULL);
    c->host = h;
    c->fd = fd;
    c->outbound = outbound;
    c->batch = BATCH_MAX;
    c->ahead = QN_SOCK_AHEAD_MAX;
    c->read_max = READ_FIRST;
    c->remote = *remote;
    c->born_us = c->seen_us = host_now(h);
    c->next = h->conns;
    if (h->conns) h->conns->prev = c;
    h->conns = c;
    if (outbound) h->out_cnt++;
    event_assign(&c->read, h->conf.base, fd, EV_READ | EV_PERSIST, on_readable, c);
    event_assign(&c->write, h->conf.base, fd, EV_WRITE, on_writable, c);
    if (outbound) event_add(&c->write, NULL);
    return c;
}

void conn_free(struct conn *c)
{
    struct qn_host *h = c->host;
    QN_ASSERT(c->state == CONN_DEAD && !c->streams && !c->dirty);
    if (c->prev)
        c->prev->next = c->next;
    else
        h->conns = c->next;
    if (c->next) c->next->prev = c->prev;
    explicit_bzero(&c->tx, sizeof c->tx);
    explicit_bzero(&c->rx, sizeof c->rx);
    qn_buf_free(&c->rest);
    qn_buf_free(&c->unsent);
    free(c);
}

static void undirty(struct conn *c)
{
    struct conn **at = &c->host->dirty;
    if (!c->dirty) return;
    while (*at && *at != c)
        at = &(*at)->dirty_next;
    if (*at) { /* else a turn holds the list and will find it dead */
        *at = c->dirty_next;
        c->dirty = false;
    }
}

static void unheavy(struct conn *c)
{
    struct conn **at = &c->host->heavy;
    if (!c->put_off) return;
    while (*at != c)
        at = &(*at)->heavy_next;
    *at = c->heavy_next;
    if (!*at) c->host->heavy_tail = at;
    c->put_off = false;
}

static void drop_upgrade(struct conn *c)
{
    if (c->up) qn_upgrade_wipe(c->up);
    free(c->up);
    free(c->mss);
    c->up = NULL;
    c->mss = NULL;
    if (c->gated) qn_gate_leave(&c->host->gate, &c->origin);
    c->gated = false;
}

/* The last frames: a goaway, say. Whatever the socket does not take now is lost. */
static void last_words(struct conn *c)
{
    uint8_t buf[2 + 240 + QN_NOISE_TAG];
    size_t len = QN_MIN(c->y.ctl.len, (size_t)240);
    if (c->unsent.len > c->unsent_at || len == 0) return; /* in the middle of a record */
    memcpy(buf + 2, c->y.ctl.ptr + c->y.ctl.len - len, len);
    qn_aead_seal(c->host->aead, &c->tx, buf + 2, len);
    len += QN_NOISE_TAG;
    buf[0] = (uint8_t)(len >> 8);
    buf[1] = (uint8_t)len;
    ssize_t n = send(c->fd, buf, len + 2, MSG_NOSIGNAL);
    (void)n;
}

void conn_kill(struct conn *c, qn_rc rc, const char *why)
{
    struct qn_host *h = c->host;
    if (c->state == CONN_DEAD) return;
    bool ready = c->state == CONN_READY;
    if (ready)
        last_words(c);
    else
        h->stat.handshake_fails++;
    h->conn_cnt -= ready;
    c->state = CONN_DEAD;
    c->rc = rc;
    snprintf(c->why, sizeof c->why, "%s", why);
    event_del(&c->read);
    event_del(&c->write);
    close(c->fd);
    drop_upgrade(c);
    while (c->streams)
        stream_end(c->streams, QN_STREAM_LOST);
    if (ready) qn_yamux_fini(&c->y);
    if (c->outbound) h->out_cnt--;
    undirty(c);
    unheavy(c);
    struct conn **at = &h->dead;
    while (*at)
        at = &(*at)->dead_next;
    *at = c;
    host_turn_soon(h);
}

/* --- writing ------------------------------------------------------------------------------------------------ */

void conn_dirty(struct conn *c)
{
    if (c->dirty || c->state == CONN_DEAD) return;
    c->dirty = true;
    c->dirty_next = c->host->dirty;
    c->host->dirty = c;
    host_turn_soon(c->host);
}

static void want_write(struct conn *c)
{
    if (c->writing) return;
    c->writing = true;
    event_add(&c->write, NULL);
}

/* What the kernel holds unsent, an urgent record waits for: it is given a millisecond's worth ahead. Where this loop comes round too late to keep a
 * link busy by that, it is given more. Called when a socket that was full takes more. */
static void set_ahead(struct conn *c)
{
    uint64_t now = host_now(c->host), took = now - c->pace.from_us, waited = now - c->pace.full_us;
    if (waited > LATE_US && qn_sock_unsent(c->fd) == 0) c->pace.dry_us += waited - LATE_US;
    if (took < PACE_US) return;
    if (took < 10 * PACE_US) { /* else it was idle in between */
        int ms_worth = (int)QN_MIN(c->pace.bytes * 1000 / took, (uint64_t)QN_SOCK_AHEAD_MAX),
            next = c->pace.dry_us > took / 4 ? c->ahead * 2 : QN_MAX(ms_worth, c->ahead / 2);
        next = QN_MIN(QN_MAX(next, QN_SOCK_AHEAD_MIN), QN_SOCK_AHEAD_MAX);
        if (next != c->ahead) qn_sock_ahead(c->fd, next);
        c->ahead = next;
    }
    c->pace.from_us = now;
    c->pace.bytes = c->pace.dry_us = 0;
}

static void is_full(struct conn *c)
{
    uint64_t now = host_now(c->host);
    if (!c->stuck_us) c->stuck_us = now;
    if (!c->pace.full_us) c->pace.full_us = now;
    want_write(c);
}

static ssize_t write_some(struct conn *c, const uint8_t *p, size_t len)
{
    ssize_t n = send(c->fd, p, len, MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN && errno != EINTR) {
        conn_kill(c, QN_E_IO, strerror(errno));
        return -1;
    }
    if (n > 0) {
        c->stuck_us = 0;
        c->pace.bytes += (uint64_t)n;
        c->host->stat.out_bytes += (uint64_t)n;
        if (c->peer) c->peer->out_bytes += (uint64_t)n;
    }
    return n < 0 ? 0 : n;
}

/* Writes what a former call left; true when all is out. */
static bool flush_unsent(struct conn *c)
{
    size_t left = c->unsent.len - c->unsent_at;
    if (left == 0) return true;
    ssize_t n = write_some(c, c->unsent.ptr + c->unsent_at, left);
    if (n < 0) return false;
    c->unsent_at += (size_t)n;
    if (c->unsent_at == c->unsent.len) {
        qn_buf_free(&c->unsent); /* an idle connection holds no buffer */
        c->unsent_at = 0;
        return true;
    }
    is_full(c);
    return false;
}

static void keep_unsent(struct conn *c, const uint8_t *p, size_t len)
{
    if (c->unsent_at == c->unsent.len) {
        qn_buf_clear(&c->unsent);
        c->unsent_at = 0;
    }
    qn_buf_put(&c->unsent, p, len);
}

static size_t seal_record(struct conn *c, uint8_t *at, size_t len)
{
    qn_aead_seal(c->host->aead, &c->tx, at + 2, len);
    len += QN_NOISE_TAG;
    at[0] = (uint8_t)(len >> 8);
    at[1] = (uint8_t)len;
    return len + 2;
}

static size_t build(struct conn *c, uint8_t *buf)
{
    /* What is sealed cannot be overtaken: a socket that is full now and then gets one record at a time, a smaller one where little waits. */
    size_t len = 0, max = c->batch > 1 ? RECORD_MAX : (size_t)QN_MIN(c->ahead / 2, RECORD_MAX);
    for (uint32_t i = 0; i < c->batch; i++) {
        size_t n = stream_fill(c, buf + len + 2, max);
        if (n == 0) break;
        len += seal_record(c, buf + len, n);
    }
    return len;
}

void conn_flush(struct conn *c)
{
    struct qn_host *h = c->host;
    if (c->state == CONN_DEAD || c->state == CONN_DIAL || !flush_unsent(c)) return;
    for (size_t total = 0; c->state == CONN_READY && total < FLUSH_MAX;) {
        size_t len = build(c, h->write_buf);
        if (len == 0) break;
        ssize_t n = write_some(c, h->write_buf, len);
        if (n < 0) return;
        c->smooth = (size_t)n < len ? 0 : c->smooth + len;
        c->batch = c->smooth < SMOOTH_MIN ? 1 : BATCH_MAX;
        if ((size_t)n < len) {
            keep_unsent(c, h->write_buf + n, len - (size_t)n);
            is_full(c);
        }
        stream_drains(c);
        if (c->state == CONN_DEAD || (size_t)n < len) return;
        total += len;
    }
    if (c->state != CONN_READY) return;
    if (stream_waiting(c))
        want_write(c);
    else if (c->hangup)
        conn_kill(c, QN_E_STATE, "closed");
}

static void on_writable(int fd, short what, void *arg)
{
    struct conn *c = arg;
    (void)fd, (void)what;
    c->writing = false;
    if (c->state != CONN_DIAL) {
        if (c->pace.full_us) set_ahead(c);
        c->pace.full_us = 0;
        conn_flush(c);
        return;
    }
    int err = qn_sock_result(c->fd);
    if (err)
        conn_kill(c, QN_E_IO, strerror(err));
    else
        conn_start(c);
}

/* --- reading and the upgrade --------------------------------------------------------------------------------- */

void conn_start(struct conn *c)
{
    struct qn_host *h = c->host;
    uint8_t ephemeral[32];
    struct qn_buf out = { 0 };
    c->up = calloc(1, sizeof *c->up);
    QN_ASSERT(c->up != NULL);
    c->state = CONN_SHAKE;
    qn_env_random(h->conf.env, ephemeral, sizeof ephemeral);
    qn_upgrade_init(c->up, c->outbound, c->remote.has_id ? &c->remote.id : NULL, ephemeral, h->aead,
                    &h->self, &out);
    explicit_bzero(ephemeral, sizeof ephemeral);
    keep_unsent(c, out.ptr, out.len);
    qn_buf_free(&out);
    event_add(&c->read, NULL);
    conn_dirty(c);
}

static void put_plain(struct conn *c, struct qn_span plain)
{
    struct qn_buf rec = { 0 };
    uint8_t *at = qn_buf_grow(&rec, plain.len + 2 + QN_NOISE_TAG);
    memcpy(at + 2, plain.ptr, plain.len);
    seal_record(c, at, plain.len);
    keep_unsent(c, rec.ptr, rec.len);
    qn_buf_free(&rec);
    conn_dirty(c);
}

static void ready(struct conn *c)
{
    drop_upgrade(c);
    qn_yamux_init(&c->y, c->outbound, &STREAM_SINK, c);
    c->state = CONN_READY;
    c->host->conn_cnt++;
    c->host->stat.handshakes++;
    if (!peer_join(c, &c->remote.id)) return;
    c->ping_us = host_now(c->host);
    c->pinged_us = c->ping_us;
    qn_yamux_ping(&c->y, ++c->ping_value);
    conn_dirty(c);
}

static void secured(struct conn *c)
{
    bool early = c->up->peer.muxer_yes;
    c->tx = c->up->tx;
    c->rx = c->up->rx;
    c->remote.id = c->up->peer.id;
    c->remote.has_id = true;
    if (early) {
        ready(c);
        return;
    }
    struct qn_buf out = { 0 };
    c->state = CONN_MUXER;
    c->mss = calloc(1, sizeof *c->mss);
    QN_ASSERT(c->mss != NULL);
    if (c->outbound) {
        qn_mss_dial(c->mss, MUXER, &out);
        put_plain(c, qn_buf_get(&out));
        qn_buf_free(&out);
    } else {
        qn_mss_listen(c->mss);
    }
}

static const void *pick_muxer(void *arg, struct qn_span name)
{
    (void)arg;
    return qn_span_eq(name, QN_SPAN_STR(MUXER)) ? MUXER : NULL;
}

static void take_muxer(struct conn *c, struct qn_span *plain)
{
    struct qn_buf out = { 0 };
    const void *got;
    qn_rc rc = qn_mss_step(c->mss, plain, &out, MUXER, pick_muxer, NULL, &got);
    if (out.len) put_plain(c, qn_buf_get(&out));
    qn_buf_free(&out);
    if (rc == QN_OK)
        ready(c);
    else if (rc != QN_E_AGAIN)
        conn_kill(c, rc, "no common muxer");
}

static void take_plain(struct conn *c, struct qn_span plain)
{
    if (c->state == CONN_MUXER) take_muxer(c, &plain);
    if (c->state != CONN_READY || plain.len == 0) return;
    qn_rc rc = qn_yamux_feed(&c->y, plain);
    if (c->state == CONN_DEAD) return;
    if (rc == QN_OK) {
        if (c->y.ctl.len) conn_dirty(c);
        return;
    }
    qn_yamux_goaway(&c->y, 1);
    qn_host_blame(c->host, c->peer->num, QN_BLAME_OFFENCE, "broke yamux");
    conn_kill(c, rc, "broke yamux");
}

static void take_records(struct conn *c, uint8_t *buf, size_t len)
{
    size_t at = 0;
    while (c->state != CONN_DEAD && len - at >= 2) {
        size_t rec = (size_t)buf[at] << 8 | buf[at + 1];
        if (len - at - 2 < rec) break;
        if (!qn_aead_open(c->host->aead, &c->rx, buf + at + 2, rec)) {
            conn_kill(c, QN_E_PROOF, "a record does not verify");
            return;
        }
        take_plain(c, QN_SPAN(buf + at + 2, rec - QN_NOISE_TAG));
        at += rec + 2;
    }
    if (c->state == CONN_DEAD) return;
    qn_buf_free(&c->rest);
    if (at < len) qn_buf_put(&c->rest, buf + at, len - at);
}

static void take_shake(struct conn *c, uint8_t *buf, size_t len)
{
    struct qn_host *h = c->host;
    struct qn_span in = QN_SPAN(buf, len);
    struct qn_buf out = { 0 };
    if (c->gated && !c->up->agreed && !c->shaken) {
        c->shaken = true; /* its token is taken */
        if (!qn_gate_shake(&h->gate, host_now(h))) {
            conn_kill(c, QN_E_RATE, "too many handshakes");
            return;
        }
    }
    qn_rc rc = qn_upgrade_step(c->up, h->aead, &h->self, &in, &out);
    if (out.len) {
        keep_unsent(c, out.ptr, out.len);
        conn_dirty(c);
    }
    qn_buf_free(&out);
    if (rc == QN_E_AGAIN) return;
    if (rc) {
        conn_kill(c, rc,
                  rc == QN_E_SIGNATURE ? "another identity answers there"
                                       : "no libp2p Noise handshake");
        return;
    }
    secured(c);
    if (c->state != CONN_DEAD) take_records(c, buf + (in.ptr - buf), in.len);
}

static uint64_t busy(struct busy *b, uint64_t now)
{
    for (; now - b->at_us >= LATELY_US && b->us; b->at_us += LATELY_US)
        b->us /= 2;
    if (!b->us) b->at_us = now;
    return b->us;
}

static bool is_heavy(struct conn *c)
{
    struct qn_host *h = c->host;
    uint64_t now = host_now(h), mine = busy(&c->busy, now), all = busy(&h->busy, now);
    return mine > HEAVY_US || (all > LOADED_US && mine * h->conn_cnt > all / 2);
}

/* What it cost, and how much is read next time: no more than took a slice, so that nobody is served after more than that. */
static void account(struct conn *c, size_t len, uint64_t took_us)
{
    uint64_t now = host_now(c->host);
    struct busy *both[] = { &c->busy, &c->host->busy };
    for (size_t i = 0; i < QN_COUNT(both); i++)
        both[i]->us = busy(both[i], now) + took_us;
    if (took_us > SLICE_US)
        c->read_max = (uint32_t)QN_MAX(len * SLICE_US / took_us, (uint64_t)READ_MIN);
    else
        c->read_max = QN_MIN(c->read_max * 2, (uint32_t)READ_MAX);
}

static void read_some(struct conn *c)
{
    struct qn_host *h = c->host;
    size_t have = c->rest.len;
    if (have) memcpy(h->read_buf, c->rest.ptr, have);
    ssize_t n = read(c->fd, h->read_buf + have, QN_MIN(READ_MAX - have, (size_t)c->read_max));
    if (n <= 0) {
        if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
        conn_kill(c, QN_E_IO, n ? strerror(errno) : "the peer closed the connection");
        return;
    }
    h->stat.in_bytes += (uint64_t)n;
    if (c->peer) c->peer->in_bytes += (uint64_t)n;
    c->seen_us = host_now(h);
    if (c->state == CONN_SHAKE)
        take_shake(c, h->read_buf, (size_t)n);
    else
        take_records(c, h->read_buf, have + (size_t)n);
    account(c, (size_t)n, host_now(h) - c->seen_us); /* the dead are freed in a turn alone */
}

static void heavies_soon(struct qn_host *h)
{
    static const struct timeval NOW = { 0, 0 };
    event_add(&h->heavies, &NOW); /* after a look at all sockets */
}

/* Whoever makes us work much is served after those who do not, in turns, and for a slice of time: so a flood of what is dear to handle delays the
 * votes of others by that much, however many send it. */
static void on_readable(int fd, short what, void *arg)
{
    struct conn *c = arg;
    struct qn_host *h = c->host;
    (void)fd, (void)what;
    if (c->put_off) return;
    if (!is_heavy(c)) {
        read_some(c);
        return;
    }
    c->put_off = true;
    c->heavy_next = NULL;
    *h->heavy_tail = c;
    h->heavy_tail = &c->heavy_next;
    heavies_soon(h);
}

void conn_heavies(int fd, short what, void *arg)
{
    struct qn_host *h = arg;
    uint64_t begin = host_now(h);
    (void)fd, (void)what;
    while (h->heavy && host_now(h) - begin < SLICE_US) {
        struct conn *c = h->heavy;
        unheavy(c);
        read_some(c);
    }
    if (h->heavy) heavies_soon(h);
}

/* --- time ------------------------------------------------------------------------------------------------------ */

static void tick_ready(struct conn *c, uint64_t now)
{
    const struct qn_limits *l = &c->host->limits;
    for (struct qn_stream *s = c->streams, *next; s && c->state == CONN_READY; s = next) {
        next = s->next;
        stream_tick(s, now);
    }
    if (c->state != CONN_READY) return;
    if (c->stuck_us && now - c->stuck_us > l->write_stuck_ms * 1000ull) {
        qn_host_blame(c->host, c->peer->num, QN_BLAME_SLIP, "does not read");
        conn_kill(c, QN_E_TIMEOUT, "the peer does not read");
    } else if (c->end_us && now >= c->end_us) {
        conn_kill(c, QN_E_STATE, "left for another connection");
    } else if (c->end_us && c->leaving && !c->streams &&
               now + l->drain_ms * 1000ull >= c->end_us + l->grace_ms * 1000ull) {
        conn_kill(c, QN_E_STATE, "left for another connection");
    } else if (c->ping_us && now - c->ping_us > l->ping_wait_ms * 1000ull) {
        conn_kill(c, QN_E_TIMEOUT, "no answer to a ping");
    } else if (!c->ping_us && now - c->pinged_us > l->ping_idle_ms * 1000ull) {
        c->ping_us = c->pinged_us = now;
        qn_yamux_ping(&c->y, ++c->ping_value);
        conn_dirty(c);
    }
}

void conn_tick(struct conn *c, uint64_t now)
{
    switch (c->state) {
    case CONN_DIAL:
    case CONN_SHAKE:
    case CONN_MUXER:
        if (now - c->born_us > c->host->limits.ready_ms * 1000ull)
            conn_kill(c, QN_E_TIMEOUT, "no handshake in time");
        break;
    case CONN_READY: tick_ready(c, now); break;
    case CONN_DEAD: break;
    }
}
