/* registry.c - walking the tables. */
#include "core/node/registry.h"

#include "core/job/calls.h"
#include "core/model/model.h"
#include "ledger/state/state_in.h"
#include "lua/bind/contract.h"

#include <string.h>

/* Table m of calls; false: there is none. */
static bool calls_of(size_t m, const struct qn_call **ret)
{
    const struct qn_call *const core[] = { QN_CORE_CALLS,  QN_STAKE_CALLS, QN_NET_CALLS,
                                           QN_SHARE_CALLS, QN_JOB_CALLS,   QN_MODEL_CALLS };
    const struct qn_module *mod = NULL;
    if (m >= QN_COUNT(core) && !(mod = qn_module_at(m - QN_COUNT(core)))) return false;
    *ret = mod ? mod->calls : core[m];
    return true;
}

const struct qn_call *qn_call_at(size_t idx)
{
    const struct qn_call *table;
    for (size_t m = 0; calls_of(m, &table); m++)
        for (; table && table->name; table++)
            if (idx-- == 0) return table;
    return NULL;
}

const struct qn_call *qn_call_find(const char *name)
{
    const struct qn_call *table;
    for (size_t m = 0; calls_of(m, &table); m++)
        for (; table && table->name; table++)
            if (strcmp(table->name, name) == 0) return table;
    return NULL;
}

const struct qn_tx_kind *qn_txkind_at(size_t idx)
{
    const struct qn_tx_kind *const core[] = { QN_CORE_TXS,  QN_MANDATE_TXS, QN_CONTRACT_TXS,
                                              QN_STAKE_TXS, QN_FAULT_TXS,   QN_GOV_TXS };
    for (size_t m = 0;; m++) {
        const struct qn_tx_kind *table = m < QN_COUNT(core) ? core[m] : NULL;
        if (m >= QN_COUNT(core)) {
            const struct qn_module *mod = qn_module_at(m - QN_COUNT(core));
            if (!mod) return NULL;
            table = mod->txs;
        }
        for (; table && table->name; table++)
            if (idx-- == 0) return table;
    }
}

const struct qn_tx_kind *qn_txkind_find(const char *name)
{
    const struct qn_tx_kind *k;
    for (size_t i = 0; (k = qn_txkind_at(i)); i++)
        if (strcmp(k->name, name) == 0) return k;
    return NULL;
}

const struct qn_local *qn_local_at(size_t idx)
{
    const struct qn_module *mod;
    for (size_t m = 0; (mod = qn_module_at(m)); m++)
        for (const struct qn_local *l = mod->locals; l && l->name; l++)
            if (idx-- == 0) return l;
    return NULL;
}

const struct qn_local *qn_local_find(const char *name)
{
    const struct qn_local *l;
    for (size_t i = 0; (l = qn_local_at(i)); i++)
        if (strcmp(l->name, name) == 0) return l;
    return NULL;
}

const struct qn_table *qn_table_at(size_t idx)
{
    const struct qn_table *table = QN_CORE_TABLES;
    for (size_t m = 0;; m++) {
        for (; table && table->name; table++)
            if (idx-- == 0) return table;
        const struct qn_module *mod = qn_module_at(m);
        if (!mod) return NULL;
        table = mod->tables;
    }
}

const struct qn_contract_vm *qn_contract_vm_get(void)
{
    return qn_lua_contracts();
}
