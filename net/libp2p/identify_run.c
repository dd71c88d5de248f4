/* identify_run.c - asking who is there, answering, and telling of changes. */
#include "net/libp2p/host_in.h"

#include "core/schema/protobuf.h"

#include <stdlib.h>
#include <string.h>

#define ASK_MS     5000
#define ASK_TRIES  8
#define PUSH_TRIES 8 /* a tick apart */
#define PUSH_MS    10000

/* What a peer of another network shall not hear: private addresses mean nothing there and tell about us. */
static bool fit_for(const struct qn_endpoint *remote, const struct qn_maddr *addr)
{
    struct qn_endpoint e;
    if (qn_endpoint_public(remote) && qn_maddr_endpoint(addr, &e) == QN_OK)
        return qn_endpoint_public(&e);
    return true;
}

/* A signature costs more than the rest of the answer; the addresses hardly ever change. */
static struct qn_span self_record(struct qn_host *h, bool public, const struct qn_identify *id)
{
    struct told_record *r = h->records[public];
    if (!r) r = h->records[public] = calloc(1, sizeof *r);
    QN_ASSERT(r != NULL);
    bool same = r->bytes.len && r->seq == h->record_seq && r->cnt == id->addr_cnt;
    for (uint32_t i = 0; same && i < r->cnt; i++)
        same = qn_maddr_eq(&r->addrs[i], &id->addrs[i]);
    if (!same) {
        qn_buf_clear(&r->bytes);
        r->seq = h->record_seq;
        r->cnt = id->addr_cnt;
        memcpy(r->addrs, id->addrs, sizeof r->addrs);
        qn_record_write(h->conf.key, r->seq, id->addrs, id->addr_cnt, &r->bytes);
    }
    return qn_buf_get(&r->bytes);
}

static void write_self(struct qn_host *h, const struct qn_endpoint *remote, struct qn_buf *ret)
{
    struct qn_identify *id = calloc(1, sizeof *id);
    uint8_t key[36];
    QN_ASSERT(id != NULL);
    qn_peer_public(&h->conf.key->pub, key);
    struct qn_maddr all[QN_IDENTIFY_ADDRS];
    uint32_t cnt = qn_host_addrs(h, all, QN_IDENTIFY_ADDRS);
    for (uint32_t i = 0; i < cnt; i++)
        if (fit_for(remote, &all[i])) id->addrs[id->addr_cnt++] = all[i];
    id->public_key = QN_SPAN_OF(key);
    id->version = QN_SPAN_STR("quoin/1");
    id->agent = QN_SPAN_STR(h->agent);
    id->record = self_record(h, qn_endpoint_public(remote), id);
    struct qn_endpoint seen = *remote;
    seen.has_id = false;
    qn_maddr_of(&seen, &id->observed);
    for (uint32_t i = 0; i < h->proto_cnt; i++)
        if (h->protos[i].id) id->protos[id->proto_cnt++] = QN_SPAN_STR(h->protos[i].id);
    qn_identify_write(id, ret);
    free(id);
}

/* --- answering ----------------------------------------------------------------------------------------------- */

static void answer_open(void *arg, struct qn_stream *s)
{
    struct qn_buf out = { 0 };
    (void)arg;
    write_self(s->host, &s->conn->remote, &out);
    if (qn_stream_write(s, qn_buf_get(&out)) != QN_OK)
        qn_stream_reset(s);
    else
        qn_stream_finish(s);
    qn_buf_free(&out);
    qn_stream_set_deadline(s, ASK_MS);
}

static const struct qn_stream_ops ANSWER = { .on_open = answer_open };

/* --- asking, and being told ------------------------------------------------------------------------------------ */

static void take(struct qn_stream *s, struct qn_buf *got)
{
    struct qn_span m = qn_buf_get(got);
    struct qn_identify *id = calloc(1, sizeof *id);
    uint64_t len;
    QN_ASSERT(id != NULL);
    if (qn_pb_varint(&m, &len) && len == m.len && qn_identify_read(m, id) == QN_OK)
        peer_told(s->peer, id);
    else
        qn_host_blame(s->host, s->peer_num, QN_BLAME_OFFENCE, "malformed identify");
    free(id);
}

static void told_data(void *arg, struct qn_stream *s, struct qn_span bytes)
{
    struct qn_buf *got = arg;
    if (got->len + bytes.len <= QN_IDENTIFY_IN_MAX + 2) {
        qn_buf_span(got, bytes);
        return;
    }
    qn_host_blame(s->host, s->peer_num, QN_BLAME_OFFENCE, "oversize identify");
    qn_stream_reset(s);
}

