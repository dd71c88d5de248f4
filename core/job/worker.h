/* worker.h - what kinds of this folder may see of the worker beyond job.h. */
#ifndef QN_CORE_JOB_WORKER_H
#define QN_CORE_JOB_WORKER_H

#include "core/job/job.h"

/* worker_input_name names input idx, NULL past the last. */
const char *worker_input_name(const struct qn_worker *w, size_t idx);

#endif
