/* amount.c - checked money. */
#include "core/base/amount.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

qn_rc qn_amount_add(struct qn_amount a, struct qn_amount b, struct qn_amount *ret)
{
    if (a.uqn > QN_SUPPLY_UQN || b.uqn > QN_SUPPLY_UQN - a.uqn) return QN_E_OVERFLOW;
    ret->uqn = a.uqn + b.uqn;
    return QN_OK;
}

qn_rc qn_amount_sub(struct qn_amount a, struct qn_amount b, struct qn_amount *ret)
{
    if (b.uqn > a.uqn) return QN_E_FUNDS;
    ret->uqn = a.uqn - b.uqn;
    return QN_OK;
}

struct qn_amount qn_amount_ppm(struct qn_amount a, uint32_t ppm)
{
    QN_ASSERT(ppm <= 1000000);
    uint64_t uqn;
    QN_ASSERT(qn_muldiv(a.uqn, ppm, 1000000, &uqn));
    return QN_UQN(uqn);
}

qn_rc qn_amount_parse(const char *text, struct qn_amount *ret)
{
    uint64_t whole = 0, frac = 0, unit = QN_UQN_PER_QN;
    size_t i = 0;
    for (; text[i] >= '0' && text[i] <= '9'; i++)
        if (whole <= QN_SUPPLY_UQN) whole = whole * 10 + (uint64_t)(text[i] - '0');
    if (i == 0) return QN_E_FORMAT;
    bool has_frac = text[i] == '.';
    if (has_frac) {
        uint64_t place = QN_UQN_PER_QN;
        for (i++; text[i] >= '0' && text[i] <= '9'; i++) {
            place /= 10;
            if (place == 0) return QN_E_FORMAT;
            frac += place * (uint64_t)(text[i] - '0');
        }
    }
    if (text[i] == ' ') i++;
    if (strcasecmp(text + i, "uqn") == 0) {
        if (has_frac) return QN_E_FORMAT;
        unit = 1;
    } else if (text[i] && strcasecmp(text + i, "qn") != 0) {
        return QN_E_FORMAT;
    }
    if (whole > QN_SUPPLY_UQN / unit) return QN_E_RANGE;
    ret->uqn = whole * unit + frac;
    return ret->uqn > QN_SUPPLY_UQN ? QN_E_RANGE : QN_OK;
}

void qn_amount_print(struct qn_amount a, char dst[32])
{
    snprintf(dst, 32, "%" PRIu64 ".%06" PRIu64 " QN", a.uqn / QN_UQN_PER_QN, a.uqn % QN_UQN_PER_QN);
}
