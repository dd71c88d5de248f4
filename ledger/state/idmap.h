/* idmap.h - a map in memory from a hash to a number or a pointer: what is known by its id. Where order matters, or a proof, is a trie's place
 * (trie.h); this one answers in a cache miss.
 *
 * A secret decides where a key lies, so that nobody can make keys that crowd together. */
#ifndef QN_LEDGER_STATE_IDMAP_H
#define QN_LEDGER_STATE_IDMAP_H

#include "core/base/span.h"

struct qn_idmap;

struct qn_idmap *qn_idmap_new(uint64_t secret) QN_GIVES;
void qn_idmap_free(struct qn_idmap *map);
size_t qn_idmap_cnt(const struct qn_idmap *map);

void qn_idmap_put(struct qn_idmap *map, const struct qn_hash *key, uint64_t val);
QN_CHECK bool qn_idmap_get(const struct qn_idmap *map, const struct qn_hash *key,
                           uint64_t *ret_val);
/* qn_idmap_has is qn_idmap_get without the value. */
QN_CHECK bool qn_idmap_has(const struct qn_idmap *map, const struct qn_hash *key);
/* qn_idmap_del removes key; false when it was not there. */
bool qn_idmap_del(struct qn_idmap *map, const struct qn_hash *key);

#endif
