/* soft.h - the words of .k texts on integers alone, for the referee: f32 is its 32 bits.
 *
 * Round to nearest even, NaN always 0x7fc00000. Denormals, in and out, are zero with their sign: .k texts
 * snap there anyway (num.k), which spares all denormal code. No float type or instruction: the files that
 * include this are built with -mgeneral-regs-only. */
#ifndef QN_GPU_DIALECT_SOFT_H
#define QN_GPU_DIALECT_SOFT_H

#include <stdbool.h>
#include <stdint.h>

typedef uint32_t f32;
typedef uint32_t u32;
typedef bool b32;

#define FN        static inline __attribute__((unused))
#define U(c)      ((u32)(c))
#define F(b)      ((f32)(b))

#define SOFT_SIGN 0x80000000u
#define SOFT_INF  0x7f800000u
#define SOFT_NAN  0x7fc00000u

FN f32 f_bits(u32 b)
{
    return b;
}

FN u32 bits_f(f32 f)
{
    return f;
}

FN bool soft_is_nan(f32 a)
{
    return (a & ~SOFT_SIGN) > SOFT_INF;
}

/* The value man * 2^(exp - 150), man in [2^23, 2^24) after at most one carry, as bits. */
FN f32 soft_pack(u32 sign, int32_t exp, u32 man)
{
    if (man >> 24) {
        man >>= 1;
        exp++;
    }
    if (exp >= 255) return sign | SOFT_INF;
    if (exp <= 0) return sign;
    return sign | (u32)exp << 23 | (man & 0x7fffff);
}

/* man >> n rounded to nearest even, 1 <= n <= 63. */
FN u32 soft_round(uint64_t man, unsigned n)
{
    uint64_t low = man & ((UINT64_C(1) << n) - 1), half = UINT64_C(1) << (n - 1);
    u32 r = (u32)(man >> n);
    return r + (u32)(low > half || (low == half && (r & 1)));
}

FN f32 f32_mul(f32 a, f32 b)
{
    u32 sign = (a ^ b) & SOFT_SIGN, ea = a >> 23 & 255, eb = b >> 23 & 255;
    if (ea == 255 || eb == 255) {
        if (soft_is_nan(a) || soft_is_nan(b)) return SOFT_NAN;
        return ea == 0 || eb == 0 ? SOFT_NAN : sign | SOFT_INF; /* inf * 0 */
    }
    if (ea == 0 || eb == 0) return sign;
    uint64_t man = (uint64_t)((a & 0x7fffff) | 0x800000) * ((b & 0x7fffff) | 0x800000);
    unsigned high = (unsigned)(man >> 47); /* man is in [2^46, 2^48) */
    return soft_pack(sign, (int32_t)(ea + eb + high) - 127, soft_round(man, 23 + high));
}

FN f32 f32_add(f32 a, f32 b)
{
    if ((a & ~SOFT_SIGN) < (b & ~SOFT_SIGN)) { /* |a| >= |b| from here on */
        f32 t = a;
        a = b;
        b = t;
    }
    u32 ea = a >> 23 & 255, eb = b >> 23 & 255, sign = a & SOFT_SIGN;
    bool minus = (a ^ b) & SOFT_SIGN;
    if (ea == 255) {
        if (soft_is_nan(a)) return SOFT_NAN; /* a NaN has the larger magnitude */
        return minus && eb == 255 ? SOFT_NAN : a;
    }
    if (eb == 0) {
        if (ea != 0) return a;
        return minus ? 0 : sign; /* -0 only from -0 and -0 */
    }
    /* 38 bits below the point of a: what shifts out of b is kept as one sticky bit. */
    uint64_t ma = (uint64_t)((a & 0x7fffff) | 0x800000) << 38;
    uint64_t mb = (uint64_t)((b & 0x7fffff) | 0x800000) << 38;
    u32 d = ea - eb;
    if (d >= 40)
        mb = 1; /* below a quarter of the last place */
    else
        mb = mb >> d | (u32)((mb & ((UINT64_C(1) << d) - 1)) != 0);
    uint64_t sum = minus ? ma - mb : ma + mb;
    if (sum == 0) return 0;
    unsigned top = 63u - (unsigned)__builtin_clzll(sum); /* 61 when nothing moved */
    if (top <= 23)
        return soft_pack(sign, (int32_t)ea - 61 + (int32_t)top, (u32)(sum << (23 - top)));
    return soft_pack(sign, (int32_t)ea - 61 + (int32_t)top, soft_round(sum, top - 23));
}

FN f32 f32_sub(f32 a, f32 b)
{
    return f32_add(a, b ^ SOFT_SIGN);
}

FN f32 f32_div(f32 a, f32 b)
{
    u32 sign = (a ^ b) & SOFT_SIGN, ea = a >> 23 & 255, eb = b >> 23 & 255;
    if (soft_is_nan(a) || soft_is_nan(b)) return SOFT_NAN;
    if (ea == 255) return eb == 255 ? SOFT_NAN : sign | SOFT_INF;
    if (eb == 255) return sign;
    if (eb == 0) return ea == 0 ? SOFT_NAN : sign | SOFT_INF;
    if (ea == 0) return sign;
    uint64_t num = (uint64_t)((a & 0x7fffff) | 0x800000) << 36, den = (b & 0x7fffff) | 0x800000;
    uint64_t man = num / den; /* in (2^35, 2^37) */
    man |= (uint64_t)(man * den != num);
    unsigned high = (unsigned)(man >> 36);
    return soft_pack(sign, (int32_t)ea - (int32_t)eb + 126 + (int32_t)high,
                     soft_round(man, 12 + high));
}

FN f32 f32_sqrt(f32 a)
{
    u32 ea = a >> 23 & 255;
    if (soft_is_nan(a)) return SOFT_NAN;
    if (ea == 0) return a & SOFT_SIGN;
    if (a & SOFT_SIGN) return SOFT_NAN;
    if (ea == 255) return a;
    /* a = m * 2^(2h), m in [2^60, 2^62): the root in [2^30, 2^31) by bits, the remainder is the sticky bit. */
    unsigned odd = (ea & 1) == 0; /* bias 127 is odd */
    uint64_t m = (uint64_t)((a & 0x7fffff) | 0x800000) << (37 + odd), root = 0, rem = m;
    for (uint64_t bit = UINT64_C(1) << 60; bit; bit >>= 2) {
        if (rem >= root + bit) {
            rem -= root + bit;
            root = (root >> 1) + bit;
        } else {
            root >>= 1;
        }
    }
    root |= (uint64_t)(rem != 0);
    return soft_pack(0, (int32_t)((ea + 127 - odd) / 2), soft_round(root, 7));
}

FN b32 f32_lt(f32 a, f32 b)
{
    if (soft_is_nan(a) || soft_is_nan(b)) return false;
    if (((a | b) & ~SOFT_SIGN) == 0) return false; /* -0 and +0 */
    bool less = (a & ~SOFT_SIGN) < (b & ~SOFT_SIGN);
    if ((a ^ b) & SOFT_SIGN) return a >> 31;
    return a >> 31 ? a != b && !less : less;
}

FN b32 u32_lt(u32 a, u32 b)
{
    return a < b;
}

FN b32 u32_eq(u32 a, u32 b)
{
    return a == b;
}

FN u32 u32_sar(u32 a, int n)
{
    return a >> n | (a >> 31 ? ~(~U(0) >> n) : 0);
}

FN f32 sel_f(b32 c, f32 a, f32 b)
{
    return c ? a : b;
}

FN u32 sel_u(b32 c, u32 a, u32 b)
{
    return c ? a : b;
}

#endif
