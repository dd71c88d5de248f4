/* field.h - the numbers of a proof: F, integers mod p = 15 * 2^27 + 1, and K = F[X]/(X^5 - 2), |K| = 2^154.5.
 *
 * Both are kept in Montgomery form (a * 2^32 mod p), reduced below p; in bytes they are canonical integers.
 * Vectors of K are five planes of F, so that everything hot is a loop over F; those loops have AVX-512 and
 * AVX2 variants chosen at run time, with the bits of the plain C ones. */
#ifndef QN_MODULES_ZKML_FIELD_H
#define QN_MODULES_ZKML_FIELD_H

#include "core/base/span.h"

#define ZK_P     UINT32_C(0x78000001)
#define ZK_ONE   UINT32_C(0x0ffffffe) /* 2^32 mod p: 1 in Montgomery form */
#define ZK_R2    UINT32_C(0x45dddde3) /* 2^64 mod p */
#define ZK_TWO   27                   /* p - 1 = 15 * 2^27 */
#define ZK_W27   UINT32_C(440564289)  /* canonical; a 2^27-th root of unity, 31^15 */
#define ZK_DEG   5
#define ZK_KBITS 154 /* lower bound of log2 |K|, used in every security figure */

typedef uint32_t zkml_f;

struct zkml_k {
    zkml_f c[ZK_DEG];
};

static inline zkml_f zkml_f_reduce(uint64_t t) /* t < p * 2^32 */
{
    uint32_t q = (uint32_t)t * UINT32_C(0x88000001);
    uint32_t r = (uint32_t)(t >> 32) - (uint32_t)(((uint64_t)q * ZK_P) >> 32);
    return r + (ZK_P & -(r >> 31)); /* both halves are below p < 2^31: the sign tells */
}

static inline zkml_f zkml_f_add(zkml_f a, zkml_f b)
{
    uint32_t r = a + b - ZK_P;
    return r + (ZK_P & -(r >> 31));
}

static inline zkml_f zkml_f_sub(zkml_f a, zkml_f b)
{
    uint32_t r = a - b;
    return r + (ZK_P & -(r >> 31));
}

static inline zkml_f zkml_f_mul(zkml_f a, zkml_f b)
{
    return zkml_f_reduce((uint64_t)a * b);
}

static inline zkml_f zkml_f_from(uint32_t canonical)
{
    return zkml_f_mul(canonical, ZK_R2);
}

static inline zkml_f zkml_f_int(int64_t v) /* any integer */
{
    int64_t r = v % (int64_t)ZK_P;
    return zkml_f_from((uint32_t)(r < 0 ? r + (int64_t)ZK_P : r));
}

static inline uint32_t zkml_f_to(zkml_f a)
{
    return zkml_f_reduce(a);
}

zkml_f zkml_f_pow(zkml_f a, uint64_t e);
zkml_f zkml_f_inv(zkml_f a);        /* of 0: 0 */
zkml_f zkml_f_root(unsigned log_n); /* primitive 2^log_n-th root of unity */

static inline struct zkml_k zkml_k_zero(void)
{
    return (struct zkml_k){ { 0, 0, 0, 0, 0 } };
}

static inline struct zkml_k zkml_k_f(zkml_f a)
{
    return (struct zkml_k){ { a, 0, 0, 0, 0 } };
}

static inline struct zkml_k zkml_k_one(void)
{
    return zkml_k_f(ZK_ONE);
}

static inline struct zkml_k zkml_k_add(struct zkml_k a, struct zkml_k b)
{
    for (int i = 0; i < ZK_DEG; i++)
        a.c[i] = zkml_f_add(a.c[i], b.c[i]);
    return a;
}

static inline struct zkml_k zkml_k_sub(struct zkml_k a, struct zkml_k b)
{
    for (int i = 0; i < ZK_DEG; i++)
        a.c[i] = zkml_f_sub(a.c[i], b.c[i]);
    return a;
}

static inline struct zkml_k zkml_k_scale(struct zkml_k a, zkml_f b)
{
    for (int i = 0; i < ZK_DEG; i++)
        a.c[i] = zkml_f_mul(a.c[i], b);
    return a;
}

static inline struct zkml_k zkml_k_neg(struct zkml_k a)
{
    return zkml_k_sub(zkml_k_zero(), a);
}

/* c_i = sum a_j b_(i-j) + 2 sum a_j b_(i+5-j): five products below p^2 each. p^2 < 2^61.82: three of them
 * and a conditional - 2 p^2 leave room for two more below 2^64, and another brings them under p * 2^32. */
