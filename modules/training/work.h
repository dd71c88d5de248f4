/* work.h - what runs in this module's sandboxed workers. */
#ifndef QN_MODULES_TRAINING_WORK_H
#define QN_MODULES_TRAINING_WORK_H

#include "core/job/job.h"

/* work_write makes a file in the worker's out folder; unlike qn_file_write it does not sync: what a crash takes, the
 * job makes again. QN_E_IO, QN_E_DISKFULL. */
QN_CHECK qn_rc work_write(const char *path, struct qn_span bytes, struct qn_why *why);

#define WORK(name)                                                                                 \
    QN_CHECK qn_rc name(struct qn_worker *w, const json_t *request, json_t **ret,                  \
                        struct qn_why *why)
WORK(work_train);
WORK(work_check);
WORK(work_plan);
WORK(work_move);
QN_CHECK qn_rc work_import(struct qn_worker *w, const json_t *request, json_t **ret,
                           struct qn_why *why);

#endif
