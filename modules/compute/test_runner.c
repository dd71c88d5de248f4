/* test_runner.c - a provider's node runs a lease's workload in a real sandbox, shows its log, and stops it
 * when the ledger closed the lease. This program is also the worker: `test_runner worker KIND`. */
#include "core/base/test.h"
#include "core/crypto/hash.h"
#include "core/job/calls.h"
#include "core/job/jobs.h"
#include "ledger/state/fixture.h"
#include "modules/compute/compute.h"
#include "modules/compute/runner.h"

#include <event2/event.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

extern const struct qn_module compute_module;

struct qn_node {
    char home[64]; /* blobs lie in home as their hash in hex */
};

static qn_rc blob_path(struct qn_node *node, const struct qn_hash *hash, char *dst, size_t dst_len,
                       struct qn_why *why)
{
    char hex[65];
    qn_hex(hash->b, 32, hex);
    snprintf(dst, dst_len, "%s/%s", node->home, hex);
    return access(dst, R_OK) ? qn_why(why, QN_E_NOTFOUND, "no blob %s", hex) : QN_OK;
}

static struct qn_hash blob_put(struct qn_node *node, const char *text)
{
    char path[256], hex[65];
    struct qn_hash hash = qn_blake3(text, strlen(text));
    qn_hex(hash.b, 32, hex);
    snprintf(path, sizeof path, "%s/%s", node->home, hex);
    QN_ASSERT(qn_file_write(path, QN_SPAN_STR(text), 0600, NULL) == QN_OK);
    return hash;
}

static const struct qn_node_ops OPS = { .blob_path = blob_path };

struct world {
    struct qn_fix f;
    struct qn_exec_module mod;
    struct qn_node node;
    struct event_base *base;
    struct qn_jobs *jobs;
    struct qn_arena arena;
    struct qn_call_ctx ctx;
    struct qn_why why;
};

static void world_init(struct world *w)
{
    *w = (struct world){ .mod = { .name = compute_module.name,
                                  .txs = compute_module.txs,
                                  .dues = compute_module.dues,
                                  .genesis = compute_module.genesis,
                                  .block_end = compute_module.block_end } };
    snprintf(w->node.home, sizeof w->node.home, "/tmp/test_runner.XXXXXX");
    QN_ASSERT(mkdtemp(w->node.home));
    qn_fix_init(&w->f, &w->mod, 1, NULL);
    w->base = event_base_new();
    struct qn_jobs_opts opts = { .base = w->base, .env = qn_env_real(), .home = w->node.home };
    QN_ASSERT(qn_jobs_new(&opts, &w->jobs, NULL) == QN_OK);
    w->ctx = (struct qn_call_ctx){ .env = qn_env_real(),
                                   .view = w->f.view,
                                   .node = &w->node,
                                   .ops = &OPS,
                                   .jobs = w->jobs,
                                   .home = w->node.home,
                                   .arena = &w->arena,
                                   .local = true };
}

static void world_fini(struct world *w)
{
    char cmd[128];
    qn_jobs_free(w->jobs);
    event_base_free(w->base);
    qn_arena_free(&w->arena);
    qn_fix_fini(&w->f);
    snprintf(cmd, sizeof cmd, "rm -rf %s", w->node.home);
    QN_ASSERT(system(cmd) == 0);
}

static struct qn_hash make_lease(struct qn_test_state *t, struct world *w, const char *manifest)
{
    struct compute_order order = { 0 };
    struct compute_node_put node = { .node = qn_h("test/node", "1", 1),
                                     .cap = { .cpu_milli = 8000, .ram_mib = 8192 } };
    struct compute_order_put put = { .manifest = blob_put(&w->node, manifest),
                                     .cap = { .cpu_milli = 1000, .ram_mib = 512 },
                                     .max_rate_nqn_h = 1000000000,
                                     .auction_ms = 500,
                                     .deposit = QN_UQN(3000000) };
    struct qn_hash id = { { 0 } };
    CHECK_RC(qn_fix_tx(&w->f, 1, COMPUTE_TX_NODE_PUT, &node, NULL, &w->why), QN_OK);
    CHECK_RC(qn_fix_tx(&w->f, 0, COMPUTE_TX_ORDER_PUT, &put, NULL, &w->why), QN_OK);
    CHECK(qn_fix_event(&w->f, "order.opened", &id));
    struct compute_bid_put bid = { .order = id, .node = node.node, .rate_nqn_h = 500000000 };
    CHECK_RC(qn_fix_tx(&w->f, 1, COMPUTE_TX_BID_PUT, &bid, NULL, &w->why), QN_OK);
    qn_fix_wait(&w->f, 500);
    CHECK(compute_order_get(w->f.view, &w->arena, &id, &order) && order.lease.has);
    struct compute_lease_start start = { .lease = order.lease.v };
    CHECK_RC(qn_fix_tx(&w->f, 1, COMPUTE_TX_LEASE_START, &start, NULL, &w->why), QN_OK);
    return order.lease.v;
}

