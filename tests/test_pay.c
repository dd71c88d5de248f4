/* test_pay.c - paid calls against a real node: replays, double spends, forged, stale and foreign vouchers, wrong order, copies,
 * and kill -9 at each named point of payee and payer. Money adds up each time. This program is also the worker. */
#include "core/base/test.h"
#include "core/cli/local.h"
#include "core/module/local.h"
#include "tests/pay.h"

#include <pthread.h>

#define PRICE 500

static uint64_t balance(struct pay_world *w, const struct qn_hash *acct)
{
    char hex[65];
    qn_hex(acct->b, 32, hex);
    json_t *got = pay_call(w, "account.get", json_pack("{s:s}", "id", hex));
    uint64_t ret = (uint64_t)json_integer_value(json_object_get(got, "balance_uqn"));
    json_decref(got);
    return ret;
}

/* How many requests the service has run, and what it may claim of a channel. */
static int64_t served(struct pay_world *w)
{
    json_t *list = pay_call(w, "agent.services", NULL);
    int64_t ret = json_integer_value(json_object_get(json_array_get(list, 0), "served"));
    json_decref(list);
    return ret;
}

static uint64_t income(struct pay_world *w, const struct pay_channel *c, const char *what)
{
    char hex[65];
    uint64_t ret = 0;
    qn_hex(c->id.b, 32, hex);
    json_t *list = pay_call(w, "agent.income", NULL);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *one = json_array_get(list, i);
        if (strcmp(json_string_value(json_object_get(one, "channel")), hex) == 0)
            ret = (uint64_t)json_integer_value(json_object_get(one, what));
    }
    json_decref(list);
    return ret;
}

static bool said(const struct qn_buf *answer, const char *words)
{
    bool ok = strstr((const char *)answer->ptr, words) != NULL;
    if (!ok) printf("not said: \"%s\" in %s\n", words, (const char *)answer->ptr);
    return ok;
}

/* One request paid right; the status. */
static int pay(struct pay_world *w, const struct pay_channel *c, uint64_t seq, uint64_t cum,
               uint64_t idem_no, struct qn_buf *answer)
{
    struct qn_hash idem = pay_idem(idem_no);
    char *header = pay_header(w, c, seq, cum, PRICE, "/svc/echo", "{\"n\":1}", &idem);
    int status = pay_ask(w, "/svc/echo", header, "{\"n\":1}", answer, NULL);
    free(header);
    return status;
}

