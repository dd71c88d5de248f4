/* gossip.c - the machine from its owner's side: topics, peers, own messages, time. */
#include "net/gossip/state.h"

#include <openssl/evp.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

uint64_t gossip_key(const struct gossip *g, int which, uint64_t a, const void *src, size_t len)
{
    uint8_t in[8 + GOSSIP_TOPIC_LEN], out[8];
    QN_ASSERT(len <= GOSSIP_TOPIC_LEN);
    memcpy(in, &a, 8);
    if (len) memcpy(in + 8, src, len);
    crypto_shorthash_siphash24(out, in, 8 + len, g->key[which]);
    uint64_t key;
    memcpy(&key, out, 8);
    return key;
}

uint32_t gossip_draw(struct gossip *g, uint32_t below)
{
    QN_ASSERT(below > 0);
    uint64_t r = gossip_key(g, 1, g->drawn++, NULL, 0);
    return (uint32_t)((r >> 32) * below >> 32);
}

void gossip_shuffle(struct gossip *g, uint32_t *a, uint32_t n)
{
    for (uint32_t i = n; i > 1; i--) {
        uint32_t k = gossip_draw(g, i), swap = a[k];
        a[k] = a[i - 1];
        a[i - 1] = swap;
    }
}

void gossip_tell(struct gossip *g, enum gossip_event event, const struct peer *p, uint32_t topic)
{
    if (g->hooks.event) g->hooks.event(g->hooks.self, event, p->number, topic);
}

struct gossip *gossip_new(const struct gossip_conf *conf, uint64_t now_ms)
{
    QN_ASSERT(conf->topic_cnt <= GOSSIP_TOPIC_CNT);
    struct gossip *g = calloc(1, sizeof *g);
    QN_ASSERT(g != NULL);
    g->hooks = conf->hooks;
    g->no_sampling = conf->no_sampling;
    g->topic_max = conf->topic_cnt ? conf->topic_cnt : GOSSIP_TOPIC_CNT;
    qn_hex(conf->genesis.b, 4, g->genesis);
    for (uint8_t i = 0; i < 3; i++)
        crypto_generichash_blake2b(g->key[i], 16, &i, 1, conf->seed, sizeof conf->seed);
    g->now_ms = g->second_ms = g->sweep_ms = g->seen_ms = g->opportune_ms = now_ms;
    g->beat_ms = now_ms + 1 + gossip_draw(g, BEAT_MS); /* not all at once */
    g->pending = g->cache = (struct list){ NONE, NONE, 0 };
    g->message_free = NONE;
    memset(g->by_number, 0xff, sizeof g->by_number);
    g->seen.max = SEEN_CNT / 2;
    g->dontwant.max = g->answered.max = g->asked.max = DONTWANT_CNT;
    g->backoff.max = BACKOFF_CNT;
    g->sins.max = SINS_CNT;
    g->sha = EVP_MD_CTX_new();
    g->sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    QN_ASSERT(g->sha && g->sha256);
    return g;
}

void gossip_free(struct gossip *g)
{
    if (!g) return;
    for (uint32_t i = 0; i < g->slot_high; i++)
        if (g->peer[i]) gossip_peer_down(g, g->peer[i]->number);
    gossip_cache_free(g);
    gossip_tally_free(&g->seen);
    gossip_tally_free(&g->dontwant);
    gossip_tally_free(&g->answered);
    gossip_tally_free(&g->asked);
    gossip_book_free(&g->backoff);
    gossip_book_free(&g->sins);
    free(g->promise);
    free(g->sample.ring);
    free(g->stagger.ring);
    qn_buf_free(&g->scratch);
    EVP_MD_CTX_free(g->sha);
    EVP_MD_free(g->sha256);
    free(g);
}

/* --- topics --- */

struct topic *gossip_topic_find(struct gossip *g, struct qn_span wire)
{
    for (uint32_t i = 0; i < g->topic_cnt; i++) {
        uint32_t at = (g->topic_last + i) % g->topic_cnt; /* most often the one asked for last */
        struct topic *t = &g->topic[at];
        if (!qn_span_eq(QN_SPAN(t->wire, t->wire_len), wire)) continue;
        g->topic_last = at;
        return t;
    }
    return NULL;
}

