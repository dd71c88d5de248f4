/* calls_train.c - jobs, runs and disputes as calls: looking, following, moving. */
#include "modules/training/calls.h"

#include "core/crypto/hash.h"
#include "modules/training/spec.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RUNS_MAX 8

/* --- looking ------------------------------------------------------------------------------------------------ */

qn_rc training_train_list(struct qn_call_ctx *ctx, const void *params, json_t **ret,
                          struct qn_why *why)
{
    (void)why;
    *ret = training_list_rows(ctx, TRAINING_T_JOB, training_job_record(), params);
    return QN_OK;
}

/* The runs of a job, in the order of their ids; returns how many. */
static uint32_t runs_of(struct qn_call_ctx *ctx, const struct qn_hash *job,
                        struct qn_hash ids[RUNS_MAX], struct training_run runs[RUNS_MAX])
{
    struct qn_span key, val, after = { 0 };
    struct training_pair_key at;
    uint32_t cnt = 0;
    while (cnt < RUNS_MAX &&
           qn_view_next(ctx->view, TRAINING_T_JOB_RUN, QN_SPAN_OF(*job), after, &key, &val)) {
        memcpy(at.b, key.ptr, sizeof at.b);
        after = QN_SPAN_OF(at);
        memcpy(ids[cnt].b, at.b + 32, 32);
        if (training_run_get(ctx->view, ctx->arena, &ids[cnt], &runs[cnt], NULL) == QN_OK) cnt++;
    }
    return cnt;
}

qn_rc training_train_get(struct qn_call_ctx *ctx, const void *params, json_t **ret,
                         struct qn_why *why)
{
    const struct training_by_id *p = params;
    struct qn_hash ids[RUNS_MAX];
    struct training_run runs[RUNS_MAX];
    qn_rc rc =
        training_get_row(ctx, TRAINING_T_JOB, training_job_record(), &p->id, "job", ret, why);
    if (rc) return rc;
    uint32_t cnt = runs_of(ctx, &p->id, ids, runs);
    json_t *list = json_array();
    for (uint32_t i = 0; i < cnt; i++)
        json_array_append_new(list, training_with_id(training_run_record(), &runs[i], &ids[i]));
    json_object_set_new(*ret, "runs", list);
    return QN_OK;
}

qn_rc training_train_cert(struct qn_call_ctx *ctx, const void *params, json_t **ret,
                          struct qn_why *why)
{
    const struct training_by_id *p = params;
    struct training_run run;
    json_t *job = NULL;
    qn_rc rc = training_run_get(ctx->view, ctx->arena, &p->id, &run, why);
    if (rc == QN_OK)
        rc = training_get_row(ctx, TRAINING_T_JOB, training_job_record(), &run.job, "job", &job,
                              why);
    if (rc) return rc;
    *ret = training_with_id(training_run_record(), &run, &p->id);
    json_object_set_new(*ret, "job", job);
    json_object_set_new(*ret, "checked_by",
                        json_string("follow")); /* everybody may run all of it again */
    return QN_OK;
}

qn_rc training_game_list(struct qn_call_ctx *ctx, const void *params, json_t **ret,
                         struct qn_why *why)
{
    size_t i;
    json_t *game;
    (void)why;
    *ret = training_list_rows(ctx, TRAINING_T_GAME, training_game_record(), params);
    json_array_foreach(*ret, i, game)
    {
        json_object_del(game, "nodes");
        json_object_del(game, "list");
    }
    return QN_OK;
}