static void told_finish(void *arg, struct qn_stream *s)
{
    take(s, arg);
    if (!s->dead) qn_stream_finish(s);
}

static void told_close(void *arg, struct qn_stream *s, enum qn_stream_end end)
{
    struct qn_buf *got = arg;
    (void)s, (void)end;
    if (!got) return;
    qn_buf_free(got);
    free(got);
}

/* Who could not answer (its connection was lost, or left for another) is asked again: nothing above speaks to a peer of whom nothing is known. */
static void asked_close(void *arg, struct qn_stream *s, enum qn_stream_end end)
{
    struct peer *p = peer_find(s->host, s->peer_num);
    told_close(arg, s, end);
    if (!p || p->identified || p->ask_tries == ASK_TRIES) return;
    p->ask_tries++;
    p->ask_again = s->host->ask_again = true;
}

static const struct qn_stream_ops ASKED = { .on_data = told_data,
                                            .on_finish = told_finish,
                                            .on_close = asked_close };

static void push_open(void *arg, struct qn_stream *s)
{
    struct qn_buf *got = calloc(1, sizeof *got);
    (void)arg;
    QN_ASSERT(got != NULL);
    qn_stream_set_arg(s, got);
    qn_stream_set_deadline(s, PUSH_MS);
}

static const struct qn_stream_ops PUSHED = {
    .on_open = push_open, .on_data = told_data, .on_finish = told_finish, .on_close = told_close
};

void identify_ask(struct peer *p)
{
    struct qn_stream *s;
    struct qn_buf *got = calloc(1, sizeof *got);
    QN_ASSERT(got != NULL);
    if (qn_host_stream(p->host, p->num, QN_IDENTIFY_ID, QN_NET_CONTROL, &ASKED, got, &s) != QN_OK) {
        free(got);
        return;
    }
    qn_stream_finish(s);
    qn_stream_set_deadline(s, ASK_MS);
}

void identify_ask_again(struct qn_host *h)
{
    h->ask_again = false;
    for (uint32_t i = 0; i < h->peer_cnt; i++) {
        struct peer *p = h->peers[i];
        if (p->gone || !p->ask_again) continue;
        p->ask_again = false;
        identify_ask(p);
    }
}

/* The peer had too many of ours already, or is slow: what it missed it must hear. */
static void push_close(void *arg, struct qn_stream *s, enum qn_stream_end end)
{
    struct peer *p = peer_find(s->host, s->peer_num);
    (void)arg;
    if (!p || p->gone) return;
    if (end == QN_STREAM_DONE) p->push_tries = 0;
    if (end == QN_STREAM_DONE || p->push_tries == PUSH_TRIES)
        return; /* one that never wants it is let be */
    p->push_tries++;
    p->push_again = s->host->push_again = true;
}

static const struct qn_stream_ops PUSH = { .on_close = push_close };

void identify_push(struct qn_host *h)
{
    if (h->closing) return;
    for (uint32_t i = 0; i < h->peer_cnt; i++)
        h->peers[i]->push_again = true;
    h->push = true;
    host_turn_soon(h);
}

void identify_push_now(struct qn_host *h)
{
    h->push = false;
    for (uint32_t i = 0; i < h->peer_cnt; i++) {
        struct peer *p = h->peers[i];
        struct qn_stream *s;
        struct qn_buf out = { 0 };
        if (p->gone || !p->identified || !p->cur || !p->push_again) continue;
        p->push_again = false;
        if (qn_host_stream(h, p->num, QN_IDENTIFY_PUSH, QN_NET_CONTROL, &PUSH, NULL, &s) != QN_OK)
            continue;
        write_self(h, &p->cur->remote, &out);
        if (qn_stream_write(s, qn_buf_get(&out)) == QN_OK) qn_stream_finish(s);
        qn_stream_set_deadline(s, PUSH_MS);
        qn_buf_free(&out);
    }
}

void identify_serve(struct qn_host *h)
{
    const struct qn_proto ask = {
        .id = QN_IDENTIFY_ID, .ops = &ANSWER, .class = QN_NET_CONTROL, .in_max = 4
    };
    const struct qn_proto push = {
        .id = QN_IDENTIFY_PUSH, .ops = &PUSHED, .class = QN_NET_CONTROL, .in_max = 2
    };
    qn_rc rc = qn_host_proto(h, &ask);
    if (rc == QN_OK) rc = qn_host_proto(h, &push);
    QN_ASSERT(rc == QN_OK);
}

void identify_fini(struct qn_host *h)
{
    for (size_t i = 0; i < QN_COUNT(h->records); i++) {
        if (h->records[i]) qn_buf_free(&h->records[i]->bytes);
        free(h->records[i]);
    }
}
