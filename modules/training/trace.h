/* trace.h - what a run leaves behind: a chained mark every step, state roots every segment. All numbers little-endian.
 *
 *     step leaf, 80 B     step u64 | batch_root h32 | loss f32 bits u32 | gnorm f32 bits u32 | chain h32
 *                         batch_root = H("train/batch", record number u32 of each slot)
 *                         chain = H("train/chain", chain of the step before | step | loss | gnorm | batch_root);
 *                         before the first step: H("train/chain0", order seed)
 *     segment, 136 B      seg u32 | flags u32 = 0 | from h32 | to h32 | steps h32 | wit h32
 *                         steps = tree (tile.h) over H("train/step", step leaf)
 *                         wit = H("train/wit", tile root of the logits | of the first layer's weight gradient), of the
 *                         segment's last step: small, and known only to who ran it
 *     trace root          tree over H("train/segment", segment) */
#ifndef QN_MODULES_TRAINING_TRACE_H
#define QN_MODULES_TRAINING_TRACE_H

#include "modules/training/tile.h"

#define TRACE_STEP_BYTES    80u
#define TRACE_SEGMENT_BYTES 136u
#define TRACE_SEG_MAX       4096u /* steps a segment */

struct trace_step {
    uint64_t step;
    struct qn_hash batch_root;
    uint32_t loss, gnorm; /* bits */
    struct qn_hash chain;
};

struct trace_segment {
    uint32_t seg, flags;
    struct qn_hash from, to, steps, wit;
};

/* trace_seg_len is the rule for a segment's length: so long that hashing a state (w, m, v) costs about 1 % of its steps on
 * a processor while that is at most 16 MiB, else so long that fetching one costs less than running it.
 *
 * state_bytes  of all state tensors      samples  batch */
uint32_t trace_seg_len(uint64_t state_bytes, uint32_t samples);

void trace_step_put(const struct trace_step *s, uint8_t dst[TRACE_STEP_BYTES]);
void trace_step_get(const uint8_t src[TRACE_STEP_BYTES], struct trace_step *ret);
struct qn_hash trace_step_hash(const struct trace_step *s);
void trace_segment_put(const struct trace_segment *s, uint8_t dst[TRACE_SEGMENT_BYTES]);
void trace_segment_get(const uint8_t src[TRACE_SEGMENT_BYTES], struct trace_segment *ret);
struct qn_hash trace_segment_hash(const struct trace_segment *s);

/* trace_chain is the chain value of a step, given that of the step before. */
struct qn_hash trace_chain(const struct qn_hash *before, const struct trace_step *s);
struct qn_hash trace_chain_first(const struct qn_hash *seed);
/* trace_batch is the batch root of a step. ret_recs, when not NULL, receives the record of each slot. */
struct qn_hash trace_batch(const struct qn_hash *seed, uint64_t rec_cnt, uint32_t batch,
                           uint64_t step, uint32_t *ret_recs);

#endif
