/* store.c - the checkpoint on LMDB. */
#include "ledger/store/store.h"

#include "core/env/crash.h"
#include "ledger/store/rowlog.h"
#include "ledger/store/store_in.h"

#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

struct qn_store {
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi rows, meta, past;
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

static qn_rc damaged(struct qn_why *why, const char *path, const char *how)
{
    return qn_why(why, QN_E_CORRUPT,
                  "%s %s; it was left as it is: quoin ledger repair makes it again", path, how);
}

/* What we look at of LMDB's two heads, its pages 0 and 1; the one with the higher txn counts. */
struct head {
    uint64_t page;
    uint16_t pad, flags;
    uint32_t bounds, magic, version;
    uint64_t address, map_size;
    uint32_t page_size;
    uint8_t trees[92];
    uint64_t last_page, txn;
};
_Static_assert(sizeof(struct head) == 152, "as in the file");

enum { HEAD_FLAG = 8, PAGE_MIN = 512, PAGE_MAX = 32768, PROBE_MAX = 64 << 20 };

/* LMDB believes what it maps: its heads are looked at first. *ret_probe: read it all elsewhere first: it is small, or it ends before the last page that its
 * head counts. Pages that were taken and given back in one commit are never written, so that alone is no damage. */
static qn_rc check_file(const char *path, bool *ret_probe, struct qn_why *why)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    *ret_probe = false;
    if (fd < 0)
        return errno == ENOENT ? QN_OK
                               : qn_why(why, qn_err_errno(errno), "%s: %s", path, strerror(errno));
    struct head h[2] = { 0 };
    off_t len = lseek(fd, 0, SEEK_END);
    bool read = len >= (off_t)sizeof *h && pread(fd, h, sizeof *h, 0) == (ssize_t)sizeof *h;
    bool ours = read && h[0].magic == 0xBEEFC0DE;
    uint32_t size = h[0].page_size;
    bool sound = ours && (size & (size - 1)) == 0 && size >= PAGE_MIN && size <= PAGE_MAX &&
                 pread(fd, h + 1, sizeof *h, size) == (ssize_t)sizeof *h;
    close(fd);
    if (len == 0) return QN_OK;
    if (!ours)
        return qn_why(
            why, QN_E_FOREIGN,
            "%s is not a store of quoin, or damaged in its head; it was left as it is: quoin "
            "ledger repair makes a damaged one again, from the journal beside it",
            path);
    for (int i = 0; i < 2; i++)
        sound = sound && (h[i].flags & HEAD_FLAG) && h[i].magic == h[0].magic &&
                h[i].version == h[0].version && h[i].page_size == size;
    if (!sound) return damaged(why, path, "is cut short or damaged in its head");
    const struct head *newer = &h[h[1].txn > h[0].txn];
    *ret_probe = len <= PROBE_MAX || newer->last_page >= (uint64_t)len / size;
    return QN_OK;
}

static int touch_tree(MDB_txn *txn, MDB_dbi dbi)
{
    MDB_cursor *cur;
    MDB_val key, val;
    volatile uint8_t sum = 0;
    int err = mdb_cursor_open(txn, dbi, &cur);
    while (!err && (err = mdb_cursor_get(cur, &key, &val, MDB_NEXT)) == 0) {
        const uint8_t *k = key.mv_data, *v = val.mv_data;
        for (size_t i = 0; i < key.mv_size; i++)
            sum ^= k[i];
        for (size_t i = 0; i < val.mv_size; i++)
            sum ^= v[i];
    }
    (void)sum;
    return err == MDB_NOTFOUND ? 0 : err;
}

static void touch_all(const char *path)
{
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi dbi;
    unsigned how = MDB_NOSUBDIR | MDB_RDONLY | MDB_NOLOCK | MDB_NOTLS;
    int err = mdb_env_create(&env);
    if (!err) err = mdb_env_set_maxdbs(env, 4);
    if (!err) err = mdb_env_open(env, path, how, 0600);
    if (!err) err = mdb_txn_begin(env, NULL, MDB_RDONLY, &txn);
    if (!err) err = touch_tree(txn, 0); /* what is free */
    static const char *const TABLES[] = { "rows", "meta", "past" };
    for (size_t i = 0; i < QN_COUNT(TABLES) && !err; i++) {
        err = mdb_dbi_open(txn, TABLES[i], 0, &dbi);
        if (!err) err = touch_tree(txn, dbi);
        if (err == MDB_NOTFOUND) err = 0; /* not made yet */
    }
}

