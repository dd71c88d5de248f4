/* vrf.c - RFC 9381, section 5, suite 3. Names as there. */
#include "core/crypto/vrf.h"

#include "core/crypto/vrf_lanes.h"

#include <sodium.h>
#include <string.h>

#define SUITE 0x03
#define C_LEN 16

static const uint8_t IDENTITY[32] = { 1 };

/* libsodium looks at the rest when it uses a point. */
bool vrf_canonical(const uint8_t p[32])
{
    static const uint8_t P[32] = { 0xed, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                                   0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                                   0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f };
    uint8_t y[32], minus_one[32];
    memcpy(y, p, 32);
    y[31] &= 0x7f;
    memcpy(minus_one, P, 32);
    minus_one[0]--;
    if (sodium_compare(y, P, 32) >= 0) return false;
    bool x_is_zero = memcmp(y, IDENTITY, 32) == 0 || memcmp(y, minus_one, 32) == 0;
    return !(x_is_zero && (p[31] & 0x80));
}

/* 8 P; false when the bytes are no point. */
static bool times_cofactor(const uint8_t p[32], uint8_t ret[32])
{
    return vrf_canonical(p) && crypto_core_ed25519_add(ret, p, p) == 0 &&
           crypto_core_ed25519_add(ret, ret, ret) == 0 &&
           crypto_core_ed25519_add(ret, ret, ret) == 0;
}

void vrf_before_text(const struct qn_hash *pub, uint8_t ret[VRF_BEFORE])
{
    ret[0] = SUITE;
    ret[1] = 0x01;
    memcpy(ret + 2, pub->b, 32);
}

void vrf_after_text(unsigned ctr, uint8_t ret[VRF_AFTER])
{
    ret[0] = (uint8_t)ctr;
    ret[1] = 0x00;
}

void vrf_challenge_text(const uint8_t *const points[5], uint8_t ret[VRF_CHALLENGE])
{
    ret[0] = SUITE;
    ret[1] = 0x02;
    for (size_t i = 0; i < 5; i++)
        memcpy(ret + 2 + 32 * i, points[i], 32);
    ret[VRF_CHALLENGE - 1] = 0x00;
}

void vrf_output_text(const uint8_t gamma8[32], uint8_t ret[VRF_OUTPUT])
{
    ret[0] = SUITE;
    ret[1] = 0x03;
    memcpy(ret + 2, gamma8, 32);
    ret[VRF_OUTPUT - 1] = 0x00;
}

void vrf_try(const struct qn_hash *pub, struct qn_span alpha, unsigned ctr, uint8_t ret[64])
{
    uint8_t before[VRF_BEFORE], after[VRF_AFTER];
    crypto_hash_sha512_state st;
    vrf_before_text(pub, before);
    vrf_after_text(ctr, after);
    crypto_hash_sha512_init(&st);
    crypto_hash_sha512_update(&st, before, sizeof before);
    crypto_hash_sha512_update(&st, alpha.ptr, alpha.len);
    crypto_hash_sha512_update(&st, after, sizeof after);
    crypto_hash_sha512_final(&st, ret);
}

/* 5.4.1.1, try and increment: half of the tries give a point. */
static void hash_to_curve(const struct qn_hash *pub, struct qn_span alpha, uint8_t ret[32])
{
    uint8_t h[64];
    for (unsigned ctr = 0; ctr < 256; ctr++) {
        vrf_try(pub, alpha, ctr, h);
        if (times_cofactor(h, ret) && memcmp(ret, IDENTITY, 32) != 0) return;
    }
    QN_BUG("256 hashes and no point: once in 2^256 texts");
}

void vrf_challenge(const uint8_t *const points[5], uint8_t ret[C_LEN])
{
    uint8_t text[VRF_CHALLENGE], out[64];
    vrf_challenge_text(points, text);
    crypto_hash_sha512(out, text, sizeof text);
    memcpy(ret, out, C_LEN);
}

static void output(const uint8_t gamma8[32], uint8_t ret[QN_VRF_OUT])
{
    uint8_t text[VRF_OUTPUT];
    vrf_output_text(gamma8, text);
    crypto_hash_sha512(ret, text, sizeof text);
}

static void plain_draw(const uint8_t h[32], const uint8_t x[32], const uint8_t k[32],
                       struct vrf_drawn *ret)
{
    QN_ASSERT(crypto_scalarmult_ed25519_noclamp(ret->gamma, x, h) == 0);
    QN_ASSERT(crypto_scalarmult_ed25519_base_noclamp(ret->u, k) == 0);
    QN_ASSERT(crypto_scalarmult_ed25519_noclamp(ret->v, k, h) == 0);
    QN_ASSERT(times_cofactor(ret->gamma, ret->gamma8));
}

