/* vec.h - the words of .k texts for LANES values at once (4, 8 or 16), in the compilers' vector types.
 *
 * Built with the flags of the file that includes it; same bits as c.h. b32 is a mask: a bit a lane with AVX-512, else
 * ones in a lane. */
#ifndef QN_GPU_DIALECT_VEC_H
#define QN_GPU_DIALECT_VEC_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#ifdef __SSE2__
#include <immintrin.h>
#endif

typedef float f32 __attribute__((vector_size(4 * LANES)));
typedef uint32_t u32 __attribute__((vector_size(4 * LANES)));
typedef int32_t vec_i32 __attribute__((vector_size(4 * LANES)));
#if LANES == 16
typedef __mmask16 b32;
#else
typedef u32 b32;
#endif

#define FN   static inline __attribute__((unused, always_inline))
#define U(c) ((u32){ 0 } + (uint32_t)(c))
#define F(b) ((f32)U(b))

FN f32 f_bits(u32 b)
{
    return (f32)b;
}

FN u32 bits_f(f32 f)
{
    return (u32)f;
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
#if LANES == 16
    return (f32)_mm512_sqrt_ps((__m512)a);
#elif LANES == 8
    return (f32)_mm256_sqrt_ps((__m256)a);
#elif defined __SSE2__
    return (f32)_mm_sqrt_ps((__m128)a);
#else
    f32 r;
    for (int i = 0; i < LANES; i++)
        r[i] = __builtin_sqrtf(a[i]);
    return r;
#endif
}

/* a * b + c in one rounding; only where the product is exact (num_t12), so that it changes nothing. */
FN f32 f32_fma_exact(f32 a, f32 b, f32 c)
{
#if LANES == 16
    return (f32)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif LANES == 8
    return (f32)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#else
    return a * b + c;
#endif
}

FN u32 u32_sar(u32 a, int n)
{
    return (u32)((vec_i32)a >> n);
}

#if LANES == 16
FN b32 f32_lt(f32 a, f32 b)
{
    return _mm512_cmp_ps_mask((__m512)a, (__m512)b, _CMP_LT_OQ);
}

FN b32 u32_lt(u32 a, u32 b)
{
    return _mm512_cmplt_epu32_mask((__m512i)a, (__m512i)b);
}

FN b32 u32_eq(u32 a, u32 b)
{
    return _mm512_cmpeq_epi32_mask((__m512i)a, (__m512i)b);
}

FN u32 sel_u(b32 c, u32 a, u32 b)
{
    return (u32)_mm512_mask_blend_epi32(c, (__m512i)b, (__m512i)a);
}
#else
FN b32 f32_lt(f32 a, f32 b)
{
    return (b32)(a < b);
}

FN b32 u32_lt(u32 a, u32 b)
{
    return (b32)(a < b);
}

FN b32 u32_eq(u32 a, u32 b)
{
    return (b32)(a == b);
}

FN u32 sel_u(b32 c, u32 a, u32 b)
{
    return (c & a) | (~c & b);
}
#endif

FN f32 sel_f(b32 c, f32 a, f32 b)
{
    return (f32)sel_u(c, (u32)a, (u32)b);
}

/* Loads and stores of any alignment; _n of n < LANES elements, zeros beyond. */
FN f32 vec_load(const float *p)
{
    f32 v;
    memcpy(&v, p, sizeof v);
    return v;
}

FN void vec_store(float *p, f32 v)
{
    memcpy(p, &v, sizeof v);
}

FN f32 vec_load_n(const float *p, uint32_t n)
{
#if LANES == 16
    return (f32)_mm512_maskz_loadu_ps((__mmask16)((1u << n) - 1), p);
#else
    f32 v = (f32)U(0);
    memcpy(&v, p, n * 4);
    return v;
#endif
}

FN void vec_store_n(float *p, f32 v, uint32_t n)
{
#if LANES == 16
    _mm512_mask_storeu_ps(p, (__mmask16)((1u << n) - 1), (__m512)v);
#else
    memcpy(p, &v, n * 4);
#endif
}

FN f32 vec_splat(float x)
{
    return (f32){ 0 } + x; /* -0 would become +0: see vec_splat_bits */
}

FN f32 vec_splat_bits(const float *p)
{
    uint32_t b;
    memcpy(&b, p, 4);
    return F(b);
}

#endif
