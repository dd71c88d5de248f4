/* shrink.c - a smaller world that fails still: without faults, with fewer nodes, with fewer transactions. */
#include "tests/sim/sim.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

bool sim_child(const struct sim_opts *o, struct sim_result *ret)
{
    struct sim_result *shared =
        mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    QN_ASSERT(shared != MAP_FAILED);
    snprintf(shared->wrong, sizeof shared->wrong, "the process died");
    int status = 0;
    fflush(stdout);
    pid_t pid = fork();
    QN_ASSERT(pid >= 0);
    if (pid == 0) {
        struct sim_result mine;
        if (!o->trace && !freopen("/dev/null", "w", stderr)) _exit(3);
        sim_run(o, &mine);
        *shared = mine;
        fflush(stdout);
        _exit(0);
    }
    waitpid(pid, &status, 0);
    *ret = *shared;
    if (WIFSIGNALED(status))
        snprintf(ret->wrong, sizeof ret->wrong, "the node's code ended with signal %d%s",
                 WTERMSIG(status), WTERMSIG(status) == 6 ? " (an assertion)" : "");
    munmap(shared, sizeof *shared);
    return ret->wrong[0] == 0;
}

void sim_command(const struct sim_opts *o, char *dst, size_t size)
{
    size_t at = (size_t)snprintf(dst, size, "./build.sh sim --seed %" PRIu64, o->seed);
    if (o->nodes) at += (size_t)snprintf(dst + at, size - at, " --nodes %u", o->nodes);
    if (o->minutes) at += (size_t)snprintf(dst + at, size - at, " --minutes %u", o->minutes);
    if (o->epoch_ms) at += (size_t)snprintf(dst + at, size - at, " --epoch-ms %u", o->epoch_ms);
    if (o->tx_max) at += (size_t)snprintf(dst + at, size - at, " --txs %u", o->tx_max);
    if (o->bug) at += (size_t)snprintf(dst + at, size - at, " --bug %s", sim_bug(o->bug)->word);
    for (unsigned k = 0; k < 2; k++) {
        const char *before = k ? " --without " : " --with ";
        for (unsigned f = 0; f < SIM_FAULT_COUNT; f++) {
            if (!((k ? o->without : o->with) >> f & 1)) continue;
            at += (size_t)snprintf(dst + at, size - at, "%s%s", before, SIM_FAULT_WORDS[f].word);
            before = ",";
        }
    }
}

static bool same_kind(const char *a, const char *b)
{
    for (; *a && *b; a++, b++) { /* numbers differ between worlds, words do not */
        while (*a >= '0' && *a <= '9')
            a++;
        while (*b >= '0' && *b <= '9')
            b++;
        if (*a != *b) return false;
        if (!*a || !*b) break;
    }
    return true;
}

void sim_shrink(const struct sim_opts *o, const struct sim_result *seen)
{
    static const uint32_t NODES[] = { 1, 4, 5, 7 };
    static const uint32_t TXS[] = { 1, 3, 10, 30, 100 };
    struct sim_opts best = *o;
    struct sim_result r;
    char cmd[500];
    struct sim_knobs k;
    best.until = 0;
    best.trace = false;
    sim_knobs_draw(&best, &k);
    for (size_t i = 0; i < QN_COUNT(NODES) && NODES[i] < k.nodes; i++) {
        struct sim_opts t = best;
        t.nodes = NODES[i];
        if (!sim_child(&t, &r) && same_kind(r.wrong, seen->wrong)) {
            best = t;
            break;
        }
    }
    for (unsigned f = 0; f < SIM_FAULT_COUNT; f++) {
        struct sim_opts t = best;
        if (!(k.faults >> f & 1)) continue;
        t.without |= SIM_BIT(f);
        if (!sim_child(&t, &r) && same_kind(r.wrong, seen->wrong)) best = t;
    }
    for (size_t i = 0; i < QN_COUNT(TXS); i++) {
        struct sim_opts t = best;
        t.tx_max = TXS[i];
        if (!sim_child(&t, &r) && same_kind(r.wrong, seen->wrong)) {
            best = t;
            break;
        }
    }
    sim_command(&best, cmd, sizeof cmd);
    sim_knobs_draw(&best, &k);
    printf("  shrunk: %s\n    ", cmd);
    sim_knobs_print(&k, stdout);
}
