/* ge8.h - points of edwards25519, eight at once, a lane each, on fe8.h; for processors with AVX-512 IFMA, of which the caller has made sure.
 *
 * A chain of multiples goes over digits of GE8_BITS bits, -16 to 15: 0 to 16 times a point lie in a table, one doubling a bit takes what was
 * summed so far up, and each digit adds its entry. Sums are complete: they hold for all pairs of points, so that no lane's point, and be it
 * a hostile one, can do harm to another. Times do not depend on values, but which entry of a table is read shows in the caches: only who looks
 * at all of them (ge8_add_secret) may have secret digits. */
#ifndef QN_CORE_CRYPTO_GE8_H
#define QN_CORE_CRYPTO_GE8_H

#include "core/crypto/fe8.h"

#define GE8_LANES 8
#define GE8_BITS  5  /* of a digit */
#define GE8_TOP   50 /* the highest digit that scalars below 2^253 have */
#define GE8_TABLE 17

/* Little-endian: the order of the base point, 2^252 + 27742317777372353535851937790883648493; and p. */
static const uint8_t GE8_ORDER[32] = { 0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58,
                                       0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14,
                                       0,    0,    0,    0,    0,    0,    0,    0,
                                       0,    0,    0,    0,    0,    0,    0,    0x10 };
static const uint8_t GE8_P[32] = { 0xed, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                                   0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                                   0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f };

static inline bool ge8_below(const uint8_t a[32], const uint8_t b[32])
{
    for (int i = 31; i >= 0; i--)
        if (a[i] != b[i]) return a[i] < b[i];
    return false;
}

static const struct {
    uint64_t d[5], d2[5], root[5]; /* of the curve, ge8_twice that, a square root of -1 */
} GE8_CURVE = {
    { 0xb4dca135978a3, 0x4d4141d8ab75e, 0x779e89800700a, 0xfe738cc740797, 0x52036cee2b6f },
    { 0x69b9426b2f159, 0x9a8283b156ebd, 0xef3d13000e014, 0xfce7198e80f2e, 0x2406d9dc56df },
    { 0xe1b274a0ea0b0, 0x06ad2fe478c4e, 0xdfbd7a72f4318, 0xdf0b2b4d00993, 0x2b8324804fc1 },
};

/* Extended: x = X / Z, y = Y / Z, T = XY / Z. */
struct ge8 {
    struct fe8 x, y, z, t;
};

/* What is added: y + x, y - x, 2dxy, each times Z, and 2Z. */
struct ge8_sum {
    struct fe8 plus, minus, t2d, z2;
};

/* --- points --------------------------------------------------------------------------------------------------------- */

FE8_INLINE void ge8_limbs(struct fe8 *r, const uint64_t limbs[5])
{
    for (int i = 0; i < 5; i++)
        r->v[i] = FE8_ALL(limbs[i]);
}

FE8_INLINE void ge8_small(struct fe8 *r, uint64_t x)
{
    const uint64_t limbs[5] = { x };
    ge8_limbs(r, limbs);
}

/* Twice p; its T only if somebody asks for it, since doubling has no use for it. dbl-2008-hwcd for a = -1, with all of E to H negated where
 * that saves a sign. */
FE8_CALL void ge8_twice(struct ge8 *p, bool with_t)
{
    fe8_vec a[5], b[5], c[5], e[5], f[5], g[5], h[5];
    struct fe8 e_, f_, g_, h_;
    fe8_sq_raw(a, p->x.v);
    fe8_sq_raw(b, p->y.v);
    fe8_sq_raw(c, p->z.v);
    fe8_mul_raw(e, p->x.v, p->y.v);
#pragma GCC unroll 5
    for (int i = 0; i < 5; i++) {
        h[i] = a[i] + b[i];
        e[i] += e[i];
        a[i] -= b[i];
        g[i] = FE8_BIAS(i) - a[i];
        f[i] = FE8_BIAS(i) + a[i] + (c[i] + c[i]);
    }
    fe8_carry(&e_, e);
    fe8_carry(&f_, f);
    fe8_carry(&g_, g);
    fe8_carry(&h_, h);
    fe8_mul(&p->x, &e_, &f_);
    fe8_mul(&p->y, &g_, &h_);
    fe8_mul(&p->z, &f_, &g_);
    if (with_t) fe8_mul(&p->t, &e_, &h_);
}

/* p + q, or p - q in the lanes of minus, for which q's first two have changed places already. add-2008-hwcd-3, which is complete: it holds for
 * all pairs of points, those of small order, equal ones and opposites among them. z2 NULL: that of 1. */
