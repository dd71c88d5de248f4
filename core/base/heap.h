/* heap.h - events in the order of their time, for everything that simulates: whole networks (tests/sim), one machine among many of its kind
 * (net/gossip/world.h, net/blob/swarm_sim.h, ledger/bft/test_bft.c), benches. An item is any struct that begins with struct heap_when. */
#ifndef QN_CORE_BASE_HEAP_H
#define QN_CORE_BASE_HEAP_H

#include "core/base/base.h"

#include <stdlib.h>
#include <string.h>

struct heap_when {
    uint64_t t, tie; /* of two at one time the lower tie comes first */
};

struct heap {
    size_t size; /* bytes of an item */
    uint8_t *items;
    size_t cnt, cap;
};

static inline void *heap_at(const struct heap *h, size_t i)
{
    return h->items + i * h->size;
}

static inline bool heap_before(const void *a, const void *b)
{
    struct heap_when x, y;
    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    return x.t != y.t ? x.t < y.t : x.tie < y.tie;
}

static inline void heap_put(struct heap *h, const void *item)
{
    if (h->cnt == h->cap) {
        h->cap = QN_MAX(h->cap * 2, (size_t)1024);
        h->items = realloc(h->items, h->cap * h->size);
        QN_ASSERT(h->items != NULL);
    }
    size_t i = h->cnt++;
    for (; i && heap_before(item, heap_at(h, (i - 1) / 2)); i = (i - 1) / 2)
        memcpy(heap_at(h, i), heap_at(h, (i - 1) / 2), h->size);
    memcpy(heap_at(h, i), item, h->size);
}

/* heap_pop copies the first item to ret; the heap must have one. */
static inline void heap_pop(struct heap *h, void *ret)
{
    QN_ASSERT(h->cnt > 0);
    memcpy(ret, h->items, h->size);
    const void *last = heap_at(h, --h->cnt);
    size_t i = 0;
    for (;;) {
        size_t c = 2 * i + 1;
        if (c >= h->cnt) break;
        if (c + 1 < h->cnt && heap_before(heap_at(h, c + 1), heap_at(h, c))) c++;
        if (!heap_before(heap_at(h, c), last)) break;
        memcpy(heap_at(h, i), heap_at(h, c), h->size);
        i = c;
    }
    if (i < h->cnt) memmove(heap_at(h, i), last, h->size);
}

/* heap_due says whether the first item is of t or before. */
static inline bool heap_due(const struct heap *h, uint64_t t)
{
    struct heap_when first;
    if (h->cnt == 0) return false;
    memcpy(&first, h->items, sizeof first);
    return first.t <= t;
}

static inline void heap_free(struct heap *h)
{
    free(h->items);
    h->items = NULL;
    h->cnt = h->cap = 0;
}

#endif
