/* home.c - a home in the making. */
#include "ledger/sync/home.h"

#include "ledger/store/journal.h"
#include "ledger/store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct qn_home {
    char home[4000], dir[4040]; /* dir: where it is made */
    struct qn_store *store;
    struct qn_journal *journal;
    struct qn_hash chain;
};

/* In the order of their move: a home with a journal has all. */
static const char *const PARTS[] = { "state.mdb", "journal" };

static qn_rc no_frame(void *arg, uint8_t kind, uint64_t seq, struct qn_frame_at at,
                      struct qn_span payload, struct qn_why *why)
{
    (void)arg;
    (void)kind;
    (void)seq;
    (void)at;
    (void)payload;
    return qn_why(why, QN_E_EXISTS, "a journal is there already");
}

void qn_home_sweep(const char *dir)
{
    char path[4200];
    for (uint32_t seg = 0;; seg++) {
        snprintf(path, sizeof path, "%s/journal/seg-%010u.qj", dir, seg);
        if (unlink(path)) break;
    }
    snprintf(path, sizeof path, "%s/journal/id", dir);
    unlink(path);
    snprintf(path, sizeof path, "%s/journal", dir);
    rmdir(path);
    snprintf(path, sizeof path, "%s/state.mdb", dir);
    unlink(path);
    snprintf(path, sizeof path, "%s/state.mdb-lock", dir);
    unlink(path);
    rmdir(dir);
}

