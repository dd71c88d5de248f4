/* recv.c - what a peer's bytes do: frames, parts, and the way of a message from its first copy to those who lack it. */
#include "net/gossip/state.h"

#include <stdlib.h>
#include <string.h>

bool gossip_withheld(const struct gossip *g, const struct message *m, const struct peer *p)
{
    const struct topic *t = &g->topic[m->topic];
    if (m->own || g->no_sampling || t->unsampled || t->mesh_cnt < SAMPLE_MESH) return false;
    uint64_t one_in = t->recent_old > 10 ? 64 : 16;
    return gossip_key(g, 2, p->key, m->id, GOSSIP_ID_LEN) % one_in == 0;
}

static bool later(struct gossip *g, struct later_ring *r, uint32_t max, uint64_t wait_ms,
                  struct message *m, const struct peer *p)
{
    if (!r->ring) r->ring = malloc(max * sizeof *r->ring);
    QN_ASSERT(r->ring != NULL);
    if (r->cnt == max) return false;
    r->ring[(r->at + r->cnt++) % max] = (struct later){
        .due_ms = g->now_ms + wait_ms, .message = m->idx, .peer = p->number, .slot = p->slot
    };
    m->refs++;
    return true;
}

/* The next that is due; *ret_peer NULL when the peer is gone. The caller gives the reference back. */
static struct message *later_take(struct gossip *g, struct later_ring *r, uint32_t max,
                                  struct peer **ret_peer)
{
    if (r->cnt == 0 || r->ring[r->at].due_ms > g->now_ms) return NULL;
    const struct later *l = &r->ring[r->at];
    struct peer *p = g->peer[l->slot];
    *ret_peer = p && p->number == l->peer ? p : NULL;
    r->at = (r->at + 1) % max;
    r->cnt--;
    return message_at(g, l->message);
}

/* For a second we let p believe that we lack m. Honest, it brings m, for it knows no better; silent, it does not. */
static bool withhold(struct gossip *g, struct message *m, const struct peer *p)
{
    if (!later(g, &g->sample, SAMPLE_CNT, SAMPLE_MS, m, p)) return false;
    g->stats.withheld++;
    return true;
}

void gossip_later_turn(struct gossip *g)
{
    struct message *m;
    struct peer *p;
    while ((m = later_take(g, &g->sample, SAMPLE_CNT, &p))) {
        /* Only a body counts: an announcement may be an echo of somebody else's. */
        if (p && p->mesh >> m->topic & 1) {
            bool brought = peerset_has(&m->sent, p->slot);
            g->stats.withheld_seen += brought;
            gossip_score_sample(g, p, m->topic, brought);
            if (m->wire) gossip_queue_message(g, p, m);
        }
        gossip_message_unref(g, m);
    }
    while ((m = later_take(g, &g->stagger, STAGGER_CNT, &p))) {
        if (p && m->wire) gossip_queue_message(g, p, m); /* passes over who has it by now */
        gossip_message_unref(g, m);
    }
}

uint64_t gossip_later_due(const struct gossip *g)
{
    uint64_t due = UINT64_MAX;
    if (g->sample.cnt) due = g->sample.ring[g->sample.at].due_ms;
    if (g->stagger.cnt) due = QN_MIN(due, g->stagger.ring[g->stagger.at].due_ms);
    return due;
}

void gossip_forward(struct gossip *g, struct message *m)
{
    struct topic *t = &g->topic[m->topic];
    struct peerset to = t->mesh;
    uint32_t slot[GOSSIP_PEER_CNT], cnt = 0, eager = GOSSIP_PEER_CNT;
    for (uint32_t i = 0; i < g->slot_high; i++) {
        struct peer *p = g->peer[i];
        if (!p || !peerset_has(&t->subs, i)) continue;
        if (p->explicit || (m->flood && p->score >= LINE_PUBLISH)) peerset_add(&to, i);
        if (m->own && !t->on && peerset_has(&t->fanout, i)) peerset_add(&to, i);
    }
    for (uint32_t w = 0; w < QN_COUNT(to.w); w++)
        for (uint64_t bits = to.w[w] & ~m->sent.w[w]; bits; bits &= bits - 1)
            slot[cnt++] = w * 64 + (uint32_t)__builtin_ctzll(bits);
    if (!m->own && m->data_len >= STAGGER_LEN &&
        t->class == GOSSIP_TX) {      /* blocks are in a hurry */
        gossip_shuffle(g, slot, cnt); /* other ones each time */
        eager = STAGGER_EAGER;
    }
    for (uint32_t i = 0; i < cnt; i++) {
        struct peer *p = g->peer[slot[i]];
        bool meshed = p->mesh >> m->topic & 1;
        if (meshed && gossip_withheld(g, m, p) && withhold(g, m, p)) continue;
        if (gossip_want_not(g, p, m)) peerset_add(&m->has, p->slot);
        if (peerset_has(&m->has, p->slot)) continue;
        /* Of long bodies most copies cross on their way; who is told later mostly says meanwhile that it has it. */
        if (eager == 0 && !p->explicit && later(g, &g->stagger, STAGGER_CNT, STAGGER_MS, m, p))
            continue;
        eager -= eager > 0;
        gossip_queue_message(g, p, m);
    }
}

