/* pool.h - transactions that wait for a block: bounded in memory, fair to who pays, those that tip most first.
 *
 * Who pays (the sender, or the owner of the mandate it acts under) has one queue, in order of arrival. A block takes from the queue whose
 * front tips most a unit; among equals from the one that gave fewest so far, so that a flood of one account waits behind everybody's first.
 * A unit is a byte or 100 gas, as in fees. When the pool is full, the least tip a unit leaves, among equals the newest; nobody enters
 * who does not tip more than who has to leave. While it is half empty an account may have many waiting, then few: `calm` and `busy`.
 *
 * A salt with the top bit set names a slot of its sender: one transaction of a slot is final at most within QN_TX_SPAN_MS (the chain sees to
 * that), and one that waits gives way to a later one that tips at least a tenth more a unit. */
#ifndef QN_LEDGER_POOL_POOL_H
#define QN_LEDGER_POOL_POOL_H

#include "ledger/state/tx.h"

#define QN_POOL_BYTES (64u << 20)
#define QN_POOL_OVER  512u /* bytes that one more costs beside its own */

struct qn_pool_limits {
    size_t bytes;        /* of all, with QN_POOL_OVER for each */
    uint32_t calm, busy; /* most of one payer while less than half of that is used, and beyond */
    uint64_t secret;     /* of its maps (ledger/state/idmap.h) */
};

/* A checked transaction. */
struct qn_pool_tx {
    struct qn_hash id, whole, payer, sender;
    uint64_t salt, until_ms;
    uint64_t fee_uqn;     /* most it may take, tip included, */
    uint64_t balance_uqn; /* from what the payer has */
    uint64_t tip_uqn, gas_max;
    struct qn_span bytes; /* Borsh */
};

struct qn_pool;

/* qn_pool_new makes an empty pool; limits NULL, or of 0 bytes: 64 MiB, 4,096 and 64. */
struct qn_pool *qn_pool_new(const struct qn_pool_limits *limits) QN_GIVES;
void qn_pool_free(struct qn_pool *pool);
/* qn_pool_room says whether qn_pool_put would keep it: before its signature is checked, for it costs less. QN_E_RATE: too many of this payer, or
 * full of better ones; QN_E_FUNDS: with those that wait the payer could not cover the fees; QN_E_EXISTS: its slot is taken. */
QN_CHECK qn_rc qn_pool_room(const struct qn_pool *pool, const struct qn_pool_tx *tx,
                            struct qn_why *why);
/* qn_pool_put keeps a copy, and lets others go for it. One that is there already is QN_OK. */
QN_CHECK qn_rc qn_pool_put(struct qn_pool *pool, const struct qn_pool_tx *tx, struct qn_why *why);
bool qn_pool_has(const struct qn_pool *pool, const struct qn_hash *id);
void qn_pool_drop(struct qn_pool *pool, const struct qn_hash *id);
/* qn_pool_final drops a transaction that became final, and what waits in its slot. */
void qn_pool_final(struct qn_pool *pool, const struct qn_tx *tx, const struct qn_hash *id);
/* qn_pool_expire drops what no block after now_ms may hold. */
void qn_pool_expire(struct qn_pool *pool, uint64_t now_ms);
size_t qn_pool_cnt(const struct qn_pool *pool);
size_t qn_pool_bytes(const struct qn_pool *pool);
/* qn_pool_pick decodes the best that `skip` (may be NULL) does not pass over into txs and ids, up to max and bytes; memory from arena. */
uint32_t qn_pool_pick(const struct qn_pool *pool, struct qn_arena *arena,
                      bool (*skip)(void *arg, const struct qn_hash *id, const struct qn_hash *slot),
                      void *arg, /* slot NULL: it has none */
                      struct qn_tx *txs, struct qn_hash *ids, uint32_t max, size_t bytes);
/* qn_pool_order is the same without decoding: ids alone, of at most max. */
uint32_t qn_pool_order(const struct qn_pool *pool, struct qn_hash *ids, uint32_t max);
/* qn_pool_visit shows every transaction that waits, in no order; lent. */
void qn_pool_visit(const struct qn_pool *pool,
                   void (*visit)(void *to, const struct qn_hash *id, struct qn_span bytes),
                   void *to);
/* qn_pool_knows says whether exactly this transaction waits: one whose signatures were checked. whole is qn_tx_whole's. */
QN_CHECK bool qn_pool_knows(const struct qn_pool *pool, const struct qn_hash *id,
                            const struct qn_hash *whole);
/* qn_pool_get lends the bytes of a transaction that waits. */
QN_CHECK bool qn_pool_get(const struct qn_pool *pool, const struct qn_hash *id,
                          struct qn_span *ret);

/* qn_pool_rate is the tip a unit, in 2^-20 uqn. */
uint64_t qn_pool_rate(const struct qn_pool_tx *tx);

#endif
