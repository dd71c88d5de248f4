/* q32.h - the arithmetic of scores: signed 64-bit with 32 fraction bits, as substrate-fixed's I32F32. No float, no libm; only mul and div
 * round, and always the same way. */
#ifndef QN_MODULES_SUBNET_Q32_H
#define QN_MODULES_SUBNET_Q32_H

#include "core/base/base.h"

typedef int64_t q32;

#define Q32_ONE ((q32)1 << 32)

__extension__ typedef __int128 subnet_i128;
__extension__ typedef unsigned __int128 subnet_u128;

/* Toward minus infinity, saturating. */
static inline q32 q32_mul(q32 a, q32 b)
{
    subnet_i128 v = ((subnet_i128)a * b) >> 32;
    return v > INT64_MAX ? INT64_MAX : v < INT64_MIN ? INT64_MIN : (q32)v;
}

/* Toward zero; 0 when b is 0 or the quotient leaves 64 bits. */
static inline q32 q32_div(q32 a, q32 b)
{
    if (b == 0) return 0;
    if (a >= 0 && a < Q32_ONE && b > 0) { /* shares: one 64-bit division, a third of the time */
        uint64_t q = ((uint64_t)a << 32) / (uint64_t)b;
        return q > INT64_MAX ? 0 : (q32)q;
    }
    subnet_i128 v = ((subnet_i128)a * ((subnet_i128)1 << 32)) / b;
    return v > INT64_MAX || v < INT64_MIN ? 0 : (q32)v;
}

static inline q32 q32_add(q32 a, q32 b)
{
    q32 v;
    return __builtin_add_overflow(a, b, &v) ? (a < 0 ? INT64_MIN : INT64_MAX) : v;
}

static inline q32 q32_sub(q32 a, q32 b)
{
    q32 v;
    return __builtin_sub_overflow(a, b, &v) ? (a < 0 ? INT64_MIN : INT64_MAX) : v;
}

/* P(u): the share a u16 stands for. */
static inline q32 q32_share(uint16_t u)
{
    return (q32)(((uint64_t)u << 32) / 65535);
}

static inline uint16_t q32_cap16(q32 x)
{
    q32 v = x >> 32;
    return v < 0 ? 0 : v > 65535 ? 65535 : (uint16_t)v;
}

/* U(x): the u16 of a share. */
static inline uint16_t q32_u16(q32 x)
{
    return q32_cap16(q32_mul(x, (q32)65535 << 32));
}

/* To the nearest whole, halves up; x >= 0. */
static inline q32 q32_round(q32 x)
{
    return (q32)(((subnet_i128)x + ((q32)1 << 31)) >> 32);
}

/* e^x by its series (design constant for exactly +1); x is clamped to [-20, 20]. */
q32 q32_exp(q32 x);
/* v / sum(v) element by element; v as it is when the sum is 0. */
void q32_norm(q32 *v, size_t cnt);
/* Quantises so that the greatest becomes 65535. */
void q32_upscale(const q32 *v, size_t cnt, uint16_t *ret);

#endif
