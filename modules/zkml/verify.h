/* verify.h - checking a proof. Needs the file alone, no clock, no randomness, no state; memory is bounded by the
 * plan (at most 8 MiB, a few hundred KiB for a small network) and freed before it returns. */
#ifndef QN_MODULES_ZKML_VERIFY_H
#define QN_MODULES_ZKML_VERIFY_H

#include "modules/zkml/wire.h"

struct zkml_verdict {
    struct zkml_statement st; /* x and y lie in the proof's bytes */
    struct qn_hash model;     /* M */
    struct qn_hash input;     /* H("zk/input", x) */
    struct qn_hash
        id; /* H("zk/proof", statement section): names the statement, not the proof's randomness */
    uint32_t out_cnt;   /* outputs in st.y */
    uint32_t class_idx; /* argmax of y, ties to the lower index */
    uint32_t bits;      /* tenths */
    bool hiding;
};

/* zkml_verify returns QN_OK for a valid proof; else PEER errors and one clear line in why. */
QN_CHECK qn_rc zkml_verify(struct qn_span proof, struct zkml_verdict *ret, struct qn_why *why);

/* zkml_verdict_read reads what a proof states without checking that it holds: only for proofs that zkml_verify accepted. */
QN_CHECK qn_rc zkml_verdict_read(struct qn_span proof, struct zkml_verdict *ret,
                                 struct zkml_plan *ret_plan, struct qn_why *why);

struct qn_hash zkml_input_hash(const int8_t *x, size_t len);

#endif
