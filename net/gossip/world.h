/* world.h - for tests and benches: many gossip machines in one process and virtual time. Nodes lie on a square; a message travels 5 ms and
 * 134 ms a unit of distance (5 to 195 ms one way, mean 75, p99 about 150), after it left through its sender's uplink, one RPC at a time.
 * Everything follows from the seed. */
#ifndef QN_NET_GOSSIP_WORLD_H
#define QN_NET_GOSSIP_WORLD_H

#include "core/base/heap.h"
#include "net/gossip/gossip.h"

#include <stdlib.h>
#include <string.h>

#define WORLD_LINKS 96 /* peers a node at most */

enum world_kind { WORLD_TURN, WORLD_ARRIVE, WORLD_UPLINK, WORLD_VERDICT };

struct world_event {
    struct heap_when when; /* t in us */
    enum world_kind kind;
    uint32_t node, peer;
    uint64_t handle;
    struct qn_buf bytes;
};

enum world_role {
    WORLD_HONEST,
    WORLD_SILENT, /* subscribes, grafts, takes, never passes on */
    WORLD_COVERT, /* does all that the honest do, until the test gives it another role */
    WORLD_CENSOR, /* the same, but for what `victim` says: that it never passes on */
    WORLD_LIAR /* silent, and each beat announces what is not, grafts what it was refused, sends rubbish */
};

struct world_link {
    uint32_t peer;
    bool outbound, waits;
    uint64_t delay_us, last_us; /* last_us: when what was sent last arrives; streams keep order */
    uint64_t born;              /* what was on its way before is of a connection that is gone */
};

struct world;
struct world_node {
    struct world *world;
    struct gossip *gossip;
    enum world_role role;
    uint32_t idx, link_cnt, next_link;
    struct world_link link[WORLD_LINKS];
    double x, y;
    uint32_t slow, far; /* times: a narrower uplink, a longer way to everybody; 0: as others */
    bool busy;          /* uplink */
    uint64_t turn_us, got_cnt;
};

struct world {
    struct world_node *node;
    uint32_t cnt, topic, victim;
    uint64_t now_us, order, rng, uplink_bps, validate_us, bytes, events;
    struct heap heap; /* of struct world_event */
    /* Of messages numbered by their first 4 bytes: when they left, and who got them when (us after, 0: not). */
    uint32_t message_cnt, message_max, message_len;
    uint64_t *left_us;
    uint32_t *origin;
    uint32_t *took_us;
    uint32_t drops;
    int64_t honest_min; /* lowest score an honest node gave an honest one, thousandths */
};

