/* quantise.c - the search for scales, layer by layer, and the count of what it cost. */
#include "gpu/graph/quantise.h"

#include "gpu/cpu/ops.h"
#include "gpu/graph/int8_batch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PIXEL_SCALE 0.00390625
#define LOSS_MAX    0.01
#define SAMPLES     2000u
#define ROWS        256u /* images in work at a time where all are counted */
#define BIAS_MAX    1e9  /* far from 2^31; int8_model_check has the last word */
#define W_SCALE_LOW 0.3  /* of the scale at which no weight is cut: below, too many are */
#define W_SCALE_TOP 2.0  /* above, a weight keeps less than 7 bits */

/* Output ranges tried, of the largest float output; large outputs are rare and may be cut. */
static const double RANGES[] = { 1.0, 0.85, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2 };

struct f32_layer {
    uint32_t in, out;
    const float *w, *b; /* (in, out), (out) */
};

struct f32_net {
    uint32_t layer_cnt, wide;
    struct f32_layer layer[INT8_LAYER_MAX];
    const struct cpu_ops *ops;
    float *space, *act[2]; /* ROWS * wide each */
};

/* --- the float model ---------------------------------------------------------------------------------------- */

static qn_rc net_open(struct f32_net *net, const struct weights *w, struct qn_why *why)
{
    for (uint32_t l = 0; l < INT8_LAYER_MAX; l++) {
        char name[16];
        snprintf(name, sizeof name, "w%u", l);
        const struct weights_tensor *wl = weights_find(w, name);
        snprintf(name, sizeof name, "b%u", l);
        const struct weights_tensor *bl = weights_find(w, name);
        if (!wl && !bl) break;
        if (!wl || !bl || wl->rank != 2 || bl->cnt != wl->dims[1])
            return qn_why(why, QN_E_RANGE, "layer %u: expected w%u (in, out) and b%u (out)", l, l,
                          l);
        struct f32_layer *layer = &net->layer[net->layer_cnt];
        *layer = (struct f32_layer){ wl->dims[0], wl->dims[1], wl->v, bl->v };
        if (layer->in > INT8_DIM_MAX || layer->out > INT8_DIM_MAX)
            return qn_why(why, QN_E_RANGE, "layer %u: %u x %u is too large", l, layer->in,
                          layer->out);
        if (l > 0 && layer->in != net->layer[l - 1].out)
            return qn_why(why, QN_E_RANGE, "w%u takes %u values where w%u gives %u", l, layer->in,
                          l - 1, net->layer[l - 1].out);
        net->wide = QN_MAX(net->wide, QN_MAX(layer->in, layer->out));
        net->layer_cnt++;
    }
    if (net->layer_cnt == 0) return qn_why(why, QN_E_RANGE, "there is no tensor w0");
    net->ops = cpu_ops_best();
    net->space = aligned_alloc(64, sizeof(float) * CPU_GEMM_SPACE);
    for (int i = 0; i < 2; i++)
        net->act[i] = malloc(sizeof(float) * ROWS * net->wide);
    return net->space && net->act[0] && net->act[1] ? QN_OK : QN_E_MEMORY;
}

static void net_close(struct f32_net *net)
{
    free(net->space);
    free(net->act[0]);
    free(net->act[1]);
}

/* z (rows, out) = x W + b in training's own arithmetic. */
static void net_layer(const struct f32_net *net, uint32_t l, const float *x, uint32_t rows,
                      float *z)
{
    const struct f32_layer *f = &net->layer[l];
    struct cpu_gemm arg = { .m = rows,
                            .n = f->out,
                            .k = f->in,
                            .a = x,
                            .b = f->w,
                            .c = z,
                            .lda = f->in,
                            .ldb = f->out,
                            .ldc = f->out,
                            .t12 = true,
                            .space = net->space };
    net->ops->gemm(&arg);
    for (uint32_t r = 0; r < rows; r++)
        for (uint32_t o = 0; o < f->out; o++)
            z[(size_t)r * f->out + o] += f->b[o];
}

static void relu(float *z, size_t cnt)
{
    for (size_t i = 0; i < cnt; i++)
        z[i] = z[i] > 0 ? z[i] : 0;
}

static uint32_t argmax_f32(const float *z, uint32_t cnt)
{
    uint32_t best = 0;
    for (uint32_t i = 1; i < cnt; i++)
        if (z[i] > z[best]) best = i;
    return best;
}

