/* dice.h - keyed hashes and draws of one machine: the same key gives the same draws again (simulations), and who does not know the
 * key foresees none (SipHash-2-4). */
#ifndef QN_NET_LINK_DICE_H
#define QN_NET_LINK_DICE_H

#include "core/base/span.h"

struct net_dice {
    uint8_t key[16];
    uint64_t cnt; /* draws so far */
};

void net_dice_init(struct net_dice *dice, struct qn_span seed);
/* net_dice_hash is a keyed hash of bytes; it moves nothing. */
uint64_t net_dice_hash(const struct net_dice *dice, struct qn_span bytes);
/* net_dice_hash3 hashes three numbers, `what` telling uses apart. */
uint64_t net_dice_hash3(const struct net_dice *dice, uint64_t what, uint64_t a, uint64_t b);
/* net_dice_draw gives the next 64 bits, net_dice_below one of 0 .. max - 1 (max > 0). */
uint64_t net_dice_draw(struct net_dice *dice);
uint32_t net_dice_below(struct net_dice *dice, uint32_t max);

#endif
