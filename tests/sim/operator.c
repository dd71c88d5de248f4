/* operator.c - what people do to machines: another disk for one that lost its own, the key back when that is safe, snapshots. */
#include "tests/sim/sim.h"

#include "core/crypto/hash.h"
#include "core/env/env.h"
#include "core/node/rearm.h"
#include "ledger/state/proof.h"
#include "ledger/store/store.h"
#include "ledger/sync/snapshot.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SEG_MAX (80u << 20)
#define PAGE    4096

/* --- snapshots ------------------------------------------------------------------------------------------------------------------------ */

struct chunk {
    struct qn_hash hash;
    struct qn_buf bytes;
};

struct sim_snapshot {
    struct qn_buf manifest;
    struct qn_hash block;
    struct chunk *chunks;
    uint32_t cnt, cap, lie; /* lie: the chunk that is told wrong, plus one */
    uint64_t rng;
};

static qn_rc put(void *self, struct qn_span bytes, struct qn_hash *ret, struct qn_why *why)
{
    struct sim_snapshot *s = self;
    (void)why;
    sim_quiet(true);
    if (s->cnt == s->cap) {
        s->cap = QN_MAX(s->cap * 2, 16u);
        s->chunks = realloc(s->chunks, s->cap * sizeof *s->chunks);
        QN_ASSERT(s->chunks != NULL);
    }
    s->chunks[s->cnt] = (struct chunk){ .hash = qn_blake3(bytes.ptr, bytes.len) };
    qn_buf_span(&s->chunks[s->cnt].bytes, bytes);
    sim_quiet(false);
    *ret = s->chunks[s->cnt++].hash;
    return QN_OK;
}

static qn_rc get(void *self, const struct qn_hash *hash, size_t max, struct qn_buf *ret,
                 struct qn_why *why)
{
    struct sim_snapshot *s = self;
    for (uint32_t i = 0; i < s->cnt; i++) {
        if (!qn_hash_eq(&s->chunks[i].hash, hash) || s->chunks[i].bytes.len > max) continue;
        size_t at = ret->len;
        qn_buf_span(ret, qn_buf_get(&s->chunks[i].bytes));
        if (s->lie == i + 1 && ret->len > at) sim_flip(&s->rng, ret->ptr + at, ret->len - at);
        return QN_OK;
    }
    return qn_why(why, QN_E_NOTFOUND, "no such chunk");
}

void sim_snapshot_free(struct sim_snapshot *s)
{
    if (!s) return;
    for (uint32_t i = 0; i < s->cnt; i++)
        qn_buf_free(&s->chunks[i].bytes);
    free(s->chunks);
    qn_buf_free(&s->manifest);
    free(s);
}

/* A bit of the manifest or of a chunk is another: it is refused, or says nothing else than the truth. */
static void lie(struct sim_world *w, struct sim_snapshot *s, const struct qn_chunks *chunks)
{
    struct qn_snapshot info;
    struct qn_why why = { "" };
    uint8_t *bytes = malloc(s->manifest.len);
    QN_ASSERT(bytes != NULL);
    memcpy(bytes, s->manifest.ptr, s->manifest.len);
    s->lie = sim_draw(&s->rng) % 2 ? 1 + (uint32_t)sim_below(&s->rng, s->cnt) : 0;
    if (!s->lie) sim_flip(&s->rng, bytes, s->manifest.len);
    qn_rc rc = qn_snapshot_check(QN_SPAN(bytes, s->manifest.len), &s->block, chunks, &info, &why);
    if (rc)
        sim_saw(w, SEEN_lie_refused);
    else if (s->lie || !qn_hash_eq(&info.proof.block, &s->block))
        sim_wrong(w, "a snapshot with a bit changed is believed");
    s->lie = 0;
    free(bytes);
}

