/* test_model.c - the jobs and calls on models as a node runs them: real images, sandboxed workers, foreign files. This
 * program is also the worker; `test_model make DIR` leaves weights and image sets for the shell tests. */
#include "core/model/model.h"

#include "core/base/test.h"
#include "core/job/jobs.h"
#include "core/net/blob.h"
#include "tests/fashion.h"

#include <event2/event.h>
#include <stdlib.h>
#include <unistd.h>

static const struct qn_job_kind *const TABLES[] = { QN_MODEL_JOBS, NULL };

struct qn_node {
    const char *home;
};

static qn_rc put(struct qn_node *node, struct qn_span bytes, struct qn_hash *ret,
                 struct qn_why *why)
{
    return blob_put(node->home, bytes, ret, why);
}

static qn_rc path_of(struct qn_node *node, const struct qn_hash *hash, char *dst, size_t dst_len,
                     struct qn_why *why)
{
    return blob_path(node->home, hash, dst, dst_len, why);
}

static qn_rc keep(struct qn_node *node, int fd, struct qn_hash *ret, uint64_t *ret_bytes,
                  struct qn_why *why)
{
    return blob_keep(node->home, fd, ret, ret_bytes, why);
}

static const struct qn_node_ops OPS = { .blob_put = put, .blob_path = path_of, .blob_keep = keep };

struct world {
    char home[64];
    struct event_base *base;
    struct qn_jobs *jobs;
    struct qn_node node;
    struct qn_why why;
};

static void begin(struct world *w)
{
    *w = (struct world){ 0 };
    snprintf(w->home, sizeof w->home, "/tmp/test_model.XXXXXX");
    QN_ASSERT(mkdtemp(w->home));
    w->base = event_base_new();
    w->node.home = w->home;
    struct qn_jobs_opts opts = {
        .base = w->base, .env = qn_env_real(), .home = w->home, .tables = TABLES
    };
    QN_ASSERT(qn_jobs_new(&opts, &w->jobs, NULL) == QN_OK);
}

static void end(struct world *w)
{
    char cmd[128];
    qn_jobs_free(w->jobs);
    event_base_free(w->base);
    snprintf(cmd, sizeof cmd, "rm -rf %s", w->home);
    QN_ASSERT(system(cmd) == 0);
}

/* Calls as the API does: again after each event until there is an answer. */
static qn_rc call(struct world *w, const char *name, const char *args, json_t **ret)
{
    const struct qn_call *c = QN_MODEL_CALLS;
    struct qn_arena arena = { 0 };
    uint64_t state = 0;
    struct qn_call_ctx ctx = { .env = qn_env_real(),
                               .node = &w->node,
                               .ops = &OPS,
                               .jobs = w->jobs,
                               .home = w->home,
                               .arena = &arena,
                               .local = true,
                               .state = &state };
    while (strcmp(c->name, name) != 0)
        c++;
    json_t *json = json_loads(args, 0, NULL);
    const struct qn_record *rec = c->params();
    void *params = qn_arena_alloc(&arena, rec->size);
    QN_ASSERT(json && params);
    w->why.text[0] = 0;
    *ret = NULL;
    qn_rc rc = qn_from_json(rec, json, &arena, params, &w->why);
    for (int i = 0; rc == QN_OK && i < 6000; i++) {
        rc = c->fn(&ctx, params, ret, &w->why);
        if (rc != QN_E_AGAIN) break;
        rc = QN_OK;
        struct timeval tv = { 0, 10000 };
        event_base_loopexit(w->base, &tv);
        event_base_dispatch(w->base);
    }
    json_decref(json);
    qn_arena_free(&arena);
    return rc;
}

static void blob(struct world *w, const struct qn_buf *bytes, char hex[65])
{
    struct qn_hash h;
    QN_ASSERT(blob_put(w->home, qn_buf_get(bytes), &h, NULL) == QN_OK);
    qn_hex(h.b, 32, hex);
}

static json_int_t num(const json_t *json, const char *name)
{
    return json_integer_value(json_object_get(json, name));
}

