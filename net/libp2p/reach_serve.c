/* reach_serve.c - dialling back for those who ask whether they can be reached. */
#include "net/libp2p/reach_int.h"

#include "net/libp2p/vframe.h"
#include "net/link/limit.h"

#include <stdlib.h>
#include <string.h>

#define JOB_MS  45000 /* a question, with its data and dial */
#define BACK_MS 5000  /* the nonce and its answer */
#define DELAY_MS                                                                                   \
    3000 /* before an address that is not the asker's own is dialled: no two askers aim at one moment */
#define IDLE_MS   60000 /* then the dialling host goes */
#define DIALS_MAX 4     /* at once */
#define BACK_MAX  1024  /* bytes of an answer that only says "ok" */

enum step { STEP_READ, STEP_DATA, STEP_WAIT, STEP_DIAL, STEP_BACK, STEP_DONE };

/* Somebody's question. It lives until its stream, its dial and its dial-back have ended. */
struct job {
    struct reach_work work; /* first */
    enum step step;
    struct qn_stream *s; /* NULL: closed */
    bool running;        /* a dial, or the stream on it, will still call back */
    bool answered;       /* the nonce was taken */
    uint32_t peer, back_peer;
    struct qn_peer_id asker;
    struct autonat_job job;
    struct qn_buf in;
    uint64_t at_ms;
};

static void job_free(struct job *j)
{
    if (j->s || j->running) return;
    reach_end(&j->work);
    qn_buf_free(&j->in);
    free(j);
}

static void say(struct job *j, struct qn_buf *message)
{
    struct qn_buf framed = { 0 };
    if (j->s && message->len) {
        qn_vframe_put(&framed, qn_buf_get(message));
        if (qn_stream_write(j->s, qn_buf_get(&framed))) qn_stream_reset(j->s);
    }
    qn_buf_free(&framed);
    qn_buf_free(message);
}

static void conclude(struct job *j, enum autonat_dial how)
{
    struct qn_buf reply = { 0 };
    j->step = STEP_DONE;
    if (j->work.r) {
        j->work.r->dialling--;
        if (j->back_peer) qn_host_hangup(j->work.r->dialer, j->back_peer, "you can be reached");
    }
    autonat_done(&j->job, how, &reply);
    say(j, &reply);
    if (j->s) qn_stream_finish(j->s);
}

/* --- dialling back ------------------------------------------------------------------------------------- */

/* Our end waits for the answer: js-libp2p loses what a stream of a dial's first flight says, the number too, when its end comes along. */
static void back_data(void *arg, struct qn_stream *s, struct qn_span bytes)
{
    struct job *j = arg;
    if (bytes.len == 0) return;
    j->answered = true;
    qn_stream_finish(s);
}

static void back_finish(void *arg, struct qn_stream *s)
{
    struct job *j = arg;
    j->answered = true;
    qn_stream_finish(s);
}

static void back_close(void *arg, struct qn_stream *s, enum qn_stream_end end)
{
    struct job *j = arg;
    (void)s, (void)end;
    j->running = false;
    conclude(j, j->answered ? AUTONAT_DIAL_OK : AUTONAT_BACK_ERROR);
    job_free(j);
}

static const struct qn_stream_ops BACK_OPS = { .on_data = back_data,
                                               .on_finish = back_finish,
                                               .on_close = back_close };

static void dialled(void *arg, qn_rc rc, uint32_t peer, const struct qn_why *why)
{
    struct job *j = arg;
    struct qn_stream *s;
    struct qn_buf message = { 0 }, framed = { 0 };
    (void)why;
    j->running = false;
    if (rc == QN_OK && j->work.r) {
        j->step = STEP_BACK;
        j->back_peer = peer;
        rc = qn_host_stream(j->work.r->dialer, peer, QN_REACH_BACK, QN_NET_CONTROL, &BACK_OPS, j,
                            &s);
        if (rc == QN_OK) {
            j->running = true;
            autonat_back_write(j->job.nonce, &message);
            qn_vframe_put(&framed, qn_buf_get(&message));
            if (qn_stream_write(s, qn_buf_get(&framed))) qn_stream_reset(s);
            qn_stream_set_deadline(s, BACK_MS);
            qn_buf_free(&message);
            qn_buf_free(&framed);
            return;
        }
        conclude(j, AUTONAT_BACK_ERROR);
    } else {
        conclude(j, AUTONAT_DIAL_ERROR);
    }
    job_free(j);
}