static void judge(struct gossip *g, struct message *m, enum gossip_verdict verdict)
{
    struct topic *t = &g->topic[m->topic];
    struct peer *from = m->from == NONE ? NULL : g->peer[m->from];
    QN_ASSERT(t->pending > 0);
    t->pending--;
    if (from) {
        from->pending--;
        from->pending_bytes -= m->wire_len;
    }
    switch (verdict) {
    case GOSSIP_ACCEPT:
        gossip_message_settle(g, m, MESSAGE_ACCEPTED);
        g->stats.accepted++;
        t->recent++;
        if (from) gossip_score_first(g, from, m->topic);
        gossip_forward(g, m);
        return;
    case GOSSIP_REJECT:
        gossip_message_settle(g, m, MESSAGE_REFUSED);
        g->stats.rejected++;
        for (uint32_t i = 0; i < g->slot_high; i++)
            if (g->peer[i] && peerset_has(&m->sent, i))
                gossip_score_sin(g, g->peer[i], SIN_INVALID);
        return;
    case GOSSIP_IGNORE:
        gossip_message_settle(g, m, MESSAGE_IGNORED);
        g->stats.ignored++;
        return;
    case GOSSIP_LATER: break;
    }
    QN_BUG("a verdict is none");
}

static struct message *by_handle(const struct gossip *g, uint64_t handle)
{
    uint32_t idx = (uint32_t)handle;
    if (idx >= g->message_cap) return NULL;
    struct message *m = message_at(g, idx);
    return m->state == MESSAGE_PENDING && m->gen == (uint32_t)(handle >> 32) ? m : NULL;
}

void gossip_verdict(struct gossip *g, uint64_t handle, enum gossip_verdict verdict)
{
    struct message *m = by_handle(g, handle);
    if (m && verdict != GOSSIP_LATER) judge(g, m, verdict);
}

bool gossip_data(const struct gossip *g, uint64_t handle, struct qn_span *ret)
{
    const struct message *m = by_handle(g, handle);
    if (!m) return false;
    *ret = QN_SPAN(m->wire + m->data_at, m->data_len);
    return true;
}

static void on_copy(struct gossip *g, struct peer *p, struct message *m)
{
    g->stats.copy_in++;
    bool again = peerset_has(&m->sent, p->slot);
    peerset_add(&m->sent, p->slot);
    peerset_add(&m->has, p->slot);
    if (m->state == MESSAGE_REFUSED && !again) gossip_score_sin(g, p, SIN_INVALID);
}

static bool over_pending(struct gossip *g, const struct topic *t, const struct peer *p, size_t len)
{
    return p->pending >= PENDING_PEER || t->pending >= PENDING_TOPIC ||
           p->pending_bytes + len > PENDING_PEER_B || g->pending_bytes + len > PENDING_BYTES;
}

static void on_message(struct gossip *g, struct peer *p, const struct gossip_part *part)
{
    struct topic *t = gossip_topic_find(g, part->topic);
    g->stats.message_in++;
    if (!t || !t->on) return;
    if (part->foreign || part->data.len > t->bytes_max) {
        g->stats.rejected++;
        gossip_score_sin(g, p, SIN_INVALID);
        return;
    }
    uint64_t fp = gossip_fp(g, t, part->data);
    struct message *m = gossip_find_fp(g, fp, t, part->data);
    if (m) {
        on_copy(g, p, m);
        return;
    }
    uint8_t id[GOSSIP_ID_LEN];
    gossip_message_id(g, t, part->data, id);
    gossip_want_arrived(g, id); /* a promise is kept even when we have no place for it */
    uint64_t id_key;
    if (gossip_seen(g, id, &id_key, &m)) {
        if (m)
            on_copy(g, p, m);
        else
            g->stats.copy_in++;
        return;
    }
    if (over_pending(g, t, p, part->data.len + GOSSIP_TOPIC_LEN + 16) ||
        !(m = gossip_message_new(g, t, part->data, id, id_key, fp))) {
        g->stats.over_budget++; /* not noted as seen: it may come again when there is room */
        return;
    }
    m->from = p->slot;
    t->pending++;
    p->pending++;
    p->pending_bytes += m->wire_len;
    peerset_add(&m->sent, p->slot);
    peerset_add(&m->has, p->slot);
    gossip_want_tell_not(g, m);
    g->stats.delivered++;
    uint64_t handle = (uint64_t)m->gen << 32 | m->idx;
    enum gossip_verdict verdict =
        g->hooks.deliver(g->hooks.self, topic_idx(g, t), p->number, handle,
                         QN_SPAN(m->wire + m->data_at, m->data_len));
    gossip_verdict(g, handle, verdict);
}

