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
    uint64_t since_us; /* the first of them waits */
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
    struct votes *v = arg;
    uint64_t waited = qn_env_mono_us(qn_env_real()) - v->since_us;
    (void)fd, (void)what;
    if (v->cnt == 0) return;
    if (waited >= VOTES_US || v->conf.decide(v->conf.arg, v->heard, v->cnt)) {
        take(v);
        return;
    }
    const struct timeval later = { 0, (suseconds_t)(VOTES_US - waited) };
    event_add(v->due, &later);
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

void votes_look(struct votes *v)
{
    static const struct timeval NOW = { 0, 0 };
    if (v->cnt) event_add(v->due, &NOW);
}

enum gossip_verdict votes_keep(struct votes *v, uint32_t peer, uint64_t handle,
                               struct qn_span message)
{
    QN_ASSERT(votes_fit(v, message) && v->cnt < VOTES_MAX);
    if (is_vote(message) && !v->conf.news(v->conf.arg, message)) return GOSSIP_IGNORE;
    if (v->cnt == 0) v->since_us = qn_env_mono_us(qn_env_real());
    struct qn_buf *bytes = &v->bytes[v->cnt];
    qn_buf_clear(bytes);
    qn_buf_span(bytes, message);
    v->handle[v->cnt] = handle;
    v->heard[v->cnt] = (struct qn_heard){ .peer = peer, .message = qn_buf_get(bytes) };
    if (++v->cnt < VOTES_MAX)
        votes_look(v);
    else
        take(v); /* this one too: its verdict comes before this LATER */
    return GOSSIP_LATER;
}
