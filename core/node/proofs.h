/* proofs.h - calls that give out rows of the state with their proofs. */
#ifndef QN_CORE_NODE_PROOFS_H
#define QN_CORE_NODE_PROOFS_H

#include "core/module/call.h"

qn_rc qn_call_ledger_row(struct qn_call_ctx *ctx, const void *params, json_t **ret,
                         struct qn_why *why);
qn_rc qn_call_ledger_list(struct qn_call_ctx *ctx, const void *params, json_t **ret,
                          struct qn_why *why);

#endif
