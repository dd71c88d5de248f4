/* work.c - this module's kinds of jobs, and what they share. */
#include "modules/training/work.h"

#include "modules/training/training.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

qn_rc work_write(const char *path, struct qn_span bytes, struct qn_why *why)
{
    FILE *file = fopen(path, "wb");
    if (!file) return qn_why(why, qn_err_errno(errno), "%s: %s", path, strerror(errno));
    bool ok = fwrite(bytes.ptr, 1, bytes.len, file) == bytes.len;
    int err = errno;
    if (fclose(file) && ok) {
        ok = false;
        err = errno;
    }
    return ok ? QN_OK : qn_why(why, qn_err_errno(err), "%s: %s", path, strerror(err));
}

/* To add a kind: a function in a file of its own, declared in work.h, and a line here. */
const struct qn_job_kind TRAINING_JOBS[] = {
    { "data.import", "make a data set of IDX files", work_import },
    { "train", "train by a job's graph and order, leaving a trace", work_train },
    { "train.check", "run a job again and compare it with its runs' traces", work_check },
    { "train.plan", "make a perceptron's graph and its first state", work_plan },
    { "train.move", "find a side's next move in a dispute", work_move },
    { 0 },
};
