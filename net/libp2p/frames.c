/* frames.c - `u32 LE length | bytes`, a stream a class and direction. */
#include "net/libp2p/frames.h"

#include <stdlib.h>
#include <string.h>

#define QUEUE_MAX (1u << 20)
#define PEERS_MAX 1024u

/* A message that is coming in. */
struct inbox {
    struct qn_frames *frames;
    uint8_t head[4];
    uint8_t head_len;
    uint32_t len; /* of the message, once head is whole */
    struct qn_buf buf;
    size_t booked;
};

struct member {
    uint32_t peer;
    struct qn_stream *out[QN_NET_CLASS_CNT];
};

struct qn_frames {
    struct qn_frames_conf conf;
    struct qn_host_watch watch;
    struct member *members;
    uint32_t cnt;
    bool closed;
    uint32_t streams; /* that still may call back */
};

static struct member *member_of(struct qn_frames *f, uint32_t peer)
{
    for (uint32_t i = 0; i < f->cnt; i++)
        if (f->members[i].peer == peer) return &f->members[i];
    return NULL;
}

static void maybe_free(struct qn_frames *f)
{
    if (!f->closed || f->streams) return;
    free(f->members);
    free(f);
}

/* --- in ---------------------------------------------------------------------------------------------------------- */

static void in_open(void *arg, struct qn_stream *s)
{
    struct qn_frames *f = arg;
    struct inbox *in = calloc(1, sizeof *in);
    QN_ASSERT(in != NULL);
    in->frames = f;
    f->streams++;
    qn_stream_set_arg(s, in);
}

static void broke(struct inbox *in, struct qn_stream *s, const char *what)
{
    qn_host_blame(in->frames->conf.host, qn_stream_peer(s), QN_BLAME_OFFENCE, what);
    qn_stream_reset(s);
}

static void empty(struct inbox *in, uint32_t peer)
{
    qn_host_release(in->frames->conf.host, peer, in->booked);
    in->booked = 0;
    in->head_len = 0;
    qn_buf_free(&in->buf);
}

/* Takes what it can of one message; false: no more from this stream. */
static bool take(struct inbox *in, struct qn_stream *s, struct qn_span *bytes)
{
    struct qn_frames *f = in->frames;
    struct qn_span part;
    uint32_t peer = qn_stream_peer(s);
    if (in->head_len < 4) {
        in->head[in->head_len++] = *bytes->ptr;
        *bytes = QN_SPAN(bytes->ptr + 1, bytes->len - 1);
        if (in->head_len < 4) return true;
        in->len = (uint32_t)in->head[0] | (uint32_t)in->head[1] << 8 | (uint32_t)in->head[2] << 16 |
                  (uint32_t)in->head[3] << 24;
        if (in->len > f->conf.message_max) {
            broke(in, s, "a message over its limit");
            return false;
        }
    }
    size_t left = in->len - in->buf.len;
    if (in->buf.len == 0 && bytes->len >= left) { /* whole in this piece: no copy */
        if (!qn_take(bytes, left, &part)) return false;
        in->head_len = 0;
        f->conf.on_message(f->conf.arg, peer, part);
        return true;
    }
    size_t n = QN_MIN(left, bytes->len);
    if (!qn_host_reserve(f->conf.host, peer, n)) {
        qn_host_short(f->conf.host, peer, n, "more messages at once than its memory");
        qn_stream_reset(s);
        return false;
    }
    in->booked += n;
    qn_buf_put(&in->buf, bytes->ptr, n);
    *bytes = QN_SPAN(bytes->ptr + n, bytes->len - n);
    if (in->buf.len < in->len) return true;
    struct qn_buf whole = in->buf;
    in->buf = (struct qn_buf){ 0 };
    f->conf.on_message(f->conf.arg, peer, qn_buf_get(&whole));
    qn_buf_free(&whole);
    empty(in, peer);
    return true;
}

static void in_data(void *arg, struct qn_stream *s, struct qn_span bytes)
{
    struct inbox *in = arg;
    while (!in->frames->closed && qn_stream_alive(s) &&
           (bytes.len || (in->head_len == 4 && in->len == 0)))
        if (!take(in, s, &bytes)) return;
}

static void in_finish(void *arg, struct qn_stream *s)
{
    struct inbox *in = arg;
    if (in->head_len)
        broke(in, s, "a message cut off");
    else
        qn_stream_finish(s);
}

static void in_close(void *arg, struct qn_stream *s, enum qn_stream_end end)
{
    struct inbox *in = arg;
    struct qn_frames *f = in->frames;
    (void)end;
    empty(in, qn_stream_peer(s));
    free(in);
    f->streams--;
    maybe_free(f);
}

static const struct qn_stream_ops IN = {
    .on_open = in_open, .on_data = in_data, .on_finish = in_finish, .on_close = in_close
};

/* --- out ------------------------------------------------------------------------------------------------------------ */

static void forget(struct qn_frames *f, struct qn_stream *s)
{
    struct member *m = member_of(f, qn_stream_peer(s));
    for (size_t i = 0; m && i < QN_NET_CLASS_CNT; i++)
        if (m->out[i] == s) m->out[i] = NULL;
}

