/* store.h - the checkpoint: rows of one height in LMDB, HOME/state.mdb. The journal is the truth; what is missing here is
 * executed again from it. One writer, no reader beside the loading at start and who looks for what is long past: the state itself lives in memory. */
#ifndef QN_LEDGER_STORE_STORE_H
#define QN_LEDGER_STORE_STORE_H

#include "core/env/disk.h"

struct qn_store;

/* What the rows are of. Zero: nothing was stored yet. */
struct qn_store_meta {
    struct qn_hash chain, block, root;
    uint64_t height;
};

/* qn_store_open opens or makes the file. map_gib is address space, not disk. A file that LMDB cannot read is
 * QN_E_CORRUPT, another program's is QN_E_FOREIGN; both are left as they are. */
QN_CHECK qn_rc qn_store_open(const char *path, uint64_t map_gib, struct qn_store **ret,
                             struct qn_store_meta *ret_meta, struct qn_why *why);
/* qn_store_open_on does the same on another disk than the machine's, through ledger/store/rowlog.h; NULL: LMDB. */
QN_CHECK qn_rc qn_store_open_on(const struct qn_disk *disk, const char *path, uint64_t map_gib,
                                struct qn_store **ret, struct qn_store_meta *ret_meta,
                                struct qn_why *why);
/* qn_store_load visits every row in key order; spans are lent for the call. */
QN_CHECK qn_rc qn_store_load(struct qn_store *st,
                             void (*visit)(void *arg, struct qn_span key, struct qn_span val),
                             void *arg, struct qn_why *why);
/* A checkpoint: begin, any puts and dels, commit (synced). After an error before commit's return the file is as it was. */
QN_CHECK qn_rc qn_store_begin(struct qn_store *st, struct qn_why *why);
QN_CHECK qn_rc qn_store_put(struct qn_store *st, struct qn_span key, struct qn_span val,
                            struct qn_why *why);
QN_CHECK qn_rc qn_store_del(struct qn_store *st, struct qn_span key, struct qn_why *why);
QN_CHECK qn_rc qn_store_commit(struct qn_store *st, const struct qn_store_meta *meta,
                               struct qn_why *why);
void qn_store_abort(struct qn_store *st);

/* A second table, which qn_store_load passes over: what a chain looks up of long ago. qn_store_note puts a row (val NULL: removes it) with the
 * checkpoint that was begun. qn_store_floor appends the last row whose key is at most `key` to two buffers, as it was at the last commit;
 * QN_E_NOTFOUND. qn_store_ceil does so with the first one whose key is at least that. */
QN_CHECK qn_rc qn_store_note(struct qn_store *st, struct qn_span key, const struct qn_span *val,
                             struct qn_why *why);
QN_CHECK qn_rc qn_store_floor(struct qn_store *st, struct qn_span key, struct qn_buf *ret_key,
                              struct qn_buf *ret_val, struct qn_why *why);
QN_CHECK qn_rc qn_store_ceil(struct qn_store *st, struct qn_span key, struct qn_buf *ret_key,
                             struct qn_buf *ret_val, struct qn_why *why);
void qn_store_close(struct qn_store *st);

#endif
