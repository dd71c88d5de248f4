/* int8_batch.h - many inputs through an integer model at once, with the bits of int8_run.
 *
 *     rc = int8_batch_init(&batch, &model, plan.build);     packs the weights once
 *     rc = int8_batch_run(&batch, x, cnt, logits);          as often as wanted
 *     int8_batch_fini(&batch);
 *
 * The product runs by a variant of gpu/cpu/matmul_i8.h, which all give equal bits; gpu/plan picks one. */
#ifndef QN_GPU_GRAPH_INT8_BATCH_H
#define QN_GPU_GRAPH_INT8_BATCH_H

#include "gpu/cpu/matmul_i8.h"
#include "gpu/graph/int8.h"

#define INT8_BATCH_ROWS 256u /* inputs in work at a time: activations stay in the second cache */

struct int8_batch {
    struct int8_model model; /* weights lent */
    struct matmul_i8_packed packed[INT8_LAYER_MAX];
    bool narrow[INT8_LAYER_MAX]; /* requantisation of the layer fits 32 bits */
    int32_t *acc;                /* INT8_BATCH_ROWS * the widest out */
    int8_t *act[2];              /* INT8_BATCH_ROWS * the widest each */
};

/* int8_batch_init packs a checked model for a variant; the model's memory must outlive the batch. QN_E_MEMORY. */
QN_CHECK qn_rc int8_batch_init(struct int8_batch *ret, const struct int8_model *model,
                               const struct matmul_i8_build *build);
void int8_batch_fini(struct int8_batch *batch);

/* int8_batch_run writes logits (cnt, out) of x (cnt, in), both row-major. QN_E_MEMORY. */
QN_CHECK qn_rc int8_batch_run(struct int8_batch *batch, const int8_t *x, uint32_t cnt,
                              int8_t *ret_logits);

#endif