qn_rc training_game_show(struct qn_call_ctx *ctx, const void *params, json_t **ret,
                         struct qn_why *why)
{
    const struct training_by_id *p = params;
    struct training_game game;
    struct training_job job;
    struct graph g;
    qn_rc rc = training_game_get(ctx->view, ctx->arena, &p->id, &game, why);
    if (rc == QN_OK) rc = training_job_get(ctx->view, ctx->arena, &game.job, &job, why);
    if (rc) return rc;
    training_graph_get(ctx->view, ctx->arena, &job.graph, &g);
    game.nodes.cnt = 0; /* for workers: train.move reads them from the ledger */
    game.list.cnt = 0;
    *ret = training_with_id(training_game_record(), &game, &p->id);
    json_object_set_new(*ret, "op", json_string(graph_op_word(g.node.ptr[game.node].op)));
    json_object_set_new(*ret, "mover",
                        json_string(training_solver_moves(game.phase) ? "solver" : "challenger"));
    return QN_OK;
}

/* --- what workers are given ----------------------------------------------------------------------------------- */

static json_t *spec_of(struct qn_call_ctx *ctx, const struct training_job *job)
{
    struct qn_span graph;
    char seed[24];
    bool found = qn_view_get(ctx->view, TRAINING_T_GRAPH, QN_SPAN_OF(job->graph), &graph);
    QN_ASSERT(found);
    snprintf(seed, sizeof seed, "%llu", (unsigned long long)job->seed);
    return json_pack("{s:o, s:s, s:o, s:o, s:I, s:I, s:I, s:I, s:I}", "graph",
                     spec_bytes(graph.ptr, graph.len), "seed", seed, "init", spec_hex(&job->init),
                     "order", spec_hex(&job->order), "batch", (json_int_t)job->batch, "steps",
                     (json_int_t)job->steps, "seg", (json_int_t)job->seg, "rec_bytes",
                     (json_int_t)job->rec_bytes, "rec_cnt", (json_int_t)job->rec_cnt);
}

static qn_rc drawn(struct qn_call_ctx *ctx, const struct qn_hash *id, struct training_job *ret,
                   struct qn_why *why)
{
    qn_rc rc = training_job_get(ctx->view, ctx->arena, id, ret, why);
    if (rc) return rc;
    if (qn_hash_is_zero(&ret->order))
        return qn_why(why, QN_E_STATE, "its order of records is not drawn yet");
    return QN_OK;
}

qn_rc training_train_manifest(struct qn_call_ctx *ctx, const void *params, json_t **ret,
                              struct qn_why *why)
{
    const struct training_by_id *p = params;
    struct training_job job;
    qn_rc rc = drawn(ctx, &p->id, &job, why);
    if (rc) return rc;
    json_t *inputs = json_pack("{s:o}", "data", spec_hex(&job.data));
    if (job.eval.has) json_object_set_new(inputs, "test", spec_hex(&job.eval.v));
    *ret =
        json_pack("{s:s, s:o, s:o}", "kind", "train", "inputs", inputs, "job", spec_of(ctx, &job));
    return QN_OK;
}

struct inputs {
    struct qn_job_input list[RUNS_MAX + 3];
    size_t cnt;
};

static qn_rc add_blob(struct qn_call_ctx *ctx, struct inputs *in, const char *name,
                      const struct qn_hash *blob, struct qn_why *why)
{
    char *path = qn_arena_alloc(ctx->arena, 4096);
    if (!path) return QN_E_MEMORY;
    qn_rc rc = ctx->ops->blob_path(ctx->node, blob, path, 4096, why);
    if (rc == QN_OK) in->list[in->cnt++] = (struct qn_job_input){ name, path };
    return rc;
}

/* --- train.plan ------------------------------------------------------------------------------------------------ */

