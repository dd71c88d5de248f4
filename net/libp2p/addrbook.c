/* addrbook.c - two tables of addresses, placed by keyed hash. */
#include "net/libp2p/addrbook.h"

#include "net/libp2p/addrbook_int.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define MINUTE_MS UINT64_C(60000)
#define HOUR_MS   (60 * MINUTE_MS)
#define DAY_MS    (24 * HOUR_MS)
#define NONE      UINT32_MAX
#define LOOP_MAX  20000 /* draws; each costs some 100 ns */

enum {
    HASH_NEW_GROUP = 1,
    HASH_NEW_BUCKET,
    HASH_TRIED_SUB,
    HASH_TRIED_BUCKET,
    HASH_SLOT,
    HASH_COUNT
};

static void *more(void *ptr, size_t n)
{
    void *got = realloc(ptr, n);
    QN_ASSERT(got); /* at most ADDRBOOK_MAX entries: some 12 MiB */
    return got;
}

struct addrbook *addrbook_new(const struct qn_hash *key, bool private)
{
    struct addrbook *book = calloc(1, sizeof *book);
    QN_ASSERT(book);
    book->key = *key;
    book->private = private;
    net_dice_init(&book->dice, QN_SPAN_OF(*key));
    memset(book->slot_new, 0xff, sizeof book->slot_new);
    memset(book->slot_tried, 0xff, sizeof book->slot_tried);
    memset(book->head, 0xff, sizeof book->head);
    book->free = NONE;
    return book;
}

void addrbook_free(struct addrbook *book)
{
    if (!book) return;
    free(book->node);
    free(book->order);
    free(book);
}

bool addrbook_wants(const struct addrbook *book, const struct net_addr *addr)
{
    enum net_range range = net_ip_range(&addr->ip);
    if (addr->port == 0) return false;
    return range == NET_PUBLIC || (book->private && range != NET_NOWHERE);
}

static uint64_t addr_hash(const struct addrbook *book, const struct net_addr *addr)
{
    uint8_t b[18];
    memcpy(b, addr->ip.b, 16);
    memcpy(b + 16, &addr->port, 2);
    return net_dice_hash(&book->dice, QN_SPAN_OF(b));
}

static uint32_t new_bucket(const struct addrbook *book, const struct net_ip *ip,
                           const struct net_ip *source)
{
    uint64_t from = net_ip_group(source);
    uint64_t sub = net_dice_hash3(&book->dice, HASH_NEW_GROUP, net_ip_group(ip), from) % 64;
    return (uint32_t)(net_dice_hash3(&book->dice, HASH_NEW_BUCKET, from, sub) % ADDRBOOK_NEW);
}

static uint32_t *tried_slot(struct addrbook *book, const struct net_addr *addr)
{
    uint64_t h = addr_hash(book, addr);
    uint64_t sub = net_dice_hash3(&book->dice, HASH_TRIED_SUB, h, 0) % 8;
    uint64_t bucket = net_dice_hash3(&book->dice, HASH_TRIED_BUCKET, net_ip_group(&addr->ip), sub);
    bucket %= ADDRBOOK_TRIED;
    uint64_t slot = net_dice_hash3(&book->dice, HASH_SLOT, h, ADDRBOOK_NEW + bucket);
    return &book->slot_tried[bucket][slot % ADDRBOOK_SLOTS];
}

static uint32_t *new_slot(struct addrbook *book, const struct net_addr *addr,
                          const struct net_ip *source)
{
    uint32_t bucket = new_bucket(book, &addr->ip, source);
    uint64_t slot = net_dice_hash3(&book->dice, HASH_SLOT, addr_hash(book, addr), bucket);
    return &book->slot_new[bucket][slot % ADDRBOOK_SLOTS];
}

/* Writes a slot of either table (slot_new lies before slot_tried); i NONE: empties it. */
static void slot_set(struct addrbook *book, uint32_t *slot, uint32_t i)
{
    size_t at = (size_t)((const char *)slot - (const char *)book), /* both tables are in it */
        began = offsetof(struct addrbook, slot_tried);
    uint8_t *in = book->in_tried;
    if (at < began) {
        began = offsetof(struct addrbook, slot_new);
        in = book->in_new;
    }
    uint8_t *cnt = &in[(at - began) / sizeof book->slot_new[0]];
    *cnt = (uint8_t)(*cnt + (i != NONE) - (*slot != NONE));
    *slot = i;
}

