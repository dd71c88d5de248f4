/* want.c - repair and thrift: IHAVE to some who are not in the mesh, IWANT for what they announce, IDONTWANT to who need not send. */
#include "net/gossip/state.h"

#include <stdlib.h>
#include <string.h>

static uint64_t pair_key(const struct gossip *g, const struct peer *p, const uint8_t *id)
{
    return gossip_key(g, 0, p->key, id, GOSSIP_ID_LEN);
}

static uint64_t want_key(const struct gossip *g, const uint8_t *id)
{
    return gossip_key(g, 0, 0, id, GOSSIP_ID_LEN);
}

/* One id of each request is a promise: it comes within 3 s, from whomever, or who announced it is noted. */
static void promise(struct gossip *g, const struct peer *p, const uint8_t *ids, uint32_t cnt)
{
    if (!g->promise) g->promise = calloc(PROMISE_CNT, sizeof *g->promise);
    QN_ASSERT(g->promise != NULL);
    if (g->promise_cnt == PROMISE_CNT) return;
    const uint8_t *id = ids + (size_t)gossip_draw(g, cnt) * GOSSIP_ID_LEN;
    g->promise[g->promise_cnt++] = (struct promise){ .due_ms = g->now_ms + PROMISE_MS,
                                                     .key = want_key(g, id),
                                                     .peer = p->number };
}

void gossip_want_arrived(struct gossip *g, const uint8_t *id)
{
    if (g->promise_cnt == 0) return;
    uint64_t key = want_key(g, id);
    for (uint32_t i = 0; i < g->promise_cnt;) {
        if (g->promise[i].key == key)
            g->promise[i] = g->promise[--g->promise_cnt];
        else
            i++;
    }
}

void gossip_want_ihave(struct gossip *g, struct peer *p, struct topic *t, struct qn_span fields)
{
    if (p->ihave_rpc > IHAVE_RPC_MAX || p->score < LINE_GOSSIP || !t->on) {
        g->stats.over_budget += p->ihave_rpc > IHAVE_RPC_MAX;
        return;
    }
    struct qn_buf ids = { 0 };
    struct qn_span id;
    while (gossip_rpc_id(GOSSIP_PART_IHAVE, &fields, &id)) {
        if (id.len != GOSSIP_ID_LEN) continue;
        if (p->ihave_ids >= IHAVE_ID_MAX) {
            g->stats.over_budget++;
            break;
        }
        p->ihave_ids++;
        g->stats.ihave_in++;
        struct message *m;
        uint64_t key;
        bool seen = gossip_seen(g, id.ptr, &key, &m);
        if (m) peerset_add(&m->has, p->slot);
        if (seen) continue;
        key = want_key(g, id.ptr);
        if (gossip_tally_get(&g->asked, key) >= IWANT_ASKS) continue;
        if (!gossip_queue_room(p, ids.len + 2 * GOSSIP_ID_LEN)) break;
        if (!gossip_tally_add(&g->asked, key)) break;
        qn_buf_put(&ids, id.ptr, GOSSIP_ID_LEN);
    }
    uint32_t cnt = (uint32_t)(ids.len / GOSSIP_ID_LEN);
    if (cnt) {
        gossip_put_ids(&p->control_out, GOSSIP_PART_IWANT, NULL, ids.ptr, cnt);
        promise(g, p, ids.ptr, cnt);
        g->stats.iwant_out += cnt;
        gossip_queue_wake(g, p);
    }
    qn_buf_free(&ids);
}

void gossip_want_iwant(struct gossip *g, struct peer *p, struct qn_span fields)
{
    struct qn_span id;
    while (gossip_rpc_id(GOSSIP_PART_IWANT, &fields, &id)) {
        if (p->iwant_ids >= IWANT_ID_MAX || p->score < LINE_GOSSIP) {
            g->stats.over_budget++;
            return;
        }
        p->iwant_ids++;
        g->stats.iwant_in++;
        if (id.len != GOSSIP_ID_LEN) continue;
        struct message *m = gossip_find_id(g, id.ptr);
        if (!m || m->state != MESSAGE_ACCEPTED) continue;
        if (p->iwant_bytes + m->wire_len > IWANT_BYTES && p->iwant_bytes > 0) {
            g->stats.over_budget++;
            continue; /* what was announced comes again next beat, or from others */
        }
        uint64_t key = pair_key(g, p, id.ptr);
        if (gossip_tally_get(&g->answered, key) >= IWANT_ANSWERS) continue;
        if (!gossip_tally_add(&g->answered, key)) continue;
        p->iwant_bytes += m->wire_len;
        peerset_del(&m->has, p->slot);
        gossip_queue_message(g, p, m);
    }
}

void gossip_want_idontwant(struct gossip *g, struct peer *p, struct qn_span fields)
{
    if (p->dontwant_msg >= DONTWANT_MSG_MAX) {
        g->stats.over_budget++;
        return;
    }
    p->dontwant_msg++;
    struct qn_span id;
    for (uint32_t i = 0; i < DONTWANT_IDS; i++) {
        if (!gossip_rpc_id(GOSSIP_PART_IDONTWANT, &fields, &id)) return;
        if (id.len != GOSSIP_ID_LEN) continue;
        g->stats.idontwant_in++;
        struct message *m = gossip_find_id(g, id.ptr);
        if (m)
            peerset_add(&m->has, p->slot); /* its queue passes over it */
        else if (p->dontwant_kept < DONTWANT_PEER &&
                 gossip_tally_add(&g->dontwant, pair_key(g, p, id.ptr)))
            p->dontwant_kept++;
    }
}

