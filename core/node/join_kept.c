/* join_kept.c - the memory of a join. */
#include "core/node/join_kept.h"

#include "core/env/env.h"
#include "ledger/sync/home.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ENTRY    33
#define FILE_MAX (64u << 20)

static int by_id(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct qn_hash));
}

struct join_kept *join_kept_open(const char *home)
{
    struct join_kept *k = calloc(1, sizeof *k);
    struct qn_buf file = { 0 };
    QN_ASSERT(k != NULL);
    k->fd = -1;
    snprintf(k->path, sizeof k->path, "%s/joining/fetched", home);
    if (qn_file_read(k->path, FILE_MAX, &file, NULL) == QN_OK && file.len >= ENTRY) {
        k->at = calloc(file.len / ENTRY, sizeof *k->at);
        QN_ASSERT(k->at != NULL);
        for (; k->cnt < file.len / ENTRY; k->cnt++) {
            const uint8_t *from = file.ptr + k->cnt * ENTRY;
            k->at[k->cnt].kind = from[0];
            memcpy(k->at[k->cnt].id.b, from + 1, 32);
        }
        qsort(k->at, k->cnt, sizeof *k->at, by_id);
    }
    qn_buf_free(&file);
    return k;
}

void join_kept_free(struct join_kept *k)
{
    if (!k) return;
    if (k->fd >= 0) close(k->fd);
    free(k->at);
    free(k);
}

static struct join_blob *find(const struct join_kept *k, const struct qn_hash *id)
{
    return k->cnt ? bsearch(id, k->at, k->cnt, sizeof *k->at, by_id) : NULL;
}

bool join_kept_has(const struct join_kept *k, const struct qn_hash *id)
{
    return find(k, id) != NULL;
}

bool join_kept_mark(struct join_kept *k, const struct qn_hash *id)
{
    struct join_blob *b = find(k, id);
    if (!b) return false;
    /* A blob may be named twice there, by one run after another. */
    while (b > k->at && qn_hash_eq(&b[-1].id, id))
        b--;
    for (; b < k->at + k->cnt && qn_hash_eq(&b->id, id); b++)
        b->used = true;
    return true;
}

void join_kept_unmark(struct join_kept *k)
{
    for (size_t i = 0; i < k->cnt; i++)
        k->at[i].used = false;
}

qn_rc join_kept_add(struct join_kept *k, enum join_kind kind, const struct qn_hash *id)
{
    uint8_t entry[ENTRY] = { (uint8_t)kind };
    if (join_kept_has(k, id)) return QN_OK;
    if (k->fd < 0) {
        k->fd = open(k->path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (k->fd < 0) return qn_err_errno(errno);
        off_t end = lseek(k->fd, 0, SEEK_END); /* behind the last whole one */
        if (end > 0) (void)!lseek(k->fd, end - end % ENTRY, SEEK_SET);
    }
    memcpy(entry + 1, id->b, 32);
    /* Not synced: a power cut costs a blob that stays, no more. */
    ssize_t n = write(k->fd, entry, sizeof entry);
    if (n == ENTRY) return QN_OK;
    qn_rc rc = n < 0 ? qn_err_errno(errno) : QN_E_DISKFULL;
    if (n > 0) (void)!lseek(k->fd, -n, SEEK_CUR);
    return rc;
}

static void chosen_path(const char *home, char dst[1100])
{
    snprintf(dst, 1100, "%s/joining/manifest", home);
}

void join_kept_choose(const char *home, const struct qn_hash *manifest)
{
    char path[1100], hex[65];
    chosen_path(home, path);
    qn_hex(manifest->b, 32, hex);
    if (qn_file_write(path, QN_SPAN_STR(hex), 0600, NULL)) return; /* costs what is chosen anew */
}

bool join_kept_chosen(const char *home, struct qn_hash *ret)
{
    char path[1100];
    struct qn_buf file = { 0 };
    chosen_path(home, path);
    bool ok = qn_file_read(path, 64, &file, NULL) == QN_OK &&
              qn_unhex((const char *)file.ptr, file.len, ret->b, 32);
    qn_buf_free(&file);
    return ok;
}

void join_kept_forget(const char *home)
{
    char path[1100];
    chosen_path(home, path);
    unlink(path);
}

void join_kept_clear(const char *home)
{
    static const char *const NAMES[] = { "manifest", "fetched", "steps.qs" };
    char path[1100];
    for (unsigned i = 0; i < QN_COUNT(NAMES); i++) {
        snprintf(path, sizeof path, "%s/joining/%s", home, NAMES[i]);
        unlink(path);
    }
    snprintf(path, sizeof path, "%s/joining", home);
    qn_home_sweep(path);
}
