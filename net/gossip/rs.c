/* rs.c - the field, its three ways to multiply many bytes, and the two matrices.
 *
 * A product with a constant is linear in the bits of the other factor. GFNI multiplies 64 bytes by an 8 x 8 bit matrix in one
 * operation; AVX2 adds two looked-up nibbles; C looks up the byte. The limit of the first: per 64 bytes of data, k affine operations
 * and k / 2 three-way xors, so k = 32 costs about 48 cycles, 1.3 bytes a cycle. */
#include "net/gossip/rs.h"

#include <string.h>
#ifdef __x86_64__
#include <immintrin.h>
#endif

#define POLY 0x11du

/* Vector kernels take TILE rows and STEP bytes at a time. */
enum { TILE = 8, STEP = 128, BLOCK = 4096 };

static uint8_t twice(uint8_t a)
{
    return (uint8_t)((unsigned)a << 1 ^ (a & 0x80 ? POLY : 0u));
}

uint8_t rs_gf_mul(uint8_t a, uint8_t b)
{
    uint8_t sum = 0;
    for (; b; b >>= 1, a = twice(a))
        if (b & 1) sum ^= a;
    return sum;
}

/* Logarithms to base 2. Made on the stack of who needs them: 255 steps, less than one piece of one row. */
struct field {
    uint8_t exp[512], log[256];
};

static void field_init(struct field *f)
{
    uint8_t x = 1;
    f->log[0] = 0;
    for (unsigned i = 0; i < 255; i++, x = twice(x)) {
        f->exp[i] = f->exp[i + 255] = x;
        f->log[x] = (uint8_t)i;
    }
    f->exp[510] = f->exp[511] = 1;
}

static uint8_t field_inv(const struct field *f, uint8_t a)
{
    QN_ASSERT(a != 0);
    return f->exp[255 - f->log[a]];
}

static void mul_c(const uint8_t *matrix, unsigned rows, unsigned cols, const uint8_t *const *src,
                  uint8_t *const *dst, size_t len)
{
    uint8_t table[256];
    for (unsigned r = 0; r < rows; r++) {
        memset(dst[r], 0, len);
        for (unsigned c = 0; c < cols; c++) {
            table[0] = 0;
            table[1] = matrix[r * cols + c];
            for (unsigned i = 2; i < 256; i += 2) {
                table[i] = twice(table[i / 2]);
                table[i + 1] = table[i] ^ table[1];
            }
            for (size_t i = 0; i < len; i++)
                dst[r][i] ^= table[src[c][i]];
        }
    }
}

#ifdef __x86_64__
/* Bit row i of the matrix of "times c" says which bits of x make bit i of c * x; the instruction wants row 7 in the lowest byte. */
static uint64_t affine(uint8_t c)
{
    uint64_t m = 0;
    for (unsigned bit = 0; bit < 8; bit++, c = twice(c))
        for (unsigned i = 0; i < 8; i++)
            m |= (uint64_t)(c >> i & 1) << (8 * (7 - i) + bit);
    return m;
}

