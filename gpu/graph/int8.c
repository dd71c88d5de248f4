/* int8.c - the reference of integer models, in plain C. */
#include "gpu/graph/int8.h"

#include <stdlib.h>
#include <string.h>

uint64_t int8_layer_acc_max(const struct int8_layer *layer, uint32_t x_max)
{
    uint64_t max = 0;
    for (uint32_t o = 0; o < layer->out; o++) {
        const int8_t *row = layer->w + (size_t)o * layer->in;
        uint64_t sum = 0;
        for (uint32_t i = 0; i < layer->in; i++)
            sum += (uint64_t)(row[i] < 0 ? -row[i] : row[i]);
        int64_t bias = layer->bias[o];
        sum = sum * x_max + (uint64_t)(bias < 0 ? -bias : bias);
        max = QN_MAX(max, sum);
    }
    return max;
}

qn_rc int8_model_check(const struct int8_model *model, struct qn_why *why)
{
    if (model->layer_cnt == 0 || model->layer_cnt > INT8_LAYER_MAX)
        return qn_why(why, QN_E_RANGE, "a model has 1 to %u layers, not %u", INT8_LAYER_MAX,
                      model->layer_cnt);
    for (uint32_t l = 0; l < model->layer_cnt; l++) {
        const struct int8_layer *layer = &model->layer[l];
        if (layer->in == 0 || layer->in > INT8_DIM_MAX || layer->out == 0 ||
            layer->out > INT8_DIM_MAX || (uint64_t)layer->in * layer->out > INT8_WEIGHT_MAX)
            return qn_why(why, QN_E_RANGE, "layer %u: %u x %u is no size of a layer", l, layer->in,
                          layer->out);
        if (l > 0 && layer->in != model->layer[l - 1].out)
            return qn_why(why, QN_E_RANGE, "layer %u takes %u values where %u come", l, layer->in,
                          model->layer[l - 1].out);
        if (layer->m < 1 || layer->m > INT8_M_MAX)
            return qn_why(why, QN_E_RANGE, "layer %u: multiplier %d is not in 1..%d", l, layer->m,
                          INT8_M_MAX);
        if (layer->s < 1 || layer->s > INT8_S_MAX)
            return qn_why(why, QN_E_RANGE, "layer %u: shift %u is not in 1..%d", l, layer->s,
                          INT8_S_MAX);
        uint64_t max = int8_layer_acc_max(layer, 128);
        if (max > INT32_MAX)
            return qn_why(why, QN_E_RANGE, "layer %u: its sums reach %llu and leave 32 bits", l,
                          (unsigned long long)max);
    }
    return QN_OK;
}

uint32_t int8_model_in(const struct int8_model *model)
{
    return model->layer[0].in;
}

uint32_t int8_model_out(const struct int8_model *model)
{
    return model->layer[model->layer_cnt - 1].out;
}

uint32_t int8_model_wide(const struct int8_model *model)
{
    uint32_t wide = int8_model_in(model);
    for (uint32_t l = 0; l < model->layer_cnt; l++)
        wide = QN_MAX(wide, model->layer[l].out);
    return wide;
}

void int8_pixels(const uint8_t *pixels, size_t cnt, int8_t *ret)
{
    for (size_t i = 0; i < cnt; i++)
        ret[i] = (int8_t)(pixels[i] >> 1);
}

void int8_layer_run(const struct int8_layer *layer, const int8_t *x, int32_t *ret_acc,
                    int8_t *ret_y)
{
    for (uint32_t o = 0; o < layer->out; o++) {
        const int8_t *row = layer->w + (size_t)o * layer->in;
        int32_t sum = 0; /* of products alone: within the bound as any part of it is */
        for (uint32_t i = 0; i < layer->in; i++)
            sum += row[i] * x[i];
        sum += layer->bias[o];
        if (ret_acc) ret_acc[o] = sum;
        ret_y[o] = int8_requant(sum, layer->m, layer->s, layer->relu);
    }
}

qn_rc int8_run(const struct int8_model *model, const int8_t *x0, int8_t *ret_logits)
{
    uint32_t wide = int8_model_wide(model);
    int8_t *both = malloc(2 * (size_t)wide);
    if (!both) return QN_E_MEMORY;
    const int8_t *x = x0;
    for (uint32_t l = 0; l < model->layer_cnt; l++) {
        int8_t *y = l + 1 == model->layer_cnt ? ret_logits : both + (size_t)(l & 1) * wide;
        int8_layer_run(&model->layer[l], x, NULL, y);
        x = y;
    }
    free(both);
    return QN_OK;
}

uint32_t int8_argmax(const int8_t *logits, uint32_t cnt)
{
    uint32_t best = 0;
    for (uint32_t i = 1; i < cnt; i++)
        if (logits[i] > logits[best]) best = i;
    return best;
}
