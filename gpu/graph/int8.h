/* int8.h - integer models: what they are and, to the bit, what they compute. Runtime, prover, export and import share
 * this file; rounding, requantisation and clamps are written nowhere else.
 *
 *     x0     input, int8; of an 8-bit image pixel >> 1, so 0..127
 *     acc    bias[o] + sum over i of w[o][i] * x[i]              int32; int8_model_check proves that it fits
 *     q      floor((m * acc + 2^(s-1)) / 2^s)                    half rounds up; no halves to even, no floats
 *     y      q clamped to [-128, 127], with relu to [0, 127]     the next layer's x
 *
 * The last layer's y are the logits, requantised like any layer's. The class is the largest, the lowest index among
 * equals. A model is a chain of up to INT8_LAYER_MAX fully connected layers. */
#ifndef QN_GPU_GRAPH_INT8_H
#define QN_GPU_GRAPH_INT8_H

#include "core/base/arena.h"

#define INT8_LAYER_MAX  8u
#define INT8_DIM_MAX    65536u              /* in and out of a layer */
#define INT8_WEIGHT_MAX (UINT32_C(1) << 28) /* weights of a layer */
#define INT8_M_MAX      127
#define INT8_S_MAX      14

struct int8_layer {
    uint32_t in, out;
    const int8_t *w;     /* (out, in) row-major */
    const int32_t *bias; /* (out) */
    int32_t m;           /* 1..127; 1 where scales were folded into the weights */
    uint8_t s;           /* 1..14 */
    bool relu;
};

struct int8_model {
    uint32_t layer_cnt;
    struct int8_layer layer[INT8_LAYER_MAX]; /* w and bias belong to an arena of the caller's */
};

/* int8_model_check holds a model against every limit above: shapes that chain, ranges of m and s, and for each
 * output |bias| + sum |w| * 128 < 2^31, so that no input whatever leaves int32. QN_E_RANGE; why names the layer.
 * Everything below needs a model that passed. */
QN_CHECK qn_rc int8_model_check(const struct int8_model *model, struct qn_why *why);

/* int8_layer_acc_max is the largest |acc| that a layer can reach from inputs in [-x_max, x_max], by its weights. */
uint64_t int8_layer_acc_max(const struct int8_layer *layer, uint32_t x_max);

uint32_t int8_model_in(const struct int8_model *model);
uint32_t int8_model_out(const struct int8_model *model);
/* int8_model_wide is the largest in or out of a layer: room for any activation. */
uint32_t int8_model_wide(const struct int8_model *model);

/* int8_pixels makes x0 of 8-bit pixels. */
void int8_pixels(const uint8_t *pixels, size_t cnt, int8_t *ret);

/* int8_round is q before the clamp, int8_requant y. */
static inline int64_t int8_round(int32_t acc, int32_t m, uint8_t s)
{
    int64_t v = (int64_t)m * acc + (INT64_C(1) << (s - 1));
    return v >> s; /* arithmetic, so it is the floor: every compiler we build with */
}

static inline int8_t int8_requant(int32_t acc, int32_t m, uint8_t s, bool relu)
{
    int64_t q = int8_round(acc, m, s), low = relu ? 0 : -128;
    return (int8_t)(q < low ? low : q > 127 ? 127 : q);
}

/* int8_layer_run computes one layer: y (out) and, when ret_acc is not NULL, the sums before requantisation. */
void int8_layer_run(const struct int8_layer *layer, const int8_t *x, int32_t *ret_acc,
                    int8_t *ret_y);

/* int8_run is the reference: logits (int8_model_out) of x0 (int8_model_in). Batches: int8_batch.h. QN_E_MEMORY. */
QN_CHECK qn_rc int8_run(const struct int8_model *model, const int8_t *x0, int8_t *ret_logits);

/* int8_argmax returns the index of the largest, the lowest of equals. cnt >= 1. */
uint32_t int8_argmax(const int8_t *logits, uint32_t cnt);

#endif
