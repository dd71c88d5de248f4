/* crash.c - dying, or standing still, on request. */
#include "core/env/crash.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void qn_crash_point(const char *name)
{
    const char *at = getenv("QUOIN_CRASH_AT"), *stop = getenv("QUOIN_STOP_AT");
    size_t len = strlen(name);
    if (stop && strcmp(stop, name) == 0) {
        unsetenv("QUOIN_STOP_AT");
        raise(SIGSTOP);
    }
    if (!at || strncmp(at, name, len) != 0 || (at[len] && at[len] != ':')) return;
    long left = at[len] ? strtol(at + len + 1, NULL, 10) : 1;
    if (left <= 1) kill(getpid(), SIGKILL);
    char again[128]; /* the count down lives in the environment: object files hold no state */
    snprintf(again, sizeof again, "%s:%ld", name, left - 1);
    setenv("QUOIN_CRASH_AT", again, 1);
}
