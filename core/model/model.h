/* model.h - integer models in use: jobs that quantise, judge and serve them, and the calls in front.
 *
 * A model is a blob: an ONNX file as gpu/graph/onnx.h writes and reads. Foreign files are parsed in sandboxed workers
 * only. core/node puts the two tables into its own. */
#ifndef QN_CORE_MODEL_MODEL_H
#define QN_CORE_MODEL_MODEL_H

#include "core/module/call.h"

#include "core/schema/declare.h"

#include "core/model/model.def"

#define MODEL_RUN_MAX 5000u /* images of one model.run: their logits fit a message */

extern const struct qn_call QN_MODEL_CALLS[];    /* ends with a zero row */
extern const struct qn_job_kind QN_MODEL_JOBS[]; /* ends with a zero row */

/* Kinds. quantise takes inputs "weights", "calib", "test" and leaves out/model.onnx; infer takes "model" (and "data")
 * and does what request.mode says: look, run, eval or serve. A model that is served is asked
 *
 *     {"image": "hex of the pixels"}      {"class": 9, "logits": [..], "us": 31}
 *     {"images": ["hex", ..]}             {"answers": [{"class", "logits"}, ..], "us": 40}      at most 256 */
QN_CHECK qn_rc model_job_quantise(struct qn_worker *w, const json_t *request, json_t **ret,
                                  struct qn_why *why);
QN_CHECK qn_rc model_job_infer(struct qn_worker *w, const json_t *request, json_t **ret,
                               struct qn_why *why);

/* What the kinds share: an input mapped for the life of the process; a model of one, ready to run. */
QN_CHECK qn_rc model_input(struct qn_worker *w, const char *name, struct qn_span *ret,
                           struct qn_why *why);

#endif
