/* repair.h - a damaged state.mdb of a home whose node does not run, made again: from the journal, where it begins with the chain, or from a snapshot of this
 * home and the journal's blocks after it. The damaged file stays, as state.mdb.damaged; where nothing does, all is left as it was. Of a running node it
 * is made from memory: core/node/scrub.h. */
#ifndef QN_CORE_NODE_REPAIR_H
#define QN_CORE_NODE_REPAIR_H

#include "core/base/err.h"

#include <stdint.h>

struct repair_said {
    const char *from;                /* "journal", "snapshot", "nothing": it was whole */
    uint64_t height, rows, snapshot; /* snapshot: its height */
};

/* repair_home wants the home's lock held. QN_E_NOTFOUND: no chain; QN_E_CORRUPT: why says what else may be done. */
QN_CHECK qn_rc repair_home(const char *home, struct repair_said *said, struct qn_why *why);

#endif