static qn_rc call(struct world *w, const char *name, json_t *params QN_TAKES, json_t **ret)
{
    const struct qn_call *c = NULL;
    for (const struct qn_call *i = COMPUTE_CALLS; i->name; i++)
        if (strcmp(i->name, name) == 0) c = i;
    for (const struct qn_call *i = QN_JOB_CALLS; i->name; i++)
        if (strcmp(i->name, name) == 0) c = i;
    QN_ASSERT(c);
    void *body = NULL;
    if (c->params) {
        const struct qn_record *rec = c->params();
        body = qn_arena_alloc(&w->arena, rec->size);
        QN_ASSERT(qn_from_json(rec, params, &w->arena, body, &w->why) == QN_OK);
    }
    json_decref(params);
    return c->fn(&w->ctx, body, ret, &w->why);
}

static json_t *one(const char *key, const struct qn_hash *id)
{
    char hex[65];
    qn_hex(id->b, 32, hex);
    return json_pack("{s:s}", key, hex);
}

static struct qn_job_info await(struct world *w, const struct qn_hash *job)
{
    struct qn_job_info info;
    for (int i = 0; i < 1000; i++) {
        struct timeval tv = { 0, 10000 };
        QN_ASSERT(qn_job_get(w->jobs, job, &info) == QN_OK);
        if (info.state != QN_JOB_QUEUED && info.state != QN_JOB_RUNNING) return info;
        event_base_loopexit(w->base, &tv);
        event_base_dispatch(w->base);
    }
    QN_BUG("a job did not end");
}

static void test_run(struct qn_test_state *t)
{
    struct world w;
    struct qn_hash job = { { 0 } }, again;
    json_t *got = NULL;
    char hex[65], manifest[512];
    world_init(&w);
    struct qn_hash data = blob_put(&w.node, "the data of a tenant");
    qn_hex(data.b, 32, hex);
    snprintf(manifest, sizeof manifest,
             "{\"kind\":\"exec\",\"inputs\":{\"DATA\":\"%s\"},"
             "\"argv\":[\"/bin/sh\",\"-c\",\"cat $QUOIN_IN_DATA; exit 5\"]}",
             hex);
    struct qn_hash lease = make_lease(t, &w, manifest);
    CHECK_RC(call(&w, "lease.logs", one("lease", &lease), &got), QN_E_NOTFOUND);
    CHECK_RC(call(&w, "lease.run", one("lease", &lease), &got), QN_OK);
    if (!got) printf("lease.run: %s\n", w.why.text);
    CHECK(qn_unhex(json_string_value(json_object_get(got, "job")), 64, job.b, 32));
    json_decref(got);
    struct qn_job_info info = await(&w, &job);
    CHECK(info.state == QN_JOB_DONE);
    if (info.state != QN_JOB_DONE) printf("job: %s\n", info.why);
    CHECK(json_integer_value(json_object_get(info.result, "exit")) == 5);
    CHECK_RC(call(&w, "lease.logs", one("lease", &lease), &got), QN_OK);
    CHECK(strstr(json_string_value(json_object_get(got, "text")), "the data of a tenant"));
    json_decref(got);
    CHECK_RC(call(&w, "lease.run", one("lease", &lease), &got), QN_OK); /* the same again */
    json_decref(got);
    CHECK(runner_job(w.node.home, &lease, &again) == QN_OK && qn_hash_eq(&job, &again));
    CHECK_RC(call(&w, "lease.get", one("id", &lease), &got), QN_OK);
    CHECK(strcmp(json_string_value(json_object_get(got, "state")), "running") == 0);
    CHECK(json_is_string(json_object_get(got, "job")));
    json_decref(got);
    CHECK_RC(call(&w, "job.get", one("id", &job), &got), QN_OK);
    CHECK(strcmp(json_string_value(json_object_get(got, "state")), "done") == 0);
    json_decref(got);
    world_fini(&w);
}

