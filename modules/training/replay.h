/* replay.h - running a job's steps, by solver, follower and both sides of a dispute alike: from the first state or a kept
 * one, with marks and state roots, and one step with every operator's output at hand.
 *
 * For workers: floats live here. A planted lie (tests, the demo's cheat) changes one value of one step as a dishonest
 * machine would: everything after it is computed from the false value. Nothing outside the cheat's own worker knows. */
#ifndef QN_MODULES_TRAINING_REPLAY_H
#define QN_MODULES_TRAINING_REPLAY_H

#include "gpu/graph/run.h"
#include "modules/training/dataset.h"
#include "modules/training/trace.h"

struct replay_lie {
    bool on;
    uint64_t step;
    uint32_t node, elem; /* row-major number of the value */
    uint32_t flip;       /* bits of it that are turned over; 0: one is added to it */
};

struct replay_conf {
    struct graph g;
    struct dataset data;
    uint64_t seed; /* of the first state */
    struct qn_hash order;
    uint64_t steps;
    uint32_t batch, seg;
    struct replay_lie lie;
};

struct replay;

/* replay_new stands at the first state. conf is borrowed until _free. QN_E_RANGE when graph and data do not fit. */
QN_CHECK qn_rc replay_new(const struct replay_conf *conf, struct replay **ret, struct qn_why *why);
void replay_free(struct replay *r); /* NULL is welcome */

uint64_t replay_done(const struct replay *r); /* steps done */
struct graph_run *replay_run(struct replay *r);

/* replay_step executes the next step. ret_mark may be NULL: then no mark is computed; its chain is filled in by the caller,
 * who knows the chain before. */
QN_CHECK qn_rc replay_step(struct replay *r, struct trace_step *ret_mark, struct qn_why *why);
/* replay_to executes steps until `done` are done. */
QN_CHECK qn_rc replay_to(struct replay *r, uint64_t done, struct qn_why *why);
/* replay_root is the root of the state now. */
struct qn_hash replay_root(struct replay *r);

/* replay_save appends the state now; replay_load sets one that was saved after `done` steps. */
void replay_save(struct replay *r, struct qn_buf *ret);
QN_CHECK qn_rc replay_load(struct replay *r, uint64_t done, struct qn_span bytes,
                           struct qn_why *why);

/* replay_keep executes the next step like replay_step and keeps what every operator gave until the next call on r. */
QN_CHECK qn_rc replay_keep(struct replay *r, struct qn_why *why);
/* Of a kept step. replay_node_root is zero for const and step nodes. */
struct qn_hash replay_node_root(struct replay *r, uint32_t node);
void replay_tiles(struct replay *r, uint32_t node, struct qn_hash *ret);
void replay_tile(struct replay *r, uint32_t node, uint32_t tile, struct graph_tile *ret);
/* replay_sum executes steps 0 .. kblock of a tile; ret_out holds GRAPH_CARRY_MAX. The tile's last step gives the tile as it
 * was claimed, lie or not. Returns the hash. */
struct qn_hash replay_sum(struct replay *r, uint32_t node, uint32_t tile, uint32_t kblock,
                          struct graph_tile *ret_out);

/* replay_eval counts the records of a set whose greatest logit is their label, of the first max. */
QN_CHECK qn_rc replay_eval(struct replay *r, const struct dataset *set, uint32_t max,
                           uint32_t *ret_right, struct qn_why *why);

#endif
