/* jobs.c - the queue of jobs: starts workers, reads what they say, keeps their limits, notes how they
 * ended. One thread, inside the node's event loop. */
#include "core/job/jobs.h"

#include "core/job/ask.h"
#include "core/job/cgroup.h"
#include "core/job/spawn.h"
#include "core/job/wire.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define TICK_MS 100
#define SCAN_TICKS                                                                                 \
    2 /* memory and process count every 200 ms; a fork bomb makes some 2,000 in that */
#define USAGE_TICKS  5
#define PROC_CNT_MAX 256
#define MESSAGES_MAX 1000 /* a second; a worker's own progress is at most ten */
#define DRAIN_MS     500  /* after the end, for what is still in pipe and socket */
#define ENDED_KEPT   256  /* ended jobs remembered; their folders stay */
#define SERVING_MAX  64   /* jobs that serve at once, beside those that running_max counts */
#define ASK_MS       30000

struct job {
    struct job *older, *newer;
    struct qn_jobs *jobs;
    struct qn_hash id;
    char *kind, *folder;
    json_t *request;
    char *names[QN_JOB_INPUT_MAX];
    int inputs[QN_JOB_INPUT_MAX];
    size_t input_cnt;
    struct qn_job_limits limits;
    enum qn_job_state state;
    uint64_t done, total, started_ms, ended_ms;
    char unit[WIRE_UNIT_MAX];
    json_t *result;
    qn_rc rc;
    struct qn_why why;

    struct spawn spawn; /* while running */
    struct cgroup group;
    struct bufferevent *sock;
    struct event *log_ev, *pid_ev;
    int log_fd;
    uint64_t log_len, start_us, exit_us, second_us;
    uint32_t messages; /* in the second that began at second_us */
    int status;
    bool exited, log_eof, sock_eof, cancelled, answered, serving;
    struct ask_queue asks;
    struct qn_buf held; /* asks of a job that does not run yet, framed */
    char line[200];     /* last line of the log, for the reason */
    size_t line_len;
    bool line_done;
};

struct qn_jobs {
    struct qn_jobs_opts opts;
    char *home;
    struct job *newest, *oldest;
    uint32_t running_cnt, serving_cnt, queued_cnt, ended_cnt; /* running without those that serve */
    struct event *tick, *kick, *tell;
    uint64_t tick_cnt;
    struct cgroup_base base;
    struct ask_box box;
};

static void kick(struct qn_jobs *jobs)
{
    event_active(jobs->kick, EV_TIMEOUT, 0);
}

static struct qn_job_info info_of(const struct job *job)
{
    return (struct qn_job_info){ .id = job->id,
                                 .kind = job->kind,
                                 .state = job->state,
                                 .done = job->done,
                                 .total = job->total,
                                 .started_ms = job->started_ms,
                                 .ended_ms = job->ended_ms,
                                 .unit = job->unit,
                                 .result = job->state == QN_JOB_DONE ? job->result : NULL,
                                 .rc = job->rc,
                                 .why = job->why.text,
                                 .folder = job->folder,
                                 .serving = job->serving && job->state == QN_JOB_RUNNING };
}

static void changed(struct job *job)
{
    struct qn_job_info info = info_of(job);
    if (job->jobs->opts.changed) job->jobs->opts.changed(job->jobs->opts.arg, &info);
}

static void close_inputs(struct job *job)
{
    for (size_t i = 0; i < job->input_cnt; i++) {
        if (job->inputs[i] >= 0) close(job->inputs[i]);
        job->inputs[i] = -1;
    }
}

static void job_free(struct job *job)
{
    close_inputs(job);
    for (size_t i = 0; i < job->input_cnt; i++)
        free(job->names[i]);
    json_decref(job->request);
    json_decref(job->result);
    qn_buf_free(&job->held);
    free(job->kind);
    free(job->folder);
    free(job);
}

static void unlink_job(struct qn_jobs *jobs, struct job *job)
{
    *(job->newer ? &job->newer->older : &jobs->newest) = job->older;
    *(job->older ? &job->older->newer : &jobs->oldest) = job->newer;
}

