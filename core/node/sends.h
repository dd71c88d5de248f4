/* sends.h - transactions that calls bring: those of one turn of the loop go to the replica together, for their signatures cost a fraction then. Each
 * gets its own verdict. */
#ifndef QN_CORE_NODE_SENDS_H
#define QN_CORE_NODE_SENDS_H

#include "ledger/sync/replica.h"

struct event_base;
struct sends;

struct sends_conf {
    struct event_base *base;
    struct qn_replica *replica;
    void (*done)(
        void *arg); /* verdicts are there: each is to be asked for now, they are gone after it */
    void *arg;
};

struct sends *sends_open(const struct sends_conf *conf) QN_GIVES;
void sends_close(struct sends *s);

/* sends_put takes a copy of a transaction (Borsh) when *state is 0, numbers it there and says QN_E_AGAIN. Called again with that number it says so until
 * `done` is called, and then what qn_replica_submit says. */
QN_CHECK qn_rc sends_put(struct sends *s, struct qn_span tx, uint64_t *state,
                         struct qn_hash *ret_id, struct qn_why *why);

#endif
