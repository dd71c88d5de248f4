/* main.c - the command: worlds of many seeds, one seed again, planted bugs, and what the test suite runs. */
#include "tests/sim/sim.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

struct totals {
    uint64_t seeds, bad, virtual_ms, heights, txs, txs_ok, messages, kinds_ok[8];
    uint64_t kills, stops, cuts, torn, boots, refused, memory;
    uint64_t struck[SIM_FAULT_COUNT], seen[SEEN_COUNT];
    uint32_t with[SIM_FAULT_COUNT], seen_in[SEEN_COUNT];
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
    t->messages += r->messages;
    t->kills += r->kills;
    t->stops += r->stops;
    t->cuts += r->cuts;
    t->torn += r->torn;
    t->boots += r->boots;
    t->refused += r->refused;
    t->memory = QN_MAX(t->memory, r->memory);
    for (unsigned i = 0; i < 8; i++)
        t->kinds_ok[i] += r->kinds_ok[i];
    for (unsigned f = 0; f < SIM_FAULT_COUNT; f++)
        t->with[f] += r->faults >> f & 1;
    for (unsigned f = 0; f < SIM_FAULT_COUNT; f++)
        t->struck[f] += r->struck[f];
    for (unsigned k = 0; k < SEEN_COUNT; k++) {
        t->seen[k] += r->seen[k];
        t->seen_in[k] += r->seen[k] != 0;
    }
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

static void sum_up_json(const struct totals *t, double cpu, double hours, double rate)
{
    printf("{\"seeds\":%" PRIu64 ",\"failed\":%" PRIu64 ",\"virtual_hours\":%.3f,\"cpu_s\":%.1f,"
           "\"virtual_hours_a_cpu_minute\":%.2f,\"blocks\":%" PRIu64 ",\"messages\":%" PRIu64
           ",\"txs\":%" PRIu64 ",\"txs_ok\":%" PRIu64 ",\"kills\":%" PRIu64
           ",\"power_cuts\":%" PRIu64 ",\"stops\":%" PRIu64 ",\"starts\":%" PRIu64
           ",\"refused_starts\":%" PRIu64 ",\"torn_writes\":%" PRIu64
           ",\"memory_max_mib\":%.1f,\"faults\":{",
           t->seeds, t->bad, hours, cpu, rate, t->heights, t->messages, t->txs, t->txs_ok, t->kills,
           t->cuts, t->stops, t->boots, t->refused, t->torn, (double)t->memory / (1 << 20));
    for (unsigned f = 0; f < SIM_FAULT_COUNT; f++)
        printf("%s\"%s\":{\"worlds\":%u,\"times\":%" PRIu64 "}", f ? "," : "",
               SIM_FAULT_WORDS[f].word, t->with[f], t->struck[f]);
    printf("},\"sometimes\":{");
    for (unsigned k = 0; k < SEEN_COUNT; k++)
        printf("%s\"%s\":{\"worlds\":%u,\"times\":%" PRIu64 "}", k ? "," : "",
               SIM_SEEN_WORDS[k].word, t->seen_in[k], t->seen[k]);
    printf("}}\n");
}

static void sum_up(const struct totals *t, double cpu, bool json)
{
    static const char *const TAGS[] = { "core", "compute", "training", "subnet",
                                        "zkml", "agents",  "-",        "-" };
    double hours = (double)t->virtual_ms / 3.6e6, rate = cpu > 0 ? hours / (cpu / 60) : 0;
    if (json) {
        sum_up_json(t, cpu, hours, rate);
        return;
    }
    printf("%" PRIu64 " seeds, %" PRIu64
           " failed; %.2f virtual hours in %.1f s of processor (%.1f hours a minute)\n%" PRIu64
           " blocks, %" PRIu64 " messages, %" PRIu64 " transactions sent, %" PRIu64
           " final and good:",
           t->seeds, t->bad, hours, cpu, rate, t->heights, t->messages, t->txs, t->txs_ok);
    for (unsigned i = 0; i < 6; i++)
        printf(" %s %" PRIu64, TAGS[i], t->kinds_ok[i]);
    printf("\n%" PRIu64 " kills: %" PRIu64 " of processes, %" PRIu64 " by power (%" PRIu64
           " torn writes); %" PRIu64 " stops; %" PRIu64 " starts, %" PRIu64 " more refused; %s",
           t->kills + t->cuts, t->kills, t->cuts, t->torn, t->stops, t->boots, t->refused,
           t->bad ? "SEE ABOVE" : "0 lost, 0 signed twice, supply exact");
    printf("\nfaults, times (worlds):");
    for (unsigned f = 0; f < SIM_FAULT_COUNT; f++)
        printf(" %s %" PRIu64 " (%u)", SIM_FAULT_WORDS[f].word, t->struck[f], t->with[f]);
    printf("\nseen, times (worlds):");
    for (unsigned k = 0; k < SEEN_COUNT; k++)
        printf(" %s %" PRIu64 " (%u)", SIM_SEEN_WORDS[k].word, t->seen[k], t->seen_in[k]);
    printf("\nmemory of one node: at most %.1f MiB\n", (double)t->memory / (1 << 20));
}

/* Branches that no seed came to. */
static bool all_seen(const struct totals *t)
{
    bool all = true;
    for (unsigned k = 0; k < SEEN_COUNT; k++) {
        if (t->seen[k]) continue;
        printf("NOT SEEN: %s (%s)\n", SIM_SEEN_WORDS[k].word, SIM_SEEN_WORDS[k].doc);
        all = false;
    }
    return all;
}

static void run_range(const struct sim_opts *o, uint64_t from, uint64_t to, bool json, bool shrink,
                      struct totals *t)
{
    for (uint64_t seed = from; seed <= to; seed++) {
        struct sim_opts one = *o;
        struct sim_result r;
        one.seed = seed;
        if (!sim_child(&one, &r)) {
            tell(&one, &r, json);
            if (shrink && !json) sim_shrink(&one, &r);
        }
        fflush(stdout);
        add(t, &r);
    }
}

static int run_seeds(const struct sim_opts *o, uint64_t from, uint64_t to, bool json, bool shrink)
{
    struct totals t = { 0 };
    double cpu = cpu_s();
    run_range(o, from, to, json, shrink, &t);
    sum_up(&t, cpu_s() - cpu, json);
    return t.bad ? 1 : 0;
}

/* What the ledger made of a seed's transactions, a line each: the same whoever compiled it, and with whatever hash seeds a library drew. */
static int say_roots(const struct sim_opts *o, uint64_t from, uint64_t to)
{
    struct totals t = { 0 };
    char hex[65];
    for (uint64_t seed = from; seed <= to; seed++) {
        struct sim_opts one = *o;
        struct sim_result r;
        one.seed = seed;
        if (!sim_child(&one, &r)) tell(&one, &r, false);
        qn_hex(r.roots.b, 32, hex);
        printf("seed %" PRIu64 " blocks %" PRIu64 " %s\n", seed, r.height, hex);
        add(&t, &r);
    }
    printf("transactions core %" PRIu64 " compute %" PRIu64 " training %" PRIu64 " subnet %" PRIu64
           " zkml %" PRIu64 " agents %" PRIu64 "\n",
           t.kinds_ok[0], t.kinds_ok[1], t.kinds_ok[2], t.kinds_ok[3], t.kinds_ok[4],
           t.kinds_ok[5]);
    return t.bad ? 1 : 0;
}

#define LONG_FAULTS (SIM_BIT(SIM_badclock) | SIM_BIT(SIM_step) | SIM_BIT(SIM_join))

/* Worlds that showed what no other of thousands did. */
static const struct sim_opts PAST[] = {
    { .seed = 20273 },
    { .seed = 21382 },
    /* Blocks of a snapshot, which a peer an epoch behind could not check. */
    { .seed = 78, .with = SIM_BIT(SIM_join) | SIM_BIT(SIM_leave) },
    /* A full disk took the certificate that blocks of three epochs were to have; rot in a row's length. */
    { .seed = 70786 },
    { .seed = 71611 },
    /* So long that transactions leave the window in which they could come again. */
    { .seed = 1, .nodes = 4, .minutes = 12, .without = SIM_BIT(SIM_flood) | SIM_BIT(SIM_fork) },
    { .seed = 3, .nodes = 4, .minutes = 12, .without = SIM_BIT(SIM_flood) | SIM_BIT(SIM_fork) },
#ifndef QN_SANITIZED
    /* So long, and hosts that join with clocks that are set: ids of a snapshot's blocks, and of blocks that nobody remembers. */
    { .seed = 13, .nodes = 4, .minutes = 12, .with = LONG_FAULTS },
    { .seed = 14, .nodes = 4, .minutes = 12, .with = LONG_FAULTS },
#endif
};

/* Seeds as they come, then some that all have the faults which few come to; together they must come everywhere. */
static bool worlds(uint64_t from, uint64_t cnt)
{
    struct totals t = { 0 };
    double cpu = cpu_s();
    struct sim_opts o = { 0 };
    uint64_t rest = cnt / 4;
    run_range(&o, from, from + cnt - rest - 1, false, true, &t);
    for (size_t i = 0; i < QN_COUNT(PAST); i++)
        run_range(&PAST[i], PAST[i].seed, PAST[i].seed, false, true, &t);
    o.with = SIM_BIT(SIM_rot) | SIM_BIT(SIM_rearm) | SIM_BIT(SIM_kill) | SIM_BIT(SIM_snapshot) |
             SIM_BIT(SIM_fork) | SIM_BIT(SIM_newer) | SIM_BIT(SIM_grind) | SIM_BIT(SIM_again) |
             SIM_BIT(SIM_leave) | SIM_BIT(SIM_join) | SIM_BIT(SIM_light);
    run_range(&o, from + cnt - rest, from + cnt - 1, false, true, &t);
    sum_up(&t, cpu_s() - cpu, false);
    return t.bad == 0 && (cnt < 100 || all_seen(&t));
}

/* The first seed of a range that finds the bug: which, and what was seen. */
static bool hunt(const struct sim_opts *base, int bug, uint64_t from, uint64_t to)
{
    struct sim_result r;
    for (uint64_t seed = from; seed <= to; seed++) {
        struct sim_opts o = *base;
        o.seed = seed;
        o.bug = bug;
        if (!sim_child(&o, &r)) {
            printf("bug %s: seed %" PRIu64 ": %s\n", sim_bug(bug)->word, seed, r.wrong);
            fflush(stdout);
            return true;
        }
    }
    printf("bug %s: NOT FOUND in seeds %" PRIu64 " to %" PRIu64 "\n", sim_bug(bug)->word, from, to);
    fflush(stdout);
    return false;
}

/* Faults that bring a bug out, and the first of three seeds within SLACK that show it: where the node changes a world changes too, and then
 * another soon after still shows it. `build/sim --known` finds the seeds anew and prints these lines. */
#define SLACK 100
static const struct {
    const char *bug;
    uint64_t with;
    uint32_t nodes; /* 0: as drawn */
    unsigned seed;
} KNOWN[] = {
#define F(word) SIM_BIT(SIM_##word)
    /* clang-format off */
    { "quorum", 0, 0, 1 },
    { "fast", 0, 0, 1 },
    { "final_anyway", 0, 0, 1 },
    { "vote_after", F(reorder) | F(fork), 0, 41 },
    { "no_forward", F(kill) | F(restored) | F(wiped), 4, 67 },
    { "no_journal", 0, 0, 3 },
    { "two_first", 0, 0, 1 },
    { "any_parent", F(fork), 0, 15 },
    { "skip_nothing", F(fork), 0, 7 },
    { "no_extra", 0, 0, 3 },
    { "forget", 0, 0, 3 },
    { "weak", 0, 0, 1 },
    { "no_sync", 0, 0, 3 },
    { "no_dir_sync", 0, 0, 3 },
    { "no_undo", 0, 0, 1 },
    { "no_body", F(outage), 0, 4 },
    { "no_verify", F(forge), 0, 1 },
    { "blind_cert", F(forge), 0, 1 },
    { "clock_apply", 0, 0, 6 },
    { "no_crc", F(rot), 0, 4 },
    { "no_mark", 0, 0, 3 },
    { "no_rearm", F(rearm), 0, 31 },
    { "no_vrf", F(grind), 0, 1 },
    { "no_ids", F(again), 0, 1 },
    { "blind_rows", F(light), 0, 1 },
/* clang-format on */
#undef F
};

static void known(void)
{
    struct sim_result r;
    for (size_t i = 0; i < QN_COUNT(KNOWN); i++) {
        uint64_t at[3] = { 0 }, seed = 0;
        unsigned cnt = 0;
        const char *before = "";
        do {
            struct sim_opts o = { .seed = ++seed, .with = KNOWN[i].with, .nodes = KNOWN[i].nodes };
            o.bug = sim_bug_find(KNOWN[i].bug);
            if (!sim_child(&o, &r)) at[cnt++ % 3] = seed;
        } while ((cnt < 3 || seed - at[cnt % 3] > SLACK) && seed < 5000);
        printf("    { \"%s\", ", KNOWN[i].bug);
        for (unsigned f = 0; f < SIM_FAULT_COUNT; f++) {
            if (!(KNOWN[i].with >> f & 1)) continue;
            printf("%sF(%s)", before, SIM_FAULT_WORDS[f].word);
            before = " | ";
        }
        printf("%s, %u, %" PRIu64 " },\n", KNOWN[i].with ? "" : "0", KNOWN[i].nodes, at[cnt % 3]);
        fflush(stdout);
    }
}

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
    uint64_t from = 1, seeds = 100, slack = SLACK;
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
    worlds(from, seeds) ? passed++ : failed++;
    if (full) {
        struct sim_opts longer = { .nodes = 4, .minutes = 12, .with = LONG_FAULTS };
        run_seeds(&longer, from, from + 59, false, true) == 0 ? passed++ : failed++;
    }
    twice(full ? from : 3) ? passed++ : failed++;
    for (size_t i = 0; i < bugs; i++) {
        uint64_t first = full ? from : KNOWN[i].seed;
        o.with = full ? 0 : KNOWN[i].with;
        o.nodes = full ? 0 : KNOWN[i].nodes;
        hunt(&o, sim_bug_find(KNOWN[i].bug), first, first + slack) ? passed++ : failed++;
    }
    printf("%d passed, %d failed\n", passed, failed);
    return failed ? 1 : 0;
}