static inline uint64_t world_rand(struct world *w)
{
    uint64_t z = (w->rng += 0x9e3779b97f4a7c15u); /* splitmix64 */
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static inline void world_push(struct world *w, struct world_event e)
{
    e.when.tie = w->order++;
    heap_put(&w->heap, &e);
}

static inline struct world_link *world_link(struct world_node *n, uint32_t peer)
{
    for (uint32_t i = 0; i < n->link_cnt; i++)
        if (n->link[i].peer == peer) return &n->link[i];
    return NULL;
}

/* The uplink takes the next RPC of the links that wait, in turns. */
static inline void world_uplink(struct world *w, struct world_node *n)
{
    struct qn_buf out = { 0 };
    enum gossip_class class;
    for (uint32_t i = 0; i < n->link_cnt && !n->busy; i++) {
        struct world_link *l = &n->link[(n->next_link + i) % n->link_cnt];
        if (!l->waits) continue;
        if (!gossip_pull(n->gossip, l->peer, &out, &class)) {
            l->waits = false;
            continue;
        }
        n->next_link = (n->next_link + i + 1) % n->link_cnt;
        n->busy = true;
        w->bytes += out.len;
        uint64_t sent_us =
            w->now_us + (out.len + 80) * 8 * 1000000 * QN_MAX(n->slow, 1u) / w->uplink_bps;
        l->last_us = QN_MAX(l->last_us, sent_us + l->delay_us);
        world_push(w, (struct world_event){ .when.t = l->last_us,
                                            .kind = WORLD_ARRIVE,
                                            .node = l->peer,
                                            .peer = n->idx,
                                            .bytes = out });
        world_push(w,
                   (struct world_event){ .when.t = sent_us, .kind = WORLD_UPLINK, .node = n->idx });
        return;
    }
    qn_buf_free(&out);
}

static inline void world_wake(void *self, uint32_t peer)
{
    struct world_node *n = self;
    struct world_link *l = world_link(n, peer);
    if (!l || l->waits) return;
    l->waits = true;
    if (!n->busy) { /* not from inside the machine: on a later turn of this same moment */
        n->busy = true;
        world_push(n->world, (struct world_event){ .when.t = n->world->now_us,
                                                   .kind = WORLD_UPLINK,
                                                   .node = n->idx });
    }
}

static inline enum gossip_verdict world_deliver(void *self, uint32_t topic, uint32_t peer,
                                                uint64_t handle, struct qn_span data)
{
    struct world_node *n = self;
    struct world *w = n->world;
    (void)topic, (void)peer;
    uint32_t number;
    if (!qn_take_u32(&data, &number) || number >= w->message_cnt) return GOSSIP_REJECT;
    uint32_t *took = &w->took_us[(size_t)number * w->cnt + n->idx];
    QN_ASSERT(*took == 0); /* never twice */
    *took = (uint32_t)QN_MAX(w->now_us - w->left_us[number], (uint64_t)1);
    n->got_cnt++;
    if (n->role == WORLD_SILENT || n->role == WORLD_LIAR ||
        (n->role == WORLD_CENSOR && w->origin[number] == w->victim))
        return GOSSIP_IGNORE;
    world_push(w, (struct world_event){ .when.t = w->now_us + w->validate_us,
                                        .kind = WORLD_VERDICT,
                                        .node = n->idx,
                                        .handle = handle });
    return GOSSIP_LATER;
}

static inline void world_event_hook(void *self, enum gossip_event event, uint32_t peer,
                                    uint32_t topic)
{
    struct world_node *n = self;
    (void)topic;
    if ((event == GOSSIP_DROP || event == GOSSIP_BAD) && n->role == WORLD_HONEST &&
        n->world->node[peer].role == WORLD_HONEST)
        n->world->drops++;
}

static inline void world_turn(struct world *w, struct world_node *n)
{
    uint64_t next_us = gossip_turn(n->gossip, w->now_us / 1000) * 1000;
    if (next_us >= n->turn_us && n->turn_us > w->now_us) return;
    n->turn_us = next_us;
    world_push(w, (struct world_event){ .when.t = next_us, .kind = WORLD_TURN, .node = n->idx });
}

static inline double world_sqrt(double x) /* no libm here: Newton from above */
{
    double r = 1.5;
    for (int i = 0; i < 40; i++)
        r = (r + x / r) / 2;
    return r;
}

static inline void world_connect(struct world *w, uint32_t a, uint32_t b)
{
    struct world_node *x = &w->node[a], *y = &w->node[b];
    if (a == b || world_link(x, b) || x->link_cnt == WORLD_LINKS || y->link_cnt == WORLD_LINKS)
        return;
    double dx = x->x - y->x, dy = x->y - y->y;
    uint64_t delay_us = 5000 + (uint64_t)(134000 * world_sqrt(dx * dx + dy * dy + 1e-12));
    delay_us *= QN_MAX(QN_MAX(x->far, y->far), 1u);
    struct world_link l = { .peer = b, .outbound = true, .delay_us = delay_us, .born = w->order };
    x->link[x->link_cnt++] = l;
    l.peer = a;
    l.outbound = false;
    y->link[y->link_cnt++] = l;
    struct gossip_peer_conf conf = { .id = QN_SPAN_OF(b), .outbound = true, .speaks_12 = true };
    qn_rc rc = gossip_peer_up(x->gossip, b, &conf);
    conf = (struct gossip_peer_conf){ .id = QN_SPAN_OF(a), .speaks_12 = true };
    rc = rc ? rc : gossip_peer_up(y->gossip, a, &conf);
    QN_ASSERT(rc == QN_OK);
}

static inline void world_unlink(struct world_node *n, uint32_t peer)
{
    struct world_link *l = world_link(n, peer);
    if (!l) return;
    gossip_peer_down(n->gossip, peer);
    *l = n->link[--n->link_cnt];
    n->next_link = 0;
}

/* world_cut ends a connection, for both at once; what was on its way is lost. */
static inline void world_cut(struct world *w, uint32_t a, uint32_t b)
{
    world_unlink(&w->node[a], b);
    world_unlink(&w->node[b], a);
}

/* world_new makes cnt nodes of which the last bad_cnt have role bad; each dials `dials` others. */
static inline void world_new(struct world *w, uint64_t seed, uint32_t cnt, uint32_t dials,
                             uint32_t bad_cnt, enum world_role bad, uint32_t message_max,
                             bool no_sampling)
{
    *w = (struct world){ .cnt = cnt,
                         .heap.size = sizeof(struct world_event),
                         .rng = seed,
                         .uplink_bps = 100000000,
                         .validate_us = 2000,
                         .now_us = 1000000,
                         .message_max = message_max,
                         .message_len = 1024,
                         .honest_min = INT64_MAX };
    w->node = calloc(cnt, sizeof *w->node);
    w->left_us = calloc(message_max, sizeof *w->left_us);
    w->origin = calloc(message_max, sizeof *w->origin);
    w->took_us = calloc((size_t)message_max * cnt, sizeof *w->took_us);
    QN_ASSERT(w->node && w->left_us && w->origin && w->took_us);
    for (uint32_t i = 0; i < cnt; i++) {
        struct world_node *n = &w->node[i];
        *n = (struct world_node){ .world = w,
                                  .idx = i,
                                  .role = i + bad_cnt >= cnt ? bad : WORLD_HONEST };
        n->x = (double)(world_rand(w) >> 40) / (1 << 24);
        n->y = (double)(world_rand(w) >> 40) / (1 << 24);
        struct gossip_conf conf = { .hooks = { n, world_deliver, world_wake, world_event_hook, NULL,
                                               NULL },
                                    .topic_cnt = 2,
                                    .no_sampling = no_sampling };
        uint64_t chance = world_rand(w);
        memcpy(conf.seed, &chance, sizeof chance);
        n->gossip = gossip_new(&conf, w->now_us / 1000);
        struct gossip_topic_conf topic = {
            .name = "tx", .bytes_max = GOSSIP_DATA_MAX, .class = GOSSIP_TX, .weight_milli = 1000
        };
        qn_rc rc = gossip_topic_add(n->gossip, &topic, &w->topic);
        QN_ASSERT(rc == QN_OK);
    }
    for (uint32_t i = 0; i < cnt; i++)
        for (uint32_t k = 0; k < dials; k++)
            world_connect(w, i, (uint32_t)(world_rand(w) % cnt));
    for (uint32_t i = 0; i < cnt; i++)
        world_turn(w, &w->node[i]);
}

static inline void world_free(struct world *w)
{
    for (uint32_t i = 0; i < w->cnt; i++)
        gossip_free(w->node[i].gossip);
    for (size_t i = 0; i < w->heap.cnt; i++)
        qn_buf_free(&((struct world_event *)heap_at(&w->heap, i))->bytes);
    heap_free(&w->heap);
    free(w->node);
    free(w->left_us);
    free(w->origin);
    free(w->took_us);
}

/* What a liar sends to one peer each time it is called: a bogus IHAVE, an early GRAFT, a body nobody accepts. */
static inline void world_lie(struct world *w, struct world_node *n)
{
    if (n->link_cnt == 0) return;
    struct world_link *l = &n->link[world_rand(w) % n->link_cnt];
    const char *topic = gossip_topic_wire(n->gossip, w->topic);
    struct qn_buf control = { 0 }, rpc = { 0 }, frame = { 0 };
    uint64_t id[GOSSIP_ID_LEN / 4] = { 0 };
    for (int i = 0; i < 3; i++)
        id[i] = world_rand(w);
    uint8_t *p = qn_buf_grow(&control, 0);
    (void)p;
    /* ihave { topic, id }, graft { topic }: written by hand, lengths below 128 */
    uint8_t topic_len = (uint8_t)strlen(topic);
    qn_buf_put(&control, (uint8_t[]){ 0x0a, (uint8_t)(topic_len + 24), 0x0a, topic_len }, 4);
    qn_buf_str(&control, topic);
    qn_buf_put(&control, (uint8_t[]){ 0x12, GOSSIP_ID_LEN }, 2);
    qn_buf_put(&control, id, GOSSIP_ID_LEN);
    qn_buf_put(&control, (uint8_t[]){ 0x1a, (uint8_t)(topic_len + 2), 0x0a, topic_len }, 4);
    qn_buf_str(&control, topic);
    if (world_rand(w) % 8 == 0) { /* message { data 4 bytes of no known number, topic } */
        qn_buf_put(&rpc, (uint8_t[]){ 0x12, (uint8_t)(topic_len + 8), 0x12, 4 }, 4);
        qn_buf_u32(&rpc, (uint32_t)world_rand(w) | 1u << 31);
        qn_buf_put(&rpc, (uint8_t[]){ 0x22, topic_len }, 2);
        qn_buf_str(&rpc, topic);
    }
    qn_buf_put(&rpc, (uint8_t[]){ 0x1a, (uint8_t)(control.len) }, 2);
    QN_ASSERT(control.len < 128 && rpc.len + control.len < 1 << 14);
    qn_buf_span(&rpc, qn_buf_get(&control));
    qn_buf_put(&frame, (uint8_t[]){ (uint8_t)(rpc.len | 128), (uint8_t)(rpc.len >> 7) }, 2);
    qn_buf_span(&frame, qn_buf_get(&rpc));
    qn_buf_free(&rpc);
    qn_buf_free(&control);
    l->last_us = QN_MAX(l->last_us, w->now_us + l->delay_us);
    world_push(w, (struct world_event){ .when.t = l->last_us,
                                        .kind = WORLD_ARRIVE,
                                        .node = l->peer,
                                        .peer = n->idx,
                                        .bytes = frame });
}

static inline void world_step(struct world *w)
{
    struct world_event e;
    heap_pop(&w->heap, &e);
    QN_ASSERT(e.when.t >= w->now_us);
    w->now_us = e.when.t;
    w->events++;
    struct world_node *n = &w->node[e.node];
    switch (e.kind) {
    case WORLD_TURN:
        if (e.when.t == n->turn_us) {
            world_turn(w, n);
            if (n->role == WORLD_LIAR) world_lie(w, n);
        }
        return;
    case WORLD_ARRIVE: {
        struct world_link *l = world_link(n, e.peer);
        if (!l || e.when.tie < l->born) {
            qn_buf_free(&e.bytes);
            return;
        }
        (void)gossip_turn(n->gossip, w->now_us / 1000);
        qn_rc rc = gossip_recv(n->gossip, e.peer, qn_buf_get(&e.bytes));
        QN_ASSERT(rc == QN_OK);
        qn_buf_free(&e.bytes);
        world_turn(w, n);
        return;
    }
    case WORLD_UPLINK:
        n->busy = false;
        world_uplink(w, n);
        return;
    case WORLD_VERDICT:
        (void)gossip_turn(n->gossip, w->now_us / 1000);
        gossip_verdict(n->gossip, e.handle, GOSSIP_ACCEPT);
        world_turn(w, n);
        return;
    }
}

static inline void world_run(struct world *w, uint64_t ms)
{
    uint64_t end_us = w->now_us + ms * 1000;
    while (heap_due(&w->heap, end_us))
        world_step(w);
    w->now_us = end_us;
}

/* world_publish_from has a node send the next message. */
static inline void world_publish_from(struct world *w, uint32_t from)
{
    QN_ASSERT(w->message_cnt < w->message_max);
    uint32_t number = w->message_cnt++;
    struct world_node *n = &w->node[from];
    w->left_us[number] = w->now_us;
    w->origin[number] = from;
    w->took_us[(size_t)number * w->cnt + from] = 1;
    struct qn_buf data = { 0 };
    qn_buf_u32(&data, number);
    while (data.len < w->message_len)
        qn_buf_u64(&data, world_rand(w));
    (void)gossip_turn(n->gossip, w->now_us / 1000);
    qn_rc rc = gossip_publish(n->gossip, w->topic, qn_buf_get(&data));
    QN_ASSERT(rc == QN_OK);
    qn_buf_free(&data);
    world_turn(w, n);
}

/* world_publish has an honest node, by chance, do so. */
static inline void world_publish(struct world *w)
{
    uint32_t from = (uint32_t)(world_rand(w) % w->cnt);
    while (w->node[from].role != WORLD_HONEST)
        from = (from + 1) % w->cnt;
    world_publish_from(w, from);
}

static inline int world_u32_cmp(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

struct world_result {
    double p50_ms, p99_ms, max_ms,
        copies;       /* copies: bodies received for each new one, honest nodes */
    uint64_t missing; /* pairs of message and honest node without delivery */
};

static inline struct world_result world_result(struct world *w, uint32_t from_message)
{
    struct world_result r = { 0 };
    uint32_t *all = malloc(((size_t)w->message_max * w->cnt + 1) * sizeof *all);
    QN_ASSERT(all != NULL);
    size_t cnt = 0;
    uint64_t in = 0, fresh = 0;
    for (uint32_t i = 0; i < w->cnt; i++) {
        if (w->node[i].role != WORLD_HONEST) continue;
        in += gossip_stats(w->node[i].gossip)->message_in;
        fresh += gossip_stats(w->node[i].gossip)->delivered;
        for (uint32_t m = from_message; m < w->message_cnt; m++) {
            uint32_t took = w->took_us[(size_t)m * w->cnt + i];
            if (w->origin[m] == i) continue;
            if (took)
                all[cnt++] = took;
            else
                r.missing++;
        }
    }
    qsort(all, cnt, sizeof *all, world_u32_cmp);
    if (cnt) {
        r.p50_ms = all[cnt / 2] / 1000.0;
        r.p99_ms = all[cnt - 1 - cnt / 100] / 1000.0;
        r.max_ms = all[cnt - 1] / 1000.0;
    }
    r.copies = fresh ? (double)in / (double)fresh : 0;
    free(all);
    return r;
}

/* world_scores notes the lowest score between honest nodes, and returns how many pairs are below 0. */
static inline uint32_t world_scores(struct world *w)
{
    uint32_t below = 0;
    for (uint32_t i = 0; i < w->cnt; i++) {
        struct world_node *n = &w->node[i];
        for (uint32_t k = 0; n->role == WORLD_HONEST && k < n->link_cnt; k++) {
            struct gossip_peer_info info;
            if (w->node[n->link[k].peer].role != WORLD_HONEST ||
                !gossip_peer_info(n->gossip, n->link[k].peer, &info))
                continue;
            w->honest_min = QN_MIN(w->honest_min, info.score_milli);
            below += info.score_milli < 0;
        }
    }
    return below;
}

#endif
