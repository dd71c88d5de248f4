/* share_serve.c - what peers ask of our blobs: groups of one, and what there is of it. */
#include "core/net/share_in.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define QUEUE_LOW                                                                                  \
    (256u << 10) /* bytes on their way: enough for a fast link between two turns of the loop */
#define TURN_BYTES (512u << 10) /* of one stream in a turn */
#define FRAME_HEAD 5u
#define FRAME_ROOM (3 * QN_GROUP + 1024) /* what mostly goes into one */

static qn_rc get_node(void *self, uint64_t node, uint8_t ret[BLOB_NODE])
{
    const struct shelf *shelf = self;
    QN_ASSERT((node + 1) * BLOB_NODE <= blob_outer_len(shelf->size));
    memcpy(ret, shelf->outer + node * BLOB_NODE, BLOB_NODE);
    return QN_OK;
}

static qn_rc get_group(void *self, uint64_t group, uint8_t *dst, uint32_t len)
{
    const struct shelf *shelf = self;
    for (uint32_t have = 0; have < len;) {
        ssize_t n = pread(shelf->fd, dst + have, len - have, (off_t)(group * QN_GROUP + have));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return qn_err_errno(errno);
        if (n == 0) return QN_E_CORRUPT; /* cut short behind our back */
        have += (uint32_t)n;
    }
    return QN_OK;
}

/* Once while it is open: a file that rots under an open reader costs us our name with the peer, no more. */
static bool is_trusted(void *self, uint64_t group)
{
    const struct shelf *shelf = self;
    return shelf->right[group / 8] >> group % 8 & 1;
}

static void is_right(void *self, uint64_t group)
{
    struct shelf *shelf = self;
    shelf->right[group / 8] |= (uint8_t)(1u << group % 8);
}

/* All is said: what it used is free for others, whenever its peer ends its half. */
static void over(struct serve *sv)
{
    if (sv->over) return;
    sv->over = true;
    sv->share->serve_cnt--;
    share_shelf_put(sv->share, sv->shelf);
    sv->shelf = NULL;
}

static void end(struct serve *sv)
{
    qn_stream_finish(sv->stream);
    if (sv->have) qn_stream_set_deadline(sv->stream, SHARE_ASK_MS);
    over(sv);
}

static void cut(struct serve *sv)
{
    qn_stream_reset(sv->stream);
    over(sv);
}

/* The last frame of an answer that cannot go on. */
static void refuse(struct serve *sv, enum blob_code code, const char *text)
{
    struct qn_buf buf = { 0 };
    blob_frame_put(code, QN_SPAN_STR(text), &buf);
    if (qn_stream_write(sv->stream, qn_buf_get(&buf)) == QN_OK)
        end(sv);
    else
        cut(sv);
    qn_buf_free(&buf);
    sv->share->stat.refused++;
}

/* --- who gives way ------------------------------------------------------------------------------------------------ */

static uint32_t of_peer(const struct share *s, uint32_t peer)
{
    uint32_t cnt = 0;
    for (const struct serve *sv = s->serves; sv; sv = sv->next)
        cnt += !sv->over && qn_stream_peer(sv->stream) == peer;
    return cnt;
}

static bool is_slow(const struct serve *sv)
{
    uint64_t ms = share_now_ms(sv->share) - sv->at_ms;
    return !sv->have && ms >= SHARE_SLOW_MS && sv->sent * 1000 / SHARE_SLOW < ms;
}

/* Makes room for one of peer: somebody slow goes, else the oldest of a peer that has more than this one would. false: nobody. shelf: of those only that
 * keep a blob open. */
static bool evict(struct share *s, uint32_t peer, bool shelf)
{
    struct serve *go = NULL;
    uint32_t most = of_peer(s, peer);
    for (struct serve *sv = s->serves; sv; sv = sv->next) { /* the newest first */
        if (sv->over || (shelf && (!sv->shelf || sv->shelf->fetch))) continue;
        if (is_slow(sv)) {
            cut(sv);
            return true;
        }
        uint32_t has = of_peer(s, qn_stream_peer(sv->stream));
        if (has > most || (go && has == most)) go = sv, most = has;
    }
    if (go && go->have)
        end(go);
    else if (go)
        cut(go);
    return go != NULL;
}

static qn_rc open_shelf(struct serve *sv)
{
    qn_rc rc;
    do
        rc = share_shelf_get(sv->share, &sv->id, &sv->shelf);
    while (rc == QN_E_AGAIN && evict(sv->share, qn_stream_peer(sv->stream), true));
    return rc;
}

/* --- giving ------------------------------------------------------------------------------------------------------- */

