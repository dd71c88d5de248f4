/* test_ask.c - jobs that serve, and every way in which one can be asked in vain. This program is also the
 * worker: `test_ask worker KIND`. */
#include "core/base/test.h"
#include "core/job/ask.h"

#include <event2/event.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

/* serve answers {"op":..} as told. */
static qn_rc serve_run(struct qn_worker *w, const json_t *req, json_t **ret, struct qn_why *why)
{
    struct qn_request ask;
    (void)req, (void)why;
    while (qn_worker_next(w, &ask)) {
        const char *op = json_string_value(json_object_get(ask.message, "op"));
        if (!op) {
            qn_worker_answer(w, ask.id, json_deep_copy(ask.message));
        } else if (strcmp(op, "slow") == 0) {
            usleep(400000);
            qn_worker_answer(w, ask.id, json_string("slow"));
        } else if (strcmp(op, "refuse") == 0) {
            qn_worker_refuse(w, ask.id, QN_E_RANGE, "that is too much");
        } else if (strcmp(op, "die") == 0) {
            raise(SIGKILL);
        } else if (strcmp(op, "leave") == 0) {
            *ret = json_string("left");
            return QN_OK;
        } else if (strcmp(op, "huge") == 0) {
            char *text = calloc(1, QN_JOB_MESSAGE_MAX);
            memset(text, 'x', QN_JOB_MESSAGE_MAX - 1);
            qn_worker_answer(w, ask.id, json_string(text));
            free(text);
        } else if (strcmp(op, "wrong") == 0) {
            qn_worker_answer(w, ask.id + 1, json_null());
        } else if (strcmp(op, "twice") == 0) {
            qn_worker_answer(w, ask.id, json_null());
            qn_worker_answer(w, ask.id, json_null());
        } else if (strcmp(op, "garbage") == 0) {
            const char bad[] = "\x1e\0\0\0{\"t\":\"answer\",\"id\":1,\"x\":true}";
            if (write(WIRE_FD, bad, sizeof bad - 1) < 0) _exit(1);
        }
    }
    return QN_E_NONODE;
}

/* unasked answers before anybody asked. */
static qn_rc unasked_run(struct qn_worker *w, const json_t *req, json_t **ret, struct qn_why *why)
{
    (void)req, (void)ret, (void)why;
    qn_worker_answer(w, 1, json_null());
    sleep(10);
    return QN_OK;
}

static qn_rc echo_run(struct qn_worker *w, const json_t *req, json_t **ret, struct qn_why *why)
{
    (void)w, (void)why;
    *ret = json_deep_copy(req);
    return QN_OK;
}

static const struct qn_job_kind KINDS[] = {
    { "serve", "", serve_run },
    { "unasked", "", unasked_run },
    { "echo", "", echo_run },
    { NULL, NULL, NULL },
};
static const struct qn_job_kind *const TABLES[] = { KINDS, NULL };

/* --- the queue around them -------------------------------------------------------------------------- */

struct world {
    struct event_base *base;
    struct qn_jobs *jobs;
    char home[64];
    struct qn_hash job;
    int told, answered;
};

/* One request of a test and how it ended. */
struct asked {
    struct world *world;
    int calls; /* of the callback */
    qn_rc rc;
    char text[200];
    json_int_t n;
    int order;  /* when, among all */
    bool again; /* ask once more from within */
};

static void on_answer(void *arg, qn_rc rc, const json_t *result, const char *why)
{
    struct asked *a = arg;
    a->calls++;
    a->rc = rc;
    a->order = ++a->world->answered;
    a->n = json_integer_value(json_object_get(result, "n"));
    snprintf(a->text, sizeof a->text, "%s",
             rc                       ? why
             : json_is_string(result) ? json_string_value(result)
                                      : "");
    if (a->again) {
        a->again = false;
        json_t *msg = json_pack("{s:i}", "n", 77);
        qn_rc got = qn_job_ask(a->world->jobs, &a->world->job, msg, 0, on_answer, a, NULL);
        if (got) a->rc = got;
        json_decref(msg);
    }
}

static void on_answered(void *arg)
{
    struct world *w = arg;
    w->told++;
}

