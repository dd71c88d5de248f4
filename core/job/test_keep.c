/* test_keep.c - results become blobs; nothing outside a job's folder does. This program is also the worker. */
#include "core/base/test.h"
#include "core/crypto/hash.h"
#include "core/job/calls.h"
#include "core/job/jobs.h"
#include "core/net/blob.h"

#include <event2/event.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static qn_rc leave_run(struct qn_worker *w, const json_t *req, json_t **ret, struct qn_why *why)
{
    char path[4096];
    (void)req, (void)ret;
    struct qn_buf big = { 0 };
    snprintf(path, sizeof path, "%s/big", qn_worker_out(w));
    uint8_t *at = qn_buf_grow(&big, 3000001);
    for (size_t i = 0; i < big.len; i++)
        at[i] = (uint8_t)(i * 31 + i / 255);
    qn_rc rc = qn_file_write(path, qn_buf_get(&big), 0600, why);
    qn_buf_free(&big);
    return rc;
}

static qn_rc hang_run(struct qn_worker *w, const json_t *req, json_t **ret, struct qn_why *why)
{
    (void)w, (void)req, (void)ret, (void)why;
    while (sleep(1) == 0)
        continue;
    return QN_OK;
}

static const struct qn_job_kind KINDS[] = {
    { "leave", "", leave_run },
    { "hang", "", hang_run },
    { NULL, NULL, NULL },
};
static const struct qn_job_kind *const TABLES[] = { KINDS, NULL };

struct qn_node {
    const char *home;
};

static qn_rc keep(struct qn_node *node, int fd, struct qn_hash *ret, uint64_t *ret_bytes,
                  struct qn_why *why)
{
    return blob_keep(node->home, fd, ret, ret_bytes, why);
}

static const struct qn_node_ops OPS = { .blob_keep = keep };

static int files_in(const char *home)
{
    char cmd[128];
    int cnt = -1;
    snprintf(cmd, sizeof cmd, "find %s/blobs -type f ! -name '*.tree' | wc -l", home);
    FILE *p = popen(cmd, "r");
    QN_ASSERT(p && fscanf(p, "%d", &cnt) == 1);
    pclose(p);
    return cnt;
}

static void test_keep(struct qn_test_state *t)
{
    char home[] = "/tmp/test_keep.XXXXXX", path[4300], other[4300], cmd[128];
    struct qn_jobs *jobs;
    struct qn_hash job, hang, blob, again;
    uint64_t bytes;
    struct qn_job_info info;
    QN_ASSERT(mkdtemp(home));
    struct event_base *base = event_base_new();
    struct qn_jobs_opts opts = {
        .base = base, .env = qn_env_real(), .home = home, .tables = TABLES
    };
    QN_ASSERT(qn_jobs_new(&opts, &jobs, NULL) == QN_OK);
    struct qn_node node = { home };
    struct qn_call_ctx ctx = { .node = &node, .ops = &OPS, .jobs = jobs, .home = home };
    CHECK_RC(qn_job_start(jobs, "leave", json_null(), NULL, 0, NULL, &job, NULL), QN_OK);
    CHECK_RC(qn_job_keep(&ctx, &job, "big", &blob, &bytes, NULL), QN_E_STATE);
    for (int i = 0; i < 2000; i++) {
        QN_ASSERT(qn_job_get(jobs, &job, &info) == QN_OK);
        if (info.state >= QN_JOB_DONE) break;
        struct timeval tv = { 0, 10000 };
        event_base_loopexit(base, &tv);
        event_base_dispatch(base);
    }
    CHECK(info.state == QN_JOB_DONE);
    struct qn_buf big = { 0 };
    snprintf(path, sizeof path, "%s/out/big", info.folder);
    CHECK_RC(qn_file_read(path, 4000000, &big, NULL), QN_OK);
    CHECK_RC(qn_job_keep(&ctx, &job, "big", &blob, &bytes, NULL), QN_OK);
    struct qn_hash want = qn_blake3(big.ptr, big.len);
    CHECK(bytes == 3000001 && qn_hash_eq(&blob, &want));
    CHECK_RC(blob_path(home, &blob, other, sizeof other, NULL), QN_OK);
    struct qn_buf kept = { 0 };
    CHECK_RC(qn_file_read(other, 4000000, &kept, NULL), QN_OK);
    CHECK(kept.len == big.len && memcmp(kept.ptr, big.ptr, big.len) == 0);
    CHECK_RC(qn_job_keep(&ctx, &job, "big", &again, &bytes, NULL), QN_OK);
    CHECK(qn_hash_eq(&again, &blob) && files_in(home) == 1);

    /* What a worker, or whoever shared its folder, may have left instead of a file. */
    snprintf(other, sizeof other, "%s/secret", home);
    CHECK_RC(qn_file_write(other, QN_SPAN_STR("the owner's key"), 0600, NULL), QN_OK);
    snprintf(path, sizeof path, "%s/out/soft", info.folder);
    CHECK(symlink(other, path) == 0);
    snprintf(path, sizeof path, "%s/out/hard", info.folder);
    CHECK(link(other, path) == 0);
    snprintf(path, sizeof path, "%s/out/fifo", info.folder);
    CHECK(mkfifo(path, 0600) == 0);
    snprintf(path, sizeof path, "%s/out/sub", info.folder);
    CHECK(mkdir(path, 0700) == 0);
    snprintf(path, sizeof path, "%s/out/hole", info.folder);
    CHECK_RC(qn_file_write(path, QN_SPAN_STR(""), 0600, NULL), QN_OK);
    CHECK(truncate(path, (off_t)BLOB_BYTES_MAX + 1) == 0);
    const char *const refused[] = { "soft", "hard", "fifo", "sub" };
    for (size_t i = 0; i < QN_COUNT(refused); i++)
        CHECK_RC(qn_job_keep(&ctx, &job, refused[i], &again, &bytes, NULL), QN_E_REFUSED);
    const char *const names[] = { "", ".", "..", "../log.txt", "sub/x", "/etc/passwd", ".hidden" };
    for (size_t i = 0; i < QN_COUNT(names); i++)
        CHECK_RC(qn_job_keep(&ctx, &job, names[i], &again, &bytes, NULL), QN_E_USAGE);
    CHECK_RC(qn_job_keep(&ctx, &job, "none", &again, &bytes, NULL), QN_E_NOTFOUND);
    CHECK_RC(qn_job_keep(&ctx, &want, "big", &again, &bytes, NULL), QN_E_NOTFOUND);
    if (test_long()) CHECK_RC(qn_job_keep(&ctx, &job, "hole", &again, &bytes, NULL), QN_E_TOOBIG);
    CHECK(files_in(home) == 1);

    CHECK_RC(qn_job_start(jobs, "hang", json_null(), NULL, 0, NULL, &hang, NULL), QN_OK);
    event_base_loop(base, EVLOOP_NONBLOCK);
    CHECK_RC(qn_job_keep(&ctx, &hang, "x", &again, &bytes, NULL), QN_E_STATE);
    qn_jobs_free(jobs);
    event_base_free(base);
    qn_buf_free(&big);
    qn_buf_free(&kept);
    snprintf(cmd, sizeof cmd, "rm -rf %s", home);
    QN_ASSERT(system(cmd) == 0);
}

int main(int argc, char **argv)
{
    if (argc > 2 && strcmp(argv[1], "worker") == 0) return qn_worker_main(argv[2], TABLES);
    TEST_BEGIN();
    TEST(test_keep);
    return TEST_END();
}