static void end(struct job *job, enum qn_job_state state)
{
    struct qn_jobs *jobs = job->jobs;
    job->state = state;
    job->ended_ms = qn_env_now_ms(jobs->opts.env);
    close_inputs(job);
    json_decref(job->request);
    job->request = NULL;
    jobs->ended_cnt++;
    struct qn_why gone = { "the job has ended" };
    if (job->rc) (void)qn_why(&gone, job->rc, "the job failed: %.300s", job->why.text);
    ask_end(&job->asks, gone.text);
    changed(job);
    /* Forgetting happens on the kick, not here: a caller may hold this job. */
    kick(jobs);
}

/* fail notes the first reason a job failed for and kills it. */
static void fail(struct job *job, qn_rc rc)
{
    if (job->rc == QN_OK && !job->cancelled) job->rc = rc;
    if (!job->exited) spawn_kill(&job->spawn);
}

/* --- the log ---------------------------------------------------------------------------------------- */

static void note_line(struct job *job, const uint8_t *at, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (at[i] == '\n') {
            job->line_done = true;
            continue;
        }
        if (job->line_done) job->line_len = 0;
        job->line_done = false;
        if (job->line_len < sizeof job->line - 1) job->line[job->line_len++] = (char)at[i];
    }
    job->line[job->line_len] = 0;
}

static void log_put(struct job *job, const void *src, size_t len)
{
    if (job->log_fd < 0 || job->log_len >= QN_JOB_LOG_MAX) return;
    size_t n = QN_MIN(len, QN_JOB_LOG_MAX - job->log_len);
    ssize_t put = write(job->log_fd, src, n);
    if (put > 0) job->log_len += (size_t)put;
    if (job->log_len == QN_JOB_LOG_MAX) (void)!write(job->log_fd, "\n[the log was cut here]\n", 24);
}

static void finish_if_gone(struct job *job);

static void on_log(evutil_socket_t fd, short what, void *arg)
{
    struct job *job = arg;
    uint8_t chunk[65536];
    (void)what;
    ssize_t n = read(fd, chunk, sizeof chunk); /* one read a turn: others get theirs */
    if (n > 0) {
        note_line(job, chunk, (size_t)n);
        log_put(job, chunk, (size_t)n);
        return;
    }
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    job->log_eof = true;
    event_del(job->log_ev);
    finish_if_gone(job);
}

/* --- messages --------------------------------------------------------------------------------------- */

static bool too_many(struct job *job)
{
    uint64_t now_us = qn_env_mono_us(job->jobs->opts.env);
    if (now_us - job->second_us >= 1000000) {
        job->second_us = now_us;
        job->messages = 0;
    }
    return ++job->messages > MESSAGES_MAX;
}

static void begin_serving(struct job *job)
{
    struct qn_jobs *jobs = job->jobs;
    if (job->serving) return;
    if (jobs->serving_cnt >= SERVING_MAX) {
        fail(job, qn_why(&job->why, QN_E_LIMIT, "%d jobs serve already", SERVING_MAX));
        return;
    }
    job->serving = true;
    jobs->serving_cnt++;
    jobs->running_cnt--;
    changed(job);
    kick(jobs); /* its place among the running is free */
}

static void take_message(struct job *job, struct qn_span body)
{
    struct wire_msg msg;
    if (job->answered) {
        fail(job, qn_why(&job->why, QN_E_JOB, "the worker went on after its answer"));
        return;
    }
    struct qn_why why = { 0 };
    qn_rc rc = wire_parse(body, &msg, &why);
    if (rc) {
        fail(job, qn_why(&job->why, QN_E_JOB, "%s", why.text));
        return;
    }
    /* Answers are as many as the node asked for. */
    if (msg.type != WIRE_ANSWER && too_many(job)) {
        json_decref(msg.result);
        fail(job, qn_why(&job->why, QN_E_LIMIT, "the worker sent more than %d messages a second",
                         MESSAGES_MAX));
        return;
    }
    switch (msg.type) {
    case WIRE_PROGRESS:
        job->done = msg.done;
        job->total = msg.total;
        memcpy(job->unit, msg.unit, sizeof job->unit);
        changed(job);
        break;
    case WIRE_RESULT:
        job->answered = true;
        job->result = msg.result;
        break;
    case WIRE_ERROR:
        job->answered = true;
        if (job->rc == QN_OK) {
            job->rc = msg.rc;
            job->why = msg.why;
        }
        break;
    case WIRE_SERVING: begin_serving(job); break;
    case WIRE_ANSWER:
        rc = ask_answer(&job->asks, &msg, &why);
        json_decref(msg.result);
        if (rc) fail(job, qn_why(&job->why, rc, "%s", why.text));
        break;
    }
}

