/* recent.h - what the last blocks hold: the ids of their transactions and the slots of these, in the order of the chain. The oldest block leaves when
 * its transactions can come no more, so that this is as large as the window's traffic and no larger.
 *
 * An entry costs 32 bytes, and 8 to 16 where it is looked up. A secret decides where, so that nobody can make keys that crowd together. */
#ifndef QN_LEDGER_STATE_RECENT_H
#define QN_LEDGER_STATE_RECENT_H

#include "core/base/span.h"

struct qn_recent;

/* A block of it. */
struct qn_recent_block {
    uint64_t height, t_ms;
    uint64_t first;   /* number of its first entry, counted from the beginning of all */
    uint32_t id_cnt;  /* these come first, */
    uint32_t key_cnt; /* slots behind them */
};

struct qn_recent *qn_recent_new(uint64_t secret) QN_GIVES;
void qn_recent_free(struct qn_recent *r);

/* qn_recent_block begins the next block; qn_recent_id and then qn_recent_slot fill it. A key that is there already is from now on this block's. */
void qn_recent_block(struct qn_recent *r, uint64_t height, uint64_t t_ms);
void qn_recent_id(struct qn_recent *r, const struct qn_hash *id);
void qn_recent_slot(struct qn_recent *r, const struct qn_hash *slot);
/* qn_recent_drop forgets the oldest block; there must be one. */
void qn_recent_drop(struct qn_recent *r);

/* qn_recent_find lends the block of a key until the next change; NULL: it is in none. */
const struct qn_recent_block *qn_recent_find(const struct qn_recent *r, const struct qn_hash *key);
/* qn_recent_at lends the i-th oldest block; NULL behind the last. */
const struct qn_recent_block *qn_recent_at(const struct qn_recent *r, size_t i);
/* qn_recent_key lends an entry by its number. */
const struct qn_hash *qn_recent_key(const struct qn_recent *r, uint64_t no);
size_t qn_recent_cnt(const struct qn_recent *r); /* blocks */
size_t qn_recent_bytes(const struct qn_recent *r);

#endif
