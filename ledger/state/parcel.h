/* parcel.h - a block as it came or was made: its bytes, what they say, and the names of its transactions, all worked out once. Its block never changes,
 * and is shared by whoever counts a reference: the replica that holds the proposal, the chain that executed it. */
#ifndef QN_LEDGER_STATE_PARCEL_H
#define QN_LEDGER_STATE_PARCEL_H

#include "ledger/state/tx.h"

struct qn_parcel {
    uint32_t refs;
    struct qn_span message; /* what it came in: `skip` bytes that are the carrier's, then bytes */
    struct qn_span bytes;   /* Borsh form of qn_proposal, or of qn_block */
    struct qn_proposal p;   /* what they say; lies in bytes and arena */
    struct qn_hash hash;    /* the header's */
    struct qn_hash *ids;    /* of each transaction, qn_tx_id; NULL before qn_parcel_name */
    struct qn_hash *wholes; /* and qn_tx_whole */
    bool beacon_ok;         /* as drawn by its proposer: qn_chain_beacons */
    int8_t whole;           /* what qn_parcel_whole found out: 1 yes, -1 no, 0 nobody asked */
    struct qn_arena arena;
};

/* qn_parcel_read takes a proposal's Borsh form behind `skip` bytes of a message (copied). Errors are qn_decode's. */
QN_CHECK qn_rc qn_parcel_read(struct qn_span message, size_t skip, struct qn_parcel **ret,
                              struct qn_why *why);
/* qn_parcel_of packs a block (copied). */
struct qn_parcel *qn_parcel_of(const struct qn_block *block) QN_GIVES;
struct qn_parcel *qn_parcel_ref(struct qn_parcel *parcel) QN_GIVES;
void qn_parcel_unref(struct qn_parcel *parcel);

/* qn_parcel_name works out ids and wholes, if they are not there yet: before, a foreign block costs no hash a transaction. */
void qn_parcel_name(struct qn_parcel *parcel);
/* qn_parcel_whole says whether the transactions are those that the block's head names, and not too many, nor of more bytes than a block may hold. Who
 * signed or certified a block did so of its head alone. Found out once: who takes a block in asks, and who executes it asks again. */
QN_CHECK bool qn_parcel_whole(struct qn_parcel *parcel);

#endif
