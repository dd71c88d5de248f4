/* images.h - reading a labelled data set blob ("QNDS", as data.import makes it) where it lies.
 *
 *     "QNDS" | u32 1 | u32 rec_bytes | u32 rec_cnt | u32 dims[4] | u32 label_off | u32 class_cnt | zeros to 64 bytes
 *     rec_cnt times rec_bytes: dims[0] * dims[1] * .. bytes of values (a dim of 0 counts as 1), label u8 at label_off */
#ifndef QN_GPU_GRAPH_IMAGES_H
#define QN_GPU_GRAPH_IMAGES_H

#include "core/base/span.h"

#define IMAGES_HEAD 64u

struct images {
    const uint8_t *rec; /* the first record; lent by the blob */
    uint32_t rec_bytes, rec_cnt;
    uint32_t value_cnt; /* of a record, from its first byte on */
    uint32_t label_off, class_cnt;
};

/* images_head reads the first 64 bytes of a blob alone; ret->rec is NULL. images_open checks head, length and every label. QN_E_SHORT, QN_E_EXTRA, QN_E_FORMAT, QN_E_RANGE. */
QN_CHECK qn_rc images_head(struct qn_span blob, struct images *ret, struct qn_why *why);
QN_CHECK qn_rc images_open(struct qn_span blob, struct images *ret, struct qn_why *why);

static inline const uint8_t *images_values(const struct images *set, uint32_t idx)
{
    return set->rec + (size_t)idx * set->rec_bytes;
}

static inline uint8_t images_label(const struct images *set, uint32_t idx)
{
    return images_values(set, idx)[set->label_off];
}

#endif
