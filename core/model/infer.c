/* infer.c - job kind `infer`: one model, loaded once, then looked at, run over images, judged or served. */
#include "core/model/model.h"

#include "core/crypto/hash.h"
#include "gpu/graph/images.h"
#include "gpu/graph/int8_batch.h"
#include "gpu/graph/onnx.h"
#include "gpu/plan/matmul_i8.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define ASK_MAX  256u /* images of one request */
#define ROWS_MAX 1000u
#define ARENA    (size_t)(UINT64_C(1) << 30)

struct loaded {
    struct qn_span file;
    struct qn_arena arena;
    struct int8_model model;
    struct onnx_info info;
    struct int8_batch batch;
    struct qn_matmul_i8_plan plan;
    uint32_t in, out;
    int8_t *x, *y; /* ROWS_MAX records */
};

qn_rc model_input(struct qn_worker *w, const char *name, struct qn_span *ret, struct qn_why *why)
{
    char path[4096];
    struct stat st;
    if (!qn_worker_in(w, name, path, sizeof path))
        return qn_why(why, QN_E_USAGE, "the request passed no input %s", name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st)) {
        int err = errno;
        if (fd >= 0) close(fd);
        return qn_why(why, QN_E_IO, "input %s: %s", name, strerror(err));
    }
    void *at = st.st_size ? mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0) : NULL;
    close(fd);
    if (!at || at == MAP_FAILED)
        return qn_why(why, st.st_size ? QN_E_IO : QN_E_SHORT, "input %s cannot be read", name);
    *ret = QN_SPAN(at, (size_t)st.st_size);
    return QN_OK;
}

static qn_rc load(struct qn_worker *w, struct loaded *m, struct qn_why *why)
{
    m->arena.max = ARENA;
    qn_rc rc = model_input(w, "model", &m->file, why);
    if (rc == QN_OK) rc = onnx_import(m->file, &m->arena, &m->model, &m->info, why);
    if (rc == QN_OK) rc = qn_matmul_i8_plan(&m->plan, why);
    if (rc == QN_OK) rc = int8_batch_init(&m->batch, &m->model, m->plan.build);
    if (rc) return rc;
    if (m->plan.dropped_cnt && why) qn_worker_log(w, "%s", why->text);
    m->in = int8_model_in(&m->model);
    m->out = int8_model_out(&m->model);
    m->x = malloc((size_t)ROWS_MAX * m->in);
    m->y = malloc((size_t)ROWS_MAX * m->out);
    return m->x && m->y ? QN_OK : QN_E_MEMORY;
}