static uint32_t find(const struct addrbook *book, const struct net_addr *addr)
{
    uint32_t i = book->head[addr_hash(book, addr) % ADDRBOOK_HEADS];
    while (i != NONE && !net_addr_eq(&book->node[i].e.addr, addr))
        i = book->node[i].next;
    return i;
}

static uint32_t *group_cnt(struct addrbook *book, const struct net_ip *ip, bool tried)
{
    uint64_t h = net_dice_hash3(&book->dice, HASH_COUNT, net_ip_group(ip), 0);
    return &book->group[tried][h % ADDRBOOK_GROUPS];
}

static uint32_t make(struct addrbook *book, const struct net_addr *addr)
{
    if (book->free == NONE) {
        QN_ASSERT(book->cnt <
                  ADDRBOOK_MAX +
                      1); /* one more than slots: a newcomer is made before its rival goes */
        uint32_t cap = QN_MIN(QN_MAX(book->cap * 2, 64u), ADDRBOOK_MAX + 1u);
        QN_ASSERT(book->cap < cap);
        book->node = more(book->node, cap * sizeof *book->node);
        book->order = more(book->order, cap * sizeof *book->order);
        for (uint32_t i = cap; i-- > book->cap;) {
            book->node[i] = (struct addrbook_node){ .next = book->free };
            book->free = i;
        }
        book->cap = cap;
    }
    uint32_t i = book->free, *head = &book->head[addr_hash(book, addr) % ADDRBOOK_HEADS];
    struct addrbook_node *n = &book->node[i];
    book->free = n->next;
    *n = (struct addrbook_node){ .e.addr = *addr, .next = *head, .pos = book->cnt };
    *head = i;
    book->order[book->cnt++] = i;
    ++*group_cnt(book, &addr->ip, false);
    return i;
}

static void drop(struct addrbook *book, uint32_t i)
{
    struct addrbook_node *n = &book->node[i];
    QN_ASSERT(n->refs == 0 && !n->e.tried);
    --*group_cnt(book, &n->e.addr.ip, false);
    uint32_t *at = &book->head[addr_hash(book, &n->e.addr) % ADDRBOOK_HEADS];
    while (*at != i)
        at = &book->node[*at].next;
    *at = n->next;
    uint32_t last = book->order[--book->cnt];
    book->order[n->pos] = last;
    book->node[last].pos = n->pos;
    *n = (struct addrbook_node){ .next = book->free };
    book->free = i;
}

/* Not worth a slot: silent for long, from the future, or failed again and again. */
static bool terrible(const struct addrbook_entry *e, uint64_t now_ms)
{
    if (e->try_ms && e->try_ms + MINUTE_MS > now_ms) return false; /* its attempt may still run */
    if (e->seen_ms > now_ms + 10 * MINUTE_MS || e->seen_ms + 30 * DAY_MS < now_ms) return true;
    if (e->ok_ms == 0) return e->fails >= 3;
    return e->ok_ms + 7 * DAY_MS < now_ms && e->fails >= 10;
}

/* Takes i out of a slot of the new table; an entry in no slot is gone. */
static void unslot(struct addrbook *book, uint32_t *slot)
{
    uint32_t i = *slot;
    if (i == NONE) return;
    slot_set(book, slot, NONE);
    QN_ASSERT(book->node[i].refs > 0);
    if (--book->node[i].refs == 0 && !book->node[i].e.tried) drop(book, i);
}

/* Puts i in the slot that hash gives it for that source, if the slot is free or its holder worth less. */
static void place_new(struct addrbook *book, uint32_t i, const struct net_ip *source,
                      uint64_t now_ms)
{
    uint32_t *slot = new_slot(book, &book->node[i].e.addr, source);
    struct addrbook_node *n = &book->node[i];
    if (*slot == i) return;
    if (*slot != NONE) {
        const struct addrbook_node *old = &book->node[*slot];
        if (!terrible(&old->e, now_ms) && !(old->refs > 1 && n->refs == 0)) {
            if (n->refs == 0) drop(book, i);
            return;
        }
        unslot(book, slot);
    }
    slot_set(book, slot, i);
    book->node[i].refs++;
}

