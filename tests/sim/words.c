/* words.c - what faults, planted bugs and branches are called; the lists are in sim.h. */
#include "tests/sim/sim.h"

#include <string.h>

const struct sim_word SIM_FAULT_WORDS[] = {
#define FAULT(word, doc) { #word, doc },
    SIM_FAULTS
#undef FAULT
};

const struct sim_word SIM_SEEN_WORDS[] = {
#define SEEN(word, doc) { #word, doc },
    SIM_SEEN
#undef SEEN
};

/* In the order of enum qn_bft_bug, then of SIM_BUGS. */
static const struct sim_word BFT[] = {
    { "none", "" },
    { "quorum", "a view is certified at Q - 1" },
    { "fast", "a block is final at FAST - 1" },
    { "final_anyway", "FINAL though something else was voted" },
    { "vote_after", "EXTRA in the view before as well, FINAL or not" },
    { "no_forward", "certificates are not passed on" },
    { "no_journal", "a vote leaves before it is journalled" },
    { "two_first", "a second FIRST when the timer runs out" },
    { "any_parent", "a block needs no certificate of its parent" },
    { "skip_nothing", "a block needs no certificates of the views between" },
    { "no_extra", "EXTRA is never cast" },
    { "forget", "a start forgets its votes" },
    { "weak", "EXTRA for a block at WEAK - F" },
};
_Static_assert(QN_COUNT(BFT) == QN_BUG_COUNT, "a word for each bug of bft.h");

static const struct sim_word HERE[] = {
#define BUG(word, doc) { #word, doc },
    SIM_BUGS
#undef BUG
};

const struct sim_word *sim_bug(int bug)
{
    if (bug >= 0 && bug < QN_BUG_COUNT) return &BFT[bug];
    QN_ASSERT(bug > SIM_BUG_BASE && bug < SIM_BUG_END);
    return &HERE[bug - SIM_BUG_BASE - 1];
}

int sim_bug_next(int bug)
{
    bug++;
    if (bug == QN_BUG_COUNT) bug = SIM_BUG_BASE + 1;
    return bug == SIM_BUG_END ? 0 : bug;
}

int sim_bug_find(const char *word)
{
    for (int bug = sim_bug_next(0); bug; bug = sim_bug_next(bug))
        if (strcmp(sim_bug(bug)->word, word) == 0) return bug;
    return 0;
}
