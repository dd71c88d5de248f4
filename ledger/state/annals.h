/* annals.h - what a chain finds again of blocks so old that their transactions can come no more: which block a transaction is in, and where in the
 * journal that block lies. In memory this would grow for ever; here it lies in the second table of the checkpoint (ledger/store/store.h), made
 * of the journal and made again of it when it is missing, known to no other node.
 *
 * It is written in runs of many blocks at once, each behind the one before, so that it costs 12 bytes a transaction and no page is written
 * twice. A run's ids are sorted and cut into rows; who looks for one looks into each run, the newest first.
 *
 *     'i' | run u32 BE | name u64 BE of the first       base u64 | top u64 | for each id: name u64 | u32 its block's height - base
 *     'p' | height u64 BE of the first                  for each block: segment u32 | offset u64 | apart u8
 *
 * A name is the first 8 bytes of an id, so that two may meet: who finds one looks into the block. base and top are the run's lowest and highest
 * block. */
#ifndef QN_LEDGER_STATE_ANNALS_H
#define QN_LEDGER_STATE_ANNALS_H

#include "ledger/state/recent.h"
#include "ledger/store/journal.h"
#include "ledger/store/store.h"

/* Where a block lies in the journal; apart: what made it final is there, and names where its body is. */
struct qn_place {
    struct qn_frame_at at;
    bool apart;
};

/* qn_annals_top says up to which height blocks are noted; 0: none. */
QN_CHECK qn_rc qn_annals_top(struct qn_store *store, uint64_t *ret_height, struct qn_why *why);
/* qn_annals_note adds the blocks of heights [from, to] to the checkpoint that was begun; all are in recent, places[0] is that of `from`. */
QN_CHECK qn_rc qn_annals_note(struct qn_store *store, const struct qn_recent *recent,
                              const struct qn_place *places, uint64_t from, uint64_t to,
                              struct qn_why *why);
/* qn_annals_cut removes, in the checkpoint that was begun, what is of blocks up to `height` alone; a few thousand rows a time. */
QN_CHECK qn_rc qn_annals_cut(struct qn_store *store, uint64_t height, struct qn_why *why);
/* qn_annals_place says where a block lies. QN_E_NOTFOUND. */
QN_CHECK qn_rc qn_annals_place(struct qn_store *store, uint64_t height, struct qn_place *ret,
                               struct qn_why *why);
/* qn_annals_find shows heights at which a transaction may be until `fits` says that it is there. QN_E_NOTFOUND: it never did. */
QN_CHECK qn_rc qn_annals_find(struct qn_store *store, const struct qn_hash *id,
                              bool (*fits)(void *arg, uint64_t height), void *arg,
                              struct qn_why *why);

#endif