qn_rc gossip_topic_add(struct gossip *g, const struct gossip_topic_conf *conf, uint32_t *ret_topic)
{
    if (g->topic_cnt == g->topic_max) return QN_E_LIMIT;
    if (conf->bytes_max == 0 || conf->bytes_max > GOSSIP_DATA_MAX || conf->weight_milli > 1000 ||
        conf->class == GOSSIP_CONTROL || conf->class >= GOSSIP_CLASS_CNT)
        return QN_E_RANGE;
    struct topic t = { .bytes_max = conf->bytes_max,
                       .class = conf->class,
                       .weight_milli = conf->weight_milli,
                       .unsampled = conf->unsampled };
    int len = snprintf(t.wire, sizeof t.wire, "/quoin/%s/%s/%u", g->genesis, conf->name,
                       conf->version ? conf->version : 1u);
    if (len < 0 || (size_t)len >= sizeof t.wire) return QN_E_RANGE;
    t.wire_len = (uint32_t)len;
    if (gossip_topic_find(g, QN_SPAN(t.wire, t.wire_len))) return QN_E_EXISTS;
    t.hash = gossip_key(g, 0, 0, t.wire, t.wire_len);
    struct topic *to = &g->topic[g->topic_cnt++];
    *to = t;
    for (uint32_t i = 0; i < g->slot_high; i++) /* some may have subscribed before we knew it */
        for (uint32_t k = 0; g->peer[i] && k < g->peer[i]->sub_cnt; k++)
            if (g->peer[i]->sub[k] == t.hash) gossip_mesh_came(g, to, g->peer[i]);
    if (!conf->publish_only) gossip_subscribe(g, topic_idx(g, to), true);
    *ret_topic = topic_idx(g, to);
    return QN_OK;
}

void gossip_subscribe(struct gossip *g, uint32_t topic, bool on)
{
    QN_ASSERT(topic < g->topic_cnt);
    struct topic *t = &g->topic[topic];
    if (t->on == on) return;
    t->on = on;
    for (uint32_t i = 0; i < g->slot_high; i++) {
        if (!g->peer[i]) continue;
        gossip_put_subscribe(&g->peer[i]->subs_out, t->wire, on);
        gossip_queue_wake(g, g->peer[i]);
    }
    if (on)
        gossip_mesh_on(g, t);
    else
        gossip_mesh_off(g, t);
}

const char *gossip_topic_wire(const struct gossip *g, uint32_t topic)
{
    QN_ASSERT(topic < g->topic_cnt);
    return g->topic[topic].wire;
}

/* --- peers --- */

static uint32_t *number_bucket(struct gossip *g, uint32_t number)
{
    return &g->by_number[number % QN_COUNT(g->by_number)];
}

struct peer *gossip_peer_get(const struct gossip *g, uint32_t number)
{
    uint32_t at = g->by_number[number % QN_COUNT(g->by_number)];
    while (at != NONE && g->peer[at]->number != number)
        at = g->peer[at]->next;
    return at == NONE ? NULL : g->peer[at];
}

static void say_topics(struct gossip *g, struct peer *p)
{
    for (uint32_t i = 0; i < g->topic_cnt; i++)
        if (g->topic[i].on) gossip_put_subscribe(&p->subs_out, g->topic[i].wire, true);
    if (p->subs_out.len) gossip_queue_wake(g, p);
}

qn_rc gossip_peer_up(struct gossip *g, uint32_t number, const struct gossip_peer_conf *conf)
{
    if (g->peer_cnt == GOSSIP_PEER_CNT) return QN_E_LIMIT;
    if (gossip_peer_get(g, number)) return QN_E_EXISTS;
    if (conf->id.len > GOSSIP_TOPIC_LEN) return QN_E_RANGE;
    struct peer *p = calloc(1, sizeof *p);
    QN_ASSERT(p != NULL);
    p->deed = calloc(g->topic_max, sizeof *p->deed);
    QN_ASSERT(p->deed != NULL);
    while (g->peer[p->slot])
        p->slot++;
    p->number = number;
    p->key = gossip_key(g, 0, 0, conf->id.ptr, conf->id.len);
    p->ip_group = conf->ip_group;
    p->outbound = conf->outbound;
    p->explicit = conf->explicit;
    p->speaks_12 = conf->speaks_12;
    if (p->slot < g->slot_high) gossip_cache_forget_slot(g, p->slot);
    g->slot_high = QN_MAX(g->slot_high, p->slot + 1);
    g->peer[p->slot] = p;
    g->peer_cnt++;
    p->next = *number_bucket(g, number);
    *number_bucket(g, number) = p->slot;
    gossip_score_load(g, p);
    gossip_score_crowd(g, p->ip_group);
    say_topics(g, p);
    return QN_OK;
}

