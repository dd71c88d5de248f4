/* dice.c - SipHash as hash and as generator. */
#include "net/link/dice.h"

#include "core/crypto/hash.h"

#include <sodium.h>
#include <string.h>

void net_dice_init(struct net_dice *dice, struct qn_span seed)
{
    struct qn_hash h = qn_h("net dice", seed.ptr, seed.len);
    *dice = (struct net_dice){ 0 };
    memcpy(dice->key, h.b, sizeof dice->key);
}

uint64_t net_dice_hash(const struct net_dice *dice, struct qn_span bytes)
{
    uint64_t v;
    _Static_assert(crypto_shorthash_BYTES == sizeof v, "SipHash-2-4");
    crypto_shorthash((unsigned char *)&v, bytes.ptr, bytes.len, dice->key);
    return v;
}

uint64_t net_dice_hash3(const struct net_dice *dice, uint64_t what, uint64_t a, uint64_t b)
{
    uint64_t in[3] = { what, a, b };
    return net_dice_hash(dice, QN_SPAN_OF(in));
}

uint64_t net_dice_draw(struct net_dice *dice)
{
    return net_dice_hash3(dice, UINT64_C(0x64726177), dice->cnt++, 0);
}

uint32_t net_dice_below(struct net_dice *dice, uint32_t max)
{
    QN_ASSERT(max > 0);
    return (uint32_t)((net_dice_draw(dice) >> 32) * max >> 32);
}
