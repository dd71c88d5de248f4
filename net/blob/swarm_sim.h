/* swarm_sim.h - nodes that fetch one blob from each other in virtual time, for test_swarm.c and bench_blob.c: uplinks of a given rate,
 * each sending its requests in turns of one group; downlinks without limit; one delay for all. */
#ifndef QN_NET_BLOB_SWARM_SIM_H
#define QN_NET_BLOB_SWARM_SIM_H

#include "core/base/heap.h"
#include "net/blob/swarm.h"

#include <stdlib.h>
#include <string.h>

#define SIM_NODES   16u
#define SIM_DRIP_US 2000000 /* a group each: of four requests none is silent for ten seconds */

enum sim_kind { SIM_FETCHES, SIM_SEEDS, SIM_LIES, SIM_SILENT, SIM_LEAVES, SIM_DRIPS };

struct sim_job { /* a request being served */
    bool used;
    uint32_t to, req, range, range_cnt;
    uint64_t at; /* within the range */
    struct blob_range ranges[BLOB_PIECE_GROUPS];
};

struct sim_node {
    struct sim *sim;
    uint32_t self;
    enum sim_kind kind;
    struct swarm *swarm;
    struct sim_job job[SIM_NODES * SWARM_DEPTH];
    uint32_t turn;
    bool sending, gone;
    uint64_t sent, done_us, woken_us;
};

enum sim_what { SIM_SENT, SIM_GROUP, SIM_END, SIM_HAVE, SIM_TURN, SIM_GONE };

struct sim_event {
    struct heap_when when; /* t in us */
    enum sim_what what;
    uint32_t node, from, req;
    uint64_t group;
};

struct sim {
    uint64_t size, delay_us, now_us, serial, group_us;
    uint32_t node_cnt, left;
    struct sim_node node[SIM_NODES];
    struct heap heap; /* of struct sim_event */
};

static void sim_put(struct sim *s, struct sim_event e)
{
    e.when.tie = s->serial++;
    heap_put(&s->heap, &e);
}

/* The uplink sends the next group of the next request. */
static void sim_send(struct sim_node *n)
{
    struct sim *s = n->sim;
    if (n->sending || n->gone || n->kind == SIM_SILENT) return;
    for (uint32_t i = 0; i < QN_COUNT(n->job); i++) {
        uint32_t k = (n->turn + i) % (uint32_t)QN_COUNT(n->job);
        struct sim_job *j = &n->job[k];
        if (!j->used) continue;
        const struct blob_range *r = &j->ranges[j->range];
        uint64_t group = r->first == BLOB_LAST ? blob_group_cnt(s->size) - 1 : r->first + j->at;
        uint64_t us = s->now_us + (n->kind == SIM_DRIPS ? SIM_DRIP_US : s->group_us);
        n->turn = k + 1;
        n->sending = true;
        n->sent++;
        sim_put(s, (struct sim_event){ { us, 0 }, SIM_SENT, n->self, 0, 0, 0 });
        sim_put(s, (struct sim_event){
                       { us + s->delay_us, 0 }, SIM_GROUP, j->to, n->self, j->req, group });
        if (++j->at == r->cnt) {
            j->at = 0;
            j->range++;
        }
        if (j->range == j->range_cnt) {
            j->used = false;
            sim_put(s, (struct sim_event){
                           { us + s->delay_us, 0 }, SIM_END, j->to, n->self, j->req, 0 });
        }
        return;
    }
}

/* A request travels with the delay too, folded into the answer's: it is queued at once and its groups come two delays later. */
static void sim_ask(void *self, uint32_t peer, uint32_t req, const struct blob_range *range,
                    uint32_t cnt)
{
    struct sim_node *n = self, *to = &n->sim->node[peer];
    for (uint32_t i = 0; i < QN_COUNT(to->job); i++) {
        struct sim_job *j = &to->job[i];
        if (j->used) continue;
        *j = (struct sim_job){ .used = true, .to = n->self, .req = req, .range_cnt = cnt };
        memcpy(j->ranges, range, cnt * sizeof *range);
        sim_send(to);
        return;
    }
}

static void sim_cancel(void *self, uint32_t peer, uint32_t req)
{
    struct sim_node *n = self, *to = &n->sim->node[peer];
    for (uint32_t i = 0; i < QN_COUNT(to->job); i++)
        if (to->job[i].used && to->job[i].to == n->self && to->job[i].req == req)
            to->job[i].used = false;
}