static void served(struct qn_test_state *t, struct world *w, const char *model, const char *data,
                   const json_t *rows)
{
    char args[4000];
    json_t *ret;
    snprintf(args, sizeof args, "{\"model\":\"%s\"}", model);
    CHECK_RC(call(w, "model.serve", args, &ret), QN_OK);
    char *job = strdup(json_string_value(json_object_get(ret, "job")));
    json_decref(ret);
    for (int i = 0; i < 5; i++) {
        snprintf(args, sizeof args, "{\"data\":\"%s\",\"index\":%d}", data, i);
        CHECK_RC(call(w, "model.sample", args, &ret), QN_OK);
        const json_t *want = json_array_get(rows, (size_t)i);
        CHECK(num(ret, "label") == num(want, "label"));
        snprintf(args, sizeof args, "{\"job\":\"%s\",\"image\":\"%s\"}", job,
                 json_string_value(json_object_get(ret, "image")));
        json_decref(ret);
        CHECK_RC(call(w, "model.ask", args, &ret), QN_OK);
        CHECK(json_equal(json_object_get(ret, "logits"), json_object_get(want, "logits")));
        CHECK(num(ret, "class") == num(want, "class"));
        json_decref(ret);
    }
    snprintf(args, sizeof args, "{\"job\":\"%s\",\"image\":\"00\"}", job);
    CHECK_RC(call(w, "model.ask", args, &ret), QN_E_FORMAT);
    CHECK(strstr(w->why.text, "1568 hex digits") != NULL);
    struct qn_hash id;
    QN_ASSERT(qn_unhex(job, 64, id.b, 32));
    CHECK_RC(qn_job_cancel(w->jobs, &id), QN_OK);
    free(job);
}