FE8_INLINE void ge8_add(struct ge8 *p, const struct fe8 *plus, const struct fe8 *less,
                        const struct fe8 *t2d, const struct fe8 *z2, __mmask8 minus, bool with_t)
{
    fe8_vec a[5], b[5], c[5], d[5], e[5], f[5], g[5], h[5];
    struct fe8 e_, f_, g_, h_;
    fe8_sub(&e_, p->y.v, p->x.v);
    fe8_add(&h_, p->y.v, p->x.v);
    fe8_mul_raw(a, e_.v, less->v);
    fe8_mul_raw(b, h_.v, plus->v);
    fe8_mul_raw(c, p->t.v, t2d->v);
    if (z2) fe8_mul_raw(d, p->z.v, z2->v);
#pragma GCC unroll 5
    for (int i = 0; i < 5; i++) {
        if (!z2) d[i] = p->z.v[i] + p->z.v[i];
        e[i] = b[i] + FE8_BIAS(i) - a[i];
        h[i] = b[i] + a[i];
        f[i] = d[i] + FE8_BIAS(i) - c[i];
        g[i] = d[i] + c[i];
    }
    fe8_carry(&e_, e);
    fe8_carry(&h_, h);
    fe8_carry(&f_, f);
    fe8_carry(&g_, g);
    struct fe8 swap = f_;
    fe8_pick(&f_, minus, &f_, &g_);
    fe8_pick(&g_, minus, &g_, &swap);
    fe8_mul(&p->x, &e_, &f_);
    fe8_mul(&p->y, &g_, &h_);
    fe8_mul(&p->z, &f_, &g_);
    if (with_t) fe8_mul(&p->t, &e_, &h_);
}

FE8_CALL void ge8_to_sum(struct ge8_sum *r, const struct ge8 *p)
{
    struct fe8 d2;
    ge8_limbs(&d2, GE8_CURVE.d2);
    fe8_add(&r->plus, p->y.v, p->x.v);
    fe8_sub(&r->minus, p->y.v, p->x.v);
    fe8_mul(&r->t2d, &p->t, &d2);
    fe8_add(&r->z2, p->z.v, p->z.v);
}

/* 0 to 16 times p, whose Z is 1. */
FE8_CALL void ge8_fill(struct ge8_sum table[GE8_TABLE], const struct ge8 *p)
{
    struct ge8 at = *p;
    ge8_small(&table[0].plus, 1);
    ge8_small(&table[0].minus, 1);
    ge8_small(&table[0].t2d, 0);
    ge8_small(&table[0].z2, 2);
    ge8_to_sum(&table[1], &at);
    for (int i = 2; i < GE8_TABLE; i++) {
        ge8_add(&at, &table[1].plus, &table[1].minus, &table[1].t2d, NULL, 0, true);
        ge8_to_sum(&table[i], &at);
    }
}

/* The point that 32 bytes are, or in the lanes of minus its opposite; 0 in the lanes whose bytes are none; says which are one. y of p and more,
 * and minus zero, are the caller's to refuse. x = (u / v)^(1/2) with u = y^2 - 1, v = dy^2 + 1, which is not 0; RFC 8032, 5.1.3. */
FE8_CALL __mmask8 ge8_open(struct ge8 *r, const uint8_t *const src[GE8_LANES], __mmask8 minus)
{
    struct fe8 one, zero, d, root, u, v, v3, x, x2, t;
    __mmask8 sign = minus;
    ge8_small(&zero, 0);
    ge8_small(&one, 1);
    ge8_limbs(&d, GE8_CURVE.d);
    ge8_limbs(&root, GE8_CURVE.root);
    fe8_read(&r->y, src);
    for (int l = 0; l < GE8_LANES; l++)
        sign ^= (__mmask8)(src[l][31] >> 7 << l);
    fe8_sq(&u, &r->y, 1);
    fe8_mul(&v, &u, &d);
    fe8_sub(&u, u.v, one.v);
    fe8_add(&v, v.v, one.v);
    fe8_sq(&t, &v, 1);
    fe8_mul(&v3, &t, &v);
    fe8_sq(&t, &v3, 1);
    fe8_mul(&t, &t, &v);
    fe8_mul(&t, &t, &u); /* u v^7 */
    fe8_root(&t, &t);
    fe8_mul(&t, &t, &v3);
    fe8_mul(&x, &t, &u);
    fe8_sq(&t, &x, 1);
    fe8_mul(&t, &t, &v); /* u, or -u, or there is no root */
    fe8_freeze(&x2, &t);
    fe8_freeze(&t, &u);
    __mmask8 is = fe8_same(&x2, &t);
    fe8_sub(&u, zero.v, u.v);
    fe8_freeze(&t, &u);
    __mmask8 is_minus = fe8_same(&x2, &t);
    fe8_mul(&t, &x, &root);
    fe8_pick(&x, is_minus, &x, &t);
    is |= is_minus;
    fe8_freeze(&x, &x);
    __mmask8 odd = _mm512_test_epi64_mask((__m512i)x.v[0], _mm512_set1_epi64(1));
    fe8_sub(&t, zero.v, x.v);
    fe8_pick(&x, odd ^ sign, &x, &t);
    fe8_pick(&r->x, is, &zero, &x);
    fe8_pick(&r->y, is, &one, &r->y);
    r->z = one;
    fe8_mul(&r->t, &r->x, &r->y);
    return is;
}

