/* field.c - F and K, one number at a time. */
#include "modules/zkml/field.h"

#include <string.h>

zk_f zk_f_pow(zk_f a, uint64_t e)
{
    zk_f r = ZK_ONE;
    for (; e; e >>= 1, a = zk_f_mul(a, a))
        if (e & 1) r = zk_f_mul(r, a);
    return r;
}

zk_f zk_f_inv(zk_f a)
{
    return zk_f_pow(a, ZK_P - 2);
}

zk_f zk_f_root(unsigned log_n)
{
    QN_ASSERT(log_n <= ZK_TWO);
    zk_f w = zk_f_from(ZK_W27);
    for (unsigned i = log_n; i < ZK_TWO; i++)
        w = zk_f_mul(w, w);
    return w;
}

/* a -> a^(p^k): coefficient i times z^(k i), z = 2^((p-1)/5). */
static struct zk_k frobenius(struct zk_k a, unsigned k)
{
    static const uint32_t Z[ZK_DEG] = { 1, 815036133, 609564788, 1956349769, 645581151 };
    for (unsigned i = 1; i < ZK_DEG; i++)
        a.c[i] = zk_f_mul(a.c[i], zk_f_from(Z[k * i % ZK_DEG]));
    return a;
}

/* The product of all five conjugates lies in F, so one inverse in F does. */
struct zk_k zk_k_inv(struct zk_k a)
{
    struct zk_k rest = zk_k_mul(zk_k_mul(frobenius(a, 1), frobenius(a, 2)),
                                zk_k_mul(frobenius(a, 3), frobenius(a, 4)));
    return zk_k_scale(rest, zk_f_inv(zk_k_mul(a, rest).c[0]));
}

struct zk_k zk_k_pow(struct zk_k a, uint64_t e)
{
    struct zk_k r = zk_k_one();
    for (; e; e >>= 1, a = zk_k_mul(a, a))
        if (e & 1) r = zk_k_mul(r, a);
    return r;
}

void zk_f_put(zk_f a, uint8_t dst[4])
{
    uint32_t v = zk_f_to(a);
    memcpy(dst, &v, 4); /* little-endian on every machine we build for */
}

bool zk_f_get(const uint8_t src[4], zk_f *ret)
{
    uint32_t v;
    memcpy(&v, src, 4);
    if (v >= ZK_P) return false;
    *ret = zk_f_from(v);
    return true;
}

void zk_k_put(struct zk_k a, uint8_t dst[20])
{
    for (int i = 0; i < ZK_DEG; i++)
        zk_f_put(a.c[i], dst + 4 * i);
}

bool zk_k_get(const uint8_t src[20], struct zk_k *ret)
{
    for (int i = 0; i < ZK_DEG; i++)
        if (!zk_f_get(src + 4 * i, &ret->c[i])) return false;
    return true;
}

void zk_eq(const struct zk_k *z, unsigned n, struct zk_k *ret)
{
    ret[0] = zk_k_one();
    for (unsigned i = 0; i < n; i++) /* z[i] becomes the lowest bit of what is there already */
        for (size_t b = (size_t)1 << i; b-- > 0;) {
            struct zk_k one = zk_k_mul(ret[b], z[i]);
            ret[2 * b] = zk_k_sub(ret[b], one);
            ret[2 * b + 1] = one;
        }
}
