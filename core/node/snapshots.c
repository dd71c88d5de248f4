/* snapshots.c - snapshots as blobs of a folder, backups, and the calls that make them. */
#include "core/env/crash.h"
#include "core/net/blob.h"
#include "core/node/node.h"
#include "core/node/proofs.h"
#include "core/node/snaps.h"
#include "ledger/sync/backup.h"
#include "ledger/sync/snapshot.h"

#include <stdio.h>
#include <string.h>

#include "core/schema/declare.h"

#include "core/node/node.def"

static qn_rc put(void *self, struct qn_span bytes, struct qn_hash *ret, struct qn_why *why)
{
    return blob_put(self, bytes, ret, why);
}

static qn_rc get(void *self, const struct qn_hash *hash, size_t max, struct qn_buf *ret,
                 struct qn_why *why)
{
    char path[4096];
    qn_rc rc = blob_path(self, hash, path, sizeof path, NULL);
    if (rc) return qn_why(why, rc, "it is not there");
    return qn_file_read(path, max, ret, why);
}

void qn_chunks_in(const char *dir, struct qn_chunks *ret)
{
    *ret = (struct qn_chunks){ .self = (char *)(uintptr_t)dir, .put = put, .get = get };
}

json_t *qn_snapshot_json(const struct qn_snapshot *sn, const char *file)
{
    char chain[65], block[65], root[65];
    qn_hex(sn->proof.chain.b, 32, chain);
    qn_hex(sn->proof.block.b, 32, block);
    qn_hex(sn->proof.header.state_root.b, 32, root);
    return json_pack("{s:s, s:s, s:I, s:s, s:s, s:I, s:I, s:I, s:I}", "file", file, "chain", chain,
                     "height", (json_int_t)sn->proof.header.height, "block", block, "state_root",
                     root, "chunks", (json_int_t)sn->chunk_cnt, "rows", (json_int_t)sn->row_cnt,
                     "blocks", (json_int_t)sn->block_cnt, "bytes", (json_int_t)sn->bytes);
}

/* --- made in a child ------------------------------------------------------------------------------------------------ */

static qn_rc put_telling(void *self, struct qn_span bytes, struct qn_hash *ret, struct qn_why *why)
{
    struct snap_work *w = self;
    qn_crash_point("snapshot-chunk");
    qn_rc rc = blob_put(w->dir, bytes, ret, why);
    aside_say(w->aside, ++w->cnt, 0);
    return rc;
}

qn_rc qn_snapshot_work(void *arg, struct aside *aside, json_t **ret, struct qn_why *why)
{
    struct snap_work *w = arg;
    struct qn_buf manifest = { 0 };
    struct qn_snapshot sn;
    const struct qn_chunks chunks = {
        .self = w, .cut_bits = w->cut_bits, .piece_bytes = w->piece_bytes, .put = put_telling
    };
    struct qn_hash id;
    char file[1100], hex[65];
    w->aside = aside;
    qn_rc rc = qn_snapshot_make(w->chain, w->steps, &chunks, &manifest, &sn, why);
    if (rc == QN_OK)
        rc = blob_put(w->dir, qn_buf_get(&manifest), &id, why); /* for who asks by its hash */
    snprintf(file, sizeof file, "%s/snapshot.qs", w->dir);
    if (rc == QN_OK && w->file) rc = qn_file_write(file, qn_buf_get(&manifest), 0644, why);
    if (rc == QN_OK) {
        *ret = qn_snapshot_json(&sn, file);
        qn_hex(id.b, 32, hex);
        json_object_set_new(*ret, "manifest", json_string(hex));
        json_object_set_new(*ret, "manifest_bytes", json_integer((json_int_t)manifest.len));
        json_object_set_new(*ret, "epoch", json_integer((json_int_t)sn.proof.header.epoch));
    }
    qn_buf_free(&manifest);
    return rc;
}

static struct snap_work work_of(struct qn_call_ctx *ctx, struct qn_span dir)
{
    struct snap_work w = { .chain = qn_node_chain(ctx->node), .steps = qn_node_steps(ctx->node) };
    snprintf(w.dir, sizeof w.dir, "%.*s", (int)dir.len, (const char *)dir.ptr);
    return w;
}

/* Begins the work where it has not been, once nothing else runs, and waits for its end. */
static qn_rc aside_call(struct qn_call_ctx *ctx, const char *what, aside_fn fn, struct snap_work *w,
                        json_t **ret, struct qn_why *why)
{
    struct aside *aside = qn_node_aside(ctx->node);
    qn_rc rc = QN_E_AGAIN;
    if (*w->dir != '/') return qn_why(why, QN_E_USAGE, "dir: expected an absolute path");
    if (*ctx->state) return aside_result(aside, *ctx->state, ret, why);
    rc = aside_start(aside, what, fn, w, ctx->state, why);
    return rc == QN_OK || rc == QN_E_BUSY ? QN_E_AGAIN : rc;
}

qn_rc qn_call_snapshot_create(struct qn_call_ctx *ctx, const void *params, json_t **ret,
                              struct qn_why *why)
{
    const struct node_snapshot *p = params;
    struct snap_work w = work_of(ctx, p->dir);
    bool at_home = !*w.dir;
    if (at_home) snprintf(w.dir, sizeof w.dir, "%s", qn_node_home(ctx->node));
    w.file = true;
    qn_rc rc = aside_call(ctx, "a snapshot", qn_snapshot_work, &w, ret, why);
    if (rc == QN_OK && at_home) snaps_add(qn_node_snaps(ctx->node), *ret);
    return rc;
}

json_t *qn_backup_json(const struct qn_backup *b, const char *dir)
{
    char chain[65], block[65];
    qn_hex(b->chain.b, 32, chain);
    qn_hex(b->block.b, 32, block);
    return json_pack("{s:s, s:s, s:s, s:I, s:I, s:I}", "dir", dir, "chain", chain, "block", block,
                     "first", (json_int_t)b->first + 1, "height", (json_int_t)b->height, "rows",
                     (json_int_t)b->row_cnt);
}

static void backup_told(void *arg, uint64_t done, uint64_t total)
{
    aside_say(arg, done, total);
}

static qn_rc make_backup(void *arg, struct aside *aside, json_t **ret, struct qn_why *why)
{
    struct snap_work *w = arg;
    struct qn_backup backup;
    struct qn_buf steps = { 0 };
    char from[4096], to[4096];
    qn_rc rc = qn_dir_make(w->dir, why);
    if (rc == QN_OK)
        rc = qn_backup_make_telling(w->chain, w->dir, 0, backup_told, aside, &backup, why);
    if (rc) return rc;
    snprintf(from, sizeof from, "%s/steps.qs", w->home); /* what light clients ask for */
    snprintf(to, sizeof to, "%s/steps.qs", w->dir);
    if (qn_file_read(from, 1u << 30, &steps, NULL) == QN_OK)
        rc = qn_file_write(to, qn_buf_get(&steps), 0600, why);
    qn_buf_free(&steps);
    if (rc == QN_OK) *ret = qn_backup_json(&backup, w->dir);
    return rc;
}

qn_rc qn_call_backup_create(struct qn_call_ctx *ctx, const void *params, json_t **ret,
                            struct qn_why *why)
{
    const struct node_backup *p = params;
    struct snap_work w = work_of(ctx, p->dir);
    snprintf(w.home, sizeof w.home, "%s", qn_node_home(ctx->node));
    return aside_call(ctx, "a backup", make_backup, &w, ret, why);
}