static qn_rc dialer(struct qn_reach *r)
{
    uint8_t seed[32];
    struct qn_limits limits = qn_limits_default();
    if (r->dialer) return QN_OK;
    qn_env_random(r->conf.env, seed, sizeof seed);
    qn_key_from_seed(seed, &r->dialer_key);
    explicit_bzero(seed, sizeof seed);
    limits.memory_max = QN_MIN(limits.memory_max, 4u << 20);
    const struct qn_host_conf conf = { .base = r->conf.base,
                                       .env = r->conf.env,
                                       .key = &r->dialer_key,
                                       .out_max = DIALS_MAX * 2,
                                       .limits = &limits };
    return qn_host_open(&conf, &r->dialer, NULL);
}

static void dial(struct qn_reach *r, struct job *j)
{
    uint32_t peer;
    const struct net_addr *a = &j->job.addr;
    struct qn_endpoint to = {
        .v6 = !net_ip_is4(&a->ip), .port = a->port, .has_id = true, .id = j->asker
    };
    memcpy(to.ip, a->ip.b + (to.v6 ? 0 : 12), to.v6 ? 16 : 4);
    if (dialer(r)) return;
    r->dialer_ms = reach_now(r);
    /* The last connection to it must be gone: a dial would find that one, and say nothing of this address. */
    if (qn_host_find(r->dialer, &j->asker, &peer)) return;
    j->step = STEP_DIAL;
    r->dialling++;
    r->served++;
    j->running = qn_host_dial_to(r->dialer, &to, dialled, j, NULL) == QN_OK;
    if (!j->running) conclude(j, AUTONAT_DIAL_ERROR);
}

void reach_serve_turn(struct qn_reach *r)
{
    uint64_t now = reach_now(r);
    for (struct reach_work *w = r->jobs, *next; w; w = next) {
        struct job *j = (struct job *)w; /* its first member */
        next = w->next;
        bool due = j->step == STEP_WAIT && j->at_ms <= now && j->s;
        if (due && r->dialling < DIALS_MAX) dial(r, j);
    }
    if (r->dialer && !r->dialling && r->dialer_ms + IDLE_MS <= now) {
        qn_host_close(r->dialer);
        r->dialer = NULL;
        explicit_bzero(&r->dialer_key, sizeof r->dialer_key);
    }
}

/* --- questions ----------------------------------------------------------------------------------------- */

static bool asks_already(const struct qn_reach *r, const struct job *j)
{
    for (const struct reach_work *w = r->jobs; w; w = w->next) {
        const struct job *other = (const struct job *)w;
        if (other != j && other->step != STEP_READ && other->step != STEP_DONE &&
            qn_peer_id_eq(&other->asker, &j->asker))
            return true;
    }
    return false;
}

static qn_rc question(struct qn_reach *r, struct job *j, const struct autonat_message *m)
{
    struct qn_peer_info info;
    struct qn_buf reply = { 0 };
    struct autonat_message no = { .kind = AUTONAT_RESPONSE, .status = AUTONAT_REJECTED };
    qn_rc rc;
    if (!qn_host_peer(r->conf.host, j->peer, &info)) return QN_E_NOTFOUND;
    j->asker = info.id;
    struct net_addr from = reach_addr(&info.remote);
    if (m->kind == AUTONAT_REQUEST && asks_already(r, j)) {
        autonat_write(&no, &reply);
        rc = QN_E_REFUSED;
    } else {
        rc = autonat_serve(&r->server, m, &from.ip, r->conf.private, reach_now(r), &j->job, &reply);
    }
    say(j, &reply);
    if (rc == QN_E_REFUSED) {
        j->step = STEP_DONE;
        qn_stream_finish(j->s);
        return QN_OK;
    }
    j->step = j->job.due ? STEP_DATA : STEP_WAIT;
    j->at_ms = reach_now(r);
    return rc;
}

