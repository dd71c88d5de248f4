/* cache.c - messages: found by what they look like, by their id, and let go by age and by bytes. */
#include "net/gossip/state.h"

#include <openssl/evp.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define CHAIN_MAX                                                                                  \
    8 /* messages made to look alike cost their maker's copies a SHA-256, and us no walk */

void gossip_message_id(struct gossip *g, const struct topic *t, struct qn_span data,
                       uint8_t ret[GOSSIP_ID_LEN])
{
    static const char label[] = "quoin-gossip";
    uint8_t head[sizeof label + GOSSIP_TOPIC_LEN], full[32];
    size_t len = sizeof label - 1;
    memcpy(head, label, len);
    head[len++] = (uint8_t)t->wire_len;
    memcpy(head + len, t->wire, t->wire_len);
    len += t->wire_len;
    bool ok = EVP_DigestInit_ex2(g->sha, g->sha256, NULL) && EVP_DigestUpdate(g->sha, head, len) &&
              EVP_DigestUpdate(g->sha, data.ptr, data.len) &&
              EVP_DigestFinal_ex(g->sha, full, NULL);
    QN_ASSERT(ok);
    memcpy(ret, full, GOSSIP_ID_LEN);
}

/* Most of what arrives are copies, so SHA-256 runs only for what looks new: length and both ends of the body, keyed, find a candidate,
 * and comparing all of its bytes decides. */
uint64_t gossip_fp(const struct gossip *g, const struct topic *t, struct qn_span data)
{
    uint8_t ends[48];
    size_t head = QN_MIN(data.len, sizeof ends / 2),
           tail = QN_MIN(data.len - head, sizeof ends / 2);
    if (head) memcpy(ends, data.ptr, head);
    if (tail) memcpy(ends + head, data.ptr + data.len - tail, tail);
    return gossip_key(g, 0, (uint64_t)topic_idx(g, t) << 32 | data.len, ends, head + tail);
}

static uint32_t *bucket(uint32_t *index, const struct gossip *g, uint64_t key)
{
    return &index[key & (g->bucket_cnt - 1)];
}

struct message *gossip_find_fp(struct gossip *g, uint64_t fp, const struct topic *t,
                               struct qn_span data)
{
    if (g->bucket_cnt == 0) return NULL;
    uint32_t at = *bucket(g->by_fp, g, fp);
    for (int i = 0; i < CHAIN_MAX && at != NONE; i++) {
        struct message *m = message_at(g, at);
        if (m->fp == fp && m->wire && m->topic == topic_idx(g, t) &&
            qn_span_eq(QN_SPAN(m->wire + m->data_at, m->data_len), data))
            return m;
        at = m->next_fp;
    }
    return NULL;
}

/* Whatever has a slot was seen, so that for news one look into the set is enough. */
bool gossip_seen(struct gossip *g, const uint8_t *id, uint64_t *ret_key, struct message **ret)
{
    uint64_t key = gossip_key(g, 0, 1, id, GOSSIP_ID_LEN);
    *ret_key = key;
    *ret = NULL;
    if (gossip_tally_get(&g->seen, key) == 0) return false;
    for (uint32_t at = *bucket(g->by_id, g, key); at != NONE;) {
        struct message *m = message_at(g, at);
        if (m->id_key == key && memcmp(m->id, id, GOSSIP_ID_LEN) == 0) {
            *ret = m;
            break;
        }
        at = m->next_id;
    }
    return true;
}

struct message *gossip_find_id(struct gossip *g, const uint8_t *id)
{
    struct message *m;
    uint64_t key;
    (void)gossip_seen(g, id, &key, &m);
    return m;
}

static void index_add(struct gossip *g, struct message *m)
{
    uint32_t *id = bucket(g->by_id, g, m->id_key), *fp = bucket(g->by_fp, g, m->fp);
    m->next_id = *id;
    m->next_fp = *fp;
    *id = *fp = m->idx;
}

static void index_del(struct gossip *g, struct message *m)
{
    uint32_t *at = bucket(g->by_id, g, m->id_key);
    while (*at != m->idx)
        at = &message_at(g, *at)->next_id;
    *at = m->next_id;
    at = bucket(g->by_fp, g, m->fp);
    while (*at != m->idx)
        at = &message_at(g, *at)->next_fp;
    *at = m->next_fp;
}

static void index_grow(struct gossip *g)
{
    if (g->message_cnt < g->bucket_cnt / 2) return;
    g->bucket_cnt = g->bucket_cnt ? g->bucket_cnt * 2 : 32;
    free(g->by_id);
    free(g->by_fp);
    g->by_id = malloc(g->bucket_cnt * sizeof *g->by_id);
    g->by_fp = malloc(g->bucket_cnt * sizeof *g->by_fp);
    QN_ASSERT(g->by_id && g->by_fp);
    memset(g->by_id, 0xff, g->bucket_cnt * sizeof *g->by_id);
    memset(g->by_fp, 0xff, g->bucket_cnt * sizeof *g->by_fp);
    for (uint32_t i = 0; i < g->message_cap; i++) {
        struct message *m = message_at(g, i);
        if (m->state != MESSAGE_FREE && m->state != MESSAGE_OLD) index_add(g, m);
    }
}

static void list_add(struct gossip *g, struct list *l, struct message *m)
{
    m->prev = l->tail;
    m->next = NONE;
    *(l->tail == NONE ? &l->head : &message_at(g, l->tail)->next) = m->idx;
    l->tail = m->idx;
    l->cnt++;
}

