/* field.c - F and K, one number at a time. */
#include "modules/zkml/field.h"

#include <string.h>

zkml_f zkml_f_pow(zkml_f a, uint64_t e)
{
    zkml_f r = ZK_ONE;
    for (; e; e >>= 1, a = zkml_f_mul(a, a))
        if (e & 1) r = zkml_f_mul(r, a);
    return r;
}

zkml_f zkml_f_inv(zkml_f a)
{
    return zkml_f_pow(a, ZK_P - 2);
}

zkml_f zkml_f_root(unsigned log_n)
{
    QN_ASSERT(log_n <= ZK_TWO);
    zkml_f w = zkml_f_from(ZK_W27);
    for (unsigned i = log_n; i < ZK_TWO; i++)
        w = zkml_f_mul(w, w);
    return w;
}

/* a -> a^(p^k): coefficient i times z^(k i), z = 2^((p-1)/5). */
static struct zkml_k frobenius(struct zkml_k a, unsigned k)
{
    static const uint32_t Z[ZK_DEG] = { 1, 815036133, 609564788, 1956349769, 645581151 };
    for (unsigned i = 1; i < ZK_DEG; i++)
        a.c[i] = zkml_f_mul(a.c[i], zkml_f_from(Z[k * i % ZK_DEG]));
    return a;
}

/* The product of all five conjugates lies in F, so one inverse in F does. */
struct zkml_k zkml_k_inv(struct zkml_k a)
{
    struct zkml_k rest = zkml_k_mul(zkml_k_mul(frobenius(a, 1), frobenius(a, 2)),
                                    zkml_k_mul(frobenius(a, 3), frobenius(a, 4)));
    return zkml_k_scale(rest, zkml_f_inv(zkml_k_mul(a, rest).c[0]));
}

struct zkml_k zkml_k_pow(struct zkml_k a, uint64_t e)
{
    struct zkml_k r = zkml_k_one();
    for (; e; e >>= 1, a = zkml_k_mul(a, a))
        if (e & 1) r = zkml_k_mul(r, a);
    return r;
}

void zkml_f_put(zkml_f a, uint8_t dst[4])
{
    uint32_t v = zkml_f_to(a);
    memcpy(dst, &v, 4); /* little-endian on every machine we build for */
}

bool zkml_f_get(const uint8_t src[4], zkml_f *ret)
{
    uint32_t v;
    memcpy(&v, src, 4);
    if (v >= ZK_P) return false;
    *ret = zkml_f_from(v);
    return true;
}

void zkml_k_put(struct zkml_k a, uint8_t dst[20])
{
    for (int i = 0; i < ZK_DEG; i++)
        zkml_f_put(a.c[i], dst + 4 * i);
}

bool zkml_k_get(const uint8_t src[20], struct zkml_k *ret)
{
    for (int i = 0; i < ZK_DEG; i++)
        if (!zkml_f_get(src + 4 * i, &ret->c[i])) return false;
    return true;
}

void zkml_eq(const struct zkml_k *z, unsigned n, struct zkml_k *ret)
{
    ret[0] = zkml_k_one();
    for (unsigned i = 0; i < n; i++) /* z[i] becomes the lowest bit of what is there already */
        for (size_t b = (size_t)1 << i; b-- > 0;) {
            struct zkml_k one = zkml_k_mul(ret[b], z[i]);
            ret[2 * b] = zkml_k_sub(ret[b], one);
            ret[2 * b + 1] = one;
        }
}
