/* fe8.h - numbers modulo p = 2^255 - 19, eight at once, a lane each; for processors with AVX-512 IFMA, of which the caller has made sure.
 *
 * Limb i counts 2^(52 i). A product of two limbs is one instruction for its low and one for its high 52 bits, which look at no more than the low
 * 52 bits of their factors: so a limb that is multiplied must be below 2^52, without any slack. Two forms, then:
 *
 *   tight   limbs 0 to 3 below 2^52, limb 4 below 2^47 + 2^12; what is kept and multiplied. Below 2p, not always below p.
 *   raw     sums of columns, below 10 * 2^52 + 2^12 each (FE8_RAW): what a product is before its carries are taken. Raw ones are added and
 *           subtracted as they are, with a bias so that no limb falls below zero, and then carried once.
 *
 * Times are not constant, nor is anything secret here. */
#ifndef QN_CORE_CRYPTO_FE8_H
#define QN_CORE_CRYPTO_FE8_H

#include <immintrin.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define FE8_TARGET "avx512f,avx512vl,avx512dq,avx512ifma"
#define FE8_CODE   __attribute__((target(FE8_TARGET))) /* a function that uses what is here */
#define FE8_INLINE static inline __attribute__((always_inline, target(FE8_TARGET)))
#define FE8_CALL   static __attribute__((noinline, unused, target(FE8_TARGET)))

typedef uint64_t fe8_vec __attribute__((vector_size(64)));

struct fe8 {
    fe8_vec v[5];
};

#define FE8_MASK    0xfffffffffffffu /* 52 bits */
#define FE8_TOP     0x7fffffffffffu  /* 47 */
#define FE8_ALL(x)  ((fe8_vec){ 0 } + (uint64_t)(x))
#define FE8_RAW_MAX (10 * (FE8_MASK + 1) + 0x1000)

#define FE8_LO(acc, a, b)                                                                          \
    ((fe8_vec)_mm512_madd52lo_epu64((__m512i)(acc), (__m512i)(a), (__m512i)(b)))
#define FE8_HI(acc, a, b)                                                                          \
    ((fe8_vec)_mm512_madd52hi_epu64((__m512i)(acc), (__m512i)(a), (__m512i)(b)))

/* Constants that every product needs. They are read from memory, where an instruction takes them along for nothing; a compiler that knew
 * their values would build them anew each time, at the cost of several percent. */
static const uint64_t FE8_CONST[] = { 608, 19, FE8_MASK, FE8_TOP };
#define FE8_K(name)                                                                                \
    const uint64_t *name = FE8_CONST;                                                              \
    __asm__("" : "+r"(name))

/* 1,024 p = 2^265 - 1024 * 19, with every limb near 2^57: more than three raw ones together. */
#define FE8_BIAS(i) ((UINT64_C(1) << 57) - ((i) == 0 ? 1024 * 19u : 32u))

/* --- carries ------------------------------------------------------------------------------------------------------ */

/* Limbs below 2^63 become tight; r may be a. What is above 2^255 comes back as 19 times as much, first; then one carry upwards masks limbs
 * 0 to 3, and limb 4 has room for what it gets: below 2^12. */
FE8_INLINE void fe8_carry(struct fe8 *r, const fe8_vec a[5])
{
    FE8_K(k);
    fe8_vec c0, c1, c2, c3, c4;
    c4 = a[4] & k[3];
    c0 = FE8_LO(a[0], a[4] >> 47, FE8_ALL(k[1]));
    c1 = a[1] + (c0 >> 52);
    c2 = a[2] + (c1 >> 52);
    c3 = a[3] + (c2 >> 52);
    r->v[0] = c0 & k[2];
    r->v[1] = c1 & k[2];
    r->v[2] = c2 & k[2];
    r->v[3] = c3 & k[2];
    r->v[4] = c4 + (c3 >> 52);
}

/* Columns 5 to 9 of a product count 2^260 = 32 * 19 = 608 times as much as columns 0 to 4. z[9] is below 2^42 + 2^11, being the high half
 * of two topmost limbs and a carry: 608 of it need no high half. */
