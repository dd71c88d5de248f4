/* scan.c - a reader of state.mdb in a process of its own. */
#include "ledger/store/scan.h"

#include "ledger/store/store_in.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <lmdb.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct qn_scan {
    MDB_env *env;
    MDB_txn *txn;
    MDB_cursor *cur;
    uint32_t page_size;
    uint64_t page_cnt;
    uint8_t *free;       /* a bit a page: listed as free */
    const uint8_t *base; /* of the mapping, by the first page that was seen */
    MDB_dbi rows_dbi, past_dbi;
    bool past;
    uint8_t last[STORE_KEY_MAX];
    size_t len; /* of last; 0: none yet */
};

static qn_rc bad(struct qn_why *why, const char *what)
{
    return qn_why(why, QN_E_CORRUPT, "%s", what);
}

/* Lists: transaction -> u64 count | that many page numbers, falling. */
static qn_rc read_free(struct qn_scan *s, struct qn_why *why)
{
    MDB_cursor *cur = NULL;
    MDB_val key, val;
    uint64_t cnt, page, before;
    int err = mdb_cursor_open(s->txn, 0, &cur);
    qn_rc rc = QN_OK;
    while (rc == QN_OK && !err && (err = mdb_cursor_get(cur, &key, &val, MDB_NEXT)) == 0) {
        const uint8_t *at = val.mv_data;
        if (key.mv_size != 8 || val.mv_size < 8) rc = QN_E_CORRUPT;
        if (rc == QN_OK) memcpy(&cnt, at, 8);
        if (rc == QN_OK && cnt > val.mv_size / 8 - 1) rc = QN_E_CORRUPT;
        before = s->page_cnt;
        for (uint64_t i = 0; rc == QN_OK && i < cnt; i++) {
            memcpy(&page, at + 8 + 8 * i, 8);
            if (page < 2 || page >= before || (s->free[page / 8] >> page % 8 & 1))
                rc = QN_E_CORRUPT;
            else
                s->free[page / 8] |= (uint8_t)(1u << page % 8);
            before = page;
        }
    }
    if (cur) mdb_cursor_close(cur);
    if (rc || (err && err != MDB_NOTFOUND)) return bad(why, "its list of free pages is damaged");
    return QN_OK;
}

qn_rc qn_scan_open(const char *path, struct qn_scan **ret, struct qn_store_meta *ret_meta,
                   struct qn_why *why)
{
    struct qn_scan *s = calloc(1, sizeof *s);
    QN_ASSERT(s != NULL);
    MDB_val key = { sizeof STORE_META_KEY, (void *)(uintptr_t)STORE_META_KEY }, val;
    MDB_dbi meta = 0;
    MDB_stat stat;
    MDB_envinfo info;
    qn_rc rc = QN_OK;
    int err = mdb_env_create(&s->env);
    if (!err) err = mdb_env_set_maxdbs(s->env, 4);
    if (!err)
        err =
            mdb_env_open(s->env, path, MDB_NOSUBDIR | MDB_RDONLY | MDB_NORDAHEAD | MDB_NOTLS, 0600);
    if (!err) err = mdb_txn_begin(s->env, NULL, MDB_RDONLY, &s->txn);
    if (!err) err = mdb_dbi_open(s->txn, "rows", 0, &s->rows_dbi);
    if (!err) err = mdb_dbi_open(s->txn, "past", 0, &s->past_dbi);
    if (!err) err = mdb_dbi_open(s->txn, "meta", 0, &meta);
    if (!err) err = mdb_env_stat(s->env, &stat);
    if (!err) err = mdb_env_info(s->env, &info);
    if (!err) err = mdb_get(s->txn, meta, &key, &val);
    if (err) {
        rc = err == MDB_NOTFOUND || err == MDB_CORRUPTED || err == MDB_PAGE_NOTFOUND ||
                     err == MDB_INVALID || err == MDB_INCOMPATIBLE || err == MDB_VERSION_MISMATCH
                 ? bad(why, "it does not say of what block it is")
                 : qn_why(why, QN_E_IO, "%s: %s", path, mdb_strerror(err));
        goto out;
    }
    if (val.mv_size != sizeof *ret_meta) {
        rc = bad(why, "it does not say of what block it is");
        goto out;
    }
    memcpy(ret_meta, val.mv_data, sizeof *ret_meta);
    s->page_size = stat.ms_psize;
    s->page_cnt = info.me_last_pgno + 1;
    s->free = calloc(1, s->page_cnt / 8 + 1);
    QN_ASSERT(s->free != NULL);
    rc = read_free(s, why);
    err = rc ? 0 : mdb_cursor_open(s->txn, s->rows_dbi, &s->cur);
    if (err) rc = qn_why(why, QN_E_IO, "%s: %s", path, mdb_strerror(err));
out:
    if (rc)
        qn_scan_close(s);
    else
        *ret = s;
    return rc;
}

qn_rc qn_scan_past(struct qn_scan *s, struct qn_why *why)
{
    mdb_cursor_close(s->cur);
    s->cur = NULL;
    s->past = true;
    s->len = 0;
    int err = mdb_cursor_open(s->txn, s->past_dbi, &s->cur);
    return err ? qn_why(why, QN_E_IO, "%s", mdb_strerror(err)) : QN_OK;
}

