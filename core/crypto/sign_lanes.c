/* sign_lanes.c - Ed25519 signatures, one a lane; each with the verdict of libsodium 1.0.18's crypto_sign_verify_detached:
 *
 *   S below the order of the base point; y of A below p; neither A nor R one of the points of order 1, 2, 4, 8 (their y, whatever the sign bit);
 *   A on the curve; and the bytes of R those of SB - hA, with h = SHA-512(R | A | M) reduced. No cofactor, and no equation over several.
 *
 * A lane is a signature from its bytes to its verdict: what is wrong with one is masked out and cannot reach another. All is public, so that
 * nothing takes the same time; but all lanes take the same steps: -A is opened, 1 to 16 times it laid in a table, and one chain of 250 doublings
 * adds every 5 bits of h from there and every 8 bits of S from a table of B.
 *
 * The limit: 250 doublings of 3 products and 4 squarings, 83 sums of 7 to 9 products, 250 squarings for the root of A, as many for the
 * inverse that up to GROUPS groups share; about 2,700 products of about 75 instructions, two of which a core begins in a cycle: 100,000 cycles
 * for eight. */
#include "core/crypto/sign_lanes.h"

#ifdef __x86_64__

#include "core/crypto/ge8.h"
#include "core/crypto/sha512x8.h"
#include "core/crypto/sign_base.h"

#include <sodium.h>

#define LANES  GE8_LANES
#define GROUPS 8  /* that share an inversion */
#define B_BITS 8  /* a digit of S: -128 to 127 */
#define B_TOP  31 /* the highest one */

/* Eight signatures on their way. */
struct group {
    struct ge8 at;   /* SB - hA */
    struct fe8 r;    /* y of R as its bytes have it */
    __mmask8 r_sign; /* the sign bit of R */
    __mmask8 fit;    /* lanes in which nothing was wrong */
};

/* --- digits ---------------------------------------------------------------------------------------------------------- */

struct digits {
    int8_t a[GE8_TOP + 1][LANES]; /* of h */
    int8_t b[B_TOP + 1][LANES];   /* of S */
};

/* Of a scalar below 2^253, as ge8_cut. */
static void cut_s(struct digits *d, int lane, const uint8_t s[32])
{
    int carry = 0;
    for (int i = 0; i <= B_TOP; i++) {
        int x = s[i] + carry;
        carry = x >= 128;
        d->b[i][lane] = (int8_t)(x - 256 * carry);
    }
}

FE8_CALL void add_b(struct ge8 *p, const int8_t digits[LANES], bool with_t)
{
    struct fe8 plus, less, t2d;
    __mmask8 minus;
    fe8_vec at = ge8_look(digits, sizeof SIGN_BASE[0] / 8, &minus);
    fe8_vec swap = (fe8_vec)_mm512_maskz_set1_epi64(minus, 5);
    ge8_gather(&plus, at + swap, SIGN_BASE[0], 1);
    ge8_gather(&less, at + 5 - swap, SIGN_BASE[0], 1);
    ge8_gather(&t2d, at, SIGN_BASE[0] + 10, 1);
    ge8_add(p, &plus, &less, &t2d, NULL, minus, with_t);
}

/* --- signatures ------------------------------------------------------------------------------------------------------ */

/* Bytes that libsodium lets be neither a key nor an R. */
static bool is_small(const uint8_t p[32])
{
    /* y of the points of order 4, 1, 8, 8, 2; and of the first two once more, p larger */
    static const uint8_t SMALL[7][32] = {
        { 0 },
        { 1 },
        { 0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4,
          0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6,
          0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05 },
        { 0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b,
          0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39,
          0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a },
        { 0xec, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
          0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
          0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f },
        { 0xed, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
          0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
          0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f },
        { 0xee, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
          0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
          0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f },
    };
    for (int i = 0; i < 7; i++)
        if (memcmp(p, SMALL[i], 31) == 0 && (p[31] & 0x7f) == SMALL[i][31]) return true;
    return false;
}

/* What can be said of a signature from its bytes alone. */
static bool may_be_good(const struct qn_verify_item *item)
{
    uint8_t y[32];
    memcpy(y, item->pub->b, 32);
    y[31] &= 0x7f;
    return ge8_below(item->sig->b + 32, GE8_ORDER) && !is_small(item->sig->b) &&
           ge8_below(y, GE8_P) && !is_small(y);
}

