/* net.c - links between hosts. What is cast floods as gossip does: to everybody who is linked, and on from whoever held it valid. Certificates, which
 * go by the mesh alone, take each time about half of the links. */
#include "tests/sim/sim.h"

#include <stdlib.h>
#include <string.h>

#define LATE_US 5000000 /* a message that overtaking delays comes at most so much later */

void sim_msg_free(struct sim_msg *m)
{
    if (m && --m->refs == 0) free(m);
}

/* One message on its way to one host, if the link lets it. */
static void fly(struct sim_world *w, int from, int to, struct sim_msg *m)
{
    const struct sim_knobs *k = &w->k;
    struct sim_link *l = &w->link[from][to];
    if (l->cut || !l->up) return;
    if (w->faulty && k->loss_ppm && sim_chance(&w->rng, k->loss_ppm)) {
        w->res->struck[SIM_loss]++;
        return;
    }
    unsigned copies = w->faulty && k->copy_ppm && sim_chance(&w->rng, k->copy_ppm) ? 2 : 1;
    w->res->struck[SIM_copies] += copies - 1;
    uint64_t begin = w->now_us + w->host[from].busy_us;
    while (copies--) {
        uint64_t t = begin + l->delay_us + l->slow_us + sim_below(&w->rng, k->jitter_us + 1) +
                     (k->bytes_us ? m->len / k->bytes_us : 0);
        if (w->host[from].traits & TRAIT_LATE) {
            t += sim_below(&w->rng, LATE_US);
            w->res->struck[SIM_late]++;
        }
        if (w->faulty && k->late_ppm) {
            if (sim_chance(&w->rng, k->late_ppm)) {
                t += sim_below(&w->rng, LATE_US);
                w->res->struck[SIM_reorder]++;
            }
        } else {
            t = QN_MAX(t, l->last_us + 1);
            l->last_us = t;
        }
        m->refs++;
        if (m->cast) m->sent |= 1u << to;
        sim_push(w, (struct sim_event){ .when.t = t,
                                        .what = EV_DELIVER,
                                        .host = (uint8_t)to,
                                        .from = (uint8_t)from,
                                        .life = w->host[to].life,
                                        .msg = m });
    }
    w->res->messages++;
}

static void flood(struct sim_world *w, int from, struct sim_msg *m)
{
    for (int to = 0; to < (int)w->host_cnt; to++)
        if (to != from && !(m->seen >> to & 1) && !(m->sent >> to & 1) && w->host[to].r &&
            (m->class != QN_CLASS_CERT || sim_draw(&w->rng) % 2))
            fly(w, from, to, m);
}

void sim_net_say(struct sim_world *w, int from, int to, bool cast, uint8_t class,
                 struct qn_span bytes)
{
    struct sim_msg *m = malloc(sizeof *m + bytes.len);
    QN_ASSERT(m != NULL && bytes.len <= QN_MESSAGE_MAX);
    *m = (struct sim_msg){ .refs = 1,
                           .len = (uint32_t)bytes.len,
                           .class = class,
                           .from = (uint8_t)from,
                           .cast = cast,
                           .seen = 1u << from };
    memcpy(m->bytes, bytes.ptr, bytes.len);
    if (w->k.faults >> SIM_garbage & 1 && bytes.len < 65536 && sim_chance(&w->rng, 20000)) {
        struct sim_msg **slot = &w->old[w->old_cnt++ % QN_COUNT(w->old)];
        sim_msg_free(*slot);
        *slot = m;
        m->refs++;
    }
    if (cast)
        flood(w, from, m);
    else if (w->host[to].r)
        fly(w, from, to, m);
    sim_msg_free(m);
}

void sim_net_deliver(struct sim_world *w, struct sim_event *e)
{
    struct sim_host *h = &w->host[e->host];
    struct sim_msg *m = e->msg;
    struct qn_why why = { "" };
    if (!h->r || h->life != e->life || (m->cast && (m->seen >> e->host & 1))) return;
    if (!w->link[e->from][e->host].up) return; /* the connection broke meanwhile */
    if (m->cast) m->seen |= 1u << e->host;
    if (h->traits & TRAIT_FORGE) sim_traitor_hears(w, h, m);
    if ((h->traits & TRAIT_CENSOR) &&
        (m->class == QN_CLASS_TX ||
         ((m->class == QN_CLASS_VOTE || m->class == QN_CLASS_CERT) && sim_chance(&h->rng, 500000))))
        return;
    sim_begin(h);
    enum qn_verdict v = qn_replica_recv(h->r, e->from + 1u, QN_SPAN(m->bytes, m->len), &why);
    bool relay = v == QN_ACCEPT && m->cast && !(h->traits & TRAIT_CENSOR);
    if (v == QN_REJECT) sim_trace(w, "host %d refuses what %d sent: %s", h->idx, e->from, why.text);
    bool blocks = !m->cast && m->bytes[0] == 8;
    if (v == QN_REJECT && (m->cast || blocks) && sim_honest(&w->host[m->from]) && sim_honest(h))
        sim_wrong(w, "host %d refuses what honest host %d said: %s", h->idx, m->from, why.text);
    if (relay && !h->disk.dead) flood(w, h->idx, m);
    sim_wake(h, w->now_us + w->k.turn_us);
    sim_end(h);
}

