/* gov.h - those who staked change parameters (param.def) and switch to new versions of the records.
 *
 * Anyone proposes, for a deposit. Who has staked votes with what it is worth when the vote ends: a validator's owner with all that is
 * staked there, a tenth of all stake at most, less what its delegators vote with themselves; a delegator needs 1/10,000 of all stake for a
 * voice of its own. More yes than no, with a third of all stake taking part, passes; after a lock, and not before the proposal's height,
 * a parameter changes. A new record version takes effect at its height if validators of weight Q have announced it for an epoch
 * (validator.edit): what nobody can run nobody can vote in. */
#ifndef QN_LEDGER_STATE_GOV_H
#define QN_LEDGER_STATE_GOV_H

#include "ledger/state/apply.h"

#include "core/schema/declare.h"

#include "ledger/state/gov.def"

#define QN_RECORD_VERSION 1u /* what this build can execute */

/* qn_gov_version is the record version in force; _next that of the block which follows the view: a node that does not know it stops
 * before that block. */
uint32_t qn_gov_version(const struct qn_view *view);
uint32_t qn_gov_next(const struct qn_view *view);

/* qn_gov_count brings the sums of a proposal that is still voted on up to date, for who looks. */
void qn_gov_count(const struct qn_view *view, struct qn_arena *arena, const struct qn_hash *id,
                  struct qn_gov_proposal *p);

#endif
