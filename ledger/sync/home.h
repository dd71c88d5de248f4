/* home.h - making the journal and checkpoint of a fresh home, from a snapshot or a backup: beside their place, moved in when they are whole. */
#ifndef QN_LEDGER_SYNC_HOME_H
#define QN_LEDGER_SYNC_HOME_H

#include "ledger/state/chain.h"

struct qn_home;

/* qn_home_name gives a home's journal a random name, HOME/journal/id: "HEX MS", MS when it was restored, 0: begun here. A validator signs
 * only beside the journal that its key knows by that name (core/node/rearm.h). */
QN_CHECK qn_rc qn_home_name(const char *home, bool restored, struct qn_why *why);

/* qn_home_new makes HOME/restoring. The journal begins above block `begin`; height 0: with the genesis (Borsh). QN_E_EXISTS when home has a
 * journal or a state.mdb. */
QN_CHECK qn_rc qn_home_new(const char *home, uint64_t map_gib, struct qn_span genesis,
                           const struct qn_header *begin, struct qn_home **ret, struct qn_why *why);
QN_CHECK qn_rc qn_home_row(struct qn_home *h, struct qn_span key, struct qn_span val,
                           struct qn_why *why);
/* qn_home_pause writes the rows so far to the disk: call it every few megabytes. */
QN_CHECK qn_rc qn_home_pause(struct qn_home *h, struct qn_why *why);
/* qn_home_frame appends the next block; certificates of kind 0 are fine but for the last. */
QN_CHECK qn_rc qn_home_frame(struct qn_home *h, const struct qn_frame *frame, struct qn_why *why);
/* qn_home_done says which block the rows are of, and moves all to its place. */
QN_CHECK qn_rc qn_home_done(struct qn_home *h, const struct qn_header *head, struct qn_why *why);
/* qn_home_free lets go; without qn_home_done what was made vanishes. */
void qn_home_free(struct qn_home *h);

/* qn_home_settle ends a move that a crash cut off between its two renames: call it before looking for a journal. */
QN_CHECK qn_rc qn_home_settle(const char *home, struct qn_why *why);
/* qn_home_sweep removes a chain's files from a folder, and the folder if that is all there was. */
void qn_home_sweep(const char *dir);

#endif
