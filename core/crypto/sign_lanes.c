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

#include "core/crypto/fe8.h"
#include "core/crypto/sha512x8.h"
#include "core/crypto/sign_base.h"

#include <sodium.h>

#define LANES   8
#define GROUPS  8  /* that share an inversion */
#define A_BITS  5  /* a digit of h: -16 to 15 */
#define B_BITS  8  /* of S: -128 to 127 */
#define A_TOP   50 /* of the highest digits, that scalars below 2^253 have */
#define B_TOP   31
#define A_TABLE 17

static const struct {
    uint64_t d[5], d2[5], root[5]; /* of the curve, twice that, a square root of -1 */
} CURVE = {
    { 0xb4dca135978a3, 0x4d4141d8ab75e, 0x779e89800700a, 0xfe738cc740797, 0x52036cee2b6f },
    { 0x69b9426b2f159, 0x9a8283b156ebd, 0xef3d13000e014, 0xfce7198e80f2e, 0x2406d9dc56df },
    { 0xe1b274a0ea0b0, 0x06ad2fe478c4e, 0xdfbd7a72f4318, 0xdf0b2b4d00993, 0x2b8324804fc1 },
};

/* Extended: x = X / Z, y = Y / Z, T = XY / Z. */
struct point {
    struct fe8 x, y, z, t;
};

/* What is added: y + x, y - x, 2dxy, each times Z, and 2Z. */
struct summand {
    struct fe8 plus, minus, t2d, z2;
};

/* Eight signatures on their way. */
struct group {
    struct point at; /* SB - hA */
    struct fe8 r;    /* y of R as its bytes have it */
    __mmask8 r_sign; /* the sign bit of R */
    __mmask8 fit;    /* lanes in which nothing was wrong */
};

/* --- points --------------------------------------------------------------------------------------------------------- */

FE8_INLINE void set(struct fe8 *r, const uint64_t limbs[5])
{
    for (int i = 0; i < 5; i++)
        r->v[i] = FE8_ALL(limbs[i]);
}

FE8_INLINE void set_small(struct fe8 *r, uint64_t x)
{
    const uint64_t limbs[5] = { x };
    set(r, limbs);
}

/* Twice p; its T only if somebody asks for it, since doubling has no use for it. dbl-2008-hwcd for a = -1, with all of E to H negated where
 * that saves a sign. */