static qn_rc step(struct qn_reach *r, struct job *j, struct qn_span bytes)
{
    struct autonat_message m;
    qn_rc rc = autonat_read(bytes, &m);
    if (rc) return rc;
    switch (j->step) {
    case STEP_READ: return question(r, j, &m);
    case STEP_DATA:
        rc = autonat_data(&j->job, &m);
        if (rc == QN_OK) {
            j->step = STEP_WAIT;
            j->at_ms = reach_now(r) + net_dice_below(&r->dice, DELAY_MS);
        }
        return rc == QN_E_AGAIN ? QN_OK : rc;
    case STEP_WAIT:
    case STEP_DIAL:
    case STEP_BACK:
    case STEP_DONE: return QN_E_FORMAT; /* all is said */
    }
    return QN_E_FORMAT;
}

static void on_open(void *arg, struct qn_stream *s)
{
    struct qn_reach *r = arg;
    struct job *j = calloc(1, sizeof *j);
    QN_ASSERT(j);
    j->s = s;
    j->peer = qn_stream_peer(s);
    reach_begin(r, &r->jobs, &j->work);
    qn_stream_set_arg(s, j);
    qn_stream_set_deadline(s, JOB_MS);
}

static void on_data(void *arg, struct qn_stream *s, struct qn_span bytes)
{
    struct job *j = arg;
    struct qn_reach *r = j->work.r;
    struct qn_span message;
    size_t used;
    qn_rc rc = r ? QN_OK : QN_E_STATE;
    while (!rc && bytes.len) { /* never more than one message is held */
        size_t take = QN_MIN(bytes.len, AUTONAT_MESSAGE + QN_VFRAME_HEAD - j->in.len);
        qn_buf_put(&j->in, bytes.ptr, take);
        bytes = QN_SPAN(bytes.ptr + take, bytes.len - take);
        while (!rc && (rc = qn_vframe_take(qn_buf_get(&j->in), AUTONAT_MESSAGE, &message, &used)) ==
                          QN_OK) {
            rc = step(r, j, message);
            memmove(j->in.ptr, j->in.ptr + used, j->in.len - used);
            j->in.len -= used;
        }
        if (rc == QN_E_AGAIN) rc = QN_OK; /* a message in part fits: its length was looked at */
    }
    if (!rc) return;
    if (r && rc != QN_E_NOTFOUND)
        qn_host_blame(r->conf.host, j->peer, QN_BLAME_OFFENCE,
                      "a question about reachability that cannot be read");
    qn_stream_reset(s);
}

static void on_close(void *arg, struct qn_stream *s, enum qn_stream_end end)
{
    struct job *j = arg;
    (void)s, (void)end;
    j->s = NULL;
    job_free(j);
}

static const struct qn_stream_ops OPS = { .on_open = on_open,
                                          .on_data = on_data,
                                          .on_close = on_close };

qn_rc reach_serve(struct qn_reach *r)
{
    const struct qn_proto proto = { .id = QN_REACH_ASK,
                                    .ops = &OPS,
                                    .arg = r,
                                    .class = QN_NET_REQUEST,
                                    .in_max = 2,
                                    .idle_ms = JOB_MS };
    return qn_host_proto(r->conf.host, &proto);
}

void reach_serve_close(struct qn_reach *r)
{
    qn_host_unproto(r->conf.host, QN_REACH_ASK);
    if (r->dialer) qn_host_close(r->dialer); /* dials and their streams end in it */
    r->dialer = NULL;
    explicit_bzero(&r->dialer_key, sizeof r->dialer_key);
}
