/* rearm.h - a validator whose journal was restored, lost or swapped does not sign: it may have voted in a view that the journal knows nothing of,
 * and a second vote there is a fault that costs its stake. Journal and key know each other by a random name, HOME/journal/id and
 * HOME/wallet/validator.journal, which names the key as well ("HEX PUBLIC_KEY"); where they differ the node follows, until `validator rearm` has seen the network go on. */
#ifndef QN_CORE_NODE_REARM_H
#define QN_CORE_NODE_REARM_H

#include "core/module/call.h"

#define QN_REARM_MS                                                                                \
    10000 /* a block so much later than the restoring: ten times what block time may be off an honest clock */

/* What is known of a home whose validator is about to sign. */
struct qn_rearm {
    const char *home;
    const struct qn_hash *key;
    bool fresh_chain; /* nobody has voted on it */
    bool fresh_key;   /* made by this start: it signed nowhere, whatever the journal is */
};

/* What became of it. */
struct qn_rearmed {
    bool may; /* sign beside this journal */
    char lost
        [65]; /* the public key that knows this journal, when the home's is another; "?": one that is not known; "": it is there */
};

/* qn_rearm_open says whether the validator of a home may sign. A home without a journal, whose key signed nowhere or whose chain is a fresh one,
 * gets its name. A key that was made because the journal's was gone does not take its place: with the old one put back all is as before. */
QN_CHECK qn_rc qn_rearm_open(const struct qn_rearm *r, struct qn_rearmed *ret, struct qn_why *why);

/* validator.rearm: lets the key sign beside this journal from the next start on, when a final block is later than the restoring by
 * more than clocks may differ. Who is the only validator sees none, and says `alone`. */
qn_rc qn_call_validator_rearm(struct qn_call_ctx *ctx, const void *params, json_t **ret,
                              struct qn_why *why);

#endif
