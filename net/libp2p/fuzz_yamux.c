/* fuzz_yamux.c - any bytes as plaintext of a connection, in two cuts, while the owner reads, resets and pings: credit never goes below
 * zero, streams and control bytes stay counted and bounded. */
#include "net/libp2p/yamux.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct owner {
    struct qn_yamux y;
    struct qn_yamux_stream *live[64];
    uint32_t cnt;
    uint64_t bytes, now;
};

static void forget(struct owner *o, struct qn_yamux_stream *s, bool rst)
{
    qn_yamux_drop(&o->y, s, rst);
    for (uint32_t i = 0; i < o->cnt; i++)
        if (o->live[i] == s) o->live[i] = o->live[--o->cnt];
    free(s);
}

static struct qn_yamux_stream *on_open(void *arg)
{
    struct owner *o = arg;
    if (o->cnt == 64) return NULL;
    struct qn_yamux_stream *s = calloc(1, sizeof *s);
    QN_ASSERT(s != NULL);
    s->recv_max = 1 << 20;
    o->live[o->cnt++] = s;
    return s;
}

static void on_data(void *arg, struct qn_yamux_stream *s, struct qn_span b)
{
    struct owner *o = arg;
    o->bytes += b.len;
    if (b.len && b.ptr[0] == 0xee)
        forget(o, s, true);
    else if (b.len && b.ptr[0] != 0xdd)
        qn_yamux_read(&o->y, s, (uint32_t)b.len, o->now += 500);
}

static void on_credit(void *arg, struct qn_yamux_stream *s)
{
    struct owner *o = arg;
    uint8_t head[QN_YAMUX_HEAD];
    if (!s->fin_out) qn_yamux_data(&o->y, s, QN_MIN(s->send_credit, 1000u), head);
}

static void on_finish(void *arg, struct qn_yamux_stream *s)
{
    struct owner *o = arg;
    uint8_t head[QN_YAMUX_HEAD];
    if (!s->fin_out) qn_yamux_fin(&o->y, s, head);
    forget(o, s, false);
}

static void on_reset(void *arg, struct qn_yamux_stream *s)
{
    forget(arg, s, false);
}

static void on_pong(void *arg, uint32_t value)
{
    (void)arg, (void)value;
}

static bool on_grow(void *arg, struct qn_yamux_stream *s, uint32_t bytes)
{
    (void)arg, (void)s;
    return bytes < 500000;
}

static const struct qn_yamux_sink SINK = { .on_open = on_open,
                                           .on_data = on_data,
                                           .on_credit = on_credit,
                                           .on_finish = on_finish,
                                           .on_reset = on_reset,
                                           .on_pong = on_pong,
                                           .on_goaway = on_pong,
                                           .on_grow = on_grow };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct owner o;
    if (size < 2) return 0;
    memset(&o, 0, sizeof o);
    qn_yamux_init(&o.y, data[0] & 1, &SINK, &o);
    o.y.rtt_us = 1000;
    struct qn_yamux_stream *mine = on_open(&o);
    qn_yamux_open(&o.y, mine);
    size_t cut = 1 + data[1] % (size - 1);
    qn_rc rc = qn_yamux_feed(&o.y, QN_SPAN(data + 1, cut - 1));
    if (rc == QN_OK) rc = qn_yamux_feed(&o.y, QN_SPAN(data + cut, size - cut));
    QN_ASSERT(o.y.in_cnt + o.y.out_cnt == o.cnt && o.y.out_cnt <= 1 && o.y.unacked <= 1);
    QN_ASSERT(o.bytes <= size);
    QN_ASSERT(o.y.ctl.len <= QN_YAMUX_CTL_MAX + 4 * QN_YAMUX_HEAD);
    for (uint32_t i = 0; i < o.cnt; i++)
        QN_ASSERT(o.live[i]->recv_credit <= o.live[i]->recv_window &&
                  qn_yamux_find(&o.y, o.live[i]->id) == o.live[i]);
    while (o.cnt)
        forget(&o, o.live[0], false);
    qn_yamux_fini(&o.y);
    return 0;
}