static void test_calls(struct qn_test_state *t)
{
    struct world w;
    struct qn_buf train = { 0 }, test = { 0 }, weights = { 0 };
    struct images set;
    char calib_hex[65], test_hex[65], weights_hex[65], model[65], args[600];
    json_t *ret;
    if (!fashion_load("train", 4000, &train) || !fashion_load("t10k", 2000, &test)) {
        printf("skipped: no images in " FASHION "\n");
        return;
    }
    begin(&w);
    QN_ASSERT(images_open(qn_buf_get(&train), &set, NULL) == QN_OK);
    fashion_train(&set, 120, 3, &weights);
    blob(&w, &train, calib_hex);
    blob(&w, &test, test_hex);
    blob(&w, &weights, weights_hex);
    snprintf(args, sizeof args, "{\"weights\":\"%s\",\"calib\":\"%s\",\"test\":\"%s\"}",
             weights_hex, calib_hex, test_hex);
    CHECK_RC(call(&w, "model.quantise", args, &ret), QN_OK);
    json_int_t right = num(ret, "right_int8");
    CHECK(num(ret, "cnt") == 2000 && right > 1400 && num(ret, "bytes") > 101632);
    CHECK(right + 20 > num(ret, "right_f32"));
    snprintf(model, sizeof model, "%s", json_string_value(json_object_get(ret, "model")));
    json_decref(ret);

    snprintf(args, sizeof args, "{\"model\":\"%s\"}", model);
    CHECK_RC(call(&w, "model.get", args, &ret), QN_OK);
    CHECK(num(ret, "in") == 784 && num(ret, "out") == 10 && num(ret, "weights") == 101632);
    CHECK(json_array_size(json_object_get(ret, "layers")) == 2);
    CHECK(strcmp(json_string_value(json_object_get(ret, "model")), model) == 0);
    json_decref(ret);
    snprintf(args, sizeof args, "{\"path\":\"%s/blobs/%.2s/%s\"}", w.home, model, model);
    CHECK_RC(call(&w, "model.import", args, &ret), QN_OK);
    CHECK(strcmp(json_string_value(json_object_get(ret, "model")), model) == 0);
    json_decref(ret);

    snprintf(args, sizeof args, "{\"model\":\"%s\",\"data\":\"%s\"}", model, test_hex);
    CHECK_RC(call(&w, "model.eval", args, &ret), QN_OK);
    CHECK(num(ret, "right") == right && num(ret, "cnt") == 2000); /* as the report said */
    if (getenv("VERBOSE")) json_dumpf(ret, stdout, 0), printf("\n");
    json_decref(ret);
    snprintf(args, sizeof args, "{\"model\":\"%s\",\"data\":\"%s\",\"cnt\":2000}", model, test_hex);
    CHECK_RC(call(&w, "model.run", args, &ret), QN_OK);
    CHECK(json_array_size(ret) == 2000);
    size_t i;
    const json_t *row;
    json_array_foreach(ret, i, row) right -= num(row, "class") == num(row, "label");
    CHECK(right == 0);
    served(t, &w, model, test_hex, ret);
    json_decref(ret);
    qn_buf_free(&train);
    qn_buf_free(&test);
    qn_buf_free(&weights);

    /* Files that are something else are refused in words, whichever way they come. */
    snprintf(args, sizeof args, "{\"model\":\"%s\",\"data\":\"%s\"}", test_hex, test_hex);
    CHECK(call(&w, "model.eval", args, &ret) != QN_OK && strstr(w.why.text, "no ONNX model"));
    snprintf(args, sizeof args, "{\"model\":\"%s\",\"data\":\"%s\"}", model, model);
    CHECK_RC(call(&w, "model.eval", args, &ret), QN_E_FORMAT);
    CHECK_RC(call(&w, "model.import", "{\"path\":\"/etc/hostname-that-is-not\"}", &ret),
             QN_E_NOTFOUND);
    CHECK(call(&w, "model.import", "{\"path\":\"/dev/null\"}", &ret) != QN_OK);
    snprintf(args, sizeof args, "{\"weights\":\"%s\",\"calib\":\"%s\",\"test\":\"%s\"}", model,
             calib_hex, test_hex);
    CHECK_RC(call(&w, "model.quantise", args, &ret), QN_E_FORMAT);
    snprintf(args, sizeof args, "{\"model\":\"%064d\"}", 0);
    CHECK_RC(call(&w, "model.get", args, &ret), QN_E_NOTFOUND);
    snprintf(args, sizeof args, "{\"model\":\"%s\",\"data\":\"%s\",\"index\":1999,\"cnt\":2}",
             model, test_hex);
    CHECK_RC(call(&w, "model.run", args, &ret), QN_E_RANGE);
    snprintf(args, sizeof args, "{\"data\":\"%s\",\"index\":2000}", test_hex);
    CHECK_RC(call(&w, "model.sample", args, &ret), QN_E_NOTFOUND);
    end(&w);
}

static int make(const char *dir)
{
    static const struct {
        const char *name;
        uint32_t steps;
    } NETS[] = { { "good", 400 }, { "weak", 8 }, { "random", 0 } };
    struct qn_buf train = { 0 }, test = { 0 };
    struct images set;
    char path[4096];
    if (!fashion_load("train", 8000, &train) || !fashion_load("t10k", 2000, &test)) return 1;
    if (images_open(qn_buf_get(&train), &set, NULL)) return 1;
    snprintf(path, sizeof path, "%s/train.qnds", dir);
    if (qn_file_write(path, qn_buf_get(&train), 0600, NULL)) return 1;
    snprintf(path, sizeof path, "%s/test.qnds", dir);
    if (qn_file_write(path, qn_buf_get(&test), 0600, NULL)) return 1;
    for (size_t i = 0; i < QN_COUNT(NETS); i++) {
        struct qn_buf weights = { 0 };
        fashion_train(&set, NETS[i].steps, 5, &weights);
        snprintf(path, sizeof path, "%s/%s.qntw", dir, NETS[i].name);
        if (qn_file_write(path, qn_buf_get(&weights), 0600, NULL)) return 1;
        qn_buf_free(&weights);
    }
    return 0;
}

int main(int argc, char **argv)
{
    if (argc > 2 && strcmp(argv[1], "worker") == 0) return qn_worker_main(argv[2], TABLES);
    if (argc > 2 && strcmp(argv[1], "make") == 0) return make(argv[2]);
    TEST_BEGIN();
    TEST(test_calls);
    return TEST_END();
}
