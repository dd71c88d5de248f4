/* sign_many.c - many signatures at once, each with libsodium's verdict. */
#include "core/crypto/sign.h"

void qn_verify_many(const struct qn_verify_item items[], size_t cnt, bool ret_ok[])
{
    for (size_t i = 0; i < cnt; i++)
        ret_ok[i] = qn_verify(items[i].pub, items[i].msg, items[i].sig);
}