/* Reads the whole file in another process: LMDB has no answer to a bad page but a signal. What cannot be found out so is left to the opening. */
static qn_rc probe(const char *path, struct qn_why *why)
{
    char said[64];
    int how = 0;
    pid_t pid = fork();
    if (pid == 0) {
        int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
        if (null >= 0) dup2(null, 2);
        for (int sig = 1; sig < 32; sig++)
            signal(sig, SIG_DFL);
        setrlimit(RLIMIT_CORE, &(struct rlimit){ 0 });
        touch_all(path); /* an error is the opening's to tell */
        _exit(0);
    }
    if (pid < 0) return QN_OK;
    while (waitpid(pid, &how, 0) < 0)
        if (errno != EINTR) return QN_OK;
    int sig = WIFSIGNALED(how) ? WTERMSIG(how) : 0;
    if (sig != SIGBUS && sig != SIGSEGV && sig != SIGABRT && sig != SIGFPE && sig != SIGILL)
        return QN_OK;
    snprintf(said, sizeof said, "is damaged or cut short (LMDB's answer is signal %d)", sig);
    return damaged(why, path, said);
}

int qn_store_name(const struct qn_disk *disk, const char *path)
{
    char dir[4096];
    snprintf(dir, sizeof dir, "%s", path);
    char *slash = strrchr(dir, '/');
    if (slash) *slash = 0;
    return disk->sync_dir(disk->self, slash ? dir : ".");
}

