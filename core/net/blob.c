/* blob.c - keeping files under their hash. */
#include "core/net/blob.h"

#include "core/crypto/hash.h"
#include "net/blob/wire.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void blob_beside(const char *home, const struct qn_hash *hash, const char *suffix, char *dst,
                 size_t len)
{
    char hex[65];
    qn_hex(hash->b, 32, hex);
    snprintf(dst, len, "%s/blobs/%.2s/%s%s", home, hex, hex, suffix);
}

void blob_remove(const char *home, const struct qn_hash *hash)
{
    static const char *const SUFFIX[] = { "", ".tree", ".part", ".outer" };
    char path[4096];
    for (unsigned i = 0; i < QN_COUNT(SUFFIX); i++) {
        blob_beside(home, hash, SUFFIX[i], path, sizeof path);
        unlink(path);
    }
}

static void place(const char *home, const struct qn_hash *hash, char *dst, size_t len)
{
    blob_beside(home, hash, "", dst, len);
}

static qn_rc make_parent(const char *path, struct qn_why *why)
{
    char dir[4096];
    snprintf(dir, sizeof dir, "%s", path);
    *strrchr(dir, '/') = 0;
    return qn_dir_make(dir, why);
}

qn_rc blob_path(const char *home, const struct qn_hash *hash, char *dst, size_t dst_len,
                struct qn_why *why)
{
    place(home, hash, dst, dst_len);
    return access(dst, R_OK) == 0 ? QN_OK
                                  : qn_why(why, QN_E_NOTFOUND, "this node has no such blob");
}

/* The tree of what passes by: the chaining value of each group. */
struct grown {
    struct qn_buf cvs;
    uint64_t size;
};

/* src is a whole number of groups but for the end of the content; end: nothing follows. */
static void grow(struct grown *g, const uint8_t *src, size_t len, bool end)
{
    if (end && g->size == 0 && len <= QN_GROUP) { /* one group alone, maybe empty */
        struct qn_hash cv = qn_group_cv(src, len, 0, true);
        qn_buf_put(&g->cvs, cv.b, 32);
        g->size = len;
        return;
    }
    size_t whole = len / QN_GROUP, rest = len % QN_GROUP;
    uint64_t first = g->size / QN_GROUP;
    qn_group_cvs(src, whole, first,
                 (struct qn_hash *)(void *)qn_buf_grow(&g->cvs, whole * sizeof(struct qn_hash)));
    if (rest) {
        struct qn_hash cv = qn_group_cv(src + whole * QN_GROUP, rest, first + whole, false);
        qn_buf_put(&g->cvs, cv.b, 32);
    }
    g->size += len;
}

/* Its name, and its outer nodes (malloc'd, NULL of one group). */
static struct qn_hash grown_end(const struct grown *g, uint8_t **ret_outer)
{
    struct qn_hash id;
    uint64_t len = blob_outer_len(g->size);
    *ret_outer = len ? malloc(len) : NULL;
    QN_ASSERT(*ret_outer != NULL || len == 0);
    blob_outer_build((const struct qn_hash *)(const void *)g->cvs.ptr, blob_group_cnt(g->size),
                     *ret_outer, &id);
    return id;
}

static qn_rc write_tree(const char *home, const struct qn_hash *id, uint64_t size,
                        const uint8_t *outer, struct qn_why *why)
{
    char path[4096];
    if (size <= BLOB_PIECE) return QN_OK; /* made again sooner than read */
    blob_beside(home, id, ".tree", path, sizeof path);
    return qn_file_write(path, QN_SPAN(outer, blob_outer_len(size)), 0600, why);
}

qn_rc blob_put(const char *home, struct qn_span bytes, struct qn_hash *ret, struct qn_why *why)
{
    char path[4096];
    struct grown g = { 0 };
    uint8_t *outer;
    grow(&g, bytes.ptr, bytes.len, true);
    *ret = grown_end(&g, &outer);
    place(home, ret, path, sizeof path);
    qn_rc rc = QN_OK;
    if (access(path, F_OK) == 0) goto out;
    rc = make_parent(path, why);
    if (rc == QN_OK) rc = write_tree(home, ret, g.size, outer, why);
    if (rc == QN_OK) rc = qn_file_write(path, bytes, 0600, why);
out:
    qn_buf_free(&g.cvs);
    free(outer);
    return rc;
}

