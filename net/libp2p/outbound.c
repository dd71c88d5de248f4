/* outbound.c - full, block-only, feeler and anchor connections. */
#include "net/libp2p/outbound.h"

#define ANCHOR_MS                                                                                  \
    UINT64_C(                                                                                      \
        15000) /* that long a start waits for anchors before others take the block-only places */
#define RETRY_MIN_MS UINT64_C(5000)
#define RETRY_MAX_MS UINT64_C(600000)
#define DIALS_MAX    8 /* at once */
#define DRAWS_MAX    64

void outbound_init(struct outbound *out, struct addrbook *book, bool private, uint32_t full,
                   uint32_t block)
{
    *out = (struct outbound){ .book = book,
                              .private = private,
                              .full_cnt = full ? full : OUTBOUND_FULL_CNT,
                              .block_cnt = block ? block : OUTBOUND_BLOCK_CNT };
    out->full_cnt = QN_MIN(out->full_cnt, OUTBOUND_SLOTS / 2u);
    out->block_cnt = QN_MIN(out->block_cnt, OUTBOUND_SLOTS / 8u);
    out->anchor_cnt = addrbook_anchor_get(book, out->anchor);
}

static struct outbound_slot *of_addr(struct outbound *out, const struct net_addr *addr)
{
    for (uint32_t i = 0; i < OUTBOUND_SLOTS; i++)
        if (out->slot[i].used && net_addr_eq(&out->slot[i].addr, addr)) return &out->slot[i];
    return NULL;
}

static uint32_t held(const struct outbound *out, enum outbound_kind kind)
{
    uint32_t cnt = 0;
    for (uint32_t i = 0; i < OUTBOUND_SLOTS; i++)
        cnt += out->slot[i].used && out->slot[i].kind == kind;
    return cnt;
}

static uint32_t dialling(const struct outbound *out)
{
    uint32_t cnt = 0;
    for (uint32_t i = 0; i < OUTBOUND_SLOTS; i++)
        cnt += out->slot[i].used && !out->slot[i].up;
    return cnt;
}

/* Feelers stay short, so they take no group. */
static bool group_taken(const struct outbound *out, const struct net_ip *ip)
{
    if (net_ip_range(ip) != NET_PUBLIC) return false;
    for (uint32_t i = 0; i < OUTBOUND_SLOTS; i++) {
        const struct outbound_slot *s = &out->slot[i];
        if (s->used && s->kind != OUTBOUND_FEELER && net_ip_group(&s->addr.ip) == net_ip_group(ip))
            return true;
    }
    return false;
}

static bool go(struct outbound *out, const struct outbound_ops *ops, const struct net_addr *addr,
               enum outbound_kind kind, uint64_t now_ms)
{
    if (of_addr(out, addr)) return false;
    for (uint32_t i = 0; i < OUTBOUND_SLOTS; i++) {
        struct outbound_slot *s = &out->slot[i];
        if (s->used) continue;
        *s =
            (struct outbound_slot){ .used = true, .kind = kind, .addr = *addr, .since_ms = now_ms };
        addrbook_tried(out->book, addr, now_ms);
        ops->dial(ops->arg, addr, kind);
        return true;
    }
    return false;
}

static bool rested(const struct addrbook_entry *e, uint64_t now_ms)
{
    uint64_t wait = QN_MIN(RETRY_MIN_MS << QN_MIN(e->fails, 10u), RETRY_MAX_MS);
    return e->try_ms == 0 || e->try_ms + wait <= now_ms;
}

/* Says whether somebody was found: in a small network everybody is connected, and who is there was drawn soon. */
static bool draw(struct outbound *out, const struct outbound_ops *ops, enum outbound_kind kind,
                 uint64_t now_ms)
{
    struct addrbook_entry e;
    for (uint32_t i = 0; i < DRAWS_MAX; i++) {
        if (!addrbook_pick(out->book, false, now_ms, &e)) return false;
        if (of_addr(out, &e.addr) || group_taken(out, &e.addr.ip)) continue;
        if (!rested(&e, now_ms) || ops->connected(ops->arg, &e)) continue;
        go(out, ops, &e.addr, kind, now_ms);
        return true;
    }
    return false;
}

static void feel(struct outbound *out, const struct outbound_ops *ops, uint64_t now_ms)
{
    struct addrbook_entry e;
    /* Apart by chance, so that who watches cannot tell the next one. */
    out->feeler_ms = now_ms + OUTBOUND_FEELER_MS / 2 + addrbook_draw(out->book, OUTBOUND_FEELER_MS);
    if (held(out, OUTBOUND_FEELER) || !addrbook_feeler(out->book, now_ms, &e)) return;
    if (ops->connected(ops->arg, &e)) { /* that is all a feeler would learn */
        if (e.id.len) addrbook_good(out->book, &e.addr, &e.id, now_ms);
        return;
    }
    if (rested(&e, now_ms)) go(out, ops, &e.addr, OUTBOUND_FEELER, now_ms);
}

