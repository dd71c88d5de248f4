/* calls.c - what this node can be asked about proofs, and what it does for its owner.
 *
 * HOME/zkml/M.qzw holds a model's secret, HOME/zkml/M.spent how many proofs were begun with it. The count is on the
 * disk before a proof is begun: whatever happens later, no commitment shows more rows than it has randomness for. */
#include "core/base/embed.h"
#include "modules/zkml/secret.h"
#include "modules/zkml/zkml.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LIMIT_STD 100
#define LIMIT_MAX 1000

static json_t *with_id(const struct qn_record *rec, const void *obj, const struct qn_hash *id)
{
    char hex[65];
    json_t *json = qn_to_json(rec, obj), *out = json_object();
    qn_hex(id->b, 32, hex);
    json_object_set_new(out, "id", json_string(hex));
    json_object_update(out, json);
    json_decref(json);
    return out;
}

/* --- rows --------------------------------------------------------------------------------------------------------- */

static qn_rc proof_list(struct qn_call_ctx *ctx, const void *params, json_t **ret,
                        struct qn_why *why)
{
    const struct zkml_list *p = params;
    struct qn_span key, val, all = { 0 }, after = { 0 };
    struct qn_hash id;
    uint64_t limit = p->limit ? QN_MIN(p->limit, (uint64_t)LIMIT_MAX) : LIMIT_STD;
    (void)why;
    *ret = json_array();
    if (p->after.has) after = QN_SPAN_OF(p->after.v);
    while (json_array_size(*ret) < limit &&
           qn_view_next(ctx->view, ZKML_T_VERDICT, all, after, &key, &val)) {
        struct zkml_ruling v;
        memcpy(id.b, key.ptr, 32);
        after = QN_SPAN_OF(id);
        if (qn_decode(zkml_ruling_record(), val, ctx->arena, &v, NULL)) break;
        if (!p->model.has || qn_hash_eq(&p->model.v, &v.model))
            json_array_append_new(*ret, with_id(zkml_ruling_record(), &v, &id));
    }
    return QN_OK;
}

static qn_rc proof_get(struct qn_call_ctx *ctx, const void *params, json_t **ret,
                       struct qn_why *why)
{
    const struct zkml_by_id *p = params;
    struct zkml_ruling v;
    if (qn_view_rec(ctx->view, ZKML_T_VERDICT, QN_SPAN_OF(p->id), zkml_ruling_record(), ctx->arena,
                    &v))
        return qn_why(why, QN_E_NOTFOUND, "no verdict has that id");
    *ret = with_id(zkml_ruling_record(), &v, &p->id);
    return QN_OK;
}

static qn_rc proof_models(struct qn_call_ctx *ctx, const void *params, json_t **ret,
                          struct qn_why *why)
{
    const struct zkml_list *p = params;
    struct qn_span key, val, all = { 0 }, after = { 0 };
    struct qn_hash id;
    uint64_t limit = p->limit ? QN_MIN(p->limit, (uint64_t)LIMIT_MAX) : LIMIT_STD;
    (void)why;
    *ret = json_array();
    if (p->after.has) after = QN_SPAN_OF(p->after.v);
    while (json_array_size(*ret) < limit &&
           qn_view_next(ctx->view, ZKML_T_MODEL, all, after, &key, &val)) {
        struct zkml_model m;
        memcpy(id.b, key.ptr, 32);
        after = QN_SPAN_OF(id);
        if (qn_decode(zkml_model_record(), val, ctx->arena, &m, NULL)) break;
        json_array_append_new(*ret, with_id(zkml_model_record(), &m, &id));
    }
    return QN_OK;
}

