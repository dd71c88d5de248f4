/* snaps.h - the snapshots that a node keeps for who joins: one is made aside (core/node/aside.h) of the first final block of each epoch, the newest
 * few stay, and peers are told of them (core/node/offer.h). Their chunks and manifests are blobs of the home like any other; what no snapshot
 * that is kept names, nor HOME/snapshot.qs, goes with the one that did.
 *
 *     HOME/snapshots.json     [{"height","epoch","block","manifest","bytes"}], the newest first */
#ifndef QN_CORE_NODE_SNAPS_H
#define QN_CORE_NODE_SNAPS_H

#include "core/net/share.h"
#include "core/node/aside.h"
#include "ledger/state/steps.h"

struct snaps;

struct snaps_conf {
    const char *home;
    struct qn_host *host; /* NULL: nobody is told */
    struct share *share;  /* NULL as well */
    struct aside *aside;
    struct qn_chain *chain; /* outlives it */
    const struct qn_steps *steps;
    uint32_t keep; /* 0: makes none by itself */
};

/* snaps_open removes what a join left in the home that no snapshot of the list names. */
QN_CHECK qn_rc snaps_open(const struct snaps_conf *conf, struct snaps **ret, struct qn_why *why);
/* snaps_close is called when the host is gone. */
void snaps_close(struct snaps *s);
/* snaps_turn begins one when it is due, and takes in one that is made. */
void snaps_turn(struct snaps *s);
/* snaps_add takes in one that lies among the blobs of the home; said is what qn_snapshot_work gave. */
void snaps_add(struct snaps *s, const json_t *said);
uint32_t snaps_cnt(const struct snaps *s);

/* A snapshot of the chain's head as blobs of dir: an aside_fn. */
struct snap_work {
    struct qn_chain *chain;
    const struct qn_steps *steps;
    char dir[1025], home[1025]; /* home: of a backup, whose steps come along */
    bool file;                  /* and DIR/snapshot.qs, for people */
    unsigned cut_bits;          /* of struct qn_chunks, as is the next; 0 in a node */
    size_t piece_bytes;
    struct aside *aside;
    uint32_t cnt;
};
qn_rc qn_snapshot_work(void *arg, struct aside *aside, json_t **ret, struct qn_why *why);

#endif
