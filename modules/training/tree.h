/* tree.h - a Merkle tree: level by level two neighbours a, b become H("train/node", a | b); an odd last one moves up as it
 * is. The root of one leaf is that leaf. How many leaves there are is known beforehand, so a path says nothing about it. */
#ifndef QN_MODULES_TRAINING_TREE_H
#define QN_MODULES_TRAINING_TREE_H

#include "core/crypto/hash.h"

#define TREE_DEPTH_MAX 32u

/* tree_height returns the level at which cnt leaves have become one; level 0 are the leaves. */
uint32_t tree_height(uint32_t cnt);
/* tree_level_cnt returns how many nodes a level has. */
uint32_t tree_level_cnt(uint32_t cnt, uint32_t level);
/* tree_up turns cnt nodes into those `levels` levels above, in place; returns how many they are. */
uint32_t tree_up(struct qn_hash *nodes, uint32_t cnt, uint32_t levels);
/* tree_root is the root of cnt >= 1 leaves. */
struct qn_hash tree_root(const struct qn_hash *leaves, uint32_t cnt);
/* tree_path writes leaf idx's siblings from below; ret holds TREE_DEPTH_MAX. Returns how many. */
uint32_t tree_path(const struct qn_hash *leaves, uint32_t cnt, uint32_t idx, struct qn_hash *ret);
/* tree_check says whether leaf is leaf idx of cnt under root. path is untrusted and must be exactly as long as needed. */
QN_CHECK bool tree_check(const struct qn_hash *root, uint32_t cnt, uint32_t idx,
                         const struct qn_hash *leaf, const struct qn_hash *path, uint32_t path_cnt);

#endif