void sim_snapshot_take(struct sim_world *w, struct sim_host *h)
{
    struct qn_why why = { "" };
    struct qn_snapshot info;
    struct qn_buf manifest = { 0 };
    if (!h->r) return;
    struct sim_snapshot *s = calloc(1, sizeof *s);
    QN_ASSERT(s != NULL);
    s->rng = sim_draw(&w->rng);
    struct qn_chunks chunks = { .self = s,
                                .cut_bits = 2 + (unsigned)sim_below(&w->rng, 9),
                                .piece_bytes = 1 + sim_below(&s->rng, 40000),
                                .put = put,
                                .get = get };
    sim_begin(h);
    qn_rc rc = qn_snapshot_make(qn_replica_chain(h->r), NULL, &chunks, &manifest, &info, &why);
    sim_quiet(true);
    qn_buf_span(&s->manifest, qn_buf_get(&manifest));
    sim_quiet(false);
    qn_buf_free(&manifest);
    s->block = qn_chain_head(qn_replica_chain(h->r));
    sim_end(h);
    sim_trace(w, "a snapshot of host %d: %s %s", h->idx, qn_err_code(rc), why.text);
    if (rc == QN_OK) {
        rc = qn_snapshot_check(qn_buf_get(&s->manifest), &s->block, &chunks, &info, &why);
        if (rc) sim_wrong(w, "host %d made a snapshot that is refused: %s", h->idx, why.text);
        lie(w, s, &chunks);
        sim_snapshot_free(w->snapshot);
        w->snapshot = s;
        return;
    }
    bool may = rc == QN_E_AGAIN || !h->r || /* its power went */
               (h->traits & TRAIT_ROT) || (w->k.faults >> SIM_eio & 1);
    if (!may) sim_wrong(w, "host %d makes no snapshot: %s: %s", h->idx, qn_err_code(rc), why.text);
    sim_snapshot_free(s);
}

/* --- a home from it, made as a node makes it, and carried to the simulated disk ---------------------------------------------------------- */

static void on_row(void *arg, struct qn_span key, struct qn_span val)
{
    struct qn_why why;
    QN_ASSERT(qn_store_put(arg, key, val, &why) == QN_OK);
}

static void carry_rows(struct sim_host *h, const char *dir, const char *to)
{
    char path[200];
    struct qn_store *from = NULL, *log = NULL;
    struct qn_store_meta meta, none;
    struct qn_why why = { "" };
    snprintf(path, sizeof path, "%s/state.mdb", dir);
    QN_ASSERT(qn_store_open(path, 1, &from, &meta, &why) == QN_OK);
    snprintf(path, sizeof path, "%s/state.mdb", to);
    QN_ASSERT(qn_store_open_on(&h->disk.ops, path, 1, &log, &none, &why) == QN_OK);
    QN_ASSERT(qn_store_begin(log, &why) == QN_OK);
    QN_ASSERT(qn_store_load(from, on_row, log, &why) == QN_OK);
    QN_ASSERT(qn_store_commit(log, &meta, &why) == QN_OK);
    qn_store_close(log);
    qn_store_close(from);
}

static void carry_journal(struct sim_host *h, const char *dir, const char *to)
{
    char path[200];
    struct qn_why why = { "" };
    for (uint32_t seg = 0;; seg++) {
        struct qn_buf file = { 0 };
        snprintf(path, sizeof path, "%s/journal/seg-%010u.qj", dir, seg);
        if (qn_file_read(path, SEG_MAX, &file, &why)) break;
        for (const uint8_t *end; file.len > PAGE; file.len -= PAGE) { /* preallocated: megabytes */
            end = file.ptr + file.len - PAGE;
            if (end[0] || memcmp(end, end + 1, PAGE - 1) != 0) break;
        }
        while (file.len && file.ptr[file.len - 1] == 0)
            file.len--;
        for (size_t end = file.len + SIM_SECTOR; file.len < end || file.len % SIM_SECTOR;)
            qn_buf_u8(&file, 0); /* a frame may end in zeros */
        snprintf(path, sizeof path, "%s/journal/seg-%010u.qj", to, seg);
        sim_disk_put(&h->disk, path, qn_buf_get(&file));
        qn_buf_free(&file);
    }
}

