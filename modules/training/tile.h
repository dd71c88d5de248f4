/* tile.h - committing to tensors: tiles of 16 x 16 f32 (1,024 bytes, one BLAKE3 chunk), a tree (tree.h) above.
 *
 * A tensor (rows, cols), row-major, is cut in tiles, edges zero-padded, tiles row-major, each row-major inside. A leaf is
 * the plain BLAKE3 hash of its 1,024 bytes.
 *
 *     state root   H("train/state", step u64 | root of the tensors' leaves, in the graph's order), a leaf being
 *                  H("train/tensor", rows u32 | cols u32 | tile root | name) */
#ifndef QN_MODULES_TRAINING_TILE_H
#define QN_MODULES_TRAINING_TILE_H

#include "gpu/graph/tile_step.h"
#include "modules/training/tree.h"

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

/* tile_state_root is the root of the state before step `step`; roots has the tile root of each of g's states, in order. */
struct qn_hash tile_state_root(const struct graph *g, uint64_t step, const struct qn_hash *roots);

#endif
