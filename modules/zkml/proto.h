/* proto.h - the conversation between prover and verifier, written once. zkml_proto_run walks through it: it asks the
 * source for each message, absorbs it, draws the challenges and gathers what must hold as linear claims. A verifier's
 * source reads the file, a prover's computes: both then hold the same claims.
 *
 * A scalar s that would be said is said as c = s + u, u a pad of z. So the verifier knows values as forms
 * pub + <coef, z>, and a check becomes a claim
 *
 *     <W, terms> + <A, terms> + <z, coef> = pub
 *
 * Products of two hidden scalars use w = u_a u_b from z; that w is this product is shown by giving up a second triple
 * (f, g, h): d = e u_a - f and x = u_b - g are said, and e w - h - x f - d g = d x is a claim again. */
#ifndef QN_MODULES_ZKML_PROTO_H
#define QN_MODULES_ZKML_PROTO_H

#include "core/base/arena.h"
#include "modules/zkml/fs.h"
#include "modules/zkml/plan.h"

#define ZK_INPUT_MAX ZK_DIM_MAX

/* What is proved, all public. */
struct zkml_statement {
    struct zkml_shape shape;
    uint32_t budget;
    struct qn_hash root_w; /* weights; M is zkml_model_hash of these three */
    struct qn_hash chain, job, prover;
    uint64_t height_from, height_to;
    const int8_t *x, *y; /* input; int8 outputs of the last layer */
};

/* Messages of scalars, in the order they are asked for. */
enum zkml_step {
    ZK_STEP_SUM,     /* 1: sum_o eq(zeta, o) sum_i W[o][i] y[i] of a layer above the first */
    ZK_STEP_PRODUCT, /* 2 a round: h(0), h(inf) */
    ZK_STEP_FACTORS, /* 2: folded W and y at the end */
    ZK_STEP_CLAMP,   /* 2 a round */
    ZK_STEP_CLAMPED, /* 3: over, y, under at the end */
    ZK_STEP_BITS,    /* 2 a round */
    ZK_STEP_BIT,     /* 1 */
    ZK_STEP_TRIPLE,  /* 2: d, x; said plainly */
    ZK_STEP_ROWS,    /* 2 a round: the opening's sumcheck over rows */
};

struct zkml_proto;

struct zkml_source {
    void *self;
    /* scalars gives cnt values of a step as they are in the file, pads added. QN_E_PROOF when there are none. */
    qn_rc (*scalars)(void *self, struct zkml_proto *p, enum zkml_step step, struct zkml_k *ret,
                     size_t cnt);
};

/* One piece of a covector: row j of the oracle times a[j], over columns [col, col + len) times b. */
struct zkml_term {
    uint32_t claim;
    bool on_w; /* else on A */
    uint32_t col, len;
    const struct zkml_k *a, *b;
};

struct zkml_claim {
    struct zkml_k pub, *coef; /* coef: z_cells */
};

struct zkml_triple {
    uint32_t a, b, w; /* places in z; f, g, h follow w */
};

struct zkml_proto {
    const struct zkml_plan *plan;
    const struct zkml_statement *st;
    struct zkml_source src;
    struct qn_arena arena;
    struct zkml_fs fs;
    /* where the conversation stands, for the prover */
    uint32_t layer, round, pad_at; /* pad_at: pads used so far */
    struct zkml_k alpha, e, gamma;
    struct zkml_k *zeta[ZK_LAYERS_MAX]; /* eq over the neurons of a layer */
    struct zkml_k z[32], r[32];         /* point of eq and challenges of the running sumcheck */
    /* what must hold */
    struct zkml_claim claim[ZK_CLAIMS_MAX];
    uint32_t claim_cnt;
    struct zkml_term term[ZK_TERMS_MAX];
    uint32_t term_cnt;
    struct zkml_triple triple[ZK_LAYERS_MAX + 3];
    uint32_t triple_cnt;
    /* the end: row weights, and <fold W, w_cov> + <fold A, a_cov> = end.pub + <end.coef, z> */
    struct zkml_k *row_eq, *w_cov, *a_cov;
    struct zkml_claim end;
};

/* zkml_proto_begin absorbs plan and statement. The caller absorbs root_p next, then runs. */
QN_CHECK qn_rc zkml_proto_begin(struct zkml_proto *p, const struct zkml_plan *plan,
                                const struct zkml_statement *st, const struct zkml_source *src);
void zkml_proto_root(struct zkml_proto *p, const struct qn_hash *root_p);
QN_CHECK qn_rc zkml_proto_run(struct zkml_proto *p);
void zkml_proto_fini(struct zkml_proto *p);

/* After the run: tau is said, mask challenge drawn, the three vectors said, rows drawn. */
void zkml_proto_tau(struct zkml_proto *p, const uint8_t tau[20], struct zkml_k *ret_e);
/* zkml_proto_ends absorbs the vectors' bytes; grinding is done on the state afterwards. */
void zkml_proto_ends(struct zkml_proto *p, struct qn_span vectors);
/* zkml_proto_rows absorbs the nonce and gives the rows to open, rising, without repetition. */
size_t zkml_proto_rows(struct zkml_proto *p, uint64_t nonce, uint32_t rows[ZK_QUERIES_MAX]);

#endif
