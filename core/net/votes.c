/* votes.c - a desk for a turn's votes. */
#include "core/net/votes.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#define KIND_VOTE 3 /* of sync.def */
#define KIND_CERT 4

struct votes {
    struct votes_conf conf;
    struct event *due;
    unsigned cnt;
    uint64_t handle[VOTES_MAX];
    struct qn_buf bytes[VOTES_MAX];
    struct qn_heard heard[VOTES_MAX];
};

static void take(struct votes *v)
{
    unsigned cnt = v->cnt;
    v->cnt = 0;
    if (cnt) v->conf.take(v->conf.arg, v->heard, v->handle, cnt);
    for (unsigned i = 0; i < cnt; i++) /* certificates are long */
        if (v->heard[i].message.len > VOTE_LEN) qn_buf_free(&v->bytes[i]);
}

static void on_due(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    take(arg);
}

struct votes *votes_new(const struct votes_conf *conf)
{
    struct votes *v = calloc(1, sizeof *v);
    QN_ASSERT(v != NULL);
    v->conf = *conf;
    v->due = event_new(conf->base, -1, 0, on_due, v);
    QN_ASSERT(v->due != NULL);
    return v;
}

void votes_free(struct votes *v)
{
    if (!v) return;
    event_free(v->due);
    for (unsigned i = 0; i < VOTES_MAX; i++)
        qn_buf_free(&v->bytes[i]);
    free(v);
}

static bool is_vote(struct qn_span message)
{
    return message.len == VOTE_LEN && message.ptr[0] == KIND_VOTE;
}

bool votes_fit(const struct votes *v, struct qn_span message)
{
    return is_vote(message) || (v->cnt && message.len && message.ptr[0] == KIND_CERT);
}

enum gossip_verdict votes_keep(struct votes *v, uint32_t peer, uint64_t handle,
                               struct qn_span message)
{
    static const struct timeval NOW = { 0, 0 };
    QN_ASSERT(votes_fit(v, message) && v->cnt < VOTES_MAX);
    if (is_vote(message) && !v->conf.news(v->conf.arg, message)) return GOSSIP_IGNORE;
    if (v->cnt == 0) event_add(v->due, &NOW);
    struct qn_buf *bytes = &v->bytes[v->cnt];
    qn_buf_clear(bytes);
    qn_buf_span(bytes, message);
    v->handle[v->cnt] = handle;
    v->heard[v->cnt] = (struct qn_heard){ .peer = peer, .message = qn_buf_get(bytes) };
    if (++v->cnt == VOTES_MAX) take(v); /* this one too: its verdict comes before this LATER */
    return GOSSIP_LATER;
}
