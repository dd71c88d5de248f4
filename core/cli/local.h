/* local.h - running functions of the caller's side (core/module/local.h) in a command or a script. */
#ifndef QN_CORE_CLI_LOCAL_H
#define QN_CORE_CLI_LOCAL_H

#include "core/cli/client.h"

#define QN_LOCALS_MAX 16 /* modules */

/* What the functions of each module keep while the process runs. Zero-initialised is empty. */
struct qn_locals {
    void *state[QN_LOCALS_MAX];
};

/* qn_local_run runs one with JSON parameters, acting as the wallet's key `as`. */
QN_CHECK qn_rc qn_local_run(struct qn_client *client, struct qn_locals *keep,
                            const struct qn_local *local, const char *as, const json_t *params,
                            json_t **ret, struct qn_why *why);
void qn_locals_end(struct qn_locals *keep);

#endif
