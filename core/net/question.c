/* question.c - questions of peers, each gathered and answered once. */
#include "core/net/question.h"

#include <stdio.h>
#include <stdlib.h>

struct question {
    struct qn_questions *of;
    struct qn_buf in;
    bool over;
};

struct qn_questions {
    struct qn_questions_conf conf;
    char proto[64];
    uint32_t cnt; /* streams that are open */
};

static void on_open(void *arg, struct qn_stream *s)
{
    struct qn_questions *qs = arg;
    struct question *q = calloc(1, sizeof *q);
    QN_ASSERT(q != NULL);
    q->of = qs;
    qs->cnt++;
    qn_stream_set_arg(s, q);
}

static void on_data(void *arg, struct qn_stream *s, struct qn_span bytes)
{
    struct question *q = arg;
    if (q->over) return;
    if (bytes.len > q->of->conf.ask_max - q->in.len) {
        q->over = true;
        qn_stream_reset(s);
        return;
    }
    qn_buf_span(&q->in, bytes);
}

static void on_finish(void *arg, struct qn_stream *s)
{
    struct question *q = arg;
    const struct qn_questions_conf *conf = &q->of->conf;
    struct qn_buf buf = { 0 };
    if (q->over) return;
    q->over = true;
    bool good = conf->answer(conf->arg, qn_buf_get(&q->in), &buf);
    if (!good) qn_host_blame(conf->host, qn_stream_peer(s), QN_BLAME_OFFENCE, conf->none);
    if (conf->answer_max) qn_stream_set_queue(s, conf->answer_max);
    if (!good || qn_stream_write(s, qn_buf_get(&buf)))
        qn_stream_reset(s);
    else
        qn_stream_finish(s);
    qn_buf_free(&buf);
}

static void on_close(void *arg, struct qn_stream *s, enum qn_stream_end end)
{
    struct question *q = arg;
    (void)s, (void)end;
    q->of->cnt--;
    qn_buf_free(&q->in);
    free(q);
}

static const struct qn_stream_ops OPS = {
    .on_open = on_open, .on_data = on_data, .on_finish = on_finish, .on_close = on_close
};

qn_rc qn_questions_open(const struct qn_questions_conf *conf, struct qn_questions **ret,
                        struct qn_why *why)
{
    struct qn_questions *qs = calloc(1, sizeof *qs);
    QN_ASSERT(qs != NULL);
    qs->conf = *conf;
    snprintf(qs->proto, sizeof qs->proto, "%s", conf->proto);
    qs->conf.proto = qs->proto;
    const struct qn_proto proto = { .id = qs->proto,
                                    .ops = &OPS,
                                    .arg = qs,
                                    .class = conf->class,
                                    .in_max = conf->in_max,
                                    .idle_ms = conf->idle_ms };
    qn_rc rc = qn_host_proto(conf->host, &proto);
    if (rc) {
        free(qs);
        return qn_why(why, rc, "the host takes no more protocols");
    }
    *ret = qs;
    return QN_OK;
}

void qn_questions_close(struct qn_questions *qs)
{
    if (!qs) return;
    QN_ASSERT(qs->cnt == 0);
    free(qs);
}
