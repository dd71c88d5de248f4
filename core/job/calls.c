/* calls.c - asking about jobs, asking jobs, and cancelling them. */
#include "core/job/calls.h"

#include "core/job/jobs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/schema/define.h"

#include "core/job/job.def"

#define LOG_MAX (256u << 10)

static json_t *job_json(const struct qn_job_info *info)
{
    static const char *const STATES[] = { "queued", "running", "done", "failed", "cancelled" };
    char hex[65];
    qn_hex(info->id.b, 32, hex);
    json_t *json = json_pack("{s:s,s:s,s:s,s:I,s:I,s:s,s:I,s:I,s:s}", "id", hex, "kind", info->kind,
                             "state", STATES[info->state], "done", (json_int_t)info->done, "total",
                             (json_int_t)info->total, "unit", info->unit, "started_ms",
                             (json_int_t)info->started_ms, "ended_ms", (json_int_t)info->ended_ms,
                             "folder", info->folder);
    QN_ASSERT(json);
    if (info->serving) json_object_set_new(json, "serving", json_true());
    if (info->result) json_object_set_new(json, "result", json_deep_copy(info->result));
    if (info->state == QN_JOB_FAILED) {
        json_object_set_new(json, "code", json_string(qn_err_code(info->rc)));
        json_object_set_new(json, "why", json_string(info->why));
    }
    return json;
}

static void add_job(void *arg, const struct qn_job_info *info)
{
    json_array_append_new(arg, job_json(info));
}

static qn_rc job_list(struct qn_call_ctx *ctx, const void *params, json_t **ret, struct qn_why *why)
{
    (void)params, (void)why;
    *ret = json_array();
    qn_job_each(ctx->jobs, add_job, *ret);
    return QN_OK;
}

static qn_rc job_get(struct qn_call_ctx *ctx, const void *params, json_t **ret, struct qn_why *why)
{
    const struct job_by_id *p = params;
    struct qn_job_info info;
    qn_rc rc = qn_job_get(ctx->jobs, &p->id, &info);
    if (rc) return qn_why(why, rc, "this node knows no job of that id");
    *ret = job_json(&info);
    return QN_OK;
}

json_t *qn_job_log_json(const char *home, const struct qn_hash *id, uint64_t offset, uint32_t max,
                        qn_rc *ret_rc, struct qn_why *why)
{
    struct qn_buf buf = { 0 };
    uint64_t size = 0;
    char hex[65];
    json_t *json = NULL;
    *ret_rc = qn_job_log(home, id, offset, max ? QN_MIN(max, LOG_MAX) : 65536u, &buf, &size, why);
    if (*ret_rc == QN_OK) {
        size_t got = buf.len;
        /* A log is whatever the worker wrote: what is no text becomes '?'. */
        for (size_t i = 0; i < got; i++) {
            uint8_t c = buf.ptr[i];
            if ((c < 32 && c != '\n' && c != '\t') || c == 127) buf.ptr[i] = '?';
        }
        bool text = qn_text_ok(qn_buf_get(&buf));
        for (size_t i = 0; !text && i < got; i++)
            if (buf.ptr[i] > 126) buf.ptr[i] = '?';
        qn_hex(id->b, 32, hex);
        json = json_pack("{s:s,s:I,s:I,s:I,s:o}", "job", hex, "offset", (json_int_t)offset, "next",
                         (json_int_t)(offset + got), "size", (json_int_t)size, "text",
                         json_stringn(got ? (const char *)buf.ptr : "", got));
        QN_ASSERT(json);
    }
    qn_buf_free(&buf);
    return json;
}

static qn_rc job_logs(struct qn_call_ctx *ctx, const void *params, json_t **ret, struct qn_why *why)
{
    const struct job_logs *p = params;
    qn_rc rc;
    json_t *json = qn_job_log_json(ctx->home, &p->id, p->offset, p->max, &rc, why);
    if (rc == QN_OK) *ret = json;
    return rc;
}

static qn_rc job_cancel(struct qn_call_ctx *ctx, const void *params, json_t **ret,
                        struct qn_why *why)
{
    const struct job_by_id *p = params;
    qn_rc rc = qn_job_cancel(ctx->jobs, &p->id);
    if (rc) return qn_why(why, rc, "this node knows no job of that id");
    *ret = json_object();
    return QN_OK;
}

static qn_rc job_ask(struct qn_call_ctx *ctx, const void *params, json_t **ret, struct qn_why *why)
{
    const struct job_ask *p = params;
    json_t *message = NULL, *answer = NULL;
    if (*ctx->state == 0) {
        message = json_loadb((const char *)p->message.ptr, p->message.len,
                             JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, NULL);
        if (!message) return qn_why(why, QN_E_FORMAT, "message: expected JSON text");
    }
    qn_rc rc = qn_job_ask_wait(ctx->jobs, ctx->state, &p->id, message, 0, &answer, why);
    json_decref(message);
    if (rc == QN_OK) *ret = json_pack("{s:o}", "answer", answer);
    return rc;
}

struct finding {
    uint64_t mark;
    struct qn_job_info info;
    bool found;
};

/* Eight random bytes of a job's id, as a call may keep them; 0 means that there is no job yet. */
static uint64_t mark_of(const struct qn_hash *id)
{
    uint64_t mark;
    memcpy(&mark, id->b, sizeof mark);
    return mark | 1;
}

