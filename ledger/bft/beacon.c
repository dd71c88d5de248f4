/* beacon.c - hashing the beacon on. */
#include "ledger/bft/beacon.h"

#include "core/crypto/hash.h"

#include <string.h>

#define TEXT    85
#define AT_ONCE 32

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

void qn_beacon_check_many(const struct qn_beacon_draw draws[], size_t cnt,
                          const struct qn_hash *chain, bool ret_ok[], struct qn_hash ret_beacon[])
{
    struct qn_vrf_item items[AT_ONCE];
    uint8_t buf[AT_ONCE][TEXT], out[AT_ONCE][QN_VRF_OUT];
    for (size_t from = 0, n; from < cnt; from += n) {
        n = QN_MIN(cnt - from, (size_t)AT_ONCE);
        for (size_t i = 0; i < n; i++) {
            const struct qn_beacon_draw *d = &draws[from + i];
            items[i] =
                (struct qn_vrf_item){ d->pub, d->proof, text(chain, d->before, d->height, buf[i]) };
        }
        qn_vrf_verify_many(items, n, ret_ok + from, out);
        for (size_t i = 0; i < n; i++)
            if (ret_ok[from + i]) ret_beacon[from + i] = next(draws[from + i].before, out[i]);
    }
}
