/* turns.h - what tests of servers in one process share: turns of their event loop until something holds, in a time that skips what nobody needs.
 * Where the loop would sleep until a timer, and no socket has stirred for GRACE_MS and no child is at work, the clock jumps to that timer:
 * a minute of patience costs as many milliseconds as it has ticks. It stands before the C library's clock and epoll, so that libevent, hosts and test
 * see one time; include it in one file of a program. Not for tests whose peer is another process that is no child. */
#ifndef QN_CORE_ENV_TURNS_H
#define QN_CORE_ENV_TURNS_H

#include "core/base/test.h"

#include <event2/event.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { GRACE_MS = 2 }; /* what loopback may take from one end to the other */

static _Atomic uint64_t turns_skipped_ms;

int clock_gettime(clockid_t clock, struct timespec *ret)
{
    int rc = (int)syscall(SYS_clock_gettime, clock, ret);
    if (clock == CLOCK_PROCESS_CPUTIME_ID || clock == CLOCK_THREAD_CPUTIME_ID) return rc;
    uint64_t ms = atomic_load(&turns_skipped_ms);
    ret->tv_sec += (time_t)(ms / 1000);
    ret->tv_nsec += (long)(ms % 1000) * 1000000;
    ret->tv_sec += ret->tv_nsec / 1000000000;
    ret->tv_nsec %= 1000000000;
    return rc;
}

static inline int turns_wait(int fd, struct epoll_event *events, int max, int ms)
{
    return (int)syscall(SYS_epoll_pwait, fd, events, max, ms, NULL, 8);
}

static inline bool turns_child(void)
{
    siginfo_t info;
    return waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0;
}

int epoll_wait(int fd, struct epoll_event *events, int max, int ms)
{
    if (ms <= GRACE_MS) return turns_wait(fd, events, max, ms);
    int cnt = turns_wait(fd, events, max, GRACE_MS);
    if (cnt) return cnt;
    if (turns_child()) return turns_wait(fd, events, max, ms - GRACE_MS);
    atomic_fetch_add(&turns_skipped_ms, (uint64_t)(ms - GRACE_MS));
    return 0;
}

static inline uint64_t turns_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* UNTIL_ON turns a loop until cond, or fails after half a minute of it; UNTIL the loop of a world. */
#define UNTIL_ON(base, cond)                                                                       \
    do {                                                                                           \
        uint64_t end_ = turns_ms() + 30000;                                                        \
        while (!(cond) && turns_ms() < end_)                                                       \
            event_base_loop(base, EVLOOP_ONCE);                                                    \
        CHECK(cond);                                                                               \
    } while (0)
#define UNTIL(w, cond) UNTIL_ON((w)->base, cond)

/* turns_for lets ms pass. */
static inline void turns_for(struct event_base *base, uint64_t ms)
{
    const struct timeval tv = { (time_t)(ms / 1000), (suseconds_t)(ms % 1000 * 1000) };
    event_base_loopexit(base, &tv);
    event_base_dispatch(base);
}

#endif