static void test_flow(struct qn_test_state *t)
{
    struct pay_world w;
    struct pay_channel c, d;
    struct qn_buf answer = { 0 }, head = { 0 };
    struct d402_offer offer;
    struct d402_settled settled;
    size_t len;
    pay_init(&w);
    json_decref(pay_serve(&w, "echo", PRICE, false));
    pay_open(&w, "payer", 100 * PRICE, PRICE, 50, &c);
    /* no payment: the price */
    CHECK(pay_ask(&w, "/svc/echo", NULL, "{}", &answer, &head) == 402);
    const char *val = qn_http_find((char *)head.ptr, D402_REQUIRED, &len);
    CHECK(val && d402_offer_get(QN_SPAN(val, len), &offer, NULL) == QN_OK);
    CHECK(offer.price.uqn == PRICE && qn_hash_eq(&offer.pay_to, &w.payee));
    CHECK(strcmp(offer.network, w.offer.network) == 0 && !offer.has_next);
    CHECK(pay_ask(&w, "/svc/nobody", NULL, "{}", &answer, NULL) == 404);
    CHECK(pay_ask(&w, "/svc/echo", "rubbish", "{}", &answer, NULL) == 400);
    /* paid: the answer and a receipt */
    struct qn_hash idem = pay_idem(1);
    char *header = pay_header(&w, &c, 1, PRICE, PRICE, "/svc/echo", "{\"n\":1}", &idem);
    CHECK(pay_ask(&w, "/svc/echo", header, "{\"n\":1}", &answer, &head) == 200);
    CHECK(said(&answer, "{\"echo\":{\"n\":1}}"));
    val = qn_http_find((char *)head.ptr, D402_RESPONSE, &len);
    CHECK(val && d402_settled_get(QN_SPAN(val, len), &settled, NULL) == QN_OK);
    struct qn_hash said_hash = receipt_hash(&w.chain, &settled.receipt),
                   result = qn_blake3(answer.ptr, answer.len - 1),
                   payer = qn_acct_key(&c.signer.pub);
    CHECK(settled.success && qn_hash_eq(&settled.payer, &payer));
    CHECK(settled.receipt.seq == 1 && settled.receipt.charged_cum.uqn == PRICE);
    CHECK(qn_hash_eq(&settled.receipt.result, &result));
    CHECK(qn_verify(&w.service.pub, QN_SPAN_OF(said_hash), &settled.receipt.sig));
    /* the same again: the stored answer, not run again; on another path, with another body, another idem: refused */
    CHECK(pay_ask(&w, "/svc/echo", header, "{\"n\":1}", &answer, NULL) == 200);
    CHECK(said(&answer, "{\"echo\":{\"n\":1}}") && served(&w) == 1);
    CHECK(pay_ask(&w, "/svc/echo", header, "{\"n\":2}", &answer, NULL) == 409);
    CHECK(pay_ask(&w, "/svc/echo?x=1", header, "{\"n\":1}", &answer, NULL) == 409);
    CHECK(pay_ask(&w, "/svc/echo?x=1", header, "{\"n\":2}", &answer, NULL) == 409);
    free(header);
    CHECK(pay(&w, &c, 1, PRICE, 2, &answer) == 409 && said(&answer, "paid for before"));
    /* a voucher for another body than the one sent */
    idem = pay_idem(3);
    header = pay_header(&w, &c, 2, 2 * PRICE, PRICE, "/svc/echo", "{\"n\":1}", &idem);
    CHECK(pay_ask(&w, "/svc/echo", header, "{\"n\":9}", &answer, NULL) == 402);
    CHECK(said(&answer, "another request"));
    free(header);
    /* too little, too much, another price, another signer, another chain, somebody else's channel */
    CHECK(pay(&w, &c, 2, 2 * PRICE - 1, 4, &answer) == 402 && said(&answer, "due is 1000"));
    CHECK(pay(&w, &c, 2, 2 * PRICE + 1, 4, &answer) == 402);
    header = pay_header(&w, &c, 2, PRICE + 1, 1, "/svc/echo", "{\"n\":1}", &idem);
    CHECK(pay_ask(&w, "/svc/echo", header, "{\"n\":1}", &answer, NULL) == 402);
    CHECK(said(&answer, "other terms"));
    free(header);
    d = c;
    qn_key_from_seed(idem.b, &d.signer);
    CHECK(pay(&w, &d, 2, 2 * PRICE, 5, &answer) == 402 && said(&answer, "signer"));
    struct pay_world other = w;
    other.chain.b[31] ^= 1; /* same name of the network, another chain */
    CHECK(pay(&other, &c, 2, 2 * PRICE, 6, &answer) == 402 && said(&answer, "signer"));
    d.id.b[0] ^= 1;
    CHECK(pay(&w, &d, 2, 2 * PRICE, 7, &answer) == 402 && said(&answer, "no such channel"));
    struct qn_hash payee = w.payee;
    struct pay_world elsewhere = w;
    elsewhere.payee = payer;
    CHECK(pay(&elsewhere, &c, 2, 2 * PRICE, 8, &answer) == 402);
    CHECK(pay_ask(&w, "/svc/echo", "e30=", "{}", &answer, NULL) == 400);
    /* larger than the service takes; no JSON */
    char *big = calloc(1, 70000);
    memset(big, ' ', 69999);
    CHECK(pay_ask(&w, "/svc/echo", NULL, big, &answer, NULL) == 413);
    free(big);
    idem = pay_idem(9);
    header = pay_header(&w, &c, 2, 2 * PRICE, PRICE, "/svc/echo", "{", &idem);
    CHECK(pay_ask(&w, "/svc/echo", header, "{", &answer, NULL) == 400);
    free(header);
    CHECK(served(&w) == 1 && income(&w, &c, "charged_uqn") == PRICE);
    /* limits of the channel: calls_max */
    for (uint64_t i = 2; i <= 50; i++)
        CHECK(pay(&w, &c, i, i * PRICE, 100 + i, &answer) == 200);
    CHECK(pay(&w, &c, 51, 51 * PRICE, 151, &answer) == 402 &&
          said(&answer, "call 51 of at most 50"));
    /* settled by one transaction; nothing more is sold over it */
    uint64_t before = balance(&w, &payee);
    char hex[65];
    qn_hex(c.id.b, 32, hex);
    json_t *s = pay_call(&w, "agent.settle", json_pack("{s:s,s:b}", "channel", hex, "close", 1));
    json_t *r = pay_call(&w, "tx.wait", json_pack("{s:O}", "id", json_object_get(s, "tx")));
    CHECK(json_integer_value(json_object_get(r, "rc")) == 0);
    CHECK(balance(&w, &payee) - before ==
          50 * PRICE - (uint64_t)json_integer_value(json_object_get(r, "fee")));
    json_decref(s);
    json_decref(r);
    CHECK(pay(&w, &c, 51, 51 * PRICE, 152, &answer) == 402 && said(&answer, "closing"));
    CHECK(pay(&w, &c, 50, 50 * PRICE, 150, &answer) ==
          200); /* but what was paid for can be had again */
    qn_buf_free(&answer);
    qn_buf_free(&head);
    pay_down(&w);
    pay_fini(&w);
}

