/* vector.c - loops over vectors of F: plain C, AVX2, AVX-512; Reed-Solomon encoding and evaluation on them. */
#include "modules/zkml/field.h"

#include <string.h>

/* --- plain ------------------------------------------------------------------------------------------------ */

static void axpy_c(zkml_f *dst, zkml_f c, const zkml_f *src, size_t n)
{
    for (size_t i = 0; i < n; i++)
        dst[i] = zkml_f_add(dst[i], zkml_f_mul(c, src[i]));
}

static void butterfly_c(zkml_f *a, zkml_f *b, zkml_f w, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        zkml_f x = a[i], y = b[i];
        a[i] = zkml_f_add(x, y);
        b[i] = zkml_f_mul(zkml_f_sub(x, y), w);
    }
}

static void scale_c(zkml_f *dst, zkml_f c, const zkml_f *src, size_t n)
{
    for (size_t i = 0; i < n; i++)
        dst[i] = zkml_f_mul(c, src[i]);
}

static void horner_c(const zkml_f *coef, size_t n, const zkml_f x[16], zkml_f acc[16])
{
    for (size_t i = n; i-- > 0;)
        for (int l = 0; l < 16; l++)
            acc[l] = zkml_f_add(zkml_f_mul(acc[l], x[l]), coef[i]);
}

static const struct zkml_ops OPS_C = { axpy_c, butterfly_c, scale_c, horner_c };

#ifdef __x86_64__
#include <immintrin.h>

/* One text for both widths: V vector type, N lanes, PRE intrinsic prefix, SUF of the integer type. Products of even
 * and odd lanes are made apart, as 32 x 32 -> 64 multiplies exist for even lanes only. */
#define VARIANT(NAME, TARGET, V, N, PRE, SI, BLEND)                                                \
    __attribute__((target(TARGET))) static inline V mul_##NAME(V a, V b)                           \
    {                                                                                              \
        const V p = PRE##_set1_epi32((int)ZK_P), ninv = PRE##_set1_epi32((int)0x88000001u);        \
        V te = PRE##_mul_epu32(a, b);                                                              \
        V to = PRE##_mul_epu32(PRE##_srli_epi64(a, 32), PRE##_srli_epi64(b, 32));                  \
        V qe = PRE##_mul_epu32(PRE##_mul_epu32(te, ninv), p);                                      \
        V qo = PRE##_mul_epu32(PRE##_mul_epu32(to, ninv), p);                                      \
        V d = PRE##_sub_epi32(BLEND(PRE##_srli_epi64(te, 32), to),                                 \
                              BLEND(PRE##_srli_epi64(qe, 32), qo));                                \
        return PRE##_min_epu32(d, PRE##_add_epi32(d, p));                                          \
    }                                                                                              \
    __attribute__((target(TARGET))) static inline V add_##NAME(V a, V b)                           \
    {                                                                                              \
        const V p = PRE##_set1_epi32((int)ZK_P);                                                   \
        V s = PRE##_add_epi32(a, b);                                                               \
        return PRE##_min_epu32(s, PRE##_sub_epi32(s, p));                                          \
    }                                                                                              \
    __attribute__((target(TARGET))) static inline V sub_##NAME(V a, V b)                           \
    {                                                                                              \
        const V p = PRE##_set1_epi32((int)ZK_P);                                                   \
        V s = PRE##_sub_epi32(a, b);                                                               \
        return PRE##_min_epu32(s, PRE##_add_epi32(s, p));                                          \
    }                                                                                              \
    __attribute__((target(TARGET))) static inline V load_##NAME(const zkml_f *src)                 \
    {                                                                                              \
        return PRE##_loadu_##SI((const void *)src);                                                \
    }                                                                                              \
    __attribute__((target(TARGET))) static void axpy_##NAME(zkml_f *dst, zkml_f c,                 \
                                                            const zkml_f *src, size_t n)           \
    {                                                                                              \
        const V cv = PRE##_set1_epi32((int)c);                                                     \
        size_t i = 0;                                                                              \
        for (; i + N <= n; i += N)                                                                 \
            PRE##_storeu_##SI(                                                                     \
                (void *)(dst + i),                                                                 \
                add_##NAME(load_##NAME(dst + i), mul_##NAME(cv, load_##NAME(src + i))));           \
        axpy_c(dst + i, c, src + i, n - i);                                                        \
    }                                                                                              \
    __attribute__((target(TARGET))) static void butterfly_##NAME(zkml_f *a, zkml_f *b, zkml_f w,   \
                                                                 size_t n)                         \
    {                                                                                              \
        const V wv = PRE##_set1_epi32((int)w);                                                     \
        for (size_t i = 0; i < n; i += N) {                                                        \
            V x = load_##NAME(a + i), y = load_##NAME(b + i);                                      \
            PRE##_storeu_##SI((void *)(a + i), add_##NAME(x, y));                                  \
            PRE##_storeu_##SI((void *)(b + i), mul_##NAME(sub_##NAME(x, y), wv));                  \
        }                                                                                          \
    }                                                                                              \
    __attribute__((target(TARGET))) static void scale_##NAME(zkml_f *dst, zkml_f c,                \
                                                             const zkml_f *src, size_t n)          \
    {                                                                                              \
        const V cv = PRE##_set1_epi32((int)c);                                                     \
        for (size_t i = 0; i < n; i += N)                                                          \
            PRE##_storeu_##SI((void *)(dst + i), mul_##NAME(cv, load_##NAME(src + i)));            \
    }                                                                                              \
    __attribute__((target(TARGET))) static void horner_##NAME(const zkml_f *coef, size_t n,        \
                                                              const zkml_f x[16], zkml_f acc[16])  \
    {                                                                                              \
        V a[16 / N], xv[16 / N];                                                                   \
        for (int l = 0; l < 16 / N; l++) {                                                         \
            a[l] = load_##NAME(acc + l * N);                                                       \
            xv[l] = load_##NAME(x + l * N);                                                        \
        }                                                                                          \
        for (size_t i = n; i-- > 0;) {                                                             \
            const V c = PRE##_set1_epi32((int)coef[i]);                                            \
            for (int l = 0; l < 16 / N; l++)                                                       \
                a[l] = add_##NAME(mul_##NAME(a[l], xv[l]), c);                                     \
        }                                                                                          \
        for (int l = 0; l < 16 / N; l++)                                                           \
            PRE##_storeu_##SI((void *)(acc + l * N), a[l]);                                        \
    }                                                                                              \
    static const struct zkml_ops OPS_##NAME = { axpy_##NAME, butterfly_##NAME, scale_##NAME,       \
                                                horner_##NAME };

