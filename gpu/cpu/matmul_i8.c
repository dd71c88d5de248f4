/* matmul_i8.c - the table of builds, packing, and the loop over groups. */
#include "gpu/cpu/matmul_i8.h"

#include <stdlib.h>
#include <string.h>

#define CHUNK_WORDS UINT32_C(65536) /* 256 KiB of packed A: half of a small L2; B streams past it */

static const struct matmul_i8_build *const BUILDS[] = {
    &matmul_i8_c,
#ifdef __x86_64__
    &matmul_i8_sse2,   &matmul_i8_avx2,       &matmul_i8_avxvnni,
    &matmul_i8_avx512, &matmul_i8_avx512vnni, &matmul_i8_amx,
#endif
};

const struct matmul_i8_build *const *matmul_i8_builds(size_t *ret_cnt)
{
    *ret_cnt = QN_COUNT(BUILDS);
    return BUILDS;
}

static uint32_t words_of(const struct matmul_i8_build *build, uint32_t k)
{
    uint32_t kw = (k + build->dot_cnt - 1) / build->dot_cnt, step = build->kw_step;
    return (kw + step - 1) / step * step;
}

/* The word at src of a row of which left values remain. */
static uint32_t word_at(const struct matmul_i8_build *build, const int8_t *src, uint32_t left)
{
    int8_t v[4] = { 0 };
    memcpy(v, src, QN_MIN(left, (uint32_t)build->dot_cnt));
    if (build->dot_cnt == 2)
        return (uint32_t)(uint16_t)(int16_t)v[0] | (uint32_t)(uint16_t)(int16_t)v[1] << 16;
    return (uint32_t)(uint8_t)v[0] | (uint32_t)(uint8_t)v[1] << 8 | (uint32_t)(uint8_t)v[2] << 16 |
           (uint32_t)(uint8_t)v[3] << 24;
}

qn_rc matmul_i8_pack(const struct matmul_i8_build *build, const int8_t *b, uint32_t n, uint32_t k,
                     struct matmul_i8_packed *ret)
{
    if (n == 0 || k == 0 || k > 65536 || (uint64_t)n * k > UINT64_C(1) << 30) return QN_E_RANGE;
    uint32_t kw = words_of(build, k), panel = build->panel, panel_cnt = (n + panel - 1) / panel;
    uint32_t flip = build->bias ? UINT32_C(0x80808080) : 0; /* v + 128 as a byte is v ^ 0x80 */
    size_t bytes = ((size_t)panel_cnt * panel * kw * 4 + 63) / 64 * 64;
    uint32_t *words = aligned_alloc(64, bytes);
    if (!words) return QN_E_MEMORY;
    memset(words, 0, bytes);
    for (uint32_t col = 0; col < n; col++) {
        const int8_t *src = b + (size_t)col * k;
        uint32_t *dst = words + (size_t)(col / panel) * kw * panel + col % panel;
        for (uint32_t at = 0; at < k; at += build->dot_cnt, dst += panel)
            *dst = word_at(build, src + at, k - at) ^ flip;
    }
    *ret = (struct matmul_i8_packed){ build, n, k, kw, words };
    return QN_OK;
}

void matmul_i8_packed_fini(struct matmul_i8_packed *packed)
{
    free(packed->words);
    packed->words = NULL;
}

qn_rc matmul_i8_run(const struct matmul_i8_packed *packed, const int8_t *a, int32_t *c, uint32_t m)
{
    const struct matmul_i8_build *build = packed->build;
    uint32_t n = packed->n, kw = packed->kw, panel_cnt = (n + build->panel - 1) / build->panel;
    if (m == 0 || (uint64_t)m * n > UINT64_C(1) << 31 ||
        (uint64_t)m * packed->k > UINT64_C(1) << 31)
        return QN_E_RANGE;
    bool few = build->few && m < build->rows;
    uint32_t rows = few ? build->few_rows : build->rows;
    uint32_t chunk = QN_MAX(CHUNK_WORDS / kw / rows, 1u) * rows;
    chunk = QN_MIN(chunk, (m + rows - 1) / rows * rows);
    size_t a_bytes = ((size_t)chunk * kw * 4 + 63) / 64 * 64;
    uint32_t *words = aligned_alloc(64, a_bytes + ((size_t)chunk * 4 + 63) / 64 * 64);
    if (!words) return QN_E_MEMORY;
    int32_t *start = (int32_t *)(words + a_bytes / 4);
    if (build->begin) build->begin();
    for (uint32_t row = 0; row < m; row += chunk) {
        uint32_t cnt = QN_MIN(chunk, m - row);
        build->pack_rows(a + (size_t)row * packed->k, cnt, packed->k, kw, words, start);
        for (uint32_t x = 0; x < panel_cnt; x++)
            for (uint32_t y = 0; y * rows < cnt; y++)
                (few ? build->few : build->many)(words, packed->words, start, c + (size_t)row * n,
                                                 cnt, n, kw, x, y);
    }
    if (build->end) build->end();
    free(words);
    return QN_OK;
}
