/* agents.h - agents with purses: registry, payment channels, vouchers, paid calls over HTTP.
 *
 * A channel is unidirectional and cumulative: the payer locks a deposit once, each call carries a voucher for the
 * sum of all calls so far, the payee claims the latest with one transaction. What the ledger would not pay now
 * buys nothing: payee and ledger run the same voucher_check. */
#ifndef QN_MODULES_AGENTS_AGENTS_H
#define QN_MODULES_AGENTS_AGENTS_H

#include "core/crypto/sign.h"
#include "core/schema/schema.h"

#include "core/schema/declare.h"
#include "modules/agents/agents.def"

enum { AGENTS_TAG = 5 };
enum { AGENTS_TABLE_AGENT = 0x50, AGENTS_TABLE_CHANNEL = 0x51 };
enum { CHANNEL_OPEN, CHANNEL_CLOSING, CHANNEL_CLOSED };

/* voucher_hash is what the signer signs: H("voucher", chain | every field before sig). */
struct qn_hash voucher_hash(const struct qn_hash *chain, const struct agents_voucher *v);
void voucher_sign(const struct qn_hash *chain, const struct qn_key *signer,
                  struct agents_voucher *v);

/* voucher_worth returns the sum it promises when `ticks` ticks are revealed by link. QN_E_PROOF when
 * SHA256^ticks(link) is not the anchor, QN_E_LIMIT above tick_cnt. */
QN_CHECK qn_rc voucher_worth(const struct agents_voucher *v, uint32_t ticks,
                             const struct qn_hash *link, struct qn_amount *ret, struct qn_why *why);

/* voucher_check says whether the ledger would pay `worth` for v on channel at now_ms: signature, seq beyond
 * what was claimed and within calls_max, sum within deposit, step and rate. */
QN_CHECK qn_rc voucher_check(const struct qn_hash *chain, const struct qn_hash *id,
                             const struct agents_channel *channel, const struct agents_voucher *v,
                             struct qn_amount worth, uint64_t now_ms, struct qn_why *why);

/* voucher_limits is all of voucher_check but the signature: what a payer asks itself before it signs. */
QN_CHECK qn_rc voucher_limits(const struct qn_hash *id, const struct agents_channel *channel,
                              const struct agents_voucher *v, struct qn_amount worth,
                              uint64_t now_ms, struct qn_why *why);

/* receipt_hash is what the payee signs: H("receipt", chain | every field before sig). */
struct qn_hash receipt_hash(const struct qn_hash *chain, const struct agents_receipt *r);

/* request_hash binds a voucher to what it buys: H("req", method, target, H(body), idem). */
struct qn_hash request_hash(const char *method, const char *target, struct qn_span body,
                            const struct qn_hash *idem);

#endif
