/* join_parts.c - the manifest that was chosen, and everything that it names.
 *
 * Chunks come in any order, each proves itself. Bodies come from the last to the first: the last ends in the final block, each names what the one before
 * it ends in; so that a lie in one is found when it comes, at most JOIN_AHEAD pieces after it was asked for. */
#include "core/node/join_in.h"

#include "core/crypto/hash.h"
#include "core/env/crash.h"
#include "core/net/blob.h"

#include <event2/event.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#define PIECE_MAX (UINT64_C(8) << 20) /* of bodies, for each block: a message holds one */
#define MISS_MAX  4 /* times that nobody had a part, before the snapshot is put off */
#define LATER_MS  15000
#define SLOW_MS   60000 /* in so long.. */
#define SLOW_BYTES                                                                                 \
    983040 /* ..less than 16 KiB a second is too slow, where others offer another snapshot */
#define SLOWER_MS 600000         /* and not taken again for so long */
#define LIST_MS   UINT64_C(5000) /* so long a manifest may take at first, where there are others.. */
#define LISTER_MS 60000          /* ..and its next try comes so much later */
#define ALL_MINS                                                                                   \
    120 /* and all parts, by what came in SLOW_MS; each twice as long for each time that it was too long */
#define FULL_MS  UINT64_C(5000)       /* then twice as long, five times */
#define ROOM_MIN (UINT64_C(64) << 20) /* a segment of the journal */

/* --- blobs of the home -------------------------------------------------------------------------------------------------- */

uint64_t join_size_here(const struct join *j, const struct qn_hash *id)
{
    char path[4096];
    struct stat st;
    blob_beside(j->home, id, "", path, sizeof path);
    return stat(path, &st) == 0 ? (uint64_t)st.st_size : UINT64_MAX;
}

void join_remove(const struct join *j, const struct qn_hash *id)
{
    blob_remove(j->home, id);
    share_forget(j->conf.share, id);
}

/* Only what a join fetched: a blob that was here before is its owner's, whoever names it. What is proven stays, and is of use to the next snapshot;
 * what of it no snapshot names is swept in the end (core/node/snaps.c). */
void join_remove_ours(struct join *j)
{
    for (uint32_t i = 0; i < j->looked; i++) {
        const struct join_part *p = &j->parts[i];
        if (!p->ours) continue;
        if (p->is == JOIN_FETCHING) share_fetch_stop(j->conf.share, &p->p.hash);
        if (p->is != JOIN_MISSING && !p->p.chunk && i < j->proven_to) join_remove(j, &p->p.hash);
    }
    if (j->manifest_ours) join_remove(j, &j->at.manifest);
    j->manifest_ours = false;
    j->has_before = false;
    join_kept_forget(j->home);
}

void join_stop_ours(struct join *j)
{
    if (j->stage == JOIN_MANIFEST && j->manifest_ours)
        share_fetch_stop(j->conf.share, &j->at.manifest);
    for (uint32_t k = 0; k < j->busy_cnt; k++)
        if (j->parts[j->busy[k]].ours)
            share_fetch_stop(j->conf.share, &j->parts[j->busy[k]].p.hash);
}

void join_drop(struct join *j)
{
    free(j->parts);
    j->parts = NULL;
    qn_buf_free(&j->manifest);
    j->part_cnt = j->looked = j->here = j->said = j->busy_cnt = j->busy_bodies = 0;
    j->swept = 0;
    j->bytes = j->bytes_total = 0;
}

/* --- room, and speed ----------------------------------------------------------------------------------------------------- */

/* What is still to come, and what the restoring writes of it: rows in pages that are two thirds full. */
static uint64_t room_needed(const struct join *j)
{
    uint64_t all = j->part_cnt ? j->bytes_total : j->at.bytes;
    return all - j->bytes + all / 2 * 3 + ROOM_MIN;
}

static uint64_t room_free(const struct join *j)
{
    struct statvfs fs;
    return statvfs(j->home, &fs) ? UINT64_MAX : (uint64_t)fs.f_bavail * fs.f_frsize;
}

