/* compute.h - the market for machines: records, tables, keys, and what the files of this module share.
 *
 * Money of an order lies in its escrow account; a lease's pay streams out of it by block time, exact to
 * the last 1/3.6e9 uqn. Nothing waits for a human: every state that waits has a deadline below. */
#ifndef QN_MODULES_COMPUTE_COMPUTE_H
#define QN_MODULES_COMPUTE_COMPUTE_H

#include "core/module/module.h"

#include "core/schema/declare.h"
#include "modules/compute/compute.def"

#define COMPUTE_TAG 1

__extension__ typedef unsigned __int128 u128; /* rate * time leaves 64 bits */

/* Tables. Keys are 32-byte ids unless written otherwise. */
enum compute_table {
    COMPUTE_T_MISC = 0x10,       /* "params", "clock" */
    COMPUTE_T_NODE = 0x11,       /* node */
    COMPUTE_T_OFFER = 0x12,      /* node */
    COMPUTE_T_BOOK = 0x13,       /* class u16be | eff u64be | node -> empty */
    COMPUTE_T_ORDER = 0x14,      /* order */
    COMPUTE_T_BID = 0x15,        /* order | node */
    COMPUTE_T_LEASE = 0x16,      /* lease */
    COMPUTE_T_NODE_LEASE = 0x17, /* node | lease -> empty; leases that are not closed */
    COMPUTE_T_ESCROW = 0x18,     /* order */
    COMPUTE_T_REP = 0x19,        /* account of the provider */
    COMPUTE_T_LOSER = 0x1a,      /* bid id -> order | node; deposits to be freed */
};

/* Transactions, 1 << 8 | n. */
enum compute_tx {
    COMPUTE_TX_NODE_PUT = 0x0101,
    COMPUTE_TX_NODE_EXIT,
    COMPUTE_TX_NODE_BEAT,
    COMPUTE_TX_OFFER_PUT,
    COMPUTE_TX_ORDER_PUT,
    COMPUTE_TX_ORDER_CANCEL,
    COMPUTE_TX_BID_PUT,
    COMPUTE_TX_BID_DROP,
    COMPUTE_TX_LEASE_START,
    COMPUTE_TX_LEASE_SET,
    COMPUTE_TX_LEASE_CLOSE,
    COMPUTE_TX_ESCROW_ADD,
    COMPUTE_TX_ESCROW_SETTLE,
};

/* Deadlines and what happens when nobody acted. */
enum compute_due {
    COMPUTE_DUE_TTL = 0x0101, /* order: expires, deposit back */
    COMPUTE_DUE_MATCH,        /* order: look into the book again */
    COMPUTE_DUE_AUCTION,      /* order: bids end, the least key wins */
    COMPUTE_DUE_START,        /* lease: closed NO_START, deposit of the winner slashed */
    COMPUTE_DUE_DRY,          /* order: its escrow is dry, grace begins */
    COMPUTE_DUE_GRACE,        /* lease: closed FUNDS */
    COMPUTE_DUE_PAY,          /* lease: paid what it earned */
    COMPUTE_DUE_TERM,         /* lease: closed TERM */
    COMPUTE_DUE_DARK,         /* lease: provider unheard of for 3 beats, pay stops */
    COMPUTE_DUE_LOST,         /* lease: closed NODE_LOST */
    COMPUTE_DUE_PAUSED,       /* lease: paused for 30 days, closed */
    COMPUTE_DUE_HOLD,         /* lease: disputes over, what was held goes to the provider */
    COMPUTE_DUE_BID,          /* bid: deposit of a loser back */
};

enum compute_order_state {
    COMPUTE_ORDER_OPEN,
    COMPUTE_ORDER_MATCHED,
    COMPUTE_ORDER_EXPIRED,
    COMPUTE_ORDER_CANCELLED,
    COMPUTE_ORDER_UNMATCHED,
};

enum compute_mode { COMPUTE_AUCTION, COMPUTE_BOOK };

enum compute_lease_state {
    COMPUTE_MATCHED,
    COMPUTE_RUNNING,
    COMPUTE_PAUSED,
    COMPUTE_GRACE,
    COMPUTE_UNKNOWN,
    COMPUTE_CLOSED,
};

enum compute_reason {
    COMPUTE_R_TERM = 200,
    COMPUTE_R_FUNDS,
    COMPUTE_R_NO_START,
    COMPUTE_R_NODE_LOST,
    COMPUTE_R_PAUSED_LONG,
};