static void begin(struct world *w, const char *kind, uint32_t running_max)
{
    *w = (struct world){ 0 };
    snprintf(w->home, sizeof w->home, "/tmp/test_ask.XXXXXX");
    QN_ASSERT(mkdtemp(w->home));
    w->base = event_base_new();
    struct qn_jobs_opts opts = { .base = w->base,
                                 .env = qn_env_real(),
                                 .home = w->home,
                                 .tables = TABLES,
                                 .answered = on_answered,
                                 .arg = w,
                                 .running_max = running_max };
    QN_ASSERT(qn_jobs_new(&opts, &w->jobs, NULL) == QN_OK);
    QN_ASSERT(qn_job_start(w->jobs, kind, json_null(), NULL, 0, NULL, &w->job, NULL) == QN_OK);
}

static void end(struct world *w)
{
    char cmd[128];
    qn_jobs_free(w->jobs);
    event_base_free(w->base);
    snprintf(cmd, sizeof cmd, "rm -rf %s", w->home);
    QN_ASSERT(system(cmd) == 0);
}

static qn_rc ask(struct world *w, struct asked *a, json_t *msg QN_TAKES, uint32_t timeout_ms)
{
    struct qn_why why;
    a->world = w;
    qn_rc rc = qn_job_ask(w->jobs, &w->job, msg, timeout_ms, on_answer, a, &why);
    json_decref(msg);
    return rc;
}

static json_t *op(const char *what)
{
    return json_pack("{s:s}", "op", what);
}

static void turn(struct world *w)
{
    struct timeval tv = { 0, 5000 };
    event_base_loopexit(w->base, &tv);
    event_base_dispatch(w->base);
}

static void await(struct world *w, struct asked *a)
{
    for (int i = 0; i < 4000 && !a->calls; i++)
        turn(w);
    QN_ASSERT(a->calls);
}

static struct qn_job_info await_end(struct world *w)
{
    struct qn_job_info info;
    for (int i = 0; i < 4000; i++) {
        QN_ASSERT(qn_job_get(w->jobs, &w->job, &info) == QN_OK);
        if (info.state != QN_JOB_QUEUED && info.state != QN_JOB_RUNNING) return info;
        turn(w);
    }
    QN_BUG("the job did not end");
}

static void test_echo(struct qn_test_state *t)
{
    struct world w;
    struct asked a[200] = { 0 };
    begin(&w, "serve", 0);
    for (int i = 0; i < 200; i++) /* the first of them before it runs */
        CHECK_RC(ask(&w, &a[i], json_pack("{s:i}", "n", i), 0), QN_OK);
    CHECK(a[0].calls == 0);
    for (int i = 0; i < 200; i++) {
        await(&w, &a[i]);
        CHECK(a[i].calls == 1 && a[i].rc == QN_OK && a[i].n == i && a[i].order == i + 1);
    }
    struct asked r = { 0 }, again = { .again = true };
    CHECK_RC(ask(&w, &r, op("refuse"), 0), QN_OK);
    await(&w, &r);
    CHECK(r.rc == QN_E_RANGE && strcmp(r.text, "that is too much") == 0);
    CHECK_RC(ask(&w, &again, json_pack("{s:i}", "n", 1), 0), QN_OK);
    while (again.calls < 2)
        turn(&w);
    CHECK(again.rc == QN_OK && again.n == 77);
    struct qn_job_info info;
    CHECK_RC(qn_job_get(w.jobs, &w.job, &info), QN_OK);
    CHECK(info.state == QN_JOB_RUNNING && info.serving);
    /* An answer that is too large is refused by the worker itself, and it goes on. */
    struct asked h = { 0 }, e = { 0 };
    CHECK_RC(ask(&w, &h, op("huge"), 0), QN_OK);
    CHECK_RC(ask(&w, &e, json_pack("{s:i}", "n", 5), 0), QN_OK);
    await(&w, &e);
    CHECK(h.rc == QN_E_TOOBIG && e.rc == QN_OK && e.n == 5);
    /* It may end by itself: what is unanswered is told. */
    struct asked l = { 0 }, after = { 0 };
    CHECK_RC(ask(&w, &l, op("leave"), 0), QN_OK);
    CHECK_RC(ask(&w, &after, json_null(), 0), QN_OK);
    await(&w, &after);
    CHECK(l.rc == QN_E_JOB && after.rc == QN_E_JOB && l.calls == 1);
    info = await_end(&w);
    CHECK(info.state == QN_JOB_DONE && !info.serving);
    CHECK_RC(ask(&w, &after, json_null(), 0), QN_E_STATE);
    w.job.b[0] ^= 1;
    CHECK_RC(ask(&w, &after, json_null(), 0), QN_E_NOTFOUND);
    end(&w);
}

