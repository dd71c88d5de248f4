/* pool.h - transactions that wait for a block: bounded, fair per sender, in order of arrival. */
#ifndef QN_LEDGER_POOL_POOL_H
#define QN_LEDGER_POOL_POOL_H

#include "ledger/state/tx.h"

#define QN_POOL_BYTES  (64u << 20)
#define QN_POOL_SENDER 4096 /* of one account at a time */

struct qn_pool;

struct qn_pool *qn_pool_new(void) QN_GIVES;
void qn_pool_free(struct qn_pool *pool);
/* qn_pool_put keeps a copy of a checked transaction. QN_E_RATE when the sender has too many or the pool is full. */
QN_CHECK qn_rc qn_pool_put(struct qn_pool *pool, const struct qn_hash *id, const struct qn_tx *tx,
                           struct qn_span bytes, struct qn_why *why);
bool qn_pool_has(const struct qn_pool *pool, const struct qn_hash *id);
void qn_pool_drop(struct qn_pool *pool, const struct qn_hash *id);
/* qn_pool_expire drops what no block after now_ms may hold. */
void qn_pool_expire(struct qn_pool *pool, uint64_t now_ms);
size_t qn_pool_cnt(const struct qn_pool *pool);
/* qn_pool_pick decodes the oldest that `skip` (may be NULL) does not pass over into txs and ids, up to max and bytes; memory from arena. */
uint32_t qn_pool_pick(const struct qn_pool *pool, struct qn_arena *arena,
                      bool (*skip)(void *arg, const struct qn_hash *id), void *arg,
                      struct qn_tx *txs, struct qn_hash *ids, uint32_t max, size_t bytes);
/* qn_pool_get lends the bytes of a transaction that waits. */
QN_CHECK bool qn_pool_get(const struct qn_pool *pool, const struct qn_hash *id,
                          struct qn_span *ret);

#endif
