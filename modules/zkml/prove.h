/* prove.h - making a proof. What it takes from outside is in the input: with the same seed it makes the same bytes. A
 * seed is used for one proof only, ever: two proofs with one seed would show what their masks hide. */
#ifndef QN_MODULES_ZKML_PROVE_H
#define QN_MODULES_ZKML_PROVE_H

#include "modules/zkml/proto.h"
#include "modules/zkml/secret.h"

struct zkml_prove_in {
    const struct zkml_secret *secret;
    const int8_t *x;
    struct qn_hash chain, job, prover;
    uint64_t height_from, height_to;
    uint8_t seed[32];
};

/* What a lying prover does, for the forgery suite: a whole proof is made round the lie, the rest as honest as can be. */
enum zkml_lie_kind {
    ZK_LIE_NONE,
    ZK_LIE_ROUND_UP,   /* neuron `at`: y + 1 with r - 2^s */
    ZK_LIE_ROUND_DOWN, /* y - 1 with r + 2^s */
    ZK_LIE_OVER,       /* y - 1 with over + 1: clamped though not at the end */
    ZK_LIE_UNDER,      /* y + 1 with under + 1 */
    ZK_LIE_BOTH,       /* over + 1 and under + 1 */
    ZK_LIE_WRAP,       /* the equation holds mod p only: m acc + p */
    ZK_LIE_BIT,        /* slot `at` of neuron 0 holds 2, the slot above one less */
    ZK_LIE_WEIGHT,     /* computes with another weight `at` of layer 0 than committed */
    ZK_LIE_BIAS,       /* with another bias `at` of the last layer */
    ZK_LIE_INPUT,      /* proves x, publishes x' */
    ZK_LIE_MODEL,      /* names another commitment */
    ZK_LIE_SCALAR,     /* scalar `at` is one more than it should */
    ZK_LIE_TRIPLE,     /* w of triple `at` is no product */
    ZK_LIE_TRIPLE_H,   /* h of triple `at` is none */
    ZK_LIE_DEGREE,     /* word `at` of P has one coefficient too many */
    ZK_LIE_TAU,
    ZK_LIE_END,    /* number `at` of the vectors at the end */
    ZK_LIE_ABSORB, /* 0 root, 1 tau, 2 vectors, 3 input is left out of the prover's transcript */
    ZK_LIE_NONCE,  /* not ground */
    ZK_LIE_LEAF,   /* opened row `at` of P is another row */
    ZK_LIE_LEAF_W, /* of W */
    ZK_LIE_FIT,    /* u_W is another vector, opened rows are made to fit it: only the tree tells */
    ZK_LIE_UNCLAMPED, /* neuron `at` of the last layer: says its quotient as it is, below the clamp */
};

struct zkml_lie {
    enum zkml_lie_kind kind;
    uint32_t at;
};

/* zkml_prove appends a proof. lie is NULL but in tests. ret_y: outputs, in the proof's order. */
QN_CHECK qn_rc zkml_prove(const struct zkml_prove_in *in, const struct zkml_lie *lie,
                          struct qn_buf *out, int8_t *ret_y, struct qn_why *why);

/* --- witness.c: the run of the network and its bits ------------------------------------------------------------- */

struct zkml_witness {
    int64_t *acc;          /* cells: sums with bias */
    int32_t *y;            /* cells */
    int64_t *over, *under; /* cells */
    zkml_f *bit;           /* (slots, cells): 0 or 1 of an honest prover */
    int8_t *x, *out;       /* as used; outputs of the last layer */
};

/* zkml_witness_make runs the network on x; memory from arena. */
void zkml_witness_make(const struct zkml_plan *plan, const struct int8_model *net, const int8_t *x,
                       const struct zkml_lie *lie, struct qn_arena *arena,
                       struct zkml_witness *ret);

#endif
