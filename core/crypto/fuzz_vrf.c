/* fuzz_vrf.c - proofs as peers send them: key[32] | proof[80] | alpha. What verifies as it is, or for the key of that seed, verifies for no
 * other bit; alone, beside others and on libsodium alone. */
#include "core/crypto/vrf_lanes.h"

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
    const struct qn_vrf_item three[] = { { &pub, &pi, alpha },
                                         { &pub, &pi, alpha },
                                         { &pub, &pi, alpha } };
    uint8_t outs[3][QN_VRF_OUT];
    bool many[3], good = qn_vrf_verify(&pub, alpha, &pi, out);
    qn_vrf_verify_many(three, 3, many, outs);
    QN_ASSERT(vrf_plain_verify(&pub, alpha, &pi, again) == good);
    for (int i = 0; i < 3; i++) {
        QN_ASSERT(many[i] == good);
        QN_ASSERT(!good ||
                  (memcmp(out, outs[i], sizeof out) == 0 && memcmp(out, again, sizeof out) == 0));
    }
    pi.b[size % sizeof pi] ^= 1;
    QN_ASSERT(!good || !qn_vrf_verify(&pub, alpha, &pi, again));
    qn_key_from_seed(pub.b, &key);
    qn_vrf_prove(&key, alpha, &pi, out);
    QN_ASSERT(qn_vrf_verify(&key.pub, alpha, &pi, again));
    QN_ASSERT(memcmp(out, again, sizeof out) == 0);
    return 0;
}
