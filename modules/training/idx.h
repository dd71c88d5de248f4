/* idx.h - reading the files image sets come in: gzip around IDX (http://yann.lecun.com/exdb/mnist).
 *
 *     IDX   00 00 | type u8, 08 = unsigned bytes | rank u8 | dims u32 big-endian [rank] | the bytes, row-major
 *
 * Every byte is foreign: sizes are bounded before memory is taken. */
#ifndef QN_MODULES_TRAINING_IDX_H
#define QN_MODULES_TRAINING_IDX_H

#include "core/base/span.h"

#define IDX_RANK_MAX 4

struct idx {
    uint32_t rank, dims[IDX_RANK_MAX]; /* the first dimension counts the records */
    size_t rec_len;                    /* product of the others; 1 for a list */
    struct qn_span bytes;              /* dims[0] * rec_len, lent by the input */
};

/* idx_gunzip appends the content of a whole gzip file to ret; bytes that are no gzip file are taken as they are.
 *
 * max  bytes of content at most: QN_E_TOOBIG
 *
 * QN_E_SHORT when it ends early, QN_E_EXTRA when bytes follow, QN_E_FORMAT when a checksum or code is off. */
QN_CHECK qn_rc idx_gunzip(struct qn_span file, size_t max, struct qn_buf *ret, struct qn_why *why);

/* idx_parse reads one array of unsigned bytes; ret->bytes lies in raw. */
QN_CHECK qn_rc idx_parse(struct qn_span raw, struct idx *ret, struct qn_why *why);

#endif