bool addrbook_add(struct addrbook *book, const struct net_addr *addr, const struct qn_peer_id *id,
                  const struct net_ip *source, uint64_t seen_ms, uint64_t now_ms)
{
    if (!addrbook_wants(book, addr)) return false;
    /* Hearsay counts as two hours older than who speaks of itself. */
    if (!net_ip_eq(&addr->ip, source)) seen_ms -= QN_MIN(seen_ms, 2 * HOUR_MS);
    if (seen_ms > now_ms) seen_ms = now_ms;
    uint32_t i = find(book, addr);
    if (i != NONE) {
        struct addrbook_node *n = &book->node[i];
        if (seen_ms > n->e.seen_ms + HOUR_MS) n->e.seen_ms = seen_ms;
        if (n->e.tried || n->refs >= 8) return false;
        /* Each further slot is half as likely as the last, so that repetition buys little. */
        if (n->refs && net_dice_below(&book->dice, 1u << n->refs) != 0) return false;
        place_new(book, i, source, now_ms);
        return false;
    }
    i = make(book, addr);
    struct addrbook_entry *e = &book->node[i].e;
    e->source = *source;
    e->seen_ms = seen_ms;
    if (id) e->id = *id;
    place_new(book, i, source, now_ms);
    return find(book, addr) != NONE;
}

void addrbook_tried(struct addrbook *book, const struct net_addr *addr, uint64_t now_ms)
{
    uint32_t i = find(book, addr);
    if (i == NONE) return;
    struct addrbook_entry *e = &book->node[i].e;
    e->try_ms = now_ms;
    if (e->fails < UINT32_MAX) e->fails++;
}

static void flip(struct addrbook *book, uint32_t i)
{
    struct addrbook_entry *e = &book->node[i].e;
    --*group_cnt(book, &e->addr.ip, e->tried);
    e->tried = !e->tried;
    ++*group_cnt(book, &e->addr.ip, e->tried);
    book->tried_cnt += e->tried ? 1u : UINT32_MAX;
}

/* Takes i out of all its slots of the new table. */
static void lift(struct addrbook *book, uint32_t i)
{
    for (uint32_t b = 0; b < ADDRBOOK_NEW && book->node[i].refs; b++) {
        uint64_t h =
            net_dice_hash3(&book->dice, HASH_SLOT, addr_hash(book, &book->node[i].e.addr), b);
        uint32_t *slot = &book->slot_new[b][h % ADDRBOOK_SLOTS];
        if (*slot != i) continue;
        slot_set(book, slot, NONE);
        book->node[i].refs--;
    }
    QN_ASSERT(book->node[i].refs == 0);
}

/* Moves i into its slot of the tried table; who was there goes back among the new. */
static void place_tried(struct addrbook *book, uint32_t i, uint64_t now_ms)
{
    lift(book, i);
    uint32_t *slot = tried_slot(book, &book->node[i].e.addr), old = *slot;
    slot_set(book, slot, i);
    flip(book, i);
    if (old == NONE) return;
    flip(book, old);
    struct net_ip source = book->node[old].e.source;
    uint32_t *back = new_slot(book, &book->node[old].e.addr, &source);
    unslot(book, back); /* one that answered once is worth more than hearsay */
    slot_set(book, back, old);
    book->node[old].refs = 1;
    (void)now_ms;
}

static void dispute(struct addrbook *book, const struct net_addr *addr)
{
    for (uint32_t i = 0; i < book->dispute_cnt; i++)
        if (net_addr_eq(&book->dispute[i].addr, addr)) return;
    if (book->dispute_cnt < QN_COUNT(book->dispute))
        book->dispute[book->dispute_cnt++] = (struct addrbook_dispute){ .addr = *addr };
}

