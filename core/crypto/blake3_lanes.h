/* blake3_lanes.h - inside of hash_many.c, which includes it once a width: LANES one-chunk inputs side by side, a word of each in a
 * vector of LANES words (16: AVX-512; 8: AVX2). No include guard. */

#define NAME_(name, lanes)   name##lanes
#define NAME_OF(name, lanes) NAME_(name, lanes)
#define NAME(name)           NAME_OF(name, LANES)
#define vec                  NAME(vec)
#define MIX(a, b, ...)       __builtin_shufflevector(a, b, __VA_ARGS__)
#define PAIRS(a, b, ...)                                                                           \
    (vec) __builtin_shufflevector((NAME(vec_u64))(a), (NAME(vec_u64))(b), __VA_ARGS__)

typedef uint32_t vec __attribute__((vector_size(4 * LANES)));
typedef uint64_t NAME(vec_u64) __attribute__((vector_size(4 * LANES)));

/* Macros, since vectors wider than the baseline may not be passed by value. */
#define ROR(v, n) ((v) >> (n) | (v) << (32 - (n)))
#if LANES == 16
#define ROR16(v) ROR(v, 16)
#define ROR8(v)  ROR(v, 8)
#else /* AVX2 rotates by whole bytes alone in one instruction */
typedef uint8_t NAME(vec_u8) __attribute__((vector_size(4 * LANES)));
#define BYTES(at, a, b, c, d) (at) + (a), (at) + (b), (at) + (c), (at) + (d)
#define TURN(v, a, b, c, d)                                                                        \
    (vec) __builtin_shufflevector(                                                                 \
        (NAME(vec_u8))(v), (NAME(vec_u8))(v), BYTES(0, a, b, c, d), BYTES(4, a, b, c, d),          \
        BYTES(8, a, b, c, d), BYTES(12, a, b, c, d), BYTES(16, a, b, c, d), BYTES(20, a, b, c, d), \
        BYTES(24, a, b, c, d), BYTES(28, a, b, c, d))
#define ROR16(v) TURN(v, 2, 3, 0, 1)
#define ROR8(v)  TURN(v, 1, 2, 3, 0)
#endif

static inline __attribute__((always_inline)) void NAME(quarter)(vec *s, int a, int b, int c, int d,
                                                                const vec *x, const vec *y)
{
    s[a] += s[b] + *x;
    s[d] ^= s[a];
    s[d] = ROR16(s[d]);
    s[c] += s[d];
    s[b] = ROR(s[b] ^ s[c], 12);
    s[a] += s[b] + *y;
    s[d] ^= s[a];
    s[d] = ROR8(s[d]);
    s[c] += s[d];
    s[b] = ROR(s[b] ^ s[c], 7);
}

/* Row l of m, LANES words of lane l, becomes word l of all lanes, in steps that are one instruction a vector: words, then pairs of words
 * change place between neighbours within each 128 bits, then the 128 bits themselves. */
#define FOUR(q)  (q), (q) + 1, (q) + 2, (q) + 3
#define LOW1(q)  (q), LANES + (q), (q) + 1, LANES + (q) + 1
#define HIGH1(q) (q) + 2, LANES + (q) + 2, (q) + 3, LANES + (q) + 3
#define LOW2(q)  (q) / 2, (LANES + (q)) / 2
#define HIGH2(q) (q) / 2 + 1, (LANES + (q)) / 2 + 1
#if LANES == 16
#define ALL(x)      x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x
#define QUARTERS(P) P(0), P(4), P(8), P(12)
#define EVEN        FOUR(0), FOUR(8), FOUR(16), FOUR(24)
#define ODD         FOUR(4), FOUR(12), FOUR(20), FOUR(28)
#else
#define ALL(x)      x, x, x, x, x, x, x, x
#define QUARTERS(P) P(0), P(4)
#define EVEN        FOUR(0), FOUR(8)
#define ODD         FOUR(4), FOUR(12)
#endif

static inline __attribute__((always_inline)) void NAME(transpose)(const uint8_t *src, size_t step,
                                                                  vec m[LANES])
{
    vec r[LANES], t[LANES];
#pragma GCC unroll 16
    for (size_t l = 0; l < LANES; l++)
        memcpy(&r[l], src + l * step, sizeof r[l]);
#pragma GCC unroll 4
    for (int k = 0; k < LANES; k += 4) { /* t[k + c]: words c, c + 4, .. of rows k to k + 3 */
        vec a = MIX(r[k], r[k + 1], QUARTERS(LOW1)), b = MIX(r[k], r[k + 1], QUARTERS(HIGH1)),
            c = MIX(r[k + 2], r[k + 3], QUARTERS(LOW1)),
            d = MIX(r[k + 2], r[k + 3], QUARTERS(HIGH1));
        t[k] = PAIRS(a, c, QUARTERS(LOW2));
        t[k + 1] = PAIRS(a, c, QUARTERS(HIGH2));
        t[k + 2] = PAIRS(b, d, QUARTERS(LOW2));
        t[k + 3] = PAIRS(b, d, QUARTERS(HIGH2));
    }
#pragma GCC unroll 4
    for (int c = 0; c < 4; c++) {
        vec a = MIX(t[c], t[c + 4], EVEN), b = MIX(t[c], t[c + 4], ODD);
#if LANES == 16
        vec d = MIX(t[c + 8], t[c + 12], EVEN), e = MIX(t[c + 8], t[c + 12], ODD);
        m[c] = MIX(a, d, EVEN);
        m[c + 4] = MIX(b, e, EVEN);
        m[c + 8] = MIX(a, d, ODD);
        m[c + 12] = MIX(b, e, ODD);
#else
        m[c] = a;
        m[c + 4] = b;
#endif
    }
}

