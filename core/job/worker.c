/* worker.c - the worker's end of fd 3: hello, sandbox, request, the kind's run, its answer. */
#include "core/job/jobs.h"

#include "core/job/sandbox.h"
#include "core/job/wire.h"
#include "core/job/worker.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define PROGRESS_GAP_NS UINT64_C(100000000)

struct qn_worker {
    struct sandbox box;
    json_t *inputs; /* names, in the order of descriptors */
    uint64_t progress_ns;
    bool deaf;        /* the node is gone */
    bool serving;     /* qn_worker_next was called */
    struct qn_buf in; /* asks that were read; from in_at on not yet taken */
    size_t in_at;
    json_t *ask; /* what the last request's message lies in */
};

static uint64_t mono_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static bool write_all(int fd, struct qn_span s)
{
    while (s.len) {
        ssize_t n = write(fd, s.ptr, s.len);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return false;
        s.ptr += n;
        s.len -= (size_t)n;
    }
    return true;
}

static bool read_all(int fd, void *dst, size_t len)
{
    for (size_t at = 0; at < len;) {
        ssize_t n = read(fd, (uint8_t *)dst + at, len - at);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return false;
        at += (size_t)n;
    }
    return true;
}

static qn_rc send_json(struct qn_worker *w, json_t *json QN_TAKES)
{
    struct qn_buf buf = { 0 };
    qn_rc rc = json ? wire_put(&buf, json) : QN_E_MEMORY;
    if (rc == QN_OK && !w->deaf && !write_all(WIRE_FD, qn_buf_get(&buf))) w->deaf = true;
    qn_buf_free(&buf);
    json_decref(json);
    return rc;
}

void qn_worker_progress(struct qn_worker *w, uint64_t done, uint64_t total, const char *unit)
{
    uint64_t now = mono_ns();
    if (now - w->progress_ns < PROGRESS_GAP_NS && done != total) return;
    w->progress_ns = now;
    qn_rc rc = send_json(w, json_pack("{s:s,s:I,s:I,s:s}", "t", "progress", "done",
                                      (json_int_t)done, "total", (json_int_t)total, "unit", unit));
    (void)rc; /* progress that cannot be told is no failure of the work */
}

void qn_worker_log(struct qn_worker *w, const char *fmt, ...)
{
    char line[1024];
    (void)w;
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(line, sizeof line - 1, fmt, args);
    va_end(args);
    if (n < 0) return;
    size_t len = QN_MIN((size_t)n, sizeof line - 2);
    line[len++] = '\n';
    (void)!write_all(STDERR_FILENO, QN_SPAN(line, len));
}

/* fill reads more of what the node says behind what is there; many small asks come by one read. */
static bool fill(struct qn_worker *w)
{
    if (w->in_at) {
        memmove(w->in.ptr, w->in.ptr + w->in_at, w->in.len - w->in_at);
        w->in.len -= w->in_at;
        w->in_at = 0;
    }
    for (;;) {
        uint8_t *at = qn_buf_grow(&w->in, 65536);
        ssize_t n = read(WIRE_FD, at, 65536);
        w->in.len -= 65536 - (n > 0 ? (size_t)n : 0);
        if (n > 0) return true;
        if (n == 0 || errno != EINTR) return false;
    }
}

bool qn_worker_next(struct qn_worker *w, struct qn_request *ret)
{
    struct qn_span body = { 0 };
    if (!w->serving && send_json(w, json_pack("{s:s}", "t", "serving"))) return false;
    w->serving = true;
    json_decref(w->ask);
    w->ask = NULL;
    for (;;) {
        struct qn_span in = qn_buf_get(&w->in);
        if (w->in_at) in = QN_SPAN(in.ptr + w->in_at, in.len - w->in_at);
        qn_rc rc = wire_next(&in, &body);
        if (rc == QN_OK) {
            w->in_at = w->in.len - in.len;
            break;
        }
        if (rc != QN_E_AGAIN || !fill(w)) return false;
    }
    w->ask = json_loadb((const char *)body.ptr, body.len, JSON_ALLOW_NUL, NULL);
    const json_t *id = json_object_get(w->ask, "id");
    ret->message = json_object_get(w->ask, "message");
    ret->id = (uint64_t)json_integer_value(id);
    QN_ASSERT(ret->message && ret->id); /* the node made it */
    return true;
}

void qn_worker_refuse(struct qn_worker *w, uint64_t id, qn_rc rc, const char *why)
{
    qn_rc sent =
        send_json(w, json_pack("{s:s,s:I,s:s,s:s}", "t", "answer", "id", (json_int_t)id, "code",
                               qn_err_code(rc), "why", why && *why ? why : qn_err_text(rc)));
    if (sent && rc != QN_E_BUG) /* why was no text */
        qn_worker_refuse(w, id, QN_E_BUG, "the refusal could not be told");
}

void qn_worker_answer(struct qn_worker *w, uint64_t id, json_t *result QN_TAKES)
{
    qn_rc rc = send_json(
        w, json_pack("{s:s,s:I,s:o}", "t", "answer", "id", (json_int_t)id, "result", result));
    if (rc) qn_worker_refuse(w, id, rc, "the answer does not fit in a message");
}

