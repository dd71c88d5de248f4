/* calls.c - what one can ask about data sets and training, and what this node does for its owner. */
#include "modules/training/calls.h"

#include "core/job/calls.h"

#include <stdio.h>
#include <string.h>

#define LIMIT_STD 100
#define LIMIT_MAX 1000

json_t *training_with_id(const struct qn_record *rec, const void *obj, const struct qn_hash *id)
{
    char hex[65];
    json_t *json = qn_to_json(rec, obj), *out = json_object();
    qn_hex(id->b, 32, hex);
    json_object_set_new(out, "id", json_string(hex));
    json_object_update(out, json);
    json_decref(json);
    return out;
}

json_t *training_list_rows(struct qn_call_ctx *ctx, uint8_t table, const struct qn_record *rec,
                           const struct training_list *page)
{
    struct qn_span key, val, all = { 0 }, after = { 0 };
    struct qn_hash id;
    size_t limit = page->limit ? QN_MIN(page->limit, (uint32_t)LIMIT_MAX) : LIMIT_STD;
    json_t *out = json_array();
    if (page->after.has) after = QN_SPAN_OF(page->after.v);
    while (json_array_size(out) < limit && qn_view_next(ctx->view, table, all, after, &key, &val)) {
        void *obj = qn_arena_alloc(ctx->arena, rec->size);
        QN_ASSERT(key.len == 32);
        memcpy(id.b, key.ptr, 32);
        after = QN_SPAN_OF(id);
        if (!obj || qn_decode(rec, val, ctx->arena, obj, NULL)) break;
        json_array_append_new(out, training_with_id(rec, obj, &id));
    }
    return out;
}

qn_rc training_get_row(struct qn_call_ctx *ctx, uint8_t table, const struct qn_record *rec,
                       const struct qn_hash *id, const char *what, json_t **ret, struct qn_why *why)
{
    void *obj = qn_arena_alloc(ctx->arena, rec->size);
    if (!obj) return QN_E_MEMORY;
    if (qn_view_rec(ctx->view, table, QN_SPAN_OF(*id), rec, ctx->arena, obj))
        return qn_why(why, QN_E_NOTFOUND, "no %s has that id", what);
    *ret = training_with_id(rec, obj, id);
    return QN_OK;
}

/* --- jobs that a call waits for --------------------------------------------------------------------------- */

struct finding {
    uint64_t mark;
    struct qn_hash id;
    bool found;
};

static uint64_t mark_of(const struct qn_hash *id)
{
    uint64_t mark;
    memcpy(&mark, id->b, sizeof mark);
    return mark | 1; /* 0 means that there is none yet */
}

static void find_mark(void *arg, const struct qn_job_info *info)
{
    struct finding *f = arg;
    if (mark_of(&info->id) != f->mark) return;
    f->id = info->id;
    f->found = true;
}

qn_rc training_job_wait(struct qn_call_ctx *ctx, const char *kind, const json_t *request,
                        const struct qn_job_input *inputs, size_t input_cnt,
                        const struct qn_job_limits *limits, struct qn_job_info *ret,
                        struct qn_why *why)
{
    struct finding f = { .mark = *ctx->state };
    if (f.mark == 0) {
        qn_rc rc = qn_job_start(ctx->jobs, kind, request, inputs, input_cnt, limits, &f.id, why);
        if (rc) return rc;
        *ctx->state = mark_of(&f.id);
        return QN_E_AGAIN;
    }
    qn_job_each(ctx->jobs, find_mark, &f);
    if (!f.found) return qn_why(why, QN_E_JOB, "the job is gone");
    qn_rc rc = qn_job_get(ctx->jobs, &f.id, ret);
    if (rc) return rc;
    switch (ret->state) {
    case QN_JOB_QUEUED:
    case QN_JOB_RUNNING: return QN_E_AGAIN;
    case QN_JOB_DONE: return QN_OK;
    case QN_JOB_FAILED: return qn_why(why, ret->rc, "%s", ret->why);
    case QN_JOB_CANCELLED: return qn_why(why, QN_E_JOB, "the job was cancelled");
    }
    QN_BUG("qn_job_state out of range");
}

/* --- data sets -------------------------------------------------------------------------------------------- */

static qn_rc data_list(struct qn_call_ctx *ctx, const void *params, json_t **ret,
                       struct qn_why *why)
{
    (void)why;
    *ret = training_list_rows(ctx, TRAINING_T_DATA, training_data_record(), params);
    return QN_OK;
}

