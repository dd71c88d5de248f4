/* pack.c - operands of an int8 product as device kernels read them: words of four values, panels of B. */
#include "gpu/worker/driver.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

qn_rc gpu_pack(const struct gpu_product *p, struct gpu_packed *ret)
{
    struct gpu_packed out = { .kw = (p->k + 3) / 4,
                              .panel_cnt = (p->n + GPU_PANEL - 1) / GPU_PANEL };
    out.a_len = (size_t)p->m * out.kw * 4;
    out.b_len = (size_t)out.panel_cnt * GPU_PANEL * out.kw * 4;
    out.a = calloc(1, out.a_len);
    out.b = calloc(1, out.b_len);
    if (!out.a || !out.b) {
        gpu_packed_free(&out);
        return QN_E_MEMORY;
    }
    for (size_t row = 0; row < p->m; row++)
        memcpy(out.a + row * out.kw, p->a + row * p->k, p->k);
    for (size_t col = 0; col < p->n; col++) {
        const int8_t *src = p->b + col * p->k;
        uint32_t *dst = out.b + col / GPU_PANEL * out.kw * GPU_PANEL + col % GPU_PANEL;
        for (uint32_t at = 0; at < p->k; at += 4, dst += GPU_PANEL)
            memcpy(dst, src + at, QN_MIN(p->k - at, 4u));
    }
    *ret = out;
    return QN_OK;
}

void gpu_packed_free(struct gpu_packed *packed)
{
    free(packed->a);
    free(packed->b);
    packed->a = packed->b = NULL;
}

uint64_t gpu_now_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}
