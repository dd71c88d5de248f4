/* contract.h - the contracts' machine: Lua in strict mode behind ledger/state/contract.h.
 *
 * A contract is a text that fills the tables `public` and `view` with functions and may define `init`:
 *
 *     function init(c, ...) end                      -- once, at deployment
 *     public.deposit = function(c, ...) end          -- by transactions
 *     view.total = function(c) return c:get("total") end    -- also by queries; changes nothing
 *
 * c has caller, contract (hex), value (uqn), height, now_ms and c:get(key) c:set(key, value) c:del(key) c:next(prefix, after)
 * c:balance() c:transfer(account, uqn) c:emit(topic, data) c:chain(name, argument). Keys are text; values are what JSON can hold without
 * fractions, kept as canonical JSON. pcall is a savepoint: rows and payments made inside it are undone with its error.
 *
 * Strict: integers only (they wrap: check what you add), gas for every instruction, `pairs` in sorted order, no clock, no address, no
 * coroutine, no __gc, no load. Out of gas and out of memory cannot be caught. */
#ifndef QN_LUA_BIND_CONTRACT_H
#define QN_LUA_BIND_CONTRACT_H

#include "ledger/state/contract.h"

/* qn_lua_contracts is the table that core/node gives the ledger. */
const struct qn_contract_vm *qn_lua_contracts(void);

#endif