static void on_subscription(struct gossip *g, struct peer *p, const struct gossip_part *part)
{
    if (p->sub_rpc >= SUB_RPC_MAX || part->topic.len == 0 || part->topic.len > GOSSIP_TOPIC_LEN) {
        g->stats.over_budget++;
        return;
    }
    p->sub_rpc++;
    uint64_t hash = gossip_key(g, 0, 0, part->topic.ptr, part->topic.len);
    struct topic *t = gossip_topic_find(g, part->topic);
    uint32_t at = 0;
    while (at < p->sub_cnt && p->sub[at] != hash)
        at++;
    if (part->kind == GOSSIP_PART_UNSUBSCRIBE) {
        if (at == p->sub_cnt) return;
        p->sub[at] = p->sub[--p->sub_cnt];
        if (t) gossip_mesh_left(g, t, p);
    } else if (at == p->sub_cnt) {
        if (p->sub_cnt == SUB_CNT) {
            g->stats.over_budget++;
            return;
        }
        p->sub[p->sub_cnt++] = hash;
        if (t) gossip_mesh_came(g, t, p);
    }
}

static void on_part(struct gossip *g, struct peer *p, const struct gossip_part *part,
                    bool *counted_ihave)
{
    struct topic *t = NULL;
    switch (part->kind) {
    case GOSSIP_PART_SUBSCRIBE:
    case GOSSIP_PART_UNSUBSCRIBE: on_subscription(g, p, part); return;
    case GOSSIP_PART_MESSAGE: on_message(g, p, part); return;
    case GOSSIP_PART_IHAVE:
        if (!*counted_ihave) p->ihave_rpc++;
        *counted_ihave = true;
        t = gossip_topic_find(g, part->topic);
        if (t) gossip_want_ihave(g, p, t, part->data);
        return;
    case GOSSIP_PART_IWANT: gossip_want_iwant(g, p, part->data); return;
    case GOSSIP_PART_GRAFT:
        g->stats.graft_in++;
        t = gossip_topic_find(g, part->topic);
        if (t) gossip_mesh_grafted(g, t, p); /* unknown: silence, else it could make us talk */
        return;
    case GOSSIP_PART_PRUNE:
        g->stats.prune_in++;
        t = gossip_topic_find(g, part->topic);
        if (t) gossip_mesh_pruned(g, t, p, part->backoff_s, part->data, part->px_cnt);
        return;
    case GOSSIP_PART_IDONTWANT: gossip_want_idontwant(g, p, part->data); return;
    }
    QN_BUG("a part is none");
}

static qn_rc on_rpc(struct gossip *g, struct peer *p, struct qn_span frame)
{
    g->stats.rpc_in++;
    struct gossip_rpc rpc;
    struct gossip_part part;
    bool counted_ihave = false;
    qn_rc rc;
    gossip_rpc_begin(&rpc, frame);
    for (;;) { /* it may become hopeless on the way: 1,024 bad signatures are 60 ms */
        if (p->score < LINE_GRAYLIST && !p->explicit) return QN_OK;
        rc = gossip_rpc_next(&rpc, &part);
        if (rc) break;
        on_part(g, p, &part, &counted_ihave);
    }
    if (rc == QN_E_AGAIN) return QN_OK;
    gossip_score_sin(g, p, SIN_OFFENCE);
    return rc;
}

/* Keeps bytes of a frame that is not whole. All peers together may have 32 MiB of such; beyond it who earned nothing yet has 256 KiB, and
 * beyond 128 MiB nobody begins another. */
static qn_rc keep(struct gossip *g, struct peer *p, struct qn_span bytes)
{
    size_t before = p->in.cap;
    if (p->in.len + bytes.len > IN_NEW && p->score <= 0 && g->in_bytes > IN_FREE) return QN_E_LIMIT;
    if (g->in_bytes > IN_ALL) return QN_E_LIMIT;
    qn_buf_span(&p->in, bytes);
    g->in_bytes += p->in.cap - before;
    return QN_OK;
}

static void keep_clear(struct gossip *g, struct peer *p)
{
    qn_buf_clear(&p->in);
    if (p->in.cap <= 4096) return;
    g->in_bytes -= p->in.cap;
    qn_buf_free(&p->in);
}

qn_rc gossip_recv(struct gossip *g, uint32_t number, struct qn_span bytes)
{
    struct peer *p = gossip_peer_get(g, number);
    if (!p) return QN_E_NOTFOUND;
    g->stats.bytes_in += bytes.len;
    while (bytes.len) { /* whole frames are read where they lie */
        struct qn_span frame, at = bytes;
        size_t before = p->in.len;
        qn_rc rc;
        if (before) { /* it grows by what came, not by what was announced */
            size_t n = QN_MIN(bytes.len, (size_t)GOSSIP_RPC_MAX + 4 - before);
            rc = keep(g, p, QN_SPAN(bytes.ptr, n));
            if (rc) return rc;
            at = qn_buf_get(&p->in);
        }
        rc = gossip_frame(&at, &frame);
        if (rc == QN_E_AGAIN) return before ? QN_OK : keep(g, p, bytes);
        if (rc) return rc;
        size_t used = (size_t)(frame.ptr + frame.len - (before ? p->in.ptr : bytes.ptr)) - before;
        rc = on_rpc(g, p, frame);
        if (before) keep_clear(g, p);
        if (rc) return rc;
        bytes = QN_SPAN(bytes.ptr + used, bytes.len - used);
    }
    return QN_OK;
}