static void find_mark(void *arg, const struct qn_job_info *info)
{
    struct finding *f = arg;
    if (mark_of(&info->id) != f->mark) return;
    f->info = *info;
    f->found = true;
}

qn_rc qn_job_run(struct qn_call_ctx *ctx, const char *kind, const json_t *request,
                 const struct qn_job_input *inputs, size_t input_cnt,
                 const struct qn_job_limits *limits, struct qn_job_info *ret, struct qn_why *why)
{
    struct finding f = { .mark = *ctx->state };
    if (f.mark == 0) {
        struct qn_hash id;
        qn_rc rc = qn_job_start(ctx->jobs, kind, request, inputs, input_cnt, limits, &id, why);
        if (rc) return rc;
        *ctx->state = mark_of(&id);
        return qn_why(why, QN_E_AGAIN, "the job is not done");
    }
    qn_job_each(ctx->jobs, find_mark, &f);
    if (!f.found) return qn_why(why, QN_E_JOB, "the job is gone");
    switch (f.info.state) {
    case QN_JOB_QUEUED:
    case QN_JOB_RUNNING: return qn_why(why, QN_E_AGAIN, "the job is not done");
    case QN_JOB_DONE: *ret = f.info; return QN_OK;
    case QN_JOB_FAILED: return qn_why(why, f.info.rc, "%s", f.info.why);
    case QN_JOB_CANCELLED: return qn_why(why, QN_E_JOB, "the job was cancelled");
    }
    QN_BUG("qn_job_state out of range");
}

/* Opens HOME/jobs/ID/out/NAME and nothing that a link leads to. A hard link could stand for a file of the
 * node's that the sandbox let the worker name, so a file has one name only. */
static qn_rc open_result(const char *home, const struct qn_hash *job, const char *name, int *ret_fd,
                         struct qn_why *why)
{
    char path[4096], hex[65];
    struct stat st;
    if (!name[0] || name[0] == '.' || strchr(name, '/'))
        return qn_why(why, QN_E_USAGE, "name: expected a file name alone");
    qn_hex(job->b, 32, hex);
    snprintf(path, sizeof path, "%s/jobs/%s/out", home, hex);
    int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (dir < 0) return qn_why(why, QN_E_NOTFOUND, "this node knows no job of that id");
    int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
    int err = errno;
    close(dir);
    if (fd < 0 && err == ENOENT) return qn_why(why, QN_E_NOTFOUND, "the job left no file %s", name);
    if (fd < 0) return qn_why(why, QN_E_REFUSED, "%s: %s", name, strerror(err));
    if (fstat(fd, &st) || !S_ISREG(st.st_mode) || st.st_nlink != 1) {
        close(fd);
        return qn_why(why, QN_E_REFUSED, "%s is not a file of the job's own", name);
    }
    *ret_fd = fd;
    return QN_OK;
}

qn_rc qn_job_keep(struct qn_call_ctx *ctx, const struct qn_hash *job, const char *name,
                  struct qn_hash *ret, uint64_t *ret_bytes, struct qn_why *why)
{
    struct qn_job_info info;
    int fd;
    if (qn_job_get(ctx->jobs, job, &info) == QN_OK &&
        (info.state == QN_JOB_QUEUED || info.state == QN_JOB_RUNNING))
        return qn_why(why, QN_E_STATE, "the job has not ended");
    qn_rc rc = open_result(ctx->home, job, name, &fd, why);
    if (rc) return rc;
    rc = ctx->ops->blob_keep(ctx->node, fd, ret, ret_bytes, why);
    close(fd);
    return rc;
}

static qn_rc job_keep(struct qn_call_ctx *ctx, const void *params, json_t **ret, struct qn_why *why)
{
    const struct job_keep *p = params;
    struct qn_hash blob;
    uint64_t bytes;
    char name[256], hex[65];
    snprintf(name, sizeof name, "%.*s", (int)p->name.len, (const char *)p->name.ptr);
    qn_rc rc = qn_job_keep(ctx, &p->job, name, &blob, &bytes, why);
    if (rc) return rc;
    qn_hex(blob.b, 32, hex);
    *ret = json_pack("{s:s,s:I}", "blob", hex, "bytes", (json_int_t)bytes);
    return QN_OK;
}

/* To add a call: a function above, a line here. */
const struct qn_call QN_JOB_CALLS[] = {
    { "job.list", "list jobs of this node, newest first", "job list",
      QN_CALL_QUERY | QN_CALL_MANY | QN_CALL_LOCAL, NULL, NULL, "id kind state done total unit",
      job_list },
    { "job.get", "show one job, with its result when it is done", "job get 81ab..",
      QN_CALL_QUERY | QN_CALL_LOCAL, job_by_id_record, "id",
      "id kind state serving done total unit result code why folder", job_get },
    { "job.logs", "read a job's log", "job logs 81ab..", QN_CALL_QUERY | QN_CALL_LOCAL,
      job_logs_record, "id", "job offset next size text", job_logs },
    { "job.ask", "ask a job that serves", "job ask 81ab.. '{\"n\": 1}'", QN_CALL_LOCAL,
      job_ask_record, "id message", "answer", job_ask },
    { "job.keep", "keep a file that a job left as a blob", "job keep 81ab.. model.onnx",
      QN_CALL_LOCAL, job_keep_record, "job name", "blob bytes", job_keep },
    { "job.cancel", "end a job at once", "job cancel 81ab..", QN_CALL_LOCAL, job_by_id_record, "id",
      "", job_cancel },
    { 0 },
};
