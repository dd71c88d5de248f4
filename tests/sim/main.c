/* main.c - the command: worlds of many seeds, one seed again, planted bugs, and what the test suite runs. */
#include "tests/sim/sim.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

struct totals {
    uint64_t seeds, bad, virtual_ms, heights, txs, txs_ok, crashes, messages, kinds_ok[8];
    uint32_t with[SIM_FAULT_COUNT];
};

static double cpu_s(void)
{
    struct rusage self, kids;
    getrusage(RUSAGE_SELF, &self);
    getrusage(RUSAGE_CHILDREN, &kids);
    return (double)(self.ru_utime.tv_sec + self.ru_stime.tv_sec + kids.ru_utime.tv_sec +
                    kids.ru_stime.tv_sec) +
           (double)(self.ru_utime.tv_usec + self.ru_stime.tv_usec + kids.ru_utime.tv_usec +
                    kids.ru_stime.tv_usec) /
               1e6;
}

static void add(struct totals *t, const struct sim_result *r)
{
    t->seeds++;
    t->bad += r->wrong[0] != 0;
    t->virtual_ms += r->virtual_ms;
    t->heights += r->height;
    t->txs += r->txs;
    t->txs_ok += r->txs_ok;
    t->crashes += r->crashes;
    t->messages += r->messages;
    for (unsigned i = 0; i < 8; i++)
        t->kinds_ok[i] += r->kinds_ok[i];
    for (unsigned f = 0; f < SIM_FAULT_COUNT; f++)
        t->with[f] += r->faults >> f & 1;
}

static void tell(const struct sim_opts *o, const struct sim_result *r, bool json)
{
    char cmd[500];
    struct sim_knobs k;
    sim_command(o, cmd, sizeof cmd);
    if (json) {
        printf("{\"seed\":%" PRIu64 ",\"event\":%" PRIu64 ",\"virtual_ms\":%" PRIu64
               ",\"wrong\":\"%s\",\"again\":\"%s\"}\n",
               o->seed, r->event, r->virtual_ms, r->wrong, cmd);
        return;
    }
    printf("seed %" PRIu64 ", event %" PRIu64 " at %.3f s: %s\n  again: %s --until %" PRIu64
           " --trace\n  it has: ",
           o->seed, r->event, (double)r->virtual_ms / 1e3, r->wrong, cmd, r->event);
    sim_knobs_draw(o, &k);
    sim_knobs_print(&k, stdout);
}

static void sum_up(const struct totals *t, double cpu, bool json)
{
    static const char *const TAGS[] = { "core", "compute", "training", "subnet",
                                        "zkml", "agents",  "-",        "-" };
    double hours = (double)t->virtual_ms / 3.6e6, rate = cpu > 0 ? hours / (cpu / 60) : 0;
    if (json) {
        printf("{\"seeds\":%" PRIu64 ",\"failed\":%" PRIu64
               ",\"virtual_hours\":%.3f,\"cpu_s\":%.1f,"
               "\"virtual_hours_a_cpu_minute\":%.2f,\"blocks\":%" PRIu64 ",\"txs\":%" PRIu64
               ",\"txs_ok\":%" PRIu64 ",\"crashes\":%" PRIu64 ",\"messages\":%" PRIu64 "}\n",
               t->seeds, t->bad, hours, cpu, rate, t->heights, t->txs, t->txs_ok, t->crashes,
               t->messages);
        return;
    }
    printf("%" PRIu64 " seeds, %" PRIu64
           " failed; %.2f virtual hours in %.1f s of processor (%.1f hours a "
           "minute)\n%" PRIu64 " blocks, %" PRIu64 " messages, %" PRIu64 " crashes, %" PRIu64
           " transactions sent, %" PRIu64 " final and good:",
           t->seeds, t->bad, hours, cpu, rate, t->heights, t->messages, t->crashes, t->txs,
           t->txs_ok);
    for (unsigned i = 0; i < 6; i++)
        printf(" %s %" PRIu64, TAGS[i], t->kinds_ok[i]);
    printf("\nworlds with");
    for (unsigned f = 0; f < SIM_FAULT_COUNT; f++)
        printf(" %s %u", sim_fault_word((enum sim_fault)f), t->with[f]);
    printf("\n");
}

