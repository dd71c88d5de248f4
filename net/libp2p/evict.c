/* evict.c - protect what an attacker cannot fake, then take the youngest of the largest group. */
#include "net/libp2p/evict.h"

#define HASH_GROUP UINT64_C(0x6576696374) /* tells this use of the dice from others */

enum by { BY_GROUP, BY_NEAR, BY_TX, BY_BLOCK, BY_AGE };

struct left {
    const struct net_dice *dice;
    const struct evict_peer *at[EVICT_MAX];
    uint32_t cnt;
};

/* Whether a is more worth keeping than b; the older one where they are equal. */
static bool better(const struct left *l, enum by by, const struct evict_peer *a,
                   const struct evict_peer *b)
{
    uint64_t x = 0, y = 0; /* the smaller wins */
    switch (by) {
    case BY_GROUP:
        x = net_dice_hash3(l->dice, HASH_GROUP, net_ip_group(&a->ip), 0);
        y = net_dice_hash3(l->dice, HASH_GROUP, net_ip_group(&b->ip), 0);
        break;
    case BY_NEAR:
        x = a->rtt_us ? a->rtt_us : UINT32_MAX;
        y = b->rtt_us ? b->rtt_us : UINT32_MAX;
        break;
    case BY_TX: x = UINT64_MAX - a->tx_ms, y = UINT64_MAX - b->tx_ms; break;
    case BY_BLOCK: x = UINT64_MAX - a->block_ms, y = UINT64_MAX - b->block_ms; break;
    case BY_AGE: break;
    }
    if (x != y) return x < y;
    return a->up_ms != b->up_ms ? a->up_ms < b->up_ms : a->peer < b->peer;
}

static void protect(struct left *l, enum by by, uint32_t cnt)
{
    for (; cnt && l->cnt; cnt--) {
        uint32_t best = 0;
        for (uint32_t i = 1; i < l->cnt; i++)
            if (better(l, by, l->at[i], l->at[best])) best = i;
        l->at[best] = l->at[--l->cnt];
    }
}

uint32_t evict_pick(const struct net_dice *dice, const struct evict_peer *peers, uint32_t cnt)
{
    struct left l = { .dice = dice };
    for (uint32_t i = 0; i < cnt && l.cnt < EVICT_MAX; i++)
        if (!peers[i].keep) l.at[l.cnt++] = &peers[i];
    protect(&l, BY_GROUP, EVICT_GROUPS);
    protect(&l, BY_NEAR, EVICT_NEAR);
    protect(&l, BY_TX, EVICT_TX);
    protect(&l, BY_BLOCK, EVICT_BLOCK);
    protect(&l, BY_AGE, l.cnt / 2);
    const struct evict_peer *go = NULL;
    uint32_t go_size = 0;
    for (uint32_t i = 0; i < l.cnt; i++) {
        uint32_t size = 0;
        for (uint32_t j = 0; j < l.cnt; j++)
            size += net_ip_group(&l.at[i]->ip) == net_ip_group(&l.at[j]->ip);
        if (go && size < go_size) continue;
        if (go && size == go_size && !better(&l, BY_AGE, go, l.at[i])) continue;
        go = l.at[i], go_size = size;
    }
    return go ? go->peer : 0;
}
