/* chain_scrub.c - rows beside their hashes and beside the file's; a damaged file made again from memory. */
#include "ledger/state/scrub.h"

#include "ledger/state/chain_in.h"
#include "ledger/store/scan.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define PAST_ROW 100u /* a row of the annals is as much work as so many others */

static void store_path(const struct qn_chain *c, const char *more, char dst[4096])
{
    snprintf(dst, 4096, "%s/state.mdb%s", c->conf.home, more);
}

static void note_last(struct qn_scrub *s, struct qn_span key)
{
    memmove(s->last, key.ptr, key.len);
    s->last_len = key.len;
}

static qn_rc wrong_row(struct qn_scrub *s, struct qn_span key, const char *how, struct qn_why *why)
{
    note_last(s, key);
    s->row = true;
    return qn_why(why, QN_E_CORRUPT, "%s", how);
}

/* Whether a row is written with the next checkpoint anyway. */
static bool is_dirty(const struct qn_chain *c, struct qn_span key)
{
    struct qn_span val;
    return qn_trie_get(c->dirty, key, &val);
}

/* The file's rows behind `from` up to `to`, beside those in memory. */
static qn_rc hold_beside(struct qn_chain *c, struct qn_scan *scan, struct qn_span from,
                         struct qn_span to, bool end, struct qn_scrub *s, struct qn_why *why)
{
    struct qn_span key, val, have, has = { NULL, 0 };
    uint8_t at[QN_TRIE_KEY_MAX];
    struct qn_trie *trie = qn_state_trie(c->st);
    struct qn_span seen = QN_SPAN(at, from.len);
    memcpy(at, from.ptr, from.len);
    for (;;) {
        qn_rc rc = qn_scan_next(scan, from, &key, &val, why);
        if (rc && rc != QN_E_NOTFOUND) return rc;
        bool over = rc == QN_E_NOTFOUND || (!end && qn_span_cmp(key, to) > 0);
        /* What memory has before that row is not in the file. */
        for (;;) {
            if (!qn_trie_next(trie, seen, seen.len == 0, &have, &has) ||
                (!over && qn_span_cmp(have, key) >= 0) ||
                (over && !end && qn_span_cmp(have, to) > 0))
                break;
            if (!is_dirty(c, have)) return wrong_row(s, have, "the row is missing", why);
            memcpy(at, have.ptr, have.len);
            seen.len = have.len;
        }
        if (over) return QN_OK;
        if (!is_dirty(c, key)) {
            if (!qn_trie_get(trie, key, &has))
                return wrong_row(s, key, "there was no such row", why);
            if (!qn_span_eq(has, val))
                return wrong_row(s, key, "the row holds other bytes than were written", why);
        }
        memcpy(at, key.ptr, key.len);
        seen.len = key.len;
    }
}

/* Rows of the annals, which have sums of their own. */
static qn_rc look_past(struct qn_scan *scan, struct qn_scrub *s, struct qn_why *why)
{
    uint8_t bytes[QN_TRIE_KEY_MAX];
    struct qn_span from = QN_SPAN(bytes, s->last_len), key, val;
    memcpy(bytes, s->last, s->last_len);
    qn_rc rc = qn_scan_past(scan, why);
    for (size_t i = 0; rc == QN_OK && i < s->max; i += PAST_ROW) {
        rc = qn_scan_next(scan, from, &key, &val, why);
        if (rc == QN_OK) note_last(s, key);
    }
    s->end = rc == QN_E_NOTFOUND;
    return s->end ? QN_OK : rc;
}

/* The rows in memory, and where the slice ends. */
static qn_rc look_memory(struct qn_chain *c, struct qn_scrub *s, struct qn_span from,
                         struct qn_span *ret_to, struct qn_why *why)
{
    struct qn_trie *trie = qn_state_trie(c->st);
    struct qn_span last, more, val;
    size_t cnt;
    s->reading(s->arg, "this machine's memory");
    if (!qn_trie_scrub(trie, from, s->max, &last, &cnt)) {
        s->memory = true;
        return wrong_row(s, last, "its bytes in memory no longer have the hash they had", why);
    }
    s->rows = cnt;
    s->past = !qn_trie_next(trie, last, last.len == 0, &more, &val);
    *ret_to = last;
    return QN_OK;
}

qn_rc qn_chain_scrub(struct qn_chain *c, struct qn_scrub *s, struct qn_why *why)
{
    uint8_t from_bytes[QN_TRIE_KEY_MAX], to_bytes[QN_TRIE_KEY_MAX];
    struct qn_span from = QN_SPAN(from_bytes, s->last_len), to = { NULL, 0 };
    struct qn_store_meta meta;
    struct qn_scan *scan = NULL;
    char path[4096];
    qn_rc rc = QN_OK;
    bool past = s->past, file = c->store && !c->store_bad && !c->conf.env->disk;
    memcpy(from_bytes, s->last, s->last_len);
    s->memory = s->row = false;
    s->rows = 0;
    qn_chain_to_head(c);
    s->rows_all = qn_trie_cnt(qn_state_trie(c->st));
    if (!past) rc = look_memory(c, s, from, &to, why);
    if (rc) return rc;
    if (to.len) memcpy(to_bytes, to.ptr, to.len);
    to.ptr = to_bytes;
    if (file) {
        store_path(c, "", path);
        s->reading(s->arg, "state.mdb");
        if (!past && from.len == 0) rc = qn_scan_disk(path, why);
        if (rc == QN_OK) rc = qn_scan_open(path, &scan, &meta, why);
        if (rc) return rc;
        if (memcmp(&meta, &c->saved, sizeof meta) != 0)
            rc = meta.height > c->saved.height
                     ? QN_E_AGAIN
                     : qn_why(why, QN_E_CORRUPT, "it says of another block that it is its state");
        if (rc == QN_OK)
            rc = past ? look_past(scan, s, why) : hold_beside(c, scan, from, to, s->past, s, why);
        qn_scan_close(scan);
    } else {
        s->end = s->past; /* there is none, or it is the simulator's */
    }
    if (rc == QN_OK && !past) {
        note_last(s, to);
        if (s->past) s->last_len = 0; /* the annals from their first row */
    }
    return rc;
}

