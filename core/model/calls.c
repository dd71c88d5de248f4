/* calls.c - models as calls: made, looked at, run, judged, served, asked. */
#include "core/model/model.h"

#include "core/job/calls.h"
#include "gpu/graph/images.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/schema/define.h"

#include "core/model/model.def"

#define SERVE_MS   UINT64_C(86400000)
#define SAMPLE_MAX 65536u

struct blob_input {
    const char *name;
    const struct qn_hash *blob;
};

/* Starts a job on blobs at the first try, QN_E_AGAIN until it is done, then its result. */
static qn_rc work(struct qn_call_ctx *ctx, const char *kind, json_t *request QN_TAKES,
                  const struct blob_input *blobs, size_t cnt, struct qn_job_info *ret,
                  struct qn_why *why)
{
    char paths[3][4096];
    struct qn_job_input inputs[3] = { { 0 } };
    const struct qn_job_limits limits = { .mem_mib = 3072 };
    qn_rc rc = QN_OK;
    QN_ASSERT(cnt <= QN_COUNT(inputs));
    for (size_t i = 0; *ctx->state == 0 && rc == QN_OK && i < cnt; i++) {
        inputs[i] = (struct qn_job_input){ blobs[i].name, paths[i] };
        rc = ctx->ops->blob_path(ctx->node, blobs[i].blob, paths[i], sizeof paths[i], NULL);
        if (rc) rc = qn_why(why, rc, "%s: this node has no such blob", blobs[i].name);
    }
    if (rc == QN_OK) rc = qn_job_run(ctx, kind, request, inputs, cnt, &limits, ret, why);
    json_decref(request);
    return rc;
}

static void set_hex(json_t *json, const char *name, const struct qn_hash *h)
{
    char hex[65];
    qn_hex(h->b, 32, hex);
    json_object_set_new(json, name, json_string(hex));
}

static qn_rc quantise_call(struct qn_call_ctx *ctx, const void *params, json_t **ret,
                           struct qn_why *why)
{
    const struct model_quantise *p = params;
    const struct blob_input blobs[] = { { "weights", &p->weights },
                                        { "calib", &p->calib },
                                        { "test", &p->test } };
    struct qn_job_info job;
    struct qn_hash blob;
    uint64_t bytes;
    json_t *request = json_pack("{s:I, s:I}", "sample_cnt", (json_int_t)p->sample_cnt,
                                "loss_max_ppm", (json_int_t)p->loss_max_ppm);
    qn_rc rc = work(ctx, "quantise", request, blobs, QN_COUNT(blobs), &job, why);
    if (rc == QN_OK) rc = qn_job_keep(ctx, &job.id, "model.onnx", &blob, &bytes, why);
    if (rc) return rc;
    *ret = json_deep_copy(job.result);
    set_hex(*ret, "model", &blob);
    set_hex(*ret, "job", &job.id);
    json_object_set_new(*ret, "bytes", json_integer((json_int_t)bytes));
    return QN_OK;
}

static qn_rc infer(struct qn_call_ctx *ctx, json_t *request QN_TAKES, const struct qn_hash *model,
                   const struct qn_hash *data, json_t **ret, struct qn_why *why)
{
    const struct blob_input blobs[] = { { "model", model }, { "data", data } };
    struct qn_job_info job;
    qn_rc rc = work(ctx, "infer", request, blobs, data ? 2 : 1, &job, why);
    if (rc == QN_OK) *ret = json_deep_copy(job.result);
    return rc;
}

static qn_rc get_call(struct qn_call_ctx *ctx, const void *params, json_t **ret, struct qn_why *why)
{
    const struct model_by_id *p = params;
    return infer(ctx, json_pack("{s:s}", "mode", "look"), &p->model, NULL, ret, why);
}

/* The file becomes a blob at the first try; the rest is model.get, which waits for the same job. */
static qn_rc import_call(struct qn_call_ctx *ctx, const void *params, json_t **ret,
                         struct qn_why *why)
{
    const struct model_import *p = params;
    struct model_by_id by = { 0 };
    char path[4001];
    uint64_t bytes;
    if (*ctx->state == 0) {
        snprintf(path, sizeof path, "%.*s", (int)p->path.len, (const char *)p->path.ptr);
        int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        if (fd < 0)
            return qn_why(why, errno == ENOENT ? QN_E_NOTFOUND : qn_err_errno(errno), "%s: %s",
                          path, strerror(errno));
        qn_rc rc = ctx->ops->blob_keep(ctx->node, fd, &by.model, &bytes, why);
        close(fd);
        if (rc) return rc;
    }
    return get_call(ctx, &by, ret, why);
}

static qn_rc run_call(struct qn_call_ctx *ctx, const void *params, json_t **ret, struct qn_why *why)
{
    const struct model_run *p = params;
    json_t *request = json_pack("{s:s, s:I, s:I}", "mode", "run", "index", (json_int_t)p->index,
                                "cnt", (json_int_t)(p->cnt ? p->cnt : 1));
    return infer(ctx, request, &p->model, &p->data, ret, why);
}

static qn_rc eval_call(struct qn_call_ctx *ctx, const void *params, json_t **ret,
                       struct qn_why *why)
{
    const struct model_eval *p = params;
    return infer(ctx, json_pack("{s:s}", "mode", "eval"), &p->model, &p->data, ret, why);
}

