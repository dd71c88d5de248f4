/* test_store.c - the checkpoint's limits: a full map is told and costs nothing that was committed. */
#include "core/base/test.h"
#include "ledger/store/store.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static void count(void *arg, struct qn_span key, struct qn_span val)
{
    (void)key;
    (void)val;
    ++*(size_t *)arg;
}

static void test_map_full(struct qn_test_state *t)
{
    char dir[] = "/tmp/quoin-store-XXXXXX", path[64], cmd[64];
    struct qn_why why = { "" };
    struct qn_store *st;
    struct qn_store_meta meta = { .height = 1 }, seen;
    QN_ASSERT(mkdtemp(dir) != NULL);
    snprintf(path, sizeof path, "%s/state.mdb", dir);
    CHECK_RC(qn_store_open(path, 1, &st, &seen, &why), QN_OK);
    CHECK_RC(qn_store_begin(st, &why), QN_OK);
    CHECK_RC(qn_store_put(st, QN_SPAN_STR("kept"), QN_SPAN_STR("row"), &why), QN_OK);
    CHECK_RC(qn_store_commit(st, &meta, &why), QN_OK);
    uint8_t *big = calloc(1, 16u << 20);
    qn_rc rc = qn_store_begin(st, &why);
    for (uint32_t i = 0; i < 200 && rc == QN_OK; i++) /* 1 GiB is 64 of them */
        rc = qn_store_put(st, QN_SPAN_OF(i), QN_SPAN(big, 16u << 20), &why);
    CHECK_RC(rc, QN_E_MAPFULL);
    CHECK(why.text[0] != 0);
    qn_store_abort(st);
    qn_store_close(st);
    free(big);
    size_t rows = 0;
    CHECK_RC(qn_store_open(path, 1, &st, &seen, &why), QN_OK);
    CHECK_RC(qn_store_load(st, count, &rows, &why), QN_OK);
    CHECK(rows == 1 && seen.height == 1);
    qn_store_close(st);
    snprintf(cmd, sizeof cmd, "rm -rf %s", dir);
    CHECK(system(cmd) == 0);
}

static qn_rc open_load(const char *path, size_t *ret_rows)
{
    struct qn_why why = { "" };
    struct qn_store *st = NULL;
    struct qn_store_meta meta;
    *ret_rows = 0;
    qn_rc rc = qn_store_open(path, 1, &st, &meta, &why);
    if (rc == QN_OK) rc = qn_store_load(st, count, ret_rows, &why);
    if (st) qn_store_close(st);
    return rc;
}

/* A file cut short is told, wherever it ends; one whose last pages were given back unwritten is whole. */
static void test_cut(struct qn_test_state *t)
{
    char dir[] = "/tmp/quoin-cut-XXXXXX", path[64], cmd[64];
    struct qn_why why = { "" };
    struct qn_store *st;
    struct qn_store_meta meta = { .height = 1 }, seen;
    static uint8_t val[40000];
    size_t rows;
    struct stat is;
    QN_ASSERT(mkdtemp(dir) != NULL);
    snprintf(path, sizeof path, "%s/state.mdb", dir);
    CHECK_RC(qn_store_open(path, 1, &st, &seen, &why), QN_OK);
    CHECK_RC(qn_store_begin(st, &why), QN_OK);
    for (uint32_t i = 0; i < 500; i++)
        CHECK_RC(qn_store_put(st, QN_SPAN_OF(i), QN_SPAN(val, i % 100), &why), QN_OK);
    CHECK_RC(qn_store_put(st, QN_SPAN_STR("gone"), QN_SPAN(val, sizeof val), &why), QN_OK);
    CHECK_RC(qn_store_del(st, QN_SPAN_STR("gone"), &why), QN_OK);
    CHECK_RC(qn_store_commit(st, &meta, &why), QN_OK);
    qn_store_close(st);
    CHECK_RC(open_load(path, &rows), QN_OK);
    CHECK(rows == 500 && stat(path, &is) == 0);
    for (off_t len = is.st_size - 4096; len > 0; len -= 4096) {
        CHECK(truncate(path, len) == 0);
        CHECK_RC(open_load(path, &rows), QN_E_CORRUPT);
    }
    CHECK(truncate(path, 100) == 0);
    CHECK_RC(open_load(path, &rows), QN_E_FOREIGN);
    snprintf(cmd, sizeof cmd, "rm -rf %s", dir);
    CHECK(system(cmd) == 0);
}

