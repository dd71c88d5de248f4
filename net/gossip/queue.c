/* queue.c - what waits for a peer: control first, votes before all bodies, blocks and transactions by turns. A body is in a queue by
 * reference, so that hundreds of queues hold one copy, and what the peer turns out to have is passed over when its turn comes. */
#include "net/gossip/state.h"

#include <stdlib.h>
#include <string.h>

#define RING_MAX   8192u                  /* bodies a class */
#define QUANTUM    8192u                  /* bytes a turn of TX; BLOCK has twice */
#define SLOW_BELOW (GOSSIP_QUEUE_MAX / 2) /* a queue that fell so far is not full any more */

static void ring_put(struct ring *r, uint32_t ref)
{
    if (r->cnt == r->cap) {
        uint32_t cap = r->cap ? r->cap * 2 : 8;
        uint32_t *next = malloc(cap * sizeof *next);
        QN_ASSERT(next != NULL);
        for (uint32_t i = 0; i < r->cnt; i++)
            next[i] = r->ref[(r->at + i) % r->cap];
        free(r->ref);
        *r = (struct ring){ .ref = next, .cap = cap, .cnt = r->cnt };
    }
    r->ref[(r->at + r->cnt++) % r->cap] = ref;
}

static uint32_t ring_take(struct ring *r)
{
    uint32_t ref = r->ref[r->at];
    r->at = (r->at + 1) % r->cap;
    r->cnt--;
    return ref;
}

static void let_go(struct gossip *g, struct peer *p, uint32_t ref)
{
    struct message *m = message_at(g, ref);
    p->queued -= m->wire_len;
    gossip_message_unref(g, m);
}

static void drop_newest(struct gossip *g, struct peer *p, enum gossip_class class)
{
    struct ring *r = &p->queue[class];
    r->cnt--;
    let_go(g, p, r->ref[(r->at + r->cnt) % r->cap]);
    g->stats.dropped++;
}

static bool fits(const struct peer *p, enum gossip_class class, uint32_t len)
{
    return p->queue[class].cnt < RING_MAX &&
           (p->queued == 0 || p->queued + len <= GOSSIP_QUEUE_MAX);
}

/* Room for a body: transactions give way to blocks and both to votes, an old vote to a new one. */
static bool make_room(struct gossip *g, struct peer *p, enum gossip_class class, uint32_t len)
{
    while (!fits(p, class, len)) {
        if (p->full_ms == 0) p->full_ms = g->now_ms;
        if (class < GOSSIP_TX && p->queue[GOSSIP_TX].cnt)
            drop_newest(g, p, GOSSIP_TX);
        else if (class < GOSSIP_BLOCK && p->queue[GOSSIP_BLOCK].cnt)
            drop_newest(g, p, GOSSIP_BLOCK);
        else if (class == GOSSIP_VOTE && p->queue[class].cnt) {
            let_go(g, p, ring_take(&p->queue[class]));
            g->stats.dropped++;
        } else {
            g->stats.dropped++;
            return false;
        }
    }
    return true;
}

void gossip_queue_wake(struct gossip *g, struct peer *p)
{
    if (p->awake) return;
    p->awake = true;
    g->hooks.wake(g->hooks.self, p->number);
}

void gossip_queue_message(struct gossip *g, struct peer *p, struct message *m)
{
    if (peerset_has(&m->has, p->slot)) return;
    enum gossip_class class = g->topic[m->topic].class;
    if (!make_room(g, p, class, m->wire_len)) return;
    ring_put(&p->queue[class], m->idx);
    m->refs++;
    p->queued += m->wire_len;
    gossip_queue_wake(g, p);
}

bool gossip_queue_room(const struct peer *p, size_t n)
{
    return p->control_out.len + n <= CONTROL_MAX / 2;
}

/* Deficit round robin (Shreedhar and Varghese 1995): a body goes when its class saved up its length. */
static enum gossip_class turn(const struct gossip *g, struct peer *p)
{
    for (;;) {
        enum gossip_class class = p->turn_tx ? GOSSIP_TX : GOSSIP_BLOCK;
        const struct ring *r = &p->queue[class];
        if (p->deficit[p->turn_tx] >= message_at(g, r->ref[r->at])->wire_len) return class;
        p->turn_tx = !p->turn_tx;
        p->deficit[p->turn_tx] += p->turn_tx ? QUANTUM : 2 * QUANTUM;
    }
}