static void prove(const struct qn_key *key, struct qn_span alpha, bool lanes,
                  struct qn_vrf_proof *ret, uint8_t ret_out[QN_VRF_OUT])
{
    uint8_t az[64], h[32], wide[64], k[32], x[32], c[32] = { 0 }, s[32];
    struct vrf_drawn d;
    struct vrf_flat flat;
    const uint8_t *points[] = { key->pub.b, h, d.gamma, d.u, d.v };
    crypto_hash_sha512_state st;
    if (lanes)
        vrf_lanes_curve(&key->pub, alpha, h, &flat);
    else
        hash_to_curve(&key->pub, alpha, h);
    crypto_hash_sha512(az, key->seed, 32);
    memset(wide, 0, sizeof wide);
    memcpy(wide, az, 32);
    wide[0] &= 248;
    wide[31] = (uint8_t)((wide[31] & 127) | 64);
    crypto_core_ed25519_scalar_reduce(x, wide); /* of a multiple of H that is all the same */
    crypto_hash_sha512_init(&st);               /* 5.4.2.2 */
    crypto_hash_sha512_update(&st, az + 32, 32);
    crypto_hash_sha512_update(&st, h, 32);
    crypto_hash_sha512_final(&st, wide);
    crypto_core_ed25519_scalar_reduce(k, wide);
    if (lanes)
        vrf_lanes_draw(&flat, x, k, &d);
    else
        plain_draw(h, x, k, &d);
    vrf_challenge(points, c);
    crypto_core_ed25519_scalar_mul(s, c, x);
    crypto_core_ed25519_scalar_add(s, s, k);
    memcpy(ret->b, d.gamma, 32);
    memcpy(ret->b + 32, c, C_LEN);
    memcpy(ret->b + 32 + C_LEN, s, 32);
    if (ret_out) output(d.gamma8, ret_out);
    sodium_memzero(az, sizeof az);
    sodium_memzero(wide, sizeof wide);
    sodium_memzero(k, sizeof k);
    sodium_memzero(x, sizeof x);
    sodium_memzero(&st, sizeof st);
}

void vrf_plain_prove(const struct qn_key *key, struct qn_span alpha, struct qn_vrf_proof *ret,
                     uint8_t ret_out[QN_VRF_OUT])
{
    prove(key, alpha, false, ret, ret_out);
}

void qn_vrf_prove(const struct qn_key *key, struct qn_span alpha, struct qn_vrf_proof *ret,
                  uint8_t ret_out[QN_VRF_OUT])
{
    prove(key, alpha, vrf_lanes_can(), ret, ret_out);
}

bool vrf_plain_verify(const struct qn_hash *pub, struct qn_span alpha,
                      const struct qn_vrf_proof *proof, uint8_t ret_out[QN_VRF_OUT])
{
    /* The order of the group, 2^252 + 27742317777372353535851937790883648493. */
    static const uint8_t L[32] = { 0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7,
                                   0xa2, 0xde, 0xf9, 0xde, 0x14, 0,    0,    0,    0,    0,    0,
                                   0,    0,    0,    0,    0,    0,    0,    0,    0,    0x10 };
    const uint8_t *gamma = proof->b, *s = proof->b + 32 + C_LEN;
    uint8_t h[32], c[32] = { 0 }, u[32], v[32], t[32], again[C_LEN];
    const uint8_t *points[] = { pub->b, h, gamma, u, v };
    memcpy(c, proof->b + 32, C_LEN);
    if (sodium_compare(s, L, 32) >= 0) return false;
    if (!vrf_canonical(pub->b) || !crypto_core_ed25519_is_valid_point(pub->b)) return false;
    if (!vrf_canonical(gamma) || !crypto_core_ed25519_is_valid_point(gamma)) return false;
    hash_to_curve(pub, alpha, h);
    /* U = s B - c Y, V = s H - c Gamma; libsodium refuses a scalar of 0, which no honest proof has */
    if (crypto_scalarmult_ed25519_base_noclamp(u, s) ||
        crypto_scalarmult_ed25519_noclamp(t, c, pub->b) || crypto_core_ed25519_sub(u, u, t))
        return false;
    if (crypto_scalarmult_ed25519_noclamp(v, s, h) ||
        crypto_scalarmult_ed25519_noclamp(t, c, gamma) || crypto_core_ed25519_sub(v, v, t))
        return false;
    vrf_challenge(points, again);
    if (memcmp(c, again, C_LEN) != 0) return false;
    QN_ASSERT(times_cofactor(gamma, t));
    output(t, ret_out);
    return true;
}

bool qn_vrf_verify(const struct qn_hash *pub, struct qn_span alpha,
                   const struct qn_vrf_proof *proof, uint8_t ret_out[QN_VRF_OUT])
{
    const struct qn_vrf_item item = { pub, proof, alpha };
    uint8_t out[1][QN_VRF_OUT];
    bool ok;
    if (!vrf_lanes_can()) return vrf_plain_verify(pub, alpha, proof, ret_out);
    vrf_lanes_verify(&item, 1, &ok, out);
    if (ok) memcpy(ret_out, out[0], QN_VRF_OUT);
    return ok;
}
