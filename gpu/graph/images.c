/* images.c - the head of a data set, held against its length. */
#include "gpu/graph/images.h"

#define MAGIC     UINT32_C(0x53444e51) /* "QNDS" */
#define VALUE_MAX (UINT32_C(1) << 24)

static qn_rc read_head(struct qn_span in, struct images *set, struct qn_why *why)
{
    uint32_t magic, version, dims[4];
    uint64_t values = 1;
    bool whole = qn_take_u32(&in, &magic) && qn_take_u32(&in, &version) &&
                 qn_take_u32(&in, &set->rec_bytes) && qn_take_u32(&in, &set->rec_cnt);
    for (int i = 0; whole && i < 4; i++)
        whole = qn_take_u32(&in, &dims[i]);
    whole = whole && qn_take_u32(&in, &set->label_off) && qn_take_u32(&in, &set->class_cnt);
    QN_ASSERT(whole);
    if (magic != MAGIC || version != 1)
        return qn_why(why, QN_E_FORMAT, "this is no data set (QNDS, version 1)");
    for (int i = 0; i < 4; i++) {
        values *= dims[i] ? dims[i] : 1;
        if (values > VALUE_MAX)
            return qn_why(why, QN_E_RANGE, "data set: a record of more than %u values", VALUE_MAX);
    }
    set->value_cnt = (uint32_t)values;
    if (set->rec_cnt == 0 || set->rec_bytes == 0 || set->value_cnt > set->rec_bytes ||
        set->label_off < set->value_cnt || set->label_off >= set->rec_bytes)
        return qn_why(why, QN_E_RANGE, "data set: %u values and a label at %u in %u bytes",
                      set->value_cnt, set->label_off, set->rec_bytes);
    if (set->class_cnt == 0 || set->class_cnt > 256)
        return qn_why(why, QN_E_RANGE, "data set: %u classes", set->class_cnt);
    return QN_OK;
}

qn_rc images_head(struct qn_span blob, struct images *ret, struct qn_why *why)
{
    struct images set = { 0 };
    if (blob.len < IMAGES_HEAD)
        return qn_why(why, QN_E_SHORT, "data set: %zu bytes are no head", blob.len);
    qn_rc rc = read_head(blob, &set, why);
    if (rc == QN_OK) *ret = set;
    return rc;
}

qn_rc images_open(struct qn_span blob, struct images *ret, struct qn_why *why)
{
    struct images set;
    qn_rc rc = images_head(blob, &set, why);
    if (rc) return rc;
    uint64_t want = IMAGES_HEAD + (uint64_t)set.rec_bytes * set.rec_cnt;
    if (blob.len != want)
        return qn_why(why, blob.len < want ? QN_E_SHORT : QN_E_EXTRA,
                      "data set: %zu bytes where the head says %llu", blob.len,
                      (unsigned long long)want);
    set.rec = blob.ptr + IMAGES_HEAD;
    for (uint32_t i = 0; i < set.rec_cnt; i++)
        if (images_label(&set, i) >= set.class_cnt)
            return qn_why(why, QN_E_RANGE, "data set: record %u has label %u of %u classes", i,
                          images_label(&set, i), set.class_cnt);
    *ret = set;
    return QN_OK;
}
