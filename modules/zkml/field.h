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

typedef uint32_t zk_f;

struct zk_k {
    zk_f c[ZK_DEG];
};

static inline zk_f zk_f_reduce(uint64_t t) /* t < p * 2^32 */
{
    uint32_t q = (uint32_t)t * UINT32_C(0x88000001);
    uint32_t r = (uint32_t)(t >> 32) - (uint32_t)(((uint64_t)q * ZK_P) >> 32);
    return r + (ZK_P & -(r >> 31)); /* both halves are below p < 2^31: the sign tells */
}

static inline zk_f zk_f_add(zk_f a, zk_f b)
{
    uint32_t r = a + b - ZK_P;
    return r + (ZK_P & -(r >> 31));
}

static inline zk_f zk_f_sub(zk_f a, zk_f b)
{
    uint32_t r = a - b;
    return r + (ZK_P & -(r >> 31));
}

static inline zk_f zk_f_mul(zk_f a, zk_f b)
{
    return zk_f_reduce((uint64_t)a * b);
}

static inline zk_f zk_f_from(uint32_t canonical)
{
    return zk_f_mul(canonical, ZK_R2);
}

static inline zk_f zk_f_int(int64_t v) /* any integer */
{
    int64_t r = v % (int64_t)ZK_P;
    return zk_f_from((uint32_t)(r < 0 ? r + (int64_t)ZK_P : r));
}

static inline uint32_t zk_f_to(zk_f a)
{
    return zk_f_reduce(a);
}

zk_f zk_f_pow(zk_f a, uint64_t e);
zk_f zk_f_inv(zk_f a);          /* of 0: 0 */
zk_f zk_f_root(unsigned log_n); /* primitive 2^log_n-th root of unity */

static inline struct zk_k zk_k_zero(void)
{
    return (struct zk_k){ { 0, 0, 0, 0, 0 } };
}

static inline struct zk_k zk_k_f(zk_f a)
{
    return (struct zk_k){ { a, 0, 0, 0, 0 } };
}

static inline struct zk_k zk_k_one(void)
{
    return zk_k_f(ZK_ONE);
}

static inline struct zk_k zk_k_add(struct zk_k a, struct zk_k b)
{
    for (int i = 0; i < ZK_DEG; i++)
        a.c[i] = zk_f_add(a.c[i], b.c[i]);
    return a;
}

static inline struct zk_k zk_k_sub(struct zk_k a, struct zk_k b)
{
    for (int i = 0; i < ZK_DEG; i++)
        a.c[i] = zk_f_sub(a.c[i], b.c[i]);
    return a;
}

static inline struct zk_k zk_k_scale(struct zk_k a, zk_f b)
{
    for (int i = 0; i < ZK_DEG; i++)
        a.c[i] = zk_f_mul(a.c[i], b);
    return a;
}

static inline struct zk_k zk_k_neg(struct zk_k a)
{
    return zk_k_sub(zk_k_zero(), a);
}

/* c_i = sum a_j b_(i-j) + 2 sum a_j b_(i+5-j): five products below p^2 each. p^2 < 2^61.82: three of them
 * and a conditional - 2 p^2 leave room for two more below 2^64, and another brings them under p * 2^32. */
static inline struct zk_k zk_k_mul(struct zk_k a, struct zk_k b)
{
    const uint64_t pp2 = 2 * (uint64_t)ZK_P * ZK_P;
    uint32_t w[2 * ZK_DEG];
    struct zk_k r;
    for (int i = 0; i < ZK_DEG; i++) {
        w[i + ZK_DEG] = b.c[i];
        w[i] =
            zk_f_add(b.c[i], b.c[i]); /* w[i + 5 - j] is b_(i-j), or 2 b_(i+5-j) when that wraps */
    }
    for (int i = 0; i < ZK_DEG; i++) {
        uint64_t t =
            (uint64_t)a.c[0] * w[i + 5] + (uint64_t)a.c[1] * w[i + 4] + (uint64_t)a.c[2] * w[i + 3];
        t = t >= pp2 ? t - pp2 : t;
        t += (uint64_t)a.c[3] * w[i + 2] + (uint64_t)a.c[4] * w[i + 1];
        t = t >= pp2 ? t - pp2 : t;
        r.c[i] = zk_f_reduce(t);
    }
    return r;
}

static inline bool zk_k_eq(struct zk_k a, struct zk_k b)
{
    uint32_t d = 0;
    for (int i = 0; i < ZK_DEG; i++)
        d |= a.c[i] ^ b.c[i];
    return d == 0;
}

static inline bool zk_k_is_zero(struct zk_k a)
{
    return zk_k_eq(a, zk_k_zero());
}

struct zk_k zk_k_inv(struct zk_k a); /* of 0: 0 */
struct zk_k zk_k_pow(struct zk_k a, uint64_t e);

/* Bytes: canonical little-endian u32s. zk_f_get and zk_k_get are false when a number is not below p. */
void zk_f_put(zk_f a, uint8_t dst[4]);
QN_CHECK bool zk_f_get(const uint8_t src[4], zk_f *ret);
void zk_k_put(struct zk_k a, uint8_t dst[20]);
QN_CHECK bool zk_k_get(const uint8_t src[20], struct zk_k *ret);

/* --- vectors -------------------------------------------------------------------------------------------- */

/* zk_eq writes eq(z, b) for b in {0,1}^n, z[0] the top bit: 2^n values. */
void zk_eq(const struct zk_k *z, unsigned n, struct zk_k *ret);

/* zk_axpy adds c * src[i] to dst[i], i < n. */
void zk_axpy(zk_f *dst, zk_f c, const zk_f *src, size_t n);

/* zk_encode evaluates cnt polynomials side by side on the subgroup of order 2^log_n.
 *
 * m  (2^log_n, cnt) row-major, cnt a multiple of 16: row i holds the coefficients of x^i; afterwards row q
 *    holds the values at zk_point(log_n, q). Rows from used on must be zero: work on them is saved. */
void zk_encode(zk_f *m, unsigned log_n, size_t cnt, size_t used);
/* zk_point is w^bitrev(q), the point of row q. */
zk_f zk_point(unsigned log_n, uint32_t q);

/* zk_eval evaluates a polynomial with coefficients in K at cnt points of F.
 *
 * planes  five planes of n coefficients, plane i from planes + i * stride */
void zk_eval(const zk_f *planes, size_t stride, size_t n, const zk_f *points, size_t cnt,
             struct zk_k *ret);

/* zk_simd_get is the variant of this machine. */
enum zk_simd { ZK_SIMD_C, ZK_SIMD_AVX2, ZK_SIMD_AVX512 };
enum zk_simd zk_simd_get(void);

/* The variants themselves, for the test that compares them. */
struct zk_ops {
    void (*axpy)(zk_f *dst, zk_f c, const zk_f *src, size_t n);
    void (*butterfly)(zk_f *a, zk_f *b, zk_f w,
                      size_t n); /* a, b = a + b, (a - b) w; n a multiple of 16 */
    void (*scale)(zk_f *dst, zk_f c, const zk_f *src,
                  size_t n); /* dst = c src; n a multiple of 16 */
    /* horner: acc[l] = acc[l] * x[l] + c[i] down from coefficient n - 1; 16 points at once */
    void (*horner)(const zk_f *coef, size_t n, const zk_f x[16], zk_f acc[16]);
};
const struct zk_ops *zk_ops_get(enum zk_simd kind); /* NULL when the machine has it not */

#endif