bool gossip_want_not(const struct gossip *g, const struct peer *p, const struct message *m)
{
    return (g->dontwant.gen[0].cnt || g->dontwant.gen[1].cnt) &&
           gossip_tally_get(&g->dontwant, pair_key(g, p, m->id)) > 0;
}

void gossip_want_tell_not(struct gossip *g, struct message *m)
{
    const struct topic *t = &g->topic[m->topic];
    if (m->data_len < DONTWANT_LEN) return;
    for (uint32_t w = 0; w < QN_COUNT(t->mesh.w); w++)
        for (uint64_t bits = t->mesh.w[w] & ~m->has.w[w]; bits; bits &= bits - 1) {
            struct peer *p = g->peer[w * 64 + (uint32_t)__builtin_ctzll(bits)];
            if (!p->speaks_12 || gossip_withheld(g, m, p) ||
                !gossip_queue_room(p, 2 * GOSSIP_ID_LEN))
                continue;
            gossip_put_ids(&p->control_out, GOSSIP_PART_IDONTWANT, NULL, m->id, 1);
            g->stats.idontwant_out++;
            gossip_queue_wake(g, p);
        }
}

/* IHAVE of the last windows to some outside the mesh: what they are known to have, and what is being withheld from them, left out. */
static void announce_to(struct gossip *g, struct topic *t, struct peer *p, const uint32_t *all,
                        uint32_t cnt)
{
    struct qn_buf ids = { 0 };
    for (uint32_t i = 0; i < cnt && ids.len < IHAVE_ID_MAX * GOSSIP_ID_LEN; i++) {
        const struct message *m = message_at(g, all[i]);
        if (peerset_has(&m->has, p->slot)) continue;
        if (!gossip_queue_room(p, ids.len + ids.len / 8 + 256)) break;
        qn_buf_put(&ids, m->id, GOSSIP_ID_LEN);
    }
    if (ids.len) {
        gossip_put_ids(&p->control_out, GOSSIP_PART_IHAVE, t->wire, ids.ptr,
                       ids.len / GOSSIP_ID_LEN);
        g->stats.ihave_out += ids.len / GOSSIP_ID_LEN;
        gossip_queue_wake(g, p);
    }
    qn_buf_free(&ids);
}

void gossip_want_announce(struct gossip *g, struct topic *t)
{
    if (!t->on && t->fanout_ms == 0) return;
    uint32_t cnt = 0, cap = 0, *all = NULL, slot[GOSSIP_PEER_CNT];
    for (uint32_t at = g->cache.tail; at != NONE; at = message_at(g, at)->prev) {
        const struct message *m = message_at(g, at);
        if (m->beat + WINDOW_GOSSIP <= g->beat) break;
        if (m->state != MESSAGE_ACCEPTED || m->topic != topic_idx(g, t)) continue;
        if (cnt == cap) {
            cap = cap ? cap * 2 : 64;
            all = realloc(all, cap * sizeof *all);
            QN_ASSERT(all != NULL);
        }
        all[cnt++] = at;
    }
    if (cnt) {
        const struct peerset *mesh = t->on ? &t->mesh : &t->fanout;
        uint32_t peers = gossip_pick(g, t, mesh, false, LINE_GOSSIP, GOSSIP_PEER_CNT, slot);
        peers = QN_MIN(peers, QN_MAX(GOSSIP_LAZY, peers / 4));
        for (uint32_t i = 0; i < peers; i++) {
            if (cnt > IHAVE_ID_MAX) gossip_shuffle(g, all, cnt); /* each hears of other ones */
            announce_to(g, t, g->peer[slot[i]], all, cnt);
        }
    }
    free(all);
}

void gossip_want_beat(struct gossip *g)
{
    for (uint32_t i = 0; i < g->promise_cnt;) {
        struct promise *w = &g->promise[i];
        if (w->due_ms > g->now_ms) {
            i++;
            continue;
        }
        struct peer *p = gossip_peer_get(g, w->peer);
        if (p) gossip_score_sin(g, p, SIN_OFFENCE);
        *w = g->promise[--g->promise_cnt];
    }
    bool third = g->beat % DONTWANT_BEATS == 0;
    if (third) gossip_tally_swap(&g->dontwant);
    if (g->beat % WINDOW_CNT == 0) gossip_tally_swap(&g->answered);
    if (g->beat % 2 == 0) gossip_tally_swap(&g->asked);
    for (uint32_t i = 0; i < g->slot_high; i++) {
        struct peer *p = g->peer[i];
        if (!p) continue;
        p->ihave_rpc = p->ihave_ids = p->iwant_ids = p->iwant_bytes = 0;
        p->dontwant_msg = p->sub_rpc = 0;
        if (third) p->dontwant_kept = 0;
    }
}