static void sweep(const char *dir)
{
    static const char *const FILES[] = { "journal/id", "journal", "state.mdb", "state.mdb-lock" };
    char path[200];
    for (uint32_t seg = 0;; seg++) {
        snprintf(path, sizeof path, "%s/journal/seg-%010u.qj", dir, seg);
        if (unlink(path)) break;
    }
    for (size_t i = 0; i < QN_COUNT(FILES); i++) {
        snprintf(path, sizeof path, "%s/%s", dir, FILES[i]);
        if (unlink(path)) rmdir(path);
    }
    rmdir(dir);
}

static void from_snapshot(struct sim_world *w, struct sim_host *h)
{
    char dir[64], to[16];
    struct sim_snapshot *s = w->snapshot;
    struct qn_chunks chunks = { .self = s, .put = put, .get = get };
    struct qn_snapshot info;
    struct qn_why why = { "" };
    snprintf(dir, sizeof dir, "%s/quoin-sim-XXXXXX",
             access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm");
    snprintf(to, sizeof to, "h%d", h->idx);
    QN_ASSERT(mkdtemp(dir) != NULL);
    qn_rc rc = qn_snapshot_restore(qn_buf_get(&s->manifest), &s->block, NULL, &chunks, dir, 1,
                                   &info, &why);
    if (rc) {
        sim_wrong(w, "a good snapshot is not restored: %s", why.text);
    } else {
        carry_journal(h, dir, to);
        carry_rows(h, dir, to);
        sim_saw(w, SEEN_snapped);
    }
    sweep(dir);
}

/* --- a machine that lost its disk ------------------------------------------------------------------------------------------------------- */

/* From 0: its backup, 1: the last snapshot, 2: nothing. */
static void new_disk(struct sim_world *w, struct sim_host *h, unsigned how)
{
    QN_ASSERT(!h->r);
    sim_disk_wipe(&h->disk);
    h->disk.power_at = h->disk.fail_at = 0;
    h->disk.full = h->disk.dead = false;
    if (how == 0 && h->has_backup) {
        sim_disk_copy(&h->disk, &h->backup);
        sim_saw(w, SEEN_restored);
    } else if (how == 1 && w->snapshot) {
        from_snapshot(w, h);
    }
    sim_trace(w, "host %d has a new disk (%u)", h->idx, how);
    h->unarmed = h->validator >= 0 && w->o.bug != SIM_BUG_no_rearm;
    h->restored_ms = sim_host_ms(h);
    h->acked = 0;
    h->busy_us = 0;
}

void sim_restore(struct sim_world *w, struct sim_host *h)
{
    new_disk(w, h, (unsigned)sim_below(&w->rng, 3));
}

void sim_join(struct sim_world *w, struct sim_host *h)
{
    new_disk(w, h, sim_below(&w->rng, 4) ? 1 : 2);
    sim_saw(w, SEEN_joined);
}

bool sim_rearm(struct sim_host *h)
{
    if (!h->unarmed || qn_chain_header(qn_replica_chain(h->r))->t_ms < h->restored_ms + QN_REARM_MS)
        return false;
    h->unarmed = false;
    sim_saw(h->w, SEEN_rearmed);
    sim_trace(h->w, "host %d is rearmed", h->idx);
    return true;
}

bool sim_heal(struct sim_world *w, struct sim_host *h, qn_rc rc, const struct qn_why *why)
{
    struct sim_disk *d = &h->disk;
    if (rc != QN_E_CORRUPT && rc != QN_E_FOREIGN) return false;
    if (d->rotten_rows && strstr(why->text, "state.mdb")) { /* "remove it: the journal has all" */
        d->rotten_rows = false;
        sim_disk_remove(d, "state.mdb");
        sim_saw(w, SEEN_rot_rows);
        return true;
    }
    if (!d->rotten_journal) return false;
    sim_saw(w, SEEN_rot_start);
    sim_restore(w, h);
    return true;
}