static void rotate(struct outbound *out, const struct outbound_ops *ops, uint64_t now_ms)
{
    out->rotate_ms = now_ms + OUTBOUND_ROTATE_MS / 2 + addrbook_draw(out->book, OUTBOUND_ROTATE_MS);
    if (out->private || outbound_count(out, OUTBOUND_FULL) < out->full_cnt) return;
    struct outbound_slot *go = NULL;
    uint32_t seen = 0;
    for (uint32_t i = 0; i < OUTBOUND_SLOTS; i++) {
        struct outbound_slot *s = &out->slot[i];
        bool chosen = s->kind == OUTBOUND_FULL || s->kind == OUTBOUND_BLOCK;
        if (s->used && s->up && chosen && addrbook_draw(out->book, ++seen) == 0) go = s;
    }
    if (!go) return;
    uint32_t peer = go->peer;
    outbound_down(out, peer);
    ops->hangup(ops->arg, peer);
}

void outbound_turn(struct outbound *out, const struct outbound_ops *ops, uint64_t now_ms)
{
    if (!out->started) {
        out->started = true;
        out->feeler_ms = now_ms + addrbook_draw(out->book, OUTBOUND_FEELER_MS);
        out->rotate_ms = now_ms + OUTBOUND_ROTATE_MS;
        out->anchors_ms = now_ms + (out->anchor_cnt ? ANCHOR_MS : 0);
        for (uint32_t i = 0; i < out->anchor_cnt; i++)
            if (!group_taken(out, &out->anchor[i].ip))
                go(out, ops, &out->anchor[i], OUTBOUND_BLOCK, now_ms);
    }
    for (uint32_t i = 0; i < OUTBOUND_SLOTS; i++) {
        struct outbound_slot *s = &out->slot[i];
        if (s->used && !s->up && s->since_ms + OUTBOUND_DIAL_MS <= now_ms) s->used = false;
    }
    if (now_ms >= out->rotate_ms) rotate(out, ops, now_ms);
    uint32_t room = DIALS_MAX - QN_MIN(dialling(out), (uint32_t)DIALS_MAX);
    for (uint32_t i = held(out, OUTBOUND_FULL); i < out->full_cnt && room; i++, room--)
        if (!draw(out, ops, OUTBOUND_FULL, now_ms)) break;
    if (now_ms >= out->anchors_ms && outbound_count(out, OUTBOUND_FULL) >= out->full_cnt)
        for (uint32_t i = held(out, OUTBOUND_BLOCK); i < out->block_cnt && room; i++, room--)
            if (!draw(out, ops, OUTBOUND_BLOCK, now_ms)) break;
    if (now_ms >= out->feeler_ms) feel(out, ops, now_ms);
}

static void anchors(struct outbound *out)
{
    struct net_addr addr[ADDRBOOK_ANCHOR];
    uint32_t cnt = 0;
    for (uint32_t i = 0; i < OUTBOUND_SLOTS && cnt < ADDRBOOK_ANCHOR; i++)
        if (out->slot[i].used && out->slot[i].up && out->slot[i].kind == OUTBOUND_BLOCK)
            addr[cnt++] = out->slot[i].addr;
    if (cnt) addrbook_anchor_set(out->book, addr, cnt); /* the last ones known stay when all went */
}

enum outbound_kind outbound_up(struct outbound *out, const struct net_addr *addr,
                               const struct qn_peer_id *id, uint32_t peer, uint64_t now_ms)
{
    struct outbound_slot *s = of_addr(out, addr);
    addrbook_good(out->book, addr, id, now_ms);
    if (!s) return OUTBOUND_FEELER; /* given up on: nobody waits for it */
    enum outbound_kind kind = s->kind;
    s->up = true;
    s->peer = peer;
    if (kind == OUTBOUND_FEELER) s->used = false;
    if (kind == OUTBOUND_BLOCK) anchors(out);
    return kind;
}

void outbound_fail(struct outbound *out, const struct net_addr *addr)
{
    struct outbound_slot *s = of_addr(out, addr);
    if (s && !s->up) s->used = false;
}

void outbound_down(struct outbound *out, uint32_t peer)
{
    for (uint32_t i = 0; i < OUTBOUND_SLOTS; i++)
        if (out->slot[i].used && out->slot[i].up && out->slot[i].peer == peer)
            out->slot[i].used = false;
}

uint32_t outbound_count(const struct outbound *out, enum outbound_kind kind)
{
    uint32_t cnt = 0;
    for (uint32_t i = 0; i < OUTBOUND_SLOTS; i++)
        cnt += out->slot[i].used && out->slot[i].up && out->slot[i].kind == kind;
    return cnt;
}

bool outbound_find(const struct outbound *out, uint32_t peer, enum outbound_kind *ret)
{
    for (uint32_t i = 0; i < OUTBOUND_SLOTS; i++)
        if (out->slot[i].used && out->slot[i].up && out->slot[i].peer == peer) {
            *ret = out->slot[i].kind;
            return true;
        }
    return false;
}
