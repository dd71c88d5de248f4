/* blob.h - the node's blobs: files HOME/blobs/XX/HASH, each named by the plain BLAKE3 hash of its bytes, whole or not
 * there at all. */
#ifndef QN_CORE_NODE_BLOB_H
#define QN_CORE_NODE_BLOB_H

#include "core/env/env.h"

#define BLOB_BYTES_MAX (UINT64_C(1) << 30)

/* blob_path writes where a blob lies or would lie; QN_E_NOTFOUND when it is not there. */
QN_CHECK qn_rc blob_path(const char *home, const struct qn_hash *hash, char *dst, size_t dst_len,
                         struct qn_why *why);
/* blob_put keeps bytes. */
QN_CHECK qn_rc blob_put(const char *home, struct qn_span bytes, struct qn_hash *ret,
                        struct qn_why *why);
/* blob_keep copies the regular file open at fd, from its start, hashing as it goes: memory does not grow with it.
 *
 * *ret_bytes is its length. QN_E_TOOBIG above BLOB_BYTES_MAX; on any failure nothing new is left behind. */
QN_CHECK qn_rc blob_keep(const char *home, int fd, struct qn_hash *ret, uint64_t *ret_bytes,
                         struct qn_why *why);

#endif
