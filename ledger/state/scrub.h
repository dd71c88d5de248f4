/* scrub.h - looking whether the rows are still those that were written, in memory and in state.mdb, a slice at a time.
 *
 * Neither LMDB nor memory has sums; the trie has. A slice hashes its rows in memory again, and holds the file's beside them; rows that changed since
 * the last checkpoint are not in the file yet. It reads the chain and writes nothing, so that a forked child does it (core/node/scrub.h). */
#ifndef QN_LEDGER_STATE_SCRUB_H
#define QN_LEDGER_STATE_SCRUB_H

#include "ledger/state/chain.h"
#include "ledger/state/trie.h"

struct qn_scrub {
    size_t max; /* rows in a slice */
    /* reading says what is read next, in words: should the reader die of it, this was it. */
    void (*reading)(void *arg, const char *what);
    void *arg;
    uint8_t last[QN_TRIE_KEY_MAX]; /* the row that the slice ended with, or the one that is wrong */
    size_t last_len;
    uint64_t rows, rows_all;
    bool past;   /* the rows are done, the slice was of the annals' rows */
    bool end;    /* and reached the last one */
    bool memory; /* of QN_E_CORRUPT: what is wrong is in memory, and rows that are served may be */
    bool row;    /* of QN_E_CORRUPT: last names the row */
};

/* qn_chain_scrub looks at the rows behind s->last, with last_len 0 from the first, then at those of the annals, and at the file as a whole. QN_E_AGAIN: a checkpoint came between;
 * QN_E_CORRUPT: why says in what way. */
QN_CHECK qn_rc qn_chain_scrub(struct qn_chain *chain, struct qn_scrub *s, struct qn_why *why);

/* qn_chain_distrust lets nothing of what is in memory be written any more: the next start begins from what was. */
void qn_chain_distrust(struct qn_chain *chain);
/* qn_chain_drop_store lets state.mdb alone, which is damaged, until qn_chain_take_store: no checkpoint is written, the journal has what is missing; and
 * where old blocks lie (ledger/state/annals.h) is not known meanwhile. */
void qn_chain_drop_store(struct qn_chain *chain);
bool qn_chain_has_store(const struct qn_chain *chain);
/* qn_chain_write_store writes all rows of the head, and the damaged file's annals, to a new file at path; as the scrub in a child. QN_E_CORRUPT where
 * the annals are damaged as well: only a start makes them again, of the journal. */
QN_CHECK qn_rc qn_chain_write_store(struct qn_chain *chain, const char *path, struct qn_why *why);
/* qn_chain_take_store puts a file that qn_chain_write_store has made in the place of the damaged one, which stays as state.mdb.damaged. */
QN_CHECK qn_rc qn_chain_take_store(struct qn_chain *chain, const char *path, struct qn_why *why);

#endif
