/* mesh.c - who relays a topic to whom: GRAFT, PRUNE, and the beat that keeps D of them, enough dialled by us, the good before the rest. */
#include "net/gossip/state.h"

#include <stdlib.h>
#include <string.h>

static uint64_t backoff_key(const struct gossip *g, const struct topic *t, const struct peer *p)
{
    return gossip_key(g, 0, 2 + topic_idx(g, t), &p->key, sizeof p->key);
}

static bool backed_off(const struct gossip *g, const struct topic *t, const struct peer *p)
{
    return gossip_book_get(&g->backoff, backoff_key(g, t, p), g->now_ms) != NULL;
}

/* Nobody grafts the other for so long, and a beat more for what is on the way. seconds is foreign: bounded before it is multiplied. */
static void back_off(struct gossip *g, const struct topic *t, const struct peer *p,
                     uint64_t seconds)
{
    uint64_t until = g->now_ms + QN_MIN(seconds, (uint64_t)BACKOFF_MAX_S) * 1000 + BEAT_MS;
    uint64_t key = backoff_key(g, t, p);
    const struct gossip_note *note = gossip_book_get(&g->backoff, key, g->now_ms);
    if (note && note->until_ms > until) return;
    /* A full book is 16,384 back-offs of an hour's peers: then we may graft one early, which costs it and us a message. */
    (void)gossip_book_put(&g->backoff, key, g->now_ms, until);
}

static void enter(struct gossip *g, struct topic *t, struct peer *p)
{
    peerset_add(&t->mesh, p->slot);
    peerset_del(&t->fanout, p->slot);
    p->mesh |= 1u << topic_idx(g, t);
    p->px |= 1u << topic_idx(g, t);
    t->mesh_cnt++;
    gossip_score_graft(g, p, topic_idx(g, t));
    gossip_tell(g, GOSSIP_GRAFTED, p, topic_idx(g, t));
}

static void leave(struct gossip *g, struct topic *t, struct peer *p)
{
    gossip_score_prune(g, p, topic_idx(g, t)); /* while it counts as in the mesh */
    peerset_del(&t->mesh, p->slot);
    p->mesh &= ~(1u << topic_idx(g, t));
    t->mesh_cnt--;
    gossip_score_refresh(g, p);
    gossip_tell(g, GOSSIP_PRUNED, p, topic_idx(g, t));
}

static void graft(struct gossip *g, struct topic *t, struct peer *p)
{
    QN_ASSERT(
        !backed_off(g, t, p)); /* else an honest peer would count it against us (jvm-libp2p 472) */
    enter(g, t, p);
    gossip_put_graft(&p->control_out, t->wire);
    gossip_queue_wake(g, p);
}

/* Peers of the topic that one who gets no place here may try: none for a bad one, none that we think badly of, none of the explicit. */
static void name_others(struct gossip *g, const struct topic *t, const struct peer *to,
                        struct qn_buf *px)
{
    const struct peerset nobody = { 0 };
    uint32_t slot[GOSSIP_PEER_CNT], said = 0;
    if (!g->hooks.record || to->mesh_score < LINE_MESH) return;
    uint32_t cnt = gossip_pick(g, t, &nobody, false, LINE_MESH, GOSSIP_PEER_CNT, slot);
    for (uint32_t i = 0; i < cnt && said < PX_CNT; i++) {
        const struct peer *p = g->peer[slot[i]];
        struct gossip_px one;
        if (p == to || p->mesh_score < LINE_MESH) continue;
        if (!g->hooks.record(g->hooks.self, p->number, to->number, &one.id, &one.record)) continue;
        if (one.record.len > PX_RECORD_MAX) continue;
        gossip_put_px(px, &one);
        said++;
    }
    g->stats.px_out += said;
}

/* px: name others to it. Not when it asked in back-off: each time would cost us some KiB. */
static void say_prune(struct gossip *g, struct topic *t, struct peer *p, uint64_t seconds, bool px)
{
    struct qn_buf others = { 0 };
    back_off(g, t, p, seconds);
    p->deed[topic_idx(g, t)].backoff_sent_ms = g->now_ms;
    if (p->control_out.len >= CONTROL_MAX) return; /* it does not read: no point in telling */
    if (px) name_others(g, t, p, &others);
    gossip_put_prune(&p->control_out, t->wire, seconds, qn_buf_get(&others));
    qn_buf_free(&others);
    gossip_queue_wake(g, p);
}

static void prune(struct gossip *g, struct topic *t, struct peer *p, uint64_t seconds)
{
    leave(g, t, p);
    say_prune(g, t, p, seconds, true);
}

