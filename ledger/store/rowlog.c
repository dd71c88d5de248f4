/* rowlog.c - rows as a log of commits. */
#include "ledger/store/rowlog.h"

#include "ledger/store/store_in.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#define LOG_MAX  (256u << 20)
#define GONE     UINT32_MAX
#define ROWS_MIN 64
#define NOTED    (1u << 31) /* in a key's length */

struct qn_rowlog {
    const struct qn_disk *disk;
    char path[4096];
    int fd;
    uint64_t end;
    struct qn_buf out; /* of the commit under way */
};

struct row {
    struct qn_span key, val;
    uint32_t no; /* the last of a key holds */
    bool gone;
};

static qn_rc refused(const struct qn_rowlog *log, int64_t err, struct qn_why *why)
{
    if (err >= 0) return QN_OK;
    return qn_why(why, qn_err_errno((int)-err), "%s: %s", log->path, strerror((int)-err));
}

/* Takes a whole commit from the front of s. */
static bool take_commit(struct qn_span *s, struct qn_span *ret)
{
    struct qn_span at = *s;
    uint32_t len, crc;
    if (!qn_take_u32(&at, &len) || !qn_take_u32(&at, &crc) || len < sizeof(struct qn_store_meta) ||
        !qn_take(&at, len, ret) || crc != crc32(0, ret->ptr, (uInt)ret->len))
        return false;
    *s = at;
    return true;
}

qn_rc qn_rowlog_open(const struct qn_disk *disk, const char *path, struct qn_rowlog **ret,
                     struct qn_store_meta *ret_meta, struct qn_why *why)
{
    struct qn_rowlog *log = calloc(1, sizeof *log);
    QN_ASSERT(log != NULL);
    struct qn_buf file = { 0 };
    log->disk = disk;
    log->fd = -1;
    snprintf(log->path, sizeof log->path, "%s", path);
    memset(ret_meta, 0, sizeof *ret_meta);
    log->fd = disk->open(disk->self, path, QN_DISK_WRITE);
    if (log->fd == -ENOENT) {
        char dir[4096];
        snprintf(dir, sizeof dir, "%s", path);
        char *slash = strrchr(dir, '/');
        if (slash) *slash = 0;
        log->fd = disk->make_dir(disk->self, dir);
        if (log->fd >= 0) log->fd = disk->open(disk->self, path, QN_DISK_MAKE);
        int err = log->fd >= 0 ? qn_store_name(disk, path) : 0;
        if (err < 0) {
            disk->close(disk->self, log->fd);
            log->fd = err;
        }
    }
    qn_rc rc = refused(log, log->fd, why);
    if (rc == QN_OK) rc = qn_disk_whole(disk, path, LOG_MAX, &file, why);
    struct qn_span s = qn_buf_get(&file), one;
    while (rc == QN_OK && take_commit(&s, &one))
        memcpy(ret_meta, one.ptr, sizeof *ret_meta);
    log->end = file.len - s.len;
    if (rc == QN_OK && s.len) rc = refused(log, disk->cut(disk->self, path, log->end), why);
    qn_buf_free(&file);
    if (rc)
        qn_rowlog_close(log);
    else
        *ret = log;
    return rc;
}

static int by_key(const void *a, const void *b)
{
    const struct row *x = a, *y = b;
    int cmp = qn_span_cmp(x->key, y->key);
    return cmp ? cmp : x->no < y->no ? -1 : 1;
}

/* What the last commit left of a table, in key order; keys and values lie in *ret_file. */
static qn_rc read_rows(struct qn_rowlog *log, uint32_t table, struct qn_buf *ret_file,
                       struct row **ret, size_t *ret_cnt, struct qn_why *why)
{
    struct row *rows = NULL;
    size_t cnt = 0, cap = 0, left = 0;
    qn_rc rc = qn_disk_whole(log->disk, log->path, LOG_MAX, ret_file, why);
    struct qn_span s = qn_buf_get(ret_file), one, meta;
    while (rc == QN_OK && take_commit(&s, &one)) {
        bool ok = qn_take(&one, sizeof(struct qn_store_meta), &meta);
        while (ok && one.len) {
            uint32_t key_len = 0, val_len = 0;
            if (cnt == cap) {
                cap = QN_MAX(cap * 2, (size_t)ROWS_MIN);
                rows = realloc(rows, cap * sizeof *rows);
                QN_ASSERT(rows != NULL);
            }
            struct row *r = &rows[cnt];
            *r = (struct row){ .no = (uint32_t)cnt };
            ok = qn_take_u32(&one, &key_len) && qn_take_u32(&one, &val_len) &&
                 qn_take(&one, key_len & ~NOTED, &r->key) &&
                 qn_take(&one, val_len == GONE ? 0 : val_len, &r->val);
            r->gone = val_len == GONE;
            cnt += ok && (key_len & NOTED) == table;
        }
        if (!ok) rc = qn_why(why, QN_E_CORRUPT, "%s: a commit does not parse", log->path);
    }
    if (rc == QN_OK && cnt) qsort(rows, cnt, sizeof *rows, by_key);
    for (size_t i = 0; rc == QN_OK && i < cnt; i++)
        if ((i + 1 == cnt || !qn_span_eq(rows[i].key, rows[i + 1].key)) && !rows[i].gone)
            rows[left++] = rows[i];
    *ret = rows;
    *ret_cnt = left;
    return rc;
}

