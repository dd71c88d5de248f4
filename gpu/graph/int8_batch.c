/* int8_batch.c - blocks of inputs, layer by layer. */
#include "gpu/graph/int8_batch.h"

#include <stdlib.h>
#define NARROW_MAX UINT64_C(0x7fff0000) /* room for the half that rounding adds */

qn_rc int8_batch_init(struct int8_batch *ret, const struct int8_model *model,
                      const struct matmul_i8_build *build)
{
    qn_rc rc = QN_OK;
    uint32_t wide = int8_model_wide(model);
    *ret = (struct int8_batch){ .model = *model };
    ret->acc = malloc(sizeof *ret->acc * wide * INT8_BATCH_ROWS);
    ret->act[0] = malloc((size_t)wide * INT8_BATCH_ROWS);
    ret->act[1] = malloc((size_t)wide * INT8_BATCH_ROWS);
    if (!ret->acc || !ret->act[0] || !ret->act[1]) rc = QN_E_MEMORY;
    for (uint32_t l = 0; rc == QN_OK && l < model->layer_cnt; l++) {
        const struct int8_layer *layer = &model->layer[l];
        ret->narrow[l] = int8_layer_acc_max(layer, 128) * (uint64_t)layer->m < NARROW_MAX;
        rc = matmul_i8_pack(build, layer->w, layer->out, layer->in, &ret->packed[l]);
    }
    if (rc) int8_batch_fini(ret);
    return rc;
}

void int8_batch_fini(struct int8_batch *batch)
{
    for (uint32_t l = 0; l < INT8_LAYER_MAX; l++)
        if (batch->packed[l].words) matmul_i8_packed_fini(&batch->packed[l]);
    free(batch->acc);
    free(batch->act[0]);
    free(batch->act[1]);
    *batch = (struct int8_batch){ 0 };
}

/* The written rule once more in 32 bits, for layers whose m * |acc| + 2^13 cannot leave them. Compilers make
 * vectors of it; test_int8 holds it against int8_requant. */
static void requant_narrow(const int32_t *acc, const struct int8_layer *layer, uint32_t rows,
                           int8_t *y)
{
    const int32_t half = 1 << (layer->s - 1), low = layer->relu ? 0 : -128, m = layer->m;
    const int s = layer->s;
    for (uint32_t r = 0; r < rows; r++) {
        const int32_t *a = acc + (size_t)r * layer->out;
        int8_t *to = y + (size_t)r * layer->out;
        for (uint32_t o = 0; o < layer->out; o++) {
            int32_t q = (m * (a[o] + layer->bias[o]) + half) >> s;
            q = q < low ? low : q;
            to[o] = (int8_t)(q > 127 ? 127 : q);
        }
    }
}

static void requant_wide(const int32_t *acc, const struct int8_layer *layer, uint32_t rows,
                         int8_t *y)
{
    for (uint32_t r = 0; r < rows; r++)
        for (uint32_t o = 0; o < layer->out; o++) {
            size_t at = (size_t)r * layer->out + o;
            y[at] = int8_requant(acc[at] + layer->bias[o], layer->m, layer->s, layer->relu);
        }
}

qn_rc int8_batch_run(struct int8_batch *batch, const int8_t *x, uint32_t cnt, int8_t *ret_logits)
{
    const struct int8_model *model = &batch->model;
    for (uint32_t done = 0; done < cnt; done += INT8_BATCH_ROWS) {
        uint32_t rows = QN_MIN(cnt - done, INT8_BATCH_ROWS);
        const int8_t *at = x + (size_t)done * int8_model_in(model);
        for (uint32_t l = 0; l < model->layer_cnt; l++) {
            const struct int8_layer *layer = &model->layer[l];
            int8_t *to = l + 1 == model->layer_cnt
                             ? ret_logits + (size_t)done * int8_model_out(model)
                             : batch->act[l & 1];
            qn_rc rc = matmul_i8_run(&batch->packed[l], at, batch->acc, rows);
            if (rc) return rc;
            if (batch->narrow[l])
                requant_narrow(batch->acc, layer, rows, to);
            else
                requant_wide(batch->acc, layer, rows, to);
            at = to;
        }
    }
    return QN_OK;
}
