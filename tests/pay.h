/* pay.h - for tests and benches of paid calls: a real node in a child process, an echo service, channels, and payments made
 * by hand so that they can be wrong. Include in one .c file; its main must hand `worker KIND` to pay_worker. */
#ifndef QN_TESTS_PAY_H
#define QN_TESTS_PAY_H

#include "core/cli/client.h"
#include "core/crypto/hash.h"
#include "core/http/client.h"
#include "core/job/jobs.h"
#include "core/node/node.h"
#include "core/node/wallet.h"
#include "modules/agents/d402.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

struct pay_world {
    char home[64], where[64];
    pid_t pid;
    struct qn_client client;
    struct qn_hash chain, payee;
    struct qn_key service;
    struct d402_offer offer;
};

/* A channel and the key that signs for it. */
struct pay_channel {
    struct qn_hash id;
    struct qn_key signer;
};

static inline int pay_worker(const char *kind)
{
    const struct qn_job_kind *tables[16] = { NULL };
    const struct qn_module *mod;
    size_t cnt = 0;
    for (size_t i = 0; (mod = qn_module_at(i)) && cnt + 1 < QN_COUNT(tables); i++)
        if (mod->jobs) tables[cnt++] = mod->jobs;
    return qn_worker_main(kind, tables);
}

static inline json_t *pay_call(struct pay_world *w, const char *name, json_t *params QN_TAKES)
{
    json_t *ret = NULL;
    struct qn_why why = { "" };
    qn_rc rc = qn_client_call(&w->client, name, params, &ret, &why);
    if (rc) {
        printf("%s: %s\n", name, why.text);
        QN_BUG("a call of the test failed");
    }
    json_decref(params);
    return ret;
}

static inline qn_rc pay_tx(struct pay_world *w, const char *kind, json_t *fields QN_TAKES,
                           const char *as, json_t **ret)
{
    struct qn_why why = { "" };
    qn_rc rc = qn_client_tx(&w->client, kind, fields, as, NULL, true, ret, &why);
    json_decref(fields);
    return rc;
}

/* pay_start starts the node on the world's home; crash names a point to die at, or NULL. */
static inline void pay_start(struct pay_world *w, const char *crash)
{
    char path[200];
    struct qn_buf api = { 0 };
    fflush(NULL);
    w->pid = fork();
    if (w->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that fails must not leave its node behind */
        struct qn_up_opts opts = {
            .home = w->home, .api = "127.0.0.1:0", .map_gib = 1, .quiet = true
        };
        if (crash) setenv("QUOIN_CRASH_AT", crash, 1);
        struct qn_why why = { "" };
        _exit(qn_node_up(&opts, &why) ? 1 : 0);
    }
    qn_client_init(&w->client, w->home, NULL);
    json_t *status = NULL;
    struct qn_why why;
    for (int i = 0; i < 1000 && qn_client_call(&w->client, "node.status", NULL, &status, &why); i++)
        usleep(10000);
    QN_ASSERT(status != NULL);
    const char *chain = json_string_value(json_object_get(status, "chain"));
    QN_ASSERT(chain && qn_unhex(chain, 64, w->chain.b, 32));
    json_decref(status);
    snprintf(path, sizeof path, "%s/api", w->home);
    QN_ASSERT(qn_file_read(path, 60, &api, NULL) == QN_OK);
    snprintf(w->where, sizeof w->where, "http://%.*s", (int)api.len, (char *)api.ptr);
    qn_buf_free(&api);
}

/* pay_stop kills the node as kill -9 does. */
static inline void pay_stop(struct pay_world *w)
{
    kill(w->pid, SIGKILL);
    waitpid(w->pid, NULL, 0);
}

static inline void pay_down(struct pay_world *w)
{
    json_decref(pay_call(w, "node.stop", NULL));
    waitpid(w->pid, NULL, 0);
}

static inline void pay_role(struct pay_world *w, const char *name, uint64_t uqn, struct qn_key *ret)
{
    char hex[65];
    json_t *receipt = NULL;
    QN_ASSERT(qn_wallet_new(w->home, name, NULL, ret, NULL) == QN_OK);
    struct qn_hash acct = qn_acct_key(&ret->pub);
    qn_hex(acct.b, 32, hex);
    QN_ASSERT(pay_tx(w, "wallet.send", json_pack("{s:s,s:I}", "to", hex, "amount", (json_int_t)uqn),
                     "faucet", &receipt) == QN_OK);
    json_decref(receipt);
}

