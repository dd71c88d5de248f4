/* node_say.c - what a node tells who started it: that it is ready, and what they should know. */
#include "core/node/node_in.h"

#include "core/net/net.h"
#include "ledger/state/stake.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

void qn_node_notify(const char *text)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un sun = { .sun_family = AF_UNIX };
    if (!path || strlen(path) >= sizeof sun.sun_path) return;
    memcpy(sun.sun_path, path, strlen(path));
    if (sun.sun_path[0] == '@') sun.sun_path[0] = 0;
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return;
    socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
    ssize_t sent =
        sendto(fd, text, strlen(text), MSG_NOSIGNAL, (struct sockaddr *)(void *)&sun, len);
    (void)sent; /* nobody listens: nothing is lost */
    close(fd);
}

/* Another chain than ours by a good certificate: once, and once more when it becomes known who signed both. */
static void say_fork(struct qn_node *node)
{
    const struct qn_fork *fork = qn_replica_fork(node->replica);
    struct qn_buf line = { 0 };
    uint32_t said = fork ? fork->cnt + 1 : 0;
    if (said == node->said.fork) return;
    node->said.fork = said;
    qn_fork_print(fork, &line);
    fprintf(stderr, "quoin: %.*s\n", (int)line.len, (const char *)line.ptr);
    qn_buf_free(&line);
}

/* Our key votes elsewhere: said once. */
static void say_twin(struct qn_node *node)
{
    if (node->said.twin || !qn_replica_info(node->replica).twin) return;
    node->said.twin = true;
    fputs("quoin: this validator's key votes on another machine as well, which costs the stake: "
          "this node signs no more. Stop one of "
          "the two, then start the other again\n",
          stderr);
}

/* How far it is behind, when it is: to the log, each time it is another. */
static void say_sync(struct qn_node *node)
{
    struct qn_replica_info info = qn_replica_info(node->replica);
    if (node->join || !info.syncing) return;
    if (info.peer_oldest > info.height + 1)
        fprintf(stderr,
                "quoin: sync: no peer has block %" PRIu64 " any more, the first is %" PRIu64
                ": begin with a fresh home, by a snapshot\n",
                info.height + 1, info.peer_oldest);
    else
        fprintf(stderr, "quoin: sync: block %" PRIu64 " of %" PRIu64 "\n", info.height,
                info.peer_height);
}

void qn_node_say_news(struct qn_node *node)
{
    say_sync(node);
    say_fork(node);
    say_twin(node);
}

/* One of many, that hears of nobody. */
static void say_no_network(const struct qn_node *node)
{
    const struct qn_replica_info info = qn_replica_info(node->replica);
    if (!node->net && (info.self < 0 || info.validators > 1))
        fputs("quoin: this home is of a chain that others make, and has no network; start it with "
              "--join ADDR, or --listen IP:PORT for those it knows\n",
              stderr);
}

void qn_node_say_silent(const struct qn_node *node)
{
    struct qn_arena arena = { .max = 1u << 20 };
    const struct qn_hash id = qn_acct_key(&node->validator.pub);
    struct qn_validator v;
    const char *lost = node->armed.lost;
    say_no_network(node);
    bool staked =
        qn_stake_get(qn_chain_view(qn_replica_chain(node->replica)), &id, &arena, &v) == QN_OK;
    if (!staked && lost[0])
        fprintf(stderr,
                "quoin: %s/wallet/validator.key is not the key with which this home's journal "
                "began%s%s: this node follows. Put that key back and start again, or go on with "
                "the new one: quoin help validator rearm\n",
                node->opts->home, *lost == '?' ? "" : ", whose public key is ",
                *lost == '?' ? "" : lost);
    else if (staked && !node->armed.may)
        fprintf(stderr,
                "quoin: this validator does not sign: its journal was restored or is another's; "
                "see quoin help validator rearm\n");
    qn_arena_free(&arena);
}

void qn_node_say_ready(struct qn_node *node, const char *addr, bool fresh, uint64_t took_us)
{
    const struct qn_up_opts *o = node->opts;
    struct qn_hash id = qn_chain_id(qn_node_chain(node));
    struct qn_replica_info info = qn_replica_info(node->replica);
    char hex[65], names[256] = "", p2p[QN_MADDR_TEXT] = "", who[80];
    if (node->net) qn_net_addr(node->net, p2p);
    if (info.self < 0)
        snprintf(who, sizeof who, "%u validator%s (this node follows)", info.validators,
                 info.validators == 1 ? "" : "s");
    else
        snprintf(who, sizeof who, "validator %d of %u (this node)", info.self + 1, info.validators);
    qn_hex(id.b, 32, hex);
    for (size_t i = 0; i < node->exec_cnt; i++)
        snprintf(names + strlen(names), sizeof names - strlen(names), "%s%s", i ? " " : "",
                 node->exec[i].name);
    if (o->json) {
        printf("{\"event\":\"ready\",\"home\":\"%s\",\"pid\":%d,\"api\":\"http://"
               "127.0.0.1:%u\",\"socket\":\"%s/"
               "api.sock\",\"p2p\":\"%s\",\"chain\":\"%s\",\"height\":%" PRIu64
               ",\"owner\":\"%s\",\"ms\":%" PRIu64 "}\n",
               o->home, (int)getpid(), qn_api_port(node->api), o->home, p2p, hex,
               qn_view_height(qn_chain_view(qn_node_chain(node))), addr, took_us / 1000);
    } else if (!o->quiet) {
        printf("quoin " QN_VERSION "   data %s   config %s\n", o->home,
               o->config && o->config[0] ? o->config : "none");
        printf("  key       %s  %.10s..%s   HOME/wallet/owner.key\n", fresh ? "new  " : "kept ",
               addr, addr + strlen(addr) - 4);
        printf("  ledger    %s  %.8s, %s, block %" PRIu64 "\n", fresh ? "new  " : "kept ", hex, who,
               qn_view_height(qn_chain_view(qn_node_chain(node))));
        printf("  modules   ok     %s\n", names[0] ? names : "none");
        printf("  listen    ok     api http://127.0.0.1:%u and %s/api.sock\n",
               qn_api_port(node->api), o->home);
        if (p2p[0]) printf("  network   ok     %s\n", p2p);
        printf("ready in %.2f s\n  next: quoin status | quoin wallet list | quoin help            "
               "Ctrl-C stops\n",
               (double)took_us / 1e6);
    }
    fflush(stdout);
}

void qn_node_say_joined(struct qn_node *node)
{
    uint64_t height = qn_chain_header(qn_node_chain(node))->height;
    if (node->opts->json)
        printf("{\"event\":\"joined\",\"height\":%" PRIu64 "}\n", height);
    else if (!node->opts->quiet)
        printf("joined at block %" PRIu64 "\n", height);
    fflush(stdout);
}
