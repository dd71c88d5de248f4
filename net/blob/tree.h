/* tree.h - blobs in pieces that prove themselves: bao (BLAKE3's own tree) with groups of 16 KiB, in pre-order.
 *
 * A blob's name is the plain BLAKE3 of its bytes, what `b3sum FILE` prints. Over its groups stands a binary tree, the left subtree the
 * largest power of two below the total; an outer node is the two chaining values (64 bytes) under it. All outer nodes in pre-order, kept
 * beside the file, are 0.4 % of it. A stream of some groups is
 *
 *     u64 LE size | in pre-order: each node over a wanted group (64 bytes), each wanted group (16 KiB, the last one fewer)
 *
 * so that a receiver that knows nothing but the name checks each node and group when it is there. The size is proven once the last
 * group is: ask for it first (a range that begins at or behind the end stands for the last group). */
#ifndef QN_NET_BLOB_TREE_H
#define QN_NET_BLOB_TREE_H

#include "core/base/span.h"
#include "core/crypto/chunk.h"

#define BLOB_SIZE_MAX  (UINT64_C(1) << 36)
#define BLOB_NODE      64u
#define BLOB_DEPTH_MAX 23u /* 2^36 / 16 KiB = 2^22 groups */
#define BLOB_RANGE_MAX 256u
#define BLOB_LAST      UINT64_MAX /* first of a range: the last group, whatever its number */

/* Groups first .. first + cnt - 1. A list of them is ascending, with cnt > 0, and none touches the next. */
struct blob_range {
    uint64_t first, cnt;
};

uint64_t blob_group_cnt(uint64_t size); /* at least 1: of nothing there is an empty group */
uint32_t blob_group_len(uint64_t size, uint64_t group);
uint64_t blob_outer_len(uint64_t size); /* bytes of all outer nodes */

/* blob_outer_build writes all outer nodes of a content of cnt groups whose chaining values these are (qn_group_cv); ret_id is the hash
 * of all. With one group outer is not touched and its value, taken as root, is the hash. */
void blob_outer_build(const struct qn_hash *cv, uint64_t cnt, uint8_t *outer,
                      struct qn_hash *ret_id);

/* The part of the tree that is still to come, one subtree a level. */
struct blob_walk {
    uint64_t size, group_cnt;
    struct blob_range range[BLOB_RANGE_MAX];
    uint32_t range_cnt;
    unsigned depth;
    struct blob_part {
        uint64_t first, cnt; /* groups */
        uint64_t node;       /* number in pre-order, when cnt > 1 */
        struct qn_hash cv;
    } part[BLOB_DEPTH_MAX + 2];
};

/* --- sending ------------------------------------------------------------------------------------------------------ */

/* Where a blob, or what is there of it, can be read. */
struct blob_source {
    void *self;
    qn_rc (*node)(void *self, uint64_t node, uint8_t ret[BLOB_NODE]);
    qn_rc (*group)(void *self, uint64_t group, uint8_t *dst, uint32_t len);
    /* What was read and found right before need not be hashed again; right notes that it was. NULL: each time. */
    bool (*trusted)(void *self, uint64_t group);
    void (*right)(void *self, uint64_t group);
};

struct blob_encoder {
    struct blob_walk walk;
    bool size_sent;
};

void blob_encode_init(struct blob_encoder *e, const struct qn_hash *id, uint64_t size,
                      const struct blob_range *range, uint32_t range_cnt);
/* blob_encode_next appends the next bit of the stream (a node or a group) to out; false at the end: *ret_more. QN_E_CORRUPT when what the
 * source gave is not what its parent says (nothing was appended), or the source's own error. */
QN_CHECK qn_rc blob_encode_next(struct blob_encoder *e, const struct blob_source *from,
                                struct qn_buf *out, bool *ret_more);

/* --- receiving ---------------------------------------------------------------------------------------------------- */

/* What a stream proved. An error from here ends the decoding with it. */
struct blob_sink {
    void *self;
    qn_rc (*size)(void *self, uint64_t size); /* as claimed; NULL: not interested */
    qn_rc (*node)(void *self, uint64_t node, const uint8_t bytes[BLOB_NODE]);
    qn_rc (*group)(void *self, uint64_t group, struct qn_span bytes);
    /* Where group (QN_GROUP bytes at most) is to be put together; group is told of it there. NULL, or NULL returned: it lies where it came, or
     * in the decoder. */
    uint8_t *(*room)(void *self, uint64_t group);
};

struct blob_decoder {
    struct blob_walk walk;
    struct qn_hash id;
    bool size_known;
    uint64_t size_max;
    uint32_t got; /* bytes of the next item, in room or else in part */
    uint8_t *room;
    uint8_t part[QN_GROUP];
};

/* blob_decode_init expects the stream of these ranges; more than size_max bytes of blob are refused. */
void blob_decode_init(struct blob_decoder *d, const struct qn_hash *id, uint64_t size_max,
                      const struct blob_range *range, uint32_t range_cnt);
/* blob_decode_put takes the next bytes of the stream, any cut. QN_E_PROOF: not the blob's; QN_E_RANGE: its size; QN_E_EXTRA: more than
 * was asked for. After an error the decoder is not fed again. */
QN_CHECK qn_rc blob_decode_put(struct blob_decoder *d, struct qn_span in,
                               const struct blob_sink *to);
/* blob_decode_done says whether all of it was there. */
bool blob_decode_done(const struct blob_decoder *d);

/* --- going on ----------------------------------------------------------------------------------------------------- */

/* blob_recheck visits every group of a half-received blob that its nodes prove: right(arg, group). from gives what is there; what was never written, or
 * was damaged, proves nothing and is passed over. */
void blob_recheck(const struct qn_hash *id, uint64_t size, const struct blob_source *from,
                  void (*right)(void *arg, uint64_t group), void *arg);

#endif