void qn_chain_distrust(struct qn_chain *c)
{
    c->opened = false;
}

void qn_chain_drop_store(struct qn_chain *c)
{
    c->store_bad = true;
}

bool qn_chain_has_store(const struct qn_chain *c)
{
    return c->store && !c->store_bad;
}

#define COMMIT_ROWS 50000 /* LMDB holds 131,071 dirty pages */

static qn_rc copy_past(const struct qn_chain *c, struct qn_store *to, struct qn_why *why)
{
    struct qn_store_meta meta;
    struct qn_scan *scan = NULL;
    struct qn_span key, val;
    char path[4096];
    store_path(c, "", path);
    qn_rc rc = qn_scan_open(path, &scan, &meta, why);
    if (rc) return rc;
    rc = qn_scan_past(scan, why);
    while (rc == QN_OK && (rc = qn_scan_next(scan, QN_SPAN(NULL, 0), &key, &val, why)) == QN_OK)
        rc = qn_store_note(to, key, &val, why);
    qn_scan_close(scan);
    return rc == QN_E_NOTFOUND ? QN_OK : rc;
}

qn_rc qn_chain_write_store(struct qn_chain *c, const char *path, struct qn_why *why)
{
    struct qn_store_meta none = { 0 }, meta;
    struct qn_store *st = NULL;
    struct qn_span key = { NULL, 0 }, val;
    uint64_t cnt = 0;
    unlink(path);
    qn_chain_to_head(c);
    qn_rc rc = qn_store_open(path, c->conf.map_gib ? c->conf.map_gib : 64, &st, &none, why);
    if (rc == QN_OK) rc = qn_store_begin(st, why);
    none = (struct qn_store_meta){ 0 }; /* until the last commit it is of no block */
    for (bool first = true;
         rc == QN_OK && qn_trie_next(qn_state_trie(c->st), key, first, &key, &val); first = false) {
        rc = qn_store_put(st, key, val, why);
        if (rc == QN_OK && ++cnt % COMMIT_ROWS == 0) {
            rc = qn_store_commit(st, &none, why);
            if (rc == QN_OK) rc = qn_store_begin(st, why);
        }
    }
    if (rc == QN_OK && c->noted > c->at_base) rc = copy_past(c, st, why);
    meta = (struct qn_store_meta){ c->id, c->head, c->header.state_root, c->header.height };
    if (rc == QN_OK) rc = qn_store_commit(st, &meta, why);
    qn_store_close(st);
    return rc;
}

/* The names are on the disk. */
static qn_rc sync_home(const struct qn_chain *c, struct qn_why *why)
{
    int fd = open(c->conf.home, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool ok = fd >= 0 && fsync(fd) == 0;
    int err = errno;
    if (fd >= 0) close(fd);
    return ok ? QN_OK : qn_why(why, qn_err_errno(err), "%s: %s", c->conf.home, strerror(err));
}

qn_rc qn_chain_take_store(struct qn_chain *c, const char *path, struct qn_why *why)
{
    char here[4096], damaged[4096], lock[4096 + 8];
    struct qn_store_meta meta;
    struct qn_store *st = NULL;
    store_path(c, "", here);
    store_path(c, ".damaged", damaged);
    QN_ASSERT(c->store_bad);
    unlink(damaged);
    if (link(here, damaged) && errno != ENOENT)
        return qn_why(why, qn_err_errno(errno), "%s: %s", damaged, strerror(errno));
    if (rename(path, here))
        return qn_why(why, qn_err_errno(errno), "%s: %s", here, strerror(errno));
    qn_rc rc = sync_home(c, why);
    snprintf(lock, sizeof lock, "%s-lock", here);
    unlink(lock);
    snprintf(lock, sizeof lock, "%s-lock", path);
    unlink(lock);
    if (rc == QN_OK)
        rc = qn_store_open(here, c->conf.map_gib ? c->conf.map_gib : 64, &st, &meta, why);
    if (rc == QN_OK && !qn_hash_eq(&meta.chain, &c->id))
        rc = qn_why(why, QN_E_CORRUPT, "the new state.mdb is of another chain");
    if (rc) {
        qn_store_close(st);
        return rc;
    }
    qn_store_close(c->store);
    c->store = st;
    c->store_bad = false;
    c->saved =
        meta; /* what changed since is dirty still: rows are forgotten there by a checkpoint alone */
    return QN_OK;
}
