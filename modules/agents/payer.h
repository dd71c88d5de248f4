/* payer.h - the paying side of a paid call, in the process of whoever holds the channel's signer key.
 *
 * What is about to be signed is on the disk first (HOME/agents/payer, a journal), so that a payer that died sends
 * the very same bytes again and pays once. The next call on a channel first settles what is pending on it. */
#ifndef QN_MODULES_AGENTS_PAYER_H
#define QN_MODULES_AGENTS_PAYER_H

#include "core/module/local.h"
#include "modules/agents/agents.h"

/* payer_call is agent.call: looks up price and channel, checks the limits, notes, signs, sends, checks the receipt.
 * With `bodies` up to 32 requests are on the way at once and share each write to the disk. */
qn_rc payer_call(struct qn_local_ctx *ctx, const void *params, json_t **ret, struct qn_why *why);
void payer_end(void *state);
/* payer_purse is agent.purse: where the money is, channel by channel. */
qn_rc payer_purse(struct qn_local_ctx *ctx, const void *params, json_t **ret, struct qn_why *why);
/* payer_sign is agent.sign: one header, no books. */
qn_rc payer_sign(struct qn_local_ctx *ctx, const void *params, json_t **ret, struct qn_why *why);

#endif