/* A payer that closes its channel: no more is served, and the payee claims by itself before the deadline. */
static void test_closing(struct qn_test_state *t)
{
    struct pay_world w;
    struct pay_channel c;
    struct qn_buf answer = { 0 };
    char hex[65];
    json_t *receipt = NULL, *row;
    pay_init(&w);
    json_decref(pay_serve(&w, "echo", PRICE, false));
    pay_open(&w, "payer", 100 * PRICE, PRICE, 50, &c);
    for (uint64_t i = 1; i <= 3; i++)
        CHECK(pay(&w, &c, i, i * PRICE, i, &answer) == 200);
    qn_hex(c.id.b, 32, hex);
    uint64_t before = balance(&w, &w.payee);
    CHECK_RC(pay_tx(&w, "channel.close", json_pack("{s:s}", "channel", hex), "payer", &receipt),
             QN_OK);
    json_decref(receipt);
    CHECK(pay(&w, &c, 4, 4 * PRICE, 4, &answer) == 402 && said(&answer, "closing"));
    bool closed = false;
    for (int i = 0; i < 500 && !closed; i++) {
        row = pay_call(&w, "channel.get", json_pack("{s:s}", "id", hex));
        closed = strcmp(json_string_value(json_object_get(row, "state")), "closed") == 0;
        CHECK(!closed || json_integer_value(json_object_get(row, "claimed")) == 3 * PRICE);
        json_decref(row);
        usleep(10000);
    }
    CHECK(closed && balance(&w, &w.payee) > before);
    qn_buf_free(&answer);
    pay_down(&w);
    pay_fini(&w);
}

/* --- many at once --------------------------------------------------------------------------------------------------- */

struct racer {
    const struct pay_world *w;
    const char *header, *body;
    int cnt, ok, conflict, other;
};

static void *race(void *arg)
{
    struct racer *r = arg;
    for (int i = 0; i < r->cnt; i++) {
        struct qn_buf answer = { 0 };
        int status = pay_ask(r->w, "/svc/echo", r->header, r->body, &answer, NULL);
        if (status == 200 && strstr((char *)answer.ptr, "\"echo\""))
            r->ok++;
        else if (status == 409)
            r->conflict++;
        else
            r->other++;
        qn_buf_free(&answer);
    }
    return NULL;
}