static uint64_t now_us(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

/* A model without a BitShift in front takes int8 as it is: pixels are halved for it all the same, so that both forms of
 * one model give one answer. */
static void take_pixels(struct loaded *m, uint32_t row, const uint8_t *pixels)
{
    int8_pixels(pixels, m->in, m->x + (size_t)row * m->in);
}

static json_t *logits_of(const struct loaded *m, uint32_t row)
{
    json_t *list = json_array();
    for (uint32_t o = 0; o < m->out; o++)
        json_array_append_new(list, json_integer(m->y[(size_t)row * m->out + o]));
    return list;
}

static uint32_t class_of(const struct loaded *m, uint32_t row)
{
    return int8_argmax(m->y + (size_t)row * m->out, m->out);
}

/* --- modes ------------------------------------------------------------------------------------------------------ */

static json_t *look(const struct loaded *m)
{
    json_t *layers = json_array();
    uint64_t weights = 0;
    char hex[65];
    struct qn_hash hash = qn_blake3(m->file.ptr, m->file.len);
    qn_hex(hash.b, 32, hex);
    for (uint32_t l = 0; l < m->model.layer_cnt; l++) {
        const struct int8_layer *layer = &m->model.layer[l];
        weights += (uint64_t)layer->in * layer->out;
        json_array_append_new(
            layers, json_pack("{s:I, s:I, s:i, s:i, s:b, s:I}", "in", (json_int_t)layer->in, "out",
                              (json_int_t)layer->out, "m", layer->m, "s", (int)layer->s, "relu",
                              layer->relu, "acc_max", (json_int_t)int8_layer_acc_max(layer, 128)));
    }
    return json_pack("{s:s, s:I, s:I, s:I, s:I, s:b, s:s, s:I, s:o}", "model", hex, "bytes",
                     (json_int_t)m->file.len, "in", (json_int_t)m->in, "out", (json_int_t)m->out,
                     "weights", (json_int_t)weights, "pixels", m->info.pixels, "producer",
                     m->info.producer, "opset", (json_int_t)m->info.opset, "layers", layers);
}

static qn_rc open_images(struct qn_worker *w, const struct loaded *m, struct images *ret,
                         struct qn_why *why)
{
    struct qn_span blob;
    qn_rc rc = model_input(w, "data", &blob, why);
    if (rc == QN_OK) rc = images_open(blob, ret, why);
    if (rc == QN_OK && ret->value_cnt != m->in)
        rc = qn_why(why, QN_E_RANGE, "the model takes %u values, an image has %u", m->in,
                    ret->value_cnt);
    return rc;
}

static qn_rc run(struct qn_worker *w, struct loaded *m, const json_t *request, json_t **ret,
                 struct qn_why *why)
{
    struct images set;
    json_int_t first = json_integer_value(json_object_get(request, "index")),
               cnt = json_integer_value(json_object_get(request, "cnt"));
    qn_rc rc = open_images(w, m, &set, why);
    if (rc) return rc;
    if (first < 0 || cnt < 1 || cnt > MODEL_RUN_MAX || first + cnt > set.rec_cnt)
        return qn_why(why, QN_E_RANGE, "images %lld to %lld of %u, at most %u at once",
                      (long long)first, (long long)(first + cnt - 1), set.rec_cnt, MODEL_RUN_MAX);
    json_t *list = json_array();
    for (json_int_t at = 0; rc == QN_OK && at < cnt; at += ROWS_MAX) {
        uint32_t rows = (uint32_t)QN_MIN(cnt - at, (json_int_t)ROWS_MAX);
        for (uint32_t r = 0; r < rows; r++)
            take_pixels(m, r, images_values(&set, (uint32_t)(first + at) + r));
        rc = int8_batch_run(&m->batch, m->x, rows, m->y);
        for (uint32_t r = 0; rc == QN_OK && r < rows; r++)
            json_array_append_new(
                list, json_pack("{s:I, s:I, s:o}", "class", (json_int_t)class_of(m, r), "label",
                                (json_int_t)images_label(&set, (uint32_t)(first + at) + r),
                                "logits", logits_of(m, r)));
    }
    *ret = list;
    return rc;
}

static qn_rc eval(struct qn_worker *w, struct loaded *m, json_t **ret, struct qn_why *why)
{
    struct images set;
    uint32_t right = 0;
    qn_rc rc = open_images(w, m, &set, why);
    uint64_t begun = now_us();
    for (uint32_t at = 0; rc == QN_OK && at < set.rec_cnt; at += ROWS_MAX) {
        uint32_t rows = QN_MIN(set.rec_cnt - at, ROWS_MAX);
        for (uint32_t r = 0; r < rows; r++)
            take_pixels(m, r, images_values(&set, at + r));
        rc = int8_batch_run(&m->batch, m->x, rows, m->y);
        for (uint32_t r = 0; rc == QN_OK && r < rows; r++)
            right += class_of(m, r) == images_label(&set, at + r);
        qn_worker_progress(w, at + rows, set.rec_cnt, "images");
    }
    if (rc) return rc;
    uint64_t took = now_us() - begun;
    *ret = json_pack("{s:I, s:I, s:f, s:I, s:I, s:s}", "right", (json_int_t)right, "cnt",
                     (json_int_t)set.rec_cnt, "accuracy", (double)right / set.rec_cnt, "us",
                     (json_int_t)took, "images_s",
                     (json_int_t)((uint64_t)set.rec_cnt * 1000000 / QN_MAX(took, UINT64_C(1))),
                     "variant", m->plan.build->name);
    return QN_OK;
}

/* Puts the pixels of one hex text into a row. */
static qn_rc take_hex(struct loaded *m, uint32_t row, const json_t *hex, struct qn_why *why)
{
    uint8_t *pixels = (uint8_t *)m->x + (size_t)row * m->in; /* halved where they lie */
    if (!json_is_string(hex) ||
        !qn_unhex(json_string_value(hex), json_string_length(hex), pixels, m->in))
        return qn_why(why, QN_E_FORMAT, "an image is %u hex digits of pixels", 2 * m->in);
    take_pixels(m, row, pixels);
    return QN_OK;
}

static qn_rc answer(struct loaded *m, const json_t *message, json_t **ret, struct qn_why *why)
{
    const json_t *one = json_object_get(message, "image"),
                 *many = json_object_get(message, "images");
    uint64_t begun = now_us();
    size_t cnt = one ? 1 : json_array_size(many);
    qn_rc rc = QN_OK;
    if (cnt == 0 || cnt > ASK_MAX)
        return qn_why(why, QN_E_USAGE,
                      "expected {\"image\": hex} or {\"images\": [hex, ..]}, up to %u", ASK_MAX);
    for (size_t i = 0; rc == QN_OK && i < cnt; i++)
        rc = take_hex(m, (uint32_t)i, one ? one : json_array_get(many, i), why);
    if (rc == QN_OK) rc = int8_batch_run(&m->batch, m->x, (uint32_t)cnt, m->y);
    if (rc) return rc;
    json_t *list = json_array();
    for (uint32_t i = 0; i < cnt; i++)
        json_array_append_new(list, json_pack("{s:I, s:o}", "class", (json_int_t)class_of(m, i),
                                              "logits", logits_of(m, i)));
    *ret = one ? json_incref(json_array_get(list, 0)) : json_pack("{s:O}", "answers", list);
    json_decref(list);
    json_object_set_new(*ret, "us", json_integer((json_int_t)(now_us() - begun)));
    return QN_OK;
}

static qn_rc serve(struct qn_worker *w, struct loaded *m, const json_t *request)
{
    struct qn_request req;
    json_int_t delay_ms = json_integer_value(json_object_get(request, "delay_ms"));
    while (qn_worker_next(w, &req)) {
        json_t *result = NULL;
        struct qn_why why = { "" };
        if (delay_ms > 0) {
            struct timespec ts = { (time_t)(delay_ms / 1000), (long)(delay_ms % 1000) * 1000000 };
            nanosleep(&ts, NULL);
        }
        qn_rc rc = answer(m, req.message, &result, &why);
        if (rc)
            qn_worker_refuse(w, req.id, rc, why.text[0] ? why.text : qn_err_text(rc));
        else
            qn_worker_answer(w, req.id, result);
    }
    return QN_OK;
}

qn_rc model_job_infer(struct qn_worker *w, const json_t *request, json_t **ret, struct qn_why *why)
{
    struct loaded m = { 0 };
    const char *mode = json_string_value(json_object_get(request, "mode"));
    qn_rc rc = mode ? load(w, &m, why) : qn_why(why, QN_E_USAGE, "mode: expected a word");
    if (rc) return rc; /* the process ends: nothing needs to be given back */
    if (strcmp(mode, "look") == 0)
        *ret = look(&m);
    else if (strcmp(mode, "run") == 0)
        rc = run(w, &m, request, ret, why);
    else if (strcmp(mode, "eval") == 0)
        rc = eval(w, &m, ret, why);
    else if (strcmp(mode, "serve") == 0)
        rc = serve(w, &m, request);
    else
        rc = qn_why(why, QN_E_USAGE, "mode: %s is none of look, run, eval, serve", mode);
    return rc;
}
