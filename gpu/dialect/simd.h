/* simd.h - group.h with a lane for each 32-bit part of a vector register; the flags of the file that
 * includes it choose the width and the instruction behind DOT.
 *
 *     SSE2, AVX2, AVX-512BW     pmaddwd: a word is two values, widened to 16 bits when they are packed
 *     AVX-VNNI, AVX-512VNNI     vpdpbusd: a word is four values; it multiplies unsigned by signed, so B is
 *                               packed with 128 added and start[row] = -128 * (sum of the row of A)
 *
 * vpmaddubsw is out: it saturates at 16 bits, and -128 * -128 twice is one too many. */
#ifndef QN_GPU_DIALECT_SIMD_H
#define QN_GPU_DIALECT_SIMD_H

#define QN_DIALECT_SIMD
#include "gpu/dialect/group.h"

#include <immintrin.h>

typedef u32 word;

#if defined(__AVX512F__)
typedef __m512i lane_i32;
#define LANES               16u
#define LANE_SET(v)         _mm512_set1_epi32((int)(v))
#define LANE_LOAD(buf, idx) _mm512_loadu_si512((buf) + (idx))
#if defined(__AVX512VNNI__)
#define DOT(acc, a, b) _mm512_dpbusd_epi32((acc), (b), LANE_SET(a))
#else
#define DOT(acc, a, b) _mm512_add_epi32((acc), _mm512_madd_epi16((b), LANE_SET(a)))
#endif
#define LANE_STORE_ALL(dst, v) _mm512_storeu_si512((dst), (v))
#elif defined(__AVX2__)
typedef __m256i lane_i32;
#define LANES               8u
#define LANE_SET(v)         _mm256_set1_epi32((int)(v))
#define LANE_LOAD(buf, idx) _mm256_loadu_si256((const __m256i_u *)((buf) + (idx)))
#if defined(__AVXVNNI__)
#define DOT(acc, a, b) _mm256_dpbusd_avx_epi32((acc), (b), LANE_SET(a))
#else
#define DOT(acc, a, b) _mm256_add_epi32((acc), _mm256_madd_epi16((b), LANE_SET(a)))
#endif
#define LANE_STORE_ALL(dst, v) _mm256_storeu_si256((__m256i_u *)(dst), (v))
#else
typedef __m128i lane_i32;
#define LANES                  4u
#define LANE_SET(v)            _mm_set1_epi32((int)(v))
#define LANE_LOAD(buf, idx)    _mm_loadu_si128((const __m128i_u *)((buf) + (idx)))
#define DOT(acc, a, b)         _mm_add_epi32((acc), _mm_madd_epi16((b), LANE_SET(a)))
#define LANE_STORE_ALL(dst, v) _mm_storeu_si128((__m128i_u *)(dst), (v))
#endif
typedef lane_i32 lane_word;

#if defined(__AVX512VNNI__) || defined(__AVXVNNI__)
#define DOT_CNT  4
#define DOT_BIAS 128
#else
#define DOT_CNT  2
#define DOT_BIAS 0
#endif

/* Lanes [col, min(col + LANES, end)) of a row. */
static inline void lane_store(i32 *row, u32 col, lane_i32 v, u32 end)
{
    if (col + LANES <= end) {
        LANE_STORE_ALL(row + col, v);
        return;
    }
    i32 part[LANES];
    LANE_STORE_ALL(part, v);
    for (u32 i = 0; col + i < end; i++)
        row[col + i] = part[i];
}
#define LANE_STORE(buf, row, col, v, end) lane_store((buf) + (row), (col), (v), (end))

#endif