static void test_crowd(struct qn_test_state *t)
{
    struct pay_world w;
    struct pay_channel c;
    pay_init(&w);
    json_decref(pay_serve(&w, "echo", PRICE, false));
    pay_open(&w, "payer", 2000 * PRICE, PRICE, 2000, &c);
    /* 1,000 identical: one run, the rest gets its answer */
    struct qn_hash idem = pay_idem(1);
    char *header = pay_header(&w, &c, 1, PRICE, PRICE, "/svc/echo", "{\"n\":1}", &idem);
    struct racer racers[50];
    pthread_t threads[50];
    int ok = 0, conflict = 0;
    for (size_t i = 0; i < 50; i++) {
        racers[i] = (struct racer){ .w = &w, .header = header, .body = "{\"n\":1}", .cnt = 20 };
        QN_ASSERT(pthread_create(&threads[i], NULL, race, &racers[i]) == 0);
    }
    for (size_t i = 0; i < 50; i++) {
        pthread_join(threads[i], NULL);
        ok += racers[i].ok;
        conflict += racers[i].conflict;
        CHECK(racers[i].other == 0);
    }
    CHECK(ok + conflict == 1000 && ok > 0 && served(&w) == 1);
    free(header);
    /* one voucher's number for two requests at once: one of them is served */
    struct qn_hash idems[2] = { pay_idem(2), pay_idem(3) };
    char *two[2];
    for (size_t i = 0; i < 2; i++) {
        two[i] = pay_header(&w, &c, 2, 2 * PRICE, PRICE, "/svc/echo", i ? "{\"b\":1}" : "{\"a\":1}",
                            &idems[i]);
        racers[i] = (struct racer){
            .w = &w, .header = two[i], .body = i ? "{\"b\":1}" : "{\"a\":1}", .cnt = 1
        };
        QN_ASSERT(pthread_create(&threads[i], NULL, race, &racers[i]) == 0);
    }
    for (size_t i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    CHECK(racers[0].ok + racers[1].ok == 1 && racers[0].conflict + racers[1].conflict == 1);
    CHECK(served(&w) == 2 && income(&w, &c, "charged_uqn") == 2 * PRICE);
    free(two[0]);
    free(two[1]);
    /* in any order: 40 connections, the last number first */
    char *many[40];
    for (size_t i = 0; i < 40; i++) {
        struct qn_hash id = pay_idem(100 + i);
        uint64_t seq = 42 - i;
        many[i] = pay_header(&w, &c, seq, seq * PRICE, PRICE, "/svc/echo", "{\"n\":1}", &id);
        racers[i] = (struct racer){ .w = &w, .header = many[i], .body = "{\"n\":1}", .cnt = 1 };
        QN_ASSERT(pthread_create(&threads[i], NULL, race, &racers[i]) == 0);
        usleep(1000);
    }
    ok = 0;
    for (size_t i = 0; i < 40; i++) {
        pthread_join(threads[i], NULL);
        ok += racers[i].ok;
        free(many[i]);
    }
    CHECK(ok == 40 && served(&w) == 42 && income(&w, &c, "charged_uqn") == 42 * PRICE);
    /* a number whose turn never comes is told so */
    struct qn_buf answer = { 0 };
    CHECK(pay(&w, &c, 50, 50 * PRICE, 500, &answer) == 402 && said(&answer, "not the ones before"));
    CHECK(pay(&w, &c, 900, 900 * PRICE, 501, &answer) == 402 && said(&answer, "is due"));
    qn_buf_free(&answer);
    pay_down(&w);
    pay_fini(&w);
}

/* --- kill -9 ----------------------------------------------------------------------------------------------------------- */

/* The payee dies at a point of the 3rd call; the client sends the same bytes to the next node. once: must not run twice. */
static void payee_dies(struct qn_test_state *t, const char *point, bool once)
{
    struct pay_world w;
    struct pay_channel c;
    struct qn_buf answer = { 0 };
    char crash[64];
    pay_init(&w);
    json_decref(pay_serve(&w, "echo", PRICE, once));
    pay_open(&w, "payer", 100 * PRICE, PRICE, 50, &c);
    pay_stop(&w);
    snprintf(crash, sizeof crash, "%s:3", point);
    pay_start(&w, crash);
    json_decref(pay_serve(&w, "echo", PRICE, once));
    CHECK(pay(&w, &c, 1, PRICE, 1, &answer) == 200);
    CHECK(pay(&w, &c, 2, 2 * PRICE, 2, &answer) == 200);
    int status = pay(&w, &c, 3, 3 * PRICE, 3, &answer);
    bool had = strcmp(point, "paid-answered") == 0; /* the answer may have left */
    CHECK(status == -1 || (had && status == 200));
    waitpid(w.pid, NULL, 0);
    pay_start(&w, NULL);
    json_t *svc = pay_serve(&w, "echo", PRICE, once);
    int64_t resumed = json_integer_value(json_object_get(svc, "resumed"));
    json_decref(svc);
    bool reserved = strcmp(point, "paid-reserved") == 0;
    CHECK(resumed == (reserved ? 1 : 0));
    status = pay(&w, &c, 3, 3 * PRICE, 3, &answer);
    uint64_t cum = 3 * PRICE;
    if (reserved && once) { /* it may have run: it counts as aborted and costs nothing */
        CHECK(status == 502 && said(&answer, "stopped while"));
        cum -= PRICE;
    } else {
        CHECK(status == 200 && said(&answer, "{\"echo\":{\"n\":1}}"));
    }
    CHECK(income(&w, &c, "charged_uqn") == cum);
    CHECK(pay(&w, &c, 4, cum + PRICE, 4, &answer) == 200);
    CHECK(income(&w, &c, "charged_uqn") == cum + PRICE);
    CHECK(income(&w, &c, "claimable_uqn") == cum + PRICE); /* all that was served can be claimed */
    qn_buf_free(&answer);
    pay_down(&w);
    pay_fini(&w);
}

static void test_payee_dies(struct qn_test_state *t)
{
    static const char *const POINTS[] = { "paid-before", "paid-reserved", "paid-done",
                                          "paid-answered" };
    for (size_t i = 0; i < QN_COUNT(POINTS); i++)
        payee_dies(t, POINTS[i], false);
    payee_dies(t, "paid-reserved", true);
}

/* agent.call in a process of its own, which may die at a point; its exit status. */
static int call_as_payer(struct pay_world *w, const char *channel, const char *crash)
{
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        struct qn_locals keep = { 0 };
        struct qn_why why = { "" };
        json_t *ret = NULL, *p = json_pack("{s:s,s:s,s:s}", "url", "echo", "channel", channel,
                                           "body", "{\"n\":7}");
        if (crash) setenv("QUOIN_CRASH_AT", crash, 1);
        qn_rc rc =
            qn_local_run(&w->client, &keep, qn_local_find("agent.call"), "payer", p, &ret, &why);
        if (rc) printf("agent.call: %s\n", why.text);
        const json_t *echo = json_object_get(json_object_get(ret, "answer"), "echo");
        bool right = json_integer_value(json_object_get(echo, "n")) == 7;
        qn_locals_end(&keep);
        _exit(rc ? 1 : right ? 0 : 2);
    }
    int how;
    waitpid(pid, &how, 0);
    return WIFSIGNALED(how) ? -1 : WEXITSTATUS(how);
}

