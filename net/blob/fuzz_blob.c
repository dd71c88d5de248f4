/* fuzz_blob.c - any bytes as a request, as frames, as a have-list and as a verified stream: of a stream, only what is the blob's passes. */
#include "core/crypto/hash.h"
#include "net/blob/wire.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SIZE = 3 * QN_GROUP + 10 };

static qn_rc see_node(void *self, uint64_t node, const uint8_t bytes[BLOB_NODE])
{
    (void)self;
    (void)bytes;
    QN_ASSERT(node < 3);
    return QN_OK;
}

static qn_rc see_group(void *self, uint64_t group, struct qn_span bytes)
{
    (void)self;
    QN_ASSERT(group < 4 && bytes.len == blob_group_len(SIZE, group));
    for (size_t i = 0; i < bytes.len; i++)
        QN_ASSERT(bytes.ptr[i] == 0);
    return QN_OK;
}

/* As the stream of a blob of zeros; byte 0 says in which cuts. */
static void as_stream(const uint8_t *data, size_t size)
{
    struct qn_hash cv[4], id;
    uint8_t *zero = calloc(1, QN_GROUP), outer[3 * BLOB_NODE];
    for (uint64_t i = 0; i < 4; i++)
        cv[i] = qn_group_cv(zero, blob_group_len(SIZE, i), i, false);
    free(zero);
    blob_outer_build(cv, 4, outer, &id);
    const struct blob_range range = { size ? data[0] >> 6 : 0, BLOB_LAST };
    const struct blob_sink to = { NULL, NULL, see_node, see_group, NULL };
    struct blob_decoder *d = malloc(sizeof *d);
    blob_decode_init(d, &id, BLOB_SIZE_MAX, &range, 1);
    size_t step = size ? 1 + (size_t)(data[0] & 63) * 37 : 1;
    qn_rc rc = QN_OK;
    for (size_t at = 1; at < size && rc == QN_OK; at += step)
        rc = blob_decode_put(d, QN_SPAN(data + at, QN_MIN(step, size - at)), &to);
    if (rc == QN_OK && blob_decode_done(d)) QN_ASSERT(d->walk.size == SIZE);
    free(d);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct qn_span in = QN_SPAN(data, size), part;
    struct blob_ask *ask = malloc(sizeof *ask);
    struct blob_have have;
    struct blob_frames f = { 0 };
    enum blob_code code;
    bool last;
    if (blob_ask_get(in, ask) == QN_OK) {
        struct qn_buf buf = { 0 };
        blob_ask_put(ask, &buf);
        QN_ASSERT(qn_span_eq(qn_buf_get(&buf), in));
        qn_buf_free(&buf);
    }
    free(ask);
    if (blob_have_get(in, UINT64_MAX, &have) == QN_OK && !have.news) {
        struct qn_buf buf = { 0 };
        blob_have_put(have.size, have.bits, &buf);
        QN_ASSERT(qn_span_eq(qn_buf_get(&buf), in));
        qn_buf_free(&buf);
    }
    size_t sum = 0;
    while (blob_frames_next(&f, &in, &code, &part, &last) == QN_OK)
        sum += part.len;
    QN_ASSERT(sum <= size);
    as_stream(data, size);
    return 0;
}