const char *qn_worker_out(const struct qn_worker *w)
{
    return w->box.out;
}

bool qn_worker_in(const struct qn_worker *w, const char *name, char *dst, size_t dst_len)
{
    size_t idx;
    json_t *item;
    json_array_foreach(w->inputs, idx, item)
    {
        if (strcmp(json_string_value(item), name) != 0) continue;
        int n = snprintf(dst, dst_len, "%s/%zu", w->box.fds, WIRE_FD + 1 + idx);
        return n > 0 && (size_t)n < dst_len;
    }
    return false;
}

const char *worker_input_name(const struct qn_worker *w, size_t idx)
{
    return json_string_value(json_array_get(w->inputs, idx));
}

static const struct qn_job_kind *find(const struct qn_job_kind *table, const char *name)
{
    for (; table && table->name; table++)
        if (strcmp(table->name, name) == 0) return table;
    return NULL;
}

static const struct qn_job_kind *find_kind(const struct qn_job_kind *const *tables,
                                           const char *name)
{
    const struct qn_job_kind *kind = find(qn_job_kinds_core(), name);
    for (; !kind && tables && *tables; tables++)
        kind = find(*tables, name);
    return kind;
}

static qn_rc read_request(struct qn_worker *w, json_t **ret, struct qn_why *why)
{
    uint8_t head[4];
    if (!read_all(WIRE_FD, head, sizeof head))
        return qn_why(why, QN_E_SHORT, "the node sent no request");
    struct qn_span s = QN_SPAN(head, sizeof head);
    uint32_t len;
    if (!qn_take_u32(&s, &len) || len > QN_JOB_MESSAGE_MAX)
        return qn_why(why, QN_E_TOOBIG, "the node sent a request that is too long");
    struct qn_buf body = { 0 };
    qn_rc rc = QN_OK;
    json_t *json = NULL;
    if (read_all(WIRE_FD, qn_buf_grow(&body, len), len))
        json = json_loadb((const char *)body.ptr, body.len, 0, NULL);
    json_t *inputs = json_object_get(json, "inputs");
    json_t *request = json_object_get(json, "request");
    if (!request || !json_is_array(inputs)) {
        rc = qn_why(why, QN_E_FORMAT, "the node sent a request out of form");
    } else {
        w->inputs = json_incref(inputs);
        *ret = json_incref(request);
    }
    json_decref(json);
    qn_buf_free(&body);
    return rc;
}

static qn_rc start(const char *name, const struct qn_job_kind *const *tables, struct qn_worker *w,
                   const struct qn_job_kind **ret_kind, struct qn_why *why)
{
    struct wire_hello hello;
    if (!read_all(WIRE_FD, &hello, sizeof hello) || hello.magic != WIRE_MAGIC ||
        hello.input_cnt > QN_JOB_INPUT_MAX || !memchr(hello.out, 0, sizeof hello.out))
        return qn_why(why, QN_E_USAGE, "workers are started by the node, not by hand");
    unsigned first = (unsigned)(WIRE_FD + 1) + hello.input_cnt;
    if (close_range(first, ~0u, 0) && errno != ENOSYS)
        return qn_why(why, QN_E_SYSTEM, "close_range: %s", strerror(errno));
    const struct qn_job_kind *kind = find_kind(tables, name);
    if (!kind) return qn_why(why, QN_E_ABSENT, "no kind of job is called %s", name);
    clearenv();
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);        /* a file grown too large is a failed write */
    setpriority(PRIO_PROCESS, 0, 5); /* the node answers first */
    qn_rc rc = sandbox_enter(&hello, strcmp(name, "exec") == 0, &w->box, why);
    if (rc) return rc;
    *ret_kind = kind;
    return QN_OK;
}

int qn_worker_main(const char *name, const struct qn_job_kind *const *tables)
{
    struct qn_worker w = { 0 };
    struct qn_why why = { 0 };
    const struct qn_job_kind *kind = NULL;
    json_t *request = NULL, *result = NULL;
    setvbuf(stderr, NULL, _IOLBF, 1024);
    qn_rc rc = start(name, tables, &w, &kind, &why);
    if (rc) {
        fprintf(stderr, "quoin worker: %s\n", why.text);
        if (rc == QN_E_USAGE) return qn_err_exit(rc); /* fd 3 is nobody's socket */
    }
    if (rc == QN_OK) rc = read_request(&w, &request, &why);
    if (rc == QN_OK) rc = kind->run(&w, request, &result, &why);
    if (rc == QN_OK) {
        if (!result) result = json_object();
        rc = send_json(&w, json_pack("{s:s,s:o}", "t", "result", "result", result));
        if (rc) rc = qn_why(&why, rc, "the result does not fit in a message");
    }
    if (rc) {
        if (!why.text[0]) rc = qn_why(&why, rc, "%s", qn_err_text(rc));
        qn_rc sent = send_json(
            &w, json_pack("{s:s,s:s,s:s}", "t", "error", "code", qn_err_code(rc), "why", why.text));
        (void)sent; /* without it the node reports that no result came */
    }
    fflush(NULL);
    _exit(rc ? qn_err_exit(rc) : 0); /* nothing of the kind's runs after its answer */
}
