/* test_env.c - files written whole or not at all. */
#include "core/base/test.h"
#include "core/env/env.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* A container's first process has the same number each time: what a crash left has its name. */
static void test_leftover(struct qn_test_state *t)
{
    char dir[] = "/tmp/test_env.XXXXXX", path[64], tmp[96], other[64];
    struct qn_why why = { "" };
    struct qn_buf got = { 0 };
    QN_ASSERT(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/count", dir);
    snprintf(other, sizeof other, "%s/other", dir);
    snprintf(tmp, sizeof tmp, "%s.%d.tmp", path, (int)getpid());
    CHECK_RC(qn_file_write(other, QN_SPAN_STR("mine"), 0600, &why), QN_OK);
    CHECK(symlink(other, tmp) == 0); /* and nobody leads it elsewhere */
    CHECK_RC(qn_file_write(path, QN_SPAN_STR("7\n"), 0600, &why), QN_OK);
    CHECK_RC(qn_file_read(path, 16, &got, &why), QN_OK);
    CHECK(qn_span_eq(qn_buf_get(&got), QN_SPAN_STR("7\n")));
    qn_buf_clear(&got);
    CHECK_RC(qn_file_read(other, 16, &got, &why), QN_OK);
    CHECK(qn_span_eq(qn_buf_get(&got), QN_SPAN_STR("mine")));
    CHECK(access(tmp, F_OK) != 0);
    qn_buf_free(&got);
    remove(path), remove(other), rmdir(dir);
}

int main(void)
{
    TEST_BEGIN();
    TEST(test_leftover);
    return TEST_END();
}