static qn_rc data_get(struct qn_call_ctx *ctx, const void *params, json_t **ret, struct qn_why *why)
{
    const struct training_by_id *p = params;
    return training_get_row(ctx, TRAINING_T_DATA, training_data_record(), &p->id, "data set", ret,
                            why);
}

static qn_rc data_import(struct qn_call_ctx *ctx, const void *params, json_t **ret,
                         struct qn_why *why)
{
    const struct training_import *p = params;
    const struct qn_job_limits limits = { .mem_mib = 4096, .file_mib = 1025 };
    struct qn_job_info job;
    struct qn_hash blob;
    uint64_t bytes;
    char images[1025], labels[1025], path[4200], hex[65];
    snprintf(images, sizeof images, "%.*s", (int)p->images.len, (const char *)p->images.ptr);
    snprintf(labels, sizeof labels, "%.*s", (int)p->labels.len, (const char *)p->labels.ptr);
    const struct qn_job_input inputs[] = { { "images", images }, { "labels", labels } };
    json_t *request = json_object();
    qn_rc rc = training_job_wait(ctx, "data.import", request, inputs, 2, &limits, &job, why);
    json_decref(request);
    if (rc) return rc;
    json_t *result = json_deep_copy(job.result);
    rc = qn_job_keep(ctx, &job.id, "data.qnds", &blob, &bytes, why);
    if (rc == QN_OK) {
        snprintf(path, sizeof path, "%s/out/data.qnds", job.folder);
        remove(path); /* the blob is kept */
        qn_hex(blob.b, 32, hex);
        json_object_del(result, "file");
        json_object_set_new(result, "data", json_string(hex));
        *ret = json_incref(result);
    }
    json_decref(result);
    return rc;
}

/* To add a call: a function above, a line here. */
const struct qn_call TRAINING_CALLS[] = {
    { "data.list", "list registered data sets", "data list", QN_CALL_QUERY | QN_CALL_MANY,
      training_list_record, NULL, "id name licence bytes rec_cnt", data_list },
    { "data.get", "show a registered data set", "data get 81ab..", QN_CALL_QUERY,
      training_by_id_record, "id", "id owner name licence source bytes rec_bytes rec_cnt since_ms",
      data_get },
    { "data.import", "make a data set of IDX files and keep it as a blob",
      "data import train-images-idx3-ubyte.gz train-labels-idx1-ubyte.gz", QN_CALL_LOCAL,
      training_import_record, "images labels", "data bytes rec_bytes rec_cnt dims class_cnt",
      data_import },
    { "train.list", "list training jobs", "train list", QN_CALL_QUERY | QN_CALL_MANY,
      training_list_record, NULL, "id state requester steps taken pay bond", training_train_list },
    { "train.get", "show a training job and its runs", "train get 81ab..", QN_CALL_QUERY,
      training_by_id_record, "id", "id state order seg_cnt runs", training_train_get },
    { "train.cert", "show what a run rests on: job, trace, weights, and how it ended",
      "train cert 81ab..", QN_CALL_QUERY, training_by_id_record, "id",
      "id state root trace weights acc_ppm job game", training_train_cert },
    { "train.plan", "make a perceptron's graph and first state for a job",
      "train plan --dims 784,128,10 --steps 2000", 0, training_plan_record, NULL,
      "graph hash init batch seg flop_step ops", training_train_plan },
    { "train.manifest", "make the workload a solver runs for a job whose order is drawn",
      "train manifest 81ab..", QN_CALL_QUERY, training_by_id_record, "id", "kind inputs job",
      training_train_manifest },
    { "train.check", "run a job again and compare it with its runs",
      "train check 81ab.. --timeout_ms 600000", QN_CALL_LOCAL, training_check_record, "id",
      "checked root acc_ppm runs", training_train_check },
    { "train.move", "find the next move of a game by running its steps again", "train move 77aa..",
      QN_CALL_LOCAL, training_move_record, "game", "tx body", training_train_move },
    { "game.list", "list disputes", "game list", QN_CALL_QUERY | QN_CALL_MANY, training_list_record,
      NULL, "id run result phase seg node tile rounds", training_game_list },
    { "game.get", "show a dispute", "game get 77aa..", QN_CALL_QUERY, training_by_id_record, "id",
      "id result phase seg step_lo op node tile rounds slashed", training_game_show },
    { 0 },
};
