/* health.h - what a node says of itself when not all is well: a chain that stands still, addresses where nobody answers, a validator that
 * is out. Each is one line, with what to do where something can be done. */
#ifndef QN_CORE_NODE_HEALTH_H
#define QN_CORE_NODE_HEALTH_H

#include "core/node/node.h"

#define HEALTH_TEXT 300

/* health_halted says whether no block came for much longer than it should, and how much of the weight votes. */
QN_CHECK bool health_halted(const struct qn_call_ctx *ctx, char dst[HEALTH_TEXT]);
/* health_self tells this node's part: "validator 2 of 4", "follows", or why it is out; true when it is. */
bool health_self(const struct qn_call_ctx *ctx, char dst[HEALTH_TEXT]);
/* health_deaf says whether there are addresses to join and nobody answers at any. */
QN_CHECK bool health_deaf(struct qn_node *node, char dst[HEALTH_TEXT]);

#endif