static void refuse_rc(struct serve *sv, qn_rc rc)
{
    if (rc == QN_E_NOTFOUND)
        refuse(sv, BLOB_ABSENT, "not here");
    else if (rc == QN_E_AGAIN)
        refuse(sv, BLOB_BUSY, "busy");
    else
        refuse(sv, BLOB_ERROR, "cannot be read");
}

/* Reads a few groups into one frame, which is sent from where it was read to; false when the answer is over. */
static bool send_some(struct serve *sv)
{
    const struct blob_source from = { sv->shelf, get_node, get_group, is_trusted, is_right };
    struct qn_buf buf = { .ptr = malloc(FRAME_ROOM), .cap = FRAME_ROOM };
    bool more = true;
    qn_rc rc = QN_OK, sent = QN_OK;
    QN_ASSERT(buf.ptr != NULL);
    (void)qn_buf_grow(&buf, FRAME_HEAD);
    while (rc == QN_OK && more && buf.len < BLOB_FRAME_MAX - QN_GROUP)
        rc = blob_encode_next(sv->encoder, &from, &buf, &more);
    if (buf.len > FRAME_HEAD) {
        uint64_t len = buf.len - FRAME_HEAD;
        blob_frame_head(BLOB_OK, (uint32_t)len, buf.ptr);
        sent = qn_stream_give(sv->stream, &buf);
        if (sent == QN_OK) {
            sv->sent += len;
            sv->share->stat.out_bytes += len;
        }
    }
    qn_buf_free(&buf);
    if (sent) {
        cut(sv);
        return false;
    }
    if (rc) {
        if (rc == QN_E_CORRUPT &&
            !sv->shelf->fetch) { /* of the tree, perhaps: made again next time */
            char path[4096];
            blob_beside(sv->share->conf.home, &sv->id, ".tree", path, sizeof path);
            unlink(path);
        }
        refuse(sv, BLOB_ERROR, "cannot be read");
        return false;
    }
    if (more) return true;
    end(sv);
    return false;
}

static void pump_one(struct serve *sv)
{
    uint64_t begin = sv->share->stat.out_bytes;
    while (qn_stream_queued(sv->stream) < QUEUE_LOW) {
        if (sv->share->stat.out_bytes - begin >= TURN_BYTES) { /* others first */
            event_active(sv->share->pump, EV_TIMEOUT, 0);
            return;
        }
        if (!send_some(sv)) return;
    }
}

void share_serve_pump(struct share *s)
{
    for (struct serve *sv = s->serves; sv; sv = sv->next)
        if (sv->encoder && !sv->over) pump_one(sv);
}

static void begin_blob(struct serve *sv)
{
    struct blob_ask *ask = malloc(sizeof *ask);
    QN_ASSERT(ask != NULL);
    qn_rc rc = blob_ask_get(qn_buf_get(&sv->in), ask);
    if (rc) {
        refuse(sv, BLOB_BAD, "not a request");
        qn_host_blame(sv->share->conf.host, qn_stream_peer(sv->stream), QN_BLAME_OFFENCE,
                      "a request for a blob that is none");
        goto out;
    }
    sv->id = ask->id;
    rc = open_shelf(sv);
    if (rc == QN_OK && sv->shelf->fetch &&
        !share_fetch_has(sv->shelf->fetch, ask->range, ask->range_cnt))
        rc = QN_E_NOTFOUND;
    if (rc) {
        refuse_rc(sv, rc);
        goto out;
    }
    sv->encoder = malloc(sizeof *sv->encoder);
    QN_ASSERT(sv->encoder != NULL);
    blob_encode_init(sv->encoder, &ask->id, sv->shelf->size, ask->range, ask->range_cnt);
    event_active(sv->share->pump, EV_TIMEOUT, 0);
out:
    free(ask);
}

static void answer_have(struct serve *sv)
{
    qn_rc rc = open_shelf(sv);
    /* We want it ourselves and do not know its size yet: share_serve_ready will answer. */
    if (rc == QN_E_NOTFOUND && share_fetch_running(sv->share, &sv->id)) return;
    if (rc) {
        refuse_rc(sv, rc);
        return;
    }
    uint32_t cnt = blob_piece_cnt(sv->shelf->size);
    uint8_t *bits = calloc((cnt + 7) / 8, 1);
    struct qn_buf payload = { 0 }, buf = { 0 };
    QN_ASSERT(bits != NULL);
    for (uint32_t i = 0; i < cnt; i++)
        bits[i / 8] |= (uint8_t)(1u << i % 8);
    blob_have_put(sv->shelf->size, sv->shelf->fetch ? share_fetch_bits(sv->shelf->fetch) : bits,
                  &payload);
    blob_frame_put(BLOB_OK, qn_buf_get(&payload), &buf);
    if (qn_stream_write(sv->stream, qn_buf_get(&buf)))
        cut(sv);
    else if (!sv->shelf->fetch) /* nothing will be new */
        end(sv);
    free(bits);
    qn_buf_free(&payload);
    qn_buf_free(&buf);
}

