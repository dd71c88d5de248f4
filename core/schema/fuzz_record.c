/* fuzz_record.c - any bytes as the sample record: what decodes must encode to the same bytes and survive JSON. */
#include "core/schema/sample.h"

#include "core/schema/define.h"
#include "core/schema/sample.def"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct qn_arena arena = { .max = 1 << 20 };
    struct sample obj, again;
    if (qn_decode(sample_record(), QN_SPAN(data, size), &arena, &obj, NULL) == QN_OK) {
        struct qn_buf buf = { 0 };
        qn_encode(sample_record(), &obj, &buf);
        QN_ASSERT(qn_span_eq(qn_buf_get(&buf), QN_SPAN(data, size)));
        json_t *json = qn_to_json(sample_record(), &obj);
        QN_ASSERT(qn_from_json(sample_record(), json, &arena, &again, NULL) == QN_OK);
        json_decref(json);
        qn_buf_free(&buf);
    }
    json_t *json = json_loadb((const char *)data, size, 0, NULL);
    struct qn_why why;
    if (json && qn_from_json(sample_record(), json, &arena, &again, &why) == QN_OK)
        json_decref(qn_to_json(sample_record(), &again));
    json_decref(json);
    qn_arena_free(&arena);
    return 0;
}
