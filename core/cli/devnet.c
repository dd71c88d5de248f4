/* devnet.c - N real nodes on this machine, each a validator of one chain: for trying out, for tests, for the demo. */
#include "core/cli/args.h"

#include "core/cli/devnet.h"
#include "core/node/wallet.h"
#include "ledger/state/tx.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#define BLOCK_MS  "200" /* for who watches: an empty block five times a second */
#define READY_MS  20000
#define AGAIN_US  1000000 /* before one that did not come up is tried again */
#define OWNER_QN  1000
#define FAUCET_QN 100000
#define BOND_QN   10000               /* behind each validator */
#define REPORT_QN 10                  /* for the fees of what a validator reports about others */
#define TEXT      (char *)(uintptr_t) /* execv's argv is not const, though nobody writes to it */

struct member {
    char home[4096], api[64], p2p[512];
    pid_t pid;         /* 0: not running */
    bool seen;         /* has been ready once: it keeps its port */
    bool up;           /* was ready since it was started */
    uint64_t again_us; /* when it is started again */
};

struct qn_devnet {
    unsigned cnt;
    int lock_fd;
    struct member at[QN_DEVNET_MAX];
};

/* --- preparing ----------------------------------------------------------------------------------------------------------- */

static qn_rc key_of(const char *home, const char *name, const struct qn_key *same,
                    struct qn_key *ret, struct qn_why *why)
{
    qn_rc rc = qn_wallet_load(home, name, ret, why);
    return rc == QN_E_NOTFOUND ? qn_wallet_new(home, name, same ? same->seed : NULL, ret, why) : rc;
}

/* A network that a folder holds already has as many nodes as its genesis has validators. */
static qn_rc same_size(const char *home, unsigned cnt, struct qn_why *why)
{
    struct qn_buf bytes = { 0 };
    struct qn_arena arena = { .max = 8u << 20 };
    struct qn_genesis genesis;
    char path[4200];
    snprintf(path, sizeof path, "%s/genesis", home);
    qn_rc rc = access(path, F_OK) ? QN_E_NOTFOUND : qn_file_read(path, 1u << 20, &bytes, why);
    if (rc == QN_OK) rc = qn_decode(qn_genesis_record(), qn_buf_get(&bytes), &arena, &genesis, why);
    if (rc == QN_OK && genesis.validators.cnt != cnt)
        rc = qn_why(why, QN_E_USAGE,
                    "the network of %s is of %u, not %u: quoin devnet %u, or another --home", home,
                    genesis.validators.cnt, cnt, genesis.validators.cnt);
    qn_buf_free(&bytes);
    qn_arena_free(&arena);
    return rc == QN_E_NOTFOUND ? QN_OK : rc;
}

/* Homes with a validator's key each, the same owner and faucet, and one genesis. A folder that holds them already stays as it is. */
static qn_rc prepare(const char *home, bool at_home, struct qn_devnet *net, struct qn_why *why)
{
    struct qn_hash validators[QN_DEVNET_MAX];
    struct qn_key owner, faucet, key;
    char path[4200];
    qn_rc rc = QN_OK;
    if (strlen(home) > sizeof net->at[0].home - 200)
        return qn_why(why, QN_E_USAGE, "the path of the home is too long");
    snprintf(path, sizeof path, "%s/wallet", home);
    at_home |= access(path, F_OK) == 0;
    rc = same_size(home, net->cnt, why);
    for (unsigned i = 0; rc == QN_OK && i < net->cnt; i++) {
        struct member *m = &net->at[i];
        if (i || !at_home)
            snprintf(m->home, sizeof m->home, "%.3900s/node-%u", home, i);
        else
            snprintf(m->home, sizeof m->home, "%.3900s", home);
        rc = qn_dir_make(m->home, why);
        if (rc == QN_OK) rc = key_of(m->home, "validator", NULL, &key, why);
        validators[i] = key.pub;
        if (rc == QN_OK) rc = key_of(m->home, "owner", i ? &owner : NULL, i ? &key : &owner, why);
        if (rc == QN_OK)
            rc = key_of(m->home, "faucet", i ? &faucet : NULL, i ? &key : &faucet, why);
    }
    snprintf(path, sizeof path, "%s/genesis", home);
    if (rc || access(path, F_OK) == 0) return rc;
    struct qn_grant grants[QN_DEVNET_MAX + 2] = {
        { qn_acct_key(&owner.pub), QN_UQN(OWNER_QN * QN_UQN_PER_QN) },
        { qn_acct_key(&faucet.pub), QN_UQN(FAUCET_QN * QN_UQN_PER_QN) },
    };
    struct qn_genesis_bond bonds[QN_DEVNET_MAX];
    for (unsigned i = 0; i < net->cnt; i++) {
        grants[i + 2] =
            (struct qn_grant){ qn_acct_key(&validators[i]), QN_UQN(REPORT_QN * QN_UQN_PER_QN) };
        bonds[i] = (struct qn_genesis_bond){ .owner = grants[0].acct,
                                             .amount = QN_UQN(BOND_QN * QN_UQN_PER_QN) };
    }
    struct qn_genesis genesis = { .name = QN_SPAN_STR("devnet"),
                                  .t_ms = qn_env_now_ms(qn_env_real()),
                                  .dev = true };
    struct qn_buf bytes = { 0 };
    genesis.validators.cnt = genesis.bonds.cnt = net->cnt;
    genesis.validators.ptr = validators;
    genesis.bonds.ptr = bonds;
    genesis.grants.cnt = net->cnt + 2;
    genesis.grants.ptr = grants;
    qn_encode(qn_genesis_record(), &genesis, &bytes);
    rc = qn_file_write(path, qn_buf_get(&bytes), 0600, why);
    qn_buf_free(&bytes);
    return rc;
}

