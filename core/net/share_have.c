/* share_have.c - asking peers what they have of a blob, and listening to what is new. */
#include "core/net/share_in.h"

#include <stdlib.h>
#include <string.h>

#define HAVE_FRAME_MAX (9 + BLOB_SIZE_MAX / BLOB_PIECE / 8)

static void have_payload(struct have *h)
{
    struct fetch *f = h->fetch;
    struct blob_have have;
    qn_rc rc = blob_have_get(qn_buf_get(&h->payload), BLOB_SIZE_MAX, &have);
    if (rc == QN_OK && have.news != h->answered) rc = QN_E_FORMAT; /* the state first, and once */
    if (rc == QN_OK && !have.news) {
        uint32_t cnt = blob_piece_cnt(have.size);
        h->answered = true;
        h->size = have.size;
        for (uint32_t i = 0; i < cnt; i++)
            h->pieces += have.bits[i / 8] >> i % 8 & 1;
        swarm_source(f->swarm, h->peer, have.size, have.bits);
    }
    for (uint32_t i = 0; rc == QN_OK && have.news && i < have.cnt; i++) {
        uint32_t piece;
        memcpy(&piece, have.list + 4 * i, 4);
        if (!swarm_news(f->swarm, h->peer, piece)) rc = QN_E_RANGE;
        h->pieces++;
    }
    if (rc) {
        share_fetch_blame(f, h->peer, "a list of pieces that is none");
        qn_stream_reset(h->stream);
    }
    share_fetch_kick(f);
}

static void have_data(void *arg, struct qn_stream *stream, struct qn_span bytes)
{
    struct have *h = arg;
    enum blob_code code;
    struct qn_span part;
    bool last;
    qn_rc rc = QN_OK;
    while (h->fetch && (rc = blob_frames_next(&h->frames, &bytes, &code, &part, &last)) == QN_OK) {
        if (code != BLOB_OK) { /* not here, or no answer now */
            h->answered = h->absent = true;
            share_fetch_kick(h->fetch);
            return;
        }
        if (part.len > HAVE_FRAME_MAX - h->payload.len) {
            rc = QN_E_TOOBIG;
            break;
        }
        qn_buf_span(&h->payload, part);
        if (!last) continue;
        have_payload(h);
        qn_buf_clear(&h->payload);
    }
    if (h->fetch && rc && rc != QN_E_AGAIN) {
        share_fetch_blame(h->fetch, h->peer, "an answer that is none");
        qn_stream_reset(stream);
    }
}

static void have_finish(void *arg, struct qn_stream *stream)
{
    (void)arg;
    qn_stream_finish(stream);
}

static void have_close(void *arg, struct qn_stream *stream, enum qn_stream_end end)
{
    struct have *h = arg;
    (void)stream, (void)end;
    h->closed = true;
    h->absent |= !h->answered;
    h->stream = NULL;
    if (h->fetch) {
        share_fetch_kick(h->fetch); /* kept: share_find tells what it said */
        return;
    }
    qn_buf_free(&h->payload);
    free(h);
}

static const struct qn_stream_ops HAVE_OPS = { .on_data = have_data,
                                               .on_finish = have_finish,
                                               .on_close = have_close };

void share_have_ask(struct fetch *f, uint32_t peer)
{
    uint32_t cnt = 0;
    for (struct have *h = f->haves; h; h = h->next, cnt++)
        if (h->peer == peer) return;
    if (cnt >= SHARE_ASKED_MAX || !qn_host_speaks(f->share->conf.host, peer, BLOB_HAVE)) return;
    struct have *h = calloc(1, sizeof *h);
    struct qn_buf buf = { 0 };
    QN_ASSERT(h != NULL);
    h->fetch = f;
    h->peer = peer;
    h->asked_ms = share_now_ms(f->share);
    if (qn_host_stream(f->share->conf.host, peer, BLOB_HAVE, QN_NET_REQUEST, &HAVE_OPS, h,
                       &h->stream)) {
        free(h);
        return;
    }
    h->next = f->haves;
    f->haves = h;
    blob_have_ask_put(&f->id, &buf);
    if (qn_stream_write(h->stream, qn_buf_get(&buf))) qn_stream_reset(h->stream);
    qn_buf_free(&buf);
}

uint32_t share_have_turn(struct fetch *f, uint64_t now_ms)
{
    uint32_t waiting = 0, again[SHARE_ASKED_MAX], again_cnt = 0;
    for (struct have **at = &f->haves, *h; (h = *at);) {
        waiting += !h->answered && !h->closed;
        if (f->bytes && h->closed && h->absent && now_ms - h->asked_ms >= SHARE_AGAIN_MS) {
            *at = h->next;
            again[again_cnt++] = h->peer;
            qn_buf_free(&h->payload);
            free(h);
        } else {
            at = &h->next;
        }
    }
    while (again_cnt)
        share_have_ask(f, again[--again_cnt]);
    return waiting;
}

json_t *share_have_list(const struct fetch *f)
{
    char name[QN_PEER_TEXT_MAX];
    json_t *list = json_array();
    for (const struct have *h = f->haves; h; h = h->next) {
        if (!h->answered || h->pieces == 0) continue;
        share_fetch_peer_name(f->share, h->peer, name);
        json_array_append_new(list, json_pack("{s:s, s:I, s:I, s:I}", "peer", name, "bytes",
                                              (json_int_t)h->size, "pieces", (json_int_t)h->pieces,
                                              "of", (json_int_t)blob_piece_cnt(h->size)));
    }
    return list;
}

/* Its streams end on later turns, with nobody to tell. */
void share_have_let_go(struct fetch *f)
{
    for (struct have *h; (h = f->haves);) {
        f->haves = h->next;
        h->fetch = NULL;
        if (h->closed) {
            qn_buf_free(&h->payload);
            free(h);
        } else {
            qn_stream_reset(h->stream);
        }
    }
}
