/* bench_net_lan.c - four real nodes on one machine's loopback, which is a LAN without its wire: how long from a block's time, which its leader takes
 * from the clock as it proposes, until each node says that it is final. Beside it the least that any such agreement takes: a ping between two
 * processes and two synced writes of as many bytes to the same disk, one after the other. */
#include "tests/bench/ear.h"

#include "core/crypto/hash.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>

enum { NODES = 4, BLOCKS = 75, PINGS = 400, SYNCS = 200, VOTE = 200, FRAME = 1024 };

static char home[] = "/tmp/quoin-bench-XXXXXX";

static double mono_ms(void)
{
    return (double)qn_env_mono_us(qn_env_real()) / 1e3;
}

static pid_t devnet(void)
{
    const char *quoin = getenv("QUOIN");
    int fds[2];
    char line[1024];
    QN_ASSERT(pipe(fds) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(fds[1], 1);
        execl(quoin ? quoin : "build/quoin", "quoin", "devnet", "4", "--home", home, "--json",
              NULL);
        _exit(127);
    }
    close(fds[1]);
    FILE *out = fdopen(fds[0], "r");
    while (out && fgets(line, sizeof line, out) && !strstr(line, "\"ready\""))
        ;
    return pid;
}

/* Median of a vote's bytes there and back between two processes. */
static double ping_ms(void)
{
    static struct times t;
    struct sockaddr_in sin = { .sin_family = AF_INET };
    socklen_t len = sizeof sin;
    char b[VOTE] = { 0 };
    int l = socket(AF_INET, SOCK_STREAM, 0), fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;
    sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    QN_ASSERT(bind(l, (struct sockaddr *)(void *)&sin, sizeof sin) == 0 && listen(l, 1) == 0);
    QN_ASSERT(getsockname(l, (struct sockaddr *)(void *)&sin, &len) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        close(fd);
        int in = accept(l, NULL, NULL);
        setsockopt(in, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        while (recv(in, b, sizeof b, MSG_WAITALL) == sizeof b)
            if (send(in, b, sizeof b, MSG_NOSIGNAL) != sizeof b) break;
        _exit(0);
    }
    QN_ASSERT(connect(fd, (struct sockaddr *)(void *)&sin, sizeof sin) == 0);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    for (t.cnt = 0; t.cnt < PINGS; t.cnt++) {
        double begin = mono_ms();
        QN_ASSERT(send(fd, b, sizeof b, MSG_NOSIGNAL) == sizeof b &&
                  recv(fd, b, sizeof b, MSG_WAITALL) == sizeof b);
        t.ms[t.cnt] = mono_ms() - begin;
    }
    close(fd);
    close(l);
    waitpid(pid, NULL, 0);
    return times_at(&t, .5);
}

/* Median of a synced write into space that was there, as the journal's are. */
static double sync_ms(void)
{
    static struct times t;
    static char zeros[1 << 20];
    char path[128];
    snprintf(path, sizeof path, "%s/bare", home);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_DSYNC, 0600);
    QN_ASSERT(fd >= 0 && pwrite(fd, zeros, sizeof zeros, 0) == sizeof zeros && fsync(fd) == 0);
    for (t.cnt = 0; t.cnt < SYNCS; t.cnt++) {
        double begin = mono_ms();
        QN_ASSERT(pwrite(fd, zeros, FRAME, (off_t)t.cnt * FRAME) == FRAME);
        t.ms[t.cnt] = mono_ms() - begin;
    }
    close(fd);
    return times_at(&t, .5);
}

int main(void)
{
    static struct ear ears[NODES];
    static struct times blocks;
    struct pollfd p[NODES];
    char cmd[64];
    /* What the protocol takes, not what else this machine does: before all others, where that is allowed. */
    const struct sched_param first = { .sched_priority = 1 };
    (void)sched_setscheduler(0, SCHED_RR, &first);
    signal(SIGPIPE, SIG_IGN);
    QN_ASSERT(qn_crypto_init() == QN_OK && mkdtemp(home) != NULL);
    double ping = ping_ms(), sync = sync_ms();
    pid_t pid = devnet();
    while (ear_status(home, 3, "height") < 10)
        usleep(5000);
    for (unsigned i = 0; i < NODES; i++) {
        QN_ASSERT(ear_open(&ears[i], home, i));
        p[i] = (struct pollfd){ .fd = ears[i].fd, .events = POLLIN };
    }
    while (blocks.cnt < BLOCKS * NODES && poll(p, NODES, 30000) > 0)
        for (unsigned i = 0; i < NODES; i++)
            if (p[i].revents) QN_ASSERT(ear_hear(&ears[i], &blocks));
    kill(pid, SIGTERM);
    waitpid(pid, NULL, 0);
    double p50 = times_at(&blocks, .5), p90 = times_at(&blocks, .9), least = ping + 2 * sync;
    printf(
        "{\"name\":\"finality on loopback, from proposed to final at each of four, p50\",\"value\":"
        "%.2f,\"unit\":\"ms\",\"limit\":\"a ping of %.3f ms, two synced writes of %.3f, and the "
        "goal's 2 ms: %.2f\",\"limit_ratio\":%.3f}\n"
        "{\"name\":\"finality on loopback, from proposed to final at each of four, "
        "p90\",\"value\":%.2f,\"unit\":\"ms\"}\n",
        p50, ping, sync, least + 2, p50 / (least + 2), p90);
    snprintf(cmd, sizeof cmd, "rm -rf %s", home);
    return system(cmd) != 0;
}
