/* fuzz_secret.c - files of weights: the prover's own `.qzw` and networks to commit to. What is read is written back alike. */
#include "modules/zkml/netfile.h"
#include "modules/zkml/secret.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct zkml_secret s;
    struct int8_model net;
    struct qn_arena arena = { 0 };
    struct qn_buf out = { 0 };
    struct qn_why why;
    if (size > 1u << 16) return 0;
    if (zkml_secret_get(QN_SPAN(data, size), &s, &why) == QN_OK) {
        zkml_secret_put(&s, &out);
        QN_ASSERT(qn_span_eq(qn_buf_get(&out), QN_SPAN(data, size)));
        zkml_secret_free(&s);
    }
    qn_buf_clear(&out);
    if (qn_span_starts(QN_SPAN(data, size), QN_SPAN_STR("QNI8")) &&
        netfile_get(QN_SPAN(data, size), &arena, &net, &why) == QN_OK) {
        netfile_put(&net, &out);
        QN_ASSERT(qn_span_eq(qn_buf_get(&out), QN_SPAN(data, size)));
    }
    qn_buf_free(&out);
    qn_arena_free(&arena);
    return 0;
}