void join_full(struct join *j)
{
    j->full_back = j->stage == JOIN_MANIFEST ? JOIN_MANIFEST : JOIN_PARTS;
    j->stage = JOIN_FULL;
    j->full_ms = join_now_ms(j);
    join_tell(j,
              "sync: the disk is full: %.1f of %.1f MB are here and stay; this node goes on when "
              "%.0f MB are free",
              (double)j->bytes / 1e6, (double)j->bytes_total / 1e6, (double)room_needed(j) / 1e6);
}

/* true: it comes so slowly that another is taken. */
static bool too_slow(struct join *j)
{
    uint64_t now = join_now_ms(j), bytes = share_stat(j->conf.share).in_bytes;
    uint32_t twice = QN_MIN(j->at_late, 10u);
    uint64_t least_ms = j->stage == JOIN_MANIFEST ? LIST_MS << twice : SLOW_MS;
    if (j->window_ms && now - j->window_ms < least_ms) return false;
    uint64_t came = bytes - j->window_bytes;
    bool slow = j->window_ms &&
                (j->stage == JOIN_MANIFEST || came < SLOW_BYTES ||
                 (j->bytes_total - j->bytes) / came > (uint64_t)ALL_MINS << twice) &&
                join_others(j);
    j->window_ms = now;
    j->window_bytes = bytes;
    if (slow)
        join_put_off(j, j->stage == JOIN_MANIFEST ? LISTER_MS : SLOWER_MS, true,
                     "it comes too slowly, and there are others");
    return slow;
}

/* A fetch that ended without its blob. */
static void failed(struct join *j, qn_rc rc, const struct qn_why *why)
{
    if (rc == QN_E_DISKFULL)
        join_full(j);
    else
        join_end_with(j, JOIN_FAILED, rc, why);
}

/* --- the manifest -------------------------------------------------------------------------------------------------------- */

static int by_hash(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct qn_hash));
}

/* Whether what it names is within bounds, nothing of it twice. */
static qn_rc look_through(const struct qn_snapshot *sn, struct qn_why *why)
{
    struct qn_part at = { .rest = NULL };
    uint64_t cnt = (uint64_t)sn->chunk_cnt + sn->piece_cnt, bodies = 0;
    uint64_t blocks = sn->proof.header.height - sn->begin.height;
    const char *bad = sn->piece_cnt > blocks ? "it has more bodies than blocks" : NULL;
    struct qn_hash *all = calloc(cnt, sizeof *all);
    QN_ASSERT(all != NULL);
    for (cnt = 0; !bad && qn_snapshot_next(sn, &at); cnt++) {
        all[cnt] = at.hash;
        if (!at.chunk) bodies += at.bytes;
        if (at.bytes == 0 || at.bytes > QN_CHUNK_MAX)
            bad = "a part of it has a length that none has";
    }
    if (!bad && bodies / PIECE_MAX > blocks) bad = "its bodies are larger than blocks may be";
    qsort(all, cnt, sizeof *all, by_hash);
    for (uint64_t i = 1; i < cnt && !bad; i++)
        if (qn_hash_eq(&all[i - 1], &all[i])) bad = "it names a part twice";
    free(all);
    return bad ? qn_why(why, QN_E_PROOF, "%s", bad) : QN_OK;
}

static qn_rc read_file(const struct join *j, struct qn_buf *ret, struct qn_why *why)
{
    char path[4096];
    blob_beside(j->home, &j->at.manifest, "", path, sizeof path);
    qn_rc rc = qn_file_read(path, j->at.bytes, ret, why);
    if (rc == QN_E_TOOBIG || (rc == QN_OK && ret->len != j->at.bytes))
        rc = qn_why(why, QN_E_PROOF, "its manifest is of another length than was said");
    return rc;
}

