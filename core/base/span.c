/* span.c - borrowed bytes and the growing buffer. */
#include "core/base/span.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool qn_span_eq(struct qn_span a, struct qn_span b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

int qn_span_cmp(struct qn_span a, struct qn_span b)
{
    size_t n = QN_MIN(a.len, b.len);
    int cmp = n ? memcmp(a.ptr, b.ptr, n) : 0;
    if (cmp) return cmp;
    return a.len < b.len ? -1 : a.len > b.len;
}

bool qn_span_starts(struct qn_span s, struct qn_span prefix)
{
    return s.len >= prefix.len && (prefix.len == 0 || memcmp(s.ptr, prefix.ptr, prefix.len) == 0);
}

void qn_buf_free(struct qn_buf *buf)
{
    if (!buf) return;
    free(buf->ptr);
    *buf = (struct qn_buf){ 0 };
}

void qn_buf_clear(struct qn_buf *buf)
{
    buf->len = 0;
}

uint8_t *qn_buf_grow(struct qn_buf *buf, size_t n)
{
    QN_ASSERT(n <= SIZE_MAX / 4 - buf->len);
    size_t need = buf->len + n;
    if (need > buf->cap || !buf->ptr) { /* never NULL: callers add to it */
        size_t cap = QN_MAX(buf->cap * 2, (size_t)64);
        while (cap < need)
            cap *= 2;
        uint8_t *ptr = realloc(buf->ptr, cap);
        QN_ASSERT(ptr != NULL);
        buf->ptr = ptr;
        buf->cap = cap;
    }
    uint8_t *at = buf->ptr + buf->len;
    buf->len = need;
    return at;
}

void qn_buf_put(struct qn_buf *buf, const void *src, size_t n)
{
    if (n) memcpy(qn_buf_grow(buf, n), src, n);
}

void qn_buf_span(struct qn_buf *buf, struct qn_span s)
{
    qn_buf_put(buf, s.ptr, s.len);
}

void qn_buf_str(struct qn_buf *buf, const char *s)
{
    qn_buf_put(buf, s, strlen(s));
}

void qn_buf_u8(struct qn_buf *buf, uint8_t v)
{
    *qn_buf_grow(buf, 1) = v;
}

static void put_le(struct qn_buf *buf, uint64_t v, size_t n)
{
    uint8_t *at = qn_buf_grow(buf, n);
    for (size_t i = 0; i < n; i++)
        at[i] = (uint8_t)(v >> (8 * i));
}

void qn_buf_u16(struct qn_buf *buf, uint16_t v)
{
    put_le(buf, v, 2);
}

void qn_buf_u32(struct qn_buf *buf, uint32_t v)
{
    put_le(buf, v, 4);
}

void qn_buf_u64(struct qn_buf *buf, uint64_t v)
{
    put_le(buf, v, 8);
}

void qn_buf_u64be(struct qn_buf *buf, uint64_t v)
{
    put_le(buf, __builtin_bswap64(v), 8);
}

void qn_buf_printf(struct qn_buf *buf, const char *fmt, ...)
{
    va_list ap, again;
    va_start(ap, fmt);
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    QN_ASSERT(n >= 0);
    char *at = (char *)qn_buf_grow(buf, (size_t)n + 1);
    vsnprintf(at, (size_t)n + 1, fmt, again);
    buf->len--; /* the 0 byte stays behind the end */
    va_end(again);
    va_end(ap);
}

struct qn_span qn_buf_get(const struct qn_buf *buf)
{
    return QN_SPAN(buf->ptr, buf->len);
}

bool qn_take(struct qn_span *s, size_t n, struct qn_span *ret)
{
    if (s->len < n) return false;
    *ret = QN_SPAN(s->ptr, n);
    if (n) s->ptr += n;
    s->len -= n;
    return true;
}

static bool take_le(struct qn_span *s, size_t n, uint64_t *ret)
{
    struct qn_span got;
    if (!qn_take(s, n, &got)) return false;
    uint64_t v = 0;
    for (size_t i = n; i-- > 0;)
        v = v << 8 | got.ptr[i];
    *ret = v;
    return true;
}

bool qn_take_u8(struct qn_span *s, uint8_t *ret)
{
    uint64_t v;
    if (!take_le(s, 1, &v)) return false;
    *ret = (uint8_t)v;
    return true;
}

bool qn_take_u16(struct qn_span *s, uint16_t *ret)
{
    uint64_t v;
    if (!take_le(s, 2, &v)) return false;
    *ret = (uint16_t)v;
    return true;
}

bool qn_take_u32(struct qn_span *s, uint32_t *ret)
{
    uint64_t v;
    if (!take_le(s, 4, &v)) return false;
    *ret = (uint32_t)v;
    return true;
}

bool qn_take_u64(struct qn_span *s, uint64_t *ret)
{
    return take_le(s, 8, ret);
}

bool qn_take_hash(struct qn_span *s, struct qn_hash *ret)
{
    struct qn_span got;
    if (!qn_take(s, sizeof ret->b, &got)) return false;
    memcpy(ret->b, got.ptr, sizeof ret->b);
    return true;
}

void qn_hex(const void *src, size_t len, char *dst)
{
    const uint8_t *in = src;
    for (size_t i = 0; i < len; i++) {
        dst[2 * i] = "0123456789abcdef"[in[i] >> 4];
        dst[2 * i + 1] = "0123456789abcdef"[in[i] & 15];
    }
    dst[2 * len] = 0;
}

/* Of a digit; what others give is no matter. Digits of hashes come in no order, so that a branch on them costs more than both its ways. */
static uint8_t digit(char c)
{
    return (uint8_t)((c & 15) + 9 * (c >> 6 & 1));
}

bool qn_unhex(const char *src, size_t src_len, void *dst, size_t len)
{
    unsigned other = 0;
    if (src_len != 2 * len) return false;
    for (size_t i = 0; i < src_len; i++) {
        unsigned c = (uint8_t)src[i];
        other |= (c - '0' > 9) & ((c | 32) - 'a' > 5);
    }
    if (other) return false;
    uint8_t *out = dst;
    for (size_t i = 0; i < len; i++)
        out[i] = (uint8_t)(digit(src[2 * i]) << 4 | digit(src[2 * i + 1]));
    return true;
}

void qn_b64url(const void *src, size_t len, char *dst)
{
    static const char set[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    const uint8_t *in = src;
    size_t o = 0;
    for (size_t i = 0; i < len; i += 3) {
        uint32_t v = (uint32_t)in[i] << 16;
        if (i + 1 < len) v |= (uint32_t)in[i + 1] << 8;
        if (i + 2 < len) v |= in[i + 2];
        dst[o++] = set[v >> 18];
        dst[o++] = set[v >> 12 & 63];
        if (i + 1 < len) dst[o++] = set[v >> 6 & 63];
        if (i + 2 < len) dst[o++] = set[v & 63];
    }
    dst[o] = 0;
}