static qn_rc serve_call(struct qn_call_ctx *ctx, const void *params, json_t **ret,
                        struct qn_why *why)
{
    const struct model_serve *p = params;
    char path[4096];
    struct qn_hash id;
    const struct qn_job_limits limits = { .mem_mib = 2048,
                                          .wall_ms = p->wall_ms ? p->wall_ms : SERVE_MS };
    const struct qn_job_input input = { "model", path };
    qn_rc rc = ctx->ops->blob_path(ctx->node, &p->model, path, sizeof path, why);
    if (rc) return rc;
    json_t *request = json_pack("{s:s, s:I}", "mode", "serve", "delay_ms", (json_int_t)p->delay_ms);
    rc = qn_job_start(ctx->jobs, "infer", request, &input, 1, &limits, &id, why);
    json_decref(request);
    if (rc) return rc;
    *ret = json_object();
    set_hex(*ret, "job", &id);
    return QN_OK;
}

static qn_rc ask_call(struct qn_call_ctx *ctx, const void *params, json_t **ret, struct qn_why *why)
{
    const struct model_ask *p = params;
    json_t *message = NULL;
    if (*ctx->state == 0) {
        char *hex = qn_arena_alloc(ctx->arena, 2 * p->image.len + 1);
        if (!hex) return QN_E_MEMORY;
        qn_hex(p->image.ptr, p->image.len, hex);
        message = json_pack("{s:s}", "image", hex);
    }
    qn_rc rc = qn_job_ask_wait(ctx->jobs, ctx->state, &p->job, message, 0, ret, why);
    json_decref(message);
    return rc;
}

static qn_rc sample_call(struct qn_call_ctx *ctx, const void *params, json_t **ret,
                         struct qn_why *why)
{
    const struct model_sample *p = params;
    char path[4096];
    uint8_t head[IMAGES_HEAD];
    struct images set;
    qn_rc rc = ctx->ops->blob_path(ctx->node, &p->data, path, sizeof path, why);
    if (rc) return rc;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return qn_why(why, QN_E_IO, "%s: %s", path, strerror(errno));
    ssize_t got = pread(fd, head, sizeof head, 0);
    rc = images_head(QN_SPAN(head, got > 0 ? (size_t)got : 0), &set, why);
    if (rc == QN_OK && p->index >= set.rec_cnt)
        rc = qn_why(why, QN_E_NOTFOUND, "the data set has %u images", set.rec_cnt);
    if (rc == QN_OK && set.rec_bytes > SAMPLE_MAX)
        rc = qn_why(why, QN_E_TOOBIG, "its records have more than %u bytes", SAMPLE_MAX);
    uint8_t *rec = rc == QN_OK ? qn_arena_alloc(ctx->arena, set.rec_bytes) : NULL;
    char *hex = rec ? qn_arena_alloc(ctx->arena, 2 * (size_t)set.value_cnt + 1) : NULL;
    off_t at = (off_t)(IMAGES_HEAD + (uint64_t)p->index * (rc ? 0 : set.rec_bytes));
    if (rc == QN_OK && !hex) rc = QN_E_MEMORY;
    if (rc == QN_OK && pread(fd, rec, set.rec_bytes, at) != (ssize_t)set.rec_bytes)
        rc = qn_why(why, QN_E_SHORT, "the data set ends before image %u", p->index);
    close(fd);
    if (rc) return rc;
    qn_hex(rec, set.value_cnt, hex);
    *ret = json_pack("{s:I, s:I, s:s}", "index", (json_int_t)p->index, "label",
                     (json_int_t)rec[set.label_off], "image", hex);
    return QN_OK;
}

/* To add a call: a function above, a line here. */
const struct qn_call QN_MODEL_CALLS[] = {
    { "model.quantise", "make an int8 model of trained weights and keep it as an ONNX file",
      "model quantise 81ab.. 5f3a.. 77c0..", QN_CALL_LOCAL, model_quantise_record,
      "weights calib test",
      "model bytes accuracy_f32 accuracy_int8 right_f32 right_int8 cnt sample_cnt layers job",
      quantise_call },
    { "model.import", "read an ONNX file of this machine and keep it as a blob",
      "model import net.onnx", QN_CALL_LOCAL, model_import_record, "path",
      "model bytes in out weights pixels producer opset layers", import_call },
    { "model.get", "show what a model is made of", "model get 81ab..",
      QN_CALL_QUERY | QN_CALL_LOCAL, model_by_id_record, "model",
      "model bytes in out weights pixels producer opset layers", get_call },
    { "model.run", "give a model's class and logits for images of a data set",
      "model run 81ab.. 5f3a.. --index 7 --cnt 3", QN_CALL_QUERY | QN_CALL_MANY | QN_CALL_LOCAL,
      model_run_record, "model data", "class label logits", run_call },
    { "model.eval", "count how many images of a data set a model gets right",
      "model eval 81ab.. 5f3a..", QN_CALL_QUERY | QN_CALL_LOCAL, model_eval_record, "model data",
      "right cnt accuracy us images_s variant", eval_call },
    { "model.serve", "start a job that answers requests by a model", "model serve 81ab..",
      QN_CALL_LOCAL, model_serve_record, "model", "job", serve_call },
    { "model.ask", "ask a model that is served", "model ask 9b1e.. 00ff..", QN_CALL_LOCAL,
      model_ask_record, "job image", "class logits us", ask_call },
    { "model.sample", "show an image of a data set and its label", "model sample 5f3a.. 7",
      QN_CALL_QUERY | QN_CALL_LOCAL, model_sample_record, "data index", "index label image",
      sample_call },
    { 0 },
};
