/* quorum.c - thresholds from weights. */
#include "ledger/bft/quorum.h"

#define SMALL_SET    21
#define FAST_PPM_MAX 200000

struct qn_quorum qn_quorum_of(const uint64_t *weights, uint32_t cnt, uint32_t fast_ppm)
{
    struct qn_quorum r = { 0 };
    QN_ASSERT(cnt >= 1 && cnt <= QN_SET_MAX && fast_ppm <= FAST_PPM_MAX);
    for (uint32_t i = 0; i < cnt; i++) {
        QN_ASSERT(weights[i] >= 1 && weights[i] <= (UINT64_C(1) << 62) - r.all);
        r.all += weights[i];
    }
    bool exact = cnt < SMALL_SET || qn_muldiv(r.all, fast_ppm, 1000000, &r.missing);
    QN_ASSERT(exact);
    r.traitors = (r.all - 1 - 2 * r.missing) / 3;
    r.q = r.all - r.traitors - r.missing;
    r.fast = r.all - r.missing;
    r.weak = r.traitors + r.missing + 1;
    QN_ASSERT(3 * r.traitors + 2 * r.missing < r.all);
    return r;
}
