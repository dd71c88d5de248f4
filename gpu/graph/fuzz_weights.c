/* fuzz_weights.c - any bytes as QNTW: refused, or read and written back as they were. */
#include "gpu/graph/weights.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct qn_arena arena = { .max = 16u << 20 };
    struct qn_buf back = { 0 };
    struct weights w;
    struct qn_why why = { "" };
    if (weights_open(QN_SPAN(data, len), &arena, &w, &why) == QN_OK) {
        weights_put(&w, &back);
        if (back.len != len || memcmp(back.ptr, data, len) != 0) abort();
    } else if (!why.text[0]) {
        abort();
    }
    qn_buf_free(&back);
    qn_arena_free(&arena);
    return 0;
}