static void on_sock(struct bufferevent *bev, void *arg)
{
    struct job *job = arg;
    struct evbuffer *in = bufferevent_get_input(bev);
    while (job->rc == QN_OK) {
        uint8_t head[4];
        if (evbuffer_copyout(in, head, 4) < 4) return;
        struct qn_span s = QN_SPAN(head, 4), body;
        uint32_t len;
        bool ok = qn_take_u32(&s, &len);
        QN_ASSERT(ok);
        if (len <= QN_JOB_MESSAGE_MAX && evbuffer_get_length(in) < 4 + (size_t)len) return;
        size_t whole = 4 + QN_MIN((size_t)len, evbuffer_get_length(in) - 4);
        s = QN_SPAN(evbuffer_pullup(in, (ev_ssize_t)whole), whole);
        qn_rc rc = wire_next(&s, &body);
        if (rc) {
            fail(job, qn_why(&job->why, QN_E_LIMIT, "the worker sent a message of %u bytes", len));
            break;
        }
        take_message(job, body);
        evbuffer_drain(in, whole);
    }
    evbuffer_drain(in, evbuffer_get_length(in));
}

static void on_sock_event(struct bufferevent *bev, short what, void *arg)
{
    struct job *job = arg;
    (void)bev;
    if (!(what & (BEV_EVENT_EOF | BEV_EVENT_ERROR))) return;
    job->sock_eof = true;
    finish_if_gone(job);
}

/* --- the end of a process --------------------------------------------------------------------------- */

static void on_exit_event(evutil_socket_t fd, short what, void *arg)
{
    struct job *job = arg;
    (void)fd;
    (void)what;
    pid_t got = waitpid(job->spawn.pid, &job->status, WNOHANG);
    if (got == 0 || (got < 0 && errno == EINTR)) return;
    job->exited = true;
    job->exit_us = qn_env_mono_us(job->jobs->opts.env);
    kill(-job->spawn.pid, SIGKILL); /* whoever stayed in its group */
    if (job->pid_ev) event_del(job->pid_ev);
    finish_if_gone(job);
}

static void judge(struct job *job, bool oom)
{
    const char *last = job->line[0] ? "; its last words: " : "";
    if (job->cancelled || job->rc != QN_OK) return;
    if (oom) {
        job->rc = qn_why(&job->why, QN_E_LIMIT, "it ran out of its %llu MiB of memory",
                         (unsigned long long)job->limits.mem_mib);
    } else if (WIFSIGNALED(job->status)) {
        int sig = WTERMSIG(job->status);
        if (sig == SIGXCPU)
            job->rc = qn_why(&job->why, QN_E_LIMIT, "it used up its processor time");
        else if (sig == SIGSYS)
            job->rc = qn_why(&job->why, QN_E_JOB, "it made a system call that is forbidden to it");
        else
            job->rc = qn_why(&job->why, QN_E_JOB, "it died of signal %d (%s)%s%s", sig,
                             strsignal(sig), last, job->line);
    } else if (!job->answered) {
        job->rc = qn_why(&job->why, QN_E_JOB, "it ended with status %d and no result%s%s",
                         WEXITSTATUS(job->status), last, job->line);
    }
}

static void release(struct job *job)
{
    bufferevent_free(job->sock); /* closes the socket */
    event_free(job->log_ev);
    if (job->pid_ev) event_free(job->pid_ev);
    close(job->spawn.log);
    if (job->spawn.pid_fd >= 0) close(job->spawn.pid_fd);
    if (job->log_fd >= 0) close(job->log_fd);
    job->log_fd = -1;
    (*(job->serving ? &job->jobs->serving_cnt : &job->jobs->running_cnt))--;
}

