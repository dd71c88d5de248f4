/* c.h - the words of .k texts in plain C: the reference. Needs -ffp-contract=off (CMakeLists.txt).
 *
 * A prelude gives f32, u32, b32 and the functions below to a text of values: no pointer, no libm, no
 * implicit conversion. Every other prelude gives the same bits (gpu/graph/test_dialect.c). Results of
 * f32_add .. f32_sqrt below 2^-125 are only defined after num_snap: modes and devices differ there. */
#ifndef QN_GPU_DIALECT_C_H
#define QN_GPU_DIALECT_C_H

#include <float.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

_Static_assert(FLT_EVAL_METHOD == 0, "f32 must be rounded after every operation");

typedef float f32;
typedef uint32_t u32;
typedef bool b32;

#define FN   static inline __attribute__((unused))
#define U(c) ((u32)(c))         /* an integer constant */
#define F(b) (f_bits((u32)(b))) /* a float constant, by its bits */

FN f32 f_bits(u32 b)
{
    f32 f;
    memcpy(&f, &b, sizeof f);
    return f;
}

FN u32 bits_f(f32 f)
{
    u32 b;
    memcpy(&b, &f, sizeof b);
    return b;
}

FN f32 f32_add(f32 a, f32 b)
{
    return a + b;
}

FN f32 f32_sub(f32 a, f32 b)
{
    return a - b;
}

FN f32 f32_mul(f32 a, f32 b)
{
    return a * b;
}

FN f32 f32_div(f32 a, f32 b)
{
    return a / b;
}

FN f32 f32_sqrt(f32 a)
{
    return __builtin_sqrtf(a);
}

FN b32 f32_lt(f32 a, f32 b) /* a < b; false when either is NaN */
{
    return a < b;
}

FN b32 u32_lt(u32 a, u32 b)
{
    return a < b;
}

FN b32 u32_eq(u32 a, u32 b)
{
    return a == b;
}

FN u32 u32_sar(u32 a, int n) /* shift right, copies of the top bit come in */
{
    return (u32)((int32_t)a >> n);
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