/* pay_serve offers an echo as NAME; price 0 is free. */
static inline json_t *pay_serve(struct pay_world *w, const char *name, uint64_t price, bool once)
{
    return pay_call(w, "agent.serve",
                    json_pack("{s:s,s:s,s:I,s:b,s:i}", "name", name, "key", "service", "price",
                              (json_int_t)price, "once", once, "claim_ppm", 2000000));
}

static inline void pay_init(struct pay_world *w)
{
    *w = (struct pay_world){ 0 };
    snprintf(w->home, sizeof w->home, "/tmp/quoin-pay.XXXXXX");
    QN_ASSERT(mkdtemp(w->home) && qn_crypto_init() == QN_OK);
    pay_start(w, NULL);
    pay_role(w, "service", 5000000, &w->service);
    w->payee = qn_acct_key(&w->service.pub);
    w->offer = (struct d402_offer){ .pay_to = w->payee, .key = w->service.pub };
    d402_network(&w->chain, w->offer.network);
}

static inline void pay_fini(struct pay_world *w)
{
    char cmd[128];
    snprintf(cmd, sizeof cmd, "rm -rf %s", w->home);
    QN_ASSERT(system(cmd) == 0);
}

static inline void pay_open(struct pay_world *w, const char *who, uint64_t deposit, uint64_t step,
                            uint64_t calls, struct pay_channel *ret)
{
    char payee[65], signer[65];
    json_t *receipt = NULL;
    pay_role(w, who, deposit + 1000000, &ret->signer);
    qn_hex(w->payee.b, 32, payee);
    qn_hex(ret->signer.pub.b, 32, signer);
    QN_ASSERT(
        pay_tx(w, "channel.open",
               json_pack("{s:s,s:s,s:I,s:I,s:I,s:I,s:i}", "payee", payee, "signer", signer,
                         "deposit", (json_int_t)deposit, "step_max", (json_int_t)step, "calls_max",
                         (json_int_t)calls, "burst", (json_int_t)deposit, "delay_ms", 1000),
               who, &receipt) == QN_OK);
    const char *id = json_string_value(
        json_object_get(json_array_get(json_object_get(receipt, "events"), 0), "id"));
    QN_ASSERT(id && qn_unhex(id, 64, ret->id.b, 32));
    json_decref(receipt);
}

/* pay_header makes the payment of call seq, whose sum is cum, for body at path. */
static inline char *pay_header(const struct pay_world *w, const struct pay_channel *c, uint64_t seq,
                               uint64_t cum, uint64_t price, const char *path, const char *body,
                               const struct qn_hash *idem)
{
    struct d402_payment p = { .pay_to = w->payee, .price = QN_UQN(price), .idem = *idem };
    memcpy(p.network, w->offer.network, sizeof p.network);
    p.voucher =
        (struct agents_voucher){ .channel = c->id,
                                 .seq = seq,
                                 .cum = QN_UQN(cum),
                                 .ack = seq - 1,
                                 .req = request_hash("POST", path, QN_SPAN_STR(body), idem) };
    voucher_sign(&w->chain, &c->signer, &p.voucher);
    return d402_payment_put(&p);
}

static inline struct qn_hash pay_idem(uint64_t n)
{
    return qn_blake3(&n, sizeof n);
}

/* pay_ask sends one request; header may be NULL. The status; answer and head are replaced when not NULL. */
static inline int pay_ask(const struct pay_world *w, const char *path, const char *header,
                          const char *body, struct qn_buf *answer, struct qn_buf *head)
{
    struct qn_buf got = { 0 }, lines = { 0 };
    int status = 0;
    struct qn_why why;
    if (header) qn_buf_printf(&lines, D402_SIGNATURE ": %s\r\n", header);
    qn_buf_u8(&lines, 0);
    if (head) qn_buf_clear(head);
    qn_rc rc = qn_http_ask(w->where, "POST", path, (char *)lines.ptr, QN_SPAN_STR(body), 20000,
                           &status, head, &got, &why);
    if (answer) {
        qn_buf_clear(answer);
        qn_buf_span(answer, qn_buf_get(&got));
        qn_buf_u8(answer, 0);
    }
    if (head) qn_buf_u8(head, 0);
    qn_buf_free(&got);
    qn_buf_free(&lines);
    return rc ? -1 : status;
}

#endif
