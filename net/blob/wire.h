/* wire.h - what is said about blobs: /quoin/blob/1 (groups of one) and /quoin/have/1 (which pieces somebody holds).
 *
 *     request   u32 LE len | id[32] | u32 cnt | cnt * (u64 first | u64 cnt)       FIN     at most 256 ranges, 16 MiB of groups
 *     answer    u8 code | u32 LE len | bytes of the stream (net/blob/tree.h) ...  FIN     frames of at most 64 KiB
 *
 *     request   u32 LE len | id[32]                                               stays open
 *     answer    u8 0 | u32 LE len | u8 0 | u64 size | bitmap of 1 MiB pieces, low bit first, rest of the last byte 0
 *               u8 0 | u32 LE len | u8 1 | cnt * u32 piece: new since, at most 256 in a frame ...  FIN once it has all
 *
 * Codes other than 0 end an answer: 1 bad request, 2 server error, 3 not here, 4 busy; their payload is a line for people. */
#ifndef QN_NET_BLOB_WIRE_H
#define QN_NET_BLOB_WIRE_H

#include "net/blob/tree.h"

#define BLOB_PROTOCOL     "/quoin/blob/1"
#define BLOB_HAVE         "/quoin/have/1"
#define BLOB_PIECE        (1u << 20) /* bytes; what have-lists count in */
#define BLOB_PIECE_GROUPS (BLOB_PIECE / QN_GROUP)
#define BLOB_ASK_GROUPS   1024u /* in one request: 16 MiB */
#define BLOB_FRAME_MAX    (64u << 10)
#define BLOB_ASK_MAX      (4 + 36 + 16 * BLOB_RANGE_MAX)
#define BLOB_NEWS_MAX     256u

enum blob_code { BLOB_OK, BLOB_BAD, BLOB_ERROR, BLOB_ABSENT, BLOB_BUSY };

uint32_t blob_piece_cnt(uint64_t size); /* at least 1 */

struct blob_ask {
    struct qn_hash id;
    struct blob_range range[BLOB_RANGE_MAX];
    uint32_t range_cnt;
};

void blob_ask_put(const struct blob_ask *ask, struct qn_buf *buf);
/* blob_ask_get reads a request that ended. QN_E_SHORT, QN_E_EXTRA, QN_E_RANGE (order, overlap, more than 16 MiB). */
QN_CHECK qn_rc blob_ask_get(struct qn_span in, struct blob_ask *ret);
void blob_have_ask_put(const struct qn_hash *id, struct qn_buf *buf);
QN_CHECK qn_rc blob_have_ask_get(struct qn_span in, struct qn_hash *ret);

/* blob_frame_put appends a whole frame; or writes the head of one whose len bytes follow. */
void blob_frame_put(enum blob_code code, struct qn_span payload, struct qn_buf *buf);
void blob_frame_head(enum blob_code code, uint32_t len, uint8_t ret[5]);

/* Reads frames out of a stream in pieces of any size; zero-initialised is the beginning. */
struct blob_frames {
    uint8_t head[5], head_len, code;
    uint32_t left;
};

/* blob_frames_next takes from the front of in: *ret_part is payload (all of it that in holds of one frame, never empty unless the frame
 * is), *ret_code its frame's code, *ret_last whether the frame ends with it. QN_E_AGAIN: in is used up; QN_E_RANGE: an unknown code or
 * a frame over its limit. */
QN_CHECK qn_rc blob_frames_next(struct blob_frames *f, struct qn_span *in, enum blob_code *ret_code,
                                struct qn_span *ret_part, bool *ret_last);
/* blob_frames_idle says that no frame is half read: where a stream may end. */
bool blob_frames_idle(const struct blob_frames *f);

/* Payloads of have. bits has blob_piece_cnt bits, low bit first. */
void blob_have_put(uint64_t size, const uint8_t *bits, struct qn_buf *buf);
void blob_news_put(const uint32_t *piece, uint32_t cnt, struct qn_buf *buf);

struct blob_have {
    bool news;           /* else the whole state */
    uint64_t size;       /* state */
    const uint8_t *bits; /* lent by the payload */
    const uint8_t *list; /* news: cnt * u32 LE, lent */
    uint32_t cnt;
};
/* blob_have_get reads a payload; of news the caller checks each piece against the size. */
QN_CHECK qn_rc blob_have_get(struct qn_span in, uint64_t size_max, struct blob_have *ret);

#endif
