/* dataset.c - the QNDS blob: reading and building it. */
#include "modules/training/dataset.h"

#include "modules/training/idx.h"

#include <string.h>

static qn_rc sane(struct dataset *d, struct qn_why *why)
{
    uint64_t values = 1;
    if (d->rec_bytes == 0 || d->rec_bytes > DATASET_REC_MAX || d->rec_bytes % 16 || d->rec_cnt == 0)
        return qn_why(why, QN_E_RANGE, "data set: %u records of %u bytes", d->rec_cnt,
                      d->rec_bytes);
    if (d->class_cnt == 0 || d->class_cnt > DATASET_CLASS_MAX)
        return qn_why(why, QN_E_RANGE, "data set: %u classes", d->class_cnt);
    if ((uint64_t)d->rec_bytes * d->rec_cnt > DATASET_BYTES_MAX - DATASET_HEAD)
        return qn_why(why, QN_E_TOOBIG, "data set: larger than 1 GiB");
    for (int i = 0; i < 4; i++) {
        values *= d->dims[i] ? d->dims[i] : 1;
        if (values > d->rec_bytes)
            return qn_why(why, QN_E_RANGE, "data set: a record is longer than rec_bytes");
    }
    if (d->dims[0] == 0 || d->label_off < values || d->label_off >= d->rec_bytes)
        return qn_why(why, QN_E_RANGE, "data set: dims or label_off");
    d->value_cnt = (uint32_t)values;
    return QN_OK;
}

qn_rc dataset_head(struct qn_span blob, struct dataset *ret, struct qn_why *why)
{
    struct dataset d = { 0 };
    struct qn_span head, magic;
    uint32_t version = 0;
    if (!qn_take(&blob, DATASET_HEAD, &head)) return qn_why(why, QN_E_SHORT, "data set: no header");
    bool ok = qn_take(&head, 4, &magic) && qn_take_u32(&head, &version) &&
              qn_take_u32(&head, &d.rec_bytes) && qn_take_u32(&head, &d.rec_cnt);
    for (int i = 0; ok && i < 4; i++)
        ok = qn_take_u32(&head, &d.dims[i]);
    ok = ok && qn_take_u32(&head, &d.label_off) && qn_take_u32(&head, &d.class_cnt);
    QN_ASSERT(ok); /* 64 bytes hold them */
    if (memcmp(magic.ptr, "QNDS", 4) != 0 || version != 1)
        return qn_why(why, QN_E_FORMAT, "data set: not QNDS version 1");
    for (size_t i = 0; i < head.len; i++)
        if (head.ptr[i]) return qn_why(why, QN_E_FORMAT, "data set: header is not zero at its end");
    qn_rc rc = sane(&d, why);
    if (rc == QN_OK) *ret = d;
    return rc;
}

qn_rc dataset_open(struct qn_span blob, struct dataset *ret, struct qn_why *why)
{
    struct dataset d;
    qn_rc rc = dataset_head(blob, &d, why);
    if (rc) return rc;
    size_t want = (size_t)d.rec_bytes * d.rec_cnt, have = blob.len - DATASET_HEAD;
    if (have != want)
        return qn_why(why, have < want ? QN_E_SHORT : QN_E_EXTRA,
                      "data set: %zu bytes of records, %zu expected", have, want);
    d.recs = QN_SPAN(blob.ptr + DATASET_HEAD, want);
    for (size_t i = 0; i < d.rec_cnt; i++)
        if (d.recs.ptr[i * d.rec_bytes + d.label_off] >= d.class_cnt)
            return qn_why(why, QN_E_RANGE, "data set: record %zu has label %u of %u", i,
                          d.recs.ptr[i * d.rec_bytes + d.label_off], d.class_cnt);
    *ret = d;
    return QN_OK;
}

void dataset_put(const struct dataset *set, struct qn_buf *ret)
{
    size_t begun = ret->len;
    qn_buf_put(ret, "QNDS", 4);
    qn_buf_u32(ret, 1);
    qn_buf_u32(ret, set->rec_bytes);
    qn_buf_u32(ret, set->rec_cnt);
    for (int i = 0; i < 4; i++)
        qn_buf_u32(ret, set->dims[i]);
    qn_buf_u32(ret, set->label_off);
    qn_buf_u32(ret, set->class_cnt);
    size_t left = DATASET_HEAD - (ret->len - begun);
    memset(qn_buf_grow(ret, left), 0, left);
}

qn_rc dataset_build(struct qn_span images, struct qn_span labels, struct qn_buf *ret,
                    struct qn_why *why)
{
    struct idx x, y;
    struct dataset d = { 0 };
    qn_rc rc = idx_parse(images, &x, why);
    if (rc == QN_OK) rc = idx_parse(labels, &y, why);
    if (rc) return rc;
    if (x.rank < 2 || y.rank != 1)
        return qn_why(why, QN_E_FORMAT, "images have %u dimensions, labels %u", x.rank, y.rank);
    if (x.dims[0] != y.dims[0])
        return qn_why(why, QN_E_RANGE, "%u images, %u labels", x.dims[0], y.dims[0]);
    if (x.rec_len >= DATASET_REC_MAX - 16)
        return qn_why(why, QN_E_TOOBIG, "an image of %zu bytes", x.rec_len);
    d.rec_cnt = x.dims[0];
    for (uint32_t i = 1; i < x.rank; i++)
        d.dims[i - 1] = x.dims[i];
    if (x.rank == 3) d.dims[2] = 1; /* one channel */
    d.label_off = (uint32_t)x.rec_len;
    d.rec_bytes = (d.label_off + 1 + 15) / 16 * 16;
    for (size_t i = 0; i < y.bytes.len; i++)
        d.class_cnt = QN_MAX(d.class_cnt, y.bytes.ptr[i] + 1u);
    rc = sane(&d, why);
    if (rc) return rc;
    dataset_put(&d, ret);
    uint8_t *dst = qn_buf_grow(ret, (size_t)d.rec_bytes * d.rec_cnt);
    for (size_t i = 0; i < d.rec_cnt; i++, dst += d.rec_bytes) {
        memcpy(dst, x.bytes.ptr + i * x.rec_len, x.rec_len);
        memset(dst + x.rec_len, 0, d.rec_bytes - x.rec_len);
        dst[d.label_off] = y.bytes.ptr[i];
    }
    return QN_OK;
}
