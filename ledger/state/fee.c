/* fee.c - what gas and bytes cost. Each has a target a block; what blocks use beyond it adds up, what they leave takes from it, and the
 * price is exponential in that excess (EIP-1559's idea in its integral form: no rounding adds up over blocks). */
#include "ledger/state/state_in.h"

#define DOUBLE_BLOCKS 8  /* full blocks (twice the target) until the price has doubled */
#define DOUBLE_MAX    30 /* doublings: a thousand million times the least price */

/* 2^(2^-k) in Q32, k = 1..16, rounded down. */
static const uint64_t ROOTS[] = {
    6074000999, 5107605667, 4683695047, 4485121743, 4389014833, 4341736423, 4318288543, 4306612133,
    4300785773, 4297875550, 4296421177, 4295694174, 4295330720, 4295149004, 4295058149, 4295012722,
};

uint64_t qn_fee_scale(uint64_t least, uint64_t excess, uint64_t target)
{
    uint64_t x, price;
    QN_ASSERT(target > 0);
    if (!qn_muldiv(excess, 1u << 16, target * DOUBLE_BLOCKS, &x)) x = UINT64_MAX;
    x = QN_MIN(x, (uint64_t)DOUBLE_MAX << 16);
    uint64_t f = UINT64_C(1) << 32; /* 2^(fraction of x), in Q32: below 2^33 */
    for (unsigned k = 0; k < QN_COUNT(ROOTS); k++)
        if (x >> (15 - k) & 1) QN_ASSERT(qn_muldiv(f, ROOTS[k], UINT64_C(1) << 32, &f));
    if (!qn_muldiv(least, f << (x >> 16), UINT64_C(1) << 32, &price)) price = UINT64_MAX;
    return price;
}

static struct qn_fee_state state_of(const struct qn_view *view)
{
    struct qn_span val;
    struct qn_fee_state s = { 0 };
    if (qn_view_get(view, QN_TABLE_META, QN_SPAN_STR("fee"), &val))
        QN_ASSERT(qn_take_u64(&val, &s.gas_excess) && qn_take_u64(&val, &s.byte_excess));
    return s;
}

struct qn_price qn_fee_price(const struct qn_view *view)
{
    struct qn_fee_state s = state_of(view);
    return (struct qn_price){
        .gas = qn_fee_scale(qn_param(view, QN_PARAM_gas_min), s.gas_excess,
                            qn_param(view, QN_PARAM_gas_target)),
        .byte = qn_fee_scale(qn_param(view, QN_PARAM_byte_min), s.byte_excess,
                             qn_param(view, QN_PARAM_byte_target)),
    };
}

/* Rounded up. */
static uint64_t cost(uint64_t price, uint64_t cnt)
{
    uint64_t whole, part;
    QN_ASSERT(cnt <= UINT32_MAX); /* gas_max is a u32, a transaction has its limit */
    if (__builtin_mul_overflow(price / 1000000, cnt, &whole)) return QN_SUPPLY_UQN;
    part = (price % 1000000 * cnt + 999999) / 1000000;
    return QN_MIN(whole, QN_SUPPLY_UQN) + part;
}

struct qn_amount qn_fee_of(const struct qn_price *price, uint64_t gas, uint64_t bytes)
{
    return QN_UQN(QN_MIN(cost(price->gas, gas) + cost(price->byte, bytes), QN_SUPPLY_UQN));
}

static uint64_t move(uint64_t excess, uint64_t used, uint64_t target)
{
    uint64_t up =
        excess + QN_MIN(used, 2 * target); /* a block's last transaction may pass its limit */
    uint64_t ret = up > target ? up - target : 0;
    return QN_MIN(ret, DOUBLE_MAX * DOUBLE_BLOCKS * target);
}

void qn_fee_end(struct qn_apply *ap, uint64_t gas, uint64_t bytes)
{
    struct qn_fee_state was = state_of(ap->view), s = was;
    s.gas_excess = move(s.gas_excess, gas, qn_param(ap->view, QN_PARAM_gas_target));
    s.byte_excess = move(s.byte_excess, bytes, qn_param(ap->view, QN_PARAM_byte_target));
    if (s.gas_excess != was.gas_excess || s.byte_excess != was.byte_excess)
        qn_row_put_rec(ap, QN_TABLE_META, QN_SPAN_STR("fee"), qn_fee_state_record(), &s);
}
