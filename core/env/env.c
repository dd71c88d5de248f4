/* env.c - the real machine, and whole-file reads and writes. */
#include "core/env/env.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static uint64_t clock_ns(clockid_t id)
{
    struct timespec ts;
    QN_ASSERT(clock_gettime(id, &ts) == 0);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static uint64_t real_now_ms(void *self)
{
    (void)self;
    return clock_ns(CLOCK_REALTIME) / 1000000;
}

static uint64_t real_mono_us(void *self)
{
    (void)self;
    return clock_ns(CLOCK_MONOTONIC) / 1000;
}

static void real_random(void *self, void *dst, size_t len)
{
    (void)self;
    for (size_t at = 0; at < len;) {
        ssize_t n = getrandom((uint8_t *)dst + at, len - at, 0);
        QN_ASSERT(n > 0 || errno == EINTR);
        at += n > 0 ? (size_t)n : 0;
    }
}

const struct qn_env *qn_env_real(void)
{
    static const struct qn_env env = { .now_ms = real_now_ms,
                                       .mono_us = real_mono_us,
                                       .random = real_random };
    return &env;
}

uint64_t qn_env_now_ms(const struct qn_env *env)
{
    return env->now_ms(env->self);
}

uint64_t qn_env_mono_us(const struct qn_env *env)
{
    return env->mono_us(env->self);
}

void qn_env_random(const struct qn_env *env, void *dst, size_t len)
{
    env->random(env->self, dst, len);
}

qn_rc qn_file_read(const char *path, size_t max, struct qn_buf *ret, struct qn_why *why)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
        return qn_why(why, QN_E_NOTFOUND, "%s: no such file", path);
    if (fd < 0)
        return qn_why(why, errno == EACCES ? QN_E_AUTH : QN_E_IO, "%s: %s", path, strerror(errno));
    qn_rc rc = QN_OK;
    size_t before = ret->len;
    for (;;) {
        uint8_t *at = qn_buf_grow(ret, 65536);
        ssize_t n = read(fd, at, 65536);
        ret->len -= 65536 - (n > 0 ? (size_t)n : 0);
        if (n == 0) break;
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) {
            rc = qn_why(why, QN_E_IO, "%s: %s", path, strerror(errno));
            break;
        }
        if (ret->len - before > max) {
            rc = qn_why(why, QN_E_TOOBIG, "%s is larger than %zu bytes", path, max);
            break;
        }
    }
    if (rc) ret->len = before;
    close(fd);
    return rc;
}

static qn_rc write_all(int fd, struct qn_span s)
{
    while (s.len) {
        ssize_t n = write(fd, s.ptr, s.len);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return qn_err_errno(errno);
        s.ptr += n;
        s.len -= (size_t)n;
    }
    return QN_OK;
}

static qn_rc sync_parent(const char *path)
{
    char dir[4096];
    snprintf(dir, sizeof dir, "%s", path);
    char *slash = strrchr(dir, '/');
    if (!slash)
        snprintf(dir, sizeof dir, ".");
    else
        slash[slash == dir] = 0;
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return qn_err_errno(errno);
    qn_rc rc = fsync(fd) == 0 ? QN_OK : qn_err_errno(errno);
    close(fd);
    return rc;
}

qn_rc qn_file_write(const char *path, struct qn_span content, unsigned mode, struct qn_why *why)
{
    char tmp[4096];
    if (snprintf(tmp, sizeof tmp, "%s.%d.tmp", path, (int)getpid()) >= (int)sizeof tmp)
        return qn_why(why, QN_E_RANGE, "the path is too long");
    /* A crash leaves it, and in a container the next process has the same number. */
    if (unlink(tmp) && errno != ENOENT)
        return qn_why(why, qn_err_errno(errno), "%s: %s", path, strerror(errno));
    int fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    if (fd < 0) return qn_why(why, qn_err_errno(errno), "%s: %s", path, strerror(errno));
    qn_rc rc = write_all(fd, content);
    if (rc == QN_OK && fsync(fd)) rc = qn_err_errno(errno);
    if (close(fd) && rc == QN_OK) rc = qn_err_errno(errno);
    if (rc == QN_OK && rename(tmp, path)) rc = qn_err_errno(errno);
    if (rc == QN_OK) rc = sync_parent(path);
    if (rc) {
        int err = errno;
        unlink(tmp);
        return qn_why(why, rc, "%s: %s", path, strerror(err));
    }
    return QN_OK;
}

qn_rc qn_dir_make(const char *path, struct qn_why *why)
{
    char part[4096];
    if (snprintf(part, sizeof part, "%s", path) >= (int)sizeof part)
        return qn_why(why, QN_E_RANGE, "the path is too long");
    for (char *c = part + 1;; c++) {
        if (*c && *c != '/') continue;
        char keep = *c;
        *c = 0;
        bool made = mkdir(part, 0700) == 0;
        if ((!made && errno != EEXIST) || (made && sync_parent(part)))
            return qn_why(why, qn_err_errno(errno), "%s: %s", part, strerror(errno));
        *c = keep;
        if (!keep) break;
    }
    struct stat st;
    if (stat(path, &st) || !S_ISDIR(st.st_mode))
        return qn_why(why, QN_E_IO, "%s is not a folder", path);
    return QN_OK;
}
