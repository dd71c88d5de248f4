/* still.h - for tests: a machine whose clock stands until the test moves it, and whose entropy is sevens. */
#ifndef QN_CORE_ENV_STILL_H
#define QN_CORE_ENV_STILL_H

#include "core/env/env.h"

#include <string.h>

static inline uint64_t still_now_ms(void *self)
{
    return *(uint64_t *)self;
}

static inline uint64_t still_mono_us(void *self)
{
    return *(uint64_t *)self * 1000;
}

static inline void still_random(void *self, void *dst, size_t len)
{
    (void)self;
    memset(dst, 7, len);
}

/* still_env lends its time from *now_ms. disk: NULL for the machine's own. */
static inline struct qn_env still_env(uint64_t *now_ms, const struct qn_disk *disk)
{
    return (struct qn_env){ now_ms, still_now_ms, still_mono_us, still_random, disk };
}

#endif
