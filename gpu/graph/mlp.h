/* mlp.h - the whole train step of a multilayer perceptron with softmax cross-entropy as one L0 graph.
 *
 *   x = pixels * 2^-8;  z_l = h W_l + b_l;  h = max(z_l, 0);  logits = z_last
 *   p = exp(z - max z), s = rowsum p;  loss = mean over the batch of log s + max z - z[label]
 *   dz = (p / s - onehot) / batch;  dW = h' dz;  db = 1' dz;  dh = dz W';  dz' = h > 0 ? dh : 0
 *   gnorm = sqrt of the sum of all squared gradients
 *   Adam:  m = b1 m + (1 - b1) g;  v = b2 v + ((1 - b2) g) g;  u = (m c1) / (sqrt(v c2) + eps);
 *          w = w - lr (u + wd w);  c1 = 1 / (1 - b1^t) and c2 by the states "b1t", "b2t" (products so far)
 *   SGD:   m = b1 m + g;  w = w - lr (m + wd w)
 *   lr at step s (from 0): lr (1 - s / decay_steps), decay_steps 0: lr
 *
 * States, in order: w0 b0 w1 b1 .. (weights uniform +-sqrt(6 / (in + out)), biases 0), then for each the
 * moments m.w0 (and v.w0), then b1t, b2t (Adam). So weights are what QNTW files hold, under their names. */
#ifndef QN_GPU_GRAPH_MLP_H
#define QN_GPU_GRAPH_MLP_H

#include "gpu/graph/node.h"

#define MLP_LAYER_MAX 8u

enum mlp_opt_kind { MLP_ADAM, MLP_SGD };

struct graph_mlp {
    uint32_t layer_cnt;               /* 1 .. MLP_LAYER_MAX */
    uint32_t dims[MLP_LAYER_MAX + 1]; /* inputs, hidden .., classes */
    uint32_t batch;                   /* a power of two is exact; <= 4096 */
    uint32_t pixel_off, label_off;    /* bytes in a record */
    uint8_t arith;                    /* CONTRACT_T12 (default of training) or CONTRACT_C32 */
    uint8_t opt;                      /* enum mlp_opt_kind */
    uint32_t lr, b1, b2, eps, wd;     /* f32 bits, clean */
    uint32_t decay_steps;             /* 0: constant rate */
};

/* graph_mlp_default: 784-128-10, batch 64, pixels at 0, label at 784, T12, Adam 0.9, 0.999, 1e-8, no decay of weights,
 * rate 2e-3 falling to 0 over `steps`. */
struct graph_mlp graph_mlp_default(uint32_t steps);

/* graph_mlp makes the graph, checked, in arena (about 1 MiB). QN_E_RANGE when opt is out of its ranges. */
QN_CHECK qn_rc graph_mlp(const struct graph_mlp *opt, struct qn_arena *arena, struct graph *ret,
                         struct qn_why *why);

#endif