/* The page that holds a byte LMDB lent: it says its own number, is where that number belongs, and not free. The first page of a long value has the
 * number and the bytes behind it. */
static bool page_ok(struct qn_scan *s, const void *byte)
{
    const uint8_t *page =
        (const uint8_t *)byte - (uintptr_t)byte % s->page_size; /* the mapping begins at a page */
    uint64_t number;
    memcpy(&number, page, 8);
    if (number < 2 || number >= s->page_cnt) return false;
    if (!s->base) s->base = page - number * s->page_size;
    return page == s->base + number * s->page_size && !(s->free[number / 8] >> number % 8 & 1);
}

qn_rc qn_scan_next(struct qn_scan *s, struct qn_span after, struct qn_span *ret_key,
                   struct qn_span *ret_val, struct qn_why *why)
{
    MDB_val key = { after.len, (void *)(uintptr_t)after.ptr }, val;
    int err;
    if (s->len || after.len == 0) {
        err = mdb_cursor_get(s->cur, &key, &val, MDB_NEXT);
    } else {
        err = mdb_cursor_get(s->cur, &key, &val, MDB_SET_RANGE);
        if (!err && key.mv_size == after.len && memcmp(key.mv_data, after.ptr, after.len) == 0)
            err = mdb_cursor_get(s->cur, &key, &val, MDB_NEXT);
    }
    if (err == MDB_NOTFOUND) return QN_E_NOTFOUND;
    if (err) return qn_why(why, QN_E_CORRUPT, "%s", mdb_strerror(err));
    struct qn_span last = s->len ? QN_SPAN(s->last, s->len) : after;
    if (key.mv_size == 0 || key.mv_size > STORE_KEY_MAX ||
        (last.len && memcmp(last.ptr, key.mv_data, QN_MIN(last.len, key.mv_size)) >= 0))
        return bad(why, "its keys do not rise");
    if (!page_ok(s, key.mv_data) || (val.mv_size && !page_ok(s, val.mv_data)))
        return bad(why, "a page of it has another's number or is listed as free");
    memcpy(s->last, key.mv_data, key.mv_size);
    s->len = key.mv_size;
    *ret_key = QN_SPAN(s->last, s->len);
    *ret_val = QN_SPAN(val.mv_data, val.mv_size);
    if (s->past && !store_past_take(*ret_key, ret_val))
        return bad(why, "its index of old blocks is damaged");
    return QN_OK;
}

void qn_scan_close(struct qn_scan *s)
{
    if (!s) return;
    if (s->cur) mdb_cursor_close(s->cur);
    if (s->txn) mdb_txn_abort(s->txn);
    if (s->env) mdb_env_close(s->env);
    free(s->free);
    free(s);
}

/* --- the disk itself ------------------------------------------------------------------------------------------------------ */

enum { WINDOW = 1 << 20, ALIGN = 4096, TRIES = 8 };

/* Whether both say the same from off on. The writer may be at it: what differs is read again. */
static qn_rc same_window(int direct, int cached, uint8_t *a, uint8_t *b, off_t off, ssize_t *ret,
                         struct qn_why *why)
{
    ssize_t at = 0;
    for (int i = 0; i < TRIES; i++) {
        ssize_t n = pread(direct, a, WINDOW, off), m = pread(cached, b, WINDOW, off);
        if (n < 0 && errno == EINVAL) { /* not this file system's */
            *ret = 0;
            return QN_OK;
        }
        if (n < 0 || m < 0)
            return qn_why(why, QN_E_IO,
                          "the disk does not give byte %" PRIu64 " and those behind it: %s",
                          (uint64_t)off, strerror(errno));
        *ret = QN_MIN(n, m);
        for (at = 0; at < *ret && a[at] == b[at]; at++)
            ;
        if (at == *ret) return QN_OK;
        usleep(50000);
    }
    return qn_why(why, QN_E_CORRUPT, "the disk holds another byte %" PRIu64 " than was written",
                  (uint64_t)off + (uint64_t)at);
}

qn_rc qn_scan_disk(const char *path, struct qn_why *why)
{
    uint8_t *a = aligned_alloc(ALIGN, WINDOW), *b = aligned_alloc(ALIGN, WINDOW);
    QN_ASSERT(a && b);
    int direct = open(path, O_RDONLY | O_DIRECT | O_CLOEXEC),
        cached = open(path, O_RDONLY | O_CLOEXEC);
    qn_rc rc = QN_OK;
    if (direct >= 0 && cached >= 0) {
        ssize_t n = WINDOW;
        for (off_t off = 0; rc == QN_OK && n == WINDOW; off += n)
            rc = same_window(direct, cached, a, b, off, &n, why);
    } else if (errno != EINVAL) {
        rc = qn_why(why, QN_E_IO, "%s", strerror(errno));
    }
    if (direct >= 0) close(direct);
    if (cached >= 0) close(cached);
    free(a);
    free(b);
    return rc;
}