/* Rows that no state can have are told before they reach it. */
static void test_rows(struct qn_test_state *t)
{
    char dir[] = "/tmp/quoin-rows-XXXXXX", path[64], cmd[64];
    struct qn_why why = { "" };
    struct qn_store *st;
    struct qn_store_meta meta = { .height = 1 }, seen;
    size_t rows;
    QN_ASSERT(mkdtemp(dir) != NULL);
    snprintf(path, sizeof path, "%s/state.mdb", dir);
    CHECK_RC(qn_store_open(path, 1, &st, &seen, &why), QN_OK);
    CHECK_RC(qn_store_begin(st, &why), QN_OK);
    CHECK_RC(qn_store_put(st, QN_SPAN_STR("key"), QN_SPAN_STR("row"), &why), QN_OK);
    CHECK_RC(qn_store_put(st, QN_SPAN_STR("keys"), QN_SPAN_STR("row"), &why), QN_OK);
    CHECK_RC(qn_store_commit(st, &meta, &why), QN_OK);
    qn_store_close(st);
    CHECK_RC(open_load(path, &rows), QN_E_CORRUPT);
    CHECK(rows == 1);
    snprintf(cmd, sizeof cmd, "rm -rf %s", dir);
    CHECK(system(cmd) == 0);
}

/* The twin that simulations use: the last commit that is whole is what it holds. */
static void test_rowlog(struct qn_test_state *t)
{
    char dir[] = "/tmp/quoin-rowlog-XXXXXX", path[64], cmd[64];
    struct qn_why why = { "" };
    struct qn_store *st;
    struct qn_store_meta meta = { .height = 1 }, seen;
    const struct qn_disk *disk = qn_disk_real();
    QN_ASSERT(mkdtemp(dir) != NULL);
    snprintf(path, sizeof path, "%s/state.log", dir);
    for (uint64_t h = 1; h <= 3; h++) {
        size_t rows = 0;
        CHECK_RC(qn_store_open_on(disk, path, 0, &st, &seen, &why), QN_OK);
        CHECK_RC(qn_store_load(st, count, &rows, &why), QN_OK);
        CHECK(seen.height == h - 1 && rows == h - 1);
        meta.height = h;
        CHECK_RC(qn_store_begin(st, &why), QN_OK);
        CHECK_RC(qn_store_put(st, QN_SPAN_OF(h), QN_SPAN_STR("row"), &why), QN_OK);
        CHECK_RC(qn_store_put(st, QN_SPAN_STR("once"), QN_SPAN_STR("gone"), &why), QN_OK);
        CHECK_RC(qn_store_del(st, QN_SPAN_STR("once"), &why), QN_OK);
        CHECK_RC(qn_store_commit(st, &meta, &why), QN_OK);
        qn_store_close(st);
    }
    int64_t size = disk->size(disk->self, path);
    for (int64_t cut = 1; cut <= size; cut++) { /* a crash anywhere in the file */
        size_t rows = 0;
        CHECK(disk->cut(disk->self, path, (uint64_t)(size - cut)) == 0);
        CHECK_RC(qn_store_open_on(disk, path, 0, &st, &seen, &why), QN_OK);
        CHECK_RC(qn_store_load(st, count, &rows, &why), QN_OK);
        CHECK(rows == seen.height && seen.height <= 2);
        qn_store_close(st);
    }
    snprintf(cmd, sizeof cmd, "rm -rf %s", dir);
    CHECK(system(cmd) == 0);
}

int main(void)
{
    TEST_BEGIN();
    TEST(test_map_full);
    TEST(test_cut);
    TEST(test_rows);
    TEST(test_rowlog);
    return TEST_END();
}
