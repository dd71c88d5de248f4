/* journal.c - frames in preallocated segments, written through. */
#include "ledger/store/journal.h"

#include "core/crypto/hash.h"
#include "core/env/crash.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#define SEG_BYTES  (64u << 20) /* a new segment is begun beyond this */
#define GROW_BYTES (4u << 20)  /* preallocated at a time */
#define HEAD       16
#define TAIL       16

struct qn_journal {
    const struct qn_disk *disk;
    char dir[4000];
    int fd;
    uint32_t seg, cut;   /* the present one; all below cut are empty */
    uint64_t off, grown; /* next frame; preallocated up to */
    uint64_t seq;
    uint64_t prev;
    bool broken;
    struct qn_buf frame;
    struct qn_buf wait; /* parts of the group that is written next */
};

static uint64_t frame_size(uint32_t len)
{
    return HEAD + ((uint64_t)len + 7) / 8 * 8 + TAIL;
}

static void seg_path(const char *dir, uint32_t seg, char dst[4096])
{
    snprintf(dst, 4096, "%s/seg-%010u.qj", dir, seg);
}

static uint64_t frame_id(struct qn_span frame)
{
    struct qn_hash h = qn_h("frame", frame.ptr, frame.len);
    uint64_t id;
    memcpy(&id, h.b, sizeof id);
    return id;
}

static bool all_zero(const uint8_t *p, size_t len)
{
    return len == 0 || (p[0] == 0 && memcmp(p, p + 1, len - 1) == 0);
}

/* What the disk's answer means. */
static qn_rc refused(const char *what, int64_t err, struct qn_why *why)
{
    if (err >= 0) return QN_OK;
    return qn_why(why, qn_err_errno((int)-err), "%s: %s", what, strerror((int)-err));
}

struct scan {
    qn_rc (*visit)(void *, uint8_t, uint64_t, struct qn_frame_at, struct qn_span, struct qn_why *);
    void *arg;
};

/* Whether a whole, sound frame begins at off; then *ret_len is its payload's length. */
static bool frame_ok(const struct qn_journal *j, struct qn_span file, uint64_t off,
                     uint32_t *ret_len)
{
    struct qn_span s = QN_SPAN(file.ptr + off, file.len - off);
    uint32_t len, crc;
    uint64_t seq, prev;
    if (!qn_take_u32(&s, &len) || len > QN_FRAME_MAX || frame_size(len) > file.len - off)
        return false;
    const uint8_t *frame = file.ptr + off, *tail = frame + frame_size(len) - TAIL;
    memcpy(&seq, frame + 8, 8);
    memcpy(&prev, tail, 8);
    memcpy(&crc, tail + 8, 4);
    uLong want = crc32(0, frame, (uInt)(frame_size(len) - 8));
    bool begins =
        j->seq == 0 && j->prev == 0 && frame[4] == QN_FRAME_ANCHOR; /* what was before is cut */
    if (crc != want || (!begins && (seq != j->seq || prev != j->prev))) return false;
    *ret_len = len;
    return true;
}

/* Whether a segment begins with a whole frame of another format. */
static bool is_foreign(struct qn_span file)
{
    struct qn_span s = file;
    uint32_t len, crc;
    if (!qn_take_u32(&s, &len) || len == 0 || len > QN_FRAME_MAX || frame_size(len) > file.len)
        return false;
    memcpy(&crc, file.ptr + frame_size(len) - 8, 4);
    return file.ptr[4] >> 4 != QN_JOURNAL_FORMAT &&
           crc == (uint32_t)crc32(0, file.ptr, (uInt)(frame_size(len) - 8));
}

/* Whether a whole frame that was written later begins behind off: then the one at off was whole once, and is damaged. */
static bool frame_behind(const struct qn_journal *j, struct qn_span file, uint64_t off)
{
    for (uint64_t at = off + 8; at + HEAD + TAIL <= file.len; at += 8) {
        struct qn_span s = QN_SPAN(file.ptr + at, file.len - at);
        uint32_t len, kind, crc;
        uint64_t seq;
        if (!qn_take_u32(&s, &len) || !qn_take_u32(&s, &kind) || !qn_take_u64(&s, &seq)) break;
        if (len == 0 || len > QN_FRAME_MAX || frame_size(len) > file.len - at || kind > UINT8_MAX ||
            seq <= j->seq)
            continue;
        const uint8_t *frame = file.ptr + at;
        memcpy(&crc, frame + frame_size(len) - 8, 4);
        if (crc == (uint32_t)crc32(0, frame, (uInt)(frame_size(len) - 8))) return true;
    }
    return false;
}