static void out_move(void *arg, struct qn_stream *s)
{
    forget(arg, s); /* the next message opens another on the connection that stays */
    qn_stream_finish(s);
}

static void out_close(void *arg, struct qn_stream *s, enum qn_stream_end end)
{
    struct qn_frames *f = arg;
    (void)end;
    forget(f, s);
    f->streams--;
    maybe_free(f);
}

/* The peer answers its end with ours; it says nothing on our stream. */
static void out_data(void *arg, struct qn_stream *s, struct qn_span bytes)
{
    struct qn_frames *f = arg;
    (void)bytes;
    qn_host_blame(f->conf.host, qn_stream_peer(s), QN_BLAME_OFFENCE,
                  "talks on a stream that is not its");
    qn_stream_reset(s);
}

static const struct qn_stream_ops OUT = { .on_data = out_data,
                                          .on_move = out_move,
                                          .on_close = out_close };

qn_rc qn_frames_send(struct qn_frames *f, uint32_t peer, enum qn_net_class class,
                     struct qn_span message)
{
    struct member *m = member_of(f, peer);
    struct qn_stream *s;
    uint8_t head[4];
    if (!m) return QN_E_NOTFOUND;
    if (message.len > f->conf.message_max) return QN_E_TOOBIG;
    size_t max = f->conf.queue_max[class];
    s = m->out[class];
    if (!s) {
        qn_rc rc = qn_host_stream(f->conf.host, peer, f->conf.proto, class, &OUT, f, &s);
        if (rc) return rc;
        qn_stream_set_queue(s, SIZE_MAX); /* bounded here, by whole messages */
        f->streams++;
        m->out[class] = s;
    } else if (qn_stream_queued(s) && qn_stream_queued(s) + message.len + 4 > max) {
        return QN_E_LIMIT;
    }
    struct qn_buf buf = { 0 };
    for (int i = 0; i < 4; i++)
        head[i] = (uint8_t)(message.len >> (8 * i));
    qn_buf_put(&buf, head, 4);
    qn_buf_span(&buf, message);
    qn_rc rc = qn_stream_write(s, qn_buf_get(&buf)); /* all or nothing */
    qn_buf_free(&buf);
    return rc == QN_E_STATE ? QN_E_NOTFOUND : rc;
}

uint32_t qn_frames_cast(struct qn_frames *f, uint32_t but, enum qn_net_class class,
                        struct qn_span message)
{
    uint32_t cnt = 0;
    for (uint32_t i = 0; i < f->cnt; i++)
        if (f->members[i].peer != but &&
            qn_frames_send(f, f->members[i].peer, class, message) == QN_OK)
            cnt++;
    return cnt;
}

/* --- members ---------------------------------------------------------------------------------------------------------- */

static void on_identify(void *arg, const struct qn_peer_info *info)
{
    struct qn_frames *f = arg;
    if (member_of(f, info->peer) || f->cnt == PEERS_MAX) return;
    if (!qn_host_speaks(f->conf.host, info->peer, f->conf.proto)) return;
    f->members = realloc(f->members, (f->cnt + 1) * sizeof *f->members);
    QN_ASSERT(f->members != NULL);
    f->members[f->cnt++] = (struct member){ .peer = info->peer };
    if (f->conf.on_peer) f->conf.on_peer(f->conf.arg, info->peer, true);
}

static void on_peer(void *arg, uint32_t peer, const struct qn_peer_id *id, bool up, bool outbound)
{
    struct qn_frames *f = arg;
    struct member *m = up ? NULL : member_of(f, peer);
    (void)id, (void)outbound;
    if (!m) return;
    *m = f->members[--f->cnt];
    if (f->conf.on_peer) f->conf.on_peer(f->conf.arg, peer, false);
}

qn_rc qn_frames_open(const struct qn_frames_conf *conf, struct qn_frames **ret)
{
    struct qn_frames *f = calloc(1, sizeof *f);
    QN_ASSERT(f != NULL);
    f->conf = *conf;
    for (size_t i = 0; i < QN_NET_CLASS_CNT; i++)
        if (f->conf.queue_max[i] == 0) f->conf.queue_max[i] = QUEUE_MAX;
    const struct qn_proto p = { .id = conf->proto,
                                .ops = &IN,
                                .arg = f,
                                .class = QN_NET_CONTROL,
                                .in_max = 2 * QN_NET_CLASS_CNT };
    qn_rc rc = qn_host_proto(conf->host, &p);
    if (rc) {
        free(f);
        return rc;
    }
    f->watch = (struct qn_host_watch){ .arg = f, .on_peer = on_peer, .on_identify = on_identify };
    qn_host_watch(conf->host, &f->watch);
    *ret = f;
    qn_host_peers(conf->host, on_identify, f); /* who was there before */
    return QN_OK;
}

uint32_t qn_frames_peer_cnt(const struct qn_frames *f)
{
    return f->cnt;
}

void qn_frames_close(struct qn_frames *f)
{
    if (!f) return;
    qn_host_unwatch(f->conf.host, &f->watch);
    qn_host_unproto(f->conf.host, f->conf.proto);
    f->closed = true;
    f->cnt = 0;
    maybe_free(f); /* else with its last stream, when the host closes at the latest */
}