static void test_slow(struct qn_test_state *t)
{
    struct world w;
    struct asked slow = { 0 }, next = { 0 };
    begin(&w, "serve", 0);
    CHECK_RC(ask(&w, &slow, op("slow"), 50), QN_OK);
    CHECK_RC(ask(&w, &next, json_pack("{s:i}", "n", 9), 0), QN_OK);
    await(&w, &slow);
    CHECK(slow.rc == QN_E_TIMEOUT && !next.calls);
    await(&w, &next); /* the late answer was dropped, the order kept */
    CHECK(slow.calls == 1 && next.rc == QN_OK && next.n == 9);
    end(&w);
}

static void test_death(struct qn_test_state *t)
{
    struct world w;
    struct asked a = { 0 }, b = { 0 }, c = { 0 };
    begin(&w, "serve", 0);
    CHECK_RC(ask(&w, &a, json_pack("{s:i}", "n", 1), 0), QN_OK);
    CHECK_RC(ask(&w, &b, op("die"), 0), QN_OK);
    CHECK_RC(ask(&w, &c, json_pack("{s:i}", "n", 2), 0), QN_OK);
    await(&w, &c);
    CHECK(a.rc == QN_OK && b.rc == QN_E_JOB && c.rc == QN_E_JOB);
    CHECK(strstr(c.text, "signal 9") != NULL);
    CHECK(await_end(&w).state == QN_JOB_FAILED);
    end(&w);
    /* cancelled, and the queue going away: each is told once */
    struct asked d = { 0 }, e = { 0 };
    begin(&w, "serve", 0);
    CHECK_RC(ask(&w, &d, op("slow"), 0), QN_OK);
    turn(&w);
    CHECK_RC(qn_job_cancel(w.jobs, &w.job), QN_OK);
    CHECK_RC(ask(&w, &e, json_null(), 0), QN_E_STATE);
    await(&w, &d);
    CHECK(d.rc == QN_E_JOB && d.calls == 1);
    end(&w);
    struct asked f = { 0 };
    begin(&w, "serve", 0);
    CHECK_RC(ask(&w, &f, op("slow"), 0), QN_OK);
    turn(&w);
    end(&w);
    CHECK(f.calls == 1 && f.rc == QN_E_JOB);
}

/* Answers that were not asked for, out of order, twice or out of form end the job. */
static void test_liars(struct qn_test_state *t)
{
    static const char *const ops[] = { "wrong", "twice", "garbage" };
    struct world w;
    for (size_t i = 0; i < QN_COUNT(ops); i++) {
        struct asked a = { 0 }, b = { 0 };
        begin(&w, "serve", 0);
        CHECK_RC(ask(&w, &a, op(ops[i]), 0), QN_OK);
        CHECK_RC(ask(&w, &b, op("slow"), 0), QN_OK);
        await(&w, &b);
        CHECK(a.calls == 1 && b.calls == 1 && b.rc == QN_E_JOB);
        CHECK(await_end(&w).state == QN_JOB_FAILED);
        end(&w);
    }
    begin(&w, "unasked", 0);
    struct qn_job_info info = await_end(&w);
    CHECK(info.state == QN_JOB_FAILED && info.rc == QN_E_JOB && strstr(info.why, "0 was due"));
    end(&w);
}

