/* compact.h - a block told by the ids of its transactions, which most peers hold already (after BIP152).
 *
 *     u8 1 | block[32] | u64 nonce | u32 head_len | head | u32 tx_cnt | u32 given_cnt
 *          | given_cnt * (u32 gap | u32 len | tx) | (tx_cnt - given_cnt) * id[6]
 *
 * head is the sender's (header, certificate). A gap counts the transactions between one given whole and the next. An id is the low 6
 * bytes of SipHash-2-4 of the transaction's 32-byte id, keyed by the first 16 bytes of H("compact", block | nonce): who wants two
 * transactions to share an id must know the block, and each sender may draw another nonce.
 *
 * A transaction out of the pool under an id is a guess, 1 in 2^48 wrong per pair: the caller checks the whole block against its hash, and
 * asks for it whole when that fails. What is here never trusts a guess that another pooled transaction disputes. */
#ifndef QN_NET_GOSSIP_COMPACT_H
#define QN_NET_GOSSIP_COMPACT_H

#include "core/base/span.h"

#define COMPACT_TX_MAX    65536u
#define COMPACT_HEAD_MAX  (64u << 10)
#define COMPACT_BYTES_MAX (1u << 20) /* of a whole compact block: the message of a block topic */
#define BLOCKTX_MAX       4096u      /* transactions in one request */

/* One transaction of a block, its id as the ledger names it. */
struct compact_tx {
    struct qn_hash id;
    struct qn_span bytes;
};

/* compact_put writes a block. given[i] says whether transaction i goes whole (NULL: none): those the receiver cannot have. */
void compact_put(const struct qn_hash *block, uint64_t nonce, struct qn_span head,
                 const struct compact_tx *tx, uint32_t tx_cnt, const bool *given,
                 struct qn_buf *buf);

/* compact_id is the short id, in the low 48 bits. */
uint64_t compact_id(const uint8_t key[16], const struct qn_hash *tx);
void compact_key(const struct qn_hash *block, uint64_t nonce, uint8_t ret[16]);

/* A block being put together. Its bytes are its own copies. */
struct compact;

/* compact_open reads a compact block. QN_E_SHORT, QN_E_EXTRA, QN_E_FORMAT, QN_E_RANGE, QN_E_TOOBIG: its sender broke the rules. */
QN_CHECK qn_rc compact_open(struct qn_span message, struct compact **ret);
void compact_close(struct compact *c);

/* What it is of; lent until compact_close. */
const struct qn_hash *compact_block(const struct compact *c);
struct qn_span compact_head(const struct compact *c);
uint32_t compact_tx_cnt(const struct compact *c);

/* compact_offer shows one pooled transaction; returns whether the block may want it (it was copied). Two different ones under the same
 * id cancel each other: that place is asked for. */
bool compact_offer(struct compact *c, const struct qn_hash *id, struct qn_span bytes);

/* compact_missing gives the places still empty in order, at most max of them; *ret_cnt how many there are in all. Returns how many were
 * written. */
uint32_t compact_missing(const struct compact *c, uint32_t *ret_idx, uint32_t max,
                         uint32_t *ret_cnt);
/* compact_fill puts a transaction that was asked for into its place; false when the place is not empty or idx not of this block. */
bool compact_fill(struct compact *c, uint32_t idx, struct qn_span bytes);
/* compact_doubt empties the places filled by guesses, after the whole did not hash to the block: they are asked for next. Returns how
 * many there were; none: the sender lied about the block. */
uint32_t compact_doubt(struct compact *c);
/* compact_tx lends transaction idx; empty while it is missing. */
struct qn_span compact_tx(const struct compact *c, uint32_t idx);

/* --- /quoin/blocktx/1 ----------------------------------------------------------------------------------------------- */

/* Request: block[32] | u32 cnt | cnt * u32 gap (between one index and the next). Answer: block[32] | u32 cnt | cnt * (u32 len | tx). */
void compact_ask_put(const struct qn_hash *block, const uint32_t *idx, uint32_t cnt,
                     struct qn_buf *buf);
/* compact_ask_get writes at most BLOCKTX_MAX ascending indices below tx_cnt_max. */
QN_CHECK qn_rc compact_ask_get(struct qn_span in, uint32_t tx_cnt_max, struct qn_hash *ret_block,
                               uint32_t *ret_idx, uint32_t *ret_cnt);
void compact_answer_put(const struct qn_hash *block, const struct qn_span *tx, uint32_t cnt,
                        struct qn_buf *buf);
/* compact_answer_fill puts an answer to the request of idx[cnt] into its places, all or none. */
QN_CHECK qn_rc compact_answer_fill(struct qn_span in, const uint32_t *idx, uint32_t cnt,
                                   struct compact *c);

#endif
