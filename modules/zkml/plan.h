/* plan.h - everything about a proof that is known before it: the network's shape, where each cell lies, how many rows
 * are opened, how long each section is, and what an adversary's chances sum to. One function, zkml_plan_make, computes
 * it for prover, verifier and `quoin proof bits`; no floats.
 *
 * Oracles are matrices: a row is a polynomial over F (cells, then random coefficients), a column of the encoded matrix
 * is a leaf of a Merkle tree.
 *
 *   W  weights, committed once a model. Row j of m; layer l's neurons o = blk m + j at columns w_off[l] + blk (in + 1):
 *      in weights, then the bias. `budget` proofs may open t rows each, so t * budget random coefficients follow.
 *   P  fresh for each proof:  s_W (K) | A | s_A (K) | z (K) | s_z (K)
 *      A holds bits: slot t of neuron o at row t mod ZK_A_ROWS, column (t / ZK_A_ROWS) cells + o. Slots of a neuron:
 *      r (s bits) | y (7 or 8, hidden layers only) | over (k) | under (k).   z holds the pads of all scalars sent.
 *      s_* mask what is shown in clear at the end. */
#ifndef QN_MODULES_ZKML_PLAN_H
#define QN_MODULES_ZKML_PLAN_H

#include "modules/zkml/field.h"

#define ZK_LAYERS_MAX  8
#define ZK_DIM_MAX     4096 /* of a layer */
#define ZK_CELLS_MAX   4096 /* neurons in all */
#define ZK_W_ROWS_MAX  128
#define ZK_A_ROWS      12
#define ZK_P_ROWS      32 /* 5 s_W, 12 A, 5 s_A, 5 z, 5 s_z */
#define ZK_BIAS_MAX    (1 << 22)
#define ZK_Z_MAX       512
#define ZK_QUERIES_MAX 256
#define ZK_PROOF_MAX   262000u /* 256 KiB, less what its hex needs around it in a call */
#define ZK_BUDGET_MAX  1024
#define ZK_SALT        16
#define ZK_CLAIMS_MAX  96
#define ZK_TERMS_MAX   1024 /* pieces of covectors; plans with more are refused */

enum { ZK_P_SW = 0, ZK_P_A = 5, ZK_P_SA = 17, ZK_P_Z = 22, ZK_P_SZ = 27 };

/* What the world knows of a model. */
struct zkml_layer_shape {
    uint32_t in, out;
    int32_t m; /* q = floor((m acc + 2^(s-1)) / 2^s) */
    uint8_t s;
    bool relu;
};

struct zkml_shape {
    uint32_t layer_cnt;
    struct zkml_layer_shape layer[ZK_LAYERS_MAX];
};

struct zkml_plan_layer {
    uint32_t off;           /* first neuron */
    uint32_t w_off, w_blks; /* columns of W */
    uint32_t k, y_bits;     /* slots: r at 0, y at s, over at s + y_bits, under behind */
    int32_t lo, hi;         /* clamp */
    uint32_t log_in;        /* variables of the product's sumcheck; layers above the first */
};

struct zkml_plan {
    struct zkml_shape shape;
    struct zkml_plan_layer layer[ZK_LAYERS_MAX];
    uint32_t budget;
    /* W */
    uint32_t log_m, m, w_cols, w_deg; /* w_deg = w_cols + budget * queries */
    /* A */
    uint32_t cells, slots, groups, a_cols, a_deg;
    uint32_t log_cells, log_slots; /* variables of the bits' sumcheck */
    /* z: pads in the order of the scalars, then triples */
    uint32_t pad_cnt, triple_cnt, z_cells, z_deg;
    /* the code and its tests */
    uint32_t log_n, queries, grind;
    /* lengths of the file's sections, but for the openings */
    uint32_t scalar_cnt; /* of K, in section 3 */
    uint32_t proof_max;  /* bytes of a whole proof at most */
    /* security, in tenths of a bit, each rounded down */
    uint32_t bits, bits_query, bits_gap, bits_iop, bits_hash;
};

/* zkml_plan_make checks the shape and computes the rest. budget: proofs a commitment of W is good for.
 *
 * QN_E_RANGE for a shape that cannot be proved (why says what: dimensions that do not chain, an accumulator that could
 * leave the field), QN_E_TOOBIG when a proof would not fit ZK_PROOF_MAX. */
QN_CHECK qn_rc zkml_plan_make(const struct zkml_shape *shape, uint32_t budget,
                              struct zkml_plan *ret, struct qn_why *why);

/* Slots of a layer's neuron. */
static inline uint32_t zkml_slot_over(const struct zkml_plan *p, uint32_t l)
{
    return p->shape.layer[l].s + p->layer[l].y_bits;
}
static inline uint32_t zkml_slot_under(const struct zkml_plan *p, uint32_t l)
{
    return zkml_slot_over(p, l) + p->layer[l].k;
}

/* zkml_shape_hash is the graph: H("zk/graph", semantics and every number of the shape). zkml_model_hash is M. */
struct qn_hash zkml_shape_hash(const struct zkml_shape *shape);
struct qn_hash zkml_model_hash(const struct zkml_shape *shape, uint32_t budget,
                               const struct qn_hash *root_w);

#endif
