/* test_job.c - workers of every bad kind, each under a real queue: only that job fails. This program is
 * also the worker: `test_job worker KIND`. */
#include "core/base/test.h"
#include "core/job/jobs.h"
#include "core/job/wire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#ifdef QN_SANITIZED
#define SANITIZED 1
#else
#define SANITIZED 0
#endif

/* --- kinds ------------------------------------------------------------------------------------------ */

static qn_rc echo_run(struct qn_worker *w, const json_t *req, json_t **ret, struct qn_why *why)
{
    char path[4096];
    struct qn_buf buf = { 0 };
    if (qn_worker_in(w, "data", path, sizeof path)) {
        qn_rc rc = qn_file_read(path, 1 << 20, &buf, why);
        if (rc) return rc;
    }
    qn_worker_progress(w, 3, 3, "steps");
    qn_worker_log(w, "echo says %s", "hello");
    snprintf(path, sizeof path, "%s/got", qn_worker_out(w));
    qn_rc rc = qn_file_write(path, qn_buf_get(&buf), 0600, why);
    if (rc) return rc;
    *ret = json_pack("{s:O,s:i,s:i}", "request", req, "len", (int)buf.len, "pid", (int)getpid());
    qn_buf_free(&buf);
    return QN_OK;
}

static qn_rc error_run(struct qn_worker *w, const json_t *req, json_t **ret, struct qn_why *why)
{
    (void)w, (void)req, (void)ret;
    return qn_why(why, QN_E_CHECK, "seven is not eight");
}

static qn_rc segv_run(struct qn_worker *w, const json_t *req, json_t **ret, struct qn_why *why)
{
    (void)w, (void)req, (void)ret, (void)why;
    signal(SIGSEGV, SIG_DFL);
    volatile int *volatile nowhere = NULL;
    return (qn_rc)*nowhere;
}

static qn_rc panic_run(struct qn_worker *w, const json_t *req, json_t **ret, struct qn_why *why)
{
    (void)w, (void)req, (void)ret, (void)why;
    QN_BUG("planted by the test");
}

static qn_rc hang_run(struct qn_worker *w, const json_t *req, json_t **ret, struct qn_why *why)
{
    (void)w, (void)req, (void)ret, (void)why;
    while (sleep(1) == 0)
        continue;
    return QN_OK;
}

static qn_rc quit_run(struct qn_worker *w, const json_t *req, json_t **ret, struct qn_why *why)
{
    (void)w, (void)req, (void)ret, (void)why;
    _exit(0);
}