static void test_stop(struct qn_test_state *t)
{
    struct world w;
    struct qn_hash job = { { 0 } };
    json_t *got = NULL;
    world_init(&w);
    struct qn_hash lease =
        make_lease(t, &w, "{\"kind\":\"exec\",\"argv\":[\"/bin/sleep\",\"60\"]}");
    CHECK_RC(call(&w, "lease.run", one("lease", &lease), &got), QN_OK);
    CHECK(qn_unhex(json_string_value(json_object_get(got, "job")), 64, job.b, 32));
    json_decref(got);
    runner_reconcile(&w.ctx); /* the lease runs: nothing happens */
    event_base_loop(w.base, EVLOOP_NONBLOCK);
    struct qn_job_info info;
    CHECK(qn_job_get(w.jobs, &job, &info) == QN_OK && info.state == QN_JOB_RUNNING);
    struct compute_lease_close end = { .lease = lease };
    CHECK_RC(qn_fix_tx(&w.f, 0, COMPUTE_TX_LEASE_CLOSE, &end, NULL, &w.why), QN_OK);
    runner_reconcile(&w.ctx);
    CHECK(await(&w, &job).state == QN_JOB_CANCELLED);
    CHECK_RC(call(&w, "lease.run", one("lease", &lease), &got), QN_E_STATE);
    world_fini(&w);
}

static void test_bad_manifests(struct qn_test_state *t)
{
    struct world w;
    json_t *got = NULL;
    world_init(&w);
    const char *const bad[] = { "",
                                "[]",
                                "{\"kind\":3}",
                                "{}",
                                "{\"kind\":\"exec\",\"inputs\":{\"x\":\"y\"}}",
                                "{\"kind\":\"exec\",\"inputs\":7}" };
    for (size_t i = 0; i < QN_COUNT(bad); i++) {
        struct qn_hash lease = make_lease(t, &w, bad[i]);
        CHECK_RC(call(&w, "lease.run", one("lease", &lease), &got), QN_E_FORMAT);
    }
    struct qn_hash lease = make_lease(t, &w, "{\"kind\":\"no-such-kind\"}");
    CHECK_RC(call(&w, "lease.run", one("lease", &lease), &got), QN_E_ABSENT);
    json_t *with = one("lease", &lease);
    json_object_set_new(with, "engine", json_string("oci"));
    CHECK_RC(call(&w, "lease.run", with, &got), QN_E_ABSENT);
    CHECK(strstr(w.why.text, "oci") != NULL);
    world_fini(&w);
}

static void test_lists(struct qn_test_state *t)
{
    struct world w;
    world_init(&w);
    make_lease(t, &w, "{\"kind\":\"exec\"}");
    make_lease(t, &w, "{\"kind\":\"exec\",\"x\":1}");
    const char *const calls[] = { "node.list", "order.list", "lease.list", "engine.list" };
    const size_t want[] = { 1, 2, 2, 3 };
    for (size_t i = 0; i < QN_COUNT(calls); i++) {
        json_t *got = NULL;
        CHECK_RC(call(&w, calls[i], json_object(), &got), QN_OK);
        CHECK(json_array_size(got) == want[i]);
        json_decref(got);
    }
    world_fini(&w);
}

int main(int argc, char **argv)
{
    if (argc > 2 && strcmp(argv[1], "worker") == 0) return qn_worker_main(argv[2], NULL);
    TEST_BEGIN();
    TEST(test_run);
    TEST(test_stop);
    TEST(test_bad_manifests);
    TEST(test_lists);
    return TEST_END();
}