/* In a child: a proof may be of a thousand steps with hundreds of signatures each. Its result is the header that they lead to. */
static qn_rc read_it(void *arg, struct aside *aside, json_t **ret, struct qn_why *why)
{
    struct join *j = arg;
    struct qn_buf file = { 0 }, header = { 0 };
    struct qn_snapshot sn;
    (void)aside;
    qn_crash_point("join-read");
    qn_rc rc = read_file(j, &file, why);
    if (rc == QN_OK) {
        struct qn_hash is = qn_blake3(file.ptr, file.len);
        if (!qn_hash_eq(&is, &j->at.manifest))
            rc = qn_why(why, QN_E_CORRUPT, "the manifest is damaged on this disk");
    }
    if (rc == QN_OK)
        rc = qn_snapshot_read(qn_buf_get(&file), &j->conf.chain, j->conf.pinned ? &j->set : NULL,
                              &sn, why);
    if (rc == QN_OK && sn.proof.header.height != j->at.height)
        rc = qn_why(why, QN_E_PROOF, "it is of block %" PRIu64, sn.proof.header.height);
    if (rc == QN_OK && !qn_hash_eq(&sn.proof.block, &j->at.block))
        rc = qn_why(why, QN_E_PROOF, "it is of another block of that height");
    if (rc == QN_OK) rc = look_through(&sn, why);
    if (rc == QN_OK) {
        qn_encode(qn_header_record(), &sn.proof.header, &header);
        char *hex = malloc(2 * header.len + 1);
        QN_ASSERT(hex != NULL);
        qn_hex(header.ptr, header.len, hex);
        *ret = json_pack("{s:s}", "header", hex);
        free(hex);
    }
    qn_buf_free(&file);
    qn_buf_free(&header);
    return rc;
}

bool join_to_blame(qn_rc rc)
{
    return rc == QN_E_PROOF || rc == QN_E_FORMAT || rc == QN_E_SHORT || rc == QN_E_EXTRA ||
           rc == QN_E_RANGE || rc == QN_E_SIGNATURE || rc == QN_E_TOOBIG || rc == QN_E_FOREIGN;
}

void join_manifest_fetch(struct join *j)
{
    json_t *said = NULL;
    struct qn_why why = { "" };
    qn_rc rc = QN_OK;
    if (j->manifest_ours && !j->window_ms)
        rc = join_kept_add(j->kept, JOIN_KIND_MANIFEST, &j->at.manifest);
    if (rc == QN_OK)
        rc = share_fetch_up_to(j->conf.share, &j->at.manifest, j->at.bytes, &said, &why);
    json_decref(said);
    if (rc == QN_E_AGAIN || rc == QN_E_LIMIT) {
        (void)too_slow(j);
    } else if (rc == QN_E_NOTFOUND) {
        join_put_off(j, LATER_MS, true, "who offers it has not got it");
    } else if (rc == QN_E_TOOBIG) {
        join_condemn(j, "its manifest is of another length than was said");
    } else if (rc) {
        failed(j, rc, &why);
    } else {
        rc = aside_start(j->conf.aside, "the reading of a manifest", read_it, j, &j->ticket, &why);
        if (rc == QN_OK)
            j->stage = JOIN_READ;
        else if (rc != QN_E_BUSY)
            join_end_with(j, JOIN_FAILED, rc, &why);
    }
}

/* The child found it good: read once more, what is signed in it is not looked at again. */
static qn_rc take_manifest(struct join *j, const char *hex, struct qn_why *why)
{
    uint8_t header[4096];
    size_t len = hex ? strlen(hex) / 2 : 0;
    if (len == 0 || len > sizeof header || !qn_unhex(hex, 2 * len, header, len))
        return qn_why(why, QN_E_SYSTEM, "the process that read a manifest said nothing of use");
    qn_rc rc = read_file(j, &j->manifest, why);
    if (rc == QN_OK)
        rc = qn_snapshot_reread(qn_buf_get(&j->manifest), &j->conf.chain, QN_SPAN(header, len),
                                &j->sn, why);
    if (rc) return rc;
    j->part_cnt = j->sn.chunk_cnt + j->sn.piece_cnt;
    j->parts = calloc(j->part_cnt, sizeof *j->parts);
    QN_ASSERT(j->parts != NULL);
    j->listed = (struct qn_part){ .rest = NULL };
    j->chunk_at = 0;
    j->body_at = j->proven_to = j->part_cnt;
    j->link = qn_snapshot_link(&j->sn);
    join_kept_unmark(j->kept);
    return QN_OK;
}