/* --- digits ---------------------------------------------------------------------------------------------------------- */

/* Of a scalar below 2^253, a lane's digits: what is half or more of a digit's range is taken from the next instead. */
static inline void ge8_cut(int8_t digits[GE8_TOP + 1][GE8_LANES], int lane, const uint8_t h[32])
{
    int carry = 0;
    for (int i = 0; i <= GE8_TOP; i++) {
        int bit = i * GE8_BITS, two = h[bit / 8] | (bit / 8 < 31 ? h[bit / 8 + 1] << 8 : 0);
        int x = (two >> bit % 8 & 31) + carry;
        carry = (x + 16) >> 5; /* no branch: a prover's are secret */
        digits[i][lane] = (int8_t)(x - 32 * carry);
    }
}

/* For each lane where its digit's entry of a table begins, and the lanes whose digit is negative. */
FE8_INLINE fe8_vec ge8_look(const int8_t digits[GE8_LANES], unsigned words, __mmask8 *ret_minus)
{
    __m128i few;
    memcpy(&few, digits, GE8_LANES);
    __m512i d = _mm512_cvtepi8_epi64(few);
    *ret_minus = _mm512_movepi64_mask(d);
    return (fe8_vec)_mm512_abs_epi64(d) * words;
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored                                                                     \
    "-Wsign-conversion" /* without optimisation a gather is gcc's macro */
FE8_INLINE void ge8_gather(struct fe8 *r, fe8_vec at, const uint64_t *table, int step)
{
#pragma GCC unroll 5
    for (int i = 0; i < 5; i++)
        r->v[i] = (fe8_vec)_mm512_i64gather_epi64((__m512i)at, table + i * step, 8);
}
#pragma GCC diagnostic pop

FE8_CALL void ge8_add_digit(struct ge8 *p, const struct ge8_sum table[GE8_TABLE],
                            const int8_t digits[GE8_LANES], bool with_t)
{
    const uint64_t *words = (const uint64_t *)table;
    struct fe8 plus, less, t2d, z2;
    __mmask8 minus;
    fe8_vec at = ge8_look(digits, sizeof *table / 8, &minus) + (fe8_vec){ 0, 1, 2, 3, 4, 5, 6, 7 };
    fe8_vec swap = (fe8_vec)_mm512_maskz_set1_epi64(minus, 5 * GE8_LANES);
    ge8_gather(&plus, at + swap, words, GE8_LANES);
    ge8_gather(&less, at + 5 * GE8_LANES - swap, words, GE8_LANES);
    ge8_gather(&t2d, at, words + (2 * 5 * GE8_LANES), GE8_LANES);
    ge8_gather(&z2, at, words + (3 * 5 * GE8_LANES), GE8_LANES);
    ge8_add(p, &plus, &less, &t2d, &z2, minus, with_t);
}

/* As ge8_add_digit, and reads the whole table: without masked reads, of which a processor may leave out what the mask does. */
FE8_CALL void ge8_add_secret(struct ge8 *p, const struct ge8_sum table[GE8_TABLE],
                             const int8_t digits[GE8_LANES], bool with_t)
{
    __mmask8 minus;
    struct ge8_sum s;
    fe8_vec no = ge8_look(digits, 1, &minus), *at = (fe8_vec *)&s;
    memset(&s, 0, sizeof s);
    for (unsigned i = 0; i < GE8_TABLE; i++) {
        const fe8_vec *from = (const fe8_vec *)&table[i], is = (fe8_vec)(no == FE8_ALL(i));
#pragma GCC unroll 20
        for (unsigned k = 0; k < sizeof s / sizeof *at; k++)
            at[k] |= from[k] & is;
    }
    struct fe8 plus, less;
    fe8_pick(&plus, minus, &s.plus, &s.minus);
    fe8_pick(&less, minus, &s.minus, &s.plus);
    ge8_add(p, &plus, &less, &s.t2d, &s.z2, minus, with_t);
}

#endif