static qn_rc eat_run(struct qn_worker *w, const json_t *req, json_t **ret, struct qn_why *why)
{
    (void)w, (void)req, (void)ret;
    for (size_t i = 0; i < 64; i++) {
        uint8_t *p =
            mmap(NULL, 16 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (p == MAP_FAILED) return qn_why(why, QN_E_MEMORY, "refused after %zu MiB", i * 16);
        memset(p, 1, 16 << 20);
    }
    for (;;)
        sleep(1); /* found by the watch on resident memory */
}

static qn_rc write_run(struct qn_worker *w, const json_t *req, json_t **ret, struct qn_why *why)
{
    char path[4096];
    static const char block[1 << 16];
    (void)ret;
    bool many = json_is_true(json_object_get(req, "many"));
    for (int file = 0; file < (many ? 64 : 1); file++) {
        snprintf(path, sizeof path, "%s/f%d", qn_worker_out(w), file);
        int fd = open(path, O_WRONLY | O_CREAT, 0600);
        for (int i = 0; i < (many ? 32 : 64); i++)
            if (write(fd, block, sizeof block) != sizeof block)
                return qn_why(why, QN_E_DISKFULL, "refused at block %d: %s", i, strerror(errno));
        close(fd);
    }
    for (;;)
        sleep(1);
}

static qn_rc fork_run(struct qn_worker *w, const json_t *req, json_t **ret, struct qn_why *why)
{
    (void)w, (void)req, (void)ret, (void)why;
    pid_t pid = fork();
    if (pid == 0) _exit(0);
    return QN_OK; /* not reached: the call is fatal */
}

static qn_rc net_run(struct qn_worker *w, const json_t *req, json_t **ret, struct qn_why *why)
{
    (void)w, (void)req, (void)ret, (void)why;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    return fd >= 0 ? QN_OK : QN_E_IO;
}

static qn_rc flood_run(struct qn_worker *w, const json_t *req, json_t **ret, struct qn_why *why)
{
    (void)w, (void)ret, (void)why;
    const char *what = json_string_value(req);
    const char msg[] = "{\"t\":\"progress\",\"done\":1,\"total\":2,\"unit\":\"x\"}";
    struct qn_buf buf = { 0 };
    if (strcmp(what, "long") == 0) {
        qn_buf_u32(&buf, UINT32_MAX);
    } else if (strcmp(what, "garbage") == 0) {
        qn_buf_u32(&buf, 3);
        qn_buf_str(&buf, "{]x");
    } else {
        for (int i = 0; i < 100; i++) {
            qn_buf_u32(&buf, sizeof msg - 1);
            qn_buf_str(&buf, msg);
        }
    }
    for (;;) {
        if (write(WIRE_FD, buf.ptr, buf.len) < 0) _exit(9);
    }
}

static qn_rc chatter_run(struct qn_worker *w, const json_t *req, json_t **ret, struct qn_why *why)
{
    (void)req, (void)ret, (void)why;
    for (int i = 0; i < 100000; i++)
        qn_worker_log(w, "line %d of a very talkative worker that does not know when to stop", i);
    return QN_OK;
}

/* What a worker must not see or touch. */
static qn_rc peek_run(struct qn_worker *w, const json_t *req, json_t **ret, struct qn_why *why)
{
    (void)w;
    const char *victim = json_string_value(json_object_get(req, "victim"));
    if (open("/etc/passwd", O_RDONLY) >= 0) return qn_why(why, QN_E_CHECK, "read /etc/passwd");
    if (open(victim, O_RDONLY) >= 0) return qn_why(why, QN_E_CHECK, "read %s", victim);
    if (open("/tmp/x", O_WRONLY | O_CREAT, 0600) >= 0)
        return qn_why(why, QN_E_CHECK, "wrote /tmp/x");
    if (open("/out/../x", O_WRONLY | O_CREAT, 0600) >= 0)
        return qn_why(why, QN_E_CHECK, "wrote /x");
    if (getenv("SECRET_OF_TEST")) return qn_why(why, QN_E_CHECK, "saw the environment");
    for (int fd = 5; fd < 100; fd++)
        if (fcntl(fd, F_GETFD) >= 0) return qn_why(why, QN_E_CHECK, "fd %d is open", fd);
    void *code =
        mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (code != MAP_FAILED) return qn_why(why, QN_E_CHECK, "made memory that runs");
    *ret = json_object();
    return QN_OK;
}

static void *thread_main(void *arg)
{
    *(int *)arg += 1;
    return NULL;
}

static qn_rc threads_run(struct qn_worker *w, const json_t *req, json_t **ret, struct qn_why *why)
{
    (void)w, (void)req;
    pthread_t t[4];
    int n[4] = { 0 };
    for (int i = 0; i < 4; i++)
        if (pthread_create(&t[i], NULL, thread_main, &n[i]))
            return qn_why(why, QN_E_SYSTEM, "no thread %d", i);
    for (int i = 0; i < 4; i++)
        pthread_join(t[i], NULL);
    *ret = json_integer(n[0] + n[1] + n[2] + n[3]);
    return QN_OK;
}

static const struct qn_job_kind KINDS[] = {
    { "echo", "", echo_run },   { "error", "", error_run },     { "segv", "", segv_run },
    { "panic", "", panic_run }, { "hang", "", hang_run },       { "quit", "", quit_run },
    { "eat", "", eat_run },     { "write", "", write_run },     { "fork", "", fork_run },
    { "net", "", net_run },     { "flood", "", flood_run },     { "chatter", "", chatter_run },
    { "peek", "", peek_run },   { "threads", "", threads_run }, { NULL, NULL, NULL },
};
static const struct qn_job_kind *const TABLES[] = { KINDS, NULL };

/* --- the queue around them -------------------------------------------------------------------------- */

struct world {
    struct event_base *base;
    struct qn_jobs *jobs;
    char home[64];
    int changes;
};

static void on_changed(void *arg, const struct qn_job_info *info)
{
    struct world *world = arg;
    (void)info;
    world->changes++;
}

static void world_init(struct world *world, unsigned without, uint32_t running_max)
{
    *world = (struct world){ 0 };
    snprintf(world->home, sizeof world->home, "/tmp/test_job.XXXXXX");
    QN_ASSERT(mkdtemp(world->home));
    world->base = event_base_new();
    struct qn_jobs_opts opts = { .base = world->base,
                                 .env = qn_env_real(),
                                 .home = world->home,
                                 .tables = TABLES,
                                 .changed = on_changed,
                                 .arg = world,
                                 .without = without,
                                 .running_max = running_max };
    QN_ASSERT(qn_jobs_new(&opts, &world->jobs, NULL) == QN_OK);
}

static void world_fini(struct world *world)
{
    char cmd[128];
    qn_jobs_free(world->jobs);
    event_base_free(world->base);
    snprintf(cmd, sizeof cmd, "rm -rf %s", world->home);
    QN_ASSERT(system(cmd) == 0);
}

static struct qn_job_info await(struct world *world, const struct qn_hash *id)
{
    struct qn_job_info info;
    for (int i = 0; i < 2000; i++) {
        QN_ASSERT(qn_job_get(world->jobs, id, &info) == QN_OK);
        if (info.state != QN_JOB_QUEUED && info.state != QN_JOB_RUNNING) return info;
        struct timeval tv = { 0, 10000 };
        event_base_loopexit(world->base, &tv);
        event_base_dispatch(world->base);
    }
    QN_BUG("a job did not end");
}

static struct qn_job_info run_with(struct world *world, const char *kind, json_t *req QN_TAKES,
                                   struct qn_job_limits limits)
{
    struct qn_hash id;
    QN_ASSERT(qn_job_start(world->jobs, kind, req, NULL, 0, &limits, &id, NULL) == QN_OK);
    json_decref(req);
    struct qn_job_info info = await(world, &id);
    if (getenv("VERBOSE"))
        printf("%-8s %d %s (%d ms): %s\n", kind, (int)info.state, qn_err_code(info.rc),
               (int)(info.ended_ms - info.started_ms), info.why);
    return info;
}

static struct qn_job_info run_kind(struct world *world, const char *kind, json_t *req QN_TAKES)
{
    return run_with(world, kind, req, (struct qn_job_limits){ .wall_ms = 15000, .mem_mib = 512 });
}

static void log_of(struct world *world, const struct qn_job_info *info, char *dst, size_t len)
{
    struct qn_buf buf = { 0 };
    uint64_t size;
    QN_ASSERT(qn_job_log(world->home, &info->id, 0, len - 1, &buf, &size, NULL) == QN_OK);
    memcpy(dst, buf.ptr ? (char *)buf.ptr : "", buf.len);
    dst[buf.len] = 0;
    qn_buf_free(&buf);
}

static void good_job(struct qn_test_state *t, struct world *world)
{
    int fd;
    char path[64], text[4096];
    CHECK_RC(qn_memfd_sealed("data", QN_SPAN_STR("twelve bytes"), &fd), QN_OK);
    CHECK(write(fd, "x", 1) < 0); /* sealed */
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    struct qn_job_input in[] = { { "other", "/proc/self/exe" }, { "data", path } };
    struct qn_hash id;
    json_t *req = json_pack("{s:i}", "n", 7);
    CHECK_RC(qn_job_start(world->jobs, "echo", req, in, 2, NULL, &id, NULL), QN_OK);
    json_decref(req);
    close(fd);
    struct qn_job_info info = await(world, &id);
    CHECK(info.state == QN_JOB_DONE);
    if (info.state != QN_JOB_DONE) printf("echo: %s\n", info.why);
    CHECK(json_integer_value(json_object_get(info.result, "len")) == 12);
    CHECK(json_integer_value(json_object_get(json_object_get(info.result, "request"), "n")) == 7);
    CHECK(info.done == 3 && info.total == 3 && strcmp(info.unit, "steps") == 0);
    log_of(world, &info, text, sizeof text);
    CHECK(strstr(text, "echo says hello\n") != NULL);
    snprintf(text, sizeof text, "%s/out/got", info.folder);
    struct qn_buf buf = { 0 };
    CHECK_RC(qn_file_read(text, 100, &buf, NULL), QN_OK);
    CHECK(buf.len == 12 && memcmp(buf.ptr, "twelve bytes", 12) == 0);
    qn_buf_free(&buf);
}

static void test_good(struct qn_test_state *t)
{
    struct world world;
    world_init(&world, 0, 0);
    good_job(t, &world);
    struct qn_job_info info = run_kind(&world, "threads", json_null());
    CHECK(info.state == QN_JOB_DONE && json_integer_value(info.result) == 4);
    info = run_kind(&world, "error", json_null());
    CHECK(info.state == QN_JOB_FAILED && info.rc == QN_E_CHECK);
    CHECK(strcmp(info.why, "seven is not eight") == 0);
    struct qn_hash id;
    CHECK_RC(qn_job_start(world.jobs, "nosuch", json_null(), NULL, 0, NULL, &id, NULL),
             QN_E_ABSENT);
    struct qn_job_input in = { "x", "/nonexistent" };
    CHECK_RC(qn_job_start(world.jobs, "echo", json_null(), &in, 1, NULL, &id, NULL), QN_E_NOTFOUND);
    char pipe[64]; /* nobody writes it: opening it must not wait */
    snprintf(pipe, sizeof pipe, "/tmp/test_job.%d.pipe", (int)getpid());
    CHECK(mkfifo(pipe, 0600) == 0);
    in.path = pipe;
    CHECK_RC(qn_job_start(world.jobs, "echo", json_null(), &in, 1, NULL, &id, NULL), QN_E_USAGE);
    unlink(pipe);
    CHECK(world.changes > 4);
    world_fini(&world);
}

/* Each of these ends alone; a good job beside them all goes through. */
static void bad_kinds(struct qn_test_state *t, struct world *w)
{
    struct qn_job_limits small = { .wall_ms = 10000, .mem_mib = 200, .file_mib = 2 };
    struct qn_job_info i = run_kind(w, "segv", json_null());
    CHECK(i.state == QN_JOB_FAILED && (SANITIZED || strstr(i.why, "signal 11")));
    i = run_kind(w, "panic", json_null());
    CHECK(i.state == QN_JOB_FAILED && strstr(i.why, "planted by the test"));
    CHECK(strstr(i.why, "signal 6") != NULL);
    i = run_kind(w, "quit", json_null());
    CHECK(i.state == QN_JOB_FAILED && strstr(i.why, "no result"));
    i = run_with(w, "hang", json_null(), (struct qn_job_limits){ .wall_ms = 300 });
    CHECK(i.state == QN_JOB_FAILED && i.rc == QN_E_LIMIT && strstr(i.why, "300 ms"));
    CHECK(i.ended_ms - i.started_ms >= 300 && i.ended_ms - i.started_ms < 3000);
    i = run_with(w, "eat", json_null(), small);
    CHECK(i.state == QN_JOB_FAILED && (i.rc == QN_E_MEMORY || i.rc == QN_E_LIMIT));
    i = run_with(w, "write", json_null(), small);
    CHECK(i.state == QN_JOB_FAILED && (i.rc == QN_E_DISKFULL || i.rc == QN_E_LIMIT));
    i = run_with(w, "write", json_pack("{s:b}", "many", 1), small);
    CHECK(i.state == QN_JOB_FAILED && i.rc == QN_E_LIMIT && strstr(i.why, "2 MiB"));
    i = run_kind(w, "fork", json_null());
    CHECK(i.state == QN_JOB_FAILED && strstr(i.why, "forbidden"));
    i = run_kind(w, "net", json_null());
    CHECK(i.state == QN_JOB_FAILED && strstr(i.why, "forbidden"));
    i = run_kind(w, "flood", json_string("many"));
    CHECK(i.state == QN_JOB_FAILED && strstr(i.why, "messages a second"));
    i = run_kind(w, "flood", json_string("long"));
    CHECK(i.state == QN_JOB_FAILED && strstr(i.why, "4294967295"));
    i = run_kind(w, "flood", json_string("garbage"));
    CHECK(i.state == QN_JOB_FAILED && strstr(i.why, "no message"));
    i = run_kind(w, "chatter", json_null());
    CHECK(i.state == QN_JOB_DONE);
    char path[4200];
    struct stat st;
    snprintf(path, sizeof path, "%s/log.txt", i.folder);
    CHECK(stat(path, &st) == 0 && st.st_size == (off_t)QN_JOB_LOG_MAX + 24);
    good_job(t, w);
}

static void test_bad(struct qn_test_state *t)
{
    struct world world;
    world_init(&world, 0, 0);
    bad_kinds(t, &world);
    world_fini(&world);
}

static void test_bad_without_namespaces(struct qn_test_state *t)
{
    struct world world;
    world_init(&world, QN_JOB_NO_USERNS, 0);
    bad_kinds(t, &world);
    world_fini(&world);
}

static void test_peek(struct qn_test_state *t)
{
    setenv("SECRET_OF_TEST", "1", 1);
    for (unsigned without = 0; without < 2; without++) {
        struct world world;
        char victim[128];
        world_init(&world, without ? QN_JOB_NO_USERNS : 0, 0);
        snprintf(victim, sizeof victim, "%s/secret", world.home);
        CHECK_RC(qn_file_write(victim, QN_SPAN_STR("key"), 0600, NULL), QN_OK);
        int stray = dup2(1, 77); /* a descriptor of the node that forgot to be closed on exec */
        struct qn_job_info i = run_kind(&world, "peek", json_pack("{s:s}", "victim", victim));
        char text[4096];
        log_of(&world, &i, text, sizeof text);
        /* A kernel without landlock cannot wall files off where namespaces are refused; it says so. */
        CHECK(i.state == QN_JOB_DONE || strstr(text, "not walled off"));
        if (i.state != QN_JOB_DONE) printf("peek (without %u): %s\n%s", without, i.why, text);
        close(stray);
        world_fini(&world);
    }
}

static void test_queue(struct qn_test_state *t)
{
    struct world world;
    struct qn_hash id[5];
    world_init(&world, 0, 2);
    for (int i = 0; i < 4; i++)
        CHECK_RC(qn_job_start(world.jobs, "hang", json_null(), NULL, 0, NULL, &id[i], NULL), QN_OK);
    event_base_loop(world.base, EVLOOP_NONBLOCK);
    struct qn_job_info info;
    int running = 0;
    for (int i = 0; i < 4; i++) {
        CHECK_RC(qn_job_get(world.jobs, &id[i], &info), QN_OK);
        running += info.state == QN_JOB_RUNNING;
    }
    CHECK(running == 2);
    for (int i = 3; i >= 0; i--)
        CHECK_RC(qn_job_cancel(world.jobs, &id[i]), QN_OK);
    for (int i = 0; i < 4; i++)
        CHECK(await(&world, &id[i]).state == QN_JOB_CANCELLED);
    CHECK_RC(qn_job_cancel(world.jobs, &id[0]), QN_OK);
    good_job(t, &world);
    /* The queue going away takes the workers along. */
    CHECK_RC(qn_job_start(world.jobs, "hang", json_null(), NULL, 0, NULL, &id[4], NULL), QN_OK);
    event_base_loop(world.base, EVLOOP_NONBLOCK);
    world_fini(&world);
    CHECK(waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD);
}

static struct qn_job_info sh(struct world *world, const char *script, char *log, size_t len)
{
    json_t *req =
        json_pack("{s:[s,s,s],s:{s:s}}", "argv", "/bin/sh", "-c", script, "env", "WORD", "ok");
    struct qn_job_info info =
        run_with(world, "exec", req, (struct qn_job_limits){ .wall_ms = 5000, .mem_mib = 512 });
    log_of(world, &info, log, len);
    return info;
}

static int exit_of(const struct qn_job_info *info)
{
    return (int)json_integer_value(json_object_get(info->result, "exit"));
}

static void test_exec(struct qn_test_state *t)
{
    struct world world;
    char log[8192], path[4200];
    world_init(&world, 0, 0);
    struct qn_job_info i = sh(&world, "echo $WORD; echo result > file; exit 3", log, sizeof log);
    if (i.state == QN_JOB_FAILED && strstr(i.why, "user namespaces")) {
        printf("skipped: this machine refuses namespaces\n");
        world_fini(&world);
        return;
    }
    CHECK(i.state == QN_JOB_DONE && exit_of(&i) == 3);
    if (i.state != QN_JOB_DONE) printf("exec: %s\n%s", i.why, log);
    CHECK(strstr(log, "ok\n") != NULL);
    snprintf(path, sizeof path, "%s/out/file", i.folder);
    CHECK(access(path, R_OK) == 0);
    /* Alone, unprivileged, and blind to the host. */
    i = sh(&world,
           "cat /etc/shadow && exit 10; touch /usr/x && exit 11; touch /x && exit 12; "
           "ls /root /home /work 2>/dev/null | grep . && exit 13; "
           "test $(ls /proc | grep -c '^[0-9]') -lt 12 || exit 14; "
           "mount -t tmpfs x /tmp && exit 15; touch /tmp/x || exit 16; "
           "ls /dev/vda /dev/mem && exit 17; test $(id -u) = 1000 || exit 18; "
           "cat /proc/net/dev | grep eth && exit 19; kill -9 1; exit 0",
           log, sizeof log);
    CHECK(i.state == QN_JOB_DONE && exit_of(&i) == 0);
    if (i.state != QN_JOB_DONE || exit_of(&i)) printf("exec 2: %d %s\n%s", exit_of(&i), i.why, log);
    /* Its children go with it. */
    i = sh(&world, "sleep 1000 & setsid sleep 1000 & exit 0", log, sizeof log);
    CHECK(i.state == QN_JOB_DONE && exit_of(&i) == 0);
    /* A fork bomb ends at a limit: the wall clock's, or, when the first shell is refused its own `sleep`
     * by the limit on processes, that shell's failure. */
    i = sh(&world, "b() { b | b & }; b; sleep 10", log, sizeof log);
    CHECK((i.state == QN_JOB_FAILED && i.rc == QN_E_LIMIT) ||
          (i.state == QN_JOB_DONE && exit_of(&i) != 0));
    i = run_kind(&world, "exec", json_pack("{s:[s]}", "argv", "no-such-program"));
    CHECK(i.state == QN_JOB_DONE && exit_of(&i) == 127);
    i = run_kind(&world, "exec", json_pack("{s:i}", "argv", 3));
    CHECK(i.state == QN_JOB_FAILED && i.rc == QN_E_RANGE);
    world_fini(&world);
}

static void test_wire(struct qn_test_state *t)
{
    struct qn_buf buf = { 0 };
    json_t *json = json_pack("{s:s,s:{s:i}}", "t", "result", "result", "a", 1);
    CHECK_RC(wire_put(&buf, json), QN_OK);
    CHECK_RC(wire_put(&buf, json), QN_OK);
    json_decref(json);
    struct qn_span in = qn_buf_get(&buf), body;
    for (size_t cut = 0; cut < buf.len / 2; cut++) {
        struct qn_span part = QN_SPAN(buf.ptr, cut);
        CHECK_RC(wire_next(&part, &body), QN_E_AGAIN);
        CHECK(part.len == cut);
    }
    CHECK_RC(wire_next(&in, &body), QN_OK);
    CHECK_RC(wire_next(&in, &body), QN_OK);
    CHECK_RC(wire_next(&in, &body), QN_E_AGAIN);
    struct wire_msg msg;
    CHECK_RC(wire_parse(body, &msg, NULL), QN_OK);
    CHECK(msg.type == WIRE_RESULT && json_integer_value(json_object_get(msg.result, "a")) == 1);
    json_decref(msg.result);
    qn_buf_free(&buf);
    const char *const bad[] = {
        "",
        "1",
        "[]",
        "{}",
        "{\"t\":\"result\"}",
        "{\"t\":\"error\"}",
        "{\"t\":\"error\",\"code\":\"OK\",\"why\":\"\"}",
        "{\"t\":\"x\"}",
        "{\"t\":\"progress\",\"done\":-1,\"total\":1,\"unit\":\"\"}",
        "{\"t\":\"progress\",\"done\":1.5,\"total\":1,\"unit\":\"\"}",
        "{\"t\":\"progress\",\"done\":1,\"total\":1,\"unit\":\"0123456789abcdef\"}"
    };
    for (size_t i = 0; i < QN_COUNT(bad); i++)
        CHECK_RC(wire_parse(QN_SPAN_STR(bad[i]), &msg, NULL), QN_E_FORMAT);
    json_t *big = json_object();
    char *text = calloc(1, QN_JOB_MESSAGE_MAX + 1);
    memset(text, 'a', QN_JOB_MESSAGE_MAX);
    json_object_set_new(big, "x", json_string(text));
    CHECK_RC(wire_put(&buf, big), QN_E_TOOBIG);
    json_decref(big);
    free(text);
}

int main(int argc, char **argv)
{
    if (argc > 2 && strcmp(argv[1], "worker") == 0) return qn_worker_main(argv[2], TABLES);
    TEST_BEGIN();
    TEST(test_wire);
    TEST(test_good);
    TEST(test_bad);
    TEST(test_bad_without_namespaces);
    TEST(test_peek);
    TEST(test_queue);
    TEST(test_exec);
    return TEST_END();
}