static qn_rc plan_of(const struct qn_call_ctx *ctx, const struct qn_hash *id, struct zkml_plan *ret,
                     struct qn_why *why)
{
    struct zkml_model m;
    struct zkml_shape shape;
    if (qn_view_rec(ctx->view, ZKML_T_MODEL, QN_SPAN_OF(*id), zkml_model_record(), ctx->arena, &m))
        return qn_why(why, QN_E_NOTFOUND, "no model of that id is registered");
    struct qn_span bytes = m.shape;
    QN_ASSERT(zkml_shape_get(&bytes, &shape)); /* checked when it was put */
    return zkml_plan_make(&shape, m.budget, ret, why);
}

static qn_rc proof_inspect(struct qn_call_ctx *ctx, const void *params, json_t **ret,
                           struct qn_why *why)
{
    const struct zkml_by_id *p = params;
    struct zkml_plan plan;
    qn_rc rc = plan_of(ctx, &p->id, &plan, why);
    if (rc == QN_OK) *ret = zkml_plan_json(&plan);
    return rc;
}

/* --- jobs that a call waits for ------------------------------------------------------------------------------------- */

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

static qn_rc job_begin(struct qn_call_ctx *ctx, const char *kind, json_t *request,
                       const struct qn_job_input *input, struct qn_why *why)
{
    const struct qn_job_limits limits = { .mem_mib = 4096, .wall_ms = 120000, .file_mib = 80 };
    struct qn_hash id;
    qn_rc rc = qn_job_start(ctx->jobs, kind, request, input, 1, &limits, &id, why);
    json_decref(request);
    if (rc) return rc;
    *ctx->state = mark_of(&id);
    return QN_E_AGAIN;
}

