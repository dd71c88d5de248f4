/* wire.c - requests, frames, have-lists. */
#include "net/blob/wire.h"

#include <string.h>

uint32_t blob_piece_cnt(uint64_t size)
{
    QN_ASSERT(size <= BLOB_SIZE_MAX);
    return size == 0 ? 1 : (uint32_t)((size - 1) / BLOB_PIECE + 1);
}

void blob_ask_put(const struct blob_ask *ask, struct qn_buf *buf)
{
    QN_ASSERT(ask->range_cnt > 0 && ask->range_cnt <= BLOB_RANGE_MAX);
    qn_buf_u32(buf, 36 + 16 * ask->range_cnt);
    qn_buf_put(buf, ask->id.b, 32);
    qn_buf_u32(buf, ask->range_cnt);
    for (uint32_t i = 0; i < ask->range_cnt; i++) {
        qn_buf_u64(buf, ask->range[i].first);
        qn_buf_u64(buf, ask->range[i].cnt);
    }
}

qn_rc blob_ask_get(struct qn_span in, struct blob_ask *ret)
{
    uint32_t len;
    uint64_t total = 0, next = 0; /* next: the lowest number that the next range may begin with */
    if (!qn_take_u32(&in, &len)) return QN_E_SHORT;
    if (in.len != len) return in.len < len ? QN_E_SHORT : QN_E_EXTRA;
    if (!qn_take_hash(&in, &ret->id) || !qn_take_u32(&in, &ret->range_cnt)) return QN_E_SHORT;
    if (ret->range_cnt == 0 || ret->range_cnt > BLOB_RANGE_MAX) return QN_E_RANGE;
    for (uint32_t i = 0; i < ret->range_cnt; i++) {
        struct blob_range *r = &ret->range[i];
        if (!qn_take_u64(&in, &r->first) || !qn_take_u64(&in, &r->cnt)) return QN_E_SHORT;
        if (r->cnt == 0 || r->cnt > BLOB_ASK_GROUPS || r->first < next) return QN_E_RANGE;
        total += r->cnt;
        if (total > BLOB_ASK_GROUPS) return QN_E_RANGE;
        /* One that ends at the top of numbers, BLOB_LAST above all, is the last of its list. */
        if (r->first > UINT64_MAX - r->cnt - 1) {
            if (i + 1 < ret->range_cnt) return QN_E_RANGE;
        } else {
            next = r->first + r->cnt + 1;
        }
    }
    return in.len ? QN_E_EXTRA : QN_OK;
}

void blob_have_ask_put(const struct qn_hash *id, struct qn_buf *buf)
{
    qn_buf_u32(buf, 32);
    qn_buf_put(buf, id->b, 32);
}

qn_rc blob_have_ask_get(struct qn_span in, struct qn_hash *ret)
{
    uint32_t len;
    if (!qn_take_u32(&in, &len)) return QN_E_SHORT;
    if (len != 32) return QN_E_RANGE;
    if (!qn_take_hash(&in, ret)) return QN_E_SHORT;
    return in.len ? QN_E_EXTRA : QN_OK;
}

void blob_frame_head(enum blob_code code, uint32_t len, uint8_t ret[5])
{
    QN_ASSERT(len <= BLOB_FRAME_MAX);
    ret[0] = (uint8_t)code;
    memcpy(ret + 1, &len, 4);
}

void blob_frame_put(enum blob_code code, struct qn_span payload, struct qn_buf *buf)
{
    uint8_t head[5];
    blob_frame_head(code, (uint32_t)payload.len, head);
    qn_buf_put(buf, head, sizeof head);
    qn_buf_span(buf, payload);
}

qn_rc blob_frames_next(struct blob_frames *f, struct qn_span *in, enum blob_code *ret_code,
                       struct qn_span *ret_part, bool *ret_last)
{
    while (f->head_len < sizeof f->head) {
        if (!qn_take_u8(in, &f->head[f->head_len])) return QN_E_AGAIN;
        if (++f->head_len < sizeof f->head) continue;
        memcpy(&f->left, f->head + 1, 4);
        f->code = f->head[0];
        if (f->code > BLOB_BUSY || f->left > BLOB_FRAME_MAX) return QN_E_RANGE;
    }
    if (in->len == 0 && f->left) return QN_E_AGAIN;
    size_t n = QN_MIN((size_t)f->left, in->len);
    *ret_part = QN_SPAN(in->ptr, n);
    *ret_code = (enum blob_code)f->code;
    in->ptr += n;
    in->len -= n;
    f->left -= (uint32_t)n;
    *ret_last = f->left == 0;
    if (*ret_last) f->head_len = 0;
    return QN_OK;
}

bool blob_frames_idle(const struct blob_frames *f)
{
    return f->head_len == 0;
}

void blob_have_put(uint64_t size, const uint8_t *bits, struct qn_buf *buf)
{
    qn_buf_u8(buf, 0);
    qn_buf_u64(buf, size);
    qn_buf_put(buf, bits, (blob_piece_cnt(size) + 7) / 8);
}

void blob_news_put(const uint32_t *piece, uint32_t cnt, struct qn_buf *buf)
{
    QN_ASSERT(cnt > 0 && cnt <= BLOB_NEWS_MAX);
    qn_buf_u8(buf, 1);
    for (uint32_t i = 0; i < cnt; i++)
        qn_buf_u32(buf, piece[i]);
}

qn_rc blob_have_get(struct qn_span in, uint64_t size_max, struct blob_have *ret)
{
    struct blob_have have = { 0 };
    struct qn_span bytes;
    uint8_t kind;
    if (!qn_take_u8(&in, &kind)) return QN_E_SHORT;
    if (kind > 1) return QN_E_FORMAT;
    have.news = kind == 1;
    if (have.news) {
        if (in.len == 0 || in.len % 4 || in.len > 4 * BLOB_NEWS_MAX) return QN_E_RANGE;
        have.list = in.ptr;
        have.cnt = (uint32_t)(in.len / 4);
        *ret = have;
        return QN_OK;
    }
    if (!qn_take_u64(&in, &have.size)) return QN_E_SHORT;
    if (have.size > QN_MIN(size_max, BLOB_SIZE_MAX)) return QN_E_RANGE;
    uint32_t cnt = blob_piece_cnt(have.size);
    if (!qn_take(&in, (cnt + 7) / 8, &bytes)) return QN_E_SHORT;
    if (in.len) return QN_E_EXTRA;
    if (cnt % 8 && bytes.ptr[cnt / 8] >> cnt % 8) return QN_E_FORMAT;
    have.bits = bytes.ptr;
    *ret = have;
    return QN_OK;
}
