/* backup.h - a compacting copy of what a node's chain knows: every block that is kept, with its receipts, and the state after the last; neither
 * keys nor votes. It is a home of its own, from which qn_chain_open opens. */
#ifndef QN_LEDGER_SYNC_BACKUP_H
#define QN_LEDGER_SYNC_BACKUP_H

#include "ledger/state/chain.h"

struct qn_backup {
    uint64_t first, height; /* the journal begins above `first`; 0: with the genesis */
    uint64_t row_cnt;
    struct qn_hash chain, block;
};

/* qn_backup_make copies the chain as of its head into home, a folder with neither journal nor state.mdb. On failure it is as it was. QN_E_AGAIN
 * while the head has no certificate of its own. */
QN_CHECK qn_rc qn_backup_make(struct qn_chain *chain, const char *home, uint64_t map_gib,
                              struct qn_backup *ret, struct qn_why *why);
/* qn_backup_make_telling does the same, and says now and then how many blocks and rows are over, of how many; told NULL: to nobody. */
QN_CHECK qn_rc qn_backup_make_telling(struct qn_chain *chain, const char *home, uint64_t map_gib,
                                      void (*told)(void *arg, uint64_t done, uint64_t total),
                                      void *arg, struct qn_backup *ret, struct qn_why *why);
/* qn_backup_check says whether an opened chain is what a chain's hash, or a block's (NULL: its own genesis'), vouches for: every block leads to the
 * next, the last is final, and the rows are those after it. */
QN_CHECK qn_rc qn_backup_check(struct qn_chain *chain, const struct qn_hash *trust,
                               struct qn_backup *ret, struct qn_why *why);

#endif
