/* vrf.h - a verifiable random function: for a key and a text there is one output, only the key's owner can compute it, anybody can check it.
 * ECVRF-EDWARDS25519-SHA512-TAI of RFC 9381, byte for byte, on libsodium's group.
 *
 * An Ed25519 signature is no VRF: its owner can make many valid ones of a text, and pick. Public keys and points outside the prime-order
 * group are refused, which the RFC leaves open; no honest key or proof has one.
 *
 * The key may be one that signs, too: both schemes derive their nonce from the same secret, but from messages that never coincide (here a
 * curve point of 32 bytes; whatever quoin signs begins with "quoin " and is longer). */
#ifndef QN_CORE_CRYPTO_VRF_H
#define QN_CORE_CRYPTO_VRF_H

#include "core/crypto/sign.h"

#define QN_VRF_PROOF 80 /* gamma[32] | c[16] | s[32] */
#define QN_VRF_OUT   64

_Static_assert(sizeof(struct qn_vrf_proof) == QN_VRF_PROOF, "what schemas know by its size");

/* qn_vrf_prove makes the proof for alpha; its output is ret_out (may be NULL). */
void qn_vrf_prove(const struct qn_key *key, struct qn_span alpha, struct qn_vrf_proof *ret,
                  uint8_t ret_out[QN_VRF_OUT]);
/* qn_vrf_verify checks a proof and gives the output; false: it is not that key's for alpha. */
QN_CHECK bool qn_vrf_verify(const struct qn_hash *pub, struct qn_span alpha,
                            const struct qn_vrf_proof *proof, uint8_t ret_out[QN_VRF_OUT]);

/* One of many proofs; all borrowed for the call. */
struct qn_vrf_item {
    const struct qn_hash *pub;
    const struct qn_vrf_proof *proof;
    struct qn_span alpha;
};

/* qn_vrf_verify_many says of each of cnt proofs what qn_vrf_verify says of it alone, and gives the outputs of those that are good. Hand over as
 * many as there are at hand: eight share the work of one. */
void qn_vrf_verify_many(const struct qn_vrf_item items[], size_t cnt, bool ret_ok[],
                        uint8_t ret_out[][QN_VRF_OUT]);

#endif
