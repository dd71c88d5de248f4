/* fuzz_images.c - any bytes as QNDS: refused with a reason, or every value and label can be read. */
#include "gpu/graph/images.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct images set;
    struct qn_why why = { "" };
    if (images_open(QN_SPAN(data, len), &set, &why) != QN_OK) {
        if (!why.text[0]) abort();
        return 0;
    }
    for (uint32_t i = 0; i < set.rec_cnt; i++) {
        if (images_label(&set, i) >= set.class_cnt) abort();
        const volatile uint8_t *v = images_values(&set, i);
        (void)v[set.value_cnt - 1];
    }
    return 0;
}