/* len is a multiple of STEP. Rows beyond the last are computed with zeros and not stored. */
__attribute__((target("gfni,avx512f,avx512bw"))) static void
tile_gfni(uint64_t (*m)[TILE], unsigned rows, unsigned cols, const uint8_t *const *src,
          uint8_t *const *dst, size_t len)
{
    for (size_t at = 0; at < len; at += STEP) {
        __m512i acc[TILE][2];
        unsigned c = 0;
        for (int r = 0; r < TILE; r++)
            acc[r][0] = acc[r][1] = _mm512_setzero_si512();
        for (; c + 2 <= cols; c += 2) {
            __m512i a0 = _mm512_loadu_si512(src[c] + at);
            __m512i a1 = _mm512_loadu_si512(src[c] + at + 64);
            __m512i b0 = _mm512_loadu_si512(src[c + 1] + at);
            __m512i b1 = _mm512_loadu_si512(src[c + 1] + at + 64);
#pragma GCC unroll 8
            for (int r = 0; r < TILE; r++) {
                __m512i ma = _mm512_set1_epi64((long long)m[c][r]);
                __m512i mb = _mm512_set1_epi64((long long)m[c + 1][r]);
                acc[r][0] =
                    _mm512_ternarylogic_epi64(acc[r][0], _mm512_gf2p8affine_epi64_epi8(a0, ma, 0),
                                              _mm512_gf2p8affine_epi64_epi8(b0, mb, 0), 0x96);
                acc[r][1] =
                    _mm512_ternarylogic_epi64(acc[r][1], _mm512_gf2p8affine_epi64_epi8(a1, ma, 0),
                                              _mm512_gf2p8affine_epi64_epi8(b1, mb, 0), 0x96);
            }
        }
        if (c < cols) {
            __m512i a0 = _mm512_loadu_si512(src[c] + at);
            __m512i a1 = _mm512_loadu_si512(src[c] + at + 64);
#pragma GCC unroll 8
            for (int r = 0; r < TILE; r++) {
                __m512i ma = _mm512_set1_epi64((long long)m[c][r]);
                acc[r][0] = _mm512_xor_si512(acc[r][0], _mm512_gf2p8affine_epi64_epi8(a0, ma, 0));
                acc[r][1] = _mm512_xor_si512(acc[r][1], _mm512_gf2p8affine_epi64_epi8(a1, ma, 0));
            }
        }
#pragma GCC unroll 8
        for (unsigned r = 0; r < TILE; r++) {
            if (r >= rows) break;
            _mm512_storeu_si512(dst[r] + at, acc[r][0]);
            _mm512_storeu_si512(dst[r] + at + 64, acc[r][1]);
        }
    }
}

static void mul_gfni(const uint8_t *matrix, unsigned rows, unsigned cols, const uint8_t *const *src,
                     uint8_t *const *dst, size_t len)
{
    uint64_t m[RS_K_MAX][TILE], of[256];
    for (unsigned bit = 0; bit < 8; bit++)
        of[1u << bit] = affine((uint8_t)(1u << bit));
    of[0] = 0;
    for (unsigned i = 1; i < 256; i++)
        of[i] = of[i & (i - 1)] ^ of[i & -i];
    /* A block of every column at a time, so that it stays in the second cache while all tiles pass over it. */
    for (size_t at = 0; at < len; at += BLOCK) {
        const uint8_t *in[RS_K_MAX];
        uint8_t *out[RS_K_MAX];
        for (unsigned c = 0; c < cols; c++)
            in[c] = src[c] + at;
        for (unsigned r = 0; r < rows; r++)
            out[r] = dst[r] + at;
        for (unsigned row = 0; row < rows; row += TILE) {
            unsigned n = QN_MIN((unsigned)TILE, rows - row);
            for (unsigned c = 0; c < cols; c++)
                for (unsigned r = 0; r < TILE; r++)
                    m[c][r] = r < n ? of[matrix[(row + r) * cols + c]] : 0;
            tile_gfni(m, n, cols, in, out + row, QN_MIN((size_t)BLOCK, len - at));
        }
    }
}

__attribute__((target("avx2"))) static void
row_avx2(uint8_t (*nibbles)[32], unsigned cols, const uint8_t *const *src, uint8_t *dst, size_t len)
{
    const __m256i low = _mm256_set1_epi8(15);
    for (size_t at = 0; at < len; at += STEP) {
        __m256i acc[4] = { _mm256_setzero_si256(), _mm256_setzero_si256(), _mm256_setzero_si256(),
                           _mm256_setzero_si256() };
        for (unsigned c = 0; c < cols; c++) {
            const __m256i t = _mm256_loadu_si256((const __m256i *)(const void *)nibbles[c]);
            const __m256i tl = _mm256_permute2x128_si256(t, t, 0x00);
            const __m256i th = _mm256_permute2x128_si256(t, t, 0x11);
#pragma GCC unroll 4
            for (int i = 0; i < 4; i++) {
                __m256i x =
                    _mm256_loadu_si256((const __m256i *)(const void *)(src[c] + at + 32 * i));
                __m256i hi = _mm256_and_si256(_mm256_srli_epi64(x, 4), low);
                x = _mm256_xor_si256(_mm256_shuffle_epi8(tl, _mm256_and_si256(x, low)),
                                     _mm256_shuffle_epi8(th, hi));
                acc[i] = _mm256_xor_si256(acc[i], x);
            }
        }
#pragma GCC unroll 4
        for (int i = 0; i < 4; i++)
            _mm256_storeu_si256((__m256i *)(void *)(dst + at + 32 * i), acc[i]);
    }
}

