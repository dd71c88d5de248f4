/* span.h - borrowed bytes, and a growing buffer that owns its bytes. */
#ifndef QN_CORE_BASE_SPAN_H
#define QN_CORE_BASE_SPAN_H

#include "core/base/err.h"

/* Borrowed bytes; who lent them says for how long. */
struct qn_span {
    const uint8_t *ptr;
    size_t len;
};

#define QN_SPAN(p, n)   ((struct qn_span){ (const uint8_t *)(p), (n) })
#define QN_SPAN_OF(obj) ((struct qn_span){ (const uint8_t *)&(obj), sizeof(obj) })
#define QN_SPAN_STR(s)  ((struct qn_span){ (const uint8_t *)(s), __builtin_strlen(s) })

bool qn_span_eq(struct qn_span a, struct qn_span b);
/* qn_span_cmp orders bytewise, the shorter first when one is a prefix of the other. */
int qn_span_cmp(struct qn_span a, struct qn_span b);
bool qn_span_starts(struct qn_span s, struct qn_span prefix);

/* A growing buffer. Zero-initialised is empty. A failed allocation aborts: what foreign input may make
 * it grow to is bounded by the caller. */
struct qn_buf {
    uint8_t *ptr;
    size_t len, cap;
};

void qn_buf_free(struct qn_buf *buf);
void qn_buf_clear(struct qn_buf *buf); /* keeps the memory */
/* qn_buf_grow returns where n new bytes may be written; they count as written. */
uint8_t *qn_buf_grow(struct qn_buf *buf, size_t n);
void qn_buf_put(struct qn_buf *buf, const void *src, size_t n);
void qn_buf_span(struct qn_buf *buf, struct qn_span s);
void qn_buf_str(struct qn_buf *buf, const char *s);
void qn_buf_u8(struct qn_buf *buf, uint8_t v);
void qn_buf_u16(struct qn_buf *buf, uint16_t v); /* little-endian */
void qn_buf_u32(struct qn_buf *buf, uint32_t v);
void qn_buf_u64(struct qn_buf *buf, uint64_t v);
void qn_buf_u64be(struct qn_buf *buf, uint64_t v); /* for ordered keys */
void qn_buf_printf(struct qn_buf *buf, const char *fmt, ...) QN_PRINTF(2, 3);
struct qn_span qn_buf_get(const struct qn_buf *buf); /* lent until the next write */

/* Readers take from the front of s; false leaves s as it was and sets nothing. */
QN_CHECK bool qn_take(struct qn_span *s, size_t n, struct qn_span *ret);
QN_CHECK bool qn_take_u8(struct qn_span *s, uint8_t *ret);
QN_CHECK bool qn_take_u16(struct qn_span *s, uint16_t *ret);
QN_CHECK bool qn_take_u32(struct qn_span *s, uint32_t *ret);
QN_CHECK bool qn_take_u64(struct qn_span *s, uint64_t *ret);
QN_CHECK bool qn_take_hash(struct qn_span *s, struct qn_hash *ret);

/* qn_hex writes 2 * len digits and a 0 byte to dst. */
void qn_hex(const void *src, size_t len, char *dst);
/* qn_unhex reads exactly len bytes from 2 * len digits; false on any other length or character. */
QN_CHECK bool qn_unhex(const char *src, size_t src_len, void *dst, size_t len);
/* qn_b64url writes RFC 4648 base64url without padding and a 0 byte; dst holds 4 * ((len + 2) / 3) + 1. */
void qn_b64url(const void *src, size_t len, char *dst);

#endif
