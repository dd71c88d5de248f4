/* fuzz_vrf.c - proofs as peers send them: key[32] | proof[80] | alpha. What verifies as it is, or for the key of that seed, verifies for no
 * other bit. */
#include "core/crypto/vrf.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct qn_hash pub;
    struct qn_vrf_proof pi;
    struct qn_key key;
    uint8_t out[QN_VRF_OUT], again[QN_VRF_OUT];
    if (size < sizeof pub + sizeof pi || qn_crypto_init()) return 0;
    memcpy(pub.b, data, sizeof pub);
    memcpy(pi.b, data + sizeof pub, sizeof pi);
    struct qn_span alpha = QN_SPAN(data + sizeof pub + sizeof pi, size - sizeof pub - sizeof pi);
    bool good = qn_vrf_verify(&pub, alpha, &pi, out);
    pi.b[size % sizeof pi] ^= 1;
    QN_ASSERT(!good || !qn_vrf_verify(&pub, alpha, &pi, again));
    qn_key_from_seed(pub.b, &key);
    qn_vrf_prove(&key, alpha, &pi, out);
    QN_ASSERT(qn_vrf_verify(&key.pub, alpha, &pi, again));
    QN_ASSERT(memcmp(out, again, sizeof out) == 0);
    return 0;
}
