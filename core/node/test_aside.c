/* test_aside.c - work in a child: its result, its words, its death; and one that stands still is not waited for. */
#include "core/base/test.h"
#include "core/node/aside.h"

#include <event2/event.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

struct turns {
    struct event_base *base;
    struct aside *a;
    unsigned changed;
};

static void changed(void *arg)
{
    ((struct turns *)arg)->changed++;
}

static qn_rc wait_for(struct turns *w, uint64_t ticket, json_t **ret, struct qn_why *why)
{
    qn_rc rc;
    while ((rc = aside_result(w->a, ticket, ret, why)) == QN_E_AGAIN)
        event_base_loop(w->base, EVLOOP_ONCE);
    return rc;
}

static qn_rc stands(void *arg, struct aside *self, json_t **ret, struct qn_why *why)
{
    (void)arg, (void)ret, (void)why;
    aside_say(self, 1, 2);
    raise(SIGSTOP);
    return QN_OK;
}

static qn_rc hangs(void *arg, struct aside *self, json_t **ret, struct qn_why *why)
{
    (void)arg, (void)self, (void)ret, (void)why;
    for (;;)
        pause();
    return QN_OK;
}

/* Longer than the patience, but never silent for so long. */
static qn_rc talks(void *arg, struct aside *self, json_t **ret, struct qn_why *why)
{
    const struct timespec bit = { 0, 100000000 };
    (void)arg, (void)why;
    for (uint64_t i = 0; i < 20; i++) {
        aside_say(self, i, 20);
        nanosleep(&bit, NULL);
    }
    *ret = json_integer(7);
    return QN_OK;
}

/* Says nothing and works, for longer than the patience. */
static qn_rc works(void *arg, struct aside *self, json_t **ret, struct qn_why *why)
{
    struct timespec now;
    (void)arg, (void)self, (void)why;
    do {
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    } while (now.tv_sec < 2);
    *ret = json_integer(8);
    return QN_OK;
}

static void test_aside(struct qn_test_state *t)
{
    static const aside_fn SILENT[] = { stands, hangs };
    struct turns w = { .base = event_base_new() };
    struct qn_why why = { "" };
    uint64_t ticket;
    json_t *said = NULL;
    w.a = aside_new(w.base, changed, &w);
    aside_patience(w.a, 600);
    for (unsigned i = 0; i < QN_COUNT(SILENT); i++) {
        CHECK_RC(aside_start(w.a, "a test's", SILENT[i], NULL, &ticket, &why), QN_OK);
        w.changed = 0;
        CHECK_RC(wait_for(&w, ticket, &said, &why), QN_E_SYSTEM);
        CHECK(strstr(why.text, "stood still for 1 s and was killed") != NULL);
        CHECK(w.changed > 0 && aside_busy(w.a, NULL, NULL) == NULL);
        CHECK_RC(aside_result(w.a, ticket, &said, &why), QN_E_NOTFOUND);
    }
    aside_patience(w.a, 1500);
    CHECK_RC(aside_start(w.a, "a test's", talks, NULL, &ticket, &why), QN_OK);
    CHECK_RC(wait_for(&w, ticket, &said, &why), QN_OK);
    CHECK(json_integer_value(said) == 7);
    json_decref(said);
    CHECK_RC(aside_start(w.a, "a test's", works, NULL, &ticket, &why), QN_OK);
    CHECK_RC(wait_for(&w, ticket, &said, &why), QN_OK);
    CHECK(json_integer_value(said) == 8);
    json_decref(said);
    /* One that is ended with its node leaves nothing behind. */
    CHECK_RC(aside_start(w.a, "a test's", stands, NULL, &ticket, &why), QN_OK);
    aside_free(w.a);
    event_base_free(w.base);
}

int main(void)
{
    TEST_BEGIN();
    TEST(test_aside);
    return TEST_END();
}
