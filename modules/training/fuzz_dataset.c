/* fuzz_dataset.c - gzip, IDX and QNDS from any bytes. The first byte chooses; whatever is built must open again. */
#include "modules/training/dataset.h"
#include "modules/training/idx.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct qn_buf raw = { 0 }, blob = { 0 };
    struct dataset set;
    struct idx idx;
    if (size < 3) return 0;
    struct qn_span rest = QN_SPAN(data + 1, size - 1);
    if (data[0] == 0) {
        qn_rc rc = idx_gunzip(rest, 1u << 16, &raw, NULL);
        if (rc == QN_OK) rc = idx_parse(qn_buf_get(&raw), &idx, NULL);
        QN_ASSERT(rc || idx.bytes.len == idx.dims[0] * idx.rec_len);
    } else if (data[0] == 1) {
        qn_rc rc = dataset_open(rest, &set, NULL);
        QN_ASSERT(rc || set.recs.len == (size_t)set.rec_bytes * set.rec_cnt);
    } else {
        size_t at = QN_MIN((size_t)data[0], rest.len);
        if (dataset_build(QN_SPAN(rest.ptr, at), QN_SPAN(rest.ptr + at, rest.len - at), &blob,
                          NULL) == QN_OK)
            QN_ASSERT(dataset_open(qn_buf_get(&blob), &set, NULL) == QN_OK);
    }
    qn_buf_free(&raw);
    qn_buf_free(&blob);
    return 0;
}