static void finish_if_gone(struct job *job)
{
    uint64_t now_us = qn_env_mono_us(job->jobs->opts.env);
    if (job->state != QN_JOB_RUNNING || !job->exited) return;
    if (!(job->log_eof && job->sock_eof) && now_us - job->exit_us < DRAIN_MS * 1000) return;
    bool oom = cgroup_end(&job->group);
    judge(job, oom);
    if (job->rc != QN_OK) {
        char line[480];
        int n = snprintf(line, sizeof line, "job failed: %s\n", job->why.text);
        if (n > 0) log_put(job, line, QN_MIN((size_t)n, sizeof line - 1));
    }
    release(job);
    end(job, job->cancelled ? QN_JOB_CANCELLED : job->rc == QN_OK ? QN_JOB_DONE : QN_JOB_FAILED);
}

/* --- starting --------------------------------------------------------------------------------------- */

static qn_rc say_hello(struct job *job, struct qn_why *why)
{
    struct wire_hello hello = { .magic = WIRE_MAGIC,
                                .input_cnt = (uint32_t)job->input_cnt,
                                .cpu_cnt = job->limits.cpu_cnt,
                                .without = job->jobs->opts.without,
                                .mem_mib = job->limits.mem_mib,
                                .wall_ms = job->limits.wall_ms,
                                .file_mib = job->limits.file_mib };
    if (snprintf(hello.out, sizeof hello.out, "%s/out", job->folder) >= (int)sizeof hello.out)
        return qn_why(why, QN_E_RANGE, "the home folder's path is too long");
    json_t *inputs = json_array();
    for (size_t i = 0; i < job->input_cnt; i++)
        json_array_append_new(inputs, json_string(job->names[i]));
    json_t *all = json_pack("{s:O,s:o}", "request", job->request, "inputs", inputs);
    struct qn_buf buf = { 0 };
    qn_buf_put(&buf, &hello, sizeof hello);
    qn_rc rc = wire_put(&buf, all);
    if (rc == QN_OK) qn_buf_span(&buf, qn_buf_get(&job->held));
    if (rc == QN_OK) bufferevent_write(job->sock, buf.ptr, buf.len);
    qn_buf_free(&job->held);
    if (rc) rc = qn_why(why, rc, "the request is larger than a message; pass it as an input");
    qn_buf_free(&buf);
    json_decref(all);
    return rc;
}

static void start(struct job *job)
{
    struct qn_jobs *jobs = job->jobs;
    char path[4200];
    jobs->queued_cnt--;
    job->started_ms = qn_env_now_ms(jobs->opts.env);
    snprintf(path, sizeof path, "%s/log.txt", job->folder);
    job->log_fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
    qn_rc rc = job->log_fd < 0
                   ? qn_why(&job->why, qn_err_errno(errno), "%s: %s", path, strerror(errno))
                   : QN_OK;
    if (rc == QN_OK)
        rc = spawn_worker(job->kind, job->inputs, job->input_cnt, &job->spawn, &job->why);
    if (rc) {
        if (job->log_fd >= 0) close(job->log_fd);
        job->rc = rc;
        end(job, QN_JOB_FAILED);
        return;
    }
    jobs->running_cnt++;
    job->state = QN_JOB_RUNNING;
    job->start_us = job->second_us = qn_env_mono_us(jobs->opts.env);
    char name[65];
    qn_hex(job->id.b, 32, name);
    cgroup_make(&jobs->base, name, job->spawn.pid, &job->limits, &job->group);
    job->sock = bufferevent_socket_new(jobs->opts.base, job->spawn.sock, BEV_OPT_CLOSE_ON_FREE);
    job->log_ev = event_new(jobs->opts.base, job->spawn.log, EV_READ | EV_PERSIST, on_log, job);
    QN_ASSERT(job->sock && job->log_ev);
    if (job->spawn.pid_fd >= 0) {
        job->pid_ev =
            event_new(jobs->opts.base, job->spawn.pid_fd, EV_READ | EV_PERSIST, on_exit_event, job);
        QN_ASSERT(job->pid_ev);
        event_add(job->pid_ev, NULL);
    }
    event_add(job->log_ev, NULL);
    bufferevent_setcb(job->sock, on_sock, NULL, on_sock_event, job);
    bufferevent_setwatermark(job->sock, EV_READ, 0, QN_JOB_MESSAGE_MAX + 65536);
    bufferevent_enable(job->sock, EV_READ | EV_WRITE);
    rc = say_hello(job, &job->why);
    if (rc) fail(job, rc);
    const struct timeval tick = { 0, TICK_MS * 1000 };
    if (!event_pending(jobs->tick, EV_TIMEOUT, NULL)) event_add(jobs->tick, &tick);
    changed(job);
}

