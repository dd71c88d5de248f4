/* store.c - the checkpoint on LMDB. */
#include "ledger/store/store.h"

#include "core/env/crash.h"
#include "ledger/store/rowlog.h"

#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char META_KEY[] = "quoin-state-1";

struct qn_store {
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi rows, meta;
    struct qn_rowlog *log; /* instead of all above */
};

static qn_rc fail(struct qn_why *why, const char *what, int err)
{
    qn_rc rc = QN_E_IO;
    if (err == MDB_MAP_FULL)
        rc = QN_E_MAPFULL;
    else if (err == ENOSPC || err == EDQUOT)
        rc = QN_E_DISKFULL;
    else if (err == MDB_INVALID || err == MDB_VERSION_MISMATCH)
        rc = QN_E_FOREIGN;
    else if (err == MDB_CORRUPTED || err == MDB_PAGE_NOTFOUND || err == MDB_PANIC)
        rc = QN_E_CORRUPT;
    else if (err == ENOMEM)
        rc = QN_E_MEMORY;
    return qn_why(why, rc, "%s: %s", what, mdb_strerror(err));
}

/* LMDB maps what it is given; a file cut short would fault later, so its length is looked at first. */
static qn_rc check_file(const char *path, struct qn_why *why)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? QN_OK
                               : qn_why(why, qn_err_errno(errno), "%s: %s", path, strerror(errno));
    uint8_t head[32];
    off_t len = lseek(fd, 0, SEEK_END);
    uint32_t magic = 0;
    if (len > 0 && pread(fd, head, sizeof head, 0) == (ssize_t)sizeof head)
        memcpy(&magic, head + 16, 4); /* behind the page header */
    close(fd);
    if (len != 0 && (len < 8192 || magic != 0xBEEFC0DE))
        return qn_why(why, QN_E_FOREIGN, "%s is not a store of quoin; it was left as it is", path);
    return QN_OK;
}

qn_rc qn_store_open(const char *path, uint64_t map_gib, struct qn_store **ret,
                    struct qn_store_meta *ret_meta, struct qn_why *why)
{
    qn_rc rc = check_file(path, why);
    if (rc) return rc;
    struct qn_store *st = calloc(1, sizeof *st);
    QN_ASSERT(st != NULL);
    MDB_val key = { sizeof META_KEY, (void *)(uintptr_t)META_KEY }, val;
    int err = mdb_env_create(&st->env);
    if (!err) err = mdb_env_set_mapsize(st->env, map_gib << 30);
    if (!err) err = mdb_env_set_maxdbs(st->env, 4);
    if (!err) err = mdb_env_open(st->env, path, MDB_NOSUBDIR | MDB_NORDAHEAD | MDB_NOTLS, 0600);
    if (!err) err = mdb_txn_begin(st->env, NULL, 0, &st->txn);
    if (!err) err = mdb_dbi_open(st->txn, "rows", MDB_CREATE, &st->rows);
    if (!err) err = mdb_dbi_open(st->txn, "meta", MDB_CREATE, &st->meta);
    if (err) {
        rc = fail(why, path, err);
        goto out;
    }
    memset(ret_meta, 0, sizeof *ret_meta);
    err = mdb_get(st->txn, st->meta, &key, &val);
    if (!err && val.mv_size == sizeof *ret_meta)
        memcpy(ret_meta, val.mv_data, sizeof *ret_meta);
    else if (err != MDB_NOTFOUND)
        rc = qn_why(why, QN_E_CORRUPT, "%s: its head is damaged", path);
    if (rc == QN_OK) {
        err = mdb_txn_commit(st->txn);
        st->txn = NULL;
        rc = err ? fail(why, path, err) : QN_OK;
    }
out:
    if (rc)
        qn_store_close(st);
    else
        *ret = st;
    return rc;
}