qn_rc qn_store_open(const char *path, uint64_t map_gib, struct qn_store **ret,
                    struct qn_store_meta *ret_meta, struct qn_why *why)
{
    bool ask;
    qn_rc rc = check_file(path, &ask, why);
    if (rc == QN_OK && ask) rc = probe(path, why);
    if (rc) return rc;
    struct qn_store *st = calloc(1, sizeof *st);
    QN_ASSERT(st != NULL);
    MDB_val key = { sizeof STORE_META_KEY, (void *)(uintptr_t)STORE_META_KEY }, val;
    int err = mdb_env_create(&st->env);
    if (!err) err = mdb_env_set_mapsize(st->env, map_gib << 30);
    if (!err) err = mdb_env_set_maxdbs(st->env, 4);
    if (!err) err = mdb_env_open(st->env, path, MDB_NOSUBDIR | MDB_NORDAHEAD | MDB_NOTLS, 0600);
    if (!err) err = mdb_txn_begin(st->env, NULL, 0, &st->txn);
    if (!err) err = mdb_dbi_open(st->txn, "rows", MDB_CREATE, &st->rows);
    if (!err) err = mdb_dbi_open(st->txn, "meta", MDB_CREATE, &st->meta);
    if (!err) err = mdb_dbi_open(st->txn, "past", MDB_CREATE, &st->past);
    if (err) {
        rc = fail(why, path, err);
        goto out;
    }
    memset(ret_meta, 0, sizeof *ret_meta);
    err = mdb_get(st->txn, st->meta, &key, &val);
    if (!err && val.mv_size == sizeof *ret_meta)
        memcpy(ret_meta, val.mv_data, sizeof *ret_meta);
    else if (err != MDB_NOTFOUND)
        rc = damaged(why, path, "is damaged where it says of what block it is");
    bool is_new = err == MDB_NOTFOUND;
    if (rc == QN_OK) {
        err = mdb_txn_commit(st->txn);
        st->txn = NULL;
        if (!err && is_new) err = -qn_store_name(qn_disk_real(), path);
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
    uint8_t last[STORE_KEY_MAX];
    size_t len = 0; /* of last; 0: none */
    int err = mdb_txn_begin(st->env, NULL, MDB_RDONLY, &txn);
    if (!err) err = mdb_cursor_open(txn, st->rows, &cur);
    while (!err && (err = mdb_cursor_get(cur, &key, &val, MDB_NEXT)) == 0) {
        /* Ascending, and none starts another, else its row would follow at once. */
        if (key.mv_size == 0 || key.mv_size > STORE_KEY_MAX ||
            (len && memcmp(last, key.mv_data, QN_MIN(len, key.mv_size)) >= 0)) {
            err = MDB_CORRUPTED;
            break;
        }
        len = key.mv_size;
        memcpy(last, key.mv_data, len);
        visit(arg, QN_SPAN(key.mv_data, key.mv_size), QN_SPAN(val.mv_data, val.mv_size));
    }
    if (cur) mdb_cursor_close(cur);
    mdb_txn_abort(txn);
    if (err == MDB_CORRUPTED) return damaged(why, "state.mdb", "holds damaged rows");
    return err == MDB_NOTFOUND ? QN_OK : fail(why, "state.mdb", err);
}

qn_rc qn_store_begin(struct qn_store *st, struct qn_why *why)
{
    QN_ASSERT(!st->txn);
    if (st->log) {
        qn_rowlog_begin(st->log);
        return QN_OK;
    }
    int gone; /* a reader that died holds what it read until somebody looks */
    int err = mdb_reader_check(st->env, &gone);
    if (!err) err = mdb_txn_begin(st->env, NULL, 0, &st->txn);
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
    MDB_val key = { sizeof STORE_META_KEY, (void *)(uintptr_t)STORE_META_KEY };
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

/* --- the second table -------------------------------------------------------------------------------------- */

qn_rc qn_store_note(struct qn_store *st, struct qn_span key, const struct qn_span *val,
                    struct qn_why *why)
{
    if (st->log) {
        qn_rowlog_note(st->log, key, val);
        return QN_OK;
    }
    MDB_val k = { key.len, (void *)(uintptr_t)key.ptr }, v;
    struct qn_buf row = { 0 };
    if (val) { /* no root speaks for these rows: each has its sum behind it */
        qn_buf_span(&row, *val);
        qn_buf_u32(&row, store_past_sum(key, *val));
        v = (MDB_val){ row.len, row.ptr };
    }
    int err = val ? mdb_put(st->txn, st->past, &k, &v, 0) : mdb_del(st->txn, st->past, &k, NULL);
    qn_buf_free(&row);
    return err && err != MDB_NOTFOUND ? fail(why, "state.mdb", err) : QN_OK;
}

static qn_rc look(struct qn_store *st, struct qn_span key, bool up, struct qn_buf *ret_key,
                  struct qn_buf *ret_val, struct qn_why *why)
{
    if (st->log) return qn_rowlog_find(st->log, key, up, ret_key, ret_val, why);
    MDB_txn *txn = NULL;
    MDB_cursor *cur = NULL;
    MDB_val k = { key.len, (void *)(uintptr_t)key.ptr }, v;
    int err = mdb_txn_begin(st->env, NULL, MDB_RDONLY, &txn);
    if (!err) err = mdb_cursor_open(txn, st->past, &cur);
    if (!err) {
        err = mdb_cursor_get(cur, &k, &v, MDB_SET_RANGE);
        bool same = !err && qn_span_eq(QN_SPAN(k.mv_data, k.mv_size), key);
        if (!up && !same && (!err || err == MDB_NOTFOUND))
            err = mdb_cursor_get(cur, &k, &v, err ? MDB_LAST : MDB_PREV);
    }
    bool sound = true;
    if (!err) {
        struct qn_span val = QN_SPAN(v.mv_data, v.mv_size);
        sound = store_past_take(QN_SPAN(k.mv_data, k.mv_size), &val);
        qn_buf_put(ret_key, k.mv_data, k.mv_size);
        qn_buf_span(ret_val, val);
    }
    if (cur) mdb_cursor_close(cur);
    mdb_txn_abort(txn);
    if (err == MDB_NOTFOUND) return QN_E_NOTFOUND;
    if (!sound) return damaged(why, "state.mdb", "holds damaged rows of old blocks");
    return err ? fail(why, "state.mdb", err) : QN_OK;
}

qn_rc qn_store_floor(struct qn_store *st, struct qn_span key, struct qn_buf *ret_key,
                     struct qn_buf *ret_val, struct qn_why *why)
{
    return look(st, key, false, ret_key, ret_val, why);
}

qn_rc qn_store_ceil(struct qn_store *st, struct qn_span key, struct qn_buf *ret_key,
                    struct qn_buf *ret_val, struct qn_why *why)
{
    return look(st, key, true, ret_key, ret_val, why);
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
