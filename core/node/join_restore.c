/* join_restore.c - from a whole snapshot to a home, in a child. */
#include "core/node/join_in.h"

#include "core/crypto/hash.h"
#include "core/env/crash.h"
#include "core/net/blob.h"
#include "core/node/proofs.h"
#include "ledger/state/steps.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

struct reader {
    struct qn_chunks from;
    struct aside *aside;
    uint64_t cnt, total;
};

static qn_rc get_telling(void *self, const struct qn_hash *hash, size_t max, struct qn_buf *ret,
                         struct qn_why *why)
{
    struct reader *r = self;
    aside_say(r->aside, r->cnt++, r->total);
    return r->from.get(r->from.self, hash, max, ret, why);
}

static qn_rc restore(void *arg, struct aside *aside, json_t **ret, struct qn_why *why)
{
    struct join *j = arg;
    struct reader r = { .aside = aside, .total = j->part_cnt };
    const struct qn_chunks chunks = { .self = &r, .get = get_telling };
    struct qn_snapshot sn;
    qn_chunks_in(j->home, &r.from);
    qn_crash_point("join-restore");
    qn_rc rc = qn_snapshot_restore(qn_buf_get(&j->manifest), &j->conf.chain,
                                   j->conf.pinned ? &j->set : NULL, &chunks, j->home,
                                   j->conf.map_gib, &sn, why);
    /* Steps that are not there cost others a proof from the genesis, us nothing. */
    if (rc == QN_OK && qn_steps_adopt(j->home, sn.front, NULL) == QN_OK) qn_crash_point("join-end");
    if (rc == QN_OK) {
        char hex[65];
        *ret = qn_snapshot_json(&sn, "");
        qn_hex(j->at.manifest.b, 32, hex);
        json_object_set_new(*ret, "manifest", json_string(hex));
        json_object_set_new(*ret, "manifest_bytes", json_integer((json_int_t)j->manifest.len));
        json_object_set_new(*ret, "epoch", json_integer((json_int_t)sn.proof.header.epoch));
    }
    return rc;
}

/* It is one that others may have of us. */
static void keep(const struct join *j, json_t *said)
{
    char path[1100];
    json_t *list = json_array();
    json_array_append(list, said);
    char *text = json_dumps(list, JSON_COMPACT);
    snprintf(path, sizeof path, "%s/snapshots.json", j->home);
    if (text && qn_file_write(path, QN_SPAN_STR(text), 0600, NULL) == QN_OK)
        qn_crash_point("join-kept");
    free(text);
    json_decref(list);
}

/* What was here from an earlier run is found out at the end: it is fetched again. */
static void drop_damaged(struct join *j)
{
    for (uint32_t i = 0; i < j->part_cnt; i++) {
        char path[4096];
        blob_beside(j->home, &j->parts[i].p.hash, "", path, sizeof path);
        struct qn_buf file = { 0 };
        bool wrong = false; /* what cannot be read is left alone */
        if (qn_file_read(path, QN_CHUNK_MAX, &file, NULL) == QN_OK) {
            struct qn_hash is = qn_blake3(file.ptr, file.len);
            wrong = !qn_hash_eq(&is, &j->parts[i].p.hash);
        }
        qn_buf_free(&file);
        if (wrong) join_remove(j, &j->parts[i].p.hash);
    }
}

void join_restore_begin(struct join *j)
{
    struct qn_why why = { "" };
    qn_rc rc =
        aside_start(j->conf.aside, "the restoring of a snapshot", restore, j, &j->ticket, &why);
    if (rc == QN_E_BUSY) return;
    if (rc) {
        join_end_with(j, JOIN_FAILED, rc, &why);
        return;
    }
    j->stage = JOIN_RESTORE;
    join_tell(j, "sync: restoring");
}

void join_restore_wait(struct join *j)
{
    json_t *said = NULL;
    struct qn_why why = { "" };
    qn_rc rc = aside_result(j->conf.aside, j->ticket, &said, &why);
    if (rc == QN_E_AGAIN) return;
    j->ticket = 0;
    if (rc == QN_OK) {
        keep(j, said);
        join_tell(j, "sync: at block %" PRIu64 ", and on by blocks", j->at.height);
        join_end_with(j, JOIN_RESTORED, QN_OK, NULL);
    } else if (rc == QN_E_CORRUPT || rc == QN_E_NOTFOUND) {
        drop_damaged(j);
        join_put_off(j, 1, false, why.text);
    } else if (rc == QN_E_DISKFULL) {
        join_full(j);
    } else if (join_to_blame(rc)) {
        join_condemn(j, why.text);
    } else if (join_child(j, rc, &why)) {
        j->stage = JOIN_PARTS;
    }
    json_decref(said);
}