/* Logits of rows images from first on; lent. */
static const float *net_logits(const struct f32_net *net, const struct images *set, uint32_t first,
                               uint32_t rows, double pixel_scale)
{
    float *x = net->act[0];
    for (uint32_t r = 0; r < rows; r++)
        for (uint32_t i = 0; i < set->value_cnt; i++)
            x[(size_t)r * set->value_cnt + i] =
                (float)(images_values(set, first + r)[i] * pixel_scale);
    for (uint32_t l = 0; l < net->layer_cnt; l++) {
        float *z = net->act[(l + 1) & 1];
        net_layer(net, l, net->act[l & 1], rows, z);
        if (l + 1 < net->layer_cnt) relu(z, (size_t)rows * net->layer[l].out);
    }
    return net->act[net->layer_cnt & 1];
}

/* --- one layer's scales --------------------------------------------------------------------------------------- */

struct search {
    const struct f32_layer *f;
    const struct matmul_i8_build *build;
    uint32_t cnt;    /* samples */
    const float *z;  /* (cnt, out), before ReLU */
    const int8_t *x; /* (cnt, in) */
    double x_scale, *x_mean, *z_mean;
    bool last;
    int8_t *w, *y; /* of the candidate in work */
    int32_t *bias;
};

struct choice {
    double w_scale, y_scale, cost;
    uint32_t agree, w_cut;
    uint8_t s;
};

static double round_half_up(double v)
{
    /* Beyond 2^52 nothing is left to round; the clamps of the callers are far below. */
    if (v > 4e15 || v < -4e15) return v;
    double t = (double)(int64_t)(v + 0.5);
    return t > v + 0.5 ? t - 1 : t;
}

static uint32_t set_weights(const struct search *s, double w_scale)
{
    uint32_t cut = 0, in = s->f->in, out = s->f->out;
    for (uint32_t o = 0; o < out; o++) {
        double sum = 0;
        for (uint32_t i = 0; i < in; i++) {
            double q = round_half_up((double)s->f->w[(size_t)i * out + o] / w_scale);
            cut += q > 127 || q < -127;
            q = q > 127 ? 127 : q < -127 ? -127 : q;
            s->w[(size_t)o * in + i] = (int8_t)q;
            sum += q * s->x_mean[i];
        }
        double b = round_half_up(s->z_mean[o] / (w_scale * s->x_scale) - sum);
        s->bias[o] = (int32_t)(b > BIAS_MAX ? BIAS_MAX : b < -BIAS_MAX ? -BIAS_MAX : b);
    }
    return cut;
}

static qn_rc run_layer(const struct search *s, uint8_t shift)
{
    struct int8_batch batch;
    struct int8_model one = { 1, { { s->f->in, s->f->out, s->w, s->bias, 1, shift, !s->last } } };
    qn_rc rc = int8_model_check(&one, NULL);
    if (rc == QN_OK) rc = int8_batch_init(&batch, &one, s->build);
    if (rc) return rc;
    rc = int8_batch_run(&batch, s->x, s->cnt, s->y);
    int8_batch_fini(&batch);
    return rc;
}

static void judge(const struct search *s, struct choice *c)
{
    uint32_t out = s->f->out;
    c->cost = 0;
    c->agree = 0;
    for (uint32_t n = 0; n < s->cnt; n++) {
        const float *z = s->z + (size_t)n * out;
        const int8_t *y = s->y + (size_t)n * out;
        for (uint32_t o = 0; o < out; o++) {
            double want = !s->last && z[o] < 0 ? 0 : (double)z[o], off = y[o] * c->y_scale - want;
            c->cost += off * off;
        }
        if (s->last) c->agree += int8_argmax(y, out) == argmax_f32(z, out);
    }
}

static bool better(const struct choice *a, const struct choice *b)
{
    return a->agree != b->agree ? a->agree > b->agree : a->cost < b->cost;
}

/* Finds the best scales and leaves w, bias and y as they give them. */
static qn_rc find_scales(struct search *s, struct choice *ret, struct qn_why *why)
{
    double w_max = 0, z_max = 0;
    struct choice best = { 0 };
    bool have = false;
    for (size_t i = 0; i < (size_t)s->f->in * s->f->out; i++) {
        double v = (double)s->f->w[i];
        w_max = QN_MAX(w_max, v < 0 ? -v : v);
    }
    for (size_t i = 0; i < (size_t)s->cnt * s->f->out; i++) {
        double v = (double)s->z[i];
        z_max = QN_MAX(z_max, v < 0 && s->last ? -v : v);
    }
    if (w_max <= 0) w_max = 1; /* a dead layer: any scale is right */
    if (z_max <= 0) z_max = 1;
    for (size_t r = 0; r < QN_COUNT(RANGES); r++)
        for (uint8_t shift = 1; shift <= INT8_S_MAX; shift++) {
            struct choice c = { .y_scale = z_max * RANGES[r] / 127, .s = shift };
            c.w_scale = c.y_scale / (s->x_scale * (1 << shift));
            if (c.w_scale < w_max / 127 * W_SCALE_LOW || c.w_scale > w_max / 127 * W_SCALE_TOP)
                continue;
            c.w_cut = set_weights(s, c.w_scale);
            qn_rc rc = run_layer(s, shift);
            if (rc == QN_E_RANGE) continue;
            if (rc) return rc;
            judge(s, &c);
            if (!have || better(&c, &best)) best = c;
            have = true;
        }
    if (!have)
        return qn_why(why, QN_E_RANGE,
                      "no shift of 1..%d fits weights up to %g with outputs up to %g", INT8_S_MAX,
                      w_max, z_max);
    set_weights(s, best.w_scale);
    *ret = best;
    return run_layer(s, best.s);
}