uint32_t gossip_pick(struct gossip *g, const struct topic *t, const struct peerset * not,
                     bool mesh_fit, int64_t score_min, uint32_t want, uint32_t *ret)
{
    uint32_t all[GOSSIP_PEER_CNT], cnt = 0;
    for (uint32_t w = 0; w < QN_COUNT(t->subs.w); w++)
        for (uint64_t bits = t->subs.w[w] & ~not ->w[w]; bits; bits &= bits - 1) {
            uint32_t slot = w * 64 + (uint32_t)__builtin_ctzll(bits);
            const struct peer *p = g->peer[slot];
            if (p->explicit || (mesh_fit ? p->mesh_score : p->score) < score_min) continue;
            if (mesh_fit && backed_off(g, t, p)) continue;
            all[cnt++] = slot;
        }
    gossip_shuffle(g, all, cnt);
    cnt = QN_MIN(cnt, want);
    if (cnt) memcpy(ret, all, cnt * sizeof *ret);
    return cnt;
}

static void graft_some(struct gossip *g, struct topic *t, uint32_t want, bool outbound,
                       int64_t score_min)
{
    uint32_t slot[GOSSIP_PEER_CNT];
    uint32_t cnt = gossip_pick(g, t, &t->mesh, true, score_min, GOSSIP_PEER_CNT, slot);
    for (uint32_t i = 0; i < cnt && want > 0; i++) {
        if (outbound && !g->peer[slot[i]]->outbound) continue;
        graft(g, t, g->peer[slot[i]]);
        want--;
    }
}

static uint32_t members(const struct gossip *g, const struct topic *t, struct peer **ret)
{
    uint32_t cnt = 0;
    for (uint32_t w = 0; w < QN_COUNT(t->mesh.w); w++)
        for (uint64_t bits = t->mesh.w[w]; bits; bits &= bits - 1)
            ret[cnt++] = g->peer[w * 64 + (uint32_t)__builtin_ctzll(bits)];
    return cnt;
}

static int by_score(const void *a, const void *b)
{
    const struct peer *x = *(struct peer *const *)a, *y = *(struct peer *const *)b;
    if (x->mesh_score != y->mesh_score) return x->mesh_score < y->mesh_score ? 1 : -1;
    return x->slot < y->slot ? -1 : x->slot > y->slot;
}

/* Too many: the best MESH_SCORE stay, of the others as chance has it, but MESH_OUT that we dialled among those kept. */
static void thin(struct gossip *g, struct topic *t)
{
    struct peer *m[GOSSIP_PEER_CNT];
    uint32_t cnt = members(g, t, m), rest[GOSSIP_PEER_CNT], out = 0;
    qsort(m, cnt, sizeof *m, by_score);
    uint32_t rest_cnt = cnt - MESH_SCORE;
    for (uint32_t i = 0; i < rest_cnt; i++)
        rest[i] = MESH_SCORE + i;
    gossip_shuffle(g, rest, rest_cnt);
    for (uint32_t i = 0; i < MESH_SCORE; i++)
        out += m[i]->outbound;
    /* Outbound ones to the front of the rest, as many as are missing. */
    for (uint32_t i = 0, front = 0; i < rest_cnt && out < MESH_OUT; i++) {
        if (!m[rest[i]]->outbound) continue;
        uint32_t swap = rest[front];
        rest[front++] = rest[i];
        rest[i] = swap;
        out++;
    }
    for (uint32_t i = MESH_D - MESH_SCORE; i < rest_cnt; i++)
        prune(g, t, m[rest[i]], BACKOFF_S);
}

static void opportune(struct gossip *g, struct topic *t)
{
    struct peer *m[GOSSIP_PEER_CNT];
    uint32_t cnt = members(g, t, m);
    if (cnt < 2) return;
    qsort(m, cnt, sizeof *m, by_score);
    int64_t median = m[cnt / 2]->mesh_score;
    if (median < LINE_GRAFT) graft_some(g, t, OPPORTUNE_CNT, false, median + 1);
}

static void beat_topic(struct gossip *g, struct topic *t, bool opportunity)
{
    struct peer *m[GOSSIP_PEER_CNT];
    uint32_t cnt = members(g, t, m), out = 0;
    for (uint32_t i = 0; i < cnt; i++) {
        if (m[i]->mesh_score < LINE_MESH)
            prune(g, t, m[i], BACKOFF_S);
        else
            out += m[i]->outbound;
    }
    if (t->mesh_cnt < MESH_LO) graft_some(g, t, MESH_D - t->mesh_cnt, false, LINE_MESH);
    if (t->mesh_cnt > MESH_HI) thin(g, t);
    if (t->mesh_cnt >= MESH_LO && out < MESH_OUT) graft_some(g, t, MESH_OUT - out, true, LINE_MESH);
    if (opportunity) opportune(g, t);
}

