/* beacon.c - hashing the beacon on. */
#include "ledger/bft/beacon.h"

#include "core/crypto/hash.h"

#include <string.h>

#define TEXT 85

static struct qn_span text(const struct qn_hash *chain, const struct qn_hash *before,
                           uint64_t height, uint8_t dst[TEXT])
{
    memcpy(dst, "quoin beacon", 13);
    memcpy(dst + 13, chain->b, 32);
    memcpy(dst + 45, before->b, 32);
    for (int i = 0; i < 8; i++)
        dst[77 + i] = (uint8_t)(height >> (8 * i));
    return QN_SPAN(dst, TEXT);
}

static struct qn_hash next(const struct qn_hash *before, const uint8_t out[QN_VRF_OUT])
{
    uint8_t buf[32 + QN_VRF_OUT];
    memcpy(buf, before->b, 32);
    memcpy(buf + 32, out, QN_VRF_OUT);
    return qn_h("beacon", buf, sizeof buf);
}

void qn_beacon_prove(const struct qn_key *key, const struct qn_hash *chain,
                     const struct qn_hash *before, uint64_t height, struct qn_vrf_proof *ret,
                     struct qn_hash *ret_beacon)
{
    uint8_t buf[TEXT], out[QN_VRF_OUT];
    qn_vrf_prove(key, text(chain, before, height, buf), ret, out);
    *ret_beacon = next(before, out);
}

bool qn_beacon_check(const struct qn_hash *pub, const struct qn_hash *chain,
                     const struct qn_hash *before, uint64_t height,
                     const struct qn_vrf_proof *proof, struct qn_hash *ret_beacon)
{
    uint8_t buf[TEXT], out[QN_VRF_OUT];
    if (!qn_vrf_verify(pub, text(chain, before, height, buf), proof, out)) return false;
    *ret_beacon = next(before, out);
    return true;
}