/* --- who knows of whom ----------------------------------------------------------------------------------------------------- */

static void peer_later(struct sim_world *w, int at, int peer, bool up, uint64_t us)
{
    sim_push(w, (struct sim_event){ .when.t = w->now_us + us,
                                    .what = EV_PEER,
                                    .host = (uint8_t)at,
                                    .from = (uint8_t)peer,
                                    .fault = up,
                                    .life = w->host[at].life });
}

static bool linked(const struct sim_world *w, int a, int b)
{
    return w->host[a].r && w->host[b].r && !w->link[a][b].cut && !w->link[b][a].cut;
}

/* A connection is made: both ends hear of it, the dialling one first. */
static void dial(struct sim_world *w, int a, int b)
{
    if (a == b || w->link[a][b].up || !linked(w, a, b)) return;
    w->link[a][b].up = w->link[b][a].up = true;
    uint64_t us = 2 * w->link[a][b].delay_us + 1000;
    peer_later(w, a, b, true, us);
    peer_later(w, b, a, true, us + w->link[a][b].delay_us);
}

static void hang_up(struct sim_world *w, int a, int b, uint64_t us)
{
    if (!w->link[a][b].up) return;
    w->link[a][b].up = w->link[b][a].up = false;
    if (w->host[a].r) peer_later(w, a, b, false, us);
    if (w->host[b].r) peer_later(w, b, a, false, us + sim_below(&w->rng, 500000));
}

void sim_net_peer(struct sim_world *w, const struct sim_event *e)
{
    struct sim_host *h = &w->host[e->host];
    if (!h->r || h->life != e->life) return;
    if (e->fault != w->link[e->host][e->from].up) return; /* over before it was noticed */
    sim_begin(h);
    if (e->fault)
        qn_replica_peer(h->r, e->from + 1u, false); /* the connection before it, if any, is gone */
    qn_replica_peer(h->r, e->from + 1u, e->fault);
    sim_wake(h, w->now_us + w->k.turn_us);
    sim_end(h);
}

void sim_net_up(struct sim_world *w, int host)
{
    for (int k = 0; k < (int)w->host_cnt; k++)
        dial(w, host, k);
}

void sim_net_down(struct sim_world *w, int host)
{
    for (int k = 0; k < (int)w->host_cnt; k++)
        if (k != host) hang_up(w, host, k, 1000 + sim_below(&w->rng, 300000));
}

void sim_net_cut(struct sim_world *w, int a, int b, bool cut)
{
    if (a == b || w->link[a][b].cut == cut) return;
    w->link[a][b].cut = cut;
    if (!cut)
        dial(w, a, b);
    else if (sim_draw(&w->rng) % 2) /* noticed, by a reset or at length; or never */
        hang_up(w, a, b, sim_below(&w->rng, 8000000));
}

void sim_net_heal(struct sim_world *w)
{
    for (int a = 0; a < (int)w->host_cnt; a++)
        for (int b = 0; b < (int)w->host_cnt; b++) {
            struct sim_link *l = &w->link[a][b];
            l->cut = false;
            if (w->k.faults >> SIM_minutes & 1)
                l->slow_us = 0, l->last_us = 0; /* what is under way still comes */
        }
    for (int a = 0; a < (int)w->host_cnt; a++)
        sim_net_up(w, a);
}

void sim_net_init(struct sim_world *w)
{
    for (int a = 0; a < (int)w->host_cnt; a++)
        for (int b = 0; b < a; b++) {
            uint32_t us = w->k.delay_us / 2 + (uint32_t)sim_below(&w->rng, w->k.delay_us + 1);
            w->link[a][b].delay_us = w->link[b][a].delay_us = QN_MAX(us, 20u);
        }
}
