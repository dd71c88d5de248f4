/* sign_lanes.h - Ed25519 signatures verified eight at once; what qn_verify_many (sign.h) uses where the processor can. */
#ifndef QN_CORE_CRYPTO_SIGN_LANES_H
#define QN_CORE_CRYPTO_SIGN_LANES_H

#include "core/crypto/sign.h"

/* sign_lanes_can says whether this processor has AVX-512 IFMA; without it sign_lanes_verify must not be called. */
QN_CHECK bool sign_lanes_can(void);
/* sign_lanes_verify is qn_verify_many. One signature takes as long as eight. */
void sign_lanes_verify(const struct qn_verify_item items[], size_t cnt, bool ret_ok[]);

#endif