FE8_CALL void twice(struct point *p, bool with_t)
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
FE8_INLINE void add(struct point *p, const struct fe8 *plus, const struct fe8 *less,
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

FE8_CALL void to_summand(struct summand *r, const struct point *p)
{
    struct fe8 d2;
    set(&d2, CURVE.d2);
    fe8_add(&r->plus, p->y.v, p->x.v);
    fe8_sub(&r->minus, p->y.v, p->x.v);
    fe8_mul(&r->t2d, &p->t, &d2);
    fe8_add(&r->z2, p->z.v, p->z.v);
}

/* 0 to 16 times p, whose Z is 1. */
FE8_CALL void fill(struct summand table[A_TABLE], const struct point *p)
{
    struct point at = *p;
    set_small(&table[0].plus, 1);
    set_small(&table[0].minus, 1);
    set_small(&table[0].t2d, 0);
    set_small(&table[0].z2, 2);
    to_summand(&table[1], &at);
    for (int i = 2; i < A_TABLE; i++) {
        add(&at, &table[1].plus, &table[1].minus, &table[1].t2d, NULL, 0, true);
        to_summand(&table[i], &at);
    }
}

/* Minus the point that a key's bytes are, 0 in the lanes whose bytes are none; says which are one. x = (u / v)^(1/2) with u = y^2 - 1,
 * v = dy^2 + 1, which is not 0; RFC 8032, 5.1.3. */
FE8_CALL __mmask8 open_key(struct point *r, const uint8_t *const pub[LANES])
{
    struct fe8 one, zero, d, root, u, v, v3, x, x2, t;
    __mmask8 sign = 0;
    set_small(&zero, 0);
    set_small(&one, 1);
    set(&d, CURVE.d);
    set(&root, CURVE.root);
    fe8_read(&r->y, pub);
    for (int l = 0; l < LANES; l++)
        sign |= (__mmask8)(pub[l][31] >> 7 << l);
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
    fe8_pick(&x, (__mmask8) ~(odd ^ sign), &x,
             &t); /* the root whose sign is not the one asked for */
    fe8_pick(&r->x, is, &zero, &x);
    fe8_pick(&r->y, is, &one, &r->y);
    r->z = one;
    fe8_mul(&r->t, &r->x, &r->y);
    return is;
}

/* --- digits ---------------------------------------------------------------------------------------------------------- */

struct digits {
    int8_t a[A_TOP + 1][LANES];
    int8_t b[B_TOP + 1][LANES];
};

/* Of scalars below 2^253: what is half or more of a digit's range is taken from the next instead. */
static void cut(struct digits *d, int lane, const uint8_t h[32], const uint8_t s[32])
{
    int carry = 0;
    for (int i = 0; i <= A_TOP; i++) {
        int bit = i * A_BITS, two = h[bit / 8] | (bit / 8 < 31 ? h[bit / 8 + 1] << 8 : 0);
        int x = (two >> bit % 8 & 31) + carry;
        carry = x >= 16;
        d->a[i][lane] = (int8_t)(x - 32 * carry);
    }
    carry = 0;
    for (int i = 0; i <= B_TOP; i++) {
        int x = s[i] + carry;
        carry = x >= 128;
        d->b[i][lane] = (int8_t)(x - 256 * carry);
    }
}

/* For each lane where its digit's entry of a table begins, and the lanes whose digit is negative. */
FE8_INLINE fe8_vec look(const int8_t digits[LANES], unsigned words, __mmask8 *ret_minus)
{
    __m128i few;
    memcpy(&few, digits, LANES);
    __m512i d = _mm512_cvtepi8_epi64(few);
    *ret_minus = _mm512_movepi64_mask(d);
    return (fe8_vec)_mm512_abs_epi64(d) * words;
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored                                                                     \
    "-Wsign-conversion" /* without optimisation a gather is gcc's macro */
FE8_INLINE void gather(struct fe8 *r, fe8_vec at, const uint64_t *table, int step)
{
#pragma GCC unroll 5
    for (int i = 0; i < 5; i++)
        r->v[i] = (fe8_vec)_mm512_i64gather_epi64((__m512i)at, table + i * step, 8);
}
#pragma GCC diagnostic pop

FE8_CALL void add_a(struct point *p, const struct summand table[A_TABLE],
                    const int8_t digits[LANES], bool with_t)
{
    const uint64_t *words = (const uint64_t *)table;
    struct fe8 plus, less, t2d, z2;
    __mmask8 minus;
    fe8_vec at = look(digits, sizeof *table / 8, &minus) + (fe8_vec){ 0, 1, 2, 3, 4, 5, 6, 7 };
    fe8_vec swap = (fe8_vec)_mm512_maskz_set1_epi64(minus, 5 * LANES);
    gather(&plus, at + swap, words, LANES);
    gather(&less, at + 5 * LANES - swap, words, LANES);
    gather(&t2d, at, words + (2 * 5 * LANES), LANES);
    gather(&z2, at, words + (3 * 5 * LANES), LANES);
    add(p, &plus, &less, &t2d, &z2, minus, with_t);
}

FE8_CALL void add_b(struct point *p, const int8_t digits[LANES], bool with_t)
{
    struct fe8 plus, less, t2d;
    __mmask8 minus;
    fe8_vec at = look(digits, sizeof SIGN_BASE[0] / 8, &minus);
    fe8_vec swap = (fe8_vec)_mm512_maskz_set1_epi64(minus, 5);
    gather(&plus, at + swap, SIGN_BASE[0], 1);
    gather(&less, at + 5 - swap, SIGN_BASE[0], 1);
    gather(&t2d, at, SIGN_BASE[0] + 10, 1);
    add(p, &plus, &less, &t2d, NULL, minus, with_t);
}

/* --- signatures ------------------------------------------------------------------------------------------------------ */

/* Little-endian numbers. */
static bool below(const uint8_t a[32], const uint8_t b[32])
{
    for (int i = 31; i >= 0; i--)
        if (a[i] != b[i]) return a[i] < b[i];
    return false;
}

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
    static const uint8_t ORDER[32] = { 0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58,
                                       0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14,
                                       0,    0,    0,    0,    0,    0,    0,    0,
                                       0,    0,    0,    0,    0,    0,    0,    0x10 };
    static const uint8_t P[32] = { 0xed, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                                   0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                                   0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f };
    uint8_t y[32];
    memcpy(y, item->pub->b, 32);
    y[31] &= 0x7f;
    return below(item->sig->b + 32, ORDER) && !is_small(item->sig->b) && below(y, P) &&
           !is_small(y);
}

/* cnt is 1 to LANES; lanes beyond repeat the first. */
FE8_CALL void run(struct group *g, const struct qn_verify_item items[], size_t cnt)
{
    struct summand table[A_TABLE];
    struct digits digits;
    struct point key, *at = &g->at;
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
        memcpy(in[l].head, rs[l], 32);
        memcpy(in[l].head + 32, pubs[l], 32);
        in[l].tail = item->msg;
    }
    sha512x8(in, wide);
    for (int l = 0; l < LANES; l++) {
        if (!(g->fit >> l & 1)) continue; /* its digits stay 0 */
        crypto_core_ed25519_scalar_reduce(h, wide[l]);
        cut(&digits, l, h, rs[l] + 32);
    }
    fe8_read(&g->r, rs);
    g->fit &= open_key(&key, pubs);
    fill(table, &key);
    set_small(&at->x, 0);
    set_small(&at->y, 1);
    at->z = at->y;
    at->t = at->x;
    add_a(at, table, digits.a[A_TOP], false);
    for (int bit = A_TOP * A_BITS - 1; bit >= 0; bit--) {
        bool a = bit % A_BITS == 0, b = bit % B_BITS == 0;
        twice(at, a || b);
        if (a) add_a(at, table, digits.a[bit / A_BITS], b);
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
