/* bench_net_finality.c - four real nodes, a host each, 50 ms of wire between any two: how long from a block's time, which its leader takes from
 * the clock as it proposes, until each node says that it is final; and from a transfer's sending until its sender is told. A way across the
 * wire is the unit: two are what any agreement of several takes. Without network namespaces (tests/wire.h) it says so and no figure. */
#include "tests/wire.h"

#include "core/cli/client.h"
#include "core/crypto/hash.h"
#include "ledger/state/tx.h"

#include <signal.h>
#include <sys/un.h>
#include <sys/wait.h>

enum { NODES = 4, DELAY_US = 50000, BLOCKS = 60, SENDS = 24 };

struct ear { /* to one node's events */
    int fd;
    size_t have;
    char text[1 << 16];
};

struct times {
    uint32_t cnt;
    double ms[4096];
};

static char home[] = "/tmp/quoin-bench-XXXXXX";
static pid_t node[NODES];

static double now_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    return (double)ts.tv_sec * 1e3 + (double)ts.tv_nsec / 1e6;
}

static int by_value(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static double at(struct times *t, double part)
{
    qsort(t->ms, t->cnt, sizeof t->ms[0], by_value);
    return t->cnt ? t->ms[(uint32_t)(part * (t->cnt - 1))] : 0;
}

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

static json_int_t status_of(unsigned i, const char *field)
{
    struct qn_client c;
    struct qn_why why;
    json_t *s = NULL;
    json_int_t n = -1;
    char dir[128];
    snprintf(dir, sizeof dir, "%s/node-%u", home, i);
    qn_client_init(&c, dir, NULL);
    if (qn_client_call(&c, "node.status", NULL, &s, &why) == QN_OK)
        n = json_integer_value(json_object_get(s, field));
    json_decref(s);
    return n;
}

static void listen_to(struct ear *e, unsigned i)
{
    struct sockaddr_un sun = { .sun_family = AF_UNIX };
    static const char ASK[] = "GET /v1/events HTTP/1.1\r\nHost: q\r\n\r\n";
    snprintf(sun.sun_path, sizeof sun.sun_path, "%s/node-%u/api.sock", home, i);
    e->have = 0;
    e->fd = socket(AF_UNIX, SOCK_STREAM, 0);
    QN_ASSERT(connect(e->fd, (struct sockaddr *)(void *)&sun, sizeof sun) == 0);
    QN_ASSERT(write(e->fd, ASK, sizeof ASK - 1) == sizeof ASK - 1);
}

/* Reads what there is: each block that is final now. */
static void hear(struct ear *e, struct times *t)
{
    ssize_t n = read(e->fd, e->text + e->have, sizeof e->text - 1 - e->have);
    double now = now_ms();
    QN_ASSERT(n > 0);
    e->have += (size_t)n;
    e->text[e->have] = 0;
    for (char *end; (end = strchr(e->text, '\n')) != NULL;) {
        const char *at_ms = strstr(e->text, "\"t_ms\":");
        if (strncmp(e->text, "data: {\"height\"", 15) == 0 && at_ms && at_ms < end &&
            t->cnt < QN_COUNT(t->ms))
            t->ms[t->cnt++] = now - strtod(at_ms + 7, NULL);
        e->have -= (size_t)(end + 1 - e->text);
        memmove(e->text, end + 1, e->have + 1);
    }
    if (e->have > sizeof e->text / 2) e->have = 0; /* no line of ours is so long */
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
        double begin = now_ms();
        qn_rc rc = qn_client_tx(&c, "wallet.send", fields, "faucet", NULL, true, &ret, &why);
        double took = now_ms() - begin;
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
    double way = DELAY_US / 1e3, p50 = at(t, .5), p90 = at(t, .9);
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
        listen_to(&ears[i], i);
        p[i] = (struct pollfd){ .fd = ears[i].fd, .events = POLLIN };
    }
    while (blocks.cnt < BLOCKS * NODES && poll(p, NODES, 30000) > 0)
        for (unsigned i = 0; i < NODES; i++)
            if (p[i].revents) hear(&ears[i], &blocks);
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
    for (int k = 0; k < 3000 && (begun < 0 || status_of(3, "height") < begun + 10); k++) {
        if (begun < 0) begun = status_of(0, "height");
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
