/* quorum.h - how much weight decides what (Kudzu, DISC 2025: two delays when nearly all vote, else three; one vote set).
 *
 *     W = all stake    P = what may be missing on the fast path    F = floor((W - 1 - 2P) / 3), the traitors borne: 3F + 2P < W
 *     Q = W - F - P    FAST = W - P    WEAK = F + P + 1 */
#ifndef QN_LEDGER_BFT_QUORUM_H
#define QN_LEDGER_BFT_QUORUM_H

#include "core/base/base.h"

#define QN_SET_MAX 200 /* validators of one epoch */

struct qn_quorum {
    uint64_t all, missing, traitors, q, fast, weak;
};

/* qn_quorum_of adds up weights (cnt >= 1, each >= 1, sum <= 2^62). fast_ppm is the genesis' choice of P, at most 200,000; a set of
 * fewer than 21 has P = 0: with few validators a missing one is much stake. */
struct qn_quorum qn_quorum_of(const uint64_t *weights, uint32_t cnt, uint32_t fast_ppm);

#endif
