/* tree.h - Merkle trees over salted leaves, and openings of many leaves at once.
 *
 * leaf = H("zk/leaf", salt[16] | row), node = H("zk/node", left | right). A multi-opening lists the siblings that the
 * leaves themselves do not give, bottom up, left to right. */
#ifndef QN_MODULES_ZKML_TREE_H
#define QN_MODULES_ZKML_TREE_H

#include "core/base/span.h"

/* zkml_tree_build hashes 2^log_n leaves of len bytes, leaf i at src + i * len. nodes has 2^(log_n + 1) places:
 * the root at 1, leaf i at 2^log_n + i. len <= 1024. */
void zkml_tree_build(const uint8_t *src, size_t len, unsigned log_n, struct qn_hash *nodes);

/* zkml_tree_siblings counts what an opening of these rows (rising, without repetition) must list. */
size_t zkml_tree_siblings(unsigned log_n, const uint32_t *rows, size_t cnt);
void zkml_tree_open(const struct qn_hash *nodes, unsigned log_n, const uint32_t *rows, size_t cnt,
                    struct qn_buf *out);

/* zkml_tree_check says whether leaves of len bytes each, back to back, stand at rows under root. siblings.len is
 * 32 * zkml_tree_siblings(...). work holds 4 * cnt hashes. */
QN_CHECK bool zkml_tree_check(const struct qn_hash *root, unsigned log_n, const uint32_t *rows,
                              size_t cnt, const uint8_t *leaves, size_t len,
                              struct qn_span siblings, struct qn_hash *work);

#endif
