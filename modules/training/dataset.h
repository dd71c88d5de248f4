/* dataset.h - a set of labelled records as one blob ("QNDS"), named by its BLAKE3 hash.
 *
 *     "QNDS" | u32 1 | u32 rec_bytes | u32 rec_cnt | u32 dims[4] | u32 label_off | u32 class_cnt | zeros to 64 bytes
 *     rec_cnt times: dims[0] * dims[1] * dims[2] bytes of values (unused dims are 0, read as 1) | .. label u8 at
 *     label_off .. | zeros to rec_bytes
 *
 * All numbers little-endian. rec_bytes is the least multiple of 16 that holds values and label: Fashion-MNIST has 784
 * bytes of image, its label at 784, 800 bytes a record. */
#ifndef QN_MODULES_TRAINING_DATASET_H
#define QN_MODULES_TRAINING_DATASET_H

#include "core/base/span.h"

#define DATASET_HEAD      64u
#define DATASET_REC_MAX   65536u
#define DATASET_BYTES_MAX (UINT64_C(1) << 30)
#define DATASET_CLASS_MAX 256u

struct dataset {
    uint32_t rec_bytes, rec_cnt, dims[4];
    uint32_t value_cnt; /* product of dims: bytes of values in a record */
    uint32_t label_off, class_cnt;
    struct qn_span
        recs; /* rec_cnt * rec_bytes; lent by the blob. Empty when only the header was read */
};

/* dataset_head reads a header alone, dataset_open the header of a whole blob whose length must fit and whose labels
 * must all be below class_cnt. QN_E_SHORT, QN_E_EXTRA, QN_E_FORMAT, QN_E_RANGE. */
QN_CHECK qn_rc dataset_head(struct qn_span blob, struct dataset *ret, struct qn_why *why);
QN_CHECK qn_rc dataset_open(struct qn_span blob, struct dataset *ret, struct qn_why *why);

/* dataset_put appends the header of a set with these figures. */
void dataset_put(const struct dataset *set, struct qn_buf *ret);

/* dataset_build makes a blob of images (IDX, rank 2 to 4) and as many labels (IDX, rank 1), each raw IDX. */
QN_CHECK qn_rc dataset_build(struct qn_span images, struct qn_span labels, struct qn_buf *ret,
                             struct qn_why *why);

#endif
