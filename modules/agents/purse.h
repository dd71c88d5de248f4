/* purse.h - what a payer must not forget: per channel what it signed, and requests whose end it does not know. A
 * journal (HOME/agents/payer), one process at a time. Inside of modules/agents. */
#ifndef QN_MODULES_AGENTS_PURSE_H
#define QN_MODULES_AGENTS_PURSE_H

#include "ledger/store/journal.h"
#include "modules/agents/agents.h"

enum { SPENT_DONE, SPENT_ABORTED, SPENT_REFUSED };

/* A request that was noted; its end is not known yet. */
struct intent {
    struct intent *next;      /* of the channel, in order of seq */
    struct agents_intent row; /* spans lie behind the struct */
    int32_t slot;             /* which answer of the call that runs it is; -1: of an earlier one */
};

struct purse_chan {
    struct purse_chan *next;
    struct qn_hash id;
    uint64_t seq, ack; /* of the last voucher; answers accepted */
    struct qn_amount due;
    struct intent *pending;
};

struct purse;

/* purse_open waits up to 5 s for another process: QN_E_BUSY. */
QN_CHECK qn_rc purse_open(const char *home, struct purse **ret, struct qn_why *why);
void purse_close(struct purse *p);
/* purse_chan finds a channel or begins one at what was claimed of it. */
struct purse_chan *purse_chan(struct purse *p, const struct qn_hash *id, uint64_t claimed_seq,
                              struct qn_amount claimed);
struct purse_chan *purse_list(struct purse *p); /* all channels, the newest first */
/* purse_note stages an intent, purse_spend its end (the intent is freed); purse_commit writes both. */
struct intent *purse_note(struct purse *p, struct purse_chan *chan,
                          const struct agents_intent *row);
void purse_spend(struct purse *p, struct purse_chan *chan, struct intent *intent,
                 const struct agents_spent *row);
QN_CHECK qn_rc purse_commit(struct purse *p, struct qn_why *why);

#endif
