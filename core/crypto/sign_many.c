/* sign_many.c - many signatures at once, each with libsodium's verdict: in lanes where the processor has them. */
#include "core/crypto/sign_lanes.h"

void qn_verify_many(const struct qn_verify_item items[], size_t cnt, bool ret_ok[])
{
    if (cnt >= 2 && sign_lanes_can()) {
        sign_lanes_verify(items, cnt, ret_ok);
        return;
    }
    for (size_t i = 0; i < cnt; i++)
        ret_ok[i] = qn_verify(items[i].pub, items[i].msg, items[i].sig);
}
