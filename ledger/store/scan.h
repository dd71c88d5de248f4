/* scan.h - reading the checkpoint beside its writer: from another process, at one commit, row after row, with what LMDB itself does not look at.
 *
 * The file has no sums of its own: whether a row is right is the caller's to say, who has the rows in memory. Looked at here is what no row shows:
 * that keys rise, that a page says its own number, that no page in use is listed as free, that the disk holds what its cache says. LMDB
 * follows what a page says without asking, so that a bad one may also end in a signal: this runs where that does no harm
 * (core/node/aside.h).
 *
 * What is read stays in the file until qn_scan_close: a second or two, or the file grows. */
#ifndef QN_LEDGER_STORE_SCAN_H
#define QN_LEDGER_STORE_SCAN_H

#include "ledger/store/store.h"

struct qn_scan;

QN_CHECK qn_rc qn_scan_open(const char *path, struct qn_scan **ret, struct qn_store_meta *ret_meta,
                            struct qn_why *why);
/* qn_scan_past turns from the rows to those of the second table (qn_store_note), each of which has a sum. */
QN_CHECK qn_rc qn_scan_past(struct qn_scan *scan, struct qn_why *why);
/* qn_scan_next lends the first row behind `after`, at first, then the next each time. QN_E_NOTFOUND: there is none; QN_E_CORRUPT: why says what is
 * damaged. */
QN_CHECK qn_rc qn_scan_next(struct qn_scan *scan, struct qn_span after, struct qn_span *ret_key,
                            struct qn_span *ret_val, struct qn_why *why);
void qn_scan_close(struct qn_scan *scan);

/* qn_scan_disk reads the file past the system's cache and compares: what rots on a disk shows only there. On file systems that cannot do that
 * (tmpfs) it says QN_OK at once. QN_E_CORRUPT, QN_E_IO. */
QN_CHECK qn_rc qn_scan_disk(const char *path, struct qn_why *why);

#endif
