/* q32.c - series and vectors. */
#include "modules/subnet/q32.h"

/* ceil(2^64 / i): n * PART(i) >> 64 is n / i for n below 2^59, since the error is below i <= 31 parts of 2^64. */
#define PART(i) (UINT64_MAX / (i) + 1)
static const uint64_t PARTS[32] = {
    0,        0,        PART(2),  PART(3),  PART(4),  PART(5),  PART(6),  PART(7),
    PART(8),  PART(9),  PART(10), PART(11), PART(12), PART(13), PART(14), PART(15),
    PART(16), PART(17), PART(18), PART(19), PART(20), PART(21), PART(22), PART(23),
    PART(24), PART(25), PART(26), PART(27), PART(28), PART(29), PART(30), PART(31),
};

q32 q32_exp(q32 x)
{
    const q32 limit = (q32)20 << 32;
    x = x > limit ? limit : x < -limit ? -limit : x;
    if (x == 0) return Q32_ONE;
    if (x == Q32_ONE) return 11674931200; /* upstream's table value, of 23 good bits */
    q32 a = x < 0 ? -x : x, term = a, sum = Q32_ONE + a;
    for (q32 i = 2; i <= 31 && term; i++) { /* what follows a zero term is zero */
        term = q32_mul(term, a);
        /* up to e^8 no term times its a reaches 2^44 */
        term = a <= (q32)8 << 32 ? (q32)(((subnet_u128)(uint64_t)term * PARTS[i]) >> 64) : term / i;
        sum = q32_add(sum, term);
    }
    return x < 0 ? q32_div(Q32_ONE, sum) : sum;
}

void q32_norm(q32 *v, size_t cnt)
{
    q32 sum = 0;
    for (size_t i = 0; i < cnt; i++)
        sum += v[i];
    if (sum == 0) return;
    for (size_t i = 0; i < cnt; i++)
        v[i] = q32_div(v[i], sum);
}

void q32_upscale(const q32 *v, size_t cnt, uint16_t *ret)
{
    const q32 full = (q32)65535 << 32;
    q32 max = 0;
    for (size_t i = 0; i < cnt; i++)
        max = v[i] > max ? v[i] : max;
    for (size_t i = 0; i < cnt; i++) {
        q32 whole;
        if (max == 0) {
            ret[i] = q32_u16(v[i]);
            continue;
        }
        if (max > (q32)32768 << 32)
            whole = q32_round(q32_mul(v[i], q32_div(full, max)));
        else
            whole = q32_round(q32_div(q32_mul(v[i], full), max));
        ret[i] = whole < 0 ? 0 : whole > 65535 ? 65535 : (uint16_t)whole;
    }
}