FE8_INLINE void fe8_fold(fe8_vec r[5], fe8_vec z[10])
{
    FE8_K(consts);
    const fe8_vec k = FE8_ALL(consts[0]);
    z[6] += z[5] >> 52;
    z[7] += z[6] >> 52;
    z[8] += z[7] >> 52;
    z[9] += z[8] >> 52;
    r[0] = FE8_LO(z[0], z[5], k);
    r[1] = FE8_LO(FE8_HI(z[1], z[5], k), z[6], k);
    r[2] = FE8_LO(FE8_HI(z[2], z[6], k), z[7], k);
    r[3] = FE8_LO(FE8_HI(z[3], z[7], k), z[8], k);
    r[4] = FE8_LO(FE8_HI(z[4], z[8], k), z[9], k);
}

/* --- products ------------------------------------------------------------------------------------------------------ */

#define FE8_PAIR(i, j)                                                                             \
    z[(i) + (j)] = FE8_LO(z[(i) + (j)], a[i], b[j]);                                               \
    z[(i) + (j) + 1] = FE8_HI(z[(i) + (j) + 1], a[i], b[j])
#define FE8_ROW(j)                                                                                 \
    FE8_PAIR(0, j);                                                                                \
    FE8_PAIR(1, j);                                                                                \
    FE8_PAIR(2, j);                                                                                \
    FE8_PAIR(3, j);                                                                                \
    FE8_PAIR(4, j)

/* Tight factors, a raw product. At most nine low or high halves and one fold meet in a column. */
FE8_INLINE void fe8_mul_raw(fe8_vec r[5], const fe8_vec a[5], const fe8_vec b[5])
{
    fe8_vec z[10] = { { 0 } };
    FE8_ROW(0);
    FE8_ROW(1);
    FE8_ROW(2);
    FE8_ROW(3);
    FE8_ROW(4);
    fe8_fold(r, z);
}

/* The same of a by itself: what is there twice is doubled in its column. */
FE8_INLINE void fe8_sq_raw(fe8_vec r[5], const fe8_vec a[5])
{
    const fe8_vec *b = a;
    fe8_vec z[10] = { { 0 } };
    FE8_PAIR(0, 1);
    FE8_PAIR(0, 2);
    FE8_PAIR(0, 3);
    FE8_PAIR(0, 4);
    FE8_PAIR(1, 2);
    FE8_PAIR(1, 3);
    FE8_PAIR(1, 4);
    FE8_PAIR(2, 3);
    FE8_PAIR(2, 4);
    FE8_PAIR(3, 4);
#pragma GCC unroll 8
    for (int i = 1; i < 9; i++)
        z[i] += z[i];
    FE8_PAIR(0, 0);
    FE8_PAIR(1, 1);
    FE8_PAIR(2, 2);
    FE8_PAIR(3, 3);
    FE8_PAIR(4, 4);
    fe8_fold(r, z);
}

FE8_CALL void fe8_mul(struct fe8 *r, const struct fe8 *a, const struct fe8 *b)
{
    fe8_vec raw[5];
    fe8_mul_raw(raw, a->v, b->v);
    fe8_carry(r, raw);
}

/* a^(2^times); times is at least 1. */
FE8_CALL void fe8_sq(struct fe8 *r, const struct fe8 *a, unsigned times)
{
    struct fe8 x = *a;
    do {
        fe8_vec raw[5];
        fe8_sq_raw(raw, x.v);
        fe8_carry(&x, raw);
    } while (--times);
    *r = x;
}

/* --- sums ---------------------------------------------------------------------------------------------------------- */

/* Of tight or raw numbers, tight. */
FE8_INLINE void fe8_add(struct fe8 *r, const fe8_vec a[5], const fe8_vec b[5])
{
    fe8_vec s[5];
#pragma GCC unroll 5
    for (int i = 0; i < 5; i++)
        s[i] = a[i] + b[i];
    fe8_carry(r, s);
}

FE8_INLINE void fe8_sub(struct fe8 *r, const fe8_vec a[5], const fe8_vec b[5])
{
    fe8_vec s[5];
#pragma GCC unroll 5
    for (int i = 0; i < 5; i++)
        s[i] = a[i] + FE8_BIAS(i) - b[i];
    fe8_carry(r, s);
}

/* b in the lanes of mask, a in the others. */
FE8_INLINE void fe8_pick(struct fe8 *r, __mmask8 mask, const struct fe8 *a, const struct fe8 *b)
{
#pragma GCC unroll 5
    for (int i = 0; i < 5; i++)
        r->v[i] = (fe8_vec)_mm512_mask_blend_epi64(mask, (__m512i)a->v[i], (__m512i)b->v[i]);
}

