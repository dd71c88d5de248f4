/* spec.h - a training job as workers get it: JSON that this node made of ledger rows, or a lease's manifest that anybody
 * wrote; checked all the same.
 *
 *     {"graph": hex, "seed": "n", "init": hex, "order": hex, "batch": n, "steps": n, "seg": n,
 *      "rec_bytes": n, "rec_cnt": n}                       the last two: as the ledger has them of the data set
 *     "lie": {"step": n, "op": n, "index": n, "flip": n}      tests and the demo's cheat
 *     inputs "data" and, to measure, "test" */
#ifndef QN_MODULES_TRAINING_SPEC_H
#define QN_MODULES_TRAINING_SPEC_H

#include "core/job/job.h"
#include "modules/training/replay.h"

#include <jansson.h>

struct spec {
    struct replay_conf conf;
    struct qn_hash init; /* root of the first state that the job names */
    struct dataset test; /* rec_cnt 0: none */
    struct qn_arena arena;
    struct qn_buf data_file, test_file;
};

/* spec_read fills ret from {"job": .., "lie": ..} and the worker's inputs; spec_fini also after a failure. */
QN_CHECK qn_rc spec_read(struct qn_worker *w, const json_t *request, struct spec *ret,
                         struct qn_why *why);
void spec_fini(struct spec *spec);

/* spec_graph decodes the "graph" of a job; spec_num and spec_hash read members; QN_E_FORMAT naming them. */
QN_CHECK qn_rc spec_graph(const json_t *job, struct qn_arena *arena, struct graph *ret,
                          struct qn_why *why);
QN_CHECK qn_rc spec_num(const json_t *obj, const char *name, uint64_t max, uint64_t *ret,
                        struct qn_why *why);
QN_CHECK qn_rc spec_hash(const json_t *obj, const char *name, struct qn_hash *ret,
                         struct qn_why *why);

/* spec_data_fits: QN_E_CHECK when the data set is not what the ledger's registry says, by whose figures it would judge. */
QN_CHECK qn_rc spec_data_fits(const json_t *job, const struct dataset *data, struct qn_why *why);

/* Hashes as JSON. */
json_t *spec_hex(const struct qn_hash *h) QN_GIVES;
json_t *spec_hexes(const struct qn_hash *h, uint32_t cnt) QN_GIVES;
json_t *spec_bytes(const void *src, size_t len) QN_GIVES;

#endif