static void mul_avx2(const uint8_t *matrix, unsigned rows, unsigned cols, const uint8_t *const *src,
                     uint8_t *const *dst, size_t len)
{
    uint8_t nibbles[RS_K_MAX][32];
    for (unsigned r = 0; r < rows; r++) {
        for (unsigned c = 0; c < cols; c++)
            for (uint8_t i = 0; i < 16; i++) {
                nibbles[c][i] = rs_gf_mul(matrix[r * cols + c], i);
                nibbles[c][16 + i] = rs_gf_mul(matrix[r * cols + c], (uint8_t)(i << 4));
            }
        row_avx2(nibbles, cols, src, dst[r], len);
    }
}
#endif

enum rs_way rs_way(void)
{
#ifdef __x86_64__
    /* GFNI by its own leaf: compilers of the day do not know its name here. */
    unsigned a, b, c = 0, d;
    __asm__("cpuid" : "=a"(a), "=b"(b), "+c"(c), "=d"(d) : "0"(7));
    bool gfni = c >> 8 & 1;
    if (gfni && __builtin_cpu_supports("avx512bw")) return RS_GFNI;
    if (__builtin_cpu_supports("avx2")) return RS_AVX2;
#endif
    return RS_C;
}

static void mul_whole(enum rs_way way, const uint8_t *matrix, unsigned rows, unsigned cols,
                      const uint8_t *const *src, uint8_t *const *dst, size_t len)
{
    switch (way) {
#ifdef __x86_64__
    case RS_GFNI: mul_gfni(matrix, rows, cols, src, dst, len); return;
    case RS_AVX2: mul_avx2(matrix, rows, cols, src, dst, len); return;
#else
    case RS_GFNI:
    case RS_AVX2:
#endif
    case RS_C: mul_c(matrix, rows, cols, src, dst, len); return;
    }
}

void rs_mul(enum rs_way way, const uint8_t *matrix, unsigned rows, unsigned cols,
            const uint8_t *const *src, uint8_t *const *dst, size_t len)
{
    QN_ASSERT(rows >= 1 && rows <= RS_K_MAX && cols >= 1 && cols <= RS_K_MAX);
    size_t whole = way == RS_C ? len : len / STEP * STEP, rest = len - whole;
    if (whole) mul_whole(way, matrix, rows, cols, src, dst, whole);
    if (rest == 0) return;
    /* The last bytes of every piece, side by side with zeros behind them. */
    uint8_t in[RS_K_MAX][STEP], out[RS_K_MAX][STEP];
    const uint8_t *in_ptr[RS_K_MAX] = { NULL };
    uint8_t *out_ptr[RS_K_MAX] = { NULL };
    memset(in, 0, cols * sizeof *in);
    for (unsigned c = 0; c < cols; c++) {
        memcpy(in[c], src[c] + whole, rest);
        in_ptr[c] = in[c];
    }
    for (unsigned r = 0; r < rows; r++)
        out_ptr[r] = out[r];
    mul_whole(way, matrix, rows, cols, in_ptr, out_ptr, STEP);
    for (unsigned r = 0; r < rows; r++)
        memcpy(dst[r] + whole, out[r], rest);
}