/* --- the one form that bytes have ------------------------------------------------------------------------------------ */

/* Tight to [0, p). */
FE8_INLINE void fe8_freeze(struct fe8 *r, const struct fe8 *a)
{
    fe8_vec q = (a->v[0] + 19) >> 52; /* 1 where a >= p, that is a + 19 >= 2^255: a is below 2p */
    for (int i = 1; i < 4; i++)
        q = (a->v[i] + q) >> 52;
    q = (a->v[4] + q) >> 47;
    fe8_vec c = q * 19;
    for (int i = 0; i < 5; i++) {
        c += a->v[i];
        r->v[i] = c & (i < 4 ? FE8_MASK : FE8_TOP);
        c >>= 52;
    }
}

/* The lanes in which two frozen numbers are the same. */
FE8_INLINE __mmask8 fe8_same(const struct fe8 *a, const struct fe8 *b)
{
    __mmask8 m = 0xff;
    for (int i = 0; i < 5; i++)
        m = _mm512_mask_cmpeq_epi64_mask(m, (__m512i)a->v[i], (__m512i)b->v[i]);
    return m;
}

/* The low 255 bits of 32 bytes for each lane, as they are: they may be p or more. */
FE8_INLINE void fe8_read(struct fe8 *r, const uint8_t *const src[8])
{
    uint64_t w[4][8];
    fe8_vec x[4];
    for (int l = 0; l < 8; l++)
        for (int i = 0; i < 4; i++)
            memcpy(&w[i][l], src[l] + 8 * i, 8);
    memcpy(x, w, sizeof x);
    r->v[0] = x[0] & FE8_MASK;
    r->v[1] = (x[0] >> 52 | x[1] << 12) & FE8_MASK;
    r->v[2] = (x[1] >> 40 | x[2] << 24) & FE8_MASK;
    r->v[3] = (x[2] >> 28 | x[3] << 36) & FE8_MASK;
    r->v[4] = x[3] >> 16 & FE8_TOP;
}

/* --- powers ---------------------------------------------------------------------------------------------------------- */

/* a^(2^250 - 1), and a^11 for who goes on from there. */
FE8_CALL void fe8_ladder(struct fe8 *r, struct fe8 *r11, const struct fe8 *a)
{
    struct fe8 t, x5, x10, x20, x50, x100; /* xn: a^(2^n - 1) */
    fe8_sq(&t, a, 1);
    fe8_sq(&x5, &t, 2);
    fe8_mul(&x5, &x5, a); /* 9 */
    fe8_mul(r11, &x5, &t);
    fe8_sq(&t, r11, 1); /* 22 */
    fe8_mul(&x5, &t, &x5);
    fe8_sq(&t, &x5, 5);
    fe8_mul(&x10, &t, &x5);
    fe8_sq(&t, &x10, 10);
    fe8_mul(&x20, &t, &x10);
    fe8_sq(&t, &x20, 20);
    fe8_mul(&t, &t, &x20);
    fe8_sq(&t, &t, 10);
    fe8_mul(&x50, &t, &x10);
    fe8_sq(&t, &x50, 50);
    fe8_mul(&x100, &t, &x50);
    fe8_sq(&t, &x100, 100);
    fe8_mul(&t, &t, &x100);
    fe8_sq(&t, &t, 50);
    fe8_mul(r, &t, &x50);
}

/* 1 / a; 0 of 0. p - 2 = 2^255 - 21 = 32 (2^250 - 1) + 11. */
FE8_CALL void fe8_invert(struct fe8 *r, const struct fe8 *a)
{
    struct fe8 t, a11;
    fe8_ladder(&t, &a11, a);
    fe8_sq(&t, &t, 5);
    fe8_mul(r, &t, &a11);
}

/* a^((p - 5) / 8); the exponent is 2^252 - 3 = 4 (2^250 - 1) + 1. */
FE8_CALL void fe8_root(struct fe8 *r, const struct fe8 *a)
{
    struct fe8 t, a11;
    fe8_ladder(&t, &a11, a);
    fe8_sq(&t, &t, 2);
    fe8_mul(r, &t, a);
}

#endif