/* --- processes ----------------------------------------------------------------------------------------------------------- */

/* IP:PORT of "/ip4/IP/tcp/PORT/..", where it is to listen again. */
static void where(const struct member *m, char dst[64])
{
    char ip[48];
    unsigned port;
    if (m->seen && sscanf(m->p2p, "/ip4/%47[0-9.]/tcp/%u", ip, &port) == 2)
        snprintf(dst, 64, "%s:%u", ip, port);
    else
        snprintf(dst, 64, "127.0.0.1:0");
}

static qn_rc launch(const char *home, struct qn_devnet *net, unsigned idx, struct qn_why *why)
{
    struct member *m = &net->at[idx];
    char log[4200], genesis[4200], listen[64], api[80];
    struct qn_buf join = { 0 };
    where(m, listen);
    snprintf(log, sizeof log, "%s/up.log", m->home);
    snprintf(genesis, sizeof genesis, "%s/genesis", home);
    snprintf(api, sizeof api, "%s", m->seen ? m->api : "127.0.0.1:0");
    for (unsigned i = 0; i < net->cnt; i++)
        if (i != idx && net->at[i].p2p[0])
            qn_buf_printf(&join, "%s%s", join.len ? "," : "", net->at[i].p2p);
    qn_buf_u8(&join, 0);
    int out = open(log, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (out < 0) {
        qn_buf_free(&join);
        return qn_why(why, qn_err_errno(errno), "%s: %s", log, strerror(errno));
    }
    char *argv[] = { TEXT "quoin",     TEXT "up",     TEXT "--home",    m->home,
                     TEXT "--api",     api,           TEXT "--listen",  listen,
                     TEXT "--genesis", genesis,       TEXT "--json",    TEXT "--block-ms",
                     TEXT BLOCK_MS,    TEXT "--join", (char *)join.ptr, NULL };
    pid_t pid = fork();
    if (pid == 0) {
        sigset_t none;
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        prctl(PR_SET_PDEATHSIG, SIGTERM);
        dup2(out, STDOUT_FILENO);
        dup2(out, STDERR_FILENO);
        execv("/proc/self/exe", argv);
        _exit(127);
    }
    close(out);
    qn_buf_free(&join);
    m->pid = pid;
    return pid < 0 ? qn_why(why, QN_E_SYSTEM, "fork: %s", strerror(errno)) : QN_OK;
}

/* Whether the node has said that it is ready; takes its addresses from that. */
static bool is_ready(struct member *m)
{
    char log[4200];
    struct qn_buf text = { 0 };
    struct qn_why why;
    const uint8_t *end = NULL;
    snprintf(log, sizeof log, "%s/up.log", m->home);
    if (qn_file_read(log, 1u << 20, &text, &why) == QN_OK && text.len)
        end = memchr(text.ptr, '\n', text.len);
    json_t *said =
        end ? json_loadb((const char *)text.ptr, (size_t)(end - text.ptr), 0, NULL) : NULL;
    const char *api = json_string_value(json_object_get(said, "api")),
               *p2p = json_string_value(json_object_get(said, "p2p"));
    bool ready = api && p2p;
    if (ready) {
        const char *host = strstr(api, "//");
        snprintf(m->api, sizeof m->api, "%s", host ? host + 2 : api);
        snprintf(m->p2p, sizeof m->p2p, "%s", p2p);
        m->seen = m->up = true;
    }
    json_decref(said);
    qn_buf_free(&text);
    return ready;
}

static qn_rc await(struct member *m, struct qn_why *why)
{
    int how;
    for (int i = 0; i < READY_MS / 10; i++) {
        if (is_ready(m)) return QN_OK;
        if (waitpid(m->pid, &how, WNOHANG) == m->pid) {
            m->pid = 0;
            return qn_why(why, QN_E_SYSTEM, "the node of %s ended at once; its words: %s/up.log",
                          m->home, m->home);
        }
        usleep(10000);
    }
    return qn_why(why, QN_E_TIMEOUT, "the node of %s was not ready in %d s", m->home,
                  READY_MS / 1000);
}

static qn_rc lock(const char *home, struct qn_devnet *net, struct qn_why *why)
{
    char path[4200];
    qn_rc rc = qn_dir_make(home, why);
    if (rc) return rc;
    snprintf(path, sizeof path, "%.4000s/devnet.lock", home);
    net->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (net->lock_fd < 0) return qn_why(why, qn_err_errno(errno), "%s: %s", path, strerror(errno));
    if (flock(net->lock_fd, LOCK_EX | LOCK_NB))
        return qn_why(why, QN_E_BUSY, "a devnet runs on %s already", home);
    return QN_OK;
}

qn_rc qn_devnet_open(const char *home, unsigned cnt, bool at_home, struct qn_devnet **ret,
                     struct qn_why *why)
{
    struct qn_devnet *net = calloc(1, sizeof *net);
    QN_ASSERT(net != NULL && cnt >= 1 && cnt <= QN_DEVNET_MAX);
    net->cnt = cnt;
    net->lock_fd = -1;
    qn_rc rc = lock(home, net, why);
    if (rc == QN_OK) rc = prepare(home, at_home, net, why);
    for (unsigned i = 0; rc == QN_OK && i < cnt; i++) {
        rc = launch(home, net, i, why);
        if (rc == QN_OK) rc = await(&net->at[i], why);
    }
    if (rc)
        qn_devnet_close(net);
    else
        *ret = net;
    return rc;
}

void qn_devnet_close(struct qn_devnet *net)
{
    if (!net) return;
    for (unsigned i = 0; i < net->cnt; i++)
        if (net->at[i].pid > 0) kill(net->at[i].pid, SIGTERM);
    for (unsigned i = 0; i < net->cnt; i++)
        if (net->at[i].pid > 0) waitpid(net->at[i].pid, NULL, 0);
    if (net->lock_fd >= 0) close(net->lock_fd);
    free(net);
}

void qn_devnet_await(struct qn_devnet *net, unsigned idx)
{
    if (net->at[idx].pid > 0) waitpid(net->at[idx].pid, NULL, 0);
    net->at[idx].pid = 0;
}

const char *qn_devnet_home(const struct qn_devnet *net, unsigned idx)
{
    return net->at[idx].home;
}

/* --- the verb --------------------------------------------------------------------------------------------------------------- */

static void say_node(const struct qn_cli *cli, const struct qn_devnet *net, unsigned i)
{
    const struct member *m = &net->at[i];
    char api[80];
    snprintf(api, sizeof api, "http://%s", m->api);
    if (cli->json) {
        json_t *one = json_pack("{s:s, s:i, s:i, s:s, s:s, s:s}", "event", "node", "idx", (int)i,
                                "pid", (int)m->pid, "home", m->home, "api", api, "p2p", m->p2p);
        json_dumpf(one, stdout, JSON_COMPACT);
        putchar('\n');
        json_decref(one);
    } else if (!cli->quiet) {
        printf("node %-3u  pid %-7d  api %s  %s\n", i, (int)m->pid, api, m->home);
    }
    fflush(stdout);
}

static void say_gone(const struct qn_cli *cli, const struct qn_devnet *net, unsigned i)
{
    if (cli->json)
        printf("{\"event\":\"gone\",\"idx\":%u}\n", i);
    else if (!cli->quiet)
        printf("node %u is gone; its words: %s/up.log\n", i, net->at[i].home);
    fflush(stdout);
}

static void say_ready(const struct qn_cli *cli, const struct qn_devnet *net, const char *home)
{
    if (cli->json)
        puts("{\"event\":\"ready\"}");
    else if (!cli->quiet)
        printf("ready: %u node%s in %s; Ctrl-C ends %s\n"
               "  look  quoin --home %s status\n"
               "  join  quoin up --home DIR --api 127.0.0.1:0 --join %s\n",
               net->cnt, net->cnt == 1 ? "" : "s", home, net->cnt == 1 ? "it" : "them",
               net->at[0].home, net->at[0].p2p);
    fflush(stdout);
}

/* Buries who died, starts it again where that is wanted, tells who is ready. *ret_wait: somebody is on the way. */
static qn_rc turn(const struct qn_cli *cli, const char *home, struct qn_devnet *net, bool restart,
                  bool *ret_wait, struct qn_why *why)
{
    uint64_t now_us = qn_env_mono_us(qn_env_real());
    qn_rc rc = QN_OK;
    pid_t pid;
    int how;
    *ret_wait = false;
    while ((pid = waitpid(-1, &how, WNOHANG)) > 0)
        for (unsigned i = 0; i < net->cnt; i++) {
            struct member *m = &net->at[i];
            if (m->pid != pid) continue;
            if (!restart || (!m->up && !m->again_us)) say_gone(cli, net, i);
            m->again_us = m->up ? 0 : now_us + AGAIN_US;
            m->pid = 0;
            m->up = false;
        }
    for (unsigned i = 0; i < net->cnt; i++) {
        struct member *m = &net->at[i];
        if (!m->pid && restart && now_us >= m->again_us) rc = launch(home, net, i, why);
        if (rc) return rc;
        if (m->pid && !m->up && is_ready(m)) {
            m->again_us = 0;
            say_node(cli, net, i);
        }
        *ret_wait |= restart && !m->up;
    }
    return QN_OK;
}

/* Until SIGINT or SIGTERM. */
static qn_rc watch(const struct qn_cli *cli, const char *home, struct qn_devnet *net, bool restart,
                   int fd, struct qn_why *why)
{
    struct pollfd at = { .fd = fd, .events = POLLIN };
    struct signalfd_siginfo sig;
    bool wait = false;
    for (;;) {
        if (poll(&at, 1, wait ? 10 : -1) > 0 && read(fd, &sig, sizeof sig) == (ssize_t)sizeof sig &&
            sig.ssi_signo != SIGCHLD)
            return QN_OK;
        qn_rc rc = turn(cli, home, net, restart, &wait, why);
        if (rc) return rc;
    }
}

int qn_verb_devnet(struct qn_cli *cli)
{
    struct qn_why why = { "" };
    struct qn_devnet *net;
    char home[] = "/tmp/quoin-devnet-XXXXXX", absolute[4096];
    bool restart = qn_args_word(cli, "--restart");
    unsigned long cnt = cli->argc == 1 ? strtoul(cli->argv[0], NULL, 10) : 0;
    sigset_t stop;
    if (cnt < 1 || cnt > QN_DEVNET_MAX ||
        strspn(cli->argv[0], "0123456789") != strlen(cli->argv[0]))
        return qn_usage(cli,
                        "devnet takes a number of nodes from 1 to 64; and --home DIR, --restart, "
                        "--json");
    sigemptyset(&stop);
    sigaddset(&stop, SIGINT);
    sigaddset(&stop, SIGTERM);
    sigaddset(&stop, SIGCHLD);
    sigprocmask(SIG_BLOCK, &stop, NULL);
    int fd = signalfd(-1, &stop, SFD_CLOEXEC);
    qn_rc rc = qn_crypto_init();
    if (rc == QN_OK && !cli->home && !mkdtemp(home))
        rc = qn_why(&why, QN_E_IO, "%s: %s", home, strerror(errno));
    if (rc == QN_OK && cli->home) rc = qn_dir_make(cli->home, &why);
    if (rc == QN_OK && !realpath(cli->home ? cli->home : home, absolute))
        rc = qn_why(&why, qn_err_errno(errno), "%s: %s", cli->home, strerror(errno));
    if (rc == QN_OK) rc = qn_devnet_open(absolute, (unsigned)cnt, false, &net, &why);
    if (rc) return qn_fail(cli, rc, &why);
    for (unsigned i = 0; i < net->cnt; i++)
        say_node(cli, net, i);
    say_ready(cli, net, absolute);
    rc = watch(cli, absolute, net, restart, fd, &why);
    qn_devnet_close(net);
    close(fd);
    if (rc) return qn_fail(cli, rc, &why);
    if (!cli->json && !cli->quiet)
        printf("ended; all is kept: quoin devnet %lu --home %s goes on\n", cnt, absolute);
    return 0;
}
