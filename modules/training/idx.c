/* idx.c - gzip and IDX, within limits. */
#include "modules/training/idx.h"

#include <string.h>
#include <zlib.h>

#define PIECE (256u << 10)

static bool is_gzip(struct qn_span file)
{
    return file.len >= 2 && file.ptr[0] == 0x1f && file.ptr[1] == 0x8b;
}

static qn_rc inflate_all(z_stream *z, size_t max, struct qn_buf *ret, struct qn_why *why)
{
    for (;;) {
        size_t room =
            QN_MIN((size_t)PIECE, max - ret->len + 1); /* one more: to see what is too long */
        z->next_out = qn_buf_grow(ret, room);
        z->avail_out = (uInt)room;
        int how = inflate(z, Z_NO_FLUSH);
        ret->len -= z->avail_out;
        if (ret->len > max) return qn_why(why, QN_E_TOOBIG, "unpacks to more than %zu bytes", max);
        if (how == Z_STREAM_END) break;
        if (how == Z_BUF_ERROR) return qn_why(why, QN_E_SHORT, "the gzip file ends early");
        if (how != Z_OK) return qn_why(why, QN_E_FORMAT, "gzip: %s", z->msg ? z->msg : "damaged");
    }
    if (z->avail_in) return qn_why(why, QN_E_EXTRA, "bytes follow the end of the gzip file");
    return QN_OK;
}

qn_rc idx_gunzip(struct qn_span file, size_t max, struct qn_buf *ret, struct qn_why *why)
{
    QN_ASSERT(ret->len == 0);
    if (file.len > UINT32_MAX) return qn_why(why, QN_E_TOOBIG, "a file of 4 GiB or more");
    if (!is_gzip(file)) {
        if (file.len > max)
            return qn_why(why, QN_E_TOOBIG, "%zu bytes; at most %zu", file.len, max);
        qn_buf_span(ret, file);
        return QN_OK;
    }
    z_stream z = { 0 };
    z.next_in = (z_const Bytef *)(uintptr_t)file.ptr;
    z.avail_in = (uInt)file.len;
    if (inflateInit2(&z, 16 + MAX_WBITS) != Z_OK) return qn_why(why, QN_E_MEMORY, "zlib");
    qn_rc rc = inflate_all(&z, max, ret, why);
    inflateEnd(&z);
    return rc;
}

static uint32_t be32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

qn_rc idx_parse(struct qn_span raw, struct idx *ret, struct qn_why *why)
{
    struct qn_span head, dim;
    struct idx out = { .rec_len = 1 };
    if (!qn_take(&raw, 4, &head)) return qn_why(why, QN_E_SHORT, "IDX: no header");
    if (head.ptr[0] || head.ptr[1] || head.ptr[2] != 8)
        return qn_why(why, QN_E_FORMAT, "IDX: not an array of unsigned bytes");
    out.rank = head.ptr[3];
    if (out.rank == 0 || out.rank > IDX_RANK_MAX)
        return qn_why(why, QN_E_RANGE, "IDX: %u dimensions; 1 to %d", out.rank, IDX_RANK_MAX);
    for (uint32_t i = 0; i < out.rank; i++) {
        if (!qn_take(&raw, 4, &dim)) return qn_why(why, QN_E_SHORT, "IDX: header ends early");
        out.dims[i] = be32(dim.ptr);
        if (out.dims[i] == 0) return qn_why(why, QN_E_RANGE, "IDX: a dimension is 0");
        /* Never above what is there, so no product overflows. */
        if (i && (out.dims[i] > raw.len || out.rec_len > raw.len))
            return qn_why(why, QN_E_SHORT, "IDX: records longer than the file");
        if (i) out.rec_len *= out.dims[i];
    }
    if (out.rec_len > raw.len || raw.len / out.rec_len < out.dims[0])
        return qn_why(why, QN_E_SHORT, "IDX: %u records announced, the file holds %zu", out.dims[0],
                      raw.len / out.rec_len);
    if (raw.len != out.dims[0] * out.rec_len)
        return qn_why(why, QN_E_EXTRA, "IDX: bytes follow the last record");
    out.bytes = raw;
    *ret = out;
    return QN_OK;
}
