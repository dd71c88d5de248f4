/* set.h - what gossip remembers for a while, in bounded memory: a set that forgets by generations, and a book of entries with an end.
 * Keys are 64-bit keyed hashes made by gossip_key: whoever does not know the seed can neither collide nor crowd them. */
#ifndef QN_NET_GOSSIP_SET_H
#define QN_NET_GOSSIP_SET_H

#include "core/base/span.h"

/* Counts of keys in two generations: swap forgets the older one. Zero-initialised (but for max) is empty. */
struct gossip_tally {
    struct gossip_tally_gen {
        uint64_t *key; /* 0: free */
        uint8_t *count;
        uint32_t cnt, cap;
    } gen[2];     /* 0: now */
    uint32_t max; /* keys a generation */
};

uint32_t gossip_tally_get(const struct gossip_tally *t, uint64_t key); /* both generations */
/* gossip_tally_add counts one more; false when the generation is full and the key new. */
QN_CHECK bool gossip_tally_add(struct gossip_tally *t, uint64_t key);
void gossip_tally_swap(struct gossip_tally *t);
void gossip_tally_free(struct gossip_tally *t);
size_t gossip_tally_memory(const struct gossip_tally *t);

/* Entries that hold until a time. */
struct gossip_note {
    uint64_t key, until_ms; /* key 0: free */
    uint32_t value[4];
};
struct gossip_book {
    struct gossip_note *note;
    uint32_t cnt, cap, max;
};

/* gossip_book_get finds a note that still holds at now. Lent until the next put. */
struct gossip_note *gossip_book_get(const struct gossip_book *b, uint64_t key, uint64_t now_ms);
/* gossip_book_put makes or finds the note of key and sets its end; NULL when max notes hold. */
struct gossip_note *gossip_book_put(struct gossip_book *b, uint64_t key, uint64_t now_ms,
                                    uint64_t until_ms);
/* gossip_book_sweep lets go of what is over: call it each minute or so. */
void gossip_book_sweep(struct gossip_book *b, uint64_t now_ms);
void gossip_book_free(struct gossip_book *b);

#endif
