/* bench_net_devnet.c - four real nodes on this machine: from start to height 10, and transfers a second that are final at all of them, every
 * signature checked by each, synced to disk before it is said. The limit is the machine's: each transfer's signature is verified once by each of
 * the four and signed before the clock runs, so that two cores allow cores / (4 x one verify). */
#include "core/cli/client.h"
#include "core/crypto/hash.h"
#include "core/http/client.h"
#include "core/node/wallet.h"
#include "ledger/state/tx.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { NODES = 4, PEOPLE = 256, TXS = 20000, WINDOW = 64, ARRAY = 50 };

static char home[] = "/tmp/quoin-bench-XXXXXX";

static double now_s(void)
{
    return (double)qn_env_mono_us(qn_env_real()) / 1e6;
}

static void node_client(unsigned i, struct qn_client *ret)
{
    char dir[128];
    snprintf(dir, sizeof dir, "%s/node-%u", home, i);
    qn_client_init(ret, dir, NULL);
}

static json_int_t status_of(unsigned i, const char *field)
{
    struct qn_client c;
    struct qn_why why;
    json_t *s = NULL;
    json_int_t n = -1;
    node_client(i, &c);
    if (qn_client_call(&c, "node.status", NULL, &s, &why) == QN_OK)
        n = json_integer_value(json_object_get(s, field));
    json_decref(s);
    return n;
}

static json_int_t balance_of(unsigned i, const char *acct)
{
    struct qn_client c;
    struct qn_why why;
    json_t *a = NULL, *params = json_pack("{s:s}", "id", acct);
    json_int_t n = 0;
    node_client(i, &c);
    if (qn_client_call(&c, "account.get", params, &a, &why) == QN_OK)
        n = json_integer_value(json_object_get(a, "balance_uqn"));
    json_decref(params);
    json_decref(a);
    return n;
}

/* Processor time that the nodes have used, in microseconds: what a transfer costs, whatever else the machine does. */
static double cpu_us(const int pids[NODES])
{
    double sum = 0;
    for (unsigned i = 0; i < NODES; i++) {
        char path[64], text[1024];
        unsigned long user, sys;
        snprintf(path, sizeof path, "/proc/%d/stat", pids[i]);
        FILE *f = fopen(path, "r");
        size_t n = f ? fread(text, 1, sizeof text - 1, f) : 0;
        if (f) fclose(f);
        text[n] = 0;
        const char *at =
            strrchr(text, ')'); /* pid (name) state, then ten numbers before these two */
        if (at &&
            sscanf(at, ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &sys) == 2)
            sum += (double)(user + sys) * 1e6 / (double)sysconf(_SC_CLK_TCK);
    }
    return sum;
}

static pid_t begin(FILE **ret_out)
{
    const char *quoin = getenv("QUOIN");
    int fds[2];
    QN_ASSERT(pipe(fds) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(fds[1], 1);
        execl(quoin ? quoin : "build/quoin", "quoin", "devnet", "4", "--home", home, "--json",
              NULL);
        _exit(127);
    }
    close(fds[1]);
    *ret_out = fdopen(fds[0], "r");
    QN_ASSERT(*ret_out != NULL);
    return pid;
}

/* A request's parameters, to be sent as they are. */
static struct qn_buf request(const struct qn_hash *chain, const struct qn_key *from,
                             const struct qn_hash *to, uint64_t uqn, uint64_t salt)
{
    struct qn_buf body = { 0 }, tx = { 0 }, req = { 0 };
    struct qn_hash id;
    struct ledger_send s = { .to = *to, .amount = QN_UQN(uqn) };
    struct qn_tx_opts opts = { .salt = salt, .span_ms = 500000 };
    qn_encode(ledger_send_record(), &s, &body);
    qn_tx_build(chain, QN_TX_SEND, qn_buf_get(&body), from, qn_env_now_ms(qn_env_real()), &opts,
                &tx, &id);
    char *hex = malloc(2 * tx.len + 1);
    QN_ASSERT(hex != NULL);
    qn_hex(tx.ptr, tx.len, hex);
    qn_buf_printf(&req, "{\"tx\":\"%s\"}", hex);
    free(hex);
    qn_buf_free(&body);
    qn_buf_free(&tx);
    return req;
}