void join_manifest_read(struct join *j)
{
    json_t *said = NULL;
    struct qn_why why = { "" };
    qn_rc rc = aside_result(j->conf.aside, j->ticket, &said, &why);
    if (rc == QN_E_AGAIN) return;
    j->ticket = 0;
    if (rc == QN_OK)
        rc = take_manifest(j, json_string_value(json_object_get(said, "header")), &why);
    json_decref(said);
    if (rc == QN_OK) {
        j->stage = JOIN_PARTS;
        j->window_ms = 0;
        join_turn_soon(j);
    } else if (join_to_blame(rc)) {
        join_condemn(j, why.text);
    } else if (rc == QN_E_CORRUPT || rc == QN_E_NOTFOUND) {
        if (j->manifest_ours) join_remove(j, &j->at.manifest);
        join_put_off(j, LATER_MS, false, why.text);
    } else if (join_child(j, rc, &why)) {
        j->stage = JOIN_MANIFEST;
    }
}

/* --- its parts ---------------------------------------------------------------------------------------------------------- */

/* Some more of what it names, and whether it is here already. false: not at the end yet, or given up. */
static bool list_some(struct join *j)
{
    if (j->looked == j->part_cnt) return true;
    for (; j->work < JOIN_A_TURN && j->looked < j->part_cnt; j->work++) {
        struct join_part *p = &j->parts[j->looked];
        QN_ASSERT(qn_snapshot_next(&j->sn, &j->listed)); /* it has so many */
        p->p = j->listed;
        p->ours = join_kept_mark(j->kept, &p->p.hash);
        j->looked++;
        j->bytes_total += p->p.bytes;
        uint64_t size = join_size_here(j, &p->p.hash);
        if (size == UINT64_MAX) continue;
        if (size != p->p.bytes) {
            join_condemn(j, "a part of it is here, and of another length");
            return false;
        }
        p->is = JOIN_HERE; /* from before; the restoring looks at every byte again */
        j->here++;
        j->bytes += size;
    }
    if (j->looked < j->part_cnt) {
        join_turn_soon(j);
        return false;
    }
    if (room_needed(j) > room_free(j)) {
        char text[120];
        snprintf(text, sizeof text, "it needs %.0f MB of the disk, and %.0f are free",
                 (double)room_needed(j) / 1e6, (double)room_free(j) / 1e6);
        join_put_off(j, LATER_MS, false, text);
        return false;
    }
    join_tell(j, "sync: %u parts, %.1f MB, %u of them here", j->part_cnt,
              (double)j->bytes_total / 1e6, j->here);
    return true;
}

/* Bodies and manifests that a run before fetched, and this snapshot does not name, are of no use: chunks may be, to the next. */
static bool sweep_some(struct join *j)
{
    for (; j->swept < j->kept->cnt && j->work < JOIN_A_TURN; j->work++, j->swept++) {
        const struct join_blob *b = &j->kept->at[j->swept];
        if (b->kind != JOIN_KIND_CHUNK && !b->used && !qn_hash_eq(&b->id, &j->at.manifest))
            join_remove(j, &b->id);
    }
    if (j->swept < j->kept->cnt) join_turn_soon(j);
    return j->swept == j->kept->cnt;
}

/* It is to be fetched (again). */
static void missing(struct join *j, uint32_t i)
{
    j->parts[i].is = JOIN_MISSING;
    if (j->parts[i].p.chunk)
        j->chunk_at = QN_MIN(j->chunk_at, i);
    else
        j->body_at = QN_MAX(j->body_at, i + 1);
}

