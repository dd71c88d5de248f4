/* discover_ask.c - carrying the hash table's messages: a stream a question, answers to others' streams, and dials by peer. */
#include "net/libp2p/discover_int.h"

#include "net/libp2p/vframe.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#define REQUESTS_MAX 32 /* on one stream of a peer */

/* --- dialling a peer by its addresses ------------------------------------------------------------------ */

struct dialling {
    struct discover_work work;
    struct kad_peer peer;
    uint8_t next;
    qn_discover_peer_fn *fn;
    void *arg;
    bool ours; /* fn is of this file and hears of the end even when discovery is closed */
};

static void dial_next(struct dialling *dl);

static void dial_end(struct dialling *dl, qn_rc rc, uint32_t peer)
{
    bool told = dl->ours || dl->work.d != NULL;
    qn_discover_peer_fn *fn = dl->fn;
    void *arg = dl->arg;
    discover_end(&dl->work);
    free(dl);
    if (told) fn(arg, rc, peer);
}

static void dialled(void *arg, qn_rc rc, uint32_t peer, const struct qn_why *why)
{
    struct dialling *dl = arg;
    (void)why;
    if (!rc || !dl->work.d)
        dial_end(dl, rc, peer);
    else
        dial_next(dl);
}

static void dial_next(struct dialling *dl)
{
    while (dl->next < dl->peer.addr_cnt) {
        const struct kad_addr *a = &dl->peer.addr[dl->next++];
        struct qn_maddr maddr;
        struct qn_endpoint e;
        if (qn_maddr_read(QN_SPAN(a->b, a->len), &maddr) || qn_maddr_endpoint(&maddr, &e)) continue;
        e.has_id = true;
        e.id = dl->peer.id;
        if (qn_host_dial_to(dl->work.d->conf.host, &e, dialled, dl, NULL) == QN_OK) return;
    }
    dial_end(dl, QN_E_IO, 0);
}

static void dial_start(struct qn_discover *d, const struct kad_peer *peer, bool ours,
                       qn_discover_peer_fn *fn, void *arg)
{
    struct dialling *dl = calloc(1, sizeof *dl);
    QN_ASSERT(dl);
    dl->peer = *peer;
    dl->fn = fn;
    dl->arg = arg;
    dl->ours = ours;
    discover_begin(d, &dl->work);
    dial_next(dl);
}

void discover_dial(struct qn_discover *d, const struct kad_peer *peer, qn_discover_peer_fn *fn,
                   void *arg)
{
    dial_start(d, peer, true, fn, arg);
}

void qn_discover_dial(struct qn_discover *d, const struct kad_peer *peer, qn_discover_peer_fn *fn,
                      void *arg)
{
    dial_start(d, peer, false, fn, arg);
}

/* --- asking -------------------------------------------------------------------------------------------- */

struct asking {
    struct discover_work work;
    uint32_t query; /* 0: answered, or one way */
    bool again;
    struct kad_peer peer;
    struct asking *next; /* not started yet */
    struct qn_buf out, in;
};

static void ask_end(struct asking *a)
{
    struct qn_discover *d = a->work.d;
    uint32_t query = a->query;
    discover_end(&a->work);
    qn_buf_free(&a->out);
    qn_buf_free(&a->in);
    free(a);
    if (d && query) kad_fail(d->kad, query, discover_now(d));
}

static void ask_data(void *arg, struct qn_stream *s, struct qn_span bytes)
{
    struct asking *a = arg;
    struct qn_discover *d = a->work.d;
    struct qn_span answer;
    struct qn_peer_info info;
    size_t used;
    if (!d || !a->query || a->in.len + bytes.len > KAD_MESSAGE_MAX + QN_VFRAME_HEAD) {
        qn_stream_reset(s);
        return;
    }
    qn_buf_span(&a->in, bytes);
    qn_rc rc = qn_vframe_take(qn_buf_get(&a->in), KAD_MESSAGE_MAX, &answer, &used);
    if (rc == QN_E_AGAIN) return;
    uint32_t peer = qn_stream_peer(s), query = a->query;
    if (!rc && qn_host_peer(d->conf.host, peer, &info)) {
        struct net_addr addr = discover_addr(&info.remote);
        a->query = 0;
        rc = kad_answer(d->kad, query, &addr.ip, answer, discover_now(d));
    }
    if (rc)
        qn_host_blame(d->conf.host, peer, QN_BLAME_OFFENCE,
                      "a hash table answer that cannot be read");
    qn_stream_reset(s);
}

static void ask_stream(struct asking *a, uint32_t peer);

/* Crossing dials leave one connection of two: what was asked on the other is asked again. */
static void ask_close(void *arg, struct qn_stream *s, enum qn_stream_end end)
{
    struct asking *a = arg;
    struct qn_discover *d = a->work.d;
    uint32_t peer;
    (void)s;
    bool lost = end == QN_STREAM_LOST && d && a->query && !a->again;
    if (lost && qn_host_find(d->conf.host, &a->peer.id, &peer)) {
        a->again = true;
        qn_buf_clear(&a->in);
        ask_stream(a, peer);
    } else {
        ask_end(a);
    }
}

/* One message is all, but the end comes once the peer has agreed: in a dial's first flight it would cost js-libp2p the question (reach_serve.c). */
static void ask_open(void *arg, struct qn_stream *s)
{
    (void)arg;
    qn_stream_finish(s);
}

static const struct qn_stream_ops ASK_OPS = { .on_open = ask_open,
                                              .on_data = ask_data,
                                              .on_close = ask_close };

