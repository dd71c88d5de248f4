/* rowlog.h - the checkpoint's twin for disks that LMDB cannot map, the simulator's: a log of commits behind the functions of store.h.
 *
 *     u32 len | u32 crc32 of the rest | struct qn_store_meta | (u32 key_len | u32 val_len, ~0 deletes | key | val)...
 *
 * The top bit of key_len marks rows of the second table; finding one there reads the whole file.
 *
 * A commit that a crash cut off ends the file and is dropped, as LMDB drops it. Nothing is kept in memory but where the file ends. */
#ifndef QN_LEDGER_STORE_ROWLOG_H
#define QN_LEDGER_STORE_ROWLOG_H

#include "core/env/disk.h"
#include "ledger/store/store.h"

struct qn_rowlog;

QN_CHECK qn_rc qn_rowlog_open(const struct qn_disk *disk, const char *path, struct qn_rowlog **ret,
                              struct qn_store_meta *ret_meta, struct qn_why *why);
QN_CHECK qn_rc qn_rowlog_load(struct qn_rowlog *log,
                              void (*visit)(void *arg, struct qn_span key, struct qn_span val),
                              void *arg, struct qn_why *why);
void qn_rowlog_begin(struct qn_rowlog *log);
void qn_rowlog_put(struct qn_rowlog *log, struct qn_span key, const struct qn_span *val_or_null);
void qn_rowlog_note(struct qn_rowlog *log, struct qn_span key, const struct qn_span *val_or_null);
/* qn_rowlog_find is qn_store_ceil (up) or qn_store_floor. */
QN_CHECK qn_rc qn_rowlog_find(struct qn_rowlog *log, struct qn_span key, bool up,
                              struct qn_buf *ret_key, struct qn_buf *ret_val, struct qn_why *why);
QN_CHECK qn_rc qn_rowlog_commit(struct qn_rowlog *log, const struct qn_store_meta *meta,
                                struct qn_why *why);
void qn_rowlog_close(struct qn_rowlog *log);

#endif