/* --- keys and rows (row.c) -------------------------------------------------------------------------- */
struct compute_pair_key {
    uint8_t b[64];
};
struct compute_pair_key compute_pair(const struct qn_hash *a, const struct qn_hash *b);
struct qn_hash compute_escrow_acct(const struct qn_hash *order);
struct qn_hash compute_bond_acct(const struct qn_hash *node);
struct qn_hash compute_hold_acct(const struct qn_hash *lease);
struct qn_hash compute_pool_acct(void); /* where the market's take goes */
/* compute_bid_id names a bid for its deadline and its deposit's account. */
struct qn_hash compute_bid_id(const struct qn_hash *order, const struct qn_hash *node);
struct qn_hash compute_bid_acct(const struct qn_hash *bid_id);
struct qn_hash compute_lease_id(const struct qn_hash *order, uint16_t part);
void compute_params_get(const struct qn_view *view, struct compute_params *ret);

QN_CHECK bool compute_node_get(const struct qn_view *view, struct qn_arena *arena,
                               const struct qn_hash *id, struct compute_node *ret);
QN_CHECK bool compute_order_get(const struct qn_view *view, struct qn_arena *arena,
                                const struct qn_hash *id, struct compute_order *ret);
QN_CHECK bool compute_lease_get(const struct qn_view *view, struct qn_arena *arena,
                                const struct qn_hash *id, struct compute_lease *ret);
QN_CHECK bool compute_escrow_get(const struct qn_view *view, struct qn_arena *arena,
                                 const struct qn_hash *order, struct compute_escrow *ret);
void compute_node_save(struct qn_apply *ap, const struct qn_hash *id,
                       const struct compute_node *node);
void compute_order_save(struct qn_apply *ap, const struct qn_hash *id,
                        const struct compute_order *order);
void compute_lease_save(struct qn_apply *ap, const struct qn_hash *id,
                        const struct compute_lease *lease);
void compute_escrow_save(struct qn_apply *ap, const struct qn_hash *order,
                         const struct compute_escrow *escrow);

/* --- capacity (cap.c) ------------------------------------------------------------------------------- */
bool compute_cap_fits(const struct compute_cap *need, const struct compute_cap *total,
                      const struct compute_cap *used);
/* compute_cap_take and _give move need into or out of used; that it fits is the caller's check. */
void compute_cap_take(struct compute_cap *used, const struct compute_cap *need);
void compute_cap_give(struct compute_cap *used, const struct compute_cap *need);
/* compute_cap_waste is how far apart processor and memory shares of a node are with need on it, in
 * sixteenths. */
uint32_t compute_cap_waste(const struct compute_node *node, const struct compute_cap *need);

/* --- streams (stream.c) ----------------------------------------------------------------------------- */
#define COMPUTE_D UINT64_C(3600000000) /* ms an hour * nqn a uqn */

/* What a stream earned between until_ms and t_ms, exactly: *rem carries what is below one uqn. */
uint64_t compute_earned(uint64_t rate, uint64_t from_ms, uint64_t to_ms, uint64_t *rem);
/* compute_guard is G for a rate: ceil(rate * (grace + two blocks) / D). */
uint64_t compute_guard(uint64_t rate, uint64_t grace_ms);
/* compute_dry is T of an escrow whose unguarded balance is given; 0 when no stream runs. */
uint64_t compute_dry(const struct compute_escrow *escrow, uint64_t balance_uqn);

/* Each of these keeps R, M, S, T, the deadline DRY and the rows in step. lease and escrow are changed and
 * saved. A stream is `in` its escrow while it earns (running, grace). */
void compute_stream_in(struct qn_apply *ap, const struct qn_hash *id, struct compute_lease *lease);
void compute_stream_out(struct qn_apply *ap, const struct qn_hash *id, struct compute_lease *lease);
/* compute_settle pays what the stream earned up to now, its provider's last sign of life, or the end of
 * its grace, whichever is first. */
void compute_settle(struct qn_apply *ap, const struct qn_hash *id, struct compute_lease *lease);
/* compute_dry_out begins the grace of a lease whose escrow is dry. */
void compute_dry_out(struct qn_apply *ap, const struct qn_hash *id, struct compute_lease *lease,
                     const struct compute_order *order);
QN_CHECK qn_rc compute_top_up(struct qn_apply *ap, const struct qn_hash *order_id,
                              struct qn_amount amount, struct qn_why *why);
/* compute_refund gives back what an escrow still holds; who put in first has paid first. */
struct qn_amount compute_refund(struct qn_apply *ap, const struct qn_hash *order_id);

/* --- matching (match.c) ----------------------------------------------------------------------------- */
/* What a machine must pass; counted under the first that fails. */
enum compute_fail {
    COMPUTE_FIT,
    COMPUTE_FAIL_CLASS,
    COMPUTE_FAIL_REGION,
    COMPUTE_FAIL_ISO,
    COMPUTE_FAIL_SCORE,
    COMPUTE_FAIL_ATTRS,
    COMPUTE_FAIL_TERM,
    COMPUTE_FAIL_RATE,
    COMPUTE_FAIL_CAPACITY,
};
enum compute_fail compute_qualify(const struct compute_order_put *ask,
                                  const struct compute_node *node, uint64_t rate_nqn_h);
