/* progress.h - how far long work has come, for whoever waits: on a terminal a line that is redrawn, from half a second on; into a file a line each ten
 * seconds. Nothing under --json or -q, and never on stdout. */
#ifndef QN_CORE_CLI_PROGRESS_H
#define QN_CORE_CLI_PROGRESS_H

#include "core/cli/cli.h"

struct qn_progress {
    uint64_t next_us; /* when the next line is due */
    bool off, tty, shown;
};

void qn_progress_begin(struct qn_progress *p, const struct qn_cli *cli);
/* qn_progress tells, when it is time to. p may be NULL. */
void qn_progress(struct qn_progress *p, const char *fmt, ...) QN_PRINTF(2, 3);
/* qn_progress_end wipes the line; call it before anything else is printed. */
void qn_progress_end(struct qn_progress *p);

#endif