/* cnt is 1 to LANES; lanes beyond repeat the first. */
FE8_CALL void run(struct group *g, const struct qn_verify_item items[], size_t cnt)
{
    struct ge8_sum table[GE8_TABLE];
    struct digits digits;
    struct ge8 key, *at = &g->at;
    struct sha512x8_input in[LANES];
    const uint8_t *pubs[LANES], *rs[LANES];
    uint8_t wide[LANES][64], h[32];
    memset(&digits, 0, sizeof digits);
    g->fit = g->r_sign = 0;
    for (size_t l = 0; l < LANES; l++) {
        const struct qn_verify_item *item = &items[l < cnt ? l : 0];
        pubs[l] = item->pub->b;
        rs[l] = item->sig->b;
        g->r_sign |= (__mmask8)(rs[l][31] >> 7 << l);
        g->fit |= (__mmask8)((l < cnt && may_be_good(item)) << l);
        in[l] = (struct sha512x8_input){ { QN_SPAN(rs[l], 32), QN_SPAN(pubs[l], 32), item->msg } };
    }
    sha512x8(in, wide);
    for (int l = 0; l < LANES; l++) {
        if (!(g->fit >> l & 1)) continue; /* its digits stay 0 */
        crypto_core_ed25519_scalar_reduce(h, wide[l]);
        ge8_cut(digits.a, l, h);
        cut_s(&digits, l, rs[l] + 32);
    }
    fe8_read(&g->r, rs);
    g->fit &= ge8_open(&key, pubs, 0xff);
    ge8_fill(table, &key);
    ge8_small(&at->x, 0);
    ge8_small(&at->y, 1);
    at->z = at->y;
    at->t = at->x;
    ge8_add_digit(at, table, digits.a[GE8_TOP], false);
    for (int bit = GE8_TOP * GE8_BITS - 1; bit >= 0; bit--) {
        bool a = bit % GE8_BITS == 0, b = bit % B_BITS == 0;
        ge8_twice(at, a || b);
        if (a) ge8_add_digit(at, table, digits.a[bit / GE8_BITS], b);
        if (b) add_b(at, digits.b[bit / B_BITS], false);
    }
}

/* The bytes of the points beside those of R. One inversion for all: no Z is 0, whatever a lane holds. */
FE8_CALL void judge(const struct group groups[], size_t cnt, __mmask8 ret_good[])
{
    struct fe8 upto[GROUPS], inv, z, x, y; /* upto[i]: the product of Z of groups 0 to i */
    upto[0] = groups[0].at.z;
    for (size_t i = 1; i < cnt; i++)
        fe8_mul(&upto[i], &upto[i - 1], &groups[i].at.z);
    fe8_invert(&inv, &upto[cnt - 1]);
    for (size_t i = cnt; i-- > 0;) {
        const struct group *g = &groups[i];
        z = inv;
        if (i) {
            fe8_mul(&z, &inv, &upto[i - 1]);
            fe8_mul(&inv, &inv, &g->at.z);
        }
        fe8_mul(&x, &g->at.x, &z);
        fe8_mul(&y, &g->at.y, &z);
        fe8_freeze(&x, &x);
        fe8_freeze(&y, &y);
        __mmask8 odd = _mm512_test_epi64_mask((__m512i)x.v[0], _mm512_set1_epi64(1));
        ret_good[i] = g->fit & fe8_same(&y, &g->r) & (__mmask8) ~(odd ^ g->r_sign);
    }
}

bool sign_lanes_can(void)
{
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512ifma");
}

FE8_CODE void sign_lanes_verify(const struct qn_verify_item items[], size_t cnt, bool ret_ok[])
{
    struct group groups[GROUPS];
    __mmask8 good[GROUPS];
    while (cnt) {
        size_t now = QN_MIN(cnt, (size_t)GROUPS * LANES), n = (now + LANES - 1) / LANES;
        for (size_t i = 0; i < n; i++)
            run(&groups[i], items + i * LANES, QN_MIN(now - i * LANES, (size_t)LANES));
        judge(groups, n, good);
        for (size_t i = 0; i < now; i++)
            ret_ok[i] = good[i / LANES] >> i % LANES & 1;
        items += now;
        ret_ok += now;
        cnt -= now;
    }
}

#else

bool sign_lanes_can(void)
{
    return false;
}

void sign_lanes_verify(const struct qn_verify_item items[], size_t cnt, bool ret_ok[])
{
    (void)items, (void)cnt, (void)ret_ok;
    QN_BUG("no lanes on this processor");
}

#endif