/* A part is whole: what can be said of it alone is. false: the manifest lied, and is dropped. */
static bool arrived(struct join *j, uint32_t i)
{
    struct join_part *p = &j->parts[i];
    char path[4096];
    struct qn_buf rows = { 0 };
    struct qn_why why = { "" };
    blob_beside(j->home, &p->p.hash, "", path, sizeof path);
    qn_rc rc = qn_file_read(path, QN_CHUNK_MAX, &rows, &why);
    if (rc == QN_OK && rows.len != p->p.bytes) rc = QN_E_PROOF;
    if (rc == QN_OK && p->p.chunk) rc = qn_snapshot_chunk(&j->sn, &p->p, qn_buf_get(&rows));
    qn_buf_free(&rows);
    if (rc == QN_OK) {
        p->is = JOIN_HERE;
        j->here++;
        j->bytes += p->p.bytes;
        j->full_times = 0;
        qn_crash_point("join-part");
        return true;
    }
    if (rc == QN_E_IO) {
        join_end_with(j, JOIN_FAILED, rc, &why);
        return false;
    }
    if (p->ours) join_remove(j, &p->p.hash);
    join_condemn(j, "a chunk's rows do not lead to the block's state root");
    return false;
}

static void not_busy(struct join *j, uint32_t i)
{
    for (uint32_t k = 0; k < j->busy_cnt; k++)
        if (j->busy[k] == i) {
            j->busy[k] = j->busy[--j->busy_cnt];
            j->busy_bodies -= !j->parts[i].p.chunk;
            return;
        }
}

void join_full_turn(struct join *j)
{
    uint64_t now = join_now_ms(j);
    if (now - j->full_ms < FULL_MS << QN_MIN(j->full_times, 5u)) return;
    j->full_ms = now;
    if (room_free(j) < room_needed(j)) return;
    j->full_times++; /* what the file system says is free may not be ours */
    join_tell(j, "sync: there is room on the disk again");
    /* Those that failed while it was full are begun anew. */
    for (uint32_t k = j->busy_cnt; k-- > 0;) {
        uint32_t i = j->busy[k];
        json_t *said = NULL;
        qn_rc rc =
            share_fetch_up_to(j->conf.share, &j->parts[i].p.hash, j->parts[i].p.bytes, &said, NULL);
        json_decref(said);
        if (rc != QN_E_DISKFULL) continue;
        not_busy(j, i);
        missing(j, i);
    }
    j->stage = j->full_back;
    j->window_ms = 0;
    join_turn_soon(j);
}

/* Begins, or looks how it goes. false: no more of this snapshot in this turn. */
static bool fetch_part(struct join *j, uint32_t i)
{
    struct join_part *p = &j->parts[i];
    json_t *said = NULL;
    struct qn_why why = { "" };
    qn_rc rc = QN_OK;
    j->work++;
    if (p->is == JOIN_MISSING && !p->ours && join_size_here(j, &p->p.hash) == UINT64_MAX) {
        rc = join_kept_add(j->kept, p->p.chunk ? JOIN_KIND_CHUNK : JOIN_KIND_BODY, &p->p.hash);
        p->ours = rc == QN_OK;
    }
    if (rc == QN_OK) rc = share_fetch_up_to(j->conf.share, &p->p.hash, p->p.bytes, &said, &why);
    json_decref(said);
    if (rc == QN_E_LIMIT) return false;
    if (rc == QN_E_AGAIN && p->is == JOIN_MISSING) {
        p->is = JOIN_FETCHING;
        j->busy[j->busy_cnt++] = i;
        j->busy_bodies += !p->p.chunk;
    }
    if (rc == QN_E_AGAIN) return true;
    not_busy(j, i);
    if (rc == QN_OK) return arrived(j, i);
    missing(j, i);
    if (rc == QN_E_NOTFOUND && ++p->misses < MISS_MAX) return true;
    if (rc == QN_E_NOTFOUND || rc == QN_E_TOOBIG)
        join_put_off(j, LATER_MS, true, "nobody has a part of it");
    else
        failed(j, rc, &why);
    return false;
}

