/* test.h - the whole test harness: a test is a program whose main runs TESTs and returns TEST_END().
 * It prints one line for each failure and last `N passed, N failed`. */
#ifndef QN_CORE_BASE_TEST_H
#define QN_CORE_BASE_TEST_H

#include "core/base/err.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* test_long says whether the full counts are wanted: ./build.sh test --long. */
static inline QN_UNUSED bool test_long(void)
{
    const char *env = getenv("QUOIN_TEST_LONG");
    return env && strcmp(env, "1") == 0;
}

struct qn_test_state {
    int passed, failed;
    bool bad;
};

/* CHECK notes a failure and goes on; for use inside a `static void test_x(struct qn_test_state *t)`. */
#define CHECK(cond)                                                                                \
    do {                                                                                           \
        if (!(cond)) {                                                                             \
            printf("%s:%d: CHECK(%s)\n", __FILE__, __LINE__, #cond);                               \
            t->bad = true;                                                                         \
        }                                                                                          \
    } while (0)
#define CHECK_RC(expr, want)                                                                       \
    do {                                                                                           \
        qn_rc got_ = (expr);                                                                       \
        if (got_ != (want)) {                                                                      \
            printf("%s:%d: %s is %s, want %s\n", __FILE__, __LINE__, #expr, qn_err_code(got_),     \
                   qn_err_code(want));                                                             \
            t->bad = true;                                                                         \
        }                                                                                          \
    } while (0)
#define TEST(fn)                                                                                   \
    do {                                                                                           \
        test_state.bad = false;                                                                    \
        fn(&test_state);                                                                           \
        if (test_state.bad) printf("FAIL %s\n", #fn);                                              \
        test_state.bad ? test_state.failed++ : test_state.passed++;                                \
    } while (0)
#define TEST_BEGIN() struct qn_test_state test_state = { 0 }
#define TEST_END()                                                                                 \
    (printf("%d passed, %d failed\n", test_state.passed, test_state.failed),                       \
     test_state.failed ? 1 : 0)

#endif
