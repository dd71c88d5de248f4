/* client.h - what commands and scripts use of a node: calls by name, and transactions built and signed on this side. */
#ifndef QN_CORE_CLI_CLIENT_H
#define QN_CORE_CLI_CLIENT_H

#include "core/node/registry.h"

/* So much longer than a call may take its caller waits: the node's word about it comes first. */
#define QN_CLIENT_MORE_MS 2000

struct qn_client {
    char home[4000];
    char where[4096]; /* the node's socket or URL */
    bool named;       /* by --node */
    char cookie[80];  /* for a URL: read from the home of that node */
    uint64_t timeout_ms;
};

/* qn_client_init finds the home (NULL: QUOIN_HOME, else XDG_DATA_HOME/quoin, else ~/.local/share/quoin) and the node (NULL: the home's socket). */
void qn_client_init(struct qn_client *c, const char *home, const char *node);

/* qn_client_call makes one call; *ret a new value. The node's error comes back with its code and its words in why. */
QN_CHECK qn_rc qn_client_call(const struct qn_client *c, const char *name, const json_t *params,
                              json_t **ret, struct qn_why *why);

/* qn_client_tx builds a transaction of that kind from JSON fields, signs it with the wallet's key `as`, sends it and, when wait is set, waits until
 * it is final. *ret is the receipt (or {"tx"}); a receipt with an error comes back as that error. mandate may be NULL.
 * A field gas_max, where the kind has none of its own, bounds the fee set aside: a mandate's call_max counts that. */
QN_CHECK qn_rc qn_client_tx(const struct qn_client *c, const char *kind, const json_t *fields,
                            const char *as, const struct qn_hash *mandate, bool wait, json_t **ret,
                            struct qn_why *why);

#endif
