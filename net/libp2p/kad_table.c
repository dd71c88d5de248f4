/* kad_table.c - buckets by shared prefix, with shares by network group. */
#include "net/libp2p/kad_table.h"

#include <stdlib.h>
#include <string.h>

void kad_table_init(struct kad_table *table, const struct qn_peer_id *self)
{
    memset(table, 0, sizeof *table);
    table->self = kad_key(QN_SPAN(self->b, self->len));
}

void kad_table_fini(struct kad_table *table)
{
    for (uint32_t b = 0; b < KAD_BUCKETS; b++)
        free(table->bucket[b]);
    memset(table, 0, sizeof *table);
}

static uint32_t shared(const struct qn_hash *a, const struct qn_hash *b)
{
    for (uint32_t i = 0; i < 32; i++) {
        unsigned x = a->b[i] ^ b->b[i];
        if (x) return i * 8 + (uint32_t)__builtin_clz(x) - 24;
    }
    return KAD_BUCKETS; /* ourselves */
}

static struct kad_node *in_bucket(struct kad_bucket *bucket, const struct qn_peer_id *id)
{
    for (uint32_t i = 0; bucket && i < bucket->cnt; i++)
        if (qn_peer_id_eq(&bucket->node[i].peer.id, id)) return &bucket->node[i];
    return NULL;
}

/* Whether one more of ip's group would be over its share. */
static bool over_share(const struct kad_table *table, uint32_t at, const struct net_ip *ip)
{
    if (net_ip_range(ip) != NET_PUBLIC) return false;
    uint64_t group = net_ip_group(ip);
    uint32_t here = 0, all = 0;
    for (uint32_t b = 0; b < KAD_BUCKETS; b++)
        for (uint32_t i = 0; table->bucket[b] && i < table->bucket[b]->cnt; i++)
            if (net_ip_group(&table->bucket[b]->node[i].ip) == group) all++, here += b == at;
    return here >= KAD_GROUP_BUCKET || all >= KAD_GROUP_TABLE;
}

static void remove_node(struct kad_table *table, struct kad_bucket *bucket, struct kad_node *n)
{
    *n = bucket->node[--bucket->cnt];
    table->cnt--;
}

qn_rc kad_table_seen(struct kad_table *table, const struct kad_peer *peer, const struct net_ip *ip,
                     uint64_t now_ms, struct kad_peer *ret_old)
{
    struct qn_hash key = kad_key(QN_SPAN(peer->id.b, peer->id.len));
    uint32_t at = shared(&table->self, &key);
    if (at >= KAD_BUCKETS) return QN_E_LIMIT;
    struct kad_node *n = in_bucket(table->bucket[at], &peer->id);
    if (n && !net_ip_eq(&n->ip, ip)) { /* it moved: its share is counted anew */
        remove_node(table, table->bucket[at], n);
        n = NULL;
    }
    if (!n) {
        if (over_share(table, at, ip)) return QN_E_LIMIT;
        if (!table->bucket[at]) table->bucket[at] = calloc(1, sizeof *table->bucket[at]);
        struct kad_bucket *bucket = table->bucket[at];
        QN_ASSERT(bucket);
        if (bucket->cnt == KAD_K) {
            const struct kad_node *old = &bucket->node[0];
            for (uint32_t i = 1; i < KAD_K; i++)
                if (bucket->node[i].seen_ms < old->seen_ms) old = &bucket->node[i];
            if (ret_old) *ret_old = old->peer;
            return QN_E_BUSY;
        }
        n = &bucket->node[bucket->cnt++];
        table->cnt++;
    }
    *n = (struct kad_node){ .peer = *peer, .key = key, .ip = *ip, .seen_ms = now_ms };
    return QN_OK;
}

void kad_table_fail(struct kad_table *table, const struct qn_peer_id *id)
{
    struct qn_hash key = kad_key(QN_SPAN(id->b, id->len));
    uint32_t at = shared(&table->self, &key);
    struct kad_node *n = at < KAD_BUCKETS ? in_bucket(table->bucket[at], id) : NULL;
    if (n && ++n->fails >= KAD_FAILS) remove_node(table, table->bucket[at], n);
}

void kad_table_drop(struct kad_table *table, const struct qn_peer_id *id)
{
    for (int i = 0; i < KAD_FAILS; i++)
        kad_table_fail(table, id);
}

const struct kad_node *kad_table_get(const struct kad_table *table, const struct qn_peer_id *id)
{
    struct qn_hash key = kad_key(QN_SPAN(id->b, id->len));
    uint32_t at = shared(&table->self, &key);
    return at < KAD_BUCKETS ? in_bucket(table->bucket[at], id) : NULL;
}

uint32_t kad_table_near(const struct kad_table *table, const struct qn_hash *key, uint32_t max,
                        const struct qn_peer_id *but, struct kad_peer *ret)
{
    const struct kad_node *best[KAD_K];
    uint32_t cnt = 0;
    QN_ASSERT(max <= KAD_K);
    for (uint32_t b = 0; b < KAD_BUCKETS; b++)
        for (uint32_t i = 0; table->bucket[b] && i < table->bucket[b]->cnt; i++) {
            const struct kad_node *n = &table->bucket[b]->node[i];
            if (but && qn_peer_id_eq(&n->peer.id, but)) continue;
            uint32_t at = cnt;
            while (at > 0 && kad_near(key, &n->key, &best[at - 1]->key))
                at--;
            if (at >= max) continue;
            if (cnt < max) cnt++;
            memmove(best + at + 1, best + at, (cnt - at - 1) * sizeof *best);
            best[at] = n;
        }
    for (uint32_t i = 0; i < cnt; i++)
        ret[i] = best[i]->peer;
    return cnt;
}

uint32_t kad_table_deep(const struct kad_table *table)
{
    for (uint32_t b = KAD_BUCKETS; b-- > 0;)
        if (table->bucket[b] && table->bucket[b]->cnt) return b;
    return 0;
}