static void beat_fanout(struct gossip *g, struct topic *t)
{
    if (t->fanout_ms == 0) return;
    if (g->now_ms - t->fanout_ms > FANOUT_MS) {
        t->fanout = (struct peerset){ 0 };
        t->fanout_ms = 0;
        return;
    }
    for (uint32_t i = 0; i < g->slot_high; i++)
        if (peerset_has(&t->fanout, i) && g->peer[i]->score < LINE_PUBLISH)
            peerset_del(&t->fanout, i);
}

void gossip_mesh_beat(struct gossip *g)
{
    bool opportunity = g->now_ms - g->opportune_ms >= OPPORTUNE_MS;
    if (opportunity) g->opportune_ms = g->now_ms;
    for (uint32_t i = 0; i < g->topic_cnt; i++) {
        struct topic *t = &g->topic[i];
        if (t->on) beat_topic(g, t, opportunity);
        beat_fanout(g, t);
        gossip_want_announce(g, t);
    }
}

void gossip_mesh_on(struct gossip *g, struct topic *t)
{
    t->fanout = (struct peerset){ 0 };
    t->fanout_ms = 0;
    graft_some(g, t, MESH_D, false, LINE_MESH);
}

void gossip_mesh_off(struct gossip *g, struct topic *t)
{
    struct peer *m[GOSSIP_PEER_CNT];
    uint32_t cnt = members(g, t, m);
    for (uint32_t i = 0; i < cnt; i++)
        prune(g, t, m[i], BACKOFF_LEAVE_S);
}

void gossip_mesh_came(struct gossip *g, struct topic *t, struct peer *p)
{
    peerset_add(&t->subs, p->slot);
    p->subs |= 1u << topic_idx(g, t);
    /* A thin mesh does not wait for the beat. */
    if (t->on && t->mesh_cnt < MESH_LO && !p->explicit && !(p->mesh >> topic_idx(g, t) & 1) &&
        p->mesh_score >= LINE_MESH && !backed_off(g, t, p))
        graft(g, t, p);
}

void gossip_mesh_left(struct gossip *g, struct topic *t, struct peer *p)
{
    if (p->mesh >> topic_idx(g, t) & 1) leave(g, t, p);
    peerset_del(&t->subs, p->slot);
    peerset_del(&t->fanout, p->slot);
    p->subs &= ~(1u << topic_idx(g, t));
}

void gossip_mesh_grafted(struct gossip *g, struct topic *t, struct peer *p)
{
    uint32_t idx = topic_idx(g, t);
    if (p->mesh >> idx & 1) return;
    bool early = backed_off(g, t, p);
    if (early) {
        gossip_score_sin(g, p, SIN_OFFENCE);
        const uint64_t told = p->deed[idx].backoff_sent_ms;
        if (told && g->now_ms - told < 10000) gossip_score_sin(g, p, SIN_OFFENCE);
    }
    if (!t->on || early || p->explicit || p->mesh_score < LINE_MESH || !(p->subs >> idx & 1) ||
        (t->mesh_cnt >= MESH_HI && !p->outbound))
        say_prune(g, t, p, BACKOFF_S, !early);
    else
        enter(g, t, p);
}

static void take_others(struct gossip *g, struct peer *p, struct qn_span fields, uint32_t cnt)
{
    struct gossip_px px;
    uint32_t took = 0;
    while (g->hooks.px && p->score >= LINE_PX && took < QN_MIN(cnt, PX_CNT) &&
           gossip_rpc_px(&fields, &px)) {
        took++;
        if (g->hooks.px(g->hooks.self, p->number, px.id, px.record) != QN_E_SIGNATURE) continue;
        gossip_score_sin(g, p, SIN_INVALID);
        break;
    }
    g->stats.px_in += took;
    g->stats.px_unread += cnt - QN_MIN(took, cnt);
}

void gossip_mesh_pruned(struct gossip *g, struct topic *t, struct peer *p, uint64_t backoff_s,
                        struct qn_span px, uint32_t px_cnt)
{
    const uint32_t bit = 1u << topic_idx(g, t);
    back_off(g, t, p, backoff_s ? backoff_s : BACKOFF_S);
    if (p->mesh & bit) leave(g, t, p);
    /* Once for each time it was there, however many PRUNEs it sends; who leaves the topic may say that first. */
    take_others(g, p, px, p->px & bit ? px_cnt : 0);
    if (!(p->px & bit)) g->stats.px_unread += px_cnt;
    p->px &= ~bit;
}