void addrbook_good(struct addrbook *book, const struct net_addr *addr, const struct qn_peer_id *id,
                   uint64_t now_ms)
{
    uint32_t i = find(book, addr);
    if (i == NONE) {
        addrbook_add(book, addr, id, &addr->ip, now_ms, now_ms);
        i = find(book, addr);
        if (i == NONE) return;
    }
    struct addrbook_entry *e = &book->node[i].e;
    e->ok_ms = e->try_ms = now_ms;
    e->seen_ms = QN_MAX(e->seen_ms, now_ms);
    e->fails = 0;
    if (id) e->id = *id;
    if (e->tried) return;
    if (*tried_slot(book, addr) == NONE)
        place_tried(book, i, now_ms);
    else
        dispute(book, addr);
}

void addrbook_forget(struct addrbook *book, const struct net_addr *addr)
{
    for (uint32_t i = 0; i < book->anchor_cnt; i++)
        if (net_addr_eq(&book->anchor[i], addr))
            book->anchor[i--] = book->anchor[--book->anchor_cnt];
    uint32_t i = find(book, addr);
    if (i == NONE) return;
    if (book->node[i].e.tried) {
        uint32_t *slot = tried_slot(book, addr);
        QN_ASSERT(*slot == i);
        *slot = NONE;
        flip(book, i);
    }
    lift(book, i);
    drop(book, i);
}

/* Ends disputes whose outcome is known: the holder answered lately and stays, was silent and goes, or could not be tested in 40
 * minutes and goes too. */
static void settle(struct addrbook *book, uint64_t now_ms)
{
    for (uint32_t d = 0; d < book->dispute_cnt;) {
        struct addrbook_dispute *it = &book->dispute[d];
        uint32_t i = find(book, &it->addr);
        bool done = i == NONE || book->node[i].e.tried;
        if (!done) {
            uint32_t holder = *tried_slot(book, &it->addr);
            if (it->since_ms == 0) it->since_ms = now_ms;
            if (holder == NONE) {
                place_tried(book, i, now_ms), done = true;
            } else {
                const struct addrbook_entry *old = &book->node[holder].e;
                bool fresh = old->ok_ms + 4 * HOUR_MS > now_ms && old->fails == 0;
                bool silent = old->fails && old->try_ms + 4 * HOUR_MS > now_ms &&
                              old->try_ms + MINUTE_MS <= now_ms;
                bool late = it->since_ms + 40 * MINUTE_MS <= now_ms;
                done = fresh || silent || late;
                if (!fresh && (silent || late)) place_tried(book, i, now_ms);
            }
        }
        if (done)
            *it = book->dispute[--book->dispute_cnt];
        else
            d++;
    }
}

/* How likely an entry that was drawn is kept, of 2^16: recent attempts 1 in 100, each failure two thirds. */
static uint32_t chance(const struct addrbook_entry *e, uint64_t now_ms)
{
    uint32_t c = 1u << 16;
    if (e->try_ms && e->try_ms + 10 * MINUTE_MS > now_ms) c /= 100;
    for (uint32_t i = 0; i < QN_MIN(e->fails, 8u); i++)
        c = c * 66 / 100;
    return QN_MAX(c, 1u);
}

static bool pick_from(struct addrbook *book, uint32_t (*table)[ADDRBOOK_SLOTS], const uint8_t *in,
                      uint32_t buckets, uint64_t now_ms, struct addrbook_entry *ret)
{
    uint32_t full[ADDRBOOK_NEW], full_cnt = 0;
    for (uint32_t b = 0; b < buckets; b++)
        if (in[b]) full[full_cnt++] = b;
    if (!full_cnt) return false;
    for (uint32_t loop = 0, boost = 0;; loop++) {
        const uint32_t *bucket = table[full[net_dice_below(&book->dice, full_cnt)]];
        uint32_t s = net_dice_below(&book->dice, ADDRBOOK_SLOTS);
        while (bucket[s] == NONE)
            s = (s + 1) % ADDRBOOK_SLOTS;
        const struct addrbook_entry *e = &book->node[bucket[s]].e;
        /* Each group is as likely as any other, however many addresses it has: networks are what an attacker has few of. */
        uint32_t rivals = *group_cnt(book, &e->addr.ip, e->tried);
        if (loop < LOOP_MAX && net_dice_below(&book->dice, rivals)) continue;
        uint64_t odds = (uint64_t)chance(e, now_ms)
                        << QN_MIN(boost++ / 4, 16u); /* ends: odds double */
        if (net_dice_below(&book->dice, 1u << 16) >= odds) continue;
        *ret = *e;
        return true;
    }
}

