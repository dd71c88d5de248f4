/* weights.h - named float tensors as one blob ("QNTW"): what training leaves and quantisation reads.
 *
 *     "QNTW" | u32 1 | u32 tensor_cnt | per tensor: u32 name_len | name | u32 rank | u32 dims[rank]
 *     then the values of all tensors in that order, f32, row-major
 *
 * All little-endian, nothing behind it. A perceptron's tensors are w0 (in, hidden), b0 (hidden), w1 .. . */
#ifndef QN_GPU_GRAPH_WEIGHTS_H
#define QN_GPU_GRAPH_WEIGHTS_H

#include "core/base/arena.h"

#define WEIGHTS_TENSOR_MAX 64u
#define WEIGHTS_NAME_MAX   31u
#define WEIGHTS_RANK_MAX   4u
#define WEIGHTS_VALUE_MAX  (UINT64_C(1) << 28) /* values of all tensors */

struct weights_tensor {
    char name[WEIGHTS_NAME_MAX + 1];
    uint32_t rank, dims[WEIGHTS_RANK_MAX]; /* unused dims are 1 */
    size_t cnt;
    const float *v;
};

struct weights {
    uint32_t tensor_cnt;
    struct weights_tensor tensor[WEIGHTS_TENSOR_MAX];
};

/* weights_open reads a blob; the values are copied into arena. QN_E_SHORT, QN_E_EXTRA, QN_E_FORMAT (magic, a name that
 * is empty, unprintable or there twice), QN_E_TOOBIG, QN_E_RANGE (a value that is no finite number), QN_E_MEMORY. */
QN_CHECK qn_rc weights_open(struct qn_span blob, struct qn_arena *arena, struct weights *ret,
                            struct qn_why *why);

/* weights_put appends the blob of w, which must be within the limits above. */
void weights_put(const struct weights *w, struct qn_buf *ret);

/* weights_find returns the tensor of that name, or NULL. */
const struct weights_tensor *weights_find(const struct weights *w, const char *name);

#endif