static void list_del(struct gossip *g, struct list *l, struct message *m)
{
    *(m->prev == NONE ? &l->head : &message_at(g, m->prev)->next) = m->next;
    *(m->next == NONE ? &l->tail : &message_at(g, m->next)->prev) = m->prev;
    l->cnt--;
}

static void body_free(struct gossip *g, struct message *m)
{
    if (!m->wire) return;
    g->body_bytes -= m->wire_len;
    free(m->wire);
    m->wire = NULL;
}

static void slot_free(struct gossip *g, struct message *m)
{
    body_free(g, m);
    m->state = MESSAGE_FREE;
    m->gen++;
    m->next_id = g->message_free;
    g->message_free = m->idx;
    g->message_cnt--;
}

/* Out of the cache; the slot stays while queues need the body. */
static void evict(struct gossip *g, struct message *m)
{
    list_del(g, &g->cache, m);
    index_del(g, m);
    if (m->state == MESSAGE_ACCEPTED) g->cache_bytes -= m->wire_len;
    m->state = MESSAGE_OLD;
    if (m->refs == 0) slot_free(g, m);
}

static bool slot_get(struct gossip *g)
{
    while (g->message_free == NONE && g->message_cap == MESSAGE_CNT && g->cache.head != NONE)
        evict(g, message_at(g, g->cache.head));
    if (g->message_free != NONE) return true;
    if (g->message_cap == MESSAGE_CNT) return false;
    struct message *chunk = calloc(CHUNK_CNT, sizeof *chunk);
    QN_ASSERT(chunk != NULL);
    g->chunk[g->message_cap / CHUNK_CNT] = chunk;
    for (uint32_t i = CHUNK_CNT; i-- > 0;) {
        chunk[i].idx = g->message_cap + i;
        chunk[i].next_id = g->message_free;
        g->message_free = chunk[i].idx;
    }
    g->message_cap += CHUNK_CNT;
    return true;
}

struct message *gossip_message_new(struct gossip *g, const struct topic *t, struct qn_span data,
                                   const uint8_t id[GOSSIP_ID_LEN], uint64_t id_key, uint64_t fp)
{
    if (!slot_get(g)) return NULL;
    index_grow(g);
    if (!gossip_tally_add(&g->seen, id_key)) { /* full early: the older half goes */
        gossip_tally_swap(&g->seen);
        g->seen_ms = g->now_ms;
        bool added = gossip_tally_add(&g->seen, id_key);
        QN_ASSERT(added);
    }
    struct message *m = message_at(g, g->message_free);
    g->message_free = m->next_id;
    g->message_cnt++;
    *m = (struct message){ .idx = m->idx, .gen = m->gen };
    memcpy(m->id, id, GOSSIP_ID_LEN);
    m->topic = (uint8_t)topic_idx(g, t);
    m->state = MESSAGE_PENDING;
    m->from = NONE;
    m->fp = fp;
    m->id_key = id_key;
    m->born_ms = g->now_ms;
    m->data_len = (uint32_t)data.len;
    struct qn_buf wire = { .cap = gossip_message_len(t->wire_len, data.len) };
    wire.ptr = malloc(wire.cap);
    QN_ASSERT(wire.ptr != NULL);
    m->data_at = (uint32_t)gossip_put_message(&wire, t->wire, data);
    QN_ASSERT(wire.len == wire.cap);
    m->wire = wire.ptr;
    m->wire_len = (uint32_t)wire.len;
    g->body_bytes += wire.len;
    g->pending_bytes += wire.len;
    list_add(g, &g->pending, m);
    index_add(g, m);
    return m;
}

void gossip_message_settle(struct gossip *g, struct message *m, enum message_state state)
{
    QN_ASSERT(m->state == MESSAGE_PENDING);
    list_del(g, &g->pending, m);
    list_add(g, &g->cache, m);
    g->pending_bytes -= m->wire_len;
    m->state = (uint8_t)state;
    m->beat = g->beat;
    if (state != MESSAGE_ACCEPTED) {
        body_free(g, m);
        return;
    }
    g->cache_bytes += m->wire_len;
    while (g->cache_bytes > GOSSIP_CACHE_MAX && g->cache.head != m->idx)
        evict(g, message_at(g, g->cache.head));
}

void gossip_message_unref(struct gossip *g, struct message *m)
{
    QN_ASSERT(m->refs > 0);
    m->refs--;
    if (m->refs == 0 && m->state == MESSAGE_OLD) slot_free(g, m);
}

void gossip_cache_beat(struct gossip *g)
{
    while (g->cache.head != NONE && message_at(g, g->cache.head)->beat + WINDOW_CNT <= g->beat)
        evict(g, message_at(g, g->cache.head));
}

void gossip_cache_forget_slot(struct gossip *g, uint32_t slot)
{
    for (uint32_t i = 0; i < g->message_cap; i++) {
        struct message *m = message_at(g, i);
        peerset_del(&m->sent, slot);
        peerset_del(&m->has, slot);
        if (m->from == slot) m->from = NONE;
    }
}

void gossip_cache_free(struct gossip *g)
{
    for (uint32_t i = 0; i < g->message_cap; i++)
        free(message_at(g, i)->wire);
    for (uint32_t i = 0; i < g->message_cap / CHUNK_CNT; i++)
        free(g->chunk[i]);
    free(g->by_id);
    free(g->by_fp);
}
