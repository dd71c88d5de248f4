/* bench_net_finality.c - four real nodes, a host each, 50 ms of wire between any two: how long from a block's time, which its leader takes from
 * the clock as it proposes, until each node says that it is final; and from a transfer's sending until its sender is told. A way across the
 * wire is the unit: two are what any agreement of several takes. Without network namespaces (tests/wire.h) it says so and no figure. */
#include "tests/bench/ear.h"
#include "tests/wire.h"

#include "core/cli/client.h"
#include "core/crypto/hash.h"
#include "ledger/state/tx.h"

#include <signal.h>
#include <sys/un.h>
#include <sys/wait.h>

enum { NODES = 4, DELAY_US = 50000, BLOCKS = 60, SENDS = 24 };

static char home[] = "/tmp/quoin-bench-XXXXXX";
static pid_t node[NODES];

static const char *program(void)
{
    const char *quoin = getenv("QUOIN");
    return quoin ? quoin : "build/quoin";
}

/* Keys, a genesis and some blocks, by a devnet that ends again. */
static void make(void)
{
    int fds[2];
    char line[1024];
    QN_ASSERT(pipe(fds) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(fds[1], 1);
        execl(program(), "quoin", "devnet", "4", "--home", home, "--json", NULL);
        _exit(127);
    }
    close(fds[1]);
    FILE *out = fdopen(fds[0], "r");
    while (out && fgets(line, sizeof line, out) && !strstr(line, "\"ready\""))
        ;
    kill(pid, SIGTERM);
    waitpid(pid, NULL, 0);
    if (out) fclose(out);
}

static pid_t up(const struct wire *w, unsigned i)
{
    char dir[128], listen[32], genesis[128], join[256] = "", log[160];
    snprintf(dir, sizeof dir, "%s/node-%u", home, i);
    snprintf(listen, sizeof listen, "20.%u.0.1:4460", i + 1);
    snprintf(genesis, sizeof genesis, "%s/genesis", home);
    snprintf(log, sizeof log, "%s/bench.log", dir);
    for (unsigned k = 0; k < NODES; k++)
        if (k != i)
            snprintf(join + strlen(join), sizeof join - strlen(join), "%s20.%u.0.1:4460",
                     join[0] ? "," : "", k + 1);
    pid_t pid = fork();
    if (pid == 0) {
        int fd = open(log, O_WRONLY | O_CREAT | O_TRUNC, 0600);
        dup2(fd, 1);
        dup2(fd, 2);
        if (!wire_enter(w->ns[i])) _exit(1);
        execl(program(), "quoin", "up", "--home", dir, "--api", "127.0.0.1:0", "--listen", listen,
              "--genesis", genesis, "--join", join, "--block-ms", "500", "--json", NULL);
        _exit(127);
    }
    return pid;
}

/* Money from one node after the other, each when the last is final; prints how long each took. */
static void sender(int out)
{
    const struct qn_hash sink = qn_h("bench sink", "", 0);
    char sink_hex[65];
    qn_hex(sink.b, 32, sink_hex);
    for (unsigned i = 0; i < SENDS; i++) {
        struct qn_client c;
        struct qn_why why = { "" };
        char dir[128];
        json_t *ret = NULL, *fields = json_pack("{s:s, s:i}", "to", sink_hex, "amount", 1000);
        snprintf(dir, sizeof dir, "%s/node-%u", home, i % NODES);
        qn_client_init(&c, dir, NULL);
        double begin = ear_now_ms();
        qn_rc rc = qn_client_tx(&c, "wallet.send", fields, "faucet", NULL, true, &ret, &why);
        double took = ear_now_ms() - begin;
        if (rc) fprintf(stderr, "%s\n", why.text);
        if (rc == QN_OK && write(out, &took, sizeof took) != sizeof took) _exit(1);
        json_decref(ret);
        json_decref(fields);
        usleep(37000 * (1 + i % 7)); /* at any moment between two blocks */
    }
    _exit(0);
}

static void say(const char *name, struct times *t)
{
    double way = DELAY_US / 1e3, p50 = times_at(t, .5), p90 = times_at(t, .9);
    printf("{\"name\":\"%s, p50\",\"value\":%.2f,\"unit\":\"ways of 50 ms\",\"limit\":\"two "
           "ways, nothing else\",\"limit_ratio\":%.3f}\n"
           "{\"name\":\"%s, p90\",\"value\":%.2f,\"unit\":\"ways of 50 ms\"}\n",
           name, p50 / way, p50 / way / 2, name, p90 / way);
    fflush(stdout);
}

static void measure(void)
{
    static struct ear ears[NODES];
    static struct times blocks, sends;
    int fds[2];
    struct pollfd p[NODES];
    for (unsigned i = 0; i < NODES; i++) {
        QN_ASSERT(ear_open(&ears[i], home, i));
        p[i] = (struct pollfd){ .fd = ears[i].fd, .events = POLLIN };
    }
    while (blocks.cnt < BLOCKS * NODES && poll(p, NODES, 30000) > 0)
        for (unsigned i = 0; i < NODES; i++)
            if (p[i].revents) QN_ASSERT(ear_hear(&ears[i], &blocks));
    say("finality over 50 ms, from proposed to final at each of four", &blocks);
    QN_ASSERT(pipe(fds) == 0);
    pid_t pid = fork();
    if (pid == 0) sender(fds[1]);
    close(fds[1]);
    while (sends.cnt < SENDS &&
           read(fds[0], &sends.ms[sends.cnt], sizeof sends.ms[0]) == sizeof sends.ms[0])
        sends.cnt++;
    waitpid(pid, NULL, 0);
    say("a transfer over 50 ms, from sent to final as its sender is told", &sends);
}

int main(void)
{
    static struct wire w;
    int control[2];
    char cmd[64];
    signal(SIGPIPE, SIG_IGN);
    /* What the protocol takes, not what else this machine does: before all others, where that is allowed. */
    const struct sched_param first = { .sched_priority = 1 };
    (void)sched_setscheduler(0, SCHED_RR, &first);
    QN_ASSERT(qn_crypto_init() == QN_OK && mkdtemp(home) != NULL);
    if (!wire_open(&w, NODES)) {
        printf("{\"name\":\"finality over 50 ms\",\"error\":\"no network namespaces here\"}\n");
        return 0;
    }
    wire_set(&w, "delay", DELAY_US, -1, -1);
    QN_ASSERT(pipe(control) == 0);
    pid_t carrier = fork();
    if (carrier == 0) {
        close(control[1]);
        wire_run(&w, control[0]);
        _exit(0);
    }
    fcntl(control[1], F_SETFD, FD_CLOEXEC);
    make();
    for (unsigned i = 0; i < NODES; i++)
        node[i] = up(&w, i);
    json_int_t begun = -1;
    for (int k = 0; k < 3000 && (begun < 0 || ear_status(home, 3, "height") < begun + 10); k++) {
        if (begun < 0) begun = ear_status(home, 0, "height");
        usleep(10000);
    }
    measure();
    for (unsigned i = 0; i < NODES; i++)
        kill(node[i], SIGTERM);
    for (unsigned i = 0; i < NODES; i++)
        waitpid(node[i], NULL, 0);
    close(control[1]);
    waitpid(carrier, NULL, 0);
    snprintf(cmd, sizeof cmd, "rm -rf %s", home);
    return system(cmd) != 0;
}
