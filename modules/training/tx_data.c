/* tx_data.c - the registry of data sets: content, licence and size, by hash. */
#include "modules/training/training.h"

#include "modules/training/dataset.h"

#include <inttypes.h>

qn_rc training_data_put_check(const void *body, struct qn_why *why)
{
    const struct data_put *b = body;
    if (qn_hash_is_zero(&b->data)) return qn_why(why, QN_E_RANGE, "data: the blob's hash");
    if (b->name.len == 0 || b->licence.len == 0)
        return qn_why(why, QN_E_RANGE, "name and licence: a data set has both");
    if (b->rec_bytes == 0 || b->rec_bytes > DATASET_REC_MAX || b->rec_cnt == 0 ||
        b->rec_cnt > DATASET_BYTES_MAX || b->bytes != DATASET_HEAD + b->rec_cnt * b->rec_bytes)
        return qn_why(why, QN_E_RANGE,
                      "%" PRIu64 " bytes are not a header and %" PRIu64 " records of %u", b->bytes,
                      b->rec_cnt, b->rec_bytes);
    return QN_OK;
}

qn_rc training_data_put(struct qn_apply *ap, const void *body, struct qn_why *why)
{
    const struct data_put *b = body;
    struct qn_span val;
    if (qn_view_get(ap->view, TRAINING_T_DATA, QN_SPAN_OF(b->data), &val))
        return qn_why(why, QN_E_EXISTS, "this data set is registered");
    const struct training_data row = { .owner = ap->sender,
                                       .name = b->name,
                                       .licence = b->licence,
                                       .source = b->source,
                                       .bytes = b->bytes,
                                       .rec_bytes = b->rec_bytes,
                                       .rec_cnt = b->rec_cnt,
                                       .since_ms = ap->now_ms };
    qn_row_put_rec(ap, TRAINING_T_DATA, QN_SPAN_OF(b->data), training_data_record(), &row);
    qn_emit(ap, "data.put", &b->data, training_data_record(), &row);
    return QN_OK;
}
