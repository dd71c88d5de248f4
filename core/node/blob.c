/* blob.c - keeping files under their hash. */
#include "core/node/blob.h"

#include "core/crypto/hash.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void place(const char *home, const struct qn_hash *hash, char *dst, size_t len)
{
    char hex[65];
    qn_hex(hash->b, 32, hex);
    snprintf(dst, len, "%s/blobs/%.2s/%s", home, hex, hex);
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

qn_rc blob_put(const char *home, struct qn_span bytes, struct qn_hash *ret, struct qn_why *why)
{
    char path[4096];
    *ret = qn_blake3(bytes.ptr, bytes.len);
    place(home, ret, path, sizeof path);
    if (access(path, F_OK) == 0) return QN_OK;
    qn_rc rc = make_parent(path, why);
    return rc ? rc : qn_file_write(path, bytes, 0600, why);
}

static qn_rc copy(int from, int to, struct qn_hasher *h, uint64_t *ret_bytes, struct qn_why *why)
{
    uint8_t chunk[65536];
    uint64_t at = 0;
    for (;;) {
        ssize_t n = pread(from, chunk, sizeof chunk, (off_t)at);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return qn_why(why, qn_err_errno(errno), "reading: %s", strerror(errno));
        if (n == 0) break;
        at += (uint64_t)n;
        if (at > BLOB_BYTES_MAX)
            return qn_why(why, QN_E_TOOBIG, "a blob has at most %llu bytes",
                          (unsigned long long)BLOB_BYTES_MAX);
        qn_hasher_put(h, chunk, (size_t)n);
        for (ssize_t put = 0; put < n;) {
            ssize_t got = write(to, chunk + put, (size_t)(n - put));
            if (got < 0 && errno == EINTR) continue;
            if (got < 0) return qn_why(why, qn_err_errno(errno), "writing: %s", strerror(errno));
            put += got;
        }
    }
    if (fsync(to)) return qn_why(why, qn_err_errno(errno), "writing: %s", strerror(errno));
    *ret_bytes = at;
    return QN_OK;
}

qn_rc blob_keep(const char *home, int fd, struct qn_hash *ret, uint64_t *ret_bytes,
                struct qn_why *why)
{
    struct qn_hasher h;
    char tmp[4096], path[4096];
    uint64_t bytes = 0;
    /* One name is enough: a home has one node, and that one thread. What a crash left is written over. */
    snprintf(tmp, sizeof tmp, "%s/blobs/incoming.tmp", home);
    qn_rc rc = make_parent(tmp, why);
    if (rc) return rc;
    int to = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (to < 0) return qn_why(why, qn_err_errno(errno), "%s: %s", tmp, strerror(errno));
    qn_hasher_init(&h);
    rc = copy(fd, to, &h, &bytes, why);
    if (close(to) && rc == QN_OK) rc = qn_why(why, qn_err_errno(errno), "%s", strerror(errno));
    if (rc) goto out;
    *ret = qn_hasher_end(&h);
    *ret_bytes = bytes;
    place(home, ret, path, sizeof path);
    if (access(path, F_OK) == 0) goto out;
    rc = make_parent(path, why);
    if (rc == QN_OK && rename(tmp, path))
        rc = qn_why(why, qn_err_errno(errno), "%s: %s", path, strerror(errno));
    if (rc == QN_OK) return QN_OK;
out:
    unlink(tmp);
    return rc;
}