/* compute_cost is the rate of cap at a price. false: it leaves the range of rates. */
QN_CHECK bool compute_cost(const struct compute_price *price, const struct compute_cap *cap,
                           uint64_t *ret);
/* compute_band is eff to six bits behind its highest: steps of 0.8 to 1.6 %. */
uint64_t compute_band(uint64_t eff);

struct compute_key {
    uint64_t band;
    uint32_t waste, rep;
    struct qn_hash tie;
};
struct compute_key compute_key_of(const struct qn_view *view, const struct qn_hash *beacon,
                                  const struct qn_hash *order_id, const struct compute_order *order,
                                  const struct qn_hash *node_id, const struct compute_node *node,
                                  uint64_t rate_nqn_h);
bool compute_key_less(const struct compute_key *a, const struct compute_key *b);

/* compute_book_scan looks through standing offers for an order: the best, when there is one (*ret_found),
 * and why the others are not. */
void compute_book_scan(const struct qn_view *view, struct qn_arena *arena,
                       const struct qn_hash *beacon, const struct qn_hash *order_id,
                       const struct compute_order *order, struct compute_why *ret_why,
                       bool *ret_found, struct qn_hash *ret_node, uint64_t *ret_rate);
/* compute_award makes the lease: capacity taken, deadline START armed. bid_deposit moves to the lease. */
void compute_award(struct qn_apply *ap, const struct qn_hash *order_id, struct compute_order *order,
                   const struct qn_hash *node_id, uint64_t rate_nqn_h,
                   struct qn_amount bid_deposit);
void compute_due_match(struct qn_apply *ap, const struct qn_hash *order_id);
void compute_due_auction(struct qn_apply *ap, const struct qn_hash *order_id);
void compute_due_ttl(struct qn_apply *ap, const struct qn_hash *order_id);
/* compute_order_end closes an order that found nothing and frees its bids and deposit. */
void compute_order_end(struct qn_apply *ap, const struct qn_hash *order_id,
                       struct compute_order *order, enum compute_order_state state);

/* --- transactions (tx_*.c) -------------------------------------------------------------------------- */
#define COMPUTE_TX(name)                                                                           \
    qn_rc compute_tx_##name(struct qn_apply *ap, const void *body, struct qn_why *why)
COMPUTE_TX(node_put);
COMPUTE_TX(node_exit);
COMPUTE_TX(node_beat);
COMPUTE_TX(offer_put);
COMPUTE_TX(order_put);
COMPUTE_TX(order_cancel);
COMPUTE_TX(bid_put);
COMPUTE_TX(bid_drop);
COMPUTE_TX(lease_start);
COMPUTE_TX(lease_set);
COMPUTE_TX(lease_close);
COMPUTE_TX(escrow_add);
COMPUTE_TX(escrow_settle);
#undef COMPUTE_TX

void compute_due_bid(struct qn_apply *ap, const struct qn_hash *bid_id);

/* --- leases (lease.c) ------------------------------------------------------------------------------- */
void compute_lease_close(struct qn_apply *ap, const struct qn_hash *id, struct compute_lease *lease,
                         uint16_t reason);
void compute_due_start(struct qn_apply *ap, const struct qn_hash *id);
void compute_due_dry(struct qn_apply *ap, const struct qn_hash *order_id);
void compute_due_grace(struct qn_apply *ap, const struct qn_hash *id);
void compute_due_pay(struct qn_apply *ap, const struct qn_hash *id);
void compute_due_term(struct qn_apply *ap, const struct qn_hash *id);
void compute_due_dark(struct qn_apply *ap, const struct qn_hash *id);
void compute_due_lost(struct qn_apply *ap, const struct qn_hash *id);
void compute_due_paused(struct qn_apply *ap, const struct qn_hash *id);
void compute_due_hold(struct qn_apply *ap, const struct qn_hash *id);
/* compute_revive sets the leases of a node that was dark running again. */
void compute_revive(struct qn_apply *ap, const struct qn_hash *node_id);

/* --- audit (audit.c) -------------------------------------------------------------------------------- */
/* Panics when a node's used capacity is not the sum of its leases, or an escrow's R, M, S, spent and
 * balance do not add up. */
void compute_audit_node(struct qn_apply *ap, const struct qn_hash *id);
void compute_audit_escrow(struct qn_apply *ap, const struct qn_hash *order_id);

/* --- calls (calls.c) -------------------------------------------------------------------------------- */
extern const struct qn_call COMPUTE_CALLS[];

#endif