/* Hashes LANES inputs of len bytes each into ret. */
static inline __attribute__((always_inline)) void NAME(lanes)(const struct job *job,
                                                              const uint8_t *src, size_t stride,
                                                              size_t len, struct qn_hash *ret)
{
    static const uint32_t NUMBER[16] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 };
    static const vec IV[4] = {
        { ALL(0x6a09e667) }, { ALL(0xbb67ae85) }, { ALL(0x3c6ef372) }, { ALL(0xa54ff53a) }
    };
    vec cv[8], low, high;
    for (int i = 0; i < 8; i++)
        cv[i] = (vec){ 0 } + job->key[i];
    memcpy(&low, NUMBER, sizeof low);
    low = low * (uint32_t)job->step + (uint32_t)job->counter;
    /* A lane whose low word passed 2^32 is below where the first began. */
    high = (vec)(low < (uint32_t)job->counter) & 1;
    high += (uint32_t)(job->counter >> 32);
    size_t blocks = len ? (len + 63) / 64 : 1;
    for (size_t b = 0; b < blocks; b++) {
        size_t n = QN_MIN((size_t)64, len - b * 64);
        vec m[16], s[16];
        const uint8_t *in = src + b * 64;
        size_t step = stride;
        uint8_t padded[LANES * 64];
        if (n < 64) { /* the last block of a short input */
            memset(padded, 0, sizeof padded);
            for (size_t l = 0; l < LANES && n; l++)
                memcpy(padded + l * 64, in + l * stride, n);
            in = padded;
            step = 64;
        }
        /* LANES streams at once are more than the machine foresees by itself. */
        if (b + 4 < blocks)
            for (size_t l = 0; l < LANES; l++)
                __builtin_prefetch(in + l * stride + 256);
#pragma GCC unroll 2
        for (size_t at = 0; at < 16; at += LANES)
            NAME(transpose)(in + at * 4, step, m + at);
        uint32_t f = job->flags | (b == 0 ? job->start : 0u) | (b + 1 == blocks ? job->end : 0u);
        for (int i = 0; i < 8; i++)
            s[i] = cv[i];
        memcpy(s + 8, IV, sizeof IV);
        s[12] = low;
        s[13] = high;
        s[14] = (vec){ 0 } + (uint32_t)n;
        s[15] = (vec){ 0 } + f;
#pragma GCC unroll 7
        for (int r = 0; r < 7; r++) {
            const uint8_t *o = QN_B3_ORDER[r];
            NAME(quarter)(s, 0, 4, 8, 12, &m[o[0]], &m[o[1]]);
            NAME(quarter)(s, 1, 5, 9, 13, &m[o[2]], &m[o[3]]);
            NAME(quarter)(s, 2, 6, 10, 14, &m[o[4]], &m[o[5]]);
            NAME(quarter)(s, 3, 7, 11, 15, &m[o[6]], &m[o[7]]);
            NAME(quarter)(s, 0, 5, 10, 15, &m[o[8]], &m[o[9]]);
            NAME(quarter)(s, 1, 6, 11, 12, &m[o[10]], &m[o[11]]);
            NAME(quarter)(s, 2, 7, 8, 13, &m[o[12]], &m[o[13]]);
            NAME(quarter)(s, 3, 4, 9, 14, &m[o[14]], &m[o[15]]);
        }
        for (int i = 0; i < 8; i++)
            cv[i] = s[i] ^ s[i + 8];
    }
    vec rows[LANES] = { 0 }, out[LANES];
    for (int i = 0; i < 8; i++)
        rows[i] = cv[i];
    NAME(transpose)((const uint8_t *)rows, sizeof *rows, out);
    for (size_t l = 0; l < LANES; l++)
        memcpy(ret[l].b, &out[l], sizeof ret[l].b);
}

#undef NAME_
#undef NAME_OF
#undef NAME
#undef vec
#undef MIX
#undef PAIRS
#undef ROR
#undef ROR16
#undef ROR8
#undef BYTES
#undef TURN
#undef FOUR
#undef LOW1
#undef HIGH1
#undef LOW2
#undef HIGH2
#undef ALL
#undef QUARTERS
#undef EVEN
#undef ODD
#undef LANES
