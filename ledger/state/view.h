/* view.h - reading the ledger's tables. A view is a finalised state, or that state with the changes of the
 * block being executed on top; who reads cannot tell.
 *
 * A row is (table, key) -> value. Tables are one byte: the core's are 0x01..0x0f, a module's are
 * tag << 4 | n. Keys are prefix-free within a table and order-preserving (integers big-endian); at most
 * 510 bytes. Values are at most 64 KiB. A failing disk is not an answer: the store stops the node. */
#ifndef QN_LEDGER_STATE_VIEW_H
#define QN_LEDGER_STATE_VIEW_H

#include "core/schema/schema.h"

struct qn_view;

/* qn_view_get lends the value of a row; until the next write or the end of the view. */
QN_CHECK bool qn_view_get(const struct qn_view *view, uint8_t table, struct qn_span key,
                          struct qn_span *ret_val);

/* qn_view_next lends the first row whose key starts with prefix and is greater than after (after.len 0:
 * the first with the prefix). Lent as above; so a loop copies the key it goes on from. */
QN_CHECK bool qn_view_next(const struct qn_view *view, uint8_t table, struct qn_span prefix,
                           struct qn_span after, struct qn_span *ret_key, struct qn_span *ret_val);

/* qn_view_rec reads a row and decodes it; memory from arena. QN_E_NOTFOUND when there is no row. A row
 * that does not decode is a bug and panics: what was written was checked. */
QN_CHECK qn_rc qn_view_rec(const struct qn_view *view, uint8_t table, struct qn_span key,
                           const struct qn_record *rec, struct qn_arena *arena, void *ret_obj);

/* The block the view stands at (while executing: the block being executed). */
uint64_t qn_view_height(const struct qn_view *view);
uint64_t qn_view_now_ms(const struct qn_view *view);
struct qn_hash qn_view_chain(const struct qn_view *view);  /* hash of the genesis */
struct qn_hash qn_view_beacon(const struct qn_view *view); /* of the block before */

/* qn_view_balance is 0 for an account that was never touched. */
struct qn_amount qn_view_balance(const struct qn_view *view, const struct qn_hash *acct);

#endif