/* The next to begin: bodies first, not far before those that are proven. false: none now. */
static bool next_part(struct join *j, uint32_t *ret)
{
    while (j->body_at > j->sn.chunk_cnt && j->parts[j->body_at - 1].is != JOIN_MISSING &&
           j->work < JOIN_A_TURN) {
        j->body_at--;
        j->work++;
    }
    if (j->body_at > j->sn.chunk_cnt && j->parts[j->body_at - 1].is == JOIN_MISSING &&
        j->busy_bodies < JOIN_BODIES && j->proven_to - j->body_at < JOIN_AHEAD) {
        *ret = j->body_at - 1;
        return true;
    }
    while (j->chunk_at < j->sn.chunk_cnt && j->parts[j->chunk_at].is != JOIN_MISSING &&
           j->work < JOIN_A_TURN) {
        j->chunk_at++;
        j->work++;
    }
    *ret = j->chunk_at;
    return j->chunk_at < j->sn.chunk_cnt && j->parts[j->chunk_at].is == JOIN_MISSING;
}

/* One more piece of bodies, if the next is here. false: it was a lie, or is damaged. */
static bool prove_body(struct join *j)
{
    uint32_t i = j->proven_to - 1;
    char path[4096];
    struct qn_buf piece = { 0 };
    struct qn_why why = { "" };
    if (j->proven_to == j->sn.chunk_cnt || j->parts[i].is != JOIN_HERE) return true;
    struct join_part *p = &j->parts[i];
    blob_beside(j->home, &p->p.hash, "", path, sizeof path);
    qn_rc rc = qn_file_read(path, p->p.bytes, &piece, &why);
    bool is_it = false;
    if (rc == QN_OK) {
        struct qn_hash is = qn_blake3(piece.ptr, piece.len);
        is_it = qn_hash_eq(&is, &p->p.hash);
        if (is_it)
            rc = qn_snapshot_bodies(&j->sn, qn_buf_get(&piece), i == j->sn.chunk_cnt, &j->link);
    }
    qn_buf_free(&piece);
    if (rc == QN_E_IO) {
        join_end_with(j, JOIN_FAILED, rc, &why);
        return false;
    }
    if (rc && is_it) {
        join_condemn(j, "its bodies do not lead to its block");
        return false;
    }
    if (!is_it) { /* it came whole, so that this is the disk */
        j->here--;
        j->bytes -= p->p.bytes;
        missing(j, i);
        if (p->ours) join_remove(j, &p->p.hash);
        if (!p->ours || ++p->misses >= MISS_MAX)
            join_put_off(j, LATER_MS, false, "a part of it is damaged on this disk");
        return false;
    }
    j->proven_to = i;
    j->work++;
    if (i > j->sn.chunk_cnt && j->parts[i - 1].is == JOIN_HERE) join_turn_soon(j);
    qn_crash_point("join-body");
    return true;
}

void join_parts_turn(struct join *j)
{
    uint32_t i;
    if (!list_some(j) || !sweep_some(j)) return;
    for (uint32_t k = j->busy_cnt; k-- > 0;)
        if (k < j->busy_cnt && !fetch_part(j, j->busy[k])) return;
    if (!prove_body(j)) return;
    while (j->busy_cnt < JOIN_AT_ONCE && j->work < JOIN_A_TURN && next_part(j, &i))
        if (!fetch_part(j, i)) return;
    if (j->work >= JOIN_A_TURN) join_turn_soon(j);
    uint32_t tenth = j->part_cnt ? j->here * 10 / j->part_cnt : 10;
    if (tenth > j->said) {
        j->said = tenth;
        join_tell(j, "sync: %u of %u parts, %.1f of %.1f MB", j->here, j->part_cnt,
                  (double)j->bytes / 1e6, (double)j->bytes_total / 1e6);
    }
    if (j->here == j->part_cnt && j->proven_to == j->sn.chunk_cnt)
        join_restore_begin(j);
    else
        (void)too_slow(j);
}
