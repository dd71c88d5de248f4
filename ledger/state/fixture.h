/* fixture.h - a ledger in memory for tests: grant coins, run one transaction body or let time pass, read rows. Each step is a
 * block of its own and its conservation is checked. */
#ifndef QN_LEDGER_STATE_FIXTURE_H
#define QN_LEDGER_STATE_FIXTURE_H

#include "ledger/state/state.h"

struct qn_fix {
    struct qn_state *st;
    const struct qn_view *view;
    struct qn_arena arena; /* receipts and what tests read; freed at the end */
    struct qn_hash chain;
    struct qn_hash proposer; /* of the blocks; at first the account of person 1000 */
    uint64_t height, now_ms, salt;
    struct qn_receipt last;  /* of the last transaction */
    struct qn_event *events; /* of the last block's deadlines and end */
    uint32_t event_cnt;
};

/* qn_fix_init makes a dev chain with these modules (borrowed). People of a test are numbers: qn_fix_key(i) is the key of
 * person i, qn_fix_acct(i) its account; persons 0 to 19 begin with 1,000 QN each. */
void qn_fix_init(struct qn_fix *fix, const struct qn_exec_module *modules, size_t cnt,
                 const struct qn_contract_vm *vm);
/* qn_fix_open is the same with any genesis that qn_set_genesis accepts. */
void qn_fix_open(struct qn_fix *fix, const struct qn_genesis *genesis,
                 const struct qn_exec_module *modules, size_t cnt, const struct qn_contract_vm *vm);
void qn_fix_fini(struct qn_fix *fix);
void qn_fix_key(unsigned person, struct qn_key *ret);
struct qn_hash qn_fix_acct(unsigned person);

/* qn_fix_tx runs a transaction of that kind by person in a block 10 ms later; the result is the receipt's. mandate may be NULL.
 * The events are in fix->last. */
qn_rc qn_fix_tx(struct qn_fix *fix, unsigned person, uint16_t kind, const void *body,
                const struct qn_hash *mandate, struct qn_why *why);
/* qn_fix_wait makes an empty block ms later: deadlines fire. */
void qn_fix_wait(struct qn_fix *fix, uint64_t ms);
/* qn_fix_gift moves coins of a person into any account, past every transaction's rules: coins reach an account of code's own in
 * more ways than by sending, say as a channel's payee, and must harm nothing there. */
void qn_fix_gift(struct qn_fix *fix, unsigned person, const struct qn_hash *to, uint64_t uqn);
/* qn_fix_event finds the last event of a topic in the last transaction, or else in the last block; *ret_id is what it was about. */
QN_CHECK bool qn_fix_event(const struct qn_fix *fix, const char *topic, struct qn_hash *ret_id);

#endif