/* The names are on the disk. */
static qn_rc sync_names(const char *home, struct qn_why *why)
{
    int fd = open(home, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool ok = fd >= 0 && fsync(fd) == 0;
    int err = errno;
    if (fd >= 0) close(fd);
    return ok ? QN_OK : qn_why(why, qn_err_errno(err), "%s: %s", home, strerror(err));
}

static bool is_there(const char *home, const char *name)
{
    char path[4200];
    struct stat st;
    snprintf(path, sizeof path, "%s/%s", home, name);
    return stat(path, &st) == 0;
}

qn_rc qn_home_settle(const char *home, struct qn_why *why)
{
    char from[4200], to[4200];
    if (is_there(home, "journal") || !is_there(home, "state.mdb") ||
        !is_there(home, "restoring/journal") || is_there(home, "restoring/state.mdb"))
        return QN_OK;
    snprintf(from, sizeof from, "%s/restoring/journal", home);
    snprintf(to, sizeof to, "%s/journal", home);
    if (rename(from, to)) return qn_why(why, qn_err_errno(errno), "%s: %s", to, strerror(errno));
    return sync_names(home, why);
}

qn_rc qn_home_name(const char *home, bool restored, struct qn_why *why)
{
    uint8_t id[16];
    char hex[33], path[4200], text[80];
    qn_env_random(qn_env_real(), id, sizeof id);
    qn_hex(id, sizeof id, hex);
    int len = snprintf(text, sizeof text, "%s %llu\n", hex,
                       restored ? (unsigned long long)qn_env_now_ms(qn_env_real()) : 0);
    snprintf(path, sizeof path, "%s/journal", home);
    qn_rc rc = qn_dir_make(path, why);
    if (rc) return rc;
    snprintf(path, sizeof path, "%s/journal/id", home);
    return qn_file_write(path, QN_SPAN(text, (size_t)len), 0600, why);
}

static qn_rc begin(struct qn_home *h, struct qn_span genesis, const struct qn_header *above,
                   struct qn_why *why)
{
    struct qn_anchor a = { .genesis = genesis, .header = *above };
    struct qn_arena arena = { 0 };
    struct qn_genesis g;
    struct qn_frame_at at;
    struct qn_buf buf = { 0 };
    qn_rc rc = qn_decode(qn_genesis_record(), genesis, &arena, &g, why);
    if (rc == QN_OK) {
        h->chain = qn_genesis_hash(&g);
        if (above->height) {
            qn_encode(qn_anchor_record(), &a, &buf);
            rc = qn_journal_append(h->journal, QN_FRAME_ANCHOR, qn_buf_get(&buf), &at, why);
        } else {
            rc = qn_journal_append(h->journal, QN_FRAME_GENESIS, genesis, &at, why);
        }
    }
    qn_buf_free(&buf);
    qn_arena_free(&arena);
    return rc;
}

qn_rc qn_home_new(const char *home, uint64_t map_gib, struct qn_span genesis,
                  const struct qn_header *above, struct qn_home **ret, struct qn_why *why)
{
    struct qn_home *h = calloc(1, sizeof *h);
    struct qn_store_meta meta;
    struct stat st;
    char path[4200];
    QN_ASSERT(h != NULL);
    qn_rc rc = QN_OK;
    for (size_t i = 0; i < QN_COUNT(PARTS) && rc == QN_OK; i++) {
        snprintf(path, sizeof path, "%s/%s", home, PARTS[i]);
        if (stat(path, &st) == 0)
            rc = qn_why(why, QN_E_EXISTS, "%s is there already; take a fresh folder", path);
    }
    if (rc) {
        free(h);
        return rc;
    }
    snprintf(h->home, sizeof h->home, "%s", home);
    snprintf(h->dir, sizeof h->dir, "%s/restoring", home);
    qn_home_sweep(h->dir); /* what was left by one that was cut off */
    rc = qn_dir_make(h->dir, why);
    snprintf(path, sizeof path, "%s/journal", h->dir);
    if (rc == QN_OK) rc = qn_journal_open(path, no_frame, NULL, &h->journal, why);
    if (rc == QN_OK) rc = begin(h, genesis, above, why);
    if (rc == QN_OK) rc = qn_home_name(h->dir, true, why);
    snprintf(path, sizeof path, "%s/state.mdb", h->dir);
    if (rc == QN_OK) rc = qn_store_open(path, map_gib ? map_gib : 64, &h->store, &meta, why);
    if (rc == QN_OK) rc = qn_store_begin(h->store, why);
    if (rc)
        qn_home_free(h);
    else
        *ret = h;
    return rc;
}

qn_rc qn_home_row(struct qn_home *h, struct qn_span key, struct qn_span val, struct qn_why *why)
{
    return qn_store_put(h->store, key, val, why);
}

/* What is dirty stays small. Until the last commit the checkpoint says that it is of no block. */
qn_rc qn_home_pause(struct qn_home *h, struct qn_why *why)
{
    struct qn_store_meta none = { 0 };
    qn_rc rc = qn_store_commit(h->store, &none, why);
    return rc ? rc : qn_store_begin(h->store, why);
}

qn_rc qn_home_frame(struct qn_home *h, const struct qn_frame *frame, struct qn_why *why)
{
    struct qn_frame_at at;
    struct qn_buf buf = { 0 };
    qn_encode(qn_frame_record(), frame, &buf);
    qn_rc rc = qn_journal_append(h->journal, QN_FRAME_BLOCK, qn_buf_get(&buf), &at, why);
    qn_buf_free(&buf);
    return rc;
}

static void shut(struct qn_home *h)
{
    qn_store_close(h->store);
    qn_journal_close(h->journal);
    h->store = NULL;
    h->journal = NULL;
}

qn_rc qn_home_done(struct qn_home *h, const struct qn_header *head, struct qn_why *why)
{
    struct qn_store_meta meta = { h->chain, qn_header_hash(head), head->state_root, head->height };
    char from[4200], to[4200];
    qn_rc rc = qn_store_commit(h->store, &meta, why);
    shut(h);
    for (size_t i = 0; i < QN_COUNT(PARTS) && rc == QN_OK; i++) {
        snprintf(from, sizeof from, "%s/%s", h->dir, PARTS[i]);
        snprintf(to, sizeof to, "%s/%s", h->home, PARTS[i]);
        if (rename(from, to)) rc = qn_why(why, qn_err_errno(errno), "%s: %s", to, strerror(errno));
    }
    return rc ? rc : sync_names(h->home, why);
}

void qn_home_free(struct qn_home *h)
{
    if (!h) return;
    shut(h);
    qn_home_sweep(h->dir);
    free(h);
}