static void sim_piece(void *self, uint32_t piece)
{
    struct sim_node *n = self;
    for (uint32_t i = 0; i < n->sim->node_cnt; i++)
        if (i != n->self && n->sim->node[i].swarm)
            sim_put(n->sim,
                    (struct sim_event){
                        { n->sim->now_us + n->sim->delay_us, 0 }, SIM_HAVE, i, n->self, piece, 0 });
}

static void sim_turn(struct sim_node *n)
{
    struct sim *s = n->sim;
    if (!n->swarm || n->gone || n->done_us) return;
    uint64_t next = swarm_turn(n->swarm, s->now_us / 1000) * 1000;
    if (swarm_done(n->swarm)) {
        n->done_us = s->now_us;
        s->left--;
        return;
    }
    if (n->woken_us > s->now_us && n->woken_us <= next) return;
    n->woken_us = next;
    sim_put(s, (struct sim_event){ { next, 0 }, SIM_TURN, n->self, 0, 0, 0 });
}

/* sim_run lets nodes of these kinds (at least one seed) fetch a blob; false when one was not done in an hour of virtual time. */
static QN_UNUSED bool sim_run(struct sim *s, const enum sim_kind *kind, uint32_t cnt, uint64_t size,
                              uint64_t bytes_per_s, uint64_t delay_us, uint64_t seed)
{
    *s = (struct sim){ .size = size,
                       .heap.size = sizeof(struct sim_event),
                       .delay_us = delay_us,
                       .node_cnt = cnt,
                       .group_us = QN_GROUP * UINT64_C(1000000) / bytes_per_s };
    uint32_t pieces = blob_piece_cnt(size);
    uint8_t *full = calloc((pieces + 7) / 8, 1), *none = calloc((pieces + 7) / 8, 1);
    QN_ASSERT(full && none);
    for (uint32_t i = 0; i < pieces; i++)
        full[i / 8] |= (uint8_t)(1u << i % 8);
    for (uint32_t i = 0; i < cnt; i++) {
        struct sim_node *n = &s->node[i];
        *n = (struct sim_node){ .sim = s, .self = i, .kind = kind[i] };
        if (kind[i] == SIM_LEAVES)
            sim_put(s, (struct sim_event){ { 2000000, 0 }, SIM_GONE, i, 0, 0, 0 });
        if (kind[i] != SIM_FETCHES) continue;
        n->swarm = swarm_new(seed * 7919 + i * 104729 + 1, BLOB_SIZE_MAX,
                             (struct swarm_ops){ n, sim_ask, sim_cancel, sim_piece });
        s->left++;
    }
    for (uint32_t i = 0; i < cnt; i++)
        for (uint32_t k = 0; s->node[i].swarm && k < cnt; k++)
            if (k != i)
                swarm_source(s->node[i].swarm, k, size, kind[k] == SIM_FETCHES ? none : full);
    for (uint32_t i = 0; i < cnt; i++)
        sim_turn(&s->node[i]);
    while (s->left && s->heap.cnt && s->now_us < UINT64_C(3600000000)) {
        struct sim_event e;
        heap_pop(&s->heap, &e);
        struct sim_node *n = &s->node[e.node], *from = &s->node[e.from];
        s->now_us = e.when.t;
        switch (e.what) {
        case SIM_SENT:
            n->sending = false;
            sim_send(n);
            continue;
        case SIM_GROUP:
            if (from->kind == SIM_LIES)
                swarm_end(n->swarm, e.req, SWARM_BAD);
            else
                swarm_group(n->swarm, e.req, e.group, size);
            break;
        case SIM_END: swarm_end(n->swarm, e.req, SWARM_OK); break;
        case SIM_HAVE: QN_ASSERT(swarm_news(n->swarm, e.from, e.req)); break;
        case SIM_TURN: break;
        case SIM_GONE:
            n->gone = true;
            for (uint32_t i = 0; i < cnt; i++) {
                if (!s->node[i].swarm) continue;
                swarm_gone(s->node[i].swarm, e.node);
                sim_turn(&s->node[i]);
            }
            continue;
        }
        sim_turn(n);
    }
    free(full);
    free(none);
    return s->left == 0;
}

static QN_UNUSED void sim_free(struct sim *s)
{
    for (uint32_t i = 0; i < s->node_cnt; i++)
        swarm_free(s->node[i].swarm);
    heap_free(&s->heap);
}

#endif
