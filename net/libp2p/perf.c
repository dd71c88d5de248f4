/* perf.c - /perf/1.0.0 (libp2p/specs perf): u64 BE wanted | upload | FIN, then the wanted bytes back | FIN. Served on request only: it costs
 * whom it is asked of. */
#include "net/libp2p/host_in.h"

#include <stdlib.h>
#include <string.h>

static const char PERF[] = "/perf/1.0.0";

#define PIECE 65536u
static const uint8_t ZEROS[PIECE];

struct run {
    uint64_t want, left; /* bytes to send still */
    uint8_t head[8];
    size_t head_len;
    bool client, sending;
    uint64_t at_us, up_us, down_us, got;
    uint64_t down;
    qn_rc rc;
    void (*done)(void *arg, qn_rc rc, uint64_t up_us, uint64_t down_us);
    void *arg;
};

static void push(struct run *r, struct qn_stream *s)
{
    while (r->sending && r->left) {
        size_t n = (size_t)QN_MIN(r->left, (uint64_t)PIECE);
        if (qn_stream_queued(s) >= 4 * PIECE || qn_stream_write(s, QN_SPAN(ZEROS, n)) != QN_OK)
            return;
        r->left -= n;
    }
    if (r->sending && r->left == 0) {
        r->sending = false;
        qn_stream_finish(s);
    }
}

static void run_drain(void *arg, struct qn_stream *s)
{
    push(arg, s);
}

/* --- serving ------------------------------------------------------------------------------------------------------ */

static void serve_open(void *arg, struct qn_stream *s)
{
    struct run *r = calloc(1, sizeof *r);
    (void)arg;
    QN_ASSERT(r != NULL);
    qn_stream_set_arg(s, r);
    qn_stream_set_window(s, 16u << 20);
}

static void serve_data(void *arg, struct qn_stream *s, struct qn_span bytes)
{
    struct run *r = arg;
    (void)s;
    size_t n = QN_MIN(bytes.len, sizeof r->head - r->head_len);
    memcpy(r->head + r->head_len, bytes.ptr, n);
    r->head_len += n;
}

static void serve_finish(void *arg, struct qn_stream *s)
{
    struct run *r = arg;
    if (r->head_len < sizeof r->head) {
        qn_stream_reset(s);
        return;
    }
    for (size_t i = 0; i < 8; i++)
        r->left = r->left << 8 | r->head[i];
    r->sending = true;
    push(r, s);
}

static void serve_close(void *arg, struct qn_stream *s, enum qn_stream_end end)
{
    (void)s, (void)end;
    free(arg);
}

static const struct qn_stream_ops SERVE = { .on_open = serve_open,
                                            .on_data = serve_data,
                                            .on_finish = serve_finish,
                                            .on_drain = run_drain,
                                            .on_close = serve_close };

void perf_serve(struct qn_host *h)
{
    const struct qn_proto p = {
        .id = PERF, .ops = &SERVE, .class = QN_NET_BLOB, .in_max = 4, .idle_ms = 30000
    };
    qn_rc rc = qn_host_proto(h, &p);
    QN_ASSERT(rc == QN_OK);
}

/* --- asking --------------------------------------------------------------------------------------------------------- */

static void ask_data(void *arg, struct qn_stream *s, struct qn_span bytes)
{
    struct run *r = arg;
    if (r->got == 0)
        r->up_us = host_now(s->host) - r->at_us; /* the first byte back tells that all had come */
    r->got += bytes.len;
}

static void ask_finish(void *arg, struct qn_stream *s)
{
    struct run *r = arg;
    uint64_t now = host_now(s->host);
    if (r->got == 0) r->up_us = now - r->at_us;
    r->down_us = now - r->at_us - r->up_us;
    r->rc = r->got == r->down && !r->sending ? QN_OK : QN_E_FORMAT;
}

static void ask_close(void *arg, struct qn_stream *s, enum qn_stream_end end)
{
    struct run *r = arg;
    (void)s;
    if (r->rc == QN_E_AGAIN) r->rc = end == QN_STREAM_REFUSED ? QN_E_ABSENT : QN_E_IO;
    r->done(r->arg, r->rc, r->up_us, r->down_us);
    free(r);
}

static const struct qn_stream_ops ASK = {
    .on_data = ask_data, .on_finish = ask_finish, .on_drain = run_drain, .on_close = ask_close
};

qn_rc qn_host_perf(struct qn_host *h, uint32_t peer, uint64_t up, uint64_t down,
                   void (*done)(void *arg, qn_rc rc, uint64_t up_us, uint64_t down_us), void *arg)
{
    struct qn_stream *s;
    uint8_t head[8];
    struct run *r = calloc(1, sizeof *r);
    QN_ASSERT(r != NULL);
    *r = (struct run){ .left = up,
                       .down = down,
                       .client = true,
                       .sending = true,
                       .at_us = host_now(h),
                       .rc = QN_E_AGAIN,
                       .done = done,
                       .arg = arg };
    qn_rc rc = qn_host_stream(h, peer, PERF, QN_NET_BLOB, &ASK, r, &s);
    if (rc) {
        free(r);
        return rc;
    }
    for (size_t i = 0; i < 8; i++)
        head[i] = (uint8_t)(down >> (56 - 8 * i));
    qn_stream_set_window(s, 16u << 20);
    if (qn_stream_write(s, QN_SPAN_OF(head)) != QN_OK)
        qn_stream_reset(s);
    else
        push(r, s);
    return QN_OK;
}
