/* tx.h - transactions: building and signing them outside the node, checking them inside. The ledger's own records. */
#ifndef QN_LEDGER_STATE_TX_H
#define QN_LEDGER_STATE_TX_H

#include "core/crypto/sign.h"
#include "ledger/state/apply.h"

#include "core/schema/declare.h"
#include "ledger/state/core.def"

#define QN_TX_SPAN_MS 600000u
#define QN_TX_MAX     (600u << 10) /* bytes of a transaction */

enum {
    QN_TABLE_ACCOUNT = 0x01,
    QN_TABLE_DUE = 0x02,    /* at_ms, kind, id -> empty */
    QN_TABLE_DUE_OF = 0x03, /* kind, id -> qn_due_row */
    QN_TABLE_MANDATE = 0x04,
    QN_TABLE_META = 0x05, /* "mint" */
    QN_TABLE_CODE = 0x06, /* contract id -> qn_contract */
    QN_TABLE_KV = 0x07,   /* contract id, escaped key -> value */
    QN_TABLE_VALIDATOR = 0x08,
    QN_TABLE_DELEGATION = 0x09, /* validator id, owner */
    QN_TABLE_UNBOND = 0x0a,     /* id */
    QN_TABLE_MOVE = 0x0b,  /* validator it answers for, id of the QN_TABLE_UNBOND row -> empty */
    QN_TABLE_SET = 0x0c,   /* epoch, big-endian */
    QN_TABLE_PARAM = 0x0d, /* number u16 */
    QN_TABLE_PROPOSAL = 0x0e,
    QN_TABLE_BALLOT = 0x0f, /* proposal, validator, voter */
};

enum { QN_TX_SEND = 1, QN_TX_MANDATE_OPEN, QN_TX_MANDATE_REVOKE, QN_TX_DEPLOY, QN_TX_CALL };
enum {
    QN_TX_VALIDATOR_CREATE = 0x10,
    QN_TX_VALIDATOR_EDIT,
    QN_TX_VALIDATOR_BOND,
    QN_TX_VALIDATOR_UNBOND,
    QN_TX_VALIDATOR_UNJAIL,
    QN_TX_DELEGATE,
    QN_TX_UNDELEGATE,
    QN_TX_REDELEGATE,
    QN_TX_EVIDENCE,
    QN_TX_EVIDENCE_TWINS,
    QN_TX_EVIDENCE_ROOTS,
    QN_TX_GOV_PROPOSE = 0x20,
    QN_TX_GOV_VOTE,
};
/* The ledger's own deadlines. */
enum { QN_DUE_UNBOND = 1, QN_DUE_TALLY, QN_DUE_ENACT };

/* Options of qn_tx_build; zero is a fine default. */
struct qn_tx_opts {
    struct qn_opt_hash mandate;
    uint32_t gas_max;         /* 0: 10,000,000 */
    struct qn_amount fee_max; /* 0: 1 QN */
    struct qn_amount tip;
    uint64_t salt;
    uint64_t span_ms; /* 0: 60,000 */
};

/* qn_tx_build appends a signed transaction of one plain key to ret and gives its id. body is the Borsh form of the
 * kind's record; now_ms the chain's block time. */
void qn_tx_build(const struct qn_hash *chain, uint16_t kind, struct qn_span body,
                 const struct qn_key *key, uint64_t now_ms, const struct qn_tx_opts *opts,
                 struct qn_buf *ret, struct qn_hash *ret_id);

/* qn_tx_id is H("tx", all before auths). */
struct qn_hash qn_tx_id(const struct qn_tx *tx);

/* qn_tx_whole is H("tx whole", all of it): what a block's body root is made of, so that nobody can change a signature in a block. */
struct qn_hash qn_tx_whole(const struct qn_tx *tx);

/* qn_tx_len is the length of its Borsh form, counted without writing it. */
size_t qn_tx_len(const struct qn_tx *tx);

/* qn_tx_names is qn_tx_id and qn_tx_whole of a transaction whose Borsh form is at hand. */
void qn_tx_names(const struct qn_tx *tx, struct qn_span bytes, struct qn_hash *ret_id,
                 struct qn_hash *ret_whole);

/* qn_tx_slot says whether a salt names a slot (its top bit is set), and that slot: the chain takes one transaction of it within QN_TX_SPAN_MS, so
 * that a sender may offer another in its place without both becoming final. */
QN_CHECK bool qn_tx_slot(const struct qn_hash *sender, uint64_t salt, struct qn_hash *ret);

/* qn_tx_look is qn_tx_check without its signatures. */
QN_CHECK qn_rc qn_tx_look(const struct qn_tx *tx, const struct qn_hash *chain, struct qn_why *why);

/* qn_tx_check looks at a transaction alone: version, chain, window, every signature, the sender among them. */
QN_CHECK qn_rc qn_tx_check(const struct qn_tx *tx, const struct qn_hash *id,
                           const struct qn_hash *chain, struct qn_why *why);

/* qn_tx_check_many is qn_tx_check of each of cnt transactions, their signatures side by side.
 *
 * ids     of each
 * ret_rc  what qn_tx_check says of each
 *
 * Returns QN_OK, or what is wrong with the first bad one, and why. */
qn_rc qn_tx_check_many(const struct qn_tx *const txs[], const struct qn_hash ids[], size_t cnt,
                       const struct qn_hash *chain, qn_rc ret_rc[], struct qn_why *why);

/* qn_body_root is H("body", qn_tx_whole of each). */
struct qn_hash qn_body_root(const struct qn_tx *txs, uint32_t cnt);
struct qn_hash qn_body_root_of(const struct qn_hash *wholes, uint32_t cnt);
struct qn_hash qn_header_hash(const struct qn_header *header);
struct qn_hash qn_genesis_hash(const struct qn_genesis *genesis);

#endif