/* --- the whole ------------------------------------------------------------------------------------------------ */

static void means_i8(const int8_t *x, uint32_t cnt, uint32_t cols, double *ret)
{
    for (uint32_t c = 0; c < cols; c++) {
        int64_t sum = 0;
        for (uint32_t r = 0; r < cnt; r++)
            sum += x[(size_t)r * cols + c];
        ret[c] = (double)sum / cnt;
    }
}

static void means_f32(const float *x, uint32_t cnt, uint32_t cols, double *ret)
{
    for (uint32_t c = 0; c < cols; c++) {
        double sum = 0;
        for (uint32_t r = 0; r < cnt; r++)
            sum += (double)x[(size_t)r * cols + c];
        ret[c] = sum / cnt;
    }
}

static void layer_f32(const struct f32_net *net, uint32_t l, const float *x, uint32_t cnt, float *z)
{
    for (uint32_t at = 0; at < cnt; at += ROWS)
        net_layer(net, l, x + (size_t)at * net->layer[l].in, QN_MIN(cnt - at, ROWS),
                  z + (size_t)at * net->layer[l].out);
}

static qn_rc choose(const struct f32_net *net, const struct images *calib, uint32_t cnt,
                    double pixel_scale, const struct matmul_i8_build *build, struct qn_arena *arena,
                    struct int8_model *ret, struct quantise_report *report, struct qn_why *why)
{
    size_t room = (size_t)cnt * net->wide;
    float *xf = malloc(4 * room), *zf = malloc(4 * room);
    int8_t *x = malloc(room), *y = malloc(room);
    double *means = malloc(2 * sizeof(double) * net->wide);
    struct search s = { .build = build, .cnt = cnt, .x_scale = 2 * pixel_scale };
    qn_rc rc = xf && zf && x && y && means ? QN_OK : QN_E_MEMORY;
    uint32_t in = net->layer[0].in;
    for (uint32_t r = 0; rc == QN_OK && r < cnt; r++) {
        const uint8_t *px = images_values(calib, r);
        int8_pixels(px, in, x + (size_t)r * in);
        for (uint32_t i = 0; i < in; i++)
            xf[(size_t)r * in + i] = (float)(px[i] * pixel_scale);
    }
    for (uint32_t l = 0; rc == QN_OK && l < net->layer_cnt; l++) {
        struct choice c = { 0 };
        s.f = &net->layer[l];
        s.last = l + 1 == net->layer_cnt;
        s.w = qn_arena_alloc(arena, (size_t)s.f->in * s.f->out);
        s.bias = qn_arena_alloc(arena, 4 * (size_t)s.f->out);
        rc = s.w && s.bias ? QN_OK : QN_E_MEMORY;
        if (rc) break;
        layer_f32(net, l, xf, cnt, zf);
        s.x = x;
        s.y = y;
        s.z = zf;
        s.x_mean = means;
        s.z_mean = means + net->wide;
        means_i8(x, cnt, s.f->in, s.x_mean);
        means_f32(zf, cnt, s.f->out, s.z_mean);
        rc = find_scales(&s, &c, why);
        if (rc) break;
        ret->layer[l] = (struct int8_layer){ s.f->in, s.f->out, s.w, s.bias, 1, c.s, !s.last };
        report->layer[l].w_scale = c.w_scale;
        report->layer[l].y_scale = c.y_scale;
        report->layer[l].w_cut = c.w_cut;
        s.x_scale = c.y_scale;
        relu(zf, (size_t)cnt * s.f->out);
        float *swap_f = xf;
        xf = zf, zf = swap_f;
        int8_t *swap = x;
        x = y, y = swap;
    }
    ret->layer_cnt = report->layer_cnt = net->layer_cnt;
    free(xf);
    free(zf);
    free(x);
    free(y);
    free(means);
    return rc ? rc : int8_model_check(ret, why);
}

