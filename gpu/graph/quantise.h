/* quantise.h - a float perceptron (weights.h: w0 b0 w1 b1 .., ReLU between) becomes an integer model (int8.h).
 *
 * A layer's multiplier is 1: all scales are folded into its weights. With x = x_scale * x_int8, weights of scale
 * w_scale and shift s the output has scale y_scale = w_scale * x_scale * 2^s; for each s the search tries output ranges
 * around what calibration images need and keeps, layer by layer, what is nearest to the floats; the last layer what
 * agrees most often with their class. A bias takes the mean error of its row along, so that neither rounded weights nor
 * halved pixels shift an output. All in double, in a fixed order: the same model on every machine. */
#ifndef QN_GPU_GRAPH_QUANTISE_H
#define QN_GPU_GRAPH_QUANTISE_H

#include "gpu/cpu/matmul_i8.h"
#include "gpu/graph/images.h"
#include "gpu/graph/int8.h"
#include "gpu/graph/weights.h"

struct quantise_opts {
    double pixel_scale;  /* real value of a pixel step; 0: 2^-8, as training reads them */
    double loss_max;     /* accuracy, of 1, that may be lost; 0: 0.01 */
    uint32_t sample_cnt; /* calibration images used, from the first on; 0: 2,000 */
};

struct quantise_report {
    uint32_t sample_cnt;                      /* images that chose the scales */
    uint32_t test_cnt, right_f32, right_int8; /* on all test images */
    uint32_t layer_cnt;
    struct {
        double w_scale, y_scale;
        uint32_t w_cut; /* weights cut to +-127 */
        uint32_t
            y_cut_ppm; /* outputs of test images at the end of their range (with ReLU: at 127) */
    } layer[INT8_LAYER_MAX];
};

/* quantise fills ret, whose arrays lie in arena.
 *
 * calib, test  both with as many values a record as the first layer takes, and no more classes than the last gives;
 *              may be the same set
 * build        what multiplies; any gives the same bits
 * report       filled also when the loss is too large
 *
 * QN_E_RANGE: tensors or images do not fit together; QN_E_CHECK: more than loss_max would be lost; QN_E_MEMORY. */
QN_CHECK qn_rc quantise(const struct weights *w, const struct images *calib,
                        const struct images *test, const struct quantise_opts *opts,
                        const struct matmul_i8_build *build, struct qn_arena *arena,
                        struct int8_model *ret, struct quantise_report *report, struct qn_why *why);

#endif
