/* param.h - figures that governance may change. A row overrides the default; a chain that never voted has none, but for a dev chain,
 * whose genesis writes its own. */
#ifndef QN_LEDGER_STATE_PARAM_H
#define QN_LEDGER_STATE_PARAM_H

#include "ledger/state/apply.h"

enum qn_param {
#define PARAM(name, def, dev, min, max, doc) QN_PARAM_##name,
#include "ledger/state/param.def"
#undef PARAM
    QN_PARAM_CNT
};

struct qn_param_info {
    const char *name, *doc;
    uint64_t def, dev, min, max;
};

uint64_t qn_param(const struct qn_view *view, enum qn_param which);
const struct qn_param_info *qn_param_info(enum qn_param which);
QN_CHECK bool qn_param_find(struct qn_span name, enum qn_param *ret);
/* qn_param_set writes a value; its bounds were checked. */
void qn_param_set(struct qn_apply *ap, enum qn_param which, uint64_t value);
/* qn_param_genesis writes what differs from the defaults on this chain. */
void qn_param_genesis(struct qn_apply *ap, bool dev, uint64_t epoch_ms);

#endif
