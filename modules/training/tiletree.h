/* tiletree.h - committing to tensors: tiles of 16 x 16 f32 (1,024 bytes, one BLAKE3 chunk), a Merkle tree above.
 *
 * A tensor (rows, cols), row-major, is cut in tiles, edges zero-padded, tiles row-major, each row-major inside. A leaf is
 * the plain BLAKE3 hash of its 1,024 bytes. Level by level two neighbours a, b become H("train/node", a | b); an odd last
 * one moves up as it is. The root of one leaf is that leaf. How many leaves there are follows from the shape.
 *
 *     state root   H("train/state", step u64 | root of the tensors' leaves, in the graph's order), a leaf being
 *                  H("train/tensor", rows u32 | cols u32 | tile root | name) */
#ifndef QN_MODULES_TRAINING_TILETREE_H
#define QN_MODULES_TRAINING_TILETREE_H

#include "core/crypto/hash.h"
#include "gpu/graph/tile_step.h"

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

/* tile_get copies tile idx of a tensor. tile_put is the way back; what lies in the padding is dropped. */
void tile_get(const float *src, uint32_t rows, uint32_t cols, uint32_t idx, struct graph_tile *ret);
void tile_put(float *dst, uint32_t rows, uint32_t cols, uint32_t idx,
              const struct graph_tile *tile);
/* tile_hashes writes the leaf of every tile of a tensor. */
void tile_hashes(const float *src, uint32_t rows, uint32_t cols, struct qn_hash *ret);
/* tile_root is the root of a tensor. */
struct qn_hash tile_root(const float *src, uint32_t rows, uint32_t cols);
/* tile_hash is the leaf of one tile. */
struct qn_hash tile_hash(const struct graph_tile *tile);

/* state_root is the root of the state before step `step`; roots has the tile root of each of g's states, in order. */
struct qn_hash state_root(const struct graph *g, uint64_t step, const struct qn_hash *roots);

#endif