static void on_kick(evutil_socket_t fd, short what, void *arg)
{
    struct qn_jobs *jobs = arg;
    (void)fd;
    (void)what;
    for (struct job *job = jobs->oldest, *next; job; job = next) {
        next = job->newer;
        if (job->state == QN_JOB_QUEUED && jobs->running_cnt < jobs->opts.running_max) start(job);
    }
    for (struct job *job = jobs->oldest, *next; job && jobs->ended_cnt > ENDED_KEPT; job = next) {
        next = job->newer;
        if (job->state == QN_JOB_QUEUED || job->state == QN_JOB_RUNNING) continue;
        unlink_job(jobs, job);
        job_free(job);
        jobs->ended_cnt--;
    }
}

/* --- limits ----------------------------------------------------------------------------------------- */

static void watch_usage(struct job *job)
{
    char path[4200];
    snprintf(path, sizeof path, "%s/out", job->folder);
    struct spawn_usage usage = spawn_usage(path);
    if (usage.too_many)
        fail(job, qn_why(&job->why, QN_E_LIMIT, "it made too many files or nested folders"));
    else if (usage.bytes > job->limits.file_mib << 20)
        fail(job, qn_why(&job->why, QN_E_LIMIT, "it wrote more than its %llu MiB",
                         (unsigned long long)job->limits.file_mib));
}

static void watch_memory(struct job *job, const struct spawn_procs *procs)
{
    uint64_t rss_mib;
    uint32_t cnt;
    spawn_procs_sum(procs, job->spawn.pid, &rss_mib, &cnt);
    if (rss_mib > job->limits.mem_mib)
        fail(job, qn_why(&job->why, QN_E_LIMIT, "it used more than its %llu MiB of memory",
                         (unsigned long long)job->limits.mem_mib));
    else if (cnt > PROC_CNT_MAX)
        fail(job, qn_why(&job->why, QN_E_LIMIT, "it started more than %d processes", PROC_CNT_MAX));
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
    struct qn_jobs *jobs = arg;
    struct spawn_procs procs = { 0 };
    uint64_t now_us = qn_env_mono_us(jobs->opts.env);
    uint64_t tick = jobs->tick_cnt++;
    (void)fd;
    (void)what;
    if (tick % SCAN_TICKS == 0) spawn_procs_read(&procs);
    ask_box_sweep(&jobs->box, now_us);
    for (struct job *job = jobs->oldest, *next; job; job = next) {
        next = job->newer;
        ask_tick(&job->asks, now_us);
        if (job->state != QN_JOB_RUNNING) continue;
        if (job->spawn.pid_fd < 0 && !job->exited) on_exit_event(-1, 0, job);
        if (job->exited) {
            finish_if_gone(job);
            continue;
        }
        if (now_us - job->start_us > job->limits.wall_ms * 1000)
            fail(job, qn_why(&job->why, QN_E_LIMIT, "it ran longer than its %llu ms",
                             (unsigned long long)job->limits.wall_ms));
        if (tick % SCAN_TICKS == 0) watch_memory(job, &procs);
        if (tick % USAGE_TICKS == 0) watch_usage(job);
    }
    spawn_procs_free(&procs);
    const struct timeval again = { 0, TICK_MS * 1000 };
    if (jobs->running_cnt + jobs->serving_cnt > 0) event_add(jobs->tick, &again);
}

