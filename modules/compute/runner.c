/* runner.c - starts a lease's workload from its manifest and remembers which job it is, in
 * HOME/leases/LEASE: the job's id in hex. */
#include "modules/compute/runner.h"

#include "core/job/engine.h"
#include "core/job/jobs.h"
#include "modules/compute/compute.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MANIFEST_MAX (1u << 20)

static void note_path(const char *home, const struct qn_hash *lease_id, char dst[4096])
{
    char hex[65];
    qn_hex(lease_id->b, 32, hex);
    snprintf(dst, 4096, "%s/leases/%s", home, hex);
}

qn_rc runner_job(const char *home, const struct qn_hash *lease_id, struct qn_hash *ret_job)
{
    char path[4096];
    struct qn_buf buf = { 0 };
    note_path(home, lease_id, path);
    qn_rc rc = qn_file_read(path, 64, &buf, NULL);
    if (rc == QN_OK && !qn_unhex((const char *)buf.ptr, buf.len, ret_job->b, 32)) rc = QN_E_CORRUPT;
    qn_buf_free(&buf);
    return rc;
}

static qn_rc remember(const char *home, const struct qn_hash *lease_id, const struct qn_hash *job,
                      struct qn_why *why)
{
    char path[4096], hex[65];
    snprintf(path, sizeof path, "%s/leases", home);
    qn_rc rc = qn_dir_make(path, why);
    if (rc) return rc;
    note_path(home, lease_id, path);
    qn_hex(job->b, 32, hex);
    return qn_file_write(path, QN_SPAN_STR(hex), 0600, why);
}

static qn_rc read_manifest(struct qn_call_ctx *ctx, const struct qn_hash *hash, json_t **ret,
                           struct qn_why *why)
{
    char path[4096];
    struct qn_buf buf = { 0 };
    json_error_t err;
    qn_rc rc = ctx->ops->blob_path(ctx->node, hash, path, sizeof path, why);
    if (rc == QN_OK) rc = qn_file_read(path, MANIFEST_MAX, &buf, why);
    if (rc == QN_OK) {
        *ret = json_loadb((const char *)buf.ptr, buf.len, JSON_REJECT_DUPLICATES, &err);
        if (!json_is_object(*ret)) {
            json_decref(*ret);
            rc = qn_why(why, QN_E_FORMAT, "the manifest is no JSON object: %s", err.text);
        }
    }
    qn_buf_free(&buf);
    return rc;
}

/* "inputs": {"name": "hash of a blob"}; paths lies in the request's arena. */
static qn_rc find_inputs(struct qn_call_ctx *ctx, const json_t *manifest,
                         struct qn_job_input inputs[QN_JOB_INPUT_MAX], size_t *ret_cnt,
                         struct qn_why *why)
{
    json_t *list = json_object_get(manifest, "inputs"), *value;
    const char *name;
    size_t cnt = 0;
    if (list && (!json_is_object(list) || json_object_size(list) > QN_JOB_INPUT_MAX))
        return qn_why(why, QN_E_FORMAT, "inputs: an object of at most %d hashes", QN_JOB_INPUT_MAX);
    json_object_foreach(list, name, value)
    {
        struct qn_hash hash;
        const char *hex = json_string_value(value);
        char *path = qn_arena_alloc(ctx->arena, 4096);
        if (!path) return QN_E_MEMORY;
        if (!hex || !qn_unhex(hex, strlen(hex), hash.b, 32))
            return qn_why(why, QN_E_FORMAT, "inputs: %s is no hash", name);
        qn_rc rc = ctx->ops->blob_path(ctx->node, &hash, path, 4096, why);
        if (rc) return rc;
        inputs[cnt++] = (struct qn_job_input){ name, path };
    }
    *ret_cnt = cnt;
    return QN_OK;
}

static struct qn_job_limits limits_of(const struct compute_lease *lease,
                                      const struct compute_order *order, uint64_t now_ms)
{
    uint64_t term = order->ask.term_ms ? order->ask.term_ms : UINT64_C(366) * 86400000;
    if (lease->term_at_ms) term = lease->term_at_ms > now_ms ? lease->term_at_ms - now_ms : 1;
    return (struct qn_job_limits){ .cpu_cnt = (uint32_t)((lease->cap.cpu_milli + 999) / 1000),
                                   .mem_mib = lease->cap.ram_mib,
                                   .wall_ms = term,
                                   .file_mib = lease->cap.disk_mib };
}

qn_rc runner_start(struct qn_call_ctx *ctx, const struct qn_hash *lease_id, struct qn_span engine,
                   struct qn_hash *ret_job, struct qn_why *why)
{
    struct compute_lease lease;
    struct compute_order order;
    struct qn_job_info info;
    struct qn_job_input inputs[QN_JOB_INPUT_MAX];
    size_t input_cnt = 0;
    char name[17] = "local";
    json_t *manifest = NULL;
    if (!compute_lease_get(ctx->view, ctx->arena, lease_id, &lease) ||
        !compute_order_get(ctx->view, ctx->arena, &lease.order, &order))
        return qn_why(why, QN_E_NOTFOUND, "no lease has that id");
    if (lease.state == COMPUTE_CLOSED) return qn_why(why, QN_E_STATE, "the lease is closed");
    if (runner_job(ctx->home, lease_id, ret_job) == QN_OK &&
        qn_job_get(ctx->jobs, ret_job, &info) == QN_OK && info.state != QN_JOB_FAILED &&
        info.state != QN_JOB_CANCELLED)
        return QN_OK;
    if (engine.len) snprintf(name, sizeof name, "%.*s", (int)engine.len, (const char *)engine.ptr);
    const struct qn_engine *with = qn_engine_find(name);
    if (!with) return qn_why(why, QN_E_NOTFOUND, "no engine is called %s", name);
    qn_rc rc = with->probe(why);
    if (rc) return rc;
    rc = read_manifest(ctx, &order.ask.manifest, &manifest, why);
    if (rc) return rc;
    rc = find_inputs(ctx, manifest, inputs, &input_cnt, why);
    if (rc == QN_OK) {
        struct qn_job_limits limits = limits_of(&lease, &order, qn_view_now_ms(ctx->view));
        rc = with->run(ctx->jobs, manifest, inputs, input_cnt, &limits, ret_job, why);
    }
    if (rc == QN_OK) {
        rc = remember(ctx->home, lease_id, ret_job, why);
        if (rc) {
            qn_rc gone = qn_job_cancel(ctx->jobs, ret_job); /* not found again later: not run */
            (void)gone;
        }
    }
    json_decref(manifest);
    return rc;
}

void runner_reconcile(struct qn_call_ctx *ctx)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/leases", ctx->home);
    DIR *dir = opendir(path);
    if (!dir) return;
    for (struct dirent *e; (e = readdir(dir));) {
        struct qn_hash lease_id, job;
        struct compute_lease lease;
        struct qn_job_info info;
        if (!qn_unhex(e->d_name, strlen(e->d_name), lease_id.b, 32)) continue;
        if (runner_job(ctx->home, &lease_id, &job)) continue;
        if (qn_job_get(ctx->jobs, &job, &info)) continue;
        if (info.state != QN_JOB_QUEUED && info.state != QN_JOB_RUNNING) continue;
        if (!compute_lease_get(ctx->view, ctx->arena, &lease_id, &lease)) continue;
        if (lease.state == COMPUTE_CLOSED) {
            qn_rc rc = qn_job_cancel(ctx->jobs, &job);
            (void)rc; /* it was there a line ago */
        }
    }
    closedir(dir);
}