qn_rc training_train_plan(struct qn_call_ctx *ctx, const void *params, json_t **ret,
                          struct qn_why *why)
{
    const struct training_plan *p = params;
    const struct qn_job_limits limits = { .mem_mib = 2048, .wall_ms = 60000 };
    struct qn_job_info job;
    char seed[24];
    json_t *dims = json_array();
    if (p->dims.cnt < 2) {
        json_decref(dims);
        return qn_why(why, QN_E_RANGE, "dims: inputs and classes at least");
    }
    for (uint32_t i = 0; i < p->dims.cnt; i++)
        json_array_append_new(dims, json_integer(p->dims.ptr[i]));
    snprintf(seed, sizeof seed, "%llu", (unsigned long long)p->seed);
    json_t *request =
        json_pack("{s:o, s:I, s:I, s:s, s:I}", "dims", dims, "batch",
                  (json_int_t)(p->batch ? p->batch : 64), "steps", (json_int_t)p->steps, "seed",
                  seed, "label_off", (json_int_t)(p->label_off ? p->label_off : p->dims.ptr[0]));
    qn_rc rc = training_job_wait(ctx, "train.plan", request, NULL, 0, &limits, &job, why);
    json_decref(request);
    if (rc == QN_OK) *ret = json_deep_copy(job.result);
    return rc;
}

/* --- train.check ----------------------------------------------------------------------------------------------- */

/* A challenge made ready: what to send first, what to send in a later block. */
static void make_ready(struct qn_call_ctx *ctx, json_t *verdict, const struct qn_hash *who)
{
    struct qn_hash run, salt;
    json_t *open = json_object_get(verdict, "open");
    const char *hex = json_string_value(json_object_get(verdict, "run"));
    if (!open || !hex || !qn_unhex(hex, strlen(hex), run.b, 32)) return;
    uint32_t seg = (uint32_t)json_integer_value(json_object_get(open, "seg"));
    qn_env_random(ctx->env, salt.b, sizeof salt.b);
    struct qn_hash claim = training_claim_hash(who, &salt, &run, seg, UINT64_MAX);
    json_object_set_new(open, "run", spec_hex(&run));
    json_object_set_new(open, "salt", spec_hex(&salt));
    json_object_set_new(verdict, "commit", json_pack("{s:o}", "claim", spec_hex(&claim)));
}

static qn_rc check_request(struct qn_call_ctx *ctx, const struct qn_hash *id, struct inputs *in,
                           json_t **ret, struct qn_why *why)
{
    static const char *const NAMES[RUNS_MAX] = { "run0", "run1", "run2", "run3",
                                                 "run4", "run5", "run6", "run7" };
    struct training_job job;
    struct qn_hash ids[RUNS_MAX];
    struct training_run runs[RUNS_MAX];
    qn_rc rc = drawn(ctx, id, &job, why);
    if (rc == QN_OK) rc = add_blob(ctx, in, "data", &job.data, why);
    if (rc == QN_OK && job.eval.has) rc = add_blob(ctx, in, "test", &job.eval.v, why);
    if (rc) return rc;
    uint32_t cnt = runs_of(ctx, id, ids, runs);
    json_t *list = json_array();
    for (uint32_t i = 0; rc == QN_OK && i < cnt; i++) {
        if (runs[i].cnt == 0) continue;
        rc = add_blob(ctx, in, NAMES[i], &runs[i].trace, why);
        json_array_append_new(
            list,
            json_pack("{s:o, s:s, s:o, s:o, s:I, s:I}", "run", spec_hex(&ids[i]), "input", NAMES[i],
                      "root", spec_hex(&runs[i].root), "weights", spec_hex(&runs[i].weights), "cnt",
                      (json_int_t)runs[i].cnt, "acc_ppm", (json_int_t)runs[i].acc_ppm));
    }
    *ret = json_pack("{s:o, s:o}", "job", spec_of(ctx, &job), "runs", list);
    return rc;
}

qn_rc training_train_check(struct qn_call_ctx *ctx, const void *params, json_t **ret,
                           struct qn_why *why)
{
    const struct training_check *p = params;
    const struct qn_job_limits limits = { .mem_mib = 4096, .wall_ms = 3600000 };
    struct qn_job_info job;
    struct inputs in = { .cnt = 0 };
    json_t *request = NULL, *verdict;
    char hex[65];
    size_t i;
    qn_rc rc = check_request(ctx, &p->id, &in, &request, why);
    if (rc == QN_OK)
        rc = training_job_wait(ctx, "train.check", request, in.list, in.cnt, &limits, &job, why);
    json_decref(request);
    if (rc) return rc;
    *ret = json_deep_copy(job.result);
    qn_hex(job.id.b, 32, hex);
    json_object_set_new(*ret, "checked", json_string(hex));
    json_array_foreach(json_object_get(*ret, "runs"), i, verdict)
    {
        if (p->who.has) make_ready(ctx, verdict, &p->who.v);
    }
    return QN_OK;
}