/* A part is like a frame without place in the order: it has seq and prev 0, and is read again as one. */
static void put_part(struct qn_buf *buf, uint8_t kind, struct qn_span payload)
{
    size_t from = buf->len;
    qn_buf_u32(buf, (uint32_t)payload.len);
    qn_buf_u32(buf, kind);
    qn_buf_u64(buf, 0);
    qn_buf_span(buf, payload);
    while (buf->len % 8)
        qn_buf_u8(buf, 0);
    qn_buf_u64(buf, 0);
    qn_buf_u32(buf, (uint32_t)crc32(0, buf->ptr + from, (uInt)(buf->len - from)));
    qn_buf_u32(buf, 0);
}

/* Shows the visitor each part of a group; `at` is the group's. */
static qn_rc visit_group(const struct qn_journal *j, const struct scan *scan, struct qn_frame_at at,
                         struct qn_span group, struct qn_why *why)
{
    uint64_t off = 0;
    while (off < group.len) {
        uint32_t len, kind;
        struct qn_span s = QN_SPAN(group.ptr + off, group.len - off);
        if (!qn_take_u32(&s, &len) || !qn_take_u32(&s, &kind) || len == 0 || len > QN_FRAME_MAX ||
            kind > UINT8_MAX || kind == QN_FRAME_GROUP || frame_size(len) > group.len - off)
            return qn_why(why, QN_E_CORRUPT, "a group of the journal does not hold what it says");
        qn_rc rc = scan->visit(scan->arg, (uint8_t)kind, j->seq,
                               (struct qn_frame_at){ at.seg, at.off + HEAD + off },
                               QN_SPAN(group.ptr + off + HEAD, len), why);
        if (rc) return rc;
        off += frame_size(len);
    }
    return QN_OK;
}

static qn_rc scan_segment(struct qn_journal *j, const struct scan *scan, bool last,
                          struct qn_why *why)
{
    char path[4096];
    seg_path(j->dir, j->seg, path);
    struct qn_buf file = { 0 };
    qn_rc rc = qn_disk_whole(j->disk, path, SEG_BYTES + 2 * (size_t)QN_FRAME_MAX, &file, why);
    if (rc) return rc;
    struct qn_span all = qn_buf_get(&file);
    uint64_t off = 0;
    uint32_t len;
    if (is_foreign(all)) {
        rc = qn_why(
            why, QN_E_FOREIGN,
            "%s is of format %u, this build reads %u: use the version that wrote it, or move "
            "journal, state.mdb and steps.qs out of this home and let it join its chain anew",
            path, all.ptr[4] >> 4, QN_JOURNAL_FORMAT);
        goto out;
    }
    while (off + HEAD <= all.len && frame_ok(j, all, off, &len)) {
        struct qn_span frame = QN_SPAN(all.ptr + off, frame_size(len));
        memcpy(&j->seq, frame.ptr + 8, 8); /* its own, but for a beginning */
        struct qn_frame_at at = { j->seg, off };
        rc = frame.ptr[4] == QN_FRAME_GROUP
                 ? visit_group(j, scan, at, QN_SPAN(frame.ptr + HEAD, len), why)
                 : scan->visit(scan->arg, frame.ptr[4], j->seq, at, QN_SPAN(frame.ptr + HEAD, len),
                               why);
        if (rc) goto out;
        j->prev = frame_id(frame);
        j->seq++;
        off += frame.len;
    }
    if (off < all.len && !all_zero(all.ptr + off, all.len - off)) {
        /* A torn last frame, if no whole one is behind it. What its length claims is not asked: a bit of it may have rotted. */
        bool torn = last && !frame_behind(j, all, off);
        if (!torn) {
            rc = qn_why(why, QN_E_CORRUPT, "%s: damaged at byte %llu; nothing was changed", path,
                        (unsigned long long)off);
            goto out;
        }
        rc = refused(path, j->disk->cut(j->disk->self, path, off), why);
        if (rc) goto out;
        all.len = off;
    }
    j->off = off;
    j->grown = all.len;
out:
    qn_buf_free(&file);
    return rc;
}

static qn_rc open_segment(struct qn_journal *j, bool make, struct qn_why *why)
{
    char path[4096];
    seg_path(j->dir, j->seg, path);
    j->fd = j->disk->open(j->disk->self, path, make ? QN_DISK_MAKE : QN_DISK_WRITE);
    if (j->fd < 0 || !make) return refused(path, j->fd, why);
    j->off = j->grown = 0;
    return refused(j->dir, j->disk->sync_dir(j->disk->self, j->dir), why);
}

qn_rc qn_journal_open(const char *dir,
                      qn_rc (*visit)(void *arg, uint8_t kind, uint64_t seq, struct qn_frame_at at,
                                     struct qn_span payload, struct qn_why *why),
                      void *arg, struct qn_journal **ret, struct qn_why *why)
{
    return qn_journal_open_on(NULL, dir, visit, arg, ret, why);
}