static int usage(void)
{
    printf("sim [--seeds A-B | --seed S] [--nodes N] [--minutes M] [--epoch-ms MS] [--txs N] "
           "[--with|--without FAULT,..]\n"
           "    [--bug BUG] [--until EVENT] [--trace] [--no-shrink] [--json]   worlds from seeds\n"
           "sim --roots [--seeds A-B] ..                                      what each seed's "
           "blocks, receipts and states come to\n"
           "sim --hunt BUG|all [--seeds A-B] ..                               seeds that find a "
           "planted bug\n"
           "sim --known                                                       the table of seeds "
           "that do, made anew\n"
           "sim --suite                                                       what ./build.sh test "
           "runs\n"
           "faults:\n");
    for (unsigned f = 0; f < SIM_FAULT_COUNT; f++)
        printf("  %-10s %s\n", SIM_FAULT_WORDS[f].word, SIM_FAULT_WORDS[f].doc);
    printf("bugs:\n");
    for (int b = sim_bug_next(0); b; b = sim_bug_next(b))
        printf("  %-12s %s\n", sim_bug(b)->word, sim_bug(b)->doc);
    return 2;
}

static bool faults_of(char *list, uint64_t *ret)
{
    for (char *word = strtok(list, ","); word; word = strtok(NULL, ",")) {
        unsigned f = 0;
        while (f < SIM_FAULT_COUNT && strcmp(SIM_FAULT_WORDS[f].word, word) != 0)
            f++;
        if (strcmp(word, "all") == 0)
            *ret = SIM_BIT(SIM_FAULT_COUNT) - 1;
        else if (f == SIM_FAULT_COUNT)
            return false;
        else
            *ret |= SIM_BIT(f);
    }
    return true;
}

