/* mss.c - lines in, lines out. */
#include "net/libp2p/mss.h"

#include <string.h>

static const char HEADER[] = "/multistream/1.0.0";

static void put_line(struct qn_buf *out, struct qn_span text)
{
    size_t len = text.len + 1;
    QN_ASSERT(len <= QN_MSS_LINE_MAX);
    if (len > 127) qn_buf_u8(out, (uint8_t)(len | 128));
    qn_buf_u8(out, (uint8_t)(len > 127 ? len >> 7 : len));
    qn_buf_span(out, text);
    qn_buf_u8(out, '\n');
}

void qn_mss_dial(struct qn_mss *m, const char *proto, struct qn_buf *out)
{
    m->dialer = true;
    m->header = false;
    m->proposals = 0;
    m->have = 0;
    put_line(out, QN_SPAN_STR(HEADER));
    put_line(out, QN_SPAN_STR(proto));
}

void qn_mss_listen(struct qn_mss *m)
{
    m->dialer = false;
    m->header = false;
    m->proposals = 0;
    m->have = 0;
}

/* The length that the first bytes tell; 0: not told yet. */
static qn_rc line_len(const uint8_t *b, size_t cnt, size_t *ret_head, size_t *ret_len)
{
    *ret_len = 0;
    if (cnt == 0) return QN_OK;
    *ret_head = b[0] & 128 ? 2 : 1;
    if (cnt < *ret_head) return QN_OK;
    size_t len = b[0] & 128 ? (b[0] & 127u) | (size_t)b[1] << 7 : b[0];
    if (*ret_head == 2 && (b[1] & 128)) return QN_E_TOOBIG;
    if (len == 0 || (*ret_head == 2 && len < 128)) return QN_E_FORMAT;
    if (len > QN_MSS_LINE_MAX) return QN_E_TOOBIG;
    *ret_len = len;
    return QN_OK;
}

/* Moves bytes of in to part until a line is whole there. */
static qn_rc take_line(struct qn_mss *m, struct qn_span *in, struct qn_span *ret)
{
    size_t head = 1, len = 0;
    for (;;) {
        qn_rc rc = line_len(m->part, m->have, &head, &len);
        if (rc) return rc;
        size_t want = len ? head + len : m->have + 1u;
        if (len && m->have == want) break;
        size_t n = QN_MIN(want - m->have, in->len);
        if (n == 0) return QN_E_AGAIN;
        memcpy(m->part + m->have, in->ptr, n);
        m->have = (uint16_t)(m->have + n);
        *in = QN_SPAN(in->ptr + n, in->len - n);
    }
    m->have = 0;
    if (m->part[head + len - 1] != '\n') return QN_E_FORMAT;
    *ret = QN_SPAN(m->part + head, len - 1);
    return QN_OK;
}

qn_rc qn_mss_step(struct qn_mss *m, struct qn_span *in, struct qn_buf *out, const char *proto,
                  const void *(*pick)(void *arg, struct qn_span name), void *arg, const void **ret)
{
    struct qn_span line;
    for (;;) {
        qn_rc rc = take_line(m, in, &line);
        if (rc) return rc;
        if (!m->header) {
            if (!qn_span_eq(line, QN_SPAN_STR(HEADER))) return QN_E_FORMAT;
            m->header = true;
            if (!m->dialer) put_line(out, line);
            continue;
        }
        if (m->dialer) {
            if (qn_span_eq(line, QN_SPAN_STR(proto))) return QN_OK;
            return qn_span_eq(line, QN_SPAN_STR("na")) ? QN_E_REFUSED : QN_E_FORMAT;
        }
        if (++m->proposals > QN_MSS_PROPOSALS_MAX) return QN_E_LIMIT;
        const void *got = pick(arg, line);
        if (got) {
            put_line(out, line);
            *ret = got;
            return QN_OK;
        }
        put_line(out, QN_SPAN_STR("na")); /* also to "ls", as the newer implementations do */
    }
}
