/* run.h - executes a graph, a step at a time, by the best variant of this machine; all variants, fused or
 * not, give the bits of tile_step.h.
 *
 * Not for apply: floats live here. One run belongs to one thread. */
#ifndef QN_GPU_GRAPH_RUN_H
#define QN_GPU_GRAPH_RUN_H

#include "gpu/graph/tile_step.h"

struct graph_run;

struct graph_run_opt {
    bool keep;           /* keep every node's output of a step, for hashing and disputes; slower */
    const char *variant; /* "c", "avx2", "avx512"; NULL: the best usable one */
};

/* The records of a step: record of slot b at ptr + b * stride, len bytes each. */
struct graph_records {
    const uint8_t *ptr;
    size_t stride, len;
    uint32_t
        cnt; /* for graph_run_step the batch; for graph_run_eval up to it, missing ones are zeros */
};

struct graph_result {
    uint32_t loss, gnorm; /* bits of f32 */
};

/* graph_run_new takes memory for g (checked, borrowed until _free). The states hold zeros until
 * graph_run_init or graph_run_set. QN_E_RANGE for an unknown variant. */
QN_CHECK qn_rc graph_run_new(const struct graph *g, const struct graph_run_opt *opt,
                             struct graph_run **ret, struct qn_why *why);
void graph_run_free(struct graph_run *run); /* NULL is welcome */
const char *graph_run_variant(const struct graph_run *run);

/* graph_run_init sets every state to its first value (graph_init_tile) from seed. */
void graph_run_init(struct graph_run *run, uint64_t seed);

/* graph_run_step executes train step number `step` on the states as they are; afterwards the states are
 * the new ones. QN_E_RANGE when the records are too few or too short. */
QN_CHECK qn_rc graph_run_step(struct graph_run *run, uint64_t step, const struct graph_records *rec,
                              struct graph_result *ret, struct qn_why *why);

/* graph_run_state lends a state tensor's value after the last step, set or init: (rows, cols) row-major,
 * until the next call that changes it. node must be a state. */
const float *graph_run_state(const struct graph_run *run, uint32_t node);
/* graph_run_set replaces a state's value by cnt floats; QN_E_RANGE on a wrong count or a value that is not
 * clean (denormal, or a NaN other than 0x7fc00000). */
QN_CHECK qn_rc graph_run_set(struct graph_run *run, uint32_t node, const float *src, size_t cnt);

/* With opt.keep, between a step and the next call that changes a state: graph_run_value lends any node's
 * output of that step (a state node: its value *before* the step); graph_run_tile copies one tile of it,
 * zero-padded; graph_run_carry recomputes the carry after step kblock of a tile (need.out_cnt tiles). */
const float *graph_run_value(const struct graph_run *run, uint32_t node);
void graph_run_tile(const struct graph_run *run, uint32_t node, uint32_t tile,
                    struct graph_tile *ret);
QN_CHECK qn_rc graph_run_carry(const struct graph_run *run, uint32_t node, uint32_t tile,
                               uint32_t kblock, struct graph_tile *ret_out);

/* graph_run_gather fills in[] for graph_tile_step of (node, tile, kblock) from the kept values; ret_cnt
 * receives open_cnt + carry_cnt; in has room for GRAPH_IN_MAX. */
QN_CHECK qn_rc graph_run_gather(const struct graph_run *run, uint32_t node, uint32_t tile,
                                uint32_t kblock, struct graph_tile *in, uint32_t *ret_cnt);

/* graph_run_eval runs only what g->logits needs, changing no state, and lends its value (batch, classes);
 * rows past rec->cnt are of zero records. Kept values of the last step are lost. */
QN_CHECK qn_rc graph_run_eval(struct graph_run *run, const struct graph_records *rec,
                              const float **ret_logits, struct qn_why *why);

#endif
