/* vrf_lanes.h - VRF proofs checked eight at once; what vrf.h uses where the processor can. Only vrf_lanes_draw may be told secrets. */
#ifndef QN_CORE_CRYPTO_VRF_LANES_H
#define QN_CORE_CRYPTO_VRF_LANES_H

#include "core/crypto/vrf.h"

/* vrf_lanes_can says whether this processor has AVX-512 IFMA; without it the others must not be called. */
QN_CHECK bool vrf_lanes_can(void);
/* vrf_lanes_verify is qn_vrf_verify_many. One proof takes a third of the time of eight. */
void vrf_lanes_verify(const struct qn_vrf_item items[], size_t cnt, bool ret_ok[],
                      uint8_t ret_out[][QN_VRF_OUT]);
/* x and y of a point, as fe8.h has them. */
struct vrf_flat {
    uint64_t x[5], y[5];
};

/* vrf_lanes_curve is what a key and a text are hashed to, on the curve. */
void vrf_lanes_curve(const struct qn_hash *pub, struct qn_span alpha, uint8_t ret[32],
                     struct vrf_flat *ret_flat);
/* vrf_lanes_draw is a prover's part: Gamma = xH, U = kB, V = kH, and 8 Gamma; x and k are below L, and secret. */
struct vrf_drawn {
    uint8_t gamma[32], u[32], v[32], gamma8[32];
};
void vrf_lanes_draw(const struct vrf_flat *h, const uint8_t x[32], const uint8_t k[32],
                    struct vrf_drawn *ret);
/* vrf_plain_verify is qn_vrf_verify on libsodium alone, vrf_plain_prove qn_vrf_prove. */
QN_CHECK bool vrf_plain_verify(const struct qn_hash *pub, struct qn_span alpha,
                               const struct qn_vrf_proof *proof, uint8_t ret_out[QN_VRF_OUT]);
void vrf_plain_prove(const struct qn_key *key, struct qn_span alpha, struct qn_vrf_proof *ret,
                     uint8_t ret_out[QN_VRF_OUT]);

/* What both ways share. RFC 8032, 5.1.3: y below p, and no minus zero. Of RFC 9381 the texts that are hashed: 5.4.1.1, what comes before alpha, and
 * after; 5.4.3, for Y, H, Gamma, U, V; 5.2, for 8 Gamma. */
#define VRF_BEFORE    34
#define VRF_AFTER     2
#define VRF_CHALLENGE 163
#define VRF_OUTPUT    35
QN_CHECK bool vrf_canonical(const uint8_t p[32]);
void vrf_before_text(const struct qn_hash *pub, uint8_t ret[VRF_BEFORE]);
void vrf_after_text(unsigned ctr, uint8_t ret[VRF_AFTER]);
void vrf_challenge_text(const uint8_t *const points[5], uint8_t ret[VRF_CHALLENGE]);
void vrf_output_text(const uint8_t gamma8[32], uint8_t ret[VRF_OUTPUT]);
/* vrf_try, on libsodium, is the hash whose first half may be a point; vrf_challenge gives 16 bytes. */
void vrf_try(const struct qn_hash *pub, struct qn_span alpha, unsigned ctr, uint8_t ret[64]);
void vrf_challenge(const uint8_t *const points[5], uint8_t ret[16]);

#endif
