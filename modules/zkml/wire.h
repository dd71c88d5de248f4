/* wire.h - the bytes of a proof, `.qproof`. Little-endian; numbers of F below p or refused; no byte too many.
 *
 *   magic "QZKP" | u16 version 1 | u8 profile 0 (unique decoding) | u8 flags 1 (hiding) | u32 length of each section
 *   1 statement  M[32] semantics u16 layers u8 (in u32 out u32 m u8 s u8 relu u8)* budget u32 | x_len u32 x[] y_len u32
 *                y[] | chain[32] job[32] from u64 to u64 prover[32]
 *   2 roots      W[32] P[32]                  3 scalars   K[], number fixed by the plan
 *   4 levels     nonce u64                    5 openings  for W, then P: leaves (salt[16] | F[]) in rising order of row,
 *                                                         each once; then siblings, bottom up, left to right
 *   6 end        tau K | u_W K[] u_A K[] u_z K[], each vector plane by plane (all c_0, then all c_1, ...) */
#ifndef QN_MODULES_ZKML_WIRE_H
#define QN_MODULES_ZKML_WIRE_H

#include "modules/zkml/proto.h"

#define ZK_MAGIC     "QZKP"
#define ZK_SEMANTICS 1
#define ZK_HEAD_LEN  32 /* magic to the last length */

enum { ZK_PROFILE_UD = 0 };
enum { ZK_FLAG_HIDING = 1 };
enum zkml_section {
    ZK_SEC_STATEMENT,
    ZK_SEC_ROOTS,
    ZK_SEC_SCALARS,
    ZK_SEC_LEVELS,
    ZK_SEC_OPENINGS,
    ZK_SEC_END,
    ZK_SEC_CNT
};

struct zkml_file {
    struct qn_span sec[ZK_SEC_CNT];
};

/* zkml_file_split finds the sections; nothing inside them is looked at. */
QN_CHECK qn_rc zkml_file_split(struct qn_span bytes, struct zkml_file *ret, struct qn_why *why);
/* zkml_file_join writes header and sections. */
void zkml_file_join(const struct zkml_file *file, struct qn_buf *out);

/* The statement's bytes. zkml_statement_get reads them (x and y lie in bytes, root_w is given) and checks that M is the
 * hash of shape, budget and root. */
void zkml_statement_put(const struct zkml_statement *st, struct qn_buf *out);
QN_CHECK qn_rc zkml_statement_get(struct qn_span bytes, const struct qn_hash *root_w,
                                  struct zkml_statement *ret, struct qn_why *why);
/* zkml_shape_put and _get are the part "layers ... budget" of it. */
void zkml_shape_put(const struct zkml_shape *shape, struct qn_buf *out);
QN_CHECK bool zkml_shape_get(struct qn_span *bytes, struct zkml_shape *ret);

/* zkml_planes_get reads n numbers of K stored plane by plane; dst holds 5 n. */
QN_CHECK bool zkml_planes_get(struct qn_span *bytes, size_t n, zkml_f *dst);

#endif