static void test_bounds(struct qn_test_state *t)
{
    struct world w;
    static struct asked a[QN_JOB_ASKS_MAX + 1];
    struct asked slow = { 0 };
    memset(a, 0, sizeof a);
    begin(&w, "serve", 0);
    CHECK_RC(ask(&w, &slow, op("slow"), 0), QN_OK);
    unsigned ok = 0, full = 0;
    for (size_t i = 0; i < QN_COUNT(a); i++) {
        qn_rc rc = ask(&w, &a[i], json_pack("{s:i}", "n", (int)i), 0);
        ok += rc == QN_OK;
        full += rc == QN_E_RATE;
    }
    CHECK(ok == QN_JOB_ASKS_MAX - 1 && full == 2);
    await(&w, &a[QN_JOB_ASKS_MAX - 2]);
    /* by bytes, too */
    char *text = calloc(1, QN_JOB_MESSAGE_MAX + 1);
    memset(text, 'y', QN_JOB_MESSAGE_MAX);
    CHECK_RC(ask(&w, &slow, json_string(text), 0), QN_E_TOOBIG);
    text[1 << 19] = 0;
    CHECK_RC(ask(&w, &slow, op("slow"), 0), QN_OK);
    memset(a, 0, sizeof a);
    for (full = ok = 0; !full && ok < QN_COUNT(a);) {
        qn_rc rc = ask(&w, &a[ok], json_string(text), 0);
        full = rc == QN_E_RATE;
        ok += rc == QN_OK;
    }
    CHECK(full && ok == QN_JOB_ASK_BYTES_MAX >> 19);
    free(text);
    await(&w, &a[ok - 1]);
    CHECK(a[ok - 1].rc == QN_OK);
    end(&w);
}

/* A job that serves leaves its place among those that run. */
static void test_place(struct qn_test_state *t)
{
    struct world w;
    struct asked a = { 0 };
    struct qn_hash serve;
    begin(&w, "serve", 1);
    CHECK_RC(ask(&w, &a, json_null(), 0), QN_OK);
    await(&w, &a);
    serve = w.job;
    CHECK_RC(qn_job_start(w.jobs, "echo", json_null(), NULL, 0, NULL, &w.job, NULL), QN_OK);
    CHECK(await_end(&w).state == QN_JOB_DONE);
    w.job = serve;
    a.calls = 0;
    CHECK_RC(ask(&w, &a, json_null(), 0), QN_OK);
    await(&w, &a);
    CHECK(a.rc == QN_OK);
    end(&w);
}

/* The way of calls: tried again until the answer is there. */
static void test_wait(struct qn_test_state *t)
{
    struct world w;
    uint64_t state = 0, first;
    json_t *msg = json_pack("{s:i}", "n", 3), *ret = NULL;
    struct qn_why why;
    qn_rc rc;
    begin(&w, "serve", 0);
    CHECK_RC(qn_job_ask_wait(w.jobs, &state, &w.job, msg, 0, &ret, &why), QN_E_AGAIN);
    first = state;
    while (!w.told)
        turn(&w);
    CHECK_RC(qn_job_ask_wait(w.jobs, &state, &w.job, NULL, 0, &ret, &why), QN_OK);
    CHECK(state == first && json_equal(msg, ret));
    json_decref(ret);
    CHECK_RC(qn_job_ask_wait(w.jobs, &state, &w.job, NULL, 0, &ret, &why), QN_E_TIMEOUT);
    json_decref(msg);
    state = 0;
    msg = op("refuse");
    CHECK_RC(qn_job_ask_wait(w.jobs, &state, &w.job, msg, 0, &ret, &why), QN_E_AGAIN);
    CHECK(state != first);
    while ((rc = qn_job_ask_wait(w.jobs, &state, &w.job, NULL, 0, &ret, &why)) == QN_E_AGAIN)
        turn(&w);
    CHECK(rc == QN_E_RANGE && strcmp(why.text, "that is too much") == 0);
    uint64_t left = 0; /* a caller that never comes back */
    CHECK_RC(qn_job_ask_wait(w.jobs, &left, &w.job, msg, 0, &ret, &why), QN_E_AGAIN);
    json_decref(msg);
    w.job.b[0] ^= 1;
    state = 0;
    CHECK_RC(qn_job_ask_wait(w.jobs, &state, &w.job, json_null(), 0, &ret, &why), QN_E_NOTFOUND);
    CHECK(state == 0);
    end(&w);
}

int main(int argc, char **argv)
{
    if (argc > 2 && strcmp(argv[1], "worker") == 0) return qn_worker_main(argv[2], TABLES);
    TEST_BEGIN();
    TEST(test_echo);
    TEST(test_slow);
    TEST(test_death);
    TEST(test_liars);
    TEST(test_bounds);
    TEST(test_place);
    TEST(test_wait);
    return TEST_END();
}
