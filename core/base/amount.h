/* amount.h - money: micro-quoin in a struct, so that adding coins to seconds does not compile. */
#ifndef QN_CORE_BASE_AMOUNT_H
#define QN_CORE_BASE_AMOUNT_H

#include "core/base/err.h"

#define QN_UQN_PER_QN UINT64_C(1000000)
#define QN_SUPPLY_UQN                                                                              \
    (UINT64_C(21000000) * QN_UQN_PER_QN) /* all that ever exists, at genesis in `unissued` */

struct qn_amount {
    uint64_t uqn;
};

#define QN_UQN(n) ((struct qn_amount){ (n) })

/* Results above QN_SUPPLY_UQN or below zero: QN_E_OVERFLOW, QN_E_FUNDS. */
QN_CHECK qn_rc qn_amount_add(struct qn_amount a, struct qn_amount b, struct qn_amount *ret);
QN_CHECK qn_rc qn_amount_sub(struct qn_amount a, struct qn_amount b, struct qn_amount *ret);
/* qn_amount_ppm returns floor(a * ppm / 10^6), ppm <= 10^6. */
struct qn_amount qn_amount_ppm(struct qn_amount a, uint32_t ppm);

/* qn_amount_parse reads "12", "2.5QN", "0.000001 QN", "300uqn"; a bare number is QN. At most six
 * decimals. QN_E_RANGE when it is more than all that exists, QN_E_FORMAT on anything else. */
QN_CHECK qn_rc qn_amount_parse(const char *text, struct qn_amount *ret);
/* qn_amount_print writes "2.500000 QN" into dst[32]. */
void qn_amount_print(struct qn_amount a, char dst[32]);

#endif