/* Reads up to len bytes of from at `at`: fewer only at the end. */
static qn_rc read_full(int from, uint64_t at, uint8_t *dst, size_t len, size_t *ret,
                       struct qn_why *why)
{
    size_t have = 0;
    while (have < len) {
        ssize_t n = pread(from, dst + have, len - have, (off_t)(at + have));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return qn_why(why, qn_err_errno(errno), "reading: %s", strerror(errno));
        if (n == 0) break;
        have += (size_t)n;
    }
    *ret = have;
    return QN_OK;
}

/* Passes a file through the tree, and to `to` unless that is -1. */
static qn_rc pass(int from, int to, struct grown *g, struct qn_why *why)
{
    uint8_t chunk[16 * QN_GROUP];
    size_t n;
    do {
        qn_rc rc = read_full(from, g->size, chunk, sizeof chunk, &n, why);
        if (rc) return rc;
        if (g->size + n > BLOB_BYTES_MAX)
            return qn_why(why, QN_E_TOOBIG, "a blob has at most %llu bytes",
                          (unsigned long long)BLOB_BYTES_MAX);
        grow(g, chunk, n, n < sizeof chunk);
        for (size_t put = 0; to >= 0 && put < n;) {
            ssize_t got = write(to, chunk + put, n - put);
            if (got < 0 && errno == EINTR) continue;
            if (got < 0) return qn_why(why, qn_err_errno(errno), "writing: %s", strerror(errno));
            put += (size_t)got;
        }
    } while (n == sizeof chunk);
    if (to >= 0 && fsync(to))
        return qn_why(why, qn_err_errno(errno), "writing: %s", strerror(errno));
    return QN_OK;
}

qn_rc blob_keep(const char *home, int fd, struct qn_hash *ret, uint64_t *ret_bytes,
                struct qn_why *why)
{
    struct grown g = { 0 };
    uint8_t *outer = NULL;
    char tmp[4096], path[4096];
    /* One name is enough: a home has one node, and that one thread. What a crash left is written over. */
    snprintf(tmp, sizeof tmp, "%s/blobs/incoming.tmp", home);
    qn_rc rc = make_parent(tmp, why);
    if (rc) return rc;
    int to = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (to < 0) return qn_why(why, qn_err_errno(errno), "%s: %s", tmp, strerror(errno));
    rc = pass(fd, to, &g, why);
    if (close(to) && rc == QN_OK) rc = qn_why(why, qn_err_errno(errno), "%s", strerror(errno));
    if (rc) goto out;
    *ret = grown_end(&g, &outer);
    *ret_bytes = g.size;
    place(home, ret, path, sizeof path);
    if (access(path, F_OK) == 0) goto out;
    rc = make_parent(path, why);
    if (rc == QN_OK) rc = write_tree(home, ret, g.size, outer, why);
    if (rc == QN_OK && rename(tmp, path))
        rc = qn_why(why, qn_err_errno(errno), "%s: %s", path, strerror(errno));
    if (rc == QN_OK) goto done;
out:
    unlink(tmp);
done:
    qn_buf_free(&g.cvs);
    free(outer);
    return rc;
}

/* HASH.tree, when it has the right length. Each node is checked against its parent before it is used, so no more is asked here. */
static bool read_tree(const char *home, const struct qn_hash *hash, uint64_t size, uint8_t **ret)
{
    char path[4096];
    struct qn_buf file = { 0 };
    uint64_t len = blob_outer_len(size);
    blob_beside(home, hash, ".tree", path, sizeof path);
    if (qn_file_read(path, len, &file, NULL) != QN_OK || file.len != len) {
        qn_buf_free(&file);
        return false;
    }
    *ret = file.ptr;
    return true;
}

qn_rc blob_outer(const char *home, const struct qn_hash *hash, uint64_t size, uint8_t **ret,
                 struct qn_why *why)
{
    char path[4096];
    struct grown g = { 0 };
    uint8_t *outer = NULL;
    *ret = NULL;
    if (size <= QN_GROUP) return QN_OK;
    if (size > BLOB_PIECE && read_tree(home, hash, size, ret)) return QN_OK;
    place(home, hash, path, sizeof path);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return qn_why(why, qn_err_errno(errno), "%s: %s", path, strerror(errno));
    qn_rc rc = pass(fd, -1, &g, why);
    close(fd);
    if (rc == QN_OK) {
        struct qn_hash id = grown_end(&g, &outer);
        if (g.size != size || !qn_hash_eq(&id, hash))
            rc = qn_why(why, QN_E_CORRUPT, "%s is not what its name says", path);
    }
    if (rc == QN_OK) rc = write_tree(home, hash, size, outer, why);
    qn_buf_free(&g.cvs);
    if (rc)
        free(outer);
    else
        *ret = outer;
    return rc;
}
