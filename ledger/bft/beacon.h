/* beacon.h - randomness that nobody chooses. The proposer of a block shows the output of its VRF over the beacon before and the height, and the
 * beacon is hashed on: a proposer can only withhold its block, once, for the price of what the block pays, and learns one other value at
 * most. Who needs more commits first and draws from the beacon two blocks later.
 *
 *     text of the VRF   "quoin beacon" 00 | chain[32] | beacon before[32] | height u64 LE
 *     beacon            H("beacon", beacon before[32] | output[64])
 *
 * The key is the validator's consensus key (core/crypto/vrf.h says why that is safe), so that whoever knows the set can check. */
#ifndef QN_LEDGER_BFT_BEACON_H
#define QN_LEDGER_BFT_BEACON_H

#include "core/crypto/vrf.h"

/* qn_beacon_prove makes a proposer's proof and the beacon it leads to; _check gives the beacon of a proof, false for a bad one. */
void qn_beacon_prove(const struct qn_key *key, const struct qn_hash *chain,
                     const struct qn_hash *before, uint64_t height, struct qn_vrf_proof *ret,
                     struct qn_hash *ret_beacon);
QN_CHECK bool qn_beacon_check(const struct qn_hash *pub, const struct qn_hash *chain,
                              const struct qn_hash *before, uint64_t height,
                              const struct qn_vrf_proof *proof, struct qn_hash *ret_beacon);

/* A block's draw; all borrowed for the call. */
struct qn_beacon_draw {
    const struct qn_hash *pub, *before;
    uint64_t height;
    const struct qn_vrf_proof *proof;
};

/* qn_beacon_check_many is qn_beacon_check of each of cnt, side by side. */
void qn_beacon_check_many(const struct qn_beacon_draw draws[], size_t cnt,
                          const struct qn_hash *chain, bool ret_ok[], struct qn_hash ret_beacon[]);

#endif