static inline struct zkml_k zkml_k_mul(struct zkml_k a, struct zkml_k b)
{
    const uint64_t pp2 = 2 * (uint64_t)ZK_P * ZK_P;
    uint32_t w[2 * ZK_DEG];
    struct zkml_k r;
    for (int i = 0; i < ZK_DEG; i++) {
        w[i + ZK_DEG] = b.c[i];
        w[i] = zkml_f_add(b.c[i],
                          b.c[i]); /* w[i + 5 - j] is b_(i-j), or 2 b_(i+5-j) when that wraps */
    }
    for (int i = 0; i < ZK_DEG; i++) {
        uint64_t t =
            (uint64_t)a.c[0] * w[i + 5] + (uint64_t)a.c[1] * w[i + 4] + (uint64_t)a.c[2] * w[i + 3];
        t = t >= pp2 ? t - pp2 : t;
        t += (uint64_t)a.c[3] * w[i + 2] + (uint64_t)a.c[4] * w[i + 1];
        t = t >= pp2 ? t - pp2 : t;
        r.c[i] = zkml_f_reduce(t);
    }
    return r;
}

static inline bool zkml_k_eq(struct zkml_k a, struct zkml_k b)
{
    uint32_t d = 0;
    for (int i = 0; i < ZK_DEG; i++)
        d |= a.c[i] ^ b.c[i];
    return d == 0;
}

static inline bool zkml_k_is_zero(struct zkml_k a)
{
    return zkml_k_eq(a, zkml_k_zero());
}

struct zkml_k zkml_k_inv(struct zkml_k a); /* of 0: 0 */
struct zkml_k zkml_k_pow(struct zkml_k a, uint64_t e);

/* Bytes: canonical little-endian u32s. zkml_f_get and zkml_k_get are false when a number is not below p. */
void zkml_f_put(zkml_f a, uint8_t dst[4]);
QN_CHECK bool zkml_f_get(const uint8_t src[4], zkml_f *ret);
void zkml_k_put(struct zkml_k a, uint8_t dst[20]);
QN_CHECK bool zkml_k_get(const uint8_t src[20], struct zkml_k *ret);

/* --- vectors -------------------------------------------------------------------------------------------- */

/* zkml_eq writes eq(z, b) for b in {0,1}^n, z[0] the top bit: 2^n values. */
void zkml_eq(const struct zkml_k *z, unsigned n, struct zkml_k *ret);

/* zkml_axpy adds c * src[i] to dst[i], i < n. */
void zkml_axpy(zkml_f *dst, zkml_f c, const zkml_f *src, size_t n);

/* zkml_canonical writes n numbers as canonical little-endian u32s; n a multiple of 16. */
void zkml_canonical(const zkml_f *src, size_t n, uint8_t *dst);

/* zkml_encode evaluates cnt polynomials side by side on the subgroup of order 2^log_n.
 *
 * m  (2^log_n, cnt) row-major, cnt a multiple of 16: row i holds the coefficients of x^i; afterwards row q
 *    holds the values at zkml_point(log_n, q). Rows from used on must be zero: work on them is saved. */
void zkml_encode(zkml_f *m, unsigned log_n, size_t cnt, size_t used);
/* zkml_point is w^bitrev(q), the point of row q. */
zkml_f zkml_point(unsigned log_n, uint32_t q);

/* zkml_eval evaluates a polynomial with coefficients in K at cnt points of F.
 *
 * planes  five planes of n coefficients, plane i from planes + i * stride */
void zkml_eval(const zkml_f *planes, size_t stride, size_t n, const zkml_f *points, size_t cnt,
               struct zkml_k *ret);

/* zkml_simd_get is the variant of this machine. */
enum zkml_simd { ZK_SIMD_C, ZK_SIMD_AVX2, ZK_SIMD_AVX512 };
enum zkml_simd zkml_simd_get(void);

/* The variants themselves, for the test that compares them. */
struct zkml_ops {
    void (*axpy)(zkml_f *dst, zkml_f c, const zkml_f *src, size_t n);
    void (*butterfly)(zkml_f *a, zkml_f *b, zkml_f w,
                      size_t n); /* a, b = a + b, (a - b) w; n a multiple of 16 */
    void (*scale)(zkml_f *dst, zkml_f c, const zkml_f *src,
                  size_t n); /* dst = c src; n a multiple of 16 */
    /* horner: acc[l] = acc[l] * x[l] + c[i] down from coefficient n - 1; 16 points at once */
    void (*horner)(const zkml_f *coef, size_t n, const zkml_f x[16], zkml_f acc[16]);
};
const struct zkml_ops *zkml_ops_get(enum zkml_simd kind); /* NULL when the machine has it not */

#endif
