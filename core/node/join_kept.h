/* join_kept.h - what a node that joins by a snapshot has fetched, so that a run after a kill goes on with it, and removes of it what is of no use:
 *
 *     HOME/joining/manifest     hash, 64 hex digits     of the manifest that was chosen
 *     HOME/joining/fetched      kind u8 | hash[32] ..   of each blob, before it was asked for; a torn end counts nothing
 *
 * Blobs that are not named there were somebody else's before, and are never removed. */
#ifndef QN_CORE_NODE_JOIN_KEPT_H
#define QN_CORE_NODE_JOIN_KEPT_H

#include "core/base/span.h"

enum join_kind { JOIN_KIND_MANIFEST = 1, JOIN_KIND_CHUNK, JOIN_KIND_BODY };

struct join_blob {
    struct qn_hash id;
    uint8_t kind;
    bool used; /* the manifest in hand names it */
};

struct join_kept {
    char path[1100];
    struct join_blob *at; /* of runs before, sorted */
    size_t cnt;
    int fd; /* -1: not open */
};

/* join_kept_open reads what runs before have fetched; join_kept_free closes. */
struct join_kept *join_kept_open(const char *home);
void join_kept_free(struct join_kept *k);
QN_CHECK bool join_kept_has(const struct join_kept *k, const struct qn_hash *id);
/* join_kept_mark is join_kept_has, and notes that it is used; join_kept_unmark: none is. */
QN_CHECK bool join_kept_mark(struct join_kept *k, const struct qn_hash *id);
void join_kept_unmark(struct join_kept *k);
/* join_kept_add names one more. QN_E_DISKFULL, QN_E_IO: it is not to be fetched then. */
QN_CHECK qn_rc join_kept_add(struct join_kept *k, enum join_kind kind, const struct qn_hash *id);

/* join_kept_choose remembers a manifest; join_kept_chosen gives it; join_kept_forget: there is none. */
void join_kept_choose(const char *home, const struct qn_hash *manifest);
QN_CHECK bool join_kept_chosen(const char *home, struct qn_hash *ret);
void join_kept_forget(const char *home);

/* join_kept_clear removes HOME/joining, whoever left it. The blobs it names are the caller's to remove before. */
void join_kept_clear(const char *home);

#endif
