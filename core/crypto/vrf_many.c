/* vrf_many.c - many proofs at once: in lanes where the processor has them. */
#include "core/crypto/vrf_lanes.h"

void qn_vrf_verify_many(const struct qn_vrf_item items[], size_t cnt, bool ret_ok[],
                        uint8_t ret_out[][QN_VRF_OUT])
{
    if (cnt >= 2 && vrf_lanes_can()) {
        vrf_lanes_verify(items, cnt, ret_ok, ret_out);
        return;
    }
    for (size_t i = 0; i < cnt; i++)
        ret_ok[i] = qn_vrf_verify(items[i].pub, items[i].alpha, items[i].proof, ret_out[i]);
}