static void on_tell(evutil_socket_t fd, short what, void *arg)
{
    struct qn_jobs *jobs = arg;
    (void)fd;
    (void)what;
    if (jobs->opts.answered) jobs->opts.answered(jobs->opts.arg);
}

/* --- what callers see ------------------------------------------------------------------------------- */

qn_rc qn_jobs_new(const struct qn_jobs_opts *opts, struct qn_jobs **ret, struct qn_why *why)
{
    char path[4096];
    if (strlen(opts->home) > 900)
        return qn_why(why, QN_E_RANGE, "the home folder's path is too long");
    snprintf(path, sizeof path, "%s/jobs", opts->home);
    qn_rc rc = qn_dir_make(path, why);
    if (rc) return rc;
    struct qn_jobs *jobs = calloc(1, sizeof *jobs);
    QN_ASSERT(jobs);
    jobs->opts = *opts;
    jobs->home = realpath(opts->home, NULL); /* workers change their working folder */
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    /* At least 4: some jobs serve a lease and wait most of the time, and must not hold up the rest. */
    if (!jobs->opts.running_max) jobs->opts.running_max = (uint32_t)QN_MAX(cpus, 4);
    if (!jobs->opts.queue_max) jobs->opts.queue_max = 256;
    jobs->tick = event_new(opts->base, -1, 0, on_tick, jobs);
    jobs->kick = event_new(opts->base, -1, 0, on_kick, jobs);
    jobs->tell = event_new(opts->base, -1, 0, on_tell, jobs);
    QN_ASSERT(jobs->home && jobs->tick && jobs->kick && jobs->tell);
    cgroup_find(&jobs->base);
    *ret = jobs;
    return QN_OK;
}

void qn_jobs_free(struct qn_jobs *jobs)
{
    if (!jobs) return;
    while (jobs->newest) {
        struct job *job = jobs->newest;
        if (job->state == QN_JOB_RUNNING) {
            spawn_kill(&job->spawn);
            while (!job->exited && waitpid(job->spawn.pid, &job->status, 0) < 0 && errno == EINTR)
                continue;
            (void)cgroup_end(&job->group);
            release(job);
            job->state = QN_JOB_CANCELLED; /* who is told below cannot ask again */
        }
        ask_end(&job->asks, "the node is stopping");
        unlink_job(jobs, job);
        job_free(job);
    }
    ask_box_sweep(&jobs->box, UINT64_MAX);
    event_free(jobs->tick);
    event_free(jobs->kick);
    event_free(jobs->tell);
    free(jobs->home);
    free(jobs);
}

static bool kind_known(const struct qn_job_kind *table, const char *kind)
{
    for (; table && table->name; table++)
        if (strcmp(table->name, kind) == 0) return true;
    return false;
}

static bool known(const struct qn_jobs *jobs, const char *kind)
{
    if (kind_known(qn_job_kinds_core(), kind)) return true;
    for (const struct qn_job_kind *const *t = jobs->opts.tables; t && *t; t++)
        if (kind_known(*t, kind)) return true;
    return false;
}

