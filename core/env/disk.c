/* disk.c - the machine's own disk. */
#include "core/env/disk.h"

#include "core/env/env.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int real_open(void *self, const char *path, enum qn_disk_open how)
{
    (void)self;
    int flags = how == QN_DISK_READ   ? O_RDONLY
                : how == QN_DISK_MAKE ? O_RDWR | O_DSYNC | O_CREAT | O_EXCL
                                      : O_RDWR | O_DSYNC;
    int fd = open(path, flags | O_CLOEXEC, 0600);
    return fd < 0 ? -errno : fd;
}

static void real_close(void *self, int fd)
{
    (void)self;
    close(fd);
}

static int64_t real_read(void *self, int fd, void *dst, size_t len, uint64_t off)
{
    (void)self;
    size_t got = 0;
    while (got < len) {
        ssize_t n = pread(fd, (uint8_t *)dst + got, len - got, (off_t)(off + got));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return -errno;
        if (n == 0) break;
        got += (size_t)n;
    }
    return (int64_t)got;
}

static int real_write(void *self, int fd, struct qn_span s, uint64_t off)
{
    (void)self;
    while (s.len) {
        ssize_t n = pwrite(fd, s.ptr, s.len, (off_t)off);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return -errno;
        s.ptr += n;
        s.len -= (size_t)n;
        off += (uint64_t)n;
    }
    return 0;
}

static int real_grow(void *self, int fd, uint64_t off, uint64_t len)
{
    (void)self;
    return -posix_fallocate(fd, (off_t)off, (off_t)len);
}

static int real_cut(void *self, const char *path, uint64_t len)
{
    (void)self;
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0) return -errno;
    int err = ftruncate(fd, (off_t)len) || fsync(fd) ? -errno : 0;
    close(fd);
    return err;
}

static int64_t real_size(void *self, const char *path)
{
    struct stat st;
    (void)self;
    return stat(path, &st) ? -errno : (int64_t)st.st_size;
}

static int real_make_dir(void *self, const char *path)
{
    (void)self;
    return qn_dir_make(path, NULL) ? -(errno ? errno : EIO) : 0;
}

static int real_sync_dir(void *self, const char *path)
{
    (void)self;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return -errno;
    int err = fsync(fd) ? -errno : 0;
    close(fd);
    return err;
}

static int real_remove(void *self, const char *path)
{
    (void)self;
    return unlink(path) ? -errno : 0;
}

static int real_rename(void *self, const char *from, const char *to)
{
    (void)self;
    return rename(from, to) ? -errno : 0;
}

const struct qn_disk *qn_disk_real(void)
{
    static const struct qn_disk disk = {
        .open = real_open,
        .close = real_close,
        .read = real_read,
        .write = real_write,
        .grow = real_grow,
        .cut = real_cut,
        .size = real_size,
        .make_dir = real_make_dir,
        .sync_dir = real_sync_dir,
        .remove = real_remove,
        .rename = real_rename,
    };
    return &disk;
}

qn_rc qn_disk_whole(const struct qn_disk *disk, const char *path, size_t max, struct qn_buf *ret,
                    struct qn_why *why)
{
    int fd = disk->open(disk->self, path, QN_DISK_READ);
    if (fd == -ENOENT || fd == -ENOTDIR)
        return qn_why(why, QN_E_NOTFOUND, "%s: no such file", path);
    if (fd < 0) return qn_why(why, QN_E_IO, "%s: %s", path, strerror(-fd));
    qn_rc rc = QN_OK;
    size_t before = ret->len;
    int64_t size = disk->size(disk->self, path), got = 0;
    if (size < 0 || (size_t)size > max) {
        rc = size < 0 ? qn_why(why, QN_E_IO, "%s: %s", path, strerror((int)-size))
                      : qn_why(why, QN_E_TOOBIG, "%s is larger than %zu bytes", path, max);
    } else if (size) {
        got = disk->read(disk->self, fd, qn_buf_grow(ret, (size_t)size), (size_t)size, 0);
        if (got < 0) rc = qn_why(why, QN_E_IO, "%s: %s", path, strerror((int)-got));
    }
    ret->len = rc ? before : before + (size_t)got;
    disk->close(disk->self, fd);
    return rc;
}
