/* env.h - the seams: everything a node takes from its machine comes through struct qn_env, so that the
 * simulator can run many nodes from one seed. Consensus code sees none of it. */
#ifndef QN_CORE_ENV_ENV_H
#define QN_CORE_ENV_ENV_H

#include "core/env/disk.h"

struct qn_env {
    void *self;
    uint64_t (*now_ms)(void *self);                    /* wall clock, ms since 1970 */
    uint64_t (*mono_us)(void *self);                   /* never goes back */
    void (*random)(void *self, void *dst, size_t len); /* cryptographic */
    const struct qn_disk *disk;                        /* NULL: the machine's own */
};

/* qn_env_real is the machine itself. */
const struct qn_env *qn_env_real(void);

uint64_t qn_env_now_ms(const struct qn_env *env);
uint64_t qn_env_mono_us(const struct qn_env *env);
void qn_env_random(const struct qn_env *env, void *dst, size_t len);

/* qn_file_read reads a whole file of at most max bytes; QN_E_NOTFOUND, QN_E_AUTH, QN_E_TOOBIG, QN_E_IO. */
QN_CHECK qn_rc qn_file_read(const char *path, size_t max, struct qn_buf *ret, struct qn_why *why);
/* qn_file_write replaces path by content with mode, through a synced temporary and rename: after a crash
 * the old or the new content is there, whole. */
QN_CHECK qn_rc qn_file_write(const char *path, struct qn_span content, unsigned mode,
                             struct qn_why *why);
/* qn_dir_make makes path and its parents with mode 0700; an existing folder is fine. */
QN_CHECK qn_rc qn_dir_make(const char *path, struct qn_why *why);

#endif
