/* perm.h - the order of records, fixed by a seed that nobody knew when he bonded himself; integers only, since the
 * ledger recomputes it.
 *
 * Record of step s, slot b:  g = s * batch + b;  epoch e = g div rec_cnt;  record = perm(seed, e, g mod rec_cnt).
 * perm is a 6-round Feistel network on 2 * ceil(log2(rec_cnt) / 2) bits whose round function is one Philox4x32-10 block,
 * walked until the value is below rec_cnt (fewer than 4 walks on average). Nothing shuffled is stored. */
#ifndef QN_MODULES_TRAINING_PERM_H
#define QN_MODULES_TRAINING_PERM_H

#include "core/base/span.h"

/* perm_philox is Philox4x32-10 (Salmon et al., SC 2011). */
void perm_philox(const uint32_t ctr[4], const uint32_t key[2], uint32_t ret[4]);

/* perm_index maps idx < cnt to its place in epoch's order, a permutation of 0 .. cnt - 1. cnt >= 1. */
uint64_t perm_index(const struct qn_hash *seed, uint64_t epoch, uint64_t cnt, uint64_t idx);

/* perm_record returns the record in slot `slot` of step `step`. */
uint64_t perm_record(const struct qn_hash *seed, uint64_t cnt, uint32_t batch, uint64_t step,
                     uint32_t slot);

#endif