void gossip_peer_again(struct gossip *g, uint32_t number)
{
    struct peer *p = gossip_peer_get(g, number);
    if (!p) return;
    qn_buf_clear(&p->subs_out);
    say_topics(g, p);
    for (uint32_t i = 0; i < g->topic_cnt; i++)
        if (p->mesh >> i & 1) gossip_put_graft(&p->control_out, g->topic[i].wire);
}

void gossip_peer_down(struct gossip *g, uint32_t number)
{
    struct peer *p = gossip_peer_get(g, number);
    if (!p) return;
    for (uint32_t i = 0; i < g->topic_cnt; i++)
        if (p->subs >> i & 1) gossip_mesh_left(g, &g->topic[i], p);
    gossip_score_save(g, p);
    for (uint32_t at = g->pending.head; at != NONE;) {
        struct message *m = message_at(g, at);
        if (m->from == p->slot) m->from = NONE;
        at = m->next;
    }
    gossip_queue_free(g, p);
    uint32_t *at = number_bucket(g, number);
    while (*at != p->slot)
        at = &g->peer[*at]->next;
    *at = p->next;
    g->peer[p->slot] = NULL;
    g->peer_cnt--;
    while (g->slot_high && !g->peer[g->slot_high - 1])
        g->slot_high--;
    gossip_score_crowd(g, p->ip_group);
    g->in_bytes -= p->in.cap;
    qn_buf_free(&p->in);
    free(p->deed);
    free(p);
}

void gossip_peer_credit(struct gossip *g, uint32_t number, int32_t points)
{
    struct peer *p = gossip_peer_get(g, number);
    if (!p) return;
    p->credit = QN_MIN(QN_MAX(points, -100000), 100000);
    gossip_score_refresh(g, p);
}

void gossip_peer_fault(struct gossip *g, uint32_t number)
{
    struct peer *p = gossip_peer_get(g, number);
    if (p) gossip_score_sin(g, p, SIN_ANSWER);
}

void gossip_peer_offence(struct gossip *g, uint32_t number, uint32_t cnt)
{
    struct peer *p = gossip_peer_get(g, number);
    for (uint32_t i = 0; p && i < QN_MIN(cnt, 100u); i++)
        gossip_score_sin(g, p, SIN_OFFENCE);
}

void gossip_peer_cut(struct gossip *g, uint32_t number)
{
    struct peer *p = gossip_peer_get(g, number);
    if (!p) return;
    g->in_bytes -= p->in.cap;
    qn_buf_free(&p->in);
}

/* --- messages of our own --- */

static qn_rc publish(struct gossip *g, uint32_t topic, struct qn_span data, bool flood)
{
    QN_ASSERT(topic < g->topic_cnt);
    struct topic *t = &g->topic[topic];
    if (data.len > t->bytes_max) return QN_E_TOOBIG;
    uint8_t id[GOSSIP_ID_LEN];
    gossip_message_id(g, t, data, id);
    struct message *m;
    uint64_t id_key;
    if (gossip_seen(g, id, &id_key, &m)) return QN_E_DUPLICATE;
    m = gossip_message_new(g, t, data, id, id_key, gossip_fp(g, t, data));
    if (!m) return QN_E_LIMIT; /* 65,536 messages wait in queues */
    m->own = true;
    m->flood = flood && data.len <= FLOOD_MAX;
    gossip_message_settle(g, m, MESSAGE_ACCEPTED);
    if (!t->on) {
        uint32_t slot[MESH_D], cnt = 0, want = MESH_D;
        for (uint32_t w = 0; w < QN_COUNT(t->fanout.w); w++)
            cnt += (uint32_t)__builtin_popcountll(t->fanout.w[w]);
        want -= QN_MIN(cnt, want);
        cnt = gossip_pick(g, t, &t->fanout, false, LINE_PUBLISH, want, slot);
        for (uint32_t i = 0; i < cnt; i++)
            peerset_add(&t->fanout, slot[i]);
        t->fanout_ms = QN_MAX(g->now_ms, (uint64_t)1);
    }
    gossip_forward(g, m);
    return QN_OK;
}

qn_rc gossip_publish(struct gossip *g, uint32_t topic, struct qn_span data)
{
    return publish(g, topic, data, true);
}

qn_rc gossip_publish_mesh(struct gossip *g, uint32_t topic, struct qn_span data)
{
    return publish(g, topic, data, false);
}

/* --- time --- */

