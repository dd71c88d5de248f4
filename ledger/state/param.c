/* param.c - reading and writing parameters. */
#include "ledger/state/param.h"

#include "ledger/state/stake.h"

#include <string.h>

static const struct qn_param_info INFO[] = {
#define PARAM(name, def, dev, min, max, doc) { #name, doc, def, dev, min, max },
#include "ledger/state/param.def"
#undef PARAM
};

_Static_assert(QN_COUNT(INFO) == QN_PARAM_CNT, "one line, one parameter");

static struct qn_span key_of(enum qn_param which, uint8_t dst[2])
{
    dst[0] = (uint8_t)(which >> 8);
    dst[1] = (uint8_t)which;
    return QN_SPAN(dst, 2);
}

uint64_t qn_param(const struct qn_view *view, enum qn_param which)
{
    struct qn_span val;
    uint8_t key[2];
    uint64_t value = INFO[which].def;
    if (qn_view_get(view, QN_TABLE_PARAM, key_of(which, key), &val))
        QN_ASSERT(qn_take_u64(&val, &value)); /* the record's only field */
    return value;
}

const struct qn_param_info *qn_param_info(enum qn_param which)
{
    QN_ASSERT(which < QN_PARAM_CNT);
    return &INFO[which];
}

bool qn_param_find(struct qn_span name, enum qn_param *ret)
{
    for (unsigned i = 0; i < QN_PARAM_CNT; i++) {
        if (!qn_span_eq(name, QN_SPAN_STR(INFO[i].name))) continue;
        *ret = (enum qn_param)i;
        return true;
    }
    return false;
}

void qn_param_set(struct qn_apply *ap, enum qn_param which, uint64_t value)
{
    uint8_t key[2];
    struct qn_param_row row = { .value = value };
    qn_row_put_rec(ap, QN_TABLE_PARAM, key_of(which, key), qn_param_row_record(), &row);
}

void qn_param_genesis(struct qn_apply *ap, bool dev, uint64_t epoch_ms)
{
    for (unsigned i = 0; dev && i < QN_PARAM_CNT; i++)
        if (INFO[i].dev != INFO[i].def) qn_param_set(ap, (enum qn_param)i, INFO[i].dev);
    if (epoch_ms) qn_param_set(ap, QN_PARAM_epoch_ms, epoch_ms);
}