static int run_seeds(const struct sim_opts *o, uint64_t from, uint64_t to, bool json, bool shrink)
{
    struct totals t = { 0 };
    double cpu = cpu_s();
    for (uint64_t seed = from; seed <= to; seed++) {
        struct sim_opts one = *o;
        struct sim_result r;
        one.seed = seed;
        if (!sim_child(&one, &r)) {
            tell(&one, &r, json);
            if (shrink && !json) sim_shrink(&one, &r);
        }
        fflush(stdout);
        add(&t, &r);
    }
    sum_up(&t, cpu_s() - cpu, json);
    return t.bad ? 1 : 0;
}

/* The first seed of a range that finds the bug: which, and what was seen. */
static bool hunt(int bug, uint64_t from, uint64_t to)
{
    struct sim_result r;
    for (uint64_t seed = from; seed <= to; seed++) {
        struct sim_opts o = { .seed = seed, .bug = bug };
        if (!sim_child(&o, &r)) {
            printf("bug %s: seed %" PRIu64 ": %s\n", sim_bug_word(bug), seed, r.wrong);
            fflush(stdout);
            return true;
        }
    }
    printf("bug %s: NOT FOUND in seeds %" PRIu64 " to %" PRIu64 "\n", sim_bug_word(bug), from, to);
    fflush(stdout);
    return false;
}

/* Seeds known to show a bug. Where the node changes a world changes too: then one soon after shows it. */
static const struct {
    const char *bug;
    unsigned seed;
} KNOWN[] = {
    { "quorum", 1 },      { "final_anyway", 1 }, { "two_first", 1 }, { "no_journal", 3 },
    { "no_sync", 3 },     { "no_dir_sync", 3 },  { "no_mark", 3 },   { "clock_apply", 2 },
    { "no_undo", 1 },     { "forget", 3 },       { "fast", 13 },     { "weak", 1 },
    { "no_verify", 29 },  { "blind_cert", 41 },  { "no_extra", 3 },  { "no_body", 3 },
    { "no_forward", 44 },
};

/* The same seed is the same world, to the last event. */
static bool twice(uint64_t seed)
{
    struct sim_opts o = { .seed = seed };
    struct sim_result a, b;
    sim_child(&o, &a);
    sim_child(&o, &b);
    if (a.digest == b.digest && a.event == b.event && a.messages == b.messages) return true;
    printf("seed %" PRIu64 " gives two different worlds\n", seed);
    return false;
}

static int suite(void)
{
    const char *env = getenv("QUOIN_TEST_LONG");
    bool full = env && env[0] == '1';
    struct sim_opts o = { 0 };
    uint64_t from = 1, seeds = 100, slack = 24;
    size_t bugs = QN_COUNT(KNOWN);
    int passed = 0, failed = 0;
#ifdef QN_SANITIZED
    seeds = 8;
    bugs = 3;
#endif
    if (full) { /* fresh ones */
        qn_env_random(qn_env_real(), &from, sizeof from);
        from = from % 1000000000 + 1000;
        seeds *= 5;
        slack = 1999;
    }
    run_seeds(&o, from, from + seeds - 1, false, true) ? failed++ : passed++;
    twice(full ? from : 3) ? passed++ : failed++;
    for (size_t i = 0; i < bugs; i++) {
        uint64_t first = full ? from : KNOWN[i].seed;
        hunt(sim_bug_find(KNOWN[i].bug), first, first + slack) ? passed++ : failed++;
    }
    printf("%d passed, %d failed\n", passed, failed);
    return failed ? 1 : 0;
}

