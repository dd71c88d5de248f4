/* ear.h - for benches of real nodes: hears each block that a node says is final, over its API's events. */
#ifndef QN_TESTS_BENCH_EAR_H
#define QN_TESTS_BENCH_EAR_H

#include "core/cli/client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

struct ear { /* to one node's events */
    int fd;
    size_t have;
    char text[1 << 16];
};

struct times {
    uint32_t cnt;
    double ms[4096];
};

static inline double ear_now_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    return (double)ts.tv_sec * 1e3 + (double)ts.tv_nsec / 1e6;
}

static inline int ear_by_value(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static inline double times_at(struct times *t, double part)
{
    qsort(t->ms, t->cnt, sizeof t->ms[0], ear_by_value);
    return t->cnt ? t->ms[(uint32_t)(part * (t->cnt - 1))] : 0;
}

/* A number of a node's status, -1: it does not answer. */
static inline json_int_t ear_status(const char *home, unsigned i, const char *field)
{
    struct qn_client c;
    struct qn_why why;
    json_t *s = NULL;
    json_int_t n = -1;
    char dir[128];
    snprintf(dir, sizeof dir, "%s/node-%u", home, i);
    qn_client_init(&c, dir, NULL);
    if (qn_client_call(&c, "node.status", NULL, &s, &why) == QN_OK)
        n = json_integer_value(json_object_get(s, field));
    json_decref(s);
    return n;
}

static inline bool ear_open(struct ear *e, const char *home, unsigned i)
{
    struct sockaddr_un sun = { .sun_family = AF_UNIX };
    static const char ASK[] = "GET /v1/events HTTP/1.1\r\nHost: q\r\n\r\n";
    snprintf(sun.sun_path, sizeof sun.sun_path, "%s/node-%u/api.sock", home, i);
    e->have = 0;
    e->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (e->fd >= 0 && connect(e->fd, (struct sockaddr *)(void *)&sun, sizeof sun) == 0 &&
        write(e->fd, ASK, sizeof ASK - 1) == (ssize_t)sizeof ASK - 1)
        return true;
    if (e->fd >= 0) close(e->fd);
    e->fd = -1;
    return false;
}

/* Reads what there is: each block that is final now, and how long ago it was proposed. False: the node hung up. */
static inline bool ear_hear(struct ear *e, struct times *t)
{
    ssize_t n = read(e->fd, e->text + e->have, sizeof e->text - 1 - e->have);
    double now = ear_now_ms();
    if (n <= 0) return false;
    e->have += (size_t)n;
    e->text[e->have] = 0;
    for (char *end; (end = strchr(e->text, '\n')) != NULL;) {
        const char *at_ms = strstr(e->text, "\"t_ms\":");
        if (strncmp(e->text, "data: {\"height\"", 15) == 0 && at_ms && at_ms < end &&
            t->cnt < QN_COUNT(t->ms))
            t->ms[t->cnt++] = now - strtod(at_ms + 7, NULL);
        e->have -= (size_t)(end + 1 - e->text);
        memmove(e->text, end + 1, e->have + 1);
    }
    if (e->have > sizeof e->text / 2) e->have = 0; /* no line of ours is so long */
    return true;
}

#endif
