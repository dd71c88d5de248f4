/* share_part.c - what there is of a blob that is being fetched, so that a later fetch goes on with it.
 *
 *     HASH.part      the blob's length; groups at their places as they come
 *     HASH.outer     its outer nodes at their places (net/blob/tree.h), mapped: what is written there outlives the process that wrote it
 *
 * Neither is believed when it is found again: from the root down each node proves the two below it and each group itself; what was not
 * written, or not whole, proves nothing. A blob of one group has no outer nodes, and is fetched again. */
#include "core/net/share_in.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define OLD_S (7 * 86400) /* of a part that nobody went on with */

static qn_rc broken(const char *path, int err, struct qn_why *why)
{
    return qn_why(why, qn_err_errno(err), "%s: %s", path, strerror(err));
}

/* A file of that length, all of it allocated: a disk that is too small says so before the bytes are on their way. */
static int make(const char *path, uint64_t len, struct qn_why *why, qn_rc *ret_rc)
{
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        *ret_rc = broken(path, errno, why);
        return -1;
    }
    int err = len ? posix_fallocate(fd, 0, (off_t)len) : 0;
    if (err == EOPNOTSUPP || err == EINVAL) err = ftruncate(fd, (off_t)len) ? errno : 0;
    if (err) {
        *ret_rc = broken(path, err, why);
        close(fd);
        unlink(path);
        return -1;
    }
    return fd;
}

/* The outer nodes of an open file of that length; NULL: it cannot be mapped. */
static uint8_t *map(int fd, size_t len)
{
    void *at = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    return at == MAP_FAILED ? NULL : at;
}

void share_part_drop(struct share *s, const struct qn_hash *id)
{
    char path[4096];
    blob_beside(s->conf.home, id, ".part", path, sizeof path);
    unlink(path);
    blob_beside(s->conf.home, id, ".outer", path, sizeof path);
    unlink(path);
}

qn_rc share_part_new(struct share *s, const struct qn_hash *id, uint64_t size, struct shelf **ret,
                     struct qn_why *why)
{
    char path[4096], outer_path[4096], *slash;
    size_t len = (size_t)blob_outer_len(size);
    uint8_t *outer = NULL;
    qn_rc rc = QN_OK;
    blob_beside(s->conf.home, id, ".part", path, sizeof path);
    blob_beside(s->conf.home, id, ".outer", outer_path, sizeof outer_path);
    slash = strrchr(path, '/');
    *slash = 0;
    if (qn_dir_make(path, why)) return QN_E_IO;
    *slash = '/';
    int fd = make(path, size, why, &rc);
    if (fd < 0) return rc;
    if (len) {
        int outer_fd = make(outer_path, len, why, &rc);
        if (outer_fd >= 0) {
            outer = map(outer_fd, len);
            if (!outer) rc = broken(outer_path, errno, why);
            close(outer_fd);
        }
    }
    if (rc) {
        close(fd);
        share_part_drop(s, id);
        return rc;
    }
    *ret = share_shelf_new(s, id, size, fd, outer);
    (*ret)->mapped = len;
    return QN_OK;
}

struct old {
    int fd;
    const uint8_t *outer;
    uint64_t *groups, cnt; /* those that are right */
};

static qn_rc old_node(void *self, uint64_t node, uint8_t ret[BLOB_NODE])
{
    const struct old *o = self;
    memcpy(ret, o->outer + node * BLOB_NODE, BLOB_NODE);
    return QN_OK;
}

static qn_rc old_group(void *self, uint64_t group, uint8_t *dst, uint32_t len)
{
    const struct old *o = self;
    return pread(o->fd, dst, len, (off_t)(group * QN_GROUP)) == (ssize_t)len ? QN_OK : QN_E_SHORT;
}

static void is_right(void *arg, uint64_t group)
{
    struct old *o = arg;
    o->groups[o->cnt++] = group;
}

bool share_part_old(struct share *s, const struct qn_hash *id, uint64_t max, struct swarm *swarm,
                    struct shelf **ret)
{
    char path[4096], outer_path[4096];
    struct stat st, outer_st;
    struct old o = { .fd = -1 };
    uint8_t *outer = NULL;
    bool ok = false;
    blob_beside(s->conf.home, id, ".part", path, sizeof path);
    blob_beside(s->conf.home, id, ".outer", outer_path, sizeof outer_path);
    int outer_fd = open(outer_path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    o.fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (o.fd < 0 || outer_fd < 0 || fstat(o.fd, &st) || fstat(outer_fd, &outer_st)) goto out;
    uint64_t size = (uint64_t)st.st_size, cnt = blob_group_cnt(size);
    size_t len = (size_t)blob_outer_len(size);
    if (size > QN_MIN(max, (uint64_t)BLOB_BYTES_MAX) || len == 0 ||
        (uint64_t)outer_st.st_size != len)
        goto out;
    outer = map(outer_fd, len);
    o.outer = outer;
    o.groups = malloc(cnt * sizeof *o.groups);
    QN_ASSERT(o.groups != NULL);
    if (!outer) goto out;
    const struct blob_source from = { .self = &o, .node = old_node, .group = old_group };
    blob_recheck(id, size, &from, is_right, &o);
    ok = o.cnt && o.groups[o.cnt - 1] == cnt - 1; /* the last proves the size */
    if (!ok) goto out;
    swarm_resume(swarm, size, o.groups, o.cnt);
    *ret = share_shelf_new(s, id, size, o.fd, outer);
    (*ret)->mapped = len;
    o.fd = -1;
out:
    free(o.groups);
    if (!ok && outer) munmap(outer, len);
    if (o.fd >= 0) close(o.fd);
    if (outer_fd >= 0) close(outer_fd);
    return ok;
}

void share_parts_sweep(const char *home)
{
    char path[4096];
    time_t now = time(NULL);
    for (unsigned i = 0; i < 256; i++) {
        snprintf(path, sizeof path, "%s/blobs/%02x", home, i);
        DIR *dir = opendir(path);
        const struct dirent *e;
        while (dir && (e = readdir(dir))) {
            char other[80];
            struct stat st;
            size_t len = strlen(e->d_name);
            bool part = len == 64 + 5 && strcmp(e->d_name + 64, ".part") == 0,
                 outer = len == 64 + 6 && strcmp(e->d_name + 64, ".outer") == 0;
            if (!part && !outer) continue;
            snprintf(other, sizeof other, "%.64s%s", e->d_name, part ? ".outer" : ".part");
            if (fstatat(dirfd(dir), other, &st, AT_SYMLINK_NOFOLLOW) || st.st_mtime + OLD_S < now)
                (void)!unlinkat(dirfd(dir), e->d_name, 0);
        }
        if (dir) closedir(dir);
    }
}