static void begin_have(struct serve *sv)
{
    qn_rc rc = blob_have_ask_get(qn_buf_get(&sv->in), &sv->id);
    if (rc) {
        refuse(sv, BLOB_BAD, "not a request");
        qn_host_blame(sv->share->conf.host, qn_stream_peer(sv->stream), QN_BLAME_OFFENCE,
                      "a question about a blob that is none");
        return;
    }
    answer_have(sv);
}

void share_serve_ready(struct share *s, const struct qn_hash *id)
{
    for (struct serve *sv = s->serves; sv; sv = sv->next)
        if (sv->have && sv->begun && !sv->over && !sv->shelf && qn_hash_eq(&sv->id, id))
            answer_have(sv);
}

void share_serve_news(struct share *s, const struct qn_hash *id, uint32_t piece)
{
    struct qn_buf payload = { 0 }, buf = { 0 };
    if (piece != UINT32_MAX) {
        blob_news_put(&piece, 1, &payload);
        blob_frame_put(BLOB_OK, qn_buf_get(&payload), &buf);
    }
    for (struct serve *sv = s->serves; sv; sv = sv->next) {
        if (!sv->have || !sv->begun || sv->over || !qn_hash_eq(&sv->id, id)) continue;
        if (piece != UINT32_MAX && !sv->shelf) continue;
        if (piece == UINT32_MAX)
            end(sv);
        else if (qn_stream_write(sv->stream, qn_buf_get(&buf)))
            cut(sv); /* does not read: it may ask again */
    }
    qn_buf_free(&payload);
    qn_buf_free(&buf);
}

static void serve_open(struct share *s, struct qn_stream *stream, bool have)
{
    struct serve *sv = calloc(1, sizeof *sv);
    QN_ASSERT(sv != NULL);
    *sv = (struct serve){ .next = s->serves, .share = s, .stream = stream, .have = have };
    sv->at_ms = share_now_ms(s);
    s->serves = sv;
    s->serve_cnt++;
    qn_stream_set_arg(stream, sv);
    qn_stream_set_deadline(stream, SHARE_ASK_MS);
    if (s->serve_cnt > SHARE_SERVE_MAX && !evict(s, qn_stream_peer(stream), false))
        refuse(sv, BLOB_BUSY, "busy");
}

static void on_open_blob(void *arg, struct qn_stream *stream)
{
    serve_open(arg, stream, false);
}

static void on_open_have(void *arg, struct qn_stream *stream)
{
    serve_open(arg, stream, true);
}

static void on_data(void *arg, struct qn_stream *stream, struct qn_span bytes)
{
    struct serve *sv = arg;
    if (sv->over) return;
    if (sv->begun || bytes.len > BLOB_ASK_MAX - sv->in.len) {
        cut(sv);
        return;
    }
    qn_buf_span(&sv->in, bytes);
    if (!sv->have || sv->in.len < 36) return; /* have-requests do not end */
    sv->begun = true;
    qn_stream_set_deadline(stream, 0);
    begin_have(sv);
}

static void on_finish(void *arg, struct qn_stream *stream)
{
    struct serve *sv = arg;
    if (sv->over) return;
    if (sv->have) { /* has heard enough */
        end(sv);
    } else if (!sv->begun) {
        sv->begun = true;
        qn_stream_set_deadline(stream, 0);
        begin_blob(sv);
    }
}

static void on_drain(void *arg, struct qn_stream *stream)
{
    struct serve *sv = arg;
    (void)stream;
    if (sv->encoder && !sv->over) event_active(sv->share->pump, EV_TIMEOUT, 0);
}

static void on_close(void *arg, struct qn_stream *stream, enum qn_stream_end end)
{
    struct serve *sv = arg, **at = &sv->share->serves;
    (void)stream, (void)end;
    while (*at != sv)
        at = &(*at)->next;
    *at = sv->next;
    over(sv);
    qn_buf_free(&sv->in);
    free(sv->encoder);
    free(sv);
}

const struct qn_stream_ops SHARE_SERVE_OPS = { .on_open = on_open_blob,
                                               .on_data = on_data,
                                               .on_finish = on_finish,
                                               .on_drain = on_drain,
                                               .on_close = on_close };
const struct qn_stream_ops SHARE_HAVE_OPS = {
    .on_open = on_open_have, .on_data = on_data, .on_finish = on_finish, .on_close = on_close
};