/* Runs the integer model layer by layer over one block, counting outputs at the end of their range. */
static qn_rc count_block(struct int8_batch *layer, uint32_t layer_cnt, int8_t *act[2],
                         uint32_t rows, uint64_t *ret_cut, const int8_t **ret_logits)
{
    for (uint32_t l = 0; l < layer_cnt; l++) {
        const struct int8_layer *one = &layer[l].model.layer[0];
        int8_t *y = act[(l + 1) & 1];
        qn_rc rc = int8_batch_run(&layer[l], act[l & 1], rows, y);
        if (rc) return rc;
        for (size_t i = 0; i < (size_t)rows * one->out; i++)
            ret_cut[l] += y[i] == 127 || (y[i] == -128 && !one->relu);
    }
    *ret_logits = act[layer_cnt & 1];
    return QN_OK;
}

static qn_rc count(const struct f32_net *net, const struct int8_model *model,
                   const struct images *test, double pixel_scale,
                   const struct matmul_i8_build *build, struct quantise_report *report)
{
    struct int8_batch layer[INT8_LAYER_MAX] = { 0 };
    uint64_t cut[INT8_LAYER_MAX] = { 0 };
    uint32_t classes = int8_model_out(model), in = int8_model_in(model);
    int8_t *act[2] = { malloc((size_t)ROWS * net->wide), malloc((size_t)ROWS * net->wide) };
    qn_rc rc = act[0] && act[1] ? QN_OK : QN_E_MEMORY;
    for (uint32_t l = 0; rc == QN_OK && l < model->layer_cnt; l++) {
        struct int8_model one = { 1, { model->layer[l] } };
        rc = int8_batch_init(&layer[l], &one, build);
    }
    for (uint32_t at = 0; rc == QN_OK && at < test->rec_cnt; at += ROWS) {
        uint32_t rows = QN_MIN(test->rec_cnt - at, ROWS);
        const int8_t *q;
        for (uint32_t r = 0; r < rows; r++)
            int8_pixels(images_values(test, at + r), in, act[0] + (size_t)r * in);
        rc = count_block(layer, model->layer_cnt, act, rows, cut, &q);
        if (rc) break;
        const float *z = net_logits(net, test, at, rows, pixel_scale);
        for (uint32_t r = 0; r < rows; r++) {
            uint8_t label = images_label(test, at + r);
            report->right_f32 += argmax_f32(z + (size_t)r * classes, classes) == label;
            report->right_int8 += int8_argmax(q + (size_t)r * classes, classes) == label;
        }
    }
    report->test_cnt = test->rec_cnt;
    for (uint32_t l = 0; l < model->layer_cnt; l++) {
        uint64_t all = (uint64_t)test->rec_cnt * model->layer[l].out;
        report->layer[l].y_cut_ppm = (uint32_t)(cut[l] * 1000000 / all);
        int8_batch_fini(&layer[l]);
    }
    free(act[0]);
    free(act[1]);
    return rc;
}

qn_rc quantise(const struct weights *w, const struct images *calib, const struct images *test,
               const struct quantise_opts *opts, const struct matmul_i8_build *build,
               struct qn_arena *arena, struct int8_model *ret, struct quantise_report *report,
               struct qn_why *why)
{
    struct f32_net net = { 0 };
    double pixel_scale = opts->pixel_scale > 0 ? opts->pixel_scale : PIXEL_SCALE;
    double loss_max = opts->loss_max > 0 ? opts->loss_max : LOSS_MAX;
    *report = (struct quantise_report){ 0 };
    *ret = (struct int8_model){ 0 };
    qn_rc rc = net_open(&net, w, why);
    if (rc) goto out;
    const struct images *const sets[] = { calib, test };
    for (int i = 0; i < 2; i++)
        if (sets[i]->value_cnt != net.layer[0].in ||
            sets[i]->class_cnt > net.layer[net.layer_cnt - 1].out) {
            rc = qn_why(why, QN_E_RANGE,
                        "the model takes %u values and tells %u classes, the data has %u and %u",
                        net.layer[0].in, net.layer[net.layer_cnt - 1].out, sets[i]->value_cnt,
                        sets[i]->class_cnt);
            goto out;
        }
    report->sample_cnt = QN_MIN(opts->sample_cnt ? opts->sample_cnt : SAMPLES, calib->rec_cnt);
    rc = choose(&net, calib, report->sample_cnt, pixel_scale, build, arena, ret, report, why);
    if (rc == QN_OK) rc = count(&net, ret, test, pixel_scale, build, report);
    if (rc) goto out;
    double lost = ((double)report->right_f32 - report->right_int8) / report->test_cnt;
    if (lost > loss_max)
        rc =
            qn_why(why, QN_E_CHECK, "%.2f %% right as floats, %.2f %% as int8: more than %.2f lost",
                   100.0 * report->right_f32 / report->test_cnt,
                   100.0 * report->right_int8 / report->test_cnt, 100 * loss_max);
out:
    net_close(&net);
    return rc;
}