qn_rc qn_journal_open_on(const struct qn_disk *disk, const char *dir,
                         qn_rc (*visit)(void *arg, uint8_t kind, uint64_t seq,
                                        struct qn_frame_at at, struct qn_span payload,
                                        struct qn_why *why),
                         void *arg, struct qn_journal **ret, struct qn_why *why)
{
    struct qn_journal *j = calloc(1, sizeof *j);
    QN_ASSERT(j != NULL);
    j->disk = disk ? disk : qn_disk_real();
    j->fd = -1;
    snprintf(j->dir, sizeof j->dir, "%s", dir);
    struct scan scan = { visit, arg };
    char path[4096];
    uint32_t cnt = 0;
    qn_rc rc = refused(dir, j->disk->make_dir(j->disk->self, dir), why);
    if (rc) goto out;
    for (seg_path(dir, cnt, path); j->disk->size(j->disk->self, path) >= 0;
         seg_path(dir, cnt, path))
        cnt++;
    for (j->seg = 0; j->seg < cnt; j->seg++) {
        rc = scan_segment(j, &scan, j->seg + 1 == cnt, why);
        if (rc) goto out;
    }
    if (cnt) j->seg = cnt - 1;
    /* Who made the last one may have died before its name was on the disk. */
    if (cnt) rc = refused(dir, j->disk->sync_dir(j->disk->self, dir), why);
    if (rc == QN_OK) rc = open_segment(j, cnt == 0, why);
out:
    if (rc)
        qn_journal_close(j);
    else
        *ret = j;
    return rc;
}

static bool full(const struct qn_journal *j)
{
    return j->off > (j->disk->file_bytes ? j->disk->file_bytes : SEG_BYTES);
}

static qn_rc reserve(struct qn_journal *j, uint64_t size, struct qn_why *why)
{
    const struct qn_disk *d = j->disk;
    uint32_t step = d->grow_bytes ? d->grow_bytes : GROW_BYTES;
    if (full(j)) {
        d->close(d->self, j->fd);
        j->fd = -1;
        j->seg++;
        qn_rc rc = open_segment(j, true, why);
        if (rc) return rc;
    }
    while (j->grown < j->off + size + HEAD) {
        qn_rc rc = refused(j->dir, d->grow(d->self, j->fd, j->grown, step), why);
        if (rc) return rc;
        j->grown += step;
    }
    return QN_OK;
}

static qn_rc write_frame(struct qn_journal *j, uint8_t kind, struct qn_span payload,
                         struct qn_frame_at *ret_at, struct qn_why *why)
{
    QN_ASSERT(payload.len > 0 && payload.len <= QN_FRAME_MAX);
    if (j->broken) return qn_why(why, QN_E_IO, "the journal failed before; start the node again");
    uint64_t size = frame_size((uint32_t)payload.len);
    qn_rc rc = reserve(j, size, why);
    if (rc) {
        j->broken = true;
        return rc;
    }
    struct qn_buf *f = &j->frame;
    qn_buf_clear(f);
    qn_buf_u32(f, (uint32_t)payload.len);
    qn_buf_u32(f, kind);
    qn_buf_u64(f, j->seq);
    qn_buf_span(f, payload);
    while (f->len % 8)
        qn_buf_u8(f, 0);
    qn_buf_u64(f, j->prev);
    qn_buf_u32(f, (uint32_t)crc32(0, f->ptr, (uInt)f->len));
    qn_buf_u32(f, 0);
    QN_ASSERT(f->len == size);
    qn_crash_point("journal-before");
    rc = refused(j->dir, j->disk->write(j->disk->self, j->fd, qn_buf_get(f), j->off), why);
    if (rc) {
        j->broken = true;
        return rc;
    }
    qn_crash_point("journal-after");
    *ret_at = (struct qn_frame_at){ j->seg, j->off };
    j->prev = frame_id(qn_buf_get(f));
    j->seq++;
    j->off += size;
    return QN_OK;
}

qn_rc qn_journal_flush(struct qn_journal *j, struct qn_why *why)
{
    struct qn_frame_at at;
    if (j->wait.len == 0) return QN_OK;
    qn_rc rc = write_frame(j, QN_FRAME_GROUP, qn_buf_get(&j->wait), &at, why);
    if (rc == QN_OK) qn_buf_clear(&j->wait);
    return rc;
}

