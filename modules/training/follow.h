/* follow.h - a whole run with its trace: what a solver does and what a follower does again. */
#ifndef QN_MODULES_TRAINING_FOLLOW_H
#define QN_MODULES_TRAINING_FOLLOW_H

#include "modules/training/spec.h"

struct follow {
    struct trace_segment *segs;
    uint32_t seg_cnt;
    struct qn_hash root;         /* trace root */
    struct qn_hash weights;      /* of the weights file */
    uint32_t right, of, acc_ppm; /* on the test set; of 0: not measured */
    struct trace_step last;      /* mark of the last step */
    struct qn_buf trace, marks;  /* segments and step leaves, as bytes */
};

/* follow_run runs all steps. w may be NULL: nothing is told or written. Into the worker's out folder go the states of every k-th segment's end (k = ceil(sqrt(segments)),
 * "state-" and eight digits of the steps done), "trace.bin" (all segments), "marks.bin" (all step leaves) and "weights.qntw". QN_E_CHECK
 * when the seed does not give the job's first state; QN_E_JOB when the loss is no number. */
QN_CHECK qn_rc follow_run(struct qn_worker *w, struct spec *spec, struct follow *ret,
                          struct qn_why *why);
void follow_fini(struct follow *f);

#endif
