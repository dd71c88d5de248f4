/* test_store_churn.c - the checkpoint under rows that change for ever: its file stays as large as its rows need, a reader that hangs costs pages while it
 * lives and none once it is dead, and one that reads for long sees one commit. */
#include "core/base/test.h"
#include "ledger/store/scan.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ROWS = 20000, CHANGED = 1000, ROW = 120 };

struct churn {
    char dir[40], path[64];
    struct qn_store *st;
    uint64_t x, height;
    struct qn_why why;
};

static uint64_t next(struct churn *c)
{
    c->x = c->x * 6364136223846793005u + 1442695040888963407u;
    return c->x >> 33;
}

/* Rows of many lengths, some of more pages than one; some go and come back. */
static void commit(struct churn *c, uint32_t cnt, bool all)
{
    static const uint8_t LONG[4080] = { 1 };
    uint8_t row[ROW];
    c->height++;
    QN_ASSERT(qn_store_begin(c->st, &c->why) == QN_OK);
    for (uint32_t i = 0; i < cnt; i++) {
        uint64_t number = (all ? i : next(c) % ROWS) * 0x9e3779b97f4a7c15u;
        memset(row, (int)c->height, sizeof row);
        struct qn_span key = QN_SPAN_OF(number), val = QN_SPAN(row, 20 + next(c) % 100);
        if (next(c) % 50 == 0) val = QN_SPAN(LONG, 1000 + next(c) % 3000);
        QN_ASSERT((next(c) % 20 || all ? qn_store_put(c->st, key, val, &c->why)
                                       : qn_store_del(c->st, key, &c->why)) == QN_OK);
    }
    struct qn_store_meta meta = { .height = c->height };
    QN_ASSERT(qn_store_commit(c->st, &meta, &c->why) == QN_OK);
}

static uint64_t file_bytes(const struct churn *c)
{
    struct stat st;
    QN_ASSERT(stat(c->path, &st) == 0);
    return (uint64_t)st.st_size;
}

static void churn_open(struct churn *c)
{
    struct qn_store_meta meta;
    *c = (struct churn){ .dir = "/tmp/quoin-churn-XXXXXX", .x = 1 };
    QN_ASSERT(mkdtemp(c->dir) != NULL);
    snprintf(c->path, sizeof c->path, "%s/state.mdb", c->dir);
    QN_ASSERT(qn_store_open(c->path, 1, &c->st, &meta, &c->why) == QN_OK);
    commit(c, ROWS, true);
}

static void churn_close(struct churn *c)
{
    char cmd[64];
    qn_store_close(c->st);
    snprintf(cmd, sizeof cmd, "rm -rf %s", c->dir);
    QN_ASSERT(system(cmd) == 0);
}

static void test_size(struct qn_test_state *t)
{
    struct churn c;
    uint64_t rounds = test_long() ? 10000 : 240, settled = 0;
    churn_open(&c);
    for (uint64_t i = 0; i < rounds; i++) {
        commit(&c, CHANGED, false);
        if (i == rounds / 4) settled = file_bytes(&c);
    }
    printf("%u rows, %u changed in each of %llu commits: %.1f MB after a quarter, %.1f MB at the "
           "end\n",
           ROWS, CHANGED, (unsigned long long)rounds, (double)settled / 1e6,
           (double)file_bytes(&c) / 1e6);
    CHECK(file_bytes(&c) <= settled + settled / 8);
    churn_close(&c);
}

/* A process that opened the file to read and stands still. It says so, and dies when it is told to. */
static pid_t hang(const struct churn *c)
{
    int ends[2];
    char byte;
    QN_ASSERT(pipe(ends) == 0);
    pid_t pid = fork();
    QN_ASSERT(pid >= 0);
    if (pid == 0) {
        struct qn_scan *scan;
        struct qn_store_meta meta;
        struct qn_why why;
        struct qn_span key, val;
        alarm(120);
        if (qn_scan_open(c->path, &scan, &meta, &why) ||
            qn_scan_next(scan, QN_SPAN(NULL, 0), &key, &val, &why) || write(ends[1], "", 1) != 1)
            _exit(1);
        pause();
        _exit(0);
    }
    close(ends[1]);
    QN_ASSERT(read(ends[0], &byte, 1) == 1);
    close(ends[0]);
    return pid;
}

static void test_hung_reader(struct qn_test_state *t)
{
    struct churn c;
    int how;
    uint64_t rounds = test_long() ? 1000 : 60;
    churn_open(&c);
    for (uint64_t i = 0; i < rounds; i++)
        commit(&c, CHANGED, false);
    uint64_t before = file_bytes(&c);
    pid_t pid = hang(&c);
    for (uint64_t i = 0; i < rounds; i++)
        commit(&c, CHANGED, false);
    uint64_t held = file_bytes(&c);
    kill(pid, SIGKILL);
    QN_ASSERT(waitpid(pid, &how, 0) == pid && WIFSIGNALED(how));
    for (uint64_t i = 0; i < 3 * rounds; i++) /* its pages are used again, before any new one */
        commit(&c, CHANGED, false);
    uint64_t after = file_bytes(&c);
    printf(
        "a reader hung: %.1f MB before, %.1f MB by its death, %.1f MB after three times as long\n",
        (double)before / 1e6, (double)held / 1e6, (double)after / 1e6);
    CHECK(held > before + before / 2); /* the test tests something */
    CHECK(after <= held + held / 16);
    churn_close(&c);
}

/* What a reader sees is one commit, whatever is written meanwhile. */
static void test_one_commit(struct qn_test_state *t)
{
    struct churn c;
    int how;
    churn_open(&c);
    pid_t pid = fork();
    QN_ASSERT(pid >= 0);
    if (pid == 0) {
        struct qn_scan *scan;
        struct qn_store_meta meta;
        struct qn_why why;
        struct qn_span key, val;
        alarm(120);
        for (int i = 0; i < 20; i++) {
            uint64_t newest = 0, rows = 0;
            if (qn_scan_open(c.path, &scan, &meta, &why)) _exit(2);
            qn_rc rc;
            while ((rc = qn_scan_next(scan, QN_SPAN(NULL, 0), &key, &val, &why)) == QN_OK) {
                if (val.len && val.len <= ROW && val.ptr[0] != 1)
                    newest = QN_MAX(newest, (uint64_t)val.ptr[0]);
                rows++;
            }
            qn_scan_close(scan);
            if (rc != QN_E_NOTFOUND || rows < ROWS / 2 || newest > meta.height) _exit(3);
        }
        _exit(0);
    }
    pid_t ended = 0;
    while (ended == 0 && c.height < 255) { /* heights are bytes of rows here */
        commit(&c, CHANGED, false);
        ended = waitpid(pid, &how, WNOHANG);
    }
    if (ended == 0) QN_ASSERT(waitpid(pid, &how, 0) == pid);
    CHECK(WIFEXITED(how) && WEXITSTATUS(how) == 0);
    churn_close(&c);
}

int main(void)
{
    TEST_BEGIN();
    TEST(test_size);
    TEST(test_hung_reader);
    TEST(test_one_commit);
    return TEST_END();
}