static void ask_stream(struct asking *a, uint32_t peer)
{
    struct qn_discover *d = a->work.d;
    struct qn_stream *s;
    if (qn_host_stream(d->conf.host, peer, d->conf.proto, QN_NET_REQUEST, &ASK_OPS, a, &s)) {
        ask_end(a);
        return;
    }
    if (qn_stream_write(s, qn_buf_get(&a->out))) qn_stream_reset(s);
}

static void ask_dialled(void *arg, qn_rc rc, uint32_t peer)
{
    struct asking *a = arg;
    if (rc || !a->work.d) {
        ask_end(a);
        return;
    }
    discover_extra(a->work.d, peer);
    ask_stream(a, peer);
}

void discover_ask(void *arg, uint32_t query, const struct kad_peer *peer, struct qn_span message,
                  bool one_way)
{
    struct qn_discover *d = arg;
    struct asking *a = calloc(1, sizeof *a), **at = &d->asks;
    QN_ASSERT(a);
    a->query = one_way ? 0 : query;
    a->peer = *peer;
    qn_vframe_put(&a->out, message);
    discover_begin(d, &a->work);
    while (*at)
        at = &(*at)->next;
    *at = a;
    event_active(d->soon, 0, 0); /* the machine wants answers later, never inside its own call */
}

void discover_asks(struct qn_discover *d, bool drop)
{
    while (d->asks) {
        struct asking *a = d->asks;
        uint32_t peer;
        d->asks = a->next;
        if (drop) {
            a->query = 0;
            ask_end(a);
        } else if (qn_host_find(d->conf.host, &a->peer.id, &peer)) {
            ask_stream(a, peer);
        } else {
            discover_dial(d, &a->peer, ask_dialled, a);
        }
    }
}

/* --- answering ----------------------------------------------------------------------------------------- */

struct serving {
    struct discover_work work;
    uint32_t requests;
    struct qn_buf in;
};

static void serve_open(void *arg, struct qn_stream *s)
{
    struct serving *sv = calloc(1, sizeof *sv);
    QN_ASSERT(sv);
    discover_begin(arg, &sv->work);
    qn_stream_set_arg(s, sv);
}

static qn_rc serve_one(struct qn_discover *d, struct qn_stream *s, struct qn_span request)
{
    struct qn_buf reply = { 0 }, framed = { 0 };
    struct qn_peer_info info;
    if (!qn_host_peer(d->conf.host, qn_stream_peer(s), &info)) return QN_E_NOTFOUND;
    qn_rc rc = kad_serve(d->kad, &info.id, request, discover_now(d), &reply);
    if (!rc && reply.len) {
        qn_vframe_put(&framed, qn_buf_get(&reply));
        rc = qn_stream_write(s, qn_buf_get(&framed));
    }
    qn_buf_free(&reply);
    qn_buf_free(&framed);
    return rc;
}

static void serve_data(void *arg, struct qn_stream *s, struct qn_span bytes)
{
    struct serving *sv = arg;
    struct qn_discover *d = sv->work.d;
    struct qn_span request;
    qn_rc rc = d ? QN_OK : QN_E_STATE;
    while (
        !rc &&
        bytes.len) { /* a piece may end one message and begin others: never more than one is held */
        size_t take = QN_MIN(bytes.len, KAD_MESSAGE_MAX + QN_VFRAME_HEAD - sv->in.len), used;
        qn_buf_put(&sv->in, bytes.ptr, take);
        bytes = QN_SPAN(bytes.ptr + take, bytes.len - take);
        while (!rc && (rc = qn_vframe_take(qn_buf_get(&sv->in), KAD_MESSAGE_MAX, &request,
                                           &used)) == QN_OK) {
            rc = ++sv->requests > REQUESTS_MAX ? QN_E_RATE : serve_one(d, s, request);
            memmove(sv->in.ptr, sv->in.ptr + used, sv->in.len - used);
            sv->in.len -= used;
        }
        if (rc == QN_E_AGAIN)
            rc = sv->in.len == KAD_MESSAGE_MAX + QN_VFRAME_HEAD ? QN_E_TOOBIG : QN_OK;
    }
    if (!rc) return;
    bool offence = rc == QN_E_FORMAT || rc == QN_E_SHORT || rc == QN_E_TOOBIG || rc == QN_E_RANGE;
    if (offence)
        qn_host_blame(d->conf.host, qn_stream_peer(s), QN_BLAME_OFFENCE,
                      "a hash table request that cannot be read");
    qn_stream_reset(s);
}

static void serve_finish(void *arg, struct qn_stream *s)
{
    (void)arg;
    qn_stream_finish(s);
}

static void serve_close(void *arg, struct qn_stream *s, enum qn_stream_end end)
{
    struct serving *sv = arg;
    (void)s, (void)end;
    discover_end(&sv->work);
    qn_buf_free(&sv->in);
    free(sv);
}

static const struct qn_stream_ops SERVE_OPS = {
    .on_open = serve_open, .on_data = serve_data, .on_finish = serve_finish, .on_close = serve_close
};

qn_rc discover_serve(struct qn_discover *d)
{
    const struct qn_proto proto = { .id = d->conf.proto,
                                    .ops = &SERVE_OPS,
                                    .arg = d,
                                    .class = QN_NET_REQUEST,
                                    .in_max = 8,
                                    .idle_ms = KAD_ASK_MS };
    return qn_host_proto(d->conf.host, &proto);
}