static void test_payer_dies(struct qn_test_state *t)
{
    static const struct {
        const char *point;
        unsigned paid; /* calls that the retry after it costs in all */
    } POINTS[] = { { "pay-before", 1 },
                   { "pay-noted", 1 },
                   { "pay-sent", 1 },
                   { "pay-answered", 1 },
                   { "pay-done", 2 } };
    struct pay_world w;
    struct pay_channel c;
    char channel[65];
    pay_init(&w);
    json_decref(pay_serve(&w, "echo", PRICE, false));
    pay_open(&w, "payer", 100 * PRICE, PRICE, 50, &c);
    qn_hex(c.id.b, 32, channel);
    uint64_t calls = 0;
    for (size_t i = 0; i < QN_COUNT(POINTS); i++) {
        CHECK(call_as_payer(&w, channel, POINTS[i].point) == -1);
        CHECK(call_as_payer(&w, channel, NULL) == 0); /* the same request: the same bytes */
        calls += POINTS[i].paid;
        CHECK(income(&w, &c, "charged_uqn") == calls * PRICE);
        if (income(&w, &c, "charged_uqn") != calls * PRICE) printf("at %s\n", POINTS[i].point);
    }
    CHECK(served(&w) == (int64_t)calls);
    /* The node away: the payer keeps what it signed, and sends it when the node is back. */
    pay_stop(&w);
    pay_start(&w, "paid-done:1");
    json_decref(pay_serve(&w, "echo", PRICE, false));
    CHECK(call_as_payer(&w, channel, NULL) == 1);
    waitpid(w.pid, NULL, 0);
    pay_start(&w, NULL);
    json_decref(pay_serve(&w, "echo", PRICE, false));
    CHECK(call_as_payer(&w, channel, NULL) == 0);
    CHECK(income(&w, &c, "charged_uqn") == (calls + 1) * PRICE);
    pay_down(&w);
    pay_fini(&w);
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "worker") == 0) return pay_worker(argv[2]);
    signal(SIGPIPE, SIG_IGN);
    TEST_BEGIN();
    TEST(test_flow);
    TEST(test_closing);
    TEST(test_crowd);
    TEST(test_payee_dies);
    TEST(test_payer_dies);
    return TEST_END();
}