/* How many of an array's answers say that it was taken. */
static unsigned taken_of(const struct qn_buf *answer)
{
    json_t *list = json_loadb((const char *)answer->ptr, answer->len, 0, NULL), *one;
    unsigned cnt = 0;
    size_t i;
    json_array_foreach(list, i, one) cnt += json_object_get(one, "result") != NULL;
    json_decref(list);
    return cnt;
}

/* Sends requests node, node + NODES, .. to one node; how many were taken. at_once 1: one by one, WINDOW on the way; more: so many in an array. */
static unsigned feed(unsigned node, const struct qn_buf *reqs, unsigned cnt, unsigned at_once)
{
    char sock[128];
    struct qn_http_conn *c;
    struct qn_why why;
    unsigned taken = 0, sent = 0, got = 0, mine = (cnt + NODES - 1 - node) / NODES,
             window = at_once == 1 ? WINDOW : 4 * at_once;
    snprintf(sock, sizeof sock, "%s/node-%u/api.sock", home, node);
    QN_ASSERT(qn_http_dial(sock, 60000, &c, &why) == QN_OK);
    while (got < mine) {
        struct qn_buf answer = { 0 }, array = { 0 };
        int status = 0;
        while (sent < mine && sent < got + window) {
            unsigned n = QN_MIN(at_once, mine - sent);
            qn_buf_clear(&array);
            for (unsigned i = 0; i < n; i++) {
                const struct qn_buf *req = &reqs[node + (sent + i) * NODES];
                if (at_once > 1)
                    qn_buf_printf(&array,
                                  "%s{\"id\":%u,\"method\":\"tx.send\",\"params\":", i ? "," : "[",
                                  i);
                qn_buf_span(&array, qn_buf_get(req));
                if (at_once > 1) qn_buf_str(&array, i + 1 == n ? "}]" : "}");
            }
            QN_ASSERT(qn_http_put(c, "POST", at_once > 1 ? "/rpc" : "/v1/tx/send",
                                  "Content-Type: application/json\r\n", qn_buf_get(&array),
                                  &why) == QN_OK);
            sent += n;
        }
        QN_ASSERT(qn_http_get(c, &status, NULL, &answer, &why) == QN_OK);
        unsigned n = QN_MIN(at_once, mine - got), good = status != 200 ? 0
                                                         : at_once > 1 ? taken_of(&answer)
                                                                       : 1;
        if (good < n && taken == got)
            fprintf(stderr, "%d %.*s\n", status, (int)QN_MIN(answer.len, (size_t)1000),
                    (char *)answer.ptr);
        taken += good;
        got += n;
        qn_buf_free(&answer);
        qn_buf_free(&array);
    }
    qn_http_hangup(c);
    return taken;
}

static double verify_rate(void)
{
    struct qn_key key;
    uint8_t seed[32] = { 7 };
    qn_key_from_seed(seed, &key);
    struct qn_sig sig = qn_sign(&key, QN_SPAN_STR("a transfer"));
    clock_t begun = clock();
    int good = 0;
    for (int i = 0; i < 2000; i++)
        good += qn_verify(&key.pub, QN_SPAN_STR("a transfer"), &sig);
    QN_ASSERT(good == 2000);
    return 2000.0 * CLOCKS_PER_SEC / (double)(clock() - begun);
}

/* Sends all, a quarter to each node, and waits until they are final everywhere: then sink has `sum`. */
static bool transfers(const struct qn_buf *reqs, unsigned at_once, const char *sink, json_int_t sum,
                      double *ret_s)
{
    double begun = now_s(), until = begun + 120;
    pid_t kids[NODES];
    bool all = true;
    for (unsigned i = 0; i < NODES; i++)
        if ((kids[i] = fork()) == 0) _exit(feed(i, reqs, TXS, at_once) == TXS / NODES ? 0 : 1);
    for (unsigned i = 0; i < NODES; i++) {
        int how;
        waitpid(kids[i], &how, 0);
        all &= WIFEXITED(how) && WEXITSTATUS(how) == 0;
    }
    for (unsigned i = 0; i < NODES; i++)
        while (all && balance_of(i, sink) < sum && now_s() < until)
            usleep(5000);
    *ret_s = now_s() - begun;
    return all && balance_of(0, sink) == sum;
}