qn_rc qn_store_open_on(const struct qn_disk *disk, const char *path, uint64_t map_gib,
                       struct qn_store **ret, struct qn_store_meta *ret_meta, struct qn_why *why)
{
    if (!disk) return qn_store_open(path, map_gib, ret, ret_meta, why);
    struct qn_store *st = calloc(1, sizeof *st);
    QN_ASSERT(st != NULL);
    qn_rc rc = qn_rowlog_open(disk, path, &st->log, ret_meta, why);
    if (rc)
        free(st);
    else
        *ret = st;
    return rc;
}

qn_rc qn_store_load(struct qn_store *st,
                    void (*visit)(void *arg, struct qn_span key, struct qn_span val), void *arg,
                    struct qn_why *why)
{
    if (st->log) return qn_rowlog_load(st->log, visit, arg, why);
    MDB_txn *txn = NULL;
    MDB_cursor *cur = NULL;
    MDB_val key, val;
    int err = mdb_txn_begin(st->env, NULL, MDB_RDONLY, &txn);
    if (!err) err = mdb_cursor_open(txn, st->rows, &cur);
    while (!err && (err = mdb_cursor_get(cur, &key, &val, MDB_NEXT)) == 0)
        visit(arg, QN_SPAN(key.mv_data, key.mv_size), QN_SPAN(val.mv_data, val.mv_size));
    if (cur) mdb_cursor_close(cur);
    mdb_txn_abort(txn);
    return err == MDB_NOTFOUND ? QN_OK : fail(why, "state.mdb", err);
}

qn_rc qn_store_begin(struct qn_store *st, struct qn_why *why)
{
    QN_ASSERT(!st->txn);
    if (st->log) {
        qn_rowlog_begin(st->log);
        return QN_OK;
    }
    int err = mdb_txn_begin(st->env, NULL, 0, &st->txn);
    return err ? fail(why, "state.mdb", err) : QN_OK;
}

qn_rc qn_store_put(struct qn_store *st, struct qn_span key, struct qn_span val, struct qn_why *why)
{
    if (st->log) {
        qn_rowlog_put(st->log, key, &val);
        return QN_OK;
    }
    MDB_val k = { key.len, (void *)(uintptr_t)key.ptr },
            v = { val.len, (void *)(uintptr_t)val.ptr };
    int err = mdb_put(st->txn, st->rows, &k, &v, 0);
    return err ? fail(why, "state.mdb", err) : QN_OK;
}

qn_rc qn_store_del(struct qn_store *st, struct qn_span key, struct qn_why *why)
{
    if (st->log) {
        qn_rowlog_put(st->log, key, NULL);
        return QN_OK;
    }
    MDB_val k = { key.len, (void *)(uintptr_t)key.ptr };
    int err = mdb_del(st->txn, st->rows, &k, NULL);
    return err && err != MDB_NOTFOUND ? fail(why, "state.mdb", err) : QN_OK;
}

qn_rc qn_store_commit(struct qn_store *st, const struct qn_store_meta *meta, struct qn_why *why)
{
    if (st->log) return qn_rowlog_commit(st->log, meta, why);
    MDB_val key = { sizeof META_KEY, (void *)(uintptr_t)META_KEY };
    MDB_val val = { sizeof *meta, (void *)(uintptr_t)meta };
    int err = mdb_put(st->txn, st->meta, &key, &val, 0);
    if (err) {
        qn_store_abort(st);
        return fail(why, "state.mdb", err);
    }
    qn_crash_point("checkpoint-before");
    err = mdb_txn_commit(st->txn);
    st->txn = NULL;
    qn_crash_point("checkpoint-after");
    return err ? fail(why, "state.mdb", err) : QN_OK;
}

void qn_store_abort(struct qn_store *st)
{
    if (st->txn) mdb_txn_abort(st->txn);
    st->txn = NULL;
}

void qn_store_close(struct qn_store *st)
{
    if (!st) return;
    qn_store_abort(st);
    qn_rowlog_close(st->log);
    if (st->env) mdb_env_close(st->env);
    free(st);
}