/* --- train.move ------------------------------------------------------------------------------------------------- */

/* The kept state nearest before `step` in a job's folder; 0 and no path when there is none. */
static uint64_t nearest(struct qn_call_ctx *ctx, const struct qn_hash *from, uint64_t step,
                        char path[4200])
{
    struct qn_job_info info;
    char folder[4160];
    uint64_t best = 0;
    path[0] = 0;
    if (qn_job_get(ctx->jobs, from, &info)) return 0;
    snprintf(folder, sizeof folder, "%s/out", info.folder);
    DIR *dir = opendir(folder);
    if (!dir) return 0;
    for (struct dirent *e; (e = readdir(dir));) {
        if (strncmp(e->d_name, "state-", 6) != 0) continue;
        uint64_t done = strtoull(e->d_name + 6, NULL, 10);
        if (done > best && done <= step) best = done;
    }
    closedir(dir);
    if (best) snprintf(path, 4200, "%s/state-%08llu", folder, (unsigned long long)best);
    return best;
}

static qn_rc move_request(struct qn_call_ctx *ctx, const struct training_move *p,
                          const struct training_game *game, struct inputs *in, json_t **ret,
                          struct qn_why *why)
{
    struct training_job job;
    qn_rc rc = drawn(ctx, &game->job, &job, why);
    if (rc == QN_OK) rc = add_blob(ctx, in, "data", &job.data, why);
    if (rc) return rc;
    char *path = qn_arena_alloc(ctx->arena, 4200);
    if (!path) return QN_E_MEMORY;
    uint64_t done = p->from.has ? nearest(ctx, &p->from.v, game->step_lo, path) : 0;
    if (done) in->list[in->cnt++] = (struct qn_job_input){ "state", path };
    *ret = json_pack("{s:o, s:o, s:I}", "job", spec_of(ctx, &job), "game",
                     qn_to_json(training_game_record(), game), "state_done", (json_int_t)done);
    if (p->lie.len) {
        json_t *lie = json_loadb((const char *)p->lie.ptr, p->lie.len, 0, NULL);
        if (!lie) return qn_why(why, QN_E_USAGE, "lie: not JSON");
        json_object_set_new(*ret, "lie", lie);
    }
    return QN_OK;
}

qn_rc training_train_move(struct qn_call_ctx *ctx, const void *params, json_t **ret,
                          struct qn_why *why)
{
    const struct training_move *p = params;
    const struct qn_job_limits limits = { .mem_mib = 4096, .wall_ms = 600000 };
    struct training_game game;
    struct qn_job_info job;
    struct inputs in = { .cnt = 0 };
    json_t *request = NULL;
    char hex[65];
    qn_rc rc = training_game_get(ctx->view, ctx->arena, &p->game, &game, why);
    if (rc) return rc;
    if (game.result != TRAINING_OPEN) return qn_why(why, QN_E_STATE, "the game is over");
    rc = move_request(ctx, p, &game, &in, &request, why);
    if (rc == QN_OK)
        rc = training_job_wait(ctx, "train.move", request, in.list, in.cnt, &limits, &job, why);
    json_decref(request);
    if (rc) return rc;
    json_t *body = json_deep_copy(job.result);
    const char *tx = training_solver_moves(game.phase) ? "game.roots"
                     : game.phase == TRAINING_TILE     ? "game.tile"
                                                       : "game.pick";
    qn_hex(p->game.b, 32, hex);
    json_object_set_new(body, "game", json_string(hex));
    *ret = json_pack("{s:s, s:o}", "tx", tx, "body", body);
    return QN_OK;
}
