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

/* qn_trie_prove appends the proof that key has its value, or that it is absent, under the present root:
 *
 *     u8 kind       0 the map is empty   1 a leaf follows
 *     u16 LE len | key                   the leaf that the asked key's bits lead to (its key equals the asked one: present)
 *     H("value", value)[32]
 *     u16 LE cnt, cnt times: u16 LE bit | sibling[31]      from the leaf up, bits falling */
void qn_trie_prove(struct qn_trie *trie, struct qn_span key, struct qn_buf *ret);

/* qn_trie_check reads a proof for key against root.
 *
 * proof        untrusted; must be used up exactly
 * ret_present  whether key is in the map; then ret_value_hash is H("value", value)
 *
 * QN_E_SHORT, QN_E_EXTRA, QN_E_FORMAT, or QN_E_PROOF when it does not lead to the root. */
QN_CHECK qn_rc qn_trie_check(const struct qn_hash *root, struct qn_span key, struct qn_span proof,
                             bool *ret_present, struct qn_hash *ret_value_hash);

#endif
