/* work.c - job kind `quantise`, and the table of kinds. */
#include "core/model/model.h"

#include "gpu/graph/onnx.h"
#include "gpu/graph/quantise.h"
#include "gpu/plan/matmul_i8.h"

#include <stdio.h>

static json_t *report_json(const struct quantise_report *rep, const struct int8_model *model)
{
    json_t *layers = json_array();
    for (uint32_t l = 0; l < rep->layer_cnt; l++)
        json_array_append_new(
            layers, json_pack("{s:I, s:I, s:i, s:i, s:f, s:f, s:I, s:I}", "in",
                              (json_int_t)model->layer[l].in, "out",
                              (json_int_t)model->layer[l].out, "m", model->layer[l].m, "s",
                              (int)model->layer[l].s, "w_scale", rep->layer[l].w_scale, "y_scale",
                              rep->layer[l].y_scale, "w_cut", (json_int_t)rep->layer[l].w_cut,
                              "clip_ppm", (json_int_t)rep->layer[l].y_cut_ppm));
    return json_pack("{s:f, s:f, s:I, s:I, s:I, s:I, s:o}", "accuracy_f32",
                     (double)rep->right_f32 / rep->test_cnt, "accuracy_int8",
                     (double)rep->right_int8 / rep->test_cnt, "right_f32",
                     (json_int_t)rep->right_f32, "right_int8", (json_int_t)rep->right_int8, "cnt",
                     (json_int_t)rep->test_cnt, "sample_cnt", (json_int_t)rep->sample_cnt, "layers",
                     layers);
}

qn_rc model_job_quantise(struct qn_worker *w, const json_t *request, json_t **ret,
                         struct qn_why *why)
{
    struct qn_span file, calib_file, test_file;
    struct qn_arena arena = { .max = 1u << 30 };
    struct qn_matmul_i8_plan plan;
    struct images calib, test;
    struct weights weights;
    struct int8_model model;
    struct quantise_report rep;
    struct qn_buf onnx = { 0 };
    char path[4200];
    struct quantise_opts opts = {
        .loss_max =
            (double)json_integer_value(json_object_get(request, "loss_max_ppm")) / 1000000.0,
        .sample_cnt = (uint32_t)json_integer_value(json_object_get(request, "sample_cnt"))
    };
    qn_rc rc = model_input(w, "weights", &file, why);
    if (rc == QN_OK) rc = model_input(w, "calib", &calib_file, why);
    if (rc == QN_OK) rc = model_input(w, "test", &test_file, why);
    if (rc == QN_OK) rc = weights_open(file, &arena, &weights, why);
    if (rc == QN_OK) rc = images_open(calib_file, &calib, why);
    if (rc == QN_OK) rc = images_open(test_file, &test, why);
    if (rc == QN_OK) rc = qn_matmul_i8_plan(&plan, why);
    if (rc) return rc; /* the process ends: nothing needs to be given back */
    rc = quantise(&weights, &calib, &test, &opts, plan.build, &arena, &model, &rep, why);
    if (rep.test_cnt)
        qn_worker_log(w, "%u images: %.2f %% right as floats, %.2f %% as int8", rep.test_cnt,
                      100.0 * rep.right_f32 / rep.test_cnt, 100.0 * rep.right_int8 / rep.test_cnt);
    if (rc) return rc;
    onnx_export(&model, &onnx);
    snprintf(path, sizeof path, "%s/model.onnx", qn_worker_out(w));
    rc = qn_file_write(path, qn_buf_get(&onnx), 0600, why);
    if (rc == QN_OK) *ret = report_json(&rep, &model);
    return rc;
}

/* To add a kind: a function declared in model.h, a line here. */
const struct qn_job_kind QN_MODEL_JOBS[] = {
    { "quantise", "make an int8 model of float weights", model_job_quantise },
    { "infer", "look at, run, judge or serve an int8 model", model_job_infer },
    { NULL, NULL, NULL },
};
