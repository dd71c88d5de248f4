/* contract.h - contracts are the ledger's; their language is not: it is reached through this table, which core/node sets. */
#ifndef QN_LEDGER_STATE_CONTRACT_H
#define QN_LEDGER_STATE_CONTRACT_H

#include "ledger/state/apply.h"

#define QN_CONTRACT_SOURCE_MAX (128u << 10)

/* What a running contract may do; all pointers set by the ledger for one call. Keys and values are the contract's own:
 * the ledger puts the contract's id in front. */
struct qn_contract_host {
    void *self;
    bool (*get)(void *self, struct qn_span key, struct qn_span *ret_val);
    qn_rc (*put)(void *self, struct qn_span key, struct qn_span val, struct qn_why *why);
    qn_rc (*del)(void *self, struct qn_span key, struct qn_why *why);
    bool (*next)(void *self, struct qn_span prefix, struct qn_span after, struct qn_span *ret_key,
                 struct qn_span *ret_val);
    uint64_t (*balance)(void *self); /* of the contract itself, uqn */
    qn_rc (*transfer)(void *self, const struct qn_hash *to, uint64_t uqn, struct qn_why *why);
    qn_rc (*emit)(void *self, const char *topic, const json_t *data, struct qn_why *why);
    qn_rc (*chain)(void *self, const char *name, const json_t *arg, json_t **ret,
                   struct qn_why *why);
    /* savepoints for pcall: mark, and back to it */
    size_t (*mark)(void *self);
    void (*back)(void *self, size_t mark);
    struct qn_hash contract, caller;
    uint64_t value_uqn; /* what came with the call */
    uint64_t height, now_ms;
    bool view; /* reading only: put, del, transfer and emit refuse */
};

struct qn_contract_vm {
    /* run executes source's method with args (JSON array) under a gas budget; method "init" at deployment. *ret_gas is set also
     * on failure and never above gas. */
    qn_rc (*run)(const char *name, struct qn_span source, const char *method, const json_t *args,
                 const struct qn_contract_host *host, uint64_t gas, uint64_t *ret_gas, json_t **ret,
                 struct qn_why *why);
};

#include "core/schema/declare.h"
#include "ledger/state/contract.def"

extern const struct qn_tx_kind QN_CONTRACT_TXS[];

/* qn_contract_query runs a method on a finalised view: it changes nothing. */
QN_CHECK qn_rc qn_contract_query(const struct qn_view *view, const struct qn_hash *id,
                                 const char *method, const json_t *args, uint64_t gas,
                                 uint64_t *ret_gas, json_t **ret, struct qn_why *why);

#endif
