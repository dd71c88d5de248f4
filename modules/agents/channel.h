/* channel.h - inside of modules/agents: channels on the ledger. */
#ifndef QN_MODULES_AGENTS_CHANNEL_H
#define QN_MODULES_AGENTS_CHANNEL_H

#include "ledger/state/apply.h"
#include "modules/agents/agents.h"

enum { AGENTS_DUE_CHANNEL = AGENTS_TAG << 8 | 0x10 };
enum { CHANNEL_KIND_CLAIM = AGENTS_TAG << 8 | 0x12 };

QN_CHECK qn_rc channel_open_check(const void *body, struct qn_why *why);
QN_CHECK qn_rc channel_open_apply(struct qn_apply *ap, const void *body, struct qn_why *why);
QN_CHECK qn_rc channel_fund_apply(struct qn_apply *ap, const void *body, struct qn_why *why);
QN_CHECK qn_rc channel_claim_apply(struct qn_apply *ap, const void *body, struct qn_why *why);
QN_CHECK qn_rc channel_close_apply(struct qn_apply *ap, const void *body, struct qn_why *why);

/* The rows of channels in the module's table of transactions. */
#define CHANNEL_TX_ROWS                                                                            \
    { AGENTS_TAG << 8 | 0x10, "channel.open", "lock a deposit that vouchers draw on",              \
      channel_open_record,    4000,           channel_open_check,                                  \
      channel_open_apply },                                                                        \
        { AGENTS_TAG << 8 | 0x11, "channel.fund", "add to a channel's deposit",                    \
          channel_fund_record,    3000,           NULL,                                            \
          channel_fund_apply },                                                                    \
        { AGENTS_TAG << 8 | 0x12, "channel.claim", "be paid by a voucher",                         \
          channel_claim_record,   50000,           NULL,                                           \
          channel_claim_apply },                                                                   \
    {                                                                                              \
        AGENTS_TAG << 8 | 0x13, "channel.close",                                                   \
            "end a channel: payee at once, payer after the delay", channel_close_record, 3000,     \
            NULL, channel_close_apply                                                              \
    }

/* channel_acct is the account that holds a channel's deposit. */
struct qn_hash channel_acct(const struct qn_hash *id);
/* channel_get reads a channel; QN_E_NOTFOUND. */
QN_CHECK qn_rc channel_get(const struct qn_view *view, const struct qn_hash *id,
                           struct qn_arena *arena, struct agents_channel *ret, struct qn_why *why);
/* channel_due ends a closing channel at its deadline. */
void channel_due(struct qn_apply *ap, const struct qn_hash *id);

#endif
