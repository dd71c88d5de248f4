/* ping.c - /ipfs/ping/1.0.0 (libp2p/specs ping): 32 bytes there, the same 32 back. */
#include "net/libp2p/host_in.h"

#include <stdlib.h>
#include <string.h>

static const char PING[] = "/ipfs/ping/1.0.0";

#define BALL    32
#define WAIT_MS 10000
#define IDLE_MS 60000

/* --- answering: an echo of any length is the same as one of 32 -------------------------------------------------- */

static void echo_data(void *arg, struct qn_stream *s, struct qn_span bytes)
{
    (void)arg;
    /* Who sends and does not read finds its echo cut at a small queue. */
    if (qn_stream_write(s, bytes) != QN_OK) qn_stream_reset(s);
}

static void echo_finish(void *arg, struct qn_stream *s)
{
    (void)arg;
    qn_stream_finish(s);
}

static void echo_open(void *arg, struct qn_stream *s)
{
    (void)arg;
    qn_stream_set_queue(s, 64 * BALL);
}

static const struct qn_stream_ops ECHO_OPS = { .on_open = echo_open,
                                               .on_data = echo_data,
                                               .on_finish = echo_finish };

void ping_serve(struct qn_host *h)
{
    const struct qn_proto p = {
        .id = PING, .ops = &ECHO_OPS, .class = QN_NET_CONTROL, .in_max = 2, .idle_ms = IDLE_MS
    };
    qn_rc rc = qn_host_proto(h, &p);
    QN_ASSERT(rc == QN_OK);
}

/* --- asking --------------------------------------------------------------------------------------------------------- */

struct ask {
    uint8_t sent[BALL], got[BALL];
    size_t len;
    uint64_t at_us;
    qn_rc rc;
    uint64_t rtt_us;
    void (*done)(void *arg, qn_rc rc, uint64_t rtt_us);
    void *arg;
};

static void ask_data(void *arg, struct qn_stream *s, struct qn_span bytes)
{
    struct ask *a = arg;
    size_t n = QN_MIN(bytes.len, BALL - a->len);
    memcpy(a->got + a->len, bytes.ptr, n);
    a->len += n;
    if (a->len < BALL || a->rc == QN_OK) return;
    if (n < bytes.len || memcmp(a->sent, a->got, BALL) != 0) {
        a->rc = QN_E_FORMAT;
        qn_host_blame(s->host, s->peer_num, QN_BLAME_OFFENCE, "a ping came back changed");
        qn_stream_reset(s);
        return;
    }
    a->rc = QN_OK;
    a->rtt_us = host_now(s->host) - a->at_us;
    qn_stream_finish(s);
    qn_stream_set_deadline(s, 1000); /* the answer is here; its end is not waited for long */
}

static void ask_close(void *arg, struct qn_stream *s, enum qn_stream_end end)
{
    struct ask *a = arg;
    (void)s;
    if (a->rc == QN_E_AGAIN)
        a->rc = end == QN_STREAM_REFUSED ? QN_E_ABSENT
                : end == QN_STREAM_LIMIT ? QN_E_TIMEOUT
                                         : QN_E_IO;
    a->done(a->arg, a->rc, a->rtt_us);
    free(a);
}

static const struct qn_stream_ops ASK = { .on_data = ask_data, .on_close = ask_close };

qn_rc qn_host_ping(struct qn_host *h, uint32_t peer,
                   void (*done)(void *arg, qn_rc rc, uint64_t rtt_us), void *arg)
{
    struct qn_stream *s;
    struct ask *a = calloc(1, sizeof *a);
    QN_ASSERT(a != NULL);
    *a = (struct ask){ .at_us = host_now(h), .rc = QN_E_AGAIN, .done = done, .arg = arg };
    qn_env_random(h->conf.env, a->sent, BALL);
    qn_rc rc = qn_host_stream(h, peer, PING, QN_NET_CONTROL, &ASK, a, &s);
    if (rc) {
        free(a);
        return rc;
    }
    rc = qn_stream_write(s, QN_SPAN_OF(a->sent));
    if (rc) qn_stream_reset(s); /* done tells */
    qn_stream_set_deadline(s, WAIT_MS);
    return QN_OK;
}
