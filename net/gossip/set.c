/* set.c - open addressing, linear probing, at most half full. */
#include "net/gossip/set.h"

#include <stdlib.h>
#include <string.h>

#define CAP_MIN 32 /* slots; a thousand simulated nodes hold some each */

static void *zeroed(size_t n, size_t size)
{
    void *ptr = calloc(n, size);
    QN_ASSERT(ptr != NULL); /* bounded by max: the owner booked it */
    return ptr;
}

static uint64_t nonzero(uint64_t key)
{
    return key ? key : 1;
}

static uint32_t gen_slot(const struct gossip_tally_gen *gen, uint64_t key)
{
    uint32_t i = (uint32_t)key & (gen->cap - 1);
    while (gen->key[i] && gen->key[i] != key)
        i = (i + 1) & (gen->cap - 1);
    return i;
}

static void gen_free(struct gossip_tally_gen *gen)
{
    free(gen->key);
    free(gen->count);
    *gen = (struct gossip_tally_gen){ 0 };
}

static void gen_grow(struct gossip_tally_gen *gen)
{
    struct gossip_tally_gen old = *gen;
    gen->cap = old.cap ? old.cap * 2 : CAP_MIN;
    gen->key = zeroed(gen->cap, sizeof *gen->key);
    gen->count = zeroed(gen->cap, sizeof *gen->count);
    for (uint32_t i = 0; i < old.cap; i++) {
        if (!old.key[i]) continue;
        uint32_t at = gen_slot(gen, old.key[i]);
        gen->key[at] = old.key[i];
        gen->count[at] = old.count[i];
    }
    gen_free(&old);
}

uint32_t gossip_tally_get(const struct gossip_tally *t, uint64_t key)
{
    uint32_t sum = 0;
    key = nonzero(key);
    for (int i = 0; i < 2; i++) {
        const struct gossip_tally_gen *gen = &t->gen[i];
        if (gen->cnt == 0) continue;
        uint32_t at = gen_slot(gen, key);
        if (gen->key[at]) sum += gen->count[at];
    }
    return sum;
}

bool gossip_tally_add(struct gossip_tally *t, uint64_t key)
{
    struct gossip_tally_gen *gen = &t->gen[0];
    key = nonzero(key);
    if (gen->cnt >= gen->cap / 2 && gen->cnt < t->max) gen_grow(gen);
    if (gen->cap == 0) return false; /* max 0 */
    uint32_t at = gen_slot(gen, key);
    if (!gen->key[at]) {
        if (gen->cnt >= t->max) return false;
        gen->key[at] = key;
        gen->cnt++;
    }
    if (gen->count[at] < UINT8_MAX) gen->count[at]++;
    return true;
}

void gossip_tally_swap(struct gossip_tally *t)
{
    struct gossip_tally_gen old = t->gen[1];
    t->gen[1] = t->gen[0];
    if (old.cnt < old.cap / 8) gen_free(&old); /* a burst does not hold its memory for ever */
    if (old.cap) {
        memset(old.key, 0, old.cap * sizeof *old.key);
        memset(old.count, 0, old.cap * sizeof *old.count);
        old.cnt = 0;
    }
    t->gen[0] = old;
}

void gossip_tally_free(struct gossip_tally *t)
{
    gen_free(&t->gen[0]);
    gen_free(&t->gen[1]);
}

size_t gossip_tally_memory(const struct gossip_tally *t)
{
    return (size_t)(t->gen[0].cap + t->gen[1].cap) *
           (sizeof *t->gen[0].key + sizeof *t->gen[0].count);
}

static uint32_t note_slot(const struct gossip_book *b, uint64_t key)
{
    uint32_t i = (uint32_t)key & (b->cap - 1);
    while (b->note[i].key && b->note[i].key != key)
        i = (i + 1) & (b->cap - 1);
    return i;
}

/* What is over goes; then there is room for twice as many as hold, and one. */
static void book_rebuild(struct gossip_book *b, uint64_t now_ms)
{
    struct gossip_book old = *b;
    uint32_t live = 0;
    for (uint32_t i = 0; i < old.cap; i++)
        live += old.note[i].key && old.note[i].until_ms > now_ms;
    for (b->cap = CAP_MIN; b->cap / 4 < live + 1;)
        b->cap *= 2;
    b->cnt = live;
    b->note = zeroed(b->cap, sizeof *b->note);
    for (uint32_t i = 0; i < old.cap; i++)
        if (old.note[i].key && old.note[i].until_ms > now_ms)
            b->note[note_slot(b, old.note[i].key)] = old.note[i];
    free(old.note);
}

struct gossip_note *gossip_book_get(const struct gossip_book *b, uint64_t key, uint64_t now_ms)
{
    if (b->cap == 0) return NULL;
    struct gossip_note *note = &b->note[note_slot(b, nonzero(key))];
    return note->key && note->until_ms > now_ms ? note : NULL;
}

struct gossip_note *gossip_book_put(struct gossip_book *b, uint64_t key, uint64_t now_ms,
                                    uint64_t until_ms)
{
    key = nonzero(key);
    if (b->cnt >= b->cap / 2 && b->cnt < b->max) book_rebuild(b, now_ms);
    if (b->cap == 0) return NULL; /* max 0 */
    struct gossip_note *note = &b->note[note_slot(b, key)];
    if (!note->key) {
        if (b->cnt >= b->max) return NULL;
        *note = (struct gossip_note){ .key = key };
        b->cnt++;
    } else if (note->until_ms <= now_ms) {
        memset(note->value, 0, sizeof note->value);
    }
    note->until_ms = until_ms;
    return note;
}

void gossip_book_sweep(struct gossip_book *b, uint64_t now_ms)
{
    if (b->cap) book_rebuild(b, now_ms);
}

void gossip_book_free(struct gossip_book *b)
{
    free(b->note);
    *b = (struct gossip_book){ .max = b->max };
}