#define BLEND_256(even, odd) _mm256_blend_epi32(even, odd, 0xaa)
#define BLEND_512(even, odd) _mm512_mask_blend_epi32(0xaaaa, even, odd)

VARIANT(avx2, "avx2", __m256i, 8, _mm256, si256, BLEND_256)
VARIANT(avx512, "avx512f", __m512i, 16, _mm512, si512, BLEND_512)
#endif

enum zkml_simd zkml_simd_get(void)
{
#ifdef __x86_64__
    if (__builtin_cpu_supports("avx512f")) return ZK_SIMD_AVX512;
    if (__builtin_cpu_supports("avx2")) return ZK_SIMD_AVX2;
#endif
    return ZK_SIMD_C;
}

const struct zkml_ops *zkml_ops_get(enum zkml_simd kind)
{
    if (kind > zkml_simd_get()) return NULL;
    switch (kind) {
    case ZK_SIMD_C: return &OPS_C;
#ifdef __x86_64__
    case ZK_SIMD_AVX2: return &OPS_avx2;
    case ZK_SIMD_AVX512: return &OPS_avx512;
#else
    case ZK_SIMD_AVX2: return NULL;
    case ZK_SIMD_AVX512: return NULL;
#endif
    }
    QN_BUG("zkml_simd out of range");
}

static const struct zkml_ops *ops(void)
{
    return zkml_ops_get(zkml_simd_get());
}

void zkml_axpy(zkml_f *dst, zkml_f c, const zkml_f *src, size_t n)
{
    ops()->axpy(dst, c, src, n);
}

/* A product with a plain 1 leaves Montgomery form. */
void zkml_canonical(const zkml_f *src, size_t n, uint8_t *dst)
{
    zkml_f out[128];
    for (size_t i = 0; i < n; i += 128) {
        size_t k = QN_MIN(n - i, (size_t)128);
        ops()->scale(out, 1, src + i, k);
        memcpy(dst + 4 * i, out, 4 * k);
    }
}

static uint32_t bitrev(uint32_t v, unsigned bits)
{
    uint32_t r = 0;
    for (unsigned i = 0; i < bits; i++)
        r |= (v >> i & 1) << (bits - 1 - i);
    return r;
}

zkml_f zkml_point(unsigned log_n, uint32_t q)
{
    return zkml_f_pow(zkml_f_root(log_n), bitrev(q, log_n));
}

/* Decimation in frequency: natural order in, bit-reversed order out. Lanes are polynomials, so each butterfly has one
 * twiddle for all of them and no stage has an odd tail; what comes out is in the order of the leaves. */
void zkml_encode(zkml_f *m, unsigned log_n, size_t cnt, size_t used)
{
    const struct zkml_ops *o = ops();
    size_t n = (size_t)1 << log_n;
    QN_ASSERT(cnt % 16 == 0 && used <= n);
    for (size_t half = n / 2; half; half /= 2) {
        unsigned stage = (unsigned)__builtin_ctzll(2 * half);
        zkml_f root = zkml_f_root(stage);
        for (size_t base = 0; base < n; base += 2 * half) {
            zkml_f w = ZK_ONE;
            size_t live = QN_MIN(half, used); /* while the upper half is zero, copying is enough */
            bool upper = used > half;
            for (size_t j = 0; j < live; j++, w = zkml_f_mul(w, root)) {
                zkml_f *a = m + (base + j) * cnt, *b = m + (base + j + half) * cnt;
                if (upper)
                    o->butterfly(a, b, w, cnt);
                else
                    o->scale(b, w, a, cnt);
            }
        }
        used = QN_MIN(used, half);
    }
}

void zkml_eval(const zkml_f *planes, size_t stride, size_t n, const zkml_f *points, size_t cnt,
               struct zkml_k *ret)
{
    const struct zkml_ops *o = ops();
    for (size_t i = 0; i < cnt; i += 16) {
        zkml_f x[16] = { 0 };
        size_t m = QN_MIN(cnt - i, (size_t)16);
        memcpy(x, points + i, m * sizeof *x);
        for (size_t d = 0; d < ZK_DEG; d++) {
            zkml_f acc[16] = { 0 };
            o->horner(planes + d * stride, n, x, acc);
            for (size_t l = 0; l < m; l++)
                ret[i + l].c[d] = acc[l];
        }
    }
}