void rs_encode(unsigned k, const uint8_t *const *data, uint8_t *const *parity, size_t len)
{
    QN_ASSERT(k >= 1 && k <= RS_K_MAX);
    struct field f;
    uint8_t matrix[RS_K_MAX * RS_K_MAX];
    field_init(&f);
    for (unsigned i = 0; i < k; i++)
        for (unsigned j = 0; j < k; j++)
            matrix[i * k + j] = field_inv(&f, (uint8_t)((k + i) ^ j));
    rs_mul(rs_way(), matrix, k, k, data, parity, len);
}

/* The inverse of the matrix 1 / (x[i] + y[j]), in closed form (Cauchy): row j, column i is
 * prod (x_i + y_*) prod (x_* + y_j) / ((x_i + y_j) prod' (x_i + x_*) prod' (y_j + y_*)), each prod' without the zero. */
static void cauchy_inverse(const struct field *f, unsigned n, const uint8_t *x, const uint8_t *y,
                           uint8_t *ret)
{
    unsigned by_x[RS_K_MAX], by_y[RS_K_MAX]; /* logarithms, modulo 255 */
    for (unsigned i = 0; i < n; i++) {
        by_x[i] = by_y[i] = 0;
        for (unsigned k = 0; k < n; k++) {
            by_x[i] += f->log[x[i] ^ y[k]];
            by_y[i] += f->log[x[k] ^ y[i]];
            if (k == i) continue;
            by_x[i] += 255u - f->log[x[i] ^ x[k]];
            by_y[i] += 255u - f->log[y[i] ^ y[k]];
        }
    }
    for (unsigned j = 0; j < n; j++)
        for (unsigned i = 0; i < n; i++)
            ret[j * n + i] = f->exp[(by_x[i] + by_y[j] + 255u - f->log[x[i] ^ y[j]]) % 255];
}

bool rs_restore(unsigned k, const uint8_t *const *piece, uint8_t *const *ret_data, size_t len)
{
    QN_ASSERT(k >= 1 && k <= RS_K_MAX);
    /* Inputs: the data that is there, then as many parities as data is missing. */
    uint8_t miss[RS_K_MAX], here[RS_K_MAX], row[RS_K_MAX];
    const uint8_t *in[RS_K_MAX];
    uint8_t *out[RS_K_MAX];
    unsigned miss_cnt = 0, here_cnt = 0, row_cnt = 0;
    for (unsigned i = 0; i < k; i++) {
        if (piece[i]) {
            in[here_cnt] = piece[i];
            here[here_cnt++] = (uint8_t)i;
        } else {
            out[miss_cnt] = ret_data[i];
            miss[miss_cnt++] = (uint8_t)i;
        }
    }
    for (unsigned i = k; i < 2 * k && row_cnt < miss_cnt; i++) {
        if (!piece[i]) continue;
        in[here_cnt + row_cnt] = piece[i];
        row[row_cnt++] = (uint8_t)i;
    }
    if (row_cnt < miss_cnt) return false;
    if (miss_cnt == 0) return true;

    /* missing = inverse * (parity + known part of it), so the row over (here, parity) is (inverse * cauchy, inverse). */
    struct field f;
    uint8_t inverse[RS_K_MAX * RS_K_MAX], known[RS_K_MAX][RS_K_MAX], matrix[RS_K_MAX * RS_K_MAX];
    const uint8_t *known_ptr[RS_K_MAX];
    uint8_t *left[RS_K_MAX];
    field_init(&f);
    cauchy_inverse(&f, miss_cnt, row, miss, inverse);
    for (unsigned i = 0; i < miss_cnt; i++) {
        for (unsigned j = 0; j < here_cnt; j++)
            known[i][j] = field_inv(&f, row[i] ^ here[j]);
        known_ptr[i] = known[i];
        left[i] = matrix + i * k;
        memcpy(matrix + i * k + here_cnt, inverse + i * miss_cnt, miss_cnt);
    }
    if (here_cnt) rs_mul(rs_way(), inverse, miss_cnt, miss_cnt, known_ptr, left, here_cnt);
    rs_mul(rs_way(), matrix, miss_cnt, k, in, out, len);
    return true;
}