static qn_rc open_inputs(struct job *job, const struct qn_job_input *inputs, size_t cnt,
                         struct qn_why *why)
{
    for (size_t i = 0; i < cnt; i++) {
        /* A pipe without a writer would hold the loop. */
        struct stat st;
        int fd = open(inputs[i].path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
        if (fd < 0)
            return qn_why(why, errno == ENOENT ? QN_E_NOTFOUND : qn_err_errno(errno),
                          "input %s: %s: %s", inputs[i].name, inputs[i].path, strerror(errno));
        if (fstat(fd, &st) || !S_ISREG(st.st_mode)) {
            close(fd);
            return qn_why(why, QN_E_USAGE, "input %s: %s is no regular file", inputs[i].name,
                          inputs[i].path);
        }
        job->inputs[i] = fd;
        job->names[i] = strdup(inputs[i].name);
        QN_ASSERT(job->names[i]);
        job->input_cnt = i + 1;
    }
    return QN_OK;
}

qn_rc qn_job_start(struct qn_jobs *jobs, const char *kind, const json_t *request,
                   const struct qn_job_input *inputs, size_t input_cnt,
                   const struct qn_job_limits *limits, struct qn_hash *ret_id, struct qn_why *why)
{
    char folder[4096], hex[65];
    if (!known(jobs, kind)) return qn_why(why, QN_E_ABSENT, "no kind of job is called %s", kind);
    if (jobs->queued_cnt >= jobs->opts.queue_max)
        return qn_why(why, QN_E_LIMIT, "%u jobs wait already", jobs->queued_cnt);
    if (input_cnt > QN_JOB_INPUT_MAX)
        return qn_why(why, QN_E_LIMIT, "a job takes at most %d inputs", QN_JOB_INPUT_MAX);
    struct job *job = calloc(1, sizeof *job);
    QN_ASSERT(job);
    job->jobs = jobs;
    job->log_fd = -1;
    if (limits) job->limits = *limits;
    if (!job->limits.cpu_cnt) job->limits.cpu_cnt = 1;
    if (!job->limits.mem_mib) job->limits.mem_mib = 2048;
    if (!job->limits.wall_ms) job->limits.wall_ms = 600000;
    if (!job->limits.file_mib) job->limits.file_mib = 1024;
    qn_env_random(jobs->opts.env, job->id.b, sizeof job->id.b);
    qn_hex(job->id.b, 32, hex);
    job->kind = strdup(kind);
    snprintf(folder, sizeof folder, "%s/jobs/%s/out", jobs->home, hex);
    qn_rc rc = qn_dir_make(folder, why);
    folder[strlen(folder) - 4] = 0;
    job->folder = strdup(folder);
    job->request = json_deep_copy(request);
    QN_ASSERT(job->kind && job->folder && job->request);
    if (rc == QN_OK) rc = open_inputs(job, inputs, input_cnt, why);
    if (rc) {
        job_free(job);
        return rc;
    }
    job->older = jobs->newest;
    *(jobs->newest ? &jobs->newest->newer : &jobs->oldest) = job;
    jobs->newest = job;
    jobs->queued_cnt++;
    *ret_id = job->id;
    kick(jobs);
    return QN_OK;
}

static struct job *find(const struct qn_jobs *jobs, const struct qn_hash *id)
{
    struct job *job = jobs->newest;
    while (job && !qn_hash_eq(&job->id, id))
        job = job->older;
    return job;
}

qn_rc qn_job_get(struct qn_jobs *jobs, const struct qn_hash *id, struct qn_job_info *ret)
{
    const struct job *job = find(jobs, id);
    if (!job) return QN_E_NOTFOUND;
    *ret = info_of(job);
    return QN_OK;
}

void qn_job_each(struct qn_jobs *jobs, void (*visit)(void *arg, const struct qn_job_info *info),
                 void *arg)
{
    for (const struct job *job = jobs->newest; job; job = job->older) {
        struct qn_job_info info = info_of(job);
        visit(arg, &info);
    }
}

qn_rc qn_job_cancel(struct qn_jobs *jobs, const struct qn_hash *id)
{
    struct job *job = find(jobs, id);
    if (!job) return QN_E_NOTFOUND;
    if (job->state == QN_JOB_QUEUED) {
        jobs->queued_cnt--;
        end(job, QN_JOB_CANCELLED);
    } else if (job->state == QN_JOB_RUNNING) {
        job->cancelled = true;
        if (!job->exited) spawn_kill(&job->spawn);
    }
    return QN_OK;
}

qn_rc qn_job_ask(struct qn_jobs *jobs, const struct qn_hash *id, const json_t *message,
                 uint32_t timeout_ms, qn_job_answer_fn fn, void *arg, struct qn_why *why)
{
    struct job *job = find(jobs, id);
    if (!job) return qn_why(why, QN_E_NOTFOUND, "this node knows no job of that id");
    if ((job->state != QN_JOB_QUEUED && job->state != QN_JOB_RUNNING) || job->exited ||
        job->cancelled || job->rc || job->answered)
        return qn_why(why, QN_E_STATE, "the job has ended");
    uint64_t until_us =
        qn_env_mono_us(jobs->opts.env) + (timeout_ms ? timeout_ms : ASK_MS) * UINT64_C(1000);
    bool runs = job->state == QN_JOB_RUNNING;
    struct qn_buf now = { 0 };
    qn_rc rc = ask_put(&job->asks, message, until_us, fn, arg, runs ? &now : &job->held, why);
    if (now.len) bufferevent_write(job->sock, now.ptr, now.len);
    qn_buf_free(&now);
    return rc;
}

static void box_answer(void *arg, qn_rc rc, const json_t *result, const char *why)
{
    struct ask_slot *slot = arg;
    struct qn_jobs *jobs = slot->jobs;
    slot->done = true;
    slot->done_us = qn_env_mono_us(jobs->opts.env);
    slot->rc = rc ? qn_why(&slot->why, rc, "%s", why) : QN_OK;
    slot->result = rc ? NULL : json_deep_copy(result); /* what holds it goes with this call */
    event_active(jobs->tell, EV_TIMEOUT, 0);
}

qn_rc qn_job_ask_wait(struct qn_jobs *jobs, uint64_t *state, const struct qn_hash *id,
                      const json_t *message, uint32_t timeout_ms, json_t **ret, struct qn_why *why)
{
    struct ask_slot *slot;
    if (*state == 0) {
        slot = ask_box_new(&jobs->box);
        if (!slot) return qn_why(why, QN_E_RATE, "%d calls wait for jobs", ASK_BOX_MAX);
        slot->jobs = jobs;
        qn_rc rc = qn_job_ask(jobs, id, message, timeout_ms, box_answer, slot, why);
        if (rc) {
            ask_box_drop(&jobs->box, slot);
            return rc;
        }
        *state = slot->number;
        return qn_why(why, QN_E_AGAIN, "the job has not answered yet");
    }
    slot = ask_box_find(&jobs->box, *state);
    if (!slot) return qn_why(why, QN_E_TIMEOUT, "the answer was not fetched in time");
    if (!slot->done) return qn_why(why, QN_E_AGAIN, "the job has not answered yet");
    qn_rc rc = slot->rc ? qn_why(why, slot->rc, "%s", slot->why.text) : QN_OK;
    if (rc == QN_OK) {
        *ret = slot->result;
        slot->result = NULL;
    }
    ask_box_drop(&jobs->box, slot);
    return rc;
}

qn_rc qn_job_log(const char *home, const struct qn_hash *id, uint64_t offset, size_t max,
                 struct qn_buf *ret, uint64_t *ret_size, struct qn_why *why)
{
    char path[4200], hex[65];
    qn_hex(id->b, 32, hex);
    snprintf(path, sizeof path, "%s/jobs/%s/log.txt", home, hex);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) return qn_why(why, QN_E_NOTFOUND, "this node has no log of job %s", hex);
    off_t size = lseek(fd, 0, SEEK_END);
    uint64_t len = size > 0 ? (uint64_t)size : 0;
    qn_rc rc = QN_OK;
    while (max > 0 && offset < len) {
        size_t want = (size_t)QN_MIN((uint64_t)QN_MIN(max, 65536u), len - offset);
        uint8_t *at = qn_buf_grow(ret, want);
        ssize_t n = pread(fd, at, want, (off_t)offset);
        ret->len -= want - (n > 0 ? (size_t)n : 0);
        if (n < 0) rc = qn_why(why, QN_E_IO, "%s: %s", path, strerror(errno));
        if (n <= 0) break;
        offset += (uint64_t)n;
        max -= (size_t)n;
    }
    close(fd);
    if (rc == QN_OK) *ret_size = len;
    return rc;
}

qn_rc qn_memfd_sealed(const char *name, struct qn_span bytes, int *ret_fd)
{
    int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0) return qn_err_errno(errno);
    while (bytes.len) {
        ssize_t n = write(fd, bytes.ptr, bytes.len);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) break;
        bytes.ptr += n;
        bytes.len -= (size_t)n;
    }
    if (bytes.len ||
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL)) {
        qn_rc rc = qn_err_errno(errno);
        close(fd);
        return rc;
    }
    *ret_fd = fd;
    return QN_OK;
}
