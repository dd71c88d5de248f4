/* fuzz_onnx.c - any bytes as ONNX: refused with a reason, or a model that keeps every limit, runs, and comes back from
 * its own export as it was. */
#include "gpu/graph/onnx.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct qn_arena arena = { .max = 32u << 20 };
    struct qn_buf out = { 0 };
    struct int8_model m, again;
    struct qn_why why = { "" };
    if (onnx_import(QN_SPAN(data, len), &arena, &m, NULL, &why) != QN_OK) {
        if (!why.text[0]) abort();
        goto done;
    }
    if (int8_model_check(&m, NULL) != QN_OK) abort();
    int8_t *x = calloc(int8_model_in(&m), 1), *y = malloc(int8_model_out(&m));
    if (x && y && int8_run(&m, x, y) != QN_OK) abort();
    free(x);
    free(y);
    onnx_export(&m, &out);
    if (onnx_import(qn_buf_get(&out), &arena, &again, NULL, &why) == QN_OK) {
        if (again.layer_cnt != m.layer_cnt) abort();
        for (uint32_t l = 0; l < m.layer_cnt; l++)
            if (again.layer[l].m != m.layer[l].m || again.layer[l].s != m.layer[l].s ||
                again.layer[l].relu != m.layer[l].relu ||
                memcmp(again.layer[l].w, m.layer[l].w, (size_t)m.layer[l].in * m.layer[l].out) != 0)
                abort();
    }
done:
    qn_buf_free(&out);
    qn_arena_free(&arena);
    return 0;
}
