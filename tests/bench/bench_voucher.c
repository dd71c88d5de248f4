/* bench_voucher.c - voucher checks a second against bare signature checks, and paid calls a second, durable before they are
 * served, against the same calls for free on the same node. Also the worker of that node. */
#include "tests/pay.h"

#include <sodium.h>

#define CONNS 128   /* what shares a write to the disk */
#define CALLS 12800 /* of the free and of the paid run, over all connections */
#define PRICE 5

static double now_s(void)
{
    return (double)qn_env_mono_us(qn_env_real()) / 1e6;
}

static void line(const char *name, double value, const char *unit, const char *peer,
                 double peer_value)
{
    printf("{\"name\":\"%s\",\"value\":%.0f,\"unit\":\"%s\",\"peer\":\"%s\",\"peer_value\":%.0f,"
           "\"ratio\":%.3f}\n",
           name, value, unit, peer, peer_value, value / peer_value);
    fflush(stdout);
}

static void checks(void)
{
    struct qn_key key;
    uint8_t seed[32] = { 1 };
    struct qn_hash chain = qn_blake3("chain", 5);
    struct agents_channel c = { .deposit = QN_UQN(1000000),
                                .step_max = QN_UQN(1000),
                                .calls_max = 1000000,
                                .burst = QN_UQN(1000000) };
    static struct agents_voucher v[1000];
    struct qn_why why;
    qn_key_from_seed(seed, &key);
    c.signer = key.pub;
    for (uint64_t i = 0; i < 1000; i++) {
        v[i] = (struct agents_voucher){ .channel = chain, .seq = i + 1, .cum = QN_UQN(10 * i) };
        voucher_sign(&chain, &key, &v[i]);
    }
    int good = 0, rounds = 20;
    double begun = now_s();
    for (int r = 0; r < rounds; r++)
        for (size_t i = 0; i < 1000; i++)
            good += voucher_check(&chain, &chain, &c, &v[i], v[i].cum, 1000, &why) == QN_OK;
    double took = now_s() - begun;
    QN_ASSERT(good == rounds * 1000);
    struct qn_hash hash = voucher_hash(&chain, &v[0]);
    begun = now_s();
    for (int i = 0; i < 20000; i++)
        good += crypto_sign_verify_detached(v[0].sig.b, hash.b, sizeof hash.b, c.signer.b) == 0;
    double bare = now_s() - begun;
    QN_ASSERT(good == rounds * 1000 + 20000);
    line("voucher_checks", rounds * 1000 / took, "1/s", "Ed25519 verify of libsodium",
         20000 / bare);
}

/* Keeps one request on the way on each connection; the rate. headers NULL: free. */
static double run(const struct pay_world *w, const char *path, char *(*headers)[CALLS / CONNS])
{
    struct qn_http_conn *conns[CONNS];
    struct qn_buf body = { 0 };
    struct qn_why why = { "" };
    const int rounds = CALLS / CONNS;
    for (size_t i = 0; i < CONNS; i++)
        QN_ASSERT(qn_http_dial(w->where, 20000, &conns[i], &why) == QN_OK);
    double begun = now_s();
    for (int r = 0; r <= rounds; r++) {
        for (size_t i = 0; i < CONNS; i++) {
            int status = 0;
            if (r) {
                qn_buf_clear(&body);
                qn_rc rc = qn_http_get(conns[i], &status, NULL, &body, &why);
                if (rc || status != 200) {
                    printf("%d %s %.*s\n", status, why.text, (int)body.len, (char *)body.ptr);
                    QN_BUG("a call of the bench failed");
                }
            }
            if (r < rounds)
                QN_ASSERT(qn_http_put(conns[i], "POST", path, headers ? headers[i][r] : NULL,
                                      QN_SPAN_STR("{\"n\":1}"), &why) == QN_OK);
        }
    }
    double took = now_s() - begun;
    for (size_t i = 0; i < CONNS; i++)
        qn_http_hangup(conns[i]);
    qn_buf_free(&body);
    return CALLS / took;
}

static void calls(void)
{
    static char *headers[CONNS][CALLS / CONNS];
    struct pay_world w;
    pay_init(&w);
    json_decref(pay_serve(&w, "free", 0, false));
    json_decref(pay_serve(&w, "echo", PRICE, false));
    for (size_t i = 0; i < CONNS; i++) {
        struct pay_channel c;
        char name[32];
        snprintf(name, sizeof name, "payer%zu", i);
        pay_open(&w, name, 100000, PRICE, CALLS, &c);
        for (uint64_t k = 0; k < CALLS / CONNS; k++) {
            struct qn_hash idem = pay_idem(i << 32 | k);
            char *value =
                pay_header(&w, &c, k + 1, (k + 1) * PRICE, PRICE, "/svc/echo", "{\"n\":1}", &idem);
            size_t room = strlen(value) + 64;
            headers[i][k] = malloc(room);
            QN_ASSERT(headers[i][k] != NULL);
            snprintf(headers[i][k], room, D402_SIGNATURE ": %s\r\n", value);
            free(value);
        }
    }
    double unpaid = run(&w, "/svc/free", NULL);
    double paid = run(&w, "/svc/echo", headers);
    line("paid_calls", paid, "1/s", "the same calls unpaid", unpaid);
    for (size_t i = 0; i < CONNS; i++)
        for (size_t k = 0; k < CALLS / CONNS; k++)
            free(headers[i][k]);
    pay_down(&w);
    pay_fini(&w);
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "worker") == 0) return pay_worker(argv[2]);
    signal(SIGPIPE, SIG_IGN);
    QN_ASSERT(qn_crypto_init() == QN_OK);
    checks();
    calls();
    return 0;
}