/* The next body's class, passing over what the peer has by now; false when there is none. */
static bool next_class(struct gossip *g, struct peer *p, enum gossip_class *ret)
{
    for (enum gossip_class c = GOSSIP_VOTE; c < GOSSIP_CLASS_CNT; c++)
        while (p->queue[c].cnt) {
            uint32_t ref = p->queue[c].ref[p->queue[c].at];
            if (!peerset_has(&message_at(g, ref)->has, p->slot)) break;
            let_go(g, p, ring_take(&p->queue[c]));
        }
    bool block = p->queue[GOSSIP_BLOCK].cnt > 0, tx = p->queue[GOSSIP_TX].cnt > 0;
    if (!block || !tx) p->deficit[0] = p->deficit[1] = 0;
    *ret = p->queue[GOSSIP_VOTE].cnt ? GOSSIP_VOTE
           : block && tx             ? turn(g, p)
           : block                   ? GOSSIP_BLOCK
                                     : GOSSIP_TX;
    return p->queue[*ret].cnt > 0;
}

static struct message *take_body(struct gossip *g, struct peer *p, enum gossip_class class)
{
    struct message *m = message_at(g, ring_take(&p->queue[class]));
    uint32_t *saved = &p->deficit[class == GOSSIP_TX];
    if (class != GOSSIP_VOTE) *saved -= QN_MIN(*saved, m->wire_len);
    peerset_add(&m->has, p->slot);
    p->queued -= m->wire_len;
    g->stats.message_out[class]++;
    return m;
}

bool gossip_pull(struct gossip *g, uint32_t number, struct qn_buf *out,
                 enum gossip_class *ret_class)
{
    struct peer *p = gossip_peer_get(g, number);
    if (!p) return false;
    struct message *body[64];
    uint32_t cnt = 0;
    size_t len = p->subs_out.len;
    struct qn_buf *head = &g->scratch;
    qn_buf_clear(head);
    if (p->control_out.len) {
        qn_buf_u8(head, 3 << 3 | 2);
        gossip_put_varint(head, p->control_out.len);
        len += head->len + p->control_out.len;
    }
    enum gossip_class class = GOSSIP_CONTROL, next;
    while (cnt < QN_COUNT(body) && next_class(g, p, &next)) {
        const struct message *m = message_at(g, p->queue[next].ref[p->queue[next].at]);
        if (cnt && (next != class || len + m->wire_len > RPC_AIM)) break;
        if (len + m->wire_len > GOSSIP_RPC_MAX)
            break; /* control of the fullest goes first, alone */
        class = next;
        len += m->wire_len;
        body[cnt++] = take_body(g, p, class);
    }
    if (p->queued < SLOW_BELOW) p->full_ms = 0;
    if (len == 0) {
        p->awake = false;
        return false;
    }
    size_t before = out->len;
    gossip_put_varint(out, len);
    qn_buf_span(out, qn_buf_get(&p->subs_out));
    qn_buf_span(out, qn_buf_get(head));
    qn_buf_span(out, qn_buf_get(&p->control_out));
    for (uint32_t i = 0; i < cnt; i++) {
        qn_buf_put(out, body[i]->wire, body[i]->wire_len);
        gossip_message_unref(g, body[i]);
    }
    qn_buf_clear(&p->subs_out);
    qn_buf_clear(&p->control_out);
    if (p->control_out.cap > 4096) qn_buf_free(&p->control_out);
    g->stats.rpc_out++;
    g->stats.bytes_out += out->len - before;
    *ret_class = class;
    return true;
}

void gossip_queue_free(struct gossip *g, struct peer *p)
{
    for (int c = 0; c < GOSSIP_CLASS_CNT; c++) {
        while (p->queue[c].cnt)
            let_go(g, p, ring_take(&p->queue[c]));
        free(p->queue[c].ref);
        p->queue[c] = (struct ring){ 0 };
    }
    qn_buf_free(&p->subs_out);
    qn_buf_free(&p->control_out);
}

void gossip_queue_beat(struct gossip *g, struct peer *p)
{
    if (p->dropped) return;
    bool slow = p->full_ms && g->now_ms - p->full_ms > SLOW_MS;
    bool stuffed = p->control_out.len > CONTROL_MAX; /* reads nothing, makes us answer */
    if (!slow && !stuffed) return;
    gossip_score_sin(g, p, SIN_OFFENCE);
    p->dropped = true;
    gossip_tell(g, GOSSIP_DROP, p, NONE);
}