int main(void)
{
    struct qn_key faucet, people[PEOPLE];
    struct qn_hash sink = qn_h("bench sink", "", 0);
    struct qn_why why = { "" };
    struct qn_client c;
    json_t *status = NULL;
    char line[1024], sink_hex[65], cmd[128];
    FILE *out;
    int pids[NODES] = { 0 };
    QN_ASSERT(qn_crypto_init() == QN_OK && mkdtemp(home) != NULL);
    double verify = verify_rate(), begun = now_s();
    pid_t pid = begin(&out);
    while (fgets(line, sizeof line, out) && !strstr(line, "\"ready\"")) {
        int idx, of;
        if (sscanf(line, "{\"event\":\"node\",\"idx\":%d,\"pid\":%d", &idx, &of) == 2 &&
            idx < NODES)
            pids[idx] = of;
    }
    while (status_of(3, "height") < 10)
        usleep(5000);
    printf("{\"name\":\"devnet 4, from start to height 10\",\"value\":%.2f,\"unit\":\"s\"}\n",
           now_s() - begun);
    fflush(stdout);
    node_client(0, &c);
    QN_ASSERT(qn_wallet_load(c.home, "faucet", &faucet, &why) == QN_OK);
    QN_ASSERT(qn_client_call(&c, "node.status", NULL, &status, &why) == QN_OK);
    struct qn_hash chain;
    QN_ASSERT(qn_unhex(json_string_value(json_object_get(status, "chain")), 64, chain.b, 32));
    json_decref(status);
    struct qn_buf *reqs = calloc(TXS, sizeof *reqs);
    QN_ASSERT(reqs != NULL);
    for (unsigned i = 0; i < PEOPLE; i++) {
        struct qn_hash seed = qn_h("bench people", &i, sizeof i);
        qn_key_from_seed(seed.b, &people[i]);
        struct qn_hash acct = qn_acct_key(&people[i].pub);
        reqs[i] = request(&chain, &faucet, &acct, 100 * QN_UQN_PER_QN, i);
    }
    for (unsigned i = 0; i < PEOPLE; i += 32) { /* one sender, few at a time */
        feed(0, NULL, 0, 1);
        for (unsigned k = i; k < i + 32; k++) {
            struct qn_buf one[NODES] = { reqs[k] };
            QN_ASSERT(feed(0, one, 1, 1) == 1);
        }
        char hex[65];
        struct qn_hash acct = qn_acct_key(&people[i + 31].pub);
        qn_hex(acct.b, 32, hex);
        for (int w = 0; w < 2000 && balance_of(3, hex) == 0; w++)
            usleep(5000);
    }
    sleep(1);
    for (unsigned i = 0; i < PEOPLE; i++)
        qn_buf_free(&reqs[i]);
    qn_hex(sink.b, 32, sink_hex);
    bool done = true;
    for (unsigned round = 0; round < 2 && done; round++) {
        for (unsigned i = 0; i < TXS; i++) {
            qn_buf_free(&reqs[i]);
            reqs[i] = request(&chain, &people[i % PEOPLE], &sink, 1, (round + 1) * TXS + i);
        }
        double cpu = cpu_us(pids), took;
        done = transfers(reqs, round ? 1 : ARRAY, sink_hex, (round + 1) * TXS, &took);
        cpu = (cpu_us(pids) - cpu) / TXS / NODES;
        double limit = 2 * verify / NODES;
        if (!done) break;
        printf("{\"name\":\"transfers final at four nodes%s\",\"value\":%.0f,\"unit\":\"tx/s\","
               "\"limit\":\"two cores' Ed25519 one by one, four nodes: %.0f/s\","
               "\"limit_ratio\":%.3f}\n",
               round ? ", sent one by one" : "", TXS / took, limit, TXS / took / limit);
        printf("{\"name\":\"processor time of a node for a transfer%s\",\"value\":%.1f,"
               "\"unit\":\"us\",\"limit\":\"one Ed25519 verification: %.1f us\","
               "\"limit_ratio\":%.2f}\n",
               round ? ", sent one by one" : "", cpu, 1e6 / verify, cpu * verify / 1e6);
        fflush(stdout);
    }
    kill(pid, SIGTERM);
    waitpid(pid, NULL, 0);
    for (unsigned i = 0; i < TXS; i++)
        qn_buf_free(&reqs[i]);
    free(reqs);
    snprintf(cmd, sizeof cmd, "rm -rf %s", home);
    return system(cmd) != 0 || !done;
}