qn_rc qn_journal_add(struct qn_journal *j, uint8_t kind, struct qn_span payload,
                     struct qn_frame_at *ret_at, struct qn_why *why)
{
    QN_ASSERT(payload.len > 0 && payload.len <= QN_FRAME_MAX);
    QN_ASSERT(!full(j)); /* what begins a segment is appended, not added */
    qn_rc rc = QN_OK;
    if (frame_size((uint32_t)payload.len) + j->wait.len > QN_FRAME_MAX)
        rc = qn_journal_flush(j, why);
    if (rc == QN_OK && (full(j) || frame_size((uint32_t)payload.len) > QN_FRAME_MAX))
        return qn_journal_append(j, kind, payload, ret_at, why);
    if (rc) return rc;
    *ret_at = (struct qn_frame_at){ j->seg, j->off + HEAD + j->wait.len };
    put_part(&j->wait, kind, payload);
    return QN_OK;
}

qn_rc qn_journal_append(struct qn_journal *j, uint8_t kind, struct qn_span payload,
                        struct qn_frame_at *ret_at, struct qn_why *why)
{
    qn_rc rc = QN_OK;
    if (j->wait.len == 0) return write_frame(j, kind, payload, ret_at, why);
    if (frame_size((uint32_t)payload.len) + j->wait.len > QN_FRAME_MAX) { /* two writes, then */
        rc = qn_journal_flush(j, why);
        return rc ? rc : write_frame(j, kind, payload, ret_at, why);
    }
    struct qn_frame_at at = { j->seg, j->off + HEAD + j->wait.len };
    put_part(&j->wait, kind, payload);
    rc = qn_journal_flush(j, why);
    if (rc == QN_OK) *ret_at = at;
    return rc;
}

qn_rc qn_journal_read(struct qn_journal *j, struct qn_frame_at at, struct qn_buf *ret,
                      struct qn_why *why)
{
    char path[4096];
    if (at.seg == j->seg && at.off >= j->off && j->wait.len) { /* not written yet */
        uint64_t from = at.off - j->off - HEAD;
        uint32_t part;
        QN_ASSERT(from + HEAD <= j->wait.len);
        memcpy(&part, j->wait.ptr + from, sizeof part);
        QN_ASSERT(from + frame_size(part) <= j->wait.len);
        qn_buf_put(ret, j->wait.ptr + from + HEAD, part);
        return QN_OK;
    }
    seg_path(j->dir, at.seg, path);
    const struct qn_disk *d = j->disk;
    int fd = d->open(d->self, path, QN_DISK_READ);
    uint32_t len = 0, crc = 0;
    qn_rc rc = QN_OK;
    if (fd < 0 || d->read(d->self, fd, &len, 4, at.off) != 4 || len == 0 || len > QN_FRAME_MAX) {
        rc = qn_why(why, QN_E_IO, "%s cannot be read", path);
    } else { /* as a whole, for its checksum: a disk may have rotted, or read somewhere else */
        size_t before = ret->len, size = (size_t)frame_size(len);
        uint8_t *frame = qn_buf_grow(ret, size);
        if (d->read(d->self, fd, frame, size, at.off) != (int64_t)size) {
            rc = qn_why(why, QN_E_IO, "%s ends too early", path);
        } else {
            memcpy(&crc, frame + size - 8, 4);
            if (crc != (uint32_t)crc32(0, frame, (uInt)(size - 8)))
                rc = qn_why(why, QN_E_CORRUPT, "%s: damaged at byte %llu", path,
                            (unsigned long long)at.off);
            memmove(frame, frame + HEAD, len);
        }
        ret->len = rc ? before : before + len;
    }
    if (fd >= 0) d->close(d->self, fd);
    return rc;
}

bool qn_journal_waits(const struct qn_journal *j)
{
    return j->wait.len != 0;
}

uint32_t qn_journal_seg(const struct qn_journal *j)
{
    return j->seg;
}

uint64_t qn_journal_seq(const struct qn_journal *j)
{
    return j->seq;
}

bool qn_journal_full(const struct qn_journal *j)
{
    return full(j);
}

qn_rc qn_journal_cut(struct qn_journal *j, uint32_t seg, struct qn_why *why)
{
    char path[4096];
    QN_ASSERT(seg <= j->seg);
    for (; j->cut < seg;
         j->cut++) { /* upwards: after a crash what is left begins with an anchor, too */
        seg_path(j->dir, j->cut, path);
        if (j->disk->size(j->disk->self, path) == 0) continue;
        qn_rc rc = refused(path, j->disk->cut(j->disk->self, path, 0), why);
        if (rc) return rc;
    }
    return QN_OK;
}

void qn_journal_close(struct qn_journal *j)
{
    if (!j) return;
    if (j->fd >= 0) j->disk->close(j->disk->self, j->fd);
    qn_buf_free(&j->frame);
    qn_buf_free(&j->wait);
    free(j);
}
