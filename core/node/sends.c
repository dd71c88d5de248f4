/* sends.c - what one turn brings, in a list; and the list that is being answered. */
#include "core/node/sends.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

struct list {
    struct qn_submit *at; /* tx are copies */
    size_t cnt, cap;
    uint64_t first; /* number of at[0] */
};

struct sends {
    struct sends_conf conf;
    struct event *flush;
    struct list coming, judged;
};

static void list_clear(struct list *l)
{
    for (size_t i = 0; i < l->cnt; i++)
        free((void *)(uintptr_t)l->at[i].tx.ptr);
    l->first += l->cnt;
    l->cnt = 0;
}

static void on_flush(evutil_socket_t fd, short what, void *arg)
{
    struct sends *s = arg;
    (void)fd;
    (void)what;
    struct list next = s->judged; /* its memory */
    s->judged = s->coming;
    s->coming = next;
    s->coming.first = s->judged.first + s->judged.cnt;
    qn_replica_submit_many(s->conf.replica, s->judged.at, s->judged.cnt);
    s->conf.done(s->conf.arg);
    list_clear(&s->judged);
}

struct sends *sends_open(const struct sends_conf *conf)
{
    struct sends *s = calloc(1, sizeof *s);
    QN_ASSERT(s != NULL);
    s->conf = *conf;
    s->coming.first = s->judged.first = 1;
    s->flush = event_new(conf->base, -1, 0, on_flush, s);
    QN_ASSERT(s->flush != NULL);
    return s;
}

void sends_close(struct sends *s)
{
    if (!s) return;
    event_free(s->flush);
    list_clear(&s->coming);
    free(s->coming.at);
    free(s->judged.at);
    free(s);
}

static void add(struct list *l, struct qn_span tx)
{
    if (l->cnt == l->cap) {
        l->cap = QN_MAX(l->cap * 2, (size_t)16);
        l->at = realloc(l->at, l->cap * sizeof *l->at);
        QN_ASSERT(l->at != NULL);
    }
    uint8_t *copy = malloc(tx.len + 1);
    QN_ASSERT(copy != NULL);
    if (tx.len) memcpy(copy, tx.ptr, tx.len);
    l->at[l->cnt++] = (struct qn_submit){ .tx = QN_SPAN(copy, tx.len) };
}

qn_rc sends_put(struct sends *s, struct qn_span tx, uint64_t *state, struct qn_hash *ret_id,
                struct qn_why *why)
{
    if (*state == 0) {
        const struct timeval now = { 0, 0 };
        if (s->coming.cnt == 0) event_add(s->flush, &now);
        *state = s->coming.first + s->coming.cnt;
        add(&s->coming, tx);
        return QN_E_AGAIN;
    }
    if (*state >= s->coming.first) return QN_E_AGAIN;
    QN_ASSERT(*state >= s->judged.first);
    QN_ASSERT(*state - s->judged.first < s->judged.cnt);
    const struct qn_submit *one = &s->judged.at[*state - s->judged.first];
    *ret_id = one->id;
    if (one->rc) *why = one->why;
    return one->rc;
}