static void beat(struct gossip *g)
{
    g->beat++;
    while (g->pending.head != NONE) {
        const struct message *m = message_at(g, g->pending.head);
        if (g->now_ms - m->born_ms < PENDING_MS) break;
        gossip_verdict(g, (uint64_t)m->gen << 32 | m->idx, GOSSIP_IGNORE);
    }
    gossip_want_beat(g);
    for (uint32_t i = 0; i < g->slot_high; i++) {
        struct peer *p = g->peer[i];
        if (!p) continue;
        gossip_score_refresh(g, p);
        gossip_queue_beat(g, p);
        if (p->score < LINE_GRAYLIST && !p->explicit && !p->dropped) {
            p->dropped = true;
            gossip_tell(g, GOSSIP_DROP, p, NONE);
        }
    }
    gossip_mesh_beat(g);
    gossip_cache_beat(g);
    if (g->now_ms - g->seen_ms >= SEEN_MS) {
        gossip_tally_swap(&g->seen);
        g->seen_ms = g->now_ms;
    }
    if (g->now_ms - g->sweep_ms >= 60000) {
        gossip_book_sweep(&g->backoff, g->now_ms);
        gossip_book_sweep(&g->sins, g->now_ms);
        g->sweep_ms = g->now_ms;
    }
}

uint64_t gossip_turn(struct gossip *g, uint64_t now_ms)
{
    if (now_ms < g->now_ms) now_ms = g->now_ms;
    g->now_ms = now_ms;
    if (now_ms - g->second_ms > 3600 * 1000) g->second_ms = now_ms - 3600 * 1000; /* it slept */
    while (now_ms - g->second_ms >= 1000) {
        g->second_ms += 1000;
        gossip_score_second(g);
        for (uint32_t i = 0; i < g->topic_cnt; i++) {
            g->topic[i].recent_old = g->topic[i].recent;
            g->topic[i].recent = 0;
        }
    }
    gossip_later_turn(g);
    if (now_ms >= g->beat_ms) {
        beat(g);
        g->beat_ms += BEAT_MS;
        if (g->beat_ms <= now_ms) g->beat_ms = now_ms + BEAT_MS;
    }
    uint64_t next = QN_MIN(g->beat_ms, g->second_ms + 1000);
    return QN_MIN(next, gossip_later_due(g));
}

/* --- readers --- */

bool gossip_peer_info(const struct gossip *g, uint32_t number, struct gossip_peer_info *ret)
{
    const struct peer *p = gossip_peer_get(g, number);
    if (!p) return false;
    *ret = (struct gossip_peer_info){ .score_milli = p->score,
                                      .mesh_score_milli = p->mesh_score,
                                      .subscribed = p->subs,
                                      .meshed = p->mesh,
                                      .queued = p->queued + p->control_out.len + p->subs_out.len };
    return true;
}

uint32_t gossip_topic_cnt(const struct gossip *g)
{
    return g->topic_cnt;
}

struct gossip_topic_info gossip_topic_info(const struct gossip *g, uint32_t topic)
{
    QN_ASSERT(topic < g->topic_cnt);
    const struct topic *t = &g->topic[topic];
    struct gossip_topic_info info = { .mesh = t->mesh_cnt, .pending = t->pending };
    for (uint32_t i = 0; i < g->slot_high; i++) {
        info.peers += peerset_has(&t->subs, i);
        info.mesh_outbound += peerset_has(&t->mesh, i) && g->peer[i]->outbound;
    }
    return info;
}

const struct gossip_stats *gossip_stats(const struct gossip *g)
{
    return &g->stats;
}

size_t gossip_memory(const struct gossip *g)
{
    size_t n = sizeof *g + g->body_bytes + g->message_cap * sizeof(struct message) +
               (size_t)g->bucket_cnt * 2 * sizeof *g->by_id + gossip_tally_memory(&g->seen) +
               gossip_tally_memory(&g->dontwant) + gossip_tally_memory(&g->answered) +
               gossip_tally_memory(&g->asked) + g->scratch.cap +
               (size_t)(g->backoff.cap + g->sins.cap) * sizeof(struct gossip_note);
    if (g->promise) n += PROMISE_CNT * sizeof *g->promise;
    if (g->sample.ring) n += SAMPLE_CNT * sizeof *g->sample.ring;
    if (g->stagger.ring) n += STAGGER_CNT * sizeof *g->stagger.ring;
    for (uint32_t i = 0; i < g->slot_high; i++) {
        const struct peer *p = g->peer[i];
        if (!p) continue;
        n += sizeof *p + g->topic_max * sizeof *p->deed + p->in.cap + p->subs_out.cap +
             p->control_out.cap;
        for (int c = 0; c < GOSSIP_CLASS_CNT; c++)
            n += p->queue[c].cap * sizeof *p->queue[c].ref;
    }
    return n;
}
