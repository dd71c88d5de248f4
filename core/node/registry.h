/* registry.h - everything this build can do, from the tables: calls and transaction kinds of the core and of the modules. */
#ifndef QN_CORE_NODE_REGISTRY_H
#define QN_CORE_NODE_REGISTRY_H

#include "core/module/module.h"
#include "ledger/sync/replica.h"

/* qn_call_at and qn_txkind_at return entry idx over all tables, NULL past the last. */
const struct qn_call *qn_call_at(size_t idx);
const struct qn_call *qn_call_find(const char *name);
/* qn_local_at and _find do the same for functions on the caller's side. */
const struct qn_local *qn_local_at(size_t idx);
const struct qn_local *qn_local_find(const char *name);
const struct qn_tx_kind *qn_txkind_at(size_t idx);
const struct qn_tx_kind *qn_txkind_find(const char *name);
/* qn_table_at returns table idx over core and modules, NULL past the last. */
const struct qn_table *qn_table_at(size_t idx);

/* The core's own calls (calls.c). */
extern const struct qn_call QN_CORE_CALLS[];
extern const struct qn_call QN_STAKE_CALLS[]; /* stake_calls.c */
extern const struct qn_call QN_SHARE_CALLS[]; /* share_calls.c */
extern const struct qn_call QN_NET_CALLS[];   /* net_calls.c */

/* qn_contract_vm_get is the contracts' machine of this build, or NULL. */
const struct qn_contract_vm *qn_contract_vm_get(void);

#endif
