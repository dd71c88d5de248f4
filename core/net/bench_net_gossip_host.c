/* bench_net_gossip_host.c - messages of 1 KiB a second from one process to another over loopback TCP, Noise and yamux; and the same between two
 * js-libp2p processes (tests/peers/gossip_bench.mjs) where node and its packages are there. JSON lines.
 *   bench_net_gossip_host take COUNT     the receiving end: prints its port, and "done" when it has COUNT */
#include "core/net/gossip_net.h"
#include "net/libp2p/host.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { COUNT = 200000, BYTES = 1024, AHEAD_BYTES = 512 << 10 };

struct end {
    struct event_base *base;
    struct qn_key key;
    struct qn_host *host;
    struct qn_gossip *gossip;
    uint32_t topic, got, want;
};

static enum gossip_verdict on_message(void *arg, uint32_t topic, uint32_t peer, uint64_t handle,
                                      struct qn_span data)
{
    struct end *e = arg;
    (void)topic, (void)peer, (void)handle, (void)data;
    if (++e->got == e->want) event_base_loopbreak(e->base);
    return GOSSIP_ACCEPT;
}

static void open_end(struct end *e, uint8_t seed, const char *listen)
{
    uint8_t s[32] = { seed };
    struct qn_why why = { "" };
    qn_rc rc = qn_crypto_init();
    e->base = event_base_new();
    qn_key_from_seed(s, &e->key);
    const struct qn_host_conf host = {
        .base = e->base, .env = qn_env_real(), .key = &e->key, .listen = listen
    };
    rc = rc ? rc : qn_host_open(&host, &e->host, &why);
    QN_ASSERT(rc == QN_OK);
    const struct qn_gossip_conf conf = {
        .base = e->base, .host = e->host, .env = qn_env_real(), .arg = e, .on_message = on_message
    };
    const struct gossip_topic_conf topic = { "tx", 65536, GOSSIP_TX, 1000, false, false, 0 };
    rc = qn_gossip_open(&conf, &e->gossip, &why);
    rc = rc ? rc : qn_gossip_topic(e->gossip, &topic, &e->topic);
    QN_ASSERT(rc == QN_OK);
}

static void close_end(struct end *e)
{
    qn_gossip_close(e->gossip);
    qn_host_close(e->host);
    event_base_free(e->base);
}

static int take(uint32_t count)
{
    struct end e = { .want = count };
    open_end(&e, 1, "127.0.0.1:0");
    printf("%u\n", qn_host_port(e.host));
    fflush(stdout);
    event_base_dispatch(e.base);
    printf("done\n");
    fflush(stdout);
    close_end(&e);
    return 0;
}

static void dialled(void *arg, qn_rc rc, uint32_t peer, const struct qn_why *why)
{
    (void)why;
    QN_ASSERT(rc == QN_OK);
    *(uint32_t *)arg = peer;
}

static double quoin(const char *self)
{
    char command[600], addr[64], line[64] = "";
    snprintf(command, sizeof command, "exec '%s' take %d", self, COUNT);
    FILE *child = popen(command, "r");
    QN_ASSERT(child && fgets(line, sizeof line, child));
    struct end e = { 0 };
    uint32_t peer = 0;
    open_end(&e, 2, NULL);
    snprintf(addr, sizeof addr, "127.0.0.1:%d", atoi(line));
    qn_rc rc = qn_host_dial(e.host, addr, dialled, &peer, NULL);
    QN_ASSERT(rc == QN_OK);
    struct gossip *g = qn_gossip_machine(e.gossip);
    while (gossip_topic_info(g, e.topic).mesh == 0)
        event_base_loop(e.base, EVLOOP_ONCE);
    uint8_t body[BYTES] = { 0 };
    uint64_t start = qn_env_mono_us(qn_env_real());
    for (uint32_t i = 0; i < COUNT;) {
        struct gossip_peer_info info;
        QN_ASSERT(gossip_peer_info(g, peer, &info));
        for (int k = 0; k < 32 && i < COUNT && info.queued < AHEAD_BYTES; k++, i++) {
            memcpy(body, &i, sizeof i);
            rc = qn_gossip_publish(e.gossip, e.topic, QN_SPAN(body, BYTES));
            QN_ASSERT(rc == QN_OK);
        }
        event_base_loop(e.base, info.queued < AHEAD_BYTES ? EVLOOP_NONBLOCK : EVLOOP_ONCE);
    }
    struct gossip_peer_info info;
    while (gossip_peer_info(g, peer, &info) && info.queued)
        event_base_loop(e.base, EVLOOP_ONCE);
    int fd = fileno(child);
    while (1) { /* the last bytes leave while we wait */
        struct timeval none = { 0, 0 };
        fd_set set;
        FD_ZERO(&set);
        FD_SET(fd, &set);
        event_base_loop(e.base, EVLOOP_NONBLOCK);
        if (select(fd + 1, &set, NULL, NULL, &none) > 0) break;
        usleep(500);
    }
    uint64_t us = qn_env_mono_us(qn_env_real()) - start;
    QN_ASSERT(fgets(line, sizeof line, child) && strcmp(line, "done\n") == 0);
    pclose(child);
    close_end(&e);
    return COUNT * 1e6 / (double)us;
}

static double js(void)
{
    double rate = 0;
    FILE *node =
        popen("[ -d tests/peers/node_modules/@libp2p/gossipsub ] && timeout 60 node --no-warnings "
              "--import "
              "./tests/peers/polyfill.mjs tests/peers/gossip_bench.mjs 20000 1024 2>/dev/null",
              "r");
    if (!node) return 0;
    if (fscanf(node, "%lf", &rate) != 1) rate = 0;
    pclose(node);
    return rate;
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "take") == 0)
        return take((uint32_t)strtoul(argv[2], NULL, 10));
    double ours = quoin(argv[0]), theirs = js();
    if (theirs > 0)
        printf("{\"name\":\"gossip_hosts_1024\",\"value\":%.0f,\"unit\":\"msg/"
               "s\",\"peer\":\"js-libp2p gossipsub 17.1.1, same run\","
               "\"peer_value\":%.0f,\"ratio\":%.1f}\n",
               ours, theirs, ours / theirs);
    else
        printf("{\"name\":\"gossip_hosts_1024\",\"value\":%.0f,\"unit\":\"msg/"
               "s\",\"peer\":\"js-libp2p gossipsub 17.1.1 on 2.6 GHz Zen 4, "
               "not in this run\",\"peer_value\":11400}\n",
               ours);
    return 0;
}
