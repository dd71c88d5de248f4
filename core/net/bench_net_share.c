/* bench_net_share.c - a blob from one peer over loopback, beside what a bare stream of the same two hosts carries (/perf/1.0.0). Both ends run
 * on one core in one process, so both figures are of CPU seconds for the two. */
#include "core/base/test.h"
#include "core/net/blob.h"
#include "core/net/share.h"

#include <event2/event.h>
#include <time.h>
#include <unistd.h>

#define SIZE (256u << 20)

struct node {
    char home[64];
    struct qn_key key;
    struct qn_host *host;
    struct share *share;
    struct qn_host_watch watch;
    uint32_t identified, peer;
    bool done;
};

static double cpu(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

static void on_identify(void *arg, const struct qn_peer_info *info)
{
    struct node *n = arg;
    n->identified++;
    n->peer = info->peer;
}

static void dialled(void *arg, qn_rc rc, uint32_t peer, const struct qn_why *why)
{
    (void)arg, (void)peer, (void)why;
    QN_ASSERT(rc == QN_OK);
}

static void perfed(void *arg, qn_rc rc, uint64_t up_us, uint64_t down_us)
{
    struct node *n = arg;
    (void)up_us, (void)down_us;
    QN_ASSERT(rc == QN_OK);
    n->done = true;
}

int main(void)
{
    struct event_base *base = event_base_new();
    struct node n[2] = { 0 };
    char addr[64], cmd[128];
    qn_rc rc = qn_crypto_init();
    for (uint8_t i = 0; i < 2; i++) {
        uint8_t seed[32] = { i, 3 };
        snprintf(n[i].home, sizeof n[i].home, "/tmp/quoin-bench-XXXXXX");
        QN_ASSERT(mkdtemp(n[i].home) != NULL);
        qn_key_from_seed(seed, &n[i].key);
        const struct qn_host_conf host = { .base = base,
                                           .env = qn_env_real(),
                                           .key = &n[i].key,
                                           .listen = "127.0.0.1:0",
                                           .perf = true };
        rc = rc ? rc : qn_host_open(&host, &n[i].host, NULL);
        const struct share_conf share = {
            .base = base, .env = qn_env_real(), .host = n[i].host, .home = n[i].home
        };
        rc = rc ? rc : share_open(&share, &n[i].share, NULL);
        QN_ASSERT(rc == QN_OK);
        n[i].watch = (struct qn_host_watch){ .arg = &n[i], .on_identify = on_identify };
        qn_host_watch(n[i].host, &n[i].watch);
    }
    uint8_t *bytes = malloc(SIZE);
    QN_ASSERT(bytes != NULL);
    for (size_t i = 0; i < SIZE; i++)
        bytes[i] = (uint8_t)(i * 2654435761u >> 9);
    struct qn_hash id;
    rc = blob_put(n[0].home, QN_SPAN(bytes, SIZE), &id, NULL);
    free(bytes);
    snprintf(addr, sizeof addr, "127.0.0.1:%u", qn_host_port(n[0].host));
    rc = rc ? rc : qn_host_dial(n[1].host, addr, dialled, NULL, NULL);
    QN_ASSERT(rc == QN_OK);
    while (!n[0].identified || !n[1].identified)
        event_base_loop(base, EVLOOP_ONCE);

    double bulk = 0;
    for (int i = 0; i < 3; i++) {
        double t = cpu();
        n[1].done = false;
        rc = qn_host_perf(n[1].host, n[1].peer, 0, SIZE, perfed, &n[1]);
        QN_ASSERT(rc == QN_OK);
        while (!n[1].done)
            event_base_loop(base, EVLOOP_ONCE);
        bulk = QN_MAX(bulk, SIZE / (cpu() - t) / 1e9);
    }
    double best = 0;
    for (int i = 0; i < 3; i++) {
        json_t *said = NULL;
        char path[4096];
        double t = cpu();
        while ((rc = share_fetch(n[1].share, &id, &said, NULL)) == QN_E_AGAIN)
            event_base_loop(base, EVLOOP_ONCE);
        QN_ASSERT(rc == QN_OK);
        best = QN_MAX(best, SIZE / (cpu() - t) / 1e9);
        json_decref(said);
        blob_beside(n[1].home, &id, "", path, sizeof path);
        unlink(path);
        blob_beside(n[1].home, &id, ".tree", path, sizeof path);
        unlink(path);
        share_forget(n[1].share, &id);
    }
    printf("{\"name\":\"blob.fetch.one\",\"value\":%.3f,\"unit\":\"GB/s, both ends on a "
           "core\",\"limit\":"
           "\"bulk stream of the same hosts, %.3f\",\"limit_ratio\":%.3f}\n",
           best, bulk, best / bulk);
    for (int i = 0; i < 2; i++) {
        share_detach(n[i].share);
        qn_host_close(n[i].host);
        share_close(n[i].share);
        snprintf(cmd, sizeof cmd, "rm -rf %.60s", n[i].home);
        QN_ASSERT(system(cmd) == 0);
    }
    event_base_free(base);
    return 0;
}
