/* fs.h - the transcript: every challenge is a hash of all that was said before it.
 *
 *     absorb    state = H("zk/fs", state | u8 label | u8 type | u32 len | bytes)
 *     squeeze   out = XOF(H("zk/sq", state | u8 label)), state = H("zk/fs2", state | u8 label)
 *
 * A message is absorbed once, by whoever reads it. A squeeze without a fresh absorb before it is a bug. */
#ifndef QN_MODULES_ZKML_FS_H
#define QN_MODULES_ZKML_FS_H

#include "modules/zkml/field.h"

enum zkml_fs_type { ZK_FS_BYTES, ZK_FS_HASH, ZK_FS_SCALAR, ZK_FS_NONCE };

struct zkml_fs {
    struct qn_hash state;
    bool fresh; /* something was absorbed since the last squeeze */
};

void zkml_fs_init(struct zkml_fs *fs);
void zkml_fs_absorb(struct zkml_fs *fs, uint8_t label, enum zkml_fs_type type, const void *bytes,
                    size_t len);
/* zkml_fs_squeeze fills ret with cnt challenges in K. */
void zkml_fs_squeeze(struct zkml_fs *fs, uint8_t label, struct zkml_k *ret, size_t cnt);
/* zkml_fs_rows draws cnt row numbers below 2^log_n, repetition included. */
void zkml_fs_rows(struct zkml_fs *fs, uint8_t label, unsigned log_n, uint32_t *ret, size_t cnt);

/* Grinding: the low bits of H("zk/pow", state | nonce) are zero. zkml_fs_grind finds the smallest nonce. */
bool zkml_fs_ground(const struct zkml_fs *fs, uint64_t nonce, unsigned bits);
uint64_t zkml_fs_grind(const struct zkml_fs *fs, unsigned bits);

#endif
