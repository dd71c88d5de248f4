/* rows_i8.h - rows of A as words of a build; included by each build, so that its instructions do it. */
#ifndef QN_GPU_CPU_ROWS_I8_H
#define QN_GPU_CPU_ROWS_I8_H

#include <stdint.h>
#include <string.h>

/* rows_i8 writes cnt rows of a (cnt, k) as rows of kw words, zeros past k, and the start values that undo
 * the bias of B. */
static void rows_i8(const int8_t *a, uint32_t cnt, uint32_t k, uint32_t kw, uint32_t *dst,
                    int32_t *start)
{
    for (uint32_t row = 0; row < cnt; row++, a += k, dst += kw) {
        int32_t sum = 0;
#if DOT_CNT == 4
        memcpy(dst, a, k);
        memset((uint8_t *)dst + k, 0, (size_t)kw * 4 - k);
#else
        int16_t *wide = (int16_t *)dst; /* the build has -fno-strict-aliasing */
        for (uint32_t i = 0; i < k; i++)
            wide[i] = a[i];
        for (uint32_t i = k; i < kw * 2; i++)
            wide[i] = 0;
#endif
#if DOT_BIAS
        for (uint32_t i = 0; i < k; i++)
            sum += a[i];
#endif
        start[row] = -DOT_BIAS * sum;
    }
}

#endif
