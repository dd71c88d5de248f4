/* apply.h - what executing a transaction, a deadline or the end of a block may do, and how modules declare
 * it. `apply` code has no clock, random source, float, thread, file or unordered iteration: only these.
 *
 * A handler that returns an error leaves no trace: its rows, postings, deadlines and events are rolled
 * back (a failed transaction still pays its fee). */
#ifndef QN_LEDGER_STATE_APPLY_H
#define QN_LEDGER_STATE_APPLY_H

#include "ledger/state/view.h"

struct qn_apply {
    const struct qn_view *view; /* state with all changes so far */
    struct qn_arena *arena;     /* life of the block */
    uint64_t height, now_ms;    /* block height and block time */
    struct qn_hash chain;       /* hash of the genesis */
    struct qn_hash beacon;      /* randomness fixed by the block before */
    struct qn_hash id;          /* of the transaction, or of the deadline's row */
    struct qn_hash sender; /* account that acts and pays: the one that signed, or, for a transaction
                                 * under a mandate, the mandate's owner; zero in deadlines and block_end */
    struct qn_hash signer; /* account whose key signed; equals sender without a mandate */
    struct qn_opt_hash mandate; /* the mandate the transaction acts under */
};

/* --- rows ------------------------------------------------------------------------------------------ */
void qn_row_put(struct qn_apply *ap, uint8_t table, struct qn_span key, struct qn_span val);
void qn_row_del(struct qn_apply *ap, uint8_t table,
                struct qn_span key); /* no row: nothing happens */
void qn_row_put_rec(struct qn_apply *ap, uint8_t table, struct qn_span key,
                    const struct qn_record *rec, const void *obj);

/* --- money ----------------------------------------------------------------------------------------- */
/* Accounts of people are H("acct", policy). A module's accounts (escrows, bonds, pools) come from
 * qn_acct_module: they have no key, only code moves their money. */
struct qn_hash qn_acct_key(const struct qn_hash *pub); /* of a plain Ed25519 key */
struct qn_hash qn_acct_module(uint8_t tag, const char *what, const struct qn_hash *id);

/* Core accounts that always exist. */
struct qn_hash qn_acct_unissued(void); /* all coins not yet minted */
struct qn_hash qn_acct_burnt(void);
struct qn_hash qn_acct_fees(void); /* fees of the block, shared out at its end */

/* qn_acct_own notes for audits whom a module account belongs to and why ("escrow of order"). Once, when
 * it is made and before anything is posted to it: coins that a stranger left there beforehand are burnt, so that
 * the module's own sums hold. What is known about it is shown by `quoin ledger audit`. */
void qn_acct_own(struct qn_apply *ap, const struct qn_hash *acct, const char *what,
                 const struct qn_hash *owner);

/* qn_post moves amount from debit to credit. QN_E_FUNDS with figures in why. Zero is fine. Every posting
 * counts against the mandate of the sender, if it acts under one. */
QN_CHECK qn_rc qn_post(struct qn_apply *ap, const struct qn_hash *debit,
                       const struct qn_hash *credit, struct qn_amount amount, struct qn_why *why);

/* A payment channel's deposit is the exception among debits under a mandate: one deposit covers many calls.
 * qn_mandate_lend, called before the deposit is posted, exempts `deposit` to payee from the mandate's
 * call_max and rate, and instead requires step_max <= call_max and that the rates of all open channels
 * fit the mandate's rate, which counts burst, what the channel pays out at once, as spent now; total and payee
 * cap still count the deposit. QN_E_LIMIT with figures in why.
 * Without a mandate it does nothing. qn_mandate_unlend gives the rate and what came back of the deposit
 * free again when the channel ends; mandate is what ap->mandate was at the opening. */
QN_CHECK qn_rc qn_mandate_lend(struct qn_apply *ap, const struct qn_hash *payee,
                               struct qn_amount deposit, struct qn_amount step_max,
                               struct qn_amount burst, uint64_t rate_uqn_s, struct qn_why *why);
void qn_mandate_unlend(struct qn_apply *ap, const struct qn_opt_hash *mandate,
                       const struct qn_hash *payee, struct qn_amount refund, uint64_t rate_uqn_s);

/* --- time ------------------------------------------------------------------------------------------ */
/* qn_due_set arranges that the module's deadline handler `kind` runs with (id) in the first block whose
 * time is >= at_ms. One deadline a (kind, id): setting again moves it. qn_due_del takes it back. */
void qn_due_set(struct qn_apply *ap, uint16_t kind, const struct qn_hash *id, uint64_t at_ms);
void qn_due_del(struct qn_apply *ap, uint16_t kind, const struct qn_hash *id);

/* --- events ---------------------------------------------------------------------------------------- */
/* qn_emit records that something happened: topic "lease.matched", the id it is about, and a record. */
void qn_emit(struct qn_apply *ap, const char *topic, const struct qn_hash *id,
             const struct qn_record *rec, const void *obj);

/* qn_gas_use charges gas beyond the kind's flat price; QN_E_GAS when the transaction's limit is passed. */
QN_CHECK qn_rc qn_gas_use(struct qn_apply *ap, uint64_t gas);
/* qn_due_cost says what a deadline's handler took beyond a few rows. It fails nothing: once a block's deadlines have
 * cost a block's gas, those left wait for the next block. */
void qn_due_cost(struct qn_apply *ap, uint64_t gas);

/* --- what modules declare -------------------------------------------------------------------------- */
/* A transaction kind. check sees the body alone (any thread): ranges and forms; apply sees the state. */
struct qn_tx_kind {
    uint16_t kind;    /* module tag << 8 | n */
    const char *name; /* "lease.close" */
    const char *doc;
    qn_record_fn body;
    uint32_t gas; /* flat; 1 gas is about 1.4 ns */
    qn_rc (*check)(const void *body,
                   struct qn_why *why); /* NULL: the record's own limits suffice */
    qn_rc (*apply)(struct qn_apply *ap, const void *body, struct qn_why *why);
};

/* A deadline kind: what happens when nobody acted in time. It must not fail. */
struct qn_due_kind {
    uint16_t kind; /* module tag << 8 | n */
    const char *name;
    void (*fire)(struct qn_apply *ap, const struct qn_hash *id);
};

/* What a contract may ask about the world outside itself: chain.NAME(json) in Lua. */
struct qn_chain_fn {
    const char *name, *doc;
    uint32_t gas;
    qn_rc (*fn)(const struct qn_view *view, const json_t *arg, json_t **ret, struct qn_why *why);
};

/* A table, for listings, proofs and audits. */
struct qn_table {
    uint8_t table;
    const char *name; /* "lease" */
    qn_record_fn rec;
    const char *key_doc; /* "id h32" or "order h32, node h32" */
};

#endif