static int usage(void)
{
    printf("sim [--seeds A-B | --seed S] [--nodes N] [--minutes M] [--epoch-ms MS] [--txs N] "
           "[--without FAULT,..]\n"
           "    [--bug BUG] [--until EVENT] [--trace] [--no-shrink] [--json]   worlds from seeds\n"
           "sim --hunt BUG|all [--seeds A-B]                                  seeds that find a "
           "planted bug\n"
           "sim --suite                                                       what ./build.sh test "
           "runs\n"
           "faults:\n");
    for (unsigned f = 0; f < SIM_FAULT_COUNT; f++)
        printf("  %-10s %s\n", sim_fault_word((enum sim_fault)f), sim_fault_doc((enum sim_fault)f));
    printf("bugs:");
    for (int b = 1; b < SIM_BUG_END; b++)
        if (b < QN_BUG_COUNT || b > SIM_BUG_BASE) printf(" %s", sim_bug_word(b));
    printf("\n");
    return 2;
}

static bool faults_of(char *list, uint32_t *ret)
{
    for (char *word = strtok(list, ","); word; word = strtok(NULL, ",")) {
        unsigned f = 0;
        while (f < SIM_FAULT_COUNT && strcmp(sim_fault_word((enum sim_fault)f), word) != 0)
            f++;
        if (strcmp(word, "all") == 0)
            *ret = (1u << SIM_FAULT_COUNT) - 1;
        else if (f == SIM_FAULT_COUNT)
            return false;
        else
            *ret |= 1u << f;
    }
    return true;
}

int main(int argc, char **argv)
{
    struct sim_opts o = { 0 };
    uint64_t from = 1, to = 10;
    const char *hunted = NULL;
    bool json = false, shrink = true;
    for (int i = 1; i < argc; i++) {
        char *a = argv[i], *v = i + 1 < argc ? argv[i + 1] : NULL, *end = NULL;
        if (strcmp(a, "--suite") == 0) return suite();
        if (strcmp(a, "--json") == 0) {
            json = true;
        } else if (strcmp(a, "--trace") == 0) {
            o.trace = true;
        } else if (strcmp(a, "--no-shrink") == 0) {
            shrink = false;
        } else if (!v) {
            return usage();
        } else if (i++, strcmp(a, "--seeds") == 0) {
            from = to = strtoull(v, &end, 10);
            if (*end == '-') to = strtoull(end + 1, NULL, 10);
        } else if (strcmp(a, "--seed") == 0) {
            from = to = strtoull(v, NULL, 10);
        } else if (strcmp(a, "--nodes") == 0) {
            o.nodes = (uint32_t)strtoul(v, NULL, 10);
            if (o.nodes < 1 || o.nodes > 10) return usage();
        } else if (strcmp(a, "--minutes") == 0) {
            o.minutes = (uint32_t)strtoul(v, NULL, 10);
        } else if (strcmp(a, "--epoch-ms") == 0) {
            o.epoch_ms = (uint32_t)strtoul(v, NULL, 10);
        } else if (strcmp(a, "--txs") == 0) {
            o.tx_max = (uint32_t)strtoul(v, NULL, 10);
        } else if (strcmp(a, "--until") == 0) {
            o.until = strtoull(v, NULL, 10);
        } else if (strcmp(a, "--without") == 0) {
            if (!faults_of(v, &o.without)) return usage();
        } else if (strcmp(a, "--bug") == 0) {
            o.bug = sim_bug_find(v);
            if (!o.bug) return usage();
        } else if (strcmp(a, "--hunt") == 0) {
            hunted = v;
        } else {
            return usage();
        }
    }
    if (hunted) {
        bool all = strcmp(hunted, "all") == 0, found = true;
        if (!all && !sim_bug_find(hunted)) return usage();
        for (int b = 1; b < SIM_BUG_END; b++)
            if ((b < QN_BUG_COUNT || b > SIM_BUG_BASE) &&
                (all || strcmp(sim_bug_word(b), hunted) == 0))
                found &= hunt(b, from, to == 10 ? 2000 : to);
        return found ? 0 : 1;
    }
    if (from == to) shrink = shrink && !o.trace;
    return run_seeds(&o, from, to, json, shrink);
}