bool addrbook_pick(struct addrbook *book, bool only_new, uint64_t now_ms,
                   struct addrbook_entry *ret)
{
    bool tried = !only_new && book->tried_cnt &&
                 (book->tried_cnt == book->cnt || net_dice_below(&book->dice, 2));
    if (tried)
        return pick_from(book, book->slot_tried, book->in_tried, ADDRBOOK_TRIED, now_ms, ret);
    return pick_from(book, book->slot_new, book->in_new, ADDRBOOK_NEW, now_ms, ret);
}

bool addrbook_feeler(struct addrbook *book, uint64_t now_ms, struct addrbook_entry *ret)
{
    settle(book, now_ms);
    for (uint32_t d = 0; d < book->dispute_cnt; d++) {
        uint32_t holder = *tried_slot(book, &book->dispute[d].addr);
        if (holder == NONE || book->node[holder].e.try_ms + MINUTE_MS > now_ms) continue;
        *ret = book->node[holder].e;
        return true;
    }
    return addrbook_pick(book, true, now_ms, ret);
}

uint32_t addrbook_sample(struct addrbook *book, uint32_t max, uint64_t now_ms,
                         struct addrbook_entry *ret)
{
    /* A quarter at most, so that asking often does not map the whole book; a small one is no secret. */
    uint32_t want = QN_MIN(max, QN_MAX((book->cnt + 3) / 4, QN_MIN(book->cnt, 16u))), got = 0;
    for (uint32_t i = 0; i < book->cnt && got < want; i++) {
        uint32_t j = i + net_dice_below(&book->dice, book->cnt - i);
        uint32_t a = book->order[i], b = book->order[j];
        book->order[i] = b, book->order[j] = a;
        book->node[b].pos = i, book->node[a].pos = j;
        if (!terrible(&book->node[b].e, now_ms)) ret[got++] = book->node[b].e;
    }
    return got;
}

bool addrbook_find(const struct addrbook *book, const struct net_addr *addr,
                   struct addrbook_entry *ret)
{
    uint32_t i = find(book, addr);
    if (i == NONE) return false;
    *ret = book->node[i].e;
    return true;
}

uint32_t addrbook_draw(struct addrbook *book, uint32_t max)
{
    return net_dice_below(&book->dice, max);
}

struct addrbook_cnt addrbook_count(const struct addrbook *book)
{
    return (struct addrbook_cnt){ .told = book->cnt - book->tried_cnt, .tried = book->tried_cnt };
}

void addrbook_anchor_set(struct addrbook *book, const struct net_addr *addrs, uint32_t cnt)
{
    book->anchor_cnt = 0;
    for (uint32_t i = 0; i < cnt && book->anchor_cnt < ADDRBOOK_ANCHOR; i++)
        if (addrbook_wants(book, &addrs[i])) book->anchor[book->anchor_cnt++] = addrs[i];
}

uint32_t addrbook_anchor_get(const struct addrbook *book, struct net_addr ret[ADDRBOOK_ANCHOR])
{
    memcpy(ret, book->anchor, book->anchor_cnt * sizeof *ret);
    return book->anchor_cnt;
}

void addrbook_restore(struct addrbook *book, const struct addrbook_entry *e)
{
    if (!addrbook_wants(book, &e->addr) || find(book, &e->addr) != NONE) return;
    bool tried = e->tried && *tried_slot(book, &e->addr) == NONE;
    uint32_t *slot = new_slot(book, &e->addr, &e->source);
    if (!tried && *slot != NONE) return;
    uint32_t i = make(book, &e->addr);
    book->node[i].e = *e;
    book->node[i].e.tried = false;
    if (tried) {
        place_tried(book, i, 0);
    } else {
        slot_set(book, slot, i);
        book->node[i].refs = 1;
    }
}