qn_rc qn_rowlog_load(struct qn_rowlog *log,
                     void (*visit)(void *arg, struct qn_span key, struct qn_span val), void *arg,
                     struct qn_why *why)
{
    struct qn_buf file = { 0 };
    struct row *rows;
    size_t cnt;
    qn_rc rc = read_rows(log, 0, &file, &rows, &cnt, why);
    for (size_t i = 0; rc == QN_OK && i < cnt; i++) {
        struct qn_span key = rows[i].key, last = i ? rows[i - 1].key : key;
        bool starts = i && last.len <= key.len && memcmp(last.ptr, key.ptr, last.len) == 0;
        if (key.len == 0 || key.len > STORE_KEY_MAX || starts)
            rc = qn_why(why, QN_E_CORRUPT, "%s: holds damaged rows", log->path);
        else
            visit(arg, key, rows[i].val);
    }
    free(rows);
    qn_buf_free(&file);
    return rc;
}

qn_rc qn_rowlog_find(struct qn_rowlog *log, struct qn_span key, bool up, struct qn_buf *ret_key,
                     struct qn_buf *ret_val, struct qn_why *why)
{
    struct qn_buf file = { 0 };
    struct row *rows;
    const struct row *best = NULL;
    size_t cnt;
    qn_rc rc = read_rows(log, NOTED, &file, &rows, &cnt, why);
    for (size_t i = 0; rc == QN_OK && i < cnt; i++) {
        int cmp = qn_span_cmp(rows[i].key, key);
        if (up ? cmp >= 0 && !best : cmp <= 0) best = &rows[i];
    }
    if (best) {
        qn_buf_span(ret_key, best->key);
        qn_buf_span(ret_val, best->val);
    }
    if (rc == QN_OK && !best) rc = QN_E_NOTFOUND;
    free(rows);
    qn_buf_free(&file);
    return rc;
}

void qn_rowlog_begin(struct qn_rowlog *log)
{
    struct qn_store_meta none = { 0 };
    qn_buf_clear(&log->out);
    qn_buf_u64(&log->out, 0);
    qn_buf_put(&log->out, &none, sizeof none);
}

static void put(struct qn_rowlog *log, uint32_t table, struct qn_span key,
                const struct qn_span *val)
{
    qn_buf_u32(&log->out, (uint32_t)key.len | table);
    qn_buf_u32(&log->out, val ? (uint32_t)val->len : GONE);
    qn_buf_span(&log->out, key);
    if (val) qn_buf_span(&log->out, *val);
}

void qn_rowlog_put(struct qn_rowlog *log, struct qn_span key, const struct qn_span *val)
{
    put(log, 0, key, val);
}

void qn_rowlog_note(struct qn_rowlog *log, struct qn_span key, const struct qn_span *val)
{
    put(log, NOTED, key, val);
}

qn_rc qn_rowlog_commit(struct qn_rowlog *log, const struct qn_store_meta *meta, struct qn_why *why)
{
    uint8_t *p = log->out.ptr;
    uint32_t len = (uint32_t)(log->out.len - 8);
    memcpy(p + 8, meta, sizeof *meta);
    uint32_t crc = (uint32_t)crc32(0, p + 8, len);
    memcpy(p, &len, 4);
    memcpy(p + 4, &crc, 4);
    qn_rc rc = refused(
        log, log->disk->write(log->disk->self, log->fd, qn_buf_get(&log->out), log->end), why);
    if (rc == QN_OK) log->end += log->out.len;
    return rc;
}

void qn_rowlog_close(struct qn_rowlog *log)
{
    if (!log) return;
    if (log->fd >= 0) log->disk->close(log->disk->self, log->fd);
    qn_buf_free(&log->out);
    free(log);
}
