/* trie.h - the state: an ordered map from key to value that is its own authenticator, a binary Patricia trie.
 *
 * The root is a function of the content alone:
 *
 *     leaf   H("leaf",  u16 LE key_len | key | H("value", value))
 *     inner  H("inner", left[0..31) | right[0..31) | u16 LE bit)      bit = first differing bit, from the top of byte 0
 *     root   empty: 32 zeros; else the hash of the top node
 *
 * Keys are prefix-free (no key starts another) and at most 511 bytes; a key reads as if zero bits followed its
 * end. The whole map lives in memory; the store keeps its rows (ledger/store). */
#ifndef QN_LEDGER_STATE_TRIE_H
#define QN_LEDGER_STATE_TRIE_H

#include "core/base/span.h"

#define QN_TRIE_KEY_MAX 511

struct qn_trie;

struct qn_trie *qn_trie_new(void) QN_GIVES;
void qn_trie_free(struct qn_trie *trie);

/* qn_trie_put sets key to a copy of val. */
void qn_trie_put(struct qn_trie *trie, struct qn_span key, struct qn_span val);
/* qn_trie_del removes key; false when it was not there. */
bool qn_trie_del(struct qn_trie *trie, struct qn_span key);
/* qn_trie_get lends the value until key changes. */
QN_CHECK bool qn_trie_get(const struct qn_trie *trie, struct qn_span key, struct qn_span *ret_val);
/* qn_trie_next lends the first row greater than key (or not less, when or_equal). */
QN_CHECK bool qn_trie_next(const struct qn_trie *trie, struct qn_span key, bool or_equal,
                           struct qn_span *ret_key, struct qn_span *ret_val);
size_t qn_trie_cnt(const struct qn_trie *trie);

/* qn_trie_root hashes what changed since the last call. */
struct qn_hash qn_trie_root(struct qn_trie *trie);

/* qn_trie_scrub hashes what qn_trie_root has hashed once more, rows with a key behind `after` in their order, and the nodes above them, at most max
 * rows, and says whether the hashes are still those. ret_last gets the key of the last row that was looked at, or of a row that is wrong, or below a
 * node that is; *ret_cnt how many. What a memory changed by itself shows so. */
QN_CHECK bool qn_trie_scrub(struct qn_trie *trie, struct qn_span after, size_t max,
                            struct qn_span *ret_last, size_t *ret_cnt);

/* --- proofs (ledger/state/range.c) ---------------------------------------------------------------------------------------
 *
 * Which rows have a key in [from, to), all of them, and that there is no other; to empty: no upper bound. A row, or its absence, is
 * the range [key, key 00). Two byte strings: the rows alone, which do not depend on what else the map holds, and the trie around them
 * with what lies outside cut off as soon as one can tell that it does.
 *
 *     rows   in order: u16 LE len | key | u32 LE len | value
 *     edge   the trie, pre-order; a node is one of
 *            u8 0                                            the map is empty; only as the whole edge
 *            u8 1 | hash[31]                                 cut off: all below is out of the range
 *            u8 2 | u32 LE cnt                               all below are rows of the range: the next cnt of them
 *            u8 3 | u16 LE len | key | H("value", value)[32] a leaf out of the range, that shows where others lie
 *            u8 4 | u16 LE bit | left node | right node
 *
 * What is cut off lies beside a node with a known key in it: all its keys begin like that key up to the bit of the node above both, and
 * then turn the other way. */
enum { QN_EDGE_EMPTY, QN_EDGE_CUT, QN_EDGE_ROWS, QN_EDGE_LEAF, QN_EDGE_INNER };

/* qn_trie_prove appends the rows of [from, to) and the edge around them under the present root. */
void qn_trie_prove(struct qn_trie *trie, struct qn_span from, struct qn_span to,
                   struct qn_buf *rows, struct qn_buf *edge);

/* qn_trie_check says whether rows are all rows of [from, to) under root. rows and edge are untrusted and must be used up exactly. QN_E_SHORT,
 * QN_E_EXTRA, QN_E_FORMAT, or QN_E_PROOF when they do not lead to the root or leave room for other rows. */
QN_CHECK qn_rc qn_trie_check(const struct qn_hash *root, struct qn_span from, struct qn_span to,
                             struct qn_span rows, struct qn_span edge);

void qn_row_write(struct qn_buf *ret, struct qn_span key, struct qn_span val);
/* qn_row_take takes the front row; false when none is left or it is malformed. */
QN_CHECK bool qn_row_take(struct qn_span *rows, struct qn_span *ret_key, struct qn_span *ret_val);

/* What both sides of a proof compute. A key reads as if zero bits followed its end; qn_key_diff is QN_KEY_SAME when no bit differs. */
#define QN_KEY_SAME UINT32_MAX
static inline unsigned qn_key_bit(struct qn_span key, unsigned bit)
{
    size_t byte = bit / 8;
    return byte < key.len ? key.ptr[byte] >> (7 - bit % 8) & 1u : 0;
}
uint32_t qn_key_diff(struct qn_span a, struct qn_span b);
/* qn_key_outside says whether no key that begins with the first `bits` bits of `like` and then has the bit `turn` is in [from, to). */
bool qn_key_outside(struct qn_span like, unsigned bits, unsigned turn, struct qn_span from,
                    struct qn_span to);
bool qn_key_inside(struct qn_span key, struct qn_span from, struct qn_span to);
struct qn_hash qn_trie_leaf(struct qn_span key, const struct qn_hash *value);
struct qn_hash qn_trie_inner(const uint8_t left[31], const uint8_t right[31], unsigned bit);

#endif
