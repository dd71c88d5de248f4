/* blob.h - the node's blobs: files HOME/blobs/XX/HASH, each named by the plain BLAKE3 hash of its bytes (what `b3sum FILE` prints),
 * whole or not there at all. Beside one of more than BLOB_PIECE bytes lies HASH.tree, its outer nodes (net/blob/tree.h), and HASH.part
 * with HASH.outer is what a fetch has of one so far. */
#ifndef QN_CORE_NET_BLOB_H
#define QN_CORE_NET_BLOB_H

#include "core/env/env.h"

#define BLOB_BYTES_MAX (UINT64_C(1) << 30)

/* blob_path writes where a blob lies or would lie; QN_E_NOTFOUND when it is not there. */
QN_CHECK qn_rc blob_path(const char *home, const struct qn_hash *hash, char *dst, size_t dst_len,
                         struct qn_why *why);
/* blob_put keeps bytes. */
QN_CHECK qn_rc blob_put(const char *home, struct qn_span bytes, struct qn_hash *ret,
                        struct qn_why *why);
/* blob_keep copies the regular file open at fd, from its start, hashing as it goes: of its size, 0.6 % is held in memory.
 *
 * *ret_bytes is its length. QN_E_TOOBIG above BLOB_BYTES_MAX; on any failure nothing new is left behind. */
QN_CHECK qn_rc blob_keep(const char *home, int fd, struct qn_hash *ret, uint64_t *ret_bytes,
                         struct qn_why *why);

/* blob_beside writes where what belongs to a blob lies: suffix "", ".tree", ".part". */
void blob_beside(const char *home, const struct qn_hash *hash, const char *suffix, char *dst,
                 size_t dst_len);
/* blob_remove removes it, with all that is beside it. */
void blob_remove(const char *home, const struct qn_hash *hash);
/* blob_outer gives the outer nodes of a blob that is there, malloc'd (NULL of one group), from HASH.tree or, where that is missing or was
 * cut, by hashing the file again (0.4 s a gigabyte, once). QN_E_CORRUPT when the file is not what its name says. */
QN_CHECK qn_rc blob_outer(const char *home, const struct qn_hash *hash, uint64_t size,
                          QN_GIVES uint8_t **ret, struct qn_why *why);

#endif
