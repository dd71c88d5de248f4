/* chunk.h - proving a piece of something that is named by its plain BLAKE3 hash: one chunk (1,024 bytes, the last may be
 * shorter) and the chaining values beside its way to the root. The tree is BLAKE3's own (specification 2.1, 2.4): level by
 * level, neighbours join, an odd last one moves up as it is. */
#ifndef QN_CORE_CRYPTO_CHUNK_H
#define QN_CORE_CRYPTO_CHUNK_H

#include "core/crypto/hash.h"

#define QN_CHUNK          1024u
#define QN_CHUNK_PATH_MAX 54u
#define QN_GROUP          16384u /* 16 chunks: what streams of blobs verify at a time */

/* qn_chunk_cvs writes the chaining value of every chunk of src (len > 0) to ret, which holds one a chunk. */
void qn_chunk_cvs(const void *src, uint64_t len, struct qn_hash *ret);

/* qn_chunk_path writes the path of chunk idx, from the chunk up, given all chaining values of a content of more than one
 * chunk; ret_path holds QN_CHUNK_PATH_MAX. A content of one chunk has an empty path. */
uint32_t qn_chunk_path(const struct qn_hash *cvs, uint64_t cnt, uint64_t idx,
                       struct qn_hash *ret_path);

/* qn_chunk_check says whether chunk is chunk idx of the content of len bytes with that hash. chunk and path are untrusted;
 * both lengths must be exactly right. */
QN_CHECK bool qn_chunk_check(const struct qn_hash *hash, uint64_t len, uint64_t idx,
                             struct qn_span chunk, const struct qn_hash *path, uint32_t path_cnt);

/* qn_group_cv is the chaining value of group idx of a content: QN_GROUP bytes, the last one fewer; root: the content is this group
 * alone, and the value its hash. qn_group_cvs does cnt whole groups of a content of more than one, side by side. qn_parent_cv joins
 * two neighbouring subtrees; root: they are all of it. */
struct qn_hash qn_group_cv(const void *src, size_t len, uint64_t idx, bool root);
void qn_group_cvs(const void *src, size_t cnt, uint64_t first, struct qn_hash *ret);
struct qn_hash qn_parent_cv(const struct qn_hash *left, const struct qn_hash *right, bool root);

#endif
