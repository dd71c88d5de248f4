/* bench_ledger_kill.c - kill -9, and how long until the process is of use again: four real nodes of which one dies and is started again, 20 times,
 * while money moves: until its API answers, and until it says of a block made since that it is final. And a network of one, where only its
 * own vote makes the next block: until that is final. */
#include "tests/bench/ear.h"

#include "core/crypto/hash.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>

enum { NODES = 4, KILLS = 20 };

static char home[] = "/tmp/quoin-bench-XXXXXX";

static double mono_ms(void)
{
    return (double)qn_env_mono_us(qn_env_real()) / 1e3;
}

static const char *program(void)
{
    const char *quoin = getenv("QUOIN");
    return quoin ? quoin : "build/quoin";
}

static pid_t devnet(FILE **ret_out, int pids[NODES])
{
    int fds[2], idx, of;
    char line[1024];
    QN_ASSERT(pipe(fds) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(fds[1], 1);
        execl(program(), "quoin", "devnet", "4", "--home", home, "--restart", "--json", NULL);
        _exit(127);
    }
    close(fds[1]);
    *ret_out = fdopen(fds[0], "r");
    while (*ret_out && fgets(line, sizeof line, *ret_out) && !strstr(line, "\"ready\""))
        if (sscanf(line, "{\"event\":\"node\",\"idx\":%d,\"pid\":%d", &idx, &of) == 2 &&
            idx < NODES)
            pids[idx] = of;
    return pid;
}

/* The line in which the devnet says that a node is there again. */
static bool again(FILE *out, int pids[NODES])
{
    char line[1024];
    int idx, of;
    while (fgets(line, sizeof line, out))
        if (sscanf(line, "{\"event\":\"node\",\"idx\":%d,\"pid\":%d", &idx, &of) == 2 &&
            idx < NODES) {
            pids[idx] = of;
            return true;
        }
    return false;
}

/* Until a node's API answers and it has at least that height; -1: not in 20 s. */
static double until(unsigned i, json_int_t height, double begin)
{
    while (mono_ms() - begin < 20000) {
        if (ear_status(home, i, "height") >= height) return mono_ms() - begin;
        usleep(1000);
    }
    return -1;
}

/* Money moves, through nodes that are up, as long as the bench runs. */
static pid_t sender(void)
{
    pid_t pid = fork();
    if (pid) return pid;
    const struct qn_hash sink = qn_h("bench sink", "", 0);
    char sink_hex[65], dir[128];
    qn_hex(sink.b, 32, sink_hex);
    for (unsigned i = 0;; i++) {
        struct qn_client c;
        struct qn_why why = { "" };
        json_t *ret = NULL, *fields = json_pack("{s:s, s:i}", "to", sink_hex, "amount", 1000);
        snprintf(dir, sizeof dir, "%s/node-%u", home, i % NODES);
        qn_client_init(&c, dir, NULL);
        if (qn_client_tx(&c, "wallet.send", fields, "faucet", NULL, false, &ret, &why) == QN_OK)
            json_decref(ret);
        json_decref(fields);
        usleep(20000);
    }
}

static void say(const char *name, struct times *t)
{
    double p50 = times_at(t, .5), max = times_at(t, 1);
    printf(
        "{\"name\":\"%s, p50\",\"value\":%.0f,\"unit\":\"ms\",\"limit\":\"the goal, 2000 ms\","
        "\"limit_ratio\":%.3f}\n"
        "{\"name\":\"%s, worst of %u\",\"value\":%.0f,\"unit\":\"ms\",\"limit\":\"the goal, 2000 "
        "ms\",\"limit_ratio\":%.3f}\n",
        name, p50, p50 / 2000, name, t->cnt, max, max / 2000);
    fflush(stdout);
}

static bool four(void)
{
    static struct times answers, follows;
    int pids[NODES] = { 0 };
    FILE *out;
    pid_t pid = devnet(&out, pids), payer = sender();
    bool ok = true;
    usleep(1500000);
    for (unsigned k = 0; ok && k < KILLS; k++) {
        unsigned i = k % NODES;
        json_int_t high = ear_status(home, (i + 1) % NODES, "height");
        double begin = mono_ms();
        ok = high > 0 && kill(pids[i], SIGKILL) == 0;
        double up = ok ? until(i, 0, begin) : -1, there = up >= 0 ? until(i, high + 1, begin) : -1;
        ok = ok && there >= 0 && again(out, pids);
        if (!ok) break;
        answers.ms[answers.cnt++] = up;
        follows.ms[follows.cnt++] = there;
        usleep(100000 * (1 + k % 4));
    }
    kill(payer, SIGKILL);
    waitpid(payer, NULL, 0);
    kill(pid, SIGTERM);
    waitpid(pid, NULL, 0);
    fclose(out);
    if (!ok) return false;
    say("kill -9 of one of four, until its API answers", &answers);
    say("kill -9 of one of four, until a block made since is final there", &follows);
    return true;
}

static pid_t up(void)
{
    char dir[128];
    snprintf(dir, sizeof dir, "%s/node-0", home);
    pid_t pid = fork();
    if (pid) return pid;
    int null = open("/dev/null", O_WRONLY);
    dup2(null, 1);
    dup2(null, 2);
    execl(program(), "quoin", "up", "--home", dir, "--api", "127.0.0.1:0", "--block-ms", "100",
          "--json", NULL);
    _exit(127);
}

static bool one(void)
{
    static struct times votes;
    char cmd[64];
    snprintf(cmd, sizeof cmd, "rm -rf %s && mkdir %s", home, home);
    if (system(cmd)) return false;
    pid_t pid = up();
    bool ok = until(0, 5, mono_ms()) >= 0;
    for (unsigned k = 0; ok && k < KILLS; k++) {
        json_int_t high = ear_status(home, 0, "height");
        double begin = mono_ms();
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        pid = up();
        double there = until(0, high + 1, begin);
        ok = there >= 0;
        votes.ms[votes.cnt++] = there;
        usleep(50000 * (1 + k % 4));
    }
    kill(pid, SIGTERM);
    waitpid(pid, NULL, 0);
    if (ok) say("kill -9 of a network of one, until its next block is final", &votes);
    return ok;
}

int main(void)
{
    char cmd[64];
    signal(SIGPIPE, SIG_IGN);
    QN_ASSERT(qn_crypto_init() == QN_OK && mkdtemp(home) != NULL);
    bool ok = four() && one();
    snprintf(cmd, sizeof cmd, "rm -rf %s", home);
    return system(cmd) != 0 || !ok;
}