static qn_rc job_end(struct qn_call_ctx *ctx, struct qn_job_info *ret, struct qn_why *why)
{
    struct finding f = { .mark = *ctx->state };
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

/* --- setup ------------------------------------------------------------------------------------------------------------- */

static void home_path(const struct qn_call_ctx *ctx, const char *hex, const char *end,
                      char dst[4200])
{
    snprintf(dst, 4200, "%s/zkml/%s%s", ctx->home, hex, end);
}

/* The secret moves from the job's folder to where only its owner reads. */
static qn_rc keep_secret(struct qn_call_ctx *ctx, const struct qn_job_info *job, const char *model,
                         struct qn_why *why)
{
    char from[4200], to[4200];
    struct qn_buf file = { 0 };
    snprintf(from, sizeof from, "%s/out/secret.qzw", job->folder);
    snprintf(to, sizeof to, "%s/zkml", ctx->home);
    qn_rc rc = qn_dir_make(to, why);
    if (rc == QN_OK) rc = qn_file_read(from, ZK_SECRET_MAX, &file, why);
    home_path(ctx, model, ".qzw", to);
    if (rc == QN_OK) rc = qn_file_write(to, qn_buf_get(&file), 0600, why);
    if (rc == QN_OK) remove(from);
    if (file.ptr) explicit_bzero(file.ptr, file.len);
    qn_buf_free(&file);
    return rc;
}

static qn_rc proof_setup(struct qn_call_ctx *ctx, const void *params, json_t **ret,
                         struct qn_why *why)
{
    const struct zkml_setup *p = params;
    struct qn_job_info job;
    struct qn_hash id;
    char path[4096];
    qn_rc rc = QN_OK;
    if (*ctx->state == 0) {
        if (p->blob.has == (p->file.len > 0))
            return qn_why(why, QN_E_USAGE, "setup takes a blob or a file");
        snprintf(path, sizeof path, "%.*s", (int)p->file.len, (const char *)p->file.ptr);
        if (p->blob.has) rc = ctx->ops->blob_path(ctx->node, &p->blob.v, path, sizeof path, why);
        if (rc) return rc;
        const struct qn_job_input input = { "network", path };
        return job_begin(
            ctx, "setup",
            json_pack("{s:I}", "budget", (json_int_t)(p->budget ? p->budget : ZKML_BUDGET_STD)),
            &input, why);
    }
    rc = job_end(ctx, &job, why);
    if (rc) return rc;
    const char *model = json_string_value(json_object_get(job.result, "model"));
    if (!model || !qn_unhex(model, strlen(model), id.b, 32))
        return qn_why(why, QN_E_JOB, "the worker gave no model");
    rc = keep_secret(ctx, &job, model, why);
    if (rc == QN_OK) *ret = json_deep_copy(job.result);
    return rc;
}

/* --- create ------------------------------------------------------------------------------------------------------------ */

/* Counts one proof more, on the disk, or refuses. The budget stands in the secret's own head. */
static qn_rc spend(const struct qn_call_ctx *ctx, const char *hex, uint32_t budget,
                   struct qn_why *why)
{
    char path[4200], text[32];
    struct qn_buf file = { 0 };
    unsigned long spent = 0;
    home_path(ctx, hex, ".spent", path);
    qn_rc rc = qn_file_read(path, 16, &file, why);
    if (rc == QN_OK) {
        snprintf(text, sizeof text, "%.*s", (int)file.len, (const char *)file.ptr);
        char *end;
        spent = strtoul(text, &end, 10);
        if (end == text || *end != '\n') rc = qn_why(why, QN_E_CORRUPT, "%s holds no number", path);
    } else if (rc == QN_E_NOTFOUND) {
        rc = QN_OK;
    }
    qn_buf_free(&file);
    if (rc) return rc;
    if (spent >= budget)
        return qn_why(why, QN_E_LIMIT,
                      "all %u proofs of this commitment are used; more would show its weights: "
                      "quoin proof setup",
                      budget);
    snprintf(text, sizeof text, "%lu\n", spent + 1);
    return qn_file_write(path, QN_SPAN_STR(text), 0600, why);
}

static qn_rc secret_head(const char *path, uint32_t *ret_budget, struct qn_why *why)
{
    uint8_t head[512];
    struct zkml_shape shape;
    FILE *f = fopen(path, "rb");
    if (!f) return qn_why(why, QN_E_NOTFOUND, "this node holds no weights of that model");
    struct qn_span s = QN_SPAN(head, fread(head, 1, sizeof head, f)), magic;
    uint16_t version;
    fclose(f);
    if (!qn_take(&s, 4, &magic) || !qn_take_u16(&s, &version) || !zkml_shape_get(&s, &shape) ||
        !qn_take_u32(&s, ret_budget))
        return qn_why(why, QN_E_CORRUPT, "%s is damaged", path);
    return QN_OK;
}

static qn_rc create_begin(struct qn_call_ctx *ctx, const struct zkml_create *p, struct qn_why *why)
{
    char hex[65], path[4200], job[65], prover[65], chain_hex[65];
    struct qn_hash chain = qn_view_chain(ctx->view);
    uint64_t height = qn_view_height(ctx->view), span = p->span ? p->span : ZKML_SPAN_STD;
    uint32_t budget;
    qn_hex(p->model.b, 32, hex);
    home_path(ctx, hex, ".qzw", path);
    qn_rc rc = secret_head(path, &budget, why);
    if (rc == QN_OK) rc = spend(ctx, hex, budget, why);
    if (rc) return rc;
    char *x = qn_arena_alloc(ctx->arena, 2 * p->input.len + 1);
    if (!x) return QN_E_MEMORY;
    qn_hex(p->input.ptr, p->input.len, x);
    qn_hex(p->job.b, 32, job);
    qn_hex(p->prover.b, 32, prover);
    qn_hex(chain.b, 32, chain_hex);
    const struct qn_job_input input = { "secret", path };
    return job_begin(ctx, "prove",
                     json_pack("{s:s,s:s,s:s,s:s,s:I,s:I}", "x", x, "job", job, "prover", prover,
                               "chain", chain_hex, "from", (json_int_t)height, "to",
                               (json_int_t)(height + span)),
                     &input, why);
}

static qn_rc proof_create(struct qn_call_ctx *ctx, const void *params, json_t **ret,
                          struct qn_why *why)
{
    struct qn_job_info job;
    struct qn_buf file = { 0 };
    struct zkml_verdict v;
    struct qn_hash blob;
    char path[4200], hex[65];
    if (*ctx->state == 0) return create_begin(ctx, params, why);
    qn_rc rc = job_end(ctx, &job, why);
    if (rc) return rc;
    snprintf(path, sizeof path, "%s/out/proof.qproof", job.folder);
    rc = qn_file_read(path, ZK_PROOF_MAX, &file, why);
    if (rc == QN_OK) rc = zkml_verify(qn_buf_get(&file), &v, why); /* a worker is not believed */
    if (rc == QN_OK) rc = ctx->ops->blob_put(ctx->node, qn_buf_get(&file), &blob, why);
    if (rc == QN_OK) {
        *ret = zkml_verdict_json(&v, file.len);
        qn_hex(blob.b, 32, hex);
        json_object_set_new(*ret, "file", json_string(path));
        json_object_set_new(*ret, "blob", json_string(hex));
        json_object_set(*ret, "prove_ms", json_object_get(job.result, "prove_ms"));
        json_object_set(*ret, "verify_ms", json_object_get(job.result, "verify_ms"));
    }
    qn_buf_free(&file);
    return rc;
}

static qn_rc proof_input(struct qn_call_ctx *ctx, const void *params, json_t **ret,
                         struct qn_why *why)
{
    const struct zkml_input *p = params;
    struct qn_hash h = zkml_input_hash((const int8_t *)p->input.ptr, p->input.len);
    char hex[65];
    (void)ctx, (void)why;
    qn_hex(h.b, 32, hex);
    *ret = json_pack("{s:s}", "input", hex);
    return QN_OK;
}

static qn_rc proof_contract(struct qn_call_ctx *ctx, const void *params, json_t **ret,
                            struct qn_why *why)
{
    struct qn_span source;
    (void)ctx, (void)params;
    if (!qn_embed_get("lua/contracts/verdict.lua", &source))
        return qn_why(why, QN_E_ABSENT, "this build has no lua/contracts/verdict.lua");
    *ret =
        json_pack("{s:s, s:s#}", "name", "verdict", "source", (const char *)source.ptr, source.len);
    return QN_OK;
}

/* To add a call: a function above, a line here. */
const struct qn_call ZKML_CALLS[] = {
    { "proof.list", "list verdicts on proofs", "proof list", QN_CALL_QUERY | QN_CALL_MANY,
      zkml_list_record, NULL, "id model class_idx bits10 prover height", proof_list },
    { "proof.get", "show one verdict", "proof get 81ab..", QN_CALL_QUERY, zkml_by_id_record, "id",
      "id model input outputs class_idx bits10 prover height", proof_get },
    { "proof.models", "list models that proofs may be about", "proof models",
      QN_CALL_QUERY | QN_CALL_MANY, zkml_list_record, NULL, "id owner name accuracy_ppm proof_cnt",
      proof_models },
    { "proof.inspect", "say what proofs of a registered model cost and what they rest on",
      "proof inspect 7f3a..", QN_CALL_QUERY, zkml_by_id_record, "id",
      "layers budget bits queries bytes_max gas", proof_inspect },
    { "proof.setup", "commit to the weights of an int8 network; they stay on this node",
      "proof setup --file net.qni8 --budget 16", QN_CALL_LOCAL, zkml_setup_record, NULL,
      "model root shape budget bits bytes_max", proof_setup },
    { "proof.create", "prove what a committed network computes on an input",
      "proof create 7f3a.. --input 00017f.. --prover qn1..", QN_CALL_LOCAL, zkml_create_record,
      "model", "id file blob bytes class outputs bits prove_ms verify_ms", proof_create },
    { "proof.input", "name an input as verdicts name it", "proof input 00017f..", QN_CALL_QUERY,
      zkml_input_record, "input", "input", proof_input },
    { "proof.contract", "show the shipped contract that pays by verdict", "proof contract",
      QN_CALL_QUERY, NULL, NULL, "name source", proof_contract },
    { 0 },
};