int main(int argc, char **argv)
{
    struct sim_opts o = { 0 };
    uint64_t from = 1, to = 10;
    const char *hunted = NULL;
    bool json = false, shrink = true, roots = false;
    for (int i = 1; i < argc; i++) {
        char *a = argv[i], *v = i + 1 < argc ? argv[i + 1] : NULL, *end = NULL;
        if (strcmp(a, "--suite") == 0) return suite();
        if (strcmp(a, "--known") == 0) {
            known();
            return 0;
        }
        if (strcmp(a, "--json") == 0) {
            json = true;
        } else if (strcmp(a, "--trace") == 0) {
            o.trace = true;
        } else if (strcmp(a, "--roots") == 0) {
            roots = true;
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
        } else if (strcmp(a, "--without") == 0 || strcmp(a, "--with") == 0) {
            if (!faults_of(v, a[6] ? &o.without : &o.with)) return usage();
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
        for (int b = sim_bug_next(0); b; b = sim_bug_next(b))
            if (all || b == sim_bug_find(hunted)) found &= hunt(&o, b, from, to == 10 ? 2000 : to);
        return found ? 0 : 1;
    }
    if (roots) return say_roots(&o, from, to);
    if (from == to) shrink = shrink && !o.trace;
    return run_seeds(&o, from, to, json, shrink);
}
