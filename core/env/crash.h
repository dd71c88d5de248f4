/* crash.h - named points at which a test makes the process die, as by kill -9, or stand still. */
#ifndef QN_CORE_ENV_CRASH_H
#define QN_CORE_ENV_CRASH_H

/* qn_crash_point kills the process when the environment says QUOIN_CRASH_AT=name, or QUOIN_CRASH_AT=name:N at the N-th
 * time it comes by. QUOIN_STOP_AT=name stops it the first time, until somebody sends SIGCONT. */
void qn_crash_point(const char *name);

#endif
